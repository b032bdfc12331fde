/* SPDX-License-Identifier: MIT */
/*
 * The map from numbers (base/map.c).
 * The map from byte strings is tested in test_strmap.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/map.h"

static int things[5000];

static void test_empty(void **state)
{
	struct map m = {0};
	uint32_t pos = 0;
	uint64_t key;
	void *value;

	(void)state;
	assert_null(map_get(&m, 1));
	assert_null(map_del(&m, 1));
	assert_false(map_next(&m, &pos, &key, &value));
	map_done(&m);
}

static void test_put_get_del(void **state)
{
	struct map m = {0};

	(void)state;
	map_put(&m, 1, &things[0]);
	map_put(&m, UINT64_MAX, &things[1]);
	map_put(&m, 1, &things[2]);
	assert_int_equal(m.count, 2);
	assert_ptr_equal(map_get(&m, 1), &things[2]);
	assert_ptr_equal(map_del(&m, 1), &things[2]);
	assert_null(map_get(&m, 1));
	assert_null(map_del(&m, 1));
	assert_ptr_equal(map_get(&m, UINT64_MAX), &things[1]);
	map_put(&m, 1, &things[3]);
	assert_ptr_equal(map_get(&m, 1), &things[3]);
	assert_int_equal(m.count, 2);
	map_done(&m);
}

/* A plain array is the model: random changes must leave both equal. */
static void test_against_model(void **state)
{
	void *model[5000] = {0};
	struct map m = {0};
	unsigned seed = 12345;
	uint32_t count = 0;

	(void)state;
	for (int step = 0; step < 200000; step++) {
		size_t k = (size_t)rand_r(&seed) % 5000;

		if (rand_r(&seed) % 2) {
			count += !model[k];
			model[k] = &things[rand_r(&seed) % 5000];
			map_put(&m, k + 1, model[k]);
		} else {
			count -= !!model[k];
			assert_ptr_equal(map_del(&m, k + 1), model[k]);
			model[k] = NULL;
		}
		assert_int_equal(m.count, count);
	}
	for (size_t k = 0; k < 5000; k++)
		assert_ptr_equal(map_get(&m, k + 1), model[k]);
	map_done(&m);
}

static void test_walk_may_delete(void **state)
{
	unsigned char seen[1001] = {0};
	struct map m = {0};
	uint32_t pos = 0, visits = 0;
	uint64_t key;
	void *value;

	(void)state;
	for (uint64_t k = 1; k <= 1000; k++)
		map_put(&m, k, &things[k]);
	for (; map_next(&m, &pos, &key, &value); visits++) {
		assert_int_equal(seen[key]++, 0);
		assert_ptr_equal(value, &things[key]);
		if (key % 2)
			assert_ptr_equal(map_del(&m, key), value);
	}
	assert_int_equal(visits, 1000);
	assert_int_equal(m.count, 500);
	map_done(&m);
}

/* Keys that come and go for ever must not make the table grow. */
static void test_memory_stays_bounded(void **state)
{
	struct map m = {0};

	(void)state;
	for (uint64_t k = 1; k <= 100000; k++) {
		map_put(&m, k, &things[0]);
		if (k > 10)
			map_del(&m, k - 10);
	}
	assert_int_equal(m.count, 10);
	assert_true(m.cap <= 64);
	map_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),		 cmocka_unit_test(test_put_get_del),
		cmocka_unit_test(test_against_model),	 cmocka_unit_test(test_walk_may_delete),
		cmocka_unit_test(test_memory_stays_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
