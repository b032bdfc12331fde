# SPDX-License-Identifier: MIT
"""roomd.v1, the native socket, and the native REST that it needs."""
import json
import re
import uuid

import pytest

from roomd_clients import Http, NativeSocket, RoomSocket, Socket
from roomd_harness import unique

DAEMON = {'settings': {'presence.grace_clean': '100ms', 'presence.grace_lost': '300ms',
                       'websocket.hello_timeout': '1s'}}


async def new_room(daemon):
    async with Http(daemon) as http:
        return (await http.new_room())['id']


async def open_native(daemon, worker=None):
    return await Socket.open(daemon, '/ws', worker, subprotocols=['roomd.v1'])


async def test_hello_is_welcomed(daemon):
    async with await NativeSocket.hello(daemon, 'Alice') as alice:
        welcome = alice.welcome
    assert alice.link.subprotocol == 'roomd.v1'
    assert welcome['user']['name'] == 'Alice'
    assert welcome['session']
    assert welcome['ping'] == 25
    assert welcome['limits']
    assert welcome['resumed'] is False


async def test_limits_are_told_before_and_after_connecting(daemon):
    async with Http(daemon) as http, await NativeSocket.hello(daemon, 'Alice') as alice:
        status, limits, _ = await http.ask('GET', '/api/v1/limits')
    assert status == 200
    assert limits.items() >= alice.welcome['limits'].items() and limits['ping'] == alice.welcome['ping']
    assert (limits['message'], limits['code_message'], limits['name'], limits['frame']) == (16000, 1000, 100, 65536)
    assert limits['subscriptions'] == 500
    assert (limits['history'], limits['hello']) == (200, 1), 'as the settings of this daemon say'


@pytest.mark.parametrize('number', [1, 'a"b', 0, -5, 1.5, 9007199254740991])
async def test_an_id_comes_back_as_it_was(daemon, number):
    async with await open_native(daemon) as socket:
        await socket.send({'op': 'hello', 'id': number, 'name': 'Alice'})
        welcome = await socket.expect(op='welcome')
        assert welcome['re'] == number and isinstance(welcome['re'], type(number))
        await socket.send({'op': 'ping', 'id': number})
        assert (await socket.expect(op='pong'))['re'] == number


async def test_c_hello_missing_closes_4408(daemon):
    socket = await open_native(daemon)
    assert (await socket.closed())[0] == 4408


async def test_another_op_before_hello_is_refused(daemon):
    room = await new_room(daemon)
    socket = await open_native(daemon)
    await socket.send({'op': 'sub', 'id': 1, 'c': room, 'rev': 0})
    error = await socket.expect(op='err')
    assert error['re'] == 1
    assert not socket.all(op='live')
    await socket.close()


async def test_a_hello_without_a_name_is_refused(daemon):
    for fields in ({}, {'name': ''}, {'name': 'x' * 101}, {'name': 5}):
        socket = await open_native(daemon)
        await socket.send({'op': 'hello', 'id': 1, **fields})
        error = await socket.expect(op='err')
        assert error['code'] in ('bad_name', 'invalid', 'unauthorized', 'bad_frame')
        await socket.close()


async def test_an_unknown_op_is_answered_and_the_socket_stays(daemon):
    async with await NativeSocket.hello(daemon, 'Alice') as alice:
        error = await alice.ask('dance')
        assert (error['op'], error['code']) == ('err', 'unknown_op')
        assert (await alice.ask('ping'))['op'] == 'pong'


@pytest.mark.parametrize('text', ['{', 'hello', '', '5', '"x"', '{"op":"hello","name":"A"', '[[', 'nul'])
async def test_a_first_frame_that_is_none_closes(daemon, text):
    """Whether it is JSON or not. Seen red: with the code bad_json, which leaves the socket open."""
    socket = await NativeSocket.open(daemon, '/ws', subprotocols=['roomd.v1'])
    await socket.send(text)
    error = await socket.expect(op='err')
    assert error['code'] == 'bad_frame'
    assert (await socket.closed())[0] == 4400


@pytest.mark.parametrize('text, code', [
    ('{', 'bad_json'), ('5', None), ('{"op":5,"id":1}', None), ('{}', None), ('[]', None),
    ('{"op":"sub","id":7}', 'invalid'), ('{"op":"sub","id":7,"c":"x"}', None),
    ('{"op":"send","id":7,"c":1}', 'invalid'),
])
async def test_a_bad_frame_is_answered_and_the_socket_stays(daemon, text, code):
    async with await NativeSocket.hello(daemon, 'Alice') as alice:
        await alice.send(text)
        error = await alice.expect(op='err')
        assert code is None or error['code'] == code
        assert (await alice.ask('ping'))['op'] == 'pong'


