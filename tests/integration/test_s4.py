# SPDX-License-Identifier: MIT
"""Conversations of two people, marks, notifications and blocks, as clients of S3 and S4 use them.

The client is Debian's python3-socketio, unchanged.
"""
import asyncio
import contextlib

from roomd_clients import Http, NativeSocket, PATIENCE, RoomSocket, eventually
from roomd_harness import unique
from roomd_people import People, bearer
from test_socketio import Client

DAEMON = {'workers': 4, 'settings': {'auth.hash_memory': '64k', 'auth.hash_passes': 1,
                                     'presence.grace_clean': '200ms', 'presence.min_interval': '0'}}


class Person(Client):
    """A client that knows who it is."""

    @classmethod
    async def make(cls, daemon, account):
        one = cls()
        one.daemon, one.account = daemon, account
        one.id, one.uid = account['user']['id'], account['user']['uid']
        await one.connect(daemon, account['token'])
        await one.wait('online_users')
        return one

    async def again(self):
        """One more socket of the same person."""
        return await Person.make(self.daemon, self.account)

    async def write(self, other, text, **more):
        return await self.ask('send_message', {'receiverId': other, 'content': text, **more})

    async def told(self, count):
        """The texts that this socket was notified of."""
        return [one['message']['content'] for one in await self.wait('message_notification', count)]


@contextlib.asynccontextmanager
async def people_of(daemon, *names):
    clients = []
    async with People(daemon) as people:
        for name in names:
            clients.append(await Person.make(daemon, await people.new_person(name)))
        try:
            yield clients
        finally:
            for client in clients:
                await client.sio.disconnect()


async def rest(person, method, path, body=None):
    """Status and JSON of a native request."""
    async with Http(person.daemon) as http:
        async with http.session.request(method, person.daemon.http + path, json=body,
                                        headers=bearer(person.account['token'])) as answer:
            return answer.status, await answer.json() if answer.content_type.endswith('json') else None


async def until(ask, ok):
    """Asks until the answer is of that kind."""
    async with asyncio.timeout(PATIENCE):
        while (await ask())['ok'] is not ok:
            await asyncio.sleep(0.02)


# ---- Conversations of two people ---------------------------------------------------------------------

async def test_s3_06_s4_11_a_message_to_a_person_makes_the_conversation(daemon):
    """Red without the receiver in the event of a message."""
    async with people_of(daemon, 'ann', 'bob') as (ann, bob):
        first = await ann.write(bob.id, 'one')
        assert first['ok'] and first['message']['receiver_id'] == bob.id
        room = first['message']['conversation_id']
        assert (await bob.ask('join_conversation', room))['ok']
        await ann.ask('join_conversation', f'conversation:{room}')
        second = await bob.write(ann.uid, 'two')
        assert second['message']['conversationId'] == room and second['message']['receiver_id'] == ann.id
        third = await ann.write(str(bob.id), 'three')
        assert third['message']['rev'] == 3
        for client in (ann, bob):
            assert [one['content'] for one in await client.wait('new_message', 2)] == ['two', 'three']
        assert client.of('new_message')[1]['receiver_id'] == bob.id
        status, page = await rest(ann, 'GET', f'/api/v1/conversations/{room}/messages')
        assert status == 200 and [one['content'] for one in page['messages']] == ['one', 'two', 'three']
        status, shown = await rest(bob, 'GET', f'/api/v1/conversations/{room}')
        assert shown['kind'] == 'direct' and shown['role'] == 'member'


async def test_two_at_once_make_one_conversation(daemon):
    """Red with a key that names the two in the order of asking."""
    async with people_of(daemon, 'ann', 'bob') as (ann, bob):
        more = [await ann.again(), await bob.again()]
        answers = await asyncio.gather(*(who.write(whom, f'{n}') for n in range(3) for who, whom in (
            (ann, bob.id), (bob, ann.uid), (more[0], bob.uid), (more[1], ann.id))))
        assert all(answer['ok'] for answer in answers), answers
        assert len({answer['message']['conversation_id'] for answer in answers}) == 1
        assert sorted(answer['message']['seq'] for answer in answers) == list(range(1, 13))
        for client in more:
            await client.sio.disconnect()


