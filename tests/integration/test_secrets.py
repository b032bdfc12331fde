# SPDX-License-Identifier: MIT
"""Secrets: where they come from, that nobody else sees them, what is refused, and how they change.

What tokens and cookies made with them are worth is tested in test_sessions.py.
"""
import asyncio
import json
import secrets
import subprocess

import pytest

from roomd_clients import eventually
from roomd_harness import BIN, CTL, clean_environment, run_roomd, session_of, write_settings
from roomd_people import People, header_of, kid_of

CHEAP = {'auth.hash_memory': '64k', 'auth.hash_passes': 1}
REFUSED = 78  # EX_CONFIG of sysexits.h


def new_key():
    return secrets.token_hex(32)


async def new_token(daemon):
    async with People(daemon) as http:
        return (await http.new_person())['token']


async def refused_by(daemon, token):
    """Of how many of 24 connections, which the workers share, the token is refused."""
    async def once():
        async with People(daemon) as http:
            return (await http.me(token))[0]
    answers = await asyncio.gather(*(once() for _ in range(24)))
    assert set(answers) <= {200, 401}
    return answers.count(401)


# ---------------------------------------------------------------- refused to start

WEAK = {
    'short': ('Zp3qVt9xKc7LmW2nRb8dYf4hJs6gTu1', 'at least 32 characters'),
    'one character': ('k' * 64, 'one character repeated'),
    'repeated': ('Zp3qVt9x' * 8, 'a short text repeated'),
    'few characters': ('abcabdacbbcadbcabdacdabcbdacbdabcdabdcab', 'at least 8 different characters'),
    'change me': ('please-change-me-4f9c2d17a6e85b30', 'a well-known text'),
    "jwt.io's": ('a-string-secret-at-least-256-bits-long', 'a well-known text'),
    "django's": ('django-insecure-7x(f$w1)k9@z2l#n8qpv', 'a well-known text'),
    'digits': ('0123456789abcdef0123456789abcdefg', 'a well-known text'),
}


@pytest.mark.parametrize('source', ['conf', 'file', 'environment', 'option', 'credential', 'previous'])
@pytest.mark.parametrize('weakness', WEAK)
def test_s0_38_a_weak_key_is_refused(tmp_path, weakness, source):
    """From every source alike, with the reason, and without the key. Red without setting_check_keys."""
    key, reason = WEAK[weakness]
    conf, file = tmp_path / 'roomd.conf', tmp_path / 'secret_key'
    settings, options, env = {'chat.name_max': 50}, [], {}
    file.write_text(key + '\n')
    if source == 'conf':
        settings['auth.secret_key'] = key
    elif source == 'file':
        settings['auth.secret_key_file'] = file
    elif source == 'environment':
        env['SECRET_KEY'] = key
    elif source == 'option':
        options = ['-o', f'auth.secret_key={key}']
    elif source == 'credential':
        env['CREDENTIALS_DIRECTORY'] = str(tmp_path)
    else:
        settings['auth.previous_keys'] = f'{new_key()} {key}'
    write_settings(conf, settings)
    done = run_roomd('-f', '-c', conf, *options, env=env)
    assert done.returncode == REFUSED
    assert reason in done.stderr and 'auth.' in done.stderr
    assert key not in done.stderr + done.stdout


@pytest.mark.parametrize('content, reason', [
    (None, 'No such file'), (b'', 'is empty'), (b'\n\n', 'is empty'), (b'one\ntwo\n', 'control characters'),
    (bytes(range(256)), 'control characters'), (b'x' * 70000, 'too large')])
def test_s0_38_a_key_file_that_is_none_is_refused(tmp_path, content, reason):
    file, conf = tmp_path / 'key', tmp_path / 'roomd.conf'
    if content is not None:
        file.write_bytes(content)
    write_settings(conf, {'auth.secret_key_file': file})
    done = run_roomd('-f', '-c', conf)
    assert done.returncode == REFUSED
    assert 'auth.secret_key_file' in done.stderr and reason in done.stderr


