/* SPDX-License-Identifier: MIT */
/*
 * The file of the control socket (daemon/ctl_socket.c).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/ctl_priv.h"

static char dir[] = "/tmp/ctl-socket-test-XXXXXX", path[64];
static const char *why;

static int set_up(void **state)
{
	(void)state;
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof(path), "%s/sock", dir);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(dir);
}

static mode_t mode_of_path(void)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	return st.st_mode;
}

static void test_mode_is_exact_and_umask_stays(void **state)
{
	static const mode_t modes[] = {0600, 0660, 0666};
	struct ctl_socket s;
	mode_t before = umask(077);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
		assert_int_equal(ctl_socket_open(path, modes[i], &s, &why), 0);
		assert_int_equal(mode_of_path(), S_IFSOCK | modes[i]);
		ctl_socket_close(&s, path);
		assert_int_equal(access(path, F_OK), -1);
	}
	assert_int_equal(umask(before), 077);
}

static void test_served_is_refused_stale_is_replaced(void **state)
{
	struct ctl_socket first, second;

	(void)state;
	assert_int_equal(ctl_socket_open(path, 0600, &first, &why), 0);
	assert_int_equal(ctl_socket_open(path, 0600, &second, &why), -ERR_EXISTS);
	close(first.fd);
	assert_int_equal(ctl_socket_open(path, 0600, &second, &why), 0);
	/* the first one's end does not remove what is another's now */
	first.fd = dup(second.fd);
	first.ino = second.ino + 1;
	ctl_socket_close(&first, path);
	assert_int_equal(access(path, F_OK), 0);
	ctl_socket_close(&second, path);
}

static void test_other_files_are_left_alone(void **state)
{
	struct ctl_socket s = {.fd = -5};
	char target[80];
	FILE *f = fopen(path, "w");

	(void)state;
	fclose(f);
	assert_int_equal(ctl_socket_open(path, 0600, &s, &why), -ERR_IO);
	assert_int_equal(mode_of_path() & S_IFMT, S_IFREG);
	unlink(path);
	snprintf(target, sizeof(target), "%s/target", dir);
	assert_int_equal(symlink(target, path), 0);
	assert_int_equal(ctl_socket_open(path, 0600, &s, &why), -ERR_IO);
	assert_int_equal(mode_of_path() & S_IFMT, S_IFLNK);
	unlink(path);
	assert_int_equal(s.fd, -5);
}

static void test_unusable_paths(void **state)
{
	struct ctl_socket s;
	char large[200];

	(void)state;
	memset(large, 'x', sizeof(large));
	large[0] = '/';
	large[108] = '\0'; /* one byte more than sockaddr_un holds */
	why = NULL;
	assert_int_equal(ctl_socket_open(large, 0600, &s, &why), -ERR_IO);
	assert_non_null(why);
	why = NULL;
	assert_int_equal(ctl_socket_open("/nonexistent/sock", 0600, &s, &why), -ERR_IO);
	assert_non_null(why);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mode_is_exact_and_umask_stays),
		cmocka_unit_test(test_served_is_refused_stale_is_replaced),
		cmocka_unit_test(test_other_files_are_left_alone),
		cmocka_unit_test(test_unusable_paths),
	};

	return cmocka_run_group_tests_name("ctl_socket", tests, set_up, tear_down);
}
