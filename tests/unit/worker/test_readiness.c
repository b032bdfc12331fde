/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/readiness.c: what the slots of three workers say about the node.
 */
#include "worker_fixture.h"

#include "shm/metrics.h"
#include "shm/slots.h"
#include "worker/readiness.h"

/* Slot 0 is the worker itself, 1 and 2 are played; all are ready, connected and have the schema. */
static int setup(void **state)
{
	stand_setup(state);
	for (unsigned slot = 0; slot < STAND_SLOTS; slot++) {
		slot_set_state(wk->shm, slot, SLOT_READY);
		slot_beat(wk->shm, slot, now_ms);
		metric_set(wk->shm, slot, M_DB_CONNECTIONS, 2);
		metric_set(wk->shm, slot, M_DB_SCHEMA, 1);
	}
	return 0;
}

static void set_all(enum metric m, int64_t value)
{
	for (unsigned slot = 0; slot < STAND_SLOTS; slot++)
		metric_set(wk->shm, slot, m, value);
}

static void test_ready(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(readiness_of(wk), 0);
	readiness_print(wk, 0, &b);
	assert_contains(buf_str(&b),
			"{\"status\":\"ready\",\"reasons\":[],\"workers\":[{\"slot\":0,");
	buf_done(&b);
}

/* One that can is enough: this worker's own trouble is not the node's. */
static void test_database(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	set_all(M_DB_CONNECTIONS, 0);
	assert_int_equal(readiness_of(wk), READY_NO_DATABASE);
	readiness_print(wk, READY_NO_DATABASE, &b);
	assert_contains(buf_str(&b), "\"reasons\":[\"database\"]");
	buf_done(&b);
	metric_set(wk->shm, 2, M_DB_CONNECTIONS, 1);
	assert_int_equal(readiness_of(wk), 0);
}

static void test_schema(void **state)
{
	(void)state;
	set_all(M_DB_SCHEMA, 0);
	assert_int_equal(readiness_of(wk), READY_NO_SCHEMA);
	metric_set(wk->shm, 1, M_DB_SCHEMA, 1);
	assert_int_equal(readiness_of(wk), 0);
}

static void test_draining(void **state)
{
	(void)state;
	slot_set_state(wk->shm, 2, SLOT_DRAINING);
	assert_int_equal(readiness_of(wk), READY_DRAINING);
}

/* What a worker that stands still has left in its slot says nothing. */
static void test_stale(void **state)
{
	(void)state;
	metric_set(wk->shm, 0, M_DB_CONNECTIONS, 0);
	metric_set(wk->shm, 1, M_DB_CONNECTIONS, 0);
	assert_int_equal(readiness_of(wk), 0);
	now_ms += 10000;
	assert_int_equal(readiness_of(wk), READY_NO_WORKER);
	slot_beat(wk->shm, 0, now_ms);
	assert_int_equal(readiness_of(wk), READY_NO_DATABASE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_ready, setup, stand_teardown),
		cmocka_unit_test_setup_teardown(test_database, setup, stand_teardown),
		cmocka_unit_test_setup_teardown(test_schema, setup, stand_teardown),
		cmocka_unit_test_setup_teardown(test_draining, setup, stand_teardown),
		cmocka_unit_test_setup_teardown(test_stale, setup, stand_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
