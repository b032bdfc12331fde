/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/conn_timeout.c: one deadline per connection, each kind with its setting, kept in
 * order of time.
 */
#include "worker_fixture.h"

#include "worker/conn_timeout.h"
#include "worker/ws_conn.h"

static struct client a, b;

static int setup(void **state)
{
	stand_setup(state);
	stand_set("websocket.ping_interval=100ms");
	stand_set("websocket.ping_timeout=300ms");
	client_open(&a, DIALECT_NATIVE, 0);
	client_open(&b, DIALECT_NATIVE, 0);
	return 0;
}

static int teardown(void **state)
{
	client_close(&a);
	client_close(&b);
	return stand_teardown(state);
}

static void at(uint64_t ms)
{
	now_ms += ms;
	conn_check_waits(wk);
	turn();
}

static void test_oldest_first(void **state)
{
	(void)state;
	conn_wait(client_conn(&b), WAIT_PING);
	now_ms += 40;
	conn_wait(client_conn(&a), WAIT_PING);
	at(59);
	assert_string_equal(told(&b), "");
	at(1);
	assert_string_equal(told(&b), "ping ");
	assert_string_equal(told(&a), "");
	at(40);
	assert_string_equal(told(&a), "ping ");
}

static void test_a_new_wait_replaces_the_old_one(void **state)
{
	(void)state;
	conn_wait(client_conn(&a), WAIT_PING);
	conn_wait(client_conn(&a), WAIT_PONG);
	at(299);
	assert_string_equal(told(&a), "");
	assert_non_null(client_conn(&a));
	at(1);
	assert_null(client_conn(&a));
}

static void test_refresh(void **state)
{
	(void)state;
	conn_wait(client_conn(&a), WAIT_PING);
	now_ms += 90;
	conn_wait(client_conn(&a), WAIT_PING);
	at(90);
	assert_string_equal(told(&a), "");
	at(10);
	assert_string_equal(told(&a), "ping ");
}

static void test_no_wait(void **state)
{
	(void)state;
	conn_wait(client_conn(&a), WAIT_NONE);
	at(10000000);
	assert_non_null(client_conn(&a));
	assert_string_equal(told(&a), "");
	/* its hello is due */
	assert_null(client_conn(&b) && client_conn(&b)->state == CONN_WS ? &b : NULL);
}

/* The milliseconds are kept in 32 bits. */
static void test_the_clock_wraps(void **state)
{
	(void)state;
	now_ms = UINT64_C(0x3ffffffff) - 30;
	conn_wait(client_conn(&b), WAIT_NONE);
	conn_wait(client_conn(&a), WAIT_PING);
	at(99);
	assert_string_equal(told(&a), "");
	at(1);
	assert_string_equal(told(&a), "ping ");
}

static void test_new_settings_count_for_those_who_wait(void **state)
{
	(void)state;
	conn_wait(client_conn(&a), WAIT_PONG);
	stand_set("websocket.ping_timeout=100ms");
	at(100);
	assert_null(client_conn(&a));
}

static void test_all_that_are_due(void **state)
{
	(void)state;
	conn_wait(client_conn(&a), WAIT_PING);
	conn_wait(client_conn(&b), WAIT_PING);
	at(100);
	assert_string_equal(told(&a), "ping ");
	assert_string_equal(told(&b), "ping ");
	at(300);
	assert_null(client_conn(&a));
	assert_null(client_conn(&b));
}

/* Nobody looks: the timer does, by the clock of the loop. */
static void test_timer(void **state)
{
	(void)state;
	conn_wait(client_conn(&a), WAIT_PING);
	now_ms += 100;
	conn_wait(client_conn(&b), WAIT_HELLO); /* arms the timer again */
	conn_check_waits(wk);
	assert_int_equal(client_conn(&a)->wait, WAIT_PONG);
	now_ms += 300;
	for (int i = 0; client_conn(&a) && i < 100; i++)
		ev_run(wk->loop, EVRUN_ONCE);
	assert_null(client_conn(&a));
}

/* Red when it begins at the time that it is: what is late adds up. */
static void test_one_wait_follows_another_without_a_gap(void **state)
{
	static const struct {
		uint64_t late_ms, left_ms;
	} rows[] = {{0, 300}, {30, 270}, {150, 150}, {5000, 150}};
	struct conn *c = client_conn(&a);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		conn_wait(c, WAIT_NONE);
		conn_wait(c, WAIT_PING);
		now_ms += 100 + rows[i].late_ms;
		conn_wait(c, WAIT_NONE); /* as when it is over */
		conn_wait_on(c, WAIT_PING, WAIT_PONG);
		now_ms += rows[i].left_ms - 1;
		conn_check_wait(c);
		assert_int_equal(c->state, CONN_WS);
	}
	now_ms++;
	conn_check_wait(c);
	assert_int_equal(c->state, CONN_DEAD);
}

/* A lingering connection ends as it said it would. */
static void test_lingering(void **state)
{
	(void)state;
	stand_set("websocket.close_timeout=200ms");
	conn_finish(client_conn(&a), CONN_END_CLEAN);
	turn();
	at(199);
	assert_non_null(client_conn(&a));
	at(1);
	assert_null(client_conn(&a));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_oldest_first),
		T(test_a_new_wait_replaces_the_old_one),
		T(test_refresh),
		T(test_no_wait),
		T(test_the_clock_wraps),
		T(test_new_settings_count_for_those_who_wait),
		T(test_all_that_are_due),
		T(test_timer),
		T(test_one_wait_follows_another_without_a_gap),
		T(test_lingering),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
