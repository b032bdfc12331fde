# SPDX-License-Identifier: MIT
"""Every text that a client can give, filled with what has broken other servers: SQL, HTML, templates, shells.

Fields are not listed here. Those of REST and of forms are read from the document that the daemon serves, those of the
sockets from the decoders' sources, so a new field is tried by being there. What is taken comes back byte for byte, as
JSON that no browser takes for a page; nothing is answered 5xx, and the database is as it was.

Seen red: with the field X-Content-Type-Options under another name, with a filter left in force that blocks "x", and
with a page that shows the name of a form as it came.
"""
import html
import json
import re
import urllib.parse

import pytest

from roomd_clients import Http, NativeSocket, RoomSocket
from roomd_harness import TOP, unique
from roomd_people import PASSWORD, People, bearer, cookie_of, unique_login
from test_socketio import Client

DAEMON = {'workers': 1, 'settings': {'http.origins': ''}}
PAYLOADS = [
    "'", "''; DROP TABLE users; --", "' OR '1'='1", "\\'; SELECT pg_sleep(9); --", '"; DELETE FROM events; --',
    "$1", "$$; TRUNCATE users; $$", "%s%n%x", "{{7*7}}${7*7}#{7*7}", "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>", "javascript:alert(1)", "</script><svg/onload=alert(1)>", "&lt;b&gt;&amp;&#39;",
    "<!--#exec cmd=\"id\"-->", "`id`$(id);id|id", "../../../etc/passwd", "a'||pg_sleep(9)||'", "é'\u2028\"\\u0027",
    "{\"a\":\"b\"}", "[1,2]", "null", "E'\\\\x27'"]
SOURCES = ('proto/dialect_native.c', 'proto/dialect_raw.c', 'proto/cmd.c')
# where every answer without the right secret is a refusal
SECRET = re.compile(r'/auth/(?!register|guest)')
FORM = 'application/x-www-form-urlencoded'
SLOW_S = 5  # below pg_sleep's nine


# ---------------------------------------------------------------- what there is


def resolve(document, node):
    while '$ref' in node:
        place = document
        for part in node['$ref'].removeprefix('#/').split('/'):
            place = place[part]
        node = place
    return node


def properties(document, schema):
    """{name: schema} of an object, alternatives taken together; and what is required."""
    schema = resolve(document, schema)
    found, required = dict(schema.get('properties', {})), set(schema.get('required', ()))
    for part in schema.get('allOf', []) + schema.get('oneOf', []) + schema.get('anyOf', []):
        more, needed = properties(document, part)
        found.update(more)
        required |= needed if part in schema.get('allOf', []) else set()
    return found, required


def takes_text(document, schema):
    schema = resolve(document, schema)
    kinds = schema.get('type', [])
    kinds = [kinds] if isinstance(kinds, str) else kinds
    return 'string' in kinds or is_list_of_text(document, schema) or any(
        takes_text(document, part) for key in ('oneOf', 'anyOf', 'allOf') for part in schema.get(key, []))


def is_list_of_text(document, schema):
    schema = resolve(document, schema)
    return schema.get('type') == 'array' and takes_text(document, schema.get('items', {}))


def example(document, name, schema):
    """A value that should do."""
    schema = resolve(document, schema)
    for key in ('oneOf', 'anyOf', 'allOf'):
        if key in schema:
            return example(document, name, schema[key][0])
    if 'enum' in schema:
        return schema['enum'][0]
    kind = schema.get('type', 'string')
    kind = kind if isinstance(kind, str) else kind[0]
    if kind in ('integer', 'number'):
        return schema.get('minimum', 1)
    if kind == 'boolean':
        return True
    if kind == 'array':
        return []
    if kind == 'object':
        return {}
    if 'password' in name:
        return PASSWORD
    return unique_login(name) if name in ('username', 'name') else 'x'


def operations(document):
    for path, item in document['paths'].items():
        for method, operation in item.items():
            if method in ('get', 'post', 'put', 'patch', 'delete'):
                yield method.upper(), path, operation


