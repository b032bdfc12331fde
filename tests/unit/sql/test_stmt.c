/* SPDX-License-Identifier: MIT */
/*
 * Every statement fits the migrated schema and says its number of parameters.
 */
#include "pg.h"

static void test_all_prepare(void **state UNUSED)
{
	char url[PG_URL_MAX];
	PGconn *pg;

	pg_database(url);
	pg = pg_open(url);
	for (int i = 0; i < STMT_COUNT; i++) {
		const struct stmt *s = stmt_get((enum stmt_id)i);
		PGresult *res = PQprepare(pg, s->name, s->sql, 0, NULL);

		if (PQresultStatus(res) != PGRES_COMMAND_OK)
			fail_msg("%s: %s", s->name, PQerrorMessage(pg));
		PQclear(res);
		res = PQdescribePrepared(pg, s->name);
		assert_int_equal(PQnparams(res), s->n_params);
		assert_true(s->n_params <= DB_PARAM_MAX);
		PQclear(res);
	}
	PQfinish(pg);
}

static void test_describe(void **state UNUSED)
{
	struct buf out = BUF_INIT;
	char url[PG_URL_MAX];
	const char *values[1];
	PGresult *res;
	PGconn *pg;

	statements_describe(&out);
	buf_add_char(&out, '\0');
	values[0] = (const char *)out.p;
	pg_database_empty(url);
	pg = pg_open(url);
	res = PQexecParams(pg,
			   "SELECT count(DISTINCT e->>'name') FROM json_array_elements($1::json) e"
			   " WHERE e->>'sql' <> '' AND (e->>'params')::int >= 0",
			   1, NULL, values, NULL, NULL, 0);
	assert_int_equal(PQntuples(res), 1);
	assert_int_equal(strtol(PQgetvalue(res, 0, 0), NULL, 10), STMT_COUNT);
	PQclear(res);
	PQfinish(pg);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all_prepare),
		cmocka_unit_test(test_describe),
	};

	return cmocka_run_group_tests(tests, pg_setup, pg_teardown);
}
