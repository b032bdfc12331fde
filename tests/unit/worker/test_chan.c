/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/chan.c: entering, catching up, going live, leaving. History and live stream meet
 * without overlap or hole (PROTOCOL.md section 7).
 */
#include "worker_fixture.h"

#include "shm/presence.h"
#include "shm/ring.h"
#include "shm/rooms.h"
#include "worker/roster.h"

#define SUB(rev) "{\"op\":\"sub\",\"id\":2,\"c\":42,\"rev\":" #rev "}"

static struct client cl;

static int setup(void **state)
{
	stand_setup(state);
	enter_native(&cl, "Nina", 8);
	return 0;
}

static int teardown(void **state)
{
	client_close(&cl);
	return stand_teardown(state);
}

static uint8_t state_of(const struct client *c)
{
	return sub_find(client_conn(c), ROOM)->state;
}

/* All frames that are there, in a row. */
static const char *frames(struct client *of)
{
	static char all[65536];
	const char *text;
	size_t at = 0;

	all[0] = '\0';
	while (*(text = told(of)))
		at += (size_t)snprintf(all + at, sizeof(all) - at, "%s\n", text);
	return all;
}

static void test_live_from_now(void **state)
{
	const char *text;

	(void)state;
	say(&cl, "{\"op\":\"sub\",\"id\":2,\"c\":42}");
	/* nothing is said before the head of the log is known */
	assert_string_equal(told(&cl), "");
	assert_int_equal(state_of(&cl), SUB_LOADING);
	db_room(10, 9);
	turns(3);
	text = told_until(&cl, "\"op\":\"live\"");
	assert_contains(str_of(text), "\"re\":2,\"c\":42,\"rev\":10,\"seq\":9");
	assert_contains(str_of(text), "\"members\":1");
	assert_int_equal(state_of(&cl), SUB_LIVE);
	publish(11);
	assert_string_equal(told_revs(&cl), "11");
}

/*
 * PROTOCOL.md section 4: the confirmation comes first, with the rev from which the stream goes on.
 */
static void test_raw_confirmation_comes_first(void **state)
{
	struct client raw;
	const char *text;
	int64_t rev;

	(void)state;
	client_open(&raw, DIALECT_RAW, ROOM);
	db_room(10, 10);
	say(&raw, "{\"username\":\"Alice\"}");
	db_guest(5, "Alice");
	publish(11); /* while the head is being read */
	db_room(10, 10);
	turns(3);
	text = told(&raw);
	assert_memory_equal(
		text, "{\"type\":\"connected\",\"room_id\":42,\"username\":\"Alice\",\"rev\":", 58);
	rev = strtoll(strstr(text, "\"rev\":") + 6, NULL, 10);
	publish(12);
	for (text = told_revs(&raw); rev < 12;
	     rev++) { /* everything after that rev, and nothing else */
		assert_int_equal(strtoll(text, (char **)&text, 10), rev + 1);
	}
	assert_string_equal(text, "");
	client_close(&raw);
}

static void test_catch_up_then_live(void **state)
{
	(void)state;
	say(&cl, SUB(7));
	db_room(10, 10);
	turns(3);
	assert_int_equal(asked(ASK_EVENTS)->after, 7);
	assert_string_equal(told(&cl), ""); /* "live" closes the catch-up */
	publish(11);
	publish(12);
	assert_string_equal(told(&cl), "");
	db_events(8, 12);
	turns(3);
	assert_int_equal(asked_count(ASK_EVENTS), 0);
	assert_contains(str_of(told(&cl)), "\"rev\":8,");
	told_until(&cl, "\"rev\":9,");
	told_until(&cl, "\"rev\":10,");
	told_until(&cl, "\"rev\":11,");
	told_until(&cl, "\"rev\":12,");
	told_until(&cl, "\"op\":\"live\"");
	publish(13);
	assert_string_equal(told_revs(&cl), "13");
}

