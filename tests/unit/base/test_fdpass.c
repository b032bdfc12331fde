/* SPDX-License-Identifier: MIT */
/* Descriptors that travel: none, one, as many as allowed, more than allowed. */
#include <setjmp.h>
#include <stdarg.h>

#include "base/fdpass.h"

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

static int pair[2];

static int setup(void **state UNUSED)
{
	return socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
}

static int teardown(void **state UNUSED)
{
	close(pair[0]);
	close(pair[1]);
	return 0;
}

static ssize_t send_text(const char *text, const int *fds, size_t n)
{
	struct iovec iov[] = {{(char *)text, 1}, {(char *)text + 1, strlen(text) - 1}};

	return fdpass_send(pair[0], iov, ARRAY_LEN(iov), fds, n);
}

/* Red when either side leaves the control message out. */
static void test_they_arrive_with_the_bytes(void **state UNUSED)
{
	int pipes[2], fds[FDPASS_MAX] = {-1, -1};
	char text[16] = "";
	size_t n = 9;

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(send_text("hello", pipes, 2), 5);
	assert_int_equal(fdpass_receive(pair[1], text, sizeof(text), fds, &n), 5);
	assert_string_equal(text, "hello");
	assert_int_equal(n, 2);
	assert_int_equal(fcntl(fds[0], F_GETFD), FD_CLOEXEC);
	close(pipes[0]);
	close(pipes[1]);
	assert_int_equal(write(fds[1], "x", 1), 1); /* the same pipe by other numbers */
	assert_int_equal(read(fds[0], text, 1), 1);
	assert_int_equal(text[0], 'x');
	close(fds[0]);
	close(fds[1]);
}

static void test_bytes_alone(void **state UNUSED)
{
	int fds[FDPASS_MAX];
	char text[16] = "";
	size_t n = 9;

	assert_int_equal(send_text("plain", NULL, 0), 5);
	assert_int_equal(fdpass_receive(pair[1], text, sizeof(text), fds, &n), 5);
	assert_string_equal(text, "plain");
	assert_int_equal(n, 0);
}

static void test_neither_side_waits(void **state UNUSED)
{
	int fds[FDPASS_MAX];
	char byte;
	size_t n = 9;

	assert_int_equal(fdpass_receive(pair[1], &byte, 1, fds, &n), -1);
	assert_int_equal(errno, EAGAIN);
	assert_int_equal(n, 0);
	while (send_text("full", NULL, 0) == 4)
		;
	assert_int_equal(errno, EAGAIN);
	close(pair[1]);
	assert_int_equal(send_text("gone", NULL, 0), -1); /* and no SIGPIPE */
	pair[1] = dup(pair[0]);
}

/* Red when the receiver trusts the length of a control message that was cut. */
static void test_more_than_there_is_room_for(void **state UNUSED)
{
	enum { N = FDPASS_MAX + 3 };
	union {
		char bytes[CMSG_SPACE(N * sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct iovec iov = {"x", 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control.bytes,
			     .msg_controllen = sizeof(control.bytes)};
	struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
	int fds[FDPASS_MAX], many[N];
	char byte;
	size_t n = 9;

	for (int i = 0; i < N; i++)
		many[i] = pair[0];
	head->cmsg_level = SOL_SOCKET;
	head->cmsg_type = SCM_RIGHTS;
	head->cmsg_len = CMSG_LEN(sizeof(many));
	memcpy(CMSG_DATA(head), many, sizeof(many));
	assert_int_equal(sendmsg(pair[0], &msg, 0), 1);
	assert_int_equal(fdpass_receive(pair[1], &byte, 1, fds, &n), 1);
	assert_int_equal(n, FDPASS_MAX);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(close(fds[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_they_arrive_with_the_bytes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bytes_alone, setup, teardown),
		cmocka_unit_test_setup_teardown(test_neither_side_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(test_more_than_there_is_room_for, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
