# SPDX-License-Identifier: MIT
"""Tokens, cookies and sessions: what is believed, for how long, and how it ends."""
import asyncio
import base64
import hashlib
import hmac
import json
import re
import struct
import subprocess
import time
import uuid

import pytest

from roomd_clients import NativeSocket, RoomSocket, Socket, eventually
from roomd_harness import CTL, HAS_SANITIZERS, PATIENCE, SECOND, Daemon, clean_environment
from roomd_outage import DATABASE, Server, frozen
from roomd_people import PASSWORD, People, bearer, claims_of, cookie_of, totp, unique_login
from roomd_raw import Link
from test_accounts import with_factor

SECRET = 'a-secret-of-the-tests-that-nobody-else-has'
CHEAP = {'auth.hash_memory': '64k', 'auth.hash_passes': 1, 'auth.secret_key': SECRET}
DAEMON = {'settings': CHEAP}


# ---- Tokens ------------------------------------------------------------------------------------------

def hkdf(secret, info):
    """RFC 5869 with SHA-256, one block."""
    prk = hmac.new(b'roomd keyring 1', secret.encode(), hashlib.sha256).digest()
    return hmac.new(prk, info.encode() + b'\1', hashlib.sha256).digest()


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


def forge(claims, secret=SECRET, **header):
    """A token as the daemon would make it, but for what is changed."""
    key = hkdf(secret, 'token HS256')
    header = {'alg': 'HS256', 'typ': 'JWT', 'kid': hashlib.sha256(key).hexdigest()[:8], **header}
    text = '.'.join(b64(json.dumps(part).encode()) for part in (header, claims))
    return f'{text}.{b64(hmac.new(key, text.encode(), hashlib.sha256).digest())}'


async def test_s3_16_the_tests_can_make_a_token_that_is_believed(daemon):
    async with People(daemon) as http:
        token = (await http.new_person())['token']
        assert (await http.me(forge(claims_of(token))))[0] == 200


@pytest.mark.parametrize('what', ['none', 'None', 'unsigned', 'key', 'kid', 'expired', 'future', 'audience',
                                  'issuer', 'bit', 'alg', 'no session', 'garbage', 'empty', 'long'])
async def test_s3_16_tokens_that_are_not_believed(daemon, what):
    async with People(daemon) as http:
        token = (await http.new_person())['token']
        claims, now = claims_of(token), int(time.time())
        unsigned = '.'.join(token.split('.')[:2]) + '.'
        bad = {
            'none': forge(claims, alg='none'),
            'None': b64(json.dumps({'alg': 'none'}).encode()) + '.' + token.split('.')[1] + '.',
            'unsigned': unsigned,
            'key': forge(claims, secret='another secret than that of the daemon'),
            'kid': forge(claims, kid='00000000'),
            'expired': forge({**claims, 'iat': now - 1000, 'nbf': now - 1000, 'exp': now - 1}),
            'future': forge({**claims, 'iat': now + 60, 'nbf': now + 60, 'exp': now + 900}),
            'audience': forge({**claims, 'aud': 'somebody else'}),
            'issuer': forge({**claims, 'iss': 'somebody else'}),
            'bit': token[:-3] + ('A' if token[-3] != 'A' else 'B') + token[-2:],
            'alg': forge(claims, alg='EdDSA'),
            'no session': forge({key: value for key, value in claims.items() if key != 'sid'}),
            'garbage': 'garbage', 'empty': '', 'long': 'x' * 4000,
        }[what]
        for path in ('/api/v1/users/me', '/api/chat/rooms', '/api/v1/conversations'):
            status, body, headers = await http.ask('GET', path, headers={'Authorization': f'Bearer {bad}'})
            assert status == 401, f'{path} takes it'  # also where guests may: never silently a guest
            assert headers['WWW-Authenticate'] == 'Bearer'
        socket = await Socket.open(daemon, '/ws', subprotocols=['roomd.v1'])
        await socket.send({'op': 'hello', 'id': 1, 'token': bad or 'x'})
        assert (await socket.expect(re=1))['code'] == 'unauthorized'
        assert (await socket.closed())[0] == 4401


