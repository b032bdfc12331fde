# SPDX-License-Identifier: MIT
"""The record of everything acknowledged and everything received, and what contradicts the promises in it.

Knows nothing of sockets, processes or the server's code: what happened is told to it, the tables
are handed in as rows. Each kind of fault has one name, under which it is counted:

lost       acknowledged or announced, but missing in the table, or at a reader that followed
doubled    the same revision twice to one reader without being asked for, or one key stored twice
reordered  a revision after a later one, or one sender's messages in another order than sent
phantom    broadcast or acknowledged, but not in the table
different  the same thing with another text, number or answer
stale      a list of people, or of those who type, that stays wrong when all is calm
counter    a counter or mark that differs from a recount
refused    an answer that no well-behaved client should get
stuck      a request that gets no answer, or a reader that never reaches the head
"""
import time
from collections import Counter, defaultdict, deque, namedtuple
from statistics import mean

from soak_texts import parse

KINDS = ('lost', 'doubled', 'reordered', 'phantom', 'different', 'stale', 'counter', 'refused', 'stuck')
MESSAGE, EDIT, DELETE, RECOVER, REACT, UNREACT = 1, 2, 3, 4, 5, 6
TYPES = {'message.new': 1, 'message.edit': 2, 'message.delete': 3, 'message.recover': 4, 'reaction.set': 5,
         'reaction.unset': 6, 'member.join': 7, 'member.leave': 8, 'member.role': 9, 'conversation.update': 10,
         'conversation.close': 11}
HISTORY_LENGTH = 200_000

Violation = namedtuple('Violation', 'kind conv rev who key detail')
# one durable event as a reader got it; key: of the message that it is or (edit, recover) whose text it carries
Event = namedtuple('Event', 'type rev seq key target actor extra', defaults=(None,))
# one row of the log
Row = namedtuple('Row', 'conv rev seq type actor key target text deleted', defaults=(False,))


