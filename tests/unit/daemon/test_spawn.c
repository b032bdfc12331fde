/* SPDX-License-Identifier: MIT */
/*
 * Orders to a worker (daemon/spawn.c).
 * Forking and replacement are tested with the whole daemon.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log.h"
#include "base/settings.h"
#include "daemon/spawn.h"

static int ends[2];
static struct child child;

static int set_up(void **state)
{
	(void)state;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return -1;
	child = (struct child){.pid = 1, .control_fd = ends[0], .pidfd = -1};
	return log_init(LOG_SINK_TEXT, LOG_LEVEL_ERROR);
}

static int tear_down(void **state)
{
	(void)state;
	close(ends[0]);
	close(ends[1]);
	return 0;
}

/* One order; *RET_FD is what came with it or -1. Returns its length, -1 when there is none. */
static ssize_t receive(char *text, size_t size, int *ret_fd)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} space;
	struct iovec iov = {text, size};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space.bytes,
			     .msg_controllen = sizeof(space.bytes)};
	ssize_t n = recvmsg(ends[1], &msg, MSG_CMSG_CLOEXEC);
	struct cmsghdr *head = n < 0 ? NULL : CMSG_FIRSTHDR(&msg);

	*ret_fd = -1;
	if (head)
		memcpy(ret_fd, CMSG_DATA(head), sizeof(int));
	return n;
}

static void test_plain_order(void **state)
{
	char text[64];
	int fd;

	(void)state;
	spawn_order(&child, "drain", -1);
	assert_int_equal(receive(text, sizeof(text), &fd), 5);
	assert_memory_equal(text, "drain", 5);
	assert_int_equal(fd, -1);
}

static void test_settings_are_handed_over(void **state)
{
	struct settings *s = settings_new(), *got = NULL;
	struct buf faults = BUF_INIT;
	char text[64];
	int memfd, fd;

	(void)state;
	assert_int_equal(settings_assign(s, STR("chat.message_max=77"), &faults), 0);
	assert_int_equal(settings_assign(s, STR("database.url=host=h password=p"), &faults), 0);
	assert_int_equal(settings_to_memfd(s, &memfd), 0);
	spawn_order(&child, "settings", memfd);
	close(memfd);
	assert_int_equal(receive(text, sizeof(text), &fd), 8);
	assert_memory_equal(text, "settings", 8);
	assert_true(fd >= 0);
	assert_int_equal(settings_from_memfd(fd, &got), 0);
	assert_int_equal(got->chat_message_max, 77);
	assert_string_equal(got->database_url, "host=h password=p");
	close(fd);
	settings_free(&got);
	settings_free(&s);
}

/* The master does not wait for a worker that does not read. */
static void test_full_line_does_not_block(void **state)
{
	char text[64];
	int fd, n = 0;

	(void)state;
	log_set_level(LOG_LEVEL_ERROR);
	for (int i = 0; i < 5000; i++)
		spawn_order(&child, "drain", -1);
	while (receive(text, sizeof(text), &fd) > 0)
		n++;
	assert_in_range(n, 1, 4999);
}

static void test_nobody_there(void **state)
{
	char text[64];
	int fd;

	(void)state;
	child.pid = 0;
	spawn_order(&child, "drain", -1);
	assert_int_equal(receive(text, sizeof(text), &fd), -1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_plain_order),
		TEST(test_settings_are_handed_over),
		TEST(test_full_line_does_not_block),
		TEST(test_nobody_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
