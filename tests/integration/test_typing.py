# SPDX-License-Identifier: MIT
"""Who types: the whole set, kept by the server, gone with its time, its socket and its worker.

Guarantee C6: a typing mark never gets stuck.
"""
import asyncio

from roomd_clients import Http, NativeSocket, RoomSocket, eventually

DAEMON = {'workers': 2, 'settings': {'presence.grace_clean': '100ms', 'presence.grace_lost': '200ms',
                                     'chat.typing_timeout': '60s'}}


async def new_room(daemon):
    async with Http(daemon) as http:
        return (await http.new_room())['id']


def sets(socket, after=0):
    """The typing sets that a raw socket was shown, in order; within a set there is none."""
    return [sorted(frame['users']) for frame in socket.frames[after:] if frame.get('type') == 'typing']


def native_sets(socket, conversation):
    return [frame['d']['users'] for frame in socket.all(op='eph', c=conversation, t='typing')]


async def type_on(socket, on=True):
    await socket.send({'type': 'typing', 'is_typing': on})


async def until_shown(socket, users):
    await eventually(lambda: sets(socket)[-1:] == [users], f'the set {users}')


async def test_s1_18_everybody_gets_the_whole_set_on_every_worker(daemon):
    room = await new_room(daemon)
    alice = await RoomSocket.enter(daemon, room, 'Alice', 0)
    bob = await RoomSocket.enter(daemon, room, 'Bob', 1)
    nina = await NativeSocket.hello(daemon, 'Nina', 1)
    await nina.sub(room)
    await type_on(alice)
    for socket in (alice, bob):
        await until_shown(socket, ['Alice'])
    await type_on(bob)
    for socket in (alice, bob):
        await until_shown(socket, ['Alice', 'Bob'])
    await eventually(lambda: native_sets(nina, room)[-1:] and len(native_sets(nina, room)[-1]) == 2, 'two ids')
    await type_on(alice, False)
    for socket in (alice, bob):
        await until_shown(socket, ['Bob'])
    for socket in (alice, bob, nina):
        await socket.close()


async def test_s1_18_repeats_cause_no_frame(daemon):
    """Red when every mark is published."""
    room = await new_room(daemon)
    alice = await RoomSocket.enter(daemon, room, 'Alice', 0)
    bob = await RoomSocket.enter(daemon, room, 'Bob', 1)
    for _ in range(20):
        await type_on(alice)
    await until_shown(bob, ['Alice'])
    await alice.say('over')
    await bob.wait_messages(1)
    await until_shown(bob, [])
    assert sets(bob) == [['Alice'], []]
    await alice.close()
    await bob.close()


async def test_few_sets_a_second_whatever_people_do(daemon):
    """On and off as fast as the wire takes it: the last set is right, and most in between are not sent."""
    room = await new_room(daemon)
    alice = await RoomSocket.enter(daemon, room, 'Alice', 0)
    bob = await RoomSocket.enter(daemon, room, 'Bob', 1)
    begin = asyncio.get_running_loop().time()
    for _ in range(200):
        await type_on(alice)
        await type_on(alice, False)
    await type_on(alice)
    await alice.send({'type': 'ping'})
    await alice.expect(type='pong')
    await until_shown(bob, ['Alice'])
    seconds = asyncio.get_running_loop().time() - begin
    assert len(sets(bob)) <= 3 + 3 * (seconds + 1)
    await alice.close()
    await bob.close()


async def test_s1_19_a_mark_that_is_not_renewed_expires(start_daemon):
    """The writer's link stays, silent; red without the timer wheel of marks."""
    one = start_daemon(settings={'chat.typing_timeout': '500ms'})
    room = await new_room(one)
    alice = await RoomSocket.enter(one, room, 'Alice', 0)
    bob = await RoomSocket.enter(one, room, 'Bob', 1)
    await type_on(alice)
    await until_shown(bob, ['Alice'])
    await until_shown(bob, [])
    await until_shown(alice, [])
    assert alice.is_open
    await alice.close()
    await bob.close()


async def test_s1_19_the_end_is_seen_within_six_seconds(start_daemon):
    """With the default, on another worker; and whoever renews every five keeps the mark. Seen red: with 6s."""
    one = start_daemon()
    room = await new_room(one)
    alice = await RoomSocket.enter(one, room, 'Alice', 0)
    bob = await RoomSocket.enter(one, room, 'Bob', 1)
    clock = asyncio.get_running_loop().time
    begin = clock()
    await type_on(alice)
    await until_shown(bob, ['Alice'])
    await eventually(lambda: clock() - begin > 4.9, 'almost five seconds have passed')
    await type_on(alice)
    renewed = clock()
    await until_shown(bob, [])
    assert 5 < clock() - renewed <= 6
    assert [users for users in sets(bob) if users] == [['Alice']], 'no end between'
    await alice.close()
    await bob.close()


async def test_s1_19_a_mark_goes_with_its_socket(daemon):
    """The timeout is a minute: it is the end of the socket that takes the mark away."""
    room = await new_room(daemon)
    bob = await RoomSocket.enter(daemon, room, 'Bob', 1)
    for end in (RoomSocket.drop, RoomSocket.close):
        alice = await RoomSocket.enter(daemon, room, 'Alice', 0)
        await type_on(alice)
        await until_shown(bob, ['Alice'])
        await end(alice)
        await until_shown(bob, [])
    await bob.close()


async def test_a_mark_goes_with_its_worker(daemon):
    """kill -9: a survivor drops the marks, long before the minute is over. Red without typing_drop_slot."""
    room = await new_room(daemon)
    alice = await RoomSocket.enter(daemon, room, 'Alice', 0)
    bob = await RoomSocket.enter(daemon, room, 'Bob', 1)
    await type_on(alice)
    await type_on(bob)
    await until_shown(bob, ['Alice', 'Bob'])
    old = daemon.kill_worker(0)
    await until_shown(bob, ['Bob'])
    daemon.wait_replaced(0, old)
    again = await RoomSocket.enter(daemon, room, 'Alice', 0)
    await type_on(again)
    await until_shown(bob, ['Alice', 'Bob'])
    await again.close()
    await bob.close()


async def test_a_newcomer_is_shown_who_types(daemon):
    """The set that was there before a socket: shown to it, and to nobody again."""
    room = await new_room(daemon)
    alice = await RoomSocket.enter(daemon, room, 'Alice', 0)
    await type_on(alice)
    await until_shown(alice, ['Alice'])
    bob = await RoomSocket.enter(daemon, room, 'Bob', 1)
    await until_shown(bob, ['Alice'])
    nina = await NativeSocket.hello(daemon, 'Nina', 0)
    await nina.sub(room)
    await eventually(lambda: len(native_sets(nina, room)) == 1 and len(native_sets(nina, room)[0]) == 1,
                     'the set at her arrival')
    assert sets(alice) == [['Alice']]
    for socket in (alice, bob, nina):
        await socket.close()