class Checker:
    """One run's record."""

    def __init__(self, on_violation=None, on_suspicion=None, clock=time.monotonic):
        self.on_violation, self.on_suspicion, self.clock = on_violation, on_suspicion, clock
        self.violations, self.known = [], set()
        self.counts = Counter()  # what happened, for the summary
        self.seen = defaultdict(dict)  # conv -> rev -> Event, as whoever got it first saw it
        self.texts = {}  # (conv, rev) -> the text that was found right there, so that it is parsed once
        self.deleted = set()  # (conv, rev) of messages whose deletion somebody saw
        self.acks = {}  # key -> (conv, rev, seq)
        self.owner = {}  # key -> (who, conv)
        self.changes = []  # (conv, rev, type, target, who, text): acknowledged edits, deletes, reactions
        self.tracks = []
        self.order = {}  # (connection, conv) -> (number, rev) of the last message acknowledged at first attempt
        self.history = deque(maxlen=HISTORY_LENGTH)

    def note(self, *words):
        """Remembers something for the history of an offence: (conv or None, rev or None, who, words…)."""
        self.history.append((*words, self.clock()))

    def violation(self, kind, conv=None, rev=None, who=None, key=None, detail=''):
        found = Violation(kind, conv, rev, who, key, detail)
        if found in self.known:  # every comparison with the tables finds it again
            return
        self.known.add(found)
        self.violations.append(found)
        if self.on_violation:
            self.on_violation(found)

    def suspect(self, conv, rev, who):
        """A reader has a hole that looks like a loss: its history is fresh now, the verdict comes with the tables."""
        event = self.seen[conv].get(rev)
        if self.on_suspicion:
            self.on_suspicion(Violation('hole', conv, rev, who, event.key if event else None, 'perhaps lost'))

    def looks_shown(self, conv, rev):
        """Whether even a sparse reader should have got this, as far as others' events tell."""
        event = self.seen[conv].get(rev)
        return event is not None and event.type == MESSAGE and (conv, rev) not in self.deleted

    def count(self, kind):
        return sum(1 for one in self.violations if one.kind == kind)

    # ------------------------------------------------------------ writers

    def sent(self, who, conv, key):
        self.owner.setdefault(key, (who, conv))
        self.note(conv, None, who, 'sent', key)

    def acked(self, who, conv, key, rev, seq, is_duplicate=False):
        self.note(conv, rev, who, 'acked', key, seq, is_duplicate)
        first = self.acks.setdefault(key, (conv, rev, seq))
        if first != (conv, rev, seq):
            self.violation('different', conv, rev, who, key, f'acknowledged as {first}, now {(conv, rev, seq)}')
        elif not is_duplicate:
            self.counts['acked'] += 1
        if self.owner.get(key) != (who, conv):
            self.violation('phantom', conv, rev, who, key, f'acknowledged, belongs to {self.owner.get(key)}')

    def in_order(self, connection, conv, number, rev, who=None, key=None):
        """Message NUMBER of a connection was acknowledged at its first attempt."""
        last = self.order.get((connection, conv))
        if last and (number > last[0]) != (rev > last[1]):
            self.violation('reordered', conv, rev, who, key, f'sent as {number}, {last[0]} has {last[1]}')
        if not last or number > last[0]:
            self.order[connection, conv] = number, rev

    def changed(self, who, conv, rev, kind, target, text=None):
        """An edit, delete or reaction was acknowledged: the log has it at REV, or had it before."""
        self.note(conv, rev, who, 'changed', kind, target)
        self.counts['changed'] += 1
        self.changes.append((conv, rev, kind, target, who, text))

    def refused(self, who, conv, what, code):
        self.violation('refused', conv, None, who, None, f'{what}: {code}')

    # ------------------------------------------------------------ readers

    def track(self, who, conv, is_sparse=False):
        one = Track(self, who, conv, is_sparse)
        self.tracks.append(one)
        return one

    def receive(self, who, conv, event, text):
        """What holds for each event, whoever gets it and however often."""
        self.counts['delivered'] += 1
        if event.type == DELETE:
            self.deleted.add((conv, event.target))
        first = self.seen[conv].setdefault(event.rev, event)
        if first != event and not _same(first, event):
            self.violation('different', conv, event.rev, who, event.key, f'{event} here, {first} elsewhere')
        elif event.key is None and first.key is not None or first.key is None and event.key is not None:
            self.seen[conv][event.rev] = first if first.key is not None else event
        if text is not None and self.texts.get((conv, event.rev)) != hash(text):
            known = parse(text)
            if known is None or (event.key is not None and known[0] != event.key):
                self.violation('different', conv, event.rev, who, event.key, f'text {text[:120]!r}')
            else:
                self.texts[conv, event.rev] = hash(text)

    # ------------------------------------------------------------ the end

    def record(self):
        """What was acknowledged and seen so far. Taken before the tables are read: later ones may not be in them."""
        return dict(self.acks), list(self.changes), {conv: dict(events) for conv, events in self.seen.items()}

    def finish(self, rows, heads, record=None):
        """Compares everything with the tables: ROWS of the log, HEADS {conv: (rev, seq)}."""
        acks, changes, seen = record or self.record()
        table = check_log(rows, heads, self.violation)
        keys = defaultdict(list)
        for row in rows:
            if row.type == MESSAGE:
                keys[row.key].append(row)
        self._compare_acks(table, keys, acks)
        self._compare_changes(table, changes)
        for conv, events in seen.items():
            for rev, event in events.items():
                self._compare_seen(conv, rev, event, table.get((conv, rev)))
        for track in self.tracks:
            track.finish(table)

    def _compare_acks(self, table, keys, acks):
        for key, found in keys.items():
            if len(found) > 1:
                self.violation('doubled', found[1].conv, found[1].rev, found[1].actor, key,
                               f'stored as {[(row.conv, row.rev) for row in found]}')
            if key not in self.owner:
                self.violation('phantom', found[0].conv, found[0].rev, found[0].actor, key, 'nobody sent this')
        for key, (conv, rev, seq) in acks.items():
            row = table.get((conv, rev))
            if row is None or row.type != MESSAGE or key not in keys:
                self.violation('lost', conv, rev, self.owner[key][0], key, f'acknowledged, the table has {row}')
            elif (row.key, row.seq) != (key, seq):
                self.violation('different', conv, rev, self.owner[key][0], key, f'seq {seq} acknowledged: {row}')
            elif row.text is not None and (parse(row.text) or (None,))[0] != key:
                self.violation('different', conv, rev, self.owner[key][0], key, f'stored text {row.text[:120]!r}')

    def _compare_changes(self, table, changes):
        """What was acknowledged as a change is the row of that very revision."""
        for conv, rev, kind, target, who, text in changes:
            row = table.get((conv, rev))
            if row is None or (row.type, row.target, row.actor) != (kind, target, who):
                self.violation('lost', conv, rev, who, None, f'acknowledged change {kind} of {target}: {row}')
            elif kind == EDIT and row.text is not None and row.text != text:
                self.violation('different', conv, rev, who, None, f'edited to {text!r}: {row}')

    def _compare_seen(self, conv, rev, event, row):
        if row is None:
            self.violation('phantom', conv, rev, None, event.key, f'broadcast, not in the table: {event}')
            return
        stored = Event(row.type, row.rev, row.seq if row.type == MESSAGE else None,
                       row.key if row.type == MESSAGE else event.key, row.target if row.type != MESSAGE else None,
                       row.actor)
        if not _same(event, stored):
            self.violation('different', conv, rev, None, event.key, f'broadcast {event}, stored {stored}')


