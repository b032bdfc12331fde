# SPDX-License-Identifier: MIT
"""Accounts: made, signed in to, their passwords changed and reset, their second factors, their profiles."""
import asyncio
import base64
import json
import time

import pytest

from roomd_clients import eventually
from roomd_harness import SECOND
from roomd_outage import metric
from roomd_people import PASSWORD, People, bearer, claims_of, totp, totp_step, unique_login

# cheap hashes: what is measured is measured with the real ones, in a daemon of its own
DAEMON = {'settings': {'auth.hash_memory': '64k', 'auth.hash_passes': 1}}


# ---- Making ------------------------------------------------------------------------------------------

async def test_s2_03_register_answers_a_session(daemon):
    async with People(daemon) as http:
        name = unique_login()
        status, body, headers = await http.register(name, email=f'{name}@example.org', full_name='An Example')
        assert status == 201, body
        assert body['token'] == body['access_token'] and body['token_type'] == 'bearer'
        assert body['expires_in'] == 900 and body['refresh_token']
        assert 'Set-Cookie' not in headers and headers['Cache-Control'] == 'no-store'
        user = body['user']
        assert user['username'] == user['name'] == name and user['kind'] == 'account'
        assert user['email'] == f'{name}@example.org' and user['full_name'] == 'An Example'
        status, me, _ = await http.me(body['token'])
        assert (status, me) == (200, user)


async def test_s2_03_a_profile_begins_at_registration(daemon):
    async with People(daemon) as http:
        _, body, _ = await http.register(full_name=' Ada ', avatar_url='https://example.org/a.png')
        assert (body['user']['full_name'], body['user']['avatar_url']) == ('Ada', 'https://example.org/a.png')


async def test_passwords_that_are_guessed_first_are_refused(daemon):
    """The commonest and one's own name, at registration and later; seen red without the list."""
    async with People(daemon) as http:
        name = unique_login('longname')
        for password in ('password', 'PassWord1', '1234567890', name.upper()):
            status, body, _ = await http.register(name, password)
            assert (status, body['field']) == (422, 'password'), password
        made = (await http.register(name))[1]
        status, body, _ = await http.ask('POST', '/api/v1/auth/password/change',
                                         {'old_password': PASSWORD, 'new_password': name}, headers=bearer(made['token']))
        assert (status, body['field']) == (422, 'new_password')


async def test_s2_03_login_answers_token_and_user(daemon):
    async with People(daemon) as http:
        made = await http.new_person()
        name = made['user']['username']
        status, body, _ = await http.login(name.upper())
        assert status == 200, body
        assert body['user'] == made['user']
        claims = claims_of(body['token'])
        assert claims['iss'] == claims['aud'] == 'roomd'
        assert claims['sub'] == body['user']['uid'] and claims['uid'] == body['user']['id']
        assert claims['exp'] - claims['iat'] == 900
        assert claims['sid'] != claims_of(made['token'])['sid'], 'many sessions per user'


async def test_s2_03_login_by_e_mail_in_any_case(daemon):
    async with People(daemon) as http:
        name = unique_login()
        await http.register(name, email=f'{name}@Example.org')
        for text in (f'{name}@example.org', f'{name.upper()}@EXAMPLE.ORG'):
            status, body, _ = await http.login(text)
            assert status == 200, body
        status, body, _ = await http.ask('POST', '/api/v1/auth/login',
                                         {'email': f'{name}@example.org', 'password': PASSWORD})
        assert status == 200, body


async def test_s2_13_of_many_registrations_of_one_name_one_wins(daemon, rows):
    async with People(daemon) as http:
        name = unique_login()
        answers = await asyncio.gather(*(http.register(name if i % 2 else name.upper()) for i in range(10)))
        assert sorted(status for status, _, _ in answers) == [201] + [409] * 9
        lost = next(body for status, body, _ in answers if status == 409)
        assert lost['code'] == 'name_taken' and lost['field'] == 'username'
    assert rows('SELECT count(*) FROM users WHERE lower(username) = %s', name.lower()) == [(1,)]


async def test_s2_13_e_mail_addresses_are_compared_without_case(daemon):
    async with People(daemon) as http:
        name = unique_login()
        await http.register(email=f'{name}@example.org')
        status, body, _ = await http.register(email=f'{name.upper()}@EXAMPLE.org')
        assert (status, body['code'], body['field']) == (409, 'duplicate', 'email')


