# SPDX-License-Identifier: MIT
"""People in the socket of one room (S1), who resume by a revision.

In this dialect the answer to a message is the message, and what a resume sends again looks like what is new: which is
which follows from its place alone.
"""
import asyncio
import json
import time
from collections import Counter

from soak_checker import MESSAGE, Event
from soak_link import Link
from soak_people import ANSWER_TIMEOUT, TRY_AGAIN, Person
from soak_texts import text_of


class RoomPerson(Person):
    """S1: the socket of one room. Resumes by a revision."""

    surface = 'S1'

    def __init__(self, run, name, rng, rooms):
        super().__init__(run, name, rng, rooms[:1])
        self.room = self.rooms[0]
        self.track = run.checker.track(name, self.room, is_sparse=True)
        self.tracks[self.room] = self.track
        # Live events may come before the resume is understood, at the latest with the answer to the ping behind it;
        # from then on, or before, everything after the position that it names comes, once.
        self.is_settling = False
        self.restart = None
        self.head, self.has_replay = 0, False  # of the room when the connection was confirmed; anything up to it came
        self.waits_since = None
        self.entered = None
        self.answers = Counter()  # key -> copies that may come beside the room's own

    async def connect(self):
        self.entered = asyncio.get_running_loop().create_future()
        self.is_settling = self.track.position is not None
        self.restart = self.track.position if self.is_settling else None
        self.head, self.has_replay = 0, False
        self.answers.clear()
        self.waits_since = None
        self.link = await Link.open(self.run.port, f'/ws/chat/{self.room}', self._on_frame,
                                    receive_buffer=self.run.receive_buffer(self.rng))
        self._send({'username': self.name})
        if self.is_settling:
            self.note('resumes', self.link.serial, 'worker', self.link.worker, 'from', self.track.position)
            self._send({'type': 'resume', 'rev': self.track.position})
            self._send({'type': 'ping'})
        done, _ = await asyncio.wait({self.entered, self.link.closed}, timeout=ANSWER_TIMEOUT,
                                     return_when=asyncio.FIRST_COMPLETED)
        if not done:
            self.checker.violation('stuck', self.room, None, self.name, None, 'no answer to the name')
        if self.entered not in done:
            raise EOFError('closed before the confirmation')
        for say in self.pending.values():
            self._say(say)

    def present_in(self):
        return (self.room,) if self.is_up else ()

    def _send(self, frame):
        self.link.send(json.dumps(frame).encode())

    def _say(self, say):
        self.stamp(say)
        self.waits_since = self.waits_since or time.monotonic()
        self._send({'type': 'message', 'content': text_of(say.key, 0), 'client_id': say.key})

    def _on_frame(self, payload):
        frame = json.loads(payload)
        handler = getattr(self, '_on_' + frame['type'], None)
        if handler:
            handler(frame)

    def _on_connected(self, frame):
        self.note('confirmed', self.link.serial, frame)
        self.head = frame['rev']
        if self.track.position is None:
            self.track.begin(frame['rev'])
        if not self.entered.done():
            self.entered.set_result(True)

    def _on_pong(self, _):
        self.note('pong', self.link.serial)
        self.is_settling = False

    def _on_message(self, frame):
        key, rev, seq = frame.get('client_id'), frame['rev'], frame['seq']
        event = Event(MESSAGE, rev, seq, key, None, frame['username'])
        mine = frame['username'] == self.name and key
        say = self.pending.get(key) if mine else None
        # the answer to a key that was sent again is one more copy, for the sender alone, at any place
        if say:
            self.waits_since = time.monotonic() if len(self.pending) > 1 else None
            self.said(say, rev, seq, False)
            if say.attempts > 1:
                self.answers[key] = 2
        is_answer = mine and self.answers[key] > 0
        is_early = self.is_settling and not self.has_replay and rev > self.head > self.track.position
        if self.restart is not None and self.restart < rev <= self.track.position and not is_answer:
            self.track.go_back(self.restart)  # what came so far came before the resume was understood
            self.restart = None
        elif not self.is_settling:
            self.restart = None
        self.has_replay = self.has_replay or rev <= self.head
        if is_early or is_answer and rev != self.track.position + 1:
            self.note('beside', self.link.serial, rev)
            self.track.excused.add(rev)  # it is here, wherever else it comes
            if is_answer:
                self.answers[key] -= 1
            self.checker.receive(self.name, self.room, event, frame['content'])
        else:
            self.track.event(event, frame['content'])

    def _on_error(self, frame):
        code, key = frame['code'], frame.get('client_id')
        say = self.pending.get(key)
        self.run.stats[f'error {code}'] += 1
        if code not in TRY_AGAIN:
            self.checker.refused(self.name, self.room, 'S1', frame)
        elif say:  # an answer too: the database may be away for longer than anybody waits for one
            self.waits_since = time.monotonic() if len(self.pending) > 1 else None
            link = self.link
            asyncio.get_running_loop().call_later(min(frame.get('retry_after', 0.3), 2), self._again, link, say)

    def _again(self, link, say):
        if self.is_on(link) and say.key in self.pending:
            self._say(say)

    def _on_users_list(self, frame):
        self.people[self.room] = set(frame['users'])
        self.checker.note(self.room, None, self.name, 'list', len(frame['users']))

    def _on_typing(self, frame):
        self.typers[self.room] = set(frame['users'])

    def act(self):
        dice = self.rng.random()
        if dice < 0.6:
            if len(self.pending) < 5:
                self._say(self.new_say(self.room))
        elif dice < 0.9:
            self._send({'type': 'typing', 'is_typing': dice < 0.8})
        elif dice < 0.95:
            if self.mine:
                key = self.rng.choice(self.mine)[2]
                if not self.answers[key]:
                    self.answers[key] = 1
                    self.run.stats['repeats'] += 1
                    self._send({'type': 'message', 'content': text_of(key, 0), 'client_id': key})
        elif dice < 0.97:
            self.leave(self.rng.expovariate(0.5))

    def tick(self, now):
        if self.is_up and self.pending and self.waits_since and \
                now - max(self.waits_since, self.slow_until) > ANSWER_TIMEOUT:
            key = next(iter(self.pending))
            self.checker.violation('stuck', self.room, None, self.name, key, 'no answer to a message')
            self.link.reset()
