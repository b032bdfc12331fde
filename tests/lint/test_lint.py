# SPDX-License-Identifier: MIT
"""Rules of the tree that a machine can check, and proofs that the checks can fail."""
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get('ROOMD_BUILD', TOP / '.dev/build'))
FOLDERS = ('base', 'proto', 'shm', 'sql', 'worker', 'daemon', 'bench', 'web', 'tests', 'systemd', 'man')
LINES_MAX = 1000


def files(*suffixes):
    """Files of the tree with one of the suffixes ('' for none), without what tools put there."""
    found = [path for path in TOP.iterdir() if path.is_file()]
    for folder in FOLDERS:
        found += [path for path in (TOP / folder).rglob('*') if path.is_file()]
    skipped = ('node_modules', '__pycache__', '.pytest_cache', 'corpus', 'corpora')
    generated = ('configure', 'Makefile.in', 'config.h.in')
    return sorted(path for path in found if path.suffix in suffixes
                  and path.name not in generated and not path.name.endswith('~')
                  and not any(part in skipped for part in path.relative_to(TOP).parts))


def relative(paths):
    return [str(path.relative_to(TOP)) for path in paths]


def layers(*args):
    return subprocess.run([TOP / 'tests/lint/layers', *map(str, args)], capture_output=True, text=True,
                          check=False)


# ---------------------------------------------------------------- layers


def test_s2_26_the_layers_hold():
    done = layers(TOP, BUILD)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize('name, text', [
    ('base/a.c', '#include "proto/ws.h"'), ('proto/a.c', '#include "sql/db.h"'),
    ('shm/a.h', '#include "worker/conn.h"'), ('sql/a.c', '# include  "shm/ring.h"'),
    ('worker/a.c', '#include "daemon/master.h"'), ('worker/a.c', '#include "sql/db_priv.h"'),
    ('worker/a.c', '#include <msgpack.h>'), ('worker/a.c', '#include <jansson.h>'),
    ('worker/a.c', '#include <libpq-fe.h>'), ('proto/a.c', '#include <ev.h>'),
    ('sql/a.c', '#include <ev.h>'), ('worker/a.c', '#include <systemd/sd-daemon.h>'),
    ('worker/a.c', '#include <argon2.h>'), ('daemon/a.c', '#include <libpq-fe.h>'),
    ('worker/a.c', '#include "conn.h"'),
])
def test_s2_26_a_forbidden_include_is_found(tmp_path, name, text):
    path = tmp_path / name
    path.parent.mkdir()
    path.write_text(f'/* nothing else */\n{text}\n')
    done = layers(tmp_path)
    assert done.returncode == 1
    assert name in done.stdout


def test_s2_26_own_header_first_is_checked(tmp_path):
    (tmp_path / 'base').mkdir()
    (tmp_path / 'base/a.h').write_text('')
    (tmp_path / 'base/a.c').write_text('#include <stdio.h>\n#include "base/a.h"\n')
    assert layers(tmp_path).stdout == 'the layers hold\n'
    (tmp_path / 'base/b.h').write_text('')
    (tmp_path / 'base/a.c').write_text('#include "base/b.h"\n#include "base/a.h"\n')
    assert 'own header first' in layers(tmp_path).stdout


def make_library(folder, path, source):
    (path / 'x.c').write_text(source)
    subprocess.run(['gcc', '-c', 'x.c', '-o', f'{folder}.o'], cwd=path, check=True)
    subprocess.run(['ar', 'rcs', f'lib{folder}.a', f'{folder}.o'], cwd=path, check=True)


def test_s2_26_a_symbol_that_crosses_is_found(tmp_path):
    make_library('base', tmp_path, 'int base_f(void) { return 1; }')
    make_library('sql', tmp_path, 'int base_f(void); int sql_f(void) { return base_f(); }')
    make_library('proto', tmp_path, 'int strange(void); int proto_f(void) { return strange(); }')
    assert layers(tmp_path, tmp_path).returncode == 0
    make_library('proto', tmp_path, 'int sql_f(void); int proto_f(void) { return sql_f(); }')
    done = layers(tmp_path, tmp_path)
    assert done.returncode == 1
    assert 'sql_f' in done.stdout


# ---------------------------------------------------------------- every file


