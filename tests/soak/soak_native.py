# SPDX-License-Identifier: MIT
"""People on the native socket, in JSON or MessagePack, and readers of event streams: the same frames in three notations."""
import asyncio
import json
import time
import uuid

try:
    import msgpack
except ImportError:  # then nobody speaks it
    msgpack = None

from soak_checker import DELETE, EDIT, MESSAGE, REACT, RECOVER, TYPES, UNREACT, Event
from soak_link import Link, Stream
from soak_people import ANSWER_TIMEOUT, TRY_AGAIN, Person, Say
from soak_texts import text_of

EMOJI = ('👍', '🎉', '❤️', '😂')


class NativePerson(Person):
    """The native socket, in JSON or MessagePack: several conversations, all operations."""

    surface = 'native'
    protocol = 'roomd.v1'

    def __init__(self, run, name, rng, rooms):
        super().__init__(run, name, rng, rooms)
        self.requests = 0
        self.waiting = {}  # id -> (callback, since, operation)
        self.cursor = None
        self.confirmed = set()  # conversations live on this connection
        self.following = set()  # asked for on this connection
        self.restored = set()  # to come back with the session
        self.last_seq = {}
        self.read = {}  # conv -> highest mark that was acknowledged
        self.unread = {}  # conv -> as the server last counted, when nothing was going on

    # ------------------------------------------------------------ frames

    def encode(self, frame):
        return json.dumps(frame).encode()

    def decode(self, payload):
        return json.loads(payload)

    def ask(self, callback, op, **fields):
        self.requests += 1
        self.waiting[self.requests] = callback, time.monotonic(), op
        self.link.send(self.encode({'op': op, 'id': self.requests, **fields}))

    def _on_frame(self, payload):
        frames = self.decode(payload)
        for frame in frames if isinstance(frames, list) else (frames,):
            op = frame['op']
            if op == 'ev':
                self._on_event(frame)
            elif frame.get('re') is not None:
                self._on_answer(frame)
            elif op == 'eph':
                self._on_ephemeral(frame)
            elif op == 'live':
                self._on_live(frame)
            elif op == 'gap':
                self._on_gap(frame)
            elif op == 'goaway':
                self.cursor = frame.get('cursor') or self.cursor
                self.run.stats['goaways'] += 1
            elif op == 'behind':
                self.run.stats['told behind'] += 1

    def _on_answer(self, frame):
        callback, _, op = self.waiting.pop(frame['re'], (None, 0, '?'))
        if callback is None:
            self.checker.violation('different', None, None, self.name, None, f'an answer to nothing: {frame}')
            return
        if frame['op'] == 'err':
            code = frame['code']
            self.run.stats[f'error {code}'] += 1
            if code == 'unknown_op':
                self.run.lacks.add(op)
                code = 'unavailable'
            callback(None, code)
        else:
            callback(frame, None)

    def _on_event(self, frame):
        conv, rev, data = frame['c'], frame['rev'], frame['d']
        kind = TYPES.get(frame['t'])
        track = self.tracks.get(conv)
        if track is None or conv not in self.following:
            self.checker.violation('phantom', conv, rev, self.name, None, f'an event of what nobody follows: {frame}')
            return
        event, text = event_of(kind, rev, data)
        track.event(event, text)
        if kind == MESSAGE:
            self.last_seq[conv] = data['seq']

    def _on_ephemeral(self, frame):
        conv, data = frame.get('c'), frame['d']
        if frame['t'] in ('roster', 'presence'):
            self.checker.note(conv, None, self.name, frame['t'], str(data)[:300])
        if frame['t'] == 'typing':
            self.typers[conv] = set(data['names'])
        elif frame['t'] == 'roster':
            self.people[conv] = {one['name'] for one in data['users']} if 'users' in data else None
        elif frame['t'] == 'presence' and self.people.get(conv) is not None:
            for one in data:
                (self.people[conv].discard if one['s'] == 'offline' else self.people[conv].add)(one.get('name'))

    # ------------------------------------------------------------ connecting

    async def connect(self):
        self.waiting.clear()
        self.confirmed.clear()
        self.restored = set()
        resumes = self.cursor is not None and self.rng.random() < 0.5
        self.following = set(self.rooms) if resumes else set()
        hello = {'name': self.name, 'client': 'soak/1'}
        for track in self.tracks.values():
            track.is_replaying = False
        if resumes:
            hello['resume'] = self.cursor
            if self.rng.random() < 0.7:
                hello['seen'] = {str(conv): track.position for conv, track in self.tracks.items()
                                 if track.position is not None and conv in self.following}
            for conv in self.following:
                if conv in self.tracks and 'seen' not in hello:
                    self.tracks[conv].rewind()
        self.link = await Link.open(self.run.port, '/ws', self._on_frame, self.protocol,
                                    self.run.receive_buffer(self.rng))
        welcome = asyncio.get_running_loop().create_future()
        self.ask(lambda frame, code: welcome.done() or welcome.set_result((frame, code)), 'hello', **hello)
        frame, code = await self._or_closed(welcome, 'hello')
        if code:
            if code not in TRY_AGAIN:
                self.checker.refused(self.name, None, 'hello', code)
                self.cursor = None
            raise EOFError(code)
        self.cursor = frame.get('cursor') or self.cursor
        if resumes and frame.get('resumed'):
            self.run.stats['resumed'] += 1
            await self._wait_restored()
        elif resumes:
            self.run.stats['not resumed'] += 1
        for conv in self.rooms:
            if conv not in self.confirmed:
                self._sub(conv)
        for say in list(self.pending.values()):
            if say.conv in self.confirmed:
                self._say(say)

    async def _or_closed(self, future, what):
        done, _ = await asyncio.wait({future, self.link.closed}, timeout=ANSWER_TIMEOUT,
                                     return_when=asyncio.FIRST_COMPLETED)
        if not done:
            self.checker.violation('stuck', None, None, self.name, None, f'no answer to {what}')
        if future not in done:
            raise EOFError('closed')
        return future.result()

    async def _wait_restored(self):
        """The session's conversations come back by themselves; what was followed just before its end may not."""
        deadline = time.monotonic() + 5
        while not self.confirmed.issuperset(self.rooms) and self.link.is_open and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        if self.link.is_open and not self.confirmed.issuperset(self.rooms):
            self.run.stats['not restored'] += 1

    def _sub(self, conv):
        track = self.tracks.get(conv)
        if track is None:
            track = self.tracks[conv] = self.checker.track(self.name, conv)
        self.following.add(conv)
        if not track.position:
            track.position = None  # rev 0 means from now on
        self.checker.note(conv, track.position, self.name, 'subscribes', self.link.serial, 'worker', self.link.worker)
        self.ask(lambda frame, code: self._subbed(conv, frame, code), 'sub', c=conv, rev=track.position or 0)

    def _subbed(self, conv, frame, code):
        if code == 'conflict':  # restored meanwhile
            return
        if code:
            if code not in TRY_AGAIN:
                self.checker.refused(self.name, conv, 'sub', code)
            link = self.link
            asyncio.get_running_loop().call_later(0.3, lambda: self.is_on(link) and self._sub(conv))
        elif frame['op'] == 'gap':
            self._on_gap(frame)
        else:
            self._on_live(frame)

    def _on_live(self, frame):
        conv = frame['c']
        if conv not in self.tracks or conv not in self.following:
            self.checker.violation('phantom', conv, None, self.name, None, f'live, nobody follows: {frame}')
            return
        self.tracks[conv].live(frame['rev'])
        self.last_seq[conv] = max(frame.get('seq', 0), self.last_seq.get(conv, 0))
        self.confirmed.add(conv)
        self.unread[conv] = frame.get('unread')
        if self.is_up:
            for say in list(self.pending.values()):
                if say.conv == conv and say.connection != self.link.serial:
                    self._say(say)

    def _on_gap(self, frame):
        self.checker.violation('lost', frame['c'], frame.get('first'), self.name, None, f'the log has all, told {frame}')
        if frame['c'] in self.tracks:
            self.tracks[frame['c']].begin(frame['first'] - 1)

    def present_in(self):
        return tuple(self.confirmed) if self.is_up else ()

    # ------------------------------------------------------------ acting

    def _say(self, say):
        self.stamp(say)
        self.ask(lambda frame, code: self._answered(say, frame, code), 'send', c=say.conv, k=say.key,
                 content=text_of(say.key, 0))

    def _answered(self, say, frame, code):
        if code is None:
            message = frame['message']
            self.said(say, message['rev'], message['seq'], frame['duplicate'])
            return
        if code not in TRY_AGAIN and code != 'not_subscribed':
            self.checker.refused(self.name, say.conv, 'send', code)
        link = self.link
        asyncio.get_running_loop().call_later(self.rng.uniform(0.1, 0.6), self._again, link, say)

    def _again(self, link, say):
        if self.is_on(link) and say.key in self.pending:
            if say.conv in self.confirmed:
                self._say(say)
            else:
                say.connection = None  # goes out when the conversation is live

    def act(self):
        """One thing out of what people do."""
        if not self.confirmed:
            return
        conv = self.rng.choice(sorted(self.confirmed))
        choice = self.rng.choices(ACTS, WEIGHTS)[0]
        if choice not in self.run.lacks:
            getattr(self, '_do_' + choice)(conv)

    def _do_send(self, conv):
        if len(self.pending) < 6:
            self._say(self.new_say(conv))

    def _do_burst(self, conv):
        for _ in range(self.rng.randint(5, 15)):
            self._say(self.new_say(conv))

    def _do_repeat(self, conv):
        """The same key once more: the same answer, and nobody else hears of it."""
        if self.mine:
            conv, _, key = self.rng.choice(self.mine)
            say = Say(key, conv)
            say.is_repeat = True
            if conv in self.confirmed:
                self.run.stats['repeats'] += 1
                self.ask(lambda frame, code: code or self._answered(say, frame, None), 'send', c=conv, k=key,
                         content=text_of(key, 0))

    def _do_typing(self, conv):
        self.ask(self._ignore, 'typing', c=conv, on=self.rng.random() < 0.7)

    def _do_ping(self, _):
        self.ask(self._ponged, 'ping')

    def _ponged(self, frame, _):
        if frame:
            self.cursor = frame.get('cursor') or self.cursor

    def _do_history(self, conv):
        def answered(frame, _):
            for message in frame['messages'] if frame else ():
                self.checker.receive(self.name, conv, *event_of(MESSAGE, message['rev'], message))
        before = self.rng.randint(2, max(3, self.tracks[conv].position or 3))
        self.ask(answered, 'history', c=conv, before=before, limit=self.rng.randint(1, 60))

    def _change(self, op, kind, **fields):
        if not self.mine:
            return
        target = self.rng.choice(self.mine)
        conv, rev, key = target
        if conv not in self.confirmed:
            return
        if kind == EDIT:
            fields['content'] = text_of(key, self.rng.randint(1, 9))
        if kind == DELETE:
            self.mine.remove(target)  # what is deleted can be edited no more

        def answered(frame, code):
            if frame and frame.get('changed'):
                self.checker.changed(self.name, conv, frame['rev'], kind, rev, fields.get('content'))
            elif code and code not in TRY_AGAIN and code not in ('not_found', 'conflict', 'not_subscribed'):
                self.checker.refused(self.name, conv, op, code)
        self.ask(answered, op, c=conv, rev=rev, k=str(uuid.UUID(int=self.rng.getrandbits(128), version=4)), **fields)

    def _do_edit(self, _):
        self._change('edit', EDIT)

    def _do_delete(self, _):
        self._change('delete', DELETE)

    def _do_react(self, _):
        is_on = self.rng.random() < 0.7
        self._change('react', REACT if is_on else UNREACT, emoji=self.rng.choice(EMOJI), on=is_on)

    def _do_read(self, conv):
        seq = self.last_seq.get(conv, 0)

        def answered(frame, _):
            if frame:
                self.read[conv] = max(seq, self.read.get(conv, 0))
                if frame.get('seq', seq) < seq:
                    self.checker.violation('counter', conv, None, self.name, None, f'read to {seq}, marked {frame}')
        if seq:
            self.ask(answered, 'read', c=conv, seq=seq)

    def _do_unsub(self, conv):
        """Leaves a conversation and follows it again later, from where it was."""
        def gone(frame, _):
            if frame is None:
                return
            self.following.discard(conv)
            self.people.pop(conv, None)  # what was on its way meanwhile counts no more
            self.typers.pop(conv, None)
            link = self.link
            delay = 0 if self.run.is_calm else self.rng.expovariate(1)
            asyncio.get_running_loop().call_later(delay, lambda: self.is_on(link) and self._sub(conv))
        self.confirmed.discard(conv)
        self.ask(gone, 'unsub', c=conv)

    def recount(self):
        """Subscribes anew to everything, which tells how much is unread."""
        self.unread.clear()
        for conv in sorted(self.confirmed):
            self._do_unsub(conv)

    def _do_leave(self, _):
        self.leave(self.rng.expovariate(0.5))

    def _ignore(self, *_):
        pass

    def tick(self, now):
        if not self.is_up or not self.waiting:
            return
        number, (_, since, op) = next(iter(self.waiting.items()))
        if now - max(since, self.slow_until) > ANSWER_TIMEOUT:
            self.waiting.pop(number)
            self.checker.violation('stuck', None, None, self.name, None, f'no answer to {op}')
            self.link.reset()


