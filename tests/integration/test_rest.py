# SPDX-License-Identifier: MIT
"""What clients of the native interface rely on beside the schemas: tags of what they change, either form of
ids, limits of pages that are one rule on every way.

RFC 9110 sections 8.8.3 and 13.1.1.
"""
import asyncio
import uuid

import pytest

from roomd_clients import Http, NativeSocket
from roomd_harness import unique
from roomd_people import PASSWORD, People, bearer, unique_login

DAEMON = {'workers': 2, 'settings': {'auth.hash_memory': '64k', 'auth.hash_passes': 1,
                                     'http.origins': 'https://app.example.org'}}
CONVERSATIONS = '/api/v1/conversations'


async def owned(http):
    """Somebody's own room: (headers, path)."""
    head = bearer((await http.new_person())['token'])
    status, room, headers = await http.ask('POST', CONVERSATIONS, {'name': unique('room')}, headers=head)
    assert status == 201 and headers['ETag']
    return head, f'{CONVERSATIONS}/{room["id"]}'


# ---------------------------------------------------------------- tags


async def test_nobody_writes_over_a_change_that_they_have_not_seen(daemon):
    """Seen red without a look at If-Match: the second change was stored."""
    async with People(daemon) as http:
        head, path = await owned(http)
        _, _, headers = await http.ask('GET', path, headers=head)
        seen = headers['ETag']
        status, room, headers = await http.ask('PATCH', path, {'description': 'mine'}, headers={**head, 'If-Match': seen})
        assert status == 200 and headers['ETag'] != seen
        mine = headers['ETag']
        status, problem, headers = await http.ask('PATCH', path, {'description': 'yours'}, headers={**head, 'If-Match': seen})
        assert (status, problem['code'], headers['ETag']) == (412, 'changed', mine)
        _, room, headers = await http.ask('GET', path, headers=head)
        assert room['description'] == 'mine' and headers['ETag'] == mine
        # slow mode is among what can be changed, and without the field nothing is compared
        for change, field in (({'slow_mode': 5}, {}), ({'slow_mode': 6}, {'If-Match': '*'})):
            assert (await http.ask('PATCH', path, change, headers={**head, **field}))[0] == 200
        status, _, headers = await http.ask('PATCH', path, {'slow_mode': 7}, headers={**head, 'If-Match': mine})
        assert status == 412
        status, _, _ = await http.ask('PATCH', path, {'slow_mode': 7},
                                      headers={**head, 'If-Match': f'"other", {headers["ETag"]}'})
        assert status == 200


async def test_of_many_changes_of_one_state_one_wins(daemon):
    """Seen red with the tag compared before the change only: several of the changes were stored."""
    async with People(daemon) as http:
        head, path = await owned(http)
        for lap in range(3):
            _, _, headers = await http.ask('GET', path, headers=head)
            fields = {**head, 'If-Match': headers['ETag']}
            changes = [{'name': unique('room'), 'description': f'{lap}.{i}', 'slow_mode': 10 * lap + i} for i in range(20)]
            answers = await asyncio.gather(*(http.ask('PATCH', path, change, headers=fields) for change in changes))
            won = [change for change, answer in zip(changes, answers) if answer[0] == 200]
            assert len(won) == 1 and sorted(answer[0] for answer in answers) == [200] + 19 * [412]
            _, room, headers = await http.ask('GET', path, headers=head)
            # all values of the winner, and none of another
            assert (room['name'], room['description']) == (won[0]['name'], won[0]['description'])


async def test_nobody_closes_what_they_have_not_seen(daemon):
    """Seen red when DELETE did not look at If-Match: the room was closed."""
    async with People(daemon) as http:
        head, path = await owned(http)
        _, _, headers = await http.ask('GET', path, headers=head)
        seen = headers['ETag']
        _, _, headers = await http.ask('PATCH', path, {'description': 'not any more'}, headers=head)
        status, problem, answered = await http.ask('DELETE', path, headers={**head, 'If-Match': seen})
        assert (status, problem['code'], answered['ETag']) == (412, 'changed', headers['ETag'])
        assert (await http.ask('GET', path, headers=head))[0] == 200
        present = {**head, 'If-Match': f'"other", {headers["ETag"]}'}
        status, _, answered = await http.ask('DELETE', path, headers=present)
        assert status == 204 and 'ETag' not in answered
        assert (await http.ask('GET', path, headers=head))[0] == 404
        head, path = await owned(http)
        assert (await http.ask('DELETE', path, headers={**head, 'If-Match': '*'}))[0] == 204


