# SPDX-License-Identifier: MIT
"""Behind nginx and HAProxy with the configurations that roomd ships: stock clients, any worker, true addresses.

The daemon has four workers and two addresses that take turns; nothing is sticky. The proxies connect from
127.0.0.2, which is listed, and the clients from 127.0.0.1. Seen red: with nginx without its
proxy_set_header for Upgrade or X-Forwarded-For, with HAProxy without send-proxy-v2-ssl, and with inbox_move
answered as an unknown session.
"""
import asyncio
import contextlib
import csv
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import pytest
import websockets

from roomd_clients import Http, NativeSocket, RoomSocket, eventually
from roomd_harness import HAS_SANITIZERS, PATIENCE, TOP, Daemon, clean_environment, free_port, ports_open
from roomd_people import People, bearer, unique_login
from roomd_postgres import wait_until
from roomd_raw import Link
from roomd_stream import Stream
from test_engineio import Polling
from test_proxy import roomctl
from test_socketio import TRANSPORTS, Client

pytestmark = pytest.mark.skipif(HAS_SANITIZERS, reason='the proxies are what is tested here')

STOCK = TOP / 'tests/browser/stock.test.mjs'
STOCK_IS_THERE = STOCK.parent / 'node_modules/.package-lock.json'
LISTED, SPOOFED = '127.0.0.2', '192.0.2.66'
SETTINGS = {'http.trusted_proxies': LISTED, 'log.requests': 'all', 'auth.hash_memory': '64k', 'auth.hash_passes': 1}


def replaced(text, **changes):
    """TEXT with each of the CHANGES (old text to new), all of which it must have."""
    for old, new in changes.items():
        assert old in text, f'{old!r} is not in what is shipped'
        text = text.replace(old, new)
    return text


class Proxy:
    """A proxy in the foreground with a directory and a port of its own; to clients it is as good as a daemon."""
    is_blocking = False

    def __init__(self, daemon, second):
        self.daemon, self.port = daemon, free_port()
        self.dir = Path(tempfile.mkdtemp(prefix='roomd-proxy-', dir='/tmp'))
        self.http, self.ws = f'http://127.0.0.1:{self.port}', f'ws://127.0.0.1:{self.port}'
        text = (TOP / 'proxy' / self.sample).read_text()
        ports = {'127.0.0.1:8080': f'127.0.0.1:{daemon.port}', '127.0.0.1:8081': f'127.0.0.1:{second}'}
        self.config = self.dir / self.sample
        self.config.write_text(self.adapted(replaced(text, **ports)))
        self.log = self.dir / 'log'
        with open(self.log, 'ab') as log:
            self.process = subprocess.Popen(self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            cwd='/', start_new_session=True)

    def wait_ready(self):
        def answers():
            assert self.process.poll() is None, self.log.read_text()
            return ports_open(self.port)
        wait_until(answers, PATIENCE, f'{self.sample} is served')
        return self

    def close(self):
        try:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(PATIENCE)
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
                self.process.wait()
            shutil.rmtree(self.dir)


class Nginx(Proxy):
    program, sample = 'nginx', 'nginx.conf.sample'
    settings = {'http.forwarded': 'x-forwarded-for'}
    block = '\t\tif ($http_upgrade) { return 403; }\n'

    def adapted(self, text):
        text = replaced(text, **{'\tlisten 80;': f'\tlisten 127.0.0.1:{self.port};'})
        if self.is_blocking:
            text = replaced(text, **{'\tlocation / {\n': '\tlocation / {\n' + self.block})
        paths = ''.join(f'\t{name}_temp_path {self.dir}/{name};\n'
                        for name in ('client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'))
        # its processes would be nobody's, who may not go into the directory
        user = '' if os.getuid() else 'user root root;\n'
        return (f'{user}daemon off;\nworker_processes 2;\npid {self.dir}/pid;\nerror_log stderr warn;\n'
                f'events {{ }}\nhttp {{\n\taccess_log off;\n\tproxy_bind {LISTED};\n{paths}\n{text}}}\n')

    def command(self):
        return [PROGRAMS['nginx'], '-e', 'stderr', '-p', self.dir, '-c', self.config]


