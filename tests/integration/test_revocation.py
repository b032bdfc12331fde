# SPDX-License-Identifier: MIT
"""What was taken from somebody reaches every open socket within a second: C13, S4-33.

Each is told twice over: by a notice through the ring, and by a look at the database that serves where
there was no notice. The tests of the look act by SQL, of which no worker is told anything.
"""
import asyncio
import time
import uuid

import pytest

from roomd_clients import NativeSocket, RoomSocket, Socket, eventually
from roomd_harness import SECOND, unique
from roomd_people import PASSWORD, People, bearer, claims_of, header_of, kid_of
from roomd_stream import Stream
from test_roles import CHEAP, act, group_of, guest_at, room_of

WORKERS = 4
DAEMON = {'settings': CHEAP, 'workers': WORKERS}


async def native(daemon, token, worker, room=None):
    socket = await Socket.open(daemon, '/ws', worker, subprotocols=['roomd.v1'])
    await socket.send({'op': 'hello', 'id': 1, 'token': token})
    await socket.expect(op='welcome')
    if room:
        await socket.send({'op': 'sub', 'id': 2, 'c': room})
        await socket.expect(re=2, op='live')
    return socket


async def raw(daemon, token, worker, room):
    socket = await Socket.open(daemon, f'/ws/chat/{room}', worker)
    await socket.send({'token': token})
    await socket.expect(type='connected')
    return socket


async def on_every_worker(daemon, token, room):
    """A native and a simple socket on each worker."""
    sockets = []
    for worker in range(WORKERS):
        sockets.append(await native(daemon, token, worker, room))
        sockets.append(await raw(daemon, token, worker, room))
    return sockets


async def all_closed(sockets, code, since):
    for socket in sockets:
        assert (await socket.closed())[0] == code
    assert time.monotonic() - since < SECOND


async def test_c13_logging_out_closes_every_socket_of_the_session(daemon):
    """And no socket of another session."""
    async with People(daemon) as http:
        person = await http.new_person()
        other = (await http.login(person['user']['username']))[1]
        room = (await http.new_room())['id']
        sockets = await on_every_worker(daemon, person['token'], room)
        bystander = await native(daemon, other['token'], 0, room)
        since = time.monotonic()
        assert (await http.ask('POST', '/api/v1/auth/logout', headers=bearer(person['token'])))[0] < 300
        await all_closed(sockets, 4401, since)
        assert (await http.me(person['token']))[0] == 401
        assert (await http.me(other['token']))[0] == 200
        assert bystander.is_open
        await bystander.close()


async def test_c13_the_notice_alone_is_enough(start_daemon):
    """With the look a minute away. Seen red with NOTICE_SESSION ignored."""
    daemon = start_daemon(settings=dict(CHEAP, **{'auth.revocation_check': '60s'}), workers=2)
    async with People(daemon) as http:
        person = await http.new_person()
        room = (await http.new_room())['id']
        sockets = [await native(daemon, person['token'], worker, room) for worker in range(2)]
        since = time.monotonic()
        assert (await http.ask('POST', '/api/v1/auth/logout', headers=bearer(person['token'])))[0] < 300
        await all_closed(sockets, 4401, since)


async def test_c13_a_key_that_is_gone_closes_what_it_vouched_for(start_daemon):
    """Tokens and cookies, sockets and streams, of every worker; not those of the keys that stay, nor those of nobody.

    Seen red without authn_rekeyed.
    """
    old, new = 'the-first-secret-of-a-node-that-rotates', 'the-second-secret-of-a-node-that-rotates'
    daemon = start_daemon(settings=dict(CHEAP, **{'auth.secret_key': old}), workers=2)
    async with People(daemon) as http:
        person = await http.new_person()
        name = person['user']['username']
        room = (await http.new_room())['id']
        by_cookie = {'Cookie': f'session={(await http.page_login(name)).value}'}
        gone = [await native(daemon, person['token'], 0, room), await raw(daemon, person['token'], 1, room)]
        silent = await Socket.open(daemon, '/ws', 0, subprotocols=['roomd.v1'], extra_headers=bearer(person['token']))
        with_cookie = await Socket.open(daemon, '/ws', 1, subprotocols=['roomd.v1'], extra_headers=by_cookie)
        await with_cookie.send({'op': 'hello', 'id': 1})
        await with_cookie.expect(op='welcome')
        gone.append(with_cookie)
        guest = await NativeSocket.hello(daemon, unique('guest'))
        stream = await Stream.open(daemon, [room], headers=by_cookie)
        await stream.expect('live')
        daemon.switch(**{'auth.secret_key': new, 'auth.previous_keys': old})
        stays = []
        for worker in range(2):
            async def is_new():
                return header_of((await http.login(name))[1]['token'])['kid'] == kid_of(new)
            await eventually(is_new, 'tokens are made with the new key')
            stays.append(await native(daemon, (await http.login(name))[1]['token'], worker, room))
        assert all(socket.is_open for socket in gone)
        daemon.reload(**{'auth.previous_keys': ''})
        for socket in gone:
            assert (await socket.closed())[0] == 4401
        assert (await stream.expect('err')).data['code'] == 'unauthorized'
        await stream.ended()
        await silent.send({'op': 'hello', 'id': 1})
        assert (await silent.closed())[0] == 4401
        for socket in (*stays, guest):
            await socket.send({'op': 'ping', 'id': 9})
            await socket.expect(re=9)
            await socket.close()


