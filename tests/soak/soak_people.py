# SPDX-License-Identifier: MIT
"""The crowd: people who talk, read, leave and come back, and tell the checker what they saw.

Each is a client as it should be: a message is sent under its key until it is acknowledged or refused, a position is
kept and presented when coming back. Here is what they have in common, and who sends by REST; soak_rooms.py and
soak_native.py have those with connections. What is right or wrong with the answers is soak_checker.py's.
"""
import asyncio
import time
import uuid
from collections import OrderedDict

import aiohttp

from soak_link import Refused
from soak_texts import text_of

# answers that say "not now": the same request is made again
TRY_AGAIN = {'unavailable', 'overloaded', 'restarting', 'rate_limited', 'timeout'}
# no answer on a connection that works: longer than the server lets a request wait for the database
ANSWER_TIMEOUT = 30
TRANSIENT = (OSError, asyncio.TimeoutError, Refused, aiohttp.ClientError, EOFError)


class Say:
    """One message on its way."""

    __slots__ = ('key', 'conv', 'attempts', 'connection', 'number', 'is_repeat')

    def __init__(self, key, conv):
        self.key, self.conv = key, conv
        self.attempts, self.connection, self.number, self.is_repeat = 0, None, 0, False


class Person:
    """What everybody has: a name, a life of connections, messages not acknowledged yet."""

    surface = ''

    def __init__(self, run, name, rng, rooms):
        self.run, self.name, self.rng, self.checker = run, name, rng, run.checker
        self.rooms = list(rooms)
        self.link = None
        self.is_up = False  # connected and understood
        self.pending = OrderedDict()  # key -> Say
        self.mine = []  # acknowledged: (conv, rev, key), the latest
        self.tracks = {}
        self.away_until = 0.0
        self.slow_until = 0.0
        self.numbers = 0
        self.people, self.typers = {}, {}  # conv -> set of names as last shown
        self.ghosts = []

    # ------------------------------------------------------------ life

    async def live(self):
        """Connects, and connects again, until the run is over."""
        actor = asyncio.create_task(self._act_on())
        try:
            while not self.run.is_over:
                await self._one_connection()
        finally:
            actor.cancel()
            if self.link:
                self.link.reset()
            for ghost in self.ghosts:
                ghost.reset()

    async def _one_connection(self):
        wait = self.away_until - time.monotonic()
        if wait > 0:
            await asyncio.sleep(min(wait, 0.25))
            return
        pause = self.rng.expovariate(4)
        try:
            await self.connect()
            self.is_up = True
            self.note('connected', self.link.serial, 'worker', self.link.worker)
            self.run.stats['connects'] += 1
            await self.link.closed
            self.note('closed', self.link.serial, self.link.code)
            self.run.stats[f'closed {self.link.code or "without a word"}'] += 1
        except Refused as why:
            self.run.stats[f'refused {why.args[0]}'] += 1
            pause += min(why.args[1], 3)
            if why.args[0] not in (503, 429):
                self.checker.refused(self.name, None, 'handshake', why.args[0])
        except TRANSIENT:
            self.run.stats['failed connects'] += 1
        finally:
            self._ended()
        if self.rng.random() < 0.03 and not self.run.is_calm:
            pause += self.rng.uniform(2, self.run.long_pause)  # away for long: must still get everything
        await asyncio.sleep(pause)

    def _ended(self):
        if self.link and self.link.is_open and self.link not in self.ghosts:
            self.link.reset()
        self.is_up, self.link = False, None
        self.people.clear()
        self.typers.clear()

    async def connect(self):
        raise NotImplementedError

    async def _act_on(self):
        while not self.run.is_over:
            await asyncio.sleep(self.rng.expovariate(1 / self.run.pause))
            if self.is_up and not self.run.is_calm and not self.link.is_paused:
                self.act()

    def act(self):
        raise NotImplementedError

    def is_on(self, link):
        """Whether this is still the connection."""
        return link is not None and link is self.link and link.is_open

    def note(self, *words):
        """Something about all conversations, for the history of an offence."""
        self.checker.note(None, None, self.name, *words)

    # ------------------------------------------------------------ what chaos makes them do

    def reset(self):
        if self.is_up:
            self.run.stats['resets'] += 1
            self.link.reset()

    def vanish(self):
        """The link is lost without a word; the person notices and comes back on another one."""
        if self.is_up:
            self.run.stats['half-open'] += 1
            self.link.fall_silent()
            self.ghosts = [ghost for ghost in self.ghosts if ghost.is_open] + [self.link]
            if not self.link.closed.done():
                self.link.closed.set_result(None)

    def dawdle(self, seconds):
        """Stops reading for a while."""
        if self.is_up and not self.link.is_paused:
            self.run.stats['slow readers'] += 1
            link = self.link
            link.pause()
            self.slow_until = time.monotonic() + seconds
            asyncio.get_running_loop().call_later(seconds, link.resume)

    def read_on(self):
        """Slow readers come to their senses."""
        if self.is_up and self.link.is_paused and not self.link.is_silent:
            self.link.resume()

    def leave(self, seconds):
        """Says good-bye and is away for so long."""
        if self.is_up:
            self.away_until = time.monotonic() + seconds
            self.run.stats['leaves'] += 1
            self.link.close()

    # ------------------------------------------------------------ messages

    def new_say(self, conv):
        say = Say(str(uuid.UUID(int=self.rng.getrandbits(128), version=4)), conv)
        self.pending[say.key] = say
        self.checker.sent(self.name, conv, say.key)
        return say

    def stamp(self, say):
        """The message goes out on the present connection."""
        self.numbers += 1
        say.attempts += 1
        say.connection, say.number = self.link.serial if self.link else None, self.numbers

    def said(self, say, rev, seq, is_duplicate):
        if say.is_repeat and not is_duplicate:
            self.checker.violation('different', say.conv, rev, self.name, say.key, 'a repeat was not called duplicate')
        is_first = self.pending.pop(say.key, None) is not None
        self.checker.acked(self.name, say.conv, say.key, rev, seq, is_duplicate or not is_first)
        if is_first and say.attempts == 1 and say.connection is not None:
            self.checker.in_order(say.connection, say.conv, say.number, rev, self.name, say.key)
        if is_first:
            self.mine.append((say.conv, rev, say.key))
            del self.mine[:-20]

    def recount(self):
        """Asks the server how much is unread, if the surface tells."""

    def present_in(self):
        """The conversations in whose lists of people this person must be."""
        return ()

    def follows(self):
        """The conversations of which this person must see everything."""
        return self.present_in()