async def test_s2_13_no_hash_leaves_the_database(daemon, rows):
    async with People(daemon) as http:
        made = await http.new_person()
        stored = rows('SELECT password_hash FROM users WHERE id = %s', made['user']['id'])[0][0]
        assert stored.startswith('$argon2id$')
        _, me, _ = await http.me(made['token'])
        _, other, _ = await http.ask('GET', f'/api/v1/users/{made["user"]["id"]}')
        _, found, _ = await http.ask('GET', f'/api/v1/users?q={made["user"]["username"]}',
                                     headers=bearer(made['token']))
    shown = json.dumps([made, me, other, found])
    assert 'argon2' not in shown and 'hash' not in shown
    log = daemon.log_path.read_text()
    assert 'argon2id$' not in log and PASSWORD not in log and made['token'] not in log


@pytest.mark.parametrize('body, code, field', [
    ({'password': PASSWORD}, 'invalid', 'username'),
    ({'username': ' \u200b', 'password': PASSWORD}, 'bad_name', 'username'),
    ({'username': 'a\u202eb', 'password': PASSWORD}, 'bad_name', 'username'),
    ({'username': 'a@example.org', 'password': PASSWORD}, 'bad_name', 'username'),
    ({'username': 'u' * 101, 'password': PASSWORD}, 'bad_name', 'username'),
    ({'username': 'somebody'}, 'invalid', 'password'),
    ({'username': 'somebody', 'password': 'seven77'}, 'invalid', 'password'),
    ({'username': 'somebody', 'password': 'x' * 1025}, 'invalid', 'password'),
    ({'username': 'somebody', 'password': PASSWORD, 'email': 'nobody'}, 'invalid', 'email'),
    ({'username': 'somebody', 'password': PASSWORD, 'email': 'a@b, c@d'}, 'invalid', 'email'),
    ({'username': 'somebody', 'password': PASSWORD, 'email': 'a@b\nBcc: c@d'}, 'invalid', 'email'),
    ({'username': 'somebody', 'password': PASSWORD, 'email': '-oQ@example.org'}, 'invalid', 'email'),
    ({'username': 'somebody', 'password': PASSWORD, 'cookie': 'yes'}, 'invalid', 'cookie'),
])
async def test_s2_03_registrations_that_are_refused(daemon, body, code, field):
    async with People(daemon) as http:
        status, answer, _ = await http.ask('POST', '/api/v1/auth/register', body)
    assert (status, answer['code'], answer.get('field')) == (422, code, field), answer


async def test_s2_03_registration_can_be_left_to_the_operator(start_daemon):
    daemon = start_daemon(settings={'auth.registration': 'off'})
    async with People(daemon) as http:
        status, body, _ = await http.register()
    assert (status, body['code']) == (403, 'forbidden')


async def test_the_shorter_addresses_do_the_same(daemon):
    async with People(daemon) as http:
        name = unique_login()
        status, body, _ = await http.ask('POST', '/api/auth/register', {'username': name, 'password': PASSWORD})
        assert status == 201, body
        status, body, _ = await http.ask('POST', '/api/auth/login', {'username': name, 'password': PASSWORD})
        assert status == 200, body
        status, me, _ = await http.ask('GET', '/api/users/me', headers=bearer(body['token']))
        assert (status, me) == (200, body['user'])


# ---- Signing in --------------------------------------------------------------------------------------

async def test_s3_07_wrong_password_and_unknown_user_are_one_answer(daemon):
    async with People(daemon) as http:
        name = (await http.new_person())['user']['username']
        wrong = await http.login(name, 'not the password')
        unknown = await http.login(unique_login(), 'not the password')
    for status, body, headers in (wrong, unknown):
        assert (status, body['code']) == (401, 'bad_login')
        assert headers['WWW-Authenticate'] == 'Bearer'
    same = [{key: value for key, value in body.items() if key != 'request_id'} for _, body, _ in (wrong, unknown)]
    assert same[0] == same[1]
    assert set(wrong[2]) == set(unknown[2])


