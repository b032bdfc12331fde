# SPDX-License-Identifier: MIT
"""S0-50: with the database away, what the node knows can still be read, and sending says why not.

Every test has a server of its own that is stopped; how each was seen red stands with it.
"""
import asyncio
import time

import pytest

from roomd_clients import Http, NativeSocket, RoomSocket, eventually, unique
from roomd_harness import Daemon
from roomd_outage import frozen, metric, server_for, stopped
from roomd_talkers import FAST

WAIT = 1.5  # persist.wait_max in seconds
SOON = 1.2  # nobody waits longer once that has passed: less than WAIT, though the machine be slow
SETTINGS = dict(FAST, **{'persist.wait_max': '1500ms', 'database.retry_max': '500ms'})


@pytest.fixture
def server():
    with server_for('stopped') as one:
        yield one


@pytest.fixture
def start(request, server):
    running = []

    def begin(**options):
        one = Daemon(server.url('chat'), name=f'test_stale.{request.node.name}',
                     **{'settings': SETTINGS, 'workers': 1, **options})
        one.expected_errors.append('database|connect')
        running.append(one)
        return one.start()

    yield begin
    for one in running:
        one.close()


async def away(one):
    """Waits until the node has given up waiting for its database."""
    await eventually(lambda: metric_is(one, 'roomd_db_connections', 0), 'the connections are lost')
    begin = time.monotonic()
    await eventually(lambda: time.monotonic() - begin > WAIT, 'the time has passed')


async def metric_is(one, name, value):
    return await metric(one, name) == value


def is_stale(headers):
    return headers.get('X-Roomd-Stale') == 'database' and int(headers['Age']) >= 0


@pytest.mark.parametrize('way', [stopped, frozen])
async def test_s0_50_what_was_read_before_can_be_read_again(server, start, way):
    """Seen red: with stale_find answering false, each of the paths is 503."""
    one = start()
    async with Http(one) as http:
        room = (await http.new_room('kept'))['id']
        body = {'name': 'Ann', 'content': 'hello', 'client_msg_id': 'a'}
        assert (await http.ask('POST', f'/api/v1/conversations/{room}/messages', body))[0] == 201
        ann = await NativeSocket.hello(one, 'Ann')
        history = await ann.ask('history', c=room)
        paths = ['/api/chat/rooms', f'/api/chat/rooms/{room}', f'/api/chat/rooms/{room}/messages',
                 f'/api/v1/conversations/{room}', f'/api/v1/conversations/{room}/messages?limit=20',
                 '/api/v1/conversations']
        before = {}
        for path in paths:
            status, before[path], headers = await http.ask('GET', path)
            assert status == 200 and 'X-Roomd-Stale' not in headers
        with way(server):
            await away(one)
            for path in paths:
                begin = time.monotonic()
                status, data, headers = await http.ask('GET', path)
                assert time.monotonic() - begin < SOON, path
                assert (status, data) == (200, before[path]), path
                assert is_stale(headers), path
                assert headers['Cache-Control'] == 'no-store'
            begin = time.monotonic()
            stale = await ann.ask('history', c=room)
            assert time.monotonic() - begin < SOON
            assert stale['stale'] is True and 'stale' not in history
            assert stale['messages'] == history['messages']
            # what nobody read before is not known, and nobody waits for it
            begin = time.monotonic()
            for path in (f'/api/chat/rooms/{room}/messages?limit=7', '/api/chat/rooms/99999999'):
                status, _, headers = await http.ask('GET', path)
                assert status == 503 and int(headers['Retry-After']) > 0, path
            assert time.monotonic() - begin < 2 * SOON
            assert await metric(one, 'roomd_stale_answers_total') >= len(paths) + 1
        await eventually(lambda: metric_is(one, 'roomd_db_connections', 2), 'the database is back')
        for path in paths:
            status, data, headers = await http.ask('GET', path)
            assert (status, data) == (200, before[path])
            assert 'X-Roomd-Stale' not in headers and 'Age' not in headers
        assert 'stale' not in await ann.ask('history', c=room)
        await ann.close()


