# SPDX-License-Identifier: MIT
"""GET /api/v1/events: the log of several conversations as an event stream (HTML standard, section 9.2).

Seen red: with the position of one conversation only in the id, the tests that resume several fail; with ids left
out, all that resume; with chan_join called without a position, those of the places read before the stream begins;
with WAIT_PING not renewed, the comment; with deliver.c not asking whether a stream has room, the slow reader.
"""
import asyncio
import itertools
import json
import signal
import socket

import aiohttp
import pytest

from roomd_clients import Http, NativeSocket, RoomSocket, eventually
from roomd_harness import PATIENCE, Daemon
from roomd_postgres import Postgres, wait_until
from roomd_raw import Link
from roomd_stream import Parser, Stream
from roomd_talkers import FAST

DAEMON = {'settings': {**FAST, 'websocket.subscriptions_max': 5, 'websocket.ping_interval': '500ms'}}
EVENTS = '/api/v1/events'


async def new_rooms(daemon, count):
    async with Http(daemon) as http:
        return [(await http.new_room())['id'] for _ in range(count)]


async def say(daemon, room, *texts):
    async with await NativeSocket.hello(daemon, 'Writer') as writer:
        await writer.sub(room)
        for text in texts:
            answer = await writer.say(room, text)
            assert answer['op'] == 'ok', answer


async def ask(daemon, method, target, fields=(), version='1.1'):
    async with await Link.open(daemon) as link:
        await link.request(method, target, fields, version=version)
        return await link.answer(method == 'HEAD')


def is_problem(answer, status, code):
    body = json.loads(answer.body)
    assert (answer.status, body['status'], body['code']) == (status, status, code), body
    assert answer['content-type'] == 'application/problem+json'
    return True


# ---------------------------------------------------------------- the form


async def test_the_head_of_a_stream(daemon):
    room, = await new_rooms(daemon, 1)
    async with await Stream.open(daemon, [room]) as stream:
        assert stream.answer.status == 200
        fields = stream.answer.headers
        assert fields['Content-Type'] == 'text/event-stream'
        assert fields['Cache-Control'] == 'no-store'
        assert fields['X-Accel-Buffering'] == 'no'
        await stream.expect('live', c=room)
        assert stream.last_id, 'a stream can be resumed from its first block on'
        assert 500 <= stream.parser.retry <= 60000


async def test_retry_times_differ(daemon):
    room, = await new_rooms(daemon, 1)
    times = set()
    for _ in range(5):
        async with await Stream.open(daemon, [room]) as stream:
            await stream.expect('live')
            times.add(stream.parser.retry)
    assert len(times) > 1


@pytest.mark.parametrize('version', ['1.0', '1.1'])
async def test_the_bytes_are_the_same_for_both_versions_of_http(daemon, version):
    """Neither chunks nor a length: the end of the connection is the end of the stream."""
    room, = await new_rooms(daemon, 1)
    async with await Link.open(daemon) as link:
        await link.request('GET', f'{EVENTS}?c={room}', version=version)
        head = (await asyncio.wait_for(link.reader.readuntil(b'\r\n\r\n'), PATIENCE)).lower()
        assert head.startswith(b'http/1.1 200 ')
        assert b'transfer-encoding' not in head and b'content-length' not in head
        assert b'connection: close\r\n' in head
        await asyncio.wait_for(link.reader.readuntil(b'event: live\n'), PATIENCE)


async def test_head_tells_what_get_would(daemon):
    room, = await new_rooms(daemon, 1)
    answer = await ask(daemon, 'HEAD', f'{EVENTS}?c={room}')
    assert (answer.status, answer['content-type']) == (200, 'text/event-stream')
    assert (await ask(daemon, 'HEAD', f'{EVENTS}?c=999999')).status == 404
    assert (await ask(daemon, 'POST', f'{EVENTS}?c={room}')).status == 405


async def test_events_are_the_frames_of_the_native_socket(daemon):
    """The same JSON, durable events and ephemeral ones, under their native type."""
    room, = await new_rooms(daemon, 1)
    async with await Stream.open(daemon, [room]) as stream, \
            await NativeSocket.hello(daemon, 'Reader') as reader, \
            await NativeSocket.hello(daemon, 'Writer') as writer:
        await stream.expect('live')
        await reader.sub(room)
        await writer.sub(room)
        await writer.say(room, 'Grüße ☃ "quoted"\nand a second line')
        frame = await reader.expect(op='ev', t='message.new')
        event = await stream.expect('message.new')
        assert event.data == frame
        await writer.ask('typing', c=room, on=True)
        await reader.expect(op='eph', t='typing')
        assert (await stream.expect('typing', op='eph', c=room)).data['d']['names'] == ['Writer']


