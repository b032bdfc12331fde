# SPDX-License-Identifier: MIT
"""Accounts by the operator's command.

Seen red: with a command that takes the password's line end along, one that leaves sessions alone when
it disables, one that shows all of the row, and one that leaves the terminal's echo on.
"""
import asyncio
import ctypes
import json
import os
import pty
import re
import select
import subprocess
import termios
import time

import pytest

from roomd_clients import Socket
from roomd_harness import CTL, PATIENCE, SECOND, TOP, clean_environment
from roomd_people import People, bearer, claims_of, totp

DAEMON = {'settings': {'auth.hash_memory': '8K'}, 'workers': 2}
EX_USAGE, EX_DATAERR, EX_NOUSER, EX_UNAVAILABLE, EX_CANTCREAT, EX_CONFIG = 64, 65, 67, 69, 73, 78
ARGON2_VERIFY_MISMATCH = -35
PASSWORD = 'correct horse \u2713 battery'


@pytest.fixture(scope='module')
def ctl(postgres, database):
    """A function that runs the command on a database with the schema."""
    url = postgres.url(database)

    def run(*words, stdin='', options=()):
        return subprocess.run([CTL, '-o', f'database.url={url}', '-o', 'auth.hash_memory=8K', *options, *words],
                              env=clean_environment(), timeout=60, input=stdin, capture_output=True, text=True,
                              check=False)
    assert run('migrate').returncode == 0
    run.url = url
    return run


@pytest.fixture
def rows(postgres, database):
    def query(text, *values):
        with postgres.connect(database) as connection:
            return connection.execute(text, values).fetchall()
    return query


def ok(done):
    assert done.returncode == 0 and done.stderr == '', done
    return done.stdout


def add(ctl, name, *options, password=PASSWORD):
    ok(ctl('user', 'add', *options, name, stdin=password + '\n'))


def hash_of(rows, name):
    return rows('select password_hash from users where username = %s', name)[0][0]


def verify(stored, password):
    """Whether libargon2 itself finds that STORED is a hash of PASSWORD."""
    found = ctypes.CDLL('libargon2.so.1').argon2id_verify(stored.encode(), password.encode(), len(password.encode()))
    assert found in (0, ARGON2_VERIFY_MISMATCH), (stored, found)
    return found == 0


def begin_session(rows, name):
    return str(rows("insert into sessions (user_id, kind, device, address, expires_at)"
                    " select id, 'cookie', 'Browser', '192.0.2.9', now() + interval '7 days' from users"
                    " where username = %s returning id", name)[0][0])


# ---------------------------------------------------------------- add


def test_an_account_is_added(ctl, rows):
    said = ok(ctl('user', 'add', '--email', 'Ann@Example.org', '--full-name', 'Ann O.', '--admin', 'ann',
                  stdin=PASSWORD + '\nnot this line\n'))
    assert said == 'ann: added\n'
    row = rows('select kind, username, name, email, full_name, is_admin from users where username = %s', 'ann')
    assert row == [('account', 'ann', 'ann', 'Ann@Example.org', 'Ann O.', True)]
    assert re.match(r'\$argon2id\$v=19\$m=8,t=2,p=1\$', hash_of(rows, 'ann'))
    assert rows("select actor_id, action from audit where target_user_id ="
                " (select id from users where username = 'ann')") == [(0, 'account.create')]


def test_the_hash_is_of_the_password_without_its_line_end(ctl, rows):
    add(ctl, 'hasher')
    stored = hash_of(rows, 'hasher')
    assert verify(stored, PASSWORD)
    assert not verify(stored, PASSWORD + '\n')
    ok(ctl('user', 'add', 'no end', stdin=PASSWORD))
    assert verify(hash_of(rows, 'no end'), PASSWORD)


