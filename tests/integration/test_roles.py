# SPDX-License-Identifier: MIT
"""Who may do what in a conversation: the table of "roomd --describe authz", row by row, through the wire.

S1-47: what is forbidden is refused with 403 (404 to strangers, who are not told what is not theirs) and
stands in the audit log.
"""
import asyncio
import json
import subprocess
import time
import uuid

import pytest

from roomd_clients import NativeSocket, RoomSocket, Socket, eventually
from roomd_harness import BIN, SECOND, unique
from roomd_people import PASSWORD, People, bearer

CHEAP = {'auth.hash_memory': '64k', 'auth.hash_passes': 1}
DAEMON = {'settings': CHEAP, 'workers': 2}

ROLES = ('banned', 'none', 'read-only', 'visitor', 'member', 'moderator', 'admin', 'owner', 'muted', 'server')
ALL = set(ROLES)
INSIDE = ALL - {'banned', 'none'} - {'server'}
SPEAKERS = {'visitor', 'member', 'moderator', 'admin', 'owner', 'server'}
STAFF = {'moderator', 'admin', 'owner', 'server'}

# The policy, written by hand. Somebody muted is a member, the server's administrator a visitor, and
# both keep what that is.
POLICY = {
    'conversation.read': INSIDE | {'server'},
    'member.join': INSIDE - {'read-only'} | {'server'},
    'member.leave': INSIDE | {'server'},
    'message.mark': INSIDE | {'server'},
    'message.send': SPEAKERS,
    'typing': SPEAKERS,
    'reaction': SPEAKERS,
    'message.edit': SPEAKERS,
    'message.delete': SPEAKERS | {'muted'},
    'message.delete.any': STAFF,
    'message.unslowed': STAFF,
    'member.add': STAFF,
    'member.role': {'admin', 'owner', 'server'},
    'member.kick': STAFF,
    'member.ban': STAFF,
    'filter.manage': STAFF,
    'member.mute': STAFF,
    'conversation.slow': STAFF,
    'conversation.update': {'admin', 'owner', 'server'},
    'conversation.close': {'admin', 'owner', 'server'},
    'report.create': INSIDE | {'server'},
    'report.resolve': STAFF,
    'audit.read': {'server'},
}


def described():
    done = subprocess.run([BIN, '--describe', 'authz'], capture_output=True, text=True, check=True)
    return {row['action']: row for row in json.loads(done.stdout)}


def by_table(row):
    """Who may, by a row of the program's table."""
    ranks = ('banned', 'none', 'read-only', 'visitor', 'member', 'moderator', 'admin', 'owner', 'nobody')
    least = ranks.index(row['least'])
    may = {role for role in ranks[:-1] if ranks.index(role) >= least}
    if row['muted'] and 'member' in may:
        may.add('muted')
    if row['server'] or 'visitor' in may:
        may.add('server')
    return may


def test_s1_47_the_table_is_the_policy():
    """All of it: a row that is new has no policy yet. Seen red with a row taken out of POLICY."""
    assert {action: by_table(row) for action, row in described().items()} == POLICY