def body_fields(document, operation, kind='application/json'):
    """(schema's members, required ones, names of texts)"""
    content = operation.get('requestBody', {}).get('content', {}).get(kind)
    if not content:
        return {}, set(), []
    members, required = properties(document, content['schema'])
    return members, required, [name for name, schema in members.items() if takes_text(document, schema)]


# ---------------------------------------------------------------- judging answers


def strings(value):
    if isinstance(value, dict):
        for name, member in value.items():
            yield from ((name, text) for text in [member] if isinstance(text, str))
            if name not in ('sender', 'last_message'):  # other people's, and a caller's own name
                yield from strings(member)
    elif isinstance(value, list):
        for member in value:
            yield from strings(member)


def check_inert(answer, what):
    """No browser takes it for a page, whatever is in it."""
    status, body, headers = answer
    assert status < 500 or status == 503 and 'event-stream' in str(what), (what, status, body)
    assert headers.get('X-Content-Type-Options') == 'nosniff', what
    kind = headers.get('Content-Type', '').split(';')[0]
    if status == 404 and kind == 'text/html':  # no address of the interface: the page says so in its own words
        assert not any(payload.encode() in body for payload in PAYLOADS if '<' in payload), what
        return status, body
    assert kind in ('application/json', 'application/problem+json', '') or not body, (what, kind)
    return status, body


def named(payload):
    """A name with the payload in it: names have no line separators."""
    return f'{payload} {unique("")}'.replace('\u2028', '').strip()


def kept(name, payload):
    """Names lose white space at their ends; nothing else loses anything."""
    return {payload, payload.strip()} if 'name' in name else {payload}


class Place:
    """A room and people to speak about, made anew when an operation has used them up."""

    def __init__(self, people, rows):
        self.people, self.rows = people, rows

    async def prepare(self):
        name = unique_login('payload')
        status, body, _ = await self.people.register(name)
        assert status == 201, body
        self.rows('update users set is_admin = true where username = %s returning id', name)
        status, body, _ = await self.people.login(name)
        assert status == 200, body
        self.token = body['access_token']
        status, room, _ = await self.people.ask('POST', '/api/v1/conversations', {'name': unique('payload')},
                                                headers=bearer(self.token))
        assert status == 201, room
        self.room = room['id']
        return self

    def path(self, path):
        """Numbers that exist in the place of {…}."""
        return re.sub(r'{(\w+)}', lambda match: str(self.room if match[1] in ('id', 'room_id') else 1), path)

    async def ask(self, method, path, body=None, **more):
        return await self.people.ask(method, path, body, headers={**bearer(self.token), **more.pop('headers', {})},
                                     **more)


@pytest.fixture
def counts(rows):
    """How much there is of everything, to see that nothing vanished."""
    def count():
        return {table: rows(f'select count(*) from {table}')[0][0]
                for table in ('users', 'conversations', 'events', 'sessions', 'audit')}
    return count


# ---------------------------------------------------------------- REST


async def test_s0_45_every_text_of_every_body(daemon, rows, counts):
    async with People(daemon) as people:
        _, document, _ = await people.ask('GET', '/openapi.json')
        tried, taken = 0, set()
        for method, path, operation in operations(document):
            members, required, texts = body_fields(document, operation)
            if not texts:
                continue
            place = await Place(people, rows).prepare()
            before = counts()
            for field in texts:
                for payload in PAYLOADS[:6] if SECRET.search(path) else PAYLOADS:
                    body = {name: example(document, name, members[name]) for name in required}
                    body[field] = [payload] if is_list_of_text(document, members[field]) else payload
                    what = (method, path, field, payload)
                    answer = await place.ask(method, place.path(path), body, timeout=SLOW_S)
                    status, said = check_inert(answer, what)
                    tried += 1
                    if path.endswith('/filters'):  # they would be in force
                        rows('delete from filters returning id')
                    if status in (200, 201):
                        taken.add((path, field))
                        for name, text in strings(said):
                            assert name != field or text in kept(field, payload), what
                    if status == 401 and not SECRET.search(path):
                        place = await Place(people, rows).prepare()
            after = counts()
            assert all(after[table] >= n for table, n in before.items()), (path, before, after)
        assert tried > 300
        # fields that hold anything have held something
        assert {field for _, field in taken} >= {'name', 'description', 'content', 'pattern', 'reason'}


