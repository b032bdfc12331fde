# SPDX-License-Identifier: MIT
"""Rooms over REST as the first design's clients know them: make, list, read, delete."""
import asyncio
import re

import pytest

from roomd_clients import Http, RoomSocket, eventually
from roomd_harness import unique

DAEMON = {'settings': {'presence.grace_clean': '0ms'}}
TIME = re.compile(r'^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$')


async def test_s1_02_a_new_room_is_answered_with_all_its_fields(daemon):
    async with Http(daemon) as http:
        name = unique('General')
        status, room, headers = await http.ask(
            'POST', '/api/chat/rooms', {'name': name, 'description': 'General chat'})
    assert status == 201
    assert room['name'] == name
    assert room['description'] == 'General chat'
    assert isinstance(room['id'], int)
    assert TIME.match(room['created_at'])
    assert headers['Content-Type'].startswith('application/json')


async def test_s1_02_the_description_may_be_left_out(daemon):
    async with Http(daemon) as http:
        status, room, _ = await http.ask('POST', '/api/chat/rooms', {'name': unique('bare')})
    assert (status, room['description']) == (201, '')


async def test_s1_02_names_keep_their_characters(daemon):
    async with Http(daemon) as http:
        for prefix in ('Ünïcödé 房间 🎉', "O'Brien; DROP TABLE users;--", '<b>&amp;</b>', '"\\/'):
            name = unique(prefix)
            status, room, _ = await http.ask('POST', '/api/chat/rooms', {'name': name})
            assert (status, room['name']) == (201, name)


@pytest.mark.parametrize('body, field', [
    ({}, 'name'), ({'description': 'x'}, 'name'), ({'name': 7}, 'name'), ({'name': None}, 'name'),
    ({'name': ''}, 'name'), ({'name': '   '}, 'name'), ({'name': 'x' * 101}, 'name'),
    ({'name': ['a']}, 'name'), ({'name': 'a\nb'}, 'name'), ({'name': 'ok', 'description': 5}, 'description'),
    ({'name': 'ok', 'description': 'x' * 1001}, 'description'),
])
async def test_s1_03_what_is_wrong_is_named(daemon, body, field):
    async with Http(daemon) as http:
        status, answer, _ = await http.ask('POST', '/api/chat/rooms', body)
    assert status == 422
    assert any(field in fault['loc'] for fault in answer['detail'])
    assert all(fault['msg'] for fault in answer['detail'])


@pytest.mark.parametrize('body', [b'{"name":', b'', b'[]', b'"x"', b'\xff\xfe', b'{"name":"a"}x'])
async def test_s1_03_a_body_that_is_no_json_object_is_refused(daemon, body):
    async with Http(daemon) as http:
        status, answer, _ = await http.ask('POST', '/api/chat/rooms', data=body,
                                           headers={'Content-Type': 'application/json'})
    assert status == 422
    assert answer['detail']


async def test_s1_03_a_name_of_100_characters_is_counted_in_characters(daemon):
    async with Http(daemon) as http:
        name = unique('é')
        name += '房' * (100 - len(name))
        status, room, _ = await http.ask('POST', '/api/chat/rooms', {'name': name})
    assert (status, room['name']) == (201, name)


async def test_s1_04_the_second_room_of_a_name_is_refused(daemon):
    async with Http(daemon) as http:
        body = {'name': unique('twice')}
        first, _, _ = await http.ask('POST', '/api/chat/rooms', body)
        second, answer, _ = await http.ask('POST', '/api/chat/rooms', body)
    assert (first, second) == (201, 400)
    assert isinstance(answer['detail'], str) and answer['detail']


async def test_s1_04_of_50_equal_requests_at_once_one_wins(daemon):
    async with Http(daemon) as http:
        body = {'name': unique('race')}
        answers = await asyncio.gather(*(http.ask('POST', '/api/chat/rooms', body) for _ in range(50)))
        statuses = sorted(status for status, _, _ in answers)
        _, rooms, _ = await http.ask('GET', '/api/chat/rooms')
    assert statuses == [201] + [400] * 49
    assert len([room for room in rooms if room['name'] == body['name']]) == 1


