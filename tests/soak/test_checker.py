# SPDX-License-Identifier: MIT
"""The checker must see each kind of fault: histories with exactly one, and one without any.

Nothing is started here. A checker that overlooks a fault would make every soak green.
"""
import random

import pytest

from soak_chaos import DEADLY, DECK, schedule, settings
from soak_checker import DELETE, EDIT, KINDS, MESSAGE, Checker, Event, Row, check_people, check_unread, growth
from soak_texts import parse, text_of

CONV, COUNT = 7, 12


def key_of(number):
    return f'00000000-0000-4000-8000-{number:012}'


def event_at(rev, version=0):
    return Event(MESSAGE, rev, rev, key_of(rev), None, 'Ann'), text_of(key_of(rev), version)


def rows_of(count=COUNT):
    return [Row(CONV, rev, rev, MESSAGE, 'Ann', key_of(rev), None, text_of(key_of(rev), 0)) for rev in range(1, count + 1)]


def heads_of(rows):
    return {CONV: (max(row.rev for row in rows), max(row.seq for row in rows))}


class Tale:
    """A writer and two readers of one conversation, all well unless a test spoils it."""

    def __init__(self, is_sparse=False):
        self.checker = Checker()
        self.reader = self.checker.track('Bob', CONV, is_sparse)
        self.other = self.checker.track('Eve', CONV)
        self.reader.begin(0)
        self.other.begin(0)
        self.rows = rows_of()

    def tell(self, revs=range(1, COUNT + 1)):
        for rev in range(1, COUNT + 1):
            self.checker.sent('Ann', CONV, key_of(rev))
            self.checker.acked('Ann', CONV, key_of(rev), rev, rev)
            self.checker.in_order('link', CONV, rev, rev)
            self.other.event(*event_at(rev))
        for rev in revs:
            self.reader.event(*event_at(rev))
        return self

    def found(self, rows=None, heads=None, record=None):
        rows = self.rows if rows is None else rows
        self.checker.finish(rows, heads or heads_of(rows), record)
        return [one.kind for one in self.checker.violations]


def test_what_is_acknowledged_while_the_tables_are_read_is_no_loss():
    """Seen red with finish() looking at the record of the moment: lost and phantom, at somebody back from away."""
    tale = Tale().tell()
    record = tale.checker.record()
    late = COUNT + 1
    tale.checker.sent('Ann', CONV, key_of(late))
    tale.checker.acked('Ann', CONV, key_of(late), late, late)
    tale.other.event(*event_at(late))
    assert tale.found(record=record) == []
    assert set(tale.found()) == {'lost', 'phantom'}


def test_a_history_without_fault_is_accepted():
    assert Tale().tell().found() == []


def test_every_kind_of_violation_has_a_count():
    assert {kind: Checker().count(kind) for kind in KINDS} == dict.fromkeys(KINDS, 0)


def test_a_message_that_one_reader_misses_is_lost():
    tale = Tale().tell([rev for rev in range(1, COUNT + 1) if rev != 5])
    assert tale.found() == ['lost']
    assert tale.checker.violations[0].rev == 5 and tale.checker.violations[0].who == 'Bob'


def test_what_live_claims_and_did_not_send_is_lost():
    tale = Tale().tell(range(1, 4))
    tale.reader.live(COUNT)
    assert tale.found() == ['lost'] * (COUNT - 3)


def test_live_behind_a_reader_that_asked_for_a_replay_is_a_loss():
    tale = Tale().tell()
    tale.reader.rewind()
    tale.reader.live(COUNT - 2)
    assert tale.found() == ['lost']


def test_an_acknowledged_message_missing_in_the_table_is_lost():
    tale = Tale().tell()
    kinds = tale.found(tale.rows[:-1])
    assert 'lost' in kinds and 'phantom' in kinds  # it was broadcast, too


def test_a_revision_that_comes_twice_is_doubled():
    assert Tale().tell([1, 2, 3, 4, 5, 5, *range(6, COUNT + 1)]).found() == ['doubled']


def test_a_replay_that_was_asked_for_is_not_doubled():
    tale = Tale().tell()
    tale.reader.rewind()
    for rev in range(8, COUNT + 1):
        tale.reader.event(*event_at(rev))
    assert tale.found() == []


def test_a_replay_may_not_have_a_hole():
    tale = Tale().tell()
    tale.reader.rewind()
    for rev in (8, 10, 11, 12):
        tale.reader.event(*event_at(rev))
    assert tale.found() == ['lost']


def test_a_key_that_is_stored_twice_is_doubled():
    tale = Tale().tell()
    again = Row(CONV, COUNT + 1, COUNT + 1, MESSAGE, 'Ann', key_of(3), None, text_of(key_of(3), 0))
    assert tale.found([*tale.rows, again]) == ['doubled']


def test_a_revision_that_comes_late_is_reordered():
    assert Tale().tell([1, 2, 3, 5, 4, *range(6, COUNT + 1)]).found() == ['reordered']


def test_a_sender_whose_messages_change_places_is_reordered():
    tale = Tale()
    tale.checker.in_order('link', CONV, 1, 11)
    tale.checker.in_order('link', CONV, 2, 10)
    assert [one.kind for one in tale.checker.violations] == ['reordered']


def test_what_was_broadcast_and_is_not_stored_is_a_phantom():
    tale = Tale().tell()
    tale.reader.event(*event_at(COUNT + 1))
    assert tale.found() == ['phantom']


def test_a_message_that_nobody_sent_is_a_phantom():
    tale = Tale().tell()
    stray = Row(CONV, COUNT + 1, COUNT + 1, MESSAGE, 'Ann', key_of(99), None, text_of(key_of(99), 0))
    assert tale.found([*tale.rows, stray]) == ['phantom']


