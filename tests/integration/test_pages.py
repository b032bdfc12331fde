# SPDX-License-Identifier: MIT
"""Rooms with codes on pages that need no scripts: the form, the room, one's history, and the end of rooms.

What is asked comes from a browser of a few lines that keeps cookies and follows nothing by itself.
"""
import html
import json
import re
import time
from contextlib import asynccontextmanager
from urllib.parse import urlencode

import aiohttp
import psycopg
import pytest
import websockets

from roomd_clients import NativeSocket, RoomSocket, eventually
from roomd_harness import Daemon, PATIENCE, unique
from roomd_outage import metric, server_for, stopped
from roomd_people import People, cookie_of

SOON = {'chat.code_grace': '0s', 'presence.grace_clean': '100ms', 'presence.grace_lost': '200ms',
        'auth.hash_memory': '64k', 'auth.hash_passes': 1}
DAEMON = {'settings': SOON | {'chat.code_grace': '60s'}}
FORM = 'application/x-www-form-urlencoded'


class Answer:
    def __init__(self, status, headers, text):
        self.status, self.headers, self.text = status, headers, text

    @property
    def location(self):
        return self.headers.get('Location')

    @property
    def inert(self):
        """The page without the scripts that are its own."""
        return re.sub(r'<script src="/static/[^"]*" defer></script>', '', self.text)

    @property
    def notice(self):
        """The text of the notice on the page, '' without one."""
        found = re.search(r'<p id="notice"[^>]*>(.*?)</p>', self.text, re.S)
        return html.unescape(found[1]) if found else ''

    def value(self, name):
        """What the input NAME of the page holds."""
        tag = next(tag for tag in re.findall(r'<input[^>]*>', self.text) if f'name="{name}"' in tag)
        return html.unescape(re.search(r' value="([^"]*)"', tag)[1])

    def is_invalid(self, name):
        return any(f'name="{name}"' in tag and 'aria-invalid' in tag
                   for tag in re.findall(r'<input[^>]*>', self.text))

    @property
    def code(self):
        return re.search(r'data-room="([^"]*)"', self.text)[1]

    @property
    def people(self):
        part = re.search(r'<ul id="people">(.*?)</ul>', self.text, re.S)[1]
        return [html.unescape(name) for name in re.findall(r'<bdi>(.*?)</bdi>', part)]

    @property
    def messages(self):
        """(name, text) of each message, as a browser shows them."""
        part = re.search(r'<ol id="messages">(.*?)</ol>', self.text, re.S)[1]
        return [(html.unescape(name), html.unescape(text)) for name, text in
                re.findall(r'<bdi>(.*?)</bdi>.*?<p class="text"[^>]*>(.*?)</p>', part, re.S)]

    @property
    def texts(self):
        return [text for _, text in self.messages]


class Browser:
    """A browser without scripts: cookies, forms, pages."""

    def __init__(self, daemon):
        self.daemon, self.session, self.cookie = daemon, None, None

    async def __aenter__(self):
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE),
                                             cookie_jar=aiohttp.DummyCookieJar())
        return self

    async def __aexit__(self, *_):
        await self.session.close()

    async def ask(self, method, path, data=None, headers=None):
        fields = dict(headers or {})
        if self.cookie:
            fields['Cookie'] = f'session={self.cookie}'
        async with self.session.request(method, self.daemon.http + path, data=data, headers=fields,
                                        allow_redirects=False) as answer:
            text = (await answer.read()).decode()
            morsel = cookie_of(answer.headers)
            if morsel is not None:
                self.cookie = morsel.value or None
            return Answer(answer.status, answer.headers, text)

    async def get(self, path, **headers):
        return await self.ask('GET', path, headers={'Accept': 'text/html', **headers})

    async def post(self, path, headers=None, **fields):
        """As a form of a page of the same origin is sent."""
        own = {'Content-Type': FORM, 'Origin': self.daemon.http, 'Sec-Fetch-Site': 'same-origin'}
        return await self.ask('POST', path, urlencode(fields), {**own, **(headers or {})})

    async def create(self, name):
        answer = await self.post('/', name=name, create='')
        assert (answer.status, answer.location) == (302, '/room'), answer.text
        page = await self.get('/room')
        assert page.status == 200, page.text
        return page.code

    async def join(self, name, code):
        answer = await self.post('/', name=name, code=code, join='')
        assert (answer.status, answer.location) == (302, '/room'), answer.text

    async def say(self, text, **more):
        answer = await self.post('/room', message=text, **more)
        assert (answer.status, answer.location) == (303, '/room#last'), answer.text

    async def history(self, query=''):
        answer = await self.ask('GET', '/history' + query, headers={'Accept': 'application/json'})
        assert answer.status == 200, answer.text
        return json.loads(answer.text)