async def test_s3_07_an_unknown_user_costs_as_much_as_a_wrong_password(daemon):
    """Each is one password hash: bench/login-times measures the time. Red with the look-up answering at once."""
    async with People(daemon) as http:
        name = (await http.new_person())['user']['username']

        async def hashes_of(login):
            before = await metric(daemon, 'roomd_password_hashes_total')
            status, _, _ = await http.login(login, 'not the password')
            assert status == 401
            return await metric(daemon, 'roomd_password_hashes_total') - before
        assert [await hashes_of(login) for login in (name, unique_login('nobody'), name)] == [1, 1, 1]



async def test_a_disabled_account_is_told_so_only_with_its_password(daemon, rows, database, postgres):
    async with People(daemon) as http:
        made = await http.new_person()
        with postgres.connect(database) as connection:
            connection.execute('UPDATE users SET disabled_at = now() WHERE id = %s', (made['user']['id'],))
        name = made['user']['username']
        status, body, _ = await http.login(name, 'not the password')
        assert (status, body['code']) == (401, 'bad_login')
        status, body, _ = await http.login(name)
        assert (status, body['code']) == (403, 'account_disabled')


async def test_s3_17_bcrypt_is_checked_and_replaced(daemon, postgres, database, rows):
    async with People(daemon) as http:
        made = await http.new_person()
        user, name = made['user']['id'], made['user']['username']
        # of the password "U*U*U", from the test vectors of crypt_blowfish
        old = '$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a'
        with postgres.connect(database) as connection:
            connection.execute('UPDATE users SET password_hash = %s WHERE id = %s', (old, user))
        status, body, _ = await http.login(name, 'U*U*V')
        assert status == 401, body
        status, body, _ = await http.login(name, 'U*U*U')
        assert status == 200, body
        now = await eventually(lambda: next((h for h, in rows('SELECT password_hash FROM users WHERE id = %s', user)
                                             if h != old), None), 'the hash is replaced')
        assert now.startswith('$argon2id$')
        status, body, _ = await http.login(name, 'U*U*U')
        assert status == 200, body


async def test_s3_17_long_passwords_count_to_their_last_byte(daemon):
    async with People(daemon) as http:
        name = unique_login()
        await http.register(name, 'p' * 100)
        assert (await http.login(name, 'p' * 100))[0] == 200
        for other in ('p' * 72, 'p' * 99, 'p' * 99 + 'q'):
            assert (await http.login(name, other))[0] == 401


async def test_attempts_are_limited_per_account(start_daemon):
    daemon = start_daemon(settings={'limits.logins_account': '3/15m', **DAEMON['settings']})
    async with People(daemon) as http:
        name = (await http.new_person())['user']['username']
        for login in (name, 'nobody-of-this-name'):  # neither tells whether it exists
            codes = [(await http.login(login, 'wrong'))[0] for _ in range(5)]
            assert codes == [401, 401, 401, 429, 429], login
        status, body, headers = await http.login(name)
        assert (status, body['code']) == (429, 'rate_limited')
        assert int(headers['Retry-After']) > 0


def from_address(address):
    """What the proxy before the daemon says."""
    return {'X-Forwarded-For': address, 'X-Forwarded-Proto': 'https'}


async def log_in(http, name, password=PASSWORD, address='192.0.2.1'):
    return (await http.ask('POST', '/api/v1/auth/login', {'username': name, 'password': password},
                           headers=from_address(address)))[0]