async def test_a_batch_is_answered_in_order(daemon):
    room = await new_room(daemon)
    async with await NativeSocket.hello(daemon, 'Alice') as alice:
        await alice.send([{'op': 'sub', 'id': 'a', 'c': room, 'rev': 0}, {'op': 'nonsense', 'id': 'b'},
                          {'op': 'ping', 'id': 'c'}])
        for number in 'abc':
            await alice.expect(re=number)
    assert {frame['re']: frame['op'] for frame in alice.frames if frame.get('re') in ('a', 'b', 'c')} == \
        {'a': 'live', 'b': 'err', 'c': 'pong'}


async def test_sub_tells_where_the_conversation_stands(daemon):
    room = await new_room(daemon)
    async with await NativeSocket.hello(daemon, 'Alice') as alice:
        live = await alice.sub(room)
        assert (live['c'], live['rev'], live['seq']) == (room, 0, 0)
        await alice.say(room, 'one')
        async with await NativeSocket.hello(daemon, 'Bob') as bob:
            live = await bob.sub(room)
            assert (live['rev'], live['seq']) == (1, 1)
            assert live['members'] == 2


async def test_sub_of_an_unknown_room_is_an_error(daemon):
    async with await NativeSocket.hello(daemon, 'Alice') as alice:
        error = await alice.ask('sub', c=2000000000, rev=0)
        assert (error['op'], error['code']) == ('err', 'no_such_room')
        assert (await alice.ask('ping'))['op'] == 'pong'


async def uid_of(daemon, room):
    async with Http(daemon) as http:
        return (await http.ask('GET', f'/api/v1/conversations/{room}'))[1]['uid']


async def test_a_conversation_may_be_named_by_its_uuid(daemon):
    """In one frame with others: what follows waits, and is answered in its order. Seen red: c was invalid."""
    room, other = await new_room(daemon), await new_room(daemon)
    uid = await uid_of(daemon, room)
    async with await NativeSocket.hello(daemon, 'Alice') as alice:
        await alice.sub(other)
        elsewhere = (await alice.say(other, 'elsewhere'))['message']['id']
        await alice.send([
            {'op': 'sub', 'id': 'n1', 'c': uid.upper(), 'rev': 0},
            {'op': 'send', 'id': 'n2', 'c': uid, 'k': str(uuid.uuid4()), 'content': 'by uuid'},
            {'op': 'send', 'id': 'n3', 'c': room, 'k': str(uuid.uuid4()), 'content': 'by number'},
            {'op': 'send', 'id': 'n4', 'c': uid, 'k': str(uuid.uuid4()), 'content': 'x', 'reply_to': elsewhere},
            {'op': 'sub', 'id': 'n5', 'c': str(uuid.uuid4()), 'rev': 0},
            {'op': 'sub', 'id': 'n6', 'c': uid[:-1], 'rev': 0},
            {'op': 'typing', 'id': 'n7', 'c': uid, 'on': False},
            {'op': 'ping', 'id': 'n8'}])
        live, first, second, reply, unknown, none, typing, pong = [
            await alice.expect(re=f'n{number}') for number in range(1, 9)]
        assert (live['op'], live['c']) == ('live', room)
        assert (first['message']['rev'], second['message']['rev']) == (1, 2)
        assert (reply['op'], reply['code'], reply['field']) == ('err', 'invalid', 'reply_to')
        assert (unknown['op'], unknown['code']) == ('err', 'no_such_room')
        assert (none['op'], none['code'], none['field']) == ('err', 'invalid', 'c')
        assert (typing['op'], pong['op']) == ('ok', 'pong')
        asked = [frame['re'] for frame in alice.frames if frame.get('re') in ('n1', 'n5', 'n6', 'n8')]
        assert asked == ['n1', 'n5', 'n6', 'n8']
        await alice.wait(lambda _: len(alice.events(room)) == 2)
        assert [event['d']['content'] for event in alice.events(room)] == ['by uuid', 'by number']
        edited = await alice.ask('edit', c=uid, rev=1, k=str(uuid.uuid4()), content='changed')
        assert edited['op'] == 'ok', edited
        page = await alice.ask('history', c=uid)
        assert [message['content'] for message in page['messages']] == ['changed', 'by number']


