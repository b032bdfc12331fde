# SPDX-License-Identifier: MIT
"""Runs the real daemon for the tests: starts, watches, kills and judges it.

How to speak to it stands in roomd_clients.py and roomd_raw.py.
"""
import json
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from roomd_postgres import wait_until

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get('ROOMD_BUILD', TOP / '.dev/build'))
BIN = Path(os.environ.get('ROOMD_BIN', BUILD / 'roomd'))
CTL = Path(os.environ.get('ROOMCTL_BIN', BIN.parent / 'roomctl'))
WEB = Path(os.environ.get('ROOMD_WEB', TOP / '.dev/root/usr/local/share/roomd/web'))
LOGS = Path(os.environ.get('ROOMD_TEST_LOGS', TOP / '.dev/test/integration'))
# the tests hammer from one address: what a limit does is tested where it is set back
LIMITS = {f'limits.{name}': 'off' for name in (
    'anonymous', 'guests', 'users', 'logins_address', 'logins_account', 'logins_everywhere', 'audited_logins',
    'registrations', 'guest_names', 'code_misses', 'mails',
    'sends_user', 'sends_conversation', 'frames', 'operations', 'abuse')}
HAS_SANITIZERS = bool(os.environ.get('ROOMD_SANITIZERS'))
# how long a thing that should happen at once may take before a test calls it missing
PATIENCE = 60 if HAS_SANITIZERS else 30
# what is promised within a second, and what the test itself takes
SECOND = 6 if HAS_SANITIZERS else 1.5


