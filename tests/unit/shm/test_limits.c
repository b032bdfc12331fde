/* SPDX-License-Identifier: MIT */
/*
 * Buckets of shm/limits.c: what they let through, over time, over processes and over deaths; and
 * which are forgotten. Expected numbers follow from the rules alone.
 */
#include "harness.h"

#include <signal.h>
#include <unistd.h>

#include "shm/limits.h"

#define SECOND UINT64_C(1000000000)
#define START (UINT64_C(1000) * SECOND)

/* 100 in 15 minutes. */
static const struct limit_rule rule = {.interval_ns = 9 * SECOND, .burst = 100};

static bool take(struct shm *shm, uint64_t key, uint64_t now)
{
	struct limit_state s;

	CHECK(limit_take(shm, 0, key, &rule, 1, now, &s) == 0);
	return s.is_taken;
}

static unsigned take_many(struct shm *shm, uint64_t key, unsigned n, uint64_t now)
{
	unsigned taken = 0;

	while (n--)
		taken += take(shm, key, now);
	return taken;
}

static void test_burst_then_rate(void **state)
{
	struct shm *shm = segment_opened(1);
	uint64_t key = limit_key(shm, 0, "a", 1);
	struct limit_state s;

	(void)state;
	for (unsigned i = 1; i <= 100; i++) {
		assert_int_equal(limit_take(shm, 0, key, &rule, 1, START, &s), 0);
		assert_true(s.is_taken);
		assert_int_equal(s.remaining, 100 - i);
		assert_int_equal(s.full_ns, i * 9 * SECOND);
	}
	assert_int_equal(limit_take(shm, 0, key, &rule, 1, START, &s), 0);
	assert_false(s.is_taken);
	assert_int_equal(s.retry_ns, 9 * SECOND);
	assert_int_equal(s.remaining, 0);
	/* a moment too early, then exactly in time, then not at once again */
	assert_false(take(shm, key, START + 9 * SECOND - 1));
	assert_true(take(shm, key, START + 9 * SECOND));
	assert_false(take(shm, key, START + 9 * SECOND));
	/* ten come back in ten intervals; never more than the burst */
	assert_int_equal(take_many(shm, key, 50, START + 99 * SECOND), 10);
	assert_int_equal(take_many(shm, key, 150, START + 10000 * SECOND), 100);
	segment_done(&shm);
}

static void test_looking_takes_nothing(void **state)
{
	struct shm *shm = segment_opened(1);
	uint64_t key = limit_key(shm, 0, "a", 1);
	struct limit_state s;

	(void)state;
	for (int i = 0; i < 200; i++)
		assert_int_equal(limit_take(shm, 0, key, &rule, 0, START, &s), 0);
	assert_true(s.is_taken);
	assert_int_equal(s.remaining, 100);
	assert_int_equal(take_many(shm, key, 200, START), 100);
	assert_int_equal(limit_take(shm, 0, key, &rule, 0, START, &s), 0);
	assert_int_equal(s.remaining, 0);
	segment_done(&shm);
}

static void test_several_at_once(void **state)
{
	struct shm *shm = segment_opened(1);
	uint64_t key = limit_key(shm, 0, "a", 1);
	struct limit_state s;

	(void)state;
	assert_int_equal(limit_take(shm, 0, key, &rule, 60, START, &s), 0);
	assert_true(s.is_taken);
	assert_int_equal(limit_take(shm, 0, key, &rule, 60, START, &s), 0);
	assert_false(s.is_taken);
	assert_int_equal(s.remaining, 40); /* all or none */
	assert_int_equal(s.retry_ns, 20 * 9 * SECOND);
	assert_int_equal(limit_take(shm, 0, key, &rule, 101, START, &s), 0);
	assert_false(s.is_taken);
	assert_true(s.retry_ns == UINT64_MAX);
	segment_done(&shm);
}

static void test_given_back_and_forgotten(void **state)
{
	struct shm *shm = segment_opened(1);
	uint64_t key = limit_key(shm, 0, "a", 1);

	(void)state;
	assert_int_equal(take_many(shm, key, 200, START), 100);
	assert_int_equal(limit_give(shm, 0, key, &rule, 3, START), 0);
	assert_int_equal(take_many(shm, key, 10, START), 3);
	assert_int_equal(limit_forget(shm, 0, key), 0);
	assert_int_equal(take_many(shm, key, 200, START), 100);
	/* a full bucket does not get fuller */
	assert_int_equal(limit_give(shm, 0, key, &rule, 500, START), 0);
	assert_int_equal(limit_give(shm, 0, key, &rule, 500, START), 0);
	assert_int_equal(take_many(shm, key, 200, START), 100);
	/* and one that is not there is full */
	assert_int_equal(limit_give(shm, 0, limit_key(shm, 0, "b", 1), &rule, 1, START), 0);
	segment_done(&shm);
}

