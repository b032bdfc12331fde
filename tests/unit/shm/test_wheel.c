/* SPDX-License-Identifier: MIT */
/*
 * The timer wheel alone: what is due when, and taking out of the middle.
 * Its use for grace and typing is tested with those.
 */
#include "harness.h"

static struct shm_wheel wheel;

static uint32_t add(struct shm *shm, uint64_t deadline)
{
	uint32_t idx = 0;

	assert_int_equal(pool_get(shm, 0, POOL_MEMBERS, 1, &idx), 0);
	entry_at(shm, POOL_MEMBERS, idx)->deadline_ms = deadline;
	wheel_add(shm, &wheel, POOL_MEMBERS, idx);
	return idx;
}

static unsigned due(struct shm *shm, uint64_t now, uint32_t *ret)
{
	return wheel_due(shm, &wheel, POOL_MEMBERS, now, ret, WHEEL_BATCH);
}

static void test_due_exactly_at_the_deadline(void **state)
{
	struct shm *shm = segment_opened(1);
	uint32_t got[WHEEL_BATCH], a, b, c;

	(void)state;
	wheel_reset(&wheel);
	a = add(shm, 1000);
	b = add(shm, 1001);				   /* the same spoke */
	c = add(shm, 1000 + WHEEL_SPOKES * WHEEL_TICK_MS); /* the same spoke, one turn later */
	assert_int_equal(due(shm, 999, got), 0);
	assert_int_equal(due(shm, 1000, got), 1);
	assert_int_equal(got[0], a);
	wheel_del(shm, &wheel, POOL_MEMBERS, a);
	assert_int_equal(due(shm, 1000, got), 0);
	assert_int_equal(due(shm, 1001, got), 1);
	assert_int_equal(got[0], b);
	wheel_del(shm, &wheel, POOL_MEMBERS, b);
	wheel_del(shm, &wheel, POOL_MEMBERS, b); /* in none: nothing happens */
	assert_int_equal(wheel.n, 1);
	assert_int_equal(due(shm, 10000, got), 0);
	assert_int_equal(due(shm, 20000, got), 1);
	assert_int_equal(got[0], c);
	shm_detach(&shm);
}

static void test_past_deadlines_are_due_at_once(void **state)
{
	struct shm *shm = segment_opened(1);
	uint32_t got[WHEEL_BATCH], a;

	(void)state;
	wheel_reset(&wheel);
	assert_int_equal(due(shm, 5000000, got), 0);
	a = add(shm, 0);
	assert_int_equal(due(shm, 5000001, got), 1);
	assert_int_equal(got[0], a);
	shm_detach(&shm);
}

static void test_long_pauses_lose_nothing(void **state)
{
	struct shm *shm = segment_opened(1);
	uint32_t got[WHEEL_BATCH];

	(void)state;
	wheel_reset(&wheel);
	for (uint64_t t = 1; t <= 50; t++)
		(void)add(shm, t * 777);
	assert_int_equal(due(shm, 50 * 777, got), 50);
	assert_int_equal(wheel_due(shm, &wheel, POOL_MEMBERS, 1u << 30, got, 7), 7);
	for (uint32_t i = 1; i <= 50; i += 2)
		wheel_del(shm, &wheel, POOL_MEMBERS, i);
	assert_int_equal(due(shm, 1u << 30, got), 25);
	shm_detach(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_due_exactly_at_the_deadline),
		cmocka_unit_test(test_past_deadlines_are_due_at_once),
		cmocka_unit_test(test_long_pauses_lose_nothing),
	};

	return cmocka_run_group_tests_name("wheel", tests, NULL, NULL);
}