class Stage:
    """A conversation with an owner, and somebody with a role in it who has said something before."""

    def __init__(self, http, rows, role):
        self.http, self.rows, self.role = http, rows, role

    async def call(self, method, path, body=None, token=None):
        status, answer, _ = await self.http.ask(method, f'/api/v1/{path}', body,
                                                headers=bearer(token or self.token))
        return status, answer

    async def ok(self, *what, **more):
        status, answer = await self.call(*what, **more)
        assert status < 300, (what, status, answer)
        return answer

    async def set(self):
        self.boss = await self.http.new_person('boss')
        self.boss_token = self.boss['token']
        if self.role == 'none':
            self.room = group_of(self.rows, self.boss['user']['id'])
        else:
            self.room = (await self.ok('POST', 'conversations', {'name': unique('stage')},
                                       token=self.boss_token))['id']
        self.path = f'conversations/{self.room}'
        await self.ok('POST', f'{self.path}/messages', {'content': 'by the owner'}, token=self.boss_token)
        person = await self.http.new_person(self.role)
        self.id, self.token = person['user']['id'], person['token']
        if self.role == 'none':
            return self
        await self.ok('POST', f'{self.path}/messages', {'content': 'by the actor'})
        member = f'{self.path}/members/{self.id}'
        if self.role == 'server':
            self.rows('UPDATE users SET is_admin = true WHERE id = %s RETURNING id', self.id)
            self.token = (await self.http.login(person['user']['username']))[1]['token']
        elif self.role == 'banned':
            await self.ok('PATCH', member, {'role': 'banned', 'reason': 'spam'}, token=self.boss_token)
        elif self.role == 'muted':
            await self.ok('POST', f'{self.path}/members', {'user': self.id}, token=self.boss_token)
            await self.ok('PATCH', member, {'muted': True, 'for': 600}, token=self.boss_token)
        elif self.role != 'visitor':
            await self.ok('POST', f'{self.path}/members', {'user': self.id, 'role': self.role},
                          token=self.boss_token)
        return self

    async def other(self, role='member'):
        """Somebody to do things to."""
        person = await self.http.new_person('target')
        if role:
            await self.ok('POST', f'{self.path}/members', {'user': person['user']['id'], 'role': role},
                          token=self.boss_token)
        return person

    async def socket(self, op, **fields):
        """One operation on a native socket: (refused, code)."""
        async with await Socket.open(self.http.daemon, '/ws', subprotocols=['roomd.v1']) as link:
            await link.send({'op': 'hello', 'id': 1, 'token': self.token})
            await link.expect(op='welcome')
            await link.send({'op': 'sub', 'id': 2, 'c': self.room, 'rev': 0})
            answer = await link.expect(re=2)
            if answer['op'] == 'live':
                await link.send({'op': op, 'id': 3, 'c': self.room, **fields})
                answer = await link.expect(re=3)
            if answer['op'] != 'err':
                return 200, None
            return {'no_such_room': 404, 'rate_limited': 429, 'slow_mode': 429}.get(answer['code'], 403), answer

    # Each returns (status, answer).

    async def conversation_read(self):
        return await self.call('GET', f'{self.path}/messages')

    async def member_join(self):
        return await self.call('POST', f'{self.path}/join')

    async def member_leave(self):
        return await self.call('POST', f'{self.path}/leave')

    async def message_mark(self):
        return await self.socket('read', seq=1)

    async def message_send(self):
        status, answer = await self.call('POST', f'{self.path}/messages', {'content': 'by REST'})
        over, _ = await self.socket('send', content='by socket', k=str(uuid.uuid4()))
        assert (status < 300) == (over < 300), (status, over)
        return status, answer

    async def typing(self):
        return await self.socket('typing', on=True)

    async def reaction(self):
        return await self.socket('react', message=self.message(1), emoji='👍', on=True)

    def message(self, rev):
        return str(self.room * 2 ** 32 + rev)

    async def message_edit(self):
        return await self.socket('edit', message=self.message(2), content='better')

    async def message_delete(self):
        return await self.socket('delete', message=self.message(2))

    async def message_delete_any(self):
        return await self.socket('delete', message=self.message(1))

    async def message_unslowed(self):
        await self.ok('PATCH', self.path, {'slow_mode': 600}, token=self.boss_token)
        await self.call('POST', f'{self.path}/messages', {'content': 'one'})
        return await self.call('POST', f'{self.path}/messages', {'content': 'two'})

    async def member_add(self):
        person = await self.other(None)
        return await self.call('POST', f'{self.path}/members', {'user': person['user']['id']})

    async def target(self):
        return f"{self.path}/members/{(await self.other())['user']['id']}"

    async def member_role(self):
        return await self.call('PATCH', await self.target(), {'role': 'read-only'})

    async def member_kick(self):
        return await self.call('DELETE', await self.target())

    async def member_ban(self):
        return await self.call('PATCH', await self.target(), {'role': 'banned', 'for': 60})

    async def member_mute(self):
        return await self.call('PATCH', await self.target(), {'muted': True, 'for': 60})

    async def filter_manage(self):
        return await self.call('GET', f'{self.path}/filters')

    async def conversation_slow(self):
        return await self.call('PATCH', self.path, {'slow_mode': 5})

    async def conversation_update(self):
        return await self.call('PATCH', self.path, {'name': unique('renamed')})

    async def conversation_close(self):
        return await self.call('DELETE', self.path)

    async def report_create(self):
        return await self.call('POST', 'reports', {'conversation_id': self.room, 'reason': 'rude',
                                                   'user_id': self.boss['user']['id']})

    async def report_resolve(self):
        return await self.call('GET', f'{self.path}/reports')

    async def audit_read(self):
        return await self.call('GET', 'audit')


