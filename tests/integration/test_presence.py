# SPDX-License-Identifier: MIT
"""Who is online on the node, who is in which room, and what a crowd that enters a room is told.

Guarantee C6: presence is the set of live sockets, each change is told once, and crowds cost no storm.
"""
import asyncio
import resource

import aiohttp
import pytest

from roomd_clients import Http, NativeSocket, RoomSocket, Socket, eventually
from roomd_harness import unique

QUICK = {'presence.grace_clean': '400ms', 'presence.grace_lost': '700ms',
         'presence.min_interval': '10ms', 'presence.batch_interval': '20ms'}
DAEMON = {'workers': 3, 'settings': QUICK}


def told(socket, user, after=0):
    """The states of a user on the node, in the order in which the socket was told them."""
    return [change['s'] for frame in socket.frames[after:]
            if frame.get('op') == 'eph' and frame['t'] == 'presence' and 'c' not in frame
            for change in frame['d'] if change['u'] == user]


def state(socket, conversation):
    """What a native client knows of a room: the set of ids, or how many there are."""
    known = None
    for frame in socket.frames:
        if frame.get('op') != 'eph' or frame.get('c') != conversation:
            continue
        if frame['t'] == 'roster':
            known = frame['d']['count'] if 'count' in frame['d'] else {user['id'] for user in frame['d']['users']}
        elif frame['t'] == 'presence':
            assert isinstance(known, set), 'changes after a number'
            for change in frame['d']:
                (known.add if change['s'] == 'online' else known.discard)(change['u'])
    return known


def user_of(socket):
    return socket.welcome['user']['id']


async def online(http, query=''):
    """The ids that the node names as online."""
    found, cursor = set(), 0
    while cursor is not None:
        status, page, _ = await http.ask('GET', f'/api/v1/presence?limit=3&cursor={cursor}{query}')
        assert status == 200, page
        assert all(one['s'] == 'online' for one in page['presence'])
        ids = [one['u'] for one in page['presence']]
        assert ids == sorted(ids) and not found & set(ids)
        found |= set(ids)
        cursor = page['next']
    return found


async def until_told(socket, user, states, after=0):
    await eventually(lambda: told(socket, user, after) == states,
                     f'{states} of {user}, not {told(socket, user, after)}')


async def alone(http, daemon, *sockets):
    """Waits until nobody of an earlier test is online."""
    expected = {user_of(socket) for socket in sockets}

    async def is_so():
        try:
            return await online(http) == expected
        except aiohttp.ClientError: # the connection was its worker's that has died
            return False
    await eventually(is_so, 'nobody else is online')


# ---------------------------------------------------------------- the node

async def test_s3_11_three_devices_cause_one_pair(daemon):
    """Red when events are passed on instead of compared with what was told: each device was told."""
    async with await NativeSocket.hello(daemon, unique('Watcher'), 0) as watcher:
        name = unique('Bob')
        devices = [await NativeSocket.hello(daemon, name, worker) for worker in (0, 1, 2)]
        bob = user_of(devices[0])
        assert {user_of(device) for device in devices} == {bob}
        await until_told(watcher, bob, ['online'])
        for device in devices[:2]:
            await device.close()
        await devices[2].ask('ping')
        async with await NativeSocket.hello(daemon, unique('Marker')) as marker:
            await until_told(watcher, user_of(marker), ['online'])
        assert told(watcher, bob) == ['online']
        await devices[2].close()
        await until_told(watcher, bob, ['online', 'offline'])


async def test_s3_11_a_reload_causes_no_pair(daemon):
    """Red with presence.grace_clean = 0."""
    async with await NativeSocket.hello(daemon, unique('Watcher'), 0) as watcher:
        name = unique('Bob')
        page = await NativeSocket.hello(daemon, name, 1)
        bob = user_of(page)
        await until_told(watcher, bob, ['online'])
        for worker in (2, 1, 0, 2):
            await page.close()
            page = await NativeSocket.hello(daemon, name, worker)
        async with await NativeSocket.hello(daemon, unique('Marker')) as marker:
            await until_told(watcher, user_of(marker), ['online'])
        assert told(watcher, bob) == ['online']
        await page.close()
        await until_told(watcher, bob, ['online', 'offline'])


