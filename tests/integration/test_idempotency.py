# SPDX-License-Identifier: MIT
"""C3: one key, one message, the same answer: on every surface, at any worker, after any end.

Everything is asserted from outside (answers, what a witness in the room hears) and in the table. Seen red with
a fresh key given to every row in persist_item.c: the table holds every repetition.
"""
import asyncio
import json
import uuid

import pytest

from roomd_clients import Http, NativeSocket, RoomSocket, Socket
from roomd_harness import unique
from roomd_msgpack import PackedSocket

DAEMON = {'settings': {'presence.grace_clean': '100ms', 'presence.grace_lost': '300ms'}}
SURFACES = ('raw', 'native', 'msgpack', 'rest')


class Surface:
    """One way to send: post() sends without waiting, answers(n) waits for n answers to one key.

    An answer is (rev, duplicate); the simple dialect has no answer but the sender's own copy of the message.
    """

    @classmethod
    async def open(cls, kind, daemon, room, worker=None):
        return await {'raw': Raw, 'native': Native, 'msgpack': Packed, 'rest': Rest}[kind]()._open(
            daemon, room, worker)


class Raw(Surface):
    async def _open(self, daemon, room, worker):
        self.socket = await RoomSocket.enter(daemon, room, 'Sender', worker)
        return self

    async def post(self, key, content):
        await self.socket.say(content, key)

    async def answers(self, count, key):
        def copies(_):
            found = [(frame['rev'], None) for frame in self.socket.messages() if frame.get('client_id') == key]
            return found if len(found) >= count else None
        return await self.socket.wait(copies, f'{count} copies')

    async def close(self):
        await self.socket.close()


class Native(Surface):
    subprotocol = 'roomd.v1'

    async def _open(self, daemon, room, worker):
        self.room, self.requests = room, 0
        self.socket = await self._connect(daemon, worker)
        await self._write({'op': 'hello', 'id': 'hello', 'name': 'Sender'})
        await self.socket.expect(re='hello', op='welcome')
        await self._write({'op': 'sub', 'id': 'sub', 'c': room, 'rev': 0})
        await self.socket.expect(re='sub', op='live')
        return self

    async def _connect(self, daemon, worker):
        return await Socket.open(daemon, '/ws', worker, subprotocols=[self.subprotocol])

    async def _write(self, frame):
        await self.socket.send(frame)

    async def post(self, key, content):
        self.requests += 1
        await self._write({'op': 'send', 'id': f'{key} {self.requests}', 'c': self.room, 'k': key,
                           'content': content})

    async def answers(self, count, key):
        def oks(frames):
            found = [frame for frame in frames if str(frame.get('re')).startswith(key)]
            return found if len(found) >= count else None
        found = await self.socket.wait(oks, f'{count} answers')
        assert {frame['op'] for frame in found} == {'ok'}, found
        assert len({json.dumps(frame['message']) for frame in found}) == 1
        return [(frame['message']['rev'], frame['duplicate']) for frame in found]

    async def close(self):
        await self.socket.close()


class Packed(Native):
    subprotocol = 'roomd.v1.msgpack'

    async def _connect(self, daemon, worker):
        return await PackedSocket.open(daemon, '/ws', worker, subprotocols=[self.subprotocol])


class Rest(Surface):
    async def _open(self, daemon, room, worker):
        self.http, self.room, self.tasks = await Http(daemon).__aenter__(), room, []
        return self

    async def post(self, key, content):
        """Every other time with the header, else with the member of the body."""
        body = {'name': 'Sender', 'content': content}
        headers = {}
        if len(self.tasks) % 2:
            headers['Idempotency-Key'] = key
        else:
            body['client_msg_id'] = key
        self.tasks.append((key, asyncio.create_task(self.http.ask(
            'POST', f'/api/v1/conversations/{self.room}/messages', body, headers=headers))))

    async def answers(self, count, key):
        got = await asyncio.gather(*[task for name, task in self.tasks if name == key])
        assert len(got) >= count
        for status, body, _ in got:
            assert status == (200 if body['duplicate'] else 201), body
        assert len({body['id'] for _, body, _ in got}) == 1
        return [(body['rev'], body['duplicate']) for _, body, _ in got]

    async def close(self):
        await asyncio.gather(*[task for _, task in self.tasks], return_exceptions=True)
        await self.http.__aexit__()


async def new_room(daemon):
    async with Http(daemon) as http:
        return (await http.new_room())['id']


