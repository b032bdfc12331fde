# SPDX-License-Identifier: MIT
"""Requests about members, reports and the audit log for test_contract.py.

A stage is a room with an owner, a person who is read-only in it, and a stranger who may only visit.
"""
from roomd_contract_accounts import BROKEN, FOREIGN, TEXT, fields_of, signed_in
from roomd_harness import unique
from roomd_people import bearer

CONVERSATIONS, REPORTS, AUDIT = '/api/v1/conversations', '/api/v1/reports', '/api/v1/audit'
ONE = CONVERSATIONS + '/{id}'
MEMBERS, MEMBER = ONE + '/members', ONE + '/members/{user}'
GONE = CONVERSATIONS + '/2000000000'


async def stage_of(scene):
    stage = {'owner': await scene.person(), 'reader': await scene.person(), 'visitor': await scene.person()}
    head = bearer(stage['owner']['token'])
    stage['room'] = await scene.ask('POST', CONVERSATIONS, {'name': unique('stage')}, headers=head)
    stage['path'] = f'{CONVERSATIONS}/{stage["room"]["id"]}'
    stage['member'] = f'{stage["path"]}/members/{stage["reader"]["user"]["id"]}'
    await scene.ask('POST', f'{stage["path"]}/members',
                    {'user': stage['reader']['user']['id'], 'role': 'read-only'}, headers=head)
    return stage


def by(who, target, body=None, first=None):
    """As WHO of a stage; TARGET and BODY are made of it, after FIRST was done."""
    async def prepare(scene):
        stage = await stage_of(scene)
        if first:
            await first(scene, stage)
        made = body(stage) if callable(body) else body
        return {'fields': fields_of(stage[who]), 'target': target(stage), 'body': made}
    return prepare


def at(suffix=''):
    return lambda stage: stage['path'] + suffix


def member(stage):
    return stage['member']


def myself(stage):
    return f'{stage["path"]}/members/{stage["owner"]["user"]["id"]}'


async def administrator(scene):
    person = await scene.person()
    scene.execute('UPDATE users SET is_admin = true WHERE id = %s', person['user']['id'])
    return {'fields': fields_of(await scene.ask(
        'POST', '/api/v1/auth/login', {'username': person['user']['username'], 'password': 'correct horse battery'}))}


def report_of(stage):
    return {'conversation_id': stage['room']['id'], 'user_id': stage['owner']['user']['id'], 'reason': 'rude'}


async def reported(scene, stage):
    report = await scene.ask('POST', REPORTS, report_of(stage), headers=bearer(stage['reader']['token']))
    stage['report'] = f'{REPORTS}/{report["id"]}'


async def resolved(scene, stage):
    await reported(scene, stage)
    await scene.ask('PATCH', stage['report'], {'status': 'resolved'}, headers=bearer(stage['owner']['token']))


async def banned(scene, stage):
    await scene.ask('PATCH', f'{stage["path"]}/members/{stage["visitor"]["user"]["id"]}',
                    {'role': 'banned', 'for': 60, 'reason': 'spam'}, headers=bearer(stage['owner']['token']))


def taken(stage):
    return {'name': stage['taken']}


async def with_another(scene, stage):
    other = await scene.ask('POST', CONVERSATIONS, {'name': unique('stage')},
                            headers=bearer(stage['owner']['token']))
    stage['taken'] = other['name']


