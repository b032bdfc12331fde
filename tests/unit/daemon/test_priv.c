/* SPDX-License-Identifier: MIT */
/*
 * Becoming another user (daemon/priv.c).
 * Each change of user happens in a child; only root can test it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/priv.h"

static void test_nothing_to_do(void **state)
{
	struct passwd *me = getpwuid(geteuid());
	struct priv p = {.is_needed = true};

	(void)state;
	assert_int_equal(priv_lookup("", &p), 0);
	assert_false(p.is_needed);
	assert_int_equal(priv_drop(&p), 0);
	if (!me)
		skip();
	p.is_needed = true;
	assert_int_equal(priv_lookup(me->pw_name, &p), 0);
	assert_false(p.is_needed);
}

static void test_unknown_user(void **state)
{
	struct priv p = {.uid = 77};

	(void)state;
	assert_int_equal(priv_lookup("no-such-user", &p), -ERR_NOENT);
	assert_int_equal(p.uid, 77);
}

static void test_only_root_may(void **state)
{
	struct priv p;

	(void)state;
	if (geteuid() == 0)
		skip();
	assert_int_equal(priv_lookup("root", &p), -ERR_DENIED);
}

static int dropped_child(const struct priv *p)
{
	gid_t groups[PRIV_GROUPS_MAX];

	if (priv_drop(p) < 0)
		return 1;
	if (geteuid() != p->uid || getegid() != p->gid || setuid(0) == 0 || setgid(0) == 0)
		return 2;
	if (getgroups(PRIV_GROUPS_MAX, groups) != p->n_groups)
		return 3;
	return access("/etc/shadow", R_OK) == 0 ? 4 : 0;
}

static void test_no_way_back(void **state)
{
	struct priv p;
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0 || !getpwnam("nobody"))
		skip();
	assert_int_equal(priv_lookup("nobody", &p), 0);
	assert_true(p.is_needed);
	assert_int_equal(p.uid, getpwnam("nobody")->pw_uid);
	pid = fork();
	if (pid == 0)
		_exit(dropped_child(&p));
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_to_do),
		cmocka_unit_test(test_unknown_user),
		cmocka_unit_test(test_only_root_may),
		cmocka_unit_test(test_no_way_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