async def test_c13_a_session_that_was_ended_elsewhere(daemon, rows):
    """By the look alone. Seen red with the timer of revoke.c not started."""
    async with People(daemon) as http:
        person = await http.new_person()
        room = (await http.new_room())['id']
        sockets = await on_every_worker(daemon, person['token'], room)
        since = time.monotonic()
        rows('UPDATE sessions SET revoked_at = now() WHERE id = %s RETURNING id', claims_of(person['token'])['sid'])
        await all_closed(sockets, 4401, since)
        assert (await http.me(person['token']))[0] == 401


async def test_c13_s4_33_a_user_who_was_disabled_elsewhere(daemon, rows):
    """As "roomctl user disable" does. Nothing of the user is stored from then on."""
    async with People(daemon) as http:
        person = await http.new_person()
        room = (await http.new_room())['id']
        sockets = await on_every_worker(daemon, person['token'], room)
        since = time.monotonic()
        rows('UPDATE users SET disabled_at = now() WHERE id = %s RETURNING id', person['user']['id'])
        await all_closed(sockets, 4401, since)
        assert rows('SELECT count(*) FROM events WHERE actor_id = %s', person['user']['id']) == [(0,)]


async def test_c13_s4_33_a_guest_who_was_disabled(daemon, rows):
    """Of whom every worker has heard that closes the sockets of a user who was disabled with the guest."""
    async with People(daemon) as http:
        person = await http.new_person()
        room = (await http.new_room())['id']
        socket, guest = await guest_at(http, rows, room)
        name = rows('SELECT name FROM users WHERE id = %s', guest)[0][0]
        sockets = await on_every_worker(daemon, person['token'], room)
        since = time.monotonic()
        rows('UPDATE users SET disabled_at = now() WHERE id IN (%s, %s) RETURNING id', guest, person['user']['id'])
        await all_closed([socket, *sockets], 4401, since)
        again = await Socket.open(daemon, f'/ws/chat/{room}', socket.worker)
        await again.send({'username': name})
        assert (await again.closed())[0] == 4403
        status, answer, _ = await http.ask('POST', f'/api/v1/conversations/{room}/messages',
                                           {'name': name, 'content': 'still here'})
        assert status == 403, answer
        assert rows('SELECT count(*) FROM events WHERE actor_id = %s', guest) == [(0,)]


async def test_c13_removed_from_a_conversation_on_every_worker(daemon, rows):
    async with People(daemon) as http:
        room, path, boss = await room_of(http)
        person = await http.new_person()
        sockets = await on_every_worker(daemon, person['token'], room)
        since = time.monotonic()
        await act(http, 'PATCH', f'{path}/members/{person["user"]["id"]}', boss['token'], {'role': 'banned'})
        for socket in sockets:
            if socket.link.subprotocol:
                assert (await socket.expect(op='err', c=room))['code'] == 'banned'
            else:
                assert (await socket.closed())[0] == 4403
        assert time.monotonic() - since < SECOND
        speaker = await NativeSocket.hello(daemon, unique('speaker'))
        await speaker.sub(room)
        await speaker.say(room, 'not for everybody')
        for socket in sockets:
            if socket.link.subprotocol:
                await socket.send({'op': 'ping', 'id': 9})
                await socket.expect(re=9)
                assert not [e for e in socket.all(op='ev') if e['t'] == 'message.new']
                await socket.close()
        await speaker.close()


async def test_c13_a_banned_reader_has_no_stream(daemon):
    """Neither one that is open nor a new one. Seen red with sse_conn.c joining without asking for rights."""
    async with People(daemon) as http:
        room, path, boss = await room_of(http)
        free = (await http.new_room())['id']
        person = await http.new_person()
        fields = bearer(person['token'])
        async with await Stream.open(daemon, [room, free], headers=fields) as stream:
            await stream.expect('live', 2)
            await act(http, 'PATCH', f'{path}/members/{person["user"]["id"]}', boss['token'], {'role': 'banned'})
            assert (await stream.expect('err', c=room)).data['code'] == 'banned'
            place = stream.last_id
        for worker in range(WORKERS):
            async with await Stream.open(daemon, [room], worker=worker, headers=fields) as stream:
                assert stream.answer.status == 403
            async with await Stream.open(daemon, [room, free], place, worker, fields) as stream:
                await stream.expect('err', c=room)
                await stream.expect('live', c=free)
                assert not stream.all('live', c=room)