def kid_of(token):
    return json.loads(base64.urlsafe_b64decode(token.split('.')[0] + '=='))['kid']


async def test_s3_16_s0_37_keys_are_rotated_by_kid_without_a_restart(start_daemon):
    daemon = start_daemon(settings=CHEAP)
    async with People(daemon) as http:
        made = await http.new_person()
        name = made['user']['username']
        cookie = (await http.page_login(name)).value
        socket = await signed_in_socket(daemon, made['token'])
        daemon.switch(**{'auth.secret_key': 'the-second-secret-of-this-test-which-is-long',
                         'auth.previous_keys': SECRET})

        async def new_key():
            _, body, _ = await http.login(name)
            return kid_of(body['token']) != kid_of(made['token'])

        for _ in range(5):  # on every worker
            await eventually(new_key, 'tokens are made with the new key')
        assert (await http.me(made['token']))[0] == 200
        assert (await http.by_cookie('GET', '/api/v1/users/me', cookie))[0] == 200
        assert socket.is_open
        _, fresh, _ = await http.login(name)
        daemon.reload(**{'auth.previous_keys': ''})
        await eventually(lambda: is_refused(http, made['token']), 'tokens of the old key are refused')
        assert (await http.me(fresh['token']))[0] == 200
        assert (await http.by_cookie('GET', '/api/chat/rooms', cookie))[0] == 200
        assert (await socket.closed())[0] == 4401


def sealed_with(daemon, *options):
    """What roomctl says of the keys that secrets are sealed with, before the rotation is finished and after it."""
    done = subprocess.run([CTL, '-c', daemon.conf, *options, '--json', 'keys'], env=clean_environment(),
                          capture_output=True, text=True, check=False, timeout=PATIENCE)
    answer = json.loads(done.stdout)
    assert all(re.fullmatch('[0-9a-f]{8}', one['key']) and one['secrets'] == 1 for one in answer['keys'])
    states = [one['state'] for one in answer['keys']]
    assert answer['ok'] == ('unknown' not in states) and done.returncode == ('unknown' in states)
    return states


async def test_s2_03_a_second_factor_outlives_the_key_that_sealed_it(start_daemon):
    """Sealed anew at a login. Seen red without reseal() of credentials_proof.c."""
    daemon = start_daemon(settings=CHEAP, workers=1)
    async with People(daemon) as http:
        made, secret, _ = await with_factor(http)
        name = made['user']['username']
        assert sealed_with(daemon) == ['current']
        for settings in ({'auth.secret_key': 'the-second-secret-of-this-test-which-is-long',
                          'auth.previous_keys': SECRET}, {'auth.previous_keys': ''}):
            before = daemon.log_length()
            daemon.reload(**settings)
            await asyncio.to_thread(daemon.wait_log, 'settings switched', before)
            assert sealed_with(daemon) == ['previous' if settings['auth.previous_keys'] else 'current']
            step = 0 if settings['auth.previous_keys'] else 1  # a code counts once
            status, body, _ = await http.login(name, totp=totp(secret, step=step))
            assert status == 200, body
    assert sealed_with(daemon, '-o', f'auth.secret_key={SECRET}') == ['unknown']


async def test_s0_26_of_several_cookies_the_first_that_opens_counts(daemon):
    """Of another path or of a domain above, in one field or in two. Seen red with the first alone looked at."""
    async with People(daemon) as http:
        name = (await http.new_person())['user']['username']
        good = (await http.page_login(name)).value
        other = (await http.page_login((await http.new_person())['user']['username'])).value
        for texts in (('junk', good), (good, 'junk'), (good[:-1] + ('A' if good[-1] != 'A' else 'B'), good),
                      (good, other), ('', good), (*['x'] * 7, good)):
            cookies = '; '.join(f'session={text}' for text in texts)
            status, body, _ = await http.ask('GET', '/api/v1/users/me', headers={'Cookie': cookies})
            assert (status, body.get('username')) == (200, name), texts
        async with await Link.open(daemon) as link:
            await link.request('GET', '/api/v1/users/me', ['Cookie: session=junk', f'Cookie: a=b; session={good}'])
            assert (await link.answer()).status == 200
        cookies = '; '.join(['session=x'] * 8 + [f'session={good}'])  # nobody tries keys in one request
        assert (await http.ask('GET', '/api/v1/users/me', headers={'Cookie': cookies}))[0] == 401


