/* SPDX-License-Identifier: MIT */
/*
 * Borrowed strings and numbers (base/base.c).
 * Buffers that own bytes are tested in test_buf.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base.h"

static void test_str_of(void **state)
{
	(void)state;
	assert_int_equal(str_of("abc").len, 3);
	assert_int_equal(str_of(NULL).len, 0);
	assert_null(str_of(NULL).p);
}

static void test_str_eq(void **state)
{
	(void)state;
	assert_true(str_eq(STR("room"), STR("room")));
	assert_false(str_eq(STR("room"), STR("rooms")));
	assert_false(str_eq(STR("room"), STR("Room")));
	assert_true(str_eq(STR(""), str_of(NULL)));
}

static void test_str_ieq(void **state)
{
	(void)state;
	assert_true(str_ieq(STR("Upgrade"), STR("uPGRADE")));
	/* differ in the case bit only, but are no letters */
	assert_false(str_ieq(STR("@"), STR("`")));
	assert_false(str_ieq(STR("a"), STR("ab")));
	assert_false(str_ieq(STR("\xc3\x84"), STR("\xc3\xa4"))); /* not ASCII: compared as bytes */
}

static void test_to_i64_accepts(void **state)
{
	static const struct {
		struct str text;
		int64_t value;
	} good[] = {
		{STR("0"), 0},	{STR("007"), 7},
		{STR("-1"), -1}, {STR("9223372036854775807"), INT64_MAX},
		{STR("-9223372036854775808"), INT64_MIN},
	};
	int64_t v;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		v = 42;
		assert_int_equal(str_to_i64(good[i].text, &v), 0);
		assert_true(v == good[i].value);
	}
}

static void test_to_i64_refuses(void **state)
{
	static const struct str bad[] = {STR(""),   STR("-"),	STR("+1"),
					 STR(" 1"), STR("1 "),	STR("1e3"),
					 STR("0x"), STR("--1"), STR("9223372036854775808"),
					 STR("-9223372036854775809"), STR("99999999999999999999")};
	int64_t v = 42;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(str_to_i64(bad[i], &v), -ERR_INVAL);
	assert_int_equal(v, 42);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_str_of),	       cmocka_unit_test(test_str_eq),
		cmocka_unit_test(test_str_ieq),	       cmocka_unit_test(test_to_i64_accepts),
		cmocka_unit_test(test_to_i64_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