def test_another_text_is_different():
    tale = Tale()
    event, text = event_at(1)
    tale.reader.event(event, text.replace('end', 'End'))
    assert [one.kind for one in tale.checker.violations] == ['different']


def test_another_message_under_the_same_revision_is_different():
    tale = Tale().tell()
    tale.checker.receive('Kim', CONV, event_at(4)[0]._replace(key=key_of(5)), text_of(key_of(5), 0))
    assert tale.found() == ['different']


def test_two_answers_to_one_key_are_different():
    tale = Tale().tell()
    tale.checker.acked('Ann', CONV, key_of(2), 3, 3, is_duplicate=True)
    assert tale.found() == ['different']


def test_the_same_answer_to_the_same_key_is_fine():
    tale = Tale().tell()
    tale.checker.acked('Ann', CONV, key_of(2), 2, 2, is_duplicate=True)
    assert tale.found() == []
    assert tale.checker.counts['acked'] == COUNT


def test_a_hole_in_the_log_is_a_counter_fault():
    tale = Tale()
    assert 'counter' in tale.found([row for row in rows_of() if row.rev != 6], heads_of(rows_of()))


def test_a_seq_that_counts_something_else_is_a_counter_fault():
    tale = Tale()
    for rev in range(1, COUNT + 1):
        tale.checker.sent('Ann', CONV, key_of(rev))
    rows = [*tale.rows, Row(CONV, COUNT + 1, COUNT + 1, EDIT, 'Ann', None, 3, text_of(key_of(3), 1))]
    assert tale.found(rows) == ['counter']


def test_an_acknowledged_change_must_be_in_the_table():
    tale = Tale().tell()
    tale.checker.changed('Ann', CONV, COUNT + 1, DELETE, 3)
    assert tale.found() == ['lost']


def test_a_sparse_reader_may_skip_what_is_no_message_and_nothing_else():
    rows = [*rows_of(), Row(CONV, COUNT + 1, COUNT, DELETE, 'Ann', None, 3, None),
            Row(CONV, COUNT + 2, COUNT + 1, MESSAGE, 'Ann', key_of(50), None, text_of(key_of(50), 0))]
    last = Event(MESSAGE, COUNT + 2, COUNT + 1, key_of(50), None, 'Ann'), text_of(key_of(50), 0)
    for skipped, expected in ((set(), []), ({6}, ['lost'])):
        tale = Tale(is_sparse=True)
        tale.tell([rev for rev in range(1, COUNT + 1) if rev not in skipped])
        tale.checker.sent('Ann', CONV, key_of(50))
        tale.other.event(Event(DELETE, COUNT + 1, None, None, 3, 'Ann'))
        tale.other.event(*last)
        tale.reader.event(*last)
        assert tale.found(rows) == expected


def test_a_deleted_text_may_be_gone_from_a_replay():
    tale = Tale().tell()
    tale.checker.receive('Kim', CONV, event_at(4)[0]._replace(key=None), None)
    assert tale.found() == []


@pytest.mark.parametrize('shown, count', [({'Ann', 'Bob'}, 0), ({'Ann', 'Bob', 'Eve'}, 1), ({'Ann'}, 1), (None, 0)])
def test_a_list_that_shows_others_than_those_who_are_there_is_stale(shown, count):
    found = []
    check_people({CONV: {'Ann', 'Bob'}}, {('Kim', CONV): shown}, lambda *words: found.append(words[0]))
    assert found == ['stale'] * count


def test_somebody_who_still_types_is_stale():
    found = []
    check_people({}, {('Kim', CONV): {'Ann'}}, lambda *words: found.append(words[0]), 'typing')
    assert found == ['stale']


@pytest.mark.parametrize('mark, count', [((CONV, 'Bob', 10, 2), 0), ((CONV, 'Bob', 10, 3), 1), ((CONV, 'Bob', 13, 0), 1),
                                         ((CONV, 'Ann', 10, 2), 1), ((CONV, 'Bob', 2, 9), 0)])
def test_unread_is_recounted(mark, count):
    """Twelve messages of Ann's, the third deleted: what Bob has read leaves the others unread."""
    rows = [row._replace(deleted=row.rev == 3) for row in rows_of()]
    found = []
    check_unread(rows, [mark], lambda *words: found.append(words[0]))
    assert found == ['counter'] * count


def test_texts_prove_themselves():
    for number in range(200):
        text = text_of(key_of(number), number % 7)
        assert parse(text) == (key_of(number), number % 7)
        assert parse(text[:-1]) is None and parse(text + ' ') is None
        assert text == text.strip()


def test_a_seed_gives_the_same_schedule_and_the_same_settings():
    assert schedule('5', 300) == schedule('5', 300) != schedule('6', 300)
    assert settings('5') == settings('5')
    calm = schedule('5', 3000, deaths_until=1500)
    assert [card for card in calm if card.at < 1500] == [card for card in schedule('5', 3000) if card.at < 1500]
    late = {card.name for card in calm if card.at >= 1500}
    assert late == set(DECK) - DEADLY
    assert schedule('5', 60) == [card for card in schedule('5', 300) if card.at < 60]


def test_growth_is_of_the_later_mean():
    assert growth([(2, 100), (3, 104), (4, 110), (5, 114.4)], 3) == pytest.approx(0.1)
    assert growth([(2, 104), (3, 100)], 2) < 0
    assert growth([], 3) == growth([(2, 100)], 3) == growth([(4, 100)], 3) == growth([(2, 0), (4, 100)], 3) == 0


def test_a_deck_deals_every_card():
    names = [card.name for card in schedule(str(random.random()), 600)]
    assert set(names) == set(DECK)
    assert sorted(names[:sum(DECK.values())]) == sorted(name for name, n in DECK.items() for _ in range(n))
