/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/repeat.c: what refused requests may cost, and whom a key is told to.
 */
#include "worker_fixture.h"

#include "worker/persist.h"
#include "worker/repeat.h"

#define ASKERS 2000

int __wrap_events_by_key(struct db *db, const int64_t *actors, const struct uuid *keys, size_t n,
			 uint64_t deadline_ms, db_rows_fn *done, void *arg,
			 uint64_t *ret_token);
size_t __wrap_event_by_key_place(const struct db_result *res, int i);

/* The statement under way. */
static struct {
	int statements;
	size_t n;
	db_rows_fn *done;
	void *arg;
} look;

static struct told {
	int answers;
	enum proto_error error;
	bool is_duplicate, has_detail;
	int64_t rev;
} tolds[ASKERS];

int __wrap_events_by_key(struct db *db, const int64_t *actors, const struct uuid *keys, size_t n,
			 uint64_t deadline_ms, db_rows_fn *done, void *arg, uint64_t *ret_token)
{
	(void)db;
	(void)actors;
	(void)keys;
	(void)deadline_ms;
	(void)ret_token;
	assert_null(look.done); /* one at a time */
	look.statements++;
	look.n = n;
	look.done = done;
	look.arg = arg;
	return 0;
}

size_t __wrap_event_by_key_place(const struct db_result *res, int i)
{
	(void)res;
	return (size_t)i;
}

static void found(int err, const struct event_row *rows, int n)
{
	db_rows_fn *done = look.done;

	assert_non_null(done);
	look.done = NULL;
	done(look.arg, err, stand_events(rows, n));
}

static int setup(void **state)
{
	memset(&look, 0, sizeof(look));
	memset(tolds, 0, sizeof(tolds));
	return stand_setup(state);
}

static int teardown(void **state)
{
	while (look.done) {
		found(-ERR_UNAVAILABLE, NULL, 0);
		turn();
	}
	return stand_teardown(state);
}

static void on_told(struct worker *w, void *arg, const struct persist_result *res)
{
	struct told *t = arg;

	assert_ptr_equal(w, wk);
	t->answers++;
	t->error = res->error;
	t->is_duplicate = res->is_duplicate;
	t->has_detail = res->detail != NULL;
	t->rev = res->event->rev;
}

static struct repeat request(enum proto_error error)
{
	return (struct repeat){.conv = ROOM,
			       .actor = 7,
			       .key = uuid_v7(),
			       .type = EVT_MESSAGE_NEW,
			       .error = error};
}

static void ask(int i, const struct repeat *what)
{
	repeat_ask(wk, what, on_told, &tolds[i]);
}

static void expect(int i, enum proto_error error)
{
	assert_int_equal(tolds[i].answers, 1);
	assert_int_equal(tolds[i].error, error);
	assert_false(tolds[i].is_duplicate);
}

/* Nothing is asked for those who gave no key, and for those who were put out. */
static void test_no_look(void **state)
{
	struct repeat what = request(E_BANNED);

	(void)state;
	ask(0, &what);
	what.error = E_NO_SUCH_ROOM;
	ask(1, &what);
	what.error = E_MUTED;
	what.key = (struct uuid){0};
	ask(2, &what);
	turn();
	expect(0, E_BANNED);
	expect(1, E_NO_SUCH_ROOM);
	expect(2, E_MUTED);
	assert_int_equal(look.statements, 0);
}

static void test_first_answer(void **state)
{
	const struct event_row row = {.conv = ROOM,
				      .rev = 9,
				      .seq = 8,
				      .at_ms = STAND_AT_MS,
				      .kind = KIND_MESSAGE_NEW,
				      .actor = 7,
				      .actor_name = STR("Dora"),
				      .content = STR("first")};
	struct repeat what = request(E_MUTED);

	(void)state;
	publish(11); /* so this node has announced it */
	ask(0, &what);
	turn();
	assert_int_equal(tolds[0].answers, 0);
	found(0, &row, 1);
	assert_int_equal(tolds[0].answers, 1);
	assert_int_equal(tolds[0].error, E_NONE);
	assert_true(tolds[0].is_duplicate);
	assert_int_equal(tolds[0].rev, 9);
	assert_int_equal(asked_count(ASK_SETTLE), 0); /* nothing to announce again */
}

