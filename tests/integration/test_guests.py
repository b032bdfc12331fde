# SPDX-License-Identifier: MIT
"""Guests: names bound to cookies, names that accounts have, and doors that are closed to guests."""
import asyncio
import base64
import uuid
import zlib

import pytest

from roomd_clients import NativeSocket, RoomSocket, Socket, eventually
from roomd_harness import unique
from roomd_people import PASSWORD, People, bearer, cookie_of, unique_login

CHEAP = {'auth.hash_memory': '64k', 'auth.hash_passes': 1, 'presence.grace_clean': '100ms',
         'presence.grace_lost': '200ms'}
DAEMON = {'settings': CHEAP}


async def room_socket(daemon, room, first, **more):
    """A room's socket after its first frame, whatever comes of it."""
    socket = await Socket.open(daemon, f'/ws/chat/{room}', **more)
    await socket.send(first)
    return socket


async def refusal(socket):
    """(code of the error frame, close code)."""
    close, _ = await socket.closed()
    return socket.frames[-1]['code'], close


# ---- The first frame ---------------------------------------------------------------------------------

async def test_s1_41_with_a_token_the_name_is_the_accounts(daemon):
    async with People(daemon) as http:
        made = await http.new_person()
        room = (await http.new_room())['id']
        bob = await RoomSocket.enter(daemon, room, 'Bob')
        alice = await room_socket(daemon, room, {'username': 'Alice', 'token': made['token']})
        name = made['user']['username']
        assert (await alice.expect(type='connected'))['username'] == name
        await bob.expect(type='system', event='join', username=name)
        await alice.send({'type': 'message', 'content': 'hi'})
        assert (await bob.expect(type='message'))['username'] == name
        assert 'Alice' not in str(bob.frames)
        await alice.close()
        await bob.close()


async def test_s1_41_a_bad_token_is_not_a_guest(daemon):
    async with People(daemon) as http:
        room = (await http.new_room())['id']
    socket = await room_socket(daemon, room, {'username': 'Alice', 'token': 'x'})
    assert await refusal(socket) == ('unauthorized', 4401)


@pytest.mark.parametrize('first', [{'username': 'Alice'}, {}, {'type': 'message', 'content': 'hi'}])
async def test_s1_22_with_guests_off_a_first_frame_without_a_token_is_4401(closed_daemon, first):
    daemon, room, _ = closed_daemon
    assert await refusal(await room_socket(daemon, room, first)) == ('unauthorized', 4401)


async def test_s1_22_with_guests_off_nobody_learns_which_rooms_there_are(closed_daemon):
    """Seen red: a room that was not there was told before the first frame."""
    daemon, room, made = closed_daemon
    for there in (room, 999999999, uuid.uuid4()):
        socket = await Socket.open(daemon, f'/ws/chat/{there}')
        await socket.send({'username': 'Alice'})
        assert (await socket.closed())[0] == 4401
        assert [frame['code'] for frame in socket.frames] == ['unauthorized']
    socket = await room_socket(daemon, 999999999, {'token': made['token']})
    assert await refusal(socket) == ('no_such_room', 4404)


async def test_s1_22_with_guests_off_a_token_still_opens(closed_daemon):
    daemon, room, made = closed_daemon
    for first in ({'username': 'x', 'token': made['token']}, {'token': made['token']}):
        socket = await room_socket(daemon, room, first)
        assert (await socket.expect(type='connected'))['username'] == made['user']['username']
        await socket.close()


@pytest.fixture
def closed_daemon(start_daemon):
    """A daemon that lets no guest in, with a room and an account; the room was made before."""
    daemon = start_daemon(settings=CHEAP)

    async def prepare():
        async with People(daemon) as http:
            return (await http.new_room())['id'], await http.new_person()

    room, made = asyncio.run(prepare())
    daemon.switch(**{'chat.guests': 'off'})
    return daemon, room, made


