/* SPDX-License-Identifier: MIT */
/*
 * The intrusive list (base/list.h).
 * What hangs in lists is tested elsewhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/list.h"

struct thing {
	int number;
	struct list node;
};

static int number_at(struct list *l, int at)
{
	struct list *node, *tmp;

	list_each_safe(node, tmp, l)
		if (at-- == 0)
			return list_entry(node, struct thing, node)->number;
	return -1;
}

static void test_order_and_removal(void **state)
{
	struct thing a = {.number = 1}, b = {.number = 2}, c = {.number = 3};
	struct list l;

	(void)state;
	list_init(&l);
	assert_true(list_empty(&l));
	assert_null(list_first(&l));
	list_append(&l, &a.node);
	list_append(&l, &b.node);
	list_append(&l, &c.node);
	assert_ptr_equal(list_first(&l), &a.node);
	list_remove(&b.node);
	assert_int_equal(number_at(&l, 0), 1);
	assert_int_equal(number_at(&l, 1), 3);
	assert_int_equal(number_at(&l, 2), -1);
	list_remove(&b.node); /* in no list: nothing happens */
	list_append(&l, &b.node);
	assert_int_equal(number_at(&l, 2), 2);
}

static void test_walk_may_remove(void **state)
{
	struct thing things[10];
	struct list l, *node, *tmp;

	(void)state;
	list_init(&l);
	for (int i = 0; i < 10; i++) {
		things[i].number = i;
		list_append(&l, &things[i].node);
	}
	list_each_safe(node, tmp, &l)
		list_remove(node);
	assert_true(list_empty(&l));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order_and_removal),
		cmocka_unit_test(test_walk_may_remove),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
