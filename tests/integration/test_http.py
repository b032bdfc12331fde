# SPDX-License-Identifier: MIT
"""HTTP/1.1 behaviour of the port, by raw requests (RFC 9110, 9112)."""
import asyncio
import gzip
import json
import re

import pytest

from roomd_raw import Link

DAEMON = {'settings': {
    'http.header_timeout': '1s', 'http.body_timeout': '1s', 'http.keepalive_timeout': '2s',
    'http.header_max': '8k', 'http.target_max': '2k', 'http.body_max': '4k'}}
ROOMS = '/api/chat/rooms'
JSON = 'Content-Type: application/json'


async def ask(daemon, method, target, fields=(), body=b''):
    async with await Link.open(daemon) as link:
        return await link.ask(method, target, fields, body)


async def raw(daemon, data):
    """Sends bytes and reads the answer and whether the connection ends after it."""
    async with await Link.open(daemon) as link:
        await link.send(data)
        answer = await link.answer()
        return answer, await link.is_ended()


@pytest.mark.parametrize('path', ['/nothing', '/api', '/api/chat', '/api/chat/rooms/1/nothing', '/static',
                                  '/static/', '/static/nothing.js', '/index.php', '/api/v1/nothing'])
async def test_s0_08_an_unknown_path_is_404(daemon, path):
    assert (await ask(daemon, 'GET', path)).status == 404


@pytest.mark.parametrize('method, path, allowed', [
    ('PUT', ROOMS, {'GET', 'HEAD', 'POST'}), ('DELETE', ROOMS, {'GET', 'HEAD', 'POST'}),
    ('POST', '/api/chat/rooms/1/messages', {'GET', 'HEAD'}), ('POST', '/static/app.js', {'GET', 'HEAD'}),
    ('PATCH', '/', {'GET', 'HEAD'}), ('DELETE', '/ws', {'GET'}),
])
async def test_s0_08_a_wrong_method_is_405_with_allow(daemon, method, path, allowed):
    answer = await ask(daemon, method, path)
    assert answer.status == 405
    assert allowed <= {name.strip() for name in answer['allow'].split(',')}
    assert method not in answer['allow']


async def test_s0_08_an_unknown_method_is_refused(daemon):
    assert (await ask(daemon, 'BREW', '/')).status in (400, 405, 501)


@pytest.mark.parametrize('path', ['/', '/static/app.js', ROOMS])
async def test_s0_08_head_mirrors_get(daemon, path):
    get, head = await ask(daemon, 'GET', path), await ask(daemon, 'HEAD', path)
    varying = {'date', 'x-request-id', 'x-roomd-worker'}
    assert head.status == get.status == 200
    assert {name: value for name, value in head.fields.items() if name not in varying} == \
        {name: value for name, value in get.fields.items() if name not in varying}
    assert int(get['content-length']) == len(get.body) > 0


async def test_s0_08_head_leaves_the_connection_usable(daemon):
    async with await Link.open(daemon) as link:
        for _ in range(3):
            assert (await link.ask('HEAD', '/')).status == 200
            assert (await link.ask('GET', '/nothing')).status == 404


async def test_options_tells_the_methods(daemon):
    answer = await ask(daemon, 'OPTIONS', ROOMS)
    assert answer.status in (200, 204)
    assert 'POST' in answer['allow']


async def test_errors_are_json_on_the_interfaces(daemon):
    v1 = await ask(daemon, 'GET', '/api/v1/conversations/2000000000')
    assert v1.status == 404
    assert v1['content-type'].startswith('application/problem+json')
    problem = json.loads(v1.body)
    assert problem['status'] == 404 and problem['code'] and problem['title']
    s1 = await ask(daemon, 'GET', '/api/chat/rooms/2000000000/messages')
    assert s1['content-type'].startswith('application/json')
    assert json.loads(s1.body)['detail']


# ---------------------------------------------------------------- limits and times


async def test_408_when_the_header_does_not_end(daemon):
    answer, is_ended = await raw(daemon, b'GET / HTTP/1.1\r\nHost: x\r\nX-Slow:')
    assert (answer.status, is_ended) == (408, True)


async def test_408_when_the_body_does_not_come(daemon):
    answer, is_ended = await raw(daemon, b'POST /api/chat/rooms HTTP/1.1\r\nHost: x\r\nContent-Type: '
                                         b'application/json\r\nContent-Length: 20\r\n\r\n{"name"')
    assert (answer.status, is_ended) == (408, True)


