# SPDX-License-Identifier: MIT
"""roomd --conformance: plain WebSockets, compressed ones (RFC 7692), MessagePack and the stream of events.

Seen red with an echo that answers nothing, with windows that are not kept to, and with RSV1 let through anywhere.
What frames may not be is tested one by one in test_websocket.py; here is what an echo shows and a chat does not.
"""
import asyncio
import os
import shutil
import struct
import subprocess
import zlib
from pathlib import Path

import aiohttp
import msgpack
import pytest
import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

from roomd_clients import PATIENCE
from roomd_harness import clean_environment
from roomd_raw import BINARY, CLOSE, CONT, PING, PONG, TEXT, Link, make_frame
from roomd_stream import Parser
from test_conformance import NOWHERE, Conformance

BROWSER = Path(__file__).parents[1] / 'browser'
LARGE = 16 << 20
HELLO = bytes.fromhex('f248cdc9c90700')
NO_TAKEOVER = 'permessage-deflate; server_no_context_takeover; client_no_context_takeover'


@pytest.fixture(scope='module')
def echo():
    one = Conformance(NOWHERE, workers=1, settings={'websocket.ping_interval': '200ms'},
                      name='test_conformance_sockets')
    try:
        yield one.start()
    finally:
        one.close()


def name_of(value):
    """Of a test with this parameter: the same in every process, although frames have masks by chance."""
    return 'frames' if isinstance(value, bytes) else repr(value)[:40]


async def open_raw(echo, offer=None, path='/ws'):
    link = await Link.open(echo)
    answer = await link.upgrade(path, *([f'Sec-WebSocket-Extensions: {offer}'] if offer else []))
    return link, answer


async def hear(link):
    """The next message: (opcode, payload). Pings of the daemon are answered."""
    while True:
        opcode, payload, fin = await link.next_frame()
        assert fin
        if opcode != PING:
            return opcode, payload
        await link.frame(PONG, payload)


async def closes(link, code):
    opcode, payload = await hear(link)
    assert opcode == CLOSE and struct.unpack('!H', payload[:2])[0] == code, (opcode, payload)
    await link.close()


def deflate(data, bits=15):
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -bits)
    return (squeezer.compress(data) + squeezer.flush(zlib.Z_SYNC_FLUSH))[:-4]


# ---- Messages ----------------------------------------------------------------------------------------

@pytest.mark.parametrize('offer', [None, 'permessage-deflate'])
async def test_messages_come_back_as_what_they_are(echo, offer):
    link, _ = await open_raw(echo, offer)
    for opcode, payload in ((TEXT, 'ünï ✓'.encode()), (BINARY, bytes(range(256))), (TEXT, b''), (BINARY, b''),
                            (TEXT, b'x' * 70000)):
        await link.frame(opcode, payload)
        assert await hear(link) == (opcode, payload)
    assert link.inflated == (1 if offer else 0)  # the one that has become shorter
    await link.frame(BINARY, b'one', fin=False)
    await link.frame(PING, b'between')
    assert await hear(link) == (PONG, b'between')
    await link.frame(CONT, b'', fin=False)
    await link.frame(CONT, b' two')
    assert await hear(link) == (BINARY, b'one two')
    await link.close()


@pytest.mark.parametrize('data, offers', [
    ('noise', []), ('noise', ['permessage-deflate']), ('text', ['permessage-deflate'])])
