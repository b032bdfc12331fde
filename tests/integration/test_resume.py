# SPDX-License-Identifier: MIT
"""Sessions of native sockets come back: after a lost link, a dead worker, a restart of the daemon.

Covers C1, C2, S3-43 and S3-58 from outside. How the tests were seen to fail is said at each.
"""
import uuid

import pytest

from roomd_clients import Http, NativeSocket, Socket, eventually

DAEMON = {'settings': {'presence.grace_clean': '100ms', 'presence.grace_lost': '300ms'}}


async def new_rooms(daemon, count):
    async with Http(daemon) as http:
        return [(await http.new_room())['id'] for _ in range(count)]


async def send(daemon, *texts):
    """Messages to rooms, by somebody who is not otherwise part of the test: (room, text)…"""
    async with await NativeSocket.hello(daemon, 'Sender') as sender:
        for room in {room for room, _ in texts}:
            await sender.sub(room)
        for room, text in texts:
            assert (await sender.say(room, text))['op'] == 'ok'


def contents(socket, room):
    return [(event['rev'], event['d']['content']) for event in socket.events(room)
            if event['t'] == 'message.new']


async def lives(socket, *rooms):
    """Waits until every room is confirmed; returns the confirmations."""
    return [await socket.expect(op='live', c=room) for room in rooms]


def kept(rows, session):
    """What the table says that a session follows: {conversation: rev}; what it has left is there with -1."""
    found = rows('select convs, revs from resume_points where session = %s', session)
    return {conv: rev for conv, rev in zip(*found[0]) if rev >= 0} if found else {}


async def until_kept(rows, socket, *rooms):
    session = socket.welcome['session']
    await eventually(lambda: set(kept(rows, session)) == set(rooms), f'{rooms} kept for the session')


async def come_back(daemon, socket, worker=None, **more):
    """A second socket with the first one's session."""
    return await NativeSocket.hello(daemon, socket.welcome['user']['name'], worker=worker,
                                    resume=more.pop('resume', socket.welcome['cursor']), **more)


# ---------------------------------------------------------------- what comes back


@pytest.mark.parametrize('worker', [0, 1])
async def test_c2_the_cursor_of_welcome_brings_every_subscription_back(daemon, rows, worker):
    """That cursor is older than all of them. Seen red without resume_mark: nothing is restored."""
    rooms = await new_rooms(daemon, 3)
    alice = await NativeSocket.hello(daemon, 'Alice', worker=0)
    for room in rooms:
        await alice.sub(room)
    await until_kept(rows, alice, *rooms)
    await alice.drop()
    await send(daemon, *[(room, f'{room}/{number}') for number in range(5) for room in rooms])
    async with await come_back(daemon, alice, worker) as again:
        assert again.welcome['resumed'] is True
        assert again.welcome['session'] == alice.welcome['session']
        for live, room in zip(await lives(again, *rooms), rooms):
            assert live['rev'] == 5 and 're' not in live
            assert contents(again, room) == [(number + 1, f'{room}/{number}') for number in range(5)]
            order = [frame['op'] for frame in again.frames
                     if frame.get('c') == room and frame['op'] in ('ev', 'live')]
            assert order == ['ev'] * 5 + ['live']
        await send(daemon, (rooms[0], 'afterwards'))
        await again.expect(op='ev', c=rooms[0], rev=6)


async def test_s3_43_a_session_survives_its_worker(daemon, rows):
    """kill -9. Seen red without resume_flush in worker_turn."""
    rooms = await new_rooms(daemon, 2)
    alice = await NativeSocket.hello(daemon, 'Alice', worker=0)
    for room in rooms:
        await alice.sub(room)
    await until_kept(rows, alice, *rooms)
    daemon.kill_worker(0)
    await alice.closed()
    await send(daemon, *[(room, 'while away') for room in rooms])
    async with await come_back(daemon, alice) as again:
        assert again.welcome['resumed'] is True
        await lives(again, *rooms)
        for room in rooms:
            assert contents(again, room) == [(1, 'while away')]


