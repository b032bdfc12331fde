# SPDX-License-Identifier: MIT
"""Power cuts, outages of the database, two nodes on one database, few connections, resets.

Each test brings down what it needs to; the crashes of single processes stand in test_crash.py.
"""
import asyncio
import os
import signal
import socket as sockets
import struct
import uuid

import pytest

from roomd_clients import Http, NativeSocket, RoomSocket, eventually
from roomd_harness import HAS_SANITIZERS, PATIENCE, Daemon, session_of
from roomd_postgres import CLIENTS, Postgres, wait_until
from roomd_talkers import FAST, Talker, check

TEXTS = '''select rev, content from events where conversation_id = %s order by rev'''


@pytest.fixture
def own_postgres():
    """A server that a test may stop; not started yet."""
    server = Postgres(is_durable=True)
    yield server
    server.remove()


@pytest.fixture
def start_beside(own_postgres, request):
    """Starts one daemon on a database of the test's own server."""
    running = []

    def start(wait=True, **options):
        url = own_postgres.url('chat')
        one = Daemon(url, name=f'test_durability.{request.node.name}', **options)
        one.expected_errors.append('database|connect')
        running.append(one)
        return one.start(wait)

    yield start
    for one in running:
        one.close()


def start_postgres(server):
    server.start()
    with server.connect('postgres') as connection:
        if not connection.execute("select from pg_database where datname = 'chat'").fetchone():
            connection.execute('create database chat')


async def new_rooms(daemon, count):
    async with Http(daemon) as http:
        return [(await http.new_room())['id'] for _ in range(count)]


def stored(server, room, database='chat'):
    """[(rev, text)] of a room, from the table itself."""
    with server.connect(database) as connection:
        return connection.execute(TEXTS, (room,)).fetchall()


# ---------------------------------------------------------------- power cut


def cut_power(server, daemon):
    """Ends everything at once, in the midst of whatever it does."""
    leader = daemon.pid
    daemon.was_killed = True
    for pid in session_of(leader):
        os.kill(pid, signal.SIGKILL)
    server.stop(signal.SIGQUIT)
    daemon.process.wait(10)
    wait_until(lambda: not session_of(leader), 20, 'all processes end')


async def test_s3_04_after_a_power_cut_every_acknowledged_message_is_there(own_postgres, start_beside):
    start_postgres(own_postgres)
    one = start_beside(workers=4, settings=dict(FAST, **{'persist.wait_max': '20s'}))
    with own_postgres.connect('chat') as connection:
        assert connection.execute('show fsync').fetchone() == ('on',)
    rooms = await new_rooms(one, 4)
    count, crowds = 150, {}
    for room in rooms:
        crowds[room] = [Talker(one, room, f'user{n}', count) for n in range(3)]
    everybody = [talker for crowd in crowds.values() for talker in crowd]
    total = count * 3

    def has_all(talker):
        return talker.order and talker.order[-1] == total
    tasks = [asyncio.create_task(talker.run(has_all)) for talker in everybody]
    try:
        for part in (0.25, 0.5, 0.75):
            await eventually(lambda: sum(len(each.acked) for each in everybody) > part * total * len(rooms),
                             f'{part} is sent', 4 * PATIENCE)
            await asyncio.to_thread(cut_power, own_postgres, one)
            await asyncio.to_thread(own_postgres.start)
            # roomd is still down: what is there now was there before anybody could send it again
            for room in rooms:
                rows = dict(stored(own_postgres, room))
                for talker in crowds[room]:
                    for rev, text in talker.acked:
                        assert rows.get(rev) == text, f'{text} was acknowledged as {rev} and is lost'
                assert list(rows) == list(range(1, len(rows) + 1))
            await asyncio.to_thread(one.start)
        await asyncio.wait_for(asyncio.gather(*tasks), 6 * PATIENCE)
    finally:
        for task in tasks:
            task.cancel()
    assert all(talker.reconnects >= 3 for talker in everybody)
    for room in rooms:
        async with Http(one) as http:
            history = await http.history(room)
        assert [message['rev'] for message in history] == list(range(1, total + 1))
        assert [message['seq'] for message in history] == list(range(1, total + 1))
        check(crowds[room], history, room)
    one.was_killed = False


