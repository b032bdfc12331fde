# SPDX-License-Identifier: MIT
"""How often clients may do what: by address, user and conversation over all workers, and by socket.

The numbers are those of the protocol: 100 unauthenticated requests in 15 minutes and address, 20 frames
a second and 40 at once on a room socket, 10 messages a second and user.
"""
import asyncio
import json
import math
import time

import aiohttp
import pytest
import websockets

from roomd_clients import Http, NativeSocket, RoomSocket, eventually
from roomd_harness import LIMITS, PATIENCE, unique
from roomd_people import PASSWORD, People

BAD = {'Authorization': 'Bearer not-a-token'}
ANONYMOUS = {'limits.anonymous': '100/15m'}
REFILL_S = 9  # 15 min / 100


async def ask(daemon, path='/api/v1/conversations', headers=None, method='GET', body=None):
    """One request on a connection of its own: the kernel chooses the worker."""
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:
        async with session.request(method, daemon.http + path, headers=headers, json=body) as answer:
            return answer.status, await answer.read(), answer.headers


async def ask_many(daemon, n, **more):
    """N requests, up to 20 at a time."""
    gate = asyncio.Semaphore(20)

    async def one():
        async with gate:
            return await ask(daemon, **more)
    return await asyncio.gather(*(one() for _ in range(n)))


def statuses(answers):
    counts = {}
    for status, _, _ in answers:
        counts[status] = counts.get(status, 0) + 1
    return counts


def is_refilled_by(since):
    """How many tokens may have come back meanwhile."""
    return math.ceil((time.monotonic() - since) / REFILL_S)


# ---------------------------------------------------------------- by address


async def test_the_101st_unauthenticated_request_is_refused_whatever_worker_gets_it(start_daemon):
    """Seen red with a bucket per worker instead of one per node: 300 passed."""
    daemon = start_daemon(workers=3, settings=ANONYMOUS)
    since = time.monotonic()
    answers = await ask_many(daemon, 300, headers=BAD)
    counts = statuses(answers)
    assert len({headers['X-Roomd-Worker'] for _, _, headers in answers}) == 3
    assert 100 <= counts[401] <= 100 + is_refilled_by(since), counts
    assert counts[429] == 300 - counts[401]
    refused = [(json.loads(body), headers) for status, body, headers in answers if status == 429]
    for problem, headers in refused:
        assert problem['code'] == 'rate_limited' and problem['status'] == 429
        assert headers['Content-Type'] == 'application/problem+json'
        assert 0 < problem['retry_after'] <= REFILL_S
        assert int(headers['Retry-After']) == math.ceil(problem['retry_after'])
        assert headers['RateLimit-Remaining'] == '0'


async def test_answers_tell_the_limit(start_daemon):
    daemon = start_daemon(workers=2, settings=ANONYMOUS)
    for left in (99, 98, 97):
        status, _, headers = await ask(daemon, headers=BAD)
        assert status == 401
        assert headers['RateLimit-Limit'] == '100'
        assert headers['RateLimit-Policy'] == '100;w=900'
        assert headers['RateLimit-Remaining'] == str(left)
        # one token comes back in nine seconds
        assert (99 - left) * REFILL_S < int(headers['RateLimit-Reset']) <= (100 - left) * REFILL_S


async def test_guests_and_the_page_are_not_held_to_the_limit_of_the_unauthenticated(start_daemon):
    daemon = start_daemon(settings={**ANONYMOUS, 'limits.guests': '6000/m'})
    assert statuses(await ask_many(daemon, 120, headers=BAD))[429] >= 19
    answers = await ask_many(daemon, 120, path='/api/chat/rooms')
    assert statuses(answers) == {200: 120}
    assert {headers['RateLimit-Limit'] for _, _, headers in answers} == {'6000'}
    answers = await ask_many(daemon, 20, path='/')
    assert statuses(answers) == {200: 20}
    assert all('RateLimit-Limit' not in headers for _, _, headers in answers)


async def test_guests_have_a_limit_of_their_own(start_daemon):
    daemon = start_daemon(settings={'limits.guests': '60/h'})
    counts = statuses(await ask_many(daemon, 100, path='/api/chat/rooms'))
    assert counts[200] <= 60 and counts[429] >= 40
    status, body, headers = await ask(daemon, '/api/chat/rooms')
    assert status == 429 and set(json.loads(body)) == {'detail'} and int(headers['Retry-After']) > 0


