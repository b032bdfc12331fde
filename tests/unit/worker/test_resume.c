/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/resume.c and of what on_hello.c does with it: when sessions are written, what a
 * hello with a cursor brings back, and who gives way to whom.
 */
#include "worker_fixture.h"

#include "proto/cursor.h"
#include "shm/ring.h"
#include "worker/deliver.h"
#include "worker/resume.h"

static struct client n;
static char cursor_text[256];

static int setup(void **state)
{
	stand_setup(state);
	enter_native(&n, "Nina", 8);
	return 0;
}

static int teardown(void **state)
{
	client_close(&n);
	return stand_teardown(state);
}

static void follow(struct client *cl, int64_t conv, int64_t head)
{
	char text[64];

	snprintf(text, sizeof(text), "{\"op\":\"sub\",\"id\":2,\"c\":%" PRId64 "}", conv);
	say(cl, text);
	if (asked_count(ASK_ROOM))
		db_room(head, head);
	turns(3);
	told_until(cl, "\"op\":\"live\"");
}

static struct uuid session_of(const struct client *cl)
{
	struct buf text = BUF_INIT;
	struct uuid session;
	struct cursor cur;

	assert_true(resume_cursor(client_conn(cl), &text));
	assert_int_equal(cursor_decode(buf_str(&text), 16, &cur), 0);
	session = cur.session;
	buf_done(&text);
	cursor_done(&cur);
	return session;
}

static const char *cursor_of(const struct uuid *session, int64_t user, const struct cursor_pos *pos,
			     size_t n_pos)
{
	const struct cursor cur = {*session, user, (struct cursor_pos *)pos, n_pos};
	struct buf text = BUF_INIT;

	cursor_encode(&text, &cur);
	snprintf(cursor_text, sizeof(cursor_text), "%.*s", (int)text.len, (char *)text.p);
	buf_done(&text);
	return cursor_text;
}

/* A second socket says hello with CURSOR; Nina is known already. */
static void hello(struct client *cl, const char *cursor, const char *seen)
{
	char text[512];

	client_open(cl, DIALECT_NATIVE, 0);
	snprintf(text, sizeof(text),
		 "{\"op\":\"hello\",\"id\":1,\"name\":\"Nina\",\"resume\":\"%s\",\"seen\":{%s}}",
		 cursor, seen);
	say(cl, text);
}

/* ---- Writing ---- */

static void test_written_with_the_confirmation(void **state)
{
	(void)state;
	assert_int_equal(stand_saved.statements, 0); /* nothing to resume */
	follow(&n, ROOM, 10);
	assert_int_equal(stand_saved.statements, 1);
	assert_int_equal(stand_saved.points, 1);
	assert_int_equal(stand_saved.last.user, 8);
	assert_int_equal(stand_saved.last.n, 1);
	assert_int_equal(stand_saved.convs[0], ROOM);
	assert_int_equal(stand_saved.revs[0], 10); /* where it began */
}

/* What the client was sent since may not have reached it. */
static void test_positions_do_not_follow_the_stream(void **state)
{
	(void)state;
	follow(&n, ROOM, 10);
	publish(11);
	turns(2);
	pass_ms(1000);
	follow(&n, 43, 5);
	assert_int_equal(stand_saved.last.n, 2);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(stand_saved.revs[i], stand_saved.convs[i] == ROOM ? 10 : 5);
}

static void test_many_changes_are_one_statement(void **state)
{
	(void)state;
	follow(&n, 41, 1);
	assert_int_equal(stand_saved.statements, 1);
	for (int64_t conv = 43; conv < 47; conv++)
		follow(&n, conv, 1);
	assert_int_equal(stand_saved.statements, 1); /* not before RESUME_SAVE_MS */
	pass_ms(RESUME_SAVE_MS);
	assert_int_equal(stand_saved.statements, 2);
	assert_int_equal(stand_saved.last.n, 5);
	pass_ms(10 * RESUME_SAVE_MS);
	assert_int_equal(stand_saved.statements, 2); /* nothing has changed */
}