async def test_s1_05_the_row_is_in_the_view(daemon, rows):
    async with Http(daemon) as http:
        name = unique('row')
        _, room, _ = await http.ask('POST', '/api/chat/rooms', {'name': name, 'description': 'd'})
    assert rows('select id, name, description from compat.chat_rooms where id = %s', room['id']) == \
        [(room['id'], name, 'd')]


async def test_s1_05_rooms_and_messages_survive_a_restart(start_daemon):
    one = start_daemon()
    async with Http(one) as http:
        room = await http.new_room()
        async with await RoomSocket.enter(one, room['id'], 'Alice') as alice:
            for number in range(5):
                await alice.say(f'text {number}')
            await alice.wait_messages(5)
        before = await http.messages(room['id'])
    one.restart()
    async with Http(one) as http:
        _, rooms, _ = await http.ask('GET', '/api/chat/rooms')
        assert [found['id'] for found in rooms] == [room['id']]
        assert await http.messages(room['id']) == before
        assert [message['content'] for message in before] == [f'text {n}' for n in range(5)]


async def test_s1_07_the_list_has_every_room_in_a_stable_order(daemon):
    async with Http(daemon) as http:
        made = [await http.new_room('listed') for _ in range(5)]
        lists = [(await http.ask('GET', '/api/chat/rooms'))[1] for _ in range(4)]
    ids = [[room['id'] for room in rooms] for rooms in lists]
    assert ids[0] == ids[1] == ids[2] == ids[3]
    assert [i for i in ids[0] if i in {room['id'] for room in made}] == [room['id'] for room in made]
    for room in lists[0]:
        assert {'id', 'name', 'description', 'created_at', 'users'} <= room.keys() or \
            any('user' in key for key in room), room


async def test_s1_07_the_list_has_the_live_number_of_users(daemon):
    async with Http(daemon) as http:
        room = await http.new_room()

        async def users():
            _, rooms, _ = await http.ask('GET', '/api/chat/rooms')
            found = next(one for one in rooms if one['id'] == room['id'])
            return next(value for key, value in found.items() if 'user' in key or 'member' in key)
        assert await users() == 0
        alice = await RoomSocket.enter(daemon, room['id'], 'Alice', worker=0)
        bob = await RoomSocket.enter(daemon, room['id'], 'Bob', worker=1)
        second = await RoomSocket.enter(daemon, room['id'], 'Bob', worker=0)

        async def count_is(expected):
            return await users() == expected
        await eventually(lambda: count_is(2), 'two users')
        for socket in (alice, bob, second):
            await socket.close()
        await eventually(lambda: count_is(0), 'no users')


async def test_s1_08_messages_come_oldest_first(daemon):
    async with Http(daemon) as http:
        room = await http.new_room()
        assert await http.messages(room['id']) == []
        async with await RoomSocket.enter(daemon, room['id'], 'Alice') as alice:
            for number in range(3):
                await alice.say(f'text {number}')
            sent = await alice.wait_messages(3)
        page = await http.messages(room['id'])
    assert [message['content'] for message in page] == ['text 0', 'text 1', 'text 2']
    for frame, message in zip(sent, page):
        assert message['room_id'] == room['id']
        assert message['username'] == 'Alice'
        assert TIME.match(message['created_at'])
        assert str(message['id']) == str(frame['id'])
        assert message['created_at'] == frame['created_at']


async def test_s1_08_s1_59_a_page_has_at_most_100_and_walking_back_visits_each_once(daemon):
    async with Http(daemon) as http:
        room = await http.new_room()
        async with await RoomSocket.enter(daemon, room['id'], 'Alice') as alice:
            for number in range(250):
                await alice.say(f'text {number}')
            await alice.wait_messages(250)
        latest = await http.messages(room['id'])
        assert [one['content'] for one in latest] == [f'text {n}' for n in range(150, 250)]
        assert await http.messages(room['id'], '?limit=1000') == latest
        assert len(await http.messages(room['id'], '?limit=7')) == 7
        everything = await http.history(room['id'])
    assert [one['content'] for one in everything] == [f'text {n}' for n in range(250)]


