/* SPDX-License-Identifier: MIT */
/*
 * What signals mean to the master (daemon/signals.c).
 * Stopping and reloading are played here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdlib.h>

#include "base/log.h"
#include "daemon/master.h"
#include "daemon/reload.h"
#include "daemon/signals.h"

static struct master m;
static int stops, reloads, code;

void master_stop(struct master *master, int exit_code)
{
	assert_ptr_equal(master, &m);
	stops++;
	code = exit_code;
}

int reload_settings(struct master *master, struct buf *ret_lines)
{
	assert_ptr_equal(master, &m);
	assert_null(ret_lines);
	reloads++;
	return 0;
}

static int set_up(void **state)
{
	(void)state;
	stops = reloads = 0;
	code = -1;
	m.loop = ev_loop_new(EVFLAG_AUTO);
	signals_open(&m);
	return log_init(LOG_SINK_TEXT, LOG_LEVEL_ERROR);
}

static int tear_down(void **state)
{
	(void)state;
	signals_close(&m);
	ev_loop_destroy(m.loop);
	return 0;
}

static void deliver(int signum)
{
	assert_int_equal(raise(signum), 0);
	ev_run(m.loop, EVRUN_NOWAIT);
	ev_run(m.loop, EVRUN_NOWAIT);
}

static void test_stop(void **state)
{
	(void)state;
	deliver(SIGTERM);
	assert_int_equal(stops, 1);
	assert_int_equal(code, EXIT_SUCCESS);
	deliver(SIGINT);
	assert_int_equal(stops, 2);
	assert_int_equal(reloads, 0);
}

static void test_reload(void **state)
{
	(void)state;
	deliver(SIGHUP);
	assert_int_equal(reloads, 1);
	assert_int_equal(stops, 0);
}

static void test_without_a_meaning(void **state)
{
	(void)state;
	deliver(SIGUSR1);
	deliver(SIGUSR2);
	deliver(SIGPIPE);
	assert_int_equal(stops, 0);
	assert_int_equal(reloads, 0);
}

static void test_closed(void **state)
{
	struct sigaction sa;

	(void)state;
	signals_close(&m);
	assert_int_equal(sigaction(SIGTERM, NULL, &sa), 0);
	assert_true(sa.sa_handler == SIG_DFL);
	signals_open(&m);
	deliver(SIGTERM);
	assert_int_equal(stops, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_stop, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_reload, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_a_meaning, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_closed, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
