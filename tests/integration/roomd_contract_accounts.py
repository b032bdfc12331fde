# SPDX-License-Identifier: MIT
"""Requests about accounts for test_contract.py: every operation, every answer that is promised.

A case may prepare a scene: an account, a token, a row. What it returns is sent.
"""
import hashlib
import uuid

from roomd_people import PASSWORD, People, totp, unique_login

AUTH = '/api/v1/auth'
SESSIONS, SESSION = '/api/v1/sessions', '/api/v1/sessions/{id}'
USERS, ME, USER = '/api/v1/users', '/api/v1/users/me', '/api/v1/users/{id}'
BLOCKS, BLOCK = ME + '/blocks', ME + '/blocks/{id}'
FOREIGN = 'Origin: http://evil.example'
TEXT = 'Content-Type: text/plain'
BROKEN = b'{"name":'


class Scene:
    """What a case needs before its request: accounts are made on the module's own daemon."""

    def __init__(self, daemon, postgres, database):
        self.daemon, self.postgres, self.database = daemon, postgres, database

    async def person(self, **more):
        async with People(self.daemon) as http:
            return await http.new_person(**more)

    async def ask(self, *args, **more):
        async with People(self.daemon) as http:
            status, body, _ = await http.ask(*args, **more)
            assert status in (200, 201, 204), body
            return body

    def execute(self, text, *values):
        with self.postgres.connect(self.database) as connection:
            connection.execute(text, values)


def fields_of(person):
    return (f'Authorization: Bearer {person["token"]}',)


def signed_in(body=None, target=None):
    """As somebody with an account."""
    async def prepare(scene):
        return {'fields': fields_of(await scene.person()), 'body': body, 'target': target}
    return prepare


async def new_account(scene):
    return {'body': {'username': unique_login(), 'password': PASSWORD, 'full_name': 'A. Body', 'device': 'x'}}


async def taken_name(scene):
    return {'body': {'username': (await scene.person())['user']['username'], 'password': PASSWORD}}


async def right_login(scene):
    return {'body': {'username': (await scene.person())['user']['username'], 'password': PASSWORD}}


async def page_login(scene):
    body = (await right_login(scene))['body']
    return {'body': dict(body, cookie=True)}


async def wrong_login(scene):
    return {'body': {'username': unique_login(), 'password': PASSWORD}}


async def disabled_login(scene):
    person = await scene.person()
    scene.execute('UPDATE users SET disabled_at = now() WHERE id = %s', person['user']['id'])
    return {'body': {'username': person['user']['username'], 'password': PASSWORD}}


async def right_refresh(scene):
    return {'body': {'refresh_token': (await scene.person())['refresh_token']}}


async def new_guest(scene):
    return {'body': {'name': unique_login('guest')}}


async def taken_guest(scene):
    return {'body': {'name': (await scene.person())['user']['username']}}


async def reset(scene):
    person, token = await scene.person(), str(uuid.uuid4())
    scene.execute("INSERT INTO reset_tokens (token_hash, user_id, expires_at) VALUES (%s, %s, now() + interval '1 h')",
                  hashlib.sha256(token.encode()).digest(), person['user']['id'])
    return {'body': {'token': token, 'password': PASSWORD}}


def factor(confirmed, body):
    """Somebody with a second factor, in force or waiting; BODY is made from its secret."""
    async def prepare(scene):
        person = await scene.person()
        headers = {'Authorization': f'Bearer {person["token"]}'}
        secret = (await scene.ask('POST', f'{AUTH}/totp/enroll', headers=headers))['secret']
        if confirmed:
            await scene.ask('POST', f'{AUTH}/totp/confirm', {'code': totp(secret)}, headers=headers)
        return {'fields': fields_of(person), 'body': body(secret)}
    return prepare


async def own_session(scene):
    person = await scene.person()
    headers = {'Authorization': f'Bearer {person["token"]}'}
    sessions = (await scene.ask('GET', SESSIONS, headers=headers))['sessions']
    return {'fields': fields_of(person), 'target': f'{SESSIONS}/{sessions[0]["id"]}'}


async def other_profile(scene):
    return {'target': f'{USERS}/{(await scene.person())["user"]["uid"]}'}


async def blocking(scene):
    other = (await scene.person())['user']['uid']
    return {'fields': fields_of(await scene.person()), 'target': f'{BLOCKS}/{other}'}