# ---------------------------------------------------------------- outage of the database


class Sender:
    """A native socket that sends through an outage without ever connecting again."""

    def __init__(self, socket, room):
        self.socket, self.room = socket, room
        self.sent = {}  # key -> text

    async def send(self, text):
        key = str(uuid.uuid4())
        self.sent[key] = text
        await self.repeat(key)
        return key

    async def repeat(self, key):
        await self.socket.send({'op': 'send', 'id': key, 'c': self.room, 'k': key,
                                'content': self.sent[key]})

    def answers(self, key):
        return self.socket.all(re=key)

    async def answered(self, keys, timeout=PATIENCE):
        await self.socket.wait(lambda frames: set(keys) <= {frame.get('re') for frame in frames},
                               'all answers', timeout)


async def talkative(daemon, room, count):
    senders = []
    for number in range(count):
        socket = await NativeSocket.hello(daemon, f'user{number}', worker=number % 2)
        await socket.sub(room)
        senders.append(Sender(socket, room))
    return senders


async def stop_under_load(server, senders):
    """Stops the database while sends are on their way, 40 of each sender."""
    for number in range(40):
        for index, one in enumerate(senders):
            await one.send(f'{index} before {number}')
        if number == 20:
            for one in senders:
                await one.answered(list(one.sent)[:1])
            stopping = asyncio.create_task(asyncio.to_thread(server.stop, signal.SIGQUIT))
        if number > 20:
            await asyncio.sleep(0)
    await stopping


def is_typing(name, known):
    def found(frames):
        return any(frame.get('t') == 'typing' or (frame.get('type') == 'typing' and
                                                  name in frame['users']) for frame in frames[known:])
    return found


async def test_c20_c3_sends_during_an_outage_are_refused_and_stored_once_when_repeated(
        own_postgres, start_beside):
    start_postgres(own_postgres)
    one = start_beside(settings=dict(FAST, **{'persist.wait_max': '500ms'}))
    room, = await new_rooms(one, 1)
    senders = await talkative(one, room, 6)
    page = await RoomSocket.enter(one, room, 'Page', worker=1)
    await stop_under_load(own_postgres, senders)
    during = []
    for sender in senders:
        during.append(await sender.send('during'))
    page_key = str(uuid.uuid4())
    await page.say('from the page', page_key)
    # every send gets an answer, one only, and none is acknowledged without a commit
    for sender in senders:
        await sender.answered(sender.sent)
        for key in sender.sent:
            answer, = sender.answers(key)
            assert answer['op'] == 'ok' or answer['code'] == 'unavailable' and answer['retry_after'] > 0
    for sender, key in zip(senders, during):
        assert sender.answers(key)[0]['op'] == 'err'
    error = await page.expect(type='error', code='unavailable')
    assert error['retry_after'] > 0
    # what needs no database goes on, between workers and dialects
    known = len(page.frames)
    await senders[0].socket.send({'op': 'typing', 'c': room, 'on': True})
    await page.wait(is_typing('user0', known), 'typing goes on')
    known = len(senders[0].socket.frames)
    await page.send({'type': 'typing', 'is_typing': True})
    await senders[0].socket.wait(is_typing('Page', known), 'typing goes on')
    await asyncio.to_thread(own_postgres.start)

    async def works():
        return (await senders[0].socket.say(room, 'it is back'))['op'] == 'ok'
    await eventually(works, 'sends work again')

    async def works_for_the_page():
        """Its worker has database connections of its own, which may come back later."""
        known = len(page.frames)
        await page.say('from the page', page_key)
        answer = await page.wait(lambda frames: next(
            (frame for frame in frames[known:] if frame.get('client_id') == page_key), None))
        return answer['type'] == 'message'
    await eventually(works_for_the_page, 'sends work again at the other worker')
    # the refused ones again, with their keys
    for sender in senders:
        for key in sender.sent:
            if sender.answers(key)[0]['op'] == 'err':
                await sender.repeat(key)
    for sender in senders:
        for key in sender.sent:
            await sender.socket.wait(lambda _: sender.answers(key)[-1]['op'] == 'ok', 'the second answer')
    rows = stored(own_postgres, room)
    texts = [text for _, text in rows]
    assert [rev for rev, _ in rows] == list(range(1, len(rows) + 1))
    for sender in senders:
        for key, text in sender.sent.items():
            told = sender.answers(key)[-1]['message']
            assert dict(rows)[told['rev']] == text
    for number in range(len(senders)):
        mine = [text for text in texts if text.startswith(f'{number} before')]
        assert len(mine) == len(set(mine)) == 40
    assert texts.count('during') == len(senders)
    assert texts.count('from the page') == 1
    # every socket stayed and saw every row, in order
    for sender in senders:
        await sender.socket.expect(op='ev', rev=len(rows))
        assert [event['rev'] for event in sender.socket.events(room)] == list(range(1, len(rows) + 1))
    await page.expect(type='message', rev=len(rows))
    seen = [frame['rev'] for frame in page.messages()]
    own = next(frame['rev'] for frame in page.messages() if frame.get('client_id') == page_key)
    confirmed_again = seen.index(own) + 1
    seen[confirmed_again:] = [rev for rev in seen[confirmed_again:] if rev != own]  # each repetition by a copy
    assert seen == list(range(1, len(rows) + 1))
    for socket in [page, *(sender.socket for sender in senders)]:
        assert socket.is_open
        await socket.close()


