/* SPDX-License-Identifier: MIT */
/*
 * Slabs (base/slab.c).
 * Life of the objects in them is tested where they live.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/slab.h"

enum { MANY = 5000 };

static void *objects[MANY];

static struct slab_stat stat_of(struct slab *s)
{
	struct slab_stat st;

	slab_stat(s, &st);
	return st;
}

static void test_objects_are_zeroed_and_apart(void **state)
{
	struct slab *s = slab_new("test", 100);

	(void)state;
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < MANY; i++) {
			unsigned char *p = objects[i] = slab_get(s);

			for (int at = 0; at < 100; at++)
				assert_int_equal(p[at], 0);
			memset(p, i & 0xff, 100);
			assert_int_equal((uintptr_t)p % 16, 0);
		}
		for (int i = 0; i < MANY; i++) {
			assert_int_equal(((unsigned char *)objects[i])[0], i & 0xff);
			assert_int_equal(((unsigned char *)objects[i])[99], i & 0xff);
		}
		for (int i = 0; i < MANY; i++)
			slab_put(s, objects[i]);
	}
	slab_free(&s);
	assert_null(s);
}

static void test_empty_chunks_go_back(void **state)
{
	struct slab *s = slab_new("test", 500);
	size_t peak;

	(void)state;
	for (int i = 0; i < MANY; i++)
		objects[i] = slab_get(s);
	peak = stat_of(s).chunks;
	assert_int_equal(stat_of(s).in_use, MANY);
	assert_true(peak * stat_of(s).chunk_bytes < MANY * 512 * 105 / 100);
	for (int i = 0; i < MANY; i++)
		slab_put(s, objects[i]);
	assert_int_equal(stat_of(s).in_use, 0);
	assert_int_equal(stat_of(s).chunks, 1); /* kept against thrashing */
	slab_free(&s);
}

/* Random order of returns; a model of who is out keeps count. */
static void test_any_order(void **state)
{
	struct slab *s = slab_new("test", 8192);
	unsigned seed = 99;
	size_t out = 0;

	(void)state;
	memset(objects, 0, sizeof(objects));
	for (int step = 0; step < 20000; step++) {
		size_t i = (size_t)rand_r(&seed) % 300;

		if (objects[i]) {
			assert_int_equal(*(size_t *)objects[i], i);
			slab_put(s, objects[i]);
			objects[i] = NULL;
			out--;
		} else {
			objects[i] = slab_get(s);
			*(size_t *)objects[i] = i;
			out++;
		}
		assert_int_equal(stat_of(s).in_use, out);
	}
	for (size_t i = 0; i < 300; i++)
		if (objects[i])
			slab_put(s, objects[i]);
	slab_free(&s);
}

static void test_null(void **state)
{
	struct slab *s = NULL;

	(void)state;
	slab_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_objects_are_zeroed_and_apart),
		cmocka_unit_test(test_empty_chunks_go_back),
		cmocka_unit_test(test_any_order),
		cmocka_unit_test(test_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
