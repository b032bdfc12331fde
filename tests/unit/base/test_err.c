/* SPDX-License-Identifier: MIT */
/*
 * Names and texts of error codes (base/err.c).
 * Errors that clients see are proto's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <limits.h>
#include <string.h>

#include "base/base.h"

static void test_both_signs(void **state)
{
	(void)state;
	assert_string_equal(err_name(ERR_FULL), "FULL");
	assert_string_equal(err_name(-ERR_FULL), "FULL");
	assert_string_equal(err_text(ERR_NOENT), err_text(-ERR_NOENT));
}

static void test_none_and_unknown(void **state)
{
	(void)state;
	assert_string_equal(err_name(0), "OK");
	assert_string_equal(err_text(0), "no error");
	assert_string_equal(err_name(100000), "UNKNOWN");
	assert_string_equal(err_text(-100000), "unknown error");
	assert_string_equal(err_text(INT_MIN), "unknown error");
}

static void test_every_code_has_its_own_name(void **state)
{
	static const int codes[] = {
#define X(name, text) ERR_##name,
		ERR_TABLE(X)
#undef X
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		assert_string_not_equal(err_name(codes[i]), "UNKNOWN");
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(err_name(codes[i]), err_name(codes[j]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_signs),
		cmocka_unit_test(test_none_and_unknown),
		cmocka_unit_test(test_every_code_has_its_own_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
