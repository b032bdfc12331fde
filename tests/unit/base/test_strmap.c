/* SPDX-License-Identifier: MIT */
/*
 * The map from byte strings (base/strmap.c).
 * The map from numbers is tested in test_map.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"

static int things[2000];

static void test_put_get_del(void **state)
{
	char key[] = "alice";
	struct strmap m = {0};

	(void)state;
	assert_null(strmap_get(&m, STR("alice")));
	assert_null(strmap_del(&m, STR("alice")));
	strmap_put(&m, str_of(key), &things[0]);
	key[0] = 'x'; /* the map has its own copy */
	strmap_put(&m, STR(""), &things[1]);
	strmap_put(&m, STR("a\0b"), &things[2]);
	assert_ptr_equal(strmap_get(&m, STR("alice")), &things[0]);
	assert_ptr_equal(strmap_get(&m, str_of(NULL)), &things[1]);
	assert_ptr_equal(strmap_get(&m, STR("a\0b")), &things[2]);
	assert_null(strmap_get(&m, STR("a\0c")));
	assert_null(strmap_get(&m, STR("Alice")));
	strmap_put(&m, STR("alice"), &things[3]);
	assert_int_equal(m.count, 3);
	assert_ptr_equal(strmap_del(&m, STR("alice")), &things[3]);
	assert_null(strmap_get(&m, STR("alice")));
	strmap_done(&m);
	assert_int_equal(m.count, 0);
}

static void test_against_model(void **state)
{
	void *model[2000] = {0};
	struct strmap m = {0};
	unsigned seed = 54321;
	char text[16];

	(void)state;
	for (int step = 0; step < 100000; step++) {
		size_t k = (size_t)rand_r(&seed) % 2000;

		snprintf(text, sizeof(text), "user%zu", k);
		if (rand_r(&seed) % 2) {
			model[k] = &things[rand_r(&seed) % 2000];
			strmap_put(&m, str_of(text), model[k]);
		} else {
			assert_ptr_equal(strmap_del(&m, str_of(text)), model[k]);
			model[k] = NULL;
		}
	}
	for (size_t k = 0; k < 2000; k++) {
		snprintf(text, sizeof(text), "user%zu", k);
		assert_ptr_equal(strmap_get(&m, str_of(text)), model[k]);
	}
	strmap_done(&m);
}

static void test_walk_may_delete(void **state)
{
	struct strmap m = {0};
	uint32_t pos = 0, visits = 0;
	struct str key;
	char text[16];
	void *value;

	(void)state;
	for (size_t k = 0; k < 500; k++) {
		snprintf(text, sizeof(text), "%zu", k);
		strmap_put(&m, str_of(text), &things[k]);
	}
	for (; strmap_next(&m, &pos, &key, &value); visits++) {
		char copy[16] = {0};

		memcpy(copy, key.p, key.len);
		assert_ptr_equal(value, &things[strtoul(copy, NULL, 10)]);
		assert_ptr_equal(strmap_del(&m, str_of(copy)), value);
	}
	assert_int_equal(visits, 500);
	assert_int_equal(m.count, 0);
	strmap_done(&m);
}

static void test_memory_stays_bounded(void **state)
{
	struct strmap m = {0};
	char text[16];

	(void)state;
	for (int k = 0; k < 50000; k++) {
		snprintf(text, sizeof(text), "%d", k);
		strmap_put(&m, str_of(text), &things[0]);
		strmap_del(&m, str_of(text));
	}
	assert_true(m.cap <= 64);
	strmap_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put_get_del),
		cmocka_unit_test(test_against_model),
		cmocka_unit_test(test_walk_may_delete),
		cmocka_unit_test(test_memory_stays_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