@pytest.mark.parametrize('action', sorted(POLICY))
async def test_s1_47_each_action_by_each_role(daemon, rows, action):
    """Seen red with authz_allows returning true, and with audit_denied doing nothing."""
    async with People(daemon) as http:
        for role in ROLES:
            stage = await Stage(http, rows, role).set()
            status, answer = await getattr(stage, action.replace('.', '_'))()
            assert status < 500, (role, answer)
            assert (status < 300) == (role in POLICY[action]), (role, status, answer)
            if status < 300 or action == 'message.unslowed' and status == 429:
                continue
            if role == 'none' and action != 'audit.read':
                assert status == 404, answer
                continue
            assert status == 403, (role, answer)
            noted = {action}
            if role == 'banned':
                noted.add('conversation.read')  # refused at the door
            noted |= {'message.delete.any': {'message.delete'}, 'message.unslowed': {'message.send'}}.get(action, set())
            await eventually(lambda: {row[0] for row in rows(
                "SELECT detail->>'action' FROM audit WHERE action = 'denied' AND actor_id = %s", stage.id)}
                & noted, f'{role}: the refusal of {action} in the audit log')


# ---- What roles mean for those who are there ---------------------------------------------------------

def group_of(rows, owner, *members):
    """A conversation of its members' own: its id."""
    return rows('WITH c AS (INSERT INTO conversations (kind, name, created_by) VALUES (%s, %s, %s) RETURNING *),'
                ' m AS (INSERT INTO members (conversation_id, user_id, role)'
                "  SELECT id, u, CASE WHEN u = created_by THEN 'owner' ELSE 'member' END FROM c, unnest(%s) AS u)"
                ' SELECT id FROM c', 'group', unique('group'), owner, [owner, *members])[0][0]


async def room_of(http, kind='room'):
    """A conversation with an owner: (id, path, owner's token)."""
    boss = await http.new_person('boss')
    status, room, _ = await http.ask('POST', '/api/v1/conversations', {'name': unique('room')},
                                     headers=bearer(boss['token']))
    assert status == 201, room
    return room['id'], f'/api/v1/conversations/{room["id"]}', boss


async def guest_at(http, rows, room, worker=None):
    """A guest in the simple dialect: (socket, user id)."""
    name = unique('guest')
    socket = await RoomSocket.enter(http.daemon, room, name, worker)
    return socket, rows("SELECT id FROM users WHERE kind = 'guest' AND name = %s", name)[0][0]


async def act(http, method, path, token, body=None):
    status, answer, _ = await http.ask(method, path, body, headers=bearer(token))
    assert status in (200, 201, 204), answer
    return answer


async def test_a_ban_ends_the_socket_and_keeps_the_guest_out(daemon, rows):
    """S4-33: nothing of somebody who is banned is stored. Seen red with roles_sweep doing nothing."""
    async with People(daemon) as http:
        room, path, boss = await room_of(http)
        socket, guest = await guest_at(http, rows, room)
        await socket.say('before')
        await socket.wait_messages(1)
        began = time.monotonic()
        await act(http, 'PATCH', f'{path}/members/{guest}', boss['token'],
                  {'role': 'banned', 'for': 60, 'reason': 'spam'})
        assert await socket.closed() == (4403, 'You are banned from this conversation.')
        assert time.monotonic() - began < SECOND
        assert socket.all(type='error')[-1]['code'] == 'banned'
        name = rows('SELECT name FROM users WHERE id = %s', guest)[0][0]
        again = await Socket.open(daemon, f'/ws/chat/{room}')
        await again.send({'username': name})
        await again.send({'type': 'message', 'content': 'let me in'})
        assert (await again.closed())[0] == 4403
        status, answer, _ = await http.ask('POST', f'{path}/messages', {'name': name, 'content': 'by REST'})
        assert (status, answer['code']) == (403, 'banned')
        assert [row[0] for row in rows('SELECT content FROM events WHERE conversation_id = %s AND kind = 1',
                                       room)] == ['before']
        listed = await act(http, 'GET', f'{path}/members?banned=1', boss['token'])
        assert [(m['user']['id'], m['ban_reason']) for m in listed['members']] == [(guest, 'spam')]

        await act(http, 'PATCH', f'{path}/members/{guest}', boss['token'], {'role': 'banned', 'for': 1})

        async def may_return():
            socket = await Socket.open(daemon, f'/ws/chat/{room}')
            await socket.send({'username': name})
            frames = await socket.wait(lambda frames: list(frames))
            await socket.close()
            return frames[0]['type'] == 'connected'
        await eventually(may_return, 'the ban has ended')


