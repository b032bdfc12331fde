/* SPDX-License-Identifier: MIT */
/*
 * Listening sockets (daemon/sockets.c).
 * Real sockets on loopback; ports are the system's choice.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/sockets.h"

static struct buf out;

static int tear_down(void **state)
{
	(void)state;
	buf_done(&out);
	return 0;
}

static uint16_t port_of(int fd)
{
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	return ntohs(((struct sockaddr_in *)&sa)->sin_port); /* at the same place for IPv6 */
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

/* Connects to 127.0.0.1:PORT; returns the socket, or -1 when it is refused. */
static int dial(uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	assert_int_equal(errno, ECONNREFUSED);
	close(fd);
	return -1;
}

static struct sockets_plan plan_of(const char *list, unsigned n_slots)
{
	return (struct sockets_plan){
		.setting = "server.listen", .list = list, .n_slots = n_slots, .backlog = 16};
}

static struct sockets *open_on(const char *list, unsigned n_slots)
{
	const struct sockets_plan plan = plan_of(list, n_slots);
	struct sockets *s = NULL;

	assert_int_equal(sockets_open(&plan, &s, &out), 0);
	assert_int_equal(out.len, 0);
	return s;
}

static void test_one_socket_per_address_and_slot(void **state)
{
	struct sockets *s = open_on("127.0.0.1:0, 127.0.0.2:0", 3);
	const int *fds, *first = sockets_of(s, 0, &(int){0});
	int n;

	(void)state;
	for (unsigned slot = 0; slot < 3; slot++) {
		fds = sockets_of(s, slot, &n);
		assert_int_equal(n, 2);
		for (int i = 0; i < n; i++) {
			assert_int_equal(port_of(fds[i]), port_of(first[i]));
			assert_true(fcntl(fds[i], F_GETFL) & O_NONBLOCK);
			assert_true(fcntl(fds[i], F_GETFD) & FD_CLOEXEC);
		}
	}
	assert_int_not_equal(sockets_of(s, 1, &n)[0], first[0]);
	assert_int_not_equal(port_of(first[0]), port_of(first[1]));
	sockets_free(&s);
	assert_null(s);
	sockets_free(&s);
}

static void test_addresses_are_printed_with_their_ports(void **state)
{
	struct sockets *s = open_on("127.0.0.1:0 *:0", 1);
	const int *fds = sockets_of(s, 0, &(int){0});
	char expected[64];

	(void)state;
	snprintf(expected, sizeof(expected), "127.0.0.1:%u *:%u", port_of(fds[0]), port_of(fds[1]));
	sockets_print(s, &out);
	buf_add_char(&out, '\0');
	if (strstr((char *)out.p, "0.0.0.0") == NULL) /* a kernel without IPv6 */
		assert_string_equal((char *)out.p, expected);
	sockets_free(&s);
}

static void test_wildcard_takes_ipv4(void **state)
{
	struct sockets *s = open_on("*:0", 1);
	int fd = dial(port_of(sockets_of(s, 0, &(int){0})[0]));

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	sockets_free(&s);
}

static void test_port_in_use_is_refused(void **state)
{
	struct sockets *s = open_on("127.0.0.1:0", 2), *second = NULL;
	struct sockets_plan plan;
	char list[32];

	(void)state;
	snprintf(list, sizeof(list), "127.0.0.1:%u", port_of(sockets_of(s, 0, &(int){0})[0]));
	plan = plan_of(list, 2);
	assert_int_equal(sockets_open(&plan, &second, &out), -ERR_IO);
	assert_null(second);
	assert_non_null(memmem(out.p, out.len, "Address already in use", 22));
	assert_non_null(memmem(out.p, out.len, list, strlen(list)));
	sockets_free(&s);
}

static void test_bad_addresses(void **state)
{
	static const char *const bad[] = {"127.0.0.1", "127.0.0.1:http", "300.0.0.1:80", "::1:80",
					  ""};
	struct sockets *s = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		const struct sockets_plan plan = plan_of(bad[i], 1);

		assert_int_equal(sockets_open(&plan, &s, &out), -ERR_INVAL);
		assert_int_equal(sockets_check("server.listen", bad[i], &out), -ERR_INVAL);
	}
	assert_null(s);
	assert_int_equal(sockets_check("server.listen", "127.0.0.1:80 [::1]:80 *:80", &out), 0);
}

