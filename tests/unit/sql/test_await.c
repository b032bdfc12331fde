/* SPDX-License-Identifier: MIT */
/*
 * A connection that is waited for: answers arrive, and a lost server is told, not waited for.
 */
#include "pg.h"

#include "sql/await.h"
#include "sql/users.h"

struct got {
	bool is_done;
	int n, err;
	int64_t id;
};

static void on_user(void *arg, int err, const struct user *user)
{
	struct got *g = arg;

	g->is_done = true;
	g->n++;
	g->err = err;
	g->id = user ? user->id : 0;
}

static void test_answers_arrive(void **state UNUSED)
{
	char url[PG_URL_MAX];
	struct buf report = BUF_INIT;
	struct await *a = NULL;
	struct got g[2] = {{0}};

	pg_database(url);
	assert_int_equal(await_open(url, &a, &report), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(
			user_guest_get(await_db(a), STR("Ann"), 0, on_user, &g[i], NULL), 0);
		assert_int_equal(await_done(a, &g[i].is_done, &report), 0);
		assert_int_equal(g[i].err, 0);
	}
	assert_int_equal(g[0].id, g[1].id);
	assert_int_equal(report.len, 0);
	await_free(&a);
	assert_null(a);
	await_free(&a);
}

static void test_no_server(void **state UNUSED)
{
	struct buf report = BUF_INIT;
	struct await *a = NULL;

	assert_int_equal(await_open("host=/nonexistent dbname=x password=hush", &a, &report),
			 -ERR_UNAVAILABLE);
	assert_null(a);
	assert_true(report.len > 0);
	assert_null(memmem(report.p, report.len, "hush", 4));
	buf_done(&report);
}

static void test_no_schema(void **state UNUSED)
{
	char url[PG_URL_MAX];
	struct buf report = BUF_INIT;
	struct await *a = NULL;
	struct got g = {0};

	pg_database_empty(url);
	assert_int_equal(await_open(url, &a, &report), 0);
	assert_int_equal(user_guest_get(await_db(a), STR("Ann"), 0, on_user, &g, NULL), 0);
	(void)!await_done(a, &g.is_done, &report);
	await_free(&a);
	assert_int_equal(g.n, 1);
	assert_int_equal(g.err, -ERR_UNAVAILABLE);
	assert_non_null(memmem(report.p, report.len, "migrate", 7));
	buf_done(&report);
}

static void test_server_is_lost(void **state UNUSED)
{
	char url[PG_URL_MAX];
	struct buf report = BUF_INIT;
	struct await *a = NULL;
	struct got g = {0};
	PGconn *pg;

	pg_database(url);
	assert_int_equal(await_open(url, &a, &report), 0);
	pg = pg_open(url);
	pg_value(pg, "BEGIN; LOCK TABLE users"); /* so that the answer cannot come */
	assert_int_equal(user_guest_get(await_db(a), STR("Ann"), 0, on_user, &g, NULL), 0);
	pg_value(pg, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
		     " WHERE application_name = 'roomctl' AND datname = current_database()");
	assert_int_equal(await_done(a, &g.is_done, &report), -ERR_UNAVAILABLE);
	assert_int_equal(g.n, 1);
	assert_int_equal(g.err, -ERR_UNAVAILABLE);
	assert_true(report.len > 0);
	await_free(&a);
	PQfinish(pg);
	buf_done(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_arrive),
		cmocka_unit_test(test_no_server),
		cmocka_unit_test(test_no_schema),
		cmocka_unit_test(test_server_is_lost),
	};

	return cmocka_run_group_tests(tests, pg_setup, pg_teardown);
}