async def test_a_kind_that_cannot_be_made_is_a_fault_of_the_field(daemon):
    """Seen red when an account was told that it had no credentials."""
    async with People(daemon) as http:
        head = bearer((await http.new_person())['token'])
        for kind in ('group', 'code', 'cinema'):
            body = {'kind': kind, 'name': unique('room')}
            status, problem, _ = await http.ask('POST', CONVERSATIONS, body, headers=head)
            assert (status, problem['field']) == (422, 'kind')


async def test_nobody_writes_over_a_profile_that_they_have_not_seen(daemon):
    """Seen red without a tag of profiles, and with it compared before the change only: several were stored."""
    async with People(daemon) as http:
        made = await http.new_person()
        head, path = bearer(made['token']), '/api/v1/users/me'
        for lap in range(3):
            _, _, headers = await http.ask('GET', path, headers=head)
            fields = {**head, 'If-Match': f'"other", {headers["ETag"]}'}
            names = [f'{lap}.{i}' for i in range(10)]
            answers = await asyncio.gather(*(http.ask('PATCH', path, {'full_name': name}, headers=fields) for name in names))
            won = [name for name, answer in zip(names, answers) if answer[0] == 200]
            assert len(won) == 1 and sorted(answer[0] for answer in answers) == [200] + 9 * [412]
            assert {answer[1]['code'] for answer in answers if answer[0] == 412} == {'changed'}
            _, profile, headers = await http.ask('GET', path, headers=head)
            assert profile['full_name'] == won[0]
        seen = headers['ETag']
        for change in ({'avatar_url': 'https://example.org/é.png'}, {'full_name': None},
                       {'email': unique_login('e') + '@example.org', 'password': PASSWORD}):
            status, profile, headers = await http.ask('PATCH', path, change, headers={**head, 'If-Match': seen})
            assert status == 200 and headers['ETag'] != seen, change
            status, problem, answered = await http.ask('PATCH', path, {'full_name': 'x'}, headers={**head, 'If-Match': seen})
            assert (status, problem['code'], answered['ETag']) == (412, 'changed', headers['ETag'])
            seen = headers['ETag']
        assert (await http.ask('PATCH', path, {'full_name': 'x'}, headers={**head, 'If-Match': '*'}))[0] == 200
        assert (await http.ask('PATCH', path, {'full_name': 'y'}, headers=head))[0] == 200


@pytest.mark.parametrize('field', ['W/{}', '{}x', '', '"', 'x'])
async def test_only_the_very_tag_matches(daemon, field):
    async with People(daemon) as http:
        head, path = await owned(http)
        _, _, headers = await http.ask('GET', path, headers=head)
        # a weak tag never matches (RFC 9110 section 13.1.1)
        fields = {**head, 'If-Match': field.format(headers['ETag'])}
        assert (await http.ask('PATCH', path, {'description': 'x'}, headers=fields))[0] == 412


async def test_messages_leave_the_tag_alone(daemon):
    """Seen red with the tag of the whole answer: every message was a change."""
    async with People(daemon) as http:
        head, path = await owned(http)
        _, _, headers = await http.ask('GET', path, headers=head)
        assert (await http.ask('POST', path + '/messages', {'content': 'hello'}, headers=head))[0] == 201
        _, room, later = await http.ask('GET', path, headers=head)
        assert room['seq'] == 1 and later['ETag'] == headers['ETag']


async def test_rights_come_before_the_tag(daemon):
    async with People(daemon) as http:
        _, path = await owned(http)
        stranger = bearer((await http.new_person())['token'])
        status, _, _ = await http.ask('PATCH', path, {'name': 'x'}, headers={**stranger, 'If-Match': '"x"'})
        assert status == 403