/* The kernel deals connections to open sockets only; a closed slot leaves the others working. */
static void test_closed_slot_gets_nothing(void **state)
{
	struct sockets *s = open_on("127.0.0.1:0", 2);
	uint16_t port = port_of(sockets_of(s, 0, &(int){0})[0]);
	int n, clients[10], accepted = 0, fd;

	(void)state;
	sockets_close_slot(s, 0);
	for (int i = 0; i < 10; i++)
		assert_true((clients[i] = dial(port)) >= 0);
	while ((fd = accept4(sockets_of(s, 1, &n)[0], NULL, NULL, SOCK_CLOEXEC)) >= 0) {
		close(fd);
		accepted++;
	}
	assert_int_equal(accepted, 10);
	for (int i = 0; i < 10; i++)
		close(clients[i]);
	sockets_close_slot(s, 1);
	assert_int_equal(dial(port), -1);
	assert_int_equal(sockets_reopen_slot(s, 0), 0);
	assert_int_equal(sockets_reopen_slot(s, 0), 0); /* open already */
	assert_int_equal(port_of(sockets_of(s, 0, &n)[0]), port);
	fd = dial(port);
	assert_true(fd >= 0);
	close(fd);
	sockets_free(&s);
}

static void test_worker_keeps_its_own(void **state)
{
	struct sockets *s = open_on("127.0.0.1:0", 3);
	int n, fds[3];

	(void)state;
	for (unsigned slot = 0; slot < 3; slot++)
		fds[slot] = sockets_of(s, slot, &n)[0];
	sockets_keep_only(s, 1);
	assert_false(is_open(fds[0]));
	assert_true(is_open(fds[1]));
	assert_false(is_open(fds[2]));
	sockets_free(&s);
	assert_false(is_open(fds[1]));
}

/* A socket that somebody else still holds refuses connections too. */
static void test_shut(void **state)
{
	struct sockets *s = open_on("127.0.0.1:0", 2);
	int n, fd = sockets_of(s, 0, &n)[0], copy = dup(fd);
	uint16_t port = port_of(fd);

	(void)state;
	sockets_shut(s);
	assert_int_equal(dial(port), -1);
	sockets_free(&s);
	close(copy);
}

static int listen_on(uint16_t port)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_port = htons(port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;

	assert_true(fd >= 0);
	setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof(on));
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 8), 0);
	return fd;
}

static void test_adopted_socket_is_shared(void **state)
{
	int fd = listen_on(0), n;
	struct sockets *s = NULL;

	(void)state;
	assert_int_equal(sockets_adopt(&fd, 1, 3, &s, &out), 0);
	for (unsigned slot = 0; slot < 3; slot++) {
		assert_int_equal(sockets_of(s, slot, &n)[0], fd);
		assert_int_equal(n, 1);
	}
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	sockets_close_slot(s, 0); /* the others still use it */
	assert_true(is_open(fd));
	sockets_shut(s); /* the service manager goes on listening */
	n = dial(port_of(fd));
	assert_true(n >= 0);
	close(n);
	sockets_keep_only(s, 2);
	assert_true(is_open(fd));
	sockets_free(&s);
	assert_false(is_open(fd));
}

/* Two sockets of one address for two slots: one each. A single one of another address: shared. */
static void test_adopted_sockets_are_dealt(void **state)
{
	int fds[3] = {listen_on(0)}, n;
	struct sockets *s = NULL;

	(void)state;
	fds[1] = listen_on(0);
	fds[2] = listen_on(port_of(fds[0]));
	assert_int_equal(sockets_adopt(fds, 3, 2, &s, &out), 0);
	assert_int_equal(sockets_of(s, 0, &n)[0], fds[0]);
	assert_int_equal(sockets_of(s, 0, &n)[1], fds[1]);
	assert_int_equal(n, 2);
	assert_int_equal(sockets_of(s, 1, &n)[0], fds[2]);
	assert_int_equal(sockets_of(s, 1, &n)[1], fds[1]);
	assert_int_equal(n, 2);
	sockets_free(&s);
}

static void test_adopts_only_listening_streams(void **state)
{
	struct sockets *s = NULL;
	int udp = socket(AF_INET, SOCK_DGRAM, 0), idle = socket(AF_INET, SOCK_STREAM, 0), ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(sockets_adopt(&udp, 1, 1, &s, &out), -ERR_INVAL);
	assert_int_equal(sockets_adopt(&idle, 1, 1, &s, &out), -ERR_INVAL);
	assert_int_equal(sockets_adopt(ends, 2, 1, &s, &out), -ERR_INVAL);
	assert_null(s);
	assert_false(is_open(udp));
	assert_false(is_open(idle));
	assert_false(is_open(ends[0]));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_teardown(f, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_one_socket_per_address_and_slot),
		TEST(test_addresses_are_printed_with_their_ports),
		TEST(test_wildcard_takes_ipv4),
		TEST(test_port_in_use_is_refused),
		TEST(test_bad_addresses),
		TEST(test_closed_slot_gets_nothing),
		TEST(test_worker_keeps_its_own),
		TEST(test_shut),
		TEST(test_adopted_socket_is_shared),
		TEST(test_adopted_sockets_are_dealt),
		TEST(test_adopts_only_listening_streams),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
