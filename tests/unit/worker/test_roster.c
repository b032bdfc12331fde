/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/roster.c: the sorted user list once per pause, the typing set and its end.
 */
#include "worker_fixture.h"

#include "shm/presence.h"
#include "worker/deliver.h"
#include "worker/roster.h"

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

static int lists(struct client *cl, char ret_last[1024])
{
	const char *text;
	int n = 0;

	ret_last[0] = '\0';
	while (*(text = told(cl))) {
		if (!strstr(text, "\"type\":\"users_list\""))
			continue;
		n++;
		snprintf(ret_last, 1024, "%s", text);
	}
	return n;
}

static void test_sorted_each_name_once(void **state)
{
	struct client b, c, d;
	char last[1024];

	(void)state;
	enter_raw(&c, "Carl", 7, 10);
	enter_raw(&b, "Bob", 6, 10);
	enter_raw(&d, "Bob", 6, 10);
	assert_true(lists(&a, last) > 0);
	assert_string_equal(last,
			    "{\"type\":\"users_list\",\"users\":[\"Alice\",\"Bob\",\"Carl\"]}");
	client_close(&b);
	client_close(&c);
	client_close(&d);
}

/* Many arrivals within a pause (deliver.roster_interval) are one list. */
static void test_once_per_pause(void **state)
{
	struct client cl[5];
	char last[1024];
	const char *hello[] = {"Ben", "Cleo", "Dan", "Eve", "Fay"};
	char text[64];

	(void)state;
	stand_set("deliver.roster_interval=200ms");
	roster_mark(chan_find(wk, ROOM));
	pass_ms(1000);
	assert_int_equal(lists(&a, last), 1);
	for (int i = 0; i < 5; i++) {
		client_open(&cl[i], DIALECT_RAW, ROOM);
		snprintf(text, sizeof(text), "{\"username\":\"%s\"}", hello[i]);
		say(&cl[i], text);
		db_guest(20 + i, hello[i]);
		turns(3);
	}
	assert_int_equal(lists(&a, last), 0);
	pass_ms(199);
	assert_int_equal(lists(&a, last), 0);
	pass_ms(1);
	assert_int_equal(lists(&a, last), 1);
	assert_string_equal(
		last, "{\"type\":\"users_list\",\"users\":[\"Alice\",\"Ben\",\"Cleo\",\"Dan\","
		      "\"Eve\",\"Fay\"]}");
	pass_ms(1000);
	assert_int_equal(lists(&a, last), 0);
	for (int i = 0; i < 5; i++)
		client_close(&cl[i]);
}

static void test_newcomer_gets_the_list(void **state)
{
	struct client b;
	char last[1024];

	(void)state;
	client_open(&b, DIALECT_RAW, ROOM);
	say(&b, "{\"username\":\"Bob\"}");
	db_guest(6, "Bob");
	pass_ms(1000);
	assert_int_equal(lists(&b, last), 1);
	assert_string_equal(last, "{\"type\":\"users_list\",\"users\":[\"Alice\",\"Bob\"]}");
	client_close(&b);
}

static void come(int64_t user, const char *name)
{
	const struct event ev = {.type = EVT_PRESENCE,
				 .conv = ROOM,
				 .at_ms = STAND_AT_MS,
				 .actor = user,
				 .actor_name = str_of(name),
				 .on = true,
				 .reason = PRESENCE_JOIN};

	publish_as(1, &ev);
	turns(3);
}

/*
 * Bob leaves and is back before anybody was told. Who entered in between has a list without him,
 * and must hear that he is there; nobody sees him come in S1, for whom he never left.
 */
static void test_a_change_undone_behind_a_newcomers_list(void **state)
{
	struct client bob, n;
	const char *text;
	bool is_last;
	char last[1024];

	(void)state;
	stand_set("presence.batch_interval=200ms");
	enter_raw(&bob, "Bob", 6, 10);
	pass_ms(1000);
	(void)lists(&a, last);
	come(7, "Carl"); /* from now on the next frame waits */
	pass_ms(10);
	assert_int_equal(member_detach(wk->shm, 0, ROOM, 6, 0, &is_last), 0);
	roster_expire(wk); /* his grace is over, and said to be */
	turns(3);
	enter_native(&n, "Nina", 9);
	say(&n, "{\"op\":\"sub\",\"id\":2,\"c\":42}");
	turns(3);
	assert_null(strstr(told_until(&n, "\"t\":\"roster\""), "Bob"));
	assert_int_equal(member_attach(wk->shm, 0, ROOM, 6, STR("Bob"), &is_last), 0);
	come(6, "Bob");
	pass_ms(2000);
	told_until(&n, "\"u\":6,\"name\":\"Bob\",\"s\":\"online\"");
	while (*(text = told(&a)))
		assert_null(strstr(text, "Bob joined"));
	client_close(&n);
	client_close(&bob);
}