async def test_conversations_of_two_over_rest(daemon):
    """Red when what was found is answered as made."""
    async with people_of(daemon, 'ann', 'bob') as (ann, bob):
        status, made = await rest(ann, 'POST', '/api/v1/conversations', {'kind': 'direct', 'members': [bob.uid]})
        assert status == 201 and made['kind'] == 'direct'
        status, found = await rest(bob, 'POST', '/api/v1/conversations', {'kind': 'direct', 'members': [ann.id]})
        assert status == 200 and found['id'] == made['id']
        for members, expected in (([ann.id], 422), ([987654321], 404), ([], 422), ([bob.id, 1], 422), (None, 422)):
            status, problem = await rest(ann, 'POST', '/api/v1/conversations', {'kind': 'direct', 'members': members})
            assert status == expected, problem
        status, sent = await rest(ann, 'POST', f'/api/v1/conversations/{made["id"]}/messages', {'content': 'by REST'})
        assert status == 201
        assert await bob.told(1) == ['by REST']
        assert (await ann.write(bob.id, 'by event'))['message']['conversation_id'] == made['id']


async def test_s4_10_only_the_two_may_enter(daemon):
    """Red without the question for MAY_READ in roles_conn.c."""
    async with people_of(daemon, 'ann', 'bob', 'eve') as (ann, bob, eve):
        room = (await ann.write(bob.id, 'secret'))['message']['conversation_id']
        uid = (await rest(ann, 'GET', f'/api/v1/conversations/{room}'))[1]['uid']
        for name in (room, str(room), f'conversation:{room}', f'conversation_{room}', uid, {'conversationId': uid},
                     {'conversation_id': room}):
            answer = await eve.ask('join_conversation', name)
            assert answer == {'ok': False, 'error': 'There is no such room.', 'code': 'no_such_room'}, name
            answer = await bob.ask('join_conversation', name)
            assert answer['ok'] and answer['conversation']['id'] == room, (name, answer)
        assert (await eve.say(room, 'me too'))['code'] == 'not_subscribed'
        assert (await eve.ask('mark_as_read', {'conversationId': room}))['code'] == 'no_such_room'
        assert not eve.of('message_notification')
        assert (await eve.say(room + 1000, 'nowhere'))['code'] == 'not_subscribed'
        assert (await bob.ask('leave_conversation', f'conversation_{room}'))['ok']
        assert (await bob.ask('mark_as_read', room))['ok']


async def test_s4_11_each_of_the_two_writes_without_having_joined(daemon):
    """By the number, the name or the UUID of what they have, as by whom he writes to.

    Red without find_peer in sio_event.c: not_subscribed."""
    async with people_of(daemon, 'ann', 'bob') as (ann, bob):
        room = (await ann.write(bob.id, 'first'))['message']['conversation_id']
        uid = (await rest(ann, 'GET', f'/api/v1/conversations/{room}'))[1]['uid']
        await ann.ask('join_conversation', room)
        for text, name in ('number', room), ('name', f'conversation_{room}'), ('uuid', uid):
            answer = await bob.say(name, text, clientMsgId=text)
            assert answer['ok'] and answer['message']['receiver_id'] == ann.id, answer
            again = await bob.say(name, text, clientMsgId=text)
            assert again['duplicate'] and again['message']['id'] == answer['message']['id']
        told = await ann.wait('new_message', 3)
        assert [one['content'] for one in told] == ['number', 'name', 'uuid']
        assert not bob.of('new_message')
        await ann.ask('leave_conversation', room)
        assert (await ann.say(room, 'still here'))['ok']
        assert await bob.told(2) == ['first', 'still here']


async def test_s4_10_joining_again_tells_how_the_conversation_stands(daemon):
    """As who joins with each connection, whether it recovered or not, needs it. Red with null for unread."""
    async with people_of(daemon, 'ann', 'bob') as (ann, bob):
        room = (await ann.write(bob.id, 'one'))['message']['conversation_id']
        first = await bob.ask('join_conversation', room)
        assert (first['unread'], first['rev']) == (1, 1)
        assert await bob.ask('join_conversation', f'conversation_{room}') == first
        await ann.write(bob.id, 'two')
        await bob.wait('new_message')
        assert await bob.ask('join_conversation', room) == {**first, 'unread': 2, 'rev': 2}
        assert not bob.of('messages_read') and not bob.of('message_delivered')


async def test_s4_28_everybody_is_in_the_room_of_his_own_notifications(daemon):
    """Red when the id is not compared with the own one."""
    async with people_of(daemon, 'ann', 'bob') as (ann, bob):
        assert await ann.ask('join_conversation', f'user_{ann.id}') == {'ok': True}
        assert (await ann.ask('join_conversation', f'user_{bob.id}'))['code'] == 'forbidden'
        assert (await ann.ask('join_conversation', f'user:{bob.id}'))['code'] == 'forbidden'