async def test_s3_43_a_session_survives_the_daemon(start_daemon, postgres):
    """Stopped in order, then killed, and started again: the cursor still works.

    Seen red without the snapshot in resume_end: what was followed in the last moments is gone.
    """
    daemon = start_daemon(**DAEMON)
    rooms = await new_rooms(daemon, 2)
    alice = await NativeSocket.hello(daemon, 'Alice')
    for room in rooms:
        await alice.sub(room)
    daemon.stop()
    await alice.closed()
    goaway, = alice.all(op='goaway')
    daemon.start()
    await send(daemon, (rooms[0], 'stopped'))
    alice = await come_back(daemon, alice)
    assert alice.welcome['resumed'] is True
    await lives(alice, *rooms)
    page = await alice.ask('sync', cursor=goaway['cursor'])
    assert [event['d']['content'] for event in page['events']] == ['stopped']

    def query(text, *values):
        with postgres.connect(daemon.database) as connection:
            return connection.execute(text, values).fetchall()
    await until_kept(query, alice, *rooms)
    daemon.kill()
    await alice.closed()
    daemon.start()
    await send(daemon, (rooms[0], 'killed'), (rooms[1], 'killed'))
    again = await come_back(daemon, alice)
    assert again.welcome['resumed'] is True
    await lives(again, *rooms)
    assert contents(alice, rooms[0]) == [(1, 'stopped')]
    assert contents(again, rooms[0])[-1] == (2, 'killed')
    assert contents(again, rooms[1]) == [(1, 'killed')]
    await again.close()


async def test_subscriptions_that_were_given_up_stay_away(daemon, rows):
    first, second = await new_rooms(daemon, 2)
    alice = await NativeSocket.hello(daemon, 'Alice')
    await alice.sub(first)
    await alice.sub(second)
    assert (await alice.ask('unsub', c=first))['op'] == 'ok'
    await until_kept(rows, alice, second)
    await alice.drop()
    async with await come_back(daemon, alice) as again:
        await lives(again, second)
        assert (await again.ask('unsub', c=first))['code'] == 'not_subscribed'


async def test_a_position_that_was_kept_is_one_the_client_had(daemon, rows):
    """Nothing is left out that was sent but may not have arrived: the position is that of the subscription."""
    room, = await new_rooms(daemon, 1)
    await send(daemon, (room, 'before'))
    alice = await NativeSocket.hello(daemon, 'Alice')
    live = await alice.sub(room)
    await send(daemon, *[(room, f'text {number}') for number in range(3)])
    await alice.expect(op='ev', c=room, rev=4)
    await until_kept(rows, alice, room)
    assert kept(rows, alice.welcome['session']) == {room: live['rev']}
    await alice.drop()
    async with await come_back(daemon, alice) as again:
        await lives(again, room)
        assert [rev for rev, _ in contents(again, room)] == [2, 3, 4]


async def test_the_cursor_of_pong_is_a_newer_position(daemon, rows):
    """Everything told before the pong is behind it, nothing after. Seen red with the welcome's cursor in pong."""
    room, = await new_rooms(daemon, 1)
    alice = await NativeSocket.hello(daemon, 'Alice')
    await alice.sub(room)
    await send(daemon, (room, 'one'), (room, 'two'))
    await alice.expect(op='ev', c=room, rev=2)
    pong = await alice.ask('ping')
    told = max(event['rev'] for event in alice.frames[:alice.frames.index(pong)] if event['op'] == 'ev')
    await send(daemon, (room, 'three'))
    await alice.expect(op='ev', c=room, rev=3)
    await alice.drop()
    async with await come_back(daemon, alice, resume=pong['cursor']) as again:
        assert again.welcome['resumed'] is True
        await lives(again, room)
        assert [rev for rev, _ in contents(again, room)] == list(range(told + 1, 4)) == [3]