async def test_who_is_wrong_locks_nobody_else_out(start_daemon, postgres):
    """Neither from another address nor, however many join in, where the account was used before. The audit names
    some of it. Seen red with one allowance for all addresses."""
    daemon = start_daemon(workers=2, settings={
        'limits.logins_account': '3/h', 'limits.logins_everywhere': '8/h', 'limits.audited_logins': '2/h',
        'http.trusted_proxies': '127.0.0.1', **DAEMON['settings']})
    async with People(daemon) as http:
        name, home = unique_login(), '192.0.2.9'
        status, made, _ = await http.ask('POST', '/api/v1/auth/register', {'username': name, 'password': PASSWORD},
                                         headers=from_address(home))
        assert status == 201, made
        assert [await log_in(http, name, 'wrong') for _ in range(4)] == [401, 401, 401, 429]
        assert await log_in(http, name) == 429, 'right from where others were wrong'
        assert await log_in(http, name, address='192.0.2.2') == 200
        wrong = [await log_in(http, name, 'wrong', f'192.0.2.{n}') for n in (11, 11, 12, 12, 13, 14)]
        assert wrong == [401] * 5 + [429], 'eight from everywhere'
        assert await log_in(http, name, address='192.0.2.15') == 429
        assert await log_in(http, name, address=home) == 200
        assert await log_in(http, name, address='192.0.2.2') == 200

        def entries():
            with postgres.connect(daemon.database) as connection:
                return connection.execute(
                    "SELECT action, actor_id, detail->>'address' FROM audit WHERE target_user_id = %s"
                    " AND action LIKE 'login.%%'", (made['user']['id'],)).fetchall()
        told = await eventually(lambda: len(entries()) >= 11 and entries(), 'the audit names them')
        # two of a kind from one address at most: failed ones, refused ones
        assert sorted(told) == sorted(
            [('login.failed', 0, '192.0.2.1')] * 2 + [('login.locked', 0, '192.0.2.1')] * 2 +
            [('login.failed', 0, f'192.0.2.{n}') for n in (11, 11, 12, 12, 13)] +
            [('login.locked', 0, '192.0.2.14'), ('login.locked', 0, '192.0.2.15')])


async def test_right_logins_at_once_are_no_failures(start_daemon):
    """They wait for each other; wrong ones at once are as few as one after the other. Seen red when an attempt in
    flight counted as a failure: 429 for most of them."""
    daemon = start_daemon(workers=2, settings={'limits.logins_account': '3/h', 'limits.logins_address': '40/h',
                                               **DAEMON['settings']})
    async with People(daemon) as http:
        name, other = [(await http.new_person())['user']['username'] for _ in range(2)]
        answers = await asyncio.gather(*(http.login(name) for _ in range(30)))
        assert [status for status, _, _ in answers] == [200] * 30
        answers = await asyncio.gather(*(http.login(other, 'wrong') for _ in range(20)))
        assert sorted(status for status, _, _ in answers) == [401] * 3 + [429] * 17
        answers = await asyncio.gather(*(http.login(name) for _ in range(30)), http.login(name, 'wrong'))
        assert [status for status, _, _ in answers] == [200] * 30 + [401]


# ---- Passwords ---------------------------------------------------------------------------------------

async def test_s2_03_a_password_is_changed_by_who_knows_it(daemon):
    async with People(daemon) as http:
        made = await http.new_person()
        name, mine = made['user']['username'], made['token']
        _, other, _ = await http.login(name)

        async def change(old, new):
            return await http.ask('POST', '/api/v1/auth/password/change',
                                  {'old_password': old, 'new_password': new}, headers=bearer(mine))

        status, body, _ = await change('not the password', 'a new password')
        assert (status, body['code']) == (403, 'bad_password')
        status, body, _ = await change(PASSWORD, 'short')
        assert (status, body['field']) == (422, 'new_password')
        status, body, _ = await change(PASSWORD, 'a new password')
        assert status == 204, body
        assert (await http.login(name))[0] == 401
        assert (await http.login(name, 'a new password'))[0] == 200
        assert (await http.me(mine))[0] == 200, 'who changed it stays'
        await eventually(lambda: is_refused(http, other['token']), 'the other session ends', SECOND)
        assert (await http.refresh(other['refresh_token']))[0] == 401


async def is_refused(http, token):
    return (await http.me(token))[0] == 401


def mail_command(tmp_path, text='cat > "$1".tmp && mv "$1".tmp "$1"'):
    script = tmp_path / 'sendmail'
    script.write_text(f'#!/bin/sh\n{text}\n')
    script.chmod(0o755)
    return f'{script} {tmp_path}/mail -t -i'


async def wait_file(path):
    return await eventually(lambda: path.exists() and path.read_text(), f'{path.name} is written')