async def blocking_oneself(scene):
    person = await scene.person()
    return {'fields': fields_of(person), 'target': f'{BLOCKS}/{person["user"]["id"]}'}


async def direct_with(scene):
    """A conversation with somebody, which is there already when asked for once more."""
    other, person = await scene.person(), await scene.person()
    return {'fields': fields_of(person), 'body': {'kind': 'direct', 'members': [other['user']['id']]}}


async def direct_again(scene):
    made = await direct_with(scene)
    headers = dict(field.split(': ', 1) for field in made['fields'])
    await scene.ask('POST', '/api/v1/conversations', made['body'], headers=headers)
    return made


async def taken_email(scene):
    email = f'{unique_login()}@example.org'
    await scene.person(email=email)
    return {'fields': fields_of(await scene.person()), 'body': {'email': email, 'password': PASSWORD}}


def write_cases(Case, path, ok, good, bad, token, none=None, method='POST'):
    """What all operations with a body share: NONE is a body for a daemon that refuses before it reads."""
    who = signed_in if token else (lambda body=None: None)
    body = none or {}
    yield Case(method, path, ok, prepare=good)
    yield Case(method, path, 400, body=BROKEN, prepare=who(BROKEN))
    yield Case(method, path, 403, FOREIGN, body=body)
    yield Case(method, path, 415, TEXT, body=body, prepare=who(body))
    yield Case(method, path, 422, body=bad, prepare=who(bad))
    yield Case(method, path, 503, body=body, state='no_database', prepare=who(body))
    if token:
        yield Case(method, path, 401, body=body)
    if method == 'POST':
        yield Case(method, path, 429, body=body, state='limited')


