#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Counts test cases in the results of pytest (junit), node or others (tap) and make check (automake).

Prints every failure in full and then, as the last line, "PASSED FAILED SKIPPED". Runs no tests.
"""
import re
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

# "ok 3 - name # SKIP why", in cmocka "not ok 3 # SKIP name"; node indents the tests of a suite and sums them up in a line after
TAP_LINE = re.compile(r'^(?P<indent> *)(?P<not>not )?ok (?P<number>\d+)(?: -)? ?(?P<name>.*)$')


class Tally:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0

    def fail(self, name, text=''):
        self.failed += 1
        print(f'--- FAILED: {name}')
        if text.strip():
            print(text.rstrip())

    def skip(self, name, why=''):
        self.skipped += 1
        print(f'--- skipped: {name}: {why}' if why else f'--- skipped: {name}')


def count_junit(tally, path):
    """Counts a junit file; one that is missing or empty means that pytest itself broke."""
    try:
        cases = list(ElementTree.parse(path).iter('testcase'))
    except (OSError, ElementTree.ParseError) as why:
        tally.fail(path, str(why))
        return
    for case in cases:
        name = f'{case.get("classname")}.{case.get("name")}'
        faults = [child for child in case if child.tag in ('failure', 'error')]
        skips = [child for child in case if child.tag == 'skipped']
        if faults:
            tally.fail(name, '\n'.join(fault.text or fault.get('message', '') for fault in faults))
        elif skips:
            tally.skip(name, skips[0].get('message', ''))
        else:
            tally.passed += 1


def parse_tap(lines):
    """Lists (name, ok, skip reason or None, the lines that belong to it) of each leaf test."""
    leaves, children, detail = [], [], []
    for line in lines:
        match = TAP_LINE.match(line)
        if not match:
            detail.append(line)
            continue
        name, *skip = re.split(r'(?:^|\s)# ?SKIP\b', match['name'], maxsplit=1, flags=re.I)
        detail = []
        test = (name.strip() or ''.join(skip).strip(), not match['not'], skip[0].strip() if skip else None, detail)
        indent = len(match['indent'])
        inside = [child for depth, child in children if depth > indent]
        children = [pair for pair in children if pair[0] <= indent]
        children.append((indent, test))
        # a suite's line sums up the lines before it and counts only where it failed on its own
        if not inside or (match['not'] and all(ok or skip is not None for _, ok, skip, _ in inside)):
            leaves.append(test)
    return leaves


def count_tap_lines(tally, prefix, lines):
    """Counts TAP; returns how many cases there were and how many failed."""
    results = parse_tap(lines)
    failed = 0
    for name, is_ok, skip, detail in results:
        if skip is not None:
            tally.skip(prefix + name, skip)
        elif is_ok:
            tally.passed += 1
        else:
            failed += 1
            tally.fail(prefix + name, '\n'.join(detail))
    return len(results), failed


def count_tap(tally, path):
    lines = Path(path).read_text(errors='replace').splitlines()
    cases, failed = count_tap_lines(tally, '', lines)
    if cases == 0:
        tally.fail(path, 'no test ran\n' + '\n'.join(lines[-40:]))


def planned(lines):
    """The number of cases that the plan lines of a program promise."""
    plans = (re.match(r'^1\.\.(\d+)', line) for line in lines)
    return sum(int(plan[1]) for plan in plans if plan)


def count_program(tally, trs, log):
    """Counts one program of make check by its test cases, or as one where it is no cmocka program."""
    name = str(log.with_suffix(''))
    result = re.search(r'^:test-result: (\w+)', trs.read_text(), re.M)
    result = result[1] if result else 'ERROR'
    lines = log.read_text(errors='replace').splitlines() if log.exists() else []
    if result == 'SKIP':
        tally.skip(name, lines[-2] if len(lines) > 1 else '')
        return
    cases, failed = count_tap_lines(tally, name + ': ', lines)
    if result == 'PASS' and cases == 0:
        tally.passed += 1
    elif result != 'PASS' and not failed:  # it died or a sanitizer spoke after the last case
        tally.fail(name, '\n'.join(lines[-80:]))
    elif cases < planned(lines):
        tally.fail(name, f'{planned(lines)} cases were promised, {cases} ran')


def count_automake(tally, build, status, make_log):
    """Counts a make check in BUILD that ended with STATUS."""
    programs = sorted(Path(build).rglob('*.trs'))
    programs = [trs for trs in programs if '_inst' not in trs.parts and '_build' not in trs.parts]
    for trs in programs:
        count_program(tally, trs, trs.with_suffix('.log'))
    if status != '0' and tally.failed == 0 or not programs:
        tail = Path(make_log).read_text(errors='replace').splitlines()[-60:]
        tally.fail('make check', '\n'.join(tail))


def main(args):
    tally = Tally()
    kind, *rest = args
    if kind == 'automake':
        count_automake(tally, *rest)
    else:
        for path in rest:
            {'junit': count_junit, 'tap': count_tap}[kind](tally, path)
    print(tally.passed, tally.failed, tally.skipped)


if __name__ == '__main__':
    main(sys.argv[1:])
