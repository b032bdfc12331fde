/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/ringpump.c: every record reaches its channel, in budgets; the worker sleeps only
 * when the ring is empty and wakes by its eventfd.
 */
#include "worker_fixture.h"

#include "shm/presence.h"
#include "shm/ring.h"
#include "shm/slots.h"
#include "worker/ringpump.h"

static struct client a;

static int setup(void **state)
{
	stand_setup(state);
	enter_raw(&a, "Alice", 5, 10);
	return 0;
}

static int teardown(void **state)
{
	client_close(&a);
	return stand_teardown(state);
}

static bool is_asleep(void)
{
	struct slot_info info;

	assert_int_equal(slot_read(wk->shm, 0, &info), 0);
	return info.is_asleep;
}

static void test_position_follows_the_tail(void **state)
{
	uint64_t oldest, tail;

	(void)state;
	publish(11);
	ring_bounds(wk->shm, &oldest, &tail);
	assert_int_equal(ringpump_position(wk), tail);
}

static void test_sleeps_when_empty_and_is_woken(void **state)
{
	const struct event ev = message(ROOM, 11);

	(void)state;
	turns(3);
	assert_true(is_asleep());
	assert_int_equal(publish_as(1, &ev), 1); /* this worker's bit: it had to be rung */
	ev_run(wk->loop, EVRUN_ONCE);
	turn();
	assert_string_equal(told_revs(&a), "11");
	assert_true(is_asleep());
}

static void test_kept_awake_by_work(void **state)
{
	const struct event ev = message(ROOM, 11);

	(void)state;
	turns(3);
	worker_kick(wk);
	publish_as(1, &ev);
	ringpump_sleep(wk); /* the loop turns again anyway */
	turn();
	assert_string_equal(told_revs(&a), "11");
}

static void test_garbage_is_passed_over(void **state)
{
	const struct event ev = message(ROOM, 11);

	(void)state;
	ring_publish_begin(wk->shm, 1);
	assert_int_equal(ring_publish_add(wk->shm, 1, ROOM, 0, 0, "no event", 8, NULL), 0);
	uint64_t wake = 0;

	assert_int_equal(ring_publish_end(wk->shm, 1, &wake), 0);
	publish_as(1, &ev);
	turns(2);
	assert_string_equal(told_revs(&a), "11");
	assert_int_equal(wk->exit_code, WORKER_EXIT_OK);
}

static void test_records_for_others_are_not_read(void **state)
{
	const struct event ev = message(ROOM, 11);
	struct buf b = BUF_INIT;
	uint64_t wake = 0;

	(void)state;
	event_encode(&ev, &b);
	ring_publish_begin(wk->shm, 1);
	assert_int_equal(ring_publish_to(wk->shm, 1, 2, ROOM, 11, 0, b.p, b.len), 0);
	assert_int_equal(ring_publish_end(wk->shm, 1, &wake), 0);
	buf_done(&b);
	turns(2);
	assert_string_equal(told(&a), "");
	publish(11);
	assert_string_equal(told_revs(&a), "11");
}

/* Ephemeral records, so that their number is not limited by what a room may hold back. */
static void overtake(void)
{
	const struct event ev = {
		.type = EVT_TYPING, .conv = ROOM, .at_ms = STAND_AT_MS, .actor = 6};

	for (int i = 0; i < 2000; i++)
		publish_as(1, &ev);
	turns(3);
	assert_int_equal(counted(M_RING_LAPPED), 1);
}

static void test_overtaken(void **state)
{
	const struct event ev = message(ROOM, 11);

	(void)state;
	publish_as(1, &ev); /* among the lost */
	overtake();
	assert_int_equal(asked_count(ASK_EVENTS), 1);
	db_events(11, 11);
	assert_string_equal(told_revs(&a), "11");
	turns(3);
	assert_true(is_asleep());
}

static void test_overtaken_without_a_loss(void **state)
{
	(void)state;
	publish(11);
	overtake();
	assert_int_equal(asked_count(ASK_EVENTS), 0); /* the node has published no more than 11 */
	publish(12);
	assert_string_equal(told_revs(&a), "11 12");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_position_follows_the_tail),
		T(test_sleeps_when_empty_and_is_woken),
		T(test_kept_awake_by_work),
		T(test_garbage_is_passed_over),
		T(test_records_for_others_are_not_read),
		T(test_overtaken),
		T(test_overtaken_without_a_loss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
