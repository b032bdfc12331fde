/* SPDX-License-Identifier: MIT */
/*
 * The doubling delay (daemon/backoff.c).
 * Its use is tested with real processes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "daemon/backoff.h"

static void test_doubles_up_to_the_maximum(void **state)
{
	static const uint64_t delays[] = {100, 200, 400, 800, 1600, 3000, 3000, 3000};
	struct backoff b = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(delays); i++) {
		assert_int_equal(backoff_next(&b, 10, 100, 3000), delays[i]);
		assert_int_equal(b.failures, i + 1);
	}
}

static void test_long_life_is_forgiven(void **state)
{
	struct backoff b = {0};

	(void)state;
	for (int i = 0; i < 5; i++)
		backoff_next(&b, 0, 100, 30000);
	assert_int_equal(backoff_next(&b, BACKOFF_FORGIVE_MS - 1, 100, 30000), 3200);
	assert_int_equal(backoff_next(&b, BACKOFF_FORGIVE_MS, 100, 30000), 100);
	assert_int_equal(b.failures, 1);
}

static void test_never_overflows(void **state)
{
	struct backoff b = {0};

	(void)state;
	for (int i = 0; i < 1000; i++)
		assert_true(backoff_next(&b, 0, 10, 3600000) <= 3600000);
	assert_int_equal(backoff_next(&b, 0, 500, 500), 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_doubles_up_to_the_maximum),
		cmocka_unit_test(test_long_life_is_forgiven),
		cmocka_unit_test(test_never_overflows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
