/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/session.c: a guest is looked up once, what the database says reaches the asker
 * as an error of the protocol.
 */
#include "worker_fixture.h"

#include "worker/session.h"

static struct answer {
	int n;
	enum proto_error error;
	int64_t user;
	char name[32];
} got;

static void on_guest(struct worker *w, void *arg, enum proto_error error, int64_t user,
		     struct str name)
{
	struct answer *a = arg;

	assert_ptr_equal(w, wk);
	a->n++;
	a->error = error;
	a->user = user;
	snprintf(a->name, sizeof(a->name), "%.*s", (int)name.len, name.len ? name.p : "");
}

static void ask_for(const char *name)
{
	got = (struct answer){0};
	session_guest(wk, str_of(name), on_guest, &got);
	session_flush(wk);
}

static void test_looked_up_once(void **state)
{
	(void)state;
	ask_for("Nina");
	assert_int_equal(got.n, 0);
	assert_text(asked(ASK_GUEST)->name, "Nina");
	db_guest(8, "Nina");
	assert_int_equal(got.n, 1);
	assert_int_equal(got.error, E_NONE);
	assert_int_equal(got.user, 8);
	assert_string_equal(got.name, "Nina");
	ask_for("Nina");
	assert_int_equal(got.n, 1); /* at once */
	assert_int_equal(got.user, 8);
	assert_string_equal(got.name, "Nina");
	assert_int_equal(asked_count(ASK_GUEST), 0);
	ask_for("Nino");
	assert_int_equal(asked_count(ASK_GUEST), 1);
	db_guest(9, "Nino");
	assert_int_equal(got.user, 9);
}

/*
 * A name that is taken is forgotten however it is written, the others are not. Seen red with one
 * counter for all names, and with one for each way of writing.
 */
static void test_taken_name_alone_is_forgotten(void **state)
{
	(void)state;
	ask_for("Nina");
	db_guest(8, "Nina");
	ask_for("Nino");
	db_guest(9, "Nino");
	session_name_changed(wk, STR("NINA"));
	ask_for("Nino");
	assert_int_equal(got.n, 1);
	assert_int_equal(asked_count(ASK_GUEST), 0);
	ask_for("Nina");
	assert_int_equal(asked_count(ASK_GUEST), 1);
	/* taken while it is asked for: asked again, and what was said first is not remembered */
	session_name_changed(wk, STR("nina"));
	db_guest(8, "Nina");
	assert_int_equal(got.n, 0);
	turn();
	assert_int_equal(asked_count(ASK_GUEST), 1);
	db_guest_error(-ERR_EXISTS);
	assert_int_equal(got.error, E_NAME_TAKEN);
}

/* Whoever comes in one turn is asked for together: a crowd costs one statement. */
static void test_one_statement_a_turn(void **state)
{
	struct answer first = {0}, second = {0}, third = {0};

	(void)state;
	session_guest(wk, STR("Nina"), on_guest, &first);
	session_guest(wk, STR("Nino"), on_guest, &second);
	session_guest(wk, STR("Nora"), on_guest, &third);
	assert_int_equal(asked_count(ASK_GUEST), 0);
	turn();
	assert_int_equal(asked_count(ASK_GUEST), 1);
	assert_int_equal(asked(ASK_GUEST)->n, 3);
	db_guest(8, "Nina"); /* and the rows behind it */
	assert_int_equal(first.n, 1);
	assert_int_equal(first.user, 8);
	assert_int_equal(second.n, 1);
	assert_int_equal(second.user, 9);
	assert_int_equal(third.n, 1);
	assert_int_equal(third.user, 10);
	turns(2);
	assert_int_equal(asked_count(ASK_GUEST), 0);
}

/* Nobody is left without an answer when the worker ends. */
static void test_asked_too_late(void **state)
{
	(void)state;
	got = (struct answer){0};
	session_guest(wk, STR("Nina"), on_guest, &got);
	session_close(wk);
	assert_int_equal(got.n, 1);
	assert_int_equal(got.error, E_UNAVAILABLE);
}

/* The name may not be an account's; PROTOCOL.md section 9.9. */
static void test_errors(void **state)
{
	static const struct {
		int err;
		enum proto_error error;
	} rows[] = {
		{-ERR_EXISTS, E_NAME_TAKEN}, {-ERR_DENIED, E_FORBIDDEN},
		{-ERR_INVAL, E_BAD_NAME},    {-ERR_UNAVAILABLE, E_UNAVAILABLE},
		{-ERR_DB, E_UNAVAILABLE},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		ask_for("Nina"); /* a refusal is not remembered */
		db_guest_error(rows[i].err);
		assert_int_equal(got.n, 1);
		assert_int_equal(got.error, rows[i].error);
		assert_int_equal(got.user, 0);
	}
}

static void test_no_guests(void **state)
{
	(void)state;
	ask_for("Nina");
	db_guest(8, "Nina");
	stand_set("chat.guests=off");
	ask_for("Nina");
	assert_int_equal(got.n, 1);
	assert_int_equal(got.error, E_UNAUTHORIZED);
	assert_int_equal(asked_count(ASK_GUEST), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, stand_setup, stand_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_looked_up_once),
		T(test_taken_name_alone_is_forgotten),
		T(test_one_statement_a_turn),
		T(test_asked_too_late),
		T(test_errors),
		T(test_no_guests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
