/* SPDX-License-Identifier: MIT */
/*
 * Sinks, levels and limits of the log (base/log.c).
 * The forms of a line are tested in test_log_format.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log_priv.h"

static int ends[2];
static char text[1 << 17];

/* A small pipe takes the place of standard error. */
static int set_up(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0 || fcntl(ends[1], F_SETPIPE_SZ, 8192) < 0)
		return -1;
	log_redirect(ends[1], "/nowhere/socket");
	log_set_process(NULL, -1);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	close(ends[0]);
	close(ends[1]);
	return 0;
}

static const char *taken(int fd)
{
	ssize_t len = read(fd, text, sizeof(text) - 1);

	text[MAX(len, 0)] = '\0';
	return text;
}

static void test_levels(void **state)
{
	(void)state;
	assert_int_equal(log_init(LOG_SINK_TEXT, LOG_LEVEL_WARN), 0);
	log_notice("too quiet");
	assert_string_equal(taken(ends[0]), "");
	log_warn("loud enough", LF_INT("n", 1));
	assert_non_null(strstr(taken(ends[0]), "loud enough n=1\n"));
	log_set_level(LOG_LEVEL_DEBUG);
	assert_int_equal(log_level(), LOG_LEVEL_DEBUG);
	log_debug("now heard");
	assert_non_null(strstr(taken(ends[0]), "now heard\n"));
}

static void test_pipe_gets_no_colour(void **state)
{
	(void)state;
	assert_int_equal(log_init(LOG_SINK_AUTO, LOG_LEVEL_INFO), 0);
	log_error("plain");
	assert_null(strchr(taken(ends[0]), '\033'));
	assert_non_null(strstr(text, "plain"));
}

static void test_process_and_errno(void **state)
{
	(void)state;
	assert_int_equal(log_init(LOG_SINK_JSON, LOG_LEVEL_INFO), 0);
	log_set_process("worker", 3);
	errno = ENOTTY;
	log_info("here");
	assert_int_equal(errno, ENOTTY);
	assert_non_null(strstr(taken(ends[0]), "\"process\":\"worker\",\"process_slot\":3"));
}

static void test_full_sink_drops_and_tells(void **state)
{
	uint64_t before = log_dropped();

	(void)state;
	assert_int_equal(log_init(LOG_SINK_TEXT, LOG_LEVEL_INFO), 0);
	for (int i = 0; i < 500; i++)
		log_info("filling the pipe", LF_INT("i", i)); /* would hang here if it waited */
	assert_true(log_dropped() > before);
	before = log_dropped() - before;
	taken(ends[0]);
	assert_null(strstr(text, "dropped"));
	log_info("after");
	taken(ends[0]);
	assert_non_null(strstr(text, "log lines were dropped lines="));
	assert_int_equal(strtoull(strstr(text, "lines=") + 6, NULL, 10), before);
	assert_non_null(strstr(text, "after\n"));
}

static int journal_listen(char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	snprintf(at.sun_path, sizeof(at.sun_path), "%s", path);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
	return fd;
}

static void test_journal_socket(void **state)
{
	char dir[] = "/tmp/roomd-test-XXXXXX", path[64];
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	fd = journal_listen(path);
	log_redirect(ends[1], path);
	assert_int_equal(log_init(LOG_SINK_JOURNAL, LOG_LEVEL_INFO), 0);
	log_notice("to the journal", LF_STR("room", "x"));
	assert_non_null(strstr(taken(fd), "MESSAGE=to the journal room=x\n"));
	assert_non_null(strstr(text, "ROOMD_ROOM=x\n"));
	assert_string_equal(taken(ends[0]), "");

	/* the journal goes away and comes back under the same name */
	close(fd);
	unlink(path);
	log_notice("lost");
	fd = journal_listen(path);
	log_notice("back again");
	assert_non_null(strstr(taken(fd), "ROOMD_EVENT=log lines were dropped\nROOMD_LINES=1\n"));
	assert_non_null(strstr(taken(fd), "MESSAGE=back again\n"));
	close(fd);
	unlink(path);
	rmdir(dir);
}

static void test_journal_must_exist(void **state)
{
	(void)state;
	assert_int_equal(log_init(LOG_SINK_JOURNAL, LOG_LEVEL_INFO), -ERR_IO);
}

/* The journal is chosen when JOURNAL_STREAM names the very file that lines go to. */
static void test_auto_follows_journal_stream(void **state)
{
	char dir[] = "/tmp/roomd-test-XXXXXX", path[64], named[64];
	struct stat st;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/socket", dir);
	fd = journal_listen(path);
	log_redirect(ends[1], path);
	assert_int_equal(fstat(ends[1], &st), 0);
	snprintf(named, sizeof(named), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino + 1);
	setenv("JOURNAL_STREAM", named, 1);
	assert_int_equal(log_init(LOG_SINK_AUTO, LOG_LEVEL_INFO), 0);
	log_info("to the pipe");
	assert_non_null(strstr(taken(ends[0]), "to the pipe"));
	snprintf(named, sizeof(named), "%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", named, 1);
	assert_int_equal(log_init(LOG_SINK_AUTO, LOG_LEVEL_INFO), 0);
	log_info("to the journal");
	assert_non_null(strstr(taken(fd), "to the journal"));
	close(fd);
	unlink(path);
	rmdir(dir);
}

static void test_rate(void **state)
{
	struct log_rate r = {0};
	uint64_t held = 77;

	(void)state;
	assert_true(log_rate_pass(&r, 1000000, &held));
	assert_int_equal(held, 0);
	for (int i = 0; i < 5; i++)
		assert_false(log_rate_pass(&r, 1000000, &held));
	assert_true(log_rate_pass(&r, 0, &held));
	assert_int_equal(held, 5);
	assert_true(log_rate_pass(&r, 0, &held));
	assert_int_equal(held, 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_levels),
		TEST(test_pipe_gets_no_colour),
		TEST(test_process_and_errno),
		TEST(test_full_sink_drops_and_tells),
		TEST(test_journal_socket),
		TEST(test_journal_must_exist),
		TEST(test_auto_follows_journal_stream),
		TEST(test_rate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