static void test_unsub_is_written(void **state)
{
	(void)state;
	follow(&n, ROOM, 10);
	pass_ms(RESUME_SAVE_MS);
	say(&n, "{\"op\":\"unsub\",\"id\":3,\"c\":42}");
	assert_int_equal(stand_saved.statements, 2);
	assert_int_equal(stand_saved.last.n, 1); /* that it was left */
	assert_int_equal(stand_saved.convs[0], ROOM);
	assert_int_equal(stand_saved.revs[0], RESUME_REV_LEFT);
	follow(&n, ROOM, 10);
	pass_ms(RESUME_SAVE_MS);
	assert_int_equal(stand_saved.last.n, 1);
	assert_int_equal(stand_saved.revs[0], 10);
}

static void test_without_the_database_it_is_kept(void **state)
{
	(void)state;
	stand_saved.err = -ERR_UNAVAILABLE;
	follow(&n, ROOM, 10);
	assert_int_equal(stand_saved.statements, 1);
	assert_false(resume_is_idle(wk));
	stand_saved.err = 0;
	pass_ms(900);
	assert_int_equal(stand_saved.statements, 1); /* not at once again */
	pass_ms(200);
	assert_int_equal(stand_saved.statements, 2);
	assert_int_equal(stand_saved.convs[0], ROOM);
	assert_true(resume_is_idle(wk));
}

/* One statement at a time; what changes meanwhile is in the next. */
static void test_a_change_while_it_is_written(void **state)
{
	(void)state;
	stand_saved.is_held = true;
	follow(&n, ROOM, 10);
	follow(&n, 43, 5);
	pass_ms(1000);
	assert_int_equal(stand_saved.statements, 1);
	db_saved(0);
	turns(2);
	assert_int_equal(stand_saved.statements, 2);
	assert_int_equal(stand_saved.last.n, 2);
	db_saved(0);
	assert_true(resume_is_idle(wk));
}

/* The link breaks before the session is written. */
static void test_the_last_moments_of_a_connection(void **state)
{
	(void)state;
	follow(&n, 41, 1);
	follow(&n, ROOM, 10);
	client_close(&n);
	n.fd = -1;
	turns(3);
	pass_ms(RESUME_SAVE_MS);
	assert_int_equal(stand_saved.statements, 2);
	assert_int_equal(stand_saved.last.n, 2);
	assert_true(resume_is_idle(wk));
}

/* Kept for seven days after the last writing: who stays connected longer must not lose it. */
static void test_written_again_after_a_day(void **state)
{
	(void)state;
	follow(&n, ROOM, 10);
	assert_int_equal(stand_saved.statements, 1);
	now_ms += 25 * 3600 * 1000;
	turns(3);
	assert_int_equal(stand_saved.statements, 2);
	assert_int_equal(stand_saved.convs[0], ROOM);
}

/*
 * A large room's frames may be held for a while: they are sent before a cursor that counts them
 * as told.
 */
static void test_a_cursor_is_never_ahead(void **state)
{
	const struct event ev = message(ROOM, 11);
	struct buf text = BUF_INIT;
	struct cursor cur;

	(void)state;
	follow(&n, ROOM, 10);
	told_all(&n);
	deliver_event(chan_find(wk, ROOM), &ev);
	assert_string_equal(told(&n), "");
	assert_true(resume_cursor(client_conn(&n), &text));
	assert_string_equal(told_revs(&n), "11");
	assert_int_equal(cursor_decode(buf_str(&text), 16, &cur), 0);
	assert_int_equal(cursor_find(&cur, ROOM)->rev, 11);
	cursor_done(&cur);
	buf_done(&text);
}

/* ---- Coming back ---- */

