# SPDX-License-Identifier: MIT
"""A reader of event streams on aiohttp, which takes them apart as the HTML standard says (section 9.2).

It behaves as EventSource does: it keeps the last event id and sends it when it comes back.
"""
import asyncio
import json
import re

import aiohttp

from roomd_harness import PATIENCE


class Event:
    """One event: type, data (an object) and the id that was in force when it was dispatched."""

    def __init__(self, kind, data, last_id):
        self.kind, self.data, self.last_id = kind, json.loads(data), last_id

    def __repr__(self):
        return f'<{self.kind} {self.data}>'


class Parser:
    """Section 9.2.6: lines to events. Feed it text; what has no blank line behind it yet is kept."""

    def __init__(self, last_id=''):
        self.rest, self.last_id = '', last_id
        self.buffer_id, self.data, self.kind = last_id, [], ''
        self.events, self.comments, self.retry = [], 0, None

    def feed(self, text):
        *lines, self.rest = re.split('\r\n|\n|\r', self.rest + text)
        for line in lines:
            self._line(line)

    def _line(self, line):
        if not line:
            self._dispatch()
        elif line.startswith(':'):
            self.comments += 1
        else:
            name, _, value = line.partition(':')
            self._field(name, value[1:] if value.startswith(' ') else value)

    def _field(self, name, value):
        if name == 'event':
            self.kind = value
        elif name == 'data':
            self.data.append(value)
        elif name == 'id' and '\0' not in value:
            self.buffer_id = value
        elif name == 'retry' and value.isdigit():
            self.retry = int(value)

    def _dispatch(self):
        self.last_id = self.buffer_id
        if self.data:
            self.events.append(Event(self.kind or 'message', '\n'.join(self.data), self.last_id))
        self.data, self.kind = [], ''


class Stream:
    """One stream while it is open; parser.last_id resumes it."""

    def __init__(self, session, answer, last_id):
        self.session, self.answer = session, answer
        self.parser = Parser(last_id)
        self.arrived = asyncio.Condition()
        self.is_ended = False
        self.reader = asyncio.create_task(self._read())

    @classmethod
    async def open(cls, daemon, rooms, last_id='', worker=None, headers=None, query=''):
        """Opens a stream of ROOMS (numbers), at a chosen worker if one is given."""
        query = '&'.join([f'c={room}' for room in rooms] + ([query] if query else []))
        headers = dict(headers or {}, Accept='text/event-stream')
        if last_id:
            headers['Last-Event-ID'] = last_id
        for _ in range(400):
            session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(sock_connect=PATIENCE))
            try:
                answer = await session.get(f'{daemon.http}/api/v1/events?{query}', headers=headers)
            except BaseException:
                await session.close()
                raise
            if worker is None or answer.headers.get('X-Roomd-Worker') == str(worker):
                return cls(session, answer, last_id)
            answer.close()
            await session.close()
        raise AssertionError(f'no connection reached worker {worker}')

    async def _read(self):
        try:
            decoded = b''
            async for chunk in self.answer.content.iter_any():
                decoded += chunk
                cut = decoded.rfind(b'\n') + 1  # whole lines are whole characters
                async with self.arrived:
                    self.parser.feed(decoded[:cut].decode())
                    self.arrived.notify_all()
                decoded = decoded[cut:]
        except (aiohttp.ClientError, OSError):
            pass
        async with self.arrived:
            self.is_ended = True
            self.arrived.notify_all()

    @property
    def events(self):
        return self.parser.events

    @property
    def last_id(self):
        return self.parser.last_id

    def all(self, kind, **fields):
        """The events of a type so far with these members."""
        return [event for event in self.events if event.kind == kind
                and all(event.data.get(name) == value for name, value in fields.items())]

    async def wait(self, condition, what, timeout=PATIENCE):
        """Waits until CONDITION() holds; returns its value."""
        async def until():
            async with self.arrived:
                while not (value := condition()):
                    assert not self.is_ended, f'the stream ended before {what}: {self.events[-5:]}'
                    await self.arrived.wait()
                return value
        try:
            return await asyncio.wait_for(until(), timeout)
        except asyncio.TimeoutError:
            raise AssertionError(f'{what} did not come: {self.events[-5:]}') from None

    async def expect(self, kind, count=1, **fields):
        """Waits for COUNT events of a type; returns the last of them."""
        found = await self.wait(lambda: len(self.all(kind, **fields)) >= count and self.all(kind, **fields),
                                f'{count} × {kind} {fields}')
        return found[-1]

    async def ended(self, timeout=PATIENCE):
        """Waits for the end of the stream."""
        await asyncio.wait_for(self.reader, timeout)

    def contents(self, room):
        return [event.data['d']['content'] for event in self.all('message.new', c=room)]

    async def close(self):
        self.answer.close()
        await self.session.close()
        await self.reader

    async def __aenter__(self):
        return self

    async def __aexit__(self, *_):
        await self.close()