async def test_s0_50_what_was_deleted_stays_so(server, start):
    """Seen red: with stale_forget doing nothing, the page shows the deleted message, and the room."""
    one = start()
    async with Http(one) as http:
        room, other = (await http.new_room())['id'], (await http.new_room())['id']
        ann = await NativeSocket.hello(one, 'Ann')
        await ann.sub(room)
        sent = await ann.say(room, 'a secret')
        for path in (f'/api/chat/rooms/{room}/messages', f'/api/chat/rooms/{other}/messages'):
            assert (await http.ask('GET', path))[0] == 200
        assert (await ann.ask('delete', c=room, message=sent['message']['id']))['op'] == 'ok'
        assert (await http.ask('DELETE', f'/api/chat/rooms/{other}'))[0] == 200
        with stopped(server):
            await away(one)
            for path in (f'/api/chat/rooms/{room}/messages', f'/api/chat/rooms/{other}/messages'):
                status, data, _ = await http.ask('GET', path)
                assert status == 503, data
        await ann.close()


async def test_s0_50_a_guest_whom_the_node_knows_comes_in(server, start):
    """On the other worker, which never asked the database for her. Seen red: without session_control."""
    one = start(workers=2)
    async with Http(one) as http:
        room = (await http.new_room())['id']
    ann = await NativeSocket.hello(one, 'Ann', worker=0)
    await ann.sub(room)
    bob = await NativeSocket.hello(one, 'Bob', worker=1)
    await bob.sub(room)  # so that the other worker knows who may enter
    first = await ann.say(room, 'first')
    said = await ann.say(room, 'before')
    with stopped(server):
        await away(one)
        begin = time.monotonic()
        again = await NativeSocket.hello(one, 'Ann', worker=1)
        assert again.welcome['user'] == ann.welcome['user']
        live = await again.ask('sub', c=room, rev=first['message']['rev'])
        assert live['op'] == 'live' and live['rev'] == said['message']['rev']
        event, = again.events(room)
        assert event['d']['content'] == 'before', 'from the ring'
        page = await RoomSocket.enter(one, room, 'Ann', worker=1)
        assert time.monotonic() - begin < 4 * SOON
        # somebody whom nobody knows is told so at once
        begin = time.monotonic()
        other = await NativeSocket.open(one, '/ws', subprotocols=['roomd.v1'])
        await other.send({'op': 'hello', 'id': 1, 'name': unique('nobody')})
        error = await other.expect(re=1)
        assert error['code'] == 'unavailable' and error['retry_after'] > 0
        assert (await other.closed())[0] == 1013
        assert time.monotonic() - begin < SOON
    for socket in (ann, bob, again, page):
        await socket.close()


async def test_s0_50_sending_says_why_not_at_once(server, start):
    """Seen red: with dbio_is_given_up answering false, each send waits for persist.wait_max."""
    one = start()
    async with Http(one) as http:
        room = (await http.new_room())['id']
        ann = await NativeSocket.hello(one, 'Ann')
        await ann.sub(room)
        page = await RoomSocket.enter(one, room, 'Page')
        with stopped(server):
            await away(one)
            begin = time.monotonic()
            error = await ann.say(room, 'is not stored')
            assert error['code'] == 'unavailable' and error['retry_after'] > 0
            assert 'database' in error['message']
            await page.say('neither')
            error = await page.expect(type='error', code='unavailable')
            assert error['retry_after'] > 0 and 'database' in error['message']
            status, problem, headers = await http.ask(
                'POST', f'/api/v1/conversations/{room}/messages', {'name': 'Ann', 'content': 'nor this'})
            assert status == 503 and int(headers['Retry-After']) > 0
            assert problem['code'] == 'unavailable' and 'database' in problem['detail']
            assert time.monotonic() - begin < 3 * SOON

        async def works():
            return (await ann.say(room, 'stored'))['op'] == 'ok'
        await eventually(works, 'sends work again')
        assert [message['content'] for message in await http.messages(room)] == ['stored']
    await asyncio.gather(ann.close(), page.close())