@asynccontextmanager
async def browsers(daemon, n):
    made = [Browser(daemon) for _ in range(n)]
    for one in made:
        await one.__aenter__()
    try:
        yield made
    finally:
        for one in made:
            await one.__aexit__()


def sql(daemon, text, *values):
    with psycopg.connect(daemon.settings['database.url'], autocommit=True) as link:
        return link.execute(text, values).fetchall()


# ---- The form ----------------------------------------------------------------------------------------

async def test_s0_11_the_start_has_the_form_and_needs_no_script(daemon):
    async with Browser(daemon) as ann:
        page = await ann.get('/')
        assert page.status == 200
        form = re.search(r'<form[^>]*action="/"[^>]*>.*?</form>', page.text, re.S)[0]
        assert 'method="post"' in form
        for part in ('name="name"', 'name="code"', 'name="create"', 'name="join"'):
            assert part in form
        head = await ann.ask('HEAD', '/')
        assert (head.status, head.text) == (200, '')
        assert head.headers['ETag'] == page.headers['ETag']


async def test_s0_12_create_gives_a_room_and_a_cookie(daemon):
    async with Browser(daemon) as ann:
        answer = await ann.post('/', name='Ann of 12', create='')
        assert (answer.status, answer.location) == (302, '/room')
        morsel = cookie_of(answer.headers)
        assert morsel['httponly'] and morsel['samesite'] == 'Lax'
        assert 'Ann' not in morsel.value
        page = await ann.get('/room')
        assert re.fullmatch(r'[A-Z]{4}', page.code)
        assert page.people == ['Ann of 12']
        assert page.headers['Cache-Control'] == 'no-store'
        assert "default-src 'none'" in page.headers['Content-Security-Policy']
        assert '<script' not in page.inert


async def test_s0_13_14_join_in_any_case_and_see_this_room_only(daemon):
    async with browsers(daemon, 3) as (ann, bob, eve):
        code = await ann.create(unique('Ann'))
        await eve.create(unique('Eve'))
        await eve.say('elsewhere')
        await ann.say('first')
        bob_name = unique('Bob')
        await bob.join(bob_name, f' {code.lower()} ')
        await bob.say('second')
        page = await bob.get('/room')
        assert page.code == code
        assert page.texts == ['first', 'second']
        assert len(page.people) == 2 and bob_name in page.people
        assert (await ann.get('/room')).texts == ['first', 'second']


@pytest.mark.parametrize('fields', [
    {'name': ''}, {'name': '   '}, {'name': '\u200b\u200d'}, {'name': 'A\u0007nn'}, {'name': 'Ann\u202e'},
    {'name': 'x' * 101}, {'name': 'a\0b'}, {}])
async def test_s0_40_a_bad_name_is_told_and_what_was_typed_is_kept(daemon, fields):
    """Seen red with the check of the name taken out: only the code is wrong then, 404."""
    async with Browser(daemon) as ann:
        answer = await ann.post('/', code='QQQQ', join='', **fields)
        assert answer.status == 400
        assert 'name' in answer.notice.lower()
        assert answer.is_invalid('name') and not answer.is_invalid('code')
        assert answer.value('code') == 'QQQQ'
        if '\0' not in fields.get('name', '') and '\u0007' not in fields.get('name', ''):
            assert answer.value('name') == fields.get('name', '')
        assert ann.cookie is None


async def test_s0_42_ordinary_names_are_taken_and_composed(daemon):
    async with Browser(daemon) as ann:
        await ann.create('Zoe\u0308')
        assert (await ann.get('/room')).people == ['Zo\u00eb']


async def test_neither_and_both_buttons_are_refused(daemon):
    async with Browser(daemon) as ann:
        for fields in ({}, {'create': '', 'join': ''}):
            answer = await ann.post('/', name='Ann', code='ABCD', **fields)
            assert (answer.status, answer.value('name'), answer.value('code')) == (400, 'Ann', 'ABCD')


