# SPDX-License-Identifier: MIT
"""What goes wrong, and when: a schedule and a set of settings that follow from the seed alone; and how each is done.

The schedule says what and when; which process or client it hits follows from the seed, too, as far as the same ones
exist.
"""
import asyncio
import os
import random
import signal
import time
from collections import namedtuple
from pathlib import Path

import psycopg

from roomd_harness import process_stat, session_of, write_settings

# how often each comes in one deck of cards; the deck is shuffled and dealt, then shuffled again
DECK = {
    'kill_worker': 6, 'kill_two_workers': 1, 'freeze_worker': 2, 'reload': 3,
    'end_backend': 3, 'kill_backend': 1, 'restart_database': 1, 'crash_database': 1, 'freeze_database': 1,
    'slow_readers': 4, 'resets': 4, 'half_open': 3, 'leaves': 2, 'everybody_reconnects': 1,
    'restart_daemon': 1, 'kill_everything': 1,
}
# after these a daemon's memory is a new one's
DEADLY = {'kill_worker', 'kill_two_workers', 'restart_daemon', 'kill_everything'}
# seconds between two of them
PAUSES = 0.5, 5.0

Card = namedtuple('Card', 'at name seed')


def schedule(seed, seconds, deaths_until=None):
    """The cards that are dealt in so many seconds; no process of the daemon is killed after DEATHS_UNTIL."""
    rng = random.Random(f'schedule {seed}')
    cards, at, deck = [], 0.0, []
    while True:
        if not deck:
            deck = [name for name, count in DECK.items() for _ in range(count)]
            rng.shuffle(deck)
        at += rng.uniform(*PAUSES)
        if at >= seconds:
            return cards
        card = Card(round(at, 2), deck.pop(), rng.getrandbits(32))
        if deaths_until is None or at < deaths_until or card.name not in DEADLY:
            cards.append(card)


def settings(seed):
    """Settings that make faults frequent: small ring and queues, short graces, impatient timers."""
    rng = random.Random(f'settings {seed}')
    return {
        'memory.ring': '1M', 'memory.rooms': 1024, 'memory.members': 16384, 'memory.users': 8192,
        'server.respawn_delay': rng.choice(('10ms', '50ms', '200ms')), 'server.respawn_delay_max': '1s',
        'server.stop_timeout': '3s',
        'presence.grace_clean': rng.choice(('0ms', '100ms', '1s')),
        'presence.grace_lost': rng.choice(('500ms', '1s', '4s')),
        'chat.typing_timeout': rng.choice(('1s', '3s')),
        'websocket.ping_interval': rng.choice(('2s', '4s')), 'websocket.ping_timeout': rng.choice(('2s', '4s')),
        'deliver.queue_max': rng.choice(('16k', '64k', '256k')),
        'deliver.behind_timeout': rng.choice(('1s', '3s', '10s')),
        'deliver.holdback': rng.choice(('1ms', '10ms', '50ms')),
        'deliver.roster_interval': rng.choice(('0ms', '50ms', '100ms')),
        'persist.delay': rng.choice(('0ms', '1ms', '5ms')), 'persist.batch_max': rng.choice((1, 3, 32, 512)),
        'database.max_connections': rng.choice((8, 12, 20)),
        'database.retry_max': '500ms', 'database.prepared': rng.choice(('on', 'on', 'off')),
    }


def live_change(rng):
    """Settings that a reload changes while all goes on."""
    name = rng.choice(('persist.delay', 'persist.batch_max', 'deliver.holdback', 'deliver.roster_interval',
                       'deliver.queue_max', 'log.level', 'chat.typing_timeout'))
    values = {'persist.delay': ('0ms', '2ms', '5ms'), 'persist.batch_max': (1, 2, 16, 512),
              'deliver.holdback': ('1ms', '20ms', '50ms'), 'deliver.roster_interval': ('0ms', '100ms', '300ms'),
              'deliver.queue_max': ('16k', '48k', '256k'), 'log.level': ('info', 'notice'),
              'chat.typing_timeout': ('1s', '2s')}
    return {name: rng.choice(values[name])}


def children_of(parent):
    """Live processes whose parent this is."""
    found = []
    for path in Path('/proc').iterdir():
        stat = process_stat(path.name) if path.name.isdigit() else None
        if stat and stat[1] == parent and stat[0] not in 'ZX':
            found.append(int(path.name))
    return found


def send_signal(pid, how):
    """Signals a process that may be gone already."""
    try:
        os.kill(pid, how)
    except ProcessLookupError:
        return False
    return True