async def test_who_says_bye_is_gone_at_once(start_daemon):
    one = start_daemon(settings=dict(QUICK, **{'presence.grace_clean': '60s', 'presence.grace_lost': '60s'}))
    async with Http(one) as http, await NativeSocket.hello(one, 'Watcher', 0) as watcher:
        bob = await NativeSocket.hello(one, 'Bob', 1)
        await until_told(watcher, user_of(bob), ['online'])
        await bob.link.close(1000, 'bye')
        await until_told(watcher, user_of(bob), ['online', 'offline'])
        carl = await NativeSocket.hello(one, 'Carl', 1)
        await until_told(watcher, user_of(carl), ['online'])
        await carl.close()
        assert await online(http) == {user_of(watcher), user_of(carl)}
        room = (await http.new_room())['id']
        await watcher.sub(room)
        dora = await NativeSocket.hello(one, 'Dora', 1)
        await dora.sub(room)
        await eventually(lambda: state(watcher, room) == {user_of(watcher), user_of(dora)}, 'Dora is there')
        await dora.ask('unsub', c=room)
        await eventually(lambda: state(watcher, room) == {user_of(watcher)}, 'Dora has left')


async def test_a_lost_link_waits_longer_than_a_closed_one(start_daemon):
    one = start_daemon(settings=dict(QUICK, **{'presence.grace_clean': '10ms', 'presence.grace_lost': '60s'}))
    async with Http(one) as http, await NativeSocket.hello(one, 'Watcher') as watcher:
        lost, closed = [await NativeSocket.hello(one, name) for name in ('Lost', 'Closed')]
        await until_told(watcher, user_of(lost), ['online'])
        await until_told(watcher, user_of(closed), ['online'])  # else coming and going are no change
        await lost.drop()
        await closed.close()
        await until_told(watcher, user_of(closed), ['online', 'offline'])
        assert await online(http) == {user_of(watcher), user_of(lost)}
        assert told(watcher, user_of(lost)) == ['online']


async def test_s0_46_a_pulled_cable_removes_the_member_once(start_daemon):
    """No byte comes any more, not even the end of the connection: silence, a ping, more silence, the grace.

    Red when a ping that nobody answers has no end (websocket.ping_timeout = 1h): Bob stays."""
    one = start_daemon(settings=dict(QUICK, **{'websocket.ping_interval': '300ms', 'websocket.ping_timeout': '300ms'}))
    async with Http(one) as http:
        room = (await http.new_room())['id']
    alice = await RoomSocket.enter(one, room, 'Alice', 0)
    bob = await RoomSocket.enter(one, room, 'Bob', 1)
    bob.link.transport.pause_reading()
    await alice.expect(type='system', event='leave', username='Bob')
    await alice.wait(lambda _: alice.all(type='users_list')[-1]['users'] == ['Alice'], 'a list without Bob')
    await alice.say('alone')
    await alice.wait_messages(1)
    assert len(alice.all(type='system', event='leave', username='Bob')) == 1
    bob.link.transport.abort()
    await alice.close()


async def test_one_change_per_user_and_interval(start_daemon):
    """Red without the interval: each of the comings and goings was told."""
    one = start_daemon(settings=dict(QUICK, **{'presence.min_interval': '3s'}))
    async with Http(one) as http, await NativeSocket.hello(one, 'Watcher', 0) as watcher:
        await alone(http, one, watcher)
        for number in range(5):
            bob = await NativeSocket.hello(one, 'Bob', number % 2)
            await alone(http, one, watcher, bob)
            if number < 4:
                await bob.link.close(1000, 'bye')
                await alone(http, one, watcher)
        # he may have been told to be gone once, if that took longer than the interval
        await eventually(lambda: told(watcher, user_of(bob))[-1:] == ['online'], 'online')
        assert len(told(watcher, user_of(bob))) <= 3
        seen = len(watcher.frames)
        await bob.link.close(1000, 'bye')
        # the newest state is told in the end
        await until_told(watcher, user_of(bob), ['offline'], seen)
        again = await NativeSocket.hello(one, 'Bob', 1)
        await until_told(watcher, user_of(bob), ['offline', 'online'], seen)
        await again.close()