class RestPerson(Person):
    """Sends by REST, one after the other."""

    surface = 'REST'

    async def live(self):
        timeout = aiohttp.ClientTimeout(total=ANSWER_TIMEOUT)
        async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=1)) as session:
            while not self.run.is_over:
                await asyncio.sleep(self.rng.expovariate(1 / self.run.pause))
                if not self.run.is_calm and not self.pending:
                    self.new_say(self.rng.choice(self.rooms))
                for say in list(self.pending.values()):
                    await self._post(session, say)
                if self.mine and self.rng.random() < 0.05:
                    conv, _, key = self.rng.choice(self.mine)
                    say = Say(key, conv)
                    say.is_repeat = True
                    await self._post(session, say)

    async def _post(self, session, say):
        say.attempts += 1
        body = {'name': self.name, 'content': text_of(say.key, 0)}
        headers = {}
        if self.rng.random() < 0.5:
            headers['Idempotency-Key'] = say.key
        else:
            body['client_msg_id'] = say.key
        url = f'http://127.0.0.1:{self.run.port}/api/v1/conversations/{say.conv}/messages'
        try:
            async with session.post(url, json=body, headers=headers) as answer:
                data = await answer.json(content_type=None)
                if answer.status in (200, 201):
                    self.said(say, data['rev'], data['seq'], data['duplicate'])
                    return
                self.run.stats[f'REST {answer.status}'] += 1
                if answer.status < 500 and answer.status != 429:
                    self.checker.refused(self.name, say.conv, 'POST', (answer.status, data))
        except (asyncio.TimeoutError, *TRANSIENT, ValueError):
            self.run.stats['REST failures'] += 1
        await asyncio.sleep(self.rng.uniform(0.05, 0.5))

    def act(self):
        pass

    def tick(self, now):
        pass