def test_files_have_at_most_1000_lines():
    sources = files('.c', '.h', '.def', '.py', '.js', '.mjs', '.css', '.sql', '.inc', '')
    # the page's program is one file because its first load is to be three files; its parts are numbered
    one_file = [TOP / 'web/static/app.js']
    long = [path for path in sources
            if path.read_bytes().count(b'\n') > LINES_MAX and path not in one_file]
    assert relative(long) == []


def test_sources_begin_with_the_licence_line():
    bare = []
    for path in files('.c', '.h', '.def', '.py', '.sql', '.inc', '.js', '.mjs', '.css', '.in', '.service', '.socket'):
        lines = path.read_text(errors='replace').splitlines()[:2]
        if not any('SPDX-License-Identifier: MIT' in line for line in lines):
            bare.append(path)
    assert relative(bare) == []


def test_c_files_say_in_two_lines_what_they_do():
    """The second line opens a comment, which is the header's two lines (a few more are good too)."""
    silent = []
    for path in files('.c', '.h', '.def'):
        lines = path.read_text(errors='replace').splitlines()
        if len(lines) < 3 or not re.match(r'/\*', lines[1]) or not re.search(r'\w{3}', ' '.join(lines[1:4])):
            silent.append(path)
    assert relative(silent) == []


def test_nothing_is_left_to_be_done():
    words = re.compile(r'\b(TO' + r'DO|FIX' + r'ME|X' + r'XX|HA' + r'CK)\b')
    sources = files('.c', '.h', '.def', '.py', '.js', '.mjs', '.css', '.html', '.sql', '.inc', '.in', '.am', '.ac', '.md', '')
    found = [f'{path.relative_to(TOP)}:{number}' for path in sources
             for number, line in enumerate(path.read_text(errors='replace').splitlines(), 1) if words.search(line)]
    assert found == []


def test_c_lines_have_at_most_100_columns():
    found = [f'{path.relative_to(TOP)}:{number}' for path in files('.c', '.h')
             for number, line in enumerate(path.read_text(errors='replace').splitlines(), 1)
             if len(line.expandtabs(8)) > 100]
    assert found == []


def test_no_call_is_an_argument_of_min_or_max():
    """They are macros: the smaller or larger argument is evaluated twice. Seen red with thirteen places, one a leak."""
    found = []
    for path in files('.c', '.h'):
        text = path.read_text(errors='replace')
        for match in re.finditer(r'\b(?:MIN|MAX)\(', text):
            end, depth = match.end(), 1
            while depth:
                depth += {'(': 1, ')': -1}.get(text[end], 0)
                end += 1
            inside = text[match.end():end - 1]
            calls = set(re.findall(r'\b([a-z_]\w*)\(', inside)) - {'sizeof', 'strlen'}
            if calls or '++' in inside or '--' in inside:
                found.append(f'{path.relative_to(TOP)}:{text.count(chr(10), 0, match.start()) + 1}: {inside}')
    assert found == []


# ---------------------------------------------------------------- tables


