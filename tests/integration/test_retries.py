# SPDX-License-Identifier: MIT
"""C3 and what came after it: a message that was stored is answered as a duplicate, whatever its sender may do today.

A mute, a role that only reads, slow mode, a limit that is used up and a filter refuse what is new, on every
surface; what is asked again under the key of a stored message gets the first answer, with the text that the log
has. Seen red, but for the tests that say how, with repeat_ask refusing at once.
"""
import asyncio
import uuid

import pytest

from roomd_clients import NativeSocket, RoomSocket, Socket, eventually
from roomd_harness import Daemon, unique
from roomd_msgpack import PackedSocket
from roomd_outage import server_for, stopped
from roomd_people import People, bearer

CHEAP = {'auth.hash_memory': '64k', 'auth.hash_passes': 1}
SENDS = 30  # of one person; every test has its own
DAEMON = {'workers': 2, 'settings': dict(CHEAP, **{'limits.sends_user': f'{SENDS}/h'})}
TEXT = 'advertising'  # a filter comes to block it


class Raw:
    """A way to send. say() returns the answer: an error's code, or what is told of the message."""

    @classmethod
    async def open(cls, stage, worker):
        self = cls()
        self.socket = await RoomSocket.enter(stage.daemon, stage.room, stage.name, worker)
        return self

    def _answers(self, key):
        return [frame for frame in self.socket.all() if frame.get('client_id') == key]

    async def say(self, key, text, **more):
        before = len(self._answers(key))
        await self.socket.say(text, key)
        answer = (await self.socket.wait(lambda _: self._answers(key)[before:], f'an answer to {key}'))[0]
        if answer['type'] == 'error':
            return {'error': answer['code'], 'retry_after': answer.get('retry_after')}
        return {'rev': answer['rev'], 'content': answer['content'], 'created_at': answer['created_at']}

    async def close(self):
        await self.socket.close()


class Native:
    subprotocol, kind = 'roomd.v1', Socket

    @classmethod
    async def open(cls, stage, worker):
        self = cls()
        self.room, self.n = stage.room, 0
        self.socket = await cls.kind.open(stage.daemon, '/ws', worker, subprotocols=[cls.subprotocol])
        assert (await self.ask('hello', name=stage.name))['op'] == 'welcome'
        assert (await self.ask('sub', c=stage.room))['op'] == 'live'
        return self

    async def ask(self, op, **fields):
        self.n += 1
        await self.socket.send({'op': op, 'id': self.n, **fields})
        return await self.socket.expect(re=self.n)

    async def say(self, key, text, **more):
        answer = await self.ask('send', c=self.room, k=key, content=text, **more)
        if answer['op'] == 'err':
            return {'error': answer['code'], 'retry_after': answer.get('retry_after')}
        return {**answer['message'], 'duplicate': answer['duplicate']}

    async def close(self):
        await self.socket.close()


class Packed(Native):
    subprotocol, kind = 'roomd.v1.msgpack', PackedSocket


class Rest:
    @classmethod
    async def open(cls, stage, worker):
        self = cls()
        self.http, self.stage = stage.http, stage
        return self

    async def say(self, key, text, **more):
        status, answer, headers = await self.http.ask(
            'POST', f'{self.stage.path}/messages', {'name': self.stage.name, 'content': text, **more},
            headers={'Idempotency-Key': key})
        if status >= 400:
            return {'error': answer['code'], 'retry_after': answer.get('retry_after')}
        assert status == (200 if answer['duplicate'] else 201) and 'Retry-After' not in headers
        return answer

    async def close(self):
        pass


SURFACES = {'raw': Raw, 'native': Native, 'msgpack': Packed, 'rest': Rest}