async def test_s0_45_every_text_of_every_form(daemon, counts):
    """What a page shows again of what was typed is no markup."""
    async with People(daemon) as people:
        _, document, _ = await people.ask('GET', '/openapi.json')
        status, _, headers = await people.ask('POST', '/', data=f'name={unique_login("form")}&create=',
                                              headers={'Content-Type': FORM}, allow_redirects=False)
        assert status == 302
        inside = {'Cookie': f'session={cookie_of(headers).value}'}
        before, tried, others = counts(), set(), set()
        for method, path, operation in operations(document):
            others |= set(operation.get('requestBody', {}).get('content', {})) - {'application/json'}
            members, required, texts = body_fields(document, operation, FORM)
            required |= {'create'} & set(members)  # one of the buttons
            fields = {'Content-Type': FORM, 'Sec-Fetch-Site': 'same-origin', **(inside if path != '/' else {})}
            for field in texts:
                for payload in PAYLOADS:
                    form = {name: example(document, name, members[name]) for name in required} | {field: payload}
                    status, body, headers = await people.ask(method, path, data=urllib.parse.urlencode(form),
                                                             allow_redirects=False, headers=fields)
                    what = (method, path, field, payload)
                    assert status < 500 and headers.get('X-Content-Type-Options') == 'nosniff', what
                    assert headers.get('Location', '/').startswith('/'), what
                    assert not body or "script-src 'self';" in headers['Content-Security-Policy'], what
                    assert b'<' not in payload.encode() or payload.encode() not in body, what
                    tried.add((path, field))
        assert {('/', 'name'), ('/', 'code'), ('/room', 'message')} <= tried
        _, page, _ = await people.ask('GET', '/room', headers=inside)
        assert not any(payload.encode() in page for payload in PAYLOADS if '<' in payload)
        assert all(payload in html.unescape(page.decode()) for payload in PAYLOADS), 'shown as they were typed'
        # bodies of any other kind have a test of their own: packets of Engine.IO
        assert others == {FORM, 'text/plain'}
        assert all(counts()[table] >= n for table, n in before.items())


async def test_s0_45_every_text_of_queries_and_paths(daemon, rows, counts):
    async with People(daemon) as people:
        _, document, _ = await people.ask('GET', '/openapi.json')
        place = await Place(people, rows).prepare()
        before, tried = counts(), 0
        for method, path, operation in operations(document):
            if not path.startswith('/api') or path.endswith('/events'):
                continue
            members, required, _ = body_fields(document, operation)
            body = {name: example(document, name, members[name]) for name in required} if members else None
            given = [resolve(document, one) for one in operation.get('parameters', [])]
            for one in given:
                for payload in PAYLOADS:
                    quoted = urllib.parse.quote(payload, safe='')
                    if one['in'] == 'query':
                        where = f'{place.path(path)}?{one["name"]}={quoted}'
                    elif one['in'] == 'path':
                        where = place.path(path.replace('{' + one['name'] + '}', quoted, 1))
                    else:
                        continue
                    answer = await place.ask(method, where, body, allow_redirects=False, timeout=SLOW_S)
                    status, _ = check_inert(answer, (method, where, one['name']))
                    assert status != 401, (method, where)
                    tried += 1
        assert tried > 700
        assert all(counts()[table] >= n for table, n in before.items())