async def test_changes_are_batched(start_daemon):
    one = start_daemon(settings=dict(QUICK, **{'presence.batch_interval': '1s'}))
    async with await NativeSocket.hello(one, 'Watcher', 0) as watcher:
        await until_told(watcher, user_of(watcher), ['online'])
        people = await asyncio.gather(*[NativeSocket.hello(one, f'P{n}') for n in range(30)])
        for person in people:
            await until_told(watcher, user_of(person), ['online'])
        frames = [frame for frame in watcher.frames if frame.get('t') == 'presence' and 'c' not in frame]
        assert len(frames) < 10
        for person in people:
            await person.close()


async def test_s3_25_the_list_is_the_set_of_live_sockets_after_kill_9(daemon):
    """Red when a dead slot's members are not taken over: its users stayed online."""
    async with Http(daemon) as http:
        watcher = await NativeSocket.hello(daemon, unique('Watcher'), 0)
        await alone(http, daemon, watcher)
        people = [await NativeSocket.hello(daemon, unique('P'), n % 3) for n in range(12)]
        both = unique('Both')
        twice = [await NativeSocket.hello(daemon, both, worker) for worker in (1, 2)]
        await alone(http, daemon, watcher, *people, *twice)
        for person in people:
            await until_told(watcher, user_of(person), ['online'])
        old = daemon.kill_worker(1)
        lost = [person for person in people if person.worker == 1]
        live = [person for person in people if person.worker != 1]
        assert lost and live
        await alone(http, daemon, watcher, *live, twice[1])
        for person in lost:
            await until_told(watcher, user_of(person), ['online', 'offline'])
        for person in [*live, twice[1]]:
            assert told(watcher, user_of(person)) == ['online']
        daemon.wait_replaced(1, old)
        back = await NativeSocket.hello(daemon, lost[0].welcome['user']['name'], 1)
        assert user_of(back) == user_of(lost[0])
        await until_told(watcher, user_of(back), ['online', 'offline', 'online'])
        for socket in [watcher, back, *live, twice[1]]:
            await socket.close()


async def test_who_comes_back_after_a_crash_never_left(start_daemon):
    one = start_daemon(settings=dict(QUICK, **{'presence.grace_lost': '20s'}))
    async with await NativeSocket.hello(one, 'Watcher', 0) as watcher, Http(one) as http:
        room = (await http.new_room())['id']
        await watcher.sub(room)
        bob = await NativeSocket.hello(one, 'Bob', 1)
        await bob.sub(room)
        await until_told(watcher, user_of(bob), ['online'])
        old = one.kill_worker(1)
        one.wait_replaced(1, old)
        again = await NativeSocket.hello(one, 'Bob', 1)
        await again.sub(room)
        async with await NativeSocket.hello(one, 'Marker') as marker:
            await until_told(watcher, user_of(marker), ['online'])
        assert told(watcher, user_of(bob)) == ['online']
        assert state(watcher, room) == {user_of(watcher), user_of(bob)}
        await again.close()


# ---------------------------------------------------------------- scope and questions

