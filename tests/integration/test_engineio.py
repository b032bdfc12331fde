# SPDX-License-Identifier: MIT
"""Sessions of Engine.IO: both transports, the change between them, the heartbeat, any worker.

Every request of the polling tests is a connection of its own, so that the daemon's four workers all
get some; values are those of the protocol's description (version 4).
"""
import asyncio
import base64
import contextlib
import json
import signal

import aiohttp
import pytest
import websockets

from roomd_clients import Http, PATIENCE, eventually
from roomd_people import People, bearer
from roomd_raw import Link

INTERVAL_MS, TIMEOUT_MS = 3_600_000, 20_000
SETTINGS = {'auth.hash_memory': '64k', 'auth.hash_passes': 1, 'server.mode': 'development',
            'engineio.ping_interval': f'{INTERVAL_MS}ms', 'engineio.ping_timeout': f'{TIMEOUT_MS}ms',
            'websocket.close_timeout': '60s'}
DAEMON = {'workers': 4, 'settings': SETTINGS}
PATH = '/socket.io/?EIO=4&transport='
SEPARATOR = '\x1e'


async def ask(daemon, method, query, body=None, **more):
    """One request on a connection of its own: (status, text, headers)."""
    connector = aiohttp.TCPConnector(force_close=True)
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        async with session.request(method, daemon.http + PATH + query, data=body, **more) as answer:
            return answer.status, await answer.text(), answer.headers


class Polling:
    """A session that polls."""

    def __init__(self, daemon, handshake):
        self.daemon, self.handshake, self.sid = daemon, handshake, handshake['sid']
        self.workers = set()

    @classmethod
    async def open(cls, daemon):
        status, text, _ = await ask(daemon, 'GET', 'polling')
        assert status == 200 and text[0] == '0', text
        return cls(daemon, json.loads(text[1:]))

    async def get(self):
        status, text, headers = await ask(self.daemon, 'GET', f'polling&sid={self.sid}')
        self.workers.add(headers['X-Roomd-Worker'])
        return status, text

    async def post(self, body):
        return (await ask(self.daemon, 'POST', f'polling&sid={self.sid}', body))[:2]

    async def poll(self):
        """The packets of one poll."""
        status, text = await self.get()
        assert status == 200, text
        return text.split(SEPARATOR)

    async def connect(self, token):
        assert await self.post('40' + json.dumps({'token': token})) == (200, 'ok')
        packets = await self.poll()
        assert packets[0].startswith('40{'), packets
        return packets[1:]


def socket_url(daemon, sid=None):
    return daemon.ws + PATH + 'websocket' + (f'&sid={sid}' if sid else '')


async def open_socket(daemon):
    link = await websockets.connect(socket_url(daemon))
    text = await link.recv()
    assert text[0] == '0'
    return link, json.loads(text[1:])


async def is_over(session):
    """The session is known no more."""
    return (await session.get())[0] == 400


# ---- Handshake ---------------------------------------------------------------------------------------

async def test_the_handshake_tells_what_the_session_is(daemon):
    session = await Polling.open(daemon)
    assert session.handshake == {'sid': session.sid, 'upgrades': ['websocket'], 'pingInterval': INTERVAL_MS,
                                 'pingTimeout': TIMEOUT_MS, 'maxPayload': 1000000}
    link, handshake = await open_socket(daemon)
    assert handshake == {**session.handshake, 'sid': handshake['sid'], 'upgrades': []}
    assert handshake['sid'] != session.sid
    await link.close()


@pytest.mark.parametrize('method, query, status, code', [
    ('GET', 'abc', 400, 0), ('GET', 'polling&sid=abc', 400, 1), ('GET', 'polling&sid=' + 'A' * 22, 400, 1),
    ('GET', 'polling&sid=' + '_' * 22, 400, 1), ('POST', 'polling', 400, 2), ('PUT', 'polling', 400, 2),
    ('GET', 'websocket', 400, 3),
])
async def test_bad_requests_are_refused_in_its_terms(daemon, method, query, status, code):
    answer = await ask(daemon, method, query)
    assert answer[0] == status and json.loads(answer[1])['code'] == code


async def test_other_versions_are_refused(daemon):
    async with aiohttp.ClientSession() as session:
        for version in ('3', '5', ''):
            async with session.get(f'{daemon.http}/socket.io/?transport=polling&EIO={version}') as answer:
                assert answer.status == 400
                assert await answer.json() == {'code': 5, 'message': 'Unsupported protocol version'}


# ---- Polling -----------------------------------------------------------------------------------------