async def test_pages_of_listed_origins_may_compare(daemon):
    """Seen red without If-Match among the fields that a page may send."""
    async with People(daemon) as http:
        fields = {'Origin': 'https://app.example.org', 'Access-Control-Request-Method': 'PATCH'}
        _, _, headers = await http.ask('OPTIONS', CONVERSATIONS + '/1', headers=fields)
        assert 'If-Match' in headers['Access-Control-Allow-Headers']
        _, _, headers = await http.ask('GET', CONVERSATIONS, headers={'Origin': 'https://app.example.org'})
        exposed = {name.strip() for name in headers['Access-Control-Expose-Headers'].split(',')}
        assert {'ETag', 'Age', 'X-Roomd-Stale', 'Retry-After', 'X-Request-Id'} <= exposed


# ---------------------------------------------------------------- ids


async def test_people_are_named_by_number_or_uuid(daemon):
    """Seen red when only numbers were looked at: 404 and 422."""
    async with People(daemon) as http:
        head, path = await owned(http)
        made = await http.new_person()
        person, one = made['user'], f'{path}/members/{made["user"]["uid"]}'
        status, member, _ = await http.ask('POST', path + '/members', {'user': person['uid']}, headers=head)
        assert status == 200 and member['user']['id'] == person['id'] and member['role'] == 'member'
        status, member, _ = await http.ask('PATCH', one, {'role': 'moderator'}, headers=head)
        assert status == 200 and member['user']['id'] == person['id'] and member['role'] == 'moderator'
        status, member, _ = await http.ask('PATCH', one, {'muted': True}, headers=head)
        assert status == 200 and member['muted']
        body = {'conversation_id': int(path.rpartition('/')[2]), 'user_id': person['uid'], 'reason': 'rude'}
        status, report, _ = await http.ask('POST', '/api/v1/reports', body, headers=head)
        assert status == 201 and report['user']['id'] == person['id']
        # one's own UUID is oneself: to leave is no kick
        status, _, _ = await http.ask('DELETE', one, headers=bearer(made['token']))
        assert status == 200
        assert (await http.ask('DELETE', one, headers=head))[0] in (200, 404)


async def test_uuids_of_nobody_are_not_found(daemon):
    async with People(daemon) as http:
        head, path = await owned(http)
        for user in (str(uuid.UUID(int=1)), 'none', '0', '-1'):
            status, problem, _ = await http.ask('PATCH', f'{path}/members/{user}', {'muted': True}, headers=head)
            assert (status, problem['code']) == (404, 'not_found'), user
        status, _, _ = await http.ask('POST', path + '/members', {'user': str(uuid.uuid4())}, headers=head)
        assert status == 404
        for user in ('none', -1, 0, None, [], '12345678-1234-1234-1234-12345678901'):
            status, problem, _ = await http.ask('POST', path + '/members', {'user': user}, headers=head)
            assert (status, problem['field']) == (422, 'user'), user
        for session in ('abc', '1', str(uuid.uuid4())):
            assert (await http.ask('DELETE', f'/api/v1/sessions/{session}', headers=head))[0] == 404


# ---------------------------------------------------------------- pages


async def test_more_than_a_page_is_a_page_on_every_way(daemon):
    """Seen red when a socket refused 1001 and more, and REST did not."""
    async with Http(daemon) as http:
        room = await http.new_room()
        async with await NativeSocket.hello(daemon, unique('Reader')) as socket:
            await socket.sub(room['id'])
            for i in range(3):
                assert (await socket.say(room['id'], f'm{i}'))['op'] == 'ok'
            for limit, there in ((1, 1), (200, 3), (201, 3), (1000, 3), (1001, 3), (9999, 3), (2 ** 62, 3)):
                answer = await socket.ask('history', c=room['id'], limit=limit)
                assert answer['op'] != 'err' and len(answer['messages']) == there, answer
                status, page, _ = await http.ask('GET', f'{CONVERSATIONS}/{room["id"]}/messages?limit={limit}')
                assert status == 200 and len(page['messages']) == there
            for limit in (0, -1):
                assert (await socket.ask('history', c=room['id'], limit=limit))['code'] == 'invalid'
                status, _, _ = await http.ask('GET', f'{CONVERSATIONS}/{room["id"]}/messages?limit={limit}')
                assert status == 422
            answer = await socket.ask('sync', cursor=socket.welcome['cursor'], limit=2 ** 62)
            assert answer['op'] != 'err', answer