async def test_s2_03_a_forgotten_password_is_reset_by_mail(start_daemon, tmp_path):
    tmp_path.chmod(0o777)
    daemon = start_daemon(settings={'mail.command': mail_command(tmp_path), 'mail.from': 'chat@example.net',
                                    'mail.site': 'https://chat.example.net/', **DAEMON['settings']})
    async with People(daemon) as http:
        name = unique_login()
        _, made, _ = await http.register(name, email=f'{name}@example.org')

        async def ask(email):
            status, body, headers = await http.ask('POST', '/api/v1/auth/password/reset-request', {'email': email})
            assert status == 202, body
            return body

        assert await ask('nobody@example.org') == await ask(f'{name.upper()}@example.org')
        mail = await wait_file(tmp_path / 'mail')
        head, _, text = mail.partition('\n\n')
        assert f'To: {name}@example.org' in head and 'From: chat@example.net' in head.splitlines()
        token = text.split('#/reset/')[1].split()[0]
        assert f'\t{token}\n' in text and 'https://chat.example.net/#/reset/' in text

        async def reset(token, password):
            return await http.ask('POST', '/api/v1/auth/password/reset', {'token': token, 'password': password})

        status, body, _ = await reset(token[:-1], 'a new password')
        assert (status, body['code']) == (403, 'bad_code')
        assert (await reset(token, 'short'))[0] == 422
        assert (await reset(token, 'a new password'))[0] == 204
        assert (await reset(token, 'another password'))[0] == 403, 'for one use'
        assert (await http.login(name, 'a new password'))[0] == 200
        assert (await http.refresh(made['refresh_token']))[0] == 401, 'every session has ended'
        assert token not in daemon.log_path.read_text()


async def test_another_address_needs_the_password(start_daemon, tmp_path, postgres):
    """A stolen token is not enough to take an account over; who had the address is told, and what was mailed there
    is void. Seen red when a PATCH with the token alone changed it."""
    tmp_path.chmod(0o777)
    daemon = start_daemon(settings={'mail.command': mail_command(tmp_path), **DAEMON['settings']})
    async with People(daemon) as http:
        name = unique_login()
        old, new = f'{name}@example.org', f'{name}@example.net'
        made = (await http.register(name, email=old))[1]

        async def change(**body):
            return await http.ask('PATCH', '/api/v1/users/me', body, headers=bearer(made['token']))
        await http.ask('POST', '/api/v1/auth/password/reset-request', {'email': old})
        token = (await wait_file(tmp_path / 'mail')).split('can be set')[1].split('\t')[1].split()[0]
        (tmp_path / 'mail').unlink()
        status, body, _ = await change(email=new)
        assert (status, body['field']) == (422, 'password')
        for email in (new, None, ''):
            status, body, _ = await change(email=email, password='not the password')
            assert (status, body['code']) == (403, 'bad_password')
        assert (await http.me(made['token']))[1]['email'] == old
        status, body, _ = await change(email=new, password=PASSWORD, full_name='An Example')
        assert status == 200 and (body['email'], body['full_name']) == (new, 'An Example'), body
        mail = await wait_file(tmp_path / 'mail')
        assert f'To: {old}' in mail and 'Your address was changed' in mail and new not in mail
        status, body, _ = await http.ask('POST', '/api/v1/auth/password/reset',
                                         {'token': token, 'password': 'the password of a thief'})
        assert (status, body['code']) == (403, 'bad_code')
        with postgres.connect(daemon.database) as connection:
            assert connection.execute("SELECT count(*) FROM audit WHERE action = 'account.email'"
                                      ' AND target_user_id = %s', (made['user']['id'],)).fetchone() == (1,)
        status, body, _ = await change(email=new, password=PASSWORD)
        assert status == 200, 'the same again is no change'


async def test_without_a_mail_command_nobody_is_mailed(start_daemon):
    """And asking does not count: seen red with 403, and 429 after three."""
    daemon = start_daemon(settings={'limits.anonymous': '3/h', **DAEMON['settings']})
    async with People(daemon) as http:
        for _ in range(5):
            status, body, _ = await http.ask('POST', '/api/v1/auth/password/reset-request',
                                             {'email': 'somebody@example.org'})
            assert (status, body['code']) == (501, 'no_mail')


async def test_a_mail_command_that_fails_or_hangs_blocks_nobody(start_daemon, tmp_path):
    tmp_path.chmod(0o777)
    daemon = start_daemon(settings={'mail.command': mail_command(tmp_path, 'echo x >> "$1"; exec sleep 60'),
                                    'mail.timeout': '3s', **DAEMON['settings']})
    async with People(daemon) as http:
        for _ in range(3):
            name = unique_login()
            await http.register(name, email=f'{name}@example.org')
            status, _, _ = await http.ask('POST', '/api/v1/auth/password/reset-request',
                                          {'email': f'{name}@example.org'})
            assert status == 202
            begin = time.monotonic()
            await http.new_room()
            assert time.monotonic() - begin < 3, 'it waited for the command'
        daemon.wait_log('the mail command took too long')
        daemon.reload(**{'mail.command': '/no/such/program -t'})
        await eventually(lambda: send_fails(http, daemon), 'the log says that it cannot be started')


