# SPDX-License-Identifier: MIT
"""What pages of other sites may do: origins of calls and upgrades, and what answers tell browsers.

The fields follow the Fetch standard, RFC 6454 (origins) and RFC 6797 (strict transport).
"""
import re

import pytest

from roomd_clients import Http
from roomd_harness import run_roomd
from roomd_people import People
from roomd_raw import Link

LISTED, OTHER = 'https://app.example.org', 'https://evil.example'
DAEMON = {'settings': {'http.origins': LISTED, 'http.trusted_proxies': '127.0.0.1', 'http.hsts': '1d'}}


# ---------------------------------------------------------------- calls


async def test_a_listed_origin_gets_the_header_and_another_does_not(daemon):
    """S0-43. Seen red with every origin listed."""
    async with await Link.open(daemon) as link:
        answer = await link.ask('GET', '/api/chat/rooms', [f'Origin: {LISTED}'])
        assert answer.status == 200
        assert answer['access-control-allow-origin'] == LISTED
        assert answer['access-control-allow-credentials'] == 'true'
        assert 'RateLimit-Remaining' in answer['access-control-expose-headers']
        assert answer['vary'] == 'Origin'
        for origin in (OTHER, 'null', 'http://app.example.org', f'{LISTED}.evil.example', f'{LISTED}:8443'):
            answer = await link.ask('GET', '/api/chat/rooms', [f'Origin: {origin}'])
            assert answer['access-control-allow-origin'] is None, origin
            assert answer['vary'] == 'Origin'


@pytest.mark.parametrize('origin, allowed', [
    (LISTED, True), (None, True), ('http://localhost', True), (OTHER, False), ('null', False),
    ('http://localhost.evil.example', False)])
async def test_writes_of_other_origins_are_refused(daemon, origin, allowed):
    fields = [f'Origin: {origin}'] if origin else []
    async with await Link.open(daemon) as link:
        answer = await link.ask('POST', '/api/chat/rooms', fields, b'{}')
        assert answer.status == (422 if allowed else 403)
        answer = await link.ask('OPTIONS', '/api/chat/rooms', [*fields, 'Access-Control-Request-Method: POST'])
        assert answer.status == 204
        is_cross = allowed and origin == LISTED
        assert (answer['access-control-allow-methods'] is not None) == is_cross


@pytest.mark.parametrize('origin, status', [
    (LISTED, 101), (None, 101), ('http://localhost', 101), (OTHER, 403), ('null', 403)])
async def test_upgrades_of_other_origins_are_refused(daemon, origin, status):
    """S0-43."""
    fields = [f'Origin: {origin}'] if origin else []
    async with Http(daemon) as http:
        room = await http.new_room()
    for path in ('/ws', f'/ws/chat/{room["id"]}'):
        async with await Link.open(daemon) as link:
            assert (await link.upgrade(path, *fields)).status == status, path


async def test_fetch_metadata_alone_tells_of_other_sites(daemon):
    """S1-44. Seen red with the look at Origin alone: the socket was opened."""
    for site, is_ours in (('cross-site', False), ('same-origin', True), ('none', True)):
        async with await Link.open(daemon) as link:
            assert (await link.upgrade('/ws', f'Sec-Fetch-Site: {site}')).status == (101 if is_ours else 403)
        async with await Link.open(daemon) as link:
            answer = await link.ask('POST', '/api/chat/rooms', [f'Sec-Fetch-Site: {site}'], b'{}')
            assert answer.status == (422 if is_ours else 403)


async def test_a_cookie_opens_nothing_for_other_sites_even_if_all_may_call(start_daemon):
    """S1-44. Any page may call and connect as a guest then, but not as whoever looks at it. Seen red with
    the check of the origin alone: the socket of the other site was opened."""
    daemon = start_daemon(settings={'http.origins': f'*, {LISTED}', 'auth.hash_memory': '64k', 'auth.hash_passes': 1})
    async with People(daemon) as http:
        name = (await http.new_person())['user']['username']
        cookie = f'Cookie: session={(await http.page_login(name)).value}'
    for site, is_ours in (([f'Origin: {OTHER}'], False), (['Sec-Fetch-Site: cross-site', f'Origin: {OTHER}'], False),
                          (['Sec-Fetch-Site: same-site', 'Origin: http://localhost:1'], False),
                          ([f'Origin: {LISTED}'], True), (['Sec-Fetch-Site: same-origin'], True)):
        for fields in (site, [*site, cookie]):
            is_refused = cookie in fields and not is_ours
            async with await Link.open(daemon) as link:
                assert (await link.upgrade('/ws', *fields)).status == (403 if is_refused else 101), fields
            async with await Link.open(daemon) as link:
                answer = await link.ask('POST', '/api/chat/rooms', fields, b'{}')
                assert answer.status == (403 if is_refused else 422), fields


# ---------------------------------------------------------------- modes


def test_production_refuses_what_development_only_warns_of():
    """S0-44. Seen red without the check of the mode."""
    for setting in ('http.origins=*', 'http.origins=https://a.example, *', 'http.plain_cookies=on'):
        name = setting.partition('=')[0]
        refused = run_roomd('-t', '-o', setting)
        assert refused.returncode == 78 and name in refused.stderr, setting
        assert 'server.mode' in refused.stderr
        warned = run_roomd('-t', '-o', setting, '-o', 'server.mode=development')
        assert f'warning: {name}' in warned.stderr, setting
        assert 'server.mode' not in warned.stderr
    assert 'http.origins' not in run_roomd('-t', '-o', f'http.origins={LISTED}').stderr