async def test_a_header_that_trickles_does_not_prolong_its_time(daemon):
    async with await Link.open(daemon) as link:
        async def trickle():
            for byte in b'GET / HTTP/1.1\r\nHost: x\r\nX-Slow: ' + b'a' * 10000:
                await link.send(bytes([byte]))
                await asyncio.sleep(0.1)
        task = asyncio.create_task(trickle())
        assert (await link.answer()).status == 408
        task.cancel()


async def test_an_idle_connection_is_closed_without_an_answer(daemon):
    async with await Link.open(daemon) as link:
        assert (await link.ask('GET', '/')).status == 200
        assert await link.is_ended()


async def test_411_when_a_post_has_no_length(daemon):
    answer, _ = await raw(daemon, f'POST {ROOMS} HTTP/1.1\r\nHost: x\r\n{JSON}\r\nConnection: close\r\n\r\n'.encode())
    assert answer.status == 411


async def test_413_when_the_body_is_too_large_is_told_before_it_is_sent(daemon):
    async with await Link.open(daemon) as link:
        await link.request('POST', ROOMS, (JSON, 'Content-Length: 100000'))
        assert (await link.answer()).status == 413


async def test_413_holds_for_chunks_too(daemon):
    async with await Link.open(daemon) as link:
        await link.request('POST', ROOMS, (JSON, 'Transfer-Encoding: chunked'))
        try:
            for _ in range(20):
                await link.send(b'400\r\n' + b'x' * 1024 + b'\r\n')
        except ConnectionError:
            pass
        assert (await link.answer()).status == 413


async def test_a_chunked_body_is_understood(daemon):
    async with await Link.open(daemon) as link:
        await link.request('POST', ROOMS, (JSON, 'Transfer-Encoding: chunked'))
        body = json.dumps({'name': f'chunked {id(link)}'}).encode()
        for part in (body[:5], body[5:6], body[6:]):
            await link.send(b'%x;ext=1\r\n' % len(part) + part + b'\r\n')
        await link.send(b'0\r\nX-Trailer: 1\r\n\r\n')
        assert (await link.answer()).status == 201
        assert (await link.ask('GET', '/')).status == 200


async def test_414_when_the_target_is_too_long(daemon):
    assert (await ask(daemon, 'GET', '/' + 'a' * 3000)).status == 414


async def test_431_when_the_header_is_too_large(daemon):
    answer, is_ended = await raw(daemon, b'GET / HTTP/1.1\r\nHost: x\r\nX-Big: ' + b'a' * 9000 + b'\r\n\r\n')
    assert (answer.status, is_ended) == (431, True)


async def test_431_when_many_small_fields_are_too_large_together(daemon):
    fields = b''.join(b'X-%d: 1\r\n' % number for number in range(2000))
    answer, is_ended = await raw(daemon, b'GET / HTTP/1.1\r\nHost: x\r\n' + fields + b'\r\n')
    assert (answer.status, is_ended) == (431, True)


async def test_415_when_the_body_is_another_type(daemon):
    answer = await ask(daemon, 'POST', ROOMS, ('Content-Type: text/plain',), b'{"name":"x"}')
    assert answer.status == 415
    assert (await ask(daemon, 'POST', ROOMS, ('Content-Type: application/xml',), b'<a/>')).status == 415


async def test_a_charset_on_json_is_accepted(daemon):
    body = json.dumps({'name': f'charset {id(daemon)}'}).encode()
    answer = await ask(daemon, 'POST', ROOMS, ('Content-Type: application/json; charset=utf-8',), body)
    assert answer.status == 201


async def test_expect_100_is_answered(daemon):
    async with await Link.open(daemon) as link:
        body = json.dumps({'name': f'expected {id(link)}'}).encode()
        await link.request('POST', ROOMS, (JSON, 'Expect: 100-continue', f'Content-Length: {len(body)}'))
        assert (await link.answer()).status == 100
        await link.send(body)
        assert (await link.answer()).status == 201


@pytest.mark.parametrize('text', [
    'GET / HTTP/1.1\r\n\r\n',  # no Host
    'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n',
    'GET / HTTP/1.1\r\nHost : x\r\n\r\n',
    'GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n',
    'GET / HTTP/9.9\r\nHost: x\r\n\r\n',
    '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
    'POST /api/chat/rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'POST /api/chat/rooms HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!',
    'POST /api/chat/rooms HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n',
    'POST /api/chat/rooms HTTP/1.1\r\nHost: x\r\nContent-Length: +5\r\n\r\nhello',
    'POST /api/chat/rooms HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    'POST /api/chat/rooms HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    'GET / HTTP/1.1\nHost: x\n\n',
])
async def test_malformed_requests_are_refused_and_end_the_connection(daemon, text):
    answer, is_ended = await raw(daemon, text.encode('latin-1'))
    assert answer.status in (400, 501, 505)
    assert is_ended


