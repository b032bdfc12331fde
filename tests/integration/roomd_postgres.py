# SPDX-License-Identifier: MIT
"""A PostgreSQL cluster of the tests' own, on a UNIX socket in a temporary directory.

Knows nothing of roomd; what is in the databases is the daemon's business.
"""
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import psycopg

# connections that somebody opened: the server's own helpers, autovacuum foremost, have a database as well
CLIENTS = "select count(*) from pg_stat_activity where backend_type = 'client backend' and datname = %s"

# a fresh cluster to copy, which takes a tenth of the time of initdb
MADE = os.environ.get('ROOMD_TEST_CLUSTER')


def newest_bindir():
    """The programs of the newest PostgreSQL from version 15 on."""
    found = [(int(path.parent.name), path) for path in Path('/usr/lib/postgresql').glob('*/bin')
             if path.parent.name.isdigit() and (path / 'postgres').exists()]
    version, path = max(found, default=(0, None))
    if version < 15:
        raise RuntimeError('PostgreSQL from version 15 on is not installed')
    return path


def wait_until(condition, timeout, what):
    """Polls CONDITION until it is true and returns its value; for things that give no event."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f'not within {timeout} s: {what}')
        time.sleep(0.02)


class Postgres:
    """One server; start, stop and kill it, make databases in it.

    It waits for no disk unless IS_DURABLE: what its processes wrote outlives them anyway.
    """

    def __init__(self, is_durable=False):
        self.is_durable = is_durable
        self.bindir = newest_bindir()
        self.dir = Path(tempfile.mkdtemp(prefix='roomd-pg-'))  # below TMPDIR
        self.data = self.dir / 'data'
        self.log = self.dir / 'log'
        self.process = None
        self.numbers = itertools.count(1)
        self.owner = {}
        if os.geteuid() == 0:  # the server refuses to be root
            user = pwd.getpwnam('postgres')
            os.chown(self.dir, user.pw_uid, user.pw_gid)
            self.owner = dict(user=user.pw_uid, group=user.pw_gid, extra_groups=[])
        if MADE:
            subprocess.run(['cp', '-R', MADE, self.data], check=True)
            if self.owner:
                subprocess.run(['chown', '-R', f'{user.pw_uid}:{user.pw_gid}', self.data], check=True)
            return
        self._run('initdb', '-D', self.data, '-U', 'roomd', '--auth=trust', '--encoding=UTF8',
                  '--locale=C.UTF-8', '--no-instructions', '--no-sync')

    def _run(self, program, *args):
        subprocess.run([self.bindir / program, *args], check=True, stdin=subprocess.DEVNULL,
                       capture_output=True, cwd='/', **self.owner)

    def start(self, *options):
        """Starts the server with further options "name=value" and waits until it answers."""
        command = [self.bindir / 'postgres', '-D', self.data, '-k', self.dir, '-c',
                   'listen_addresses=', '-c', 'max_connections=200']
        for option in (() if self.is_durable else ('fsync=off', 'full_page_writes=off')) + options:
            command += ['-c', option]
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd='/', start_new_session=True,
                                            **self.owner)
        wait_until(self._answers, 30, 'PostgreSQL answers')

    def _answers(self):
        if self.process.poll() is not None:
            raise RuntimeError('PostgreSQL ended:\n' + self.log.read_text()[-2000:])
        try:
            self.connect('postgres').close()
            return True
        except psycopg.OperationalError:
            return False

    def stop(self, how=signal.SIGINT):
        """SIGINT disconnects everybody and stops, SIGQUIT stops at once."""
        if self.process:
            self.process.send_signal(how)
            self.process.wait(120)  # its last checkpoint waits for the disk
            self.process = None

    def remove(self):
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.dir)

    def url(self, database):
        return f'host={self.dir} user=roomd dbname={database}'

    def connect(self, database):
        """A psycopg connection that commits each statement."""
        return psycopg.connect(self.url(database), autocommit=True)

    def new_database(self, template='template1'):
        """Makes a database, empty unless another is copied, and returns its name."""
        name = f'test{next(self.numbers)}'
        with self.connect('postgres') as connection:
            connection.execute(f'create database {name} template {template}')
        return name

    def drop_database(self, name):
        with self.connect('postgres') as connection:
            connection.execute(f'drop database if exists {name} with (force)')