/* The node knows how far the log goes, from whoever read it first: nobody asks again. */
static void test_head_is_known_to_the_node(void **state)
{
	const struct event ev = message(ROOM, 12);
	struct buf b = BUF_INIT;
	uint64_t wake;
	bool is_first;

	(void)state;
	assert_int_equal(member_attach(wk->shm, 1, ROOM, 7, STR("Dora"), &is_first), 0);
	assert_int_equal(room_note_head(wk->shm, 1, ROOM, 10, 9), 0);
	say(&cl, SUB(0));
	turns(3);
	assert_int_equal(asked_count(ASK_ROOM), 0);
	assert_contains(str_of(told_until(&cl, "\"op\":\"live\"")), "\"rev\":10,\"seq\":9");
	say(&cl, "{\"op\":\"unsub\",\"id\":3,\"c\":42}");
	turns(2);
	publish(11);
	say(&cl, SUB(0)); /* 11 was published: its record has the seq */
	turns(3);
	assert_int_equal(asked_count(ASK_ROOM), 0);
	assert_contains(str_of(told_until(&cl, "\"op\":\"live\"")), "\"rev\":11,\"seq\":11");
	say(&cl, "{\"op\":\"unsub\",\"id\":4,\"c\":42}");
	turns(2);
	/* 12 is on its way, and not to this worker: only the database knows */
	event_encode(&ev, &b);
	ring_publish_begin(wk->shm, 1);
	assert_int_equal(ring_publish_add(wk->shm, 1, ROOM, 12, 0, b.p, b.len, NULL), 0);
	say(&cl, SUB(0));
	assert_int_equal(asked_count(ASK_ROOM), 1);
	assert_int_equal(ring_publish_end(wk->shm, 1, &wake), 0);
	buf_done(&b);
	db_room(12, 12);
	turns(3);
	assert_contains(str_of(told_until(&cl, "\"op\":\"live\"")), "\"rev\":12,\"seq\":12");
}

/* Rows that the channel has not delivered yet come through the channel, once. */
static void test_catch_up_does_not_run_ahead(void **state)
{
	(void)state;
	say(&cl, SUB(7));
	db_room(10, 10);
	turns(3);
	db_events(8, 12); /* 11 and 12 are committed and not announced */
	turns(3);
	assert_string_equal(told_revs(&cl), "8 9 10");
	publish(11);
	publish(12);
	assert_string_equal(told_revs(&cl), "11 12");
}

static void test_level_needs_no_database(void **state)
{
	(void)state;
	say(&cl, SUB(10));
	db_room(10, 10);
	turns(3);
	assert_int_equal(asked_count(ASK_EVENTS), 0);
	told_until(&cl, "\"op\":\"live\"");
	assert_int_equal(state_of(&cl), SUB_LIVE);
}

/* Its last event came through another worker that was faster than this one. */
static void test_ahead_of_this_worker(void **state)
{
	(void)state;
	say(&cl, SUB(12));
	db_room(10, 10);
	turns(3);
	assert_int_equal(state_of(&cl), SUB_AHEAD);
	publish(11);
	publish(12);
	publish(13);
	assert_string_equal(told_revs(&cl), "13");
	assert_int_equal(state_of(&cl), SUB_LIVE);
}

/* The database has less than it knows (an old copy): it is told so and waits for nothing. */
static void test_ahead_of_the_log(void **state)
{
	(void)state;
	say(&cl, SUB(12));
	db_room(10, 10);
	turns(3);
	pass_ms((uint64_t)wk->settings->deliver_holdback + 1);
	assert_int_equal(asked(ASK_EVENTS)->after, 10);
	db_events(11, 11);
	turns(3);
	told_until(&cl, "{\"op\":\"gap\",\"re\":2,\"c\":42,\"first\":12}");
	assert_null(sub_find(client_conn(&cl), ROOM));
}

/* A room's own socket goes on with what there is. */
static void test_ahead_of_the_log_in_a_room(void **state)
{
	struct client raw;

	(void)state;
	enter_raw(&raw, "Alice", 5, 10);
	say(&raw, "{\"type\":\"resume\",\"rev\":999}");
	pass_ms((uint64_t)wk->settings->deliver_holdback + 1);
	db_events(11, 10);
	turns(3);
	told_until(&raw, "\"code\":\"gap\"");
	publish(11);
	assert_string_equal(told_revs(&raw), "11");
	client_close(&raw);
}

