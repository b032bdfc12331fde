# SPDX-License-Identifier: MIT
"""No statement is built from input: every text that reaches PostgreSQL is written in the sources.

Values travel as parameters. The places where a text is put together are listed here, each with its reason; another
one fails the suite until it is judged.
"""
import re

import pytest

from test_lint import TOP, files, relative

# (file, argument): a text that is no literal
JUDGED_CALLS = {
    ('sql/addresses.c', 's->sql'): 'a row of statements.def',
    ('sql/audit.c', 's->sql'): 'a row of statements.def',
    ('sql/db.c', 's->sql'): 'a row of statements.def',
    ('sql/verify.c', 's->sql'): 'a row of statements.def',
    ('sql/db.c', 'SETUP'): 'a constant',
    ('sql/migrate.c', 'm->sql'): 'a migration of this build',
    ('sql/migrate.c', 'sql'): 'what execute() is given: see JUDGED_FORMATS',
    ('sql/database.c', '(char *)sql.p'): "the operator's database name, by PQescapeIdentifier",
    ('sql/bench_batch.c', 'sql[i]'): 'constants of a measuring program',
}
# formats that make SQL
JUDGED_FORMATS = {
    ('sql/migrate.c', 'SET lock_timeout = %d'): 'a constant number',
    ('sql/database.c', "CREATE DATABASE %s ENCODING 'UTF8' TEMPLATE template0"): 'by PQescapeIdentifier',
}
# dynamic SQL inside the database: how often, and why that is no input
JUDGED_EXECUTES = {
    'sql/migrations/0011_accounts.sql': (1, 'run once by the migration, with one of two constants'),
    'sql/migrations/0016_names.sql': (1, 'the same'),
    'sql/migrations/0024_blanks.sql': (1, 'the same'),
}
# the only C files with SQL in them
SQL_FILES = {'sql/database.c', 'sql/db.c', 'sql/migrate.c', 'sql/bench_batch.c'}

TAKERS = re.compile(r'\b(?:PQexec|PQexecParams|PQprepare|PQsendQuery|PQsendQueryParams|PQsendPrepare)\s*\(')
PREPARERS = re.compile(r'\bPQ(?:prepare|sendPrepare)')
LITERAL = re.compile(r'(?:\s*(?:"(?:[^"\\]|\\.)*"|[A-Z][A-Z0-9_]*))+\s*')
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')
SQL = re.compile(r'^\s*(?:SELECT\s|INSERT\s+INTO\s|UPDATE\s+\S+\s+SET\s|DELETE\s+FROM\s|(?:CREATE|DROP|ALTER|TRUNCATE)\s+'
                 r'(?:TABLE|DATABASE|INDEX|VIEW|ROLE|FUNCTION|SCHEMA)\b|GRANT\s|BEGIN\b|SET\s+\w+|COPY\s|WITH\s+\w+\s+AS\b)'
                 r'|\s(?:WHERE|VALUES|FROM public\.)\s*\S')
FORMAT = re.compile(r'%[-+ #0]*[\d.*]*(?:l|ll|z|h|j|t)?[diouxXeEfgGcsp]|%"\s*PRI')


def without_comments(text):
    return re.sub(r'/\*.*?\*/', '', text, flags=re.S)


def arguments(text, start):
    """The arguments of the call whose opening parenthesis is before START."""
    depth, begin, found, position, in_string = 1, start, [], start, False
    while depth:
        c = text[position]
        if in_string:
            position += c == '\\'
            in_string = c != '"'
        elif c == '"':
            in_string = True
        elif c in '([{':
            depth += 1
        elif c in ')]}':
            depth -= 1
        if not in_string and (c == ',' and depth == 1 or depth == 0):
            found.append(text[begin:position].strip())
            begin = position + 1
        position += 1
    return found


def statement_calls(text):
    """The SQL arguments of all calls in a C file that are no literals."""
    for match in TAKERS.finditer(text):
        given = arguments(text, match.end())
        sql = given[2 if PREPARERS.match(match[0]) else 1] if len(given) > 1 else ''
        if not LITERAL.fullmatch(sql) or not sql.startswith('"'):
            yield sql


