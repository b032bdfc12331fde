# SPDX-License-Identifier: MIT
"""The client behind proxies: forwarding fields and the PROXY protocol, of listed proxies alone.

127.0.0.2 is a proxy that is listed, 127.0.0.9 one that is not; clients have addresses of RFC 5737 and
RFC 3849, which nobody has.
"""
import asyncio
import json
import struct
import subprocess

import pytest

from roomd_clients import Http, NativeSocket
from roomd_harness import CTL, PATIENCE, clean_environment, run_roomd, unique
from roomd_people import PASSWORD, People, cookie_of, unique_login
from roomd_raw import TEXT, Link

PROXY, STRANGER = '127.0.0.2', '127.0.0.9'
TRUSTED = {'http.trusted_proxies': f'{PROXY}, 10.0.0.0/8, 2001:db8:ffff::/48', 'log.requests': 'all'}
V2 = b'\r\n\r\n\x00\r\nQUIT\n'


async def connect(daemon, source):
    return Link(*await asyncio.open_connection('127.0.0.1', daemon.port, local_addr=(source, 0)))


async def client_of(daemon, fields=(), source=PROXY, first=b''):
    """Whom the daemon takes one request to be from, by its log."""
    async with await connect(daemon, source) as link:
        await link.send(first)
        return await asked(daemon, link, fields)


async def asked(daemon, link, fields=()):
    answer = await link.ask('GET', '/api/v1/limits', fields)
    assert answer.status == 200, answer.body
    return daemon.wait_log(answer['x-request-id'])['client']


@pytest.fixture(scope='module')
def daemon(postgres, database):
    from roomd_harness import Daemon
    one = Daemon(postgres.url(database), name='test_proxy', settings=TRUSTED)
    try:
        yield one.start()
    finally:
        one.close()


# ---------------------------------------------------------------- fields


@pytest.mark.parametrize('fields, expected', [
    ((), PROXY),
    (['X-Forwarded-For: 192.0.2.1'], '192.0.2.1'),
    # what the client wrote itself stands further left
    (['X-Forwarded-For: 198.51.100.66, 192.0.2.1'], '192.0.2.1'),
    (['X-Forwarded-For: 127.0.0.1, 192.0.2.1'], '192.0.2.1'),
    # hops that are listed are passed
    (['X-Forwarded-For: 198.51.100.66, 192.0.2.1, 10.1.2.3'], '192.0.2.1'),
    (['X-Forwarded-For: 192.0.2.1, 10.1.2.3, 2001:db8:ffff::7'], '192.0.2.1'),
    # empty elements do not count (RFC 9110 section 5.6.1.2)
    (['X-Forwarded-For: 198.51.100.66, 192.0.2.1, ,'], '192.0.2.1'),
    # several fields are one list, in their order
    (['X-Forwarded-For: 198.51.100.66', 'X-Forwarded-For: 192.0.2.1'], '192.0.2.1'),
    # nobody but proxies: the first of them
    (['X-Forwarded-For: 10.1.2.3, 10.4.5.6'], '10.1.2.3'),
    # what cannot be read is nobody's address, and nothing left of it is believed
    (['X-Forwarded-For: 192.0.2.1, unknown'], PROXY),
    (['X-Forwarded-For: 192.0.2.1, unknown, 10.1.2.3'], '10.1.2.3'),
    (['X-Forwarded-For: 192.0.2.1, 1.2.3.4.5'], PROXY),
    (['X-Forwarded-For: "192.0.2.1'], PROXY),
    (['X-Forwarded-For:'], PROXY),
    (['X-Forwarded-For: 192.0.2.1:4711'], '192.0.2.1'),
    (['X-Forwarded-For: 2001:db8::1'], '2001:db8::1'),
    (['X-Forwarded-For: [2001:db8::1]:4711'], '2001:db8::1'),
    (['X-Forwarded-For: ::ffff:192.0.2.1'], '192.0.2.1'),
    # RFC 7239 section 4
    (['Forwarded: for="_gazonk"'], PROXY),
    (['Forwarded: For="[2001:db8:cafe::17]:4711"'], '2001:db8:cafe::17'),
    (['Forwarded: for=192.0.2.60;proto=http;by=203.0.113.43'], '192.0.2.60'),
    (['Forwarded: for=192.0.2.43, for=198.51.100.17'], '198.51.100.17'),
    (['Forwarded: for=192.0.2.43', 'Forwarded: for=198.51.100.17;by=_x'], '198.51.100.17'),
    (['Forwarded: for=192.0.2.43, for=10.9.9.9'], '192.0.2.43'),
    # a quote that the client left open must not swallow what the proxy added
    (['Forwarded: for=198.51.100.66;x=", for=192.0.2.1'], PROXY),
    (['Forwarded: for=198.51.100.66;x=", for="[2001:db8::1]:80"'], PROXY),
    (['Forwarded: for=198.51.100.66;x="\\, for="[2001:db8::1]:80"'], PROXY),
    # a client that sends the other field behind a proxy that sets X-Forwarded-For
    (['Forwarded: for=198.51.100.66', 'X-Forwarded-For: 192.0.2.1'], '192.0.2.1'),
])
async def test_the_right_most_hop_that_is_not_listed_is_the_client(daemon, fields, expected):
    """Seen red with the left-most hop: 198.51.100.66 was believed."""
    assert await client_of(daemon, fields) == expected


