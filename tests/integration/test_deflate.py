# SPDX-License-Identifier: MIT
"""The chat with websocket.deflate (RFC 7692): every socket is heard and told compressed, a room once for each window.

Seen red with the frames of a room sent as they are, and with a compressor run for each receiver. Negotiation, windows
and what breaks the protocol: test_conformance_sockets.py.
"""
import asyncio
import json
import zlib

import pytest

from roomd_clients import Http, RoomSocket
from roomd_harness import PATIENCE, unique
from roomd_msgpack import pack, unpack
from roomd_outage import metric
from roomd_raw import BINARY, CLOSE, PING, PONG, TEXT, Link

DAEMON = {'workers': 1, 'settings': {'websocket.deflate': 'on'}}
LONG = 'a text that is said again and again, ' * 20


class Deflated:
    """A socket that compresses what it says and expects the same."""

    def __init__(self, link, opcode=TEXT):
        self.link, self.opcode = link, opcode
        self.was_deflated = False  # the last message

    @classmethod
    async def open(cls, daemon, path, *fields, bits=15, **more):
        link = await Link.open(daemon)
        offer = f'Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits={bits}'
        assert (await link.upgrade(path, offer, *fields)).status == 101
        assert link.window == bits
        return cls(link, **more)

    async def say(self, text):
        squeezer = zlib.compressobj(wbits=-15)
        text = text if isinstance(text, bytes) else text.encode()
        data = squeezer.compress(text) + squeezer.flush(zlib.Z_SYNC_FLUSH)
        await self.link.frame(self.opcode, data[:-4], rsv=4)

    async def hear(self, condition):
        """Reads until the condition holds of a message; returns that."""
        return await asyncio.wait_for(self._hear(condition), PATIENCE)

    async def _hear(self, condition):
        while True:
            before = self.link.inflated
            opcode, payload, _ = await self.link.next_frame()
            self.was_deflated = self.link.inflated > before
            assert opcode != CLOSE, payload
            if opcode == PING:
                await self.link.frame(PONG, payload)
                continue
            assert opcode == self.opcode
            if condition(payload):
                return payload

    async def hear_json(self, **fields):
        def matches(payload):
            frame = unpack(payload) if self.opcode == BINARY else json.loads(payload)
            return frame if all(frame.get(name) == value for name, value in fields.items()) else None
        return matches(await self.hear(matches))

    @classmethod
    async def enter(cls, daemon, room, name, bits):
        self = await cls.open(daemon, f'/ws/chat/{room}', bits=bits)
        await self.say(json.dumps({'username': name}))
        await self.hear_json(type='connected')
        return self


async def test_c11_a_room_is_told_once_for_each_window(daemon):
    names = [unique(f'Member{n}') for n in range(6)]
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    plain = await RoomSocket.enter(daemon, room, names[0])
    others = [await Deflated.enter(daemon, room, name, bits) for name, bits in zip(names[1:], (15, 10, 15, 9, 15))]

    def is_whole_list(payload):
        frame = json.loads(payload)
        return frame['type'] == 'users_list' and set(frame['users']) == set(names)
    for other in others:  # little else is to come then
        await other.hear(is_whole_list)
    await plain.wait(lambda frames: any(is_whole_list(json.dumps(frame)) for frame in frames))
    before = await metric(daemon, 'roomd_deflates_total')
    for n in range(5):
        await plain.say(LONG + str(n))
        await plain.wait_messages(n + 1)
        for other in others:
            assert (await other.hear_json(type='message'))['content'] == LONG + str(n)
            assert other.was_deflated
    # windows of 15, 10 and 9 bits, for five sockets; the list may come once more
    assert 5 * 3 <= await metric(daemon, 'roomd_deflates_total') - before <= 5 * 3 + 3
    await others[1].say(json.dumps({'type': 'message', 'content': 'heard as well'}))
    assert (await plain.wait_messages(6))[-1]['content'] == 'heard as well'
    for socket in (plain, *(other.link for other in others)):
        await socket.close()