async def heard_by(witness, room, last):
    """What a bystander heard of the room, up to the message LAST."""
    await witness.wait(lambda _: any(event['d']['content'] == last for event in witness.events(room)))
    return [(event['rev'], event['d']['content']) for event in witness.events(room)]


def check_answers(answers, count):
    """COUNT answers, one rev; exactly one is the first."""
    assert len(answers) == count, answers
    assert len({rev for rev, _ in answers}) == 1, answers
    said = [duplicate for _, duplicate in answers if duplicate is not None]
    assert not said or said.count(False) == 1, answers


@pytest.mark.parametrize('kind', SURFACES)
@pytest.mark.parametrize('is_uuid', [True, False])
async def test_one_after_the_other(daemon, rows, kind, is_uuid):
    """A repetition after the answer: the sender's confirmation again, for nobody else an event."""
    key = str(uuid.uuid4()) if is_uuid else unique('a key')
    room = await new_room(daemon)
    async with await NativeSocket.hello(daemon, 'Witness', worker=1) as witness:
        await witness.sub(room)
        one = await Surface.open(kind, daemon, room, worker=0)
        for count in (1, 2, 3):
            await one.post(key, 'hi')
            check_answers(await one.answers(count, key), count)
        await one.post(str(uuid.uuid4()), 'last')
        assert await heard_by(witness, room, 'last') == [(1, 'hi'), (2, 'last')]
        assert rows('select rev, content from events where conversation_id = %s order by rev', room) == \
            [(1, 'hi'), (2, 'last')]
        await one.close()


@pytest.mark.parametrize('kind', SURFACES)
async def test_while_the_first_is_in_flight(daemon, rows, kind):
    """Ten at once from one client: one batch holds the key several times."""
    key = str(uuid.uuid4())
    room = await new_room(daemon)
    async with await NativeSocket.hello(daemon, 'Witness') as witness:
        await witness.sub(room)
        one = await Surface.open(kind, daemon, room)
        for _ in range(10):
            await one.post(key, 'hi')
        if kind == 'raw':  # the broadcast that is still to come confirms all of them
            assert {rev for rev, _ in await one.answers(1, key)} == {1}
        else:
            check_answers(await one.answers(10, key), 10)
        await one.post(str(uuid.uuid4()), 'last')
        assert await heard_by(witness, room, 'last') == [(1, 'hi'), (2, 'last')]
        assert rows('select count(*) from events where conversation_id = %s', room) == [(2,)]
        await one.close()


@pytest.mark.parametrize('kinds', [('native', 'native'), ('raw', 'native'), ('msgpack', 'raw'), ('rest', 'native'),
                                   ('rest', 'raw')])
async def test_from_two_workers_at_once(daemon, rows, kinds):
    """Fifty keys, each sent from both workers at the same time: every one is one message."""
    room = await new_room(daemon)
    keys = [str(uuid.uuid4()) for _ in range(50)]
    async with await NativeSocket.hello(daemon, 'Witness', worker=1) as witness:
        await witness.sub(room)
        ends = [await Surface.open(kind, daemon, room, worker) for worker, kind in enumerate(kinds)]
        for key in keys:
            await asyncio.gather(*[end.post(key, key) for end in ends])
        for key in keys:
            first, second = [await end.answers(1, key) for end in ends]
            assert {rev for rev, _ in first} == {rev for rev, _ in second}
            said = [duplicate for _, duplicate in first + second if duplicate is not None]
            assert said.count(False) == (1 if len(said) > 1 and 'raw' not in kinds else said.count(False))
            assert said.count(False) <= 1
        await ends[0].post(str(uuid.uuid4()), 'last')
        heard = await heard_by(witness, room, 'last')
        assert sorted(content for _, content in heard) == sorted([*keys, 'last'])
        assert [rev for rev, _ in heard] == list(range(1, 52))
        assert rows('select count(*), count(distinct client_msg_id) from events where conversation_id = %s',
                    room) == [(51, 51)]
        for end in ends:
            await end.close()


@pytest.mark.parametrize('kind', SURFACES)
async def test_after_the_worker_died(daemon, rows, kind):
    """The answer is lost with the worker; asking again, elsewhere, gives the same one."""
    key = str(uuid.uuid4())
    room = await new_room(daemon)
    one = await Surface.open(kind, daemon, room, worker=0)
    await one.post(key, 'hi')
    (rev, _), = await one.answers(1, key)
    pid = daemon.kill_worker(0)
    daemon.wait_replaced(0, pid)
    again = await Surface.open(kind, daemon, room)
    await again.post(key, 'hi')
    assert await again.answers(1, key) == [(rev, None if kind == 'raw' else True)]
    assert rows('select count(*) from events where conversation_id = %s', room) == [(1,)]
    await one.close()
    await again.close()


