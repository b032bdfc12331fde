/* SPDX-License-Identifier: MIT */
/*
 * Slots: life cycle, generations, liveness, lists of conversations in flight.
 * Recovery is tested in test_recover.c.
 */
#include "harness.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void test_life_of_a_slot(void **state)
{
	struct shm *shm = segment_new(2);
	struct slot_info i;
	uint32_t g = 0;

	(void)state;
	assert_int_equal(slot_read(shm, 0, &i), 0);
	assert_int_equal(i.state, SLOT_FREE);
	assert_int_equal(i.generation, 0);
	assert_false(slot_alive(shm, 0));
	assert_int_equal(slot_reserve(shm, 0, &g), 0);
	assert_int_equal(slot_reserve(shm, 0, &g), -ERR_EXISTS);
	assert_true(slot_alive(shm, 0)); /* forked, not yet registered */
	assert_int_equal(slot_open(shm, 0, getpid(), g + 1), -ERR_INVAL);
	assert_int_equal(slot_open(shm, 0, getpid(), g), 0);
	assert_int_equal(slot_open(shm, 0, getpid(), g), 0);
	slot_set_state(shm, 0, SLOT_READY);
	slot_beat(shm, 0, 12345);
	assert_int_equal(slot_read(shm, 0, &i), 0);
	assert_int_equal(i.state, SLOT_READY);
	assert_int_equal(i.pid, getpid());
	assert_int_equal(i.heartbeat_ms, 12345);
	assert_false(i.is_clean);
	assert_true(slot_alive(shm, 0));
	slot_close(shm, 0, g + 1); /* stale */
	assert_true(slot_alive(shm, 0));
	slot_close(shm, 0, g);
	assert_false(slot_alive(shm, 0));
	assert_int_equal(slot_open(shm, 0, getpid(), g), -ERR_INVAL);
	shm_detach(&shm);
}

static void test_out_of_range(void **state)
{
	struct shm *shm = segment_new(2);
	struct slot_info i;
	uint32_t g;

	(void)state;
	assert_int_equal(slot_reserve(shm, 2, &g), -ERR_INVAL);
	assert_int_equal(slot_open(shm, 2, getpid(), 1), -ERR_INVAL);
	assert_int_equal(slot_read(shm, 2, &i), -ERR_INVAL);
	assert_false(slot_alive(shm, 2));
	slot_close(shm, 2, 1);
	shm_detach(&shm);
}

static void open_one(void *arg)
{
	CHECK(slot_open(arg, 0, getpid(), 1) == 0);
	CHECK(slot_alive(arg, 0));
	(void)raise(SIGKILL);
}

static void test_dead_process_is_not_alive(void **state)
{
	struct shm *shm = segment_new(1);
	siginfo_t info;
	uint32_t g;
	pid_t pid;

	(void)state;
	assert_int_equal(slot_reserve(shm, 0, &g), 0);
	pid = child_start(open_one, shm);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	assert_false(slot_alive(shm, 0)); /* a zombie, not closed by the master yet */
	assert_int_equal(child_wait(pid), 128 + SIGKILL);
	assert_false(slot_alive(shm, 0));
	shm_detach(&shm);
}

static void test_next_process_waits_for_recovery(void **state)
{
	struct shm *shm = segment_new(2);
	uint32_t g, g2;

	(void)state;
	g = slot_enter(shm, 0);
	slot_close(shm, 0, g);
	assert_int_equal(slot_reserve(shm, 0, &g2), 0);
	assert_int_equal(g2, g + 1);
	assert_int_equal(slot_open(shm, 0, getpid(), g2), -ERR_DIRTY);
	assert_true(slot_alive(shm, 0)); /* registered all the same */
	shm_detach(&shm);
}

static void test_inflight_list_changes_in_one_step(void **state)
{
	struct shm *shm = segment_opened(1);
	int64_t convs[SLOT_INFLIGHT_MAX + 1];
	struct slot_info i;

	(void)state;
	for (unsigned k = 0; k < ARRAY_LEN(convs); k++)
		convs[k] = k + 1;
	slot_inflight_set(shm, 0, convs, 3);
	assert_int_equal(slot_read(shm, 0, &i), 0);
	assert_int_equal(i.inflight, 3);
	slot_inflight_set(shm, 0, convs, SLOT_INFLIGHT_MAX);
	assert_int_equal(slot_read(shm, 0, &i), 0);
	assert_int_equal(i.inflight, SLOT_INFLIGHT_MAX);
	assert_false(shm->slots[0].inflight[shm->slots[0].inflight_now].is_all);
	slot_inflight_set(shm, 0, convs, SLOT_INFLIGHT_MAX + 1);
	assert_true(shm->slots[0].inflight[shm->slots[0].inflight_now].is_all);
	slot_inflight_clear(shm, 0);
	assert_int_equal(slot_read(shm, 0, &i), 0);
	assert_int_equal(i.inflight, 0);
	assert_false(shm->slots[0].inflight[shm->slots[0].inflight_now].is_all);
	shm_detach(&shm);
}

static void test_names_of_states(void **state)
{
	(void)state;
	assert_string_equal(slot_state_name(SLOT_DRAINING), "draining");
	assert_string_equal(slot_state_name(SLOT_DEAD + 1), "unknown");
}

static void test_server_processes(void **state)
{
	struct shm *shm = segment_opened(2);
	int32_t pids[SLOT_BACKENDS_MAX];

	(void)state;
	assert_int_equal(slot_backends(shm, 0, pids), 0);
	slot_backend_add(shm, 0, 0); /* none */
	slot_backend_add(shm, 0, 100);
	slot_backend_add(shm, 0, 200);
	slot_backend_add(shm, 0, 100);
	assert_int_equal(slot_backends(shm, 0, pids), 2);
	assert_int_equal(slot_backends(shm, 1, pids), 0);
	slot_backend_remove(shm, 0, 100);
	slot_backend_remove(shm, 0, 300);
	assert_int_equal(slot_backends(shm, 0, pids), 1);
	assert_int_equal(pids[0], 200);
	for (int32_t i = 1; i <= 2 * SLOT_BACKENDS_MAX; i++)
		slot_backend_add(shm, 0, 1000 + i);
	assert_int_equal(slot_backends(shm, 0, pids), SLOT_BACKENDS_MAX);
	for (unsigned i = 0; i < SLOT_BACKENDS_MAX; i++)
		assert_true(pids[i] > 1000 + SLOT_BACKENDS_MAX); /* the latest */
	segment_done(&shm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life_of_a_slot),
		cmocka_unit_test(test_out_of_range),
		cmocka_unit_test(test_dead_process_is_not_alive),
		cmocka_unit_test(test_next_process_waits_for_recovery),
		cmocka_unit_test(test_inflight_list_changes_in_one_step),
		cmocka_unit_test(test_names_of_states),
		cmocka_unit_test(test_server_processes),
	};

	return cmocka_run_group_tests_name("slots", tests, NULL, NULL);
}