async def test_s4_33_who_is_written_to_must_be_there(daemon):
    """Red when nobody of that id is told as a database that is away."""
    async with people_of(daemon, 'ann') as (ann,):
        for nobody in (987654321, '00000000-0000-7000-8000-000000000000'):
            answer = await ann.write(nobody, 'hello?')
            assert answer['code'] == 'not_found' and answer['field'] == 'receiverId', answer
        assert (await ann.write(ann.id, 'me'))['field'] == 'receiverId'
        assert (await ann.write('bob', 'hello?'))['field'] == 'receiverId'
        await ann.sio.emit('send_message', {'receiverId': 987654321, 'content': 'x', 'clientMsgId': 'k'})
        error, = await ann.wait('message_error')
        assert error['clientMsgId'] == 'k' and error['code'] == 'not_found'


# ---- Attachments -------------------------------------------------------------------------------------

async def test_s4_04_a_message_brings_the_address_of_an_attachment(daemon):
    """In every view. Red with the address left out of meta_of (history), and of take_stored (the repetition)."""
    async with people_of(daemon, 'ann', 'bob') as (ann, bob), Http(daemon) as http:
        first = (await ann.write(bob.id, 'with a file', attachmentUrl='/files/1', clientMsgId='k'))['message']
        room, second = first['conversation_id'], 'https://example.org/a.png?x=%C3%A9&y="'
        assert first['attachment_url'] == '/files/1'
        for client in (ann, bob):
            await client.join(room)
        native = await NativeSocket.hello(daemon, None, token=ann.account['token'])
        await native.sub(room)
        alone = (await bob.ask('send_message', {'conversationId': room, 'attachment_url': second}))['message']
        await native.ask('send', c=room, k='n', content='', attachment_url='/files/3')
        status, posted = await rest(bob, 'POST', f'/api/v1/conversations/{room}/messages',
                                    {'content': 'four', 'attachment_url': '/files/4'})
        assert status == 201 and posted['attachment_url'] == '/files/4'
        expected = [('', second), ('', '/files/3'), ('four', '/files/4')]
        for client in (ann, bob):
            assert [(one['content'], one['attachment_url']) for one in await client.wait('new_message', 3)] == expected
        notes = await bob.wait('message_notification', 2)
        assert [(note['preview'], note['message']['attachment_url']) for note in notes] == [
            ('with a file', '/files/1'), ('', '/files/3')]
        await eventually(lambda: len(native.events(room)) == 3, 'three came')
        again = await NativeSocket.hello(daemon, None, token=bob.account['token'])
        await again.sub(room, rev=1)
        for events in (native.events(room), again.events(room)):
            assert [(one['d']['content'], one['d']['attachment_url']) for one in events] == expected
        page = (await rest(ann, 'GET', f'/api/v1/conversations/{room}/messages'))[1]['messages']
        assert [(one['content'], one['attachment_url'], one['meta']) for one in page] == [
            (content, address, None) for content, address in [('with a file', '/files/1'), *expected]]
        repeated = await ann.say(room, 'other', attachmentUrl='/other', clientMsgId='k')
        assert repeated['duplicate'] and repeated['message'] == first
        shown = (await rest(ann, 'GET', '/api/v1/conversations'))[1]['conversations']
        assert [one['last_message']['preview'] for one in shown if one['id'] == room] == ['four\n/files/4']
        for socket in (native, again):
            await socket.close()
        assert alone['attachment_url'] == second


async def test_an_edit_keeps_the_attachment_and_a_deletion_hides_it(daemon):
    """Red with the address shown whatever deleted_at says."""
    async with people_of(daemon, 'ann', 'bob') as (ann, bob):
        message = (await ann.write(bob.id, 'one', attachmentUrl='/files/1', clientMsgId='k'))['message']
        room = message['conversation_id']
        await bob.join(room)
        native = await NativeSocket.hello(daemon, None, token=ann.account['token'])
        await native.sub(room)
        for op, more, expected in (('edit', {'content': 'two'}, ('two', '/files/1')), ('delete', {}, (None, None)),
                                   ('recover', {}, ('two', '/files/1'))):
            assert (await native.ask(op, c=room, rev=message['rev'], **more))['op'] == 'ok'
            one, = (await rest(ann, 'GET', f'/api/v1/conversations/{room}/messages'))[1]['messages']
            assert (one['content'], one['attachment_url']) == expected
            again = await ann.write(bob.id, 'one', clientMsgId='k')
            assert again['duplicate'] and again['message']['attachment_url'] == expected[1]
        edited = await bob.wait('message_edited', 2)
        assert [one.get('attachment_url') for one in edited] == [None, '/files/1'] and edited[1]['recovered']
        recovered, = native.all(op='ev', t='message.recover')
        assert recovered['d']['attachment_url'] == '/files/1'
        await native.close()