def free_port():
    """A port that nobody listens on, below those that the kernel gives to outgoing connections: a daemon
    that is down for a moment must find it free when it comes back."""
    while True:
        port = random.randrange(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(('127.0.0.1', port))
            except OSError:
                continue
            return port


def clean_environment(**more):
    """This process's environment without what the daemon would read from it."""
    taken = ('PORT', 'DATABASE_URL', 'SECRET_KEY', 'CREDENTIALS_DIRECTORY', 'ROOMD_FAULT', 'NOTIFY_SOCKET', 'LISTEN_FDS')
    kept = {name: value for name, value in os.environ.items()
            if name not in taken and not name.startswith('PG')}
    return dict(kept, **more)


def process_stat(pid):
    """(state, parent, session) of a process, None when it is gone."""
    try:
        fields = Path(f'/proc/{pid}/stat').read_text().rpartition(')')[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return fields[0], int(fields[1]), int(fields[3])


def session_of(leader):
    """The live processes of the session that LEADER leads or led."""
    members = []
    for path in Path('/proc').iterdir():
        stat = process_stat(path.name) if path.name.isdigit() else None
        if stat and stat[2] == leader and stat[0] not in 'ZX':
            members.append(int(path.name))
    return members


def ports_open(port):
    with socket.socket() as probe:
        return probe.connect_ex(('127.0.0.1', port)) == 0


def write_settings(path, settings):
    """Writes {"section.key": value} as a configuration file."""
    sections = {}
    for name, value in settings.items():
        section, key = name.split('.')
        sections.setdefault(section, []).append(f'{key} = {value}\n')
    Path(path).write_text(''.join(f'[{name}]\n{"".join(lines)}\n'
                                  for name, lines in sections.items()))


class Daemon:
    """One roomd with a port, a configuration file and a log of its own."""
    arguments = []
    ready_path = b'/api/chat/rooms'

    def __init__(self, url, workers=2, settings=None, name='roomd', env=None):
        LOGS.mkdir(parents=True, exist_ok=True)
        self.dir = Path(tempfile.mkdtemp(prefix='roomd-it-', dir='/tmp'))
        self.conf = self.dir / 'roomd.conf'
        self.control = self.dir / 'control.sock'
        self.ops = self.dir / 'ops.sock'
        self.log_path = LOGS / (re.sub(r'[^\w.-]', '_', name) + '.log')
        self.log_path.unlink(missing_ok=True)
        self.port = free_port()
        self.workers = workers
        self.env = clean_environment(**(env or {}))
        # regular expressions of log lines of level error that the test provokes
        self.expected_errors = []
        if HAS_SANITIZERS:  # a thread that ends while the search for leaks begins
            self.expected_errors.append('Unable to get registers from thread')
        self.settings = {
            'server.listen': f'127.0.0.1:{self.port}', 'server.workers': workers,
            'server.mode': 'development', 'server.web_root': WEB, 'database.url': url,
            'control.socket': self.control, 'ops.listen': self.ops, 'log.format': 'json', 'log.level': 'info',
            **LIMITS, **(settings or {})}
        self.process = None
        self.was_killed = False

    @property
    def http(self):
        return f'http://127.0.0.1:{self.port}'

    @property
    def ws(self):
        return f'ws://127.0.0.1:{self.port}'

    @property
    def pid(self):
        return self.process.pid

    # ------------------------------------------------------------ life

    def start(self, wait=True):
        write_settings(self.conf, self.settings)
        with open(self.log_path, 'ab') as log:
            self.process = subprocess.Popen([BIN, '-f', '-c', self.conf, *self.arguments], cwd='/', env=self.env,
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        self.was_killed = False
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        wait_until(lambda: self.answers() and len(self.worker_pids()) == self.workers,
                   PATIENCE, f'{self.workers} workers are ready, see {self.log_path}')

    def answers(self):
        """True when the list of rooms comes, which needs a worker and the database."""
        if self.process.poll() is not None:
            raise AssertionError(f'roomd ended with {self.process.returncode}:\n{self.log_tail()}')
        try:
            with socket.create_connection(('127.0.0.1', self.port), timeout=2) as link:
                link.sendall(b'GET %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' % self.ready_path)
                return link.recv(15).startswith(b'HTTP/1.1 200')
        except OSError:
            return False

    def stop(self, timeout=20):
        """Asks it to stop and returns its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout * (4 if HAS_SANITIZERS else 1))

    def kill(self):
        """Kills the master alone, as an operator's kill -9 would."""
        self.was_killed = True
        self.process.kill()
        self.process.wait(10)

    def restart(self):
        assert self.stop() == 0
        self.start()

    def reload(self, **changes):
        """Writes the configuration with CHANGES ("section.key": value) and signals the master."""
        self.settings.update(changes)
        write_settings(self.conf, self.settings)
        self.process.send_signal(signal.SIGHUP)

    def switch(self, **changes):
        """Reloads and waits until every worker has the new settings."""
        mark, count = self.log_length(), len(self.worker_pids())
        self.reload(**changes)
        wait_until(lambda: sum(line.get('text') == 'settings switched' for line in list(self.log_lines())[mark:]) >= count,
                   PATIENCE, f'{count} workers have switched')

    def close(self):
        """Stops it and checks that it left nothing and complained about nothing."""
        if self.process is None:
            shutil.rmtree(self.dir)
            return
        leader = self.process.pid
        try:
            status = self.stop()
            assert status == 0 or self.was_killed, f'exit status {status}\n{self.log_tail()}'
            wait_until(lambda: not session_of(leader), 10, 'no process is left')
        finally:
            for pid in session_of(leader):
                os.kill(pid, signal.SIGKILL)
            self.process.wait()
            shutil.rmtree(self.dir)
        assert not self.complaints(), '\n'.join(self.complaints())

    # ------------------------------------------------------------ processes

    def worker_pids(self):
        """{slot: pid} of the workers, by the titles that they give themselves."""
        found = {}
        for pid in session_of(self.process.pid):
            try:
                title = Path(f'/proc/{pid}/cmdline').read_bytes().replace(b'\0', b' ').decode()
            except (FileNotFoundError, ProcessLookupError):
                continue
            match = re.match(r'roomd: worker (\d+)', title)
            if match:
                found[int(match[1])] = pid
        return found

    def kill_worker(self, slot, how=signal.SIGKILL):
        """Kills one worker and returns its pid; that the master says so is then no complaint."""
        pid = self.worker_pids()[slot]
        self.expected_errors.append(f'"worker died".*"pid": {pid},')
        os.kill(pid, how)
        return pid

    def wait_replaced(self, slot, old_pid):
        """Waits until another process works in SLOT; returns its pid."""
        def replacement():
            pid = self.worker_pids().get(slot)
            return pid if pid and pid != old_pid else None
        return wait_until(replacement, PATIENCE, f'worker {slot} is replaced')

    def descriptors(self, slot):
        """How many descriptors the worker has open."""
        return len(os.listdir(f'/proc/{self.worker_pids()[slot]}/fd'))

    # ------------------------------------------------------------ log

    def log_tail(self, lines=30):
        return '\n'.join(self.log_path.read_text(errors='replace').splitlines()[-lines:])

    def log_lines(self):
        """The log as dictionaries; what is no JSON comes as {"raw": text}."""
        for line in self.log_path.read_text(errors='replace').splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                yield {'raw': line}

    def wait_log(self, pattern, after=0):
        """Waits for a log line from number AFTER on that matches; returns it."""
        def matching():
            for line in list(self.log_lines())[after:]:
                if re.search(pattern, json.dumps(line)):
                    return line
            return None
        return wait_until(matching, PATIENCE, f'the log says {pattern!r}')

    def log_length(self):
        return len(list(self.log_lines()))

    def complaints(self):
        """Lines of level error that no test expected, and all that is no log line (sanitizers)."""
        found = []
        for line in self.log_lines():
            text = line.get('raw') or json.dumps(line)
            is_bad = 'raw' in line or line.get('level') == 'error'
            if is_bad and not any(re.search(one, text) for one in self.expected_errors):
                found.append(text)
        return found


def run_roomd(*args, env=None, timeout=60):
    """Runs the program to its end, as for -t and --describe."""
    return subprocess.run([BIN, *map(str, args)], env=clean_environment(**(env or {})), timeout=timeout,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def unique(prefix):
    """A name that no other test uses."""
    return f'{prefix} {time.monotonic_ns():x}'