async def is_refused(http, token):
    return all([(await http.me(token))[0] == 401 for _ in range(6)])


@pytest.fixture
def nodes():
    """Two nodes over one server that can be paused, with one secret."""
    server, running = Server(), []
    try:
        server.begin()
        for i in range(2):
            # who waits for the database waits longer than a test
            one = Daemon(server.url(DATABASE), name=f'test_sessions.node{i}', settings={**CHEAP, 'persist.wait_max': '600s'})
            running.append(one)
            one.start()
        yield server, *running
    finally:
        for one in running:
            one.close()
        server.remove()


async def test_s2_12_a_token_is_checked_without_the_database(nodes):
    """The second node has never seen the account when PostgreSQL is paused."""
    server, first, second = nodes
    async with People(first) as http, People(second) as other:
        made = await http.new_person()
        with frozen(server):
            # what accounts alone may ask: there is nothing at this address, but 401 comes first
            assert (await other.ask('GET', '/api/chat/search', headers=bearer(made['token'])))[0] == 404
            assert (await other.ask('GET', '/api/chat/search'))[0] == 401
            assert (await other.ask('GET', '/api/v1/presence', headers=bearer(made['token'])))[0] == 200
            assert (await other.ask('GET', '/api/v1/presence', headers=bearer('x')))[0] == 401
            socket = await NativeSocket.open(second, '/ws', subprotocols=['roomd.v1'])
            welcome = await socket.ask('hello', token=made['token'])
            assert welcome['op'] == 'welcome'
            assert welcome['user'] == {'id': made['user']['id'], 'name': made['user']['username'], 'kind': 'account'}
            await socket.close()


async def test_s2_12_a_room_socket_knows_who_it_is_without_the_database(nodes):
    """Where the worker knows the room. Of one that it has never seen only the database can say whether there
    is such a room: who comes is told to come again once the database is known to be away, and a bad token is
    told at once. Seen red when whoever came waited for the database, which is away for good here."""
    server, first, second = nodes
    async with People(first) as http:
        made = await http.new_person()
        known, unknown = (await http.new_room())['id'], (await http.new_room())['id']
        async with await RoomSocket.enter(second, known, 'Alice') as alice:
            with frozen(server):
                async with await Socket.open(second, f'/ws/chat/{known}', alice.worker) as socket:
                    await socket.send({'username': 'anybody', 'token': made['token']})
                    assert (await socket.expect(type='connected'))['username'] == made['user']['username']
                    await alice.expect(type='system', username=made['user']['username'])
                for room in (known, unknown):
                    socket = await Socket.open(second, f'/ws/chat/{room}')
                    await socket.send({'username': 'anybody', 'token': 'x'})
                    assert (await socket.closed())[0] == 4401

                async def is_told():
                    socket = await Socket.open(second, f'/ws/chat/{unknown}')
                    await socket.send({'username': 'anybody', 'token': made['token']})
                    try:
                        error = await socket.expect(type='error', timeout=SECOND)
                        assert error['code'] == 'unavailable' and error['retry_after'] > 0
                        return (await socket.closed())[0] == 1013
                    except AssertionError:
                        return False
                    finally:
                        await socket.drop()
                await eventually(is_told, 'an answer')