static void test_rewind(void **state)
{
	struct client raw;

	(void)state;
	enter_raw(&raw, "Alice", 5, 10);
	publish(11);
	assert_string_equal(told_revs(&raw), "11");
	say(&raw, "{\"type\":\"resume\",\"rev\":9}");
	assert_int_equal(asked(ASK_EVENTS)->after, 9);
	publish(12);
	db_events(10, 12);
	turns(3);
	publish(13);
	assert_string_equal(told_revs(&raw), "10 11 12 13");
	client_close(&raw);
}

/* The answer to the first question belongs to no subscription any more. */
static void test_rewind_while_catching_up(void **state)
{
	struct client raw;

	(void)state;
	enter_raw(&raw, "Alice", 5, 10);
	say(&raw, "{\"type\":\"resume\",\"rev\":4}");
	say(&raw, "{\"type\":\"resume\",\"rev\":8}");
	assert_int_equal(asked_count(ASK_EVENTS), 2);
	db_events(5, 10);
	assert_string_equal(told_revs(&raw), "");
	db_events(9, 10);
	assert_string_equal(told_revs(&raw), "9 10");
	client_close(&raw);
}

static void test_unsubscribe_while_events_wait(void **state)
{
	const struct event ev = message(ROOM, 11);
	struct client other;

	(void)state;
	enter_raw(&other, "Alice", 5, 10);
	say(&cl, SUB(0));
	turns(3);
	told_until(&cl, "\"op\":\"live\"");
	publish_as(1, &ev);
	say(&cl, "{\"op\":\"unsub\",\"id\":3,\"c\":42}");
	publish(12);
	assert_string_equal(told_revs(&other), "11 12");
	assert_null(strstr(told_revs(&cl), "12"));
	assert_null(sub_find(client_conn(&cl), ROOM));
	client_close(&other);
}

#define SEND "{\"op\":\"send\",\"id\":3,\"c\":42,\"k\":\"k\",\"content\":\"hi\"}"

/*
 * Whoever sends without waiting for the confirmation sees its own message all the same, before what
 * is live. Seen red without sub_begin_before_own: the head had come with the message in it.
 */
static void test_own_message_before_the_head_is_known(void **state)
{
	const char *text;

	(void)state;
	say(&cl, "{\"op\":\"sub\",\"id\":2,\"c\":42}");
	say(&cl, SEND);
	db_batch_stored(11);
	db_room(12, 12); /* another one is stored, too */
	publish(12);
	turns(3);
	text = frames(&cl);
	assert_contains(str_of(text), "\"rev\":11");
	assert_true(strstr(text, "\"rev\":12,\"t\"") > strstr(text, "\"rev\":11,\"t\""));
	assert_true(strstr(text, "\"op\":\"live\"") > strstr(text, "\"rev\":12,\"t\""));
	assert_int_equal(state_of(&cl), SUB_LIVE);
}

/* The same when the head comes before the answer to the commit. */
static void test_own_message_in_the_head(void **state)
{
	const char *text;

	(void)state;
	say(&cl, "{\"op\":\"sub\",\"id\":2,\"c\":42}");
	say(&cl, SEND);
	db_room(11, 11);
	turns(3);
	assert_string_equal(told(&cl), "");
	db_batch_stored(11);
	turns(3);
	text = frames(&cl);
	assert_true(strstr(text, "\"op\":\"live\"") > strstr(text, "\"rev\":11,\"t\""));
	assert_non_null(strstr(text, "\"rev\":11,\"t\""));
	assert_int_equal(state_of(&cl), SUB_LIVE);
	publish(12);
	assert_string_equal(told_revs(&cl), "12");
}

static void test_own_message_that_is_refused(void **state)
{
	const struct batch_answer none = {.status = BATCH_NO_CONV, .conv = ROOM};

	(void)state;
	say(&cl, "{\"op\":\"sub\",\"id\":2,\"c\":42}");
	say(&cl, SEND);
	db_room(11, 11);
	turns(3);
	assert_int_equal(state_of(&cl), SUB_LOADING);
	db_batch(&none);
	turns(3);
	assert_lacks(str_of(frames(&cl)), "\"rev\":11,\"t\"");
	assert_int_equal(state_of(&cl), SUB_LIVE);
}