async def test_who_knows_no_attachments_reads_their_address(daemon, rows):
    """Red with the text alone in MESSAGES_PAGE_RAW, and in the view."""
    async with people_of(daemon, 'ann') as (ann,), Http(daemon) as http:
        room = (await http.new_room())['id']
        socket = await RoomSocket.enter(daemon, room, unique('Guest'))
        await ann.join(room)
        await ann.say(room, 'look', attachmentUrl='/files/1')
        await ann.say(room, '', attachmentUrl='/files/2')
        await ann.say(room, 'plain')
        expected = ['look\n/files/1', '/files/2', 'plain']
        await eventually(lambda: len(socket.all(type='message')) == 3, 'three came')
        assert [one['content'] for one in socket.all(type='message')] == expected
        assert [one['content'] for one in await http.messages(room)] == expected
        assert rows('select content from compat.messages where room_id = %s order by id', room) == \
            [(content,) for content in expected]
        await socket.close()


async def test_bad_addresses_are_refused_by_their_field(daemon):
    """Red when any text is taken."""
    async with people_of(daemon, 'ann', 'bob') as (ann, bob):
        room = (await ann.write(bob.id, 'one'))['message']['conversation_id']
        for wrong in ('javascript:alert(1)', 'data:text/html,x', '//example.org/a', 'files/1', '/a b', '/a\nb', '/\x7f',
                      '/\u202e', 'https://' + 'x' * 2048, 7):
            for field in ('attachmentUrl', 'attachment_url'):
                answer = await ann.write(bob.id, 'text', **{field: wrong})
                assert answer['ok'] is False and answer['field'] == field, answer
            status, problem = await rest(ann, 'POST', f'/api/v1/conversations/{room}/messages',
                                         {'content': 'text', 'attachment_url': wrong})
            assert status == 422 and problem['field'] == 'attachment_url'
        for nothing in ({'content': ''}, {'content': ' ', 'attachmentUrl': '/files/1'}, {'attachmentUrl': ''}, {}):
            answer = await ann.ask('send_message', {'conversationId': room, **nothing})
            assert answer['ok'] is False and answer['field'] == 'content', answer


async def test_s4_33_a_blocked_sender_is_refused(daemon):
    """Red without is_blocked in roles_of: the messages are stored."""
    async with people_of(daemon, 'ann', 'bob', 'eve') as (ann, bob, eve):
        room = (await ann.write(bob.id, 'before'))['message']['conversation_id']
        assert (await ann.ask('join_conversation', room))['ok'] and (await bob.ask('join_conversation', room))['ok']
        blocks = '/api/v1/users/me/blocks'
        assert (await rest(bob, 'PUT', f'{blocks}/{ann.uid}'))[0] == 204
        assert (await rest(bob, 'PUT', f'{blocks}/{ann.id}'))[0] == 204  # once more changes nothing
        assert (await rest(bob, 'PUT', f'{blocks}/{eve.id}'))[0] == 204
        listed = (await rest(bob, 'GET', blocks))[1]['blocks']
        assert [one['user']['id'] for one in listed] == [eve.id, ann.id]
        await until(lambda: ann.say(room, 'before'), ok=False)  # workers learn of it within a moment
        for answer in (await ann.write(bob.id, 'one'), await ann.say(room, 'two'), await eve.write(bob.id, 'three')):
            assert answer['ok'] is False and answer['code'] == 'read_only', answer
        status, problem = await rest(ann, 'POST', f'/api/v1/conversations/{room}/messages', {'content': 'four'})
        assert status == 403 and problem['code'] == 'read_only'
        assert (await rest(eve, 'POST', '/api/v1/conversations', {'kind': 'direct', 'members': [bob.id]}))[0] == 403
        page = (await rest(ann, 'GET', f'/api/v1/conversations/{room}/messages'))[1]
        assert {one['content'] for one in page['messages']} == {'before'}
        assert (await rest(bob, 'DELETE', f'{blocks}/{ann.id}'))[0] == 204
        await until(lambda: ann.write(bob.id, 'after'), ok=True)
        assert (await ann.say(room, 'again'))['ok']
        await eventually(lambda: [one['content'] for one in bob.of('new_message')
                                  if one['content'] != 'before'] == ['after', 'again'], 'both have come')
        for wrong, expected in ((bob.id, 422), (987654321, 404)):
            assert (await rest(bob, 'PUT', f'{blocks}/{wrong}'))[0] == expected


