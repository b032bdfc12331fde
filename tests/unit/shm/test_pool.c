/* SPDX-License-Identifier: MIT */
/*
 * Free lists: reuse, limits, what a fresh record looks like.
 * Their repair is in test_repair.c.
 */
#include "harness.h"

#include "shm/recover.h"

static void test_records_are_numbered_from_one_and_reused(void **state)
{
	struct shm *shm = segment_opened(2);
	uint32_t a = 0, b = 0, c = 0;

	(void)state;
	assert_int_equal(pool_get(shm, 0, POOL_TYPING, 5, &a), 0);
	assert_int_equal(pool_get(shm, 1, POOL_TYPING, 6, &b), 0);
	assert_int_equal(a, 1);
	assert_int_equal(b, 2);
	assert_int_equal(rec_slot(rec_at(shm, POOL_TYPING, b)), 1);
	assert_int_equal(rec_key(rec_at(shm, POOL_TYPING, b)), 6);
	assert_int_equal(rec_state(rec_at(shm, POOL_TYPING, b)), REC_CLAIMED);
	entry_at(shm, POOL_TYPING, a)->user = 99;
	assert_int_equal(pool_put(shm, 0, POOL_TYPING, a), 0);
	assert_int_equal(rec_state(rec_at(shm, POOL_TYPING, a)), REC_FREE);
	assert_int_equal(pool_get(shm, 0, POOL_TYPING, 7, &c), 0);
	assert_int_equal(c, a);
	assert_int_equal(entry_at(shm, POOL_TYPING, c)->user, 0); /* nothing of its former life */
	assert_int_equal(pool_high(shm, POOL_TYPING), 2);
	shm_detach(&shm);
}

static void test_limit(void **state)
{
	struct shm *shm = segment_opened(1);
	uint32_t idx = 0;

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		assert_int_equal(pool_get(shm, 0, POOL_NAMES, 1, &idx), 0);
	assert_int_equal(idx, 1000);
	assert_int_equal(pool_get(shm, 0, POOL_NAMES, 1, &idx), -ERR_FULL);
	assert_int_equal(idx, 1000);
	assert_int_equal(pool_put(shm, 0, POOL_NAMES, 500), 0);
	assert_int_equal(pool_get(shm, 0, POOL_NAMES, 1, &idx), 0);
	assert_int_equal(idx, 500);
	shm_detach(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records_are_numbered_from_one_and_reused),
		cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests_name("pool", tests, NULL, NULL);
}
