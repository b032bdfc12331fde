# SPDX-License-Identifier: MIT
"""Accounts that go: what names the person is gone, what was said stays, and nobody is signed in any more."""
import pytest

from roomd_clients import NativeSocket, RoomSocket, eventually
from roomd_harness import unique
from roomd_people import PASSWORD, People, bearer

DAEMON = {'workers': 2, 'settings': {'auth.hash_memory': '64k', 'auth.hash_passes': 1}}
ME = '/api/v1/users/me'


async def test_who_has_gone_is_made_a_member_of_nothing(daemon):
    """Seen red when any number of a user would do: the owner of a room was somebody who had gone."""
    async with People(daemon) as http:
        owner, gone, here = [await http.new_person() for _ in range(3)]
        status, _, _ = await http.ask('DELETE', ME, {'password': PASSWORD}, headers=bearer(gone['token']))
        assert status == 204
        head = bearer(owner['token'])
        _, room, _ = await http.ask('POST', '/api/v1/conversations', {'name': unique('room')}, headers=head)
        path = f'/api/v1/conversations/{room["id"]}/members'
        for name in (gone['user']['id'], gone['user']['uid'], 2000000000):
            status, problem, _ = await http.ask('POST', path, {'user': name, 'role': 'owner'}, headers=head)
            assert (status, problem['code']) == (404, 'not_found'), problem
        status, member, _ = await http.ask('POST', path, {'user': here['user']['uid'], 'role': 'owner'}, headers=head)
        assert (status, member['role']) == (200, 'owner')


async def test_an_account_goes_with_its_password(daemon, rows):
    """Seen red with the name kept, and with the leaving not announced."""
    async with People(daemon) as http:
        email = 'somebody.who.goes@example.org'
        made = await http.new_person(email=email, full_name='Somebody Who Goes')
        head, user, name = bearer(made['token']), made['user']['id'], made['user']['username']
        status, room, _ = await http.ask('POST', '/api/v1/conversations', {'name': f'room of {name}'}, headers=head)
        assert status == 201
        cookie = (await http.page_login(name)).value
        path = f'/api/v1/conversations/{room["id"]}'
        status, sent, _ = await http.ask('POST', f'{path}/messages', {'content': 'what I said'}, headers=head)
        assert status == 201
        mine = await NativeSocket.open(daemon, '/ws', worker=0, subprotocols=['roomd.v1'])
        assert (await mine.ask('hello', token=made['token']))['op'] == 'welcome'
        page = await RoomSocket.enter(daemon, room['id'], 'Witness', worker=1)
        other = await NativeSocket.hello(daemon, 'Other', worker=1)
        await other.sub(room['id'])

        for body, code in (({}, 'invalid'), ({'password': 'not it'}, 'bad_password')):
            status, problem, _ = await http.ask('DELETE', ME, body, headers=head)
            assert status in (403, 422) and problem['code'] == code
        assert (await http.me(made['token']))[0] == 200
        status, _, headers = await http.ask('DELETE', ME, {'password': PASSWORD}, headers=head)
        assert status == 204

        assert (await mine.closed())[0] == 4401
        await other.expect(op='ev', t='member.leave')
        assert (await http.me(made['token']))[0] == 401
        assert (await http.by_cookie('GET', ME, cookie))[0] == 401
        refresh = {'refresh_token': made['refresh_token']}
        assert (await http.ask('POST', '/api/v1/auth/refresh', refresh))[0] == 401
        for login in (name, email):
            body = {'username': login, 'password': PASSWORD}
            assert (await http.ask('POST', '/api/v1/auth/login', body))[0] == 401

        # what was said is there, by nobody in particular
        status, history, _ = await http.ask('GET', f'{path}/messages')
        said = [one for one in history['messages'] if one['id'] == sent['id']]
        assert said[0]['content'] == 'what I said' and said[0]['sender']['name'] == 'Deleted user'
        status, profile, _ = await http.ask('GET', f'/api/v1/users/{user}')
        assert status == 200 and profile['name'] == 'Deleted user' and not profile['full_name']
        for text in (name, email, 'Somebody Who Goes'):
            assert text not in str(profile) and text not in str(history)
            assert rows(f"SELECT count(*) FROM users u WHERE strpos(u::text, '{text}') > 0") == [(0,)]
        assert rows(f'SELECT count(*) FROM sessions WHERE user_id = {user} AND (device IS NOT NULL'
                    ' OR address IS NOT NULL OR revoked_at IS NULL)') == [(0,)]
        assert rows(f"SELECT count(*) FROM audit WHERE action = 'account.erase' AND actor_id = {user}") == [(1,)]

        # the names are free
        assert (await http.register(name, email=email))[0] == 201
        await page.close()
        await other.close()


