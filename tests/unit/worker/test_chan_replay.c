/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/chan_replay.c: what was missed comes once, in order and without a hole, from the
 * ring as far as it goes and else from the database; or a gap is named (PROTOCOL.md section 7).
 */
#include "worker_fixture.h"

#include <sys/socket.h>

#include "worker/chan_replay.h"

#define SUB(rev) "{\"op\":\"sub\",\"id\":2,\"c\":42,\"rev\":" #rev "}"

static struct client cl, other;

/*
 * Nina knows the room up to some rev; Alice is in it, so that what is published goes to the ring.
 */
static int setup(void **state)
{
	stand_setup(state);
	enter_raw(&other, "Alice", 5, 10);
	enter_native(&cl, "Nina", 8);
	return 0;
}

static int teardown(void **state)
{
	client_close(&cl);
	client_close(&other);
	return stand_teardown(state);
}

static void publish_range(int64_t first, int64_t last)
{
	for (int64_t rev = first; rev <= last; rev++)
		publish(rev);
}

static struct event big(int64_t rev)
{
	static char text[6000];
	struct event ev = message(ROOM, rev);

	memset(text, 'x', sizeof(text));
	ev.content = (struct str){text, sizeof(text)};
	return ev;
}

static void assert_live(const char *revs)
{
	char got[4096];

	turns(5);
	snprintf(got, sizeof(got), "%s", told_revs(&cl));
	assert_string_equal(got, revs);
	assert_int_equal(sub_find(client_conn(&cl), ROOM)->state, SUB_LIVE);
}

static void test_from_the_ring(void **state)
{
	(void)state;
	publish_range(11, 20);
	say(&cl, SUB(12));
	assert_live("13 14 15 16 17 18 19 20");
	assert_int_equal(asked_count(ASK_EVENTS), 0);
	assert_int_equal(counted(M_REPLAYED_RING), 8);
	assert_int_equal(counted(M_REPLAYED_DATABASE), 0);
	publish(21);
	assert_string_equal(told_revs(&cl), "21");
}

static void test_live_closes_the_catch_up(void **state)
{
	(void)state;
	publish_range(11, 12);
	say(&cl, SUB(10));
	turns(5);
	assert_contains(str_of(told(&cl)), "\"rev\":11,");
	assert_contains(str_of(told(&cl)), "\"rev\":12,");
	told_until(&cl, "\"op\":\"live\",\"re\":2,\"c\":42,\"rev\":12");
	assert_string_equal(told_revs(&cl), "");
}

/* Two workers may publish 14 before 13. */
static void test_order_of_the_ring_does_not_matter(void **state)
{
	(void)state;
	publish_range(11, 12);
	publish(14);
	publish(13);
	publish(15);
	assert_string_equal(told_revs(&other), "11 12 13 14 15");
	say(&cl, SUB(10));
	assert_live("11 12 13 14 15");
	assert_int_equal(asked_count(ASK_EVENTS), 0);
}

/* A survivor announces again what may have been announced. */
static void test_announced_twice(void **state)
{
	(void)state;
	publish_range(11, 13);
	publish(12);
	publish(13);
	publish(14);
	say(&cl, SUB(10));
	assert_live("11 12 13 14");
}

static void test_ephemeral_records_between(void **state)
{
	const struct event typing = {
		.type = EVT_TYPING, .conv = ROOM, .actor = 7, .at_ms = STAND_AT_MS};

	(void)state;
	publish(11);
	for (int i = 0; i < 20; i++)
		publish_as(1, &typing);
	publish(12);
	say(&cl, SUB(10));
	assert_live("11 12");
	assert_int_equal(asked_count(ASK_EVENTS), 0);
}

/* The log before 11 was never in this ring. */
static void test_database_first_then_the_ring(void **state)
{
	(void)state;
	publish_range(11, 210);
	say(&cl, SUB(8));
	turns(3);
	assert_int_equal(asked(ASK_EVENTS)->after, 8);
	assert_int_equal(asked(ASK_EVENTS)->limit, 200);
	db_events(9, 208);
	for (int64_t rev = 9; rev <= 208; rev++)
		assert_int_equal(strtoll(strstr(told(&cl), "\"rev\":") + 6, NULL, 10), rev);
	assert_live("209 210");
	assert_int_equal(asked_count(ASK_EVENTS), 0);
	assert_int_equal(counted(M_REPLAYED_RING), 2);
	assert_int_equal(counted(M_REPLAYED_DATABASE), 200);
}

/* 13 was read from the log as a hole: it is in no record. */
static void test_hole_in_the_ring(void **state)
{
	(void)state;
	publish_range(11, 12);
	publish(14);
	pass_ms(100);
	db_events(13, 14);
	publish(15);
	assert_string_equal(told_revs(&other), "11 12 13 14 15");
	say(&cl, SUB(11));
	turns(3);
	assert_int_equal(asked(ASK_EVENTS)->after, 12);
	db_events(13, 15);
	assert_live("12 13 14 15");
}

