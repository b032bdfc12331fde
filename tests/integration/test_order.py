# SPDX-License-Identifier: MIT
"""One order for everybody, over eight workers, in both dialects: guarantee C4.

Seen red: when early revisions are delivered as they come instead of held back, both crowds miss what came late.
"""
import asyncio
import uuid

from roomd_clients import Http, NativeSocket, RoomSocket

DAEMON = {'workers': 8}
SOCKETS, MESSAGES = 50, 1000


async def new_room(daemon):
    async with Http(daemon) as http:
        return (await http.new_room())['id']


def stream(socket, room):
    """What one socket saw: (rev, seq, content) in order of arrival."""
    if isinstance(socket, RoomSocket):
        return [(frame['rev'], frame['seq'], frame['content']) for frame in socket.messages()]
    return [(event['rev'], event['d']['seq'], event['d']['content']) for event in socket.events(room)]


async def open_all(daemon, room):
    """Sockets of both dialects, spread over all workers."""
    async def one(number):
        worker = number % 8
        if number % 2:
            return await RoomSocket.enter(daemon, room, f'user {number}', worker)
        socket = await NativeSocket.hello(daemon, f'user {number}', worker)
        await socket.sub(room)
        return socket
    return await asyncio.gather(*(one(number) for number in range(SOCKETS)))


async def test_s0_03_c4_1000_messages_by_50_sockets_over_8_workers(daemon):
    room = await new_room(daemon)
    sockets = await open_all(daemon, room)
    assert {socket.worker for socket in sockets} == set(range(8))

    async def talk(number, socket):
        for turn in range(MESSAGES // SOCKETS):
            text = f'{number}:{turn}'
            if isinstance(socket, RoomSocket):
                await socket.say(text)
            else:
                await socket.send({'op': 'send', 'id': turn + 100, 'c': room, 'k': str(uuid.uuid4()),
                                   'content': text})
            await asyncio.sleep(0)
    await asyncio.gather(*(talk(number, socket) for number, socket in enumerate(sockets)))
    await asyncio.gather(*(socket.wait(lambda _, s=socket: len(stream(s, room)) >= MESSAGES)
                           for socket in sockets))
    first = stream(sockets[0], room)
    assert [rev for rev, _, _ in first] == list(range(1, MESSAGES + 1))
    assert [seq for _, seq, _ in first] == list(range(1, MESSAGES + 1))
    for socket in sockets[1:]:
        assert stream(socket, room) == first
    for number in range(SOCKETS):  # each sender's messages keep the order in which they were sent
        mine = [text for _, _, text in first if text.startswith(f'{number}:')]
        assert mine == [f'{number}:{turn}' for turn in range(MESSAGES // SOCKETS)]
    async with Http(daemon) as http:
        assert [one['content'] for one in await http.history(room)] == [text for _, _, text in first]
    await asyncio.gather(*(socket.close() for socket in sockets))


async def test_c4_many_rooms_at_once_stay_apart(daemon):
    rooms = [await new_room(daemon) for _ in range(20)]
    talkers = [await NativeSocket.hello(daemon, f'talker {n}', n % 8) for n in range(8)]
    for talker in talkers:
        for room in rooms:
            await talker.sub(room)

    async def talk(talker, number):
        for turn in range(100):
            room = rooms[(turn * 7 + number) % len(rooms)]
            await talker.send({'op': 'send', 'id': turn + 1000, 'c': room, 'k': str(uuid.uuid4()),
                               'content': f'{room} {number}:{turn}'})
    await asyncio.gather(*(talk(talker, number) for number, talker in enumerate(talkers)))
    total = 100 * len(talkers)
    await asyncio.gather(*(talker.wait(lambda frames: sum(f['op'] == 'ev' for f in frames) >= total)
                           for talker in talkers))
    for room in rooms:
        streams = [stream(talker, room) for talker in talkers]
        assert all(one == streams[0] for one in streams)
        assert [rev for rev, _, _ in streams[0]] == list(range(1, len(streams[0]) + 1))
        assert all(text.startswith(f'{room} ') for _, _, text in streams[0])
    await asyncio.gather(*(talker.close() for talker in talkers))


async def test_c4_ephemeral_events_do_not_number_anything(daemon):
    room = await new_room(daemon)
    alice = await RoomSocket.enter(daemon, room, 'Alice', worker=0)
    bob = await RoomSocket.enter(daemon, room, 'Bob', worker=5)
    for number in range(50):
        await alice.send({'type': 'typing', 'is_typing': number % 2 == 0})
        await alice.say(f'text {number}')
    messages = await bob.wait_messages(50)
    assert [one['rev'] for one in messages] == list(range(1, 51))
    for socket in (alice, bob):
        await socket.close()


async def test_s1_12_members_of_all_workers_are_in_the_list(daemon):
    room = await new_room(daemon)
    sockets = [await RoomSocket.enter(daemon, room, f'user {n:02}', n % 8) for n in range(24)]
    names = sorted(f'user {n:02}' for n in range(24))
    for socket in sockets:
        await socket.wait(lambda frames: any(sorted(frame.get('users', [])) == names for frame in frames
                                             if frame['type'] == 'users_list'), 'the whole list')
    await asyncio.gather(*(socket.close() for socket in sockets))