async def test_without_guests_their_routes_need_an_account_and_count(start_daemon):
    daemon = start_daemon(settings={'limits.anonymous': '10/15m'})
    daemon.switch(**{'chat.guests': 'off'})
    assert (await ask(daemon))[0] == 401
    counts = statuses(await ask_many(daemon, 30))
    assert counts[429] >= 20 and set(counts) <= {401, 429}


async def test_scope_all_counts_every_request_to_the_interface(start_daemon):
    daemon = start_daemon(settings={'limits.anonymous': '100/15m', 'limits.scope': 'all'})
    counts = statuses(await ask_many(daemon, 150, path='/api/chat/rooms'))
    assert counts[429] >= 49  # the harness itself asked a few times
    assert (await ask(daemon, '/'))[0] == 200


async def test_a_killed_worker_takes_no_count_with_it(start_daemon):
    """Seen red with the table cleared when a slot is opened: 100 more passed."""
    daemon = start_daemon(workers=2, settings=ANONYMOUS)
    since = time.monotonic()
    assert statuses(await ask_many(daemon, 60, headers=BAD)) == {401: 60}
    for slot in (0, 1):
        daemon.wait_replaced(slot, daemon.kill_worker(slot))
    daemon.wait_ready()
    counts = statuses(await ask_many(daemon, 100, headers=BAD))
    assert 40 <= counts[401] <= 40 + is_refilled_by(since), counts


async def test_a_limit_changes_without_a_restart(start_daemon):
    daemon = start_daemon(settings={'limits.guests': '5/h'})
    assert statuses(await ask_many(daemon, 20, path='/api/chat/rooms'))[429] >= 15
    daemon.reload(**{'limits.guests': '1000/h'})

    async def is_open():
        return (await ask(daemon, '/api/chat/rooms'))[0] == 200
    await eventually(is_open, 'the larger limit is in force')


async def test_refusals_are_logged_with_the_client_and_counted(start_daemon):
    daemon = start_daemon(workers=1, settings={'limits.anonymous': '3/h'})
    _, body, headers = (await ask_many(daemon, 10, headers=BAD))[-1]
    line = daemon.wait_log('a limit was reached')
    assert line['limit'] == 'anonymous' and line['client'] == '127.0.0.1'
    request = json.loads(body)['request_id']
    assert headers['X-Request-Id'] == request
    line = daemon.wait_log(request)
    assert line['client'] == '127.0.0.1' and line['route'] == '/api/v1/conversations'
    assert line['method'] == 'GET' and line['status'] in (401, 429)


# ---------------------------------------------------------------- accounts

# cheap hashes: nothing here depends on their cost
CHEAP = {'auth.hash_memory': '64k', 'auth.hash_passes': 1}


async def test_whoever_signs_in_did_not_ask_unauthenticated(start_daemon):
    """Seen red without giving back: the fourth login was refused."""
    daemon = start_daemon(workers=2, settings={**CHEAP, 'limits.anonymous': '3/h'})
    async with People(daemon) as http:
        made = await http.new_person()
        name = made['user']['username']
        for _ in range(6):
            status, body, _ = await http.login(name)
            assert status == 200, body
            status, body, _ = await http.refresh(body['refresh_token'])
            assert status == 200, body
        assert [(await http.login(name, 'wrong password'))[0] for _ in range(4)] == [401] * 3 + [429]
        # the limit is the address's: whoever signs in must wait as well, whoever has signed in need not
        assert (await http.login(name))[0] == 429
        assert [(await http.me(made['token']))[0] for _ in range(6)] == [200] * 6
        assert (await http.ask('GET', '/api/chat/rooms'))[0] == 200


