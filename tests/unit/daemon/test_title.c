/* SPDX-License-Identifier: MIT */
/*
 * Process titles (daemon/title.c), read back as ps and top do.
 * The program runs itself once more with a secret among its arguments.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/title.h"

#define SECRET "k=hunter2"

static char **args;

/* The bytes of a file below /proc/self. */
static size_t proc(const char *name, char *bytes, size_t size)
{
	char path[64];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	n = read(fd, bytes, size);
	assert_true(n >= 0);
	close(fd);
	return (size_t)n;
}

static void test_arguments_and_environment_live_on(void **state)
{
	(void)state;
	assert_string_equal(args[1], SECRET);
	assert_null(args[2]);
	assert_string_equal(getenv("TITLE_TEST"), "value");
}

static void test_titles(void **state)
{
	char text[4096];
	size_t n;

	(void)state;
	title_set("worker", 3);
	n = proc("cmdline", text, sizeof(text));
	assert_true(n > 15);
	assert_string_equal(text, "roomd: worker 3");
	assert_null(memmem(text, n, "hunter2", 7));
	assert_string_equal(args[1], SECRET);
	title_set("master", -1);
	proc("cmdline", text, sizeof(text));
	assert_string_equal(getenv("TITLE_TEST"), "value");
	assert_string_equal(text, "roomd: master"); /* nothing of the longer one behind it */
}

static void test_names(void **state)
{
	char text[64];
	size_t n;

	(void)state;
	title_set("worker", 3);
	n = proc("comm", text, sizeof(text));
	assert_int_equal(n, 15);
	assert_memory_equal(text, "roomd:worker 3\n", 15);
	title_set("master", -1);
	n = proc("comm", text, sizeof(text));
	assert_memory_equal(text, "roomd: master\n", n);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_arguments_and_environment_live_on),
		cmocka_unit_test(test_titles),
		cmocka_unit_test(test_names),
	};
	/* together shorter than a title: that one takes the place of the environment */
	char name[] = "t", secret[] = SECRET;

	if (argc == 1) {
		setenv("TITLE_TEST", "value", 1);
		execv("/proc/self/exe", (char *[]){name, secret, NULL});
		return 99;
	}
	args = title_init(argv);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