def test_guests_off_closes_every_door(closed_daemon):
    """Every route that guests may use, and both sockets; seen red with the check of GUEST routes taken out."""
    daemon, room, made = closed_daemon

    async def go():
        async with People(daemon) as http:
            for method, path in (('GET', '/api/chat/rooms'), ('POST', '/api/chat/rooms'),
                                 ('GET', f'/api/chat/rooms/{room}'), ('DELETE', f'/api/chat/rooms/{room}'),
                                 ('GET', f'/api/chat/rooms/{room}/messages'), ('GET', '/api/v1/conversations'),
                                 ('POST', '/api/v1/conversations'), ('GET', f'/api/v1/conversations/{room}'),
                                 ('GET', f'/api/v1/conversations/{room}/messages'),
                                 ('POST', f'/api/v1/conversations/{room}/messages'),
                                 ('GET', f'/api/v1/events?c={room}'), ('GET', '/api/v1/presence'),
                                 ('GET', '/api/v1/sync?cursor=x'), ('GET', f'/api/v1/users/{made["user"]["id"]}'),
                                 ('POST', '/api/v1/auth/guest')):
                body = {'name': 'Guest', 'content': 'hi', 'kind': 'room'} if method == 'POST' else None
                status, answer, _ = await http.ask(method, path, body)
                assert status == 401, f'{method} {path}: {status} {answer}'
            assert (await http.ask('GET', f'/api/chat/rooms/{room}', headers=bearer(made['token'])))[0] == 200
        socket = await Socket.open(daemon, '/ws', subprotocols=['roomd.v1'])
        await socket.send({'op': 'hello', 'id': 1, 'name': 'Guest'})
        assert await refusal(socket) == ('unauthorized', 4401)
        socket = await Socket.open(daemon, '/ws', subprotocols=['roomd.v1'])
        await socket.send({'op': 'hello', 'id': 1})
        assert await refusal(socket) == ('unauthorized', 4401)

    asyncio.run(go())


# ---- Names of accounts -------------------------------------------------------------------------------

async def test_a_guest_cannot_take_the_name_of_an_account(daemon):
    async with People(daemon) as http:
        name = unique('Ann')
        status, body, _ = await http.register(name)
        assert status == 201, body
        room = (await http.new_room())['id']
        for taken in (name, name.upper(), name.replace(' ', '  '), name.replace(' ', ' \u2003')):
            assert await refusal(await room_socket(daemon, room, {'username': taken})) == ('name_taken', 4409)
            status, body, _ = await http.ask('POST', '/api/v1/auth/guest', {'name': taken})
            assert (status, body['code']) == (409, 'name_taken')
            status, body, _ = await http.ask('POST', f'/api/v1/conversations/{room}/messages',
                                             {'name': taken, 'content': 'hi'})
            assert (status, body['code']) == (409, 'name_taken')


async def registers(http, name, **headers):
    return await http.ask('POST', '/api/v1/auth/register', {'username': name, 'password': PASSWORD}, headers=headers)


async def test_a_connected_guest_keeps_the_name(daemon):
    """However it is written, on whatever worker; seen red without session_is_free."""
    async with People(daemon) as http:
        name = unique_login('late')
        room = (await http.new_room())['id']
        guests = [await RoomSocket.enter(daemon, room, name, worker) for worker in (0, 1)]
        for taken in (name, name.upper(), name.translate({ord('l'): '\uff4c'})):
            status, body, _ = await registers(http, taken)
            assert (status, body['code'], body['field']) == (409, 'name_taken', 'username')
        for guest in guests:
            await guest.say('still here')
            await guest.expect(type='message', content='still here')
            await guest.close()

        async def is_given():
            return (await registers(http, name.upper()))[0] == 201
        await eventually(is_given, 'nobody uses the name any more')
        for worker in (0, 1):
            socket = await room_socket(daemon, room, {'username': name}, worker=worker)
            assert await refusal(socket) == ('name_taken', 4409)


async def test_a_guests_cookie_keeps_the_name(daemon):
    """Connected or not; its own browser may make the account. Seen red without guest_is_bound in account_create."""
    async with People(daemon) as http:
        name = unique_login('held')
        room = (await http.new_room())['id']
        _, guest, headers = await claim(http, name)
        cookie = cookie_of(headers).value
        other = cookie_of((await claim(http, unique_login('other')))[2]).value
        for more in ({}, {'Cookie': f'session={other}', 'Sec-Fetch-Site': 'same-origin'}):
            status, body, _ = await registers(http, name.upper(), **more)
            assert (status, body['code'], body['field']) == (409, 'name_taken', 'username')
        mine = await room_socket(daemon, room, {'username': name}, extra_headers={'Cookie': f'session={cookie}'})
        assert (await mine.expect(type='connected'))['username'] == name
        await mine.close()
        status, made, _ = await registers(http, name, Cookie=f'session={cookie}', **{'Sec-Fetch-Site': 'same-origin'})
        assert status == 201 and made['user']['id'] == guest['user']['id'], made


async def test_of_a_claim_and_a_registration_one_wins(daemon):
    """Seen red without name_lock: now and then both had the name."""
    async with People(daemon) as http:
        for _ in range(5):
            name = unique_login('race')
            answers = await asyncio.gather(claim(http, name), registers(http, name.upper()))
            assert sorted(status for status, _, _ in answers) == [201, 409]


