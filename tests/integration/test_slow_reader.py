# SPDX-License-Identifier: MIT
"""Slow readers (C14): what they cost is bounded, nobody waits for them, and they lose nothing that lasts.

The reader is a plain socket with a small receive buffer that is simply not read. Seen red: without a bound
(events_max answers SIZE_MAX) nobody falls behind; with the position taken from the channel instead of what was
flushed, messages are missing after "behind"; with ephemeral events queued whatever is in the queue, none is dropped;
with conn_check_slow left out nobody is closed; without deliver_make_good the last typing set never comes.
"""
import asyncio
import json
import re
import socket as sockets
from pathlib import Path

from roomd_clients import Http, NativeSocket, RoomSocket, eventually
from roomd_harness import HAS_SANITIZERS, PATIENCE
from roomd_raw import CLOSE, PING, PONG, TEXT, Link
from test_catchup import metric, new_room

KB = 1024
DAEMON = {'workers': 2, 'settings': {'presence.scope': 'off', 'deliver.queue_max': 512 * KB,
                                     'deliver.shed_at': 128 * KB}}
BIG = 'x' * 8000
NATIVE = 'Sec-WebSocket-Protocol: roomd.v1'


class Reader:
    """A client that reads when it is told to. Frames are remembered."""

    def __init__(self, link):
        self.link, self.frames, self.code = link, [], None

    @classmethod
    async def open(cls, daemon, path, *fields, worker=0):
        for _ in range(200):
            plain = sockets.socket()
            plain.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 64 * KB)
            plain.setblocking(False)
            await asyncio.get_running_loop().sock_connect(plain, ('127.0.0.1', daemon.port))
            link = Link(*await asyncio.open_connection(sock=plain, limit=16 * KB))
            answer = await link.upgrade(path, *fields)
            assert answer.status == 101
            if answer['x-roomd-worker'] == str(worker):
                return cls(link)
            await link.close()
        raise AssertionError(f'no connection reached worker {worker}')

    @classmethod
    async def native(cls, daemon, room, name, rev=0, **more):
        self = await cls.open(daemon, '/ws', NATIVE, **more)
        await self.say({'op': 'hello', 'id': 1, 'name': name})
        await self.say({'op': 'sub', 'id': 2, 'c': room, 'rev': rev})
        await self.read_until(lambda frame: frame.get('re') == 2 and frame['op'] == 'live')
        return self

    @classmethod
    async def raw(cls, daemon, room, name, **more):
        self = await cls.open(daemon, f'/ws/chat/{room}', **more)
        await self.say({'username': name})
        await self.read_until(lambda frame: frame.get('type') == 'users_list' and name in frame['users'])
        return self

    async def say(self, frame):
        await self.link.frame(TEXT, json.dumps(frame))

    def stop(self):
        self.link.writer.transport.pause_reading()

    def go(self):
        self.link.writer.transport.resume_reading()

    async def next(self, timeout=PATIENCE):
        """The next frame as a dictionary; None at the end, when self.code tells how it came."""
        try:
            opcode, payload, _ = await self.link.next_frame(timeout)
        except (asyncio.IncompleteReadError, ConnectionResetError):
            return None
        if opcode == CLOSE:
            self.code = int.from_bytes(payload[:2], 'big')
            return None
        if opcode == PING:
            await self.link.frame(PONG, payload)
            return await self.next(timeout)
        frame = json.loads(payload)
        self.frames.append(frame)
        return frame

    async def read_until(self, condition, timeout=4 * PATIENCE):
        """Reads frames up to one for which CONDITION holds; returns it."""
        async def read():
            while True:
                frame = await self.next(timeout)
                assert frame is not None, f'closed ({self.code}): {str(self.frames[-3:])[:500]}'
                if condition(frame):
                    return frame
        return await asyncio.wait_for(read(), timeout)

    async def read_to_the_end(self):
        while await self.next():
            pass

    def revs(self):
        return [frame['rev'] for frame in self.frames
                if frame.get('op') == 'ev' or frame.get('type') == 'message']

    async def close(self):
        await self.link.close()


def private_bytes(pid):
    """Memory of a process that it shares with nobody."""
    text = Path(f'/proc/{pid}/status').read_text()
    return int(re.search(r'RssAnon:\s+(\d+) kB', text)[1]) * KB


async def talk(sender, room, count, at_once=20, content=BIG):
    """Sends COUNT messages; every part must be acknowledged in time, whoever does not read."""
    for begin in range(0, count, at_once):
        last = min(at_once, count - begin) - 1
        for n in range(last + 1):
            await sender.send({'op': 'send', 'id': f'{begin}-{n}', 'c': room, 'content': content})
        await sender.expect(re=f'{begin}-{last}')
        sender.frames.clear()


