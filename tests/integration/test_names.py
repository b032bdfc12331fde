# SPDX-License-Identifier: MIT
"""Names of people and rooms: one form of each, none that deceives; texts of messages byte for byte.

Seen red: without names_compose the two spellings of one name are two people; without names_normal's own checks the
unassigned and private-use ones are taken.
"""
import json
import unicodedata

import pytest

from roomd_clients import Http, NativeSocket, RoomSocket
from roomd_harness import unique
from roomd_people import PASSWORD, People, bearer, unique_login

ORDINARY = ['Élodie', '张伟', 'דוד', 'فاطمة', 'अमित', '홍길동', 'ไทย', "O'Neil", 'Zoë-Ann', 'x 😀', '👩\u200d👧', 'Jürgen №1',
            'می\u200cخواهم', 'क\u094d\u200dष', '❤\ufe0f', '1\ufe0f\u20e3', '葛\U000e0100']
REFUSED = {
    'empty': '', 'blank': ' \t\u00a0', 'zero width': '\u200b\u200d\u2060', 'filler': '\u3164', 'NUL': 'a\0b',
    'control': 'a\x07b', 'line feed': 'a\nb', 'C1': 'a\x85b', 'override': 'a\u202eb', 'embedding': 'a\u202ab',
    'isolate': 'a\u2066b', 'mark': 'a\u200fb', 'line separator': 'a\u2028b', 'private': 'a\ue000',
    'zero width inside': 'an\u200bn', 'joiner': 'an\u200dn', 'soft hyphen': 'an\u00adn', 'word joiner': 'an\u2060n',
    'no-break': 'an\ufeffn', 'filler inside': 'an\u3164n', 'selector': 'an\ufe0fn', 'tag': 'an\U000e0061n',
    'unassigned': 'a\u0378', 'noncharacter': 'a\uffff', 'first a mark': '\u0301a', 'long': 'x' * 101}
DECOMPOSED = unicodedata.normalize('NFD', 'Élodie Ångström 각')
COMPOSED = unicodedata.normalize('NFC', DECOMPOSED)


async def raw_name(daemon, _, name):
    """The name that a room's socket gives who comes as NAME, or the error's code."""
    async with Http(daemon) as http:
        room = (await http.new_room())['id']  # who was there before lingers in the list
    async with await RoomSocket.open(daemon, f'/ws/chat/{room}') as one:
        await one.send({'username': name})
        frame = await one.wait(lambda frames: [f for f in frames if f['type'] in ('connected', 'error')])
        if frame[0]['type'] == 'error':
            assert (await one.closed())[0] == 4400
            return frame[0]['code']
        lists = await one.wait(lambda frames: [f for f in frames if f['type'] == 'users_list'])
        return lists[0]['users'][0]


async def native_name(daemon, _, name):
    async with await NativeSocket.open(daemon, '/ws', subprotocols=['roomd.v1']) as one:
        await one.send({'op': 'hello', 'id': 1, 'name': name})
        answer = (await one.wait(lambda frames: frames))[0]
        return answer['user']['name'] if answer['op'] == 'welcome' else answer['code']


async def rest_name(daemon, room, name):
    async with Http(daemon) as http:
        status, body, _ = await http.ask('POST', f'/api/v1/conversations/{room}/messages',
                                         {'name': name, 'content': 'x'})
        if status == 201:
            return body['sender']['name']
        assert status in (400, 422), body
        return body['code']


async def room_name(daemon, _, name):
    async with Http(daemon) as http:
        status, body, _ = await http.ask('POST', '/api/chat/rooms', {'name': name})
        if status in (200, 201):
            return body['name']
        assert status in (400, 422), body
        return 'bad_name'


async def conversation_name(daemon, _, name):
    async with Http(daemon) as http:
        status, body, _ = await http.ask('POST', '/api/v1/conversations', {'name': name})
        if status == 201:
            return body['name']
        assert status in (400, 422), body
        return body['code']


PLACES = [raw_name, native_name, rest_name, room_name, conversation_name]


def told(code, name):
    """NUL is no JSON text here at all."""
    return code in (('bad_name', 'bad_json', 'bad_frame') if '\0' in name else ('bad_name',))


@pytest.mark.parametrize('place', PLACES)
async def test_s0_42_ordinary_names_are_kept(daemon, place):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    for name in ORDINARY:
        name = f'{name} {unique("").strip()}' if place in (room_name, conversation_name) else name
        assert await place(daemon, room, f' {name}\u200b\u3000') == name


@pytest.mark.parametrize('place', PLACES)
async def test_s0_42_names_are_kept_in_one_form(daemon, place):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    tail = unique('') if place in (room_name, conversation_name) else ''
    assert await place(daemon, room, DECOMPOSED + tail) == COMPOSED + tail


@pytest.mark.parametrize('place', PLACES)
@pytest.mark.parametrize('what', REFUSED)
async def test_s0_42_names_that_deceive_are_refused(daemon, place, what):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    code = await place(daemon, room, REFUSED[what])
    assert told(code, REFUSED[what]), code