async def test_more_mails_than_may_wait_are_dropped(start_daemon, tmp_path):
    """Four commands run and 64 mails wait, of each worker. Seen red: the mail behind them ended the worker."""
    tmp_path.chmod(0o777)
    daemon = start_daemon(workers=1, settings={'mail.command': mail_command(tmp_path, 'exec sleep 20'),
                                               **DAEMON['settings']})
    async with People(daemon) as http:
        for _ in range(24):
            name = unique_login()
            await http.register(name, email=f'{name}@example.org')
            for _ in range(3):  # so many codes of an account are good at a time
                status, _, _ = await http.ask('POST', '/api/v1/auth/password/reset-request',
                                              {'email': f'{name}@example.org'})
                assert status == 202
        daemon.wait_log('too many mails wait')
        assert (await http.login(name))[0] == 200


async def send_fails(http, daemon):
    name = unique_login()
    await http.register(name, email=f'{name}@example.org')
    await http.ask('POST', '/api/v1/auth/password/reset-request', {'email': f'{name}@example.org'})
    return 'cannot be started' in daemon.log_path.read_text()


# ---- The second factor -------------------------------------------------------------------------------

async def with_factor(http):
    """An account with a second factor: (answer to its registration, secret, recovery codes)."""
    made = await http.new_person()
    auth = bearer(made['token'])
    status, drawn, _ = await http.ask('POST', '/api/v1/auth/totp/enroll', headers=auth)
    assert status == 200, drawn
    assert drawn['uri'].startswith('otpauth://totp/') and drawn['secret'] in drawn['uri']
    status, body, _ = await http.ask('POST', '/api/v1/auth/totp/confirm', {'code': '000000'}, headers=auth)
    assert (status, body['code']) == (403, 'bad_code')
    status, step = 403, None
    while status != 200 and step != totp_step():  # once more if that has changed meanwhile
        step = totp_step()
        # the step before: logins can then use the present one
        status, body, _ = await http.ask('POST', '/api/v1/auth/totp/confirm',
                                         {'code': totp(drawn['secret'], step=-1)}, headers=auth)
    assert status == 200, body
    return made, drawn['secret'], body['recovery_codes']


async def test_s2_03_totp_is_asked_for_and_a_code_counts_once(daemon):
    async with People(daemon) as http:
        made, secret, _ = await with_factor(http)
        name = made['user']['username']
        assert (await http.me(made['token']))[1]['totp'] is True
        status, body, _ = await http.login(name)
        assert (status, body['code']) == (401, 'totp_required')
        status, body, _ = await http.login(name, 'not the password', totp=totp(secret))
        assert (status, body['code']) == (401, 'bad_login')
        code = totp(secret)
        status, body, _ = await http.login(name, totp=code)
        assert status == 200, body
        status, body, _ = await http.login(name, totp=code)
        assert (status, body['code']) == (403, 'bad_code')


async def test_s2_03_recovery_codes_count_once_each(daemon):
    async with People(daemon) as http:
        made, _, codes = await with_factor(http)
        name, auth = made['user']['username'], bearer(made['token'])
        assert len(set(codes)) == 10
        assert (await http.login(name, totp=codes[0].lower()))[0] == 200
        assert (await http.login(name, recovery_code=codes[0]))[0] == 403
        assert (await http.login(name, recovery_code=codes[1]))[0] == 200
        status, body, _ = await http.ask('POST', '/api/v1/auth/totp/recovery-codes', {'password': PASSWORD},
                                         headers=auth)
        assert status == 200 and not set(body['recovery_codes']) & set(codes)
        assert (await http.login(name, totp=codes[2]))[0] == 403
        assert (await http.login(name, totp=body['recovery_codes'][0]))[0] == 200