/* Of another room, of another kind, about another message: it is not what was asked. */
static void test_key_of_something_else(void **state)
{
	const struct event_row rows[] = {
		{.conv = ROOM + 1, .rev = 9, .kind = KIND_MESSAGE_NEW, .actor = 7},
		{.conv = ROOM, .rev = 9, .kind = KIND_MESSAGE_EDIT, .actor = 7},
		{.conv = ROOM, .rev = 9, .kind = KIND_MESSAGE_EDIT, .actor = 7, .target_rev = 4},
		{.conv = ROOM, .rev = 9, .kind = KIND_REACTION_SET, .actor = 7, .key = STR("+1")},
	};
	struct repeat what = request(E_BLOCKED);

	(void)state;
	what.detail = "because";
	ask(0, &what);
	ask(1, &what);
	what.type = EVT_MESSAGE_EDIT;
	what.target_rev = 5;
	ask(2, &what);
	what = request(E_MUTED);
	what.type = EVT_REACTION_SET;
	what.emoji = STR("-1");
	ask(3, &what);
	turn();
	found(0, rows, ARRAY_LEN(rows));
	for (int i = 0; i < 3; i++) {
		expect(i, E_BLOCKED);
		assert_true(tolds[i].has_detail);
	}
	expect(3, E_MUTED);
}

/*
 * However many refused requests come: one statement at a time, and a bounded number waits. Seen
 * red with is_full returning false.
 */
static void test_refused_requests_are_cheap(void **state)
{
	const struct repeat muted = request(E_MUTED), slow = request(E_SLOW_MODE);

	(void)state;
	for (int i = 0; i < 200; i++)
		ask(i, i % 2 ? &muted : &slow);
	turns(3);
	assert_int_equal(look.statements, 1);
	assert_int_equal(look.n, REPEAT_ACTOR_MAX);
	for (int i = 0; i < 200; i++)
		if (i < REPEAT_ACTOR_MAX)
			assert_int_equal(tolds[i].answers, 0);
		else /* it may be stored: nobody is told for good that it is not */
			expect(i, i % 2 ? E_UNAVAILABLE : E_SLOW_MODE);
	for (int i = 200; i < ASKERS; i++) {
		struct repeat what = request(E_MUTED);

		what.actor = i;
		ask(i, &what);
	}
	turns(3);
	assert_int_equal(look.statements, 1);
	found(0, NULL, 0);
	for (int i = 0; i < REPEAT_ACTOR_MAX; i++)
		expect(i, i % 2 ? E_MUTED : E_SLOW_MODE);
	turn();
	assert_int_equal(look.statements, 2);
	for (int i = 0; i < ASKERS; i++) {
		int last = 200 + REPEAT_MAX - REPEAT_ACTOR_MAX; /* who may wait */

		assert_int_equal(tolds[i].answers, i < 200 || i >= last);
	}
}

static void test_nobody_can_look(void **state)
{
	const struct repeat muted = request(E_MUTED), slow = request(E_SLOW_MODE);

	(void)state;
	ask(0, &muted);
	ask(1, &slow);
	turn();
	found(-ERR_UNAVAILABLE, NULL, 0);
	expect(0, E_UNAVAILABLE);
	expect(1, E_SLOW_MODE);
	is_db_connected = false;
	ask(2, &slow); /* says itself when to come again */
	expect(2, E_SLOW_MODE);
	ask(3, &muted);
	assert_int_equal(tolds[3].answers, 0);
	is_db_connected = true;
	turn();
	found(0, NULL, 0);
	expect(3, E_MUTED);
}

/* A worker that ends owes nobody an answer. */
static void test_end(void **state)
{
	const struct repeat muted = request(E_MUTED);

	(void)state;
	ask(0, &muted);
	turn();
	ask(1, &muted);
	assert_false(persist_is_idle(wk));
	found(-ERR_UNAVAILABLE, NULL, 0);
	turn();
	found(-ERR_UNAVAILABLE, NULL, 0);
	assert_true(persist_is_idle(wk));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_no_look),
		T(test_first_answer),
		T(test_key_of_something_else),
		T(test_refused_requests_are_cheap),
		T(test_nobody_can_look),
		T(test_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