async def test_a_ban_is_taken_back(daemon, rows):
    async with People(daemon) as http:
        room, path, boss = await room_of(http)
        socket, guest = await guest_at(http, rows, room)
        await act(http, 'PATCH', f'{path}/members/{guest}', boss['token'], {'role': 'banned'})
        await socket.closed()
        moderator = await http.new_person('mod')
        await act(http, 'POST', f'{path}/members', boss['token'],
                  {'user': moderator['user']['id'], 'role': 'moderator'})
        await act(http, 'PATCH', f'{path}/members/{guest}', moderator['token'], {'role': 'member'})
        name = rows('SELECT name FROM users WHERE id = %s', guest)[0][0]
        await (await RoomSocket.enter(daemon, room, name)).close()
        kinds = rows('SELECT key FROM events WHERE conversation_id = %s AND subject_id = %s ORDER BY rev',
                     room, guest)
        assert [row[0] for row in kinds] == ['banned', 'member']


async def test_a_kick_puts_out_and_lets_come_back(daemon, rows):
    """On both workers and in both dialects. Seen red with NOTICE_KICK ignored."""
    async with People(daemon) as http:
        room, path, boss = await room_of(http)
        person = await http.new_person('guest')
        native = await Socket.open(daemon, '/ws', 1, subprotocols=['roomd.v1'])
        await native.send({'op': 'hello', 'id': 1, 'token': person['token']})
        await native.send({'op': 'sub', 'id': 2, 'c': room})
        await native.expect(re=2, op='live')
        raw, guest = await guest_at(http, rows, room, 0)
        await act(http, 'DELETE', f'{path}/members/{guest}', boss['token'])
        assert (await raw.closed())[0] == 4403
        await act(http, 'DELETE', f'{path}/members/{person["user"]["id"]}', boss['token'])
        told = await native.expect(op='err', c=room)
        assert told['code'] == 'kicked' and 're' not in told
        await native.send({'op': 'send', 'id': 3, 'c': room, 'content': 'still here?', 'k': str(uuid.uuid4())})
        assert (await native.expect(re=3))['code'] == 'not_subscribed'
        await native.send({'op': 'sub', 'id': 4, 'c': room})
        await native.expect(re=4, op='live')
        await native.close()
        assert rows("SELECT count(*) FROM audit WHERE action = 'member.kick' AND conversation_id = %s",
                    room) == [(2,)]


async def test_a_mute_takes_the_word_and_gives_it_back(daemon, rows):
    async with People(daemon) as http:
        room, path, boss = await room_of(http)
        socket, guest = await guest_at(http, rows, room)
        await act(http, 'PATCH', f'{path}/members/{guest}', boss['token'], {'muted': True, 'for': 60})

        async def is_refused():  # the other worker is told a moment later
            await socket.say('let me speak')
            await asyncio.sleep(0.05)
            return socket.all(type='error')
        error, = (await eventually(is_refused, 'the mute is known'))[:1]
        assert error['code'] == 'muted' and socket.is_open
        before = len(socket.messages())
        await act(http, 'PATCH', f'{path}/members/{guest}', boss['token'], {'muted': True, 'for': 1})

        async def speaks():
            await socket.say(unique('word'))
            await asyncio.sleep(0.2)
            return len(socket.messages()) > before
        await eventually(speaks, 'the mute has ended')
        await socket.close()


async def test_a_read_only_member_does_not_regain_its_voice_by_leaving(daemon, rows):
    async with People(daemon) as http:
        room, path, boss = await room_of(http)
        person = await http.new_person('reader')
        await act(http, 'POST', f'{path}/members', boss['token'],
                  {'user': person['user']['id'], 'role': 'read-only'})
        await act(http, 'POST', f'{path}/leave', person['token'])
        for method, where, body in (('POST', f'{path}/messages', {'content': 'hi'}), ('POST', f'{path}/join', None)):
            status, answer, _ = await http.ask(method, where, body, headers=bearer(person['token']))
            assert status == 403, answer


