/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/fanout.c: what is published comes back in order, sleepers and nobody else are
 * woken, and the log is announced from where this node's announcements ended.
 */
#include "worker_fixture.h"

#include <unistd.h>

#include "shm/presence.h"
#include "shm/recover.h"
#include "shm/ring.h"
#include "shm/rooms.h"
#include "worker/fanout.h"
#include "worker/ringpump.h"

static struct client a;
static struct ring_reader other; /* worker 1 */

static int setup(void **state)
{
	bool is_first;

	stand_setup(state);
	enter_raw(&a, "Alice", 5, 10);
	ring_reader_init(wk->shm, 1, &other);
	assert_int_equal(member_attach(wk->shm, 1, ROOM, 9, STR("Eve"), &is_first), 0);
	return 0;
}

static int teardown(void **state)
{
	client_close(&a);
	return stand_teardown(state);
}

static void publish_from_here(int64_t first, int64_t last)
{
	struct event events[16];
	size_t n = 0;

	for (int64_t rev = first; rev <= last; rev++) {
		events[n] = message(ROOM, rev);
		events[n++].content = STR("text");
	}
	fanout_publish(wk, events, n);
}

static bool is_rung(int slot)
{
	uint64_t n;

	return read(wake_fds[slot], &n, sizeof(n)) == sizeof(n);
}

static void test_own_events_come_back_through_the_ring(void **state)
{
	uint64_t end;
	struct event ev = message(ROOM, 11);

	(void)state;
	end = fanout_publish(wk, &ev, 1);
	assert_true(ringpump_position(wk) < end);
	assert_string_equal(told(&a), ""); /* not from inside publishing */
	turn();
	assert_true(ringpump_position(wk) >= end);
	assert_string_equal(told_revs(&a), "11");
}

static void test_batch_keeps_its_order_everywhere(void **state)
{
	struct ring_rec rec;

	(void)state;
	publish_from_here(11, 15);
	for (int64_t rev = 11; rev <= 15; rev++) {
		assert_int_equal(ring_peek(&other, &rec), 0);
		assert_int_equal(rec.conv, ROOM);
		assert_int_equal(rec.rev, rev);
		ring_advance(&other);
	}
	assert_int_equal(ring_peek(&other, &rec), -ERR_AGAIN);
	turn();
	assert_string_equal(told_revs(&a), "11 12 13 14 15");
}

static void test_only_sleepers_are_woken(void **state)
{
	int64_t wakeups;

	(void)state;
	publish_from_here(11, 11);
	assert_false(is_rung(1)); /* awake: it will look by itself */
	wakeups = counted(M_WAKEUPS);
	ring_reader_init(wk->shm, 1, &other);
	assert_true(ring_sleep_prepare(&other));
	publish_from_here(12, 12);
	assert_true(is_rung(1));
	assert_false(is_rung(2));
	assert_int_equal(counted(M_WAKEUPS), wakeups + 1);
	publish_from_here(13, 13);
	assert_false(is_rung(1)); /* one ring for one sleep */
}

static void test_presence_and_typing(void **state)
{
	struct ring_rec rec;
	struct event ev;

	(void)state;
	fanout_presence(wk, ROOM, 9, STR("Eve"), true, PRESENCE_JOIN);
	fanout_typing(wk, ROOM, 6, true);
	assert_int_equal(ring_peek(&other, &rec), 0);
	assert_int_equal(rec.rev, 0);
	assert_int_equal(event_decode(rec.payload, rec.len, &ev), 0);
	assert_int_equal(ev.type, EVT_PRESENCE);
	assert_int_equal(ev.actor, 9);
	assert_text(ev.actor_name, "Eve");
	assert_true(ev.on);
	ring_advance(&other);
	assert_int_equal(ring_peek(&other, &rec), 0);
	assert_int_equal(event_decode(rec.payload, rec.len, &ev), 0);
	assert_int_equal(ev.type, EVT_TYPING);
	assert_int_equal(ev.conv, ROOM);
	pass_ms(1000); /* arrivals are told together */
	turns(2);
	told_until(&a, "\"content\":\"Eve joined\"");
}

