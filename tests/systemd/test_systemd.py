# SPDX-License-Identifier: MIT
"""roomd as a service: installed, started, watched, reloaded, confined and stopped by the real systemd."""
import json
import os
import re
import secrets
import signal
import socket
import threading
from pathlib import Path

from conftest import BUILD, CONF, UNITS, run
from roomd_people import header_of, kid_of
from roomd_postgres import wait_until


def test_the_units_verify(service):
    done = run('systemd-analyze', 'verify', UNITS / 'roomd.service', UNITS / 'roomd.socket')
    # the verifier also speaks of other units of the machine
    assert [line for line in (done.stdout + done.stderr).splitlines() if 'roomd' in line] == []


def test_s3_21_the_configuration_is_closed_to_others(service):
    run('systemd-tmpfiles', '--create')
    assert CONF.parent.stat().st_mode & 0o777 == 0o750
    assert CONF.stat().st_mode & 0o777 == 0o640
    assert CONF.group() == 'roomd'


def test_it_is_ready_when_systemctl_returns(service):
    run('systemctl', 'start', 'roomd.service')
    assert service.get() == 200
    assert service.get('/') == 200
    assert service.show('ActiveState') == 'active'
    assert service.show('Type') == 'notify'
    run('systemctl', 'status', 'roomd.service')


def test_the_status_line_says_something(started):
    assert started.show('StatusText')


def test_all_processes_are_the_user_roomd_and_confined(started):
    pids = started.processes()
    assert len(pids) >= 2
    for pid in pids:
        status = started.status_of(pid)
        assert Path(f'/proc/{pid}').owner() == 'roomd'
        assert int(status['CapBnd'], 16) == int(status['CapEff'], 16) == 0
        assert status['NoNewPrivs'] == '1'
        assert status['Seccomp'] == '2'


def test_the_exposure_is_small(service):
    done = run('systemd-analyze', 'security', '--no-pager', 'roomd.service')
    level = re.search(r'Overall exposure level for roomd.service: ([\d.]+)', done.stdout)
    assert float(level[1]) < 3.0, done.stdout


def test_s0_63_the_journal_has_priorities_and_fields(started):
    started.wait_journal('roomd')
    lines = [line for line in started.journal() if '_PID' in line and int(line['_PID']) in started.processes()]
    assert lines
    for line in lines:
        assert line['PRIORITY'] in '34567'
        assert line['MESSAGE'] and '\x1b' not in line['MESSAGE']
        assert line['SYSLOG_IDENTIFIER'] == 'roomd'
    assert any(name.startswith('ROOMD_') for line in lines for name in line)
    assert all(line['_TRANSPORT'] == 'journal' for line in lines)


def test_reload_applies_a_good_file(started):
    pid, processes, seen = started.pid, started.processes(), started.journal_length()
    CONF.write_text('[chat]\nmessage_max = 10\n')
    with socket.create_connection(('127.0.0.1', 8080)) as link:
        run('systemctl', 'reload', 'roomd.service')
        started.wait_journal('chat.message_max', seen)
        link.sendall(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
        assert link.recv(15) == b'HTTP/1.1 200 OK'
    assert (started.pid, started.processes()) == (pid, processes)
    assert started.show('ActiveState') == 'active'


def test_c19_reload_fails_visibly_on_a_bad_file(started):
    pid, processes = started.pid, started.processes()
    CONF.write_text('[chat]\nmessage_max = many\n')
    done = run('systemctl', 'reload', 'roomd.service', check=False)
    assert done.returncode != 0
    started.wait_journal('message_max')
    assert started.show('ActiveState') == 'active'
    assert (started.pid, started.processes()) == (pid, processes)
    assert started.get() == 200


def test_a_bad_file_fails_the_start(service):
    seen = service.journal_length()
    CONF.write_text('[chat]\nmessage_max = many\n')
    assert run('systemctl', 'start', 'roomd.service', check=False).returncode != 0
    # no other attempt is made; red with Restart= alone, which is "activating" then
    assert service.show('ActiveState') == 'failed'
    assert service.show('ExecMainStatus') == str(os.EX_CONFIG)
    # red before the level was written in front of it: 6, as whatever comes by standard error
    assert [line['PRIORITY'] for line in service.wait_journal('message_max', seen)] == ['3']


def test_a_worker_that_is_killed_is_replaced_within_the_service(started):
    master = started.pid
    before = set(started.processes())
    victim = next(pid for pid in before if pid != master)
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: victim not in started.processes() and len(started.processes()) == len(before), 20,
               'the worker is replaced')
    assert started.pid == master
    assert started.show('NRestarts') == '0'
    assert started.get() == 200


def test_a_master_that_is_killed_is_started_again(started):
    before = started.processes()
    os.kill(started.pid, signal.SIGKILL)
    wait_until(lambda: started.show('NRestarts') == '1' and started.show('ActiveState') == 'active', 30,
               'it is started again')
    assert not set(before) & set(started.processes())
    assert started.get() == 200


def test_a_master_that_hangs_is_found_by_the_watchdog(service):
    service.drop_in('roomd.service', '[Service]\nWatchdogSec=2s\n')
    run('systemctl', 'start', 'roomd.service')
    pid = service.pid
    seen = 0

    def is_fed():
        nonlocal seen
        seen += 1
        assert service.pid == pid
        return seen > 150  # 20 ms apart: well over one period
    wait_until(is_fed, 60, 'the watchdog is fed')
    os.kill(pid, signal.SIGSTOP)
    wait_until(lambda: service.show('NRestarts') == '1' and service.show('ActiveState') == 'active', 40,
               'the watchdog acts')
    assert service.pid != pid
    assert service.get() == 200