async def test_s2_03_the_second_factor_is_taken_away_with_the_password(daemon):
    async with People(daemon) as http:
        made, _, _ = await with_factor(http)
        auth = bearer(made['token'])
        status, body, _ = await http.ask('POST', '/api/v1/auth/totp/enroll', headers=auth)
        assert (status, body['code']) == (409, 'conflict')
        status, body, _ = await http.ask('POST', '/api/v1/auth/totp/disable', {'password': 'wrong'}, headers=auth)
        assert (status, body['code']) == (403, 'bad_password')
        status, body, _ = await http.ask('POST', '/api/v1/auth/totp/disable', {'password': PASSWORD}, headers=auth)
        assert status == 204, body
        assert (await http.login(made['user']['username']))[0] == 200


async def test_the_secret_of_a_second_factor_is_sealed(daemon, rows):
    async with People(daemon) as http:
        made, secret, codes = await with_factor(http)
    sealed = bytes(rows('SELECT sealed FROM totp_secrets WHERE user_id = %s', made['user']['id'])[0][0])
    assert base64.b32decode(secret + '=' * (-len(secret) % 8)) not in sealed
    log = daemon.log_path.read_text()
    assert secret not in log and codes[0] not in log


# ---- Profiles ----------------------------------------------------------------------------------------

async def test_s2_04_the_own_profile_is_read_and_changed(daemon):
    async with People(daemon) as http:
        made = await http.new_person()
        auth = bearer(made['token'])
        status, me, _ = await http.ask('PATCH', '/api/v1/users/me',
                                       {'full_name': ' Ada L. ', 'avatar_url': 'https://example.org/a.png',
                                        'email': f'{made["user"]["username"]}@example.org', 'password': PASSWORD},
                                       headers=auth)
        assert status == 200, me
        assert (me['full_name'], me['avatar_url']) == ('Ada L.', 'https://example.org/a.png')
        status, me, _ = await http.ask('PATCH', '/api/v1/users/me', {'avatar_url': None, 'username': 'other'},
                                       headers=auth)
        assert (me['full_name'], me['avatar_url']) == ('Ada L.', None)
        assert me['username'] == made['user']['username']
        assert (await http.me(made['token']))[1] == me


@pytest.mark.parametrize('body, field', [
    ({'full_name': 'x' * 201}, 'full_name'), ({'full_name': 'a\nb'}, 'full_name'), ({'full_name': 5}, 'full_name'),
    ({'full_name': 'a\u202eb'}, 'full_name'), ({'full_name': 'a\u2067b'}, 'full_name'),
    ({'avatar_url': 'javascript:alert(1)'}, 'avatar_url'), ({'avatar_url': 'https://a.example/"onload='}, 'avatar_url'),
    ({'email': 'nobody'}, 'email')])
async def test_s2_04_profiles_that_are_refused(daemon, body, field):
    async with People(daemon) as http:
        made = await http.new_person()
        status, answer, _ = await http.ask('PATCH', '/api/v1/users/me', body, headers=bearer(made['token']))
        assert (status, answer['field']) == (422, field)
        status, answer, _ = await http.register(**body)
        assert (status, answer['field']) == (422, field), 'nor at registration'


async def test_s2_04_the_e_mail_of_others_is_not_shown(daemon):
    async with People(daemon) as http:
        made = await http.new_person('shy', email=f'{unique_login()}@example.org')
        other = await http.new_person()
        user = made['user']
        for who in (user['id'], user['uid']):
            for headers in (None, bearer(other['token']), bearer(made['token'])):
                status, seen, _ = await http.ask('GET', f'/api/v1/users/{who}', headers=headers)
                assert status == 200 and seen['username'] == user['username']
                assert user['email'] not in json.dumps(seen) and 'email' not in seen
        status, found, _ = await http.ask('GET', f'/api/v1/users?q={user["username"][:8].upper()}',
                                          headers=bearer(other['token']))
        assert user['id'] in [one['id'] for one in found['users']]
        assert 'example.org' not in json.dumps(found)
        status, body, _ = await http.ask('GET', '/api/v1/users/999999999')
        assert (status, body['code']) == (404, 'not_found')


async def test_s2_04_people_are_found_by_who_has_an_account(daemon):
    async with People(daemon) as http:
        made = await http.new_person()
        assert (await http.ask('GET', '/api/v1/users?q=a'))[0] == 401
        status, body, _ = await http.ask('GET', '/api/v1/users', headers=bearer(made['token']))
        assert (status, body['field']) == (422, 'q')