async def test_scope_auto_follows_the_number_of_connections(start_daemon):
    one = start_daemon(settings=dict(QUICK, **{'presence.auto_limit': 10}))
    watcher = await NativeSocket.hello(one, 'Watcher', 0)
    assert watcher.welcome['scope'] == 'all'
    people = [await NativeSocket.hello(one, f'P{n}', n % 2) for n in range(9)]
    await watcher.expect(t='scope', d={'scope': 'shared'})
    late = await NativeSocket.hello(one, 'Late', 1)
    await late.expect(op='welcome')
    async with Http(one) as http:
        room = (await http.new_room())['id']
        for socket in (watcher, people[0], late):
            await socket.sub(room)
        await people[0].close()
        await late.close()
        await eventually(lambda: state(watcher, room) == {user_of(watcher)}, 'their grace has passed')
        await people[1].close()
        for socket in (watcher, people[3]):  # on both workers: each sees for itself
            await socket.expect(t='scope', d={'scope': 'all'})
        await alone(http, one, watcher, *people[2:])
    roster = next(frame for frame in watcher.frames if frame.get('t') == 'roster' and 'c' not in frame)
    assert ({user['id'] for user in roster['d']['users']} - {user_of(people[1])} ==
            {user_of(watcher), *map(user_of, people[2:])})
    assert told(watcher, user_of(late)) == []
    bob = await NativeSocket.hello(one, 'Bob', 1)
    await until_told(watcher, user_of(bob), ['online'])
    for socket in [watcher, bob, *people[2:]]:
        await socket.close()


async def test_scope_shared_tells_those_who_share_a_room(start_daemon):
    one = start_daemon(settings=dict(QUICK, **{'presence.scope': 'shared'}))
    async with Http(one) as http:
        room = (await http.new_room())['id']
        near = await NativeSocket.hello(one, 'Near', 0)
        far = await NativeSocket.hello(one, 'Far', 1)
        assert near.welcome['scope'] == 'shared'
        await near.sub(room)
        bob = await NativeSocket.hello(one, 'Bob', 1)
        await bob.sub(room)
        await eventually(lambda: user_of(bob) in (state(near, room) or ()), 'Bob is there')
        await bob.close()
        await eventually(lambda: state(near, room) == {user_of(near)}, 'Bob has left')
        assert not far.all(t='presence') and not told(near, user_of(bob))
        await near.close()
        await far.close()


async def test_scope_shared_answers_about_those_who_share_a_room(start_daemon):
    """Seen red with answers about anybody: Far was told to be online."""
    one = start_daemon(settings=dict(QUICK, **{'presence.scope': 'shared'}))
    async with Http(one) as http:
        room, other = (await http.new_room())['id'], (await http.new_room())['id']
        near, bob, far = [await NativeSocket.hello(one, name, n % 2) for n, name in enumerate(('Near', 'Bob', 'Far'))]
        await near.sub(room)
        await bob.sub(room)
        await far.sub(other)
        everybody = [user_of(bob), user_of(far), 999999999]
        answer = await near.ask('presence', users=everybody)
        assert answer['presence'] == [{'u': user_of(bob), 'name': 'Bob', 's': 'online'},
                                      {'u': user_of(far), 's': 'offline'}, {'u': 999999999, 's': 'offline'}]
        answer = await near.ask('presence')
        assert [person['u'] for person in answer['presence']] == sorted([user_of(near), user_of(bob)])
        assert (await http.ask('GET', f'/api/v1/presence?users={user_of(bob)}'))[0] == 403
        assert (await http.ask('GET', '/api/v1/presence'))[0] == 403
        await near.sub(other)
        answer = await near.ask('presence', users=everybody)
        assert [person['s'] for person in answer['presence']] == ['online', 'online', 'offline']
        for socket in (near, bob, far):
            await socket.close()


async def test_scope_off_tells_and_answers_nobody(start_daemon):
    one = start_daemon(settings=dict(QUICK, **{'presence.scope': 'off'}))
    async with Http(one) as http, await NativeSocket.hello(one, 'Alice') as alice:
        assert alice.welcome['scope'] == 'off'
        assert (await alice.ask('presence', users=[1]))['code'] == 'forbidden'
        assert (await http.ask('GET', '/api/v1/presence'))[0] == 403
        async with await NativeSocket.hello(one, 'Bob'):
            await alice.ask('ping')
        assert not alice.all(t='presence')