def test_s0_38_key_and_file_of_a_key_exclude_each_other(tmp_path):
    file, conf = tmp_path / 'key', tmp_path / 'roomd.conf'
    file.write_text(new_key())
    write_settings(conf, {'auth.secret_key': new_key(), 'auth.secret_key_file': file})
    done = run_roomd('-t', '-c', conf)
    assert done.returncode == REFUSED and 'set already by auth.secret_key' in done.stderr


def test_a_missing_directory_of_credentials_is_refused(tmp_path):
    done = run_roomd('-t', '-c', '/dev/null', env={'CREDENTIALS_DIRECTORY': str(tmp_path / 'gone')})
    assert done.returncode == REFUSED and 'CREDENTIALS_DIRECTORY' in done.stderr


def test_a_key_that_everybody_can_read_is_refused_in_production(tmp_path):
    """Seen red with a warning alone."""
    conf, file = tmp_path / 'roomd.conf', tmp_path / 'key'
    file.write_text(new_key())
    write_settings(conf, {'server.mode': 'production', 'auth.secret_key_file': file})
    file.chmod(0o644)
    done = run_roomd('-t', '-c', conf)
    assert done.returncode == REFUSED
    assert f'auth.secret_key_file: {file} may be read by everybody' in done.stderr and 'warning' not in done.stderr
    file.chmod(0o640)
    assert 'may be read by' not in run_roomd('-t', '-c', conf).stderr


# ---------------------------------------------------------------- hidden

def test_s3_21_no_secret_is_printed(tmp_path):
    """Neither by -T nor by -t, whatever it came from. Red when the rows are PLAIN."""
    keys = [new_key() for _ in range(4)]
    conf, credentials = tmp_path / 'roomd.conf', tmp_path / 'credentials'
    credentials.mkdir()
    (credentials / 'previous_keys').write_text(f'{keys[1]}\n{keys[2]}\n')
    (credentials / 'database_url').write_text('postgresql://u:hunter2@127.0.0.1:1/x')
    file = tmp_path / 'key'
    file.write_text(keys[0])
    file.chmod(0o644)
    write_settings(conf, {'server.mode': 'development', 'auth.secret_key_file': file})
    env = {'CREDENTIALS_DIRECTORY': str(credentials)}
    for action in ('-T', '-t'):
        done = run_roomd(action, '-c', conf, env=env)
        assert not [key for key in (*keys, 'hunter2') if key in done.stdout + done.stderr]
        assert f'warning: auth.secret_key_file: {file} may be read by everybody' in done.stderr
    file.chmod(0o600)
    done = run_roomd('-T', '-c', conf, '-o', f'auth.previous_keys={keys[3]}', env=env)
    assert keys[3] not in done.stdout + done.stderr
    assert 'may be read by' not in done.stderr
    for name in ('auth.secret_key', 'auth.previous_keys', 'database.url'):
        assert f'{name}=***\n' in done.stdout
    assert f'auth.secret_key_file={file}\n' in done.stdout


def views_of(one):
    """All that other users or an operator see of a running node: processes, log, control socket."""
    for pid in session_of(one.pid):
        for what in ('cmdline', 'environ', 'comm'):
            with open(f'/proc/{pid}/{what}', 'rb') as file:
                yield f'{what} of {pid}', file.read().decode(errors='replace')
    yield 'ps', subprocess.run(['ps', 'auxeww'], capture_output=True, text=True, check=True).stdout
    yield 'log', one.log_path.read_text()
    for words in (['status'], ['status', '--json'], ['metrics'], ['check']):
        done = subprocess.run([CTL, '-s', one.control, *words], env=clean_environment(), capture_output=True,
                              text=True, check=False)
        yield f'roomctl {words}', done.stdout + done.stderr


async def test_s3_21_no_secret_is_seen_from_outside(start_daemon):
    """Red when title_set leaves the environment where it was."""
    key, previous, later = new_key(), new_key(), new_key()
    one = start_daemon(env={'SECRET_KEY': key},
                       settings={**CHEAP, 'log.level': 'debug', 'auth.previous_keys': previous})
    token = await new_token(one)
    assert header_of(token)['kid'] == kid_of(key)
    before = one.log_length()
    one.reload(**{'auth.previous_keys': f'{previous} {later}'})
    one.wait_log('setting applied.*previous_keys', before)
    for where, text in views_of(one):
        assert not [one for one in (key, previous, later, token) if one in text], where