@pytest.mark.parametrize('method, path', [
    ('GET', '/api/chat/rooms/2000000000/messages'), ('DELETE', '/api/chat/rooms/2000000000'),
    ('GET', '/api/chat/rooms/2000000000'),
])
async def test_s1_56_s1_08_an_unknown_room_is_404_with_detail(daemon, method, path):
    async with Http(daemon) as http:
        status, answer, _ = await http.ask(method, path)
    assert status == 404
    assert isinstance(answer['detail'], str) and answer['detail']


@pytest.mark.parametrize('room', ['abc', '-1', '0', '99999999999999999999999', '1.5', '%00', "1'--"])
async def test_s1_56_an_id_that_is_none_is_no_failure_of_the_server(daemon, room):
    async with Http(daemon) as http:
        status, answer, _ = await http.ask('GET', f'/api/chat/rooms/{room}/messages')
    assert status in (400, 404, 422)
    assert answer['detail']


async def test_s1_09_a_deleted_room_goes_with_its_sockets(daemon):
    async with Http(daemon) as http:
        room = await http.new_room()
        sockets = [await RoomSocket.enter(daemon, room['id'], f'user {n}', worker=n % 2)
                   for n in range(4)]
        status, answer, _ = await http.ask('DELETE', f'/api/chat/rooms/{room["id"]}')
        assert (status, answer) == (200, {'detail': 'Room deleted'})
        for socket in sockets:
            assert await socket.closed() == (4404, 'room deleted')
        _, rooms, _ = await http.ask('GET', '/api/chat/rooms')
        assert room['id'] not in [one['id'] for one in rooms]
        assert (await http.ask('GET', f'/api/chat/rooms/{room["id"]}/messages'))[0] == 404
        status, answer, _ = await http.ask('DELETE', f'/api/chat/rooms/{room["id"]}')
        assert status == 404 and answer['detail']


async def test_s1_09_the_name_is_free_again_and_the_new_room_is_empty(daemon):
    async with Http(daemon) as http:
        room = await http.new_room()
        async with await RoomSocket.enter(daemon, room['id'], 'Alice') as alice:
            await alice.say('old text')
            await alice.wait_messages(1)
        await http.ask('DELETE', f'/api/chat/rooms/{room["id"]}')
        status, again, _ = await http.ask('POST', '/api/chat/rooms', {'name': room['name']})
        assert status == 201 and again['id'] != room['id']
        assert await http.messages(again['id']) == []


async def test_s1_09_s1_57_making_and_closing_leave_audit_rows_with_the_room(daemon, rows):
    async with Http(daemon) as http:
        room = await http.new_room()
        await http.ask('DELETE', f'/api/chat/rooms/{room["id"]}')
    assert rows('select action from audit where conversation_id = %s order by id', room['id']) == \
        [('conversation.create',), ('conversation.close',)]


async def test_s1_57_a_room_without_its_audit_row_does_not_exist(start_daemon, postgres):
    one = start_daemon()
    with postgres.connect(one.database) as connection:
        connection.execute('''create function refuse() returns trigger language plpgsql as
            $$ begin raise exception 'no'; end $$''')
        connection.execute('create trigger refuse before insert on audit execute function refuse()')
        one.expected_errors.append('.')
        async with Http(one) as http:
            name = unique('rolled back')
            status, answer, _ = await http.ask('POST', '/api/chat/rooms', {'name': name})
            assert status >= 500 and answer['detail']
            connection.execute('drop trigger refuse on audit')
            assert connection.execute('select count(*) from conversations').fetchone() == (0,)
            status, _, _ = await http.ask('POST', '/api/chat/rooms', {'name': name})
            assert status == 201


async def test_s0_45_text_with_sql_in_it_comes_back_as_it_was(daemon):
    texts = ["'; drop table events; --", "\\'; select 1", '$1 $$ %s %d', "x' or '1'='1", '"quoted"',
             '\\u0000', 'a\tb', '\u202eabc', '𝒳' * 50]
    async with Http(daemon) as http:
        room = await http.new_room()
        async with await RoomSocket.enter(daemon, room['id'], "Rob'); --") as socket:
            for text in texts:
                await socket.say(text)
            await socket.wait_messages(len(texts))
        page = await http.messages(room['id'])
    assert [message['content'] for message in page] == texts
    assert {message['username'] for message in page} == {"Rob'); --"}