@pytest.mark.parametrize('code', ['ab1!', 'ABC', 'ABCDE', '', 'ÄBCD', '<b>A'])
async def test_s0_41_a_malformed_code_is_refused(daemon, code):
    async with Browser(daemon) as ann:
        answer = await ann.post('/', name='Ann', code=code, join='')
        assert answer.status == 400
        assert 'code' in answer.notice.lower()
        assert answer.is_invalid('code') and not answer.is_invalid('name')
        assert (answer.value('name'), answer.value('code')) == ('Ann', code)


async def test_s0_48_an_unknown_code_is_404_and_keeps_the_name(daemon):
    async with Browser(daemon) as ann:
        for code in ('QQQQ', 'NOPE'):  # no code has an O
            answer = await ann.post('/', name='Ann', code=code, join='')
            assert answer.status == 404
            assert 'no such room' in answer.notice
            assert (answer.value('name'), answer.value('code')) == ('Ann', code)


async def test_s0_48_who_guesses_is_stopped(start_daemon):
    """Twenty misses; hits cost nothing. Seen red with the allowance given back after misses, too."""
    daemon = start_daemon(settings=SOON | {'chat.code_grace': '60s', 'limits.code_misses': '20/m',
                                           'limits.sends_user': '1/h'})
    async with browsers(daemon, 2) as (ann, eve):
        code = await ann.create('Ann')
        await ann.say('one')
        answer = await ann.post('/room', message='another')
        assert (answer.status, answer.value('message')) == (429, 'another')
        assert int(answer.headers['Retry-After']) > 60
        name = unique('Eve')
        for _ in range(25):
            await eve.join(name, code)
        answers = [(await eve.post('/', name=name, code='QQQQ', join='')) for _ in range(25)]
        assert [one.status for one in answers[:20]] == [404] * 20
        assert answers[-1].status == 429
        assert int(answers[-1].headers['Retry-After']) >= 1
        assert answers[-1].value('name') == name
        assert (await eve.post('/', name=name, code=code, join='')).status == 429


async def test_a_name_belongs_to_the_cookie_that_has_it(daemon):
    async with browsers(daemon, 2) as (ann, eve):
        name = unique('Ann')
        code = await ann.create(name)
        answer = await eve.post('/', name=name, code=code, join='')
        assert answer.status == 400 and answer.is_invalid('name')
        assert answer.value('name') == name
        assert await ann.create(name) != code  # she keeps it herself
        await ann.join(unique('Ann'), code)  # another name sets the first one free
        await eve.join(name, code)


async def test_an_account_comes_under_its_own_name(daemon):
    async with People(daemon) as http, browsers(daemon, 2) as (ann, bob):
        made = await http.new_person()
        name = made['user']['username']
        answer = await bob.post('/', name=name, create='')
        assert answer.status == 400 and answer.is_invalid('name')
        ann.cookie = (await http.page_login(name)).value
        code = await ann.create('whatever')
        assert (await ann.get('/room')).people == [name]
        await bob.join(unique('Bob'), code)
        await ann.post('/leave')
        assert (await ann.get('/room')).location == '/'


async def test_s0_08_methods(daemon):
    async with Browser(daemon) as ann:
        for path, allow in (('/', 'GET, HEAD, POST, OPTIONS'), ('/room', 'GET, HEAD, POST, OPTIONS'),
                            ('/history', 'GET, HEAD, OPTIONS'), ('/leave', 'POST, OPTIONS')):
            answer = await ann.ask('DELETE', path)
            assert (answer.status, answer.headers['Allow']) == (405, allow)
        await ann.create(unique('Ann'))
        for path in ('/room', '/history'):
            page, head = await ann.get(path), await ann.ask('HEAD', path, headers={'Accept': 'text/html'})
            assert (head.status, head.text) == (200, '')
            assert head.headers['Content-Type'] == page.headers['Content-Type']


async def test_forms_have_one_type(daemon):
    async with Browser(daemon) as ann:
        for kind in ('multipart/form-data; boundary=x', 'text/plain', 'application/json'):
            answer = await ann.post('/', headers={'Content-Type': kind}, name='Ann', create='')
            assert answer.status == 415