async def test_a_token_may_come_in_the_address_of_a_socket_or_a_stream_only(daemon):
    async with People(daemon) as http:
        made = await http.new_person()
        room = (await http.new_room())['id']
        assert (await http.ask('GET', f'/api/v1/users/me?token={made["token"]}'))[0] == 401
        async with await Socket.open(daemon, f'/ws/chat/{room}?token={made["token"]}') as socket:
            await socket.send({'username': 'anybody'})
            assert (await socket.expect(type='connected'))['username'] == made['user']['username']
        async with http.session.get(f'{daemon.http}/api/v1/events?c={room}&token={made["token"]}') as answer:
            assert answer.status == 200
        assert (await http.ask('GET', f'/api/v1/events?c={room}&token=x'))[0] == 401
        socket = await Socket.open(daemon, '/ws?token=x', subprotocols=['roomd.v1'])
        await socket.send({'op': 'hello', 'id': 1})
        assert (await socket.closed())[0] == 4401


@pytest.mark.parametrize('method, path', [
    ('POST', 'send'), ('GET', 'conversations'), ('GET', 'conversations/1/messages'), ('PUT', 'conversations/1/read'),
    ('GET', 'unread-count'), ('DELETE', 'messages/1'), ('POST', 'messages/1/recover'), ('GET', 'search?q=a')])
async def test_s4_02_the_chat_of_accounts_is_401_without_a_token(daemon, method, path):
    """S4-03: the error has a stable code. Seen red when it was {"detail":…} alone."""
    async with People(daemon) as http:
        status, body, headers = await http.ask(method, f'/api/chat/{path}')
        assert status == 401 and 'detail' in body and body['code'] == 'unauthorized'
        assert body['request_id'] == headers['X-Request-Id']
        assert headers['WWW-Authenticate'] == 'Bearer'
        made = await http.new_person()
        assert (await http.ask(method, f'/api/chat/{path}', headers=bearer(made['token'])))[0] != 401


# ---- Refresh -----------------------------------------------------------------------------------------

async def test_s2_03_a_refresh_token_goes_on_with_the_session(daemon):
    async with People(daemon) as http:
        made = await http.new_person()
        status, body, headers = await http.refresh(made['refresh_token'])
        assert status == 200, body
        assert body['user'] == made['user'] and body['refresh_token'] != made['refresh_token']
        assert claims_of(body['token'])['sid'] == claims_of(made['token'])['sid']
        assert headers['Cache-Control'] == 'no-store'
        assert (await http.me(body['token']))[0] == 200


async def test_s2_03_a_used_refresh_token_ends_the_session(daemon):
    """As it comes, without a grace. Seen red with the grace of ten seconds that there was."""
    async with People(daemon) as http:
        made = await http.new_person()
        _, second, _ = await http.refresh(made['refresh_token'])
        socket = await NativeSocket.open(daemon, '/ws', subprotocols=['roomd.v1'])
        await socket.ask('hello', token=second['token'])
        status, body, _ = await http.refresh(made['refresh_token'])
        assert (status, body['code']) == (401, 'unauthorized')
        assert (await socket.closed(SECOND))[0] == 4401
        assert (await http.me(second['token']))[0] == 401
        assert (await http.refresh(second['refresh_token']))[0] == 401, 'the whole family'


async def test_a_lost_answer_to_a_refresh_may_be_asked_for_again(start_daemon):
    daemon = start_daemon(settings={**CHEAP, 'auth.refresh_grace': '10s'})
    async with People(daemon) as http:
        made = await http.new_person()
        _, first, _ = await http.refresh(made['refresh_token'])
        status, again, _ = await http.refresh(made['refresh_token'])
        assert status == 200 and again['refresh_token'] == first['refresh_token']


@pytest.mark.parametrize('token, status', [('x', 401), ('A' * 86, 401), (5, 422), (None, 422)])
async def test_refresh_tokens_that_are_refused(daemon, token, status):
    async with People(daemon) as http:
        assert (await http.refresh(token))[0] == status


