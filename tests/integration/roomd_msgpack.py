# SPDX-License-Identifier: MIT
"""The native socket in MessagePack, through a codec of its own: what the daemon's library writes is read by another.

Only what the protocol uses: nil, booleans, integers, float 64, strings, arrays, maps with string keys.
"""
import json
import struct

import websockets

from roomd_clients import NativeSocket


def pack(value):
    """One value, integers and lengths in their shortest form."""
    if value is None:
        return b'\xc0'
    if isinstance(value, bool):
        return b'\xc3' if value else b'\xc2'
    if isinstance(value, int):
        return pack_int(value)
    if isinstance(value, float):
        return b'\xcb' + struct.pack('>d', value)
    if isinstance(value, str):
        data = value.encode()
        return pack_head(len(data), 0xa0, 31, (0xd9, 0xda, 0xdb)) + data
    if isinstance(value, list):
        return pack_head(len(value), 0x90, 15, (None, 0xdc, 0xdd)) + b''.join(map(pack, value))
    return pack_head(len(value), 0x80, 15, (None, 0xde, 0xdf)) + \
        b''.join(pack(key) + pack(member) for key, member in value.items())


def pack_int(value):
    if -32 <= value < 128:
        return struct.pack('b', value) if value < 0 else bytes([value])
    formats = (('>Bb', 0xd0), ('>Bh', 0xd1), ('>Bi', 0xd2), ('>Bq', 0xd3)) if value < 0 else \
        (('>BB', 0xcc), ('>BH', 0xcd), ('>BI', 0xce), ('>BQ', 0xcf))
    for form, code in formats:
        try:
            return struct.pack(form, code, value)
        except struct.error:
            continue
    raise ValueError(value)


def pack_head(count, fix, fix_max, codes):
    if count <= fix_max:
        return bytes([fix | count])
    for code, form, limit in zip(codes, '>B >H >I'.split(), (1 << 8, 1 << 16, 1 << 32)):
        if code is not None and count < limit:
            return bytes([code]) + struct.pack(form, count)
    raise ValueError(count)


class Reader:
    """Reads values off bytes."""

    INTS = {0xcc: '>B', 0xcd: '>H', 0xce: '>I', 0xcf: '>Q', 0xd0: '>b', 0xd1: '>h', 0xd2: '>i', 0xd3: '>q',
            0xca: '>f', 0xcb: '>d'}
    LENGTHS = {0xd9: '>B', 0xda: '>H', 0xdb: '>I', 0xdc: '>H', 0xdd: '>I', 0xde: '>H', 0xdf: '>I'}

    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, form):
        value, = struct.unpack_from(form, self.data, self.at)
        self.at += struct.calcsize(form)
        return value

    def text(self, count):
        self.at += count
        assert self.at <= len(self.data)
        return self.data[self.at - count:self.at].decode()

    def array(self, count):
        return [self.value() for _ in range(count)]

    def map(self, count):
        pairs = [(self.value(), self.value()) for _ in range(count)]
        assert len(dict(pairs)) == count and all(isinstance(key, str) for key, _ in pairs), pairs
        return dict(pairs)

    def value(self):
        code = self.take('>B')
        if code < 0x80 or code >= 0xe0:
            return code if code < 0x80 else code - 256
        for fix, mask, read in ((0x80, 15, self.map), (0x90, 15, self.array), (0xa0, 31, self.text)):
            if fix <= code <= fix | mask:
                return read(code & mask)
        if code in (0xc0, 0xc2, 0xc3):
            return {0xc0: None, 0xc2: False, 0xc3: True}[code]
        if code in self.INTS:
            return self.take(self.INTS[code])
        read = {0xd9: self.text, 0xdc: self.array, 0xde: self.map}[code if code in (0xd9, 0xdc, 0xde)
                                                                   else {0xda: 0xd9, 0xdb: 0xd9, 0xdd: 0xdc,
                                                                         0xdf: 0xde}[code]]
        return read(self.take(self.LENGTHS[code]))


def unpack(data):
    reader = Reader(data)
    value = reader.value()
    assert reader.at == len(data), f'{len(data) - reader.at} bytes behind the value'
    return value


class PackedSocket(NativeSocket):
    """A native socket whose frames are MessagePack; used like its parent."""

    async def _read(self):
        try:
            async for data in self.link:
                assert isinstance(data, bytes), f'a text frame: {data!r}'
                value = unpack(data)
                async with self.arrived:
                    self.frames.extend(value if isinstance(value, list) else [value])
                    self.arrived.notify_all()
        except websockets.ConnectionClosed:
            pass
        async with self.arrived:
            self.arrived.notify_all()

    @classmethod
    async def hello(cls, daemon, name, worker=None, **more):
        self = await cls.open(daemon, '/ws', worker, subprotocols=['roomd.v1.msgpack'])
        self.welcome = await self.ask('hello', name=name, client='test/1', **more)
        assert self.welcome['op'] == 'welcome', self.welcome
        return self

    async def send(self, frame):
        await self.link.send(frame if isinstance(frame, (bytes, str)) else pack(json.loads(json.dumps(frame))))