async def fall_behind(daemon, sender, room):
    """Talks until somebody is behind; returns the number of messages."""
    before, sent = await metric(daemon, 'roomd_behind_total'), 0
    while await metric(daemon, 'roomd_behind_total') == before:
        await talk(sender, room, 20)
        sent += 20
        assert sent * len(BIG) < 64 * KB * KB, 'nobody fell behind'
    return sent


class Watch:
    """Somebody who reads everything at once, and how far it has come."""

    def __init__(self, socket, room):
        self.socket, self.room, self.last = socket, room, 0

    async def upto(self, rev):
        def has_come(frames):
            for frame in frames:
                if frame.get('op') == 'ev' and frame['c'] == self.room:
                    assert frame['rev'] == self.last + 1
                    self.last += 1
            frames.clear()
            return self.last >= rev
        await self.socket.wait(has_come, f'rev {rev}')


async def test_c14_a_slow_reader_is_left_out_and_comes_back(daemon):
    room = await new_room(daemon)
    pid = daemon.worker_pids()[0]
    async with await NativeSocket.hello(daemon, 'Alice', worker=1) as alice, \
            await NativeSocket.hello(daemon, 'Fred', worker=0) as fred:
        await alice.sub(room)
        await fred.sub(room)
        watch = Watch(fred, room)
        slow = await Reader.native(daemon, room, 'Sloth')
        slow.stop()
        sent = await fall_behind(daemon, alice, room)
        await watch.upto(sent)
        full = private_bytes(pid)
        more = 200 if HAS_SANITIZERS else 2500  # 20 MB that are not kept for anybody
        await talk(alice, room, more, at_once=50)
        sent += more
        await watch.upto(sent)  # the others have everything at once
        assert HAS_SANITIZERS or private_bytes(pid) - full < 4 * KB * KB
        slow.go()
        await slow.read_until(lambda frame: frame.get('op') == 'ev' and frame['rev'] == sent)
        await slow.read_until(lambda frame: frame['op'] == 'live')
        assert slow.revs() == list(range(1, sent + 1))
        behind = next(frame for frame in slow.frames if frame['op'] == 'behind')
        place = slow.frames.index(behind)
        assert behind['c'] == room and behind['rev'] == slow.revs()[:place - 1][-1] or behind['rev'] < sent
        assert max((frame['rev'] for frame in slow.frames[:place] if frame['op'] == 'ev')) == behind['rev']
        await talk(alice, room, 5)  # and it is live again
        await slow.read_until(lambda frame: frame.get('op') == 'ev' and frame['rev'] == sent + 5)
        assert slow.revs() == list(range(1, sent + 6))
        await slow.close()


async def test_c14_a_slow_room_socket_comes_back_without_a_word(daemon):
    room = await new_room(daemon)
    async with await NativeSocket.hello(daemon, 'Alice', worker=1) as alice:
        await alice.sub(room)
        slow = await Reader.raw(daemon, room, 'Sloth')
        slow.stop()
        sent = await fall_behind(daemon, alice, room)
        await talk(alice, room, 100)
        sent += 100
        async with await RoomSocket.enter(daemon, room, 'Newcomer', worker=0):
            slow.go()
            await slow.read_until(lambda frame: frame.get('rev') == sent)
            users = await slow.read_until(lambda frame: frame['type'] == 'users_list')
        assert set(users['users']) == {'Alice', 'Sloth', 'Newcomer'}
        assert slow.revs() == list(range(1, sent + 1))
        assert {frame['type'] for frame in slow.frames} <= {'connected', 'users_list', 'message', 'system',
                                                            'typing'}
        await slow.close()


async def test_c14_who_never_reads_is_closed_and_misses_nothing_after_resuming(start_daemon):
    daemon = start_daemon(workers=2, settings=dict(DAEMON['settings'], **{
        'deliver.behind_timeout': '1s', 'websocket.close_timeout': '60s'}))
    room = await new_room(daemon)
    async with await NativeSocket.hello(daemon, 'Alice', worker=1) as alice:
        await alice.sub(room)
        slow = await Reader.native(daemon, room, 'Sloth')
        slow.stop()
        sent = await fall_behind(daemon, alice, room)

        async def is_closed():
            return await metric(daemon, 'roomd_closed_slow_total') == 1
        await eventually(is_closed, 'the reader is closed')
        await talk(alice, room, 50)
        sent += 50
        slow.go()
        await slow.read_to_the_end()
        assert slow.code == 4480
        got = slow.revs()
        assert got == list(range(1, len(got) + 1)) and len(got) < sent
        await slow.close()
        again = await Reader.native(daemon, room, 'Sloth', rev=got[-1])
        assert got + again.revs() == list(range(1, sent + 1))
        await again.close()
    lines = [line for line in daemon.log_lines() if 'did not keep up' in line.get('text', '')]
    assert len(lines) == 1


