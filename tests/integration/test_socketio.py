# SPDX-License-Identifier: MIT
"""Socket.IO: who connects, namespaces, events and acknowledgements, with Debian's own client.

The client is python3-socketio, unchanged; raw packets are sent where it is too polite.
"""
import asyncio
import contextlib
import re
import uuid

import aiohttp
import pytest
import socketio

from roomd_clients import Http, NativeSocket, PATIENCE, eventually
from roomd_harness import unique
from roomd_people import People, bearer, unique_login

DAEMON = {'workers': 4, 'settings': {'auth.hash_memory': '64k', 'auth.hash_passes': 1}}
TRANSPORTS = [['websocket'], ['polling'], ['polling', 'websocket']]


class Client:
    """A client that remembers what it was told, in order."""

    def __init__(self):
        self.heard = []
        self.sio = socketio.AsyncClient(reconnection=False)
        self.sio.on('*', lambda event, *arguments: self.heard.append((event, *arguments)))
        self.refusals = []
        self.sio.on('connect_error', self.refusals.append)
        self.sio.on('disconnect', lambda *_: self.heard.append(('disconnect',)))

    async def connect(self, daemon, token=None, transports=('websocket',), query='', **more):
        auth = {'token': token} if token else None
        await self.sio.connect(daemon.http + query, auth=auth, transports=list(transports),
                               wait_timeout=PATIENCE, **more)
        return self

    async def ask(self, event, *arguments):
        return await self.sio.call(event, *arguments, timeout=PATIENCE)

    async def join(self, room):
        answer = await self.ask('join_conversation', room)
        assert answer['ok'], answer
        return answer

    async def say(self, room, text, **more):
        return await self.ask('send_message', {'conversationId': room, 'content': text, **more})

    def of(self, event):
        return [heard[1] for heard in self.heard if heard[0] == event]

    async def wait(self, event, count=1):
        await eventually(lambda: len(self.of(event)) >= count, f'{count} times {event}')
        return self.of(event)


@contextlib.asynccontextmanager
async def people_of(daemon, *names):
    """Clients of new accounts, by WebSocket; they leave at the end."""
    clients = []
    async with People(daemon) as people:
        for name in names:
            clients.append(await Client().connect(daemon, (await people.new_person(name))['token']))
    try:
        yield clients
    finally:
        for client in clients:
            await client.sio.disconnect()


# ---- Connecting --------------------------------------------------------------------------------------

@pytest.mark.parametrize('transports', TRANSPORTS)
async def test_s4_32_the_token_comes_with_auth(daemon, transports):
    async with People(daemon) as people:
        ann = await people.new_person('ann')
    client = await Client().connect(daemon, ann['token'], transports)
    await client.wait('online_users')
    await client.sio.disconnect()


async def test_s4_32_the_token_comes_in_a_header_or_in_the_address(daemon):
    async with People(daemon) as people:
        ann = await people.new_person('ann')
    for more in ({'headers': bearer(ann['token'])}, {'query': f'/?token={ann["token"]}'}):
        for transports in (['websocket'], ['polling']):
            client = await Client().connect(daemon, transports=transports, **more)
            assert client.sio.connected
            await client.sio.disconnect()


@pytest.mark.parametrize('transports', TRANSPORTS[:2])
async def test_s4_32_a_bad_token_is_a_connect_error(daemon, transports):
    for more in ({'token': 'no.such.token'}, {}, {'headers': bearer('nobody')}, {'query': '/?token=nobody'}):
        client = Client()  # which would wait for the namespace although it was refused
        await client.connect(daemon, transports=transports, wait=False, **more)
        await eventually(lambda: client.refusals, 'it is refused')
        assert [refusal['data'] for refusal in client.refusals] == [{'code': 'unauthorized'}]
        await client.sio.disconnect()


async def test_unknown_namespaces_are_refused_and_the_connection_stays(daemon):
    async with People(daemon) as people:
        ann = await people.new_person('ann')
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(daemon.http + '/socket.io/?EIO=4&transport=websocket') as link:
            assert (await link.receive_str())[0] == '0'
            await link.send_str('40/chat,')
            assert await link.receive_str() == '44/chat,{"message":"Invalid namespace"}'
            await link.send_str('40{"token":"%s"}' % ann['token'])
            assert (await link.receive_str()).startswith('40{"sid":"')


async def test_nothing_may_come_before_connect(daemon):
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(daemon.http + '/socket.io/?EIO=4&transport=websocket') as link:
            assert (await link.receive_str())[0] == '0'
            await link.send_str('42["send_message",{}]')
            assert (await link.receive()).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)


# ---- Messages ----------------------------------------------------------------------------------------

