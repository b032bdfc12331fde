# SPDX-License-Identifier: MIT
"""The operations listener: health, readiness and metrics, for the node and apart from the clients.

Seen red: with readiness_of answering 0 always, the tests of readiness fail; with listen_give_up giving the
operations sockets up too, the test of the drain does; with the client's table answering rows of both listeners, the
one that keeps them apart does; with the listener open in the first worker only, the one with a worker that stands
still.
"""
import asyncio
import json
import os
import re
import signal
import socket
import subprocess
import time
from contextlib import asynccontextmanager

import aiohttp
import pytest
import socketio

from roomd_clients import Http, NativeSocket, eventually
from roomd_harness import BIN, HAS_SANITIZERS, PATIENCE, Daemon, free_port, run_roomd
from roomd_people import People
from roomd_postgres import Postgres
from roomd_raw import Link
from roomd_stream import Stream

PATHS = ('/healthz', '/readyz', '/metrics')
SOON = 1.0  # seconds in which readiness follows the state of the node
TICK = 0.3  # what a test's own look may take on a busy machine


def takes_connections(path):
    """Whether somebody listens there: the socket has its name a moment before."""
    with socket.socket(socket.AF_UNIX) as caller:
        return caller.connect_ex(str(path)) == 0


@asynccontextmanager
async def ops(daemon):
    """A function that asks the operations listener: (status, headers, text)."""
    connector = aiohttp.UnixConnector(path=str(daemon.ops), force_close=True)  # another worker each time
    async with aiohttp.ClientSession(connector=connector,
                                     timeout=aiohttp.ClientTimeout(total=5)) as session:
        async def ask(path, method='GET'):
            async with session.request(method, 'http://ops' + path) as answer:
                return answer.status, answer.headers, await answer.text()
        yield ask


async def ready(ask):
    """(status, reasons) of /readyz, whose body must say the same as its status."""
    status, headers, text = await ask('/readyz')
    body = json.loads(text)
    assert headers['Content-Type'] == 'application/json'
    assert headers['Cache-Control'] == 'no-store'
    assert body['status'] == ('ready' if status == 200 else 'not ready')
    assert bool(body['reasons']) == (status != 200)
    return status, body['reasons']


async def until_ready(ask, expected, within):
    """Waits until /readyz says so; returns the seconds it took."""
    begin = time.monotonic()

    async def says():
        return await ready(ask) == expected
    await eventually(says, f'/readyz says {expected}', within)
    return time.monotonic() - begin


@pytest.fixture
def beside(tmp_path):
    """Starts a daemon on a PostgreSQL that the test may stop: (server, daemon)."""
    servers, daemons = [], []

    def start(wait=True, **options):
        server = Postgres()
        servers.append(server)
        server.start()
        one = Daemon(server.url(server.new_database()), name=f'ops.{len(os.listdir("/proc"))}', **options)
        daemons.append(one)
        return server, one.start(wait)
    yield start
    for one in daemons:
        one.close()
    for server in servers:
        server.remove()


# ---------------------------------------------------------------- apart from the clients


async def test_the_addresses_of_operators_and_clients_are_apart(daemon):
    async with ops(daemon) as ask, Http(daemon) as http:
        for path in PATHS:
            assert (await ask(path))[0] == 200
            assert (await http.ask('GET', path))[0] == 404, f'clients can reach {path}'
        for path in ('/', '/ws', '/openapi.json', '/api/v1/conversations', '/api/chat/rooms'):
            status, headers, _ = await ask(path)
            assert (status, headers['Content-Type']) == (404, 'application/problem+json'), path


async def test_other_methods_are_405_and_head_has_no_body(daemon):
    async with ops(daemon) as ask:
        for path in PATHS:
            assert (await ask(path, 'POST'))[0] == 405
            status, headers, text = await ask(path, 'HEAD')
            assert (status, text) == (200, '')
            assert int(headers['Content-Length']) > 0


async def test_the_listener_may_be_an_internet_address(start_daemon):
    port = free_port()
    one = start_daemon(settings={'ops.listen': f'127.0.0.1:{port}'})
    async with aiohttp.ClientSession() as session:
        for path in PATHS:
            async with session.get(f'http://127.0.0.1:{port}{path}') as answer:
                assert answer.status == 200
    assert one.wait_log(f'"ready".*127.0.0.1:{port}')