async def test_development_starts_with_any_origin_and_says_so(start_daemon):
    daemon = start_daemon(settings={'http.origins': '*'})
    assert 'http.origins' in daemon.wait_log('for development only')['setting']
    async with await Link.open(daemon) as link:
        answer = await link.ask('GET', '/api/chat/rooms', [f'Origin: {OTHER}'])
        assert answer['access-control-allow-origin'] == OTHER
        assert answer['access-control-allow-credentials'] is None  # "*" names nobody


async def test_a_reload_does_not_open_a_server_in_production(start_daemon):
    """Nor by changing the mode at the same time, which takes effect with a restart only. Seen red with
    the check of the new settings alone."""
    daemon = start_daemon(settings={'server.mode': 'production'})
    daemon.expected_errors.append('http.origins|configuration')
    for more in ({}, {'server.mode': 'development'}):
        mark = daemon.log_length()
        daemon.reload(**{'http.origins': '*', **more})
        daemon.wait_log('http.origins', mark)
        async with await Link.open(daemon) as link:
            answer = await link.ask('GET', '/api/chat/rooms', [f'Origin: {OTHER}'])
            assert answer['access-control-allow-origin'] is None
            assert answer['x-roomd-worker'] is None


# ---------------------------------------------------------------- fields


async def test_every_answer_has_the_fields_that_restrain_browsers(daemon):
    async with await Link.open(daemon) as link:
        for path in ('/', '/static/app.js', '/api/chat/rooms', '/api/v1/limits', '/nowhere', '/api/v1/nowhere'):
            answer = await link.ask('GET', path)
            assert answer['x-content-type-options'] == 'nosniff', path
            assert answer['x-frame-options'] == 'DENY', path
            assert answer['referrer-policy'] == 'same-origin', path
            assert answer['cross-origin-resource-policy'] == 'same-origin', path
            assert "frame-ancestors 'none'" in answer['content-security-policy'], path
            assert answer['x-request-id'], path


async def test_the_page_may_load_and_connect_to_its_own_host_only(daemon):
    async with await Link.open(daemon) as link:
        policy = (await link.ask('GET', '/'))['content-security-policy']
        parts = dict(part.strip().partition(' ')[::2] for part in policy.split(';'))
        assert parts['default-src'] == "'none'"
        assert parts['script-src'] == "'self'" and parts['style-src'] == "'self'"
        assert parts['connect-src'] == "'self' ws://localhost wss://localhost"
        assert parts['base-uri'] == "'none'" and parts['form-action'] == "'self'"
        assert 'unsafe' not in policy and '*' not in policy
        answer = await link.ask('GET', '/api/chat/rooms')
        assert answer['content-security-policy'].startswith("default-src 'none'")
        # an answer without a page must not change the policy of the page that the browser keeps
        tag = (await link.ask('GET', '/'))['etag']
        unchanged = await link.ask('GET', '/', [f'If-None-Match: {tag}'])
        assert unchanged.status == 304 and unchanged['content-security-policy'] is None


async def test_a_host_cannot_write_into_the_policy(daemon):
    for host in ("a; script-src *", "a script-src", "a,b", "a\tb"):
        async with await Link.open(daemon) as link:
            await link.send(f'GET / HTTP/1.1\r\nHost: {host}\r\n\r\n')
            answer = await link.answer()
            policy = answer['content-security-policy'] or ''
            assert answer.status == 400 or policy.count('script-src') == 1
            assert '*' not in policy


async def test_strict_transport_only_where_tls_was_spoken(daemon):
    async with await Link.open(daemon) as link:
        assert (await link.ask('GET', '/'))['strict-transport-security'] is None
        for fields in (['X-Forwarded-For: 192.0.2.1', 'X-Forwarded-Proto: https'],
                       ['Forwarded: for=192.0.2.1;proto=https']):
            answer = await link.ask('GET', '/', fields)
            assert answer['strict-transport-security'] == 'max-age=86400', fields
        for fields in (['X-Forwarded-For: 192.0.2.1', 'X-Forwarded-Proto: https, http'],
                       ['Forwarded: for=192.0.2.1;proto=http']):
            assert (await link.ask('GET', '/', fields))['strict-transport-security'] is None, fields


async def test_errors_are_json_with_a_stable_code_and_the_id_of_the_request(daemon):
    """S4-03."""
    async with Http(daemon) as http:
        for path, status, code in (('/api/v1/nowhere', 404, 'not_found'),
                                   ('/api/v1/conversations/999999', 404, 'no_such_room')):
            got, body, headers = await http.ask('GET', path)
            assert got == status and body['code'] == code
            assert headers['Content-Type'] == 'application/problem+json'
            assert re.fullmatch(r'[0-9a-f-]{36}', body['request_id'])
            assert body['request_id'] == headers['X-Request-Id']
            line = daemon.wait_log(body['request_id'])
            assert line['status'] == status and line['client'] == '127.0.0.1'
