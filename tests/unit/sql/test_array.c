/* SPDX-License-Identifier: MIT */
/*
 * Arrays in binary: what is written PostgreSQL reads, what it writes is read, the rest is nothing.
 */
#include "pg.h"

#include "sql/array.h"

/* array_send of {1, -1}: one dimension, no NULL, type 20, two elements from 1, each 8 bytes. */
static const unsigned char two[] = {
	0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0,	 2,    0,    0,	   0,	 1,    0,    0,
	0, 8, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0,  0, 8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void test_read(void **state UNUSED)
{
	struct str s = {(const char *)two, sizeof(two)};
	int64_t *v = NULL;

	assert_int_equal(array_read_i64(s, 2, &v), 2);
	assert_int_equal(v[0], 1);
	assert_int_equal(v[1], -1);
	free(v);
	assert_int_equal(array_read_i64(s, 1, &v), 0); /* more than asked for */
	assert_null(v);
}

static void test_read_nonsense(void **state UNUSED)
{
	unsigned char bad[sizeof(two)];
	int64_t *v = (int64_t *)bad;

	for (size_t len = 0; len < sizeof(two); len++) {
		assert_int_equal(array_read_i64((struct str){(const char *)two, len}, 9, &v), 0);
		assert_null(v);
	}
	for (size_t at = 0; at < 16; at++) {
		if (at >= 4 && at < 8) /* has-null: the length tells */
			continue;
		memcpy(bad, two, sizeof(two));
		bad[at] ^= 0x40;
		assert_int_equal(array_read_i64((struct str){(char *)bad, sizeof(bad)}, 9, &v), 0);
	}
	assert_int_equal(array_read_i64((struct str){NULL, 0}, 9, &v), 0);
}

static void test_written(void **state UNUSED)
{
	struct uuid u = {{0xab, 0xcd}};
	char url[PG_URL_MAX];
	PGconn *pg;
	struct {
		struct db_args args;
		const char *type, *want;
	} all[5] = {{.type = "bigint", .want = "{1,-1}"},
		    {.type = "bigint", .want = "{}"},
		    {.type = "integer", .want = "{7,NULL}"},
		    {.type = "text", .want = "{\"a,b\",\"\"}"},
		    {.type = "uuid", .want = "{abcd0000-0000-0000-0000-000000000000}"}};
	struct buf *b;

	array_i64(&all[0].args, (const int64_t[]){1, -1}, 2);
	assert_int_equal(all[0].args.data.len, sizeof(two));
	assert_memory_equal(all[0].args.data.p + 8, two + 8, sizeof(two) - 8); /* may hold NULL */
	array_i64(&all[1].args, NULL, 0);
	b = array_open(&all[2].args, OID_INT4, 2);
	array_add_i32(b, 7);
	array_add_null(b);
	db_args_close(&all[2].args);
	b = array_open(&all[3].args, OID_TEXT, 2);
	array_add_str(b, STR("a,b"));
	array_add_str(b, STR(""));
	db_args_close(&all[3].args);
	b = array_open(&all[4].args, OID_UUID, 1);
	array_add_uuid(b, &u);
	db_args_close(&all[4].args);

	pg_database_empty(url);
	pg = pg_open(url);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		const char *values[] = {(const char *)all[i].args.data.p};
		const int lengths[] = {(int)all[i].args.data.len}, formats[] = {1};
		char sql[64];
		PGresult *res;

		snprintf(sql, sizeof(sql), "SELECT $1::%s[]::text", all[i].type);
		res = PQexecParams(pg, sql, 1, NULL, values, lengths, formats, 0);
		assert_int_equal(PQntuples(res), 1);
		assert_string_equal(PQgetvalue(res, 0, 0), all[i].want);
		PQclear(res);
		db_args_done(&all[i].args);
	}
	PQfinish(pg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),
		cmocka_unit_test(test_read_nonsense),
		cmocka_unit_test(test_written),
	};

	return cmocka_run_group_tests(tests, pg_setup, pg_teardown);
}