async def test_failed_logins_count_by_address_and_by_account(start_daemon):
    """Seen red when the answer told the time of another limit: to come again in a second."""
    daemon = start_daemon(workers=2, settings={**CHEAP, 'limits.logins_address': '8/h', 'limits.logins_account': '3/h'})
    async with People(daemon) as http:
        names = [(await http.new_person())['user']['username'] for _ in range(3)]
        assert [(await http.login(names[0]))[0] for _ in range(10)] == [200] * 10
        tried = [await http.login(names[0].swapcase() if i % 2 else names[0], 'wrong password') for i in range(4)]
        assert [status for status, _, _ in tried] == [401] * 3 + [429]
        _, problem, headers = tried[3]
        assert 1100 < problem['retry_after'] <= 1200, 'a third of an hour, less what this took'
        assert int(headers['Retry-After']) == math.ceil(problem['retry_after'])
        assert [(await http.login(names[1], 'wrong password'))[0] for _ in range(3)] == [401] * 3
        # one account is no other, but from here no more than eight may fail
        tried = [(await http.login(names[2], 'wrong password'))[0] for _ in range(3)]
        assert tried[0] == 401 and tried[2] == 429
        assert (await http.login(names[2]))[0] == 429


def limit_of(headers):
    """What an answer tells of a limit: (burst, left, whole seconds until the next one)."""
    return int(headers['RateLimit-Limit']), int(headers['RateLimit-Remaining']), int(headers['Retry-After'])


async def test_a_refusal_tells_of_the_limit_that_refused(start_daemon):
    """Seen red when the fields were those of the request's own limit: 1000 of 6000 left beside a 429."""
    limits = {'limits.logins_address': '7/h', 'limits.logins_account': '3/h', 'limits.registrations': '2/h',
              'limits.guest_names': '4/h', 'limits.mails': '5/h',
              'limits.guests': '6000/m', 'limits.users': '8/h', 'limits.anonymous': '100/15m'}
    daemon = start_daemon(workers=2, settings={**CHEAP, **limits, 'mail.command': '/bin/true'})

    async def refused(http, *request, times):
        """Asked so often until it is enough: what the refusal tells."""
        for _ in range(times):
            status, body, headers = await http.ask(*request)
            assert status not in (429, 500), body
        status, body, headers = await http.ask(*request)
        assert status == 429 and math.ceil(body['retry_after']) == int(headers['Retry-After'])
        burst, left, wait = limit_of(headers)
        assert left == 0 and int(headers['RateLimit-Reset']) >= wait
        # all of them come back in an hour: the next one in an hour's part of it
        assert 3600 / burst - 60 < wait <= math.ceil(3600 / burst), (burst, wait)
        return burst
    async with People(daemon) as http:
        one, _ = await http.new_person(), await http.new_person()
        form = {'username': unique('third'), 'password': 'correct horse battery'}
        assert await refused(http, 'POST', '/api/v1/auth/register', form, times=0) == 2
        wrong = {'username': one['user']['username'], 'password': 'wrong password'}
        assert await refused(http, 'POST', '/api/v1/auth/login', wrong, times=3) == 3
        mail = {'email': 'somebody@example.org'}
        assert await refused(http, 'POST', '/api/v1/auth/password/reset-request', mail, times=5) == 5
    async with Http(daemon) as http:
        for _ in range(4):
            async with aiohttp.ClientSession() as session:
                async with session.post(daemon.http + '/api/v1/auth/guest', json={'name': unique('Cookie')}) as answer:
                    assert answer.status == 201
        assert await refused(http, 'POST', '/api/v1/auth/guest', {'name': unique('Cookie')}, times=0) == 4
    async with aiohttp.ClientSession(headers={'Authorization': f'Bearer {one["token"]}'}) as session:
        for left in range(7, -2, -1):
            async with session.get(daemon.http + '/api/v1/users/me') as answer:
                assert answer.status == (200 if left >= 0 else 429)
                assert answer.headers['RateLimit-Remaining'] == str(max(left, 0))
        assert limit_of(answer.headers)[0] == 8 and 390 < limit_of(answer.headers)[2] <= 450


async def test_an_account_signs_on_and_changes_its_password_whatever_the_address_did(start_daemon):
    """S3-15, conflict 24. Seen red when routes of that kind counted as anonymous for everybody: both were 429."""
    daemon = start_daemon(workers=2, settings={**CHEAP, 'limits.anonymous': '4/h', 'limits.users': '50/h'})
    async with People(daemon) as http:
        one = await http.new_person()
        name = one['user']['username']
        assert statuses(await ask_many(daemon, 10, headers=BAD)) == {401: 4, 429: 6}
        for _ in range(6):
            status, answer, headers = await http.refresh(one['refresh_token'])
            assert status == 200, answer
            one.update(answer)
        assert 'RateLimit-Limit' not in headers  # limits.guests is off
        bearer = {'Authorization': f'Bearer {one["token"]}'}
        change = {'old_password': 'not this one', 'new_password': 'another good password'}
        status, problem, headers = await http.ask('POST', '/api/v1/auth/password/change', change, headers=bearer)
        assert (status, problem['code'], headers['RateLimit-Limit']) == (403, 'bad_password', '50')
        # without a proof all is as it was
        assert (await http.refresh('rt_nonsense'))[0] == 429
        assert (await http.login(name))[0] == 429