def sql_strings(text):
    """The literals of a C file that look like SQL, adjacent ones joined."""
    for match in re.finditer(r'(?:"(?:[^"\\]|\\.)*"\s*)+', text):
        joined = ''.join(STRING.findall(match[0]))
        if SQL.search(joined):
            yield joined


def dynamic_sql(text):
    """EXECUTE in the procedural language, but not that of a trigger's definition."""
    text = re.sub(r'--[^\n]*', '', text)
    return re.findall(r'\bEXECUTE\b(?!\s+(?:FUNCTION|PROCEDURE|ON)\b)[^;]*', text)


def c_files():
    for path in files('.c', '.h'):
        name = str(path.relative_to(TOP))
        if name.split('/')[0] in ('base', 'proto', 'shm', 'sql', 'worker', 'daemon'):
            yield name, without_comments(path.read_text())


def test_s0_45_statements_are_texts_of_the_sources():
    """Seen red with PQexec(pg, buf) in a file of sql/."""
    found = {(name, sql) for name, text in c_files() for sql in statement_calls(text)}
    assert found - set(JUDGED_CALLS) == set()
    assert set(JUDGED_CALLS) - found == set(), 'judged and gone: take it off the list'


def test_s0_45_sql_stands_in_its_table():
    """Seen red with a SELECT in worker/."""
    found = {(name, text) for name, source in c_files() for text in sql_strings(source) if name not in SQL_FILES}
    assert found == set()


def test_s0_45_no_format_makes_sql():
    found = {(name, text) for name, source in c_files() for text in sql_strings(source) if FORMAT.search(text)}
    assert found - set(JUDGED_FORMATS) == set()
    table = (TOP / 'sql/statements.def').read_text()
    assert not re.search(r'%[sd]', without_comments(table).replace("'%'", ''))


def test_s0_45_the_database_builds_no_statements_from_values():
    found = {name: len(dynamic_sql((TOP / name).read_text())) for name in relative(files('.sql'))
             if name.startswith('sql/')}
    assert {name: n for name, n in found.items() if n} == {name: n for name, (n, _) in JUDGED_EXECUTES.items()}


@pytest.mark.parametrize('source', [
    'r = PQexec(pg, text);', 'PQexecParams(pg, buf_str(&b).p, 0, NULL)', 'PQsendQuery(db->pg, (char *)b.p);',
    'PQprepare(pg, "name", sql, 1, NULL);', 'PQexec(pg, is_new ? "a" : b)', 'PQexec(pg, make(x, "SELECT 1"))'])
def test_a_text_that_is_no_literal_is_found(source):
    assert list(statement_calls(source))


@pytest.mark.parametrize('source', ['PQexec(pg, "BEGIN; SET x = \'" LIMIT "\'")', 'PQsendPrepare(pg, name, "SELECT 1", 0, 0)'])
def test_a_literal_is_none(source):
    assert not list(statement_calls(source))


@pytest.mark.parametrize('source', [
    'buf_printf(&b, "SELECT * FROM users WHERE name = \'%s\'", name);', 'x = "DELETE FROM " "events";',
    'f("UPDATE users SET name = ");', '"INSERT INTO t VALUES (" s ")"', '"WITH x AS (SELECT 1)"'])
def test_sql_elsewhere_is_found(source):
    assert list(sql_strings(source))


@pytest.mark.parametrize('source', ['"Select a room"', '"with %s"', '"no such filter"', '"update"', '"set the word"'])
def test_sentences_are_no_sql(source):
    assert not list(sql_strings(source))


@pytest.mark.parametrize('source', ["EXECUTE 'SELECT ' || p_name;", "EXECUTE format('DROP %s', x);"])
def test_dynamic_sql_is_found(source):
    assert dynamic_sql(source)
    assert not dynamic_sql('CREATE TRIGGER t BEFORE INSERT ON x FOR EACH ROW EXECUTE FUNCTION f();')
