# SPDX-License-Identifier: MIT
"""S0-56: rooms that people entered and left behind leave nothing in memory.

5,000 of them in every run; ROOMD_ROOMS=100000 runs the whole number, which takes minutes.
"""
import asyncio
import os
from pathlib import Path

import pytest

from roomd_clients import NativeSocket, eventually
from roomd_harness import HAS_SANITIZERS, session_of

ROOMS = int(os.environ.get('ROOMD_ROOMS', 5_000))
WARM = 15_000  # the caches are full then; less is taken for growth
AT_ONCE = 100  # requests in one frame
SOCKETS = 4


def resident_bytes(daemon):
    """Of all its processes: what they share counts once. Pages of files do not: how many of them are this
    daemon's depends on which other programs run the same libraries at the time."""
    total = 0
    for pid in session_of(daemon.pid):
        for line in Path(f'/proc/{pid}/smaps_rollup').read_text().splitlines():
            if line.startswith(('Pss_Anon:', 'Pss_Shmem:')):
                total += int(line.split()[1]) * 1024
    return total


async def visit(socket, rooms):
    """Enters and leaves rooms, AT_ONCE at a time."""
    for start in range(0, len(rooms), AT_ONCE):
        part = rooms[start:start + AT_ONCE]
        socket.frames.clear()
        await socket.send([{'op': 'sub', 'id': f's{room}', 'c': room, 'rev': 0} for room in part])
        await socket.wait(lambda _: len(socket.frames) >= len(part) == len(socket.all(op='live')),
                          'all are live', 60)
        await socket.send([{'op': 'unsub', 'id': f'u{room}', 'c': room} for room in part])
        await socket.wait(lambda _: len(socket.all(op='ok')) == len(part), 'all are left', 60)
        assert not socket.all(op='err')


@pytest.mark.skipif(HAS_SANITIZERS, reason='freed memory is kept for a while to find its late users')
async def test_s0_56_rooms_created_and_abandoned(start_daemon, postgres):
    """The ring is small here, so that it has been gone through when memory is looked at for the first time.
    Red when abandoned channels are kept."""
    one = start_daemon(settings={'memory.ring': '1M', 'presence.scope': 'off'})
    with postgres.connect(one.database) as connection:
        rooms = [row[0] for row in connection.execute(
            "insert into conversations (kind, name) select 'room', 'abandoned ' || n from generate_series(1, %s) n "
            'returning id', (ROOMS + WARM,)).fetchall()]
    sockets = [await NativeSocket.hello(one, f'Visitor {n}', n % 2) for n in range(SOCKETS)]

    async def visit_all(some):
        await asyncio.gather(*[visit(socket, some[n::SOCKETS]) for n, socket in enumerate(sockets)])
    await visit_all(rooms[:WARM])
    before = resident_bytes(one)
    await visit_all(rooms[WARM:])
    await eventually(lambda: resident_bytes(one) <= before * 1.05,
                     f'{resident_bytes(one)} bytes are within 5 % of {before}')
    for socket in sockets:
        await socket.close()