class Stage:
    """A room with an owner, somebody who speaks in it, and a witness."""

    def __init__(self, daemon, rows, surface):
        self.daemon, self.rows, self.surface = daemon, rows, surface

    async def __aenter__(self):
        self.http = await People(self.daemon).__aenter__()
        self.boss = (await self.http.new_person('boss'))['token']
        self.room = (await self.act('POST', 'conversations', {'name': unique('retries')}))['id']
        self.path, self.name = f'/api/v1/conversations/{self.room}', unique('sender')
        self.one = await SURFACES[self.surface].open(self, 0)
        self.witness = await NativeSocket.hello(self.daemon, unique('witness'), 1)
        await self.witness.sub(self.room)
        return self

    async def act(self, method, path, body=None):
        status, answer, _ = await self.http.ask(method, f'/api/v1/{path}', body, headers=bearer(self.boss))
        assert status < 300, answer
        return answer

    async def in_room(self, method, path, body):
        return await self.act(method, f'conversations/{self.room}{path}', body)

    def sender(self):
        return self.rows('select id from users where name = %s', self.name)[0][0]

    async def muted(self):
        await self.in_room('POST', '/members', {'user': self.sender()})
        await self.in_room('PATCH', f'/members/{self.sender()}', {'muted': True, 'for': 600})

    async def read_only(self):
        await self.in_room('POST', '/members', {'user': self.sender(), 'role': 'read-only'})

    async def slow_mode(self):
        await self.in_room('PATCH', '', {'slow_mode': 600})

    async def rate_limited(self):
        """Whoever goes on until he is refused has used it up."""

    async def blocked(self):
        await self.in_room('POST', '/filters', {'kind': 'word', 'action': 'block', 'pattern': TEXT})
        for worker in range(DAEMON['workers']):
            await eventually(lambda: self.is_filtered(worker), 'the worker knows the filter')

    async def is_filtered(self, worker):
        probe = await NativeSocket.hello(self.daemon, unique('probe'), worker)
        await probe.sub(self.room)
        answer = await probe.say(self.room, f'{TEXT} again')
        await probe.close()
        return answer.get('code') == 'blocked'

    async def hinder(self, code):
        """From now on the sender is refused with CODE, as he is told."""
        await getattr(self, code)()
        for _ in range(200):
            answer = await self.one.say(str(uuid.uuid4()), f'{TEXT} again')
            if 'error' in answer:
                break
        assert answer['error'] == code
        return answer

    async def heard(self):
        """(rev, text) of all messages that the witness has been told, and what the log has."""
        await self.in_room('POST', '/messages', {'content': 'the end'})
        await self.witness.wait(lambda _: any(event['d'].get('content') == 'the end'
                                              for event in self.witness.events(self.room)))
        return [(event['rev'], event['d']['content']) for event in self.witness.events(self.room)
                if event['t'] == 'message.new']

    def stored(self, key):
        return self.rows('select rev, content from events where client_msg_id = %s', key)

    async def __aexit__(self, *_):
        await self.one.close()
        await self.witness.close()
        await self.http.__aexit__()


@pytest.fixture
def stage(daemon, rows):
    """A stage for a surface: an asynchronous context manager."""
    return lambda surface: Stage(daemon, rows, surface)


@pytest.mark.parametrize('code', ['muted', 'read_only', 'slow_mode', 'rate_limited', 'blocked'])
@pytest.mark.parametrize('surface', SURFACES)
async def test_c3_what_was_stored_is_not_refused(stage, surface, code):
    key, other = str(uuid.uuid4()), str(uuid.uuid4())
    async with stage(surface) as one:
        first = await one.one.say(key, f'{TEXT} first')
        refused = await one.hinder(code)
        assert (refused['retry_after'] is not None) == (code in ('slow_mode', 'rate_limited'))
        for text in (f'{TEXT} first', f'{TEXT} with other words'):
            again = await one.one.say(key, text)
            assert again == (first if surface == 'raw' else {**first, 'duplicate': True})
        assert (await one.one.say(other, f'{TEXT} that is new'))['error'] == code
        assert one.stored(key) == [(first['rev'], f'{TEXT} first')]
        assert one.stored(other) == []
        texts = [text for _, text in await one.heard()]
        assert texts.count(f'{TEXT} first') == 1
        assert set(texts) <= {f'{TEXT} first', f'{TEXT} again', 'the end'}


@pytest.mark.parametrize('surface', SURFACES)
async def test_c3_a_duplicate_is_told_what_is_stored(stage, surface):
    """Also what a filter made of it. Seen red with take_stored doing nothing: the repetition's text came back."""
    key, masked = str(uuid.uuid4()), str(uuid.uuid4())
    async with stage(surface) as one:
        first = await one.one.say(key, 'the first words')
        again = await one.one.say(key, 'other words')
        assert again == (first if surface == 'raw' else {**first, 'duplicate': True})
        assert again.get('content', 'the first words') == 'the first words'
        await one.in_room('POST', '/filters', {'kind': 'word', 'action': 'mask', 'pattern': 'rude'})
        for attempt in range(SENDS - 4):
            answer = await one.one.say(masked, 'a rude word')
            if one.stored(masked)[0][1] != 'a rude word':
                break
            masked = str(uuid.uuid4())
            await asyncio.sleep(attempt / 10)  # until the rule is everywhere, with few messages
        text = one.stored(masked)[0][1]
        assert 'rude' not in text and answer.get('content', text) == text
        assert (await one.one.say(masked, 'polite')).get('content', text) == text
        texts = [text for _, text in await one.heard()]
        assert texts.count('the first words') == 1 and 'other words' not in texts and 'polite' not in texts


async def test_c3_a_duplicate_of_what_was_edited_or_deleted(stage):
    """The answer is the row as it is now. Seen red with take_stored doing nothing."""
    async with stage('rest') as one:
        raw = await Raw.open(one, 0)
        native = await Native.open(one, 1)
        first, second = str(uuid.uuid4()), str(uuid.uuid4())
        edited = await one.one.say(first, 'before')
        deleted = await one.one.say(second, 'gone', reply_to=edited['id'])
        assert (await native.ask('edit', c=one.room, rev=edited['rev'], content='after'))['op'] == 'ok'
        assert (await native.ask('delete', c=one.room, rev=deleted['rev']))['op'] == 'ok'
        again = await one.one.say(first, 'before', reply_to=deleted['id'])
        assert (again['content'], again['reply_to'], again['duplicate']) == ('after', None, True)
        again = await one.one.say(second, 'gone')
        assert (again['content'], again['deleted'], again['reply_to']) == (None, True, edited['id'])
        assert (await raw.say(first, 'before'))['content'] == 'after'
        assert (await raw.say(second, 'gone'))['error'] == 'message_deleted'
        await raw.close()
        await native.close()


