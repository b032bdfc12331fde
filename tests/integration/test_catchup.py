# SPDX-License-Identifier: MIT
"""Catching up (C1, C7, S0-25, S0-53): everything after a position, once, in order, and from where it is cheapest.

Seen red: with the ring switched off (from_ring answers 0 at once) the tests that count database replays fail; with
a subscription that goes live after its first share, as if it were level, the seam loses events; with say_gap that
only moves on, both gap tests get no word of it; with every durable event delivered to all channels of a worker the
bystanders get bytes. A page that runs ahead of the channel, and a flush left out before going live, are shown by the
unit tests of chan.c and deliver.c, where the moment can be chosen.
"""
import asyncio
import re

import aiohttp
import pytest

from roomd_clients import Http, NativeSocket, RoomSocket, Socket, eventually
from roomd_harness import HAS_SANITIZERS, PATIENCE
from roomd_raw import CLOSE, TEXT, Link

DAEMON = {'workers': 3, 'settings': {'presence.scope': 'off'}}
LOTS = 2000 if HAS_SANITIZERS else 10000


async def metric(daemon, pattern):
    """The sum over all workers of the samples whose name and labels match."""
    connector = aiohttp.UnixConnector(path=str(daemon.ops))
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.get('http://ops/metrics') as answer:
            text = await answer.text()
    found = re.findall(rf'^{pattern} (\d+)$', text, re.M)
    assert found, f'no metric {pattern}'
    return sum(map(int, found))


async def replayed(daemon):
    """(from the ring, from the database) so far."""
    return (await metric(daemon, r'roomd_replayed_total\{source="ring"\}'),
            await metric(daemon, r'roomd_replayed_total\{source="database"\}'))


async def new_room(daemon):
    async with Http(daemon) as http:
        return (await http.new_room())['id']


async def talk(socket, room, count, at_once=50):
    """Sends COUNT messages as fast as answers come for those before."""
    for begin in range(0, count, at_once):
        numbers = range(begin, min(begin + at_once, count))
        await socket.send([{'op': 'send', 'id': f's{n}', 'c': room, 'k': f'{socket.welcome["session"]}{n}',
                            'content': f'{n}'} for n in numbers])
        await socket.expect(after=max(0, len(socket.frames) - 10 * at_once), timeout=4 * PATIENCE,
                            re=f's{numbers[-1]}')


async def fill(daemon, room, count):
    async with await NativeSocket.hello(daemon, 'Filler') as filler:
        await filler.sub(room)
        await talk(filler, room, count)


def revs(socket, room):
    return [event['rev'] for event in socket.events(room)]


async def wait_rev(socket, room, rev, timeout=6 * PATIENCE):
    """Waits until event REV has come."""
    def has_come(frames):
        return any(frame.get('rev', 0) >= rev and frame.get('op') == 'ev' for frame in frames[-50:])
    await socket.wait(has_come, f'rev {rev}', timeout)


# ---------------------------------------------------------------- the seam