async def test_c20_sends_wait_for_a_database_that_comes_back_in_time(own_postgres, start_beside):
    start_postgres(own_postgres)
    one = start_beside(settings=dict(FAST, **{'persist.wait_max': '60s'}))
    room, = await new_rooms(one, 1)
    senders = await talkative(one, room, 6)
    await stop_under_load(own_postgres, senders)
    for sender in senders:
        await sender.send('during')
    await asyncio.to_thread(own_postgres.start)
    revs = []
    for sender in senders:
        await sender.answered(sender.sent, 2 * PATIENCE)
        for key, text in sender.sent.items():
            answer, = sender.answers(key)
            assert answer['op'] == 'ok', answer
            revs.append((answer['message']['rev'], text))
        # one sender's messages keep their order through the outage
        mine = [sender.answers(key)[0]['message']['rev'] for key in sender.sent]
        assert mine == sorted(mine)
    assert sorted(revs) == stored(own_postgres, room)
    assert [rev for rev, _ in sorted(revs)] == list(range(1, len(senders) * 41 + 1))
    for sender in senders:
        await sender.socket.expect(op='ev', rev=len(revs))
        assert [event['rev'] for event in sender.socket.events(room)] == list(range(1, len(revs) + 1))
        await sender.socket.close()


async def test_c20_it_starts_while_no_database_runs_and_waits(own_postgres, start_beside):
    start_postgres(own_postgres)
    one = start_beside()
    room, = await new_rooms(one, 1)
    assert one.stop() == 0
    own_postgres.stop()
    one.start(wait=False)
    await eventually(lambda: len(one.worker_pids()) == 2, 'it works without the database')
    starting = asyncio.create_task(asyncio.to_thread(own_postgres.start))
    answers = set()

    async def is_back():
        try:
            async with Http(one) as http:
                status, _, headers = await http.ask('GET', '/api/chat/rooms')
        except OSError:
            return False
        answers.add(status)
        assert status == 200 or headers['Retry-After']
        return status == 200
    await eventually(is_back, 'the list of rooms')
    await starting
    assert answers <= {200, 503}
    await asyncio.to_thread(one.wait_ready)
    async with await RoomSocket.enter(one, room, 'Alice') as alice:
        await alice.say('at last')
        await alice.wait_messages(1)


async def test_c18_c20_a_database_that_is_empty_yet_floods_no_log(own_postgres, start_beside):
    """Workers run before the first migration when the database comes late."""
    one = start_beside(wait=False)
    one.expected_errors.append('A query for a request failed')
    one.wait_log('database connection lost')
    await asyncio.to_thread(start_postgres, own_postgres)
    await asyncio.to_thread(one.wait_ready)
    said = [line for line in one.log_lines() if 'schema does not fit' in line.get('text', '')]
    assert len(said) <= 2 * one.workers, 'one line for each connection'
    room, = await new_rooms(one, 1)

    async def entered():
        """The other worker may be in the pause before its next attempt to connect, and says so."""
        try:
            return await RoomSocket.enter(one, room, 'Alice')
        except AssertionError:
            return None

    async with await eventually(entered, 'a worker lets Alice in') as alice:
        await alice.say('at last')
        await alice.wait_messages(1)