@pytest.mark.parametrize('options, name, stdin, code', [
    ((), 'ANN2', PASSWORD, EX_CANTCREAT),
    (('--email', 'ANN2@example.ORG'), 'another', PASSWORD, EX_CANTCREAT),
    ((), 'x@y', PASSWORD, EX_DATAERR),
    ((), ' ', PASSWORD, EX_DATAERR),
    ((), 'x\u202ey', PASSWORD, EX_DATAERR),
    (('--email', 'nobody'), 'short', PASSWORD, EX_DATAERR),
    (('--email', 'a b@example.org'), 'short', PASSWORD, EX_DATAERR),
    ((), 'short', 'seven77', EX_DATAERR),
    ((), 'short', '', EX_DATAERR),
    ((), 'short', 'x' * 1025, EX_DATAERR),
    ((), 'short', 'a\0bcdefghij', EX_DATAERR),
])
def test_what_cannot_be_an_account(ctl, rows, options, name, stdin, code):
    if not rows("select from users where username = 'ann2'"):
        add(ctl, 'ann2', '--email', 'ann2@example.org')
    before = rows('select count(*) from users')
    done = ctl('user', 'add', *options, name, stdin=stdin)
    assert done.returncode == code, done
    assert done.stderr.startswith('roomctl: ') and done.stdout == ''
    assert rows('select count(*) from users') == before
    failed = json.loads(ctl('--json', 'user', 'add', *options, name, stdin=stdin).stdout)
    assert failed['ok'] is False and failed['error']


def test_the_shortest_password_is_a_setting(ctl):
    assert ctl('user', 'add', 'brief', stdin='123', options=['-o', 'auth.password_min=4']).returncode == EX_DATAERR
    ok(ctl('user', 'add', 'brief', stdin='1234', options=['-o', 'auth.password_min=4']))


# ---------------------------------------------------------------- the rest


def test_a_password_is_set_and_ends_sessions(ctl, rows):
    add(ctl, 'bob', '--email', 'bob@example.org')
    begin_session(rows, 'bob')
    begin_session(rows, 'bob')
    old = hash_of(rows, 'bob')
    assert ok(ctl('user', 'passwd', 'BOB', stdin='quite another one\n')) == \
        'BOB: password set, 2 sessions ended\n'
    assert hash_of(rows, 'bob') != old and verify(hash_of(rows, 'bob'), 'quite another one')
    assert ok(ctl('user', 'passwd', 'bob@EXAMPLE.org', stdin='and a third one\n')) == \
        'bob@EXAMPLE.org: password set\n'
    assert rows("select action, actor_id from audit where action = 'password.change'") == \
        [('password.change', 0)] * 2


def test_no_such_account(ctl):
    for words in (('passwd',), ('show',), ('disable',), ('enable',), ('admin',), ('sessions',), ('totp-off',)):
        done = ctl('user', *words, 'nobody', stdin=PASSWORD)
        assert done.returncode == EX_NOUSER and '"nobody"' in done.stderr, done


def test_disabled_is_shut_out_until_enabled(ctl, rows):
    add(ctl, 'carl')
    begin_session(rows, 'carl')
    assert ok(ctl('user', 'disable', 'carl')) == 'carl: disabled, 1 session ended\n'
    assert rows("select disabled_at is not null from users where username = 'carl'") == [(True,)]
    assert rows("select count(*) from sessions s join users u on u.id = s.user_id"
                " where u.username = 'carl' and s.revoked_at is null") == [(0,)]
    assert 'state      disabled' in ok(ctl('user', 'show', 'carl'))
    assert ok(ctl('user', 'disable', 'carl')) == 'carl: disabled\n'
    assert ok(ctl('user', 'enable', 'carl')) == 'carl: enabled\n'
    assert 'state      active' in ok(ctl('user', 'show', 'carl'))


def test_administrators_are_made_and_unmade(ctl, rows):
    add(ctl, 'dora')
    begin_session(rows, 'dora')
    assert ok(ctl('user', 'admin', 'dora')) == 'dora: administrator\n'
    assert 'role       admin' in ok(ctl('user', 'show', 'dora'))
    assert ok(ctl('user', 'admin', '--off', 'dora')) == 'dora: no administrator, 1 session ended\n'
    assert rows("select is_admin from users where username = 'dora'") == [(False,)]