async def test_a_reserved_name_is_nobodys(daemon):
    async with People(daemon) as http:
        room = (await http.new_room())['id']
        for name in ('admin', 'Everyone', '\uff32oot'):
            assert await refusal(await room_socket(daemon, room, {'username': name})) == ('name_taken', 4409)
            for ask in (registers, claim):
                status, body, _ = await ask(http, name)
                assert (status, body['code']) == (409, 'name_taken'), name


# ---- Names bound to a cookie -------------------------------------------------------------------------

async def claim(http, name, **headers):
    return await http.ask('POST', '/api/v1/auth/guest', {'name': name}, headers=headers)


async def test_a_name_is_bound_to_its_cookie(daemon):
    """Also for workers that remember it as free; seen red without the count of names taken."""
    async with People(daemon) as http:
        name = unique('Guest')
        room = (await http.new_room())['id']
        before = await RoomSocket.enter(daemon, room, name)  # every worker remembers that it was free
        status, body, _ = await claim(http, name)
        assert (status, body['code']) == (409, 'name_taken'), 'somebody is using it'
        await before.close()
        await eventually(lambda: is_free(http, name), 'the name is free')
        status, body, headers = await claim(http, name)
        assert status == 409, 'is_free has taken it'

        name = unique('Guest')
        status, body, headers = await claim(http, name)
        assert status == 201 and body['user']['name'] == name and body['user']['kind'] == 'guest'
        cookie = {'Cookie': f'session={cookie_of(headers).value}'}
        assert cookie_of(headers)['httponly'] and cookie_of(headers)['samesite'] == 'Lax'
        assert (await claim(http, name))[0] == 409
        for worker in (0, 1):
            socket = await room_socket(daemon, room, {'username': name}, worker=worker)
            assert await refusal(socket) == ('name_taken', 4409)
        mine = await room_socket(daemon, room, {'username': name}, extra_headers=cookie)
        assert (await mine.expect(type='connected'))['username'] == name
        native = await NativeSocket.open(daemon, '/ws', subprotocols=['roomd.v1'], extra_headers=cookie)
        welcome = await native.ask('hello')
        assert welcome['user'] == {'id': body['user']['id'], 'name': name, 'kind': 'guest'}
        status, sent, _ = await http.ask('POST', f'/api/v1/conversations/{room}/messages', {'content': 'hi'},
                                         headers=cookie)
        assert status == 201 and sent['sender'] == {'id': body['user']['id'], 'name': name}
        assert (await claim(http, name, **cookie))[0] == 201, 'its owner may ask again'
        await mine.close()
        await native.close()


async def is_free(http, name):
    return (await claim(http, name))[0] == 201


async def test_a_name_is_held_however_it_is_written(daemon):
    """Seen red while guests were compared by bytes."""
    async with People(daemon) as http:
        name = unique('Guest')
        room = (await http.new_room())['id']
        status, body, headers = await claim(http, name)
        assert status == 201
        for other in (name.upper(), name.lower(), '\uff27' + name[1:], name.replace(' ', '  ')):
            assert (await claim(http, other))[0] == 409
            assert await refusal(await room_socket(daemon, room, {'username': other})) == ('name_taken', 4409)
            status, again, _ = await claim(http, other, Cookie=f'session={cookie_of(headers).value}')
            assert status == 201 and again['user'] == body['user'], 'its owner may write it anyhow'


async def test_guests_are_one_person_however_they_write_their_name(daemon):
    """One entry in the list, and a guest who is shut out does not come back in capitals."""
    async with People(daemon) as http:
        name = unique_login('Two')
        owner = await http.new_person('owner')
        status, room, _ = await http.ask('POST', '/api/v1/conversations', {'kind': 'room', 'name': unique('room')},
                                         headers=bearer(owner['token']))
        assert status == 201, room
        async with await RoomSocket.enter(daemon, room['id'], name) as one:
            async with await RoomSocket.open(daemon, f'/ws/chat/{room["id"]}', worker=1 - one.worker) as two:
                await two.send({'username': name.upper()})
                assert (await two.expect(type='connected'))['username'] == name
                lists = await two.wait(lambda frames: [f for f in frames if f['type'] == 'users_list'])
                assert lists[-1]['users'].count(name) == 1 and name.upper() not in lists[-1]['users']
                async with await NativeSocket.hello(daemon, name.lower()) as native:
                    guest = native.welcome['user']['id']
                status, body, _ = await http.ask('PATCH', f'/api/v1/conversations/{room["id"]}/members/{guest}',
                                                 {'role': 'banned', 'reason': 'spam'}, headers=bearer(owner['token']))
                assert status == 200, body
                assert (await two.closed())[0] == 4403
        for written in (name, name.upper()):
            assert await refusal(await room_socket(daemon, room['id'], {'username': written})) == ('banned', 4403)