async def test_a_refresh_that_fails_counts_as_unauthenticated(start_daemon):
    """Seen red when only what was shown at the door counted: all 401."""
    daemon = start_daemon(settings={**CHEAP, 'limits.anonymous': '3/h'})
    async with People(daemon) as http:
        one = await http.new_person()
        stolen = one['refresh_token'][:-4] + ('aaaa' if not one['refresh_token'].endswith('aaaa') else 'bbbb')
        tried = [await http.refresh(stolen if i % 2 else 'nonsense') for i in range(5)]
        assert [status for status, _, _ in tried] == [401] * 3 + [429] * 2
        assert limit_of(tried[4][2])[:2] == (3, 0) and 1140 < limit_of(tried[4][2])[2] <= 1200


async def test_what_another_site_makes_a_browser_ask_costs_the_account_nothing(start_daemon):
    """Seen red when it was counted before its origin was looked at: 3 left instead of 4."""
    daemon = start_daemon(settings={**CHEAP, 'limits.users': '5/h', 'http.origins': 'http://good.example'})
    async with People(daemon) as http:
        one = await http.new_person()
        login = {'username': one['user']['username'], 'password': PASSWORD, 'cookie': True}
        _, _, headers = await http.ask('POST', '/api/v1/auth/login', login)
        cookie = {'Cookie': headers['Set-Cookie'].partition(';')[0]}
        for _ in range(5):
            status, problem, _ = await http.ask('DELETE', '/api/v1/sessions', headers={**cookie, 'Sec-Fetch-Site': 'cross-site'})
            assert status == 403 and problem['code'] == 'bad_origin'
        status, _, headers = await http.ask('GET', '/api/v1/users/me', headers=cookie)
        assert status == 200 and headers['RateLimit-Remaining'] == '4'


async def test_requests_of_an_account_count_for_it_wherever_it_asks(start_daemon):
    daemon = start_daemon(workers=2, settings={**CHEAP, 'limits.users': '10/h', 'limits.anonymous': '100/15m'})
    async with People(daemon) as http:
        one, other = await http.new_person(), await http.new_person()
        again = (await http.login(one['user']['username']))[1]
        tokens = [one['token'], again['token']]
        got = [await http.me(tokens[i % 2]) for i in range(12)]
        assert [status for status, _, _ in got] == [200] * 10 + [429] * 2
        assert got[0][2]['RateLimit-Limit'] == '10' and got[0][2]['RateLimit-Remaining'] == '9'
        assert (await http.me(other['token']))[0] == 200


async def test_handshakes_of_an_account_are_not_among_its_requests(start_daemon):
    """Seen red when only those of guests were not: the fourth was refused."""
    daemon = start_daemon(workers=2, settings={**CHEAP, 'limits.users': '3/h'})
    async with People(daemon) as http:
        token = (await http.new_person())['token']
        for _ in range(5):
            socket = await NativeSocket.open(daemon, '/ws', subprotocols=['roomd.v1'],
                                             extra_headers={'Authorization': f'Bearer {token}'})
            await socket.close()
        assert [(await http.me(token))[0] for _ in range(4)] == [200] * 3 + [429]


async def test_registrations_count_by_address(start_daemon):
    daemon = start_daemon(workers=2, settings={**CHEAP, 'limits.registrations': '2/h'})
    async with People(daemon) as http:
        assert [(await http.register())[0] for _ in range(3)] == [201, 201, 429]
        assert 1700 < (await http.register())[1]['retry_after'] <= 1800


