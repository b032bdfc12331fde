# SPDX-License-Identifier: MIT
"""Installs roomd into the system it runs in, which must be a throw-away one: see ROOMD_IN_CONTAINER.

Gives a PostgreSQL where roomd looks for it by default, and helpers around systemctl and journalctl.
"""
import json
import os
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(TOP / 'tests/integration'))
from roomd_postgres import Postgres, wait_until  # noqa: E402

BUILD = Path(os.environ.get('ROOMD_BUILD', TOP / '.dev/build'))
UNITS = Path('/usr/local/lib/systemd/system')
DROP_INS = Path('/run/systemd/system')
CONF = Path('/usr/local/etc/roomd/roomd.conf')


def pytest_collection_modifyitems(items):
    if not os.environ.get('ROOMD_IN_CONTAINER'):
        why = 'installs into the system: runs only in a container with a systemd of its own'
        for item in items:
            item.add_marker(pytest.mark.skip(reason=why))


def run(*command, check=True):
    done = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False, timeout=120)
    if check and done.returncode != 0:
        raise AssertionError(f'{" ".join(map(str, command))}: {done.returncode}\n{done.stdout}{done.stderr}'
                             + subprocess.run(['journalctl', '-n', '40', '--no-pager'], text=True,
                                              capture_output=True, check=False).stdout)
    return done


class Service:
    """The installed roomd.service."""

    def show(self, name, unit='roomd.service'):
        return run('systemctl', 'show', '-P', name, unit).stdout.strip()

    @property
    def pid(self):
        return int(self.show('MainPID'))

    def processes(self):
        """Pids of all processes in the service's control group."""
        group = Path('/sys/fs/cgroup' + self.show('ControlGroup')) / 'cgroup.procs'
        return [int(line) for line in group.read_text().split()] if group.exists() else []

    def status_of(self, pid):
        text = Path(f'/proc/{pid}/status').read_text()
        return dict(line.split(':\t', 1) for line in text.splitlines() if ':\t' in line)

    def get(self, path='/api/chat/rooms', port=8080):
        """One request; the status."""
        try:
            with urllib.request.urlopen(f'http://127.0.0.1:{port}{path}', timeout=10) as answer:
                return answer.status
        except urllib.error.HTTPError as error:
            return error.code

    def register(self, username, port=8080):
        """Makes an account; the answer."""
        body = json.dumps({'username': username, 'password': 'correct horse battery'}).encode()
        request = urllib.request.Request(f'http://127.0.0.1:{port}/api/v1/auth/register', body,
                                         {'Content-Type': 'application/json'})
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def journal(self):
        text = run('journalctl', '-o', 'json', '--no-pager', '_SYSTEMD_UNIT=roomd.service').stdout
        return [json.loads(line) for line in text.splitlines()]

    def journal_length(self):
        run('journalctl', '--sync')
        return len(self.journal())

    def wait_journal(self, text, after=0):
        return wait_until(lambda: [line for line in self.journal()[after:] if text in json.dumps(line)], 20,
                          f'the journal says {text!r}')

    def drop_in(self, unit, text):
        """Adds settings to a unit until the test ends; see the fixture."""
        directory = DROP_INS / f'{unit}.d'
        directory.mkdir(parents=True, exist_ok=True)
        (directory / 'test.conf').write_text(text)
        run('systemctl', 'daemon-reload')


@pytest.fixture(scope='session')
def installed():
    """roomd installed, its user made, PostgreSQL running at the default place."""
    run('make', '-C', BUILD, 'install')
    run('systemd-sysusers')
    run('systemd-tmpfiles', '--create')
    run('systemctl', 'daemon-reload')
    Path('/run/postgresql').mkdir(exist_ok=True)
    Path('/run/postgresql').chmod(0o777)
    server = Postgres()
    server.start(f'unix_socket_directories={server.dir},/run/postgresql')
    with server.connect('postgres') as connection:
        connection.execute('create database roomd')
    yield
    server.remove()


@pytest.fixture
def service(installed):
    """The service, not running, with an empty configuration; everything is put back at the end."""
    CONF.parent.mkdir(parents=True, exist_ok=True)
    CONF.write_text('# empty\n')
    yield Service()
    run('systemctl', 'stop', 'roomd.socket', 'roomd.service')
    run('systemctl', 'reset-failed', 'roomd.service', check=False)
    for unit in ('roomd.service', 'roomd.socket'):
        (DROP_INS / f'{unit}.d/test.conf').unlink(missing_ok=True)
    run('systemctl', 'daemon-reload')


@pytest.fixture
def started(service):
    run('systemctl', 'start', 'roomd.service')
    return service