async def test_roles_outrank(daemon, rows):
    """Nobody acts upon those who are not below him, nor gives what is above him.

    Seen red with authz_allows_to asking authz_allows alone.
    """
    async with People(daemon) as http:
        room, path, boss = await room_of(http)
        people = {}
        for role in ('admin', 'moderator', 'admin ', 'moderator '):
            people[role] = await http.new_person(role.strip())
            await act(http, 'POST', f'{path}/members', boss['token'],
                      {'user': people[role]['user']['id'], 'role': role.strip()})
        people['owner'] = boss

        async def tries(who, whom, body):
            status, _, _ = await http.ask('PATCH', f'{path}/members/{people[whom]["user"]["id"]}', body,
                                          headers=bearer(people[who]['token']))
            return status
        assert await tries('moderator', 'moderator ', {'muted': True}) == 403
        assert await tries('moderator', 'admin', {'role': 'banned'}) == 403
        assert await tries('admin', 'admin ', {'role': 'member'}) == 403
        assert await tries('admin', 'owner', {'role': 'banned'}) == 403
        assert await tries('admin', 'moderator', {'role': 'owner'}) == 403
        assert await tries('admin', 'moderator', {'role': 'admin'}) == 200
        assert await tries('owner', 'admin', {'role': 'owner'}) == 200
        assert await tries('owner', 'owner', {'role': 'member'}) == 200
        assert await tries('admin', 'admin', {'role': 'member'}) == 409  # he is the last owner now


async def test_slow_mode_is_one_for_all_workers(daemon, rows):
    """Seen red with roles_pace returning true."""
    async with People(daemon) as http:
        room, path, boss = await room_of(http)
        await act(http, 'PATCH', path, boss['token'], {'slow_mode': 3})
        name = unique('hasty')
        raw = await RoomSocket.enter(daemon, room, name, 0)
        native = await NativeSocket.hello(daemon, name, 1)
        await native.sub(room)
        await raw.say('one')
        await raw.wait_messages(1)
        refused = await native.say(room, 'two')
        assert refused['code'] == 'slow_mode' and 0 < refused['retry_after'] <= 3
        status, answer, headers = await http.ask('POST', f'{path}/messages', {'name': name, 'content': 'three'})
        assert (status, answer['code']) == (429, 'slow_mode') and 1 <= int(headers['Retry-After']) <= 3

        async def passes():
            return (await native.say(room, 'later'))['op'] == 'ok'
        await eventually(passes, 'the pause is over')
        update = [e for e in native.events(room) if e['t'] == 'conversation.update']
        assert update == []  # it was before the subscription
        await act(http, 'PATCH', path, boss['token'], {'slow_mode': 0})
        event = await native.expect(op='ev', t='conversation.update')
        assert (event['d']['changed'], event['d']['value']) == ('slow_mode', '0')

        async def is_free():  # what was true serves until the worker has looked
            return (await native.say(room, 'free'))['op'] == (await native.say(room, 'again'))['op'] == 'ok'
        await eventually(is_free, 'nobody need wait any more')
        await raw.close()
        await native.close()


async def test_a_room_that_nobody_owns_is_closed_by_anybody(daemon):
    async with People(daemon) as http:
        room = (await http.new_room())['id']
        assert (await http.ask('DELETE', f'/api/v1/conversations/{room}'))[0] == 204
        owned, path, _ = await room_of(http)
        for where in (path, f'/api/chat/rooms/{owned}'):
            assert (await http.ask('DELETE', where))[0] == 403