async def test_a_full_memory_of_ended_sessions_lets_no_ended_session_back_in(start_daemon):
    """Seen red when the oldest entry made room and nothing else happened: 200 for a token that was ended."""
    daemon = start_daemon(workers=1, settings={**CHEAP, 'memory.revocations': 64})
    async with People(daemon) as http:
        ended, early = await http.new_person(), await http.new_person()
        form = {'username': early['user']['username'], 'password': PASSWORD, 'cookie': True}
        _, _, headers = await http.ask('POST', '/api/v1/auth/login', form)
        cookie = {'Cookie': headers['Set-Cookie'].partition(';')[0]}
        bearer = {'Authorization': f'Bearer {ended["token"]}'}
        assert (await http.ask('POST', '/api/v1/auth/logout', headers=bearer))[0] == 204
        assert [(await http.me(one['token']))[0] for one in (ended, early)] == [401, 200]
        await _next_second()
        other = await http.new_person()
        name = other['user']['username']
        sessions = [(await http.login(name))[1]['token'] for _ in range(200)]
        await _next_second()
        sessions.append((await http.login(name))[1]['token'])
        last = {'Authorization': f'Bearer {sessions[-1]}'}
        assert (await http.ask('DELETE', '/api/v1/sessions', headers=last))[0] == 204
        assert daemon.wait_log('the table of revocations is full: older tokens are refused')
        # whoever was ended stays ended, and so do those that came last
        assert (await http.me(ended['token']))[0] == 401
        assert {(await http.me(token))[0] for token in sessions[:-1]} == {401}
        # whoever was not goes on by the refresh, or by the cookie, which the database vouches for
        if (await http.me(early['token']))[0] == 401:
            status, early, _ = await http.refresh(early['refresh_token'])
            assert status == 200
        assert (await http.ask('GET', '/api/v1/users/me', headers=cookie))[0] == 200
        await _next_second()
        late = (await http.login(name))[1]
        assert (await http.me(late['token']))[0] == 200
    text = 'the table of revocations is full: older tokens are refused'
    assert sum(line.get('text') == text for line in daemon.log_lines()) == 1


async def _next_second():
    """Tokens tell whole ones: of two in the same nobody knows which was first."""
    until = int(time.time()) + 1
    await eventually(lambda: time.time() > until, 'the next second')


# ---------------------------------------------------------------- sockets


async def test_a_room_socket_may_send_forty_frames_at_once_and_twenty_a_second(start_daemon):
    """S1-42. Seen red without the check of frames: all 200 messages came back."""
    daemon = start_daemon(settings={'limits.frames': '20/s burst 40', 'limits.abuse': 'off'})
    async with Http(daemon) as http:
        room = await http.new_room()
    since = time.monotonic()
    async with await RoomSocket.enter(daemon, room['id'], 'Eager') as socket:
        keys = [f'k{i}' for i in range(200)]
        for key in keys:
            await socket.say('x', key)

        def answered(frames):
            return {f.get('client_id') for f in frames if f['type'] in ('message', 'error')} >= set(keys)
        await socket.wait(answered, 'an answer to every message')
        took = time.monotonic() - since
        errors = socket.all(type='error')
        # the first frame, with the name, is one of the forty
        assert 39 <= len(socket.messages()) <= 40 + 20 * took + 1
        assert {error['code'] for error in errors} == {'rate_limited'}
        assert all(0 < error['retry_after'] <= 1 for error in errors)
        assert socket.is_open
        refused = errors[-1]['client_id']

        async def comes_through():
            await socket.say('again', refused)
            await asyncio.sleep(errors[-1]['retry_after'])
            return any(m.get('client_id') == refused for m in socket.messages())
        await eventually(comes_through, 'the message sent again')


async def test_persistent_abuse_closes_4429(start_daemon):
    daemon = start_daemon(settings={'limits.frames': '20/s burst 40', 'limits.abuse': '100/m'})
    async with Http(daemon) as http:
        room = await http.new_room()
    socket = await RoomSocket.enter(daemon, room['id'], 'Flood')

    async def flood():
        while socket.is_open:
            await socket.send({'type': 'typing', 'is_typing': True})
            await asyncio.sleep(0)  # so that the close can be read
    try:
        await asyncio.wait_for(flood(), PATIENCE)
    except websockets.ConnectionClosed:
        pass
    code, _ = await socket.closed()
    assert code == 4429
    assert len(socket.all(type='error', code='rate_limited')) >= 100
    line = daemon.wait_log('a socket went on after its limit')
    assert line['client'] == '127.0.0.1'