@pytest.mark.parametrize('field', ['X-Forwarded-For: 192.0.2.1', 'Forwarded: for=192.0.2.1'])
async def test_nobody_else_is_believed(daemon, field):
    """Seen red without the look at the list."""
    assert await client_of(daemon, [field], STRANGER) == STRANGER


async def test_each_request_of_a_connection_has_its_own_client(daemon):
    async with await connect(daemon, PROXY) as link:
        assert await asked(daemon, link, ['X-Forwarded-For: 192.0.2.1']) == '192.0.2.1'
        assert await asked(daemon, link, ['X-Forwarded-For: 192.0.2.2']) == '192.0.2.2'
        assert await asked(daemon, link) == PROXY


@pytest.mark.parametrize('choice, expected', [
    ('x-forwarded-for', '192.0.2.1'), ('forwarded', '192.0.2.2'), ('off', PROXY), ('auto', '192.0.2.1')])
async def test_one_field_can_be_chosen(start_daemon, choice, expected):
    daemon = start_daemon(workers=1, settings={**TRUSTED, 'http.forwarded': choice})
    both = ['X-Forwarded-For: 192.0.2.1', 'Forwarded: for=192.0.2.2']
    assert await client_of(daemon, both) == expected


async def test_limits_count_the_client_and_not_the_proxy(start_daemon):
    """C22. Seen red with the address of the socket: the second client was refused as well."""
    daemon = start_daemon(workers=2, settings={**TRUSTED, 'limits.anonymous': '5/h'})

    async def ask(client, source=PROXY):
        async with await connect(daemon, source) as link:
            fields = ['Authorization: Bearer x', f'X-Forwarded-For: {client}']
            return (await link.ask('GET', '/api/v1/conversations', fields)).status
    assert [await ask('192.0.2.1') for _ in range(7)] == [401] * 5 + [429] * 2
    assert [await ask('192.0.2.2') for _ in range(6)] == [401] * 5 + [429]
    # one customer of IPv6 is his /64
    assert [await ask(f'2001:db8:1:2::{i}') for i in range(6)] == [401] * 5 + [429]
    assert await ask('2001:db8:1:3::1') == 401
    # who is not listed cannot take another's allowance, nor get one by inventing addresses
    assert [await ask(f'203.0.113.{i}', STRANGER) for i in range(6)] == [401] * 5 + [429]


async def test_the_list_changes_without_a_restart(start_daemon):
    daemon = start_daemon(workers=1, settings={'log.requests': 'all'})
    fields = ['X-Forwarded-For: 192.0.2.1']
    assert await client_of(daemon, fields) == PROXY
    mark = daemon.log_length()
    daemon.reload(**TRUSTED)
    daemon.wait_log('settings switched', mark)
    assert await client_of(daemon, fields) == '192.0.2.1'


async def test_roomctl_lists_clients_with_their_addresses(daemon):
    async with await connect(daemon, PROXY) as link:
        assert (await link.upgrade('/ws', 'X-Forwarded-For: 192.0.2.77', 'X-Forwarded-Proto: https')).status == 101
        await link.frame(TEXT, '{"op":"hello","id":1,"name":"Seen"}')
        await link.next_frame()
        lists = [json.loads(roomctl(daemon, '--json', 'client', 'list', slot).stdout) for slot in (0, 1)]
        assert [one['worker'] for one in lists] == [0, 1]
        found = [c for one in lists for c in one['clients'] if c['client'] == '192.0.2.77']
        assert len(found) == 1 and found[0]['link'] == PROXY and found[0]['tls'] is True
        assert found[0]['dialect'] == 'native' and found[0]['name'] == 'Seen'
        assert any('192.0.2.77' in roomctl(daemon, 'client', 'list', slot).stdout for slot in (0, 1))
    for slot in ('2', '-1', 'x'):
        assert roomctl(daemon, '--json', 'client', 'list', '--', slot).returncode != 0, slot