async def test_silence_is_broken_by_comments(daemon):
    """Also while nothing happens for several intervals: no proxy may think that the stream is dead."""
    room, = await new_rooms(daemon, 1)
    async with await Stream.open(daemon, [room]) as stream:
        await stream.wait(lambda: stream.parser.comments >= 3, '3 comments')
        assert not stream.is_ended


async def test_what_the_client_sends_is_not_looked_at(daemon):
    room, = await new_rooms(daemon, 1)
    async with await Link.open(daemon) as link:
        await link.request('GET', f'{EVENTS}?c={room}')
        await asyncio.wait_for(link.reader.readuntil(b'event: live\n'), PATIENCE)
        await link.send(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n' * 100)
        await say(daemon, room, 'still here')
        text = await asyncio.wait_for(link.reader.readuntil(b'still here'), PATIENCE)
        assert b'HTTP/1.1' not in text


# ---------------------------------------------------------------- refusals


@pytest.mark.parametrize('query', ['', 'c=', 'c=x', 'c=0', 'c=-1', 'c=1.5', 'x=1', 'c=1&cursor=%00', 'c=1&cursor=nonsense',
                                   'c=99999999999999999999', '&'.join(f'c={n}' for n in range(1, 7))])
async def test_a_query_that_means_nothing_is_422(daemon, query):
    assert is_problem(await ask(daemon, 'GET', f'{EVENTS}?{query}'), 422, 'invalid')


async def test_an_id_that_is_none_is_422(daemon):
    room, = await new_rooms(daemon, 1)
    for value in ('nonsense', '!', 'A' * 5000):
        answer = await ask(daemon, 'GET', f'{EVENTS}?c={room}', [f'Last-Event-ID: {value}'])
        assert is_problem(answer, 422, 'invalid')
        assert json.loads(answer.body)['field'] == 'Last-Event-ID'


async def test_the_cursor_of_a_user_is_not_a_watchers(daemon):
    room, = await new_rooms(daemon, 1)
    async with await NativeSocket.hello(daemon, 'Somebody') as one:
        await one.sub(room)
        cursor = one.welcome['cursor']
    assert is_problem(await ask(daemon, 'GET', f'{EVENTS}?c={room}&cursor={cursor}'), 422, 'invalid')


@pytest.mark.parametrize('one', ['999999', 'ffffffff-ffff-4fff-8fff-ffffffffffff'])
async def test_an_unknown_room_is_404(daemon, one):
    room, = await new_rooms(daemon, 1)
    assert is_problem(await ask(daemon, 'GET', f'{EVENTS}?c={one}'), 404, 'no_such_room')
    assert is_problem(await ask(daemon, 'GET', f'{EVENTS}?c={room}&c={one}'), 404, 'no_such_room')


async def test_without_guests_credentials_are_needed(start_daemon):
    one = start_daemon()
    room, = await new_rooms(one, 1)
    one.switch(**{'chat.guests': 'off'})
    assert is_problem(await ask(one, 'GET', f'{EVENTS}?c={room}'), 401, 'unauthorized')


# ---------------------------------------------------------------- watchers


async def test_a_watcher_is_nobody(daemon):
    """In no roster, no count, no presence; and its coming and going is told to nobody."""
    room, = await new_rooms(daemon, 1)
    async with await RoomSocket.enter(daemon, room, 'Alice') as alice:
        async with await Stream.open(daemon, [room]) as stream:
            live = await stream.expect('live')
            assert live.data['members'] == 1
            await alice.say('hello')
            await stream.expect('message.new')
        await alice.say('alone again')
        await alice.wait_messages(2)
        assert all(frame['users'] == ['Alice'] for frame in alice.all(type='users_list'))
        assert not alice.all(type='system')


async def test_a_room_may_be_named_by_its_uuid_and_twice(daemon, rows):
    room, = await new_rooms(daemon, 1)
    uid = str(rows('select uid from conversations where id = %s', room)[0][0])
    async with await Stream.open(daemon, [uid, room, uid]) as stream:
        await stream.expect('live', c=room)
        await say(daemon, room, 'once')
        await say(daemon, room, 'twice')
        await stream.expect('message.new', 2)
        assert stream.contents(room) == ['once', 'twice']
        mark = stream.last_id
    await say(daemon, room, 'thrice')
    async with await Stream.open(daemon, [uid], last_id=mark) as stream:
        await stream.expect('live', c=room)
        assert stream.contents(room) == ['thrice']


async def test_streams_are_counted(daemon):
    room, = await new_rooms(daemon, 1)

    async def gauge(dialect):
        connector = aiohttp.UnixConnector(path=str(daemon.ops))
        async with aiohttp.ClientSession(connector=connector) as session:
            text = await (await session.get('http://ops/metrics')).text()
        return int(text.split(f'roomd_connections{{dialect="{dialect}"}} ')[1].split()[0])

    async def is_counted():
        return await gauge('sse') == 3 and await gauge('http') == 0

    async def is_forgotten():
        return await gauge('sse') == 0 and await gauge('http') == 0
    streams = [await Stream.open(daemon, [room]) for _ in range(3)]
    await eventually(is_counted, '3 streams')
    for stream in streams:
        await stream.close()
    await eventually(is_forgotten, 'no stream')


# ---------------------------------------------------------------- resuming


async def test_c2_without_an_id_a_stream_begins_now(daemon):
    room, = await new_rooms(daemon, 1)
    await say(daemon, room, 'before')
    async with await Stream.open(daemon, [room]) as stream:
        live = await stream.expect('live', c=room)
        assert (live.data['rev'], live.data['seq']) == (1, 1)
        await say(daemon, room, 'after')
        await stream.expect('message.new')
        assert stream.contents(room) == ['after']


async def test_c2_an_id_resumes_all_conversations(daemon):
    """Everything after it once and in order, in every conversation, whichever moved last; then live."""
    rooms = await new_rooms(daemon, 3)
    async with await Stream.open(daemon, rooms) as stream:
        await stream.expect('live', 3)
        await say(daemon, rooms[0], 'a1', 'a2')
        await say(daemon, rooms[1], 'b1')
        await stream.expect('message.new', 3)
        marks = [event.last_id for event in stream.all('message.new')]
    await say(daemon, rooms[2], 'c1', 'c2', 'c3')
    await say(daemon, rooms[0], 'a3')
    wanted = {rooms[0]: ['a1', 'a2', 'a3'], rooms[1]: ['b1'], rooms[2]: ['c1', 'c2', 'c3']}
    for seen, mark in enumerate(marks, 1):  # each id means what had come with it, no more and no less
        async with await Stream.open(daemon, rooms, last_id=mark) as stream:
            await stream.expect('live', 3)
            known = {rooms[0]: min(seen, 2), rooms[1]: max(seen - 2, 0), rooms[2]: 0}
            for room in rooms:
                assert stream.contents(room) == wanted[room][known[room]:]
                live = stream.all('live', c=room)[0]
                assert live.data['rev'] == len(wanted[room])
                after = stream.events[stream.events.index(live):]
                assert not [event for event in after if event.kind == 'message.new' and event.data['c'] == room]


async def test_c2_what_is_missed_before_the_first_event_is_not_lost(daemon):
    """The first block's id is a place already: a stream that breaks before any event loses nothing."""
    rooms = await new_rooms(daemon, 2)
    async with await Stream.open(daemon, rooms) as stream:
        await stream.wait(lambda: stream.last_id, 'an id')
        mark = stream.last_id
    await say(daemon, rooms[0], 'while away')
    async with await Stream.open(daemon, rooms, last_id=mark) as stream:
        await stream.expect('live', 2)
        assert stream.contents(rooms[0]) == ['while away']


async def test_c2_the_id_of_the_field_wins_over_the_query(daemon):
    """A browser that comes back sends the address that it was given and the newer place."""
    room, = await new_rooms(daemon, 1)
    async with await Stream.open(daemon, [room]) as stream:
        await stream.wait(lambda: stream.last_id, 'an id')
        first = stream.last_id
        await stream.expect('live')
        await say(daemon, room, 'one', 'two')
        await stream.expect('message.new', 2)
        second = stream.all('message.new')[0].last_id
    async with await Stream.open(daemon, [room], query=f'cursor={first}') as stream:
        await stream.expect('live')
        assert stream.contents(room) == ['one', 'two']
    async with await Stream.open(daemon, [room], last_id=second, query=f'cursor={first}') as stream:
        await stream.expect('live')
        assert stream.contents(room) == ['two']
    async with await Stream.open(daemon, [], query=f'cursor={first}') as stream:
        await stream.expect('live')
        assert stream.contents(room) == ['one', 'two'], 'a cursor names its conversations, too'


async def test_c2_an_id_is_good_at_every_worker_and_after_kill_and_restart(start_daemon):
    one = start_daemon(settings=FAST)
    one.expected_errors.append('worker died')
    rooms = await new_rooms(one, 2)
    async with await Stream.open(one, rooms, worker=0) as stream:
        await stream.expect('live', 2)
        await say(one, rooms[0], 'first')
        await stream.expect('message.new')
        mark = stream.last_id
        await say(one, rooms[1], 'second')
        old = one.kill_worker(0)
        await stream.ended()
    one.wait_replaced(0, old)
    for prepare in (lambda: None, one.restart):
        prepare()
        for worker in (0, 1):
            async with await Stream.open(one, rooms, last_id=mark, worker=worker) as stream:
                await stream.expect('live', 2)
                assert (stream.contents(rooms[0]), stream.contents(rooms[1])) == ([], ['second'])


async def test_a_deleted_room_ends_its_stream(daemon):
    """The event of the closing comes first; whoever comes back is told that there is nothing, and stays away."""
    keep, gone = await new_rooms(daemon, 2)
    async with Http(daemon) as http, await Stream.open(daemon, [gone]) as stream, \
            await Stream.open(daemon, [keep, gone]) as both:
        await stream.expect('live')
        await both.expect('live', 2)
        mark, mark_both = stream.last_id, both.last_id
        assert (await http.ask('DELETE', f'/api/chat/rooms/{gone}'))[0] == 200
        await stream.expect('conversation.close', c=gone)
        await both.expect('conversation.close', c=gone)
        await stream.ended()
        await say(daemon, keep, 'goes on')
        await both.expect('message.new', c=keep)
    answer = await ask(daemon, 'GET', f'{EVENTS}?c={gone}', [f'Last-Event-ID: {mark}'])
    assert is_problem(answer, 404, 'no_such_room')
    async with await Stream.open(daemon, [keep, gone], last_id=mark_both) as both:
        await both.expect('err', code='no_such_room', c=gone)
        await both.expect('live', c=keep)
        assert both.contents(keep) == ['goes on']


async def test_c1_what_is_gone_is_said(start_daemon, postgres):
    """A gap tells where the log begins now, and everything from there on follows."""
    one = start_daemon()
    room, = await new_rooms(one, 1)
    async with await Stream.open(one, [room]) as stream:
        await stream.expect('live')
        await say(one, room, *[f'm{n}' for n in range(1, 11)])
        await stream.expect('message.new', 10)
        marks = [event.last_id for event in stream.all('message.new')]
    assert one.stop() == 0  # the ring still has them
    with postgres.connect(one.database) as connection:
        connection.execute('delete from events where conversation_id = %s and rev <= 4', (room,))
    one.start()
    async with await Stream.open(one, [room], last_id=marks[1]) as stream:
        await stream.expect('live')
        assert [event.kind for event in stream.events if event.kind in ('gap', 'message.new', 'live')] == \
            ['gap'] + ['message.new'] * 6 + ['live']
        assert stream.all('gap')[0].data == {'op': 'gap', 'c': room, 'first': 5}
        assert stream.contents(room) == [f'm{n}' for n in range(5, 11)]
        mark = stream.all('gap')[0].last_id
    async with await Stream.open(one, [room], last_id=mark) as stream:
        await stream.expect('live')
        assert not stream.all('gap'), 'a gap is said once'
        assert stream.contents(room) == [f'm{n}' for n in range(5, 11)]


async def test_c1_a_log_that_became_shorter_is_a_gap(start_daemon, postgres):
    """A database from a backup: the reader has seen what never happened now."""
    one = start_daemon()
    room, = await new_rooms(one, 1)
    async with await Stream.open(one, [room]) as stream:
        await stream.expect('live')
        await say(one, room, *[f'm{n}' for n in range(1, 7)])
        await stream.expect('message.new', 6)
        mark = stream.last_id
    assert one.stop() == 0
    with postgres.connect(one.database) as connection:
        connection.execute('delete from events where conversation_id = %s and rev > 3', (room,))
    one.start()
    async with await Stream.open(one, [room], last_id=mark) as stream:
        await stream.expect('live', rev=3)
        assert stream.all('gap')[0].data['first'] == 4
        await say(one, room, 'new life')
        await stream.expect('message.new', rev=4)


# ---------------------------------------------------------------- traffic, kills, slow readers


class Reader:
    """Reads as EventSource does, for ever: comes back with the last id whenever the stream ends."""

    def __init__(self, daemon, rooms):
        self.daemon, self.rooms = daemon, rooms
        self.last_id, self.seen, self.streams = '', {room: [] for room in rooms}, 0
        self.is_open = asyncio.Event()

    async def run(self):
        while True:
            try:
                stream = await Stream.open(self.daemon, self.rooms, last_id=self.last_id)
            except (OSError, aiohttp.ClientError):
                await asyncio.sleep(0.02)
                continue
            if stream.answer.status != 200:
                await stream.close()
                await asyncio.sleep(0.02)
                continue
            self.streams += 1
            try:
                await stream.wait(lambda: stream.last_id, 'an id')
                self.is_open.set()
                await stream.reader
            except AssertionError:
                pass
            finally:
                for event in stream.all('message.new'):
                    self.seen[event.data['c']].append((event.data['rev'], event.data['d']['content']))
                assert not stream.all('gap')
                self.last_id = stream.last_id
                await stream.close()


async def talk(daemon, room, name, count, acked):
    """Sends each text until it is acknowledged, under the same key."""
    for n in range(count):
        key = f'{name}-{room}-{n}'
        while True:
            try:
                async with Http(daemon) as http:
                    status, body, _ = await http.ask(
                        'POST', f'/api/v1/conversations/{room}/messages',
                        {'name': name, 'content': f'{name}:{n}', 'client_msg_id': key})
                if status in (200, 201):
                    acked.append((room, f'{name}:{n}'))
                    break
                assert status in (429, 500, 503), body
            except (OSError, aiohttp.ClientError, asyncio.TimeoutError):
                pass
            await asyncio.sleep(0.02)


async def read_through(daemon, disturb, count=60):
    """Readers of two rooms while two people talk in them and DISTURB runs; each must see each log exactly."""
    rooms = await new_rooms(daemon, 2)
    readers = [Reader(daemon, rooms) for _ in range(6)]
    tasks = [asyncio.create_task(reader.run()) for reader in readers]
    acked = []
    try:
        await asyncio.gather(*(reader.is_open.wait() for reader in readers))
        talking = asyncio.gather(*(talk(daemon, room, f'talker{n}', count, acked)
                                   for n, room in itertools.product(range(2), rooms)))
        await disturb(talking)
        await asyncio.wait_for(talking, 6 * PATIENCE)
        # the last look: everybody comes back once more and is level
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for reader in readers:
            async with await Stream.open(daemon, rooms, last_id=reader.last_id) as stream:
                await stream.expect('live', 2)
                for event in stream.all('message.new'):
                    reader.seen[event.data['c']].append((event.data['rev'], event.data['d']['content']))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    async with Http(daemon) as http:
        logs = {room: await http.history(room) for room in rooms}
    for room, log in logs.items():
        stored = [(message['rev'], message['content']) for message in log]
        assert [rev for rev, _ in stored] == list(range(1, len(stored) + 1))
        assert sorted(text for _, text in stored) == sorted(text for where, text in acked if where == room)
        for reader in readers:
            assert reader.seen[room] == stored, f'after {reader.streams} streams'
    return readers


async def test_c1_streams_are_exact_while_workers_are_killed(start_daemon):
    one = start_daemon(settings=FAST)
    one.expected_errors.append('worker died')

    async def kill(talking):
        for slot in itertools.cycle((0, 1)):
            if talking.done():
                return
            old = one.worker_pids().get(slot)
            if old:
                one.kill_worker(slot)
                await asyncio.to_thread(one.wait_replaced, slot, old)
            await asyncio.sleep(0.2)
    readers = await read_through(one, kill)
    assert sum(reader.streams for reader in readers) > 2 * len(readers), 'streams were cut'


async def test_c1_streams_are_exact_through_restarts(start_daemon):
    """Each is told to go away and when to come back, and comes back to another daemon on the same database."""
    one = start_daemon(settings=FAST)

    async def restart(talking):
        for _ in range(3):
            await asyncio.to_thread(one.restart)
    await read_through(one, restart, count=30)


async def test_a_stop_says_goodbye(start_daemon):
    one = start_daemon()
    room, = await new_rooms(one, 1)
    async with await Stream.open(one, [room]) as stream:
        await stream.expect('live')
        one.process.send_signal(signal.SIGTERM)
        event = await stream.expect('goaway')
        assert event.data['op'] == 'goaway' and event.data['in'] >= 0 and event.data['reason'] == 'restart'
        assert abs(stream.parser.retry - 1000 * event.data['in']) <= 1000, 'EventSource knows only retry'
        assert event.last_id
        await stream.ended()
    assert await asyncio.to_thread(one.process.wait, PATIENCE) == 0


async def test_c14_a_slow_reader_misses_nothing_and_costs_a_bound(start_daemon):
    """It stops reading; the rest of the room goes on; what it did not get it gets by its last id."""
    one = start_daemon(workers=1, settings={'deliver.queue_max': '64k', 'websocket.ping_interval': '60s'})
    room, = await new_rooms(one, 1)
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # afterwards it would be served by the system's timers
    link.connect(('127.0.0.1', one.port))
    link.sendall(f'GET {EVENTS}?c={room} HTTP/1.1\r\nHost: x\r\n\r\n'.encode())
    async with await Stream.open(one, [room]) as quick:
        await quick.expect('live')
        # more than both systems' buffers and the bound hold together
        texts = [f'{n}:' + 'x' * 8000 for n in range(150)]
        async with await NativeSocket.hello(one, 'Writer') as writer:
            await writer.sub(room)
            for n in range(0, len(texts), 50):
                await asyncio.gather(*(writer.say(room, text) for text in texts[n:n + 50]))
        await quick.expect('message.new', len(texts))
        rss = int(open(f'/proc/{one.worker_pids()[0]}/status', encoding='ascii').read()
                  .split('VmRSS:')[1].split()[0])
    parser = Parser()
    data, last = b'', f'"{texts[-1]}"'.encode()

    def read_all():
        nonlocal data
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # now it is in a hurry
        link.settimeout(2)
        try:
            while (chunk := link.recv(65536)) and last not in data:
                data += chunk
        except TimeoutError:
            pass
    await asyncio.to_thread(read_all)
    link.close()
    parser.feed(data.partition(b'\r\n\r\n')[2].decode(errors='ignore'))
    events = [event for event in parser.events if event.kind == 'message.new']
    async with await Stream.open(one, [room], last_id=parser.last_id) as rest:
        await rest.expect('live')
        seen = [event.data['rev'] for event in events] + [event.data['rev'] for event in rest.all('message.new')]
    assert seen == list(range(1, len(texts) + 1))
    assert rss < 200 * 1024, 'what the reader did not take was not kept'


# ---------------------------------------------------------------- the database is away


async def test_c20_a_reader_that_comes_back_is_not_turned_away_for_good(tmp_path):
    """EventSource gives up at anything but a stream: so it gets one, which ends and says when to come again."""
    server = Postgres()
    server.start()
    one = Daemon(server.url(server.new_database()), name='test_sse.away',
                 settings={'persist.wait_max': '500ms'})
    one.expected_errors.append('database|schema')
    try:
        one.start()
        room, = await new_rooms(one, 1)
        async with await Stream.open(one, [room]) as stream:
            await stream.expect('live')
            await say(one, room, 'kept')
            mark = stream.last_id
            await asyncio.to_thread(server.stop)
            assert not stream.is_ended, 'streams outlive the database'
            first = await ask(one, 'GET', f'{EVENTS}?c={room}')
            assert is_problem(first, 503, 'unavailable') and int(first['retry-after']) > 0
            again = await ask(one, 'GET', f'{EVENTS}?c={room}', [f'Last-Event-ID: {mark}'])
            assert (again.status, again['content-type']) == (200, 'text/event-stream')
            assert again.body.startswith(b'retry: ') and b'data' not in again.body
            await asyncio.to_thread(server.start)
            await asyncio.to_thread(wait_until, one.answers, PATIENCE, 'the database is back')

            async def said():
                """The worker that is asked may still be in the pause before its next attempt."""
                try:
                    await say(one, room, 'again')
                except AssertionError:
                    return False
                return True

            await eventually(said, 'a send is taken')
            await stream.expect('message.new', 2)
            assert stream.contents(room) == ['kept', 'again']
    finally:
        server.remove()
        one.close()