def test_sessions_are_listed_and_ended(ctl, rows):
    add(ctl, 'eve')
    session = begin_session(rows, 'eve')
    lines = ok(ctl('user', 'sessions', 'eve')).splitlines()
    assert lines[0].split() == ['SESSION', 'KIND', 'ADDRESS', 'CONNECTED', 'LAST', 'SEEN', 'DEVICE']
    assert lines[1].split()[:3] == [session, 'cookie', '192.0.2.9'] and lines[1].endswith('Browser')
    answer = json.loads(ok(ctl('--json', 'user', 'sessions', 'eve')))
    assert [one['id'] for one in answer['sessions']] == [session]
    assert ok(ctl('user', 'sessions', '--end', 'eve')) == 'eve: sessions ended, 1 session ended\n'
    assert json.loads(ok(ctl('--json', 'user', 'sessions', 'eve')))['sessions'] == []
    assert rows("select actor_id from audit where action = 'session.end' and target_user_id ="
                " (select id from users where username = 'eve')") == [(0,)]


def test_a_lost_second_factor_is_removed(ctl, rows):
    add(ctl, 'fay')
    assert ctl('user', 'totp-off', 'fay').returncode == EX_NOUSER
    rows("insert into totp_secrets (user_id, sealed, confirmed_at)"
         " select id, 'x', now() from users where username = 'fay' returning user_id")
    rows("insert into recovery_codes (user_id, code_hash)"
         " select id, 'y' from users where username = 'fay' returning user_id")
    assert 'totp       on' in ok(ctl('user', 'show', 'fay'))
    assert ok(ctl('user', 'totp-off', 'fay')) == 'fay: second factor removed\n'
    assert rows('select count(*) from totp_secrets t join users u on u.id = t.user_id'
                " where u.username = 'fay'") == [(0,)]
    assert 'totp       off' in ok(ctl('user', 'show', 'fay'))


def test_all_accounts_are_listed(ctl, rows):
    add(ctl, 'gus', '--email', 'gus@example.org')
    begin_session(rows, 'gus')
    rows("insert into users (kind, username, name)"
         " select 'account', 'many' || n, 'many' || n from generate_series(1, 1100) n returning id")
    rows("insert into users (kind, name) values ('guest', 'only a guest') returning id")
    users = json.loads(ok(ctl('--json', 'user', 'list')))['users']
    assert [one['id'] for one in users] == [row[0] for row in rows("select id from users where kind = 'account'"
                                                                   " order by id")]
    lines = ok(ctl('user', 'list')).splitlines()
    assert len(lines) == len(users) + 1
    assert lines[0].split() == ['ID', 'NAME', 'ROLE', 'TOTP', 'STATE', 'SESSIONS', 'LAST', 'SEEN', 'EMAIL']
    found = next(line for line in lines if ' gus ' in line)
    assert found.split()[2:6] == ['user', 'off', 'active', '1'] and found.endswith('gus@example.org')


def test_s2_13_a_hash_is_in_no_answer(ctl, rows):
    add(ctl, 'hal')
    secret = hash_of(rows, 'hal').rpartition('$')[2]
    for words in (('list',), ('show', 'hal'), ('sessions', 'hal')):
        for form in ((), ('--json',)):
            said = ok(ctl(*form, 'user', *words))
            assert secret not in said and 'argon2' not in said


def test_a_name_cannot_steer_the_terminal(ctl, rows):
    rows("insert into users (kind, username, name, full_name) values ('account', %s, 'z', %s) returning id",
         'z\x1b[2J\x9b', 'a\nb')
    for words in (('list',), ('show', 'z\x1b[2J\x9b')):
        assert not re.search('[\x00-\x09\x0b-\x1f\x7f-\x9f]', ok(ctl('user', *words)))