static void test_closing(void **state)
{
	const struct event ev = {.type = EVT_CONVERSATION_CLOSE,
				 .conv = ROOM,
				 .rev = 11,
				 .seq = 10,
				 .at_ms = STAND_AT_MS};

	(void)state;
	fanout_publish(wk, &ev, 1);
	turns(3);
	told_until(&a, "close 4404");
}

static void test_ensure(void **state)
{
	(void)state;
	publish_from_here(11, 11);
	turn();
	fanout_ensure(wk, ROOM, 11);
	fanout_ensure(wk, ROOM + 1, 5); /* nobody here to tell */
	assert_int_equal(asked_count(ASK_SETTLE), 0);
	fanout_ensure(wk, ROOM, 12);
	assert_int_equal(asked_count(ASK_SETTLE), 1);
	db_settled(0);
	assert_int_equal(asked(ASK_EVENTS)->after, 11);
	db_events(12, 14);
	turn();
	assert_string_equal(told_revs(&a), "11 12 13 14");
	fanout_ensure(wk, ROOM, 14);
	assert_int_equal(asked_count(ASK_SETTLE), 0);
}

/*
 * The room was made anew and nothing was announced since: the newest event tells that there are
 * others.
 */
static void test_nothing_announced_yet(void **state)
{
	(void)state;
	fanout_republish(wk, ROOM);
	db_settled(0);
	assert_int_equal(asked_count(ASK_EVENTS), 0);
	db_room(13, 13);
	assert_int_equal(asked(ASK_EVENTS)->after, 12);
	db_events(13, 13);
	turn();
	assert_string_equal(told_revs(&a), "");
	pass_ms(1000); /* a hole that nobody fills: it is read */
	db_events(11, 13);
	assert_string_equal(told_revs(&a), "11 12 13");
}

/*
 * What is asked for while it runs may have been committed after it read: once more, and only
 * once.
 */
static void test_republished_while_it_runs(void **state)
{
	int64_t convs[4];
	bool is_all;

	(void)state;
	publish(11);
	fanout_republish(wk, ROOM);
	db_settled(0);
	fanout_republish(wk, ROOM);
	fanout_republish(wk, ROOM);
	db_events(12, 11);
	assert_int_equal(recover_inherited(wk->shm, 0, convs, 4, &is_all), 1);
	db_settled(0);
	db_events(12, 12);
	assert_int_equal(asked_count(ASK_SETTLE), 0);
	assert_true(fanout_is_idle(wk));
	assert_int_equal(recover_inherited(wk->shm, 0, convs, 4, &is_all), 0);
	turn();
	assert_string_equal(told_revs(&a), "11 12");
}

/* A crash may leave thousands: they take turns. */
static void test_many_take_turns(void **state)
{
	int n = 0;

	(void)state;
	for (int64_t conv = 1000; conv < 1100; conv++)
		fanout_republish(wk, conv);
	assert_true(asked_count(ASK_SETTLE) <= 32);
	for (; asked_count(ASK_SETTLE); n++)
		db_settled(0); /* nobody here follows them */
	assert_int_equal(n, 100);
	assert_true(fanout_is_idle(wk));
}

static void test_long_log_goes_page_by_page(void **state)
{
	int64_t last;

	(void)state;
	publish_from_here(1, 1);
	fanout_republish(wk, ROOM);
	db_settled(0);
	last = asked(ASK_EVENTS)->limit + 1;
	db_events(2, last);
	assert_int_equal(asked(ASK_EVENTS)->after, last);
	db_events(last + 1, last + 1);
	assert_int_equal(asked_count(ASK_EVENTS), 0);
}

/* Receivers drop what they had. */
static void test_republished_twice(void **state)
{
	(void)state;
	publish_from_here(11, 12);
	turn();
	publish_from_here(11, 13);
	turn();
	assert_string_equal(told_revs(&a), "11 12 13");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_own_events_come_back_through_the_ring),
		T(test_batch_keeps_its_order_everywhere),
		T(test_only_sleepers_are_woken),
		T(test_presence_and_typing),
		T(test_closing),
		T(test_ensure),
		T(test_nothing_announced_yet),
		T(test_republished_while_it_runs),
		T(test_many_take_turns),
		T(test_long_log_goes_page_by_page),
		T(test_republished_twice),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