def describe(table):
    done = subprocess.run([BUILD / 'roomd', '--describe', table], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rows_of(name):
    """The X(…) rows of a table, each as its text."""
    text = re.sub(r'/\*.*?\*/', '', (TOP / name).read_text(), flags=re.S)
    return re.findall(r'^X\((.*?)\)$', text, re.S | re.M)


@pytest.mark.parametrize('name', ['base/settings.def', 'shm/metrics.def', 'proto/errors.def', 'worker/routes.def',
                                  'shm/locks.def', 'base/faults.def'])
def test_every_row_of_a_table_says_what_it_means(name):
    if not (TOP / name).exists():
        pytest.skip(f'there is no {name} yet')
    rows = rows_of(name)
    assert rows
    texts = [re.findall(r'"((?:[^"\\]|\\.)*)"', row) for row in rows]
    # rows that differ only in a label share the text of the first of their name
    explained = {words[0] for words in texts if len(words[-1]) > 4}
    for row, words in zip(rows, texts):
        assert words[0] in explained, row


@pytest.mark.parametrize('table, names', [
    ('settings', ['base/settings.def']), ('metrics', ['shm/metrics.def']),
    ('events', ['proto/events.def', 'proto/ops.def']), ('routes', ['worker/routes.def']),
    ('statements', ['sql/statements.def']), ('errors', ['proto/errors.def']), ('locks', ['shm/locks.def'])])
def test_describe_prints_every_row(table, names):
    assert len(describe(table)) == sum(len(rows_of(name)) for name in names)


# what Socket.IO and the limits of single clients will move and say
COMING = {'metrics': {'CONNECTIONS_SIO', 'ENCODES_SIO'}, 'errors': {'RATE_LIMITED'}}


def unused_rows(ids, prefix, readers, text):
    """IDS that no source names but those that only read: calls of READERS (a regular expression)."""
    text = re.sub(rf'(?:{readers})', '', text)
    return {one for one in ids if not re.search(rf'\b{prefix}{one}\b', text)}


def sources_without(*skipped):
    """All C sources but the named files, as one text without comments."""
    text = '\n'.join(path.read_text() for path in files('.c')
                     if path.relative_to(TOP).parts[0] in ('shm', 'sql', 'proto', 'worker', 'daemon')
                     and str(path.relative_to(TOP)) not in skipped)
    return re.sub(r'/\*.*?\*/', '', text, flags=re.S)


METRIC_READERS = r'metric_(?:sum|get)\([^;]*?\)(?=[\s,;)+-])'
ERROR_READERS = r'case E_\w+:|[!=]= E_\w+'


def test_every_metric_is_moved():
    """A row that nothing counts is a promise to operators that nobody keeps.

    Seen red: with CONNECTIONS_HTTP only read, as it was.
    """
    ids = [row.split(',')[0] for row in rows_of('shm/metrics.def')]
    # worker/limits.c counts one for each row of its own table
    for row in rows_of('worker/limits.def'):
        ids.remove('LIMITED_' + row.split(',')[0])
    assert unused_rows(ids, 'M_', METRIC_READERS, sources_without('shm/metrics.c')) <= COMING['metrics']


def test_every_error_is_produced():
    """Seen red: with RANGE_NOT_SATISFIABLE told by its status alone, as it was."""
    ids = [row.split(',')[0] for row in rows_of('proto/errors.def')]
    assert unused_rows(ids, 'E_', ERROR_READERS, sources_without('proto/errors.c')) <= COMING['errors']


def test_a_row_that_is_only_read_is_found():
    assert unused_rows(['A', 'B'], 'M_', METRIC_READERS,
                       'x = metric_sum(m->shm, M_A) + 1; worker_count(wk, M_B, 1);') == {'A'}
    assert unused_rows(['A', 'B'], 'E_', ERROR_READERS,
                       'case E_A: if (e == E_A) call_error(call, E_B, NULL);') == {'A'}


def test_openapi_and_routes_agree():
    done = subprocess.run(['/usr/bin/python3', TOP / 'tests/lint/check_openapi.py', BUILD],
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# what pages may always read (the Fetch standard), what is for browsers and proxies, and mail's own
NOT_EXPOSED = {
    'Cache-Control', 'Content-Length', 'Content-Type', 'Content-Encoding', 'Content-Range', 'Accept-Ranges', 'Connection',
    'Date', 'Last-Modified', 'Upgrade', 'Vary', 'Transfer-Encoding', 'Set-Cookie', 'Content-Security-Policy', 'Permissions-Policy',
    'Referrer-Policy', 'Strict-Transport-Security', 'From', 'To', 'Subject', 'Message-ID', 'MIME-Version', 'Allow-Origin',
    'X-Roomd-Worker', 'X-Content-Type-Options', 'X-Frame-Options', 'Content-Transfer-Encoding', 'Auto-Submitted'}


def hidden_fields(text):
    """Fields of answers in C sources that pages of other origins could not read."""
    exposed = set(re.findall(r'"([\w-]+)"', text[text.index('exposed[] = {'):].partition('};')[0]))
    sent = set(re.findall(r'(?:"|\\n)([A-Z][A-Za-z]*(?:-[A-Z][A-Za-z]*)*): ', text))
    return {name for name in sent - exposed - NOT_EXPOSED
            if not name.startswith(('Access-Control-', 'Cross-Origin-', 'Sec-'))}


def test_pages_of_listed_origins_may_read_every_field():
    """Seen red without X-Roomd-Stale and Age, as it was."""
    files = [path for path in (TOP / 'worker').glob('*.c') if not path.name.startswith('mail')]
    assert hidden_fields('\n'.join(path.read_text() for path in files)) == set()
    assert hidden_fields('exposed[] = {\n"Age",\n}; "Age: %d\\r\\nX-More: x"') == {'X-More'}


# ---------------------------------------------------------------- pages, scripts, README


def mandoc_lint(path):
    done = subprocess.run(['mandoc', '-Tlint', '-Wstyle', str(path)], capture_output=True, text=True, check=False)
    # whether the machine's index of pages knows a page is not the page's fault
    return [line for line in (done.stdout + done.stderr).splitlines()
            if 'referenced manual not found' not in line and 'outdated mandoc.db' not in line]


@pytest.mark.parametrize('page', ['roomctl.1', 'roomd.8', 'roomd.conf.5', 'roomd-protocol.7'])
def test_manual_pages_are_clean(page):
    assert mandoc_lint(BUILD / 'man' / page) == []
    assert not re.search(r'@\w+@', (BUILD / 'man' / page).read_text())


def test_a_faulty_manual_page_is_found(tmp_path):
    page = tmp_path / 'x.8'
    page.write_text((BUILD / 'man/roomd.8').read_text().replace('.Sh NAME', '.Sh NAM').replace('.El', '', 1))
    assert mandoc_lint(page)


def test_the_manual_names_every_setting():
    text = (BUILD / 'man/roomd.conf.5').read_text()
    for setting in describe('settings'):
        assert re.search(rf'^\.It Cm {setting["name"]}$', text, re.M), setting


@pytest.mark.parametrize('script', ['dev', '.ci/run', 'bench/run'])
def test_shell_scripts_are_clean(script):
    if not shutil.which('shellcheck'):
        pytest.skip('shellcheck is not installed')
    if not (TOP / script).exists():
        pytest.skip(f'there is no {script}')
    done = subprocess.run(['shellcheck', '-S', 'warning', TOP / script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_the_protocol_manual_names_every_operation_event_and_error():
    text = (BUILD / 'man/roomd-protocol.7').read_text()
    for row in describe('events'):
        if row['native']:
            assert row['native'] in text, row
    for row in describe('errors'):
        assert f".It {row['code']} Ta" in text, row


def test_readme_names_commands_that_exist():
    text = (TOP / 'README.md').read_text()
    usage = subprocess.run([TOP / 'dev', 'help'], capture_output=True, text=True, check=True).stdout
    commands = set(re.findall(r'\./dev (\w+)', text))
    assert {'run', 'test', 'clean'} <= commands
    for command in commands:
        assert re.search(rf'^  {command}\b', usage, re.M), command
    suites = re.findall(r'\./dev test ((?:\w+ ?)+)$', text, re.M)
    for suite in ' '.join(suites).split():
        assert suite in usage
    for link in re.findall(r'\]\(([^)#]+)\)', text):
        assert '://' in link or (TOP / link).exists(), link


def test_readme_shows_every_folder():
    text = (TOP / 'README.md').read_text()
    for folder in FOLDERS:
        assert re.search(rf'`{folder}/`', text), folder


# ---------------------------------------------------------------- the database is no bus


BUS = re.compile(r'\bpg_notify\b|\b(?:NOTIFY|LISTEN|UNLISTEN)\b(?=[^\n]*["\';]|\s+\w)')


def code_without_comments(path):
    text = re.sub(r'/\*.*?\*/', '', path.read_text(), flags=re.S)
    return re.sub(r'--[^\n]*', '', text) if path.suffix == '.sql' else text


def test_c21_no_statement_notifies_or_listens():
    """NOTIFY takes a lock of the whole cluster at commit, and LISTEN a session that poolers do not give."""
    for path in files('.c', '.def', '.sql', '.awk'):
        if path.relative_to(TOP).parts[0] == 'sql':
            assert not BUS.search(code_without_comments(path)), path


@pytest.mark.parametrize('text', ['"NOTIFY rooms, \'42\'"', 'PERFORM pg_notify(\'rooms\', \'42\');',
                                  'LISTEN rooms;', 'CREATE RULE r AS ON INSERT TO events DO ALSO NOTIFY rooms;'])
def test_c21_a_statement_that_notifies_is_found(text):
    assert BUS.search(text)
