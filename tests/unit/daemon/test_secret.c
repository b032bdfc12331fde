/* SPDX-License-Identifier: MIT */
/*
 * The key of a node that was given none (daemon/secret.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "daemon/secret.h"

static void test_a_key_that_is_set_stays(void **state)
{
	struct settings *s = settings_new();

	(void)state;
	free(s->auth_secret_key);
	s->auth_secret_key = strdup("Zp3qVt9xKc7LmW2nRb8dYf4hJs6gTu1e");
	assert_int_equal(secret_fill(s), 0);
	assert_string_equal(s->auth_secret_key, "Zp3qVt9xKc7LmW2nRb8dYf4hJs6gTu1e");
	settings_free(&s);
}

/* For as long as the process lives, so that a reload keeps it; good enough to pass the checks. */
static void test_one_is_drawn_once(void **state)
{
	struct settings *first = settings_new(), *second = settings_new();
	struct buf faults = BUF_INIT;

	(void)state;
	assert_int_equal(secret_fill(first), 0);
	assert_int_equal(strlen(first->auth_secret_key), 64);
	assert_int_equal(strspn(first->auth_secret_key, "0123456789abcdef"), 64);
	assert_int_equal(settings_check(first, &faults), 0);
	assert_int_equal(secret_fill(second), 0);
	assert_string_equal(second->auth_secret_key, first->auth_secret_key);
	settings_free(&first);
	settings_free(&second);
	buf_done(&faults);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_key_that_is_set_stays),
		cmocka_unit_test(test_one_is_drawn_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