async def test_s0_25_history_and_live_stream_meet(daemon):
    """Readers join at every stage of 10,000 messages that four people send as fast as they can."""
    room = await new_room(daemon)
    before = await replayed(daemon)
    talkers = [await NativeSocket.hello(daemon, f'Talker {n}', worker=n % 3) for n in range(4)]
    for talker in talkers:
        await talker.sub(room)
    first = await talkers[0].say(room, 'first')
    assert first['message']['rev'] == 1
    tasks = [asyncio.create_task(talk(talker, room, LOTS // 4)) for talker in talkers]
    readers = []
    for stage in range(1, 10):
        await wait_rev(talkers[0], room, stage * LOTS // 10)
        reader = await NativeSocket.hello(daemon, f'Reader {stage}', worker=stage % 3)
        await reader.send({'op': 'sub', 'id': 'sub', 'c': room, 'rev': 1})
        readers.append(reader)
    await asyncio.gather(*tasks)
    last = LOTS + 1
    for stage, reader in enumerate(readers, 1):
        await wait_rev(reader, room, last)
        live = await reader.expect(re='sub')
        assert live['op'] == 'live' and live['rev'] >= stage * LOTS // 10
        assert revs(reader, room) == list(range(2, last + 1)), f'reader of stage {stage}'
    for talker in talkers:
        assert revs(talker, room) == list(range(1 if talker is talkers[0] else 1, last + 1))
    after = await replayed(daemon)
    assert after[1] == before[1], 'a record was in the ring and the database was asked'
    assert after[0] - before[0] >= 4 * LOTS
    for socket in readers + talkers:
        await socket.close()


async def test_c1_after_a_restart_from_the_database(start_daemon):
    daemon = start_daemon(workers=2)
    room = await new_room(daemon)
    await fill(daemon, room, LOTS)
    daemon.restart()
    talker = await NativeSocket.hello(daemon, 'Talker')
    await talker.sub(room)
    task = asyncio.create_task(talk(talker, room, 500))
    readers = [await NativeSocket.hello(daemon, f'Reader {n}', worker=n) for n in range(2)]
    for reader in readers:
        await reader.send({'op': 'sub', 'id': 'sub', 'c': room, 'rev': 1})
    await task
    for reader in readers:
        await wait_rev(reader, room, LOTS + 500)
        await reader.expect(re='sub', op='live')
        assert revs(reader, room) == list(range(2, LOTS + 501))
    assert (await replayed(daemon))[1] >= 2 * (LOTS - 1)
    for socket in readers + [talker]:
        await socket.close()


async def test_c7_a_dead_workers_clients_come_back_without_the_database(daemon):
    """Many come back at once to a worker that knows nothing yet: all they missed is in the ring."""
    room = await new_room(daemon)
    async with await NativeSocket.hello(daemon, 'Alice', worker=1) as alice:
        await alice.sub(room)
        await talk(alice, room, 200)
        before = await replayed(daemon)
        old = daemon.kill_worker(2)
        await asyncio.to_thread(daemon.wait_replaced, 2, old)
        readers = [await NativeSocket.hello(daemon, f'Reader {n}', worker=2) for n in range(30)]
        for reader in readers:
            await reader.send({'op': 'sub', 'id': 'sub', 'c': room, 'rev': 50})
        for reader in readers:
            await reader.expect(re='sub', op='live')
            assert revs(reader, room) == list(range(51, 201))
            await reader.close()
        after = await replayed(daemon)
    assert (after[0] - before[0], after[1] - before[1]) == (30 * 150, 0)


async def test_room_sockets_resume_from_the_ring(daemon):
    room = await new_room(daemon)
    async with await RoomSocket.enter(daemon, room, 'Alice') as alice:
        for n in range(20):
            await alice.say(f'{n}')
        await alice.wait_messages(20)
        before = await replayed(daemon)
        await alice.send({'type': 'resume', 'rev': 5})
        messages = await alice.wait_messages(35)
        assert [message['rev'] for message in messages] == [*range(1, 21), *range(6, 21)]
        after = await replayed(daemon)
        assert (after[0] - before[0], after[1] - before[1]) == (15, 0)


# ---------------------------------------------------------------- gaps


@pytest.fixture
def remove_rows(postgres, start_daemon):
    """Starts a daemon whose room has 60 events, of which the first 40 are gone. Gives (daemon, room)."""
    async def made():
        daemon = start_daemon(workers=2)
        room = await new_room(daemon)
        await fill(daemon, room, 60)
        assert daemon.stop() == 0
        with postgres.connect(daemon.database) as connection:
            gone = connection.execute('delete from events where conversation_id = %s and rev <= 40 '
                                      'returning rev', (room,)).fetchall()
            connection.commit()
        assert len(gone) == 40
        daemon.start()
        return daemon, room
    return made


async def test_c1_gap_names_the_first_revision_there_is(remove_rows):
    daemon, room = await remove_rows()
    async with await NativeSocket.hello(daemon, 'Alice') as alice, \
            await NativeSocket.hello(daemon, 'Bob') as bob:
        gap = await alice.ask('sub', c=room, rev=5)
        assert gap == {'op': 'gap', 're': gap['re'], 'c': room, 'first': 41}
        assert revs(alice, room) == []
        await bob.sub(room)
        await bob.say(room, 'not for Alice: she is not subscribed')
        await bob.expect(op='ev', c=room)
        await alice.ask('ping')
        assert revs(alice, room) == []
        live = await alice.ask('sub', c=room, rev=40)
        assert live['op'] == 'live' and live['rev'] == 61
        assert revs(alice, room) == list(range(41, 62))
        assert await metric(daemon, 'roomd_gaps_total') == 1


async def test_c1_a_room_socket_is_told_of_the_gap_and_goes_on(remove_rows):
    daemon, room = await remove_rows()
    async with await RoomSocket.enter(daemon, room, 'Alice') as alice:
        await alice.send({'type': 'resume', 'rev': 5})
        error = await alice.expect(type='error')
        assert error['code'] == 'gap'
        await alice.say('still here')
        messages = await alice.wait_messages(21)
        assert [message['rev'] for message in messages] == list(range(41, 62))


async def test_a_position_from_the_future_is_level(daemon):
    """A client may have more than this worker has: never anything twice, and no waiting for ever."""
    room = await new_room(daemon)
    await fill(daemon, room, 5)
    async with await NativeSocket.hello(daemon, 'Alice') as alice:
        live = await alice.ask('sub', c=room, rev=5)
        assert live['op'] == 'live' and live['rev'] == 5
        assert revs(alice, room) == []


# ---------------------------------------------------------------- who gets nothing


async def bystander(daemon, path, hello, *fields):
    """A socket whose bytes are counted; everything that belongs to its arrival has been read."""
    while True:  # on Alice's worker: others do not even read what is for her room
        link = await Link.open(daemon)
        answer = await link.upgrade(path, *fields)
        assert answer.status == 101
        if answer['x-roomd-worker'] == '0':
            break
        await link.close()
    for text in hello:
        await link.frame(TEXT, text)
    return link


async def bytes_until_pong(link, ping):
    """How many bytes come up to the answer to PING, and the answer's own size."""
    await link.frame(TEXT, ping)
    total = 0
    while True:
        opcode, payload, _ = await link.next_frame()
        assert opcode != CLOSE
        size = len(payload) + (2 if len(payload) < 126 else 4)
        total += size
        if b'pong' in payload:
            return total, size


@pytest.mark.parametrize('path, hello, ping', [
    ('/ws/chat/{room}', ['{{"username":"Eve"}}'], '{"type":"ping"}'),
    ('/ws', ['{{"op":"hello","id":1,"name":"Eve"}}', '{{"op":"sub","id":2,"c":{room},"rev":0}}'],
     '{"op":"ping","id":3}'),
])
async def test_s0_53_a_socket_in_another_room_gets_no_byte(daemon, path, hello, ping):
    room, other = await new_room(daemon), await new_room(daemon)
    fields = [] if 'chat' in path else ['Sec-WebSocket-Protocol: roomd.v1']
    async with await bystander(daemon, path.format(room=other), [text.format(room=other) for text in hello],
                               *fields) as eve, await NativeSocket.hello(daemon, 'Alice', worker=0) as alice:
        await alice.sub(room)
        await alice.say(room, 'a first one')
        for _ in range(3):  # what belongs to Eve's own arrival
            await bytes_until_pong(eve, ping)
            await alice.ask('ping')

        async def is_quiet():
            total, size = await bytes_until_pong(eve, ping)
            return total == size
        await eventually(is_quiet, 'the bystander is quiet')
        await talk(alice, room, 300)
        await wait_rev(alice, room, 301)
        total, size = await bytes_until_pong(eve, ping)
        assert total == size, f'{total - size} bytes for messages of another room'


async def test_a_socket_is_told_who_types_when_it_comes(daemon):
    room = await new_room(daemon)
    async with await NativeSocket.hello(daemon, 'Alice') as alice:
        await alice.sub(room)
        await alice.ask('typing', c=room, on=True)
        async with await NativeSocket.hello(daemon, 'Bob') as bob:
            await bob.sub(room)
            typing = await bob.expect(op='eph', t='typing')
            assert typing['d']['users'] == [alice.welcome['user']['id']]


async def test_messagepack_sockets_catch_up_too(daemon):
    msgpack = pytest.importorskip('msgpack')
    room = await new_room(daemon)
    await fill(daemon, room, 30)
    link = (await Socket.open(daemon, '/ws', subprotocols=['roomd.v1.msgpack']))
    link.reader.cancel()
    socket = link.link
    assert socket.subprotocol == 'roomd.v1.msgpack'
    await socket.send(msgpack.packb({'op': 'hello', 'id': 1, 'name': 'Max'}))
    await socket.send(msgpack.packb({'op': 'sub', 'id': 2, 'c': room, 'rev': 10}))
    seen = []
    while True:
        frame = msgpack.unpackb(await asyncio.wait_for(socket.recv(), PATIENCE))
        if frame['op'] == 'ev':
            seen.append(frame['rev'])
        if frame.get('re') == 2:
            break
    assert frame['op'] == 'live' and seen == list(range(11, 31))
    await socket.close()
