/* SPDX-License-Identifier: MIT */
/*
 * Locks between real processes: exclusion, inheritance from the dead, time-outs, ranks.
 * Repair of what they guard is tested with each structure and in tests/crash.
 */
#include "harness.h"

#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"

#define ROUNDS 20000
#define PROCESSES 4

struct contest {
	struct shm *shm;
	unsigned slot;
	uint64_t *counter; /* guarded by the ring lock */
};

static void count_up(void *arg)
{
	struct contest *c = arg;

	(void)slot_enter(c->shm, c->slot);
	for (unsigned i = 0; i < ROUNDS; i++) {
		CHECK(lock_take(c->shm, LOCK_RING, 0, c->slot, UINT64_MAX) == 0);
		++*(volatile uint64_t *)c->counter;
		lock_drop(c->shm, LOCK_RING, 0, c->slot);
	}
}

static void test_one_owner_at_a_time(void **state)
{
	struct shm *shm = segment_new(PROCESSES);
	uint64_t *counter = shared_alloc(sizeof(*counter));
	struct contest c[PROCESSES];
	pid_t pid[PROCESSES];

	(void)state;
	for (unsigned i = 0; i < PROCESSES; i++) {
		c[i] = (struct contest){shm, i, counter};
		pid[i] = child_start(count_up, &c[i]);
	}
	for (unsigned i = 0; i < PROCESSES; i++)
		assert_int_equal(child_wait(pid[i]), 0);
	assert_int_equal(*counter, PROCESSES * ROUNDS);
	shm_detach(&shm);
}

static void take_and_die(void *arg)
{
	struct contest *c = arg;

	(void)slot_enter(c->shm, c->slot);
	CHECK(lock_take(c->shm, LOCK_ROOMS, 3, c->slot, UINT64_MAX) == 0);
	(void)kill(getpid(), SIGKILL);
}

/* Slot 1 died with the lock; whether its pid was reaped is up to the caller. */
static struct shm *segment_with_dead_owner(bool is_reaped, pid_t *ret_pid)
{
	struct shm *shm = segment_new(3);
	struct contest c = {shm, 1, NULL};
	siginfo_t info;
	pid_t pid;

	(void)slot_enter(shm, 0);
	(void)slot_enter(shm, 2);
	pid = child_start(take_and_die, &c);
	if (is_reaped)
		assert_int_equal(child_wait(pid), 128 + SIGKILL);
	else
		assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	*ret_pid = pid;
	return shm;
}

static void test_dead_owner_is_inherited_dirty(void **state)
{
	pid_t pid;
	struct shm *shm = segment_with_dead_owner(true, &pid);
	uint64_t deadline = clock_mono_ms() + 10000;

	(void)state;
	assert_true(lock_is_orphan(shm, LOCK_ROOMS, 3));
	assert_false(lock_is_orphan(shm, LOCK_ROOMS, 4));
	assert_int_equal(lock_take(shm, LOCK_ROOMS, 3, 0, deadline), -ERR_DIRTY);
	lock_drop(shm, LOCK_ROOMS, 3, 0); /* without repair */
	assert_true(lock_is_orphan(shm, LOCK_ROOMS, 3));
	assert_int_equal(lock_take(shm, LOCK_ROOMS, 3, 2, deadline), -ERR_DIRTY);
	lock_clean(shm, LOCK_ROOMS, 3, 2);
	lock_drop(shm, LOCK_ROOMS, 3, 2);
	assert_false(lock_is_orphan(shm, LOCK_ROOMS, 3));
	assert_int_equal(lock_take(shm, LOCK_ROOMS, 3, 0, deadline), 0);
	lock_drop(shm, LOCK_ROOMS, 3, 0);
	assert_int_equal(metric_sum(shm, M_LOCKS_INHERITED), 1);
	shm_detach(&shm);
}

static void test_zombie_owner_is_dead(void **state)
{
	pid_t pid;
	struct shm *shm = segment_with_dead_owner(false, &pid);

	(void)state;
	assert_int_equal(lock_take(shm, LOCK_ROOMS, 3, 0, 0), -ERR_DIRTY); /* in one attempt */
	lock_clean(shm, LOCK_ROOMS, 3, 0);
	lock_drop(shm, LOCK_ROOMS, 3, 0);
	assert_int_equal(child_wait(pid), 128 + SIGKILL);
	shm_detach(&shm);
}

/* The next process of the dead one's slot lives, but the lock is not its own. */
static void test_former_generation_is_dead(void **state)
{
	pid_t pid;
	struct shm *shm = segment_with_dead_owner(true, &pid);
	uint32_t generation;

	(void)state;
	slot_close(shm, 1, 1);
	assert_int_equal(slot_reserve(shm, 1, &generation), 0);
	assert_int_equal(generation, 2);
	assert_int_equal(slot_open(shm, 1, getpid(), generation), -ERR_DIRTY);
	assert_int_equal(lock_take(shm, LOCK_ROOMS, 3, 1, 0), -ERR_DIRTY);
	lock_clean(shm, LOCK_ROOMS, 3, 1);
	lock_drop(shm, LOCK_ROOMS, 3, 1);
	shm_detach(&shm);
}

