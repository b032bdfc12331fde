/* SPDX-License-Identifier: MIT */
/*
 * Clocks and the time format (base/clock.c).
 * Timers are libev's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <time.h>

#include "base/clock.h"

static void assert_format(int64_t ms, const char *text)
{
	char got[CLOCK_RFC3339_LEN + 1];

	clock_format(ms, got);
	assert_string_equal(got, text);
}

static void test_format(void **state)
{
	(void)state;
	assert_format(0, "1970-01-01T00:00:00.000Z");
	assert_format(1, "1970-01-01T00:00:00.001Z");
	assert_format(-1, "1969-12-31T23:59:59.999Z");
	assert_format(-1000, "1969-12-31T23:59:59.000Z");
	assert_format(INT64_C(1234567890123), "2009-02-13T23:31:30.123Z");
	assert_format(INT64_C(1234567890004), "2009-02-13T23:31:30.004Z"); /* the same second */
	assert_format(INT64_C(1234567889999), "2009-02-13T23:31:29.999Z");
	assert_format(INT64_C(951782400000), "2000-02-29T00:00:00.000Z");
	assert_format(INT64_C(-62135596800000), "0001-01-01T00:00:00.000Z");
	assert_format(INT64_C(253402300799999), "9999-12-31T23:59:59.999Z");
}

static void test_monotonic(void **state)
{
	uint64_t last = clock_mono_ns();

	(void)state;
	for (int i = 0; i < 10000; i++) {
		uint64_t now = clock_mono_ns();

		assert_true(now >= last);
		last = now;
	}
	assert_true(clock_mono_ms() >= last / 1000000);
}

static void test_wall(void **state)
{
	int64_t before = (int64_t)time(NULL) * 1000;
	int64_t now = clock_wall_ms();

	(void)state;
	assert_true(now >= before - 1000);
	assert_true(now <= (int64_t)(time(NULL) + 2) * 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_monotonic),
		cmocka_unit_test(test_wall),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