async def test_any_worker_serves_any_request_of_a_session(daemon):
    """Red with inbox_move answered as an unknown session."""
    async with Http(daemon) as http, People(daemon) as people:
        ann = await people.new_person('ann')
        room = (await http.new_room())['id']
        session = await Polling.open(daemon)
        await session.connect(ann['token'])
        assert await session.post(f'421["join_conversation",{room}]') == (200, 'ok')
        for number in range(20):
            assert await session.post(f'42["send_message",{{"conversationId":{room},"content":"text {number}"}}]') \
                == (200, 'ok')
        texts = []
        while len(texts) < 20:
            texts += [json.loads(packet[2:])[1]['content'] for packet in await session.poll()
                      if packet.startswith('42["new_message"')]
        assert texts == [f'text {number}' for number in range(20)]
        assert len(session.workers) == 1  # all came to the one that has the session
        assert [message['content'] for message in await http.history(room)] == texts


async def test_a_body_larger_than_one_parcel_moves_too(daemon):
    """Requests over 32 KiB travel in a file: red with its bytes left out."""
    async with Http(daemon) as http, People(daemon) as people:
        ann = await people.new_person('ann')
        room = (await http.new_room())['id']
        session = await Polling.open(daemon)
        await session.connect(ann['token'])
        await session.post(f'42["join_conversation",{room}]')
        packets = [f'42{n}["send_message",{{"conversationId":{room},"content":"{"x" * 15000}{n}"}}]' for n in range(9)]
        for _ in range(4):  # some worker is not the one
            assert await session.post(SEPARATOR.join(packets)) == (200, 'ok')
            acks = []
            while len(acks) < 9:
                acks += [packet for packet in await session.poll() if packet.startswith('43')]
            assert all('"ok":true' in ack for ack in acks)


async def test_at_most_16_packets_come_with_one_poll(daemon):
    session = await Polling.open(daemon)
    assert await session.post(SEPARATOR.join(['40/nowhere,'] * 40)) == (200, 'ok')
    sizes = [len(await session.poll()) for _ in range(3)]
    assert sizes == [16, 16, 8]


async def test_a_body_over_the_limit_is_refused(daemon):
    session = await Polling.open(daemon)
    assert (await session.post('4' + 'x' * 1_000_000))[0] == 413
    assert await session.post('40/nowhere,') == (200, 'ok')  # the session goes on
    assert (await session.poll())[0].startswith('44/nowhere,')


@pytest.mark.parametrize('body', ['abc', '', '8', '40' + SEPARATOR, 'b!!!!'])
async def test_a_packet_that_is_none_ends_the_session(daemon, body):
    session = await Polling.open(daemon)
    assert (await session.post(body))[0] == 400
    assert await is_over(session)


async def test_a_second_poll_ends_the_session(daemon):
    session = await Polling.open(daemon)
    first = asyncio.create_task(session.get())
    statuses = []
    while not first.done():
        statuses.append((await session.get())[0])
    assert await first in ((200, '1'), (400, '{"code":3,"message":"Bad request"}'))
    assert 400 in statuses + [(await first)[0]]
    assert await is_over(session)


async def test_a_poll_that_goes_away_ends_the_session(daemon):
    """Red with conn_watch doing nothing."""
    session = await Polling.open(daemon)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(session.get(), 0.3)

    async def probe():
        try:
            return (await asyncio.wait_for(session.get(), 1))[0] == 400
        except asyncio.TimeoutError:
            return False
    await eventually(probe, 'the session has ended')


async def test_the_client_closes(daemon):
    """Its poll may be behind the POST, on another connection; red without eio_poll_last."""
    session = await Polling.open(daemon)
    waiting = asyncio.create_task(session.get())
    await asyncio.sleep(0)
    assert await session.post('1') == (200, 'ok')
    assert await waiting == (200, '6')
    assert await is_over(session)


async def test_who_is_signed_out_between_two_polls_is_told(daemon):
    """Red when a session that ends refuses polls: a client that is not told comes back again and again."""
    async with People(daemon) as people:
        ann = await people.new_person('ann')
        session = await Polling.open(daemon)
        await session.connect(ann['token'])
        link, _ = await open_socket(daemon)  # it sees when the worker acts, or one of its colleagues
        await link.send('40' + json.dumps({'token': ann['token']}))
        assert (await people.ask('POST', '/api/v1/auth/logout', headers=bearer(ann['token'])))[0] in (200, 204)
        packets = []
        with contextlib.suppress(websockets.ConnectionClosed):
            while True:
                packets.append(await link.recv())
        assert packets[-1] == '41'
        packets = []
        while '41' not in packets:
            packets += await session.poll()
    assert await is_over(session)