/* A pid that another process got since: the recorded start time tells. */
static void test_reused_pid_does_not_deceive(void **state)
{
	pid_t pid;
	struct shm *shm = segment_with_dead_owner(true, &pid);

	(void)state;
	atomic_store(&shm->slots[1].pid, getpid());
	atomic_store(&shm->slots[1].start_time, 1); /* the time of init, not ours */
	assert_int_equal(lock_take(shm, LOCK_ROOMS, 3, 0, 0), -ERR_DIRTY);
	lock_clean(shm, LOCK_ROOMS, 3, 0);
	lock_drop(shm, LOCK_ROOMS, 3, 0);
	shm_detach(&shm);
}

struct holder {
	struct shm *shm;
	_Atomic uint32_t *step;
};

static void hold_until_told(void *arg)
{
	struct holder *h = arg;

	(void)slot_enter(h->shm, 1);
	CHECK(lock_take(h->shm, LOCK_USERS, 0, 1, UINT64_MAX) == 0);
	atomic_store(h->step, 1);
	flag_await(h->step, 2);
	lock_drop(h->shm, LOCK_USERS, 0, 1);
}

static void test_living_owner_is_waited_for(void **state)
{
	struct holder h = {segment_new(2), shared_alloc(sizeof(*h.step))};
	uint64_t start;
	pid_t pid;

	(void)state;
	(void)slot_enter(h.shm, 0);
	pid = child_start(hold_until_told, &h);
	flag_await(h.step, 1);
	assert_int_equal(lock_take(h.shm, LOCK_USERS, 0, 0, 0), -ERR_TIMEOUT);
	start = clock_mono_ms();
	assert_int_equal(lock_take(h.shm, LOCK_USERS, 0, 0, start + 120), -ERR_TIMEOUT);
	assert_true(clock_mono_ms() >= start + 120);
	atomic_store(h.step, 2);
	assert_int_equal(lock_take(h.shm, LOCK_USERS, 0, 0, start + 60000), 0);
	lock_drop(h.shm, LOCK_USERS, 0, 0);
	assert_int_equal(child_wait(pid), 0);
	shm_detach(&h.shm);
}

static void take_out_of_order(void *arg)
{
	struct shm *shm = arg;

	(void)!freopen("/dev/null", "w", stderr);
	(void)!lock_take(shm, LOCK_USERS, 0, 0, 0);
	(void)!lock_take(shm, LOCK_ROOMS, 0, 0, 0);
}

static void take_two_of_one_rank(void *arg)
{
	struct shm *shm = arg;

	(void)!freopen("/dev/null", "w", stderr);
	(void)!lock_take(shm, LOCK_ROOMS, 0, 0, 0);
	(void)!lock_take(shm, LOCK_ROOMS, 1, 0, 0);
}

static void test_ranks_are_asserted(void **state)
{
	struct shm *shm = segment_opened(1);

	(void)state;
	assert_int_equal(lock_take(shm, LOCK_ROOMS, 0, 0, 0), 0);
	assert_int_equal(lock_take(shm, LOCK_USERS, 0, 0, 0), 0);
	lock_drop(shm, LOCK_USERS, 0, 0);
	lock_drop(shm, LOCK_ROOMS, 0, 0);
	assert_int_equal(child_wait(child_start(take_out_of_order, shm)), 128 + SIGABRT);
	assert_int_equal(child_wait(child_start(take_two_of_one_rank, shm)), 128 + SIGABRT);
	shm_detach(&shm);
}

static void test_table_is_told(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	lock_describe(&b);
	buf_add_char(&b, '\0');
	assert_non_null(strstr((char *)b.p, "{\"name\":\"ROOMS\",\"rank\":20,\"shards\":256,"));
	for (unsigned i = 1; i < LOCK_IDS; i++)
		assert_true(lock_rank(i) > lock_rank(i - 1));
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_owner_at_a_time),
		cmocka_unit_test(test_dead_owner_is_inherited_dirty),
		cmocka_unit_test(test_zombie_owner_is_dead),
		cmocka_unit_test(test_former_generation_is_dead),
		cmocka_unit_test(test_reused_pid_does_not_deceive),
		cmocka_unit_test(test_living_owner_is_waited_for),
		cmocka_unit_test(test_ranks_are_asserted),
		cmocka_unit_test(test_table_is_told),
	};

	return cmocka_run_group_tests_name("lock", tests, NULL, NULL);
}