def cases(Case):
    """The list, of test_contract's own class."""
    change = {'name': 'renamed', 'description': 'of late', 'slow_mode': 0}
    mute = {'muted': True, 'for': 60, 'reason': 'loud'}
    report = lambda stage: stage['report']  # noqa: E731
    somebody = lambda stage: {'user': stage['visitor']['user']['id']}  # noqa: E731

    # writing, with a body: (method, path, status, target, body, who may, a bad body, without credentials)
    for method, path, status, target, body, who, bad in (
            ('PATCH', ONE, 200, at(), lambda stage: dict(change, name=unique('renamed')), 'owner', {'slow_mode': -1}),
            ('POST', MEMBERS, 200, at('/members'), somebody, 'owner', {'user': True}),
            ('PATCH', MEMBER, 200, member, mute, 'owner', {'role': 'king'}),
            ('POST', REPORTS, 201, lambda stage: REPORTS, report_of, 'reader', {'reason': ''})):
        gone = REPORTS if path == REPORTS else GONE + path[len(ONE):].replace('{user}', '1')
        lost = {'conversation_id': 2000000000, 'user_id': 1, 'reason': 'x'} if path == REPORTS else \
            {'user': 1, 'role': 'member'} if path == MEMBERS else {'muted': True} if path == MEMBER else change
        yield Case(method, path, status, prepare=by(who, target, body))
        yield Case(method, path, 400, prepare=signed_in(BROKEN, gone))
        if path == ONE:
            yield Case(method, path, 401, body=change, state='members_only', target=gone)
        else:
            yield Case(method, path, 401, body=lost, target=gone)
        yield Case(method, path, 403, FOREIGN, body=lost, target=gone)
        if path != REPORTS:
            yield Case(method, path, 403, prepare=by('visitor', target, body))
        yield Case(method, path, 404, prepare=signed_in(lost, gone))
        yield Case(method, path, 415, TEXT, prepare=signed_in(lost, gone))
        yield Case(method, path, 422, body=bad, prepare=signed_in(bad, gone))
        yield Case(method, path, 503, state='no_database', prepare=signed_in(lost, gone))
    yield Case('PATCH', ONE, 409, prepare=by('owner', at(), taken, with_another))
    yield Case('PATCH', ONE, 412, 'If-Match: "0000000000000000"', prepare=by('owner', at(), change))
    yield Case('DELETE', ONE, 412, 'If-Match: "0000000000000000"', prepare=by('owner', at()))
    yield Case('PATCH', MEMBER, 409, prepare=by('owner', myself, {'role': 'member'}))
    yield Case('PATCH', MEMBER, 200, prepare=by('owner', member, {'role': 'banned', 'for': 60, 'reason': 'spam'}))

    # writing, without a body
    for method, path, status, target, who, refused in (
            ('DELETE', ONE, 204, at(), 'owner', by('visitor', at())),
            ('DELETE', MEMBER, 200, member, 'owner', by('visitor', member)),
            ('POST', ONE + '/join', 200, at('/join'), 'visitor', by('reader', at('/join'), first=None)),
            ('POST', ONE + '/leave', 200, at('/leave'), 'reader', by('visitor', at('/leave'), first=banned))):
        gone = GONE + path[len(ONE):].replace('{user}', '1')
        yield Case(method, path, status, prepare=by(who, target))
        yield Case(method, path, 401, target=gone, **({'state': 'members_only'} if path == ONE else {}))
        yield Case(method, path, 403, prepare=refused)
        yield Case(method, path, 404, prepare=signed_in(target=gone))
        yield Case(method, path, 503, state='no_database', prepare=signed_in(target=gone))
    yield Case('DELETE', MEMBER, 409, prepare=by('owner', myself))
    yield Case('POST', ONE + '/leave', 409, prepare=by('owner', at('/leave')))

    # lists
    for path, target, who, refused in (
            (MEMBERS, '/members', 'visitor', by('visitor', at('/members?banned=1'))),
            (ONE + '/reports', '/reports', 'owner', by('visitor', at('/reports')))):
        yield Case('GET', path, 200, prepare=by(who, at(target)))
        yield Case('GET', path, 401, target=GONE + target, **({'state': 'members_only'} if path == MEMBERS else {}))
        yield Case('GET', path, 403, prepare=refused)
        yield Case('GET', path, 404, prepare=signed_in(target=GONE + target))
        yield Case('GET', path, 422, prepare=by(who, at(target + '?limit=0')))
        yield Case('GET', path, 503, state='no_database', prepare=signed_in(target=GONE + target))
    yield Case('GET', MEMBERS, 200, prepare=by('owner', at('/members?banned=1'), first=banned))
    yield Case('GET', ONE + '/reports', 200, prepare=by('owner', at('/reports?status=open'), first=reported))
    for path in (REPORTS, AUDIT):
        yield Case('GET', path, 200, prepare=administrator)
        yield Case('GET', path, 401)
        yield Case('GET', path, 403, prepare=signed_in())
        yield Case('GET', path, 422, query='?limit=0', prepare=administrator)
        yield Case('GET', path, 503, state='no_database', prepare=administrator)

    # a report's end
    one = REPORTS + '/{id}'
    done, lost = {'status': 'resolved', 'note': 'talked'}, f'{REPORTS}/2000000000'
    yield Case('PATCH', one, 200, prepare=by('owner', report, done, reported))
    yield Case('PATCH', one, 400, prepare=signed_in(BROKEN, lost))
    yield Case('PATCH', one, 401, body=done, target=lost)
    yield Case('PATCH', one, 403, prepare=by('visitor', report, done, reported))
    yield Case('PATCH', one, 404, prepare=signed_in(done, lost))
    yield Case('PATCH', one, 409, prepare=by('owner', report, done, resolved))
    yield Case('PATCH', one, 415, TEXT, prepare=signed_in(done, lost))
    yield Case('PATCH', one, 422, body={'status': 'open'}, prepare=signed_in({'status': 'open'}, lost))
    yield Case('PATCH', one, 503, state='no_database', prepare=signed_in(done, lost))
