# SPDX-License-Identifier: MIT
"""Many clients that come at once: admission, farewells spread over time, a herd that is cut off and resumes (C7)."""
import asyncio
import json
import re
import signal
import subprocess

import pytest
import websockets

from roomd_clients import Http, NativeSocket, RoomSocket
from roomd_harness import BUILD, HAS_SANITIZERS, PATIENCE

HERD = 300 if HAS_SANITIZERS else 2000


async def knock(daemon, path='/ws'):
    """One attempt to open a socket: (None, the socket) or (the answer's status and headers, None)."""
    try:
        return None, await websockets.connect(daemon.ws + path, compression=None, ping_interval=None,
                                              subprotocols=['roomd.v1'])
    except websockets.InvalidStatusCode as refusal:
        return refusal, None


async def test_c7_a_crowd_is_let_in_at_a_rate_and_told_when_to_return(start_daemon):
    """Red without admission_pass in the handshake: nobody is refused."""
    one = start_daemon(workers=1, settings={'admission.rate': 20, 'admission.burst': 30})
    answers = await asyncio.gather(*(knock(one) for _ in range(120)))
    refused = [refusal for refusal, _ in answers if refusal]
    admitted = [link for _, link in answers if link]
    assert len(admitted) >= 30
    assert len(refused) >= 60  # 30 at once, and 20 a second for as long as the crowd needs to knock
    hints = []
    for refusal in refused:
        assert refusal.status_code == 503
        hints.append(int(refusal.headers['Retry-After']))
    assert min(hints) >= 1
    assert len(set(hints)) > 2, 'all would come back together'
    for link in admitted:
        await link.close()


async def test_c7_everybody_gets_in_who_comes_back_as_told(start_daemon):
    one = start_daemon(workers=2, settings={'admission.rate': 100, 'admission.burst': 20})

    async def insist():
        while True:
            refusal, link = await knock(one)
            if link:
                return link
            await asyncio.sleep(int(refusal.headers['Retry-After']))

    links = await asyncio.wait_for(asyncio.gather(*(insist() for _ in range(100))), PATIENCE * 2)
    assert len(links) == 100
    for link in links:
        await link.close()


async def test_c7_a_stop_says_good_bye_at_once_and_closes_over_time(start_daemon):
    """Red with server.drain_spread = 0: nobody can send any more when the first has gone."""
    one = start_daemon(workers=1, settings={'admission.rate': 20, 'admission.burst': 100,
                                            'server.drain_spread': '2s'})
    async with Http(one) as http:
        room = (await http.new_room())['id']
    sockets = [await NativeSocket.hello(one, f'user {n}') for n in range(40)]
    for socket in sockets:
        await socket.sub(room)
    one.process.send_signal(signal.SIGTERM)
    hints = [(await socket.expect(op='goaway'))['in'] for socket in sockets]
    assert len(set(hints)) > 30, 'all would come back together'
    assert min(hints) > 1, 'the daemon is not gone by then'

    first, _ = await asyncio.wait([asyncio.ensure_future(socket.closed()) for socket in sockets],
                                  return_when=asyncio.FIRST_COMPLETED)
    assert all(task.result()[0] == 1012 for task in first)
    left = [socket for socket in sockets if socket.is_open]
    assert len(left) > len(sockets) / 2
    answer = await left[-1].say(room, 'still here')
    assert answer['op'] == 'ok'
    for socket in sockets:
        assert (await socket.closed())[0] == 1012
    assert await asyncio.to_thread(one.process.wait, PATIENCE) == 0


async def test_a_room_socket_is_told_too_when_to_return(start_daemon):
    one = start_daemon(workers=1)
    async with Http(one) as http:
        room = (await http.new_room())['id']
    alice = await RoomSocket.enter(one, room, 'Alice')
    one.process.send_signal(signal.SIGTERM)
    farewell = await alice.expect(type='error', code='restarting')
    assert farewell['retry_after'] > 0
    assert (await alice.closed())[0] == 1012
    assert await asyncio.to_thread(one.process.wait, PATIENCE) == 0


def test_c7_a_herd_resumes_without_a_gap(start_daemon):
    """Red when catching up from the presented revision is left out: revisions are missing."""
    roombench = BUILD / 'bench/roombench'
    if not roombench.exists():
        pytest.skip(f'{roombench} is not built')
    one = start_daemon(workers=2)
    herd = subprocess.Popen(
        [roombench, 'herd', '--url', f'127.0.0.1:{one.port}', '--conns', str(HERD), '--window', str(HERD),
         '--duration', '8', '--json'],
        stdout=subprocess.PIPE, text=True)
    text, _ = herd.communicate(timeout=PATIENCE * 8)
    result = json.loads(re.search(r'{.*}', text)[0])
    assert result['cut'] == HERD
    assert result['resumed'] == HERD
    assert result['gaps'] == 0
    assert herd.returncode == 0, result