async def test_s0_42_two_spellings_are_one_person(daemon):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
    async with await RoomSocket.enter(daemon, room, COMPOSED) as one:
        async with await RoomSocket.open(daemon, f'/ws/chat/{room}', worker=1 - one.worker) as two:
            await two.send({'username': DECOMPOSED})
            await two.expect(type='connected')
            lists = await two.wait(lambda frames: [f for f in frames if f['type'] == 'users_list'])
            assert lists[-1]['users'] == [COMPOSED]


async def test_s0_42_lengths_count_what_is_kept(daemon):
    """100 characters of four code points each are 100 characters; one more is too many."""
    assert await native_name(daemon, None, '\u03b1\u0313\u0300\u0345' * 100) == '\u1f82' * 100
    assert await native_name(daemon, None, '\u03b1\u0313\u0300\u0345' * 101) == 'bad_name'
    # U+FB2C has a composition that may not be used: it becomes three
    assert await native_name(daemon, None, 'x' * 98 + '\ufb2c') == 'bad_name'


async def test_s0_42_accounts_too(daemon):
    async with People(daemon) as people:
        name = unique_login('Zoë')
        status, body, _ = await people.register(unicodedata.normalize('NFD', name))
        assert status == 201, body
        status, body, _ = await people.register(name)
        assert status == 409, body
        status, body, _ = await people.login(unicodedata.normalize('NFD', name), PASSWORD)
        assert status == 200, body
        for what in ('NUL', 'override', 'unassigned', 'zero width', 'zero width inside'):
            status, body, _ = await people.register(f'{unique_login("x")}{REFUSED[what]}y')
            assert status in (400, 422), (what, body)


@pytest.mark.parametrize('text, is_taken', [
    ('one\r\ntwo\tthree', True), ('a\u202eb', False), ('a\u2066b', False), ('a\u200fb', False), ('a\u2028b', True)])
async def test_descriptions_disturb_nothing_beside_them(daemon, text, is_taken):
    """They may have lines; seen red with the rule of messages alone, which takes U+202E."""
    async with People(daemon) as http:
        auth = bearer((await http.new_person())['token'])
        room = (await http.ask('POST', '/api/v1/conversations', {'name': unique('room')}, headers=auth))[1]['id']
        for method, path, name in (('POST', '/api/v1/conversations', unique('room')), ('POST', '/api/chat/rooms', unique('room')),
                                   ('PATCH', f'/api/v1/conversations/{room}', unique('room'))):
            status, body, _ = await http.ask(method, path, {'name': name, 'description': text}, headers=auth)
            assert (status in (200, 201)) == is_taken, (path, body)
            if is_taken:
                assert body['description'] == text
            else:
                assert status == 422 and (body.get('field') or body['detail'][0]['loc'][-1]) == 'description', body


# ---------------------------------------------------------------- texts of messages

TEXTS = [DECOMPOSED, 'e\u0301\u0323', '\u202eabc', '\u2066x\u2069', '\u212b', 'ﬁ ½ ①', ' spaces \t ', 'a\u200bb', '\ufeffx',
         '\ue000', 'a\u0378b', 'line\nbreak\r\n', 'x' + '\u0301' * 50, '\U0010ffff.']


async def test_s1_45_texts_are_byte_identical(daemon, rows):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
        async with await RoomSocket.enter(daemon, room, unique('raw'), worker=0) as raw, \
                await NativeSocket.hello(daemon, unique('native'), worker=1) as native:
            await native.ask('sub', c=room)
            for text in TEXTS:
                await raw.say(text)
            await raw.wait_messages(len(TEXTS))
            assert [m['content'] for m in raw.messages()] == TEXTS
            await native.wait(lambda _: len(native.all(op='ev', t='message.new')) >= len(TEXTS))
            assert [e['d']['content'] for e in native.all(op='ev', t='message.new')] == TEXTS
        assert [m['content'] for m in await http.messages(room)] == TEXTS
        assert [row[0] for row in rows('select content from events where conversation_id = %s order by rev', room)] == TEXTS


@pytest.mark.parametrize('text', ['a\0b', 'a\x1b[31m', 'a\x9bb', '\x7f', ' ', '', '\u200b'])
async def test_s1_45_texts_that_are_refused(daemon, text):
    async with Http(daemon) as http:
        room = (await http.new_room())['id']
        status, body, _ = await http.ask('POST', f'/api/v1/conversations/{room}/messages',
                                         {'name': unique('rest'), 'content': text})
        assert status in (400, 422), body
        async with await NativeSocket.hello(daemon, unique('native')) as native:
            await native.ask('sub', c=room)
            await native.send(json.dumps({'op': 'send', 'id': 'x', 'c': room, 'content': text}))
            answer = await native.wait(lambda frames: [f for f in frames if f['op'] == 'err'])
            assert answer[0]['code'] in ('invalid', 'bad_json', 'bad_frame')
        assert await http.messages(room) == []