def _same(one, other):
    """Two sightings of one event; a key is missing where a deleted text no longer shows it."""
    return all(a == b or (name in ('key', 'actor', 'extra') and (a is None or b is None))
               for name, a, b in zip(Event._fields, one, other))


class Track:
    """What one reader got of one conversation, across its connections.

    A sparse reader's dialect shows messages only, and not those that are deleted: what it skips must be something else.
    """

    def __init__(self, checker, who, conv, is_sparse):
        self.checker, self.who, self.conv, self.is_sparse = checker, who, conv, is_sparse
        self.position = None  # everything up to here is there, or was before its time
        self.missing = set()
        self.excused = set()  # came as an answer, perhaps instead of, perhaps besides the room's own
        self.is_replaying = False

    def begin(self, rev):
        """A new start: everything after REV is owed."""
        self.position = rev
        self.is_replaying = False

    def stop(self):
        """The reader forgets its position: it will begin anew, wherever that is."""
        self.position = None
        self.is_replaying = False

    def go_back(self, rev):
        """Everything after REV is sent again because the reader asked for it."""
        self.missing = {one for one in self.missing if one <= rev}
        self.position = rev

    def rewind(self):
        """The reader asked for everything after a position that it does not know but that is no later than its own."""
        self.is_replaying = True

    def event(self, event, text=None):
        rev, checker = event.rev, self.checker
        checker.note(self.conv, rev, self.who, 'event', event.key)
        checker.receive(self.who, self.conv, event, text)
        if self.position is None:
            self.begin(rev - 1)
        if self.is_replaying:
            self.is_replaying = False
            if rev <= self.position:  # what came in between is still missing and may come now
                self.position = rev - 1
                self.missing = {one for one in self.missing if one < rev}
        if rev == self.position + 1:
            self.position = rev
        elif rev > self.position:
            hole = set(range(self.position + 1, rev)) - self.excused
            self.missing |= hole
            self.position = rev
            for one in sorted(hole):
                if not self.is_sparse or checker.looks_shown(self.conv, one):
                    checker.suspect(self.conv, one, self.who)
                    break
        elif rev in self.missing:
            self.missing.discard(rev)
            checker.violation('reordered', self.conv, rev, self.who, event.key, f'came after {self.position}')
        else:
            checker.violation('doubled', self.conv, rev, self.who, event.key, f'came again at {self.position}')

    def live(self, rev):
        """The server says that everything up to REV has been sent."""
        checker = self.checker
        checker.note(self.conv, rev, self.who, 'live')
        if self.position is None:
            self.begin(rev)
        elif self.is_replaying:
            self.is_replaying = False
            if rev < self.position:
                checker.violation('lost', self.conv, rev, self.who, None,
                                  f'live at {rev} for a reader at {self.position}')
        if rev > self.position:
            self.missing.update(range(self.position + 1, rev + 1))
            self.position = rev

    def finish(self, table):
        """Judges what is missing, now that the table says what each revision is."""
        for rev in sorted(self.missing):
            row = table.get((self.conv, rev))
            if row is None or not self.is_sparse or row.type == MESSAGE and not row.deleted:
                self.checker.violation('lost', self.conv, rev, self.who, row.key if row else None,
                                       f'never came to a reader at {self.position}')
        self.missing.clear()


