# SPDX-License-Identifier: MIT
"""What entering and sending cost: counted in the log of a PostgreSQL server of its own. S0-51, S0-52."""
import asyncio
import json
import re

import pytest

from roomd_clients import Http, NativeSocket, RoomSocket, eventually
from roomd_harness import Daemon, run_roomd
from roomd_people import People
from roomd_postgres import Postgres
from roomd_raw import Link


@pytest.fixture(scope='module')
def server():
    one = Postgres()
    try:
        one.start('log_statement=all', 'log_line_prefix=%d|')
        yield one
    finally:
        one.remove()


@pytest.fixture(scope='module')
def database(server):
    return server.new_database()


@pytest.fixture(scope='module')
def daemon(server, database):
    # nobody is looked for but by those who speak
    one = Daemon(server.url(database), name=__name__, workers=1,
                 settings={'auth.revocation_check': '60s', 'auth.hash_memory': '64k', 'auth.hash_passes': 1})
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


TAIL = """insert into events (conversation_id, rev, seq, actor_id, at, client_msg_id, kind, target_rev, key)
    select conversation_id, rev + n, seq, actor_id, at, gen_random_uuid(), 5, rev, 'e' || n
    from events, generate_series(1, 2000) n where conversation_id = %s and rev = 5"""
OTHERS = """insert into events (conversation_id, rev, seq, actor_id, at, client_msg_id, kind, content)
    select %s, n, n, 0, now(), gen_random_uuid(), 1, 'among many' from generate_series(1, 30000) n"""
PAGES = {'conversation_get': '{0}, null, 0', 'conversation_list': '0, 1, {0} - 1, 1',
         'messages_page_raw': '{0}, 9999, 100', 'messages_page_native': '{0}, 9999, 50, 0, 0'}


def thrown_away(plan):
    """Rows that a plan read and did not want."""
    return plan.get('Rows Removed by Filter', 0) * plan['Actual Loops'] + sum(map(thrown_away, plan.get('Plans', [])))


async def test_s4_20_nobody_walks_through_what_was_done_to_messages(server, daemon):
    """Pages and the last message of a room whose log ends in 2,000 reactions. Seen red: without NEWEST_MESSAGE
    each statement throws 2,000 rows away."""
    database = re.search(r'dbname=(\w+)', daemon.settings['database.url'])[1]
    texts = {row['name']: row['sql'] for row in json.loads(run_roomd('--describe', 'statements').stdout)}
    room, other = await new_room(daemon), await new_room(daemon)
    async with await NativeSocket.hello(daemon, 'Alice') as alice, Http(daemon) as http:
        await alice.sub(room)
        for number in range(1, 6):
            assert (await alice.say(room, f'text {number}'))['op'] == 'ok'
        with server.connect(database) as sql:
            sql.execute(TAIL, (room,))
            sql.execute(OTHERS, (other,))
            sql.execute("update events set deleted_at = now() where conversation_id = %s and rev = 5", (room,))
            sql.execute('analyze events')
            for name, values in PAGES.items():
                sql.execute(f'prepare {name} as {texts[name]}')
                explained = sql.execute(f'explain (analyze, format json) execute {name}({values.format(room)})')
                assert thrown_away(explained.fetchone()[0][0]['Plan']) < 200, name
        _, shown, _ = await http.ask('GET', f'/api/v1/conversations/{room}')
        assert (shown['rev'], shown['seq'], shown['last_message']['preview']) == (2005, 5, 'text 4')
        page = await alice.ask('history', c=room, limit=2)
        assert [(one['seq'], one['content']) for one in page['messages']] == [(4, 'text 4'), (5, None)]
        assert (page['has_before'], page['has_after'], page['rev'], page['seq']) == (True, False, 2005, 5)
        page = await alice.ask('history', c=room, after=3, limit=9)
        assert [one['seq'] for one in page['messages']] == [4, 5] and page['has_after'] is False
        assert [one['content'] for one in await http.messages(room)] == [f'text {n}' for n in range(1, 5)]


async def test_a_resumed_session_asks_for_its_conversations_together(server, daemon):
    """What is unread and who has read how far, for thirty conversations. Seen red with a question for each."""
    rooms = [await new_room(daemon) for _ in range(30)]
    socket = await NativeSocket.hello(daemon, 'Nina')
    for room in rooms:
        await socket.sub(room)
        assert (await socket.say(room, 'text'))['op'] == 'ok'
    cursor = (await socket.ask('ping'))['cursor']
    await socket.close()
    statements = Statements(server)
    back = await NativeSocket.hello(daemon, 'Nina', resume=cursor)
    for room in rooms:
        assert (await back.expect(op='live', c=room))['unread'] == 0
    asked = [text for text in statements.take() if 'unread_of(' in text or 'm.marks_at >=' in text]
    assert 2 <= len(asked) <= 8, asked
    await back.close()


async def test_pages_that_come_back_together_are_one_question(server, database, daemon):
    """Cookies that the database has to vouch for again: the first page asks, those that come meanwhile are one more.

    Seen red with renew_flush not waiting for the answer under way.
    """
    count = 12
    async with People(daemon) as http:
        name = (await http.new_person())['user']['username']
        cookies = [(await http.page_login(name)).value for _ in range(count)]
        before = daemon.log_length()
        daemon.reload(**{'auth.session_ttl': '9d'})  # a cookie made under another one is looked at again
        await asyncio.to_thread(daemon.wait_log, 'settings switched', before)
        statements = Statements(server)
        links = [await Link.open(daemon) for _ in range(count)]

        async def ask(link, cookie):
            await link.request('GET', '/api/v1/users/me', [f'Cookie: session={cookie}'])
        with server.connect(database) as other:
            other.autocommit = False
            other.execute('LOCK TABLE sessions')
            await ask(links[0], cookies[0])

            async def is_waiting():
                with server.connect('postgres') as look:
                    return look.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                                        " AND query LIKE '%UPDATE public.sessions%'").fetchone()[0] > 0
            await eventually(is_waiting, 'the first question waits')
            for link, cookie in zip(links[1:], cookies[1:]):
                await ask(link, cookie)
            for _ in range(3):  # what came before has been read
                assert (await http.ask('GET', '/api/v1/limits'))[0] == 200
            other.commit()
        for link in links:
            answer = await link.answer()
            assert answer.status == 200 and 'session=' in answer['set-cookie'], answer.body
            await link.close()
        asked = [text for text in statements.take() if 'UPDATE public.sessions' in text and "'cookie'" in text]
        assert len(asked) == 2, asked
