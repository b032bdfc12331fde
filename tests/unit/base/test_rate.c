/* SPDX-License-Identifier: MIT */
/*
 * Rates as text (base/rate.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rate.h"

static void assert_rate(const char *text, uint32_t count, int64_t period_ms, uint32_t burst,
			const char *shown)
{
	struct rate r;
	struct buf b = BUF_INIT;

	assert_int_equal(rate_parse(str_of(text), &r), 0);
	assert_int_equal(r.count, count);
	assert_int_equal(r.period_ms, period_ms);
	assert_int_equal(r.burst, burst);
	rate_format(&r, &b);
	buf_add_char(&b, '\0');
	assert_string_equal((char *)b.p, shown);
	buf_done(&b);
}

static void test_forms(void **state)
{
	(void)state;
	assert_rate("100/15m", 100, 900000, 100, "100/15m");
	assert_rate("20/s burst 40", 20, 1000, 40, "20/s burst 40");
	assert_rate("20/1s  burst\t40", 20, 1000, 40, "20/s burst 40");
	assert_rate("5/h", 5, 3600000, 5, "5/h");
	assert_rate("5/60m", 5, 3600000, 5, "5/h");
	assert_rate("1/365d", 1, INT64_C(31536000000), 1, "1/365d");
	assert_rate("7/1500ms burst 7", 7, 1500, 7, "7/1500ms");
	assert_rate("1000000000/ms", 1000000000, 1, 1000000000, "1000000000/ms");
	assert_rate("off", 0, 0, 0, "off");
}

static void test_faults(void **state)
{
	static const char *const bad[] = {
		"", "100", "100/", "/15m", "0/s", "1/0s", "1/x", "1/sec", "-1/s", "1/-1s", "1 /s",
		"1/ s", "1/366d", "1000000001/s", "1/s burst", "1/s burst 0", "1/s burst 1x",
		"1/s 40", "1/sburst 4", "OFF", "off ", "on", "1.5/s", "99999999999999999999/s",
		"1/99999999999999999999s", "1/9223372036854775807d",
		/* a burst of more than two hundred years, and one that 64 bits cannot count */
		"1/d burst 100000", "1/365d burst 1000000000",
	};
	struct rate r = {7, 7, 7};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (rate_parse(str_of(bad[i]), &r) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
	assert_int_equal(r.count, 7);
}

static void test_interval(void **state)
{
	(void)state;
	assert_true(rate_interval_ns(&(struct rate){100, 100, 900000}) == UINT64_C(9000000000));
	assert_true(rate_interval_ns(&(struct rate){20, 40, 1000}) == 50000000);
	assert_true(rate_interval_ns(&(struct rate){0}) == 0);
	/* never 0 for a limit: that would be none */
	assert_true(rate_interval_ns(&(struct rate){1000000000, 1, 1}) == 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_forms),
		cmocka_unit_test(test_faults),
		cmocka_unit_test(test_interval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