async def test_who_is_nobody_yet_asks_for_no_uuid(daemon):
    uid = await uid_of(daemon, await new_room(daemon))
    async with await NativeSocket.open(daemon, '/ws', subprotocols=['roomd.v1']) as nobody:
        assert (await nobody.ask('sub', c=uid))['code'] == 'unauthorized'


async def test_a_socket_that_ends_while_it_waits_harms_nobody(daemon):
    room = await new_room(daemon)
    uid = await uid_of(daemon, room)
    for _ in range(20):
        socket = await NativeSocket.hello(daemon, 'Alice')
        await socket.send([{'op': 'sub', 'id': 1, 'c': uid}, {'op': 'ping', 'id': 2}])
        await socket.drop()
    async with await NativeSocket.hello(daemon, 'Alice') as alice:
        assert (await alice.sub(uid))['c'] == room


async def test_send_is_acknowledged_and_seen_by_all(daemon, rows):
    room = await new_room(daemon)
    alice = await NativeSocket.hello(daemon, 'Alice', worker=0)
    bob = await NativeSocket.hello(daemon, 'Bob', worker=1)
    carol = await RoomSocket.enter(daemon, room, 'Carol', worker=1)
    await alice.sub(room)
    await bob.sub(room)
    key = str(uuid.uuid4())
    answer = await alice.say(room, 'hi', key)
    assert answer['op'] == 'ok' and answer['duplicate'] is False
    message = answer['message']
    assert (message['seq'], message['rev']) == (1, 1)
    assert message['id'] == str(room * 2 ** 32 + 1)
    assert uuid.UUID(message['uid']).version == 8
    for socket in (alice, bob):
        event = await socket.expect(op='ev', c=room, rev=1)
        assert event['t'] == 'message.new'
        data = event['d']
        assert (data['content'], data['seq'], data['id'], data['uid']) == ('hi', 1, message['id'], message['uid'])
        assert data['client_msg_id'] == key
        assert data['created_at'] == message['created_at']
    frame, = await carol.wait_messages(1)
    assert (frame['content'], frame['username'], frame['rev']) == ('hi', 'Alice', 1)
    assert rows('select content from events where conversation_id = %s and rev = 1', room) == [('hi',)]
    for socket in (alice, bob, carol):
        await socket.close()


async def test_c3_the_same_key_gives_the_same_answer(daemon):
    room = await new_room(daemon)
    alice = await NativeSocket.hello(daemon, 'Alice', worker=0)
    bob = await NativeSocket.hello(daemon, 'Bob', worker=1)
    await bob.sub(room)
    await alice.sub(room)
    for key in (str(uuid.uuid4()), unique('any string is a key')):
        first = await alice.say(room, 'once', key)
        second = await alice.say(room, 'once', key)
        async with await NativeSocket.hello(daemon, 'Alice', worker=1) as again:
            await again.sub(room)
            third = await again.say(room, 'once', key)
        assert first['duplicate'] is False
        assert second['duplicate'] is True and third['duplicate'] is True
        assert first['message'] == second['message'] == third['message']
        # another sender may use the same key
        other = await bob.say(room, 'other', key)
        assert other['duplicate'] is False
    await bob.wait(lambda _: len(bob.events(room)) >= 4, 'four messages')
    assert [event['rev'] for event in bob.events(room)] == [1, 2, 3, 4]
    for socket in (alice, bob):
        await socket.close()


async def test_c3_the_same_key_twice_in_one_batch_is_stored_once(daemon):
    room = await new_room(daemon)
    async with await NativeSocket.hello(daemon, 'Alice') as alice:
        await alice.sub(room)
        key = str(uuid.uuid4())
        await alice.send([{'op': 'send', 'id': n, 'c': room, 'k': key, 'content': 'x'} for n in (50, 51, 52)])
        answers = [await alice.expect(re=n) for n in (50, 51, 52)]
        assert sorted(answer['duplicate'] for answer in answers) == [False, True, True]
        assert len({answer['message']['id'] for answer in answers}) == 1
        assert (await alice.say(room, 'next'))['message']['rev'] == 2
        await alice.expect(op='ev', c=room, rev=2)
        assert [event['rev'] for event in alice.events(room)] == [1, 2]


