/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/heap.c: what the process holds after a burst, as the system counts it.
 */
#include "worker_fixture.h"

#include "worker/heap.h"

#define BLOCK 4000 /* far below what the C library gets from the system by itself */
#define N_BLOCKS 4000
#define BURST_KB (BLOCK / 1000 * N_BLOCKS)

static long own_kb(void)
{
	FILE *f = fopen("/proc/self/smaps_rollup", "r");
	char line[128];
	long kb = -1;

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, "Anonymous:", 10) == 0)
			kb = strtol(line + 10, NULL, 10);
	fclose(f);
	assert_true(kb > 0);
	return kb;
}

/* Much is queued, something that stays is allocated after it, what was queued is freed. */
static void *burst(void)
{
	static void *blocks[N_BLOCKS];
	void *stays;

	for (size_t i = 0; i < N_BLOCKS; i++) {
		blocks[i] = xmalloc(BLOCK);
		memset(blocks[i], 1, BLOCK);
	}
	stays = xmalloc(BLOCK);
	for (size_t i = 0; i < N_BLOCKS; i++)
		free(blocks[i]);
	return stays;
}

/* Red without malloc_trim: the burst stays resident. */
static void test_a_burst_is_given_back(void **state UNUSED)
{
	long before, after_burst;
	void *stays;

#ifdef __SANITIZE_ADDRESS__
	skip(); /* it has an allocator of its own */
#endif
	heap_look(wk);
	before = own_kb();
	stays = burst();
	after_burst = own_kb();
	assert_true(after_burst > before + BURST_KB / 2);
	now_ms += 1000;
	heap_look(wk);
	assert_true(own_kb() > before + BURST_KB / 2); /* may be needed again at once */
	now_ms += 60000;
	heap_look(wk);
	assert_true(own_kb() < before + BURST_KB / 8);
	free(stays);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_burst_is_given_back, stand_setup,
						stand_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