/* Who leaves, or goes, owes nothing and is owed nothing. */
static void test_own_message_of_who_has_left(void **state)
{
	(void)state;
	say(&cl, "{\"op\":\"sub\",\"id\":2,\"c\":42}");
	say(&cl, SEND);
	say(&cl, "{\"op\":\"unsub\",\"id\":4,\"c\":42}");
	say(&cl, "{\"op\":\"sub\",\"id\":5,\"c\":42}");
	db_batch_stored(11);
	db_room(11, 11);
	turns(3);
	db_room(11, 11);
	turns(3);
	assert_lacks(str_of(frames(&cl)), "\"rev\":11,\"t\"");
	assert_int_equal(state_of(&cl), SUB_LIVE);
}

static void test_leave_while_loading(void **state)
{
	(void)state;
	say(&cl, SUB(0));
	client_close(&cl);
	turns(2);
	assert_null(chan_find(wk, ROOM));
	db_room(10, 10); /* comes for nobody */
	turns(3);
	assert_null(chan_find(wk, ROOM));
}

static void test_no_such_room(void **state)
{
	(void)state;
	say(&cl, SUB(0));
	db_room_error(-ERR_NOENT);
	assert_contains(str_of(told(&cl)), "\"op\":\"err\",\"re\":2,\"code\":\"no_such_room\"");
	turns(2);
	assert_null(chan_find(wk, ROOM));
	assert_string_equal(told(&cl), ""); /* a native socket outlives it */
	say(&cl, "{\"op\":\"ping\",\"id\":9}");
	assert_contains(str_of(told(&cl)), "{\"op\":\"pong\",\"re\":9,");
}

/* Presence on the node is kept like a room's, under an id that is no conversation's. */
static void test_the_node_is_no_room(void **state)
{
	char text[64];

	(void)state;
	snprintf(text, sizeof(text), "{\"op\":\"sub\",\"id\":2,\"c\":%d}", MEMBER_NODE);
	say(&cl, text);
	assert_contains(str_of(told(&cl)), "\"op\":\"err\",\"re\":2,\"code\":\"no_such_room\"");
	assert_null(chan_find(wk, MEMBER_NODE));
	assert_int_equal(asked_count(ASK_ROOM), 0);
}

static void test_closed_room(void **state)
{
	(void)state;
	say(&cl, SUB(0));
	db_room_closed();
	assert_contains(str_of(told(&cl)), "\"code\":\"no_such_room\"");
}

static void test_database_away(void **state)
{
	(void)state;
	say(&cl, SUB(0));
	db_room_error(-ERR_UNAVAILABLE);
	assert_contains(str_of(told(&cl)), "\"code\":\"unavailable\"");
	assert_null(sub_find(client_conn(&cl), ROOM));
}

static void test_two_wait_for_one_answer(void **state)
{
	struct client second;

	(void)state;
	enter_native(&second, "Nils", 9);
	say(&cl, SUB(0));
	say(&second, SUB(0));
	assert_int_equal(asked_count(ASK_ROOM), 1);
	db_room(10, 10);
	turns(3);
	told_until(&cl, "\"op\":\"live\"");
	told_until(&second, "\"op\":\"live\"");
	publish(11);
	assert_string_equal(told_revs(&cl), "11");
	assert_string_equal(told_revs(&second), "11");
	client_close(&second);
}

/* S1: "joined" goes to the others, once per user and not per socket (PROTOCOL.md 9.10). */
static void test_arrival_is_told_to_the_others_once(void **state)
{
	struct client a, b, again;
	const char *text;

	(void)state;
	enter_raw(&a, "Alice", 5, 10);
	enter_raw(&b, "Bob", 6, 10);
	assert_contains(str_of(told_until(&a, "\"type\":\"system\"")),
			"\"content\":\"Bob joined\",\"event\":\"join\",\"username\":\"Bob\"");
	told_all(&a);
	enter_raw(&again, "Bob", 6, 10);
	while (*(text = told(&a)))
		assert_null(strstr(text, "joined"));
	client_close(&a);
	client_close(&b);
	client_close(&again);
}