def cases(Case):
    """The list, of test_contract's own class."""
    login = {'username': 'somebody', 'password': PASSWORD}
    change = {'old_password': PASSWORD, 'new_password': PASSWORD}
    password, reset_body = {'password': PASSWORD}, {'token': 'x', 'password': PASSWORD}
    email = {'email': 'somebody@example.org'}
    yield from write_cases(Case, f'{AUTH}/register', 201, new_account, {'username': 'x'}, False, login)
    yield Case('POST', f'{AUTH}/register', 409, prepare=taken_name)
    yield from write_cases(Case, f'{AUTH}/login', 200, right_login, {'username': 'x'}, False, login)
    yield Case('POST', f'{AUTH}/login', 200, prepare=page_login)
    yield Case('POST', f'{AUTH}/login', 401, prepare=wrong_login)
    yield Case('POST', f'{AUTH}/login', 403, prepare=disabled_login)
    yield from write_cases(Case, f'{AUTH}/refresh', 200, right_refresh, {'refresh_token': 5}, False,
                           {'refresh_token': 'B' * 85 + 'A'})
    yield Case('POST', f'{AUTH}/refresh', 401, body={'refresh_token': 'x'})
    guest = write_cases(Case, f'{AUTH}/guest', 201, new_guest, {'name': ''}, False, {'name': 'somebody else'})
    yield from (one for one in guest if one.status != 429)  # guests have an allowance of their own
    yield Case('POST', f'{AUTH}/guest', 401, body={'name': 'x'}, state='members_only')
    yield Case('POST', f'{AUTH}/guest', 409, prepare=taken_guest)
    yield from write_cases(Case, f'{AUTH}/password/change', 204, signed_in(change), {'old_password': 'x'}, True, change)
    yield Case('POST', f'{AUTH}/password/change', 403, prepare=signed_in(dict(change, old_password='x')))
    for one in write_cases(Case, f'{AUTH}/password/reset-request', 202, None, {'email': 'x'}, False, email):
        if one.status == 202:
            one.body = email
        if one.status in (202, 503):
            one.state = 'mailing' if one.status == 202 else 'mailing_no_database'
        yield one
    yield Case('POST', f'{AUTH}/password/reset-request', 501, body=email)
    yield from write_cases(Case, f'{AUTH}/password/reset', 204, reset, {'token': 'x'}, False, reset_body)
    yield Case('POST', f'{AUTH}/password/reset', 403, body=reset_body)
    for path, ok, good, bad in (
            ('confirm', 200, factor(False, lambda secret: {'code': totp(secret)}), {'code': ''}),
            ('recovery-codes', 200, factor(True, lambda _: password), {}),
            ('disable', 204, factor(True, lambda _: password), {})):
        body = {'code': '000000'} if path == 'confirm' else password
        yield from write_cases(Case, f'{AUTH}/totp/{path}', ok, good, bad, True, body)
        yield Case('POST', f'{AUTH}/totp/{path}', 409, prepare=signed_in(body))
    yield Case('POST', f'{AUTH}/totp/confirm', 403, prepare=factor(False, lambda _: {'code': '000000'}))
    yield Case('POST', f'{AUTH}/totp/disable', 403, prepare=signed_in({'password': 'x'}))

    enroll, logout = f'{AUTH}/totp/enroll', f'{AUTH}/logout'
    for method, path, ok in (('POST', enroll, 200), ('POST', logout, 204), ('GET', SESSIONS, 200),
                             ('DELETE', SESSIONS, 204), ('GET', ME, 200)):
        yield Case(method, path, ok, prepare=signed_in())
        yield Case(method, path, 401)
        yield Case(method, path, 503, state='no_database', prepare=signed_in())
        if method != 'GET':
            yield Case(method, path, 403, FOREIGN)
    yield Case('POST', enroll, 409, prepare=factor(True, lambda _: None))
    yield Case('POST', logout, 204, prepare=right_refresh)
    yield Case('POST', logout, 400, body=BROKEN)
    yield Case('POST', logout, 422, body={'all': 'x'})
    gone = f'{SESSIONS}/{uuid.UUID(int=1)}'
    yield Case('DELETE', SESSION, 204, prepare=own_session)
    yield Case('DELETE', SESSION, 401, target=gone)
    yield Case('DELETE', SESSION, 403, FOREIGN, target=gone)
    yield Case('DELETE', SESSION, 404, prepare=signed_in(target=gone))
    yield Case('DELETE', SESSION, 503, state='no_database', prepare=signed_in(target=gone))
    yield Case('GET', USERS, 200, query='?q=user', prepare=signed_in())
    yield Case('GET', USERS, 401, query='?q=user')
    yield Case('GET', USERS, 422, prepare=signed_in())
    yield Case('GET', USERS, 422, query='?q=user&limit=0', prepare=signed_in())
    yield Case('GET', USERS, 503, query='?q=user', state='no_database', prepare=signed_in())
    yield from write_cases(Case, ME, 200, signed_in({'full_name': 'A. Body', 'avatar_url': None}), {'full_name': 5},
                           True, {'full_name': 'x'}, 'PATCH')
    yield Case('PATCH', ME, 409, prepare=taken_email)
    yield Case('PATCH', ME, 412, 'If-Match: "0000000000000000"', prepare=signed_in({'full_name': 'A. Body'}))
    yield Case('PATCH', ME, 429, body={'full_name': 'x'}, state='limited')
    yield from write_cases(Case, ME, 204, signed_in(password), {'password': 5}, True, password, 'DELETE')
    yield Case('DELETE', ME, 403, prepare=signed_in({'password': 'x'}))
    yield Case('DELETE', ME, 429, body=password, state='limited')
    yield Case('GET', BLOCKS, 200, prepare=signed_in())
    yield Case('GET', BLOCKS, 401)
    yield Case('GET', BLOCKS, 503, state='no_database', prepare=signed_in())
    for method in ('PUT', 'DELETE'):
        yield Case(method, BLOCK, 204, prepare=blocking)
        yield Case(method, BLOCK, 401, target=f'{BLOCKS}/1')
        yield Case(method, BLOCK, 403, FOREIGN, target=f'{BLOCKS}/1')
        yield Case(method, BLOCK, 404, prepare=signed_in(target=f'{BLOCKS}/2000000000'))
        yield Case(method, BLOCK, 422, prepare=blocking_oneself)
        yield Case(method, BLOCK, 429, target=f'{BLOCKS}/1', state='limited')
        yield Case(method, BLOCK, 503, state='no_database', prepare=signed_in(target=f'{BLOCKS}/1'))
    yield Case('GET', USER, 200, prepare=other_profile)
    yield Case('GET', USER, 401, target=f'{USERS}/1', state='members_only')
    yield Case('GET', USER, 404, target=f'{USERS}/2000000000')
    yield Case('GET', USER, 503, target=f'{USERS}/1', state='no_database')