@pytest.mark.parametrize('content', ['', 5, None, 'x' * 16001, 'a\x00b'])
async def test_a_send_that_is_invalid_is_refused(daemon, content, rows):
    room = await new_room(daemon)
    async with await NativeSocket.hello(daemon, 'Alice') as alice:
        await alice.sub(room)
        await alice.send({'op': 'send', 'id': 7, 'c': room, 'k': str(uuid.uuid4()), 'content': content})
        await alice.expect(op='err')
        assert (await alice.ask('ping'))['op'] == 'pong'
    assert rows('select count(*) from events where conversation_id = %s', room) == [(0,)]


async def test_sub_with_a_revision_replays_what_came_after_it(daemon):
    room = await new_room(daemon)
    alice = await NativeSocket.hello(daemon, 'Alice', worker=0)
    await alice.sub(room)
    for number in range(1, 301):
        await alice.send({'op': 'send', 'id': number + 1000, 'c': room, 'k': str(uuid.uuid4()),
                          'content': f'text {number}'})
    await alice.expect(re=1300)
    bob = await NativeSocket.hello(daemon, 'Bob', worker=1)
    live = await bob.sub(room, rev=118)
    assert live['rev'] == 300
    await alice.say(room, 'text 301')
    await bob.expect(op='ev', c=room, rev=301)
    events = bob.events(room)
    assert [event['rev'] for event in events] == list(range(119, 302))
    assert [event['d']['content'] for event in events] == [f'text {n}' for n in range(119, 302)]
    # catch-up comes before the marker, live events after it
    marker = bob.frames.index(live)
    assert bob.frames.index(events[181]) < marker < bob.frames.index(events[182])
    for socket in (alice, bob):
        await socket.close()


async def test_a_sub_that_is_taken_back_is_answered(daemon):
    """Whether the log has come so far or not, and however far the answer had come. Seen red: there was
    none, as the subscription that had the request was gone."""
    room = await new_room(daemon)
    async with await NativeSocket.hello(daemon, 'Alice') as alice:
        for rev in (0, 1000):
            ids = [f'{name}{rev}' for name in ('first', 'unsub', 'second', 'gone')]
            await alice.send([{'op': 'sub', 'id': ids[0], 'c': room, 'rev': rev},
                              {'op': 'unsub', 'id': ids[1], 'c': room},
                              {'op': 'sub', 'id': ids[2], 'c': room},
                              {'op': 'unsub', 'id': ids[3], 'c': room}])
            answers = [await alice.expect(re=number) for number in ids]
            assert [answer['op'] for answer in answers] == ['err', 'ok', 'err', 'ok']
            assert answers[0]['code'] == answers[2]['code'] == 'not_subscribed'
        assert (await alice.sub(room))['c'] == room


async def test_unsub_ends_the_stream(daemon):
    room = await new_room(daemon)
    alice = await NativeSocket.hello(daemon, 'Alice', worker=0)
    bob = await NativeSocket.hello(daemon, 'Bob', worker=0)
    await alice.sub(room)
    await bob.sub(room)
    assert (await bob.ask('unsub', c=room))['op'] == 'ok'
    await alice.say(room, 'unseen')
    await alice.expect(op='ev', c=room, rev=1)
    assert (await bob.ask('ping'))['op'] == 'pong'
    assert not bob.events(room)
    live = await bob.sub(room, rev=0)
    assert live['rev'] == 1
    for socket in (alice, bob):
        await socket.close()


async def test_typing_reaches_both_dialects(daemon):
    room = await new_room(daemon)
    alice = await NativeSocket.hello(daemon, 'Alice', worker=0)
    bob = await NativeSocket.hello(daemon, 'Bob', worker=1)
    carol = await RoomSocket.enter(daemon, room, 'Carol', worker=0)
    await alice.sub(room)
    await bob.sub(room)
    await alice.send({'op': 'typing', 'c': room, 'on': True})
    me = alice.welcome['user']['id']
    await bob.wait(lambda frames: any(frame.get('t') == 'typing' and frame['d']['users'] == [me]
                                      for frame in frames), 'typing')
    await carol.expect(type='typing', users=['Alice'])
    await alice.send({'op': 'typing', 'c': room, 'on': False})
    await bob.wait(lambda frames: any(frame.get('t') == 'typing' and frame['d']['users'] == []
                                      for frame in frames), 'the end of typing')
    await carol.expect(type='typing', users=[])
    for socket in (alice, bob, carol):
        await socket.close()


