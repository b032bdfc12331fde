# SPDX-License-Identifier: MIT
"""roomd --conformance: what the public test suites of the protocols ask for, path by path, without a database.

Seen red with the echo answering no event.
"""
import asyncio
import base64
import json

import aiohttp
import pytest
import websockets

from roomd_clients import PATIENCE
from roomd_harness import Daemon, run_roomd

NO_PAGE = '/nonexistent'
NOWHERE = 'postgresql:///none?host=/nonexistent'
SETTINGS = {'engineio.ping_interval': '300ms', 'engineio.ping_timeout': '200ms', 'engineio.payload_max': 1000000,
            'server.web_root': NO_PAGE}


class Conformance(Daemon):
    """The daemon with its switch; it needs no database."""
    arguments = ['--conformance']
    ready_path = b'/hello'


@pytest.fixture(scope='module')
def echo():
    one = Conformance(NOWHERE, workers=1, settings=SETTINGS, name='test_conformance')
    try:
        yield one.start()
    finally:
        one.close()


async def ask(echo, method, path, body=None, **more):
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        async with session.request(method, echo.http + path, data=body, **more) as answer:
            return answer.status, await answer.text()


async def hear(link):
    """The next packet that is no ping."""
    while True:
        text = await asyncio.wait_for(link.recv(), PATIENCE)
        if text != '2':
            return text
        await link.send('3')


async def open_engine(echo, path='/engine.io/'):
    link = await websockets.connect(echo.ws + path + '?EIO=4&transport=websocket')
    opened = json.loads((await hear(link))[1:])
    assert sorted(opened) == ['maxPayload', 'pingInterval', 'pingTimeout', 'sid', 'upgrades']
    assert (opened['pingInterval'], opened['pingTimeout'], opened['maxPayload']) == (300, 200, 1000000)
    return link


async def connect(link, nsp='', auth=''):
    """CONNECT to a namespace; the text of the event "auth"."""
    prefix = f'{nsp},' if nsp else ''
    await link.send(f'40{prefix}{auth}')
    answer = await hear(link)
    assert answer.startswith(f'40{prefix}{{"sid":"'), answer
    assert set(json.loads(answer[2 + len(prefix):])) == {'sid'}
    return await hear(link)


async def open_socketio(echo):
    link = await open_engine(echo, '/socket.io/')
    assert await connect(link) == '42["auth",{}]'
    return link


# ---- HTTP --------------------------------------------------------------------------------------------

async def test_http_paths_answer_what_they_were_sent(echo):
    assert (await ask(echo, 'GET', '/'))[0] == 200
    assert (await ask(echo, 'GET', '/hello'))[0] == 200
    assert await ask(echo, 'POST', '/', 'a body', headers={'Content-Type': 'text/plain'}) == (200, 'a body')
    status, text = await ask(echo, 'GET', '/echo', headers={'X-One': 'two words'})
    assert status == 200 and 'X-One: two words' in text.splitlines()
    assert await ask(echo, 'GET', '/cookie', headers={'Cookie': 'a=b; c=d'}) == (200, 'a=b; c=d\n')
    assert (await ask(echo, 'GET', '/nothing'))[0] == 404


@pytest.mark.parametrize('value', ['1', 'null', '"text"', '[1,{"a":[]}]', '{"b":true}'])
async def test_json_comes_back(echo, value):
    headers = {'Content-Type': 'application/json'}
    status, text = await ask(echo, 'POST', '/v1/echo', value, headers=headers)
    assert status == 200 and json.loads(text) == json.loads(value)
    assert (await ask(echo, 'POST', '/v1/echo', value + '}', headers=headers))[0] == 400


# ---- Engine.IO ---------------------------------------------------------------------------------------

async def test_engine_messages_come_back_on_a_websocket(echo):
    link = await open_engine(echo)
    await link.send('4hello')
    assert await hear(link) == '4hello'
    await link.send(b'\x01\x02\x03')
    assert await hear(link) == b'\x01\x02\x03'
    await link.close()


async def test_engine_messages_come_back_in_polls(echo):
    status, text = await ask(echo, 'GET', '/engine.io/?EIO=4&transport=polling')
    assert status == 200
    path = f'/engine.io/?EIO=4&transport=polling&sid={json.loads(text[1:])["sid"]}'
    body = '\x1e'.join(['4text', 'b' + base64.b64encode(b'\x01\x02\x03\x04').decode()])
    assert await ask(echo, 'POST', path, body, headers={'Content-Type': 'text/plain'}) == (200, 'ok')
    heard = []
    while len(heard) < 2:
        _, text = await ask(echo, 'GET', path)
        packets = text.split('\x1e')
        heard += [packet for packet in packets if packet != '2']
        if '2' in packets:
            await ask(echo, 'POST', path, '3')
    assert '\x1e'.join(heard) == body


