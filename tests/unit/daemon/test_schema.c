/* SPDX-License-Identifier: MIT */
/*
 * The child that looks at the schema (daemon/schema.c): what each of its ends means to the node.
 * The migrations themselves and the rest of the master are played here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/master.h"
#include "sql/migrate.h"

#define FOREVER (-1000) /* the migration hangs */

static struct master m;
static int starts, stops, changes, outcome;
static enum migrate_mode expected_mode;

int migrate_run(const char *url, enum migrate_mode mode, struct buf *ret_report)
{
	buf_add_cstr(ret_report, "a report\nof two lines\n");
	if (strcmp(url, "host=nowhere") != 0 || mode != expected_mode)
		return -ERR_DB;
	while (outcome == FOREVER)
		pause();
	return outcome;
}

const char *migrate_text(int err)
{
	return err_text(err);
}

void master_start_workers(struct master *master)
{
	assert_ptr_equal(master, &m);
	starts++;
	m.state = MASTER_RUNNING;
}

void master_stop(struct master *master, int exit_code)
{
	assert_ptr_equal(master, &m);
	assert_int_equal(exit_code, EXIT_FAILURE);
	stops++;
}

void master_on_child_change(struct master *master)
{
	assert_ptr_equal(master, &m);
	changes++;
}

void master_leave(struct master *master)
{
	(void)master;
}

static void set(const char *assignment)
{
	struct buf faults = BUF_INIT;

	assert_int_equal(settings_assign(m.settings, str_of(assignment), &faults), 0);
	buf_done(&faults);
}

static int set_up(void **state)
{
	(void)state;
	m = (struct master){.loop = ev_loop_new(EVFLAG_AUTO), .settings = settings_new()};
	starts = stops = changes = outcome = 0;
	expected_mode = MIGRATE_APPLY;
	set("database.url=host=nowhere");
	alarm(120); /* nothing here may hang for ever */
	return log_init(LOG_SINK_TEXT, LOG_LEVEL_ERROR);
}

static int tear_down(void **state)
{
	(void)state;
	schema_stop(&m);
	while (m.schema.pid > 0)
		ev_run(m.loop, EVRUN_ONCE);
	ev_loop_destroy(m.loop);
	settings_free(&m.settings);
	return 0;
}

static void run(int result)
{
	outcome = result;
	fflush(NULL);
	schema_start(&m);
	while (changes == 0)
		ev_run(m.loop, EVRUN_ONCE);
	assert_int_equal(m.schema.pid, 0);
	assert_true(m.schema.is_known);
	assert_int_equal(m.schema.attempts, 1);
}

static void test_up_to_date(void **state)
{
	(void)state;
	run(0);
	assert_int_equal(starts, 1);
	assert_int_equal(stops, 0);
	assert_int_equal(m.schema.outcome, 0);
	assert_false(ev_is_active(&m.schema.retry));
}

static void test_check_only(void **state)
{
	(void)state;
	set("database.migrate=check");
	expected_mode = MIGRATE_CHECK;
	run(0);
	assert_int_equal(m.schema.outcome, 0);
	assert_int_equal(starts, 1);
}

static void test_off(void **state)
{
	(void)state;
	set("database.migrate=off");
	schema_start(&m);
	assert_int_equal(starts, 1);
	assert_int_equal(m.schema.attempts, 0);
	assert_false(m.schema.is_known);
}

/* The node serves its page and refuses messages meanwhile; the schema is looked at again later. */
static void test_database_away(void **state)
{
	(void)state;
	run(-ERR_UNAVAILABLE);
	assert_int_equal(m.schema.outcome, ERR_UNAVAILABLE);
	assert_int_equal(starts, 1);
	assert_int_equal(stops, 0);
	assert_true(ev_is_active(&m.schema.retry));
	outcome = 0;
	changes = 0;
	ev_feed_event(m.loop, &m.schema.retry, EV_TIMER); /* the time has come */
	while (changes == 0)
		ev_run(m.loop, EVRUN_ONCE);
	assert_int_equal(m.schema.attempts, 2);
	assert_int_equal(m.schema.outcome, 0);
}

static void test_schema_that_cannot_be_used(void **state)
{
	const int codes[] = {ERR_AGAIN, ERR_CORRUPT, ERR_UNSUPPORTED, ERR_DENIED};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		changes = 0;
		run(-codes[i]);
		assert_int_equal(stops, (int)i + 1);
		assert_int_equal(starts, 0);
		assert_int_equal(m.schema.outcome, codes[i]);
		assert_false(ev_is_active(&m.schema.retry));
	}
}

static void test_killed_child_is_tried_again(void **state)
{
	(void)state;
	outcome = FOREVER;
	schema_start(&m);
	assert_true(m.schema.pid > 0);
	assert_false(m.schema.is_known);
	kill(m.schema.pid, SIGKILL);
	while (changes == 0)
		ev_run(m.loop, EVRUN_ONCE);
	assert_int_equal(m.schema.outcome, ERR_IO);
	assert_true(ev_is_active(&m.schema.retry));
	assert_int_equal(stops, 0);
}

static void test_stop_ends_the_child(void **state)
{
	(void)state;
	outcome = FOREVER;
	schema_start(&m);
	m.state = MASTER_STOPPING;
	schema_stop(&m);
	while (changes == 0)
		ev_run(m.loop, EVRUN_ONCE);
	assert_int_equal(m.schema.pid, 0);
	assert_int_equal(starts, 0); /* a node that stops starts nothing */
	assert_int_equal(stops, 0);
	assert_false(ev_is_active(&m.schema.retry));
}

static void test_stop_ends_further_attempts(void **state)
{
	(void)state;
	run(-ERR_UNAVAILABLE);
	schema_stop(&m);
	assert_false(ev_is_active(&m.schema.retry));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_up_to_date, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_check_only, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_off, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_database_away, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_schema_that_cannot_be_used, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_killed_child_is_tried_again, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_stop_ends_the_child, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stop_ends_further_attempts, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
