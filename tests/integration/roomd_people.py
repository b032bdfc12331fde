# SPDX-License-Identifier: MIT
"""People with accounts: they register, sign in by token or by cookie, and ask with it."""
import base64
import hashlib
import hmac
import http.cookies
import json
import struct
import time

from roomd_clients import Http
from roomd_harness import unique

PASSWORD = 'correct horse battery'


def unique_login(prefix='user'):
    return unique(prefix).replace(' ', '-')


def bearer(token):
    return {'Authorization': f'Bearer {token}'}


def cookie_of(headers):
    """The morsel of the cookie "session" that an answer sets, or None."""
    for field in headers.getall('Set-Cookie', []):
        jar = http.cookies.SimpleCookie(field)
        if 'session' in jar:
            return jar['session']
    return None


def claims_of(token):
    """What a token says, unchecked."""
    part = token.split('.')[1]
    return json.loads(base64.urlsafe_b64decode(part + '=' * (-len(part) % 4)))


def header_of(token):
    """The header of a token, unchecked."""
    part = token.split('.')[0]
    return json.loads(base64.urlsafe_b64decode(part + '=' * (-len(part) % 4)))


def kid_of(key):
    """The id of the HS256 key that the daemon derives from the secret KEY: RFC 5869, then SHA-256."""
    prk = hmac.new(b'roomd keyring 1', key.encode(), hashlib.sha256).digest()
    derived = hmac.new(prk, b'token HS256\1', hashlib.sha256).digest()
    return hashlib.sha256(derived).hexdigest()[:8]


def totp_step(at=None):
    """The number of the half minute."""
    return int(time.time() if at is None else at) // 30


def totp(secret, at=None, step=0):
    """The code of RFC 6238 that an authenticator shows for a secret in base32."""
    key = base64.b32decode(secret + '=' * (-len(secret) % 8))
    counter = totp_step(at) + step
    digest = hmac.new(key, struct.pack('>Q', counter), hashlib.sha1).digest()
    offset = digest[-1] & 0xf
    number = struct.unpack('>I', digest[offset:offset + 4])[0] & 0x7fffffff
    return f'{number % 1_000_000:06}'


class People(Http):
    """Requests about accounts; answers are (status, body, headers)."""

    async def register(self, username=None, password=PASSWORD, **more):
        return await self.ask('POST', '/api/v1/auth/register',
                              {'username': username or unique_login(), 'password': password, **more})

    async def login(self, username, password=PASSWORD, **more):
        return await self.ask('POST', '/api/v1/auth/login',
                              {'username': username, 'password': password, **more})

    async def refresh(self, token):
        return await self.ask('POST', '/api/v1/auth/refresh', {'refresh_token': token})

    async def me(self, token):
        return await self.ask('GET', '/api/v1/users/me', headers=bearer(token))

    async def new_person(self, prefix='user', **more):
        """A new account, signed in by token: the answer to its registration."""
        status, body, _ = await self.register(unique_login(prefix), **more)
        assert status == 201, body
        return body

    async def by_cookie(self, method, path, cookie, body=None, **headers):
        """As a page of the same origin would ask."""
        fields = {'Cookie': f'session={cookie}', 'Sec-Fetch-Site': 'same-origin', **headers}
        return await self.ask(method, path, body, headers=fields)

    async def page_login(self, username, password=PASSWORD):
        """Signs in as a page does; returns the cookie's morsel."""
        status, body, headers = await self.ask(
            'POST', '/api/v1/auth/login', {'username': username, 'password': password},
            headers={'Sec-Fetch-Site': 'same-origin'})
        assert status == 200, body
        return cookie_of(headers)