# ---- Marks -------------------------------------------------------------------------------------------

async def test_s4_13_the_sender_learns_what_was_read(daemon):
    """Red without the message's rev in the announced mark."""
    async with people_of(daemon, 'ann', 'bob') as (ann, bob):
        sent = [(await ann.write(bob.id, text))['message'] for text in ('one', 'two', 'three')]
        room, ids = sent[0]['conversation_id'], [one['id'] for one in sent]
        device = await bob.again()
        for client in (ann, bob, device):
            await client.join(room)
        assert (await bob.ask('join_conversation', room))['rev'] == 3
        answer = await bob.ask('mark_as_read', {'conversationId': room, 'messageId': ids[1]})
        assert answer == {'ok': True, 'count': 2, 'lastReadMessageId': ids[1]}
        read, = await ann.wait('messages_read')
        assert read['conversationId'] == room and read['userId'] == bob.id
        assert read['lastReadMessageId'] == ids[1] and read['readAt'].endswith('Z')
        assert (await bob.ask('mark_as_read', {'messageId': sent[0]['uid']}))['count'] == 0  # never back
        answer = await bob.ask('mark_as_read', {'conversation_id': f'conversation_{room}'})
        assert answer == {'ok': True, 'count': 1, 'lastReadMessageId': ids[2]}
        assert await bob.ask('mark_as_read', room) == {'ok': True, 'count': 0, 'lastReadMessageId': ids[2]}
        assert [one['lastReadMessageId'] for one in await ann.wait('messages_read', 2)] == ids[1:]
        assert (await rest(bob, 'GET', f'/api/v1/conversations/{room}'))[1]['unread'] == 0
        answer = await bob.ask('mark_as_read', {'conversationId': room, 'messageId': str(int(ids[2]) + 1)})
        assert answer['ok'] is False and answer['code'] == 'invalid'
        assert not bob.of('messages_read') and not device.of('messages_read')
        await device.sio.disconnect()


async def test_s4_18_received_then_read(daemon, rows):
    """Who was notified marks without having joined. Red with the bell left out of persist.c."""
    async with people_of(daemon, 'ann', 'bob') as (ann, bob):
        message = (await ann.write(bob.id, 'one'))['message']
        await ann.join(message['conversation_id'])
        note, = await bob.wait('message_notification')
        await bob.sio.emit('delivered', {'messageId': note['message']['id']})
        received, = await ann.wait('message_delivered')
        assert received['messageId'] == message['id'] and received['userId'] == bob.id
        await bob.sio.emit('mark_as_read', {'conversationId': note['conversationId']})
        read, = await ann.wait('messages_read')
        assert read['lastReadMessageId'] == message['id'] and read['seq'] == 1
        row = rows('SELECT read_seq, delivered_seq, read_rev FROM members'
                           ' WHERE conversation_id = %s AND user_id = %s', message['conversation_id'], bob.id)[0]
        assert row[0] == 1 and row[2] == 1


async def test_marks_cross_the_dialects(daemon):
    """Red without the message's rev in the announced mark."""
    async with people_of(daemon, 'ann', 'bob') as (ann, bob), Http(daemon) as http:
        room = (await http.new_room())['id']
        native = await NativeSocket.hello(daemon, unique('Native'))
        await native.sub(room)
        await ann.join(room)
        message = (await ann.say(room, 'one'))['message']
        await native.expect(op='ev')
        await native.send({'op': 'read', 'c': room, 'seq': 1})
        read, = await ann.wait('messages_read')
        assert read['lastReadMessageId'] == message['id']
        assert (await ann.ask('mark_as_read', {'conversationId': room}))['count'] == 0
        await native.close()


# ---- Notifications -----------------------------------------------------------------------------------