static void test_a_session_of_another_worker(void **state)
{
	const struct uuid session = uuid_v7();
	const int64_t convs[] = {ROOM}, revs[] = {9};
	struct client back;

	(void)state;
	hello(&back, cursor_of(&session, 8, NULL, 0), "");
	assert_string_equal(told(&back), ""); /* not welcome before it is known what it followed */
	assert_int_equal(asked(ASK_RESUME)->n, 1);
	assert_int_equal(asked(ASK_RESUME)->keys[0].user, 8);
	assert_memory_equal(&asked(ASK_RESUME)->keys[0].session, &session, sizeof(session));
	db_resume(0, 1, convs, revs);
	assert_contains(str_of(told(&back)), "\"resumed\":true");
	db_room(9, 9);
	turns(3);
	assert_contains(str_of(told_until(&back, "\"op\":\"live\"")),
			"{\"op\":\"live\",\"c\":42,\"rev\":9");
	pass_ms(RESUME_SAVE_MS);
	assert_int_equal(stand_saved.statements, 0); /* it is written so already */
	client_close(&back);
}

/* "the set of (conversation, rev)": the further of what was kept, of the cursor and of seen. */
static void test_positions_are_joined(void **state)
{
	const struct uuid session = uuid_v7();
	const struct cursor_pos pos[] = {{41, 7}, {ROOM, 3}};
	const int64_t convs[] = {45, ROOM}, revs[] = {1, 5};
	struct client back;
	struct buf text = BUF_INIT;
	struct cursor cur;

	(void)state;
	hello(&back, cursor_of(&session, 8, pos, 2), "\"41\":8,\"44\":2");
	db_resume(0, 2, convs, revs);
	told_until(&back, "\"resumed\":true");
	for (int i = 0; i < 4; i++)
		db_room(8, 8); /* every log ends here: each catches up from its own position */
	turns(2);
	assert_true(resume_cursor(client_conn(&back), &text));
	assert_int_equal(cursor_decode(buf_str(&text), 16, &cur), 0);
	assert_int_equal(cur.n, 4);
	assert_int_equal(cursor_find(&cur, 41)->rev, 8);
	assert_int_equal(cursor_find(&cur, ROOM)->rev, 5);
	assert_int_equal(cursor_find(&cur, 44)->rev, 2);
	assert_int_equal(cursor_find(&cur, 45)->rev, 1);
	cursor_done(&cur);
	buf_done(&text);
	client_close(&back);
}

/*
 * The limit is lower than it was: what cannot be followed any more is named. (Seen red with the
 * rest left out in silence.)
 */
static void test_more_than_may_be_followed(void **state)
{
	const struct uuid session = uuid_v7();
	const int64_t convs[] = {41, 43, 44}, revs[] = {9, 9, 9};
	struct client back;

	(void)state;
	stand_set("websocket.subscriptions_max=1");
	hello(&back, cursor_of(&session, 8, NULL, 0), "");
	db_resume(0, 3, convs, revs);
	told_until(&back, "\"resumed\":true");
	for (int i = 1; i < 3; i++) {
		const char *text = told_until(&back, "\"code\":\"too_many_subscriptions\"");
		char conv[16];

		snprintf(conv, sizeof(conv), "\"c\":%" PRId64 "}", convs[i]);
		assert_contains(str_of(text), "{\"op\":\"err\",\"code\":");
		assert_contains(str_of(text), conv);
	}
	db_room(9, 9);
	turns(3);
	told_until(&back, "{\"op\":\"live\",\"c\":41,");
	pass_ms(RESUME_SAVE_MS);
	assert_int_equal(stand_saved.last.n, 1); /* and it is not asked for again */
	assert_int_equal(stand_saved.convs[0], 41);
	client_close(&back);
}

/* A session with one change ends before it is written. */
static struct uuid begin_and_end(struct conn *c)
{
	struct uuid session;

	resume_start(c, NULL, &session);
	resume_mark(c);
	resume_end(c);
	return session;
}

/*
 * Without the database connections come and go for hours: what their sessions take is bounded, and
 * the oldest go first. (Seen red without the bound: nothing was forgotten.)
 */