async def test_s3_21_options_vanish_from_the_process_list(start_daemon):
    """Secrets may come by -o: until the first title is set somebody may look, afterwards nobody sees."""
    key = new_key()
    one = start_daemon()
    assert one.stop() == 0
    with open(one.log_path, 'ab') as log:
        one.process = subprocess.Popen([BIN, '-f', '-c', one.conf, '-o', f'auth.secret_key={key}'], cwd='/',
                                       env=one.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                       start_new_session=True)
    one.wait_ready()
    for where, text in views_of(one):
        assert key not in text, where


# ---------------------------------------------------------------- sources

async def test_s0_38_the_key_comes_from_each_source_by_rank(start_daemon, tmp_path):
    """Environment over credential over the file's own; the id in a token tells which one it was."""
    of_file, of_credential, of_environment = new_key(), new_key(), new_key()
    file, credentials = tmp_path / 'key', tmp_path / 'credentials'
    file.write_text(of_file + '\n')
    credentials.mkdir()
    (credentials / 'secret_key').write_text(of_credential)
    settings = {**CHEAP, 'auth.secret_key_file': file}
    env = {}
    for key in (of_file, of_credential, of_environment):
        one = start_daemon(workers=1, settings=settings, env=env)
        assert header_of(await new_token(one))['kid'] == kid_of(key)
        assert not [line for line in one.log_lines() if 'one was drawn' in json.dumps(line)]
        if env:
            env = {**env, 'SECRET_KEY': of_environment}
        else:
            env = {'CREDENTIALS_DIRECTORY': str(credentials)}


def test_s3_21_the_database_url_comes_from_a_file(start_daemon, postgres, tmp_path):
    file = tmp_path / 'url'
    database = postgres.new_database()
    file.write_text(postgres.url(database) + '\n')
    one = start_daemon(database=database)
    assert one.stop() == 0
    del one.settings['database.url']
    one.settings['database.url_file'] = file
    one.start()
    assert one.stop() == 0
    postgres.drop_database(database)


async def test_s0_38_without_a_key_one_is_drawn(start_daemon):
    """All workers, replaced ones too, and reloads keep it; the next start knows nothing of it.

    Red when each worker draws its own, and when a reload draws another.
    """
    one = start_daemon(workers=2, settings=CHEAP)
    one.wait_log('auth.secret_key is not set')
    token = await new_token(one)
    assert await refused_by(one, token) == 0
    one.wait_replaced(1, one.kill_worker(1))
    before = one.log_length()
    one.reload(**{'chat.name_max': 60})
    one.wait_log('setting applied.*name_max', before)
    await eventually(lambda: len(one.worker_pids()) == 2, 'both workers are back')
    assert await refused_by(one, token) == 0
    assert not [line for line in list(one.log_lines())[before:] if 'secret_key' in json.dumps(line)]
    one.restart()
    assert await refused_by(one, token) == 24


# ---------------------------------------------------------------- rotation

async def test_s0_37_s3_16_a_reload_rotates_keys(start_daemon, tmp_path):
    """New tokens by the new key at once, old ones good while their key is listed; no process is replaced.

    Red when control.c forgets keyring_load.
    """
    first, second = new_key(), new_key()
    current, previous = tmp_path / 'key', tmp_path / 'previous'
    current.write_text(first)
    previous.write_text(new_key())
    one = start_daemon(workers=2, settings={**CHEAP, 'auth.secret_key_file': current,
                                            'auth.previous_keys_file': previous})
    pids = one.worker_pids()
    old = await new_token(one)
    assert header_of(old)['kid'] == kid_of(first)

    current.write_text(second)
    previous.write_text(f'{first}\n{new_key()}\n')
    before = one.log_length()
    one.reload()
    one.wait_log('setting applied.*secret_key', before)

    async def is_signed_by_both():
        kids = [header_of(await new_token(one))['kid'] for _ in range(8)]
        return set(kids) == {kid_of(second)}
    await eventually(is_signed_by_both, 'both workers sign with the new key')
    assert await refused_by(one, old) == 0
    new = await new_token(one)

    previous.write_text(new_key())
    one.reload()

    async def is_refused_by_both():
        return await refused_by(one, old) == 24
    await eventually(is_refused_by_both, 'no worker takes the old key')
    assert await refused_by(one, new) == 0
    assert one.worker_pids() == pids