async def test_c13_a_role_that_was_changed_elsewhere(daemon, rows):
    """By the look alone: a ban that another program wrote."""
    async with People(daemon) as http:
        room, _, _ = await room_of(http)
        person = await http.new_person()
        sockets = [await native(daemon, person['token'], worker, room) for worker in range(WORKERS)]
        since = time.monotonic()
        rows("INSERT INTO members (conversation_id, user_id, role, left_at) VALUES (%s, %s, 'banned', now())"
             ' RETURNING user_id', room, person['user']['id'])
        for socket in sockets:
            assert (await socket.expect(op='err', c=room))['code'] == 'banned'
        assert time.monotonic() - since < SECOND
        for socket in sockets:
            await socket.close()


async def test_c13_a_role_that_was_changed_is_in_force_everywhere_at_once(daemon, rows):
    """From speaking to reading and back, on sockets that stay open."""
    async with People(daemon) as http:
        room, path, boss = await room_of(http)
        person = await http.new_person()
        member = f'{path}/members/{person["user"]["id"]}'
        await act(http, 'POST', f'{path}/members', boss['token'], {'user': person['user']['id']})
        sockets = [await native(daemon, person['token'], worker, room) for worker in range(WORKERS)]

        async def answers():
            said = []
            for socket in sockets:
                number = len(socket.frames) + 1000
                await socket.send({'op': 'send', 'id': number, 'c': room, 'content': 'hi', 'k': str(uuid.uuid4())})
                answer = await socket.expect(re=number)
                said.append(answer.get('code', answer['op']))
            return set(said)
        assert await answers() == {'ok'}
        for role, expected in (('read-only', {'read_only'}), ('member', {'ok'})):
            since = time.monotonic()
            await act(http, 'PATCH', member, boss['token'], {'role': role})
            await eventually_equal(answers, expected)
            assert time.monotonic() - since < SECOND
        for socket in sockets:
            await socket.close()


async def test_c13_settings_that_were_changed_elsewhere(daemon, rows):
    """By the look alone: slow mode, in a room that nobody has changed otherwise.

    Seen red with the trigger on conversations not made.
    """
    async with People(daemon) as http:
        room, _, _ = await room_of(http)
        person = await http.new_person()
        sockets = [await native(daemon, person['token'], worker, room) for worker in range(WORKERS)]
        rows("UPDATE conversations SET settings = '{\"slow_mode\": 3600}' WHERE id = %s RETURNING id", room)

        async def is_slow(socket):
            number = len(socket.frames) + 1000
            await socket.send({'op': 'send', 'id': number, 'c': room, 'content': 'hi', 'k': str(uuid.uuid4())})
            return (await socket.expect(re=number)).get('code') == 'slow_mode'
        for socket in sockets:
            await eventually(lambda socket=socket: is_slow(socket), 'slow mode is in force')
            await socket.close()


async def test_c13_many_that_were_changed_elsewhere(daemon, rows):
    """More than one answer to the look holds and more than a worker keeps of a room, in one transaction.

    That pages lack nothing is shown by tests/unit/sql/test_members.c. Seen red (503, then nothing) with every one of
    them asked for by itself on a machine that had other work.
    """
    async with People(daemon) as http:
        room, _, _ = await room_of(http)
        people = [await http.new_person() for _ in range(2)]
        sockets = [await native(daemon, person['token'], worker, room)
                   for worker, person in enumerate(people)]
        rows("WITH u AS (INSERT INTO users (kind, name) SELECT 'guest', 'crowd ' || i FROM generate_series(1, 2500) AS i"
             ' RETURNING id), m AS (INSERT INTO members (conversation_id, user_id, role, left_at)'
             " SELECT %s, id, 'banned', now() FROM (SELECT id FROM u UNION ALL SELECT unnest(%s::bigint[])) AS x"
             ' ORDER BY id RETURNING user_id) SELECT count(*) FROM m', room, [p['user']['id'] for p in people])
        for socket in sockets:
            assert (await socket.expect(op='err', c=room))['code'] == 'banned'
            await socket.close()


