# SPDX-License-Identifier: MIT
"""Bytes to and from the daemon, for requests and frames that no client library would send.

Follows RFC 9112 and RFC 6455 by itself so that it can also break them.
"""
import asyncio
import base64
import hashlib
import os
import re
import struct
import zlib

from roomd_harness import PATIENCE

GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


class Answer:
    """A response: status, fields (names in lower case), body, whether the connection stays."""

    def __init__(self, status, reason, fields, body, version):
        self.status, self.reason, self.fields, self.body = status, reason, fields, body
        self.version = version

    def __getitem__(self, name):
        return self.fields.get(name.lower())


class Link:
    """One TCP connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.window = 0  # bits, of what comes compressed; 0: nothing does
        self.inflated = 0  # messages that came compressed

    @classmethod
    async def open(cls, daemon):
        return cls(*await asyncio.open_connection('127.0.0.1', daemon.port))

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()

    async def close(self):
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except OSError:
            pass

    def reset(self):
        self.writer.transport.abort()

    async def send(self, data):
        self.writer.write(data if isinstance(data, bytes) else data.encode())
        await self.writer.drain()

    def finish(self):
        """Ends our direction only."""
        self.writer.write_eof()

    async def _within(self, what, timeout=PATIENCE):
        return await asyncio.wait_for(what, timeout)

    async def is_ended(self, timeout=PATIENCE):
        """Waits for the peer's end; False when it sent something instead."""
        try:
            return await self._within(self.reader.read(1), timeout) == b''
        except ConnectionResetError:
            return True

    # ------------------------------------------------------------ HTTP

    async def request(self, method, target, fields=(), body=b'', version='1.1'):
        lines = [f'{method} {target} HTTP/{version}', 'Host: localhost', *fields]
        if body and not any(field.lower().startswith(('content-length', 'transfer-')) for field in fields):
            lines.append(f'Content-Length: {len(body)}')
        await self.send('\r\n'.join(lines).encode() + b'\r\n\r\n' + body)

    async def answer(self, is_head=False):
        """Reads one response, however its length is told."""
        head = (await self._within(self.reader.readuntil(b'\r\n\r\n'))).decode('latin-1')
        first, *lines = head[:-4].split('\r\n')
        version, status, reason = (first + ' ').split(' ', 2)
        fields = {}
        for line in lines:
            name, _, value = line.partition(':')
            assert name == name.strip() and name, line
            fields[name.lower()] = value.strip()
        status = int(status)
        if is_head or status in (101, 204, 304) or status < 200:
            body = b''
        elif fields.get('transfer-encoding') == 'chunked':
            body = await self._chunks()
        elif 'content-length' in fields:
            body = await self._within(self.reader.readexactly(int(fields['content-length'])))
        else:
            body = await self._within(self.reader.read())
        return Answer(status, reason.strip(), fields, body, version)

    async def _chunks(self):
        body = b''
        while True:
            size = int(await self._within(self.reader.readline()), 16)
            body += await self._within(self.reader.readexactly(size))
            assert await self._within(self.reader.readexactly(2)) == b'\r\n'
            if size == 0:
                return body

    async def ask(self, method, target, fields=(), body=b''):
        await self.request(method, target, fields, body)
        return await self.answer(method == 'HEAD')

    # ------------------------------------------------------------ WebSocket

    async def upgrade(self, path, *fields, key=None):
        """Asks for the upgrade; returns the answer, whose accept key is checked when it is 101."""
        key = key or base64.b64encode(os.urandom(16)).decode()
        await self.request('GET', path, ('Upgrade: websocket', 'Connection: Upgrade',
                                         'Sec-WebSocket-Version: 13', f'Sec-WebSocket-Key: {key}', *fields))
        answer = await self.answer()
        if answer.status == 101:
            expected = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
            assert answer['sec-websocket-accept'] == expected
            self._agree(answer['sec-websocket-extensions'] or '')
        return answer

    def _agree(self, extensions):
        if extensions.startswith('permessage-deflate'):
            bits = re.search(r'server_max_window_bits=(\d+)', extensions)
            self.window = int(bits[1]) if bits else 15

    def inflate(self, payload):
        """A compressed message (RFC 7692 section 7.2.2).

        In small pieces zlib refuses what reaches beyond the window; in a large one it does not look.
        """
        self.inflated += 1
        inflater, whole, rest = zlib.decompressobj(-self.window), b'', payload + b'\0\0\xff\xff'
        piece = 64 if self.window < 15 else 1 << 20
        while rest:
            whole += inflater.decompress(rest, piece)
            rest = inflater.unconsumed_tail
        return whole + inflater.flush()

    async def frame(self, opcode, payload=b'', fin=True, rsv=0, is_masked=True, length=None):
        """Sends one frame; LENGTH (bits, value) forces a form of the length field."""
        payload = payload.encode() if isinstance(payload, str) else payload
        await self.send(make_frame(opcode, payload, fin, rsv, is_masked, length))

    async def next_frame(self, timeout=PATIENCE):
        """Reads one frame: (opcode, payload, fin); what is compressed is inflated."""
        first, second = await self._within(self.reader.readexactly(2), timeout)
        # a server masks nothing, and uses the first of these where it was agreed
        assert first & 0x70 in ((0, 0x40) if self.window else (0,)) and second & 0x80 == 0
        size = second & 0x7f
        if size == 126:
            size, = struct.unpack('!H', await self._within(self.reader.readexactly(2)))
            assert size > 125
        elif size == 127:
            size, = struct.unpack('!Q', await self._within(self.reader.readexactly(8)))
            assert size > 65535
        payload = await self._within(self.reader.readexactly(size))
        assert first & 0x0f < 8 or (size < 126 and first & 0xf0 == 0x80)
        if first & 0x40:
            payload = self.inflate(payload)
        return first & 0x0f, payload, bool(first & 0x80)

    async def until(self, opcode, timeout=PATIENCE):
        """Reads frames up to one with OPCODE; returns its payload."""
        while True:
            got, payload, _ = await self.next_frame(timeout)
            if got == opcode:
                return payload
            assert got != CLOSE, f'closed: {payload}'

    async def close_code(self, timeout=PATIENCE):
        """Reads up to the close frame, answers nothing; returns the code (1005: none)."""
        payload = await self.until(CLOSE, timeout)
        return struct.unpack('!H', payload[:2])[0] if payload else 1005


def make_frame(opcode, payload, fin=True, rsv=0, is_masked=True, length=None):
    head = bytes([fin << 7 | rsv << 4 | opcode])
    bits, size = length or (7 if len(payload) < 126 else 16 if len(payload) < 65536 else 64, len(payload))
    mask_bit = is_masked << 7
    if bits == 7:
        head += bytes([mask_bit | size])
    elif bits == 16:
        head += bytes([mask_bit | 126]) + struct.pack('!H', size)
    else:
        head += bytes([mask_bit | 127]) + struct.pack('!Q', size)
    if not is_masked:
        return head + payload
    mask = os.urandom(4)
    return head + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))
