# SPDX-License-Identifier: MIT
"""The operator's command, and the control socket behind it."""
import asyncio
import json
import os
import re
import signal
import socket
import stat
import subprocess

import aiohttp
import pytest
import socketio

from roomd_clients import Http, NativeSocket, RoomSocket, eventually
from roomd_harness import CTL, PATIENCE, TOP, Daemon, clean_environment, run_roomd, write_settings
from roomd_people import People
from roomd_postgres import wait_until

DAEMON = {'settings': {'presence.grace_clean': '100ms', 'presence.grace_lost': '300ms'}}

EX_USAGE, EX_DATAERR, EX_UNAVAILABLE, EX_TEMPFAIL, EX_NOPERM, EX_CONFIG = 64, 65, 69, 75, 77, 78


def roomctl(*args, env=None):
    """Runs the command to its end."""
    return subprocess.run([CTL, *map(str, args)], env=clean_environment(**(env or {})), timeout=60,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


def ask(daemon, *words):
    """What the command prints for this daemon; it must succeed."""
    done = roomctl('-c', daemon.conf, *words)
    assert done.returncode == 0, (words, done)
    assert done.stderr == ''
    return done.stdout


def ask_json(daemon, *words):
    return json.loads(ask(daemon, '--json', *words))


async def ask_async(daemon, *words):
    return await asyncio.to_thread(ask, daemon, *words)


def shown(text):
    """The lines "name  value" of a text as a dictionary, blanks as one."""
    return {re.split('  +', line)[0]: re.split('  +', line)[1:] for line in text.splitlines() if line}


def counters(text):
    """{"name{labels}": value} of a Prometheus text."""
    return {line.rpartition(' ')[0]: float(line.rpartition(' ')[2])
            for line in text.splitlines() if line and line[0] != '#'}


def connect(daemon):
    link = socket.socket(socket.AF_UNIX)
    link.connect(str(daemon.control))
    link.settimeout(PATIENCE)
    return link


def read_to_end(link):
    with link:
        return b''.join(iter(lambda: link.recv(65536), b''))


# ---------------------------------------------------------------- rooms


async def test_s1_24_room_show_prints_the_four_sets(daemon):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    tabs = [await RoomSocket.enter(daemon, room, 'Alice', 0), await RoomSocket.enter(daemon, room, 'Alice', 1)]
    bob = await RoomSocket.enter(daemon, room, 'Bob', 1)
    await bob.send({'type': 'typing', 'is_typing': True})
    await tabs[0].expect(type='typing', users=['Bob'])
    now = shown(await ask_async(daemon, 'room', 'show', room))
    assert now['room'] == [str(room)] and now['socket.io'] == [f'conversation_{room}']
    assert now['connections'] == ['3']
    assert now['users'][0] == '2' and len(set(now['users'][1].split(', '))) == 2
    assert now['names'][0] == '2' and sorted(now['names'][1].split(', ')) == ['Alice', 'Bob']
    assert now['typing'] == ['1', 'Bob']
    assert now['workers'] == ['2', '0, 1']
    assert now['state'] == ['open']
    for one in (*tabs, bob):
        await one.close()

    async def is_empty():
        now = shown(await ask_async(daemon, 'room', 'show', room))
        return all(now[name][0] == '0' for name in ('connections', 'users', 'names', 'typing'))
    await eventually(is_empty, 'all four sets are empty')


async def test_s0_27_the_member_count_is_of_distinct_connected_users(daemon):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    sockets = [await RoomSocket.enter(daemon, room, f'User {n % 3}') for n in range(6)]
    answer = ask_json(daemon, 'room', 'show', room)
    assert answer['members'] == 3 and answer['connections'] == 6
    assert sorted(user['name'] for user in answer['users']) == ['User 0', 'User 1', 'User 2']
    for one in sockets:
        await one.close()


async def test_s0_27_a_room_may_be_named_by_its_code(daemon):
    """Red while only numbers were taken."""
    cookies = {}
    for name in ('Ann', 'Bob'):
        form = {'name': name} | ({'code': code, 'join': ''} if cookies else {'create': ''})
        async with aiohttp.ClientSession() as http:
            async with http.post(daemon.http + '/', data=form, allow_redirects=False) as answer:
                assert answer.status == 302
                cookies[name] = {'Cookie': answer.headers['Set-Cookie'].partition(';')[0]}
            async with http.get(daemon.http + '/room', headers=cookies[name]) as answer:
                code = re.search('data-room="([A-Z]{4})"', await answer.text())[1]
    sockets = [socketio.AsyncClient(reconnection=False) for _ in range(3)]
    for one, name in zip(sockets, ('Ann', 'Bob', 'Bob')):
        await one.connect(daemon.http, headers=dict(cookies[name]), transports=['websocket'],
                          wait_timeout=PATIENCE)

    async def has_all():
        answer = json.loads(await ask_async(daemon, '--json', 'room', 'show', code))
        return (answer['members'], answer['connections']) == (2, 3)
    await eventually(has_all, 'two people with three connections are in the room')
    now = shown(await ask_async(daemon, 'room', 'show', code.lower()))
    assert now['names'][0] == '2' and sorted(now['names'][1].split(', ')) == ['Ann', 'Bob']
    for one in sockets:
        await one.disconnect()
    done = await asyncio.to_thread(roomctl, '-c', daemon.conf, 'room', 'show', 'IOIO')  # letters that no code has
    assert (done.returncode, done.stderr) == (EX_UNAVAILABLE, 'roomctl: no room has this code\n')


async def test_room_list_has_each_room_with_somebody_in_it(daemon):
    async with Http(daemon) as http:
        rooms = [(await http.new_room())['id'] for _ in range(3)]
    sockets = [await RoomSocket.enter(daemon, room, 'Alice') for room in rooms[:2]]
    lines = (await ask_async(daemon, 'room', 'list')).splitlines()
    assert lines[0].split() == ['ROOM', 'CONNECTIONS', 'USERS', 'REVISION', 'STATE', 'WORKERS']
    listed = {line.split()[0]: line.split()[1:5] for line in lines[1:]}
    for room in rooms[:2]:
        assert listed[str(room)][:2] == ['1', '1'] and listed[str(room)][3] == 'open'
    assert str(rooms[2]) not in listed
    for one in sockets:
        await one.close()


async def test_s4_28_rooms_have_the_names_that_socket_io_knows(daemon):
    """Red without the names in worker/ctl.c."""
    async with Http(daemon) as http, People(daemon) as people:
        room = (await http.new_room())['id']
        ann = await people.new_person('ann')
    one = socketio.AsyncClient(reconnection=False)
    await one.connect(daemon.http, auth={'token': ann['token']}, transports=['websocket'])
    for name in (f'conversation_{room}', f'user_{ann["user"]["id"]}'):
        assert (await one.call('join_conversation', name))['ok']
    for name in (room, f'conversation_{room}', f'conversation:{room}'):
        answer = json.loads(await ask_async(daemon, '--json', 'room', 'show', name))
        assert (answer['conversation'], answer['room']) == (room, f'conversation_{room}')
        assert answer['connections'] == 1
    lists = [json.loads(await ask_async(daemon, '--json', 'client', 'list', slot)) for slot in range(daemon.workers)]
    assert [client['room'] for some in lists for client in some['clients'] if 'room' in client] == [
        f'user_{ann["user"]["id"]}']
    texts = [await ask_async(daemon, 'client', 'list', slot) for slot in range(daemon.workers)]
    assert f'user_{ann["user"]["id"]}' in ''.join(texts)
    await one.disconnect()


async def test_a_name_cannot_steer_the_terminal(daemon):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    one = await NativeSocket.open(daemon, '/ws', subprotocols=['roomd.v1'])
    name = 'a\u009b31mb\u202ec'
    await one.send({'op': 'hello', 'id': 1, 'name': name})
    answer = await one.wait(lambda frames: frames[:1])
    if answer[0]['op'] == 'welcome':
        await one.send({'op': 'sub', 'id': 2, 'c': room, 'rev': 0})
        await one.expect(re=2)
    text = await ask_async(daemon, 'room', 'show', room)
    assert not re.search('[\x00-\x09\x0b-\x1f\x7f-\x9f]', text)
    await one.close()


async def test_an_answer_larger_than_the_socket_buffer_is_whole(start_daemon, postgres):
    """3,200 rooms are a list of some 300,000 bytes, and the reader takes its time."""
    one = start_daemon(settings={'websocket.subscriptions_max': 100000})
    with postgres.connect(one.database) as connection:
        rooms = [row[0] for row in connection.execute(
            "insert into conversations (kind, name) select 'room', 'listed ' || n from generate_series(1, 3200) n "
            'returning id').fetchall()]
    async with await NativeSocket.hello(one, 'Alice') as alice:
        for n, room in enumerate(rooms):
            await alice.send({'op': 'sub', 'id': n + 10, 'c': room, 'rev': 0})
        await alice.wait(lambda frames: len(frames) >= len(rooms) == len(alice.all(op='live')), 'all subscriptions', 60)
        link = connect(one)
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        link.sendall(b'room list\n')
        # the worker goes on meanwhile, and so does the master
        assert (await alice.ask('ping'))['op'] == 'pong'
        assert (await ask_async(one, 'status')).startswith('roomd')
        answer = json.loads(await asyncio.to_thread(read_to_end, link))
    assert {room['conversation'] for room in answer['rooms']} == set(rooms)


@pytest.mark.parametrize('words', [
    (), ('room',), ('room', 'show'), ('room', 'show', 'abc'), ('room', 'show', '0'), ('room', 'show', '-1'),
    ('room', 'show', 'conversation_0'), ('room', 'show', '1', '2'), ('room', 'list', 'x'), ('nothing',), ('status', 'x'), ('--nothing',),
    ('status', '--check'), ('log-level',), ('log-level', 'a b'), ('statu',), ('room', 'show', '9' * 30),
    ('room', 'show', 'ABCDE'), ('room', 'show', 'AB1D'), ('client', 'list', 'x'), ('client', 'list', '-1'), ('user', 'nothing')])
def test_what_is_no_command_is_a_usage_error(daemon, words):
    done = roomctl('-c', daemon.conf, *words)
    assert done.returncode == EX_USAGE
    assert done.stdout == ''
    assert done.stderr.startswith('roomctl: ') or 'roomctl: ' in done.stderr


# ---------------------------------------------------------------- status, metrics


async def test_status_counts_sockets_and_database_connections(start_daemon):
    one = start_daemon()
    async with Http(one) as http:
        room = (await http.new_room())['id']
    sockets = [await RoomSocket.enter(one, room, 'Alice'), await NativeSocket.hello(one, 'Bob')]
    await eventually(lambda: ask_json(one, 'status')['database']['connections'] == 4, 'a writer and a reader each')
    assert ask_json(one, 'status')['sockets'] == 2
    for each in sockets:
        await each.close()

    async def are_gone():
        now = counters(await ask_async(one, 'metrics'))
        return now['roomd_closed_total'] == now['roomd_accepted_total'] and \
            ask_json(one, 'status')['sockets'] == 0
    await eventually(are_gone, 'every connection is counted as closed')


def test_status_lists_the_workers(daemon):
    text = ask(daemon, 'status')
    top, _, table = text.partition('\n\n')
    top = shown(top)
    version = subprocess.run([CTL, 'version'], capture_output=True, text=True, check=True).stdout.split()[1]
    assert top['roomd'] == [version]
    assert top['pid'] == [str(daemon.pid)]
    assert top['state'] == ['running']
    assert top['listen'] == [f'127.0.0.1:{daemon.port}']
    assert top['schema'] == ['up to date']
    rows = [re.split('  +', line) for line in table.splitlines()]
    assert rows[0] == ['WORKER', 'PID', 'GENERATION', 'STATE', 'UP', 'HEARTBEAT', 'RING LAG']
    assert {int(row[0]): int(row[1]) for row in rows[1:]} == daemon.worker_pids()
    assert all(row[2] == '1' and row[3] == 'ready' for row in rows[1:])
    assert all(len(line) <= 100 for line in text.splitlines())


def test_status_shows_a_replaced_worker(start_daemon):
    one = start_daemon()
    old = one.kill_worker(1)
    new = one.wait_replaced(1, old)

    def worker():
        found = ask_json(one, 'status')['workers'][1]
        return found['state'] == 'ready' and found
    found = wait_until(worker, PATIENCE, 'the new worker is ready')
    counted = counters(ask(one, 'metrics'))
    assert counted['roomd_worker_starts_total'] == 3 and counted['roomd_worker_crashes_total'] == 1
    assert found['pid'] == new and found['generation'] == 2
    assert found['heartbeat_age_ms'] < 5000 and found['ring_behind'] == 0


def test_questions_are_answered_while_one_worker_stands_still(start_daemon):
    one = start_daemon(settings={'server.heartbeat_timeout': '600s'})
    frozen = one.worker_pids()[0]
    os.kill(frozen, signal.SIGSTOP)
    try:
        wait_until(lambda: ask_json(one, 'status')['workers'][0]['heartbeat_age_ms'] > 2600, PATIENCE,
                   'the silence is seen')
        assert 'rooms' in ask_json(one, 'room', 'list')
    finally:
        os.kill(frozen, signal.SIGCONT)


async def quiet(daemon):
    """The counters, once nothing has been sent for a second: lists of users follow at intervals."""
    last = [None, 0]

    async def is_quiet():
        now = counters(await ask_async(daemon, 'metrics'))
        sends = now['roomd_sends_total']
        if last[0] != sends:
            last[:] = [sends, asyncio.get_running_loop().time()]
        return asyncio.get_running_loop().time() - last[1] > 1 and now
    return await eventually(is_quiet, 'nothing is sent any more', 60)


async def test_s1_60_a_message_is_encoded_once_per_dialect_and_worker(start_daemon):
    one = start_daemon(settings={'websocket.ping_interval': '1h', 'http.keepalive_timeout': '1h'})
    receivers, messages = 50, 3
    async with Http(one) as http:
        room = (await http.new_room())['id']
    raw = [await RoomSocket.enter(one, room, f'raw {n}', n % 2) for n in range(receivers)]
    native = [await NativeSocket.hello(one, f'native {n}', n % 2) for n in range(receivers)]
    for each in native:
        await each.sub(room)
    for n in range(messages):
        before = await quiet(one)
        await native[0].say(room, f'message {n}')
        await asyncio.gather(*(each.wait_messages(n + 1) for each in raw))
        await asyncio.gather(*(each.wait(lambda frames: any(f'message {n}' in json.dumps(frame)
                                                            for frame in frames if frame.get('op') == 'ev'))
                               for each in native))
        after = await quiet(one)
        change = {name: after[name] - before[name] for name in after}
        encodes = {name: count for name, count in change.items() if name.startswith('roomd_encodes_total')}
        assert encodes['roomd_encodes_total{dialect="raw"}'] in (1, 2), encodes
        assert encodes['roomd_encodes_total{dialect="native"}'] in (1, 2), encodes
        assert sum(encodes.values()) <= 4
        assert change['roomd_deliveries_total'] == 2 * receivers
        # each receiver once, and the sender's acknowledgement
        assert change['roomd_sends_total'] <= 2 * receivers + 1
        assert change['roomd_messages_total'] == 1
    for each in raw + native:
        await each.close()


def test_metrics_are_what_the_table_declares(daemon):
    text = ask(daemon, 'metrics')
    declared = {row['name'] for row in json.loads(run_roomd('--describe', 'metrics').stdout)}
    assert {re.match(r'\w+', name)[0] for name in counters(text)} == declared
    assert text.endswith('\n')


# ---------------------------------------------------------------- reload, stop, log level


def test_reload_says_what_it_did(start_daemon):
    one = start_daemon()
    assert ask(one, 'reload') == 'nothing has changed\n'
    write_settings(one.conf, dict(one.settings, **{'chat.message_max': 10, 'server.workers': 5}))
    lines = [re.split('  +', line) for line in ask(one, 'reload').splitlines()]
    assert lines == [['applied', 'chat.message_max'], ['needs restart', 'server.workers']]
    write_settings(one.conf, dict(one.settings, **{'chat.message_max': 20}))
    answer = ask_json(one, 'reload')
    assert answer == {'ok': True, 'applied': ['chat.message_max'], 'restart': [], 'faults': []}
    assert counters(ask(one, 'metrics'))['roomd_reloads_total'] == 3


def test_a_reload_of_a_bad_file_fails_and_names_the_faults(start_daemon):
    one = start_daemon()
    one.expected_errors += ['fault']
    write_settings(one.conf, dict(one.settings, **{'chat.message_max': 'many', 'chat.nonsense': 1}))
    done = roomctl('-c', one.conf, 'reload')
    assert done.returncode == EX_CONFIG
    assert 'chat.message_max' in done.stdout and 'chat.nonsense' in done.stdout
    assert len(done.stdout.splitlines()) == 3
    done = roomctl('-c', one.conf, '--json', 'reload')
    assert done.returncode == EX_CONFIG
    assert json.loads(done.stdout)['ok'] is False and len(json.loads(done.stdout)['faults']) == 2
    assert one.answers()


def test_stop_stops(start_daemon):
    one = start_daemon()
    assert ask(one, 'stop') == 'stopping\n'
    assert one.process.wait(PATIENCE) == 0
    assert not one.control.exists()
    done = roomctl('-c', one.conf, 'status')
    assert done.returncode == EX_UNAVAILABLE and str(one.control) in done.stderr


def test_log_level_reaches_the_workers(start_daemon):
    one = start_daemon()
    assert ask(one, 'log-level', 'debug').split() == ['log', 'level', 'debug']
    one.wait_log('"settings switched"')
    assert ask(one, 'reload').split() == ['applied', 'log.level']
    done = roomctl('-c', one.conf, 'log-level', 'loud')
    assert done.returncode == EX_UNAVAILABLE and 'log level' in done.stderr


async def everywhere(http, path, workers=2):
    """One request to each worker; [(body, headers)]."""
    found = {}
    while len(found) < workers:
        _, body, headers = await http.ask('GET', path, headers={'Connection': 'close'})
        found[headers['X-Roomd-Worker']] = body, headers
    return found.values()


async def test_s0_61_one_line_per_event_and_the_level_is_settable_at_run_time(start_daemon):
    """S0-61: by the operator's command and by a reload, in every worker, without a restart. Seen red with the workers
    keeping the level that they started with."""
    one = start_daemon(settings={'log.level': 'notice'})

    def logged():
        return [line for line in one.log_lines() if line.get('request')]

    async def refused(http):
        return {headers['X-Request-Id'] for _, headers in await everywhere(http, '/api/v1/users/me')}

    async def has_name_max(http, number):
        return all(body['name'] == number for body, _ in await everywhere(http, '/api/v1/limits'))

    async with Http(one) as http:
        quiet = await refused(http)
        await ask_async(one, 'log-level', 'info')
        await eventually(lambda: sum(line.get('text') == 'settings switched' for line in one.log_lines()) >= 2, 'info')
        loud = await refused(http)
        one.reload(**{'log.level': 'warn', 'chat.name_max': 50})
        await eventually(lambda: has_name_max(http, 50), 'warn')
        quiet |= await refused(http)
        await asyncio.to_thread(one.switch, **{'log.level': 'debug'})
        loud |= await refused(http)
        await eventually(lambda: loud <= {line['request'] for line in logged()}, 'lines')
        ids = [line['request'] for line in logged()]
        assert not quiet & set(ids), 'below the level'
        assert len(quiet) == len(loud) == 4 and all(ids.count(request) == 1 for request in loud), 'one line for each'
        line = next(line for line in logged() if line['request'] in loud)
        assert (line['level'], line['method'], line['route'], line['status']) == ('info', 'GET', '/api/v1/users/me', 401)
        await asyncio.to_thread(one.switch, **{'log.requests': 'all'})
        # red with the method of the route: GET, and nothing where there is no route
        for method, path, status in (('HEAD', '/', 200), ('DELETE', '/nowhere', 404)):
            answered, _, headers = await http.ask(method, path)
            asked = headers['X-Request-Id']
            assert answered == status
            await eventually(lambda: asked in {line['request'] for line in logged()}, 'the line')
            assert [line['method'] for line in logged() if line['request'] == asked] == [method]


# ---------------------------------------------------------------- the socket


def test_a_line_of_20000_bytes_is_refused(daemon):
    link = connect(daemon)
    link.sendall(b'x' * 20000 + b'\n')
    assert 'error' in json.loads(read_to_end(link))
    link = connect(daemon)
    link.sendall(b'x' * 20000)
    link.shutdown(socket.SHUT_WR)
    assert 'error' in json.loads(read_to_end(link))
    assert ask(daemon, 'status')


@pytest.mark.parametrize('line', [b'\n', b' \n', b'\0\n', b'room show 1\x1b\n', b'room show\n', b'room show x\n',
                                  b'room show 1 2\n', b'ctl room list\n', b'settings\n', b'drain\n',
                                  b'status status\n', b'\xff\xfe\n', b'metricsx\n'])
def test_a_strange_line_is_answered_with_an_error(daemon, line):
    link = connect(daemon)
    link.sendall(line)
    answer = read_to_end(link)
    assert answer.endswith(b'\n') and list(json.loads(answer)) == ['error']
    assert ask_json(daemon, 'status')['state'] == 'running'


def test_a_line_may_come_in_pieces(daemon):
    link = connect(daemon)
    for piece in (b'roo', b'm li', b'st\r', b'\n'):
        link.sendall(piece)
    assert 'rooms' in json.loads(read_to_end(link))


def test_idle_clients_are_dropped_and_harm_nobody(start_daemon):
    one = start_daemon()
    idle = [connect(one) for _ in range(20)]
    assert ask(one, 'status') and ask(one, 'room', 'list')
    for link in idle:
        assert read_to_end(link) == b''


def test_too_many_clients_are_told(start_daemon):
    one = start_daemon()
    links = [connect(one) for _ in range(40)]
    answers = [read_to_end(link) for link in reversed(links)]
    refused = [answer for answer in answers if answer]
    assert len(refused) == 8 and all('too many' in json.loads(answer)['error'] for answer in refused)
    assert ask(one, 'status')


def test_clients_that_go_away_leave_no_descriptors(start_daemon):
    one = start_daemon()
    ask(one, 'metrics')

    def count():
        return [len(os.listdir(f'/proc/{pid}/fd')) for pid in (one.pid, *one.worker_pids().values())]
    before = count()
    for _ in range(100):
        for line in (b'', b'room list\n', b'status\n', b'metr'):
            with connect(one) as link:
                link.sendall(line)
    wait_until(lambda: count() == before, PATIENCE, 'all descriptors are closed')


@pytest.mark.parametrize('mode', ['0600', '0660', '0666'])
def test_the_socket_has_its_mode(start_daemon, mode):
    one = start_daemon(settings={'control.socket_mode': mode})
    status = one.control.stat()
    assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == int(mode, 8)


@pytest.mark.skipif(os.geteuid() != 0, reason='needs another user')
def test_who_may_not_write_to_the_socket_may_not_ask(start_daemon):
    one = start_daemon()
    one.dir.chmod(0o755)
    done = subprocess.run(['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups', CTL, '-s', one.control,
                           'status'], capture_output=True, text=True, check=False, cwd='/')
    assert done.returncode == EX_NOPERM, done


def test_a_stale_socket_is_replaced(start_daemon):
    one = start_daemon()
    one.kill()
    assert one.control.exists()
    assert roomctl('-s', one.control, 'status').returncode == EX_UNAVAILABLE
    one.start()
    assert ask_json(one, 'status')['pid'] == one.pid
    assert one.stop() == 0
    assert not one.control.exists()


def test_two_daemons_on_one_socket_are_refused(start_daemon):
    one = start_daemon()
    second = start_daemon(wait=False, settings={'control.socket': one.control})
    second.expected_errors.append('.')
    assert second.process.wait(PATIENCE) != 0
    assert str(one.control) in second.log_tail() and 'another daemon' in second.log_tail()
    second.process = None
    assert ask_json(one, 'status')['pid'] == one.pid


def test_what_is_no_socket_is_left_alone(start_daemon, tmp_path):
    path = tmp_path / 'file'
    path.write_text('precious')
    one = start_daemon(wait=False, settings={'control.socket': path})
    one.expected_errors.append('.')
    assert one.process.wait(PATIENCE) != 0
    assert path.read_text() == 'precious'
    one.process = None


@pytest.mark.skipif(os.path.exists('/run/roomd'), reason='a roomd is installed here')
def test_in_the_foreground_the_default_path_may_be_unusable(start_daemon):
    one = start_daemon(settings={'control.socket': '/run/roomd/control.sock'})
    line = one.wait_log('no control socket')
    assert line['level'] == 'warn' and line['path'] == '/run/roomd/control.sock'


def test_no_socket_when_the_setting_is_empty(start_daemon):
    one = start_daemon(settings={'control.socket': ''})
    assert not one.control.exists()
    done = roomctl('-c', one.conf, 'status')
    assert done.returncode == EX_UNAVAILABLE and 'control.socket' in done.stderr


# ---------------------------------------------------------------- the database


@pytest.fixture
def empty(postgres):
    """The connection string of a database that does not exist yet."""
    name = 'not yet "made"'
    yield postgres.url(f"'{name}'")
    with postgres.connect('postgres') as connection:
        connection.execute('drop database if exists "not yet ""made"""')


def init(url, *words):
    return roomctl('-o', f'database.url={url}', *words)


def test_s1_27_init_db_twice(start_daemon, postgres):
    database = postgres.new_database()
    url = postgres.url(database)
    first = init(url, 'init-db')
    assert first.returncode == 0, first
    assert ': applied\n' in first.stdout and 'up to date' in first.stdout
    assert 'nothing was changed' not in first.stdout

    def content():
        with postgres.connect(database) as connection:
            return connection.execute('select * from schema_migrations order by 1').fetchall(), \
                connection.execute('select oid, relname, relfilenode from pg_class order by 1').fetchall()
    before = content()
    second = init(url, 'init-db')
    assert second.returncode == 0
    assert ': applied' not in second.stdout and second.stdout.endswith('nothing was changed\n')
    assert content() == before
    one = start_daemon(database=database, settings={'database.migrate': 'check'})
    assert ask_json(one, 'status')['database']['schema'] == 'up to date'
    assert one.stop() == 0
    postgres.drop_database(database)


def test_init_db_makes_the_database_itself(empty):
    checked = init(empty, 'migrate', '--check')
    assert checked.returncode == EX_UNAVAILABLE
    assert init(empty, 'migrate').returncode == EX_UNAVAILABLE
    first = init(empty, 'init-db')
    assert first.returncode == 0, first
    assert first.stdout.startswith('database not yet "made": created\n')
    second = init(empty, '--json', 'init-db')
    assert second.returncode == 0 and json.loads(second.stdout)['changed'] is False


def test_init_db_says_when_the_role_may_not(postgres):
    with postgres.connect('postgres') as connection:
        connection.execute('create role modest login')
    url = f'host={postgres.dir} user=modest dbname=never_made'
    done = init(url, 'init-db')
    assert done.returncode == EX_NOPERM and 'permission denied' in done.stderr, done
    with postgres.connect('postgres') as connection:
        assert not connection.execute("select from pg_database where datname = 'never_made'").fetchall()
        connection.execute('drop role modest')


def test_init_db_without_a_server(tmp_path):
    done = init(f'host={tmp_path} dbname=x password=hush', 'init-db')
    assert done.returncode == EX_UNAVAILABLE
    assert 'connect' in done.stderr and 'hush' not in done.stderr


def test_migrate_and_its_check(postgres):
    database = postgres.new_database()
    url = postgres.url(database)
    missing = init(url, 'migrate', '--check')
    assert missing.returncode == EX_TEMPFAIL and ': missing\n' in missing.stderr
    with postgres.connect(database) as connection:
        assert not connection.execute("select from pg_tables where schemaname = 'public'").fetchall()
    assert init(url, 'migrate').returncode == 0
    assert init(url, 'migrate', '--check').returncode == 0
    with postgres.connect(database) as connection:
        connection.execute("update schema_migrations set checksum = 'other' where version = 1")
    changed = init(url, 'migrate', '--check')
    assert changed.returncode == EX_DATAERR
    assert '0001_schema.sql' in changed.stderr and 'to do: ' in changed.stderr, changed
    assert 'shared memory' not in changed.stderr
    with postgres.connect(database) as connection:
        connection.execute("insert into schema_migrations values (9999, 'later', 'x')")
    newer = init(url, 'migrate', '--check')
    assert newer.returncode == EX_DATAERR
    assert '9999 later: of a newer program' in newer.stderr and 'to do: ' in newer.stderr, newer
    one = Daemon(url, name='test_roomctl.newer')
    try:
        one.start(wait=False)
        one.expected_errors += ['newer program', 'to do: ']
        one.was_killed = True  # by itself
        assert one.process.wait(PATIENCE) == 1
        one.wait_log('the database is a newer program')
    finally:
        one.close()
    postgres.drop_database(database)


async def test_c5_verify_recounts_unread_and_the_log(daemon, rows):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    alice = await NativeSocket.hello(daemon, 'Alice verifies')
    await alice.sub(room)
    for number in range(3):
        await alice.say(room, f'text {number}')
    await alice.close()
    for what in ('unread', 'log', 'all', ''):
        said = await ask_async(daemon, 'verify', *what.split())
        names = ['log', 'unread'] if what in ('all', '') else [what]
        assert said == ''.join(f'{name}: 0 differences\n' for name in names)
    assert await asyncio.to_thread(ask_json, daemon, 'verify') == {'ok': True, 'differences': []}
    rows('delete from events where conversation_id = %s and rev = 2 returning rev', room)
    try:
        done = await asyncio.to_thread(roomctl, '-c', daemon.conf, 'verify', 'log')
        assert done.returncode == 1
        assert f'log: conversation {room} rev 3' in done.stdout, done
        assert not done.stdout.endswith('log: 0 differences\n')
        found = json.loads((await asyncio.to_thread(roomctl, '-c', daemon.conf, '--json', 'verify')).stdout)
        assert not found['ok'] and {one['conversation'] for one in found['differences']} == {room}
    finally:
        rows('delete from events where conversation_id = %s returning rev', room)
        rows('update conversations set base_rev = 3, base_seq = 3 where id = %s returning id', room)


def test_verify_refuses_other_words_and_says_when_there_is_no_database(daemon, tmp_path):
    assert roomctl('-c', daemon.conf, 'verify', 'everything').returncode == EX_USAGE
    done = roomctl('-c', daemon.conf, '-o', f'database.url=host={tmp_path} dbname=x password=hush', 'verify')
    assert done.returncode == EX_UNAVAILABLE
    assert 'connect' in done.stderr and 'hush' not in done.stderr


def test_check_does_what_roomd_t_does(daemon, tmp_path):
    ours, theirs = roomctl('-c', daemon.conf, 'check'), run_roomd('-t', '-c', daemon.conf)
    assert ours.returncode == theirs.returncode == 0
    assert ours.stdout == theirs.stdout == 'configuration ok\n'
    assert ours.stderr == theirs.stderr  # where people have signed in: that all of them came from one address
    bad = tmp_path / 'bad.conf'
    write_settings(bad, dict(daemon.settings, **{'server.workers': 'many'}))
    ours, theirs = roomctl('-c', bad, 'check'), run_roomd('-t', '-c', bad)
    assert ours.returncode == theirs.returncode == EX_CONFIG
    assert ours.stderr == theirs.stderr and 'server.workers' in ours.stderr


# ---------------------------------------------------------------- the command and its papers


def commands():
    """The commands that the help names: words without the argument."""
    text = roomctl('help').stdout.split('\n\n')[1]
    return [re.match(r'  ([a-z -]+?)(?: \[?[A-Z]+\]?)?  ', line)[1].strip() for line in text.splitlines()]


def test_version_and_help():
    assert roomctl('version').stdout == roomctl('--version').stdout
    assert roomctl('version').stdout.split()[1] == run_roomd('--version').stdout.split()[1]
    assert roomctl('help').stdout == roomctl('--help').stdout
    assert {'status', 'room list', 'room show', 'init-db'} <= set(commands())


def test_the_manual_page_has_every_command():
    page = (TOP / 'man/roomctl.1.in').read_text()
    for command in commands():
        words = command.replace('-', '\\-?-')
        assert re.search(rf'^\.It Cm {words}\b', page, re.M), command


def test_the_completion_knows_every_word():
    script = TOP / 'daemon/roomctl.bash'

    def complete(*words):
        line = ' '.join(f"'{word}'" for word in ('roomctl', *words))
        done = subprocess.run(['bash', '-c', f'. {script}; COMP_WORDS=({line}); COMP_CWORD={len(words)}; _roomctl; '
                               'printf "%s\\n" "${COMPREPLY[@]}"'], capture_output=True, text=True, check=True)
        return done.stdout.split()
    assert set(complete('')) == {command.split()[0] for command in commands()}
    assert set(complete('room', '')) == {command.split()[1] for command in commands() if command[:5] == 'room '}
    assert complete('migrate', '--ch') == ['--check']