async def test_an_administrator_and_a_second_factor_go_too(daemon, rows, postgres, database):
    async with People(daemon) as http:
        made = await http.new_person()
        user = made['user']['id']
        with postgres.connect(database) as connection:
            connection.execute('UPDATE users SET is_admin = true WHERE id = %s', (user,))
        status, _, _ = await http.ask('POST', '/api/v1/auth/totp/enroll', headers=bearer(made['token']))
        assert status == 200
        status, _, _ = await http.ask('DELETE', '/api/users/me', {'password': PASSWORD}, headers=bearer(made['token']))
        assert status == 204
        assert rows(f'SELECT is_admin, disabled_at IS NULL, password_hash FROM users WHERE id = {user}') == [
            (False, False, None)]
        assert rows(f'SELECT count(*) FROM totp_secrets WHERE user_id = {user}') == [(0,)]


@pytest.mark.parametrize('people, heir', [
    (('member', 'read-only', 'moderator', 'admin', 'admin'), 3), (('member', 'moderator', 'read-only'), 1),
    (('read-only', 'member', 'member'), 1), (('owner', 'admin'), None), (('read-only',), None), ((), None)])
async def test_the_last_owner_is_followed_by_somebody(daemon, people, heir):
    """Seen red with account_erase as it was before: the conversation was left without an owner."""
    async with People(daemon) as http:
        owner, others = await http.new_person(), [await http.new_person() for _ in people]
        _, room, _ = await http.ask('POST', '/api/v1/conversations', {'name': unique('heirs')},
                                    headers=bearer(owner['token']))
        path = f'/api/v1/conversations/{room["id"]}'
        for one, role in zip(others, people):
            status, body, _ = await http.ask('POST', f'{path}/members', {'user': one['user']['id'], 'role': role},
                                             headers=bearer(owner['token']))
            assert status == 200, body
        watcher = await NativeSocket.hello(daemon, 'Witness', worker=1)
        await watcher.sub(room['id'])
        assert (await http.ask('DELETE', ME, {'password': PASSWORD}, headers=bearer(owner['token'])))[0] == 204

        await watcher.expect(op='ev', t='member.leave')
        roles = [event['d'] for event in watcher.events(room['id']) if event['t'] == 'member.role']
        assert [one['user']['id'] for one in roles] == ([] if heir is None else [others[heir]['user']['id']])
        _, body, _ = await http.ask('GET', f'{path}/members')
        found = {one['user']['id']: one['role'] for one in body['members']}
        assert found == {one['user']['id']: 'owner' if i == heir else role
                         for i, (one, role) in enumerate(zip(others, people))}
        _, now, _ = await http.ask('GET', path)
        is_owned = 'owner' in found.values()
        assert (now['created_by'] is None) == (not is_owned)
        # what nobody owns may be closed by whoever is there, as a room that was made without an account
        await eventually(lambda: closed_by(http, path, others[heir or 0]['token'] if is_owned else None),
                         'the right to close')
        await watcher.close()


async def closed_by(http, path, token):
    """Whether it could be closed: the right is everywhere within a second."""
    return (await http.ask('DELETE', path, headers=bearer(token) if token else {}))[0] == 204


async def test_blocks_go_both_ways(daemon, rows):
    """Seen red with the blocks by others kept."""
    async with People(daemon) as http:
        one, other, third = [await http.new_person() for _ in range(3)]
        for who, whom in ((one, other), (other, one), (other, third), (third, one)):
            assert (await http.ask('PUT', f'/api/v1/users/me/blocks/{whom["user"]["id"]}',
                                   headers=bearer(who['token'])))[0] in (200, 201, 204)
        assert (await http.ask('DELETE', ME, {'password': PASSWORD}, headers=bearer(one['token'])))[0] == 204
        assert rows(f'SELECT user_id, blocked_id FROM user_blocks WHERE user_id >= {one["user"]["id"]}') == [
            (other['user']['id'], third['user']['id'])]
        _, body, _ = await http.ask('GET', '/api/v1/users/me/blocks', headers=bearer(other['token']))
        assert 'Deleted user' not in str(body)


async def test_nobody_else_can_be_made_to_go(daemon):
    async with People(daemon) as http:
        made, other = await http.new_person(), await http.new_person()
        assert (await http.ask('DELETE', ME, {'password': PASSWORD}))[0] == 401
        assert (await http.ask('DELETE', f'/api/v1/users/{other["user"]["id"]}', {'password': PASSWORD},
                               headers=bearer(made['token'])))[0] == 405
        assert (await http.me(other['token']))[0] == 200