def system_holds(daemon, reader):
    """Bytes that the system has taken from the daemon for a client and that the client's system has not."""
    ends = [f'0100007F:{port:04X}' for port in (daemon.port, reader.link.writer.get_extra_info('sockname')[1])]
    for line in Path('/proc/net/tcp').read_text().splitlines():
        fields = line.split()
        if fields[1:3] == ends:
            return int(fields[4].split(':')[0], 16)
    raise AssertionError('no such connection')


async def test_c14_the_system_holds_little_of_it(daemon):
    """Else it would take 4 MB for each, and an answer would wait behind them. Red without TCP_NOTSENT_LOWAT."""
    room = await new_room(daemon)
    async with await NativeSocket.hello(daemon, 'Alice', worker=1) as alice:
        await alice.sub(room)
        slow = await Reader.native(daemon, room, 'Sloth')
        slow.stop()
        sent = await fall_behind(daemon, alice, room)
        assert 64 * KB < system_holds(daemon, slow) < 256 * KB
        slow.go()
        await slow.read_until(lambda frame: frame.get('rev') == sent and frame.get('op') == 'ev')
        assert slow.revs() == list(range(1, sent + 1))
        await slow.close()


async def test_c14_ephemeral_events_go_first(start_daemon):
    daemon = start_daemon(workers=2, settings=dict(DAEMON['settings'], **{'deliver.queue_max': '16M'}))
    room = await new_room(daemon)
    async with await NativeSocket.hello(daemon, 'Alice', worker=1) as alice, \
            await NativeSocket.hello(daemon, 'Fred', worker=0) as fred:
        await alice.sub(room)
        await fred.sub(room)
        watch = Watch(fred, room)
        slow = await Reader.native(daemon, room, 'Sloth')
        slow.stop()
        sent, behind = 0, await metric(daemon, 'roomd_behind_total')
        before = await metric(daemon, 'roomd_deliveries_dropped_total')
        while await metric(daemon, 'roomd_deliveries_dropped_total') == before:
            await talk(alice, room, 5)
            sent += 5
            await watch.upto(sent)  # the slow one's worker is not behind itself
            await alice.ask('typing', c=room, on=sent % 10 == 5)
            alice.frames.clear()
            assert await metric(daemon, 'roomd_behind_total') == behind, 'behind, and nothing was dropped'
        for n in range(50):  # none of these is queued; the last one is true
            await alice.ask('typing', c=room, on=n % 2 == 1)
            alice.frames.clear()
        assert await metric(daemon, 'roomd_behind_total') == behind
        mark = len(slow.frames)
        slow.go()
        await slow.read_until(lambda frame: frame.get('op') == 'ev' and frame['rev'] == sent)
        user = alice.welcome['user']['id']
        await slow.read_until(lambda frame: frame.get('t') == 'typing' and user in frame['d']['users'])
        typing = [frame for frame in slow.frames[mark:] if frame.get('t') == 'typing']
        assert len(typing) < 50
        assert slow.revs() == list(range(1, sent + 1))
        await slow.close()


async def test_c14_who_asks_and_does_not_read_waits(start_daemon):
    """4,000 answers, 18 MB, to one who reads none at first: what it asks stays in its own socket, and others are served
    meanwhile. Seen red without the look at conn_queued in conn_takes_more: it is closed."""
    daemon = start_daemon(workers=1, settings=dict(DAEMON['settings'], **{'presence.scope': 'all'}))
    room, pid = await new_room(daemon), daemon.worker_pids()[0]
    asker = await Reader.native(daemon, room, 'Asker')
    before, commands = private_bytes(pid), await metric(daemon, 'roomd_commands_total')

    async def ask():
        for first in range(1000, 5000, 10):
            await asker.say([{'op': 'presence', 'id': number, 'users': list(range(9000, 9200))}
                             for number in range(first, first + 10)])

    asker.stop()
    asking = asyncio.create_task(ask())
    async with await NativeSocket.hello(daemon, 'Other', 0) as other:
        await other.sub(room)
        for number in range(20):
            assert (await other.say(room, f'text {number}'))['op'] == 'ok'
    assert HAS_SANITIZERS or private_bytes(pid) - before < 4 * KB * KB
    assert await metric(daemon, 'roomd_commands_total') - commands < 3500
    asker.go()
    for number in range(1000, 5000):
        await asker.read_until(lambda frame, number=number: frame.get('re') == number)
    await asking
    assert await metric(daemon, 'roomd_closed_slow_total') == 0
    await asker.close()
