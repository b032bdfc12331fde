/* SPDX-License-Identifier: MIT */
/*
 * Fault points themselves: arming, counting, dying.
 * What survivors find is in test_shm.c.
 */
#include "harness.h"

#include <signal.h>

#include "base/fault.h"

static void test_bad_specifications(void **state)
{
	(void)state;
	assert_int_equal(fault_arm("no.such.point"), -ERR_INVAL);
	assert_int_equal(fault_arm("ring.locked:0"), -ERR_INVAL);
	assert_int_equal(fault_arm("ring.locked:x"), -ERR_INVAL);
	assert_int_equal(fault_arm("ring.locked:"), -ERR_INVAL);
	assert_int_equal(fault_arm(""), 0);
	assert_int_equal(fault_arm(NULL), 0);
}

static void die_at_the_third(void *arg)
{
	(void)arg;
	CHECK(fault_arm("ring.locked:3") == 0);
	FAULT_POINT("ring.locked");
	FAULT_POINT("ring.written");
	FAULT_POINT("ring.locked");
	CHECK(fault_passes() == 2);
	FAULT_POINT("ring.locked");
}

static void test_one_slot_only(void **state)
{
	(void)state;
	assert_int_equal(setenv("ROOMD_FAULT_SLOT", "1", 1), 0);
	assert_int_equal(fault_arm("ring.locked:2"), 0);
	fault_slot(1);
	FAULT_POINT("ring.locked");
	assert_int_equal(fault_passes(), 1);
	fault_slot(0);
	FAULT_POINT("ring.locked"); /* would be the second */
	FAULT_POINT("ring.locked");
	assert_int_equal(unsetenv("ROOMD_FAULT_SLOT"), 0);
}

static void die_by_environment(void *arg)
{
	(void)arg;
	FAULT_POINT("ring.locked");
	FAULT_POINT("ring.written");
}

static void live(void *arg)
{
	(void)arg;
	CHECK(fault_arm("ring.locked") == 0);
	CHECK(fault_arm(NULL) == 0);
	FAULT_POINT("ring.locked");
}

static void test_death_at_the_right_pass(void **state)
{
	(void)state;
	assert_int_equal(child_wait(child_start(die_at_the_third, NULL)), 128 + SIGKILL);
	assert_int_equal(child_wait(child_start(live, NULL)), 0);
}

/* Runs first: the environment is read once per process, unless a point was armed before. */
static void test_environment(void **state)
{
	(void)state;
	assert_int_equal(setenv("ROOMD_FAULT", "ring.written:1", 1), 0);
	assert_int_equal(child_wait(child_start(die_by_environment, NULL)), 128 + SIGKILL);
	assert_int_equal(unsetenv("ROOMD_FAULT"), 0);
	assert_int_equal(child_wait(child_start(die_by_environment, NULL)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_environment),
		cmocka_unit_test(test_bad_specifications),
		cmocka_unit_test(test_death_at_the_right_pass),
		cmocka_unit_test(test_one_slot_only),
	};

	return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