async def test_messages_reach_every_dialect_once_and_in_order(daemon):
    async with people_of(daemon, 'ann', 'bob') as (ann, bob), Http(daemon) as http:
        room = (await http.new_room())['id']
        assert (await ann.join(room))['rev'] == 0
        await bob.join(f'conversation_{room}')
        native = await NativeSocket.hello(daemon, 'Native')
        await native.sub(room)
        for number in range(30):
            speaker = (ann, bob)[number % 2]
            answer = await speaker.say(room, f'text {number}')
            assert answer['ok'] and answer['message']['rev'] == number + 1
        expected = [f'text {number}' for number in range(30)]
        for client in (ann, bob):
            assert [message['content'] for message in await client.wait('new_message', 30)] == expected
        assert [message['content'] for message in await http.history(room)] == expected
        await native.say(room, 'from a native client')
        assert (await ann.wait('new_message', 31))[-1]['sender']['username'] == 'Native'
        await native.close()


async def test_c3_the_same_key_is_stored_once(daemon):
    async with people_of(daemon, 'ann') as (ann,), Http(daemon) as http:
        room = (await http.new_room())['id']
        await ann.join(room)
        key = str(uuid.uuid4())
        first = await ann.say(room, 'once', clientMsgId=key)
        again = await ann.say(room, 'once', clientMsgId=key)
        assert 'duplicate' not in first and again['duplicate'] is True
        assert first['message']['id'] == again['message']['id']
        assert len(await http.history(room)) == 1


async def test_refusals_name_what_was_wrong(daemon):
    async with people_of(daemon, 'ann') as (ann,), Http(daemon) as http:
        room = (await http.new_room())['id']
        assert (await ann.say(room, 'not joined'))['code'] == 'not_subscribed'
        assert (await ann.ask('join_conversation', 987654321))['ok'] is False
        assert (await ann.ask('fly', {}))['code'] == 'unknown_op'
        await ann.join(room)
        assert (await ann.say(room, ''))['ok'] is False
        await ann.sio.emit('send_message', {'conversationId': room, 'content': '', 'clientMsgId': 'key 1'})
        error, = await ann.wait('message_error')
        assert error['clientMsgId'] == 'key 1' and error['code'] == 'invalid'
        assert await http.history(room) == []


async def test_typing_is_told_to_the_others_alone(daemon):
    async with people_of(daemon, 'ann', 'bob') as (ann, bob), Http(daemon) as http:
        room = (await http.new_room())['id']
        await ann.join(room)
        await bob.join(room)
        await ann.sio.emit('typing', {'conversationId': room})
        started, = await bob.wait('typing')
        await ann.sio.emit('stop_typing', {'conversationId': room})
        stopped, = await bob.wait('stop_typing')
        assert started == stopped and started['conversationId'] == room
        assert not ann.of('typing') and not ann.of('stop_typing')


async def test_presence_is_told(daemon):
    async with people_of(daemon, 'ann') as (ann,):
        async with Http(daemon) as http:
            room = (await http.new_room())['id']
        async with people_of(daemon, 'bob') as (bob,):
            await bob.join(room)
            me = (await bob.say(room, 'this is me'))['message']['sender']['id']
            assert me in (await bob.wait('online_users'))[0]['users']
            await eventually(lambda: me in [one['userId'] for one in ann.of('user:online')], 'bob is online')
        await eventually(lambda: me in [one['userId'] for one in ann.of('user:offline')], 'bob is offline')


# ---- The end -----------------------------------------------------------------------------------------

@pytest.mark.parametrize('transports', TRANSPORTS[:2])
async def test_a_revoked_session_is_disconnected(daemon, transports):
    async with People(daemon) as people:
        name = unique_login('ann')
        ann = (await people.register(name))[1]
        client = await Client().connect(daemon, ann['token'], transports)
        status, *_ = await people.ask('POST', '/api/v1/auth/logout', headers=bearer(ann['token']))
        assert status in (200, 204)
        await eventually(lambda: ('disconnect',) in client.heard, 'disconnected')


async def test_a_message_outlives_its_worker(start_daemon):
    """What was acknowledged before a worker was killed is there, and clients find another worker."""
    one = await asyncio.to_thread(start_daemon, **DAEMON)
    async with people_of(one, 'ann') as (ann,), Http(one) as http:
        room = (await http.new_room())['id']
        await ann.join(room)
        for number in range(5):
            assert (await ann.say(room, f'text {number}'))['ok']
        for slot in range(4):
            one.kill_worker(slot)
        await eventually(lambda: ('disconnect',) in ann.heard, 'the link is lost')
        await asyncio.to_thread(one.wait_ready)
        assert [message['content'] for message in await http.history(room)] == [f'text {n}' for n in range(5)]


# ---- Rooms with codes --------------------------------------------------------------------------------

async def page_of(daemon, name, code=None, cookie=None):
    """The cookie of a page that has made a room, or joined the one with CODE, and the room's code.

    COOKIE: of an account that is signed in."""
    fields = {'name': name, 'code': code or '', 'join' if code else 'create': '1'}
    async with aiohttp.ClientSession() as session:
        headers = {'Cookie': f'session={cookie}'} if cookie else {}
        async with session.post(daemon.http + '/', data=fields, headers=headers, allow_redirects=False) as answer:
            assert answer.status == 302, await answer.text()
            cookie = answer.cookies['session'].value
        async with session.get(daemon.http + '/room', headers={'Cookie': f'session={cookie}'}) as answer:
            code = re.search(r'data-room="([^"]*)"', await answer.text())[1]
    return cookie, code