async def test_questions_are_answered_from_every_worker(daemon):
    async with Http(daemon) as http:
        alice = await NativeSocket.hello(daemon, unique('Alice'), 0)
        bob = await NativeSocket.hello(daemon, unique('Bob'), 2)
        expected = [{'u': user_of(bob), 'name': bob.welcome['user']['name'], 's': 'online'},
                    {'u': 999999999, 's': 'offline'}]
        answer = await alice.ask('presence', users=[user_of(bob), 999999999])
        assert (answer['op'], answer['presence']) == ('ok', expected)
        status, page, _ = await http.ask('GET', f'/api/v1/presence?users={user_of(bob)},999999999')
        assert (status, page) == (200, {'presence': expected, 'next': None})
        _, profile, _ = await http.ask('GET', f'/api/v1/users/{user_of(bob)}')
        names = f'999999999,{profile["uid"]},00000000-0000-7000-8000-000000000000,{user_of(alice)}'
        status, page, _ = await http.ask('GET', f'/api/v1/presence?users={names}')
        assert (status, [one['u'] for one in page['presence']]) == (200, [999999999, user_of(bob), user_of(alice)])
        assert [one['s'] for one in page['presence']] == ['offline', 'online', 'online']
        everybody = await bob.ask('presence')
        assert {user_of(alice), user_of(bob)} <= {one['u'] for one in everybody['presence']}
        await alice.close()
        await bob.close()


@pytest.mark.parametrize('query', ['users=x', 'users=1,,2', 'users=0', 'users=01a201a2-64b4-704c-b97b-c142efbd88a', 'users=' + ','.join(['1'] * 501),
                                   'cursor=x', 'limit=0'])
async def test_questions_that_make_no_sense(daemon, query):
    async with Http(daemon) as http:
        status, problem, _ = await http.ask('GET', f'/api/v1/presence?{query}')
        assert (status, problem['code']) == (422, 'invalid')


async def test_room_sockets_count_but_are_told_of_their_room_only(daemon):
    async with Http(daemon) as http:
        room, other = [(await http.new_room())['id'] for _ in range(2)]
        alice = await RoomSocket.enter(daemon, room, unique('Alice'), 0)
        async with await NativeSocket.hello(daemon, unique('Watcher'), 1) as watcher:
            name = unique('Bob')
            bob = await RoomSocket.enter(daemon, other, name, 2)
            _, page, _ = await http.ask('GET', '/api/v1/presence?limit=1000')
            assert name in [one.get('name') for one in page['presence']]
            await eventually(lambda: [change for frame in watcher.all(t='presence') for change in frame['d']
                                      if change.get('name') == name], 'Bob is told to be online')
            await bob.close()
        assert not alice.all(type='system')
        await alice.close()


# ---------------------------------------------------------------- crowds in a room

async def crowd(daemon, room, number, kind, prefix='c'):
    """NUMBER sockets that enter a room at the same time."""
    async def one(n):
        if kind == 'raw':
            socket = await Socket.open(daemon, f'/ws/chat/{room}')
            await socket.send({'username': f'{prefix}{n}'})
            await socket.expect(type='connected', timeout=60)
        else:
            socket = await NativeSocket.hello(daemon, f'{prefix}{n}')
            await socket.sub(room)
        return socket
    return await asyncio.gather(*[one(n) for n in range(number)])


async def leave(sockets):
    await asyncio.gather(*[socket.close() for socket in sockets])


@pytest.mark.parametrize('roster_max', [1000, 20])
async def test_every_native_socket_knows_the_room_in_the_end(start_daemon, roster_max):
    """Below the limit all know the names, above it the number, and back again when the room shrinks."""
    one = start_daemon(settings=dict(QUICK, **{'presence.roster_max': roster_max,
                                     'presence.batch_max': 15 if roster_max > 60 else 200}))
    async with Http(one) as http:
        room = (await http.new_room())['id']
        sockets = await crowd(one, room, 60, 'native')
        ids = {user_of(socket) for socket in sockets}
        expected = ids if roster_max > 60 else 60
        for socket in sockets:
            await eventually(lambda: state(socket, room) == expected, f'{expected}, not {state(socket, room)}')
        frames = sum(len(socket.all(op='eph', c=room)) for socket in sockets)
        assert frames < 60 * 30 # one frame for each arrival would be 60 * 60 / 2, and the lists
        await leave(sockets[10:])
        expected = {user_of(socket) for socket in sockets[:10]}
        for socket in sockets[:10]:
            await eventually(lambda: state(socket, room) == expected, f'{expected}, not {state(socket, room)}')
        await leave(sockets[:10])


