/* SPDX-License-Identifier: MIT */
/*
 * Tests of shm/revoked.c: what is revoked is found until its end, by every process; a full table
 * gives up what goes first; an owner that dies inside leaves nothing to repair.
 */
#include "harness.h"

#include <signal.h>

#include "base/clock.h"
#include "shm/revoked.h"

#define HOUR_MS (INT64_C(3600) * 1000)

static struct uuid session(uint64_t n)
{
	return uuid_hash(&n, sizeof(n));
}

static bool add(struct shm *shm, uint64_t n, int64_t until_ms)
{
	struct uuid u = session(n);
	bool lost = false;

	assert_int_equal(revoked_add(shm, 0, &u, until_ms, &lost), 0);
	return lost;
}

static bool has(struct shm *shm, uint64_t n)
{
	struct uuid u = session(n);

	return revoked_has(shm, &u);
}

static void test_until_its_end(void **state)
{
	struct shm *shm = segment_opened(1);
	int64_t now = clock_wall_ms();

	(void)state;
	assert_false(has(shm, 1));
	add(shm, 1, now + HOUR_MS);
	add(shm, 2, now - 1);
	assert_true(has(shm, 1));
	assert_false(has(shm, 2));
	assert_false(has(shm, 3));
	add(shm, 1, now - 1); /* the later end counts */
	assert_true(has(shm, 1));
	assert_false(revoked_has(shm, &(struct uuid){0}));
	segment_done(&shm);
}

static void test_users(void **state)
{
	struct shm *shm = segment_opened(1);
	int64_t until = clock_wall_ms() + HOUR_MS;

	(void)state;
	assert_int_equal(revoked_set_user(shm, 0, 7, until, NULL), 0);
	assert_true(revoked_has_user(shm, 7));
	assert_false(revoked_has_user(shm, 8));
	assert_false(revoked_has_user(shm, 0));
	assert_int_equal(revoked_set_user(shm, 0, 7, 0, NULL), 0);
	assert_false(revoked_has_user(shm, 7));
	segment_done(&shm);
}

/* Twice what fits: nothing fails, what ends last stays, and what is lost is told. */
static void test_full(void **state)
{
	struct shm *shm = segment_opened(1);
	int64_t now = clock_wall_ms();
	unsigned lost = 0, kept = 0;

	(void)state;
	assert_int_equal(revoked_lost_ms(shm), 0);
	for (int64_t user = 1; user <= 100; user++)
		assert_int_equal(revoked_set_user(shm, 0, user, now + HOUR_MS / 2, NULL), 0);
	for (uint64_t n = 1; n <= REVOKED_USUAL; n++)
		lost += add(shm, n, now + HOUR_MS);
	for (uint64_t n = REVOKED_USUAL + 1; n <= 2 * REVOKED_USUAL; n++)
		lost += add(shm, n, now + 2 * HOUR_MS);
	for (uint64_t n = 1; n <= 2 * REVOKED_USUAL; n++)
		kept += has(shm, n);
	assert_int_equal(kept + lost, 2 * REVOKED_USUAL);
	assert_in_range(lost, REVOKED_USUAL, REVOKED_USUAL + REVOKED_USUAL / 10);
	assert_in_range(revoked_lost_ms(shm), now + HOUR_MS, now + 2 * HOUR_MS);
	for (int64_t user = 1; user <= 100; user++)
		assert_true(revoked_has_user(shm, user));
	segment_done(&shm);
}

static struct shm *shared;
static _Atomic uint32_t *flag;

static void die_inside(void *arg)
{
	(void)arg;
	CHECK(slot_enter(shared, 1) > 0);
	CHECK(lock_wait(shared, LOCK_REVOKED, 0, 1) == 0);
	atomic_store(flag, 1);
	for (;;)
		(void)raise(SIGSTOP);
}

static void test_an_owner_dies(void **state)
{
	pid_t pid;

	(void)state;
	shared = segment_new(2);
	slot_enter(shared, 0);
	flag = shared_alloc(sizeof(*flag));
	pid = child_start(die_inside, NULL);
	flag_await(flag, 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(child_wait(pid), 128 + SIGKILL);
	add(shared, 1, clock_wall_ms() + HOUR_MS);
	assert_true(has(shared, 1));
	shm_detach(&shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_until_its_end),
		cmocka_unit_test(test_users),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_an_owner_dies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
