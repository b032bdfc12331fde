/* SPDX-License-Identifier: MIT */
/*
 * Tests of shm/epochs.c: a change is seen by every process, in its class alone, and none is lost.
 */
#include "harness.h"

#include <sys/wait.h>

#include "shm/epochs.h"

#define CHILDREN 4
#define RAISES 10000

static void test_seen_by_all(void **state)
{
	struct shm *shm = segment_opened(1);
	uint32_t one = epoch_class(shm, STR("one")), other = one + 1;

	(void)state;
	assert_int_equal(epoch_class(shm, STR("one")), one);
	for (int i = 0; i < CHILDREN; i++)
		if (fork() == 0) {
			for (int k = 0; k < RAISES; k++)
				epoch_raise(shm, epoch_class(shm, STR("one")));
			_exit(0);
		}
	for (int i = 0; i < CHILDREN; i++)
		assert_true(wait(NULL) > 0);
	assert_int_equal(epoch_get(shm, one), CHILDREN * RAISES);
	assert_int_equal(epoch_get(shm, other), 0);
	shm_detach(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seen_by_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