def test_a_taken_address_is_said_plainly(daemon):
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        address = '127.0.0.1:%d' % taken.getsockname()[1]
        done = run_roomd('-f', '-o', f'ops.listen={address}', '-o', f'server.listen=127.0.0.1:{free_port()}',
                         '-o', 'server.listen_wait=0',
                         '-o', f'server.web_root={daemon.settings["server.web_root"]}',
                         '-o', 'control.socket=', '-o', f'database.url={daemon.settings["database.url"]}')
    assert done.returncode == os.EX_UNAVAILABLE
    assert f'ops.listen: "{address}": Address already in use' in done.stderr.replace('\\"', '"')


@pytest.mark.parametrize('value', ['9090', 'nowhere:port', '127.0.0.1:99999', '/' + 'x' * 120])
def test_an_address_that_is_none_is_found_by_the_check(daemon, value):
    done = run_roomd('-t', '-o', f'ops.listen={value}',
                     '-o', f'server.web_root={daemon.settings["server.web_root"]}')
    assert done.returncode == os.EX_CONFIG
    assert 'ops.listen' in done.stderr


def test_none_is_allowed(start_daemon):
    one = start_daemon(settings={'ops.listen': ''})
    assert not one.ops.exists()


def test_the_path_goes_with_the_daemon_and_a_stale_one_is_replaced(start_daemon):
    one = start_daemon()
    assert one.ops.is_socket()
    assert one.ops.stat().st_mode & 0o777 == 0o660
    one.kill()  # the path stays behind
    workers = [1]
    deadline = time.monotonic() + 20
    while workers and time.monotonic() < deadline:
        workers = one.worker_pids()
        time.sleep(0.02)
    assert one.ops.is_socket()
    one.start()
    assert one.stop() == 0
    assert not one.ops.exists()


# ---------------------------------------------------------------- readiness


async def test_c20_readiness_follows_the_database(beside):
    """503 within a second of the database's end, 200 by itself when it is back; health is green all the time."""
    server, one = beside()
    one.expected_errors.append('schema')
    async with ops(one) as ask:
        await until_ready(ask, (200, []), 10)
        for how in (signal.SIGQUIT, signal.SIGINT):
            await asyncio.to_thread(server.stop, how)
            assert await until_ready(ask, (503, ['database']), 10) < SOON + TICK
            assert (await ask('/healthz'))[0] == 200
            assert (await ask('/metrics'))[0] == 200
            await asyncio.to_thread(server.start)
            await until_ready(ask, (200, []), 15)


async def test_c20_readiness_notices_a_database_that_does_not_answer(beside):
    """Its processes are stopped: every socket stays open and nothing comes."""
    server, one = beside()
    one.expected_errors.append('schema')
    async with ops(one) as ask:
        await until_ready(ask, (200, []), 10)
        frozen = [int(pid) for pid in subprocess.run(
            ['pgrep', '-P', str(server.process.pid)], capture_output=True, text=True, check=True).stdout.split()]
        for pid in [server.process.pid, *frozen]:
            os.kill(pid, signal.SIGSTOP)
        try:
            assert await until_ready(ask, (503, ['database']), 10) < SOON + TICK
            assert (await ask('/healthz'))[0] == 200
        finally:
            for pid in [server.process.pid, *frozen]:
                os.kill(pid, signal.SIGCONT)
        await until_ready(ask, (200, []), 15)


async def test_c20_one_lost_connection_does_not_end_readiness(daemon, rows):
    """The node serves on by its other connections: readiness is the node's, not that of whoever is asked."""
    async with ops(daemon) as ask:
        await until_ready(ask, (200, []), 10)
        victim, = rows("select pid from pg_stat_activity where application_name = 'roomd' limit 1")[0]
        rows('select pg_terminate_backend(%s)', victim)
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            assert (await ready(ask))[0] == 200