async def test_c3_changes_are_repeated_as_well(stage):
    async with stage('native') as one:
        message = await one.one.say(str(uuid.uuid4()), 'about this')
        about = {'c': one.room, 'rev': message['rev']}
        asked = {'react': {'emoji': '👍'}, 'edit': {'content': 'changed'}, 'recover': {}}
        keys = {op: str(uuid.uuid4()) for op in asked}
        first = {}
        for op, fields in asked.items():
            if op == 'recover':
                assert (await one.one.ask('delete', **about))['op'] == 'ok'
            first[op] = await one.one.ask(op, k=keys[op], **about, **fields)
            assert first[op]['op'] == 'ok' and first[op]['changed'], first[op]
        await one.hinder('rate_limited')
        await one.muted()
        for op, fields in asked.items():
            again = await one.one.ask(op, k=keys[op], **about, **fields)
            assert again == {**first[op], 're': again['re'], 'duplicate': True}
            fresh = await one.one.ask(op, k=str(uuid.uuid4()), **about, **fields)
            assert fresh['code'] in ('muted', 'rate_limited')
        other = await one.one.ask('react', k=keys['react'], **about, emoji='👎')
        assert other['code'] in ('muted', 'rate_limited')


async def test_c3_keys_are_not_told_to_others(stage):
    """Neither somebody else's key nor one of another room gets an answer; who is put out gets none at all."""
    async with stage('rest') as one:
        key, elsewhere = str(uuid.uuid4()), str(uuid.uuid4())
        await one.one.say(key, f'{TEXT} first')
        room = (await one.act('POST', 'conversations', {'name': unique('elsewhere')}))['id']
        status, _, _ = await one.http.ask('POST', f'/api/v1/conversations/{room}/messages',
                                          {'name': one.name, 'content': 'there', 'client_msg_id': elsewhere})
        assert status == 201
        await one.hinder('muted')
        assert (await one.one.say(elsewhere, 'there'))['error'] == 'muted'
        await one.in_room('POST', '/filters', {'kind': 'word', 'action': 'block', 'pattern': TEXT})
        name, one.name = one.name, unique('stranger')
        for attempt in range(SENDS):
            answer = await one.one.say(key, f'{TEXT} of a stranger')
            if answer.get('duplicate') is not True and 'error' in answer:
                break
            key = str(uuid.uuid4())
            await asyncio.sleep(attempt / 10)
        assert answer['error'] == 'blocked'
        one.name = name
        await one.in_room('PATCH', f'/members/{one.sender()}', {'role': 'banned'})
        for _ in range(200):
            answer = await one.one.say(key, f'{TEXT} first')
            if answer.get('error') == 'banned':
                break
            await asyncio.sleep(0.05)
        assert answer['error'] == 'banned'


@pytest.mark.parametrize('surface', SURFACES)
async def test_what_is_not_stored_costs_nothing_of_slow_mode(stage, surface):
    """Seen red with roles_unpace doing nothing."""
    async with stage(surface) as one:
        key = str(uuid.uuid4())
        first = await one.one.say(key, 'first')
        await one.hinder('blocked')
        await one.slow_mode()
        assert (await one.one.say(str(uuid.uuid4()), f'{TEXT} is blocked'))['error'] == 'blocked'
        assert (await one.one.say(key, 'first'))['rev'] == first['rev']
        assert 'error' not in await one.one.say(str(uuid.uuid4()), 'the turn is there still')


async def test_c20_nobody_is_refused_for_good_while_nobody_can_look(start_beside):
    """Muted, and the database is away: what was stored and what was not is asked to come again, then is told which.

    Seen red with put_off giving every refusal as it is.
    """
    with server_for('stopped') as server:
        daemon = start_beside(server)
        async with Stage(daemon, server.ask, 'native') as one:
            key = str(uuid.uuid4())
            first = await one.one.say(key, 'first')
            await one.hinder('muted')
            with stopped(server):
                for asked in (key, str(uuid.uuid4())):
                    answer = await one.one.say(asked, 'first')
                    assert answer['error'] == 'unavailable' and answer['retry_after'] > 0
            for _ in range(200):
                answer = await one.one.say(key, 'first')
                if answer.get('error') != 'unavailable':
                    break
                await asyncio.sleep(answer['retry_after'])
            assert answer == {**first, 'duplicate': True}
            assert (await one.one.say(str(uuid.uuid4()), 'new'))['error'] == 'muted'


@pytest.fixture
def start_beside(request):
    running = []

    def start(server):
        running.append(Daemon(server.url('chat'), name=f'test_retries.{request.node.name}', workers=2,
                              settings=dict(CHEAP, **{'persist.wait_max': '500ms', 'database.retry_max': '500ms'})))
        return running[-1].start()

    yield start
    for one in running:
        one.close()