# ---------------------------------------------------------------- the terminal


def at_terminal(ctl, words, typed):
    """Types TYPED, one line per prompt, at a terminal of its own. (exit code, what was shown)"""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(CTL, [str(CTL), '-o', f'database.url={ctl.url}', '-o', 'auth.hash_memory=8K', *words],
                  clean_environment())
    shown, rest, end = b'', list(typed), time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            part = os.read(terminal, 4096)
        except OSError:
            break
        if not part:
            break
        shown += part
        if rest and shown.endswith(b': '):
            assert not termios.tcgetattr(terminal)[3] & termios.ECHO
            os.write(terminal, rest.pop(0).encode() + b'\n')
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(terminal)
    return code, shown.decode()


def test_a_terminal_shows_no_password(ctl, rows):
    code, shown = at_terminal(ctl, ['user', 'add', 'ida'], ['hidden secret', 'hidden secret'])
    assert code == 0 and 'ida: added' in shown, shown
    assert 'hidden' not in shown and 'New password of ida: ' in shown
    assert verify(hash_of(rows, 'ida'), 'hidden secret')


def test_two_different_passwords_set_none(ctl, rows):
    add(ctl, 'joe')
    old = hash_of(rows, 'joe')
    code, shown = at_terminal(ctl, ['user', 'passwd', 'joe'], ['hidden secret', 'hidden secrets'])
    assert code == EX_DATAERR and 'different' in shown and 'hidden' not in shown
    assert hash_of(rows, 'joe') == old


# ---------------------------------------------------------------- beside a daemon


async def operator(ctl, *words, stdin=''):
    return ok(await asyncio.to_thread(ctl, *words, stdin=stdin))


async def signed_in(http, name, password=PASSWORD):
    status, body, _ = await http.login(name, password)
    assert status == 200, body
    return body['token']


async def sockets_of(daemon, token):
    """One on each worker."""
    sockets = [await Socket.open(daemon, '/ws', worker, subprotocols=['roomd.v1']) for worker in range(2)]
    for socket in sockets:
        await socket.send({'op': 'hello', 'id': 1, 'token': token})
        await socket.expect(op='welcome')
    return sockets


async def closed_within_a_second(sockets, since):
    for socket in sockets:
        assert (await socket.closed())[0] == 4401
    assert time.monotonic() - since < SECOND


async def test_s2_03_a_password_of_the_operator_signs_in(daemon, ctl):
    await operator(ctl, 'user', 'add', '--email', 'ken@example.org', 'ken', stdin=PASSWORD)
    async with People(daemon) as http:
        token = await signed_in(http, 'KEN')
        sockets = await sockets_of(daemon, token)
        await operator(ctl, 'user', 'passwd', 'ken@example.org', stdin='another password')
        await closed_within_a_second(sockets, time.monotonic())
        assert (await http.me(token))[0] == 401
        assert (await http.login('ken', PASSWORD))[0] == 401
        await signed_in(http, 'ken', 'another password')


async def test_c13_who_is_disabled_is_out_within_a_second(daemon, ctl):
    await operator(ctl, 'user', 'add', 'lea', stdin=PASSWORD)
    async with People(daemon) as http:
        sockets = await sockets_of(daemon, await signed_in(http, 'lea'))
        await operator(ctl, 'user', 'disable', 'lea')
        await closed_within_a_second(sockets, time.monotonic())
        assert (await http.login('lea', PASSWORD))[0] in (401, 403)
        await operator(ctl, 'user', 'enable', 'lea')
        token = await signed_in(http, 'lea')
        assert (await http.me(token))[0] == 200
        sockets = await sockets_of(daemon, token)
        await operator(ctl, 'user', 'sessions', '--end', 'lea')
        await closed_within_a_second(sockets, time.monotonic())


