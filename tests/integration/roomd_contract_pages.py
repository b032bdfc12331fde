# SPDX-License-Identifier: MIT
"""Requests of the pages without scripts for test_contract.py."""
import re
from urllib.parse import urlencode

from roomd_contract_accounts import FOREIGN
from roomd_harness import unique
from roomd_people import People, cookie_of

FORM = 'Content-Type: application/x-www-form-urlencoded'
TEXT = 'Content-Type: text/plain'
JSON_PLEASE = 'Accept: application/json'


def form(**fields):
    return urlencode(fields).encode()


CREATE = form(name='Contract', create='')
MISS = form(name='Contract', code='QQQQ', join='')
SAY = form(message='hello')


def create(*_):
    return form(name=unique('Contract'), create='')


async def cookie(scene):
    """The session of a guest who has just made a room."""
    async with People(scene.daemon) as http:
        async with http.session.post(f'{scene.daemon.http}/', data=create(), allow_redirects=False,
                                     headers={'Content-Type': FORM.partition(': ')[2]}) as answer:
            assert answer.status == 302, await answer.text()
            return cookie_of(answer.headers).value


async def known_code(scene):
    async with People(scene.daemon) as http:
        session = await cookie(scene)
        async with http.session.get(f'{scene.daemon.http}/room', headers={'Cookie': f'session={session}'}) as answer:
            found = re.search(r'data-room="([A-Z]{4})"', await answer.text())
            return {'target': f'/api/v1/codes/{found[1].lower()}'}


def inside(*fields, body=None):
    async def prepare(scene):
        return {'fields': (f'Cookie: session={await cookie(scene)}', *fields), 'body': body}
    return prepare


def cases(Case):
    """The list, of test_contract's own class."""
    yield Case('POST', '/', 302, FORM, prepare=lambda scene: fresh())
    yield Case('POST', '/', 400, FORM, body=form(name='', create=''))
    yield Case('POST', '/', 403, FORM, FOREIGN, body=CREATE)
    yield Case('POST', '/', 404, FORM, body=MISS)
    yield Case('POST', '/', 415, TEXT, body=CREATE)
    yield Case('POST', '/', 503, FORM, body=CREATE, state='no_database')

    yield Case('GET', '/room', 200, prepare=inside())
    yield Case('GET', '/room', 302)
    yield Case('GET', '/room', 400, query='?before=x', prepare=inside())
    yield Case('GET', '/room', 503, prepare=inside(), state='no_database')
    yield Case('POST', '/room', 302, FORM, body=SAY)
    yield Case('POST', '/room', 303, FORM, prepare=inside(body=SAY))
    yield Case('POST', '/room', 400, FORM, prepare=inside(body=form(message='')))
    yield Case('POST', '/room', 403, FORM, FOREIGN, body=SAY)
    yield Case('POST', '/room', 415, TEXT, body=SAY)
    yield Case('POST', '/room', 503, FORM, prepare=inside(body=SAY), state='no_database')

    yield Case('POST', '/leave', 302)
    yield Case('POST', '/leave', 303, prepare=inside())
    yield Case('POST', '/leave', 403, FOREIGN)

    code = '/api/v1/codes/{code}'
    yield Case('GET', code, 200, prepare=known_code)
    yield Case('GET', code, 401, target='/api/v1/codes/QQQQ', state='members_only')
    yield Case('GET', code, 404, target='/api/v1/codes/QQQQ')
    yield Case('GET', code, 503, target='/api/v1/codes/QQQQ', state='no_database')

    yield Case('GET', '/history', 200, JSON_PLEASE, prepare=inside())
    yield Case('GET', '/history', 302)
    yield Case('GET', '/history', 401, JSON_PLEASE)
    yield Case('GET', '/history', 422, JSON_PLEASE, query='?before=x', prepare=inside())
    yield Case('GET', '/history', 503, JSON_PLEASE, prepare=inside(), state='no_database')


async def fresh():
    return {'body': create()}
