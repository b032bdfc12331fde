/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/control.c: the master's orders, and what its death means.
 */
#include "worker_fixture.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "shm/slots.h"
#include "worker/control.h"

static int setup(void **state)
{
	char ready[64];

	stand_setup(state);
	while (recv(master_fd, ready, sizeof(ready), 0) > 0)
		;
	return 0;
}

/* One order, with a descriptor unless FD is -1. */
static void order(const char *text, int fd)
{
	struct iovec iov = {(char *)text, strlen(text)};

	assert_int_equal(fdpass_send(master_fd, &iov, 1, &fd, fd >= 0 ? 1 : 0),
			 (ssize_t)strlen(text));
	turns(2);
}

/* The master knows of a death before any timer does: nobody waits for the next second. */
static void test_a_colleague_died(void **state)
{
	struct slot_info info;
	int status;
	pid_t pid;

	(void)state;
	assert_int_equal(slot_read(wk->shm, 2, &info), 0);
	pid = fork();
	if (pid == 0)
		_exit(slot_open(wk->shm, 2, getpid(), info.generation) == 0 ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	slot_close(wk->shm, 2, info.generation);
	turns(2);
	assert_int_equal(slot_read(wk->shm, 2, &info), 0);
	assert_false(info.is_clean);
	order("heir", -1);
	assert_int_equal(slot_read(wk->shm, 2, &info), 0);
	assert_true(info.is_clean);
}

static int next_fd(void)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	close(fd);
	return fd;
}

static void test_new_settings(void **state)
{
	struct settings *s = settings_new();
	struct buf faults = BUF_INIT;
	int fd, before;

	(void)state;
	assert_int_equal(settings_assign(s, STR("chat.name_max=33"), &faults), 0);
	assert_int_equal(settings_to_memfd(s, &fd), 0);
	before = next_fd();
	order("settings", fd);
	assert_int_equal(wk->settings->chat_name_max, 33);
	assert_int_equal(next_fd(), before); /* the passed descriptor is closed */
	close(fd);
	settings_free(&s);
}

/* Deadlines that became shorter count at once. */
static void test_new_settings_end_waits(void **state)
{
	struct settings *s = settings_new();
	struct buf faults = BUF_INIT;
	struct client cl;
	int fd;

	(void)state;
	client_open(&cl, DIALECT_NATIVE, 0);
	now_ms += 1000;
	assert_int_equal(settings_assign(s, STR("websocket.hello_timeout=500ms"), &faults), 0);
	assert_int_equal(settings_to_memfd(s, &fd), 0);
	order("settings", fd);
	told_until(&cl, "close 4408");
	close(fd);
	settings_free(&s);
	client_close(&cl);
}

static void test_what_cannot_be_read_changes_nothing(void **state)
{
	struct settings *before = wk->settings;
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), next = next_fd();

	(void)state;
	order("settings", fd); /* not sealed */
	order("settings", -1);
	order("dance", -1);
	order("dance", fd);
	order("ctl ", fd);
	order("settingsx", fd);
	assert_ptr_equal(wk->settings, before);
	assert_false(wk->draining);
	assert_int_equal(next_fd(), next);
	close(fd);
}

static void test_drain(void **state)
{
	struct slot_info info;
	struct client cl;

	(void)state;
	client_open(&cl, DIALECT_NATIVE, 0);
	slot_set_state(wk->shm, 0, SLOT_READY);
	order("drain", -1);
	assert_true(wk->draining);
	assert_int_equal(slot_read(wk->shm, 0, &info), 0);
	assert_int_equal(info.state, SLOT_DRAINING);
	told_until(&cl, "close 1012");
	assert_int_equal(wk->exit_code, WORKER_EXIT_OK);
	client_close(&cl);
}

static void test_question(void **state)
{
	char text[256];
	int pair[2];
	ssize_t n;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	order("ctl room list", pair[1]);
	close(pair[1]);
	n = read(pair[0], text, sizeof(text));
	assert_text(((struct str){text, (size_t)MAX(n, 0)}), "{\"rooms\":[]}\n");
	assert_int_equal(read(pair[0], text, sizeof(text)), 0); /* the worker keeps no end open */
	close(pair[0]);
}

static void test_say(void **state)
{
	char text[16];

	(void)state;
	control_say(wk, "ready");
	assert_int_equal(recv(master_fd, text, sizeof(text), 0), 5);
	assert_memory_equal(text, "ready", 5);
}

static void test_master_that_does_not_listen(void **state)
{
	(void)state;
	for (int i = 0; i < 5000; i++) /* more than any buffer: must not block */
		control_say(wk, "ready");
	assert_int_equal(wk->exit_code, WORKER_EXIT_OK);
}

/* STYLE: a worker drains when the master's pipe closes; with an exit code of its own. */
static void test_orphan_drains(void **state)
{
	struct client cl;

	(void)state;
	client_open(&cl, DIALECT_NATIVE, 0);
	close(lifeline_fd);
	lifeline_fd = -1;
	turns(3);
	assert_true(wk->draining);
	assert_int_equal(wk->exit_code, WORKER_EXIT_ORPHAN);
	told_until(&cl, "close 1012");
	client_close(&cl);
}

static void test_closed_line_is_not_the_masters_death(void **state)
{
	(void)state;
	shutdown(master_fd, SHUT_RDWR);
	turns(3);
	assert_false(wk->draining);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, stand_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_new_settings),
		T(test_new_settings_end_waits),
		T(test_what_cannot_be_read_changes_nothing),
		T(test_a_colleague_died),
		T(test_drain),
		T(test_question),
		T(test_say),
		T(test_master_that_does_not_listen),
		T(test_orphan_drains),
		T(test_closed_line_is_not_the_masters_death),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