@pytest.mark.parametrize('kind', SURFACES)
async def test_sends_that_are_cut_off_are_stored_once(daemon, rows, kind):
    """The worker dies in the midst of sends; each is repeated until it is answered, and stored once."""
    room = await new_room(daemon)
    keys = [str(uuid.uuid4()) for _ in range(40)]
    async with await NativeSocket.hello(daemon, 'Witness', worker=1) as witness:
        await witness.sub(room)
        one = await Surface.open(kind, daemon, room, worker=0)
        for key in keys:
            await one.post(key, key)
        pid = daemon.kill_worker(0)
        await asyncio.gather(*[task for _, task in getattr(one, 'tasks', [])], return_exceptions=True)
        await one.close()
        daemon.wait_replaced(0, pid)
        again = await Surface.open(kind, daemon, room)
        for key in keys:
            await again.post(key, key)
        for key in keys:
            await again.answers(1, key)
        await again.post(str(uuid.uuid4()), 'last')
        heard = await heard_by(witness, room, 'last')
        assert sorted(content for _, content in heard) == sorted([*keys, 'last'])
        assert rows('select count(*) from events where conversation_id = %s', room) == [(41,)]
        await again.close()


@pytest.mark.parametrize('kind', SURFACES)
async def test_after_the_daemon_was_restarted(start_daemon, postgres, kind):
    daemon = start_daemon(**DAEMON)
    key = str(uuid.uuid4())
    room = await new_room(daemon)
    one = await Surface.open(kind, daemon, room)
    await one.post(key, 'hi')
    (rev, _), = await one.answers(1, key)
    await one.close()
    daemon.restart()
    again = await Surface.open(kind, daemon, room)
    await again.post(key, 'hi')
    assert await again.answers(1, key) == [(rev, None if kind == 'raw' else True)]
    with postgres.connect(daemon.database) as connection:
        assert connection.execute('select count(*) from events').fetchall() == [(1,)]
    await again.close()


async def test_the_keys_of_all_surfaces_are_the_same(daemon, rows):
    """A client may change its way of sending while it repeats."""
    room = await new_room(daemon)
    for key in (str(uuid.uuid4()), unique('a key that is no UUID')):
        revs = []
        for kind in SURFACES:
            one = await Surface.open(kind, daemon, room)
            await one.post(key, 'hi')
            revs += await one.answers(1, key)
            await one.close()
        assert len({rev for rev, _ in revs}) == 1
        assert [duplicate for _, duplicate in revs] == [None, True, True, True]
    assert rows('select count(*) from events where conversation_id = %s', room) == [(2,)]


async def test_a_key_is_its_senders_own(daemon, rows):
    room, key = await new_room(daemon), str(uuid.uuid4())
    async with await NativeSocket.hello(daemon, 'Alice') as alice, await NativeSocket.hello(daemon, 'Bob') as bob:
        await alice.sub(room)
        await bob.sub(room)
        assert (await alice.say(room, 'hi', key))['duplicate'] is False
        assert (await bob.say(room, 'hi', key))['duplicate'] is False
        error = await alice.ask('send', c=room, k='x' * 200, content='hi')
        assert (error['code'], error['field']) == ('invalid', 'k')
    assert rows('select count(*) from events where conversation_id = %s', room) == [(2,)]


@pytest.mark.parametrize('key', ['local 17', str(uuid.uuid5(uuid.NAMESPACE_DNS, 'a key of the tests'))])
async def test_history_has_the_key_as_the_client_wrote_it(daemon, key):
    """So that a client finds its unsent messages in a page. Seen red with the stored UUID, which is a hash."""
    async with Http(daemon) as http, await NativeSocket.hello(daemon, 'Sender') as sender:
        room = (await http.new_room())['id']
        await sender.sub(room)
        await sender.say(room, 'hi', key)
        event = await sender.expect(op='ev', c=room)
        assert event['d']['client_msg_id'] == key
        page = await sender.ask('history', c=room)
        assert [message['client_msg_id'] for message in page['messages']] == [key]
        _, page, _ = await http.ask('GET', f'/api/v1/conversations/{room}/messages')
        assert [(message['client_msg_id'], message['meta']) for message in page['messages']] == [(key, None)]