# acts and how often each is chosen
ACTS, WEIGHTS = zip(('send', 120), ('typing', 25), ('edit', 15), ('delete', 5), ('react', 20), ('read', 20), ('ping', 15),
                    ('history', 4), ('repeat', 6), ('burst', 2), ('unsub', 3), ('leave', 3))


def event_of(kind, rev, data):
    """(Event, text or None) of a native event's data."""
    if kind == MESSAGE:
        text = data['content']
        return Event(kind, rev, data['seq'], data.get('client_msg_id'), None, data['sender']['name']), text
    actor = (data.get('by') or data.get('user') or {}).get('name')
    # the text of an edit is hidden while its message is deleted
    return (Event(kind, rev, None, None, data.get('target'), actor, data.get('emoji')),
            data.get('content') or None if kind in (EDIT, RECOVER) else None)


class MsgpackPerson(NativePerson):
    """The native socket in MessagePack."""

    surface = 'msgpack'
    protocol = 'roomd.v1.msgpack'

    def encode(self, frame):
        return msgpack.packb(frame)

    def decode(self, payload):
        return msgpack.unpackb(payload)


class StreamPerson(NativePerson):
    """Reads an event stream, without a name. Comes back with the id of the last event, as browsers do."""

    surface = 'SSE'

    def __init__(self, run, name, rng, rooms):
        super().__init__(run, name, rng, rooms)
        self.last_id = None
        for conv in self.rooms:
            self.tracks[conv] = self.checker.track(name, conv)

    async def connect(self):
        self.confirmed.clear()
        self.following = set(self.rooms)
        if self.last_id is None or self.rng.random() < 0.05:
            self.last_id = None
            for track in self.tracks.values():
                track.stop()
        query = '&'.join(f'c={conv}' for conv in self.rooms)
        self.link = await Stream.open(self.run.port, f'/api/v1/events?{query}', self._on_block, self.last_id,
                                      self.run.receive_buffer(self.rng))

    def _on_block(self, block):
        kind, number, data = block
        if data:
            frame = json.loads(data)
            if kind not in (frame['op'], frame.get('t')):
                self.checker.violation('different', None, None, self.name, None, f'{data} is called {kind}')
            if frame['op'] == 'err':
                self.run.stats[f'error {frame["code"]}'] += 1
            self._on_frame(data)
        self.last_id = number or self.last_id

    def present_in(self):
        return ()

    def follows(self):
        return tuple(self.confirmed) if self.is_up else ()

    def act(self):
        pass

    def recount(self):
        pass