async def test_pongs_are_exact_under_fire(daemon):
    """A position is never ahead of what was told before it, whatever is on its way meanwhile.

    Seen red with the channel's newest rev plus one for a position. Large rooms, whose frames are held for a
    while, are test_a_cursor_is_never_ahead's in tests/unit/worker/test_resume.c.
    """
    room, = await new_rooms(daemon, 1)
    alice = await NativeSocket.hello(daemon, 'Alice', worker=0)
    await alice.sub(room)
    senders = [await NativeSocket.hello(daemon, f'Sender {number}', worker=0) for number in range(3)]
    for sender in senders:
        await sender.sub(room)
    for number in range(40):
        for sender in senders:
            await sender.send([{'op': 'send', 'id': 1000 + number, 'c': room, 'k': str(uuid.uuid4()), 'content': 'x'}
                               for _ in range(5)])
        await alice.send({'op': 'ping', 'id': f'p{number}'})
    await alice.expect(op='ev', c=room, rev=600)
    await alice.expect(re='p39')
    told, pongs = 0, []
    for frame in alice.frames:
        if frame['op'] == 'ev':
            assert frame['rev'] == told + 1
            told = frame['rev']
        elif frame['op'] == 'pong':
            pongs.append((told, frame['cursor']))
    for told, cursor in pongs:
        rest = (await alice.ask('sync', cursor=cursor, limit=1))['events']
        assert [event['rev'] for event in rest] == ([told + 1] if told < 600 else [])
    for socket in [alice, *senders]:
        await socket.close()


async def test_seen_saves_what_the_client_has(daemon, rows):
    first, second = await new_rooms(daemon, 2)
    alice = await NativeSocket.hello(daemon, 'Alice')
    await alice.sub(first)
    await until_kept(rows, alice, first)
    await send(daemon, *[(room, f'text {number}') for number in range(4) for room in (first, second)])
    await alice.drop()
    async with await come_back(daemon, alice, seen={str(first): 3, str(second): 1}) as again:
        await lives(again, first, second)
        assert [rev for rev, _ in contents(again, first)] == [4]
        assert [rev for rev, _ in contents(again, second)] == [2, 3, 4]
        await until_kept(rows, again, first, second)


async def test_a_room_that_was_deleted_meanwhile_is_said(daemon, rows):
    first, second = await new_rooms(daemon, 2)
    alice = await NativeSocket.hello(daemon, 'Alice')
    await alice.sub(first)
    await alice.sub(second)
    await until_kept(rows, alice, first, second)
    await alice.drop()
    async with Http(daemon) as http:
        status, _, _ = await http.ask('DELETE', f'/api/chat/rooms/{first}')
        assert status == 200
    async with await come_back(daemon, alice) as again:
        await lives(again, second)
        error = await again.expect(op='err', c=first)
        assert error['code'] == 'no_such_room' and 're' not in error
        assert (await again.ask('ping'))['op'] == 'pong'


# ---------------------------------------------------------------- what does not


async def test_a_cursor_of_somebody_else_resumes_nothing(daemon, rows):
    """No secret is in it: the name must be the session's. Seen red without the comparison in on_hello.c."""
    room, = await new_rooms(daemon, 1)
    alice = await NativeSocket.hello(daemon, 'Alice')
    await alice.sub(room)
    await until_kept(rows, alice, room)
    async with await NativeSocket.hello(daemon, 'Mallory', resume=alice.welcome['cursor']) as mallory:
        assert mallory.welcome['resumed'] is False
        assert mallory.welcome['session'] != alice.welcome['session']
        assert (await mallory.ask('unsub', c=room))['code'] == 'not_subscribed'
    assert (await alice.ask('ping'))['op'] == 'pong'
    await alice.close()


async def test_a_session_that_is_not_known_starts_afresh(daemon, rows):
    room, = await new_rooms(daemon, 1)
    alice = await NativeSocket.hello(daemon, 'Alice')
    await alice.sub(room)
    await until_kept(rows, alice, room)
    await alice.close()
    rows('delete from resume_points where session = %s returning 1', alice.welcome['session'])
    async with await come_back(daemon, alice) as again:
        assert again.welcome['resumed'] is False
        assert again.welcome['session'] != alice.welcome['session']
        assert (await again.sub(room))['op'] == 'live'