# ---------------------------------------------------------------- connections


async def test_one_connection_serves_many_requests(daemon):
    async with await Link.open(daemon) as link:
        for _ in range(50):
            answer = await link.ask('GET', ROOMS)
            assert answer.status == 200 and answer['connection'] != 'close'


async def test_connection_close_is_obeyed(daemon):
    async with await Link.open(daemon) as link:
        answer = await link.ask('GET', '/', ('Connection: close',))
        assert answer['connection'] == 'close'
        assert await link.is_ended()


async def test_http_1_0_closes_unless_asked(daemon):
    async with await Link.open(daemon) as link:
        await link.request('GET', '/', version='1.0')
        assert (await link.answer()).status == 200
        assert await link.is_ended()
    async with await Link.open(daemon) as link:
        for _ in range(2):
            await link.request('GET', '/', ('Connection: keep-alive',), version='1.0')
            answer = await link.answer()
            assert answer.status == 200 and answer['connection'].lower() == 'keep-alive'


async def test_pipelined_requests_are_answered_in_order(daemon):
    async with await Link.open(daemon) as link:
        paths = ['/', '/nothing', ROOMS, '/static/app.js', '/api/chat/rooms/2000000000/messages'] * 10
        expected = [200, 404, 200, 200, 404] * 10
        await link.send(''.join(f'GET {path} HTTP/1.1\r\nHost: x\r\n\r\n' for path in paths))
        assert [(await link.answer()).status for _ in paths] == expected


async def test_a_request_in_pieces_is_understood(daemon):
    async with await Link.open(daemon) as link:
        for byte in b'GET /api/chat/rooms HTTP/1.1\r\nHost: x\r\n\r\n':
            await link.send(bytes([byte]))
            await asyncio.sleep(0)
        assert (await link.answer()).status == 200


async def test_an_answer_is_given_to_a_client_that_has_finished_sending(daemon):
    """Many at once: the end of what is sent is then read in the turn that has the answer. Red without on_eof's flush."""
    async def ask_and_finish():
        async with await Link.open(daemon) as link:
            await link.request('GET', ROOMS)
            link.finish()
            answer = await link.answer()
            assert await link.is_ended()
            return answer.status
    for _ in range(5):
        assert await asyncio.gather(*(ask_and_finish() for _ in range(30))) == [200] * 30


async def test_every_answer_has_date_and_request_id(daemon):
    answers = [await ask(daemon, 'GET', path) for path in ('/', '/nothing', ROOMS)]
    for answer in answers:
        assert re.match(r'^\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$', answer['date'])
    assert len({answer['x-request-id'] for answer in answers}) == 3


# ---------------------------------------------------------------- static files


async def test_s1_01_the_page_names_its_files(daemon):
    page = await ask(daemon, 'GET', '/')
    assert page['content-type'] == 'text/html; charset=utf-8'
    assert "default-src 'self'" in page['content-security-policy'] or \
        "default-src 'none'" in page['content-security-policy']
    assert 'unsafe-inline' not in page['content-security-policy']
    assert page['x-content-type-options'] == 'nosniff'
    for path in set(re.findall(rb'(?:src|href)="(/static/[^"]+)"', page.body)):
        answer = await ask(daemon, 'GET', path.decode())
        assert answer.status == 200, path


@pytest.mark.parametrize('path, kind', [('/static/app.js', 'javascript'), ('/static/style.css', 'text/css')])
async def test_s1_21_files_have_their_type(daemon, path, kind):
    answer = await ask(daemon, 'GET', path)
    assert answer.status == 200 and kind in answer['content-type']


async def test_s1_21_etag_and_if_none_match(daemon):
    first = await ask(daemon, 'GET', '/static/app.js')
    tag = first['etag']
    assert tag and first['cache-control']
    for sent in (tag, f'"other", {tag}', '*', 'W/' + tag.removeprefix('W/')):
        again = await ask(daemon, 'GET', '/static/app.js', (f'If-None-Match: {sent}',))
        assert (again.status, again.body, again['etag']) == (304, b'', tag)
    assert (await ask(daemon, 'GET', '/static/app.js', ('If-None-Match: "other"',))).status == 200


