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

static void test_two_at_once(void **state)
{
	struct answer first = {0}, second = {0};

	(void)state;
	session_guest(wk, STR("Nina"), on_guest, &first);
	session_guest(wk, STR("Nina"), on_guest, &second);
	while (asked_count(ASK_GUEST))
		db_guest(8, "Nina");
	assert_int_equal(first.n, 1);
	assert_int_equal(second.n, 1);
	assert_int_equal(first.user, 8);
	assert_int_equal(second.user, 8);
}

/* The name may not be an account's; PROTOCOL.md section 9.9. */
static void test_errors(void **state)
{
	static const struct {
		int err;
		enum proto_error error;
	} rows[] = {
		{-ERR_EXISTS, E_NAME_TAKEN},	{-ERR_DENIED, E_FORBIDDEN}, {-ERR_INVAL, E_BAD_NAME},
		{-ERR_UNAVAILABLE, E_UNAVAILABLE}, {-ERR_DB, E_UNAVAILABLE},
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
		T(test_two_at_once),
		T(test_errors),
		T(test_no_guests),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