async def test_who_is_no_longer_administrator_holds_no_token_that_says_so(daemon, ctl):
    await operator(ctl, 'user', 'add', '--admin', 'mia', stdin=PASSWORD)
    async with People(daemon) as http:
        token = await signed_in(http, 'mia')
        assert claims_of(token)['adm'] is True
        sockets = await sockets_of(daemon, token)
        await operator(ctl, 'user', 'admin', '--off', 'mia')
        await closed_within_a_second(sockets, time.monotonic())
        assert (await http.me(token))[0] == 401
        assert not claims_of(await signed_in(http, 'mia')).get('adm')


async def test_failed_logins_are_forgotten(start_daemon, ctl, postgres, database, tmp_path):
    one = start_daemon(database=database, settings={**DAEMON['settings'], 'limits.logins_account': '2/15m'})
    await operator(ctl, 'user', 'add', 'olaf', stdin=PASSWORD)
    async with People(one) as http:
        assert [(await http.login('olaf', 'wrong'))[0] for _ in range(3)] == [401, 401, 429]
        assert (await http.login('olaf', PASSWORD))[0] == 429
        assert await operator(ctl, '-s', str(one.control), 'user', 'unlock', 'olaf') == \
            'olaf: failed logins forgotten\n'
        await signed_in(http, 'olaf')
    done = await asyncio.to_thread(ctl, '-s', str(tmp_path / 'nobody.sock'), 'user', 'unlock', 'olaf')
    assert done.returncode == EX_UNAVAILABLE and 'nobody.sock' in done.stderr, done


async def test_a_removed_factor_is_not_asked_for(daemon, ctl):
    await operator(ctl, 'user', 'add', 'nat', stdin=PASSWORD)
    async with People(daemon) as http:
        auth = bearer(await signed_in(http, 'nat'))
        drawn = (await http.ask('POST', '/api/v1/auth/totp/enroll', headers=auth))[1]
        status, body, _ = await http.ask('POST', '/api/v1/auth/totp/confirm', {'code': totp(drawn['secret'])},
                                         headers=auth)
        assert status in (200, 201), body
        assert (await http.login('nat', PASSWORD))[0] == 401
        await operator(ctl, 'user', 'totp-off', 'nat')
        await signed_in(http, 'nat')


# ---------------------------------------------------------------- what goes wrong


@pytest.mark.parametrize('words', [
    ('user',), ('user', 'add'), ('user', 'add', 'a', 'b'), ('user', 'list', 'x'), ('user', 'nothing'),
    ('user', 'show', '--admin', 'x'), ('user', 'list', '--end'), ('user', 'passwd', '--off', 'x'),
    ('user', 'add', 'a', '--check'), ('user', 'disable', '--email', 'a@b', 'x')])
def test_what_is_no_command_is_a_usage_error(ctl, words):
    done = ctl(*words, stdin=PASSWORD)
    assert done.returncode == EX_USAGE and done.stdout == '', done


def test_a_password_is_no_argument(ctl):
    assert ctl('user', 'passwd', 'ann', 'my new password').returncode == EX_USAGE
    assert ctl('user', 'passwd', '--password', 'x', 'ann').returncode == EX_USAGE
    assert '-password' not in (TOP / 'man/roomctl.1.in').read_text()


def test_without_a_database(ctl, tmp_path):
    url = f'host={tmp_path} dbname=x password=hush'
    done = subprocess.run([CTL, '-o', f'database.url={url}', 'user', 'list'], env=clean_environment(), timeout=60,
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == EX_UNAVAILABLE
    assert 'database' in done.stderr and 'hush' not in done.stderr


def test_without_the_schema(postgres):
    empty = postgres.new_database()
    done = subprocess.run([CTL, '-o', f'database.url={postgres.url(empty)}', 'user', 'list'],
                          env=clean_environment(), timeout=60, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, check=False)
    assert done.returncode == EX_UNAVAILABLE and 'migrate' in done.stderr, done
    postgres.drop_database(empty)