@pytest.mark.parametrize('content', ['short', 'changeme' * 5, '', None])
async def test_a_faulty_reload_keeps_the_key(start_daemon, tmp_path, content):
    file = tmp_path / 'key'
    key = new_key()
    file.write_text(key)
    one = start_daemon(workers=1, settings={**CHEAP, 'auth.secret_key_file': file})
    token = await new_token(one)
    one.expected_errors += ['fault in the configuration', 'the configuration has faults']
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    before = one.log_length()
    one.reload()
    one.wait_log('the old one stays in force', before)
    assert await refused_by(one, token) == 0
    assert header_of(await new_token(one))['kid'] == kid_of(key)


async def test_the_algorithm_changes_by_reload(start_daemon):
    one = start_daemon(workers=1, settings={**CHEAP, 'auth.secret_key': new_key()})
    old = await new_token(one)
    assert header_of(old)['alg'] == 'HS256'
    before = one.log_length()
    one.reload(**{'auth.token_alg': 'EdDSA'})
    one.wait_log('setting applied.*token_alg', before)

    async def is_eddsa():
        return header_of(await new_token(one))['alg'] == 'EdDSA'
    await eventually(is_eddsa, 'tokens are signed by Ed25519')
    assert await refused_by(one, old) == 0
    assert await refused_by(one, await new_token(one)) == 0


# ---------------------------------------------------------------- the server's own tool

def open_cookie(text, *options, env=None):
    return subprocess.run([CTL, '-c', '/dev/null', *options, 'cookie'], input=text, env=clean_environment(**(env or {})),
                          capture_output=True, text=True, check=False)


async def test_s0_26_s0_37_a_cookie_is_read_by_the_server_s_own_tool(start_daemon):
    """By its keys, former ones too, and by no others; one bit changed, and there is nothing to read."""
    key, later = new_key(), new_key()
    one = start_daemon(workers=1, settings={**CHEAP, 'auth.secret_key': key})
    async with People(one) as http:
        made = await http.new_person()
        cookie = (await http.page_login(made['user']['username'])).value
    done = open_cookie(cookie + '\n', env={'SECRET_KEY': key})
    assert done.returncode == 0, done.stderr
    inside = json.loads(done.stdout)
    assert inside['name'] == made['user']['username'] and inside['guest'] is False
    assert inside['session_id'] and inside['user_id'] > 0 and inside['expires_at'].endswith('Z')
    assert made['user']['username'] not in cookie and str(inside['session_id']) not in cookie
    rotated = open_cookie(f'session={cookie}', '-o', f'auth.previous_keys={key}', env={'SECRET_KEY': later})
    assert json.loads(rotated.stdout) == inside
    changed = cookie[:-10] + ('A' if cookie[-10] != 'A' else 'B') + cookie[-9:]
    for text, secret in ((cookie, later), (changed, key), ('', key), ('x', key), ('y' * 5000, key)):
        done = open_cookie(text, env={'SECRET_KEY': secret})
        assert done.returncode == 65 and done.stdout == '' and done.stderr.startswith('roomctl: ')
    assert open_cookie(cookie).returncode == REFUSED


def test_the_files_of_secrets_need_no_environment():
    """What the program says of itself names every source."""
    rows = {f'{row["section"]}.{row["name"]}': row for row in
            json.loads(run_roomd('--describe', 'settings').stdout)}
    for name in ('auth.secret_key', 'auth.previous_keys', 'database.url'):
        assert rows[name]['secret'] is True
        assert rows[f'{name}_file']['secret'] is False
    assert rows['auth.secret_key']['apply'] == rows['auth.previous_keys']['apply'] == 'live'