async def test_readiness_misses_the_schema_until_it_is_there(beside):
    _, one = beside(wait=False, settings={'database.migrate': 'off'})
    one.expected_errors.append('schema')
    one.expected_errors.append('roomd: ')
    await eventually(lambda: takes_connections(one.ops), 'the listener is there')
    async with ops(one) as ask:
        await until_ready(ask, (503, ['schema']), 10)
        assert (await ask('/healthz'))[0] == 200
        roomctl = BIN.parent / 'roomctl'
        await asyncio.to_thread(subprocess.run, [roomctl, '-c', one.conf, 'migrate'], check=True,
                                capture_output=True)
        await until_ready(ask, (200, []), PATIENCE)


async def test_a_drain_ends_readiness_and_is_answered_to_the_end(start_daemon):
    """A client that does not answer the closing handshake keeps the drain going for close_timeout."""
    one = start_daemon(settings={'websocket.close_timeout': '3s'})
    async with ops(one) as ask, Http(one) as http, await Link.open(one) as silent:
        room = await http.new_room()
        await silent.upgrade(f'/ws/chat/{room["id"]}')
        await until_ready(ask, (200, []), 10)
        one.process.send_signal(signal.SIGTERM)
        await eventually(lambda: len(one.worker_pids()) == 1, 'the worker without clients has gone')
        begin = time.monotonic()
        assert await until_ready(ask, (503, ['draining']), 10) < SOON + TICK
        answers = 0
        while time.monotonic() < begin + 2:
            assert (await ready(ask)) == (503, ['draining'])
            assert (await ask('/healthz'))[0] == 200
            assert (await ask('/metrics'))[0] == 200
            answers += 1
            await asyncio.sleep(0.05)
        assert answers > 10
    # asking it to stop again would kill the workers, sanitizers' last words included
    assert await asyncio.to_thread(one.process.wait, PATIENCE) == 0


async def test_a_worker_that_stands_still_takes_no_probe_with_it(daemon):
    """The listener is one for all workers: whoever turns its loop answers."""
    pid = daemon.worker_pids()[0]
    os.kill(pid, signal.SIGSTOP)
    try:
        for _ in range(20):  # a new connection each time
            async with ops(daemon) as ask:
                assert (await ask('/healthz'))[0] == 200
                assert (await ask('/readyz'))[0] == 200
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_a_worker_full_of_clients_still_answers(start_daemon):
    one = start_daemon(workers=1, settings={'server.max_connections': 16})
    links = [await Link.open(one) for _ in range(16)]
    try:
        async with ops(one) as ask:
            async def is_full():
                return sample(await scrape(ask), 'roomd_connections', dialect='http') == 16
            await eventually(is_full, 'all places are taken')
            assert (await ready(ask))[0] == 200
    finally:
        for link in links:
            await link.close()


# ---------------------------------------------------------------- metrics


SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?[0-9.e+-]+|NaN|[+-]Inf)')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


def parse(text):
    """The exposition format 0.0.4, strictly: (types, {(name, labels): value})."""
    assert text.endswith('\n')
    types, helps, samples = {}, set(), {}
    for line in text.splitlines():
        if line.startswith('# '):
            _, word, name, rest = line.split(' ', 3)
            assert not any(known == name for known, _ in samples), f'{name}: not before its samples'
            if word == 'TYPE':
                assert name not in types and rest in ('counter', 'gauge', 'histogram', 'summary', 'untyped')
                types[name] = rest
            else:
                assert word == 'HELP' and name not in helps and rest
                helps.add(name)
            continue
        match = SAMPLE.fullmatch(line)
        assert match, line
        name, labels, value = match.groups()
        pairs = LABEL.findall(labels or '')
        assert ','.join(f'{key}="{text}"' for key, text in pairs) == (labels or ''), line
        key = name, frozenset(pairs)
        assert key not in samples, f'{line}: there twice'
        assert name in types and name in helps, f'{name}: without TYPE or HELP'
        samples[key] = float(value)
    return types, samples


async def scrape(ask):
    status, headers, text = await ask('/metrics')
    assert status == 200
    assert headers['Content-Type'] == 'text/plain; version=0.0.4; charset=utf-8'
    return parse(text)[1]


def sample(samples, name, **labels):
    return samples[name, frozenset(labels.items())]


