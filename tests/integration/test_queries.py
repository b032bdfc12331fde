# SPDX-License-Identifier: MIT
"""What entering and sending cost: counted in the log of a PostgreSQL server of its own. S0-51, S0-52."""
import re

import pytest

from roomd_clients import Http, NativeSocket, RoomSocket
from roomd_harness import Daemon
from roomd_postgres import Postgres


@pytest.fixture(scope='module')
def server():
    one = Postgres()
    try:
        one.start('log_statement=all', 'log_line_prefix=%d|')
        yield one
    finally:
        one.remove()


@pytest.fixture(scope='module')
def daemon(server):
    one = Daemon(server.url(server.new_database()), name=__name__, workers=1)
    try:
        yield one.start()
    finally:
        one.close()


class Statements:
    """The texts of the statements that the server was asked for since the last look."""

    def __init__(self, server):
        self.server, self.at = server, 0
        self.take()

    def take(self):
        text = self.server.log.read_text()
        new, self.at = text[self.at:], len(text)
        return re.findall(r'LOG:  (?:execute [^:]*|statement): (.*)', new)

    def of(self, *tables):
        return [text for text in self.take() if any(table in text for table in tables)]


USERS = ('guest_get', 'guests_get', 'public.users')


async def new_room(daemon):
    async with Http(daemon) as http:
        return (await http.new_room())['id']


async def test_s0_51_a_hundred_messages_look_nobody_up(server, daemon):
    """On both sockets. Seen red with on_send looking its sender up."""
    room = await new_room(daemon)
    native, raw = await NativeSocket.hello(daemon, 'Native'), await RoomSocket.enter(daemon, room, 'Raw')
    await native.sub(room)
    await raw.say('first')
    await native.expect(op='ev', c=room, rev=1)
    statements = Statements(server)
    for number in range(100):
        assert (await native.say(room, f'native {number}'))['op'] == 'ok'
        await raw.say(f'raw {number}')
    await raw.wait_messages(201)
    asked = statements.take()
    assert any('persist_batch' in text for text in asked), 'the log shows no statements'
    assert [text for text in asked if any(table in text for table in USERS)] == []
    await native.close()
    await raw.close()


async def test_s0_51_a_name_that_is_known_is_not_asked_for_again(server, daemon):
    """The counter-proof: a new name is asked for, once, though it comes three times.

    Seen red with session_guest passing its cache by.
    """
    room = await new_room(daemon)
    statements = Statements(server)
    for _ in range(3):
        socket = await RoomSocket.enter(daemon, room, 'Somebody New')
        await socket.close()
    assert len(statements.of(*USERS)) == 1


async def test_s0_52_entering_costs_one_page_of_history(server, daemon):
    """The page asks for the history once and enters; entering itself reads none.

    Seen red with a page of messages read when a raw socket says who it is.
    """
    room = await new_room(daemon)
    sender = await RoomSocket.enter(daemon, room, 'Sender')
    for number in range(20):
        await sender.say(f'text {number}')
    await sender.wait_messages(20)
    statements = Statements(server)
    async with Http(daemon) as http:
        assert len(await http.messages(room)) == 20
        socket = await RoomSocket.enter(daemon, room, 'Entering')
    await sender.say('last')
    await socket.wait_messages(1)
    asked = statements.take()
    pages = [text for text in asked if 'FROM public.events e' in text and 'e.content' in text]
    assert len(pages) == 1, pages
    await sender.close()
    await socket.close()
