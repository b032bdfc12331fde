# SPDX-License-Identifier: MIT
"""Requests about content filters for test_contract.py, on the stages of roomd_contract_moderation.py.

What they make only flags, and words that nobody says.
"""
from roomd_contract_accounts import BROKEN, FOREIGN, TEXT, signed_in
from roomd_contract_moderation import GONE, ONE, administrator, at, by
from roomd_harness import unique
from roomd_people import bearer

FILTERS = '/api/v1/filters'
ROOM_FILTERS = ONE + '/filters'
BAD = {'kind': 'x', 'action': 'flag', 'pattern': 'y'}


def form(*_):
    return {'kind': 'word', 'action': 'flag', 'pattern': unique('never').replace(' ', ''), 'reason': 'odd'}


async def made(scene, stage):
    stage['form'] = form()
    one = await scene.ask('POST', f'{stage["path"]}/filters', stage['form'], headers=bearer(stage['owner']['token']))
    stage['filter'] = f'{stage["path"]}/filters/{one["id"]}'


def as_admin(body=None, target=None, is_made=False):
    """TARGET None and IS_MADE: the filter that was made before, or its form again."""
    async def prepare(scene):
        fields = (await administrator(scene))['fields']
        one = {}
        content = body() if callable(body) else body
        if is_made:
            again = form()
            one = await scene.ask('POST', FILTERS, again,
                                  headers=dict([field.split(': ', 1) for field in fields]))
            content = again if body else None
        return {'fields': fields, 'body': content,
                'target': target or (FILTERS if body or not is_made else f'{FILTERS}/{one["id"]}')}
    return prepare


def cases(Case):
    """The list, of test_contract's own class."""
    gone = GONE + '/filters'
    for path, lost, right, wrong in (
            (ROOM_FILTERS, gone, by('owner', at('/filters')), by('visitor', at('/filters'))),
            (FILTERS, FILTERS, as_admin(), signed_in(target=FILTERS))):
        yield Case('GET', path, 200, prepare=right)
        yield Case('GET', path, 401, target=lost)
        yield Case('GET', path, 403, prepare=wrong)
        yield Case('GET', path, 503, state='no_database', prepare=signed_in(target=lost) if lost == gone else right)
    yield Case('GET', ROOM_FILTERS, 404, prepare=signed_in(target=gone))

    yield Case('POST', ROOM_FILTERS, 201, prepare=by('owner', at('/filters'), form))
    yield Case('POST', ROOM_FILTERS, 400, prepare=by('owner', at('/filters'), BROKEN))
    yield Case('POST', ROOM_FILTERS, 401, body=form(), target=gone)
    yield Case('POST', ROOM_FILTERS, 403, FOREIGN, body=form(), target=gone)
    yield Case('POST', ROOM_FILTERS, 403, prepare=by('visitor', at('/filters'), form))
    yield Case('POST', ROOM_FILTERS, 404, prepare=signed_in(form(), gone))
    yield Case('POST', ROOM_FILTERS, 409, prepare=by('owner', at('/filters'), lambda stage: stage['form'], made))
    yield Case('POST', ROOM_FILTERS, 415, TEXT, prepare=by('owner', at('/filters'), form))
    yield Case('POST', ROOM_FILTERS, 422, prepare=by('owner', at('/filters'), BAD))
    yield Case('POST', ROOM_FILTERS, 503, state='no_database', prepare=signed_in(form(), gone))

    yield Case('POST', FILTERS, 201, prepare=as_admin(form))
    yield Case('POST', FILTERS, 400, prepare=as_admin(BROKEN))
    yield Case('POST', FILTERS, 401, body=form())
    yield Case('POST', FILTERS, 403, prepare=signed_in(form(), FILTERS))
    yield Case('POST', FILTERS, 409, prepare=as_admin(form, is_made=True))
    yield Case('POST', FILTERS, 415, TEXT, prepare=as_admin(form))
    yield Case('POST', FILTERS, 422, prepare=as_admin(BAD))
    yield Case('POST', FILTERS, 503, state='no_database', prepare=as_admin(form))

    one, lost = ROOM_FILTERS + '/{filter}', gone + '/1'
    this = lambda stage: stage['filter']  # noqa: E731
    yield Case('DELETE', one, 204, prepare=by('owner', this, first=made))
    yield Case('DELETE', one, 401, target=lost)
    yield Case('DELETE', one, 403, prepare=by('visitor', this, first=made))
    yield Case('DELETE', one, 404, prepare=by('owner', at('/filters/1')))
    yield Case('DELETE', one, 503, state='no_database', prepare=signed_in(target=lost))
    one, lost = FILTERS + '/{filter}', FILTERS + '/2000000000'
    yield Case('DELETE', one, 204, prepare=as_admin(is_made=True))
    yield Case('DELETE', one, 401, target=lost)
    yield Case('DELETE', one, 403, prepare=signed_in(target=lost))
    yield Case('DELETE', one, 404, prepare=as_admin(target=lost))
    yield Case('DELETE', one, 503, state='no_database', prepare=as_admin(target=lost))