@pytest.mark.parametrize('opcode, protocol', [(TEXT, 'roomd.v1'), (BINARY, 'roomd.v1.msgpack')])
async def test_native_requests_and_answers(daemon, opcode, protocol):
    write = pack if opcode == BINARY else json.dumps
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    one, two = [await Deflated.open(daemon, '/ws', f'Sec-WebSocket-Protocol: {protocol}', opcode=opcode)
                for _ in range(2)]
    for socket in (one, two):
        await socket.say(write({'op': 'hello', 'id': 1, 'name': unique('Native')}))
        assert (await socket.hear_json(re=1))['op'] == 'welcome'
        assert socket.link.inflated == 1
        await socket.say(write({'op': 'sub', 'id': 2, 'c': room, 'rev': 0}))
        assert (await socket.hear_json(re=2))['op'] == 'live'
    for n in range(3):
        await one.say(write({'op': 'send', 'id': 10 + n, 'c': room, 'k': f'key-{n}', 'content': f'{LONG}{n}'}))
        assert (await two.hear_json(op='ev', t='message.new'))['d']['content'] == f'{LONG}{n}'
        await one.hear_json(re=10 + n)
    three = await Deflated.open(daemon, '/ws', f'Sec-WebSocket-Protocol: {protocol}', bits=9, opcode=opcode)
    await three.say(write([{'op': 'hello', 'id': 1, 'name': unique('Late')}, {'op': 'sub', 'id': 2, 'c': room, 'rev': 1}]))
    caught_up = [await three.hear_json(op='ev', t='message.new') for _ in range(2)]  # a page of the log
    assert [event['d']['content'] for event in caught_up] == [f'{LONG}{n}' for n in (1, 2)]
    assert three.link.inflated >= 1
    for socket in (one, two, three):
        await socket.link.close()


async def test_socketio_packets_and_a_session_that_polled_before(daemon):
    socket = await Deflated.open(daemon, '/socket.io/?EIO=4&transport=websocket')
    opened = json.loads((await socket.hear(lambda payload: payload[:1] == b'0'))[1:])
    assert opened['sid'] and socket.link.inflated == 1
    await socket.say('40' + json.dumps({'token': 'x' * 100}))
    await socket.hear(lambda payload: payload[:2] == b'44')
    await socket.link.close()

    async with Http(daemon) as http:
        path = '/socket.io/?EIO=4&transport=polling'
        async with http.session.get(daemon.http + path) as answer:
            sid = json.loads((await answer.text())[1:])['sid']
        socket = await Deflated.open(daemon, f'/socket.io/?EIO=4&transport=websocket&sid={sid}')
        await socket.say('2probe')
        await socket.hear(lambda payload: payload == b'3probe')
        await socket.say('5')
        await socket.say('40' + json.dumps({'token': 'x' * 100}))  # the session's own socket now
        await socket.hear(lambda payload: payload[:2] == b'44')
    await socket.link.close()


async def test_a_message_that_becomes_too_large_is_1009(daemon):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    socket = await Deflated.enter(daemon, room, unique('Bomber'), 15)
    await socket.say(bytes(10 << 20))  # 10 KiB on the wire, and 64 KiB are allowed
    assert await socket.link.close_code() == 1009
    await socket.link.close()


async def test_many_large_messages_to_a_reader_that_comes_late(daemon):
    """Frames queued because the socket is full are whole, and what was missed is caught up with."""
    count = 400
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    reader = await Deflated.enter(daemon, room, unique('Slow'), 15)
    plain = await RoomSocket.enter(daemon, room, unique('Fast'))

    def text(n):
        return zlib.crc32(str(n).encode()).to_bytes(4, 'big').hex() * 100 + str(n)
    for n in range(count):
        await plain.say(text(n))
        if n % 50 == 49:
            await plain.wait_messages(n + 1)
    heard = []
    while len(heard) < count:
        heard.append((await reader.hear_json(type='message'))['content'])
    assert heard == [text(n) for n in range(count)]
    await asyncio.gather(plain.close(), reader.link.close())
