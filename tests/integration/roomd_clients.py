# SPDX-License-Identifier: MIT
"""Clients of the daemon built on other people's libraries: aiohttp for HTTP, websockets for sockets.

Frames that no library would send are made in roomd_raw.py.
"""
import asyncio
import gzip
import json
import uuid

import aiohttp
import websockets

from roomd_harness import PATIENCE, unique


async def eventually(condition, what, timeout=PATIENCE):
    """Polls a condition, which may be a coroutine function, until it is true; returns its value."""
    async def poll():
        while True:
            value = condition()
            if asyncio.iscoroutine(value):
                value = await value
            if value:
                return value
            await asyncio.sleep(0.02)
    try:
        return await asyncio.wait_for(poll(), timeout)
    except asyncio.TimeoutError:
        raise AssertionError(f'not within {timeout} s: {what}') from None


class Http:
    """Requests to one daemon, JSON in and out; use with "async with"."""

    def __init__(self, daemon):
        self.daemon = daemon
        self.session = None

    async def __aenter__(self):
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE),
                                             auto_decompress=False)
        return self

    async def __aexit__(self, *_):
        await self.session.close()

    async def ask(self, method, path, body=None, **more):
        """Sends a request; returns (status, decoded JSON or bytes, headers)."""
        async with self.session.request(method, self.daemon.http + path, json=body, **more) as answer:
            data = await answer.read()
            if answer.headers.get('Content-Encoding') == 'gzip':
                data = gzip.decompress(data)
            if data and 'json' in answer.headers.get('Content-Type', ''):
                data = json.loads(data)
            return answer.status, data, answer.headers

    async def new_room(self, prefix='room'):
        """Makes a room and returns it."""
        status, room, _ = await self.ask('POST', '/api/chat/rooms', {'name': unique(prefix)})
        assert status in (200, 201), room
        return room

    async def messages(self, room_id, query=''):
        status, messages, _ = await self.ask('GET', f'/api/chat/rooms/{room_id}/messages{query}')
        assert status == 200, messages
        return messages

    async def history(self, room_id):
        """All messages of a room, walking back page by page."""
        pages, query = [], ''
        while True:
            page = await self.messages(room_id, query)
            pages = page + pages
            if len(page) < 100:
                return pages
            query = f'?before={page[0]["id"]}'


class Socket:
    """A WebSocket that remembers every frame it got, in order."""

    def __init__(self, link):
        self.link = link
        self.frames = []
        self.arrived = asyncio.Condition()
        self.reader = asyncio.create_task(self._read())

    async def _read(self):
        try:
            async for text in self.link:
                data = json.loads(text)
                async with self.arrived:
                    self.frames.extend(data if isinstance(data, list) else [data])
                    self.arrived.notify_all()
        except websockets.ConnectionClosed:
            pass
        async with self.arrived:
            self.arrived.notify_all()

    @classmethod
    async def open(cls, daemon, path, worker=None, **more):
        """Connects, to a chosen worker if WORKER is given: the kernel picks one by the port."""
        for _ in range(400):
            link = await websockets.connect(daemon.ws + path, max_size=None, compression=None,
                                            open_timeout=PATIENCE, ping_interval=None, **more)
            if worker is None or link.response_headers.get('X-Roomd-Worker') == str(worker):
                return cls(link)
            await link.close()
        raise AssertionError(f'no connection reached worker {worker}')

    @property
    def worker(self):
        return int(self.link.response_headers['X-Roomd-Worker'])

    @property
    def is_open(self):
        return self.link.open

    async def send(self, frame):
        await self.link.send(frame if isinstance(frame, (str, bytes)) else json.dumps(frame))

    async def wait(self, condition, what='the frame', timeout=PATIENCE):
        """Waits until CONDITION holds for the list of frames; returns its value."""
        async def until():
            async with self.arrived:
                while True:
                    value = condition(self.frames)
                    if value:
                        return value
                    if self.reader.done() or not self.link.open:
                        raise AssertionError(f'closed ({self.link.close_code}) before {what}: '
                                             f'{self.frames[-5:]}')
                    await self.arrived.wait()
        try:
            return await asyncio.wait_for(until(), timeout)
        except asyncio.TimeoutError:
            raise AssertionError(f'{what} did not come: {self.frames[-8:]}') from None

    async def expect(self, timeout=PATIENCE, after=0, **fields):
        """Waits for a frame from number AFTER on that has these fields; returns it."""
        def matching(frames):
            for frame in frames[after:]:
                if all(frame.get(name) == value for name, value in fields.items()):
                    return frame
            return None
        return await self.wait(matching, f'a frame with {fields}', timeout)

    def all(self, **fields):
        """The frames so far that have these fields."""
        return [frame for frame in self.frames
                if all(frame.get(name) == value for name, value in fields.items())]

    async def closed(self, timeout=PATIENCE):
        """Waits for the close and returns (code, reason)."""
        await asyncio.wait_for(self.link.wait_closed(), timeout)
        await self.reader
        return self.link.close_code, self.link.close_reason

    async def close(self):
        await self.link.close()
        await self.reader

    async def drop(self):
        """Ends the TCP connection without a word, by a reset."""
        self.link.transport.abort()
        await self.reader

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()


class RoomSocket(Socket):
    """The socket of one room in the simple dialect."""

    @classmethod
    async def enter(cls, daemon, room_id, username, worker=None):
        """Connects and waits for the confirmation and the first list of users."""
        self = await cls.open(daemon, f'/ws/chat/{room_id}', worker)
        await self.send({'username': username})
        await self.expect(type='connected')
        await self.wait(lambda frames: any(frame.get('type') == 'users_list'
                                           and username in frame['users'] for frame in frames))
        return self

    async def say(self, content, client_id=None):
        frame = {'type': 'message', 'content': content}
        await self.send(frame if client_id is None else dict(frame, client_id=client_id))

    def messages(self):
        return self.all(type='message')

    async def wait_messages(self, count, timeout=PATIENCE):
        """Waits for COUNT messages; returns all so far."""
        await self.wait(lambda _: len(self.messages()) >= count, f'{count} messages', timeout)
        return self.messages()


class NativeSocket(Socket):
    """The native socket: requests with ids, answers with "re"."""

    requests = 0

    @classmethod
    async def hello(cls, daemon, name, worker=None, **more):
        self = await cls.open(daemon, '/ws', worker, subprotocols=['roomd.v1'])
        self.welcome = await self.ask('hello', name=name, client='test/1', **more)
        assert self.welcome['op'] == 'welcome', self.welcome
        return self

    async def ask(self, op, **fields):
        """Sends a request and returns the frame that answers it."""
        self.requests += 1
        number = self.requests
        await self.send({'op': op, 'id': number, **fields})
        return await self.expect(re=number)

    async def sub(self, conversation, rev=0):
        live = await self.ask('sub', c=conversation, rev=rev)
        assert live['op'] == 'live', live
        return live

    async def say(self, conversation, content, key=None):
        """Sends a message and returns its answer."""
        return await self.ask('send', c=conversation, k=key or str(uuid.uuid4()), content=content)

    def events(self, conversation):
        return self.all(op='ev', c=conversation)