async def test_typing_without_a_subscription_is_refused(daemon):
    room = await new_room(daemon)
    async with await NativeSocket.hello(daemon, 'Alice') as alice:
        error = await alice.ask('typing', c=room, on=True)
        assert (error['op'], error['code']) == ('err', 'not_subscribed')


async def test_more_subscriptions_than_allowed_are_refused(start_daemon):
    one = start_daemon(settings={'websocket.subscriptions_max': '3'})
    rooms = [await new_room(one) for _ in range(4)]
    async with await NativeSocket.hello(one, 'Alice') as alice:
        for room in rooms[:3]:
            await alice.sub(room)
        error = await alice.ask('sub', c=rooms[3], rev=0)
        assert error['code'] == 'too_many_subscriptions'
        assert (await alice.ask('unsub', c=rooms[0]))['op'] == 'ok'
        await alice.sub(rooms[3])


async def test_a_deleted_room_is_told_to_its_subscribers(daemon):
    room, other = await new_room(daemon), await new_room(daemon)
    alice = await NativeSocket.hello(daemon, 'Alice', worker=0)
    bob = await NativeSocket.hello(daemon, 'Bob', worker=1)
    for socket in (alice, bob):
        await socket.sub(room)
        await socket.sub(other)
    async with Http(daemon) as http:
        assert (await http.ask('DELETE', f'/api/chat/rooms/{room}'))[0] == 200
    for socket in (alice, bob):
        await socket.expect(op='ev', c=room, t='conversation.close')
        assert (await socket.say(room, 'too late'))['op'] == 'err'
    await alice.say(other, 'goes on')
    await bob.expect(op='ev', c=other, rev=1)
    for socket in (alice, bob):
        await socket.close()


# ---------------------------------------------------------------- REST


async def test_s1_26_native_conversations(daemon):
    async with Http(daemon) as http:
        name = unique('native')
        status, made, _ = await http.ask('POST', '/api/v1/conversations',
                                         {'kind': 'room', 'name': name, 'description': 'd'})
        assert status == 201 and made['name'] == name
        status, again, headers = await http.ask('POST', '/api/v1/conversations', {'kind': 'room', 'name': name})
        assert status == 409 and again['code'] == 'duplicate'
        assert headers['Content-Type'].startswith('application/problem+json')
        status, got, _ = await http.ask('GET', f'/api/v1/conversations/{made["id"]}')
        assert (status, got['name'], got['description']) == (200, name, 'd')
        status, by_uid, _ = await http.ask('GET', f'/api/v1/conversations/{made["uid"]}')
        assert (status, by_uid['id']) == (200, made['id'])
        status, listed, _ = await http.ask('GET', '/api/v1/conversations?limit=200')
        assert status == 200 and name in json.dumps(listed)


async def test_native_history_pages(daemon):
    room = await new_room(daemon)
    async with await NativeSocket.hello(daemon, 'Alice') as alice:
        await alice.sub(room)
        for number in range(120):
            await alice.send({'op': 'send', 'id': number + 1000, 'c': room, 'k': str(uuid.uuid4()),
                              'content': f'text {number}'})
        await alice.expect(re=1119)
    path = f'/api/v1/conversations/{room}/messages'
    async with Http(daemon) as http:
        status, page, _ = await http.ask('GET', path)
        assert status == 200
        assert [one['content'] for one in page['messages']] == [f'text {n}' for n in range(70, 120)]
        assert (page['has_before'], page['has_after'], page['rev'], page['seq']) == (True, False, 120, 120)
        oldest = page['messages'][0]
        _, before, _ = await http.ask('GET', f'{path}?before={oldest["id"]}&limit=200')
        assert [one['content'] for one in before['messages']] == [f'text {n}' for n in range(70)]
        assert (before['has_before'], before['has_after']) == (False, True)
        _, after, _ = await http.ask('GET', f'{path}?after={oldest["id"]}&limit=3')
        assert [one['content'] for one in after['messages']] == ['text 71', 'text 72', 'text 73']
        _, around, _ = await http.ask('GET', f'{path}?around={oldest["uid"]}&limit=5')
        assert 'text 70' in [one['content'] for one in around['messages']]
        status, problem, _ = await http.ask('GET', f'{path}?limit=x')
        assert status in (400, 422) and problem['code']


async def test_openapi_is_served(daemon):
    async with Http(daemon) as http:
        status, document, _ = await http.ask('GET', '/openapi.json')
    assert status == 200
    assert re.match(r'^3\.1\.', document['openapi'])
    assert '/api/chat/rooms' in document['paths']