def test_c20_it_can_be_stopped_while_it_waits_for_the_database(start_beside):
    one = start_beside(wait=False)
    one.wait_log('database|connect')
    assert one.stop() == 0


# ---------------------------------------------------------------- keys


async def test_c3_a_key_that_stands_for_a_message_elsewhere_is_refused(start_daemon):
    """Keys are the sender's, not the room's: silence or "ok" would hide that nothing is stored."""
    one = start_daemon()
    first, second = await new_rooms(one, 2)
    async with await NativeSocket.hello(one, 'Alice') as alice:
        for room in (first, second):
            await alice.sub(room)
        assert (await alice.say(first, 'here', 'one-key'))['op'] == 'ok'
        refused = await alice.say(second, 'there', 'one-key')
        assert (refused['op'], refused['code']) == ('err', 'conflict')
        # and both in one batch
        key = str(uuid.uuid4())
        await alice.send([{'op': 'send', 'id': f'at {room}', 'c': room, 'k': key, 'content': 'both'}
                          for room in (first, second)])
        answers = [await alice.expect(re=f'at {room}') for room in (first, second)]
        assert sorted(answer['op'] for answer in answers) == ['err', 'ok']
    async with await RoomSocket.enter(one, first, 'Bob') as bob:
        await bob.say('here', 'one-key')
        await bob.expect(type='message', client_id='one-key')
    async with await RoomSocket.enter(one, second, 'Bob') as bob:
        await bob.say('there', 'one-key')
        await bob.expect(type='error', code='conflict')
    async with Http(one) as http:
        said = {'name': 'Carol', 'content': 'text', 'client_msg_id': 'one-key'}
        assert (await http.ask('POST', f'/api/v1/conversations/{first}/messages', said))[0] == 201
        status, problem, _ = await http.ask('POST', f'/api/v1/conversations/{second}/messages', said)
        assert (status, problem['code']) == (409, 'conflict')
        texts = [message['content'] for room in (first, second) for message in await http.history(room)]
    assert sorted(texts) == ['both', 'here', 'here', 'text']


# ---------------------------------------------------------------- two nodes


async def test_s0_29_s1_50_two_nodes_share_users_rooms_and_messages(start_daemon):
    first = start_daemon()
    second = start_daemon(database=first.database)
    assert first.port != second.port
    room, = await new_rooms(first, 1)
    alice = await NativeSocket.hello(first, 'Alice')
    again = await NativeSocket.hello(second, 'Alice')
    assert alice.welcome['user']['id'] == again.welcome['user']['id']
    await alice.sub(room)
    kept = await alice.say(room, 'written at the first', 'key-of-the-first')
    assert kept['op'] == 'ok'
    async with Http(first) as here, Http(second) as there:
        _, listed, _ = await there.ask('GET', '/api/chat/rooms')
        assert room in [one['id'] for one in listed]
        assert await here.history(room) == await there.history(room)
        assert [one['content'] for one in await there.history(room)] == ['written at the first']
    assert (await again.sub(room))['rev'] == 1
    # a retry may come to the other node
    twice = await again.say(room, 'written at the first', 'key-of-the-first')
    assert (twice['op'], twice['message']['rev']) == ('ok', kept['message']['rev'])
    async with await RoomSocket.enter(second, room, 'Bob') as bob:
        await bob.say('written at the second')
        assert (await bob.wait_messages(1))[0]['rev'] == 2
    async with Http(first) as here:
        assert [one['content'] for one in await here.history(room)] == \
            ['written at the first', 'written at the second']
    for socket in (alice, again):
        await socket.close()