async def test_s0_45_what_is_stored_is_read_back(daemon, rows):
    """Rooms and messages with every payload, read by every list that shows them."""
    async with Http(daemon) as http:
        rooms = {}
        for payload in PAYLOADS:
            name = named(payload)
            status, room, _ = await http.ask('POST', '/api/chat/rooms', {'name': name, 'description': payload})
            assert status in (200, 201), room
            rooms[room['id']] = (name, payload)
            status, sent, _ = await http.ask('POST', f'/api/v1/conversations/{room["id"]}/messages',
                                             {'name': name, 'content': payload, 'client_msg_id': payload})
            assert (status, sent['content'], sent['sender']['name']) == (201, payload, name)
        answer = await http.ask('GET', '/api/chat/rooms')
        status, listed = check_inert(answer, 'rooms')
        assert {room['id']: (room['name'], room['description']) for room in listed if room['id'] in rooms} == rooms
        for room, (name, payload) in rooms.items():
            for path in (f'/api/chat/rooms/{room}', f'/api/v1/conversations/{room}'):
                status, body = check_inert(await http.ask('GET', path), path)
                assert (status, body['name'], body['description']) == (200, name, payload)
            message, = await http.messages(room)
            assert (message['content'], message['username']) == (payload, name)
            assert rows('select content from events where conversation_id = %s', room) == [(payload,)]


# ---------------------------------------------------------------- sockets


def socket_fields():
    """The members that the decoders ask requests for."""
    found = set()
    for name in SOURCES:
        found |= set(re.findall(r'(?:cmd_get\w*|json_get\w*|names_get)\([^";]*"(\w+)"', (TOP / name).read_text()))
    return sorted(found)


def socket_operations():
    text = re.sub(r'/\*.*?\*/', '', (TOP / 'proto/ops.def').read_text(), flags=re.S)
    return sorted(re.findall(r'X\(\w+,\s*"([\w.]+)"', text))


def test_the_fields_of_the_sockets_are_found():
    assert {'name', 'username', 'content', 'emoji', 'cursor', 'token', 'status', 'client'} <= set(socket_fields())
    assert {'hello', 'send', 'edit', 'react', 'presence', 'sync'} <= set(socket_operations())


@pytest.mark.parametrize('op', socket_operations())
async def test_s0_45_every_text_of_the_native_socket(daemon, op, counts):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    before = counts()

    async def enter():
        one = await NativeSocket.hello(daemon, unique('payload'))
        await one.ask('sub', c=room)
        await one.ask('send', c=room, content='the first')
        return one
    one = await enter()
    base = {'c': room, 'rev': 1, 'content': 'x', 'emoji': '👍', 'on': True, 'seq': 1}
    if op == 'hello':
        base = {'name': unique('payload')}
    for field in socket_fields():
        if field in ('op', 'type'):
            continue
        for payload in PAYLOADS if field in base else PAYLOADS[::4]:
            if op == 'hello':
                await one.close()
                one = await NativeSocket.open(daemon, '/ws', subprotocols=['roomd.v1'])
            if not one.is_open:
                one = await enter()
            number = f'{field} {payload}'[:40]
            await one.send({'op': op, 'id': number, **base, field: payload})
            frame = await one.wait(lambda frames: [f for f in frames if f.get('re') == number or
                                                   f.get('op') in ('err', 'welcome', 'live', 'pong', 'gap', 'ok')],
                                   (op, field, payload))
            assert frame[-1].get('code') not in ('internal', 'unavailable'), (op, field, payload, frame[-1])
            one.frames.clear()
            if op in ('unsub', 'typing', 'presence'):
                await one.send({'op': 'sub', 'id': 'again', 'c': room})
                await one.wait(lambda frames: [f for f in frames if f.get('re') == 'again'])
                one.frames.clear()
    await one.close()
    assert all(counts()[table] >= n for table, n in before.items())