async def test_s4_14_s3_10_every_socket_of_the_others_is_notified_once(daemon):
    """Red with the bell left out of persist.c: nobody is notified."""
    async with people_of(daemon, 'ann', 'bob', 'eve') as (ann, bob, eve):
        devices = [bob, await bob.again(), await bob.again()]
        mine = await ann.again()
        room = (await ann.write(bob.id, 'text 0'))['message']['conversation_id']
        for device in devices:
            await device.wait('message_notification')
        await devices[0].join(room)
        await mine.join(room)
        for number in range(1, 20):
            assert (await ann.write(bob.id, f'text {number}'))['ok']
        expected = [f'text {number}' for number in range(20)]
        for device in devices:
            assert await device.told(20) == expected
        notes = devices[0].of('message_notification')
        assert [note.get('joined') for note in notes] == [None] + [True] * 19
        assert not any('joined' in note for note in devices[1].of('message_notification'))
        assert notes[0]['unread'] == 1 and notes[-1]['unread'] <= 20 and notes[-1]['preview'] == 'text 19'
        assert notes[0]['sender'] == {'id': ann.id, 'username': notes[0]['message']['sender']['username']}
        assert notes[0]['message']['receiver_id'] == bob.id
        assert [one['content'] for one in await mine.wait('new_message', 19)] == expected[1:]
        assert [one['content'] for one in await devices[0].wait('new_message', 19)] == expected[1:]
        assert not devices[1].of('new_message')
        for client in (ann, mine, eve):
            assert not client.of('message_notification')
        for device in (*devices[1:], mine):
            await device.sio.disconnect()


async def test_notifications_of_many_senders_keep_the_order_of_the_log(daemon):
    """Several workers store messages of one conversation at once.

    Red with every worker in charge of what it stored, and receivers that take everything."""
    async with people_of(daemon, 'ann', 'bob') as (ann, bob):
        senders = [ann] + [await ann.again() for _ in range(5)]

        async def many(sender, who):
            for number in range(20):
                assert (await sender.write(bob.id, f'{who} {number}'))['ok']
        await asyncio.gather(*(many(sender, who) for who, sender in enumerate(senders)))
        notes = await bob.wait('message_notification', 120)
        assert [note['message']['seq'] for note in notes] == list(range(1, 121))
        assert notes[-1]['unread'] == 120
        for sender in senders[1:]:
            await sender.sio.disconnect()


async def test_members_of_a_group_are_notified_whatever_the_sender_speaks(daemon):
    """Red with the bell left out of persist.c."""
    async with people_of(daemon, 'ann', 'bob', 'eve') as (ann, bob, eve):
        room = (await rest(ann, 'POST', '/api/v1/conversations', {'name': unique('room')}))[1]['id']
        for who in (bob, eve):
            assert (await rest(who, 'POST', f'/api/v1/conversations/{room}/join'))[0] == 200
        native = await NativeSocket.hello(daemon, unique('Native'))
        await native.sub(room)
        await native.say(room, 'from a native client')
        for who in (ann, bob, eve):
            assert await who.told(1) == ['from a native client']
        assert (await rest(eve, 'POST', f'/api/v1/conversations/{room}/leave'))[0] == 200
        await native.say(room, 'again')
        assert await bob.told(2) == ['from a native client', 'again']
        assert len(eve.of('message_notification')) == 1
        await native.close()


# ---- Typing and presence -----------------------------------------------------------------------------

async def test_s4_12_typing_ends_by_itself(daemon):
    """Red when S4 is told of who begins alone."""
    async with people_of(daemon, 'ann', 'bob') as (ann, bob):
        room = (await ann.write(bob.id, 'one'))['message']['conversation_id']
        for client in (ann, bob):
            await client.join(room)
        await ann.sio.emit('typing', {'conversationId': room})
        assert (await bob.wait('typing'))[0]['userId'] == ann.id
        assert (await bob.wait('stop_typing'))[0]['conversation_id'] == room  # after 6 s, unasked
        assert not ann.of('typing') and not ann.of('stop_typing')


async def test_s3_11_many_sockets_come_and_go_as_one_person(daemon):
    """Red with presence told for each socket: one pair for each of the three."""
    async with people_of(daemon, 'ann') as (ann,):
        async with people_of(daemon, 'bob') as (bob,):
            more = [await bob.again(), await bob.again()]
            await eventually(lambda: bob.id in [one['userId'] for one in ann.of('user:online')], 'bob is online')
            for device in more:
                await device.sio.disconnect()
            reloaded = await bob.again()  # a page that is loaded anew
            await reloaded.sio.disconnect()
        await eventually(lambda: bob.id in [one['userId'] for one in ann.of('user:offline')], 'bob is offline')
        changes = [event for event, *rest in ann.heard
                   if event in ('user:online', 'user:offline') and rest[0]['userId'] == bob.id]
        assert changes == ['user:online', 'user:offline']