async def test_metrics_are_in_the_prometheus_format_and_complete(daemon):
    table = json.loads(run_roomd('--describe', 'metrics').stdout)
    async with ops(daemon) as ask:
        types, samples = parse((await ask('/metrics'))[2])
    expected = set()
    for row in table:
        assert types[row['name']] == row['type']
        for more in [{('worker', str(slot))} for slot in range(daemon.workers)] if row['by_worker'] else [set()]:
            expected.add((row['name'], frozenset(LABEL.findall(row['labels'])) | more))
    assert set(samples) == expected


async def test_metrics_are_the_sum_of_all_workers_and_move(daemon):
    async with ops(daemon) as ask, Http(daemon) as http:
        before = await scrape(ask)
        room = await http.new_room()
        sockets = [await NativeSocket.hello(daemon, f'Reader {slot}', worker=slot) for slot in (0, 1)]
        for one in sockets:
            await one.sub(room['id'])
        await sockets[0].say(room['id'], 'counted')
        await sockets[1].expect(op='ev', t='message.new')
        after = await scrape(ask)
        for one in sockets:
            await one.close()

        async def is_gone():
            return sample(await scrape(ask), 'roomd_connections', dialect='native') == \
                sample(before, 'roomd_connections', dialect='native')
        await eventually(is_gone, 'the gauge goes down again')

    def moved(name, **labels):
        return sample(after, name, **labels) - sample(before, name, **labels)
    assert moved('roomd_connections', dialect='native') == 2
    assert moved('roomd_connections', dialect='http') == 1, 'the pooled connection of this test'
    assert moved('roomd_messages_total') == 1
    assert moved('roomd_db_queries_total') > 0
    assert moved('roomd_http_requests_total') >= 3
    assert sample(after, 'roomd_db_schema_fit') == 2
    for worker in ('0', '1'):  # a sanitizer's allocator tells nothing
        assert HAS_SANITIZERS or sample(after, 'roomd_heap_bytes', worker=worker, state='live') > 100_000


async def test_s3_32_sockets_now_and_at_most_by_worker_and_transport(start_daemon):
    """Red without conn_count_as in take_over: what was upgraded goes on as polling."""
    one = start_daemon(workers=2)
    async with People(one) as people:
        token = (await people.new_person('ann'))['token']

    async def counts(name):
        """{transport: (of worker 0, of worker 1)}"""
        now = await scrape(ask)
        return {transport: tuple(int(sample(now, name, transport=transport, worker=str(slot))) for slot in (0, 1))
                for transport in ('websocket', 'polling', 'sse')}

    async def until(**expected):
        await eventually(lambda: is_so(expected), f'{expected} sockets')

    async def is_so(expected):
        return {transport: sum(both) for transport, both in (await counts('roomd_sockets')).items()} == expected

    async with ops(one) as ask, Http(one) as http:
        assert await counts('roomd_sockets') == await counts('roomd_sockets_peak') == dict.fromkeys(
            ('websocket', 'polling', 'sse'), (0, 0))
        natives = [await NativeSocket.hello(one, f'Reader {n}', worker=1) for n in range(2)]
        assert (await counts('roomd_sockets'))['websocket'] == (0, 2)
        stream = await Stream.open(one, [(await http.new_room())['id']])
        sio = [socketio.AsyncClient(reconnection=False) for _ in range(2)]
        for client, transports in zip(sio, (['polling'], ['polling', 'websocket'])):
            await client.connect(one.http, auth={'token': token}, transports=transports)
        await until(websocket=3, polling=1, sse=1)
        for client in sio:
            await client.disconnect()
        await stream.close()
        await natives[0].close()
        await until(websocket=1, polling=0, sse=0)
        peak = await counts('roomd_sockets_peak')
        assert peak['websocket'][1] >= 2 and 3 <= sum(peak['websocket']) <= 4
        assert 1 <= sum(peak['polling']) <= 2 and sum(peak['sse']) == 1
        await natives[1].close()


async def test_asking_is_not_counted_as_use(daemon):
    async with ops(daemon) as ask:
        first = await scrape(ask)
        for _ in range(5):
            await ask('/healthz')
            await ask('/nothing')
        last = await scrape(ask)
    for name in ('roomd_http_requests_total', 'roomd_http_errors_total', 'roomd_accepted_total',
                 'roomd_closed_total'):
        assert sample(last, name) == sample(first, name), name