/* PROTOCOL.md 9.13: S1 gets the whole set, the typer too. */
/*
 * Somebody else comes in every turn: a newcomer waits for one batch, not for a quiet moment. (Seen
 * red: it was never connected.)
 */
static void test_newcomer_among_many(void **state)
{
	struct event ev = {
		.type = EVT_PRESENCE, .conv = ROOM, .at_ms = STAND_AT_MS, .on = true, .actor = 100};
	struct client b;
	bool is_in = false;

	(void)state;
	ev.actor_name = STR("Carl");
	publish_as(1, &ev);
	turns(2); /* told; the next batch has to wait */
	client_open(&b, DIALECT_RAW, ROOM);
	say(&b, "{\"username\":\"Bob\"}");
	for (int i = 0; i < 20 && !is_in; i++) {
		ev.actor++;
		publish_as(1, &ev);
		if (asked_count(ASK_GUEST))
			db_guest(6, "Bob");
		now_ms += (uint64_t)wk->settings->presence_batch_interval / 2;
		turn();
		is_in = strstr(told(&b), "\"type\":\"connected\"") != NULL;
	}
	assert_true(is_in);
	client_close(&b);
}

static void test_typing_starts_and_stops(void **state)
{
	struct client b, n;

	(void)state;
	enter_raw(&b, "Bob", 6, 10);
	enter_native(&n, "Nina", 8);
	say(&n, "{\"op\":\"sub\",\"id\":2,\"c\":42}");
	pass_ms(1000);
	told_all(&a);
	told_all(&b);
	told_all(&n);
	say(&b, "{\"type\":\"typing\",\"is_typing\":true}");
	turns(2);
	assert_string_equal(told(&a), "{\"type\":\"typing\",\"users\":[\"Bob\"]}");
	assert_string_equal(told(&b), "{\"type\":\"typing\",\"users\":[\"Bob\"]}");
	assert_contains(str_of(told(&n)),
			"{\"op\":\"eph\",\"c\":42,\"t\":\"typing\",\"d\":{\"users\":[6]");
	say(&b, "{\"type\":\"typing\",\"is_typing\":true}"); /* no change, no frame */
	turns(2);
	assert_string_equal(told(&a), "");
	say(&b, "{\"type\":\"typing\",\"is_typing\":false}");
	turns(2);
	assert_string_equal(told(&a), "{\"type\":\"typing\",\"users\":[]}");
	assert_contains(str_of(told(&n)), "\"d\":{\"users\":[]");
	client_close(&b);
	client_close(&n);
}

static void test_message_ends_typing(void **state)
{
	struct client b;

	(void)state;
	enter_raw(&b, "Bob", 6, 10);
	told_all(&a);
	say(&b, "{\"type\":\"typing\",\"is_typing\":true}");
	turns(2);
	told_until(&a, "[\"Bob\"]");
	say(&b, "{\"type\":\"message\",\"content\":\"hi\"}");
	turns(2);
	assert_string_equal(told(&a), "{\"type\":\"typing\",\"users\":[]}");
	client_close(&b);
}

static void test_leaving_ends_typing(void **state)
{
	struct client b;

	(void)state;
	enter_raw(&b, "Bob", 6, 10);
	told_all(&a);
	say(&b, "{\"type\":\"typing\",\"is_typing\":true}");
	turns(2);
	told_until(&a, "[\"Bob\"]");
	client_close(&b);
	turns(2);
	told_until(&a, "{\"type\":\"typing\",\"users\":[]}");
}

/*
 * A reader whose socket was full when the set emptied: what makes good says that nobody types. Seen
 * red with an empty set left out there.
 */
static void test_typing_that_was_missed(void **state)
{
	struct sub *sub = conn_find(wk, a.id)->subs;

	(void)state;
	turns(2);
	told_all(&a);
	sub->owes_state = true;
	deliver_make_good(sub);
	turns(2);
	told_until(&a, "{\"type\":\"typing\",\"users\":[]}");
}

static void test_typing_expires(void **state)
{
	struct client b;

	(void)state;
	enter_raw(&b, "Bob", 6, 10);
	told_all(&a);
	say(&b, "{\"type\":\"typing\",\"is_typing\":true}");
	turns(2);
	told_all(&a);
	now_ms += 5499; /* chat.typing_timeout is 5.5 s */
	assert_true(roster_expire(wk));
	turns(2);
	assert_string_equal(told(&a), "");
	now_ms += 2;
	roster_expire(wk);
	turns(2);
	assert_string_equal(told(&a), "{\"type\":\"typing\",\"users\":[]}");
	assert_false(roster_expire(wk)); /* nothing left to watch */
	client_close(&b);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_sorted_each_name_once),
		T(test_once_per_pause),
		T(test_newcomer_gets_the_list),
		T(test_a_change_undone_behind_a_newcomers_list),
		T(test_newcomer_among_many),
		T(test_typing_starts_and_stops),
		T(test_message_ends_typing),
		T(test_leaving_ends_typing),
		T(test_typing_that_was_missed),
		T(test_typing_expires),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