async def test_s3_24_a_session_unused_for_seven_days_is_refused(daemon, postgres, database, rows):
    async with People(daemon) as http:
        made = await http.new_person()
        session = claims_of(made['token'])['sid']
        left = rows('SELECT extract(epoch FROM expires_at - last_seen_at)::int FROM sessions WHERE id = %s', session)
        assert left == [(7 * 86400,)]
        with postgres.connect(database) as connection:
            connection.execute("UPDATE sessions SET last_seen_at = now() - interval '7 days', "
                               "expires_at = now() WHERE id = %s", (session,))
        assert (await http.refresh(made['refresh_token']))[0] == 401


async def test_s3_24_sessions_are_listed_with_socket_user_and_time(daemon):
    async with People(daemon) as http:
        made = await http.new_person()
        _, second, _ = await http.login(made['user']['username'], device='my laptop')
        socket = await NativeSocket.open(daemon, '/ws', subprotocols=['roomd.v1'])
        await socket.ask('hello', token=second['token'])

        async def listed():
            status, body, _ = await http.ask('GET', '/api/v1/sessions', headers=bearer(made['token']))
            assert status == 200, body
            return {one['id']: one for one in body['sessions']}

        mine, other = claims_of(made['token'])['sid'], claims_of(second['token'])['sid']

        async def with_socket():
            sessions = await listed()
            return sessions[other]['socketId'] and sessions

        sessions = await eventually(with_socket, 'the socket is noted')
        assert set(sessions) == {mine, other}
        assert sessions[other]['userId'] == made['user']['id']
        assert re.fullmatch(r'\d{4}-\d\d-\d\dT.*Z', sessions[other]['connectedAt'])
        assert uuid.UUID(sessions[other]['socketId'])
        assert sessions[other]['device'] == 'my laptop' and sessions[other]['address'] == '127.0.0.1'
        assert sessions[mine]['is_current'] and not sessions[other]['is_current']
        await socket.close()


# ---- Ending ------------------------------------------------------------------------------------------

async def signed_in_socket(daemon, token):
    socket = await NativeSocket.open(daemon, '/ws', subprotocols=['roomd.v1'])
    welcome = await socket.ask('hello', token=token)
    assert welcome['op'] == 'welcome', welcome
    return socket


async def test_a_session_is_ended_by_its_owner_and_its_sockets_close(daemon):
    async with People(daemon) as http:
        made, stranger = await http.new_person(), await http.new_person()
        _, second, _ = await http.login(made['user']['username'])
        socket = await signed_in_socket(daemon, second['token'])
        path = f'/api/v1/sessions/{claims_of(second["token"])["sid"]}'
        assert (await http.ask('DELETE', path, headers=bearer(stranger['token'])))[0] == 404
        assert (await http.ask('DELETE', path, headers=bearer(made['token'])))[0] == 204
        assert (await socket.closed(SECOND))[0] == 4401
        assert (await http.me(second['token']))[0] == 401
        assert (await http.me(made['token']))[0] == 200
        assert (await http.ask('DELETE', path, headers=bearer(made['token'])))[0] == 404


async def test_all_other_sessions_are_ended_at_once(daemon):
    async with People(daemon) as http:
        made = await http.new_person()
        others = [(await http.login(made['user']['username']))[1] for _ in range(3)]
        sockets = [await signed_in_socket(daemon, one['token']) for one in others]
        assert (await http.ask('DELETE', '/api/v1/sessions', headers=bearer(made['token'])))[0] == 204
        for socket in sockets:
            assert (await socket.closed(SECOND))[0] == 4401
        assert (await http.me(made['token']))[0] == 200


@pytest.mark.parametrize('by', ['token', 'refresh token', 'all'])
async def test_s2_03_logout_ends_the_session(daemon, by):
    async with People(daemon) as http:
        made = await http.new_person()
        _, second, _ = await http.login(made['user']['username'])
        socket = await signed_in_socket(daemon, second['token'])
        body = {'token': None, 'refresh token': {'refresh_token': second['refresh_token']}, 'all': {'all': True}}[by]
        headers = None if by == 'refresh token' else bearer(second['token'])
        status, answer, _ = await http.ask('POST', '/api/v1/auth/logout', body, headers=headers)
        assert status == 204, answer
        assert (await socket.closed(SECOND))[0] == 4401
        assert (await http.refresh(second['refresh_token']))[0] == 401
        assert (await http.me(made['token']))[0] == (401 if by == 'all' else 200)
        assert (await http.ask('POST', '/api/v1/auth/logout'))[0] == 401