def check_log(rows, heads, violation):
    """The log itself: revisions without gap, seq counting messages. Returns {(conv, rev): row}."""
    table, last = {}, {}
    for row in sorted(rows, key=lambda row: (row.conv, row.rev)):
        rev, seq = last.get(row.conv, (0, 0))
        if row.rev != rev + 1:
            violation('counter', row.conv, row.rev, None, row.key, f'follows rev {rev} in the table')
        if row.seq != seq + (row.type == MESSAGE):
            violation('counter', row.conv, row.rev, None, row.key, f'seq {row.seq} follows {seq} in the table')
        last[row.conv] = row.rev, row.seq
        table[row.conv, row.rev] = row
    for conv, head in heads.items():
        if head != last.get(conv, (0, 0)):
            violation('counter', conv, head[0], None, None, f'the head is {head}, the log ends {last.get(conv)}')
    return table


def growth(points, since):
    """Of what (time, value) POINTS show: the mean behind SINCE against the mean up to it, in parts of one.

    Means, because one rest's memory differs from the next one's whatever time passed. 0 without points on both sides.
    """
    early = [value for at, value in points if at <= since]
    late = [value for at, value in points if at > since]
    return mean(late) / mean(early) - 1 if late and any(early) else 0


def check_people(expected, shown, violation, what='people'):
    """EXPECTED {conv: names}; SHOWN {(who, conv): names, or None where nothing was ever shown}."""
    for (who, conv), names in shown.items():
        if names is not None and names != expected.get(conv, set()):
            more, less = names - expected.get(conv, set()), expected.get(conv, set()) - names
            violation('stale', conv, None, who, None, f'{what}: {sorted(more)} too many, {sorted(less)} missing')


def check_unread(rows, marks, violation):
    """Recounts unread. MARKS: (conv, user, read seq, unread as somebody says). Others' live messages above the mark."""
    last = {}
    own = defaultdict(int)  # (conv, user): seq of the last own message, which marks read up to itself
    unread_rows = defaultdict(list)
    for row in rows:
        if row.type == MESSAGE:
            last[row.conv] = max(last.get(row.conv, 0), row.seq)
            own[row.conv, row.actor] = max(own[row.conv, row.actor], row.seq)
            if not row.deleted:
                unread_rows[row.conv].append(row.seq)
    for conv, user, read_seq, unread in marks:
        if read_seq > last.get(conv, 0) or read_seq < 0:
            violation('counter', conv, None, user, None, f'read mark {read_seq} of {last.get(conv, 0)}')
        if read_seq < own[conv, user]:
            violation('counter', conv, None, user, None, f'read mark {read_seq}, own message {own[conv, user]}')
        found = sum(1 for seq in unread_rows[conv] if seq > read_seq)
        if unread is not None and unread != found:
            violation('counter', conv, None, user, None, f'unread {unread}, recounted {found} above {read_seq}')
