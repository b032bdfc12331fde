# SPDX-License-Identifier: MIT
"""C20: what clients see while PostgreSQL is away, and that nothing is lost or doubled afterwards.

The database is stopped, killed, frozen, out of disk or out of connections (roomd_outage.py). How each
test was seen red stands with it.
"""
import asyncio
import itertools
import random
import signal
import time
import uuid

import pytest

from roomd_clients import Http, NativeSocket, RoomSocket, eventually
from roomd_harness import PATIENCE, Daemon
from roomd_outage import OURS, WAYS, Doorman, frozen, metric, server_for, stopped
from roomd_postgres import wait_until
from roomd_talkers import FAST, talk_and

WAIT = 1.5  # persist.wait_max of most tests, in seconds
TICK = 0.5  # what a busy machine adds to it
SETTINGS = dict(FAST, **{'persist.wait_max': '1500ms', 'database.retry_max': '500ms'})
ROWS = 'select rev, seq, content from events where conversation_id = %s order by rev'


@pytest.fixture
def start_beside(request):
    """Starts one daemon on the test's own server."""
    running = []

    def start(server, wait=True, **options):
        one = Daemon(server.url('chat'), name=f'test_outage.{request.node.name}',
                     **{'settings': SETTINGS, **options})
        running.append(one)
        return one.start(wait)

    yield start
    for one in running:
        one.close()


@pytest.fixture(params=list(WAYS))
def way(request):
    return request.param


@pytest.fixture
def server(way):
    with server_for(way) as one:
        yield one


@pytest.fixture
def plain_server():
    with server_for('stopped') as one:
        yield one


class Sender:
    """A native socket that never connects again, and remembers what it was told of each send."""

    numbers = itertools.count()

    def __init__(self, socket, room):
        self.socket, self.room = socket, room
        self.sent = {}  # key -> text

    async def send(self, text=None, size=0):
        key = str(uuid.uuid4())
        self.sent[key] = (text or f'{id(self)} {next(self.numbers)}') + noise(size)
        await self.repeat(key)
        return key

    async def repeat(self, key):
        await self.socket.send({'op': 'send', 'id': key, 'c': self.room, 'k': key,
                                'content': self.sent[key]})

    def answers(self, key):
        return self.socket.all(re=key)

    async def answer(self, key, timeout=PATIENCE):
        return await self.socket.expect(timeout, re=key)

    def refused(self):
        return [key for key in self.sent if self.answers(key)[-1:] and
                self.answers(key)[-1]['op'] == 'err']


def noise(size):
    """Text that no compression makes smaller."""
    return ''.join(random.choices('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789', k=size))


async def new_room(daemon):
    async with Http(daemon) as http:
        return (await http.new_room())['id']


async def people(daemon, room, count=4):
    senders = []
    for number in range(count):
        socket = await NativeSocket.hello(daemon, f'user{number}', worker=number % 2)
        await socket.sub(room)
        senders.append(Sender(socket, room))
    return senders


def is_refusal(answer):
    return answer['op'] == 'err' and answer['code'] == 'unavailable' and answer['retry_after'] > 0


async def works(sender):
    """True when a send of this client is stored again."""
    return (await sender.answer(await sender.send()))['op'] == 'ok'


async def check_all(server, room, senders, others=()):
    """Every row is there once, as acknowledged; every socket saw each once and in order."""
    rows = server.ask(ROWS, room)
    revs = [rev for rev, _, _ in rows]
    assert revs == list(range(1, len(rows) + 1)), 'revs have no gap'
    assert [seq for _, seq, _ in rows] == revs
    by_rev = {rev: text for rev, _, text in rows}
    texts = list(by_rev.values())
    for sender in senders:
        for key, text in sender.sent.items():
            *_, last = sender.answers(key)
            assert last['op'] == 'ok', f'{text[:40]}: {last}'
            assert by_rev[last['message']['rev']] == text, 'stored where the answer says'
            assert texts.count(text) == 1, 'stored once'
    assert len(texts) == sum(len(sender.sent) for sender in senders) + sum(map(len, others))
    for sender in senders:
        await sender.socket.expect(op='ev', rev=len(rows))
        assert [event['rev'] for event in sender.socket.events(room)] == revs
        assert sender.socket.is_open


# ---------------------------------------------------------------- every way, all surfaces