async def test_a_message_of_16_mib(echo, data, offers):
    """Compressed, noise is more than that on the wire."""
    data = os.urandom(LARGE) if data == 'noise' else b'sixteen mebibyte' * (LARGE // 16)
    offers = [ClientPerMessageDeflateFactory(compress_settings={'level': 1, 'memLevel': 1}) for _ in offers]
    async with websockets.connect(echo.ws + '/ws', max_size=None, compression=None, extensions=offers) as link:
        await link.send(data)
        assert await asyncio.wait_for(link.recv(), PATIENCE) == data


async def test_a_message_that_is_larger_is_1009(echo):
    link, _ = await open_raw(echo, 'permessage-deflate')
    await link.send(b'\x82\xff' + struct.pack('!Q', LARGE + 1) + b'mask')
    await closes(link, 1009)
    link, _ = await open_raw(echo, 'permessage-deflate')
    await link.frame(BINARY, deflate(bytes(LARGE + 1)), rsv=4)  # of 16 KiB on the wire
    await closes(link, 1009)


async def test_65536_fragments_are_a_message_and_one_more_is_not(echo):
    first, more, last = (make_frame(TEXT, b'a', fin=False), make_frame(CONT, b'b', fin=False), make_frame(CONT, b'c'))
    link, _ = await open_raw(echo)
    await link.send(first + more * 65534 + last)
    assert await hear(link) == (TEXT, b'a' + b'b' * 65534 + b'c')
    await link.send(first + more * 65535 + last)
    await closes(link, 1009)


# ---- What breaks the protocol ------------------------------------------------------------------------

@pytest.mark.parametrize('frames, code', [
    (make_frame(TEXT, b'x', rsv=4), 1002),
    (make_frame(PING, b'x', fin=False), 1002),
    (make_frame(CONT, b'x'), 1002),
    (make_frame(3, b''), 1002),
    (make_frame(11, b''), 1002),
    (make_frame(TEXT, 'κόσμε'.encode() + b'\xed\xa0\x80edited'), 1007),
    # the rest of the frame, or of the message, never comes: the first bytes that show it are enough
    (make_frame(TEXT, 'κόσμε'.encode() + b'\xf4\x90' + b'x' * 30, fin=False)[:-30], 1007),
    (make_frame(TEXT, b'\xce', fin=False) + make_frame(CONT, b'\xba\xe1', fin=False) + make_frame(CONT, b'x', fin=False), 1007),
    (make_frame(CLOSE, b'\x03'), 1002),
    (make_frame(CLOSE, struct.pack('!H', 1015)), 1002),
    (make_frame(CLOSE, struct.pack('!H', 3999) + b'\xce\xba'), 3999),
    (make_frame(CLOSE, struct.pack('!H', 1000) + b'\xce'), 1007),
], ids=name_of)
async def test_what_is_no_frame_or_no_text_ends_the_socket(echo, frames, code):
    link, _ = await open_raw(echo)
    await link.send(frames)
    await closes(link, code)


# ---- Compression (RFC 7692) --------------------------------------------------------------------------

@pytest.mark.parametrize('offer, answer', [
    ('permessage-deflate', NO_TAKEOVER),
    ('permessage-deflate; client_max_window_bits', NO_TAKEOVER),
    ('permessage-deflate; server_max_window_bits=8, permessage-deflate; client_max_window_bits=8',
     NO_TAKEOVER + '; client_max_window_bits=8'),
    ('permessage-deflate; server_max_window_bits=16', None),
    ('permessage-deflate; server_no_context_takeover; server_no_context_takeover', None),
    ('permessage-deflate; unknown', None),
    ('x-webkit-deflate-frame', None),
])
async def test_offers_are_answered(echo, offer, answer):
    link, got = await open_raw(echo, offer)
    assert (got.status, got['sec-websocket-extensions']) == (101, answer)
    await link.frame(TEXT, b'a' * 1000)
    assert await hear(link) == (TEXT, b'a' * 1000)
    assert link.inflated == (answer is not None)
    await link.close()


async def test_a_malformed_list_of_extensions_ends_the_handshake(echo):
    link, got = await open_raw(echo, 'permessage-deflate; server_max_window_bits="9')
    assert got.status == 400
    await link.close()


@pytest.mark.parametrize('bits', range(9, 16))
async def test_every_window_with_a_stock_client(echo, bits):
    offer = ClientPerMessageDeflateFactory(server_max_window_bits=bits, client_max_window_bits=bits)
    far = os.urandom(1000)
    async with websockets.connect(echo.ws + '/ws', extensions=[offer], max_size=None) as link:
        assert link.response_headers['Sec-WebSocket-Extensions'] == \
            f'{NO_TAKEOVER}; server_max_window_bits={bits}; client_max_window_bits={bits}'
        for message in ('text ' * 1000, b'\0' * 5000, far * 3 + bytes(40000) + far, 'short'):
            await link.send(message)
            assert await asyncio.wait_for(link.recv(), PATIENCE) == message


def test_every_offer_of_the_stock_client_of_node(echo):
    """Red with an answer that lets the client keep its window."""
    if not (BROWSER / 'node_modules/.package-lock.json').exists() or not shutil.which('node'):
        pytest.skip('the stock clients are not installed in tests/browser')
    ran = subprocess.run(['node', BROWSER / 'echo.mjs'], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                         env=clean_environment(ROOMD_URL=echo.ws + '/ws'), timeout=PATIENCE * 4, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize('bits', [9, 15])
async def test_answers_stay_within_their_window(echo, bits):
    """Link.inflate refuses references beyond it. Red with one bit more than was agreed."""
    link, _ = await open_raw(echo, f'permessage-deflate; server_max_window_bits={bits}')
    data = os.urandom(700) * 3 + b'-' * 2000
    await link.frame(BINARY, data)
    assert await hear(link) == (BINARY, data)
    assert link.inflated == 1
    await link.close()


async def test_the_messages_of_the_rfc(echo):
    """Section 7.2.3."""
    link, _ = await open_raw(echo, 'permessage-deflate')
    for payload in ('f248cdc9c90700', '000500faff48656c6c6f00', 'f348cdc9c9070000', 'f248050000' '00ffffcac9c90700'):
        await link.frame(TEXT, bytes.fromhex(payload), rsv=4)
        assert await hear(link) == (TEXT, b'Hello')
    await link.frame(TEXT, HELLO[:3], fin=False, rsv=4)
    await link.frame(PING, b'')
    assert await hear(link) == (PONG, b'')
    await link.frame(CONT, HELLO[3:])
    assert await hear(link) == (TEXT, b'Hello')
    await link.close()


@pytest.mark.parametrize('frames, code', [
    (make_frame(TEXT, b'\x06', rsv=4), 1007),
    (make_frame(BINARY, HELLO[:4], rsv=4), 1007),
    (make_frame(TEXT, HELLO, rsv=4) + make_frame(TEXT, bytes.fromhex('f200110000'), rsv=4), 1007),
    (make_frame(TEXT, deflate(b'\xce'), rsv=4), 1007),
    (make_frame(TEXT, HELLO[:3], fin=False, rsv=4) + make_frame(CONT, HELLO[3:], rsv=4), 1002),
    (make_frame(PING, b'', rsv=4), 1002),
    (make_frame(TEXT, HELLO, rsv=6), 1002),
    (make_frame(TEXT, b'plain', rsv=2), 1002),
], ids=name_of)
async def test_what_is_compressed_wrongly_ends_the_socket(echo, frames, code):
    """Among them a message that refers to the one before, which the answer has forbidden."""
    link, _ = await open_raw(echo, 'permessage-deflate')
    await link.send(frames)
    opcode, payload = await hear(link)
    if (opcode, payload) == (TEXT, b'Hello'):
        opcode, payload = await hear(link)
    assert opcode == CLOSE and struct.unpack('!H', payload[:2])[0] == code
    await link.close()


# ---- MessagePack -------------------------------------------------------------------------------------

@pytest.mark.parametrize('value', [
    None, True, 0, -1, 127, 128, 255, 65536, 2**32, 2**63 - 1, -33, -2**15, -2**63, 1.5, -0.0, 1.0, 1e300, '', 'é' * 40,
    'x' * 70000, [], list(range(20)), {}, {'b': 1, 'a': [None, {'c': 'd'}]}, {str(n): n for n in range(70)},
    {1: 2}, [b'bytes', b''], 2**64 - 1, msgpack.Timestamp(1), msgpack.ExtType(5, b'abc'), float('inf')], ids=name_of)
async def test_values_come_back(echo, value):
    async with websockets.connect(echo.ws + '/ws-msgpack') as link:
        await link.send(msgpack.packb(value))
        assert await asyncio.wait_for(link.recv(), PATIENCE) == msgpack.packb(value)


@pytest.mark.parametrize('message, code', [
    ('text', 1003), (b'\xc1', 1007), (b'', 1007), (b'\x91', 1007), (b'\x01\x02', 1007), (b'\xa1\xff', 1007),
    (b'\xc4\x02a', 1007), (b'\xdd' + b'\xff' * 5, 1007), (b'\x91' * 17 + b'\x01', 1007)])
async def test_what_is_no_value_that_could_come_back_ends_the_socket(echo, message, code):
    async with websockets.connect(echo.ws + '/ws-msgpack') as link:
        await link.send(message)
        with pytest.raises(websockets.ConnectionClosed):
            await asyncio.wait_for(link.recv(), PATIENCE)
        assert link.close_code == code


# ---- Events ------------------------------------------------------------------------------------------

async def follow(echo, condition, last_id=None):
    """Reads a stream until the condition holds of its parser."""
    parser = Parser(last_id or '')
    headers = {'Last-Event-ID': last_id} if last_id else {}
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session:
        async with session.get(echo.http + '/sse', headers=headers) as answer:
            assert (answer.status, answer.content_type) == (200, 'text/event-stream')
            while not condition(parser):
                data = await answer.content.readany()
                assert data
                parser.feed(data.decode())
    return parser


async def test_ticks_go_on_where_they_were_and_comments_come_between(echo):
    first = await follow(echo, lambda p: len(p.events) >= 3 and p.comments)
    ids = [int(event.last_id) for event in first.events]
    assert ids == list(range(1, len(ids) + 1))
    assert {event.kind for event in first.events} == {'tick'} and first.retry
    again = await follow(echo, lambda p: len(p.events) >= 2, str(ids[-1]))
    assert int(again.events[0].last_id) == ids[-1] + 1


async def test_an_id_that_is_no_ticks_is_refused(echo):
    async with aiohttp.ClientSession() as session:
        async with session.get(echo.http + '/sse', headers={'Last-Event-ID': 'x'}) as answer:
            assert answer.status == 422
        async with session.head(echo.http + '/sse') as answer:
            assert (answer.status, answer.content_type) == (200, 'text/event-stream')