static void test_ended_sessions_are_bounded(void **state)
{
	const int64_t all = RESUME_ENDED_BYTES / 64; /* none takes so little */
	struct uuid first, last = {0};
	struct conn *c = client_conn(&n);
	struct client back;

	(void)state;
	is_db_connected = false;
	resume_end(c);
	first = begin_and_end(c);
	for (int64_t i = 1; i < all; i++)
		last = begin_and_end(c);
	assert_in_range(counted(M_SESSIONS_FORGOTTEN), all / 4, all - RESUME_ENDED_BYTES / 512);
	hello(&back, cursor_of(&last, 8, NULL, 0), "");
	turns(2);
	assert_contains(str_of(told(&back)), "\"resumed\":true");
	client_close(&back);
	hello(&back, cursor_of(&first, 8, NULL, 0), "");
	db_resume(-ERR_NOENT, 0, NULL, NULL); /* not known here any more */
	assert_contains(str_of(told(&back)), "\"resumed\":false");
	client_close(&back);
	is_db_connected = true;
	for (int i = 0; i < 1000 && !resume_is_idle(wk); i++)
		pass_ms(RESUME_SAVE_MS);
	assert_true(resume_is_idle(wk)); /* the others are written when it is back */
}

/*
 * Those who come while the database is asked are one more question; each gets its own session.
 * Seen red with a statement for each: five are asked.
 */
static void test_a_crowd_is_asked_for_together(void **state)
{
	const int64_t convs[] = {ROOM}, revs[] = {9};
	struct uuid sessions[5];
	struct client back[5];

	(void)state;
	for (int i = 0; i < 5; i++) {
		sessions[i] = uuid_v7();
		hello(&back[i], cursor_of(&sessions[i], 8, NULL, 0), "");
	}
	assert_int_equal(asked_count(ASK_RESUME), 2);
	db_resume(0, 1, convs, revs);
	assert_int_equal(asked_count(ASK_RESUME), 2);
	db_resume(-ERR_NOENT, 0, NULL, NULL);
	assert_int_equal(asked_count(ASK_RESUME), 1);
	assert_int_equal(asked(ASK_RESUME)->n, 3);
	db_resume(0, 1, convs, revs);
	db_room(9, 9);
	turns(3);
	for (int i = 0; i < 5; i++) {
		struct uuid got = session_of(&back[i]);

		assert_int_equal(memcmp(&got, &sessions[i], sizeof(got)) == 0, i != 1);
		client_close(&back[i]);
	}
}

static void test_a_session_that_is_forgotten(void **state)
{
	const struct uuid session = uuid_v7();
	struct client back;

	(void)state;
	hello(&back, cursor_of(&session, 8, NULL, 0), "");
	db_resume(-ERR_NOENT, 0, NULL, NULL);
	assert_contains(str_of(told(&back)), "\"resumed\":false");
	client_close(&back);
}

/* Better than a session without its conversations: section 8, 1013 reconnect later. */
static void test_resume_without_the_database(void **state)
{
	const struct uuid session = uuid_v7();
	struct client back;

	(void)state;
	hello(&back, cursor_of(&session, 8, NULL, 0), "");
	db_resume(-ERR_UNAVAILABLE, 0, NULL, NULL);
	assert_contains(str_of(told(&back)), "\"code\":\"unavailable\"");
	assert_contains(str_of(told_until(&back, "close")), "close 1013 ");
	client_close(&back);
}

static void test_a_cursor_of_somebody_else(void **state)
{
	const struct uuid session = session_of(&n);
	struct client back;

	(void)state;
	hello(&back, cursor_of(&session, 9, NULL, 0), "");
	assert_int_equal(asked_count(ASK_RESUME), 0);
	assert_contains(str_of(told(&back)), "\"resumed\":false");
	assert_int_equal(client_conn(&n)->state, CONN_WS);
	client_close(&back);
}

