#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A crowd on every surface, everything going wrong, and a judge: see README.md beside this file.

Brings database, daemon, people (soak_people.py), faults (soak_chaos.py) and the record (soak_checker.py) together,
lets it rest now and then, and compares. Exit status 0: nothing was lost, doubled, reordered or stale.
"""
import argparse
import asyncio
import faulthandler
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter, namedtuple
from pathlib import Path

import psycopg

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / 'integration'))

from soak_chaos import Chaos, run_schedule, schedule, settings  # noqa: E402
from soak_checker import KINDS, MESSAGE, Checker, Row, check_people, check_unread, growth  # noqa: E402
from soak_link import raise_descriptor_limit  # noqa: E402
from soak_native import MsgpackPerson, NativePerson, StreamPerson, msgpack  # noqa: E402
from soak_people import RestPerson  # noqa: E402
from soak_rooms import RoomPerson  # noqa: E402
from soak_texts import parse  # noqa: E402
from roomd_harness import CTL, LOGS, Daemon, session_of  # noqa: E402
from roomd_postgres import Postgres  # noqa: E402

REPORT_EVERY = 10
# between two rests, in which everything must come to agree while the daemon runs on
REST_EVERY = 240
# what a rest may take: reconnecting, catching up, links that are found to be lost, graces
REST_PATIENCE = 60
WARM_UP = 60
# from so many seconds on memory is judged, and may grow by so much
LONG, GROWTH_MAX = 1800, 0.02
# once a minute a worker looks at its heap and gives freed memory back: a rest is measured for so many seconds
MEMORY_REST, MEMORY_LOOK = 75, 5
VIOLATIONS_SHOWN = 6  # of each kind
TELLS_UNREAD = ('native', 'msgpack')
HEAP = re.compile(r'^roomd_heap_bytes\{.*state="live".*\} (\d+)$', re.M)

# bytes: resident; without program files, each shared page counted once; in use in the workers' heaps
Memory = namedtuple('Memory', 'label resident own heap')


class Run:
    """One soak: the common knowledge of its people, and the order of its acts."""

    def __init__(self, seed, seconds, crowd, log_dir):
        self.seed, self.seconds, self.crowd, self.log_dir = seed, seconds, crowd, log_dir
        self.stats = Counter()
        self.checker = Checker(self.on_violation, self.keep_history)
        self.is_over = self.is_calm = False
        self.lacks = set()  # operations that this daemon does not know
        self.pause = 1.0  # mean seconds between two acts of one person
        self.long_pause = min(30, max(3, seconds / 6))
        self.people, self.rooms = [], []
        self.daemon = self.postgres = self.database = self.chaos = None
        self.memory = []  # what was measured, in order
        # the second half of a long run kills no process of the daemon
        self.deaths_until = seconds / 2 if seconds >= LONG else None
        self.steady = []  # (seconds before it, Memory) of the rests of that half
        self.log_at = 0
        self.shown_kinds, self.histories = Counter(), Counter()
        self.crashes = []
        self.faults = []  # of this program itself

    @property
    def port(self):
        return self.daemon.port

    def receive_buffer(self, rng):
        """Some have sockets that fill at once. With 4 KiB they would get a segment with each of the system's timers."""
        return 16384 if rng.random() < 0.3 else 0

    # ------------------------------------------------------------ evidence

    def on_violation(self, found):
        """Says it at once and keeps what led to it."""
        self.shown_kinds[found.kind] += 1
        if self.shown_kinds[found.kind] > VIOLATIONS_SHOWN:
            return
        print(f'soak: {found.kind.upper()} conversation {found.conv} rev {found.rev} at {found.who} key {found.key}: '
              f'{found.detail}', flush=True)
        self.keep_history(found)

    def keep_history(self, found):
        """Writes down what led to a fault, or to what may turn out to be one."""
        self.histories[found.kind] += 1
        if self.histories[found.kind] > VIOLATIONS_SHOWN:
            return
        self.log_dir.mkdir(parents=True, exist_ok=True)
        with open(self.log_dir / f'{found.kind}-{self.histories[found.kind]}.log', 'w', encoding='utf-8') as out:
            print(f'seed {self.seed}: {found}', file=out)
            for words in list(self.checker.history):  # the people go on meanwhile
                if self._belongs(words, found):
                    print(f'{words[-1]:.3f}', *words[:-1], file=out)

    @staticmethod
    def _belongs(words, found):
        """Whether a line of the history is about the same revision, key or reader."""
        conv, rev, who = words[:3]
        if conv is None or found.conv is None:
            return who == found.who
        if conv != found.conv:
            return False
        return who == found.who or (found.key is not None and found.key in words) or \
            (rev is not None and found.rev is not None and abs(rev - found.rev) <= 3)

    # ------------------------------------------------------------ setting up

    def set_up(self):
        self.postgres = Postgres(is_durable=True)
        self.postgres.start()
        self.database = self.postgres.new_database()
        self.daemon = Daemon(self.postgres.url(self.database), workers=4, settings=settings(self.seed),
                             name='soak-roomd')
        self.daemon.start()
        with self.postgres.connect(self.database) as connection:
            for number in range(self.crowd['rooms']):
                self.rooms.append(connection.execute(
                    "insert into conversations (kind, name) values ('room', %s) returning id",
                    (f'soak {number}',)).fetchone()[0])
        self.chaos = Chaos(self.daemon, self.postgres, self.database, self.people, self.stats, self._call)

    def make_people(self):
        rng = random.Random(f'people {self.seed}')
        surfaces = (('S1', RoomPerson), ('native', NativePerson), ('msgpack', MsgpackPerson), ('SSE', StreamPerson),
                    ('REST', RestPerson))
        for surface, kind in surfaces:
            if kind is MsgpackPerson and not msgpack:
                continue
            count = self.crowd[surface]
            for number in range(count):
                # some rooms are busy, some have few people
                rooms = sorted({self.rooms[int(len(self.rooms) * rng.random() ** 2)]
                                for _ in range(rng.randint(1, 4))}, key=lambda _: rng.random())
                name = f'{surface} {number}'
                self.people.append(kind(self, name, random.Random(f'{name} {self.seed}'), rooms))

    def _call(self, function, *args):
        self.loop.call_soon_threadsafe(function, *args)

    # ------------------------------------------------------------ the run

    async def go(self):
        self.loop = asyncio.get_running_loop()
        self.loop.set_exception_handler(self._on_fault)
        tasks = [asyncio.create_task(person.live()) for person in self.people]
        helpers = [asyncio.create_task(self._report()), asyncio.create_task(self._watch())]
        try:
            await self._acts()
        finally:
            self.is_over = True
            left = {*tasks, *helpers}
            while left:  # a cancellation can be lost to something that ends in the same moment
                for task in left:
                    task.cancel()
                _, left = await asyncio.wait(left, timeout=2)
            ended = await asyncio.gather(*tasks, *helpers, return_exceptions=True)
        self.faults += [why for why in ended if isinstance(why, Exception)]

    def _on_fault(self, loop, context):
        """Something in here broke: no result can be trusted."""
        self.faults.append(context.get('exception') or context['message'])
        if len(self.faults) <= VIOLATIONS_SHOWN:
            loop.default_exception_handler(context)

    async def _acts(self):
        """Chaos and rest in turns; the last rest is the end."""
        cards = schedule(self.seed, self.seconds, self.deaths_until)
        begin, done = time.monotonic(), 0.0
        while done < self.seconds:
            part = min(REST_EVERY, self.seconds - done)
            now = [card._replace(at=card.at - done) for card in cards if done <= card.at < done + part]
            chaos = asyncio.create_task(run_schedule(self.chaos, now, lambda: self.is_over))
            await asyncio.sleep(part)
            await chaos
            done += part
            if self.seconds - done < 20:
                done = self.seconds
            await self._rest(done, is_last=done >= self.seconds)
            if self._is_steady(done):
                self.steady.append((done, self.memory[-1]))
        self.stats['seconds'] = int(time.monotonic() - begin)

    async def _rest(self, done, is_last):
        """No more faults, nobody acts: everything must be answered, everywhere, and equal."""
        self.is_calm = True
        rng = random.Random(f'rest {self.seed}')
        for person in self.people:  # departures of all kinds, whose graces must end
            person.read_on()
            choice = rng.random()
            if choice < 0.1:
                person.leave(REST_PATIENCE * 2)
            elif choice < 0.15:
                person.reset()
            elif choice < 0.2:
                person.vanish()
        unsettled, deadline = ['not begun'], time.monotonic() + REST_PATIENCE
        since = time.monotonic()
        told = since + REPORT_EVERY
        while unsettled and time.monotonic() < deadline:
            await asyncio.sleep(0.5)
            unsettled = await asyncio.to_thread(self._unsettled)
            if unsettled and time.monotonic() > told:
                told += REPORT_EVERY
                print(f'soak: rest: not yet settled ({len(unsettled)}): {"; ".join(unsettled[:3])}', flush=True)
        took = time.monotonic() - since
        self.stats['lists compared'] += sum(names is not None for names in self._shown('people').values())
        if unsettled:
            self._judge_unsettled()
        await asyncio.to_thread(self._measure, 'rest' if not is_last else 'end')
        if self._is_steady(done):
            await self._measure_least()
        now = self.memory[-1]
        print(f'soak: rest: settled after {took:.1f} s, RSS {now.resident >> 10} KiB, own memory {now.own >> 10} KiB, '
              f'live heaps {now.heap >> 10} KiB', flush=True)
        await self._recount()
        await asyncio.to_thread(self._compare, self.checker.record())
        for person in self.people:
            person.away_until = 0
        self.is_calm = is_last

    async def _recount(self):
        """Everybody is told anew how much is unread."""
        for person in self.people:
            if person.is_up:
                person.recount()
        deadline = time.monotonic() + REST_PATIENCE / 2
        while time.monotonic() < deadline and any(person.is_up and set(person.rooms) - set(person.confirmed)
                                                  for person in self.people if person.surface in TELLS_UNREAD):
            await asyncio.sleep(0.1)

    def _heads(self, connection=None):
        """{conv: (rev, seq, last rev that is a message to be shown)}."""
        if connection is None:
            with self.postgres.connect(self.database) as connection:
                return self._heads(connection)
        return {conv: (rev, seq, said or 0) for conv, rev, seq, said in connection.execute(
            'select conversation_id, max(rev), max(seq), max(rev) filter (where kind = 1 and deleted_at is null)'
            ' from events group by 1')}

    def _expected_people(self):
        expected = {room: set() for room in self.rooms}
        for person in self.people:
            for conv in person.present_in():
                expected[conv].add(person.name)
        return expected

    def _shown(self, field):
        return {(person.name, conv): getattr(person, field).get(conv)
                for person in self.people for conv in person.follows()}

    def _behind(self, heads):
        """(person, track, head) of everybody connected who has not got everything."""
        for person in self.people:
            for conv in person.follows():
                track = person.tracks[conv]
                rev, _, said = heads.get(conv, (0, 0, 0))
                head = said if track.is_sparse else rev
                if (track.position or 0) < head and head not in track.excused:
                    yield person, track, head

    def _unsettled(self):
        """What is not yet as it must be when all is calm, in words; empty when all is well."""
        found = []
        now = time.monotonic()
        # a REST sender sends one at a time and is not connected in between
        down = [person.name for person in self.people
                if person.surface != 'REST' and not person.follows() and person.away_until < now]
        if down:
            found.append(f'not connected: {down}')
        found += [f'pending at {person.name}' for person in self.people
                  if person.pending and (person.away_until < now or person.surface == 'REST')]
        try:
            heads = self._heads()
        except psycopg.OperationalError:  # the last fault was its own, and it is on its way back
            return [*found, 'the database is not up']
        found += [f'{track.who} at {track.position} of {head}' for _, track, head in self._behind(heads)]
        check_people(self._expected_people(), self._shown('people'),
                     lambda kind, conv, rev, who, key, detail: found.append(f'{conv} at {who}: {detail}'))
        check_people({}, self._shown('typers'),
                     lambda kind, conv, rev, who, key, detail: found.append(f'{conv} at {who}: {detail}'), 'typing')
        return found

    def _judge_unsettled(self):
        """What has not settled in time is a violation, by kind."""
        violation = self.checker.violation
        now = time.monotonic()
        for person in self.people:
            if person.surface != 'REST' and not person.follows() and person.away_until < now:
                violation('stuck', None, None, person.name, None, 'does not get connected')
            for key, say in person.pending.items():
                if person.away_until < now or person.surface == 'REST':
                    violation('stuck', say.conv, None, person.name, key, 'never acknowledged')
        for person, track, head in self._behind(self._heads()):
            violation('lost', track.conv, head, person.name, None, f'stays at {track.position}')
        check_people(self._expected_people(), self._shown('people'), violation)
        check_people({}, self._shown('typers'), violation, 'typing')

    def _compare(self, record):
        """The record against the tables, which people who come back from away still add to."""
        with self.postgres.connect(self.database) as connection, connection.transaction():
            connection.execute('set transaction isolation level repeatable read')
            rows = [Row(conv, rev, seq, kind, name, str(key) if key else None, target, text, gone)
                    for conv, rev, seq, kind, name, key, target, text, gone in connection.execute(
                        'select e.conversation_id, e.rev, e.seq, e.kind, u.name, e.client_msg_id, e.target_rev, '
                        'e.content, e.deleted_at is not null from events e left join users u on u.id = e.actor_id')]
            marks = connection.execute(
                'select m.conversation_id, u.name, m.read_seq from members m join users u on u.id = m.user_id'
            ).fetchall()
            heads = {conv: (rev, seq) for conv, (rev, seq, _) in self._heads(connection).items()}
        self.checker.finish([self._with_key(row) for row in rows], heads, record)
        told = {(conv, person.name): unread for person in self.people if person.surface in TELLS_UNREAD and person.is_up
                for conv, unread in list(person.unread.items())}
        self.stats['unread counters compared'] += sum((conv, name) in told for conv, name, _ in marks)
        check_unread(rows, [(*mark, told.get(mark[:2])) for mark in marks], self.checker.violation)
        self._compare_marks({(conv, name): seq for conv, name, seq in marks})
        self._verify()
        self.stats['rows'] = len(rows)

    @staticmethod
    def _with_key(row):
        """Messages are known by the key in their text, which the server cannot have made up."""
        found = parse(row.text) if row.type == MESSAGE and row.text else None
        return row._replace(key=found[0]) if found else row

    def _compare_marks(self, marks):
        for person in self.people:
            for conv, seq in getattr(person, 'read', {}).items():
                if marks.get((conv, person.name), 0) < seq:
                    self.checker.violation('counter', conv, None, person.name, None,
                                           f'read to {seq} acknowledged, the table has {marks.get((conv, person.name))}')

    def _verify(self):
        """The operator's own recount must agree; only where this build has it."""
        done = subprocess.run([CTL, '-c', self.daemon.conf, 'verify', 'all'], capture_output=True, text=True,
                              env=self.daemon.env, timeout=300, check=False)
        if done.returncode == 64:
            self.lacks.add('roomctl verify')
        elif done.returncode != 0:
            self.checker.violation('counter', None, None, 'roomctl verify', None,
                                   f'status {done.returncode}: {(done.stdout + done.stderr)[-1500:]}')

    # ------------------------------------------------------------ watching

    async def _watch(self):
        """Requests that get no answer, workers that die by themselves, memory."""
        begin, is_warm = time.monotonic(), False
        while True:
            await asyncio.sleep(1)
            now = time.monotonic()
            for person in self.people:
                person.tick(now)
            if not is_warm and now - begin > min(WARM_UP, self.seconds / 3):
                is_warm = True
                await asyncio.to_thread(self._measure, 'warm')

    def _measure(self, label):
        """What the processes hold together; their heaps as they last looked."""
        sums = Counter()
        for pid in session_of(self.daemon.pid):
            try:
                text = Path(f'/proc/{pid}/smaps_rollup').read_text()
            except OSError:
                continue
            for name, _, value in (line.partition(':') for line in text.splitlines()[1:]):
                sums[name] += int(value.split()[0]) * 1024
        told = subprocess.run([CTL, '-c', self.daemon.conf, 'metrics'], capture_output=True, text=True,
                              env=self.daemon.env, timeout=60, check=False).stdout
        self.memory.append(Memory(label, sums['Rss'], sums['Pss_Anon'] + sums['Pss_Shmem'],
                                  sum(map(int, HEAP.findall(told)))))

    async def _measure_least(self):
        """Measures again while nobody acts: the least sizes, and the heaps as every worker sees them in the end."""
        for _ in range(MEMORY_REST // MEMORY_LOOK):
            await asyncio.sleep(MEMORY_LOOK)
            before = self.memory.pop()
            await asyncio.to_thread(self._measure, before.label)
            now = self.memory[-1]
            self.memory[-1] = now._replace(resident=min(before.resident, now.resident), own=min(before.own, now.own))

    def _is_steady(self, done):
        """Buffers and caches have had a few minutes since the last death to find their sizes."""
        return self.deaths_until is not None and done >= self.deaths_until + REST_EVERY

    def growth(self, field):
        """Of a field of Memory while no process died, in parts of one: in the last quarter against before."""
        return growth([(done, getattr(memory, field)) for done, memory in self.steady], self.seconds * 3 / 4)

    async def _report(self):
        begin, last = time.monotonic(), Counter()
        while True:
            await asyncio.sleep(REPORT_EVERY)
            now = self.checker.counts.copy()
            up = sum(person.is_up for person in self.people)
            print(f'soak: {time.monotonic() - begin:5.0f} s  {up} up  acked {now["acked"]} '
                  f'(+{now["acked"] - last["acked"]})  delivered {now["delivered"]} '
                  f'(+{now["delivered"] - last["delivered"]})  connects {self.stats["connects"]}  '
                  f'violations {len(self.checker.violations)}{"  calm" if self.is_calm else ""}', flush=True)
            last = now
            self._look_for_crashes()

    def _look_for_crashes(self):
        """A worker that died by itself, and what a sanitizer or the C library says."""
        with open(self.daemon.log_path, encoding='utf-8', errors='replace') as log:
            log.seek(self.log_at)
            for text in log:
                try:
                    line = json.loads(text)
                except ValueError:
                    self.crashes.append(text.rstrip())
                    continue
                if line.get('text') == 'worker died' and not self._is_ours(line):
                    self.crashes.append(text.rstrip())
            self.log_at = log.tell()

    def _is_ours(self, line):
        return line.get('signal') == signal.SIGKILL and line.get('pid') in self.chaos.killed

    # ------------------------------------------------------------ the end

    def tear_down(self):
        self._look_for_crashes()
        try:
            if self.daemon and self.daemon.process:
                self.daemon.expected_errors.append('.')
                self.daemon.close()
        finally:
            if self.postgres:
                self.postgres.remove()

    def is_good(self):
        return not self.checker.violations and not self.crashes and not self.faults and \
            max(map(self.growth, ('resident', 'heap'))) <= GROWTH_MAX and self.checker.counts['acked'] > 0

    def summary(self):
        counts = {kind: self.checker.count(kind) for kind in KINDS}
        print(f'soak: seed {self.seed}, {self.stats["seconds"]} s, {len(self.people)} people '
              f'({", ".join(f"{n} {surface}" for surface, n in Counter(p.surface for p in self.people).items())}), '
              f'{len(self.rooms)} rooms, {self.stats["rows"]} rows in the log')
        print(f'soak: acked {self.checker.counts["acked"]}, changed {self.checker.counts["changed"]}, '
              f'delivered {self.checker.counts["delivered"]}, connects {self.stats["connects"]}, '
              f'resumed {self.stats["resumed"]}')
        print('soak: faults: ' + ', '.join(f'{name} {self.stats[name]}' for name in sorted(self.stats)
                                           if name in CARDS))
        print('soak: also: ' + ', '.join(f'{name} {count}' for name, count in sorted(self.stats.items())
                                         if name not in CARDS and name not in SHOWN))
        if self.lacks:
            print(f'soak: this daemon lacks: {", ".join(sorted(self.lacks))}')
        print('soak: memory in KiB, resident, own, live heaps: ' +
              ', '.join(f'{m.label} {m.resident >> 10} {m.own >> 10} {m.heap >> 10}' for m in self.memory) +
              ''.join(f'; {field} {self.growth(field) * 100:+.1f} %' for field in Memory._fields[1:] if self.seconds >= LONG))
        for text in self.crashes[:VIOLATIONS_SHOWN]:
            print(f'soak: crashed: {text}')
        for fault in self.faults[:VIOLATIONS_SHOWN]:
            print(f'soak: the soak itself: {fault!r}')
        print('soak: ' + ', '.join(f'{count} {kind}' for kind, count in counts.items()) +
              f', {len(self.crashes)} crashed: {"passed" if self.is_good() else "FAILED"}', flush=True)


CARDS = {name for name in __import__('soak_chaos').DECK}
SHOWN = {'seconds', 'rows', 'connects', 'resumed'}


def soak(seed, seconds, crowd, log_dir):
    """Runs once; returns the Run."""
    print(f'soak: seed {seed}', flush=True)
    run = Run(seed, seconds, crowd, log_dir)
    try:
        run.set_up()
        run.make_people()
        asyncio.run(run.go())
    finally:
        run.tear_down()
    run.summary()
    if run.is_good():
        shutil.rmtree(log_dir, ignore_errors=True)
    else:
        log_dir.mkdir(parents=True, exist_ok=True)
        shutil.copy(run.daemon.log_path, log_dir / 'roomd.log')
        (log_dir / 'seed').write_text(f'{seed}\n')
        print(f'soak: what led to it is in {log_dir}; again with --seed {seed}', flush=True)
    return run


def crowd_of(people):
    """How PEOPLE are spread over the surfaces."""
    return {'rooms': max(3, people // 10), 'S1': people * 4 // 10, 'native': people * 3 // 10,
            'msgpack': people * 15 // 100, 'SSE': people * 5 // 100, 'REST': people // 10}


def main():
    options = argparse.ArgumentParser(prog='./dev soak', description='A crowd, faults, and a checker.')
    options.add_argument('minutes', nargs='?', type=float, default=2, help='how long the faults go on (2)')
    options.add_argument('--seed', help='replay the schedule of an earlier run')
    options.add_argument('--people', type=int, default=150, help='how many clients (150)')
    args = options.parse_args()
    seed = args.seed or str(int.from_bytes(os.urandom(4), 'big'))
    raise_descriptor_limit()
    faulthandler.register(signal.SIGUSR1)  # shows where it hangs
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # through all that cleans up
    run = soak(seed, args.minutes * 60, crowd_of(args.people), LOGS / f'failed-{seed}')
    sys.exit(0 if run.is_good() else 1)


if __name__ == '__main__':
    main()
