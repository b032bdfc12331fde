/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/chan_order.c: whatever the order and number in which events come out of the
 * ring, receivers get each once and by rev.
 */
#include "worker_fixture.h"

#include "worker/chan_order.h"

static struct client cl;

static int setup(void **state)
{
	stand_setup(state);
	enter_raw(&cl, "Alice", 5, 10);
	return 0;
}

static int teardown(void **state)
{
	client_close(&cl);
	return stand_teardown(state);
}

static void test_in_order(void **state)
{
	(void)state;
	publish(11);
	publish(12);
	assert_string_equal(told_revs(&cl), "11 12");
	assert_int_equal(chan_find(wk, ROOM)->rev, 12);
	assert_int_equal(counted(M_HOLDBACK), 0);
}

static void test_early_events_wait_for_their_turn(void **state)
{
	(void)state;
	publish(13);
	publish(15);
	publish(12);
	assert_string_equal(told_revs(&cl), "");
	assert_int_equal(counted(M_HOLDBACK), 1);
	publish(11);
	assert_string_equal(told_revs(&cl), "11 12 13");
	publish(14);
	assert_string_equal(told_revs(&cl), "14 15");
	assert_int_equal(asked_count(ASK_EVENTS), 0);
}

static void test_repeats_are_dropped(void **state)
{
	(void)state;
	publish(11);
	publish(11);
	publish(10);
	publish(3);
	publish(13);
	publish(13);
	publish(12);
	publish(13);
	assert_string_equal(told_revs(&cl), "11 12 13");
}

static void test_hole_is_filled_after_the_holdback(void **state)
{
	(void)state;
	publish(13);
	pass_ms(49); /* deliver.holdback is 50 ms */
	assert_int_equal(asked_count(ASK_EVENTS), 0);
	pass_ms(1);
	assert_int_equal(asked_count(ASK_EVENTS), 1);
	assert_int_equal(asked(ASK_EVENTS)->conv, ROOM);
	assert_int_equal(asked(ASK_EVENTS)->after, 10);
	assert_int_equal(counted(M_HOLES), 1);
	pass_ms(1000);
	assert_int_equal(asked_count(ASK_EVENTS), 1); /* one question at a time */
	db_events(11, 13);
	assert_string_equal(told_revs(&cl), "11 12 13");
	publish(14);
	assert_string_equal(told_revs(&cl), "14");
	pass_ms(1000);
	assert_int_equal(asked_count(ASK_EVENTS), 0);
}

static void test_hole_closes_itself_while_it_is_read(void **state)
{
	(void)state;
	publish(12);
	pass_ms(50);
	assert_int_equal(asked_count(ASK_EVENTS), 1);
	publish(11);
	publish(13);
	assert_string_equal(told_revs(&cl), "11 12 13");
	db_events(11, 13);
	assert_string_equal(told_revs(&cl), "");
	publish(14);
	assert_string_equal(told_revs(&cl), "14");
}

static void test_database_error_is_tried_again(void **state)
{
	(void)state;
	publish(12);
	pass_ms(50);
	db_events_error(-ERR_UNAVAILABLE);
	assert_int_equal(asked_count(ASK_EVENTS), 0);
	pass_ms(5000);
	assert_int_equal(asked_count(ASK_EVENTS), 1);
	db_events(11, 12);
	assert_string_equal(told_revs(&cl), "11 12");
}

/* A question that is not even taken: the channel is looked at again, and so are all others. */
static void test_database_away_at_a_hole(void **state)
{
	(void)state;
	is_db_refusing = true;
	publish(12);
	pass_ms(50);
	for (int i = 0; i < 5; i++)
		pass_ms(300);
	assert_int_equal(asked_count(ASK_EVENTS), 0);
	is_db_refusing = false;
	pass_ms(300);
	assert_int_equal(asked_count(ASK_EVENTS), 1);
	db_events(11, 12);
	assert_string_equal(told_revs(&cl), "11 12");
}

/* What was too much to be held is read from the log, even if nothing else comes. */
static void test_more_than_can_be_held(void **state)
{
	(void)state;
	for (int64_t rev = 12; rev <= 4108; rev++)
		publish(rev);
	publish(11);
	assert_int_equal(chan_find(wk, ROOM)->rev, 4107);
	pass_ms(1000);
	assert_int_equal(asked_count(ASK_EVENTS), 1);
	assert_int_equal(asked(ASK_EVENTS)->after, 4107);
	db_events(4108, 4108);
	assert_int_equal(chan_find(wk, ROOM)->rev, 4108);
	pass_ms(1000);
	assert_int_equal(asked_count(ASK_EVENTS), 0);
}

