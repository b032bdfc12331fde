# SPDX-License-Identifier: MIT
"""Fixtures of the integration tests: one PostgreSQL for all, one database and daemon per module.

A module may set DAEMON = {"workers": …, "settings": {…}} for its daemon. Test functions may be
coroutines.
"""
import asyncio
import inspect
import os

import pytest

from roomd_harness import BIN, Daemon, HAS_SANITIZERS
from roomd_postgres import Postgres

TEST_TIMEOUT = 600 if HAS_SANITIZERS else 300


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):
    """Runs coroutine functions, each with a loop and a time limit of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in names}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), TEST_TIMEOUT))
    return True


def pytest_sessionstart(session):
    if not BIN.exists():
        pytest.exit(f'{BIN} is missing: build it, or name another in ROOMD_BIN', 4)


@pytest.fixture(scope='session')
def postgres():
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope='session')
def schema(postgres):
    """The name of a database that the daemon has brought up to date, to be copied."""
    name = postgres.new_database()
    one = Daemon(postgres.url(name), name=f'schema.{os.getpid()}', workers=1)
    try:
        one.start()
    finally:
        one.close()
    return name


@pytest.fixture(scope='module')
def database(postgres, schema):
    """The name of a database in which nothing is but the schema."""
    name = postgres.new_database(schema)
    yield name
    postgres.drop_database(name)


@pytest.fixture(scope='module')
def daemon(request, postgres, database):
    """The module's daemon; tests keep apart by making rooms of their own."""
    options = getattr(request.module, 'DAEMON', {})
    one = Daemon(postgres.url(database), name=request.module.__name__, **options)
    try:
        yield one.start()
    finally:
        one.close()


@pytest.fixture
def start_daemon(request, postgres, schema):
    """Starts daemons for one test, each on a database with nothing but the schema unless one is named."""
    running, databases = [], []

    def start(database=None, wait=True, **options):
        if database is None:
            database = postgres.new_database(schema)
            databases.append(database)
        name = f'{request.module.__name__}.{request.node.name}.{len(running)}'
        one = Daemon(postgres.url(database), name=name, **options)
        one.database = database
        running.append(one)
        return one.start(wait)

    yield start
    failures = []
    for one in running:
        try:
            one.close()
        except AssertionError as why:
            failures.append(str(why))
    for database in databases:
        postgres.drop_database(database)
    assert not failures, '\n'.join(failures)


@pytest.fixture
def rows(postgres, daemon, database):
    """A function that runs one query in the module's database and returns its rows."""
    def query(text, *values):
        with postgres.connect(database) as connection:
            return connection.execute(text, values).fetchall()
    return query
