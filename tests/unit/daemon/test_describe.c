/* SPDX-License-Identifier: MIT */
/*
 * The tables behind --describe (daemon/describe.c).
 * Their contents are each folder's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/describe.h"

static void test_every_table_is_an_array_of_objects(void **state)
{
	static const char *const names[] = {"settings",	  "metrics", "events", "routes",
					    "statements", "errors",  "locks"};
	struct buf b = BUF_INIT;
	json_t *rows, *row;
	size_t at;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		buf_clear(&b);
		assert_int_equal(describe_table(names[i], "json", &b), 0);
		rows = json_loadb((char *)b.p, b.len, 0, NULL);
		assert_true(json_array_size(rows) > 0);
		json_array_foreach (rows, at, row)
			assert_true(json_is_object(row));
		json_decref(rows);
	}
	buf_done(&b);
}

static void test_unknown(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(describe_table("nothing", "json", &b), -ERR_NOENT);
	assert_int_equal(describe_table("locks", "mdoc", &b), -ERR_UNSUPPORTED);
	assert_int_equal(describe_table("settings", "xml", &b), -ERR_UNSUPPORTED);
	assert_int_equal(b.len, 0);
	assert_int_equal(describe_table("settings", "mdoc", &b), 0);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_table_is_an_array_of_objects),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