static void test_own_arrival_is_not_told(void **state)
{
	struct client a;
	const char *text;

	(void)state;
	client_open(&a, DIALECT_RAW, ROOM);
	say(&a, "{\"username\":\"Alice\"}");
	db_guest(5, "Alice");
	while (asked_count(ASK_ROOM))
		db_room(10, 10);
	pass_ms(1000);
	assert_contains(str_of(told(&a)), "\"type\":\"connected\"");
	while (*(text = told(&a)))
		assert_null(strstr(text, "\"type\":\"system\""));
	client_close(&a);
}

static void expire_in(uint64_t ms)
{
	now_ms += ms;
	roster_expire(wk);
	turns(3);
}

/*
 * Who waits for the answer to the commit when the room is closed goes with the others. Seen red: he
 * stayed, and the room with him.
 */
static void test_own_message_in_a_room_that_is_closed(void **state)
{
	const struct event closing = {.type = EVT_CONVERSATION_CLOSE,
				      .conv = ROOM,
				      .rev = 12,
				      .seq = 11,
				      .at_ms = STAND_AT_MS};

	(void)state;
	say(&cl, "{\"op\":\"sub\",\"id\":2,\"c\":42}");
	say(&cl, SEND);
	db_room(11, 11);
	turns(3);
	publish_as(1, &closing);
	turns(3);
	assert_int_equal(state_of(&cl), SUB_LOADING);
	db_batch_stored(11);
	turns(3);
	expire_in(20);
	assert_null(sub_find(client_conn(&cl), ROOM));
}

/* PROTOCOL.md 9.15: a clean close leaves after 2 s, a lost link after 15 s. */
static void test_graces(void **state)
{
	struct room_info info;
	struct client a, b, c;

	(void)state;
	enter_raw(&a, "Alice", 5, 10);
	enter_raw(&b, "Bob", 6, 10);
	enter_raw(&c, "Carl", 7, 10);
	client_frame(&b, 8, "\x03\xe8", 2); /* 1000 */
	client_close(&b);
	client_close(&c); /* without a word */
	turns(2);
	assert_int_equal(room_read(wk->shm, 0, ROOM, &info), 0);
	assert_int_equal(info.users, 3);
	assert_int_equal(info.connections, 1);
	told_all(&a);
	expire_in(1999);
	assert_null(strstr(frames(&a), "left"));
	expire_in(1);
	assert_contains(str_of(frames(&a)), "\"content\":\"Bob left\",\"event\":\"leave\"");
	expire_in(12999);
	assert_null(strstr(frames(&a), "left"));
	expire_in(1);
	assert_contains(str_of(frames(&a)), "\"content\":\"Carl left\",\"event\":\"leave\"");
	client_close(&a);
}

static void test_room_marked_closed_elsewhere(void **state)
{
	struct client a;

	(void)state;
	enter_raw(&a, "Alice", 5, 10);
	assert_int_equal(room_mark_closed(wk->shm, 1, ROOM), 0);
	say(&cl, SUB(0));
	assert_contains(str_of(told_until(&cl, "\"op\":\"err\"")), "\"code\":\"no_such_room\"");
	assert_null(sub_find(client_conn(&cl), ROOM));
	client_close(&a);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_live_from_now),
		T(test_raw_confirmation_comes_first),
		T(test_catch_up_then_live),
		T(test_head_is_known_to_the_node),
		T(test_catch_up_does_not_run_ahead),
		T(test_level_needs_no_database),
		T(test_ahead_of_this_worker),
		T(test_ahead_of_the_log),
		T(test_ahead_of_the_log_in_a_room),
		T(test_rewind),
		T(test_rewind_while_catching_up),
		T(test_unsubscribe_while_events_wait),
		T(test_own_message_before_the_head_is_known),
		T(test_own_message_in_the_head),
		T(test_own_message_that_is_refused),
		T(test_own_message_of_who_has_left),
		T(test_own_message_in_a_room_that_is_closed),
		T(test_leave_while_loading),
		T(test_no_such_room),
		T(test_the_node_is_no_room),
		T(test_closed_room),
		T(test_database_away),
		T(test_two_wait_for_one_answer),
		T(test_arrival_is_told_to_the_others_once),
		T(test_own_arrival_is_not_told),
		T(test_graces),
		T(test_room_marked_closed_elsewhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