async def test_the_path_is_a_setting(start_daemon):
    """And so is what its bodies may have; the default path is nothing then."""
    settings = {**SETTINGS, 'engineio.path': '/chat/sessions/', 'engineio.payload_max': 200000, 'http.body_max': 70000}
    one = await asyncio.to_thread(start_daemon, workers=2, settings=settings)
    here = one.http + '/chat/sessions/?EIO=4&transport='
    async with aiohttp.ClientSession() as session:
        async with session.get(here + 'polling') as answer:
            assert answer.status == 200
            opened = json.loads((await answer.text())[1:])
        assert opened['maxPayload'] == 200000
        body = '40/nowhere,{"more":"' + 'x' * 100000 + '"}'
        assert 70000 < len(body) < 200000
        async with session.post(here + f'polling&sid={opened["sid"]}', data=body) as answer:
            assert (answer.status, await answer.text()) == (200, 'ok')
        async with session.ws_connect(here + 'websocket') as link:
            assert (await link.receive_str())[0] == '0'
    assert (await ask(one, 'GET', 'polling'))[0] == 404


# ---- WebSocket ---------------------------------------------------------------------------------------

async def upgraded(daemon, token=None):
    """A session that began by polling and has moved to a WebSocket."""
    session = await Polling.open(daemon)
    if token:
        await session.connect(token)
    link = await websockets.connect(socket_url(daemon, session.sid))
    await link.send('2probe')
    assert await link.recv() == '3probe'
    return session, link


async def test_s0_02_a_session_moves_to_a_websocket(daemon):
    session, link = await upgraded(daemon)
    assert await session.poll() == ['6']
    await link.send('5')
    await link.send('40/nowhere,')
    assert (await link.recv()).startswith('44/nowhere,')
    assert (await session.get())[0] == 400  # it polls no more, and the session stands
    await link.send('40/elsewhere,')
    assert (await link.recv()).startswith('44/elsewhere,')
    await link.close()


async def test_a_poll_that_waits_ends_with_the_probe(daemon):
    """And the session goes on. Red when eio_poll_end tells it that the session is over."""
    session = await Polling.open(daemon)
    waiting = asyncio.create_task(session.get())
    link = await websockets.connect(socket_url(daemon, session.sid))
    await link.send('2probe')
    assert await link.recv() == '3probe'
    assert await waiting == (200, '6')
    await link.send('5')
    await link.send('40/nowhere,')
    assert (await link.recv()).startswith('44/nowhere,')
    await link.close()


async def test_what_comes_in_one_piece_with_the_upgrade_is_not_lost(daemon):
    """Red with pass_on doing nothing."""
    for _ in range(10):
        _, link = await upgraded(daemon)
        link.transport.pause_reading()
        frames = [link.send(text) for text in ('5', '40/a,', '40/b,')]
        await asyncio.gather(*frames)
        link.transport.resume_reading()
        assert (await link.recv()).startswith('44/a,') and (await link.recv()).startswith('44/b,')
        await link.close()


async def test_the_websocket_that_probed_first_takes_over(daemon):
    """One that comes later is closed, and one that was there is when it probes. Red when either forgets the first."""
    session = await Polling.open(daemon)
    early, first = [await websockets.connect(socket_url(daemon, session.sid)) for _ in range(2)]
    await first.send('2probe')
    assert await first.recv() == '3probe'
    late = await websockets.connect(socket_url(daemon, session.sid))
    await early.send('2probe')
    for other in (late, early):
        await asyncio.wait_for(other.wait_closed(), PATIENCE)
    await first.send('5')
    await first.send('40' + json.dumps({'token': 'none'}))
    assert (await asyncio.wait_for(first.recv(), PATIENCE)).startswith('44')
    await first.close()


async def test_a_second_websocket_is_closed_and_the_first_stays(daemon):
    session, link = await upgraded(daemon)
    await link.send('5')
    await link.send('40/nowhere,')
    assert (await link.recv()).startswith('44')
    other = await websockets.connect(socket_url(daemon, session.sid))
    with pytest.raises(websockets.ConnectionClosed):
        await other.recv()
    await link.send('40/nowhere,')
    assert (await link.recv()).startswith('44')
    await link.close()


async def test_packets_that_are_none_close_a_websocket(daemon):
    for text in ('abc', '', '8'):
        link, _ = await open_socket(daemon)
        await link.send(text)
        with pytest.raises(websockets.ConnectionClosed):
            await link.recv()


async def test_a_message_over_the_limit_closes_with_1009(daemon):
    link, _ = await open_socket(daemon)
    await link.send('4' + 'x' * 1_000_000)
    with pytest.raises(websockets.ConnectionClosed) as closed:
        await link.recv()
    assert closed.value.rcvd.code == 1009