async def test_of_many_who_claim_one_name_one_gets_it(daemon):
    async with People(daemon) as http:
        name = unique('Guest')
        answers = await asyncio.gather(*(claim(http, name) for _ in range(10)))
    assert sorted(status for status, _, _ in answers) == [201] + [409] * 9


async def test_a_name_that_is_given_up_is_free_again(daemon):
    async with People(daemon) as http:
        name = unique('Guest')
        _, _, headers = await claim(http, name)
        status, _, headers = await http.ask('POST', '/api/v1/auth/logout',
                                            headers={'Cookie': f'session={cookie_of(headers).value}'})
        assert status == 204 and cookie_of(headers).value == ''
        assert (await claim(http, name))[0] == 201


async def test_an_account_keeps_what_its_guest_wrote(daemon):
    async with People(daemon) as http:
        name = unique('Guest')
        room = (await http.new_room())['id']
        _, guest, headers = await claim(http, name)
        cookie = cookie_of(headers).value
        _, sent, _ = await http.by_cookie('POST', f'/api/v1/conversations/{room}/messages', cookie, {'content': 'mine'})
        login = unique_login()
        status, made, headers = await http.by_cookie('POST', '/api/v1/auth/register', cookie,
                                                     {'username': login, 'password': PASSWORD})
        assert status == 201, made
        assert made['user']['id'] == guest['user']['id'] and made['user']['kind'] == 'account'
        _, page, _ = await http.ask('GET', f'/api/v1/conversations/{room}/messages')
        assert [(one['id'], one['sender']['id'], one['sender']['name']) for one in page['messages']] == \
            [(sent['id'], made['user']['id'], login)]
        status, me, _ = await http.by_cookie('GET', '/api/v1/users/me', cookie_of(headers).value)
        assert (status, me['username']) == (200, login)
        status, _, _ = await http.by_cookie('PATCH', '/api/v1/users/me', cookie, {'full_name': 'x'})
        assert status == 401, "the guest's cookie is not the account's"
        assert (await http.login(login))[0] == 200


def forged_cursor(cursor, user):
    """Another session's cursor that says to be USER's: by the format of proto/cursor.c."""
    raw = base64.urlsafe_b64decode(cursor + '=' * (-len(cursor) % 4))
    number, groups = user, b''
    while number > 127:
        groups, number = groups + bytes([number & 127 | 128]), number >> 7
    body = raw[:17] + groups + bytes([number, 0])
    return base64.urlsafe_b64encode(body + zlib.crc32(body).to_bytes(4, 'big')).decode().rstrip('=')


async def id_of(daemon, name):
    """The user's number, from what a room tells of who writes."""
    async with People(daemon) as http:
        room = (await http.new_room())['id']
        _, sent, _ = await http.ask('POST', f'/api/v1/conversations/{room}/messages', {'name': name, 'content': 'x'})
        return sent['sender']['id']


async def test_guests_of_one_name_are_one_person_unless_that_is_off(start_daemon, daemon):
    """The option allow_same_name; two tabs share a name while it is on, which is S1-12."""
    async with People(daemon) as http:
        room = (await http.new_room())['id']
        tabs = [await RoomSocket.enter(daemon, room, 'Alice') for _ in range(2)]
        for tab in tabs:
            await tab.close()
    strict = start_daemon(settings={**CHEAP, 'chat.allow_same_name': 'off'})
    async with People(strict) as http:
        room, other = (await http.new_room())['id'], (await http.new_room())['id']
        alice = await RoomSocket.enter(strict, room, 'Alice')
        assert await refusal(await room_socket(strict, room, {'username': 'Alice'})) == ('name_taken', 4409)
        # a cursor is no secret: one that names Alice, but no session of hers, lets nobody in as Alice
        async with await NativeSocket.hello(strict, 'Bob') as bob:
            forged = forged_cursor(bob.welcome['cursor'], await id_of(strict, 'Alice'))
        async with await NativeSocket.open(strict, '/ws', subprotocols=['roomd.v1']) as thief:
            answer = await thief.ask('hello', name='Alice', resume=forged)
            assert (answer['op'], answer['code']) == ('err', 'unavailable')
        elsewhere = await RoomSocket.enter(strict, other, 'Alice')
        await elsewhere.close()
        await alice.close()

        async def again():
            socket = await room_socket(strict, room, {'username': 'Alice'})
            try:
                await socket.expect(type='connected', timeout=1)
            except AssertionError:
                return False
            await socket.close()
            return True

        await eventually(again, 'the name is free again')
