/* SPDX-License-Identifier: MIT */
/*
 * Messages to the service manager and what it passes (daemon/notify.c).
 * A datagram socket stands in for systemd.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "daemon/notify.h"

static char dir[] = "/tmp/roomd-test-XXXXXX", path[64], text[512];
static int manager = -1;

static int set_up(void **state)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};

	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/notify", dir);
	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	setenv("NOTIFY_SOCKET", path, 1);
	return bind(manager, (struct sockaddr *)&at, sizeof(at));
}

static int tear_down(void **state)
{
	(void)state;
	close(manager);
	unlink(path);
	return rmdir(dir);
}

static const char *told(void)
{
	ssize_t n = recv(manager, text, sizeof(text) - 1, 0);

	text[MAX(n, 0)] = '\0';
	return text;
}

static void test_messages(void **state)
{
	(void)state;
	notify_ready();
	assert_string_equal(told(), "READY=1");
	notify_stopping();
	assert_string_equal(told(), "STOPPING=1");
	notify_alive();
	assert_string_equal(told(), "WATCHDOG=1");
	notify_status("%d of %d workers ready", 2, 3);
	assert_string_equal(told(), "STATUS=2 of 3 workers ready");
}

/* sd_notify(3): with RELOADING=1 comes the monotonic time in microseconds. */
static void test_reloading_carries_the_time(void **state)
{
	unsigned long long usec = 0;
	struct timespec now;

	(void)state;
	notify_reloading();
	assert_int_equal(sscanf(told(), "RELOADING=1\nMONOTONIC_USEC=%llu", &usec), 1);
	clock_gettime(CLOCK_MONOTONIC, &now);
	assert_true(usec <= (unsigned long long)now.tv_sec * 1000000 + 1000000);
	assert_true(usec + 5000000 > (unsigned long long)now.tv_sec * 1000000);
}

static void test_watchdog(void **state)
{
	char pid[16];

	(void)state;
	unsetenv("WATCHDOG_USEC");
	assert_int_equal(notify_watchdog_ms(), 0);
	setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(notify_watchdog_ms(), 15000);
	snprintf(pid, sizeof(pid), "%d", (int)getpid() + 1);
	setenv("WATCHDOG_PID", pid, 1); /* meant for another process */
	assert_int_equal(notify_watchdog_ms(), 0);
}

static void test_listen_fds(void **state)
{
	char pid[16];
	int first = 0;

	(void)state;
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	assert_int_equal(notify_listen_fds(&first), 0);
	snprintf(pid, sizeof(pid), "%d", (int)getpid() + 1);
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	assert_int_equal(notify_listen_fds(&first), 0); /* meant for another process */
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	setenv("LISTEN_PID", pid, 1);
	setenv("LISTEN_FDS", "1", 1);
	assert_int_equal(dup2(manager, 3), 3);
	assert_int_equal(notify_listen_fds(&first), 1);
	assert_int_equal(first, 3); /* sd_listen_fds(3): SD_LISTEN_FDS_START */
	assert_null(getenv("LISTEN_FDS"));
}

static void test_without_a_manager(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	notify_ready();
	notify_status("nobody hears");
	assert_string_equal(told(), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_messages),
		cmocka_unit_test(test_reloading_carries_the_time),
		cmocka_unit_test(test_watchdog),
		cmocka_unit_test(test_without_a_manager),
		cmocka_unit_test(test_listen_fds),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
