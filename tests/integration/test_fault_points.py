# SPDX-License-Identifier: MIT
"""Workers that die at named points, again and again, keep every promise all the same.

Runs where the daemon was configured with --enable-fault-points.
"""
import asyncio
import re

import aiohttp
import pytest
import websockets

from roomd_clients import Http, RoomSocket, eventually
from roomd_harness import BUILD, TOP
from roomd_talkers import FAST, talk_and

# A daemon whose every heir dies would have none: tests/crash looks at what heirs do.
HEIRS = ('recover.', 'lock.inherited', 'lock.repaired')
POINTS = [point for point in re.findall(r'^X\("([\w.]+)"', (TOP / 'base/faults.def').read_text(), re.M)
          if not point.startswith(HEIRS)]
HAS_POINTS = re.search(r'^#define ENABLE_FAULT_POINTS 1', (BUILD / 'config.h').read_text(), re.M) \
    if (BUILD / 'config.h').exists() else None
if not HAS_POINTS:
    pytest.skip('needs a build with --enable-fault-points', allow_module_level=True)


def passes_of(point):
    """How often a worker may pass the point before it dies: seldom enough that work goes on."""
    if point.startswith(('ring.', 'persist.', 'slot.')):
        return 30
    if point.startswith('member.'):
        return 12  # a recovery passes these as well, once for each member that was left
    return 200 if point == 'lock.taken' else 8


async def visit(daemon, name):
    """Enters a room of its own, types, leaves, deletes it; gives up when its worker dies."""
    try:
        async with Http(daemon) as http:
            room = await http.new_room('visited')
            async with await RoomSocket.enter(daemon, room['id'], name) as socket:
                await socket.send({'type': 'typing', 'is_typing': True})
                await socket.expect(type='typing', users=[name])
                await socket.send({'type': 'typing', 'is_typing': False})
                await socket.expect(type='typing', users=[])
            await http.ask('DELETE', f'/api/chat/rooms/{room["id"]}')
    except (AssertionError, OSError, aiohttp.ClientError, websockets.WebSocketException):
        pass


def deaths(daemon):
    return sum(line.get('text') == 'worker died' for line in daemon.log_lines())


@pytest.mark.parametrize('point', POINTS)
async def test_s1_16_s0_23_nothing_is_lost_at(start_daemon, point):
    settings = dict(FAST, **{'server.respawn_delay_max': '50ms', 'presence.grace_lost': '100ms'})
    one = start_daemon(workers=3, env={'ROOMD_FAULT': f'{point}:{passes_of(point)}'}, settings=settings)
    one.expected_errors.append('"worker died".*"signal": 9')
    kills = 0

    async def disturb(progress, total):
        nonlocal kills
        for part in range(1, 8):  # some points are passed only by those who clear up after others
            await eventually(lambda: progress() > total * part / 10, f'{part} tenths are sent')
            await asyncio.gather(*(visit(one, f'visitor {part}:{number}') for number in range(8)))
            try:
                one.kill_worker(part % 3)
                kills += 1
            except (KeyError, ProcessLookupError):
                pass  # it is dead already
    await talk_and(one, disturb, talkers=6, count=30)
    await eventually(lambda: len(one.worker_pids()) == 3, 'three workers work')
    if deaths(one) <= kills:
        pytest.skip('no worker passed the point often enough to die there')
