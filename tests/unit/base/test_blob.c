/* SPDX-License-Identifier: MIT */
/*
 * Counted bytes (base/blob.c).
 * Queues of blobs are tested where they are kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/blob.h"

static void test_copies(void **state)
{
	char bytes[] = "hello";
	struct blob *b = blob_new(bytes, 5);

	(void)state;
	bytes[0] = 'j';
	assert_int_equal(b->len, 5);
	assert_memory_equal(b->bytes, "hello", 5);
	blob_unref(&b);
	assert_null(b);
}

static void test_last_reference_frees(void **state)
{
	struct blob *b = blob_new(NULL, 100), *second = blob_ref(b);

	(void)state;
	assert_ptr_equal(b, second);
	assert_int_equal(b->refs, 2);
	blob_unref(&b);
	assert_null(b);
	assert_int_equal(second->refs, 1);
	blob_unref(&second); /* a leak or a second free is the sanitizers' to find */
}

static void test_empty_and_null(void **state)
{
	struct blob *b = blob_new("", 0), *none = NULL;

	(void)state;
	assert_int_equal(b->len, 0);
	blob_unref(&b);
	blob_unref(&none);
	assert_null(none);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copies),
		cmocka_unit_test(test_last_reference_frees),
		cmocka_unit_test(test_empty_and_null),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