@pytest.mark.parametrize('roster_max', [1000, 20])
async def test_every_raw_socket_has_the_list_in_the_end(start_daemon, roster_max):
    one = start_daemon(settings=dict(QUICK, **{'presence.roster_max': roster_max}))
    async with Http(one) as http:
        room = (await http.new_room())['id']
        sockets = await crowd(one, room, 60, 'raw')
        names = sorted(f'c{n}' for n in range(60))
        for socket in sockets:
            await eventually(lambda: socket.all(type='users_list')[-1:] == [{'type': 'users_list', 'users': names}],
                             'the whole list')
        if roster_max < 60:
            # who came when the room was large was told by lists only
            assert sum(len(socket.all(type='system')) for socket in sockets) < 60 * 21
        await leave(sockets[5:])
        names = sorted(f'c{n}' for n in range(5))
        for socket in sockets[:5]:
            await eventually(lambda: socket.all(type='users_list')[-1]['users'] == names, 'the list of five')
        await leave(sockets[:5])


async def test_a_single_arrival_is_told_at_once_and_never_to_itself(start_daemon):
    """With an interval of a minute only what is told at once can be seen. Red without the parking of newcomers."""
    one = start_daemon(settings=dict(QUICK, **{'presence.batch_interval': '60s'}))
    async with Http(one) as http:
        room = (await http.new_room())['id']
        alice = await RoomSocket.enter(one, room, 'Alice', 0)
        bob = await RoomSocket.enter(one, room, 'Bob', 0)
        line = await alice.expect(type='system', event='join')
        assert (line['username'], line['content']) == ('Bob', 'Bob joined')
        await bob.say('here')
        await bob.wait_messages(1)
        assert not bob.all(type='system') and not alice.all(type='system', username='Alice')
        await alice.close()
        await bob.close()


async def test_who_comes_and_goes_within_an_interval_was_never_there(start_daemon):
    """Native clients may be told that he is gone, never that he came; room sockets hear nothing.

    Red when the opposite of a change that waits does not undo it: Bob was told online, or "Bob joined"."""
    one = start_daemon(settings=dict(QUICK, **{'presence.batch_interval': '1s'}))
    async with Http(one) as http:
        room = (await http.new_room())['id']
        watcher = await NativeSocket.hello(one, 'Watcher', 0)
        await watcher.sub(room)
        page = await RoomSocket.enter(one, room, 'Page', 0)
        first = await NativeSocket.hello(one, 'First', 1)
        await first.sub(room)
        await eventually(lambda: user_of(first) in state(watcher, room), 'the first is told at once')
        bob = await NativeSocket.hello(one, 'Bob', 1)
        await bob.sub(room)
        await bob.ask('unsub', c=room)
        last = await NativeSocket.hello(one, 'Last', 1)
        await last.sub(room)
        await eventually(lambda: user_of(last) in state(watcher, room), 'the last is told')
        assert 'online' not in [change['s'] for frame in watcher.all(t='presence', c=room)
                                for change in frame['d'] if change['u'] == user_of(bob)]
        await page.expect(type='system', event='join', username='Last')
        assert not page.all(type='system', username='Bob')
        await leave([watcher, first, bob, last, page])


async def test_a_crowd_and_a_crash_leave_every_list_right(start_daemon):
    """Half of a crowd's sockets die with their worker: the others end up with exactly the live ones."""
    one = start_daemon(settings=dict(QUICK, **{'presence.roster_max': 1000}))
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    async with Http(one) as http:
        room = (await http.new_room())['id']
        sockets = await crowd(one, room, 80, 'native')
        lost = [socket for socket in sockets if socket.worker == 1]
        live = [socket for socket in sockets if socket.worker == 0]
        one.kill_worker(1)
        expected = {user_of(socket) for socket in live}
        assert lost and live
        for socket in live:
            await eventually(lambda: state(socket, room) == expected, f'{expected}, not {state(socket, room)}')
        await leave(live)