async def test_pings_and_unreadable_frames_count_too(start_daemon):
    daemon = start_daemon(settings={'limits.frames': '1/s burst 10', 'limits.abuse': '20/m'})
    async with Http(daemon) as http:
        room = await http.new_room()
    for kind in ('text', 'ping', 'pong'):
        socket = await RoomSocket.enter(daemon, room['id'], unique('Junk'))
        try:
            for _ in range(100):
                if kind == 'text':
                    await socket.send('{"type":')
                elif kind == 'ping':
                    await socket.link.ping()
                else:
                    await socket.link.pong()
                await asyncio.sleep(0)
        except websockets.ConnectionClosed:
            pass
        assert (await socket.closed())[0] == 4429


async def test_native_operations_have_a_limit_and_name_the_request(start_daemon):
    daemon = start_daemon(settings={'limits.operations': '10/m burst 20', 'limits.abuse': '30/m'})
    socket = await NativeSocket.hello(daemon, 'Bot')
    # one frame may carry many requests: each of them counts
    await socket.send([{'op': 'ping', 'id': f'p{i}'} for i in range(30)])
    await socket.wait(lambda frames: sum(str(f.get('re', '')).startswith('p') for f in frames) == 30)
    pongs, errors = socket.all(op='pong'), socket.all(op='err', code='rate_limited')
    assert len(pongs) == 19 and len(errors) == 11
    assert [error['re'] for error in errors] == [f'p{i}' for i in range(19, 30)]
    assert all(0 < error['retry_after'] <= 6 for error in errors)
    assert socket.is_open
    await socket.send([{'op': 'ping', 'id': f'q{i}'} for i in range(30)])
    assert (await socket.closed())[0] == 4429


@pytest.mark.parametrize('path', ['/ws', '/ws/chat/{room}'])
async def test_first_frames_with_bad_tokens_count_as_unauthenticated(start_daemon, path):
    """C22, S1-42. Seen red without counting them: every socket was told 4401."""
    daemon = start_daemon(workers=2, settings={'limits.anonymous': '5/h'})
    async with Http(daemon) as http:
        path = path.format(room=(await http.new_room())['id'])

    async def knock(worker):
        if path == '/ws':
            socket = await NativeSocket.open(daemon, path, worker, subprotocols=['roomd.v1'])
            await socket.send({'op': 'hello', 'id': 1, 'token': 'not-a-token'})
        else:
            socket = await RoomSocket.open(daemon, path, worker)
            await socket.send({'username': 'Eve', 'token': 'not-a-token'})
        code, _ = await socket.closed()
        error = socket.frames[-1]
        return code, error['code'], error.get('retry_after', 0)
    told = [await knock(i % 2) for i in range(7)]
    assert [code for code, _, _ in told] == [4401] * 5 + [4429] * 2
    assert [code for _, code, _ in told] == ['unauthorized'] * 5 + ['rate_limited'] * 2
    assert all(660 < wait <= 720 for _, _, wait in told[5:])
    # the same budget as over HTTP, and guests are not concerned
    assert (await ask(daemon, headers=BAD))[0] == 429
    async with await NativeSocket.hello(daemon, 'Bob'):
        pass


# ---------------------------------------------------------------- messages


async def test_messages_of_a_user_count_over_all_his_sockets_and_ways(start_daemon):
    """Seen red with the key of the socket instead of the user: each got its own ten."""
    daemon = start_daemon(workers=2, settings={'limits.sends_user': '10/h'})
    async with Http(daemon) as http:
        room = await http.new_room()
        sockets = [await NativeSocket.hello(daemon, 'Ada', worker) for worker in (0, 1)]
        for socket in sockets:
            await socket.sub(room['id'])
        answers = [await sockets[i % 2].say(room['id'], f'm{i}') for i in range(8)]
        assert {answer['op'] for answer in answers} == {'ok'}
        path = f'/api/v1/conversations/{room["id"]}/messages'
        for i in range(2):
            status, _, _ = await http.ask('POST', path, {'name': 'Ada', 'content': f'r{i}'})
            assert status == 201
        status, problem, headers = await http.ask('POST', path, {'name': 'Ada', 'content': 'no'})
        assert status == 429 and problem['code'] == 'rate_limited'
        assert 0 < problem['retry_after'] <= 360 and int(headers['Retry-After']) <= 360
        for socket in sockets:
            refused = await socket.say(room['id'], 'no')
            assert refused['op'] == 'err' and refused['code'] == 'rate_limited'
            assert 0 < refused['retry_after'] <= 360
        # others are not concerned, and nothing refused was stored
        status, _, _ = await http.ask('POST', path, {'name': 'Bob', 'content': 'yes'})
        assert status == 201
        assert [m['content'] for m in await http.messages(room['id'])] == \
            [f'm{i}' for i in range(8)] + ['r0', 'r1', 'yes']
        for socket in sockets:
            await socket.close()