@pytest.mark.parametrize('transports', TRANSPORTS[:2])
async def test_s0_a_page_is_in_its_room(daemon, transports):
    ann_cookie, code = await page_of(daemon, unique('Ann'))
    bob_cookie, _ = await page_of(daemon, unique('Bob'), code)
    ann = await Client().connect(daemon, transports=transports, headers={'Cookie': f'session={ann_cookie}'})
    await ann.ask('message', 'alone')
    await ann.wait('message')  # she is in the room
    bob = await Client().connect(daemon, transports=transports, headers={'Cookie': f'session={bob_cookie}'})
    arrival = (await ann.wait('message', 2))[1]
    assert arrival['message'] == 'has entered the room' and arrival['system'] is True
    answers = [await ann.ask('message', text) for text in ({'data': 'one'}, 'two', {'message': 'three'})]
    assert [answer['seq'] for answer in answers] == [2, 3, 4] and all(answer['ok'] for answer in answers)
    heard = [one['message'] for one in await bob.wait('message', 3) if not one.get('system')]
    assert heard == ['one', 'two', 'three']
    assert (await ann.ask('message', ''))['ok'] is False
    await ann.sio.disconnect()
    await bob.sio.disconnect()


@pytest.mark.parametrize('way', ['auth', 'header', 'query'])
async def test_a_token_and_the_cookie_of_the_same_account(daemon, way):
    """The token says who it is; the cookie's room is followed too, in the form of the token's clients.

    Red with the cookie not looked at (add_room for the header and the query, tell_who for "auth")."""
    async with People(daemon) as people:
        account = await people.new_person('ann')
        cookie, code = await page_of(daemon, '', cookie=(await people.page_login(account['user']['username'])).value)
    bob_cookie, _ = await page_of(daemon, unique('Bob'), code)
    bob = await Client().connect(daemon, headers={'Cookie': f'session={bob_cookie}'})
    headers, token, query = {'Cookie': f'session={cookie}'}, None, ''
    if way == 'header':
        headers |= bearer(account['token'])
    elif way == 'query':
        query = f'/?token={account["token"]}'
    else:
        token = account['token']
    ann = await Client().connect(daemon, token, query=query, headers=headers)
    assert (await ann.ask('join_conversation', f'user_{account["user"]["id"]}'))['ok']  # answered when she is in
    assert (await bob.ask('message', 'to the page'))['ok']
    told, = await ann.wait('new_message')
    assert told['content'] == 'to the page' and not ann.of('message')
    answer = await ann.ask('message', {'data': 'from the client'})
    assert answer['ok'] and answer['message']['conversation_id'] == told['conversation_id']
    await eventually(lambda: [(one['name'], one['message']) for one in bob.of('message') if not one.get('system')][1:]
                     == [(account['user']['name'], 'from the client')], 'the page has it from her')
    assert (await ann.ask('leave_conversation', told['conversation_id']))['ok']
    assert (await ann.ask('message', 'gone'))['code'] == 'not_subscribed'
    for client in (ann, bob):
        await client.sio.disconnect()


async def test_a_token_wins_over_the_cookie_of_somebody_else(daemon):
    """Red with the users not compared."""
    async with People(daemon) as people:
        account = await people.new_person('ann')
    cookie, _ = await page_of(daemon, unique('Bob'))
    bob = await Client().connect(daemon, headers={'Cookie': f'session={cookie}'})
    await bob.ask('message', 'one')
    room = int((await bob.wait('message'))[0]['id']) >> 32
    for more in ({'token': account['token']}, {'headers': bearer(account['token'])}):
        headers = {'Cookie': f'session={cookie}', **more.pop('headers', {})}
        ann = await Client().connect(daemon, headers=headers, **more)
        await ann.wait('online_users')
        answer = await ann.ask('message', 'as bob?')
        assert answer['ok'] is False and answer['code'] == 'unknown_op', answer
        assert (await ann.ask('send_message', {'conversationId': room, 'content': 'x'}))['code'] == 'not_subscribed'
        await ann.sio.disconnect()
    await bob.sio.disconnect()


async def test_the_closed_room_of_a_cookie_is_no_error_to_who_has_a_token(daemon, rows):
    """Red with is_silent of sio_say_fault always false: message_error comes first."""
    async with People(daemon) as people:
        account = await people.new_person('ann')
        signed_in = (await people.page_login(account['user']['username'])).value
        cookie, code = await page_of(daemon, '', cookie=signed_in)
    rows("select conversation_close(id, 0) from conversations where code = %s", code)
    ann = await Client().connect(daemon, account['token'], headers={'Cookie': f'session={cookie}'})
    assert (await ann.ask('join_conversation', f'user_{account["user"]["id"]}'))['ok']
    assert not ann.of('message_error')
    await ann.sio.disconnect()
