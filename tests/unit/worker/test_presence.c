/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/presence.c: who is told what, when, and that what was missed is made good.
 * Slots 1 and 2 are other workers, whose users come and go by the test's hand.
 */
#include "worker_fixture.h"

#include "proto/event.h"
#include "shm/presence.h"
#include "worker/presence.h"
#include "worker/roster.h"

static struct client a;

static int setup(void **state)
{
	stand_setup(state);
	stand_set("presence.min_interval=5s");
	stand_set("presence.batch_interval=100ms");
	enter_native(&a, "Alice", 5);
	pass_ms(1000);
	told_all(&a);
	return 0;
}

static int teardown(void **state)
{
	client_close(&a);
	return stand_teardown(state);
}

static void announce(int64_t user, const char *name, bool on)
{
	const struct event ev = {
		.type = EVT_PRESENCE,
		.conv = MEMBER_NODE,
		.at_ms = STAND_AT_MS,
		.actor = user,
		.actor_name = str_of(name),
		.on = on,
	};

	publish_as(1, &ev);
}

static void come(int64_t user, const char *name)
{
	bool is_first;

	assert_int_equal(member_attach(wk->shm, 1, MEMBER_NODE, user, str_of(name), &is_first), 0);
	announce(user, name, true);
}

static void on_left(void *arg, int64_t conv, int64_t user, struct str name)
{
	(void)conv, (void)name;
	*(int64_t *)arg = user;
}

/* Out of shared memory, as if its grace were over, and not said yet. */
static void vanish(int64_t user)
{
	int64_t left = 0;
	bool b;

	assert_int_equal(member_detach(wk->shm, 1, MEMBER_NODE, user, 0, &b), 0);
	assert_int_equal(member_expire(wk->shm, 1, now_ms, 100, on_left, &left, &b), 1);
	assert_int_equal(left, user);
}

static void go(int64_t user, const char *name)
{
	vanish(user);
	announce(user, name, false);
}

static void test_told_at_once_then_together(void **state)
{
	(void)state;
	come(20, "Bob");
	turns(2);
	assert_string_equal(told(&a),
			    "{\"op\":\"eph\",\"t\":\"presence\",\"d\":[{\"u\":20,\"name\":"
			    "\"Bob\",\"s\":\"online\"}]}");
	come(21, "Carl");
	turns(2);
	assert_string_equal(told(&a), "");
	come(22, "Dora");
	pass_ms(99);
	assert_string_equal(told(&a), "");
	pass_ms(1);
	assert_string_equal(told(&a),
			    "{\"op\":\"eph\",\"t\":\"presence\",\"d\":[{\"u\":21,\"name\":"
			    "\"Carl\",\"s\":\"online\"},{\"u\":22,\"name\":\"Dora\","
			    "\"s\":\"online\"}]}");
	assert_string_equal(told(&a), "");
}

/* The event only says where to look: order, repeats and lies of events change nothing. */
static void test_the_truth_is_told(void **state)
{
	(void)state;
	announce(30, "Nobody", true);
	turns(2);
	assert_string_equal(told(&a), "");
	come(20, "Bob");
	announce(20, "Bob", false);
	announce(20, "Bob", true);
	turns(2);
	assert_contains(str_of(told(&a)), "\"u\":20,\"name\":\"Bob\",\"s\":\"online\"");
	announce(20, "Bob", false);
	pass_ms(10000);
	assert_string_equal(told(&a), "");
}

static void test_one_change_per_interval_the_newest_wins(void **state)
{
	(void)state;
	come(20, "Bob");
	turns(2);
	told_until(&a, "\"online\"");
	go(20, "Bob");
	pass_ms(4999);
	assert_string_equal(told(&a), "");
	come(20, "Bob");
	go(20, "Bob");
	pass_ms(1);
	assert_contains(str_of(told(&a)), "\"s\":\"offline\"");
	come(20, "Bob");
	pass_ms(4000);
	go(20, "Bob");
	pass_ms(20000);
	assert_string_equal(told(&a), ""); /* came and went within the interval */
	come(20, "Bob");
	turns(2);
	assert_contains(str_of(told(&a)), "\"s\":\"online\"");
}

/* One that waits for its interval keeps nobody else waiting. */
static void test_the_limited_do_not_hold_up_others(void **state)
{
	(void)state;
	come(20, "Bob");
	turns(2);
	told_until(&a, "\"online\"");
	go(20, "Bob");
	pass_ms(1000);
	come(21, "Carl");
	turns(2);
	pass_ms(100);
	assert_contains(str_of(told(&a)), "\"u\":21");
}

