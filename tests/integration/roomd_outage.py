# SPDX-License-Identifier: MIT
"""Ways to take PostgreSQL away from the daemon, and to give it back.

Each way is a context manager of a server of the test's own; what the daemon has to do meanwhile is
said in test_outage.py.
"""
import asyncio
import os
import re
import shutil
import signal
import subprocess
from contextlib import ExitStack, contextmanager
from pathlib import Path

import aiohttp
import psycopg
import pytest

from roomd_harness import process_stat
from roomd_postgres import Postgres, wait_until

DATABASE = 'chat'
OURS = "select count(*) from pg_stat_activity where application_name = 'roomd'"


class Server(Postgres):
    """A server with one database, whose processes can be signalled one and all."""

    def begin(self, *options, tablespace=None):
        self.start(*options)
        with self.connect('postgres') as connection:
            if tablespace:
                connection.execute(f"create tablespace small location '{tablespace}'")
                connection.execute(f'create database {DATABASE} tablespace small')
            else:
                connection.execute(f'create database {DATABASE}')
        return self

    def ask(self, text, *values):
        with self.connect(DATABASE) as connection:
            return connection.execute(text, values).fetchall()

    def processes(self):
        """The postmaster first, then everything it has forked."""
        children = [int(path.name) for path in Path('/proc').iterdir() if path.name.isdigit()]
        return [self.process.pid] + [pid for pid in children
                                     if (process_stat(pid) or (0, 0, 0))[1] == self.process.pid]

    def signal_all(self, number):
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass


@contextmanager
def stopped(server):
    server.stop(signal.SIGINT)
    yield
    server.start()


@contextmanager
def killed(server):
    """kill -9 of all processes at once, and of those that were forked meanwhile."""
    for _ in range(3):
        server.signal_all(signal.SIGKILL)
    server.process.wait(30)
    server.process = None
    yield
    server.start()


@contextmanager
def frozen(server):
    """Sockets stay open and take bytes; nobody answers."""
    server.signal_all(signal.SIGSTOP)
    server.signal_all(signal.SIGSTOP)
    try:
        yield
    finally:
        server.signal_all(signal.SIGCONT)


@contextmanager
def full(server):
    """No page can be added to any table."""
    ballast = server.small_disk / 'ballast'
    with open(ballast, 'wb', buffering=0) as file:
        try:
            while file.write(b'\0' * 65536):
                pass
        except OSError:
            pass
    yield
    ballast.unlink()


@contextmanager
def crowded(server):
    """Others hold every connection that the server gives away."""
    with ExitStack() as held:
        watch = held.enter_context(server.connect('postgres'))

        def hog():
            while True:
                try:
                    held.enter_context(server.connect('postgres'))
                except psycopg.OperationalError:
                    return

        def none_is_ours():
            watch.execute("select pg_terminate_backend(pid) from pg_stat_activity "
                          "where application_name = 'roomd'")
            hog()
            return watch.execute(OURS).fetchone()[0] == 0
        hog()
        wait_until(none_is_ours, 30, 'all connections are taken')
        yield


WAYS = {'stopped': stopped, 'killed': killed, 'frozen': frozen, 'full': full, 'crowded': crowded}


@contextmanager
def server_for(way):
    """A running server that can be taken away like this."""
    server = Server()
    disk = None
    try:
        if way == 'full':
            disk = server.dir / 'small'
            disk.mkdir()
            mount_small(disk)
            server.small_disk = disk
            space = disk / 'space'
            space.mkdir()
            if server.owner:
                for path in (disk, space):
                    shutil.chown(path, server.owner['user'], server.owner['group'])
            server.begin(tablespace=space)
        elif way == 'crowded':
            server.begin('max_connections=16', 'superuser_reserved_connections=0')
        else:
            server.begin()
        yield server
    finally:
        if server.process:
            server.signal_all(signal.SIGCONT)
            server.stop(signal.SIGQUIT)
        if disk is not None:
            subprocess.run(['umount', disk], check=False)
        server.remove()


def mount_small(path):
    """A file system of 48 MiB at PATH; skips the test where nobody lets us mount one."""
    try:
        done = subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=48m', 'roomd-test', path],
                              capture_output=True, text=True, check=False)
        why = done.stderr.strip()
    except FileNotFoundError:
        why = 'there is no mount command'
    if not os.path.ismount(path):
        pytest.skip(f'a small file system cannot be mounted here: {why}')


async def metric(daemon, name):
    """The sum of a metric over its labels."""
    connector = aiohttp.UnixConnector(path=str(daemon.ops))
    async with aiohttp.ClientSession(connector=connector) as session:
        async with session.get('http://ops/metrics') as answer:
            text = await answer.text()
    found = re.findall(rf'^{name}(?:{{.*}})? (\S+)$', text, re.M)
    assert found, f'there is no metric {name}'
    return sum(float(value) for value in found)


class Doorman:
    """Stands before the server's socket: lets everybody through, or greets and shuts the door."""

    def __init__(self, server):
        self.inside = server.dir / '.s.PGSQL.5432'
        self.dir = server.dir / 'door'
        self.is_shutting, self.visits, self.writers = False, 0, set()

    async def __aenter__(self):
        self.dir.mkdir()
        self.listener = await asyncio.start_unix_server(self.visit, self.dir / '.s.PGSQL.5432')
        os.chmod(self.dir, 0o755)
        return self

    async def __aexit__(self, *_):
        self.listener.close()
        self.throw_out()

    def url(self, database):
        return f'host={self.dir} user=roomd dbname={database}'

    def throw_out(self):
        for writer in self.writers:
            writer.close()
        self.writers.clear()

    async def visit(self, reader, writer):
        self.visits += 1
        self.writers.add(writer)
        there, back = await asyncio.open_unix_connection(self.inside)
        asyncio.create_task(self.carry(reader, back, b''))
        await self.carry(there, writer, b'Z\0\0\0\5' if self.is_shutting else b'')

    async def carry(self, reader, writer, until):
        """Copies to the end, or to the server's word that it is ready for queries."""
        seen = b''
        try:
            while data := await reader.read(65536):
                writer.write(data)
                seen += data if until else b''
                if until and until in seen:
                    break
            writer.close()
        except OSError:
            pass
