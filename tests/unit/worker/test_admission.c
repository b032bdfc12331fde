/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/admission.c: a burst, then the rate; hints with jitter that grow with the
 * crowd. The clock is the test's.
 */
#include "worker_test.h"

#include "shm/segment.h"
#include "worker/worker.h"

#define SECOND 1000000000ull

static uint64_t now_ns = SECOND;
static struct settings settings;
static struct worker_boot boot = {.n_slots = 2};
static struct worker wk;

uint64_t __wrap_clock_mono_ns(void);
uint64_t __wrap_clock_mono_ns(void)
{
	return now_ns;
}

void __wrap_metric_add(struct shm *shm, unsigned slot, enum metric m, int64_t n);
void __wrap_metric_add(struct shm *shm, unsigned slot, enum metric m, int64_t n)
{
	(void)shm;
	(void)slot;
	assert_int_equal(m, M_CONNECTIONS_REFUSED);
	assert_int_equal(n, 1);
}

static int set_up(void **state)
{
	(void)state;
	settings = (struct settings){
		.admission_rate = 200, .admission_burst = 20, .database_retry_max = 5000};
	wk = (struct worker){.settings = &settings, .boot = &boot};
	return 0;
}

static int pass_many(int n)
{
	int passed = 0;

	for (int i = 0; i < n; i++)
		passed += admission_pass(&wk);
	return passed;
}

/* The node's 200 a second and 20 at once are 100 and 10 for each of two workers. */
static void test_rate(void **state)
{
	(void)state;
	assert_int_equal(pass_many(50), 10);
	now_ns += SECOND / 20;
	assert_int_equal(pass_many(50), 5);
	now_ns += 60 * SECOND;
	assert_int_equal(pass_many(50), 10); /* no more than a burst, however long the calm */
}

static void test_no_limit(void **state)
{
	(void)state;
	settings.admission_rate = 0;
	assert_int_equal(pass_many(100000), 100000);
}

static void hints(int n, int64_t *ret_low, int64_t *ret_high)
{
	*ret_low = INT64_MAX;
	*ret_high = 0;
	for (int i = 0; i < n; i++) {
		int64_t ms = worker_retry_ms(&wk);

		*ret_low = MIN(*ret_low, ms);
		*ret_high = MAX(*ret_high, ms);
	}
}

/* Half a second at least, over database.retry_max at least. */
static void test_hints_are_spread(void **state)
{
	int64_t low, high;

	(void)state;
	hints(1000, &low, &high);
	assert_in_range(low, 500, 600);
	assert_in_range(high, 5400, 5500);
}

/* 10,000 refused at 100 a second take 100 s to let in: the hints cover twice that. */
static void test_hints_grow_with_the_crowd(void **state)
{
	int64_t low, high;

	(void)state;
	assert_int_equal(pass_many(10010), 10);
	hints(1000, &low, &high);
	assert_in_range(high, 190000, 200500);
	now_ns += 50 * SECOND; /* half of them had room meanwhile */
	(void)pass_many(1);
	hints(1000, &low, &high);
	assert_in_range(high, 90000, 100500);
}

static void test_workers_differ(void **state)
{
	struct worker other = {.settings = &settings, .boot = &boot, .slot = 1};

	(void)state;
	assert_int_not_equal(worker_jitter(&wk, UINT32_MAX), worker_jitter(&other, UINT32_MAX));
	assert_int_equal(worker_jitter(&wk, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_rate, set_up),
		cmocka_unit_test_setup(test_no_limit, set_up),
		cmocka_unit_test_setup(test_hints_are_spread, set_up),
		cmocka_unit_test_setup(test_hints_grow_with_the_crowd, set_up),
		cmocka_unit_test_setup(test_workers_differ, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
