# SPDX-License-Identifier: MIT
"""The pool that hashes passwords, from outside: its memory, its queue, and that nobody else waits for it.

Hashes cost here what they cost in production.
"""
import asyncio
import re
from concurrent.futures import ProcessPoolExecutor
from types import SimpleNamespace

import aiohttp

from roomd_clients import NativeSocket, eventually
from roomd_harness import HAS_SANITIZERS
from roomd_people import PASSWORD, People, unique_login

MIB = 1 << 20


def memory_of(pid):
    with open(f'/proc/{pid}/status') as file:
        return int(re.search(r'^VmRSS:\s+(\d+) kB', file.read(), re.M)[1]) * 1024


async def peak_of(pids, is_over):
    """The most that these processes have in memory together until IS_OVER, looked at all the time."""
    peak = 0
    while not is_over():
        peak = max(peak, sum(memory_of(pid) for pid in pids))
        await asyncio.sleep(0.002)
    return peak


async def login_statuses(daemon, logins):
    """The answers to LOGINS, (username, password), at once, each on a connection of its own, which the workers share."""
    async def once(username, password):
        async with People(daemon) as http:
            return await http.ask('POST', '/api/v1/auth/login', {'username': username, 'password': password},
                                  timeout=aiohttp.ClientTimeout(total=120))
    return await asyncio.gather(*(once(*login) for login in logins))


def login_apart(http, logins):
    """The statuses of such logins; for a process of its own, which does not hold up the one that measures."""
    answers = asyncio.run(login_statuses(SimpleNamespace(http=http), logins))
    return [status for status, _, _ in answers]


async def say_until(socket, room, is_over):
    """Sends one after the other until IS_OVER; all are answered."""
    while not is_over():
        answer = await socket.say(room, 'ordinary')
        assert answer['op'] == 'ok', answer


async def test_a_hundred_logins_at_once_disturb_nobody(start_daemon):
    """Every send is answered meanwhile, and the memory is that of auth.hash_parallel hashes. Logins to one account may
    wait for each other: these are to several.

    The memory is red when permits_take always grants. How long the sends take is measured by bench/logins.
    """
    memory, parallel = 19 * MIB, 2
    one = start_daemon(workers=2, settings={'auth.hash_memory': '19M', 'auth.hash_parallel': parallel})
    names = [unique_login() for _ in range(10)]
    async with People(one) as http:
        for name in names:
            assert (await http.register(name))[0] == 201
        room = (await http.new_room())['id']
    socket = await NativeSocket.hello(one, 'sender')
    await socket.sub(room)
    pids = list(one.worker_pids().values())
    rest = sum(memory_of(pid) for pid in pids)

    with ProcessPoolExecutor(1) as pool:
        logins = asyncio.get_running_loop().run_in_executor(
            pool, login_apart, one.http, [(name, password) for password in (PASSWORD, 'wrong password') * 5
                                          for name in names])
        _, peak = await asyncio.gather(say_until(socket, room, logins.done), peak_of(pids, logins.done))
        statuses = await logins
    assert statuses.count(200) == statuses.count(401) == 50
    if not HAS_SANITIZERS:  # which keep freed memory for a while
        # what else grows: connections and their buffers
        assert memory < peak - rest < parallel * memory + 12 * MIB
        assert sum(memory_of(pid) for pid in pids) - rest < 12 * MIB
    assert list(one.worker_pids().values()) == pids
    await socket.close()


async def test_a_full_queue_is_told_and_empties(start_daemon):
    """503 with Retry-After for those that do not fit; the others get their answer."""
    one = start_daemon(workers=1, settings={'auth.hash_parallel': 1, 'auth.hash_queue': 4})
    name = unique_login()
    async with People(one) as http:
        assert (await http.register(name))[0] == 201
        answers = await login_statuses(one, [(name, PASSWORD)] * 40)
        statuses = [status for status, _, _ in answers]
        assert set(statuses) == {200, 503}
        for status, body, headers in answers:
            if status == 503:
                assert int(headers['Retry-After']) > 0
                assert body['code'] == 'overloaded'

        async def is_let_in():
            return (await http.login(name))[0] == 200
        await eventually(is_let_in, 'the queue is empty again')
    one.wait_log('too many passwords wait')


async def test_a_killed_worker_takes_no_permit_along(start_daemon):
    """Kills the worker that hashes: the other one goes on with all permits. Red with a counter in shared memory."""
    one = start_daemon(workers=2, settings={'auth.hash_parallel': 1, 'auth.hash_memory': '64M', 'auth.hash_passes': 8})
    name = unique_login()
    async with People(one) as http:
        assert (await http.register(name))[0] == 201
    for slot in (0, 1):
        async def log_in():
            try:
                return (await login_statuses(one, [(name, PASSWORD)]))[0][0]
            except OSError:
                return None
        busy = [asyncio.create_task(log_in()) for _ in range(6)]
        await eventually(lambda: max(memory_of(pid) for pid in one.worker_pids().values()) > 64 * MIB,
                         'a worker hashes')
        pid = one.kill_worker(slot)
        one.wait_replaced(slot, pid)
        await asyncio.gather(*busy, return_exceptions=True)
        async with People(one) as http:
            assert (await http.login(name))[0] == 200