static void test_own_connections_are_told_once(void **state)
{
	struct client b, c;

	(void)state;
	enter_native(&b, "Bob", 6);
	enter_native(&c, "Bob", 6);
	pass_ms(1000);
	told_until(&a, "\"u\":6,\"name\":\"Bob\",\"s\":\"online\"");
	client_close(&b);
	now_ms += 60000;
	roster_expire(wk);
	turns(2);
	assert_string_equal(told(&a), "");
	client_close(&c);
	now_ms += 14999; /* presence.grace_lost is 15 s */
	roster_expire(wk);
	turns(2);
	assert_string_equal(told(&a), "");
	now_ms += 1;
	roster_expire(wk);
	turns(2);
	told_until(&a, "\"u\":6,\"name\":\"Bob\",\"s\":\"offline\"");
}

static void test_missed_events_are_made_good(void **state)
{
	bool b;

	(void)state;
	come(20, "Bob");
	turns(2);
	told_until(&a, "\"online\"");
	pass_ms(6000);
	vanish(20); /* and its worker dies before it says so */
	assert_int_equal(member_attach(wk->shm, 2, MEMBER_NODE, 21, STR("Carl"), &b), 0);
	turns(2);
	assert_string_equal(told(&a), "");
	presence_ask_resync(wk);
	turns(3);
	told_until(&a, "{\"u\":20,\"name\":\"Bob\",\"s\":\"offline\"}");
	presence_ask_resync(wk);
	pass_ms(1000);
	assert_string_equal(told(&a), "");
}

static void test_scope(void **state)
{
	struct str list;
	bool b;

	(void)state;
	assert_text(presence_scope(wk), "all");
	stand_set("presence.auto_limit=3");
	assert_int_equal(member_attach(wk->shm, 1, MEMBER_NODE, 40, STR("Eve"), &b), 0);
	assert_int_equal(member_attach(wk->shm, 1, MEMBER_NODE, 40, STR("Eve"), &b), 0);
	presence_look(wk);
	turns(2);
	assert_text(presence_scope(wk), "shared");
	assert_string_equal(told(&a),
			    "{\"op\":\"eph\",\"t\":\"scope\",\"d\":{\"scope\":\"shared\"}}");
	come(20, "Bob");
	pass_ms(1000);
	assert_string_equal(told(&a), "");
	stand_set("presence.scope=all");
	presence_look(wk);
	turns(2);
	assert_string_equal(told(&a), "{\"op\":\"eph\",\"t\":\"scope\",\"d\":{\"scope\":\"all\"}}");
	list = str_of(told(&a)); /* everybody, in no order */
	assert_contains(list, "{\"op\":\"eph\",\"t\":\"roster\",\"d\":{\"users\":[");
	assert_contains(list, "{\"id\":5,\"name\":\"Alice\"}");
	assert_contains(list, "{\"id\":20,\"name\":\"Bob\"}");
	assert_contains(list, "{\"id\":40,\"name\":\"Eve\"}");
	go(20, "Bob");
	pass_ms(1000);
	assert_contains(str_of(told(&a)), "\"u\":20,\"name\":\"Bob\",\"s\":\"offline\"");
	stand_set("presence.scope=off");
	presence_look(wk);
	turns(2);
	told_until(&a, "\"scope\":\"off\"");
	come(21, "Carl");
	pass_ms(1000);
	assert_string_equal(told(&a), "");
}

static void test_raw_sockets_are_not_told(void **state)
{
	struct client r;

	(void)state;
	enter_raw(&r, "Ralf", 9, 10);
	told_until(&a, "\"u\":9,\"name\":\"Ralf\",\"s\":\"online\"");
	come(20, "Bob");
	pass_ms(1000);
	assert_string_equal(told(&r), "");
	told_until(&a, "\"u\":20");
	client_close(&r);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_told_at_once_then_together),
		T(test_the_truth_is_told),
		T(test_one_change_per_interval_the_newest_wins),
		T(test_the_limited_do_not_hold_up_others),
		T(test_own_connections_are_told_once),
		T(test_missed_events_are_made_good),
		T(test_scope),
		T(test_raw_sockets_are_not_told),
	};

	return cmocka_run_group_tests_name("presence", tests, NULL, NULL);
}
