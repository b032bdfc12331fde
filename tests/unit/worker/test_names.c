/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/names.c: copies, their order, and reading them one by one.
 */
#include "worker_test.h"

#include "worker/names.h"

static void test_sorted_by_name_then_id(void **state)
{
	const struct name_row in[] = {
		{9, STR("Bob")}, {4, STR("Carl")}, {7, STR("Alice")}, {2, STR("Bob")}};
	const int64_t order[] = {7, 2, 9, 4};
	struct names n = {0};
	struct str name;
	int64_t user;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(in); i++)
		names_add(&n, in[i].user, in[i].name);
	names_sort(&n);
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		assert_true(names_next_user(&n, &user, &name));
		assert_int_equal(user, order[i]);
	}
	assert_text(name, "Carl");
	assert_false(names_next_user(&n, &user, &name));
	n.next = 0;
	assert_true(names_next(&n, &name));
	assert_text(name, "Alice");
	names_done(&n);
	assert_int_equal(n.n, 0);
}

static void test_copies_its_names(void **state)
{
	char text[8] = "Zoe";
	struct names n = {0};
	struct str name;

	(void)state;
	for (int i = 0; i < 100; i++)
		names_add(&n, i + 1, str_of(text));
	memset(text, 'x', 3);
	for (int i = 0; i < 100; i++) {
		assert_true(names_next(&n, &name));
		assert_text(name, "Zoe");
	}
	assert_false(names_next(&n, &name));
	names_done(&n);
}

static void test_empty(void **state)
{
	struct names n = {0};
	struct str name;

	(void)state;
	names_sort(&n);
	assert_false(names_next(&n, &name));
	names_done(&n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sorted_by_name_then_id),
		cmocka_unit_test(test_copies_its_names),
		cmocka_unit_test(test_empty),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