def test_the_watchdog_is_on_by_default(started):
    assert started.show('WatchdogUSec') == '30s'


def test_s0_38_the_key_comes_as_a_credential(service, tmp_path):
    """Out of a file that the service's user cannot read; and threads that hash give way to the loops.

    Red without settings_read_credentials, and without setpriority in the unit's filter.
    """
    key = secrets.token_hex(32)
    file = tmp_path / 'key'
    file.write_text(key + '\n')
    file.chmod(0o600)
    service.drop_in('roomd.service', f'[Service]\nLoadCredential=secret_key:{file}\n')
    seen = service.journal_length()
    run('systemctl', 'start', 'roomd.service')
    assert header_of(service.register('carol')['token'])['kid'] == kid_of(key)
    nice = {int(task.read_text().rpartition(')')[2].split()[16]) for pid in service.processes()
            for task in Path(f'/proc/{pid}/task').glob('*/stat')}
    assert nice == {min(nice), min(min(nice) + 10, 19)} and len(nice) == 2
    run('systemctl', 'reload', 'roomd.service')
    assert header_of(service.register('dave')['token'])['kid'] == kid_of(key)
    assert key not in json.dumps(service.journal())
    assert 'auth.secret_key is not set' not in json.dumps(service.journal()[seen:])


def test_s0_38_a_weak_credential_fails_the_start(service, tmp_path):
    (tmp_path / 'key').write_text('changeme')
    service.drop_in('roomd.service', f'[Service]\nLoadCredential=secret_key:{tmp_path}/key\n')
    seen = service.journal_length()
    assert run('systemctl', 'start', 'roomd.service', check=False).returncode != 0
    service.wait_journal('must have at least 32 characters', seen)


def test_stop_is_clean(started):
    pids = started.processes()
    run('systemctl', 'stop', 'roomd.service')
    assert started.show('Result') == 'success'
    assert started.show('ExecMainStatus') == '0'
    assert not [pid for pid in pids if Path(f'/proc/{pid}').exists()]
    assert not [line for line in started.journal() if line['PRIORITY'] <= '3' and '_PID' in line
                and int(line['_PID']) in pids]


def test_restart_keeps_the_state_directory_and_answers(started):
    assert Path('/var/lib/roomd').owner() == 'roomd'
    assert Path('/run/roomd').owner() == 'roomd'
    run('systemctl', 'restart', 'roomd.service')
    assert started.get() == 200


def test_the_first_connection_starts_it(service):
    run('systemctl', 'start', 'roomd.socket')
    assert service.show('ActiveState') == 'inactive'
    assert service.get() == 200
    assert service.show('ActiveState') == 'active'


def test_under_socket_activation_listen_is_ignored(service):
    CONF.write_text('[server]\nlisten = 127.0.0.1:9999\n')
    run('systemctl', 'start', 'roomd.socket', 'roomd.service')
    assert service.get() == 200
    with socket.socket() as probe:
        assert probe.connect_ex(('127.0.0.1', 9999)) != 0


def test_no_connection_is_refused_while_it_restarts(service):
    run('systemctl', 'start', 'roomd.socket', 'roomd.service')
    faults, stop = [], threading.Event()

    def knock():
        while not stop.is_set():
            try:
                if service.get() != 200:
                    faults.append('status')
            except ConnectionRefusedError as why:
                faults.append(why)
            except OSError:
                pass  # a connection that was accepted may be cut off by the stop
    knockers = [threading.Thread(target=knock) for _ in range(4)]
    for knocker in knockers:
        knocker.start()
    for _ in range(3):
        run('systemctl', 'restart', 'roomd.service')
    stop.set()
    for knocker in knockers:
        knocker.join()
    assert not [fault for fault in faults if 'refused' in str(fault)]


def test_several_sockets_are_handed_out_to_the_workers(service):
    service.drop_in('roomd.socket', '[Socket]\nListenStream=127.0.0.1:8080\nListenStream=127.0.0.1:8080\n')
    CONF.write_text('[server]\nworkers = 3\nmode = development\n')
    run('systemctl', 'start', 'roomd.socket', 'roomd.service')
    seen = set()

    def ask():
        with socket.create_connection(('127.0.0.1', 8080)) as link:
            link.sendall(b'GET /api/chat/rooms HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n')
            head = link.makefile('rb').read().decode()
        seen.add(re.search(r'X-Roomd-Worker: (\d+)', head)[1])
        return seen == {'0', '1', '2'}
    wait_until(ask, 20, 'all workers answer')


def test_the_memory_limit_of_the_service_does_not_end_it(service):
    assert service.show('OOMPolicy') == 'continue'


def test_the_pages_and_the_sample_are_installed(service):
    assert Path('/usr/local/share/man/man8/roomd.8').exists()
    for sample in ('roomd.conf.sample', 'nginx.conf.sample', 'haproxy.cfg.sample'):
        assert (Path('/usr/local/share/doc/roomd') / sample).exists()


def test_uninstall_leaves_nothing(service):
    run('make', '-C', BUILD, 'uninstall')
    left = [path for path in Path('/usr/local').rglob('*roomd*')
            if path.is_file() and CONF.parent not in path.parents]
    run('make', '-C', BUILD, 'install')
    assert left == []
