# SPDX-License-Identifier: MIT
"""One room, every dialect: what each member says, each other sees once, in one order, in its own form.

The members: S0 (a page's cookie over Socket.IO), S1 (the room's WebSocket), S4 (a token over Socket.IO, by WebSocket
and by polling), native JSON, native MessagePack, an event stream, and REST alone. All but the page's guest are
accounts that have entered the room by its code.
"""
import asyncio
import uuid

import aiohttp

from roomd_clients import NativeSocket, RoomSocket
from roomd_harness import PATIENCE, unique
from roomd_msgpack import PackedSocket
from roomd_people import People, bearer
from roomd_stream import Stream
from test_socketio import Client, page_of

DAEMON = {'workers': 4, 'settings': {'auth.hash_memory': '64k', 'auth.hash_passes': 1, 'limits.sends_conversation': 'off'}}
EACH = 12


class Rest:
    """A member that only asks and answers: it polls for what it has not seen."""

    def __init__(self, people, room, token):
        self.people, self.room, self.token = people, room, token

    async def say(self, text):
        status, body, _ = await self.people.ask(
            'POST', f'/api/v1/conversations/{self.room}/messages',
            {'content': text, 'client_msg_id': str(uuid.uuid4())}, headers=bearer(self.token))
        assert status in (200, 201), body

    async def seen(self):
        texts, query = [], '?limit=50'
        while True:
            status, body, _ = await self.people.ask(
                'GET', f'/api/v1/conversations/{self.room}/messages{query}', headers=bearer(self.token))
            assert status == 200, body
            texts[:0] = [one['content'] for one in body['messages']]
            if not body['has_before']:
                return texts
            query = f'?limit=50&before={body["messages"][0]["id"]}'

    async def close(self):
        pass


class Member:
    """One who speaks by SAY and sees, as a list of texts, what SEEN tells."""

    def __init__(self, name, say, seen, close):
        self.name, self.say, self.close = name, say, close
        self.seen = seen if asyncio.iscoroutinefunction(seen) else self.as_coroutine(seen)

    @staticmethod
    def as_coroutine(seen):
        async def ask():
            return seen()
        return ask


async def enter(daemon, code, token):
    """The account is a member of the room from now on."""
    async with aiohttp.ClientSession() as session:
        async with session.post(daemon.http + '/', data={'code': code, 'join': '1'}, headers=bearer(token),
                                allow_redirects=False) as answer:
            assert answer.status == 302, await answer.text()


async def s0_member(daemon, code):
    cookie, _ = await page_of(daemon, unique('Page'), code)
    client = await Client().connect(daemon, headers={'Cookie': f'session={cookie}'})

    async def say(text):
        assert (await client.ask('message', {'data': text}))['ok']
    return Member('S0', say, lambda: [one['message'] for one in client.of('message') if not one.get('system')],
                  client.sio.disconnect)


async def s1_member(daemon, room, token, name):
    socket = await RoomSocket.open(daemon, f'/ws/chat/{room}', extra_headers=bearer(token))
    await socket.send({'username': name})
    await socket.expect(type='connected')
    return Member('S1', socket.say, lambda: [one['content'] for one in socket.messages()], socket.close)


async def s4_member(daemon, room, token, transport):
    client = await Client().connect(daemon, token, [transport])
    await client.join(room)

    async def say(text):
        assert (await client.say(room, text))['ok']
    return Member(f'S4 by {transport}', say, lambda: [one['content'] for one in client.of('new_message')],
                  client.sio.disconnect)


async def native_member(kind, daemon, room, token):
    socket = await kind.hello(daemon, None, token=token)
    await socket.sub(room)

    async def say(text):
        assert (await socket.say(room, text))['op'] == 'ok'
    return Member(kind.__name__, say,
                  lambda: [one['d']['content'] for one in socket.events(room) if one['t'] == 'message.new'], socket.close)


async def stream_member(daemon, room, token, rest):
    stream = await Stream.open(daemon, [room], headers=bearer(token))
    return Member('event stream', rest.say, lambda: stream.contents(room), stream.close)


async def all_seen(member, said):
    """What the member has seen once nothing of SAID is missing; what is there when time is up, otherwise."""
    for _ in range(PATIENCE * 10):
        seen = await member.seen()
        if said <= set(seen):
            break
        await asyncio.sleep(0.1)
    return seen


async def test_every_member_sees_every_message_once_in_order_in_its_own_form(daemon):
    """Red with one dialect's events left out of the fan-out, or told twice."""
    page_cookie, code = await page_of(daemon, unique('Maker'))
    maker = await Client().connect(daemon, headers={'Cookie': f'session={page_cookie}'})
    first = await maker.ask('message', 'before all others')
    room = int(first['id']) >> 32
    async with People(daemon) as people:
        tokens = []
        for number in range(7):
            person = await people.new_person(f'p{number}')
            await enter(daemon, code, person['token'])
            tokens.append((person['token'], person['user']['username']))
        members = [
            await s0_member(daemon, code),
            await s1_member(daemon, room, *tokens[0]),
            await s4_member(daemon, room, tokens[1][0], 'websocket'),
            await s4_member(daemon, room, tokens[2][0], 'polling'),
            await native_member(NativeSocket, daemon, room, tokens[3][0]),
            await native_member(PackedSocket, daemon, room, tokens[4][0]),
            await stream_member(daemon, room, tokens[5][0], Rest(people, room, tokens[5][0])),
        ]
        rest = Rest(people, room, tokens[6][0])
        members.append(Member('REST', rest.say, rest.seen, rest.close))

        async def talk(member):
            for number in range(EACH):
                await member.say(f'{member.name} says {number}')
        await asyncio.gather(*(talk(member) for member in members))
        said = {f'{member.name} says {number}' for member in members for number in range(EACH)}
        log = [text for text in await rest.seen() if text in said]
        assert sorted(log) == sorted(said)
        for member in members:
            own = [text for text in log if text.startswith(f'{member.name} says ')]
            assert own == [f'{member.name} says {number}' for number in range(EACH)]
            assert [text for text in await all_seen(member, said) if text in said] == log, member.name
        for member in members:
            await member.close()
        await maker.sio.disconnect()
