# SPDX-License-Identifier: MIT
"""Workers that die at named points, again and again, keep every promise all the same.

Runs where the daemon was configured with --enable-fault-points.
"""
import re

import pytest

from roomd_clients import eventually
from roomd_harness import BUILD, TOP
from roomd_talkers import FAST, talk_and

POINTS = re.findall(r'^X\("([\w.]+)"', (TOP / 'base/faults.def').read_text(), re.M)
HAS_POINTS = re.search(r'^#define ENABLE_FAULT_POINTS 1', (BUILD / 'config.h').read_text(), re.M) \
    if (BUILD / 'config.h').exists() else None
if not HAS_POINTS:
    pytest.skip('needs a build with --enable-fault-points', allow_module_level=True)


def passes_of(point):
    """How often a worker may pass the point before it dies: seldom enough that work goes on."""
    if point.startswith(('recover.', 'lock.inherited', 'lock.repaired')):
        return 2
    return 30 if point.startswith(('ring.', 'persist.', 'slot.')) else 300 if point.startswith('lock.') else 15


@pytest.mark.parametrize('point', POINTS)
async def test_s1_16_s0_23_nothing_is_lost_at(start_daemon, point):
    one = start_daemon(workers=3, env={'ROOMD_FAULT': f'{point}:{passes_of(point)}'},
                       settings=dict(FAST, **{'server.respawn_delay_max': '50ms', 'chat.typing_timeout': '1s'}))
    one.expected_errors.append('"worker died".*"signal": 9')

    async def disturb(progress, total):
        for part in (2, 5):  # some points are passed only by those who clear up after others
            await eventually(lambda: progress() > total * part / 10, f'{part} tenths are sent')
            try:
                one.kill_worker(part % 3)
            except (KeyError, ProcessLookupError):
                pass  # it is dead already
    await talk_and(one, disturb, talkers=6, count=30)
