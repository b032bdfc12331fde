# SPDX-License-Identifier: MIT
"""The daemon as an operator sees it: start, stop, reload, checks, limits, connections to the database."""
import asyncio
import json
import os
import re
import secrets
import signal

import pytest

from roomd_clients import Http, NativeSocket, RoomSocket, Socket, eventually
from roomd_harness import PATIENCE, WEB, free_port, run_roomd, session_of, write_settings
from roomd_postgres import wait_until

TABLES = ('settings', 'metrics', 'events', 'routes', 'statements', 'errors', 'locks', 'authz')


# ---------------------------------------------------------------- start and stop


@pytest.mark.parametrize('how', [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_cleanly(start_daemon, how):
    one = start_daemon()
    leader = one.pid
    one.process.send_signal(how)
    assert one.process.wait(PATIENCE) == 0
    assert not session_of(leader)


def test_a_start_waits_for_the_address_of_a_daemon_that_was_killed(start_daemon):
    one = start_daemon(settings={'server.listen_wait': '10m'})
    held = one.worker_pids()[0]
    os.kill(held, signal.SIGSTOP)
    try:
        one.kill()
        one.start(wait=False)
        assert one.wait_log(f'address is in use.*server.listen.*127.0.0.1:{one.port}')
        assert not one.worker_pids()
    finally:
        os.kill(held, signal.SIGCONT)
    one.wait_ready()


def test_a_start_does_not_wait_for_ever(start_daemon):
    one = start_daemon()
    done = run_roomd('-f', '-o', f'server.listen=127.0.0.1:{one.port}', '-o', 'server.listen_wait=50ms',
                     '-o', 'control.socket=', '-o', f'server.web_root={WEB}')
    assert done.returncode == os.EX_UNAVAILABLE
    assert f'server.listen: "127.0.0.1:{one.port}": Address already in use' in done.stderr.replace('\\"', '"')


async def test_a_stop_under_load_loses_nothing_that_was_acknowledged(start_daemon):
    one = start_daemon()
    async with Http(one) as http:
        room = (await http.new_room())['id']
    sockets = [await NativeSocket.hello(one, f'user {n}', n % 2) for n in range(4)]
    for socket in sockets:
        await socket.sub(room)
        await socket.send([{'op': 'send', 'id': n + 100, 'c': room, 'k': f'{id(socket)}-{n}', 'content': 'x'}
                           for n in range(50)])
    await sockets[0].expect(op='ok')
    one.process.send_signal(signal.SIGTERM)
    codes = [(await socket.closed())[0] for socket in sockets]
    assert set(codes) <= {1001, 1012}
    assert one.process.wait(PATIENCE) == 0
    acked = sum(len(socket.all(op='ok')) for socket in sockets)
    one.start()
    async with Http(one) as http:
        history = await http.history(room)
    assert len(history) >= acked > 0


async def test_a_stop_does_not_wait_for_silent_peers(start_daemon):
    one = start_daemon(settings={'server.stop_timeout': '2s'})
    async with Http(one) as http:
        room = (await http.new_room())['id']
    sockets = [await RoomSocket.enter(one, room, f'user {n}') for n in range(4)]
    for socket in sockets:
        socket.link.transport.pause_reading()
    one.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(one.process.wait, PATIENCE) == 0
    for socket in sockets:
        await socket.drop()


def test_the_default_is_one_worker_per_cpu(start_daemon):
    count = len(os.sched_getaffinity(0))
    one = start_daemon(workers=0, wait=False)
    wait_until(lambda: one.answers() and sorted(one.worker_pids()) == list(range(count)), PATIENCE,
               f'{count} workers')


def test_every_process_has_a_title(start_daemon):
    one = start_daemon(workers=3)
    titles = sorted(open(f'/proc/{pid}/cmdline').read().rstrip('\0').strip() for pid in session_of(one.pid))
    assert [title for title in titles if title.startswith('roomd: worker')] == \
        [f'roomd: worker {n}' for n in range(3)]
    assert [title for title in titles if title.startswith('roomd: master')]


def test_a_port_in_use_is_said_plainly(start_daemon):
    one = start_daemon()
    second = start_daemon(wait=False, settings={'server.listen': f'127.0.0.1:{one.port}'})
    second.expected_errors.append('.')
    assert second.process.wait(PATIENCE) != 0
    assert str(one.port) in second.log_tail()
    second.process = None


async def test_c20_it_starts_before_the_database_and_waits(start_daemon, postgres):
    one = start_daemon(wait=False, settings={'database.url': postgres.url('later')})
    one.expected_errors.append('database|connect')
    one.wait_log('database')
    with postgres.connect('postgres') as connection:
        connection.execute('create database later')
    one.wait_ready()
    assert one.stop() == 0
    postgres.drop_database('later')


def test_two_nodes_may_start_on_one_empty_database(start_daemon, postgres):
    database = postgres.new_database()
    first = start_daemon(database=database, wait=False)
    second = start_daemon(database=database, wait=False)
    first.wait_ready()
    second.wait_ready()
    for one in (first, second):
        assert one.stop() == 0
    postgres.drop_database(database)


def test_s0_30_deleting_the_run_directory_loses_nothing(start_daemon):
    """All that lasts is in the database: a second daemon elsewhere sees it."""
    one = start_daemon()

    async def talk():
        async with Http(one) as http:
            room = (await http.new_room())['id']
        async with await RoomSocket.enter(one, room, 'Alice') as alice:
            await alice.say('kept')
            await alice.wait_messages(1)
        return room
    room = asyncio.run(talk())
    one.kill()
    second = start_daemon(database=one.database)

    async def look():
        async with Http(second) as http:
            return [message['content'] for message in await http.messages(room)]
    assert asyncio.run(look()) == ['kept']


# ---------------------------------------------------------------- reload


async def test_s1_reload_applies_what_it_can_and_names_what_needs_a_restart(start_daemon):
    one = start_daemon()
    async with Http(one) as http:
        room = (await http.new_room())['id']
    socket = await RoomSocket.enter(one, room, 'Alice')
    workers = one.worker_pids()
    await socket.say('x' * 20)
    await socket.wait_messages(1)
    seen = one.log_length()
    one.reload(**{'chat.message_max': 10, 'server.workers': 5})
    one.wait_log('chat.message_max', seen)
    one.wait_log('server.workers', seen)

    async def is_refused():
        start = len(socket.frames)
        await socket.say('x' * 20)
        await socket.wait(lambda frames: len(frames) > start)
        return socket.all(type='error')
    await eventually(is_refused, 'the new limit holds')
    assert one.worker_pids() == workers
    assert socket.is_open
    await socket.close()


async def test_c8_c19_a_bad_file_keeps_the_old_settings(start_daemon):
    one = start_daemon()
    async with Http(one) as http:
        room = (await http.new_room())['id']
    socket = await RoomSocket.enter(one, room, 'Alice')
    workers = one.worker_pids()
    one.expected_errors.append('.')
    good = one.conf.read_text()
    for text in (good + '[chat]\nmessage_max = many\n', good + '[chat]\nno_such = 1\n', good + '[nothing]\na=1\n',
                 'rubbish', good.replace('workers', 'wrokers')):
        seen = one.log_length()
        one.conf.write_text(text)
        one.process.send_signal(signal.SIGHUP)
        await asyncio.to_thread(one.wait_log, 'roomd.conf', seen)
    one.conf.unlink()
    seen = one.log_length()
    one.process.send_signal(signal.SIGHUP)
    await asyncio.to_thread(one.wait_log, 'roomd.conf', seen)
    assert one.worker_pids() == workers
    await socket.say('still here')
    await socket.wait_messages(1)
    await socket.close()


async def test_c8_many_reloads_close_no_socket(start_daemon):
    one = start_daemon()
    async with Http(one) as http:
        room = (await http.new_room())['id']
    sockets = [await RoomSocket.enter(one, room, f'user {n}', n % 2) for n in range(20)]
    workers = one.worker_pids()
    for number in range(100):
        seen = one.log_length()
        one.reload(**{'chat.name_max': 50 + number % 2})
        await asyncio.to_thread(one.wait_log, 'chat.name_max', seen)
        await sockets[number % 20].say(f'text {number}')
    for socket in sockets:
        messages = await socket.wait_messages(100)
        assert [one['rev'] for one in messages] == list(range(1, 101))
    assert one.worker_pids() == workers
    await asyncio.gather(*(socket.close() for socket in sockets))


# ---------------------------------------------------------------- command line


def test_version_and_help():
    for option, expected in (('--version', r'^roomd \d+\.\d+'), ('--help', r'--describe')):
        done = run_roomd(option)
        assert done.returncode == 0
        assert re.search(expected, done.stdout)


def test_an_unknown_option_is_an_error():
    done = run_roomd('--nonsense')
    assert done.returncode != 0
    assert done.stderr


@pytest.mark.parametrize('table', TABLES)
def test_every_table_is_described(table):
    done = run_roomd('--describe', table)
    assert (done.returncode, done.stderr) == (0, '')
    rows = json.loads(done.stdout)
    assert isinstance(rows, list) and rows and all(isinstance(row, dict) for row in rows)
    assert all(row.get('name') or row.get('path') or row.get('code') or row.get('action') for row in rows)


def test_an_unknown_table_is_an_error():
    done = run_roomd('--describe', 'nonsense')
    assert done.returncode != 0 and 'nonsense' in done.stderr


def test_t_accepts_a_good_file(tmp_path, postgres, database):
    conf = tmp_path / 'good.conf'
    write_settings(conf, {'server.listen': f'127.0.0.1:{free_port()}', 'server.web_root': WEB,
                          'database.url': postgres.url(database)})
    done = run_roomd('-t', '-c', conf)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize('settings, named', [
    ({'chat.name_max': 'many'}, 'name_max'), ({'chat.name_max': '1000'}, 'name_max'),
    ({'chat.nmae_max': '10'}, 'name_max'), ({'server.mode': 'debug'}, 'mode'),
    ({'server.listen': 'nowhere:port'}, 'listen'), ({'websocket.ping_interval': '-5s'}, 'ping_interval'),
    ({'memory.ring': '10 gallons'}, 'ring'),
])
def test_t_names_what_is_wrong(tmp_path, settings, named):
    conf = tmp_path / 'bad.conf'
    write_settings(conf, settings)
    done = run_roomd('-t', '-c', conf)
    assert done.returncode != 0
    assert named in done.stderr
    # an address is looked at after all sources were read, when no line is to blame any more
    assert 'bad.conf' in done.stderr or named == 'listen'


def test_t_reports_all_faults_at_once(tmp_path):
    conf = tmp_path / 'bad.conf'
    write_settings(conf, {'chat.name_max': 'many', 'server.workers': '1000', 'log.level': 'loud'})
    done = run_roomd('-t', '-c', conf)
    assert all(name in done.stderr for name in ('name_max', 'workers', 'level'))


def test_a_missing_file_that_was_named_is_an_error(tmp_path):
    for options in (('-t',), ('-f',)):
        done = run_roomd(*options, '-c', tmp_path / 'missing.conf')
        assert done.returncode != 0 and 'missing.conf' in done.stderr


def test_s3_21_big_t_prints_the_settings_and_hides_secrets(tmp_path):
    conf = tmp_path / 'secret.conf'
    write_settings(conf, {'database.url': 'postgresql://u:hunter2@127.0.0.1/x', 'chat.name_max': '77'})
    done = run_roomd('-T', '-c', conf)
    assert 'hunter2' not in done.stdout + done.stderr
    assert re.search(r'name_max\s*=\s*77', done.stdout)
    every = json.loads(run_roomd('--describe', 'settings').stdout)
    for row in every:
        assert row['name'] in done.stdout


def test_o_and_the_environment_win_over_the_file(tmp_path):
    conf = tmp_path / 'roomd.conf'
    write_settings(conf, {'server.listen': '127.0.0.1:1000', 'chat.name_max': '50'})
    done = run_roomd('-T', '-c', conf, '-o', 'chat.name_max=60', env={'PORT': '2000'})
    assert re.search(r'name_max\s*=\s*60', done.stdout)
    assert re.search(r'listen\s*=\s*\S*:2000', done.stdout)
    done = run_roomd('-T', '-c', conf, '-o', 'chat.no_such=60')
    assert done.returncode != 0 and 'no_such' in done.stderr


def test_the_sample_file_is_a_good_file_of_defaults(tmp_path):
    sample = run_roomd('--describe', 'settings', '--format', 'conf').stdout
    conf = tmp_path / 'sample.conf'
    conf.write_text(sample)
    before = run_roomd('-T', '-c', conf).stdout
    conf.write_text(re.sub(r'^#(\w+ =)', r'\1', sample, flags=re.M))
    after = run_roomd('-T', '-c', conf)
    assert after.stdout == before and before, after.stderr


def test_s3_21_no_secret_is_in_the_process_list(start_daemon):
    key = secrets.token_hex(32)
    one = start_daemon(env={'SECRET_KEY': key})
    for pid in session_of(one.pid):
        assert key.encode() not in open(f'/proc/{pid}/cmdline', 'rb').read()
    assert key not in one.log_path.read_text()


# ---------------------------------------------------------------- database


def test_migrations_are_applied_once(start_daemon, postgres):
    one = start_daemon()
    with postgres.connect(one.database) as connection:
        tables = connection.execute("select count(*) from pg_class where relnamespace = "
                                    "'public'::regnamespace").fetchone()
        one.restart()
        assert connection.execute("select count(*) from pg_class where relnamespace = "
                                  "'public'::regnamespace").fetchone() == tables


def test_s1_62_foreign_keys_have_indexes(start_daemon, postgres):
    one = start_daemon()
    with postgres.connect(one.database) as connection:
        bare = connection.execute('''
            select c.conrelid::regclass::text, c.conname from pg_constraint c
            where c.contype = 'f' and c.connamespace = 'public'::regnamespace and not exists (
                select from pg_index i where i.indrelid = c.conrelid
                and (i.indkey::int2[])[0:array_length(c.conkey, 1) - 1] @> c.conkey)''').fetchall()
    assert bare == []


async def test_s2_25_more_connections_than_allowed_are_503_with_a_time(start_daemon):
    one = start_daemon(workers=1, settings={'server.max_connections': 16})
    async with Http(one) as http:
        room = (await http.new_room())['id']
    sockets = [await RoomSocket.enter(one, room, f'user {n}') for n in range(12)]

    async def refused():
        held = []
        try:
            for _ in range(20):
                reader, writer = await asyncio.open_connection('127.0.0.1', one.port)
                held.append(writer)
                writer.write(b'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
                head = await asyncio.wait_for(reader.readuntil(b'\r\n\r\n'), PATIENCE)
                if head.startswith(b'HTTP/1.1 503'):
                    return head
        finally:
            for writer in held:
                writer.close()
        return None
    head = await refused()
    assert head and b'retry-after' in head.lower()
    await sockets[0].say('unaffected')
    await sockets[11].wait_messages(1)
    await asyncio.gather(*(socket.close() for socket in sockets))
    async with await Socket.open(one, f'/ws/chat/{room}') as socket:
        assert socket.is_open