async def test_s0_49_a_socket_closes_when_its_credentials_expire(start_daemon):
    """Seen red without the look each second: the sockets stayed."""
    slow = 3 if HAS_SANITIZERS else 1  # until then all must have been opened
    daemon = start_daemon(settings={**CHEAP, 'auth.access_ttl': f'{2 * slow}s', 'auth.session_ttl': f'{3 * slow}s'})
    async with People(daemon) as http:
        made = await http.new_person()
        room = (await http.new_room())['id']
        cookie = await http.page_login(made['user']['username'])
        ends = claims_of(made['token'])['exp']
        native = await signed_in_socket(daemon, made['token'])
        raw = await Socket.open(daemon, f'/ws/chat/{room}', extra_headers={'Cookie': f'session={cookie.value}'})
        await raw.send({'username': 'anybody'})
        assert (await raw.expect(type='connected'))['username'] == made['user']['username']
        assert (await native.closed())[0] == 4401
        assert ends <= time.time() + 0.01 and time.time() < ends + 5
        assert native.frames[-1]['code'] == 'unauthorized'
        assert (await raw.closed())[0] == 4401
        assert raw.frames[-1] == {**raw.frames[-1], 'type': 'error', 'code': 'unauthorized'}
        assert time.time() < ends + slow + 5
        assert (await http.by_cookie('GET', '/api/v1/users/me', cookie.value))[0] == 401


# ---- Cookies -----------------------------------------------------------------------------------------

async def test_s0_37_s0_39_a_page_gets_a_sealed_cookie_and_no_token(daemon):
    async with People(daemon) as http:
        name = unique_login()
        await http.register(name)
        status, body, headers = await http.ask('POST', '/api/v1/auth/login', {'username': name, 'password': PASSWORD},
                                               headers={'Sec-Fetch-Site': 'same-origin'})
        assert status == 200 and set(body) == {'user', 'session_expires_at'}
        cookie = cookie_of(headers)
        assert cookie['httponly'] and cookie['samesite'] == 'Lax' and cookie['path'] == '/'
        assert 0 < int(cookie['max-age']) <= 7 * 86400
        plain = cookie.value.encode() + base64.urlsafe_b64decode(cookie.value.split('.')[-1] + '==')
        user = body['user']
        for secret in (name.encode(), user['uid'].encode(), uuid.UUID(user['uid']).bytes,
                       struct.pack('>q', user['id']), struct.pack('<q', user['id'])):
            assert secret not in plain
        status, me, _ = await http.by_cookie('GET', '/api/v1/users/me', cookie.value)
        assert (status, me) == (200, body['user'])


async def test_s0_39_the_cookie_is_secure_under_tls(start_daemon):
    daemon = start_daemon(settings={**CHEAP, 'server.mode': 'production', 'http.trusted_proxies': '127.0.0.1'})
    async with People(daemon) as http:
        name = (await http.new_person())['user']['username']
        body = {'username': name, 'password': PASSWORD, 'cookie': True}
        _, _, headers = await http.ask('POST', '/api/v1/auth/login', body,
                                       headers={'X-Forwarded-Proto': 'https', 'X-Forwarded-For': '192.0.2.7'})
        assert cookie_of(headers)['secure'] and cookie_of(headers)['httponly']
        status, answer, headers = await http.ask('POST', '/api/v1/auth/login', body,
                                                 headers={'X-Forwarded-Proto': 'http', 'X-Forwarded-For': '192.0.2.7'})
        assert (status, answer['code']) == (403, 'forbidden') and cookie_of(headers) is None