async def test_c20_s0_50_sends_are_refused_in_time_and_stored_once_when_repeated(server, way, start_beside):
    """Seen red: with persist_expire doing nothing, sends hang; with classes 53 and 57 taken for the rows'
    fault (is_rows_fault), the full disk answers "invalid"; with uuid_v7() in place of the sender's key,
    repeated sends are stored twice."""
    one = start_beside(server)
    one.expected_errors.append('database|connect')
    room = await new_room(one)
    senders = await people(one, room)
    page = await RoomSocket.enter(one, room, 'Page', worker=1)
    page_texts, rest_texts = [], []
    for number in range(40):  # in flight when it happens
        for sender in senders:
            await sender.send(size=4000)
    with WAYS[way](server):
        if way == 'full':  # one that needs no new page may still be stored
            for sender in senders:
                await sender.answer(await sender.send(size=12000))
        begin = time.monotonic()
        for sender in senders:
            key = await sender.send(size=12000)
            assert is_refusal(await sender.answer(key, WAIT + 2))
        assert time.monotonic() - begin < len(senders) * (WAIT + TICK)
        # all that was sent before has one answer by now
        for sender in senders:
            for key in sender.sent:
                answer = await sender.answer(key, WAIT + TICK)
                assert answer['op'] == 'ok' or is_refusal(answer), answer
                assert len(sender.answers(key)) == 1
        begin = time.monotonic()
        page_text, page_key = 'from the page ' + noise(12000), str(uuid.uuid4())
        await page.say(page_text, page_key)
        error = await page.expect(type='error', code='unavailable', timeout=WAIT + 2)
        assert error['retry_after'] > 0
        async with Http(one) as http:
            body = {'name': 'user0', 'content': 'by REST ' + noise(12000), 'client_msg_id': 'rest'}
            status, problem, headers = await http.ask('POST', f'/api/v1/conversations/{room}/messages', body)
            assert status == 503 and int(headers['Retry-After']) > 0, problem
        assert time.monotonic() - begin < 3 * (WAIT + TICK)
    for sender in senders:
        await eventually(lambda: works(sender), 'sends work again', 2 * PATIENCE)
        for key in sender.refused():
            while sender.answers(key)[-1]['op'] == 'err':
                told = len(sender.answers(key))
                await sender.repeat(key)
                await eventually(lambda: len(sender.answers(key)) > told, 'another answer')

    async def page_works():
        known = len(page.frames)
        await page.say(page_text, page_key)
        answer = await page.wait(lambda frames: next(
            (frame for frame in frames[known:] if frame.get('client_id') == page_key), None))
        return answer['type'] == 'message'
    await eventually(page_works, 'the page works again', 2 * PATIENCE)
    page_texts.append(page_text)
    async with Http(one) as http:
        path = f'/api/v1/conversations/{room}/messages'
        status, message, _ = await http.ask('POST', path, body)
        assert status in (200, 201), message
        again, same, _ = await http.ask('POST', path, body)
        assert (again, same['duplicate'], same['rev']) == (200, True, message['rev'])
        rest_texts.append(body['content'])
    for key in [key for sender in senders for key in sender.refused()]:
        raise AssertionError(f'{key} is still refused')
    await check_all(server, room, senders, (page_texts, rest_texts))
    assert await metric(one, 'roomd_db_queries_total') > 0
    if way in ('stopped', 'killed', 'crowded'):
        assert await metric(one, 'roomd_db_reconnects_total') >= 1
    assert await metric(one, 'roomd_db_connections') == 4
    for socket in [page, *(sender.socket for sender in senders)]:
        await socket.close()


async def test_c20_typing_presence_and_known_rooms_go_on(server, way, start_beside):
    """Seen red: with chan_refuse_all closing the socket, it does not stay; with cut_late cutting nothing,
    joining an unknown room hangs while the server is frozen."""
    one = start_beside(server)
    one.expected_errors.append('database|connect')
    room, unknown = await new_room(one), await new_room(one)
    alice = await NativeSocket.hello(one, 'Alice', worker=0)
    bob = await NativeSocket.hello(one, 'Bob', worker=1)
    for socket in (alice, bob):
        await socket.sub(room)
    page = await RoomSocket.enter(one, room, 'Page', worker=1)
    dave = await RoomSocket.enter(one, room, 'Dave', worker=0)
    idle = await NativeSocket.hello(one, 'Idle', worker=0)
    with WAYS[way](server):
        await alice.send({'op': 'typing', 'c': room, 'on': True})
        await page.wait(lambda frames: any(frame['type'] == 'typing' and 'Alice' in frame['users']
                                           for frame in frames), 'typing goes on')
        await page.send({'type': 'typing', 'is_typing': True})
        await bob.wait(lambda frames: any(frame.get('t') == 'typing' for frame in frames), 'typing goes on')
        await dave.close()
        await page.expect(type='system', event='leave', username='Dave')
        # a room whose head this worker knows
        await idle.sub(room)
        if way != 'full':  # reading needs no new page
            begin = time.monotonic()
            error = await idle.ask('sub', c=unknown, rev=0)
            assert is_refusal(error), error
            assert time.monotonic() - begin < WAIT + TICK
            async with Http(one) as http:
                status, _, headers = await http.ask('GET', f'/api/chat/rooms/{room}/messages')
                assert status == 503 and int(headers['Retry-After']) > 0
                assert (await http.ask('GET', '/'))[0] == 200
    for socket in (alice, bob, page, idle):
        assert socket.is_open

    async def joins():
        return (await idle.ask('sub', c=unknown, rev=0))['op'] == 'live'
    await eventually(joins, 'the other room can be joined', 2 * PATIENCE)
    for socket in (alice, bob, page, idle):
        await socket.close()


