# SPDX-License-Identifier: MIT
"""Answers of the real daemon compared with web/openapi.json, as the daemon itself serves it.

That the document and the daemon's table name the same routes is a matter of tests/lint.
"""
import gzip
import json
import re
import shutil
import signal
import urllib.error
import urllib.request
import uuid

import jsonschema
import pytest

import roomd_contract_accounts
import roomd_contract_filters
import roomd_contract_moderation
import roomd_contract_pages
from roomd_clients import Http, NativeSocket, RoomSocket
from roomd_contract_accounts import Scene, direct_again, direct_with, signed_in
from roomd_harness import PATIENCE, WEB, Daemon, unique
from roomd_people import People
from roomd_postgres import Postgres, wait_until
from roomd_raw import Link

# tokens of one daemon are good for the others; hashing a password costs next to nothing
SETTINGS = {'auth.secret_key': 'the-secret-of-all-daemons-of-the-contract', 'auth.hash_memory': '64k',
            'auth.hash_passes': 1, 'filters.time_max': '1s'}  # sanitizers are slow
DAEMON = {'settings': SETTINGS}

METHODS = ('get', 'put', 'post', 'delete', 'patch')
TIME = re.compile(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z')
JSON = 'Content-Type: application/json'
FOREIGN = 'Origin: http://evil.example'
HANDSHAKE = ('Upgrade: websocket', 'Connection: Upgrade', 'Sec-WebSocket-Version: 13')
KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
ROOMS, CONVERSATIONS = '/api/chat/rooms', '/api/v1/conversations'
LIMITS = '/api/v1/limits'
PRESENCE = '/api/v1/presence'
ROOM, CONVERSATION = ROOMS + '/{id}', CONVERSATIONS + '/{id}'
ROOM_MESSAGES, MESSAGES = ROOM + '/messages', CONVERSATION + '/messages'
ROOM_SOCKET, SOCKET, EVENTS = '/ws/chat/{room_id}', '/ws', '/api/v1/events'
FILES = ('/favicon.ico', '/openapi.json', '/static/{path}')


# ---------------------------------------------------------------- the document


def formats():
    """Only what the document uses, and times exactly as promised: UTC, milliseconds."""
    checker = jsonschema.FormatChecker(formats=())
    checker.checks('date-time')(lambda value: not isinstance(value, str) or bool(TIME.fullmatch(value)))
    checker.checks('uuid', ValueError)(
        lambda value: not isinstance(value, str) or str(uuid.UUID(value)) == value)
    return checker


class Document:
    """The OpenAPI document and what it says about one answer."""

    def __init__(self, content):
        self.content = content
        self.formats = formats()

    def resolve(self, node):
        while '$ref' in node:
            place = self.content
            for part in node['$ref'].removeprefix('#/').split('/'):
                place = place[part.replace('~1', '/')]
            node = place
        return node

    def operations(self):
        return {(method.upper(), path): operation for path, item in self.content['paths'].items()
                for method, operation in item.items() if method in METHODS}

    def answers(self):
        """Every (method, path, status) that is promised."""
        return {(*key, int(status)) for key, operation in self.operations().items()
                for status in operation['responses'] if status != 'default'}

    def validate(self, schema, value):
        # local references need the components, and these only
        whole = dict(schema, components=self.content['components'])
        jsonschema.Draft202012Validator(whole, format_checker=self.formats).validate(value)

    def is_valid(self, schema, value):
        try:
            self.validate(schema, value)
        except jsonschema.ValidationError:
            return False
        return True

    def properties(self, schema):
        """The members that a schema knows of an object: {name: schema}."""
        schema = self.resolve(schema)
        found = dict(schema.get('properties', {}))
        for part in schema.get('allOf', []) + schema.get('oneOf', []):
            found.update(self.properties(part))
        return found

    def undescribed(self, schema, value, place='$'):
        """Members of an answer that no schema mentions."""
        known = self.properties(schema)
        if isinstance(value, list):
            for number, item in enumerate(value):
                yield from self.undescribed(self.resolve(schema).get('items', {}), item,
                                            f'{place}[{number}]')
        elif isinstance(value, dict) and known:
            for name, member in value.items():
                if name in known:
                    yield from self.undescribed(known[name], member, f'{place}.{name}')
                else:
                    yield f'{place}.{name}'

    def check(self, method, path, answer):
        """Compares an answer (of roomd_raw) with what the document promises for this operation."""
        promised = self.operations()[method, path]['responses']
        assert str(answer.status) in promised, f'{answer.status} is not in the document: {answer.body}'
        response = self.resolve(promised[str(answer.status)])
        for name, header in response.get('headers', {}).items():
            value = answer[name]
            assert value, f'the header {name} is missing'
            schema = self.resolve(header)['schema']
            self.validate(schema, int(value) if schema.get('type') == 'integer' else value)
        content = response.get('content')
        if content is None:
            assert answer.status == 206 or not answer.body, f'a body that is not in the document: {answer.body}'
            return None
        kind = answer['content-type'].partition(';')[0]
        assert kind in content, f'the type {kind} is not in the document'
        body = gzip.decompress(answer.body) if answer['content-encoding'] == 'gzip' else answer.body
        assert body
        if not kind.endswith('json'):
            return body.decode() if kind.startswith('text/') else body
        value = json.loads(body)
        schema = content[kind].get('schema', {})
        self.validate(schema, value)
        assert not list(self.undescribed(schema, value))
        if kind == 'application/problem+json':
            assert value['status'] == answer.status
        return value


# ---------------------------------------------------------------- states of the daemon


@pytest.fixture(scope='module')
def document(daemon):
    with urllib.request.urlopen(daemon.http + '/openapi.json') as answer:
        return Document(json.load(answer))


@pytest.fixture(scope='module')
def presence_off(daemon, postgres, database):
    """A second daemon on the same database that tells nobody who is online."""
    one = Daemon(postgres.url(database), name='test_contract.presence_off', settings={'presence.scope': 'off'})
    try:
        yield one.start()
    finally:
        one.close()


@pytest.fixture(scope='module')
def members_only(daemon, postgres, database):
    """A second daemon on the same database that wants credentials from everybody."""
    one = Daemon(postgres.url(database), name='test_contract.members_only', settings={**SETTINGS, 'chat.guests': 'off'})

    def is_refused():
        try:
            urllib.request.urlopen(one.http + ROOMS, timeout=PATIENCE).close()
        except urllib.error.HTTPError as error:
            with error:
                return error.code == 401
        except OSError:
            pass
        return False
    try:
        one.start(wait=False)
        wait_until(is_refused, PATIENCE, 'it answers 401')
        yield one
    finally:
        one.close()


@pytest.fixture(scope='module')
def limited(daemon, postgres, database):
    """A daemon that has had enough of everybody who has no credentials."""
    one = Daemon(postgres.url(database), name='test_contract.limited',
                 settings={**SETTINGS, 'limits.anonymous': '1/h'})
    try:
        one.start()
        with pytest.raises(urllib.error.HTTPError):  # the one that is allowed: 401
            urllib.request.urlopen(one.http + '/api/v1/sessions', timeout=PATIENCE)
        one.switch(**{'limits.guests': '1/h'})
        urllib.request.urlopen(one.http + ROOMS, timeout=PATIENCE).close()
        yield one
    finally:
        one.close()


@pytest.fixture(scope='module')
def mailing(daemon, postgres, database):
    """A daemon that sends mail to nowhere."""
    one = Daemon(postgres.url(database), name='test_contract.mailing',
                 settings={**SETTINGS, 'mail.command': '/bin/true'})
    try:
        yield one.start()
    finally:
        one.close()


@pytest.fixture(scope='module')
def mailing_no_database():
    yield from without_database('mailing_no_database', {'mail.command': '/bin/true'})


@pytest.fixture(scope='module')
def no_database():
    """A daemon whose database is away."""
    yield from without_database('no_database', {})


def without_database(name, settings):
    server = Postgres()
    one = None
    try:
        server.start()
        one = Daemon(server.url(server.new_database()), name=f'test_contract.{name}',
                     settings={**SETTINGS, 'persist.wait_max': '100ms', 'stale.size': '0', **settings})
        one.expected_errors.append('database|connect')
        one.start()
        server.stop(signal.SIGQUIT)
        yield one
    finally:
        if one:
            one.close()
        server.remove()


def with_files(postgres, database, root, name):
    one = Daemon(postgres.url(database), name=f'test_contract.{name}', settings={'server.web_root': root})
    try:
        yield one.start()
    finally:
        one.close()


@pytest.fixture(scope='module')
def bare_page(postgres, database, tmp_path_factory, daemon):
    """A daemon with the page, but without the files beside it."""
    root = tmp_path_factory.mktemp('bare')
    shutil.copy(WEB / 'index.html', root)
    (root / 'static').mkdir()
    yield from with_files(postgres, database, root, 'bare_page')


@pytest.fixture(scope='module')
def whole_page(postgres, database, tmp_path_factory, daemon):
    """A daemon with every file that the document speaks of."""
    root = tmp_path_factory.mktemp('whole') / 'web'
    shutil.copytree(WEB, root)
    yield from with_files(postgres, database, root, 'whole_page')


# ---------------------------------------------------------------- every operation, every answer


class Case:
    """One request and the status that the document promises for it."""

    def __init__(self, method, path, status, *fields, body=None, state='daemon', query='', target=None, prepare=None):
        self.method, self.path, self.status, self.fields = method, path, status, fields
        self.body, self.state, self.query, self.target = body, state, query, target
        self.prepare = prepare  # what is to be sent, made before: {fields, body, target}

    def __repr__(self):
        return f'{self.method} {self.path}{self.query} {self.status}'


def new(**more):
    return dict(name=unique('contract'), **more)


SAY = {'name': 'Alice', 'content': 'hello'}
GONE = '2000000000'
SYNC = '/api/v1/sync'
CURSOR = 'AQAAAAAAAAAAAAAAAAAAAAAAAQEAxgcdYw'  # nobody's, at the beginning of conversation 1

CASES = [
    Case('GET', '/', 200),
    Case('GET', '/', 304, 'If-None-Match: *'),
    *(Case('GET', path, 200, state='whole_page') for path in FILES),
    *(Case('GET', path, 206, 'Range: bytes=0-9', state='whole_page') for path in FILES),
    *(Case('GET', path, 304, 'If-None-Match: *', state='whole_page') for path in FILES),
    *(Case('GET', path, 404, state='bare_page') for path in FILES),
    *(Case('GET', path, 416, 'Range: bytes=99999999-', state='whole_page') for path in FILES),
    *(Case('GET', '/static/{path}', 200, target=f'/static/{name}') for name in ('app.js', 'style.css')),

    Case('GET', ROOMS, 200),
    Case('GET', ROOMS, 401, state='members_only'),
    Case('GET', ROOMS, 503, state='no_database'),
    Case('POST', ROOMS, 201, body=new),
    Case('POST', ROOMS, 201, body=lambda: new(description='about it')),
    Case('POST', ROOMS, 400, body='taken'),
    Case('POST', ROOMS, 401, body=new, state='members_only'),
    Case('POST', ROOMS, 403, FOREIGN, body=new),
    Case('POST', ROOMS, 415, 'Content-Type: text/plain', body=new),
    Case('POST', ROOMS, 422, body={}),
    Case('POST', ROOMS, 422, body=b'{"name":'),
    Case('POST', ROOMS, 422, body=b'[]'),
    Case('POST', ROOMS, 503, body=new, state='no_database'),
    Case('GET', ROOM, 200),
    Case('GET', ROOM, 401, state='members_only'),
    Case('GET', ROOM, 404, target=f'{ROOMS}/{GONE}'),
    Case('GET', ROOM, 404, target=f'{ROOMS}/none'),
    Case('GET', ROOM, 503, state='no_database'),
    Case('DELETE', ROOM, 200),
    Case('DELETE', ROOM, 401, state='members_only'),
    Case('DELETE', ROOM, 403, FOREIGN),
    Case('DELETE', ROOM, 404, target=f'{ROOMS}/{GONE}'),
    Case('DELETE', ROOM, 503, state='no_database'),
    Case('GET', ROOM_MESSAGES, 200),
    Case('GET', ROOM_MESSAGES, 200, query='?limit=2'),
    Case('GET', ROOM_MESSAGES, 200, query='?before=2'),
    Case('GET', ROOM_MESSAGES, 401, state='members_only'),
    Case('GET', ROOM_MESSAGES, 404, target=f'{ROOMS}/{GONE}/messages'),
    Case('GET', ROOM_MESSAGES, 422, query='?limit=x'),
    Case('GET', ROOM_MESSAGES, 422, query='?before=x'),
    Case('GET', ROOM_MESSAGES, 503, state='no_database'),

    Case('GET', ROOM_SOCKET, 101, *HANDSHAKE, KEY),
    Case('GET', ROOM_SOCKET, 400, *HANDSHAKE),
    Case('GET', ROOM_SOCKET, 403, *HANDSHAKE, KEY, FOREIGN),
    Case('GET', ROOM_SOCKET, 426),
    Case('GET', SOCKET, 101, *HANDSHAKE, KEY, 'Sec-WebSocket-Protocol: roomd.v1'),
    Case('GET', ROOM_SOCKET, 401, *HANDSHAKE, KEY, 'Authorization: Bearer bad'),
    Case('GET', SOCKET, 401, *HANDSHAKE, KEY, 'Authorization: Bearer bad'),
    Case('GET', SOCKET, 400, *HANDSHAKE),
    Case('GET', SOCKET, 400, *HANDSHAKE, KEY, 'Sec-WebSocket-Protocol: other'),
    Case('GET', SOCKET, 403, *HANDSHAKE, KEY, FOREIGN),
    Case('GET', SOCKET, 426),

    Case('GET', EVENTS, 200, 'Last-Event-ID:', query='?c=1', state='no_database'),
    Case('GET', EVENTS, 401, query='?c=1', state='members_only'),
    Case('GET', EVENTS, 404, query=f'?c={GONE}'),
    Case('GET', EVENTS, 422),
    Case('GET', EVENTS, 422, query='?c=x'),
    Case('GET', EVENTS, 503, query='?c=1', state='no_database'),

    Case('GET', LIMITS, 200),
    Case('GET', PRESENCE, 200),
    Case('GET', PRESENCE, 200, query='?limit=1'),
    Case('GET', PRESENCE, 200, query='?users=1,2000000000'),
    Case('GET', PRESENCE, 401, state='members_only'),
    Case('GET', PRESENCE, 403, state='presence_off'),
    Case('GET', PRESENCE, 422, query='?users=x'),

    Case('GET', SYNC, 200, query=f'?cursor={CURSOR}&limit=5'),
    Case('GET', SYNC, 401, query=f'?cursor={CURSOR}', state='members_only'),
    Case('GET', SYNC, 422),
    Case('GET', SYNC, 422, query='?cursor=nonsense'),
    Case('GET', SYNC, 422, query=f'?cursor={CURSOR}&limit=0'),
    Case('GET', SYNC, 503, query=f'?cursor={CURSOR}', state='no_database'),

    Case('GET', CONVERSATIONS, 200),
    Case('GET', CONVERSATIONS, 200, query='?limit=1'),
    Case('GET', CONVERSATIONS, 200, query='?cursor=1&limit=1000'),
    Case('GET', CONVERSATIONS, 401, state='members_only'),
    Case('GET', CONVERSATIONS, 422, query='?limit=0'),
    Case('GET', CONVERSATIONS, 422, query='?cursor=x'),
    Case('GET', CONVERSATIONS, 503, state='no_database'),
    Case('POST', CONVERSATIONS, 201, body=new),
    Case('POST', CONVERSATIONS, 201, body=lambda: new(kind='room', description='about it')),
    Case('POST', CONVERSATIONS, 201, prepare=direct_with),
    Case('POST', CONVERSATIONS, 200, prepare=direct_again),
    Case('POST', CONVERSATIONS, 404, prepare=signed_in({'kind': 'direct', 'members': [2000000000]})),
    Case('POST', CONVERSATIONS, 422, prepare=signed_in({'kind': 'direct'})),
    Case('POST', CONVERSATIONS, 400, body=b'{"name":'),
    Case('POST', CONVERSATIONS, 401, body=new, state='members_only'),
    Case('POST', CONVERSATIONS, 403, FOREIGN, body=new),
    Case('POST', CONVERSATIONS, 403, body=lambda: new(kind='group')),
    Case('POST', CONVERSATIONS, 409, body='taken'),
    Case('POST', CONVERSATIONS, 415, 'Content-Type: text/plain', body=new),
    Case('POST', CONVERSATIONS, 422, body={}),
    Case('POST', CONVERSATIONS, 422, body=lambda: new(kind=5)),
    Case('POST', CONVERSATIONS, 422, body=lambda: new(kind='cinema')),
    Case('POST', CONVERSATIONS, 503, body=new, state='no_database'),
    Case('GET', CONVERSATION, 200),
    Case('GET', CONVERSATION, 401, state='members_only'),
    Case('GET', CONVERSATION, 404, target=f'{CONVERSATIONS}/{GONE}'),
    Case('GET', CONVERSATION, 404, target=f'{CONVERSATIONS}/{uuid.UUID(int=1)}'),
    Case('GET', CONVERSATION, 404, target=f'{CONVERSATIONS}/none'),
    Case('GET', CONVERSATION, 503, state='no_database'),
    Case('GET', MESSAGES, 200),
    *(Case('GET', MESSAGES, 200, query=f'?{name}=2&limit=1') for name in ('before', 'after', 'around')),
    Case('GET', MESSAGES, 401, state='members_only'),
    Case('GET', MESSAGES, 404, target=f'{CONVERSATIONS}/{GONE}/messages'),
    Case('GET', MESSAGES, 422, query='?limit=-1'),
    Case('GET', MESSAGES, 422, query='?before=1&after=1'),
    Case('GET', MESSAGES, 503, state='no_database'),
    Case('POST', MESSAGES, 200, body='again'),
    Case('POST', MESSAGES, 201, body=SAY),
    Case('POST', MESSAGES, 201, f'Idempotency-Key: {uuid.uuid4()}', body=SAY),
    Case('POST', MESSAGES, 400, body=b'{"name":'),
    Case('POST', MESSAGES, 401, body=SAY, state='members_only'),
    Case('POST', MESSAGES, 403, FOREIGN, body=SAY),
    Case('POST', MESSAGES, 404, body=SAY, target=f'{CONVERSATIONS}/{GONE}/messages'),
    Case('POST', MESSAGES, 409, body='account'),
    Case('POST', MESSAGES, 415, 'Content-Type: text/plain', body=SAY),
    Case('POST', MESSAGES, 422, body={'name': 'Alice'}),
    Case('POST', MESSAGES, 503, body=SAY, state='no_database'),
]
CASES += roomd_contract_accounts.cases(Case)
CASES += roomd_contract_moderation.cases(Case)
CASES += roomd_contract_filters.cases(Case)
CASES += roomd_contract_pages.cases(Case)
# refused before the route is known, see test_process.py: a worker without room for a connection
ELSEWHERE = {('GET', ROOM_SOCKET, 503), ('GET', SOCKET, 503)}
# in the terms of another protocol: test_engineio.py
ELSEWHERE |= {(method, '/socket.io/', status) for method, statuses in (
    ('GET', (101, 200, 400, 403, 503)), ('POST', (200, 400, 403, 503)), ('PUT', (400, 403, 503)))
    for status in statuses}


async def lively_room(daemon):
    """A room with messages of both dialects and a person in it: (id, name, socket)."""
    async with Http(daemon) as http:
        room = await http.new_room('contract')
    socket = await RoomSocket.enter(daemon, room['id'], 'Alice')
    await socket.say('first')
    await socket.say('second', unique('key'))
    await socket.wait_messages(2)
    async with await NativeSocket.hello(daemon, 'Bob') as native:
        await native.sub(room['id'])
        assert (await native.ask('send', c=room['id'], k=str(uuid.uuid4()), content='third',
                                 reply_to=str(room['id'] * 2 ** 32 + 1)))['op'] == 'ok'
    return room['id'], room['name'], socket


def insert_account(postgres, database, name):
    with postgres.connect(database) as connection:
        connection.execute("insert into users (kind, username, name) values ('account', %s, %s)", (name, name))


async def make_body(case, link, room, name, postgres, database):
    if case.body == 'taken':
        return {'name': name}
    if case.body == 'account':
        account = unique('account')
        insert_account(postgres, database, account)
        return {'name': account, 'content': 'hello'}
    if case.body == 'again':
        said = dict(SAY, client_msg_id=str(uuid.uuid4()))
        first = await link.ask('POST', MESSAGES.replace('{id}', str(room)), (JSON,), json.dumps(said).encode())
        assert first.status == 201
        return said
    return case.body() if callable(case.body) else case.body


@pytest.mark.parametrize('case', CASES, ids=repr)
async def test_s1_26_an_answer_is_as_documented(case, document, daemon, request, postgres, database):
    room, name, socket = await lively_room(daemon)
    target = daemon if case.state == 'daemon' else request.getfixturevalue(case.state)
    scene = await case.prepare(Scene(daemon, postgres, database)) if case.prepare else {}
    path = scene.get('target') or case.target or case.path.replace('{id}', str(room)).replace('{room_id}', str(room))
    path = path.replace('{path}', 'app.js')
    try:
        async with await Link.open(target) as link:
            body = scene.get('body') or await make_body(case, link, room, name, postgres, database)
            raw = body if isinstance(body, bytes) else b'' if body is None else json.dumps(body).encode()
            fields = case.fields + scene.get('fields', ())
            if body is not None and not any(field.startswith('Content-Type') for field in fields):
                fields += (JSON,)
            answer = await link.ask(case.method, path + case.query, fields, raw)
            assert answer.status == case.status, answer.body
            value = document.check(case.method, case.path, answer)
            if answer['location'] and case.status == 201:
                there = await link.ask('GET', answer['location'], scene.get('fields', ()))
                assert there.status == 200 and json.loads(there.body)['id'] == value['id']
    finally:
        await socket.close()
    operation = document.operations()[case.method, case.path]
    if case.status in (200, 201) and body is not None:
        document.validate(operation['requestBody']['content']['application/json']['schema'], body)
    if case.status == 422 and isinstance(body, dict) and 'requestBody' in operation:
        assert not document.is_valid(operation['requestBody']['content']['application/json']['schema'], body)


GENERAL = (405, 411, 413, 429)
UNKNOWN = ('GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'TRACE')


def general(document):
    """What is answered before any handler, whatever the operation."""
    return {answer for answer in document.answers() if answer[2] in GENERAL}


async def ask_general(link, document, method, path, status):
    """Makes the dispatch refuse METHOD with STATUS."""
    target = re.sub(r'{[^}]*}', '1', path)
    if status == 405:
        known = {name for name, there in document.operations() if there == path}
        return await link.ask(next(name for name in UNKNOWN if name not in known), target)
    if status == 413:
        return await link.ask(method, target, (JSON, 'Content-Length: 999999999'))
    # enough of everybody without credentials, and of bad ones where only these count
    fields = ('Authorization: Bearer bad',) if status == 429 and path.startswith(('/ws', EVENTS)) else (JSON,)
    return await link.ask(method, target, fields)


async def test_s1_26_every_operation_gives_the_answers_that_all_give(document, limited, members_only, daemon):
    """Seen red with "411" in the document of a route without a body, and with 429 taken out of one."""
    for method, path, status in sorted(general(document)):
        at = limited if status == 429 else daemon
        if status == 411:
            continue  # needs the rights first: below
        async with await Link.open(at) as link:
            answer = await ask_general(link, document, method, path, status)
        assert answer.status == status, (method, path, answer.status)
        document.check(method, path, answer)
        if status == 405:
            assert method in answer['allow']
    async with People(daemon) as http:
        token = (await http.new_person())['token']
    for method, path, status in sorted(general(document)):
        if status != 411 or path.startswith('/api/v1/filters'):
            continue  # administrators': in the cases
        async with await Link.open(daemon) as link:
            answer = await link.ask(method, re.sub(r'{[^}]*}', '1', path), (f'Authorization: Bearer {token}',))
        assert answer.status == 411, (method, path, answer.status)
        document.check(method, path, answer)


def test_s1_26_every_documented_answer_is_tested(document):
    tested = {(case.method, case.path, case.status) for case in CASES}
    assert document.answers() - tested - general(document) == ELSEWHERE
    assert tested <= document.answers()


# ---------------------------------------------------------------- bodies


ROOM_BODIES = [
    {'name': 'x'}, {'name': 'x' * 88}, {'name': ''}, {'name': 'x' * 101}, {'name': 5}, {'name': None}, {},
    {'name': ['x']}, {'name': 'x', 'description': 'd' * 1000}, {'name': 'x', 'description': 'd' * 1001},
    {'name': 'x', 'description': 5}, {'name': 'x', 'description': None}, {'name': 'x', 'unknown': 1}, {'name': '\U0001d4b3' * 88},
]
MESSAGE_BODIES = [
    SAY, dict(SAY, content=''), dict(SAY, content='x' * 16000), dict(SAY, content='x' * 16001),
    dict(SAY, attachment_url='/1'), dict(SAY, content='', attachment_url='https://example.org/1'),
    dict(SAY, content=None, attachment_url='/1'), dict(SAY, attachment_url=''), dict(SAY, attachment_url=7),
    dict(SAY, attachment_url='//1'), dict(SAY, attachment_url='files/1'), dict(SAY, attachment_url='/1 2'),
    dict(SAY, attachment_url='/' + 'x' * 2047), dict(SAY, attachment_url='/' + 'x' * 2048),
    dict(SAY, content=None), dict(SAY, content=7), dict(SAY, name=''), dict(SAY, name='n' * 100),
    dict(SAY, name='n' * 101), dict(SAY, name=5), dict(SAY, client_msg_id='k'),
    dict(SAY, client_msg_id='k' * 128), dict(SAY, client_msg_id='k' * 129), dict(SAY, client_msg_id=''),
    dict(SAY, reply_to=None), dict(SAY, reply_to=True), dict(SAY, unknown=1), dict(SAY, client_msg_id=None),
]


async def is_taken(daemon, document, method, path, body, room=''):
    async with await Link.open(daemon) as link:
        answer = await link.ask(method, path.replace('{id}', str(room)), (JSON,), json.dumps(body).encode())
    document.check(method, path, answer)
    assert answer.status in (200, 201, 422), answer.body
    schema = document.operations()[method, path]['requestBody']['content']['application/json']['schema']
    return answer.status != 422, document.is_valid(schema, body)


@pytest.mark.parametrize('path', [ROOMS, CONVERSATIONS])
@pytest.mark.parametrize('body', ROOM_BODIES, ids=lambda body: json.dumps(body)[:40])
async def test_s1_03_s1_26_what_is_taken_is_what_the_schema_allows(daemon, document, path, body):
    body = dict(body)
    if isinstance(body.get('name'), str) and 0 < len(body['name']) <= 88:
        # names of open rooms are unique
        body['name'] = (body['name'] + uuid.uuid4().hex)[:100]
    is_good, is_allowed = await is_taken(daemon, document, 'POST', path, body)
    assert is_good == is_allowed


@pytest.mark.parametrize('body', MESSAGE_BODIES, ids=lambda body: json.dumps(body)[:70])
async def test_s1_26_messages_that_are_taken_are_what_the_schema_allows(daemon, document, body):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    is_good, is_allowed = await is_taken(daemon, document, 'POST', MESSAGES, body, room)
    assert is_good == is_allowed


# ---------------------------------------------------------------- methods and paths


async def test_s0_08_every_documented_path_knows_its_methods_and_no_others(daemon, document):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    for path, item in document.content['paths'].items():
        item = document.resolve(item)
        target = re.sub(r'{[^}]*}', 'app.js' if path.startswith('/static') else str(room), path)
        documented = {method.upper() for method in METHODS if method in item}
        async with await Link.open(daemon) as link:
            answer = await link.ask('OPTIONS', target)
            assert answer.status in (200, 204) and not answer.body
            allowed = {name.strip() for name in answer['allow'].split(',')}
            assert allowed - {'HEAD', 'OPTIONS'} == documented, path
            for method in {name.upper() for name in METHODS} - documented:
                answer = await link.ask(method, target)
                assert answer.status == 405, (method, path)
                assert {name.strip() for name in answer['allow'].split(',')} == allowed
            if 'get' in item and not path.startswith('/ws'):
                answer = await link.ask('GET', target)
                assert (await link.ask('HEAD', target)).status == answer.status
                assert 'HEAD' in allowed


async def test_s0_08_nothing_lies_beside_the_documented_paths(daemon, document):
    documented = [re.sub(r'{[^}]*}', '[^/]+', path) for path in document.content['paths']]
    for path in document.content['paths']:
        target = re.sub(r'{[^}]*}', '1', path)
        others = [target.rstrip('/') + '/nothing', '/x' + target]
        if not path.endswith('}'):
            others.append(target + 'X')
        for other in others:
            if any(re.fullmatch(pattern, other) for pattern in documented):
                continue  # "nothing" in the place of an id
            async with await Link.open(daemon) as link:
                answer = await link.ask('GET', other)
            assert answer.status == 404, other


async def test_s1_26_errors_have_the_form_of_their_surface(daemon, document):
    """detail under /api/chat, a problem under /api/v1, also where no route is."""
    for path, kind, schema in (('/api/chat/nothing', 'application/json', 'Detail'),
                               (ROOMS, 'application/json', 'Detail'),
                               ('/api/v1/nothing', 'application/problem+json', 'Problem'),
                               (CONVERSATIONS, 'application/problem+json', 'Problem')):
        async with await Link.open(daemon) as link:
            answer = await link.ask('PUT' if 'nothing' not in path else 'GET', path)
        assert answer.status == (404 if 'nothing' in path else 405)
        assert answer['content-type'].partition(';')[0] == kind
        document.validate({'$ref': f'#/components/schemas/{schema}'}, json.loads(answer.body))