static void test_a_stricter_rule_takes_old_buckets_as_its_own(void **state)
{
	const struct limit_rule strict = {.interval_ns = SECOND, .burst = 5};
	struct shm *shm = segment_opened(1);
	uint64_t key = limit_key(shm, 0, "a", 1);
	struct limit_state s;

	(void)state;
	assert_int_equal(take_many(shm, key, 100, START), 100);
	assert_int_equal(limit_take(shm, 0, key, &strict, 1, START, &s), 0);
	assert_false(s.is_taken);
	assert_int_equal(s.retry_ns, SECOND); /* not a quarter of an hour */
	segment_done(&shm);
}

static void test_keys(void **state)
{
	struct shm *a = segment_opened(1), *b = segment_opened(1);

	(void)state;
	assert_true(limit_key(a, 0, "x", 1) == limit_key(a, 0, "x", 1));
	assert_true(limit_key(a, 0, "x", 1) != limit_key(a, 1, "x", 1));
	assert_true(limit_key(a, 0, "x", 1) != limit_key(a, 0, "y", 1));
	assert_true(limit_key(a, 0, "x", 1) != limit_key(b, 0, "x", 1)); /* nobody can compute it */
	segment_done(&a);
	segment_done(&b);
}

/* More keys than buckets: who used most is remembered, who used least is forgotten. */
static void test_the_fullest_is_forgotten_first(void **state)
{
	struct shm *shm = segment_opened(1);
	uint64_t heavy[8];
	unsigned kept = 0;

	(void)state;
	for (unsigned i = 0; i < ARRAY_LEN(heavy); i++) {
		heavy[i] = limit_key(shm, 1, &i, sizeof(i));
		assert_int_equal(take_many(shm, heavy[i], 100, START), 100);
	}
	for (unsigned i = 0; i < 100000; i++)
		(void)take(shm, limit_key(shm, 0, &i, sizeof(i)), START);
	for (unsigned i = 0; i < ARRAY_LEN(heavy); i++)
		kept += !take(shm, heavy[i], START);
	assert_int_equal(kept, ARRAY_LEN(heavy));
	assert_true(metric_sum(shm, M_LIMITS_FORGOTTEN) > 90000);
	/* buckets that are full again are nobody's loss */
	assert_int_equal(take_many(shm, heavy[0], 200, START + 1000 * SECOND), 100);
	segment_done(&shm);
}

struct race {
	struct shm *shm;
	unsigned slot;
	_Atomic uint32_t *taken;
};

static void race_run(void *arg)
{
	struct race *r = arg;
	uint64_t key = limit_key(r->shm, 0, "shared", 6);

	(void)slot_enter(r->shm, r->slot);
	for (int i = 0; i < 5000; i++) {
		struct limit_state s;

		CHECK(limit_take(r->shm, r->slot, key, &rule, 1, START, &s) == 0);
		if (s.is_taken)
			atomic_fetch_add(r->taken, 1);
	}
}

static void test_exact_over_processes(void **state)
{
	struct shm *shm = segment_new(4);
	_Atomic uint32_t *taken = shared_alloc(sizeof(*taken));
	struct race r[4];
	pid_t pid[4];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		r[i] = (struct race){shm, i, taken};
		pid[i] = child_start(race_run, &r[i]);
	}
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(child_wait(pid[i]), 0);
	assert_int_equal(*taken, 100);
	shm_detach(&shm);
}

static void die_with_lock(void *arg)
{
	struct shm *shm = arg;
	unsigned set = (unsigned)(limit_key(shm, 0, "a", 1) >> 32) & shm->limit_mask;

	(void)slot_enter(shm, 1);
	CHECK(lock_wait(shm, LOCK_LIMITS, set % LIMIT_SHARDS, 1) == 0);
	(void)raise(SIGKILL);
}

static void test_a_death_under_the_lock_is_survived(void **state)
{
	struct shm *shm = segment_new(2);
	uint64_t key = limit_key(shm, 0, "a", 1);

	(void)state;
	(void)slot_enter(shm, 0);
	assert_int_equal(take_many(shm, key, 60, START), 60);
	assert_int_equal(child_wait(child_start(die_with_lock, shm)), 128 + SIGKILL);
	slot_close(shm, 1, atomic_load(&shm->slots[1].generation)); /* the master's part */
	assert_int_equal(take_many(shm, key, 60, START), 40);
	shm_detach(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_burst_then_rate),
		cmocka_unit_test(test_looking_takes_nothing),
		cmocka_unit_test(test_several_at_once),
		cmocka_unit_test(test_given_back_and_forgotten),
		cmocka_unit_test(test_a_stricter_rule_takes_old_buckets_as_its_own),
		cmocka_unit_test(test_keys),
		cmocka_unit_test(test_the_fullest_is_forgotten_first),
		cmocka_unit_test(test_exact_over_processes),
		cmocka_unit_test(test_a_death_under_the_lock_is_survived),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