def roomctl(daemon, *args):
    return subprocess.run([CTL, '-s', daemon.control, *map(str, args)], capture_output=True, text=True,
                          timeout=PATIENCE, env=clean_environment(), check=False)


# ---------------------------------------------------------------- PROXY protocol


def v2(command=1, family=0x11, body=b'', version=2):
    return V2 + bytes([version << 4 | command, family]) + struct.pack('!H', len(body)) + body


def v2_tcp4(address, additions=b''):
    packed = bytes(int(part) for part in address.split('.'))
    return v2(body=packed + b'\x7f\0\0\1' + struct.pack('!HH', 4711, 80) + additions)


@pytest.fixture(scope='module')
def proxied(postgres):
    """A daemon whose listed proxies speak the PROXY protocol."""
    from roomd_harness import Daemon
    name = postgres.new_database()
    one = Daemon(postgres.url(name), name='test_proxy.proxied',
                 settings={**TRUSTED, 'http.proxy_protocol': 'on', 'http.header_timeout': '1s'})
    try:
        yield one.start()  # the harness itself is not listed: its requests need no header
    finally:
        one.close()
        postgres.drop_database(name)


@pytest.mark.parametrize('header, expected', [
    (b'PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n', '192.0.2.1'),
    (b'PROXY TCP6 2001:db8::1 2001:db8::2 4711 80\r\n', '2001:db8::1'),
    (b'PROXY UNKNOWN\r\n', PROXY),
    (b'PROXY UNKNOWN ffff:f...f:ffff ffff:f...f:ffff 65535 65535\r\n', PROXY),
    (v2_tcp4('192.0.2.1'), '192.0.2.1'),
    (v2_tcp4('192.0.2.1', b'\x04\0\x02\0\0'), '192.0.2.1'),
    (v2(family=0x21, body=bytes.fromhex('20010db8' + '0' * 23 + '1') + b'\0' * 16 + b'\0P\0P'), '2001:db8::1'),
    (v2(command=0, family=0), PROXY),
    (v2(command=0, family=0x11, body=b'\xc0\0\2\1' + b'\0' * 8), PROXY),
    (v2(family=0x31, body=b'/x' + b'\0' * 214), PROXY),
])
async def test_the_header_names_the_client(proxied, header, expected):
    assert await client_of(proxied, first=header) == expected


async def test_the_header_may_come_in_pieces_and_with_the_request(proxied):
    header = b'PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n'
    async with await connect(proxied, PROXY) as link:
        for byte in header:
            await link.send(bytes([byte]))
            await asyncio.sleep(0)
        assert await asked(proxied, link) == '192.0.2.1'
        # it is the connection's: all its requests have it, and fields of the client are not believed
        assert await asked(proxied, link, ['X-Forwarded-For: 192.0.2.9']) == '192.0.2.1'


async def test_behind_the_header_fields_of_listed_proxies_count(proxied):
    header = b'PROXY TCP4 10.1.1.1 198.51.100.1 4711 80\r\n'
    assert await client_of(proxied, ['X-Forwarded-For: 192.0.2.9'], first=header) == '192.0.2.9'


@pytest.mark.parametrize('first', [
    b'GET /api/v1/limits HTTP/1.1\r\nHost: x\r\n\r\n',
    b'PROXY TCP4 192.0.2.1 198.51.100.1 4711\r\n',
    b'PROXY TCP4 192.0.2.1 198.51.100.1 4711 080\r\n',
    b'PROXY TCP4 2001:db8::1 2001:db8::2 4711 80\r\n',
    b'PROXY TCP4 192.0.2.1  198.51.100.1 4711 80\r\n',
    b'PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\n',
    b'PROXY UNKNOWN ' + b'x' * 200,
    v2(version=1), v2(command=2), v2(family=0x99), v2(body=b'\0' * 11), v2(body=b'\0' * 13),
    v2_tcp4('192.0.2.1', b'\x03\0\x04\0\0\0\0'),  # a checksum that is wrong
])
async def test_what_is_no_header_ends_the_connection(proxied, first):
    """Seen red with a decoder that falls back to HTTP: the request was answered."""
    async with await connect(proxied, PROXY) as link:
        await link.send(first)
        assert await link.is_ended()