static void test_overwritten_in_the_ring(void **state)
{
	(void)state;
	publish_range(11, 12);
	for (int64_t rev = 13; rev <= 30; rev++) { /* more than the ring holds */
		struct event ev = big(rev);

		publish_as(1, &ev);
		turns(2);
		told_all(&other);
	}
	say(&cl, SUB(10));
	turns(3);
	assert_int_equal(asked(ASK_EVENTS)->after, 10);
	db_events(11, 30);
	assert_live("11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30");
}

/* What is published while the page is under way does not come twice. */
static void test_seam(void **state)
{
	(void)state;
	say(&cl, SUB(7));
	turns(3);
	publish_range(11, 12);
	db_events(8, 12);
	publish(13);
	assert_live("8 9 10 11 12 13");
}

/* Many more than one share: the turns go on, and so do the others. */
static void test_long_way(void **state)
{
	int64_t rev = 10;

	(void)state;
	while (rev < 610) /* small records: all of them fit */
		for (int i = 0; i < 50; i++) {
			struct event ev = message(ROOM, ++rev);

			publish_as(1, &ev);
			turn();
			told_all(&other);
		}
	say(&cl, SUB(400));
	for (int64_t next = 401; next <= 610;) {
		const char *text = told(&cl);

		if (strstr(text, "\"op\":\"ev\""))
			assert_int_equal(strtoll(strstr(text, "\"rev\":") + 6, NULL, 10), next++);
		else
			turn();
		assert_int_equal(asked_count(ASK_EVENTS), 0);
	}
	told_until(&cl, "\"op\":\"live\"");
}

/*
 * C14, and PROTOCOL.md section 7: many conversations catch up at once on a slow link. What their
 * pages bring together is bounded, and nobody is cut off for it.
 */