class Chaos:
    """Does what the cards say. Everything here blocks, and runs in a thread of its own."""

    def __init__(self, daemon, postgres, database, people, stats, call):
        self.daemon, self.postgres, self.database, self.people = daemon, postgres, database, people
        self.stats = stats
        self.call = call  # runs a function where the people live
        self.killed = set()  # pids whose death was ours

    def play(self, card):
        rng = random.Random(card.seed)
        self.stats[card.name] += 1
        getattr(self, '_' + card.name)(rng)

    # ------------------------------------------------------------ the daemon

    def _workers(self, rng, count=1):
        pids = [pid for _, pid in sorted(self.daemon.worker_pids().items())]
        return rng.sample(pids, min(count, len(pids)))

    def _kill(self, pids):
        for pid in pids:
            self.killed.add(pid)
            send_signal(pid, signal.SIGKILL)

    def _kill_worker(self, rng):
        self._kill(self._workers(rng))

    def _kill_two_workers(self, rng):
        self._kill(self._workers(rng, 2))

    def _freeze_worker(self, rng):
        """Stands still, perhaps within a lock, and goes on as if nothing had been."""
        self._freeze(self._workers(rng), rng.uniform(0.1, 2))

    def _freeze(self, pids, seconds):
        pids = [pid for pid in pids if send_signal(pid, signal.SIGSTOP)]
        try:
            time.sleep(seconds)
        finally:
            for pid in pids:
                send_signal(pid, signal.SIGCONT)

    def _reload(self, rng):
        self.daemon.reload(**live_change(rng))

    def _restart_daemon(self, _):
        status = self.daemon.stop()
        if status != 0:
            raise AssertionError(f'roomd ended with {status}')
        self.daemon.start()

    def _kill_everything(self, _):
        """As a power cut would, but for the database."""
        self.daemon.was_killed = True
        self.killed.update(session_of(self.daemon.pid))
        for pid in session_of(self.daemon.pid):
            send_signal(pid, signal.SIGKILL)
        self.daemon.process.wait(10)
        write_settings(self.daemon.conf, self.daemon.settings)
        self.daemon.start()

    # ------------------------------------------------------------ the database

    def _query(self, text, *values):
        try:
            with self.postgres.connect('postgres') as connection:
                return connection.execute(text, values).fetchall()
        except psycopg.OperationalError:  # it is coming back from the card before
            return []

    def _backends(self, rng):
        rows = self._query('select pid from pg_stat_activity where datname = %s order by pid', self.database)
        return [rng.choice(rows)[0]] if rows else []

    def _end_backend(self, rng):
        for pid in self._backends(rng):
            self._query('select pg_terminate_backend(%s)', pid)

    def _kill_backend(self, rng):
        """The server takes this for a crash: it ends everybody and recovers."""
        for pid in self._backends(rng):
            send_signal(pid, signal.SIGKILL)

    def _restart_database(self, rng):
        self._bounce(signal.SIGINT, rng)

    def _crash_database(self, rng):
        self._bounce(signal.SIGQUIT, rng)

    def _bounce(self, how, rng):
        self.postgres.stop(how)
        time.sleep(rng.choice((0, 0, 1, 3)))
        self.postgres.start()

    def _freeze_database(self, rng):
        server = self.postgres.process.pid
        self._freeze([*children_of(server), server], rng.uniform(0.5, 7))

    # ------------------------------------------------------------ the network

    def _some(self, rng, low, high):
        crowd = [person for person in self.people if person.surface != 'REST']
        return rng.sample(crowd, min(len(crowd), rng.randint(low, high)))

    def _slow_readers(self, rng):
        for person in self._some(rng, 1, 6):
            seconds = rng.choice((1, 3, 10, 40))
            self.call(person.dawdle, seconds)

    def _resets(self, rng):
        for person in self._some(rng, 1, 20):
            self.call(person.reset)

    def _half_open(self, rng):
        for person in self._some(rng, 1, 10):
            self.call(person.vanish)

    def _leaves(self, rng):
        for person in self._some(rng, 1, 15):
            self.call(person.leave, rng.uniform(0, 8))

    def _everybody_reconnects(self, _):
        for person in self.people:
            self.call(person.reset)


async def run_schedule(chaos, cards, is_over):
    """Plays each card when its time has come; one that comes while another lasts is played after it."""
    start = time.monotonic()
    for card in cards:
        wait = start + card.at - time.monotonic()
        if wait > 0:
            await asyncio.sleep(wait)
        if is_over():
            return
        await asyncio.to_thread(chaos.play, card)