# ---------------------------------------------------------------- restart


@pytest.mark.parametrize('how', [signal.SIGINT, signal.SIGQUIT])
async def test_s0_47_a_restart_is_no_more_than_a_delay(plain_server, start_beside, how):
    """Within persist.wait_max nobody is refused. Seen red: with SENDS_MAX 0, what is in flight is refused."""
    one = start_beside(plain_server, settings=dict(FAST, **{'persist.wait_max': '60s'}))
    one.expected_errors.append('database|connect')
    room = await new_room(one)
    senders = await people(one, room)

    async def talk(sender):
        for _ in range(60):
            assert (await sender.answer(await sender.send()))['op'] == 'ok'
    tasks = [asyncio.create_task(talk(sender)) for sender in senders]
    await eventually(lambda: all(len(sender.sent) > 20 for sender in senders), 'they talk')
    plain_server.stop(how)
    await asyncio.to_thread(plain_server.start)
    await asyncio.gather(*tasks)
    await check_all(plain_server, room, senders)
    for sender in senders:
        await sender.socket.close()


async def test_s2_27_a_crash_at_any_statement_leaves_none_or_all(plain_server, start_beside):
    """Backends are terminated at random moments under load; then the tables are judged by themselves.

    Seen red: with SENDS_MAX 0 nothing in flight is sent again, and the talkers do not come to an end."""
    one = start_beside(plain_server, settings=dict(FAST, **{'persist.wait_max': '20s'}))
    one.expected_errors.append('database|connect')
    chance = random.Random(11)

    async def disturb(progress, total):
        with plain_server.connect('postgres') as watch:
            while (before := progress()) < total * 0.95:
                if chance.random() < 0.3:  # on a slow machine nothing else would ever come through
                    await eventually(lambda: progress() > before, 'it goes on')
                await asyncio.sleep(chance.uniform(0.01, 0.1))
                watch.execute("select pg_terminate_backend(pid) from pg_stat_activity where "
                              "application_name = 'roomd' and (state = 'active' or random() < 0.3)")
    _, room = await talk_and(one, disturb, talkers=8, count=60)
    (rows, revs, seqs, keys), = plain_server.ask(
        'select count(*), max(rev), max(seq), count(distinct (client_msg_id, actor_id)) from events '
        'where conversation_id = %s', room)
    assert rows == revs == seqs == keys == 480
    assert plain_server.ask('select 1 from (select rev - row_number() over (order by rev) as gap '
                            'from events where conversation_id = %s) as e where gap <> 0', room) == []
    assert await metric(one, 'roomd_db_reconnects_total') > 0
    assert await metric(one, 'roomd_batch_retries_total') > 0


# ---------------------------------------------------------------- frozen


async def test_c20_a_frozen_server_is_neither_waited_for_nor_worn_out(plain_server, start_beside):
    """A batch in flight is answered in time, and its connection kept: the late commit counts.

    Seen red: with answer_timeout_ms 500, connections are dropped and opened while nobody answers."""
    one = start_beside(plain_server)
    room = await new_room(one)
    senders = await people(one, room, 2)
    for sender in senders:
        assert await works(sender)
    reconnects = await metric(one, 'roomd_db_reconnects_total')
    with plain_server.connect('chat') as blocker:  # the batch gets as far as the lock, no farther
        with blocker.transaction():
            blocker.execute('select 1 from conversations where id = %s for update', (room,))
            keys = [await sender.send() for sender in senders]
            with plain_server.connect('postgres') as watch:
                wait_until(lambda: watch.execute(
                    "select count(*) from pg_stat_activity where application_name = 'roomd' "
                    "and wait_event_type = 'Lock'").fetchone()[0], PATIENCE, 'a batch waits')
            with frozen(plain_server):
                begin = time.monotonic()
                for sender, key in zip(senders, keys):
                    assert is_refusal(await sender.answer(key, WAIT + 2))
                assert time.monotonic() - begin < WAIT + TICK
                assert await metric(one, 'roomd_db_connections') == 0
    # it thaws, commits, and everybody hears of it although the senders were refused
    for sender in senders:
        for key in keys:
            text = next(each.sent[key] for each in senders if key in each.sent)
            await sender.socket.wait(lambda _: any(event['d'].get('content') == text
                                                   for event in sender.socket.events(room)))
    for sender, key in zip(senders, keys):
        await sender.repeat(key)
        await eventually(lambda: len(sender.answers(key)) == 2, 'the second answer')
        assert sender.answers(key)[1]['op'] == 'ok' and sender.answers(key)[1]['duplicate'] is True
    assert await metric(one, 'roomd_db_reconnects_total') == reconnects
    await check_all(plain_server, room, senders)
    for sender in senders:
        await sender.socket.close()


