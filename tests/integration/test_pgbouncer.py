# SPDX-License-Identifier: MIT
"""C21: the daemon through PgBouncer in transaction mode, with database.prepared = off.

Seen red: with job_send_setup without its condition, the setting of a session outlives the transaction and
reaches other clients of the pool. Named statements pass as well, because is_name_trouble sends again what met
a server process that does not know the name; off saves those rounds.
"""
import asyncio
import os
import shutil
import signal
import subprocess
import uuid

import psycopg
import pytest

from roomd_clients import Http, NativeSocket, RoomSocket, eventually
from roomd_harness import PATIENCE, Daemon
from roomd_outage import Server
from roomd_postgres import CLIENTS, wait_until
from roomd_talkers import FAST, talk_and

PROGRAM = shutil.which('pgbouncer') or '/usr/sbin/pgbouncer'
POOL = 4
SETTINGS = dict(FAST, **{'database.prepared': 'off', 'database.migrate': 'check'})

if not os.path.exists(PROGRAM):
    pytest.skip('pgbouncer is not installed', allow_module_level=True)


class Pooler:
    """PgBouncer in front of a server, on a UNIX socket beside the server's."""

    def __init__(self, server):
        self.server = server
        self.config = server.dir / 'pgbouncer.ini'
        self.log = server.dir / 'pgbouncer.log'
        self.process = None
        self.config.write_text(f'''[databases]
* = host={server.dir} user=roomd
[pgbouncer]
pool_mode = transaction
auth_type = any
listen_addr =
unix_socket_dir = {server.dir}
listen_port = 6432
default_pool_size = {POOL}
max_client_conn = 100
server_login_retry = 1
''')
        if server.owner:
            os.chown(self.config, server.owner['user'], server.owner['group'])

    def start(self):
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen([PROGRAM, self.config], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd='/', start_new_session=True, **self.server.owner)
        wait_until(self.answers, PATIENCE, 'the pooler answers')
        return self

    def url(self, database):
        return f'host={self.server.dir} port=6432 user=roomd dbname={database}'

    def answers(self):
        assert self.process.poll() is None, self.log.read_text()
        try:
            psycopg.connect(self.url('postgres')).close()
            return True
        except psycopg.OperationalError:
            return False

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait(10)


@pytest.fixture(scope='module')
def server():
    one = Server()
    try:
        one.begin()
        yield one
    finally:
        one.remove()


@pytest.fixture(scope='module')
def pooler(server):
    # the schema is brought up to date over a session of its own: poolers share theirs
    direct = Daemon(server.url('chat'), name='test_pgbouncer.direct')
    try:
        direct.start()
    finally:
        direct.close()
    one = Pooler(server).start()
    yield one
    one.stop()


@pytest.fixture
def behind(pooler, request):
    """Starts a daemon behind the pooler."""
    running = []

    def start(**options):
        one = Daemon(pooler.url('chat'), name=f'test_pgbouncer.{request.node.name}',
                     **{'settings': SETTINGS, **options})
        running.append(one)
        return one.start()
    yield start
    for one in running:
        one.close()


def test_the_pool_is_shared_by_transactions(pooler):
    """Of the pooler itself: otherwise the tests below would prove nothing."""
    pids = set()
    with psycopg.connect(pooler.url('chat')) as first, psycopg.connect(pooler.url('chat')) as second:
        for link in (first, second, first):
            pids.add(link.execute('select pg_backend_pid()').fetchone()[0])
            link.rollback()
    assert len(pids) == 1


async def test_c21_the_basic_flows_through_a_pooler(behind, server, pooler):
    one = behind(workers=4)
    async with Http(one) as http:
        room = (await http.new_room())['id']
        page = await RoomSocket.enter(one, room, 'Page', worker=1)
        alice = await NativeSocket.hello(one, 'Alice', worker=0)
        await alice.sub(room)
        await page.say('from the page')
        await alice.expect(op='ev', rev=1)
        key = str(uuid.uuid4())
        first = await alice.say(room, 'native', key)
        again = await alice.say(room, 'native', key)
        assert (first['op'], again['op'], again['duplicate']) == ('ok', 'ok', True)
        assert first['message']['rev'] == again['message']['rev'] == 2
        await page.wait_messages(2)
        status, message, _ = await http.ask('POST', f'/api/v1/conversations/{room}/messages',
                                            {'name': 'Rest', 'content': 'by REST'})
        assert status == 201 and message['rev'] == 3
        assert [one['content'] for one in await http.history(room)] == ['from the page', 'native', 'by REST']
        page_of = await alice.ask('history', c=room)
        assert len(page_of['messages']) == 3
        assert (await http.ask('DELETE', f'/api/chat/rooms/{room}'))[0] == 200
        assert (await page.closed())[0] == 4404
        await alice.expect(op='ev', t='conversation.close')
    await alice.close()
    with server.connect('chat') as link:  # nothing was left behind in the pool's sessions
        assert link.execute(CLIENTS + ' and pid <> pg_backend_pid()', ('chat',)).fetchone()[0] <= POOL
    with psycopg.connect(pooler.url('chat')) as link:
        assert link.execute('show client_connection_check_interval').fetchone()[0] == '0'


async def test_c21_load_crashes_and_a_restart_of_the_pooler(behind, pooler):
    one = behind(workers=4)
    one.expected_errors.append('database|connect')

    async def disturb(progress, total):
        await eventually(lambda: progress() > total * 0.2, 'it goes')
        one.kill_worker(0)
        await eventually(lambda: progress() > total * 0.5, 'it goes on')
        pooler.stop(signal.SIGINT)
        await asyncio.to_thread(pooler.start)
        await eventually(lambda: progress() > total * 0.8, 'it goes on again')
        pooler.stop(signal.SIGKILL)
        await asyncio.to_thread(pooler.start)
    await talk_and(one, disturb, talkers=12, count=60)


async def test_c21_more_workers_than_the_pool_has_connections(behind, server):
    with server.connect('postgres') as look:  # what an earlier pooler left behind has ended
        await eventually(lambda: look.execute(CLIENTS, ('chat',)).fetchone()[0] <= POOL, 'the pool is alone')
    one = behind(workers=8)
    most = 0

    async def disturb(progress, total):
        nonlocal most
        with server.connect('postgres') as watch:
            while progress() < total * 0.9:
                most = max(most, watch.execute(CLIENTS, ('chat',)).fetchone()[0])
                await asyncio.sleep(0.02)
    await talk_and(one, disturb, talkers=24, count=20)
    assert 0 < most <= POOL