@pytest.mark.parametrize('spec, first, count', [
    ('bytes=0-9', 0, 10), ('bytes=5-', 5, None), ('bytes=-7', -7, 7), ('bytes=0-99999999', 0, None)])
async def test_s1_21_a_range_is_served(daemon, spec, first, count):
    whole = (await ask(daemon, 'GET', '/static/app.js')).body
    size = len(whole)
    start = first % size
    end = size if count is None else start + count
    answer = await ask(daemon, 'GET', '/static/app.js', (f'Range: {spec}',))
    assert (answer.status, answer.body) == (206, whole[start:end])
    assert answer['content-range'] == f'bytes {start}-{end - 1}/{size}'


async def test_s1_21_a_range_outside_the_file_is_416(daemon):
    size = len((await ask(daemon, 'GET', '/static/app.js')).body)
    answer = await ask(daemon, 'GET', '/static/app.js', (f'Range: bytes={size}-',))
    assert (answer.status, answer['content-range']) == (416, f'bytes */{size}')


@pytest.mark.parametrize('spec', ['bytes=', 'bytes=a-b', 'lines=0-1', 'bytes=5-2', 'bytes'])
async def test_s1_21_a_range_that_means_nothing_is_ignored(daemon, spec):
    assert (await ask(daemon, 'GET', '/static/app.js', (f'Range: {spec}',))).status == 200


async def test_s1_21_if_range_with_another_tag_gives_the_whole(daemon):
    answer = await ask(daemon, 'GET', '/static/app.js', ('Range: bytes=0-9', 'If-Range: "other"'))
    assert answer.status == 200


async def test_s1_21_gzip_is_sent_to_those_who_accept_it(daemon):
    plain = await ask(daemon, 'GET', '/static/app.js')
    assert plain['content-encoding'] is None
    assert 'accept-encoding' in plain['vary'].lower()
    for accepted in ('gzip', 'br, gzip;q=0.5', 'deflate, gzip', '*'):
        packed = await ask(daemon, 'GET', '/static/app.js', (f'Accept-Encoding: {accepted}',))
        assert packed['content-encoding'] == 'gzip'
        assert gzip.decompress(packed.body) == plain.body
        assert packed['etag'] != plain['etag']
    for refused in ('gzip;q=0', 'br', 'identity', '*;q=0', 'gzip;q=0, *;q=1'):
        answer = await ask(daemon, 'GET', '/static/app.js', (f'Accept-Encoding: {refused}',))
        assert answer['content-encoding'] is None or answer.status == 406


@pytest.mark.parametrize('path', [
    '/static/../roomd.conf', '/static/../../etc/passwd', '/static/%2e%2e/%2e%2e/etc/passwd',
    '/static/..%2f..%2fetc%2fpasswd', '/static//etc/passwd', '/static/%00', '/static/app.js%00.css',
    '/static/....//etc/passwd', '/../../etc/passwd', '/static/app.js/', '/static/.git', '/static/%2e',
    '/static\\..\\app.js', '/static/app.js.gz/..', '/%2e%2e/etc/passwd', '/static/%c0%ae%c0%ae/x',
])
async def test_s1_21_paths_do_not_lead_outside(daemon, path):
    answer = await ask(daemon, 'GET', path)
    assert answer.status in (400, 404)
    assert b'root:' not in answer.body


@pytest.mark.parametrize('target', ['/%', '/%zz', '/%f', '/\xff', '/a b'])
async def test_targets_that_are_malformed_are_refused(daemon, target):
    answer, _ = await raw(daemon, f'GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n'.encode('latin-1'))
    assert answer.status in (400, 404)


async def test_a_query_does_not_change_the_file(daemon):
    assert (await ask(daemon, 'GET', '/static/app.js?v=1')).status == 200


async def test_the_absolute_form_of_a_target_is_understood(daemon):
    assert (await ask(daemon, 'GET', f'http://localhost:{daemon.port}{ROOMS}')).status == 200


async def test_s1_44_a_cross_site_post_is_refused(daemon):
    body = json.dumps({'name': f'cross {id(daemon)}'}).encode()
    for fields in (('Origin: http://evil.example',), ('Sec-Fetch-Site: cross-site', 'Origin: null')):
        answer = await ask(daemon, 'POST', ROOMS, (JSON, *fields), body)
        assert answer.status == 403
    same = ('Origin: http://localhost', 'Sec-Fetch-Site: same-origin')
    assert (await ask(daemon, 'POST', ROOMS, (JSON, *same), body)).status == 201