static void test_pages_of_many_conversations(void **state)
{
	int64_t next[2] = {101, 101};
	int small = 4096, lives = 0;

	(void)state;
	stand_set("deliver.queue_max=65536");
	setsockopt(client_conn(&cl)->io.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	for (int i = 0; i < 2; i++) {
		char sub[64];

		snprintf(sub, sizeof(sub), "{\"op\":\"sub\",\"c\":%d,\"rev\":100}", 43 + i);
		say(&cl, sub);
		db_room(400, 400);
		turns(3);
	}
	assert_int_equal(asked_count(ASK_EVENTS), 2);
	for (int i = 0; lives < 2 && i < 10000; i++) {
		const char *text = "";

		if (asked_count(ASK_EVENTS)) {
			int64_t first = asked(ASK_EVENTS)->after + 1;

			db_events(first, MIN(first + 199, 400));
			assert_non_null(client_conn(&cl));
			assert_true(conn_queued(client_conn(&cl)) <= 65536);
		} else {
			text = told(&cl);
		}
		lives += strstr(text, "\"op\":\"live\"") != NULL;
		if (strstr(text, "\"op\":\"ev\"")) {
			int64_t *n = &next[strstr(text, "\"c\":44") != NULL];

			assert_int_equal(strtoll(strstr(text, "\"rev\":") + 6, NULL, 10), (*n)++);
		} else {
			turn();
		}
	}
	assert_int_equal(counted(M_CLOSED_SLOW), 0);
	assert_int_equal(lives, 2);
	assert_int_equal(next[0], 401);
	assert_int_equal(next[1], 401);
}

/* Subscribes to N conversations from FIRST on, each with two events that only the log has. */
static void sub_many(struct client *c, int first, int n)
{
	char sub[64];

	for (int conv = first; conv < first + n; conv++) {
		snprintf(sub, sizeof(sub), "{\"op\":\"sub\",\"c\":%d,\"rev\":398}", conv);
		say(c, sub);
		if (asked_count(ASK_ROOM))
			db_room(400, 400);
		turns(3);
	}
}

/* How many of them are confirmed. */
static int lives_of(struct client *c)
{
	int n = 0;

	for (const char *text; *(text = told(c));)
		n += strstr(text, "\"op\":\"live\"") != NULL;
	return n;
}

/*
 * C14: whoever resumes hundreds of conversations asks for a few pages at a time, and others come
 * between. (Seen red with all pages asked for at once.)
 */
static void test_pages_are_shared_out(void **state)
{
	struct client second;
	int lives = 0;

	(void)state;
	enter_native(&second, "Olga", 9);
	sub_many(&cl, 100, 20);
	assert_int_equal(asked_count(ASK_EVENTS), 4);
	sub_many(&second, 100, 2);
	assert_int_equal(asked_count(ASK_EVENTS), 6);
	for (int i = 0; i < 4; i++)
		db_events(399, 400);
	turns(3);
	assert_int_equal(asked_count(ASK_EVENTS), 6); /* two of the second's, four new ones */
	db_events(399, 400);
	db_events(399, 400);
	turns(3);
	assert_int_equal(lives_of(&second), 2);
	for (int i = 0; i < 16; i++) {
		assert_in_range(asked_count(ASK_EVENTS), 1, 4);
		db_events(399, 400);
		turns(2);
	}
	lives += lives_of(&cl);
	assert_int_equal(lives, 20);
	client_close(&second);
}

/* Whoever leaves with pages under way, or waiting for them, holds up nobody. */
static void test_pages_of_those_who_left(void **state)
{
	struct client many[9];
	char name[16];

	(void)state;
	for (int i = 0; i < 9; i++) {
		snprintf(name, sizeof(name), "Nina%d", i);
		enter_native(&many[i], name, 20 + i);
		sub_many(&many[i], 100, 5);
	}
	assert_int_equal(asked_count(ASK_EVENTS), 32); /* for the whole worker */
	assert_int_equal(wk->n_pages, 32);
	for (int i = 0; i < 8; i++)
		client_close(&many[i]);
	turns(3);
	for (int i = 0; i < 32; i++)
		db_events(399, 400);
	turns(3);
	assert_int_equal(asked_count(ASK_EVENTS), 4);
	for (int i = 0; i < 5; i++) {
		db_events(399, 400);
		turns(2);
	}
	assert_int_equal(lives_of(&many[8]), 5);
	assert_int_equal(wk->n_pages, 0);
	client_close(&many[8]);
}

/* ---- Gaps ---- */

static void test_gap_at_the_beginning(void **state)
{
	(void)state;
	say(&cl, SUB(2));
	turns(3);
	db_events(9, 10);
	assert_string_equal(told(&cl), "{\"op\":\"gap\",\"re\":2,\"c\":42,\"first\":9}");
	assert_string_equal(told(&cl), "");
	assert_null(sub_find(client_conn(&cl), ROOM));
	say(&cl, SUB(8)); /* takes the rest */
	turns(3);
	db_events(9, 10);
	assert_live("9 10");
}

static void test_gap_of_everything(void **state)
{
	(void)state;
	say(&cl, SUB(2));
	turns(3);
	db_events(1, 0);
	assert_string_equal(told(&cl), "{\"op\":\"gap\",\"re\":2,\"c\":42,\"first\":11}");
	assert_null(sub_find(client_conn(&cl), ROOM));
}

/* Never a silent hole, wherever it is (C1). */
static void test_gap_behind_a_short_page(void **state)
{
	(void)state;
	say(&cl, SUB(4));
	turns(3);
	db_events(5, 6); /* a short page: there are no rows after these */
	assert_contains(str_of(told(&cl)), "\"rev\":5,");
	assert_contains(str_of(told(&cl)), "\"rev\":6,");
	assert_string_equal(told(&cl), "{\"op\":\"gap\",\"re\":2,\"c\":42,\"first\":11}");
}

static void test_gap_in_a_room_socket(void **state)
{
	(void)state;
	say(&other, "{\"type\":\"resume\",\"rev\":3}");
	turns(2);
	db_events(9, 10);
	turns(3);
	assert_contains(str_of(told(&other)), "\"type\":\"error\",\"code\":\"gap\"");
	publish(11);
	assert_string_equal(told_revs(&other), "9 10 11");
}

/* ---- The database refuses ---- */

static void test_database_away_meanwhile(void **state)
{
	(void)state;
	say(&cl, SUB(7));
	turns(3);
	db_events_error(-ERR_UNAVAILABLE);
	turns(3);
	assert_int_equal(asked_count(ASK_EVENTS), 0);
	assert_string_equal(told(&cl), "");
	pass_ms(1000);
	turns(2);
	db_events(8, 10);
	assert_live("8 9 10");
}

/* Both requests are answered. Seen red: the first one never was. */
static void test_leave_meanwhile(void **state)
{
	(void)state;
	say(&cl, SUB(7));
	turns(3);
	say(&cl, "{\"op\":\"unsub\",\"id\":3,\"c\":42}");
	assert_contains(str_of(told(&cl)), "\"re\":2,\"code\":\"not_subscribed\"");
	assert_string_equal(told(&cl), "{\"op\":\"ok\",\"re\":3}");
	db_events(8, 10);
	turns(3);
	assert_string_equal(told(&cl), "");
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_from_the_ring),
		T(test_live_closes_the_catch_up),
		T(test_order_of_the_ring_does_not_matter),
		T(test_announced_twice),
		T(test_ephemeral_records_between),
		T(test_database_first_then_the_ring),
		T(test_hole_in_the_ring),
		T(test_overwritten_in_the_ring),
		T(test_seam),
		T(test_long_way),
		T(test_pages_of_many_conversations),
		T(test_pages_are_shared_out),
		T(test_pages_of_those_who_left),
		T(test_gap_at_the_beginning),
		T(test_gap_of_everything),
		T(test_gap_behind_a_short_page),
		T(test_gap_in_a_room_socket),
		T(test_database_away_meanwhile),
		T(test_leave_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