@pytest.mark.parametrize('field', ['username', 'content', 'client_id', 'token', 'type'])
async def test_s0_45_every_text_of_a_rooms_socket(daemon, field):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
        for payload in PAYLOADS:
            async with await RoomSocket.open(daemon, f'/ws/chat/{room}') as one:
                name = named(payload) if field == 'username' else unique('payload')
                hello = {'username': name}
                await one.send({**hello, 'token': payload} if field == 'token' else hello)
                frames = await one.wait(lambda frames: frames)
                if field == 'token':
                    assert frames[0]['type'] in ('connected', 'error')
                    continue
                await one.expect(type='connected')
                text = payload if field == 'content' else 'x'
                await one.send({'type': payload if field == 'type' else 'message', 'content': text,
                                'client_id': payload if field == 'client_id' else 'k'})
                frame = (await one.wait(lambda frames: [f for f in frames if f['type'] in ('message', 'error')]))[0]
                if field == 'type':
                    assert frame['type'] == 'error'
                    continue
                assert (frame['content'], frame['username']) == (text, name)
                assert frame['client_id'] == (payload if field == 'client_id' else 'k')


def socketio_fields():
    """The members that the decoder of S3 and S4 asks events for."""
    asks = r'get2\(v, "(\w+)", "(\w+)"|(?:cmd_get|json_get)\w*\([^";]*"(\w+)"'
    found = re.findall(asks, (TOP / 'proto/s4.c').read_text())
    return sorted({name for names in found for name in names if name} | {'content'})


def socketio_events():
    text = re.sub(r'/\*.*?\*/', '', (TOP / 'proto/s4_ops.def').read_text(), flags=re.S)
    return sorted(re.findall(r'X\("(\w+)"', text))


def test_the_fields_of_socket_io_are_found():
    assert {'conversationId', 'conversation_id', 'receiverId', 'content', 'attachmentUrl', 'replyTo', 'clientMsgId',
            'messageId'} <= set(socketio_fields())
    assert {'join_conversation', 'send_message', 'typing', 'mark_as_read', 'delivered'} <= set(socketio_events())


@pytest.mark.parametrize('event', socketio_events())
async def test_s0_45_every_text_of_socket_io(daemon, event, counts):
    async with People(daemon) as people:
        made = await people.new_person('payload')
        room = (await people.new_room())['id']
    before = counts()
    one = await Client().connect(daemon, made['token'])
    await one.join(room)
    base = {'conversationId': room, 'content': 'x'} if event == 'send_message' else {'conversationId': room}
    for field in socketio_fields():
        for payload in PAYLOADS if event == 'send_message' else PAYLOADS[::4]:
            what = (event, field, payload)
            answer = await one.ask(event, {**base, field: payload})
            assert answer['ok'] or answer['error'] not in ('internal', 'unavailable'), (what, answer)
            if event != 'send_message' or not answer['ok'] or answer.get('duplicate'):
                continue
            assert answer['message']['content'] == (payload if field == 'content' else 'x'), what
            heard = await one.wait('new_message')
            assert heard[-1]['content'] == answer['message']['content'], what
            for name, shown in (('clientMsgId', 'clientMsgId'), ('attachmentUrl', 'attachment_url')):
                if field == name:
                    assert answer['message'].get(shown) == payload, (what, answer)
            one.heard.clear()
    await one.ask('leave_conversation', room)
    for payload in PAYLOADS:  # in the place of an object
        answer = await one.ask(event, payload)
        assert not answer['ok'] and answer['error'] not in ('internal', 'unavailable'), (event, payload, answer)
    assert one.sio.connected
    await one.sio.disconnect()
    assert all(counts()[table] >= n for table, n in before.items())


async def test_s0_45_no_error_repeats_what_was_sent(daemon):
    """An error's sentence is the server's own."""
    async with Http(daemon) as http:
        for payload in PAYLOADS[9:15]:
            for path, body in (('/api/chat/rooms', {'name': 'x', 'description': payload * 200}),
                               ('/api/v1/conversations', {'name': 'x', 'kind': payload}),
                               ('/api/v1/conversations', {'name': payload + '\u202e'})):
                status, said, headers = await http.ask('POST', path, body)
                check_inert((status, said, headers), path)
                assert status in (400, 403, 422), (path, said)
                assert payload not in json.dumps(said, ensure_ascii=False)