async def test_s0_29_c4_two_nodes_write_one_room_at_once(start_daemon):
    """Without a bus a node learns of the other's messages when its own come: the revs show the hole."""
    first = start_daemon()
    second = start_daemon(database=first.database)
    room, = await new_rooms(first, 1)
    watchers = [await NativeSocket.hello(one, 'watcher') for one in (first, second)]
    for watcher in watchers:
        await watcher.sub(room)
    crowd = [Talker(one, room, f'{name}{n}', 50)
             for one, name in ((first, 'first'), (second, 'second')) for n in range(4)]
    await asyncio.wait_for(asyncio.gather(*(talker.run() for talker in crowd)), 4 * PATIENCE)
    for number, watcher in enumerate(watchers):
        assert (await watcher.say(room, f'last at {number}'))['op'] == 'ok'
    for one, watcher in zip((first, second), watchers):
        async with Http(one) as http:
            history = await http.history(room)
        assert len(history) == 402
        assert [message['rev'] for message in history] == list(range(1, 403))
        check([talker for talker in crowd if talker.seen], history, room)
    await watchers[1].expect(op='ev', rev=402)
    assert [event['rev'] for event in watchers[1].events(room)] == list(range(1, 403))
    for watcher in watchers:
        await watcher.close()


async def test_s0_29_a_room_deleted_at_one_node_is_gone_at_the_other(start_daemon):
    first = start_daemon()
    second = start_daemon(database=first.database)
    room, = await new_rooms(first, 1)
    async with Http(first) as here, Http(second) as there:
        assert (await there.ask('GET', f'/api/chat/rooms/{room}'))[0] == 200
        assert (await here.ask('DELETE', f'/api/chat/rooms/{room}'))[0] == 200
        assert (await there.ask('GET', f'/api/chat/rooms/{room}'))[0] == 404
        _, listed, _ = await there.ask('GET', '/api/chat/rooms')
        assert room not in [one['id'] for one in listed]


# ---------------------------------------------------------------- few connections to the database


class Watch:
    """Samples how many connections a database has, from another thread, until the block ends."""

    def __init__(self, server, database):
        self.server, self.database = server, database
        self.highest, self.samples = 0, 0
        self.is_over = False

    def _run(self):
        with self.server.connect('postgres') as connection:
            while not self.is_over:
                now, = connection.execute(CLIENTS, (self.database,)).fetchone()
                self.highest = max(self.highest, now)
                self.samples += 1

    async def __aenter__(self):
        self.task = asyncio.create_task(asyncio.to_thread(self._run))
        return self

    async def __aexit__(self, *_):
        self.is_over = True
        await self.task


async def all_at_once(count, make, most=50):
    """Runs make(0) to make(COUNT - 1), at most MOST of them at a time."""
    gate = asyncio.Semaphore(most)

    async def one(number):
        async with gate:
            return await make(number)
    return await asyncio.gather(*(one(number) for number in range(count)))


async def test_s3_27_s0_36_2000_sockets_use_at_most_20_connections(start_daemon, postgres):
    count, n_rooms = (200, 20) if HAS_SANITIZERS else (2000, 200)
    database = postgres.new_database()
    async with Watch(postgres, database) as watch:
        one = await asyncio.to_thread(lambda: start_daemon(
            database=database, workers=8, settings={'database.max_connections': 20}))
        rooms = await new_rooms(one, n_rooms)

        async def enter(number):
            socket = await NativeSocket.hello(one, f'user {number}')
            await socket.sub(rooms[number % n_rooms])
            return socket
        crowd = await all_at_once(count, enter)
        assert {socket.worker for socket in crowd} == set(range(8))

        async def say(number):
            return await crowd[number].say(rooms[number % n_rooms], f'text of {number}')
        answers = await all_at_once(count, say, most=count)
        assert {answer['op'] for answer in answers} == {'ok'}
        async with Http(one) as http:
            pages = await all_at_once(n_rooms, lambda n: http.messages(rooms[n]))
        for number, page in enumerate(pages):
            assert sorted(message['content'] for message in page) == \
                sorted(f'text of {n}' for n in range(number, count, n_rooms))
    assert watch.samples > 10
    assert 8 <= watch.highest <= 20
    await all_at_once(count, lambda n: crowd[n].drop())
    assert one.stop() == 0
    postgres.drop_database(database)


