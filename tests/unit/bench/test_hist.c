/* SPDX-License-Identifier: MIT */
/* Checks the histogram against exact quantiles of known sets of values.
 * Leaves its use between processes to runs of the generator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "bench/hist.h"

static struct hist *hist_new(void **state)
{
	struct hist *h = calloc(1, sizeof(*h));

	assert_non_null(h);
	*state = h;
	return h;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static void assert_near(uint64_t got, uint64_t exact)
{
	uint64_t slack = exact / 100;

	if (got + slack < exact || got > exact + slack)
		fail_msg("%llu is not within 1 %% of %llu", (unsigned long long)got,
			 (unsigned long long)exact);
}

static void test_empty(void **state)
{
	struct hist *h = hist_new(state);

	assert_int_equal(hist_quantile(h, 0.5), 0);
	assert_int_equal(hist_quantile(h, 1), 0);
}

/* A single value of any size is given back within 1 %, whatever the quantile. */
static void test_one_value(void **state)
{
	struct hist *h = hist_new(state);

	for (uint64_t v = 1; v < 1ull << 40; v = v * 5 / 3 + 1) {
		*h = (struct hist){0};
		hist_record(h, v);
		assert_near(hist_quantile(h, 0), v);
		assert_near(hist_quantile(h, 0.999), v);
		assert_int_equal(h->max, v);
	}
}

/* Of 1, 2, …, n times 1000 the quantile q is q * n * 1000. */
static void test_uniform(void **state)
{
	struct hist *h = hist_new(state);
	const uint64_t n = 100000;

	for (uint64_t i = n; i > 0; i--)
		hist_record(h, i * 1000);
	assert_int_equal(h->count, n);
	assert_near(hist_quantile(h, 0.5), 50000000);
	assert_near(hist_quantile(h, 0.99), 99000000);
	assert_near(hist_quantile(h, 0.999), 99900000);
	assert_int_equal(h->sum, n * (n + 1) / 2 * 1000);
}

/* Small values are exact. */
static void test_exact(void **state)
{
	struct hist *h = hist_new(state);

	for (uint64_t i = 0; i < 200; i++)
		hist_record(h, i);
	assert_int_equal(hist_quantile(h, 0), 0);
	assert_int_equal(hist_quantile(h, 0.5), 100);
	assert_int_equal(hist_quantile(h, 0.995), 199);
}

static void test_edges(void **state)
{
	struct hist *h = hist_new(state);

	hist_record(h, 0);
	hist_record(h, UINT64_MAX);
	assert_int_equal(h->count, 2);
	assert_int_equal(h->max, UINT64_MAX);
	assert_int_equal(hist_quantile(h, 0), 0);
	/* Everything from 2^41 on is one slot, whose lower end is at least 2^40. */
	assert_true(hist_quantile(h, 1) >= 1ull << 40);
}

static void test_merge(void **state)
{
	struct hist *h = hist_new(state), *other = calloc(1, sizeof(*other));

	assert_non_null(other);
	for (int i = 0; i < 99; i++)
		hist_record(h, 1000);
	hist_record(other, 7000000);
	hist_merge(h, other);
	free(other);
	assert_int_equal(h->count, 100);
	assert_int_equal(h->max, 7000000);
	assert_near(hist_quantile(h, 0.5), 1000);
	assert_near(hist_quantile(h, 0.99), 7000000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(test_empty, teardown),
		cmocka_unit_test_teardown(test_one_value, teardown),
		cmocka_unit_test_teardown(test_uniform, teardown),
		cmocka_unit_test_teardown(test_exact, teardown),
		cmocka_unit_test_teardown(test_edges, teardown),
		cmocka_unit_test_teardown(test_merge, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
