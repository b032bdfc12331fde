# SPDX-License-Identifier: MIT
"""A WebSocket client as lean as a crowd of them needs, and as rude: it resets, falls silent, stops reading.

RFC 6455 as far as a client of a correct server needs it. What the frames say is soak_people.py's.
"""
import asyncio
import os
import socket
import struct

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
CONNECT_TIMEOUT = 10


class Refused(Exception):
    """The handshake was answered, but not with a switch of protocols: (status, seconds to wait)."""


class Link(asyncio.Protocol):
    """One connection. ON_FRAME(payload) for each message; closed is done when it has ended."""

    serial = 0
    good_status = 101

    def __init__(self, on_frame, is_binary=False):
        Link.serial += 1
        self.serial = Link.serial
        self.on_frame = on_frame
        self.opcode = BINARY if is_binary else TEXT
        self.transport = self.handshake = None
        self.buffer = bytearray()
        self.parts = b''
        self.head = asyncio.get_running_loop().create_future()
        self.closed = asyncio.get_running_loop().create_future()
        self.code = None  # of the close frame that came
        self.worker = None
        self.is_silent = False  # half open: answers nothing any more
        self.is_paused = False

    @classmethod
    async def open(cls, port, path, on_frame, protocol=None, receive_buffer=0):
        """Connects and shakes hands; raises OSError, Refused or asyncio.TimeoutError."""
        fields = ('Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n'
                  'Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n')
        if protocol:
            fields += f'Sec-WebSocket-Protocol: {protocol}\r\n'
        is_binary = protocol is not None and protocol.endswith('msgpack')
        return await cls(on_frame, is_binary)._connect(port, path, fields, receive_buffer)

    async def _connect(self, port, path, fields, receive_buffer):
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        sock.setblocking(False)
        try:
            if receive_buffer:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            await asyncio.wait_for(loop.sock_connect(sock, ('127.0.0.1', port)), CONNECT_TIMEOUT)
        except BaseException:
            sock.close()
            raise
        await loop.create_connection(lambda: self, sock=sock)
        self.transport.write(f'GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{fields}\r\n'.encode())
        try:
            await asyncio.wait_for(asyncio.shield(self.head), CONNECT_TIMEOUT)
        except BaseException:
            self.reset()
            raise
        return self

    @property
    def is_open(self):
        return not self.closed.done()

    # ------------------------------------------------------------ the transport's side

    def connection_made(self, transport):
        self.transport = transport

    def connection_lost(self, exc):
        if not self.closed.done():
            self.closed.set_result(self.code)
        if not self.head.done():
            self.head.set_exception(ConnectionResetError('closed during the handshake'))
            self.head.exception()  # nobody may be waiting any more

    def data_received(self, data):
        self.buffer += data
        if not self.head.done() and not self._read_head():
            return
        self._read_frames()

    def _read_head(self):
        end = self.buffer.find(b'\r\n\r\n')
        if end < 0:
            return False
        lines = self.buffer[:end].decode('latin-1').split('\r\n')
        del self.buffer[:end + 4]
        fields = {name.lower(): value.strip() for name, _, value in (line.partition(':') for line in lines[1:])}
        status = int(lines[0].split()[1])
        self.worker = fields.get('x-roomd-worker')
        if status == self.good_status:
            self.head.set_result(True)
            return True
        self.head.set_exception(Refused(status, float(fields.get('retry-after', 0))))
        self.head.exception()
        self.transport.abort()
        return False

    def _read_frames(self):
        buffer, at = self.buffer, 0
        while len(buffer) - at >= 2:
            first, length = buffer[at], buffer[at + 1]
            start = at + 2
            if length == 126:
                if len(buffer) < start + 2:
                    break
                length = int.from_bytes(buffer[start:start + 2], 'big')
                start += 2
            elif length == 127:
                if len(buffer) < start + 8:
                    break
                length = int.from_bytes(buffer[start:start + 8], 'big')
                start += 8
            if len(buffer) < start + length:
                break
            at = start + length
            self._take(first & 0x80, first & 15, bytes(buffer[start:at]))
        del buffer[:at]

    def _take(self, is_final, opcode, payload):
        if opcode == PING:
            if not self.is_silent:
                self._write(PONG, payload)
        elif opcode == CLOSE:
            self.code = int.from_bytes(payload[:2], 'big') if len(payload) > 1 else 1005
            if not self.is_silent:
                self._write(CLOSE, payload[:2])
                self.transport.close()
        elif opcode in (TEXT, BINARY) and is_final:
            if not self.is_silent:
                self.on_frame(payload)
        elif opcode in (TEXT, BINARY, 0):
            self.parts += payload
            if is_final:
                payload, self.parts = self.parts, b''
                self.on_frame(payload)

    # ------------------------------------------------------------ what its person does

    def _write(self, opcode, payload):
        """A masked frame; the mask is zero, which leaves the payload as it is."""
        size = len(payload)
        if size < 126:
            head = struct.pack('>BB', 0x80 | opcode, 0x80 | size)
        elif size < 65536:
            head = struct.pack('>BBH', 0x80 | opcode, 0xfe, size)
        else:
            head = struct.pack('>BBQ', 0x80 | opcode, 0xff, size)
        if not self.transport.is_closing():
            self.transport.write(head + b'\0\0\0\0' + payload)

    def send(self, payload):
        if not self.is_silent:
            self._write(self.opcode, payload)

    def close(self):
        """Closes with the word that belongs to it; the server ends the connection."""
        self._write(CLOSE, struct.pack('>H', 1000))
        asyncio.get_running_loop().call_later(5, self.transport.abort)

    def reset(self):
        """Ends the connection by a reset, without a word."""
        sock = self.transport.get_extra_info('socket')
        if sock and not self.transport.is_closing():
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        self.transport.abort()

    def fall_silent(self):
        """Stays connected, but neither reads nor answers any more, as behind a cut cable."""
        self.is_silent = True
        self.pause()

    def pause(self):
        self.is_paused = True
        if not self.transport.is_closing():
            self.transport.pause_reading()

    def resume(self):
        self.is_paused = False
        if not self.transport.is_closing():
            self.transport.resume_reading()


class Stream(Link):
    """An event stream (HTML standard, section 9.2). ON_FRAME((type, id or None, data)) for each whole event."""

    good_status = 200

    @classmethod
    async def open(cls, port, path, on_frame, last_id=None, receive_buffer=0):
        fields = 'Accept: text/event-stream\r\n' + (f'Last-Event-ID: {last_id}\r\n' if last_id else '')
        return await cls(on_frame)._connect(port, path, fields, receive_buffer)

    def _read_frames(self):
        *blocks, rest = self.buffer.split(b'\n\n')
        self.buffer = rest
        for block in blocks:
            if self.is_silent:
                return
            kind, number, data = 'message', None, []
            for line in block.decode().split('\n'):
                name, _, value = line.partition(':')
                value = value.removeprefix(' ')
                if name == 'event':
                    kind = value
                elif name == 'id':
                    number = value
                elif name == 'data':
                    data.append(value)
            if data or number:
                self.on_frame((kind, number, '\n'.join(data)))

    def close(self):
        self.transport.close()


def raise_descriptor_limit():
    """As many files as the system lets this process have."""
    import resource
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return os.getpid()