@pytest.mark.parametrize('text', ['x', 'AQ', '!!!!', 'A' * 40, 'AQGh_r3J33PvvxF3vnmmexEIASoKBlGeFQ' + 'A', ' '])
async def test_garbage_for_a_cursor_is_refused(daemon, text):
    """Seen red: with the code "invalid", which does not say what to do."""
    async with await Socket.open(daemon, '/ws', subprotocols=['roomd.v1']) as socket:
        await socket.send({'op': 'hello', 'id': 1, 'name': 'Alice', 'resume': text})
        error = await socket.expect(re=1)
        assert (error['op'], error['code'], error['field']) == ('err', 'bad_cursor', 'resume')
        await socket.send({'op': 'hello', 'id': 2, 'name': 'Alice'})
        assert (await socket.expect(re=2))['op'] == 'welcome'


# ---------------------------------------------------------------- one session, one socket


@pytest.mark.parametrize('old, new', [(0, 0), (0, 1), (1, 0)])
async def test_the_old_socket_is_replaced(daemon, rows, old, new):
    """Close code 4409, in the same worker and in another. Seen red without resume_take_over."""
    room, = await new_rooms(daemon, 1)
    alice = await NativeSocket.hello(daemon, 'Alice', worker=old)
    await alice.sub(room)
    await until_kept(rows, alice, room)
    async with await come_back(daemon, alice, new) as again:
        assert again.welcome['resumed'] is True
        assert (await alice.closed())[0] == 4409
        await lives(again, room)
        await send(daemon, (room, 'one'))
        assert (await again.expect(op='ev', c=room))['rev'] == 1
        await until_kept(rows, again, room)


async def test_a_session_goes_back_and_forth(daemon, rows):
    room, = await new_rooms(daemon, 1)
    alice = await NativeSocket.hello(daemon, 'Alice', worker=0)
    await alice.sub(room)
    await until_kept(rows, alice, room)
    for number in range(6):
        again = await come_back(daemon, alice, (number + 1) % 2)
        assert again.welcome['session'] == alice.welcome['session']
        await lives(again, room)
        assert (await alice.closed())[0] == 4409
        assert (await again.ask('ping'))['op'] == 'pong'
        alice = again
    await send(daemon, (room, 'one'))
    await alice.expect(op='ev', c=room, rev=1)
    await alice.close()


# ---------------------------------------------------------------- how it is written


async def test_many_sessions_are_written_together(daemon, rows):
    """Not one transaction per socket. Rows of one statement have one xmin."""
    room, = await new_rooms(daemon, 1)
    sockets = [await NativeSocket.hello(daemon, f'Guest {number}') for number in range(60)]
    for socket in sockets:
        await socket.send({'op': 'sub', 'id': 'sub', 'c': room, 'rev': 0})
    for socket in sockets:
        await socket.expect(re='sub', op='live')
    await eventually(lambda: rows('select count(*) from resume_points where %s = any(convs)', room) == [(60,)],
                     'all sessions are kept')
    written = rows("select count(distinct xmin::text) from resume_points where %s = any(convs)", room)[0][0]
    assert written <= 20, f'{written} transactions for 60 sessions'
    for socket in sockets:
        await socket.close()


async def test_a_restored_session_is_not_written_again(daemon, rows):
    """A crowd that comes back writes nothing. Seen red with resume_confirmed marking while restoring."""
    room, = await new_rooms(daemon, 1)
    alice = await NativeSocket.hello(daemon, 'Alice')
    await alice.sub(room)
    await until_kept(rows, alice, room)
    session = alice.welcome['session']
    first = rows('select xmin::text from resume_points where session = %s', session)
    await alice.drop()
    async with await come_back(daemon, alice) as again:
        await lives(again, room)
        other, = await new_rooms(daemon, 1)
        async with await NativeSocket.hello(daemon, 'Bob') as bob:
            await bob.sub(other)
            await until_kept(rows, bob, other)  # so whatever was to be written has been
        assert rows('select xmin::text from resume_points where session = %s', session) == first


# ---------------------------------------------------------------- sync