async def test_s0_26_a_cookie_with_one_bit_changed_is_nobodys(daemon):
    async with People(daemon) as http:
        cookie = (await http.page_login((await http.new_person())['user']['username'])).value
        kid, _, sealed = cookie.partition('.')
        data = bytearray(base64.urlsafe_b64decode(sealed + '=' * (-len(sealed) % 4)))
        for at in (0, 11, 12, len(data) // 2, len(data) - 1):
            changed = bytearray(data)
            changed[at] ^= 1
            bad = f'{kid}.{b64(bytes(changed))}'
            assert (await http.by_cookie('GET', '/api/v1/users/me', bad))[0] == 401
            assert (await http.by_cookie('GET', '/api/chat/rooms', bad))[0] == 200, 'anonymous, not refused'
        assert (await http.by_cookie('GET', '/api/v1/users/me', cookie))[0] == 200


async def test_an_accounts_cookie_that_has_expired_is_not_a_guests(start_daemon):
    """Seen red when it was no cookie at all; a guest's is, and is taken away."""
    daemon = start_daemon(settings={**CHEAP, 'auth.session_ttl': '2s'})
    async with People(daemon) as http:
        room = (await http.new_room())['id']
        name = (await http.new_person())['user']['username']
        _, _, headers = await http.ask('POST', '/api/v1/auth/guest', {'name': unique_login('guest')})
        guest = cookie_of(headers).value  # the older of the two: it has expired when the other has
        cookie = (await http.page_login(name)).value

        async def refused():
            return (await http.by_cookie('GET', '/api/chat/rooms', cookie))[0] == 401

        await eventually(refused, 'the cookie has expired')
        status, body, headers = await http.by_cookie('GET', '/api/v1/conversations', cookie)
        assert (status, body['code']) == (401, 'unauthorized') and cookie_of(headers).value == ''
        socket = await Socket.open(daemon, f'/ws/chat/{room}', extra_headers={'Cookie': f'session={cookie}'})
        await socket.send({'username': 'Anybody'})
        assert (await socket.closed())[0] == 4401 and socket.frames[-1]['code'] == 'unauthorized'
        status, _, headers = await http.by_cookie('GET', '/api/chat/rooms', guest)
        assert status == 200 and cookie_of(headers).value == ''


async def test_a_cookie_is_vouched_for_by_its_session_and_sealed_anew(start_daemon, postgres):
    """With access_ttl at its least every request of a second later asks the database. Seen red when no
    cookie ever counted as old."""
    daemon = start_daemon(settings={**CHEAP, 'auth.access_ttl': '1s'})
    async with People(daemon) as http:
        made = await http.new_person()
        cookie = (await http.page_login(made['user']['username'])).value

        async def renewed():
            status, _, headers = await http.by_cookie('GET', '/api/v1/users/me', cookie)
            assert status == 200
            return cookie_of(headers)

        new = await eventually(renewed, 'the cookie is sealed anew')
        assert new.value != cookie and new['httponly']
        with postgres.connect(daemon.database) as connection:
            connection.execute('UPDATE sessions SET revoked_at = now() WHERE user_id = %s', (made['user']['id'],))

        async def refused():
            status, _, headers = await http.by_cookie('GET', '/api/v1/users/me', new.value)
            return status == 401 and cookie_of(headers)

        gone = await eventually(refused, 'the cookie is refused and taken away')
        assert gone.value == '' and gone['max-age'] == '0'


async def test_a_cookie_that_nobody_can_vouch_for_is_no_bad_one(start_daemon):
    """Seen red: such requests drew from limits.anonymous, and the login was refused with 429."""
    server, one = Server(), None
    try:
        server.begin()
        one = Daemon(server.url(DATABASE), name='test_sessions.vouched', settings={
            **CHEAP, 'auth.access_ttl': '1s', 'limits.anonymous': '3/h'})
        one.start()
        async with People(one) as http:
            name = (await http.new_person())['user']['username']
            cookie = (await http.page_login(name)).value

            async def renewed():
                return cookie_of((await http.by_cookie('GET', '/api/v1/users/me', cookie))[2])

            await eventually(renewed, 'the cookie is an old one')
            with frozen(server):
                asked = await asyncio.gather(*(http.by_cookie('GET', '/api/v1/users/me', cookie) for _ in range(6)))
            assert [status for status, _, _ in asked] == [503] * 6
            assert (await http.login(name))[0] == 200
    finally:
        if one:
            one.close()
        server.remove()


async def test_signing_out_takes_the_cookie_away(daemon):
    async with People(daemon) as http:
        cookie = (await http.page_login((await http.new_person())['user']['username'])).value
        status, _, headers = await http.by_cookie('POST', '/api/v1/auth/logout', cookie)
        assert status == 204 and cookie_of(headers).value == ''
        status, body, _ = await http.by_cookie('GET', '/api/v1/users/me', cookie)
        assert (status, body['code']) == (401, 'unauthorized')
        status, _, _ = await http.by_cookie('GET', '/api/chat/rooms', cookie)
        assert status == 401, 'never silently a guest'


async def test_s1_44_a_cookie_acts_for_pages_of_this_origin_only(daemon):
    """Seen red without the look at where a request with a cookie comes from."""
    async with People(daemon) as http:
        cookie = (await http.page_login((await http.new_person())['user']['username'])).value
        room = (await http.new_room())['id']
        for foreign in ({'Sec-Fetch-Site': 'cross-site'}, {'Origin': 'https://evil.example'}):
            status, body, _ = await http.ask('PATCH', '/api/v1/users/me', {'full_name': 'x'},
                                             headers={'Cookie': f'session={cookie}', **foreign})
            assert (status, body['code']) == (403, 'bad_origin')
            status, _, _ = await http.ask('POST', '/api/v1/auth/logout', headers={'Cookie': f'session={cookie}', **foreign})
            assert status == 403
        assert (await http.by_cookie('PATCH', '/api/v1/users/me', cookie, {'full_name': 'x'}))[0] == 200


# ---- Event streams -----------------------------------------------------------------------------------

async def next_event(stream, kind):
    """The data of the next event of this type."""
    found = None
    async for line in stream.content:
        text = line.decode().rstrip('\n')
        if text.startswith('event: '):
            found = text[7:]
        elif text.startswith('data: ') and found == kind:
            return json.loads(text[6:])
    return None


async def test_a_stream_opened_with_a_token_follows_and_ends_with_its_session(daemon):
    async with People(daemon) as http:
        made = await http.new_person()
        _, second, _ = await http.login(made['user']['username'])
        room = (await http.new_room())['id']
        async with http.session.get(f'{daemon.http}/api/v1/events?c={room}',
                                    headers=bearer(second['token'])) as stream:
            assert stream.status == 200
            assert (await next_event(stream, 'live'))['c'] == room
            status, sent, _ = await http.ask('POST', f'/api/v1/conversations/{room}/messages', {'content': 'hi'},
                                             headers=bearer(made['token']))
            assert status == 201 and sent['sender']['id'] == made['user']['id']
            assert (await next_event(stream, 'message.new'))['d']['id'] == sent['id']
            begin = time.monotonic()
            assert (await http.ask('DELETE', '/api/v1/sessions', headers=bearer(made['token'])))[0] == 204
            assert (await next_event(stream, 'err'))['code'] == 'unauthorized'
            assert await next_event(stream, 'nothing more') is None
            assert time.monotonic() - begin < SECOND


async def test_the_name_in_a_body_is_not_an_accounts_to_choose(daemon):
    async with People(daemon) as http:
        made = await http.new_person()
        room = (await http.new_room())['id']
        status, sent, _ = await http.ask('POST', f'/api/v1/conversations/{room}/messages',
                                         {'name': 'Somebody Else', 'content': 'hi'}, headers=bearer(made['token']))
        assert status == 201 and sent['sender'] == {'id': made['user']['id'], 'name': made['user']['username']}