# ---- Heartbeat ---------------------------------------------------------------------------------------

async def test_pings_come_and_their_answers_keep_the_session(start_daemon):
    one = await asyncio.to_thread(start_daemon, settings={
        **SETTINGS, 'engineio.ping_interval': '50ms', 'engineio.ping_timeout': '10s'})
    session = await Polling.open(one)
    for _ in range(3):
        assert await session.poll() == ['2']
        assert await session.post('3') == (200, 'ok')
    link, _ = await open_socket(one)
    for _ in range(3):
        assert await link.recv() == '2'
        await link.send('3')
    await link.close()


async def test_who_answers_no_ping_is_gone(start_daemon):
    """Red with eio_timeout doing nothing."""
    one = await asyncio.to_thread(start_daemon, settings={
        **SETTINGS, 'engineio.ping_interval': '50ms', 'engineio.ping_timeout': '50ms'})
    session = await Polling.open(one)
    link, _ = await open_socket(one)
    with pytest.raises(websockets.ConnectionClosed):
        while True:
            assert await link.recv() == '2'
    assert (await session.get())[1] in ('2', '1', '{"code":1,"message":"Session ID unknown"}')
    await eventually(lambda: is_over(session), 'the session has ended')


async def test_binary_comes_as_base64_in_a_poll(daemon):
    """A binary packet nobody announced ends the session: so it was read as one."""
    session = await Polling.open(daemon)
    assert await session.post('b' + base64.b64encode(b'bytes').decode()) == (200, 'ok')
    assert await is_over(session)


# ---- The daemon stops --------------------------------------------------------------------------------

async def polling_in(daemon, token, room):
    """A session that polls, is in ROOM and has heard all there is: (session, pid, last offset)."""
    session = await Polling.open(daemon)
    assert await session.post('40' + json.dumps({'token': token})) == (200, 'ok')
    assert await session.post(f'421["join_conversation",{room}]') == (200, 'ok')
    heard = []
    while not any(packet.startswith('431') for packet in heard):
        heard += await session.poll()
    offsets = [json.loads(packet[2:])[-1] for packet in heard if packet.startswith('42')]
    pid, = [json.loads(packet[2:])['pid'] for packet in heard if packet.startswith('40')]
    return session, pid, [offset for offset in offsets if isinstance(offset, str)][-1]


async def test_a_stop_waits_for_no_session_that_does_not_ask(start_daemon):
    """Who waits for news is told; who has no request open finds the news with the offset afterwards. Nor does a stop
    wait for a client that keeps its connection for a next request.

    Red when drain_begin leaves such sessions alone, and when idle connections are to be closed by their clients: they
    last as long as close_timeout, which is longer than the test.
    """
    settings = {**SETTINGS, 'websocket.close_timeout': '600s', 'server.stop_timeout': '600s',
                'auth.secret_key': 'tokens stand when the daemon starts again'}
    one = await asyncio.to_thread(start_daemon, workers=4, settings=settings)
    async with Http(one) as http, People(one) as people:
        ann = (await people.new_person('ann'))['token']
        room = (await http.new_room())['id']
        silent, pid, offset = await polling_in(one, ann, room)
        leaving = await Polling.open(one)
        assert await leaving.post('1') == (200, 'ok')  # and never asks for what was said before that
        waiting = await Polling.open(one)
        told = asyncio.create_task(waiting.get())
        speaker, *_ = await polling_in(one, ann, room)
        for number in range(20):
            assert await speaker.post(f'42["send_message",{{"conversationId":{room},"content":"{number}"}}]') \
                == (200, 'ok')
        heard = []
        while len(heard) < 20:
            heard += [packet for packet in await speaker.poll() if packet.startswith('42["new_message"')]
        assert len(await http.history(room)) == 20
    idle = await Link.open(one)
    await idle.request('GET', '/api/v1/limits')
    assert (await idle.answer()).status == 200
    one.process.send_signal(signal.SIGTERM)
    assert await told == (200, '1')
    assert await asyncio.to_thread(one.process.wait, PATIENCE) == 0
    await idle.close()
    await asyncio.to_thread(one.start)
    back = await Polling.open(one)
    assert await back.post('40' + json.dumps({'token': ann, 'pid': pid, 'offset': offset})) == (200, 'ok')
    texts = []
    while len(texts) < 20:
        texts += [json.loads(packet[2:])[1]['content'] for packet in await back.poll()
                  if packet.startswith('42["new_message"')]
    assert texts == [str(number) for number in range(20)]
    # nobody is to be asked about this one either
    assert await back.post('40/nowhere,') == (200, 'ok')