async def test_a_refused_message_tells_of_the_limit_that_refused(start_daemon):
    """Seen red when the fields were those of all requests: 5999 of 6000 left beside a 429."""
    daemon = start_daemon(workers=2, settings={'limits.sends_user': '6/h', 'limits.sends_conversation': '9/h',
                                               'limits.guests': '6000/m'})
    async with Http(daemon) as http:
        path = f'/api/v1/conversations/{(await http.new_room())["id"]}/messages'

        async def say(name):
            return await http.ask('POST', path, {'name': name, 'content': 'x'})
        assert [(await say('Ada'))[2]['RateLimit-Limit'] for _ in range(6)] == ['6000'] * 6
        for name, others, burst in (('Ada', 0, 6), ('Bob', 3, 9)):
            assert [(await say(name))[0] for _ in range(others)] == [201] * others
            status, problem, headers = await say(name)
            assert status == 429 and limit_of(headers)[:2] == (burst, 0)
            assert 3600 / burst - 60 < limit_of(headers)[2] == math.ceil(problem['retry_after']) <= 3600 / burst


async def test_messages_of_a_conversation_count_over_all_users(start_daemon):
    daemon = start_daemon(workers=2, settings={'limits.sends_conversation': '10/h', 'limits.sends_user': '9/h'})
    async with Http(daemon) as http:
        rooms = [await http.new_room(), await http.new_room()]

        async def say(name, room):
            path = f'/api/v1/conversations/{room["id"]}/messages'
            return (await http.ask('POST', path, {'name': name, 'content': 'x'}))[0]
        assert [await say(f'user{i}', rooms[0]) for i in range(10)] == [201] * 10
        assert await say('user0', rooms[0]) == 429
        # what the conversation refused did not cost the user anything
        assert [await say('user0', rooms[1]) for _ in range(9)] == [201] * 8 + [429]


# ---------------------------------------------------------------- settings


def test_the_defaults_are_those_of_the_protocol(run_describe):
    settings = {f'{s["section"]}.{s["name"]}': s for s in run_describe('settings')}
    assert settings['limits.anonymous']['default'] == '100/15m'
    assert settings['limits.frames']['default'] == '20/s burst 40'
    assert settings['limits.sends_user']['default'].startswith('10/s')
    # whoever may send 40 frames at once on a room socket may say so many things
    assert int(settings['limits.sends_user']['default'].partition('burst ')[2]) >= 40
    # the harness switches off what there is
    rates = {name for name, one in settings.items() if one['type'] == 'rate'}
    assert rates == set(LIMITS)


@pytest.fixture
def run_describe():
    from roomd_harness import run_roomd
    return lambda table: json.loads(run_roomd('--describe', table).stdout)


async def test_every_limit_is_told_to_everybody(daemon, run_describe):
    """Seen red when the answer named four of them by hand."""
    names = {s['name'] for s in run_describe('settings') if s['section'] == 'limits' and s['type'] == 'rate'}
    _, body, _ = await ask(daemon, '/api/v1/limits')
    assert set(json.loads(body)['rates']) == names - {'abuse'}


async def test_limits_are_told_as_they_are_set(start_daemon):
    daemon = start_daemon(settings={'limits.mails': '5/h burst 7', 'limits.guests': '6000/m'})
    rates = json.loads((await ask(daemon, '/api/v1/limits'))[1])['rates']
    assert rates['mails'] == {'count': 5, 'ms': 3600000, 'burst': 7}
    assert rates['guests'] == {'count': 6000, 'ms': 60000, 'burst': 6000}
    assert rates['users'] is None


def test_a_rate_that_cannot_be_read_is_refused():
    from roomd_harness import run_roomd
    for text in ('100', '100/', '/15m', '0/s', '1/x', '5/s burst', '5/s burst 0', '-1/s', '1/0s', 'on'):
        done = run_roomd('-t', '-o', f'limits.anonymous={text}')
        assert done.returncode == 78 and 'limits.anonymous' in done.stderr, text