async def test_a_post_of_the_largest_size_comes_back_and_a_larger_one_is_413(echo):
    """Seen red with the limit of other requests, which is smaller."""
    _, text = await ask(echo, 'GET', '/engine.io/?EIO=4&transport=polling')
    path = f'/engine.io/?EIO=4&transport=polling&sid={json.loads(text[1:])["sid"]}'
    largest = '4' + 'x' * (SETTINGS['engineio.payload_max'] - 1)
    assert await ask(echo, 'POST', path, largest, headers={'Content-Type': 'text/plain'}) == (200, 'ok')
    while (answer := await ask(echo, 'GET', path)) == (200, '2'):
        await ask(echo, 'POST', path, '3')
    assert answer[0] == 200 and largest in answer[1].split('\x1e')
    assert (await ask(echo, 'POST', path, largest + 'x', headers={'Content-Type': 'text/plain'}))[0] == 413


# ---- Socket.IO ---------------------------------------------------------------------------------------

async def test_each_namespace_tells_the_auth_payload(echo):
    link = await open_engine(echo, '/socket.io/')
    assert await connect(link, auth='{"token":"123"}') == '42["auth",{"token":"123"}]'
    assert await connect(link, '/custom', '{"a":1}') == '42/custom,["auth",{"a":1}]'
    await link.send('40/guarded,{"token":"no"}')
    assert await hear(link) == '44/guarded,{"message":"not authorized","data":{"code":"E_AUTH"}}'
    assert await connect(link, '/guarded', '{"token":"let-me-in"}') == '42/guarded,["auth",{"token":"let-me-in"}]'
    await link.send('40/random,')
    assert await hear(link) == '44/random,{"message":"Invalid namespace"}'
    await link.close()


async def test_events_come_back_with_their_arguments_and_attachments(echo):
    link = await open_socketio(echo)
    await link.send('42["message",1,"2",{"3":[true]}]')
    assert await hear(link) == '42["message-back",1,"2",{"3":[true]}]'
    text = '["{}",{{"_placeholder":true,"num":0}},{{"_placeholder":true,"num":1}}]'
    await link.send('452-' + text.format('message'))
    await link.send(b'\x01')
    await link.send(b'\x02\x03')
    assert await hear(link) == '452-' + text.format('message-back')
    assert [await hear(link), await hear(link)] == [b'\x01', b'\x02\x03']
    await link.send('42456["message-with-ack",1,"2"]')
    assert await hear(link) == '43456[1,"2"]'
    await link.send('451-789["message-with-ack",{"_placeholder":true,"num":0}]')
    await link.send(b'\x04')
    assert await hear(link) == '461-789[{"_placeholder":true,"num":0}]'
    assert await hear(link) == b'\x04'
    await link.close()


async def test_acknowledgements_are_asked_for_and_passed_on(echo):
    link = await open_socketio(echo)
    await link.send('427["request-ack",{"a":"b"}]')
    asked = await hear(link)
    number = asked[2:asked.index('[')]
    assert asked == f'42{number}["please-ack",{{"a":"b"}}]'
    await link.send(f'43{number}["this came back"]')
    assert await hear(link) == '437["this came back"]'
    await link.close()


async def test_rooms_reach_the_others_in_them(echo):
    ann, bob, eve = [await open_socketio(echo) for _ in range(3)]
    for number, link in enumerate((ann, bob)):
        await link.send(f'42{number}["join","room 1"]')
        assert await hear(link) == f'43{number}[true]'
    await ann.send('425["broadcast","room 1","to all",1]')
    assert await hear(ann) == '435[true]' and await hear(bob) == '42["broadcasted","to all",1]'
    await bob.send('426["leave","room 1"]')
    assert await hear(bob) == '436[true]'
    await eve.send('427["broadcast","room 1","again"]')
    assert await hear(eve) == '437[true]' and await hear(ann) == '42["broadcasted","again"]'
    for link in (bob, eve):  # and nobody else heard it
        await link.send('42["message"]')
        assert await hear(link) == '42["message-back"]'
    for link in (ann, bob, eve):
        await link.close()


async def test_kick_leaves_a_namespace_and_kick_transport_the_connection(echo):
    link = await open_socketio(echo)
    await connect(link, '/custom')
    await link.send('42/custom,["kick"]')
    assert await hear(link) == '41/custom,'
    await link.send('42["message"]')
    assert await hear(link) == '42["message-back"]'
    await link.send('42["kick-transport"]')
    with pytest.raises(websockets.ConnectionClosed):
        await hear(link)


@pytest.mark.parametrize('packet', ['4abc', '42{}', '42abc["message-with-ack",1]', '42/custom,["message"]'])
async def test_what_is_no_packet_ends_the_connection(echo, packet):
    link = await open_socketio(echo)
    await link.send(packet)
    with pytest.raises(websockets.ConnectionClosed):
        await hear(link)


# ---- The switch --------------------------------------------------------------------------------------

def test_production_mode_refuses_it():
    answer = run_roomd('--conformance', '-f', '-c', '/dev/null', '-o', 'server.mode=production',
                       '-o', 'auth.secret_key=a secret key that is long enough to pass')
    assert answer.returncode == 78 and '--conformance' in answer.stderr
