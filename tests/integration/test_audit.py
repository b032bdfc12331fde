# SPDX-License-Identifier: MIT
"""The audit log: what is in it, that nobody changes it unseen, and how it gets out. S3-41."""
import json
import subprocess

import psycopg
import pytest

from roomd_clients import eventually
from roomd_harness import BIN, unique
from roomd_people import People, bearer
from test_roles import CHEAP, act, guest_at, room_of

ROOMCTL = BIN.parent / 'roomctl'
DAEMON = {'settings': CHEAP, 'workers': 1}


def roomctl(daemon, *arguments):
    return subprocess.run([ROOMCTL, '-c', daemon.dir / 'roomd.conf', 'audit', *arguments],
                          capture_output=True, text=True)


def exported(daemon, *arguments):
    done = roomctl(daemon, *arguments)
    assert (done.returncode, done.stderr) == (0, '')
    return [json.loads(line) for line in done.stdout.splitlines()]


async def moderated(http, rows):
    """A room with an act of moderation in it: (room, boss, guest)."""
    room, path, boss = await room_of(http)
    socket, guest = await guest_at(http, rows, room)
    await act(http, 'PATCH', f'{path}/members/{guest}', boss['token'],
              {'role': 'banned', 'for': 600, 'reason': 'spam'})
    await socket.closed()
    return room, boss, guest


async def test_s3_41_who_what_when_from_where(daemon, rows):
    async with People(daemon) as http:
        room, boss, guest = await moderated(http, rows)
    entry = next(e for e in exported(daemon) if e['conversation_id'] == room and e['action'] == 'member.role')
    assert entry['actor']['id'] == boss['user']['id'] and entry['target']['id'] == guest
    assert entry['detail']['role'] == 'banned' and entry['detail']['reason'] == 'spam'
    assert entry['detail']['address'] == '127.0.0.1' and entry['detail']['until']
    assert entry['at'].endswith('Z') and len(entry['hash']) == 64
    assert exported(daemon, str(entry['id'] - 1))[0] == entry


async def test_s3_41_administrators_read_it_others_do_not(daemon, rows):
    async with People(daemon) as http:
        room, boss, guest = await moderated(http, rows)
        status, answer, _ = await http.ask('GET', '/api/v1/audit', headers=bearer(boss['token']))
        assert status == 403, answer
        assert (await http.ask('GET', '/api/v1/audit'))[0] == 401
        rows('UPDATE users SET is_admin = true WHERE id = %s RETURNING id', boss['user']['id'])
        token = (await http.login(boss['user']['username']))[1]['token']
        page = await act(http, 'GET', f'/api/v1/audit?conversation={room}&limit=1', token)
        assert len(page['entries']) == 1 and page['next'] == page['entries'][0]['id']
        page = await act(http, 'GET', f'/api/v1/audit?conversation={room}&action=member.role', token)
        assert [e['target']['id'] for e in page['entries']] == [guest]


async def test_s3_41_rows_are_chained_by_the_daemon(daemon, rows):
    """Seen red with audit_look doing nothing."""
    async with People(daemon) as http:
        room, _, _ = await moderated(http, rows)
        await eventually(lambda: rows(
            'SELECT 1 FROM audit_chain c JOIN audit a ON a.id = c.audit_id WHERE a.conversation_id = %s'
            " AND a.action = 'member.role'", room), 'the row is chained')
    assert roomctl(daemon, '--verify').returncode == 0


@pytest.mark.parametrize('table', ['audit', 'audit_chain'])
def test_s3_41_append_only(daemon, postgres, database, table):
    with postgres.connect(database) as connection:
        for what in (f'DELETE FROM {table}', f'TRUNCATE {table} CASCADE',
                     f'UPDATE {table} SET {"action" if table == "audit" else "hash"} = DEFAULT'):
            if 'DELETE' in what or 'UPDATE' in what:
                what += ' WHERE true'
            with pytest.raises(psycopg.Error):
                connection.execute(what)
            connection.rollback()


FORGERIES = {
    'changed': "UPDATE audit SET detail = '{}' WHERE id = (SELECT max(audit_id) - 1 FROM audit_chain)",
    'missing': 'DELETE FROM audit WHERE id = (SELECT audit_id FROM audit_chain ORDER BY n OFFSET 1 LIMIT 1)',
    'gap': 'DELETE FROM audit_chain WHERE n = 2',
}


@pytest.mark.parametrize('problem', FORGERIES)
async def test_s3_41_a_forger_with_the_owners_rights_is_found_out(start_daemon, postgres, problem):
    """Who switches the triggers off cannot make the chain fit.

    The counter-proof is the same check before the forgery.
    """
    daemon = start_daemon(settings=CHEAP, workers=1)
    with postgres.connect(daemon.database) as connection:
        def rows(text, *values):
            answer = connection.execute(text, values).fetchall()
            connection.commit()
            return answer
        async with People(daemon) as http:
            for _ in range(2):
                await moderated(http, rows)
        whole = roomctl(daemon, '--verify')
        assert whole.returncode == 0 and ' 0 faults' in whole.stdout, whole.stdout
        connection.execute("SET session_replication_role = 'replica'")
        assert connection.execute(FORGERIES[problem]).rowcount == 1
        connection.execute("SET session_replication_role = 'origin'")
        connection.commit()
    done = roomctl(daemon, '--verify', '--json')
    assert done.returncode == 1, done.stdout
    found = json.loads(done.stdout)
    assert not found['ok'] and problem in {fault['problem'] for fault in found['faults']}


def test_s3_41_wrong_calls_of_roomctl(daemon):
    assert roomctl(daemon, 'yesterday').returncode == 64
    done = subprocess.run([ROOMCTL, 'verify', '--verify'], capture_output=True, text=True)
    assert done.returncode == 64 and 'belongs to "audit"' in done.stderr