class Haproxy(Proxy):
    program, sample = 'haproxy', 'haproxy.cfg.sample'
    settings = {'http.proxy_protocol': 'on'}
    block = '\thttp-request deny deny_status 403 if { hdr(Upgrade) -m found }\n'

    def adapted(self, text):
        text = replaced(text, **{'bind :80\n': f'bind 127.0.0.1:{self.port}\n',
                                 'check port 9464 inter 2s': f'check port {self.daemon.ops_port} inter 100ms'})
        if self.is_blocking:
            text = replaced(text, **{'\tdefault_backend': self.block + '\tdefault_backend'})
        return f'global\n\tstats socket {self.dir}/stats\n{text}\tsource {LISTED}\n'

    def wait_ready(self):
        """It asks the daemon itself. Red with another path, and with check-send-proxy."""
        super().wait_ready()
        wait_until(lambda: self.checks() == {'a': 'L7OK', 'b': 'L7OK'}, PATIENCE, 'both addresses are ready')
        return self

    def checks(self):
        """What it thinks of the servers behind it; its port is open before it can be asked."""
        with socket.socket(socket.AF_UNIX) as link, link.makefile() as answer:
            try:
                link.connect(f'{self.dir}/stats')
            except FileNotFoundError:
                return {}
            link.sendall(b'show stat\n')
            rows = csv.DictReader(line.removeprefix('# ') for line in answer if line.strip())
            return {row['svname']: row['check_status'] for row in rows
                    if row['pxname'] == 'roomd' and row['svname'] != 'BACKEND'}

    def command(self):
        return [PROGRAMS['haproxy'], '-db', '-f', self.config]


class BlockingNginx(Nginx):
    is_blocking = True


class BlockingHaproxy(Haproxy):
    is_blocking = True


PROGRAMS = {name: shutil.which(name) or f'/usr/sbin/{name}' for name in ('nginx', 'haproxy')}


@pytest.fixture(scope='module', params=[(Nginx, BlockingNginx), (Haproxy, BlockingHaproxy)],
                ids=['nginx', 'haproxy'])
def proxies(request, postgres, database):
    """A daemon's proxy, and another one that lets no WebSocket through."""
    kinds = request.param
    if not os.path.exists(PROGRAMS[kinds[0].program]):
        pytest.skip(f'{kinds[0].program} is not installed')
    one = Daemon(postgres.url(database), workers=4, settings={**SETTINGS, **kinds[0].settings},
                 name=f'test_proxies.{kinds[0].program}')
    second, one.ops_port = free_port(), free_port()
    one.settings['server.listen'] += f', 127.0.0.1:{second}'
    one.settings['ops.listen'] = f'127.0.0.1:{one.ops_port}'
    running = []
    try:
        one.start()
        for kind in kinds:
            running.append(kind(one, second))
        yield [proxy.wait_ready() for proxy in running]
    finally:
        for proxy in running:
            proxy.close()
        one.close()


@pytest.fixture
def proxy(proxies):
    return proxies[0]


async def people(proxy, *names):
    async with People(proxy) as register:
        return [(await register.new_person(name))['token'] for name in names]


async def talk(proxy, transports, count=8):
    """Two stock clients in one room; each hears everything once and in order. Returns them."""
    async with Http(proxy) as http:
        room = (await http.new_room())['id']
    clients = [await Client().connect(proxy, token, transports) for token in await people(proxy, 'ann', 'bob')]
    for client in clients:
        await client.join(room)
    expected = [f'text {number}' for number in range(count)]
    for number, text in enumerate(expected):
        answer = await clients[number % 2].say(room, text)
        assert answer['ok'], answer
    for client in clients:
        assert [message['content'] for message in await client.wait('new_message', count)] == expected
        assert ('disconnect',) not in client.heard
    return clients


# ---------------------------------------------------------------- clients


@pytest.mark.parametrize('transports', TRANSPORTS)
async def test_s0_33_socketio_needs_no_sticky_sessions(proxy, transports):
    for client in await talk(proxy, transports):
        assert client.sio.transport() == transports[-1]
        await client.sio.disconnect()


