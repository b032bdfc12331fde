# SPDX-License-Identifier: MIT
"""WebSocket as RFC 6455 has it, by frames made here: what a server must accept and must refuse."""
import asyncio
import json
import os
import struct

import pytest

from roomd_clients import Http, NativeSocket, RoomSocket, Socket
from roomd_harness import unique
from roomd_raw import BINARY, CLOSE, CONT, PING, PONG, TEXT, Link, make_frame

DAEMON = {'settings': {
    'presence.grace_clean': '0ms', 'presence.grace_lost': '100ms', 'websocket.close_timeout': '1s',
    'websocket.frame_max': '64k', 'websocket.message_max': '64k'}}


def text_of(content):
    return json.dumps({'type': 'message', 'content': content}).encode()


async def enter(daemon, name='Alice', room=None):
    """A raw connection that has entered a room; returns it and the room."""
    if room is None:
        async with Http(daemon) as http:
            room = (await http.new_room())['id']
    link = await Link.open(daemon)
    assert (await link.upgrade(f'/ws/chat/{room}')).status == 101
    await link.frame(TEXT, json.dumps({'username': name}))
    await until_type(link, 'connected')
    return link, room


async def until_type(link, kind):
    """Reads frames up to a JSON one of that type."""
    while True:
        frame = json.loads(await link.until(TEXT))
        if frame['type'] == kind:
            return frame


async def expect_close(link, *codes):
    """Reads the close, answers it, and expects the end of the connection."""
    code = await link.close_code()
    assert code in codes
    try:
        await link.frame(CLOSE, struct.pack('!H', code))
    except ConnectionError:
        pass
    assert await link.is_ended()
    await link.close()


# ---------------------------------------------------------------- the upgrade (section 4)


async def test_the_accept_key_of_the_rfc(daemon):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    async with await Link.open(daemon) as link:
        answer = await link.upgrade(f'/ws/chat/{room}', key='dGhlIHNhbXBsZSBub25jZQ==')
    assert answer.status == 101
    assert answer['sec-websocket-accept'] == 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
    assert answer['upgrade'].lower() == 'websocket'
    assert answer['connection'].lower() == 'upgrade'