async def test_c13_a_group_has_streams_for_its_members(daemon, rows):
    """By token and by cookie; nobody else learns that it is there. Removal and the end of the session end them.

    Seen red with streams for open rooms alone, and with sse_conn.c adopting nobody.
    """
    async with People(daemon) as http:
        boss, person, stranger = [await http.new_person() for _ in range(3)]
        group = group_of(rows, boss['user']['id'], person['user']['id'])
        cookie = {'Cookie': f'session={(await http.page_login(person["user"]["username"])).value}'}
        for fields in (None, bearer(stranger['token'])):
            async with await Stream.open(daemon, [group], headers=fields) as stream:
                assert stream.answer.status == 404
        streams = [await Stream.open(daemon, [group], worker=worker, headers=fields)
                   for worker, fields in enumerate((bearer(person['token']), cookie, bearer(boss['token'])))]
        for stream in streams:
            await stream.expect('live', c=group)
        speaker = await native(daemon, boss['token'], 3, group)
        await speaker.send({'op': 'send', 'id': 5, 'c': group, 'content': 'among us', 'k': str(uuid.uuid4())})
        await speaker.expect(re=5, op='ok')
        for stream in streams:
            await stream.expect('message.new')
            assert stream.contents(group) == ['among us']
        by_token, by_page, of_boss = streams
        assert (await http.ask('POST', '/api/v1/auth/logout', headers=bearer(person['token'])))[0] < 300
        assert (await by_token.expect('err')).data['code'] == 'unauthorized'
        await by_token.ended()
        place = by_page.last_id
        await act(http, 'DELETE', f'/api/v1/conversations/{group}/members/{person["user"]["id"]}', boss['token'])
        assert (await by_page.expect('err', c=group)).data['code'] in ('kicked', 'forbidden')
        await by_page.ended()
        # the place is theirs, the right is not any more; nor is the place anybody else's
        for fields, status in ((cookie, 404), (bearer(stranger['token']), 422)):
            async with await Stream.open(daemon, [group], place, headers=fields) as stream:
                assert stream.answer.status == status
        async with await Stream.open(daemon, [], of_boss.last_id, headers=bearer(boss['token'])) as stream:
            await stream.expect('live', c=group)
            assert not stream.contents(group)
        for stream in streams:
            await stream.close()
        await speaker.close()


@pytest.mark.parametrize('change', ({'role': 'banned'}, {'muted': True}))
async def test_c13_rights_are_asked_for_again_where_they_are_used(daemon, rows, postgres, database, change):
    """A moderator who is demoted while the request waits for the conversation.

    Seen red without the need in rest_members.c.
    """
    async with People(daemon) as http:
        room, path, boss = await room_of(http)
        person, target = await http.new_person(), await http.new_person()
        await act(http, 'POST', f'{path}/members', boss['token'], {'user': person['user']['id'], 'role': 'moderator'})
        with postgres.connect(database) as link:
            link.autocommit = False
            link.execute('SELECT 1 FROM conversations WHERE id = %s FOR NO KEY UPDATE', (room,))
            asked = asyncio.create_task(http.ask('PATCH', f'{path}/members/{target["user"]["id"]}', change,
                                                 headers=bearer(person['token'])))

            async def is_waiting():
                return rows("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                            ' AND datname = current_database()')[0][0] > 0
            await eventually(is_waiting, 'the request waits')
            link.execute("UPDATE members SET role = 'member' WHERE conversation_id = %s AND user_id = %s",
                         (room, person['user']['id']))
            link.commit()
        status, answer, _ = await asked
        assert status == 403, answer
        assert rows('SELECT count(*) FROM members WHERE conversation_id = %s AND user_id = %s', room,
                    target['user']['id']) == [(0,)]


async def eventually_equal(ask, expected):
    async def is_so():
        return await ask() == expected
    await eventually(is_so, f'{expected}')


async def test_c13_a_worker_that_begins_knows_what_was_revoked_before(start_daemon, postgres):
    """Tokens outlive a restart, and so does what was taken back. Seen red with "since" 0 at the
    start, and with the first look later."""
    settings = dict(CHEAP, **{'auth.secret_key': 'a-secret-that-lasts-longer-than-a-process'})
    first = start_daemon(settings=settings, workers=1)
    async with People(first) as http:
        person = await http.new_person()
        status, _, _ = await http.ask('POST', '/api/v1/auth/logout', headers=bearer(person['token']))
        assert status < 300
    first.stop()
    with postgres.connect(first.database) as connection:
        connection.execute("UPDATE sessions SET revoked_at = now() - interval '5 minutes' WHERE revoked_at IS NOT NULL")
    # the first look is at the start: the next is too late
    second = start_daemon(database=first.database, settings={**settings, 'auth.revocation_check': '30s'}, workers=1)

    async with People(second) as http:
        async def is_refused():
            return (await http.me(person['token']))[0] == 401
        await eventually(is_refused, 'the token of the ended session is refused', SECOND)