static void test_lapped_ring_is_refilled(void **state)
{
	struct event ev = message(ROOM, 0);
	static char big[4000];

	(void)state;
	memset(big, 'x', sizeof(big));
	ev.content = (struct str){big, sizeof(big)};
	for (int i = 11; i < 50;
	     i++) { /* more than the ring's 64 KiB without a turn of the worker */
		ev.rev = ev.seq = i;
		publish_as(1, &ev);
	}
	turns(3);
	assert_int_equal(counted(M_RING_LAPPED), 1);
	assert_int_equal(asked_count(ASK_EVENTS), 1);
	assert_int_equal(asked(ASK_EVENTS)->after, 10);
	db_events(11, 49);
	assert_string_equal(told_revs(&cl),
			    "11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 "
			    "31 32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49");
	publish(50);
	assert_string_equal(told_revs(&cl), "50");
}

/*
 * The ring went round with events of other rooms: what this one has is what the node has
 * published.
 */
static void test_lapped_without_a_loss(void **state)
{
	(void)state;
	publish(11);
	chan_refill_all(wk);
	assert_int_equal(asked_count(ASK_EVENTS), 0);
	assert_string_equal(told_revs(&cl), "11");
}

/* A second loss while the first is being made good: that answer may be too old. */
static void test_refill_during_a_refill(void **state)
{
	struct chan *ch = chan_find(wk, ROOM);

	(void)state;
	chan_order_fill(ch);
	chan_order_fill(ch);
	assert_int_equal(asked_count(ASK_EVENTS), 1);
	db_events(11, 12);
	assert_int_equal(asked(ASK_EVENTS)->after, 12);
	db_events(13, 14);
	pass_ms(1000);
	assert_int_equal(asked_count(ASK_EVENTS), 0);
	assert_string_equal(told_revs(&cl), "11 12 13 14");
}

/* Rows that were removed leave a hole that nothing will ever fill. */
static void test_removed_rows_stop_nobody(void **state)
{
	(void)state;
	publish(14);
	pass_ms(50);
	publish(15);
	publish(17); /* after the question: 16 may be on its way */
	db_events(11, 11);
	assert_string_equal(told_revs(&cl), "11 14 15");
	publish(16);
	assert_string_equal(told_revs(&cl), "16 17");
	pass_ms(1000);
	assert_int_equal(asked_count(ASK_EVENTS), 0);
}

/* A full page may not be all: the next one is asked for. */
static void test_long_refill_goes_page_by_page(void **state)
{
	int64_t first = 11;
	int limit;

	(void)state;
	chan_order_fill(chan_find(wk, ROOM));
	limit = asked(ASK_EVENTS)->limit;
	db_events(first, first + limit - 1);
	assert_int_equal(asked(ASK_EVENTS)->after, first + limit - 1);
	assert_int_equal(chan_find(wk, ROOM)->rev, first + limit - 1);
	db_events(first + limit, first + limit + 1);
	assert_int_equal(chan_find(wk, ROOM)->rev, first + limit + 1);
	pass_ms(1000);
	assert_int_equal(asked_count(ASK_EVENTS), 0);
	told_all(&cl);
}

static struct event closing(int64_t rev)
{
	return (struct event){.type = EVT_CONVERSATION_CLOSE,
			      .conv = ROOM,
			      .rev = rev,
			      .seq = rev - 1,
			      .at_ms = STAND_AT_MS};
}

/* PROTOCOL.md section 8: 4404, "no such room or deleted". */
static void test_close_ends_the_channel(void **state)
{
	const struct event ev = closing(12);

	(void)state;
	publish_as(1, &ev);
	turns(3);
	assert_string_equal(told(&cl), ""); /* 11 is missing */
	publish(11);
	assert_string_equal(told_until(&cl, "\"type\":\"message\"") ? "" : "x", "");
	assert_non_null(strstr(told_until(&cl, "close"), "close 4404"));
	publish(13);
	assert_string_equal(told_revs(&cl), "");
	assert_null(chan_find(wk, ROOM));
}

static void test_close_read_from_the_log(void **state)
{
	(void)state;
	publish(12);
	pass_ms(50);
	db_events_closing(11, 12);
	turns(3);
	told_until(&cl, "\"content\":\"m11\"");
	told_until(&cl, "close 4404");
}

static void test_events_of_other_rooms_are_nothing_to_it(void **state)
{
	const struct event ev = message(ROOM + 1, 11);

	(void)state;
	publish_as(1, &ev);
	turns(3);
	assert_string_equal(told(&cl), "");
	assert_int_equal(chan_find(wk, ROOM)->rev, 10);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_in_order),
		T(test_early_events_wait_for_their_turn),
		T(test_repeats_are_dropped),
		T(test_hole_is_filled_after_the_holdback),
		T(test_hole_closes_itself_while_it_is_read),
		T(test_database_error_is_tried_again),
		T(test_database_away_at_a_hole),
		T(test_more_than_can_be_held),
		T(test_lapped_ring_is_refilled),
		T(test_lapped_without_a_loss),
		T(test_refill_during_a_refill),
		T(test_removed_rows_stop_nobody),
		T(test_long_refill_goes_page_by_page),
		T(test_close_ends_the_channel),
		T(test_close_read_from_the_log),
		T(test_events_of_other_rooms_are_nothing_to_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