def test_s0_33_the_stock_javascript_clients_pass(proxy):
    """All that they do directly, but for the deaths of workers. Red without proxy_set_header Upgrade."""
    if not STOCK_IS_THERE.exists() or not shutil.which('node'):
        pytest.skip('the stock clients are not installed in tests/browser')
    ran = subprocess.run(['node', '--test-reporter=tap', STOCK], stdin=subprocess.DEVNULL, capture_output=True,
                         text=True, env=clean_environment(ROOMD_URL=proxy.http), timeout=PATIENCE * 4, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert re.search(r'^# pass [1-9]', ran.stdout, re.M), ran.stdout


async def test_s0_50_polling_works_where_websockets_are_refused(proxies):
    blocking = proxies[1]
    with pytest.raises(websockets.InvalidStatusCode) as refused:
        await websockets.connect(f'{blocking.ws}/ws')
    assert refused.value.status_code == 403
    for client in await talk(blocking, ['polling', 'websocket']):
        assert client.sio.transport() == 'polling'
        await client.sio.disconnect()


async def test_native_sockets_and_streams_pass_at_once(proxy):
    """A stream is told while it is open, and requests and sockets come to more than one worker."""
    async with Http(proxy) as http:
        room = (await http.new_room())['id']
        async with await Stream.open(proxy, [room]) as stream, await NativeSocket.hello(proxy, 'Alice') as alice, \
                await RoomSocket.enter(proxy, room, 'Bob') as bob:
            await alice.sub(room)
            assert (await alice.say(room, 'one'))['op'] == 'ok'
            await alice.expect(op='ev', rev=1)
            await bob.say('two')
            await stream.expect('message.new', 2)
            assert stream.contents(room) == ['one', 'two']
            assert [message['content'] for message in await bob.wait_messages(2)] == ['one', 'two']
            await alice.expect(op='ev', rev=2)
        assert [message['content'] for message in await http.history(room)] == ['one', 'two']
        seen = set()

        async def others():  # at once: one after the other may all go over one connection that nginx keeps
            for _, _, answer in await asyncio.gather(*(http.ask('GET', '/api/chat/rooms') for _ in range(16))):
                seen.add(answer['X-Roomd-Worker'])
            return len(seen) > 1
        await eventually(others, 'a second worker')


# ---------------------------------------------------------------- whose request it is


async def client_of(proxy, headers):
    async with Http(proxy) as http:
        status, _, answer = await http.ask('GET', '/api/v1/limits', headers=headers)
    assert status == 200
    return proxy.daemon.wait_log(answer['X-Request-Id'])['client']


@pytest.mark.parametrize('headers', [
    {}, {'X-Forwarded-For': SPOOFED}, {'Forwarded': f'for={SPOOFED}'}, {'X-Forwarded-For': f'{SPOOFED}, {LISTED}'},
    {'X-Forwarded-For': SPOOFED, 'Forwarded': f'for={SPOOFED}'}, {'X-Real-IP': SPOOFED}])
async def test_the_client_is_who_has_connected_to_the_proxy(proxy, headers):
    assert await client_of(proxy, headers) == '127.0.0.1'


def sockets_of(proxy, name):
    """What roomctl says of the sessions and sockets of somebody."""
    lists = [json.loads(roomctl(proxy.daemon, '--json', 'client', 'list', slot).stdout) for slot in range(4)]
    return [one for each in lists for one in each['clients'] if one['name'] == name]


async def test_sockets_and_sessions_have_the_clients_address_too(proxy):
    spoof, name = {'X-Forwarded-For': SPOOFED}, unique_login('ann')
    async with People(proxy) as register:
        token = (await register.register(name))[1]['token']
    clients = [await Client().connect(proxy, token, transports, headers=spoof) for transports in TRANSPORTS]
    async with await NativeSocket.open(proxy, '/ws', subprotocols=['roomd.v1'],
                                       extra_headers={**spoof, **bearer(token)}) as native:
        assert (await native.ask('hello'))['op'] == 'welcome'
        sockets = sockets_of(proxy, name)
        assert len(sockets) == len(clients) + 1
        assert {one['client'] for one in sockets} == {'127.0.0.1'}
    for client in clients:
        await client.sio.disconnect()


async def test_a_poll_that_goes_away_takes_its_session_with_it(proxy):
    """Red with HAProxy without abortonclose, or with it in the backend: it goes on waiting for the answer."""
    name = unique_login('ann')
    async with People(proxy) as register:
        token = (await register.register(name))[1]['token']

    async def leaves():
        """False when the poll had not come as far as the daemon, or what is asked for takes its time."""
        session = await Polling.open(proxy)
        await session.connect(token)
        before = len(sockets_of(proxy, name))
        with contextlib.suppress(asyncio.TimeoutError):
            while True:
                await asyncio.wait_for(session.poll(), 0.3)
        for _ in range(20):
            if len(sockets_of(proxy, name)) < before:
                return True
        return False
    await eventually(leaves, 'she has gone')


async def test_who_goes_past_the_proxy_is_not_believed(proxy):
    async with await Link.open(proxy.daemon) as link:
        for fields in ([f'X-Forwarded-For: {SPOOFED}'], [f'Forwarded: for={SPOOFED}']):
            answer = await link.ask('GET', '/api/v1/limits', fields)
            assert answer.status == 200
            assert proxy.daemon.wait_log(answer['x-request-id'])['client'] == '127.0.0.1'
    async with await Link.open(proxy.daemon) as link:
        await link.send(f'PROXY TCP4 {SPOOFED} 127.0.0.1 4711 80\r\n\r\n'.encode())
        assert (await link.answer()).status == 501  # no method is called PROXY