@pytest.mark.parametrize('workers, most', [(2, 3), (2, 2), (1, 1)])
async def test_s3_27_it_works_with_hardly_any_connections(start_daemon, postgres, workers, most):
    database = postgres.new_database()
    one = await asyncio.to_thread(lambda: start_daemon(
        database=database, workers=workers, settings=dict(FAST, **{'database.max_connections': most})))
    rooms = await new_rooms(one, 5)
    with postgres.connect('postgres') as look:  # a server process ends a while after its client has left
        await eventually(lambda: look.execute(CLIENTS, (database,)).fetchone()[0] <= most,
                         'the process that served the migrations has ended')
    async with Watch(postgres, database) as watch:
        crowd = [Talker(one, rooms[n % 5], f'user{n}', 30) for n in range(20)]
        is_over = asyncio.Event()

        async def read_on():
            async with Http(one) as http:
                while not is_over.is_set():
                    assert (await http.ask('GET', '/api/chat/rooms'))[0] == 200
                    await http.new_room()
        reader = asyncio.create_task(read_on())
        await asyncio.wait_for(asyncio.gather(*(talker.run(lambda t: t.order and t.order[-1] == 120)
                                                for talker in crowd)), 6 * PATIENCE)
        is_over.set()
        await reader
        assert all(talker.reconnects == 0 for talker in crowd)
        async with Http(one) as http:
            for number, room in enumerate(rooms):
                check(crowd[number::5], await http.history(room), room)
    assert workers <= watch.highest <= most
    assert one.stop() == 0
    postgres.drop_database(database)


# ---------------------------------------------------------------- resets


def reset(socket):
    """Ends the connection by RST, even if there is nothing unread."""
    raw = socket.link.transport.get_extra_info('socket')
    raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_LINGER, struct.pack('ii', 1, 0))
    socket.link.transport.abort()


async def test_s1_58_s1_24_resets_in_a_storm_of_broadcasts_leave_nothing_behind(start_daemon):
    one = start_daemon(settings={'presence.grace_lost': '100ms', 'presence.grace_clean': '100ms'})
    room, = await new_rooms(one, 1)
    bob = await RoomSocket.enter(one, room, 'Bob', worker=1)

    async def crowd(prefix):
        simple = [await RoomSocket.enter(one, room, f'{prefix} {n}', worker=n % 2) for n in range(16)]
        native = [await NativeSocket.hello(one, f'{prefix} native {n}', worker=n % 2) for n in range(4)]
        for socket in native:
            await socket.sub(room)
        return simple, native

    async def bob_is_alone():
        async with Http(one) as http:
            _, shown, _ = await http.ask('GET', f'/api/chat/rooms/{room}')
        return shown['users'] == 1
    # first an ordinary coming and going, so that what the daemon keeps for good is there
    simple, native = await crowd('early')
    await bob.say('hello')
    for socket in simple + native:
        await socket.close()
    await eventually(bob_is_alone, 'the early ones are gone')
    before = {slot: one.descriptors(slot) for slot in (0, 1)}

    simple, native = await crowd('user')
    await bob.wait(lambda frames: len([f for f in frames if f.get('type') == 'users_list'][-1]['users']) > 16)
    assert all(one.descriptors(slot) > before[slot] for slot in before)
    for socket in simple[:8] + native[:2]:
        socket.link.transport.pause_reading()  # their buffers are full when they go
    for number in range(1, 401):
        await bob.say('x' * 2000 + str(number))
        if number % 20 == 0 and simple:
            reset(simple.pop())
            if native:
                reset(native.pop())
    while simple:
        reset(simple.pop())
    assert len(await bob.wait_messages(401)) == 401
    await eventually(bob_is_alone, 'nobody is left')

    def is_told(frames):
        left = [frame['username'] for frame in frames if frame.get('event') == 'leave']
        return {f'user {n}' for n in range(16)} <= set(left)
    await bob.wait(is_told, 'all leaves')
    await bob.wait(lambda frames: [f for f in frames if f.get('type') == 'users_list'][-1]['users'] == ['Bob'])
    left = [frame['username'] for frame in bob.all(type='system', event='leave')]
    assert len(left) == len(set(left)), 'a leave was told twice'
    for slot in before:
        await eventually(lambda: one.descriptors(slot) <= before[slot], f'descriptors of worker {slot}')
    await bob.close()