async def test_a_header_that_does_not_come_ends_the_connection(proxied):
    async with await connect(proxied, PROXY) as link:
        await link.send(b'PROXY TCP4 192')
        answer = await asyncio.wait_for(link.reader.read(), PATIENCE)
        assert b'200' not in answer.split(b'\r\n')[0]


async def test_a_header_of_somebody_else_is_refused(proxied):
    async with await connect(proxied, STRANGER) as link:
        await link.send(b'PROXY TCP4 192.0.2.1 198.51.100.1 4711 80\r\n\r\n')
        assert (await link.answer()).status == 501  # no method is called PROXY


async def test_a_room_socket_works_behind_the_header(proxied):
    async with Http(proxied) as http:
        room = await http.new_room()
    async with await connect(proxied, PROXY) as link:
        await link.send(v2_tcp4('192.0.2.1'))
        assert (await link.upgrade(f'/ws/chat/{room["id"]}')).status == 101
        await link.frame(TEXT, '{"username":"Ada"}')
        opcode, payload, _ = await link.next_frame()
        assert opcode == TEXT and b'"connected"' in payload


async def test_the_check_asks_about_a_proxy_that_everybody_comes_through(start_daemon, postgres):
    """C22. Seen red without the question to the database."""
    daemon = start_daemon(settings={**TRUSTED, 'auth.hash_memory': '64k', 'auth.hash_passes': 1})

    def warns():
        url = postgres.url(daemon.database)
        return 'http.trusted_proxies' in run_roomd('-t', '-o', f'database.url={url}').stderr
    async with People(daemon) as http:
        await http.new_person()
        assert not warns()  # one person at one address is nothing to ask about
        await http.new_person()
        assert warns()
    async with await connect(daemon, PROXY) as link:
        body = json.dumps({'username': unique_login(), 'password': PASSWORD}).encode()
        answer = await link.ask('POST', '/api/v1/auth/register', ['X-Forwarded-For: 192.0.2.1'], body)
        assert answer.status == 201
    assert not warns()


# ---------------------------------------------------------------- settings


def test_a_list_that_cannot_be_read_is_refused():
    for item in ('proxy.example.org', '10.0.0.0/33', '10.0.0.1/8', '2001:db8::/129', '10.0.0.0/', 'all'):
        done = run_roomd('-t', '-o', f'http.trusted_proxies={item}')
        assert done.returncode == 78 and 'http.trusted_proxies' in done.stderr, item


# ---------------------------------------------------------------- a proxy's own password


BASIC = 'Authorization: Basic YWxhZGRpbjpvcGVuc2VzYW1l'  # RFC 7617 section 2


async def test_a_password_for_the_proxy_is_none_of_ours(daemon):
    """nginx with auth_basic: browsers send it with everything. Seen red when it was a bad token: 401."""
    async with await Link.open(daemon) as link:
        for fields in ([BASIC], ['Authorization: Digest username="x"'], ['Authorization: Bearerish x']):
            assert (await link.ask('GET', '/api/chat/rooms', fields)).status == 200
        # where an account is needed it is none, and what would be one is told
        answer = await link.ask('GET', '/api/v1/users/me', [BASIC])
        assert answer.status == 401 and answer['www-authenticate'] == 'Bearer'
        for fields in (['Authorization: Bearer'], ['Authorization: Bearer x'], ['Authorization: bearer x'],
                       [BASIC, 'Authorization: Bearer x']):
            assert (await link.ask('GET', '/api/chat/rooms', fields)).status == 401, fields
    socket = await NativeSocket.open(daemon, '/ws', subprotocols=['roomd.v1'],
                                     extra_headers={'Authorization': BASIC.partition(': ')[2]})
    assert (await socket.ask('hello', name=unique('Aladdin')))['op'] == 'welcome'
    await socket.close()


async def test_beside_a_password_for_the_proxy_the_cookie_says_who_it_is(daemon):
    async with People(daemon) as http:
        made = await http.new_person()
        form = {'username': made['user']['username'], 'password': PASSWORD, 'cookie': True}
        _, _, headers = await http.ask('POST', '/api/v1/auth/login', form)
        fields = {'Cookie': f'session={cookie_of(headers).value}', 'Authorization': BASIC.partition(': ')[2]}
        status, me, _ = await http.ask('GET', '/api/v1/users/me', headers=fields)
        assert status == 200 and me['username'] == made['user']['username']