static void test_no_cursor_at_all(void **state)
{
	struct client back;

	(void)state;
	hello(&back, "garbage", "");
	assert_contains(str_of(told(&back)), "\"code\":\"bad_cursor\"");
	assert_int_equal(client_conn(&back)->state, CONN_WS); /* it may try without */
	client_close(&back);
}

/* ---- One session, one socket ---- */

/* What this process knows needs no database, written or not; section 8: 4409. */
static void test_a_half_dead_link(void **state)
{
	const struct uuid session = session_of(&n);
	struct client back;

	(void)state;
	stand_saved.is_held = true;
	follow(&n, ROOM, 10);
	told_all(&n);
	hello(&back, cursor_of(&session, 8, NULL, 0), "");
	assert_int_equal(asked_count(ASK_RESUME), 0);
	assert_contains(str_of(told(&back)), "\"resumed\":true");
	assert_contains(str_of(told_until(&n, "close")), "close 4409 ");
	turns(3);
	told_until(&back, "{\"op\":\"live\",\"c\":42,\"rev\":10");
	client_close(&back);
}

/* The record that another worker's takeover puts into the ring. */
static void takeover_by(unsigned slot, const struct uuid *session)
{
	uint8_t bytes[8 + sizeof(*session)];
	uint64_t to_wake;

	memcpy(bytes, "takeover", 8);
	memcpy(bytes + 8, session, sizeof(*session));
	ring_publish_begin(wk->shm, slot);
	assert_int_equal(ring_publish_to(wk->shm, slot, 1, 0, 0, 0, bytes, sizeof(bytes)), 0);
	assert_int_equal(ring_publish_end(wk->shm, slot, &to_wake), 0);
	turns(2);
}

/* What was not written yet when another socket took the session over is written by that one. */
static void test_taken_over_before_it_is_written(void **state)
{
	struct uuid session;
	struct client second;

	(void)state;
	follow(&n, 41, 1);
	follow(&n, 43, 1);
	assert_int_equal(stand_saved.statements, 1);
	assert_int_equal(stand_saved.last.n, 1);
	session = session_of(&n);
	hello(&second, cursor_of(&session, 8, NULL, 0), "");
	turns(3);
	told_until(&second, "\"op\":\"welcome\"");
	assert_int_equal(client_conn(&second)->n_subs, 2);
	pass_ms(RESUME_SAVE_MS);
	assert_int_equal(stand_saved.statements, 2);
	assert_int_equal(stand_saved.last.n, 2);
	client_close(&second);
}

static void test_taken_over_by_another_worker(void **state)
{
	const struct uuid session = session_of(&n), other = uuid_v7();

	(void)state;
	stand_saved.is_held = true;
	follow(&n, 41, 1);
	follow(&n, ROOM, 10);
	told_all(&n);
	takeover_by(1, &other);
	assert_string_equal(told(&n), "");
	takeover_by(1, &session);
	assert_contains(str_of(told_until(&n, "close")), "close 4409 ");
	db_saved(0);
	pass_ms(1000);
	assert_int_equal(stand_saved.statements, 1); /* the other worker writes from now on */
	assert_true(resume_is_idle(wk));
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_written_with_the_confirmation),
		T(test_positions_do_not_follow_the_stream),
		T(test_many_changes_are_one_statement),
		T(test_unsub_is_written),
		T(test_without_the_database_it_is_kept),
		T(test_a_change_while_it_is_written),
		T(test_the_last_moments_of_a_connection),
		T(test_written_again_after_a_day),
		T(test_a_cursor_is_never_ahead),
		T(test_a_session_of_another_worker),
		T(test_positions_are_joined),
		T(test_more_than_may_be_followed),
		T(test_ended_sessions_are_bounded),
		T(test_a_crowd_is_asked_for_together),
		T(test_a_session_that_is_forgotten),
		T(test_resume_without_the_database),
		T(test_a_cursor_of_somebody_else),
		T(test_no_cursor_at_all),
		T(test_a_half_dead_link),
		T(test_taken_over_before_it_is_written),
		T(test_taken_over_by_another_worker),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