async def sync_all(ask):
    """Pages until there is no more: all events, and how many pages it took."""
    events, pages, cursor = [], 0, None
    while True:
        page, cursor, more = await ask(cursor)
        events += page
        pages += 1
        assert pages < 100, 'pages without end'
        if not more:
            return events, pages, cursor


@pytest.mark.parametrize('limit', [None, 7])
async def test_s3_58_who_was_away_for_a_week_gets_everything(daemon, rows, limit):
    """In order, once, paged. Seen red without advance() in sync.c: the same page for ever."""
    rooms = await new_rooms(daemon, 3)
    alice = await NativeSocket.hello(daemon, 'Alice')
    for room in rooms:
        await alice.sub(room)
    await until_kept(rows, alice, *rooms)
    await alice.close()
    await send(daemon, *[(room, f'{room}/{number}') for number in range(20) for room in rooms])
    rows("update resume_points set updated_at = updated_at - interval '6 days 23 hours' returning 1")
    async with Http(daemon) as http:
        async def ask(cursor):
            status, page, _ = await http.ask('GET', '/api/v1/sync', params={
                'cursor': cursor or alice.welcome['cursor'], **({'limit': limit} if limit else {})})
            assert status == 200, page
            return page['events'], page['cursor'], page['more']
        by_rest, pages, cursor = await sync_all(ask)
        assert (await ask(cursor))[0] == []
    assert pages >= (60 / limit if limit else 1)
    async with await NativeSocket.hello(daemon, 'Alice') as again:
        async def op(cursor):
            answer = await again.ask('sync', cursor=cursor or alice.welcome['cursor'],
                                     **({'limit': limit} if limit else {}))
            assert answer['op'] == 'ok', answer
            return answer['events'], answer['cursor'], answer['more']
        by_socket, _, _ = await sync_all(op)
    for events in (by_rest, by_socket):
        assert len(events) == 60
        for room in rooms:
            assert [(event['rev'], event['d']['content']) for event in events if event['c'] == room] == \
                [(number + 1, f'{room}/{number}') for number in range(20)]
    async with await come_back(daemon, alice) as again:
        await lives(again, *rooms)
        assert {event['rev']: event for event in again.events(rooms[0])} == \
            {event['rev']: event for event in by_rest if event['c'] == rooms[0]}


async def test_sync_needs_a_cursor_of_ones_own(daemon):
    alice = await NativeSocket.hello(daemon, 'Alice')
    bob = await NativeSocket.hello(daemon, 'Bob')
    for cursor, code in ((alice.welcome['cursor'], 'bad_cursor'), ('nonsense', 'bad_cursor'), ('', 'invalid')):
        error = await bob.ask('sync', cursor=cursor)
        assert (error['op'], error['code']) == ('err', code), error
    assert (await bob.ask('sync'))['code'] == 'invalid'
    async with Http(daemon) as http:
        for query, code in (('', 'invalid'), ('?cursor=', 'bad_cursor'), ('?cursor=nonsense', 'bad_cursor'),
                            (f'?cursor={alice.welcome["cursor"]}&limit=0', 'invalid'),
                            (f'?cursor={alice.welcome["cursor"]}&limit=x', 'invalid')):
            status, problem, headers = await http.ask('GET', f'/api/v1/sync{query}')
            assert (status, problem['code']) == (422, code)
            assert headers['Content-Type'].startswith('application/problem+json')
    await alice.close()
    await bob.close()


async def test_sync_goes_on_where_the_page_ended(daemon, rows):
    """What is sent between two pages is in the second, once."""
    room, = await new_rooms(daemon, 1)
    alice = await NativeSocket.hello(daemon, 'Alice')
    await alice.sub(room)
    await send(daemon, *[(room, f'text {number}') for number in range(5)])
    await until_kept(rows, alice, room)
    first = await alice.ask('sync', cursor=alice.welcome['cursor'], limit=3)
    assert first['more'] is True
    await send(daemon, (room, 'late'))
    second = await alice.ask('sync', cursor=first['cursor'], limit=10)
    assert second['more'] is False
    revs = [event['rev'] for answer in (first, second) for event in answer['events']]
    assert revs == [1, 2, 3, 4, 5, 6]
    await alice.close()