async def test_c20_c21_connections_given_up_are_ended_by_the_server(plain_server, start_beside):
    """After database.answer_timeout a new connection is opened; the server ends what waits on the old one.

    Seen red: without client_connection_check_interval the old backends stay until the lock goes."""
    one = start_beside(plain_server, settings=dict(SETTINGS, **{'database.answer_timeout': '1s'}))
    room = await new_room(one)
    sender, = await people(one, room, 1)
    with plain_server.connect('chat') as blocker:
        with blocker.transaction():
            blocker.execute('select 1 from conversations where id = %s for update', (room,))
            key = await sender.send()
            assert is_refusal(await sender.answer(key))
            await asyncio.sleep(0)
            with plain_server.connect('postgres') as watch:
                pids = "select count(*) from pg_stat_activity where application_name = 'roomd'"
                await eventually(lambda: one.log_path.read_text().count('not answered in time') > 0,
                                 'the connection is given up')
                await eventually(lambda: watch.execute(pids).fetchone()[0] <= 5, 'old backends end')
    await eventually(lambda: works(sender), 'sends work again')
    await sender.repeat(key)
    await eventually(lambda: len(sender.answers(key)) == 2, 'the second answer')
    await check_all(plain_server, room, [sender])
    await sender.socket.close()


async def test_c20_a_server_that_only_greets_is_not_besieged(plain_server, start_beside):
    """The delay doubles until something is answered. Seen red: with n_failed 0 after every greeting, sixty
    visits in three seconds."""
    async with Doorman(plain_server) as door:
        settings = dict(SETTINGS, **{'database.url': door.url('chat'), 'database.retry_max': '5s'})
        one = await asyncio.to_thread(start_beside, plain_server, workers=1, settings=settings)
        room = await new_room(one)
        sender, = await people(one, room, 1)
        door.is_shutting, door.visits = True, 0
        begin = time.monotonic()
        door.throw_out()
        await eventually(lambda: time.monotonic() - begin > 3, 'three seconds have passed')
        assert 2 <= door.visits <= 16
        door.is_shutting = False
        await eventually(lambda: works(sender), 'sends work again', 2 * PATIENCE)
        await sender.socket.close()
        assert await asyncio.to_thread(one.stop) == 0


# ---------------------------------------------------------------- bounds


async def test_c20_the_queue_is_bounded(plain_server, start_beside):
    """Beyond persist.queue_max sends are refused at once. Seen red: with is_full answering false."""
    one = start_beside(plain_server, settings=dict(FAST, **{'persist.queue_max': '50', 'persist.wait_max': '60s'}))
    one.expected_errors.append('database|connect')
    room = await new_room(one)
    sender, = await people(one, room, 1)
    with stopped(plain_server):
        for _ in range(120):
            await sender.send()
        await eventually(lambda: len(sender.refused()) >= 60, 'what does not fit is refused')
        assert 50 <= len(sender.sent) - len(sender.refused()) <= 60
    for key in sender.sent:
        await sender.answer(key, 2 * PATIENCE)
    for key in sender.refused():
        await sender.repeat(key)
        await eventually(lambda: len(sender.answers(key)) == 2, 'the second answer')
    await check_all(plain_server, room, [sender])
    await sender.socket.close()


@pytest.mark.parametrize('workers', [1, 8])
async def test_c21_at_most_so_many_connections_whatever_the_load(plain_server, start_beside, workers):
    """Seen red: with a third connection per worker in dbio_open_all."""
    one = start_beside(plain_server, workers=workers, settings=FAST)
    most = 0

    async def disturb(progress, total):
        nonlocal most
        with plain_server.connect('postgres') as watch:
            while progress() < total * 0.9:
                most = max(most, watch.execute(OURS).fetchone()[0])
                await asyncio.sleep(0.01)
    await talk_and(one, disturb, talkers=40, count=15)
    assert 0 < most <= 20