# ---- The session -------------------------------------------------------------------------------------

async def test_s0_10_without_a_session_every_page_leads_to_the_start(daemon):
    async with Browser(daemon) as ann:
        for path in ('/room', '/history'):
            answer = await ann.get(path)
            assert (answer.status, answer.location) == (302, '/')
        for path in ('/room', '/leave'):
            answer = await ann.post(path, message='hi')
            assert (answer.status, answer.location) == (302, '/')
        answer = await ann.ask('GET', '/history', headers={'Accept': 'application/json'})
        assert answer.status == 401 and json.loads(answer.text)['code'] == 'unauthorized'


async def test_s0_26_one_bit_makes_a_fresh_anonymous_session(daemon):
    """Seen red with cookie_open not looking at the tag."""
    async with browsers(daemon, 2) as (ann, eve):
        code = await ann.create(unique('Ann'))
        good = ann.cookie
        for at in (3, len(good) // 2, len(good) - 2):
            eve.cookie = good[:at] + ('A' if good[at] != 'A' else 'B') + good[at + 1:]
            answer = await eve.get('/room')
            assert answer.status == 302 and answer.location.split('?')[0] == '/'
            assert eve.cookie is None  # and it is taken away
            assert 'ended' in (await eve.get(answer.location)).notice
        await eve.join(unique('Eve'), code)
        assert (await ann.get('/room')).status == 200


async def test_s0_49_an_expired_session_leads_to_the_start_with_a_notice(start_daemon):
    """On the page, and a live socket is closed by then. Seen red with cookies opened whatever their end."""
    daemon = start_daemon(settings=SOON | {'chat.code_grace': '60s', 'auth.session_ttl': '6s'})
    async with Browser(daemon) as ann:
        await ann.create('Ann')
        socket = await socket_of(daemon, ann)
        code, _ = await socket.closed()
        assert code == 4401
        answer = await ann.get('/room')
        assert (answer.status, answer.location.split('?')[0]) == (302, '/')
        assert 'ended' in (await ann.get(answer.location)).notice
        assert (await ann.get('/room')).location == '/'


async def socket_of(daemon, browser):
    """A native socket of the browser's session."""
    socket = await NativeSocket.open(daemon, '/ws', subprotocols=['roomd.v1'],
                                     extra_headers={'Cookie': f'session={browser.cookie}',
                                                    'Origin': daemon.http})
    assert (await socket.ask('hello'))['op'] == 'welcome'
    return socket


async def test_a_revoked_session_is_over(daemon):
    async with Browser(daemon) as ann:
        await ann.create(unique('Ann'))
        sql(daemon, 'update sessions set revoked_at = now() where revoked_at is null returning id')

        async def is_over():
            answer = await ann.get('/room')
            return answer.status == 302 and 'expired' in answer.location
        await eventually(is_over, 'the session is over')


# ---- Other sites -------------------------------------------------------------------------------------

async def test_forms_of_other_sites_do_nothing(daemon):
    """Seen red with pages_is_own_form answering true: a stranger's page signs somebody in."""
    async with Browser(daemon) as ann:
        await ann.create(unique('Ann'))
        cookie = ann.cookie
        for headers in ({'Origin': 'https://evil.example', 'Sec-Fetch-Site': 'cross-site'},
                        {'Origin': 'null', 'Sec-Fetch-Site': 'cross-site'},
                        {'Origin': daemon.http, 'Sec-Fetch-Site': 'same-site'}):
            for path, fields in (('/', {'name': 'Eve', 'create': ''}), ('/room', {'message': 'by force'}),
                                 ('/leave', {})):
                for cookie_there in (cookie, None):
                    ann.cookie = cookie_there
                    answer = await ann.post(path, headers=headers, **fields)
                    assert answer.status == 403, (path, headers)
                    assert 'Set-Cookie' not in answer.headers
        ann.cookie = cookie
        assert (await ann.get('/room')).texts == []


# ---- Messages ----------------------------------------------------------------------------------------

NASTY = ['<script>alert(1)</script>', '"><img src=x onerror=alert(1)>', "' onmouseover='x", '&lt;b&gt; &amp;',
         '{{name}} {{messages}}', '--><!--', '</title></textarea></p>', "Robert'); DROP TABLE users;--",
         '\u202eabc', 'a\u00a0b', '😀' * 10, '%3Cb%3E%00', '\\"\\u003c', '${7*7}', ']]>', '+ +%2B', '& = ; ?']


async def test_s0_45_what_is_typed_is_shown_and_nothing_else(daemon):
    """Texts, names and codes; seen red with '<' left out of the escaper."""
    async with browsers(daemon, 2) as (ann, eve):
        await ann.create(unique('<i>Ann&"\''))
        for text in NASTY:
            await ann.say(text)
        page = await ann.get('/room')
        assert page.texts == NASTY
        assert not re.search(r'<(script|img|textarea|i|b)\b', page.inert)
        assert {one['content'] for one in await ann.history()} == set(NASTY)
        history = await ann.get('/history')
        assert not re.search(r'<(script|img|textarea|i|b)\b', history.text)
        for text in NASTY:
            answer = await eve.post('/', name='Eve', code=text, join='')
            assert answer.status == 400 and answer.value('code') == text
            answer = await eve.post('/', name=text, code='1', join='')
            assert answer.status == 400 and answer.value('name') == text
            assert not re.search(r'<(script|img|textarea|i|b)\b', answer.text)


async def test_s0_20_a_thousand_characters_and_no_more(daemon):
    async with Browser(daemon) as ann:
        await ann.create(unique('Ann'))
        await ann.say('ä' * 1000)
        for text, why in (('ä' * 1001, '1000'), ('', 'empty'), ('  \u200b ', 'empty'), ('a\u0007b', 'characters')):
            answer = await ann.post('/room', message=text)
            assert answer.status == 400 and why in answer.notice
            if '\u0007' not in text:
                assert answer.value('message') == text
        assert (await ann.get('/room')).texts == ['ä' * 1000]


async def test_s0_20_the_thousand_holds_on_every_way(daemon):
    """And for edits; rooms without a code have their own limit. Seen red with the limit on the page alone."""
    async with Browser(daemon) as ann, People(daemon) as http:
        code = await ann.create(unique('Ann'))
        status, room, _ = await http.ask('GET', f'/api/v1/codes/{code.lower()}')
        assert status == 200 and room['kind'] == 'code'
        head = {'Authorization': f'Bearer {(await http.new_person())["token"]}'}
        other = (await http.new_room())['id']
        path = f'/api/v1/conversations/{room["id"]}/messages'
        assert (await http.ask('POST', f'/api/v1/conversations/{code}/join', headers=head))[0] == 200
        status, sent, _ = await http.ask('POST', path, {'content': 'ä' * 1000}, headers=head)
        assert status == 201
        status, problem, _ = await http.ask('POST', path, {'content': 'ä' * 1001}, headers=head)
        assert (status, problem['code']) == (422, 'invalid') and '1000' in problem['detail']
        assert (await http.ask('POST', f'/api/v1/conversations/{other}/messages', {'content': 'ä' * 1001},
                               headers=head))[0] == 201
        socket = await NativeSocket.open(daemon, '/ws', subprotocols=['roomd.v1'])
        assert (await socket.ask('hello', token=head['Authorization'].split()[1]))['op'] == 'welcome'
        await socket.sub(room['id'])
        error = await socket.ask('send', c=room['id'], k='k1', content='ä' * 1001)
        assert (error['op'], error['code']) == ('err', 'invalid') and '1000' in error['message']
        error = await socket.ask('edit', c=room['id'], rev=sent['rev'], content='ä' * 1001)
        assert (error['op'], error['code']) == ('err', 'invalid')
        assert (await socket.ask('send', c=room['id'], k='k2', content='ä' * 1000))['op'] == 'ok'
        await socket.close()
        assert (await ann.get('/room')).texts == ['ä' * 1000] * 2


async def test_codes_stand_for_their_rooms(daemon):
    """Whoever knows the code may join; the number of the room is not enough, and nothing is read before."""
    async with Browser(daemon) as ann, People(daemon) as http:
        code = await ann.create(unique('Ann'))
        await ann.say('hello')
        head = {'Authorization': f'Bearer {(await http.new_person())["token"]}'}
        for text in (code, code.lower()):
            status, room, _ = await http.ask('GET', f'/api/v1/codes/{text}')
            assert status == 200 and room == {'id': room['id'], 'kind': 'code', 'code': code}
            for where in (text, room['id']):
                for method, rest in (('GET', ''), ('GET', '/messages'), ('POST', '/messages'), ('GET', '/members')):
                    status, _, _ = await http.ask(method, f'/api/v1/conversations/{where}{rest}',
                                                  {'content': 'x'} if method == 'POST' else None, headers=head)
                    assert status == 404
        assert (await http.ask('POST', f'/api/v1/conversations/{room["id"]}/join', headers=head))[0] == 404
        assert (await http.ask('POST', f'/api/v1/conversations/{code}/join', headers=head))[0] == 200
        for where in (code, room['id']):
            status, page, _ = await http.ask('GET', f'/api/v1/conversations/{where}/messages', headers=head)
            assert status == 200 and [one['content'] for one in page['messages']] == ['hello']
        for text in ('QQQQ', 'OOOO', 'abc', 'abcde', 'ab1!'):
            assert (await http.ask('GET', f'/api/v1/codes/{text}'))[0] == 404


async def test_the_socket_of_a_room_takes_its_code_from_who_is_in_it(daemon):
    """Seen red: there was no such room."""
    async with Browser(daemon) as ann:
        name = unique('Ann')
        code = await ann.create(name)
        own = {'Cookie': f'session={ann.cookie}', 'Origin': daemon.http}
        for text in (code, code.lower()):
            async with await RoomSocket.open(daemon, f'/ws/chat/{text}', extra_headers=own) as inside:
                await inside.send({'username': name})
                assert (await inside.expect(type='connected'))['username'] == name
            outside = await RoomSocket.open(daemon, f'/ws/chat/{text}')
            await outside.send({'username': unique('Bob')})
            assert (await outside.closed())[0] == 4404
        unknown = await RoomSocket.open(daemon, '/ws/chat/QQQQ', extra_headers=own)
        await unknown.send({'username': name})
        assert (await unknown.closed())[0] == 4404


async def test_codes_are_not_guessed_over_rest(start_daemon):
    """As on the page; seen red without the limit: 404 for ever."""
    one = start_daemon(settings={'limits.code_misses': '3/m', 'auth.hash_memory': '64k', 'auth.hash_passes': 1})
    async with Browser(one) as ann, People(one) as http:
        code = await ann.create(unique('Ann'))
        for _ in range(5):
            assert (await http.ask('GET', f'/api/v1/codes/{code}'))[0] == 200
        for status in (404, 404, 404, 429):
            assert (await http.ask('GET', '/api/v1/codes/QQQQ'))[0] == status
        status, problem, headers = await http.ask('GET', f'/api/v1/conversations/{code}')
        assert status == 429 and problem['code'] == 'rate_limited' and int(headers['Retry-After']) > 0
        with pytest.raises(websockets.InvalidStatusCode, match='429'):
            await RoomSocket.open(one, '/ws/chat/QQQQ')


async def test_a_form_that_is_sent_twice_is_one_message(daemon):
    """Seen red without the key in the event."""
    async with Browser(daemon) as ann:
        await ann.create(unique('Ann'))
        key = (await ann.get('/room')).value('key')
        await ann.say('once', key=key)
        await ann.say('once', key=key)
        await ann.say('not a key', key='x')
        page = await ann.get('/room')
        assert page.texts == ['once', 'not a key'] and page.value('key') != key


async def test_earlier_messages_are_a_link_away(daemon):
    async with browsers(daemon, 2) as (ann, bob):
        name = unique('Ann')
        code = await ann.create(name)
        await ann.say('text 1')
        sql(daemon, """insert into events (conversation_id, rev, seq, actor_id, at, kind, content)
            select e.conversation_id, e.rev + n, e.seq + n, e.actor_id, e.at, 1, 'text ' || n + 1
            from events e join conversations c on c.id = e.conversation_id, generate_series(1, 249) n
            where c.code = %s and c.closed_at is null and e.kind = 1 returning rev""", code)
        await bob.join(unique('Bob'), code)
        page, seen = await bob.get('/room'), []
        while True:
            seen = page.texts + seen
            link = re.search(r'href="(/room\?before=\d+)"', page.text)
            if not link:
                break
            assert len(page.texts) == 100
            page = await bob.get(link[1])
        assert seen == [f'text {n}' for n in range(1, 251)]
        assert (await bob.get('/room?before=x')).status == 400
        assert (await bob.get('/room?before=4294967297')).status in (200, 400)


async def test_a_muted_guest_is_told_and_keeps_the_text(daemon):
    async with Browser(daemon) as ann:
        code = await ann.create(unique('Ann'))
        sql(daemon, """update members m set muted_until = 'infinity' from conversations c
            where c.id = m.conversation_id and c.code = %s and c.closed_at is null returning 1""", code)

        async def is_muted():
            answer = await ann.post('/room', message='may I')
            return answer.status == 403 and 'muted' in answer.notice and answer.value('message') == 'may I'
        await eventually(is_muted, 'she is muted')


# ---- History -----------------------------------------------------------------------------------------

async def test_s0_15_history_is_ones_own_newest_first_and_paged(daemon):
    async with browsers(daemon, 2) as (ann, bob):
        name = unique('Ann')
        first = await ann.create(name)
        await ann.say('one')
        await bob.join(unique('Bob'), first)
        await bob.say("bob's")
        second = await ann.create(name)
        await ann.say('two')
        await ann.say('three')
        await ann.join(name, first)
        await ann.say('four')
        all_of_it = await ann.history()
        assert [(one['room'], one['content']) for one in all_of_it] == [
            (first, 'four'), (second, 'three'), (second, 'two'), (first, 'one')]
        assert set(all_of_it[0]) == {'id', 'room', 'content', 'timestamp'}
        assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', all_of_it[0]['timestamp'])
        paged, before = [], ''
        while True:
            page = await ann.history(f'?limit=2{before}')
            if not page:
                break
            paged += page
            before = f'&before={page[-1]["id"]}'
        assert paged == all_of_it
        text = (await ann.get('/history?limit=2')).text
        assert 'four' in text and 'three' in text and 'two' not in text
        older = html.unescape(re.search(r'href="(/history\?before=[^"]*)"', text)[1])
        text = (await ann.get(older)).text
        assert 'two' in text and 'one' in text and 'four' not in text
        for query in ('?before=x', '?before=5', '?limit=0', '?limit=x'):
            answer = await ann.ask('GET', '/history' + query, headers={'Accept': 'application/json'})
            assert answer.status in (400, 422), query


# ---- The life of a room ------------------------------------------------------------------------------

def is_closed(daemon, conv):
    """Asked of the database: whoever tries the code comes in, and the room is kept for him."""
    with psycopg.connect(daemon.settings['database.url']) as link:
        return link.execute('select closed_at is not null from conversations where id = %s', (conv,)).fetchone()[0]


async def conversation_of(daemon, code):
    with psycopg.connect(daemon.settings['database.url']) as link:
        return link.execute('select id from conversations where code = %s and closed_at is null',
                            (code,)).fetchone()[0]


async def ended(daemon, browser, name, code, conv):
    """Waits until the room is closed; the code leads nowhere then."""
    await eventually(lambda: is_closed(daemon, conv), 'the room is closed')
    assert (await browser.post('/', name=name, code=code, join='')).status == 404


async def test_s0_55_a_room_that_nobody_is_in_ends_and_its_code_is_free(start_daemon):
    """Left by the form. Seen red with code_settle answering nothing."""
    daemon = start_daemon(settings=SOON | {'limits.code_misses': 'off'})
    async with browsers(daemon, 2) as (ann, bob):
        code = await ann.create('Ann')
        conv = await conversation_of(daemon, code)
        await bob.join('Bob', code)
        await bob.get('/room')
        await ann.say('old text')
        answer = await ann.post('/leave')
        assert (answer.status, answer.location) == (303, '/')
        assert (await ann.get('/room')).location == '/'
        assert (await bob.get('/room')).texts == ['old text']  # he is still there
        await bob.post('/leave')
        await ended(daemon, bob, 'Bob', code, conv)
        assert [(one['room'], one['content']) for one in await ann.history()] == [(code, 'old text')]

        await bob.create('Bob')
        sql(daemon, """update conversations set code = %s where kind = 'code' and closed_at is null
            returning id""", code)
        await ann.join('Ann', code)
        page = await ann.get('/room')
        assert page.code == code and page.texts == []
        await ann.say('new text')
        assert [one['content'] for one in await ann.history()] == ['new text', 'old text']
        kinds = sql(daemon, """select c.closed_at is not null, max(e.kind) from conversations c
            join events e on e.conversation_id = c.id where c.code = %s group by 1 order by 1""", code)
        assert kinds == [(False, 7), (True, 11)]


async def test_s0_55_a_socket_keeps_the_room_and_its_end_lets_it_go(start_daemon):
    """Who has looked at the page and then comes and goes with a socket holds nothing by the page."""
    daemon = start_daemon(settings=SOON | {'limits.code_misses': 'off', 'chat.code_grace': '1s'})
    async with browsers(daemon, 2) as (ann, eve):
        name = 'Ann'
        code = await ann.create(name)
        conv = await conversation_of(daemon, code)
        socket = await socket_of(daemon, ann)
        await socket.sub(conv)
        began = time.monotonic()
        await eventually(lambda: time.monotonic() - began > 3, 'the grace passes more than once')
        await eve.join('Eve', code)
        await eve.post('/leave')
        page = await ann.get('/room')
        assert page.status == 200
        await socket.close()
        await ended(daemon, eve, 'Eve', code, conv)
        answer = await ann.get('/room')
        assert answer.status == 302 and 'closed' in answer.location
        assert 'closed' in (await ann.get(answer.location)).notice
        assert (await ann.get('/room')).location == '/'
        assert (await ann.post('/', name=name, create='')).status == 302


async def test_a_page_without_a_socket_keeps_the_room(start_daemon):
    """For chat.code_visit, whatever the grace; another room ends meanwhile.

    Seen red without the visit in code_page.
    """
    daemon = start_daemon(settings=SOON)
    async with browsers(daemon, 2) as (ann, bob):
        code = await ann.create('Ann')
        await bob.post('/', name='Bob', create='')  # and never looks at the room
        await eventually(lambda: sql(daemon, 'select 1 from conversations where closed_at is not null'),
                         'the other room is closed')
        assert not is_closed(daemon, await conversation_of(daemon, code))
        await bob.join('Bob', code)


# ---- The database is away ----------------------------------------------------------------------------

async def test_s0_50_without_the_database_pages_say_so(request):
    """The room as it was, sending says why not, a malformed code is refused by itself (S0-41)."""
    with server_for('stopped') as server:
        daemon = Daemon(server.url('chat'), name='test_pages.stopped', workers=1,
                        settings={**DAEMON['settings'], 'persist.wait_max': '1s', 'database.retry_max': '500ms'})
        daemon.expected_errors.append('database|connect')
        try:
            daemon.start()
            async with browsers(daemon, 2) as (ann, bob):
                await ann.create('Ann')
                await ann.say('hello')
                page = await ann.get('/room')
                with stopped(server):
                    async def is_away():
                        return await metric(daemon, 'roomd_db_connections') == 0
                    await eventually(is_away, 'the database is away')
                    answer = await ann.get('/room')
                    assert (answer.status, answer.texts) == (200, page.texts)
                    assert answer.headers['X-Roomd-Stale'] == 'database'
                    assert 'cannot be reached' in answer.notice
                    answer = await ann.post('/room', message='not now')
                    assert answer.status == 503 and 'database' in answer.notice
                    assert answer.value('message') == 'not now' and int(answer.headers['Retry-After']) > 0
                    for fields in ({'create': ''}, {'code': 'QQQQ', 'join': ''}):
                        answer = await bob.post('/', name='Bob', **fields)
                        assert answer.status == 503 and answer.value('name') == 'Bob'
                        assert answer.notice and int(answer.headers['Retry-After']) > 0
                    asked = await metric(daemon, 'roomd_db_queries_total')
                    for code in ('ab1!', 'ABC', 'ABCDE'):
                        assert (await bob.post('/', name='Bob', code=code, join='')).status == 400
                    assert await metric(daemon, 'roomd_db_queries_total') == asked
                    assert (await ann.get('/history')).status == 503
                    assert (await bob.get('/')).status == 200

                async def is_back():
                    return (await ann.post('/room', message='again')).status == 303
                await eventually(is_back, 'she can send again')
        finally:
            daemon.close()