@pytest.mark.parametrize('fields, status', [
    (('Connection: Upgrade', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='), 426),
    (('Upgrade: websocket', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='), 426),
    (('Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 8',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='), 426),
    (('Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13'), 400),
    (('Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: short'), 400),
])
async def test_an_upgrade_that_lacks_something_is_refused(daemon, fields, status):
    async with await Link.open(daemon) as link:
        answer = await link.ask('GET', '/ws', fields)
    assert answer.status in (status, 400, 426)
    if status == 426:
        assert answer.status == 400 or answer['sec-websocket-version'] == '13'


async def test_names_of_the_upgrade_are_compared_without_case_and_in_lists(daemon):
    async with await Link.open(daemon) as link:
        answer = await link.ask('GET', '/ws', (
            'UPGRADE: WebSocket', 'connection: keep-alive, uPgRaDe', 'sec-websocket-version: 13',
            'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==', 'Sec-WebSocket-Protocol: chat, roomd.v1'))
    assert (answer.status, answer['sec-websocket-protocol']) == (101, 'roomd.v1')


async def test_s0_43_an_upgrade_from_another_origin_is_403(daemon):
    async with await Link.open(daemon) as link:
        assert (await link.upgrade('/ws', 'Origin: http://evil.example')).status == 403
    async with await Link.open(daemon) as link:
        assert (await link.upgrade('/ws', 'Origin: http://localhost')).status == 101


async def test_an_upgrade_on_a_connection_that_was_used_before(daemon):
    async with await Link.open(daemon) as link:
        assert (await link.ask('GET', '/api/chat/rooms')).status == 200
        assert (await link.upgrade('/ws')).status == 101


async def test_frames_sent_together_with_the_upgrade_are_not_lost(daemon):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    async with await Link.open(daemon) as link:
        frames = make_frame(TEXT, b'{"username":"Eager"}') + make_frame(TEXT, text_of('at once'))
        await link.send(f'GET /ws/chat/{room} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n'
                        'Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
                        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'.encode() + frames)
        assert (await link.answer()).status == 101
        assert (await until_type(link, 'message'))['content'] == 'at once'


@pytest.mark.parametrize('kind', ['room socket', 'native'])
async def test_who_does_not_wait_for_the_confirmation_sees_its_own_message(daemon, kind):
    """Many at once, in rooms that no worker knows yet. Seen red: more than half never saw what they had sent."""
    async def visit(room):
        if kind == 'native':
            socket = await NativeSocket.hello(daemon, unique('Eager'))
            await socket.send([{'op': 'sub', 'id': 'a', 'c': room},
                               {'op': 'send', 'id': 'b', 'c': room, 'k': 'k', 'content': 'at once'}])
        else:
            socket = await Socket.open(daemon, f'/ws/chat/{room}')
            for frame in ({'username': unique('Eager')}, {'type': 'message', 'content': 'at once'}):
                await socket.send(frame)
        await socket.wait(lambda _: 'at once' in [frame.get('content', frame.get('d', {}).get('content'))
                                                  for frame in socket.frames
                                                  if 'message' in (frame.get('type'), frame.get('t', '')[:7])])
        await socket.close()
    async with Http(daemon) as http:
        rooms = [(await http.new_room())['id'] for _ in range(40)]
    await asyncio.gather(*[visit(room) for room in rooms])


# ---------------------------------------------------------------- frames (section 5)


@pytest.mark.parametrize('size', [1, 95, 96, 97, 125, 1000, 15000])
async def test_texts_of_all_length_forms_come_through(daemon, size):
    link, _ = await enter(daemon)
    await link.frame(TEXT, text_of('x' * size))
    assert (await until_type(link, 'message'))['content'] == 'x' * size
    await link.close()


async def test_a_message_in_fragments_with_control_frames_between(daemon):
    link, _ = await enter(daemon)
    payload = text_of('frägmented ✓')
    await link.frame(TEXT, payload[:3], fin=False)
    await link.frame(PING, b'one')
    assert await link.until(PONG) == b'one'
    for byte in payload[3:-1]:  # one byte each, so characters are split too
        await link.frame(CONT, bytes([byte]), fin=False)
    await link.frame(PONG, b'unasked')
    await link.frame(CONT, b'', fin=False)
    await link.frame(PING, b'two')
    assert await link.until(PONG) == b'two'
    await link.frame(CONT, payload[-1:])
    assert (await until_type(link, 'message'))['content'] == 'frägmented ✓'
    await link.close()


async def test_a_frame_that_arrives_byte_by_byte(daemon):
    link, _ = await enter(daemon)
    for byte in make_frame(TEXT, text_of('slowly')):
        await link.send(bytes([byte]))
        await asyncio.sleep(0)
    assert (await until_type(link, 'message'))['content'] == 'slowly'
    await link.close()


async def test_many_frames_in_one_segment(daemon):
    link, _ = await enter(daemon)
    await link.send(b''.join(make_frame(TEXT, text_of(f'text {n}')) for n in range(100)))
    assert [(await until_type(link, 'message'))['content'] for _ in range(100)] == \
        [f'text {n}' for n in range(100)]
    await link.close()


@pytest.mark.parametrize('payload', [b'', b'x', bytes(range(125))])
async def test_a_ping_is_answered_with_its_payload(daemon, payload):
    link, _ = await enter(daemon)
    await link.frame(PING, payload)
    assert await link.until(PONG) == payload
    await link.close()


async def test_a_pong_that_nobody_asked_for_is_ignored(daemon):
    link, _ = await enter(daemon)
    await link.frame(PONG, b'unasked')
    await link.frame(PING, b'alive')
    assert await link.until(PONG) == b'alive'
    await link.close()


@pytest.mark.parametrize('what, frame', [
    ('unmasked', lambda: make_frame(TEXT, b'{}', is_masked=False)),
    ('unmasked control', lambda: make_frame(PING, b'', is_masked=False)),
    ('reserved bit 1', lambda: make_frame(TEXT, b'{}', rsv=4)),
    ('reserved bit 2', lambda: make_frame(TEXT, b'{}', rsv=2)),
    ('reserved bit 3', lambda: make_frame(TEXT, b'{}', rsv=1)),
    ('reserved data opcode', lambda: make_frame(3, b'{}')),
    ('reserved data opcode 7', lambda: make_frame(7, b'')),
    ('reserved control opcode', lambda: make_frame(11, b'')),
    ('reserved control opcode 15', lambda: make_frame(15, b'')),
    ('fragmented control', lambda: make_frame(PING, b'x', fin=False)),
    ('long control', lambda: make_frame(PING, b'x' * 126)),
    ('continuation of nothing', lambda: make_frame(CONT, b'x')),
    ('text inside a message', lambda: make_frame(TEXT, b'{', fin=False) + make_frame(TEXT, b'}')),
    ('length not in its shortest form', lambda: make_frame(TEXT, b'{}', length=(16, 2))),
    ('64-bit length not in its shortest form', lambda: make_frame(TEXT, b'{}', length=(64, 2))),
    ('length with its highest bit', lambda: make_frame(TEXT, b'{}', length=(64, 1 << 63))),
    ('close with one byte', lambda: make_frame(CLOSE, b'\x03')),
])
async def test_a_breach_of_the_protocol_closes_1002(daemon, what, frame):
    link, _ = await enter(daemon)
    await link.send(frame())
    await expect_close(link, 1002)


@pytest.mark.parametrize('payload', [
    b'\xff', b'\xc0\xaf', b'\xed\xa0\x80', b'\xf4\x90\x80\x80', b'\xe2\x82', b'\x80', b'"\xf8\x88\x80\x80\x80"'])
async def test_text_that_is_no_utf_8_closes_1007(daemon, payload):
    link, _ = await enter(daemon)
    await link.frame(TEXT, payload)
    await expect_close(link, 1007)


async def test_bad_utf_8_over_two_fragments_closes_1007(daemon):
    link, _ = await enter(daemon)
    await link.frame(TEXT, b'"\xe2\x82', fin=False)
    await link.frame(CONT, b'"')
    await expect_close(link, 1007)


async def test_a_reason_that_is_no_utf_8_closes_1007(daemon):
    link, _ = await enter(daemon)
    await link.frame(CLOSE, struct.pack('!H', 1000) + b'\xff\xfe')
    assert await link.close_code() == 1007
    await link.close()


async def test_a_frame_that_is_too_large_closes_1009_before_it_is_sent(daemon):
    link, _ = await enter(daemon)
    await link.send(b'\x81\xff' + struct.pack('!Q', 1 << 40) + b'mask')
    assert await link.close_code() in (1009, 4413)
    await link.close()


async def test_fragments_that_are_too_large_together_close_1009(daemon):
    link, _ = await enter(daemon)
    try:
        await link.frame(TEXT, b'"' + b'x' * 40000, fin=False)
        await link.frame(CONT, b'x' * 40000, fin=False)
    except ConnectionError:
        pass
    assert await link.close_code() in (1009, 4413)
    await link.close()


# ---------------------------------------------------------------- closing (section 7)


@pytest.mark.parametrize('code', [1000, 1001, 1003, 1007, 1011, 3000, 3999, 4000, 4999])
async def test_a_close_is_echoed_with_its_code(daemon, code):
    link, _ = await enter(daemon)
    await link.frame(CLOSE, struct.pack('!H', code) + 'bye ✓'.encode())
    assert await link.close_code() == code
    assert await link.is_ended()
    await link.close()


async def test_a_close_without_a_code_is_answered(daemon):
    link, _ = await enter(daemon)
    await link.frame(CLOSE)
    assert await link.close_code() in (1000, 1005)
    assert await link.is_ended()
    await link.close()


@pytest.mark.parametrize('code', [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535])
async def test_a_close_with_a_code_that_may_not_be_sent_is_1002(daemon, code):
    link, _ = await enter(daemon)
    await link.frame(CLOSE, struct.pack('!H', code))
    assert await link.close_code() == 1002
    await link.close()


async def test_what_follows_a_close_is_ignored(daemon, rows):
    link, room = await enter(daemon)
    await link.send(make_frame(CLOSE, struct.pack('!H', 1000)) + make_frame(TEXT, text_of('too late')))
    assert await link.close_code() == 1000
    assert await link.is_ended()
    await link.close()
    assert rows('select count(*) from compat.messages where room_id = %s', room) == [(0,)]


async def test_a_peer_that_does_not_answer_our_close_is_cut_off(daemon):
    link, _ = await enter(daemon)
    await link.frame(TEXT, b'\xff')
    assert await link.close_code() == 1007
    assert await link.is_ended()  # after close_timeout, though our side stays open
    await link.close()


async def test_messages_before_a_broken_frame_are_kept(daemon, rows):
    link, room = await enter(daemon)
    await link.send(make_frame(TEXT, text_of('kept')) + make_frame(3, b''))
    assert await close_after_frames(link) == 1002
    async with await RoomSocket.enter(daemon, room, 'Bob') as bob:
        await bob.say('later')
        await bob.wait_messages(1)
    assert rows('select content from compat.messages where room_id = %s order by id', room) == \
        [('kept',), ('later',)]


async def close_after_frames(link):
    while True:
        opcode, payload, _ = await link.next_frame()
        if opcode == CLOSE:
            await link.close()
            return struct.unpack('!H', payload[:2])[0]


async def test_binary_where_text_is_spoken(daemon):
    link, _ = await enter(daemon)
    await link.frame(BINARY, text_of('binary'))
    opcode, payload, _ = await link.next_frame()
    while opcode == TEXT and json.loads(payload)['type'] in ('users_list', 'system'):
        opcode, payload, _ = await link.next_frame()
    if opcode == TEXT:
        assert json.loads(payload)['type'] == 'error'
    else:
        assert (opcode, struct.unpack('!H', payload[:2])[0]) in ((CLOSE, 1003), (CLOSE, 4400))
    await link.close()


# ---------------------------------------------------------------- time


async def test_a_silent_peer_is_pinged_and_then_cut_off(start_daemon):
    one = start_daemon(settings={'websocket.ping_interval': '300ms', 'websocket.ping_timeout': '500ms'})
    link, room = await enter(one)
    async with await RoomSocket.enter(one, room, 'Bob') as bob:  # websockets answers pings
        for _ in range(3):
            await link.frame(PONG, await link.until(PING))
        await link.until(PING)
        # no answer any more
        with pytest.raises((AssertionError, asyncio.IncompleteReadError, ConnectionResetError)):
            await link.until(99)
        await link.close()
        assert bob.is_open


async def test_a_name_that_does_not_come_is_4408(start_daemon):
    one = start_daemon(settings={'websocket.hello_timeout': '300ms'})
    async with Http(one) as http:
        room = (await http.new_room())['id']
    for path in (f'/ws/chat/{room}', '/ws'):
        async with await Link.open(one) as link:
            assert (await link.upgrade(path)).status == 101
            await link.frame(PING, b'alive')  # does not count as a first frame
            assert await close_after_frames(link) == 4408


async def test_c14_a_reader_that_stands_still_is_closed_and_hinders_nobody(start_daemon):
    one = start_daemon(settings={'deliver.queue_max': '64k', 'deliver.behind_timeout': '1s'})
    link, room = await enter(one, 'Slow')
    bob = await RoomSocket.enter(one, room, 'Bob')
    for number in range(600):
        await bob.say('x' * 15000)
        if number % 50 == 49:
            await bob.wait_messages(number + 1)
    await asyncio.to_thread(one.wait_log, 'a reader did not keep up')
    code = await close_after_frames_or_end(link)
    assert code in (4480, None)
    assert len(bob.messages()) == 600
    await bob.close()


async def close_after_frames_or_end(link):
    """The close code, or None when the connection ended without one fitting in."""
    try:
        return await close_after_frames(link)
    except (asyncio.IncompleteReadError, ConnectionResetError):
        await link.close()
        return None


async def test_random_bytes_do_no_harm(daemon):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    for seed in range(50):
        link, _ = await enter(daemon, f'Random {seed}', room)
        try:
            await link.send(os.urandom(2000))
            link.finish()
            await close_after_frames_or_end(link)
        except ConnectionError:
            pass
    async with await RoomSocket.enter(daemon, room, 'Bob') as bob:
        await bob.say('all is well')
        await bob.wait_messages(1)