async def test_a_group_is_its_members_own(daemon, rows):
    """Strangers cannot tell a group from nothing, by REST and on the socket."""
    async with People(daemon) as http:
        stage = await Stage(http, rows, 'none').set()
        socket = await Socket.open(daemon, '/ws', subprotocols=['roomd.v1'])
        await socket.send([{'op': 'hello', 'id': 1, 'token': stage.token},
                           {'op': 'sub', 'id': 2, 'c': stage.room}, {'op': 'history', 'id': 3, 'c': stage.room}])
        assert (await socket.expect(re=2))['code'] == 'no_such_room'
        assert (await socket.expect(re=3))['code'] == 'no_such_room'
        await stage.ok('POST', f'{stage.path}/members', {'user': stage.id}, token=stage.boss_token)
        await socket.send({'op': 'sub', 'id': 4, 'c': stage.room})
        await socket.expect(re=4, op='live')
        await stage.ok('POST', f'{stage.path}/leave')
        told = await socket.expect(op='err', c=stage.room, after=4)
        assert told['code'] == 'forbidden'
        await socket.close()


async def test_reports_are_made_seen_and_resolved(daemon, rows):
    async with People(daemon) as http:
        stage = await Stage(http, rows, 'member').set()
        report = await stage.ok('POST', 'reports', {'message_id': stage.message(1), 'reason': 'rude'})
        again = await stage.ok('POST', 'reports', {'message_id': stage.message(1), 'reason': 'very rude'})
        assert report['id'] == again['id'] and report['user']['id'] == stage.boss['user']['id']
        listed = await stage.ok('GET', f'{stage.path}/reports?status=open', token=stage.boss_token)
        assert [(r['id'], r['content']) for r in listed['reports']] == [(report['id'], 'by the owner')]
        status, _ = await stage.call('PATCH', f'reports/{report["id"]}', {'status': 'dismissed'})
        assert status == 403
        done = await stage.ok('PATCH', f'reports/{report["id"]}', {'status': 'resolved', 'note': 'talked'},
                              token=stage.boss_token)
        assert (done['status'], done['resolved_by']) == ('resolved', stage.boss['user']['id'])
        status, _ = await stage.call('PATCH', f'reports/{report["id"]}', {'status': 'resolved'},
                                     token=stage.boss_token)
        assert status == 409
        listed = await stage.ok('GET', f'{stage.path}/reports?status=open', token=stage.boss_token)
        assert listed['reports'] == []


async def test_reports_name_what_they_mean_in_either_form(daemon, rows):
    """Seen red when only user_id could be a UUID, and any other state of reports had an empty list."""
    async with People(daemon) as http:
        stage = await Stage(http, rows, 'member').set()
        page = await stage.ok('GET', f'{stage.path}/messages')
        uid = next(message['uid'] for message in page['messages'] if message['id'] == stage.message(1))
        by_uid = await stage.ok('POST', 'reports', {'message_id': uid, 'reason': 'rude'})
        by_id = await stage.ok('POST', 'reports', {'message_id': stage.message(1), 'reason': 'rude'})
        assert by_uid == by_id and by_uid['message_id'] == stage.message(1)
        room = await stage.ok('GET', stage.path)
        person = {'conversation_id': room['uid'], 'user_id': stage.boss['user']['uid'], 'reason': 'rude'}
        report = await stage.ok('POST', 'reports', person)
        assert (report['conversation_id'], report['user']['id']) == (stage.room, stage.boss['user']['id'])
        for wrong in ('x', True, 0, [], str(stage.boss['user']['uid'])):
            status, problem = await stage.call('POST', 'reports', {'message_id': wrong, 'reason': 'rude'})
            assert (status, problem['field']) == (422, 'message_id')
        status, problem = await stage.call('GET', f'{stage.path}/reports?status=closed', token=stage.boss_token)
        assert (status, problem['field']) == (422, 'status')


async def test_a_room_of_more_exceptions_than_are_kept_is_spoken_in(daemon, rows):
    """Seen red with the rows that were known thrown out at each answer of the database."""
    async with People(daemon) as http:
        room, _, _ = await room_of(http)
        prefix = unique('banned')
        rows("WITH u AS (INSERT INTO users (kind, name) SELECT 'guest', %s || n FROM generate_series(1, 2100) n"
             " RETURNING id) INSERT INTO members (conversation_id, user_id, role, left_at)"
             " SELECT %s, id, 'banned', now() FROM u RETURNING user_id", prefix, room)
        speakers = [await NativeSocket.hello(daemon, unique('speaker'), worker=0) for _ in range(5)]
        for speaker in speakers:
            await speaker.sub(room)
        for speaker in speakers:
            answer = await speaker.say(room, 'heard')
            assert answer['op'] == 'ok', answer
        for speaker in speakers:
            await speaker.close()
