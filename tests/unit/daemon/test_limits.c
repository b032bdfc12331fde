/* SPDX-License-Identifier: MIT */
/*
 * Open files and what they leave for clients (daemon/limits.c).
 * The limit is the one of a child process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/limits.h"

static void test_connections(void **state)
{
	(void)state;
	assert_int_equal(limits_connections(1024), 832);
	assert_int_equal(limits_connections(100), 1);
	assert_true(limits_connections(RLIM_INFINITY) == INT64_MAX);
}

static int limited_child(void)
{
	struct rlimit rl = {512, 1024};
	struct settings *s = settings_new();

	if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
		return 1;
	limits_raise();
	if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur != 1024)
		return 2;
	if (limits_fit(s, false) || s->server_max_connections != 832)
		return 3;
	if (!limits_fit(s, false) || s->server_max_connections != 832)
		return 4;
	settings_free(&s);
	return 0;
}

static void test_fit_under_a_limit(void **state)
{
	int status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0)
		_exit(limited_child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connections),
		cmocka_unit_test(test_fit_under_a_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
