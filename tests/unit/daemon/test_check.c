/* SPDX-License-Identifier: MIT */
/*
 * roomd -t and -T (daemon/check.c): faults and warnings told apart, exit codes.
 * No database is needed: that it is away is a warning.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/check.h"

static char dir[] = "/tmp/roomd-test-XXXXXX", page[64], web_root[128];
static struct settings *s;
static struct buf report;

static void set(const char *assignment)
{
	struct buf faults = BUF_INIT;

	assert_int_equal(settings_assign(s, str_of(assignment), &faults), 0);
	buf_done(&faults);
}

static int set_up(void **state)
{
	int fd = open(page, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);

	(void)state;
	close(fd);
	s = settings_new();
	set(web_root);
	set("server.max_connections=16");
	set("database.url=host=/nowhere");
	return log_init(LOG_SINK_TEXT, LOG_LEVEL_ERROR);
}

static int tear_down(void **state)
{
	(void)state;
	settings_free(&s);
	buf_done(&report);
	return 0;
}

static const char *check(int expected)
{
	buf_clear(&report);
	assert_int_equal(check_settings(s, &report), expected);
	buf_add_char(&report, '\0');
	return (const char *)report.p;
}

static void test_database_away_is_a_warning(void **state)
{
	const char *text = check(0);

	(void)state;
	assert_memory_equal(text, "warning: database: ", 19);
}

static void test_page_missing(void **state)
{
	(void)state;
	assert_int_equal(unlink(page), 0);
	assert_non_null(strstr(check(-ERR_INVAL), "server.web_root: "));
	assert_non_null(strstr((char *)report.p, "index.html"));
}

static void test_address(void **state)
{
	(void)state;
	set("server.listen=nonsense");
	assert_non_null(strstr(check(-ERR_INVAL), "nonsense"));
}

static void test_user(void **state)
{
	(void)state;
	set("server.user=no-such-user-here");
	assert_non_null(
		strstr(check(-ERR_INVAL), "server.user: there is no user \"no-such-user-here\"\n"));
}

/* A warning, since the program may be installed later. */
static void test_mail_command(void **state)
{
	(void)state;
	set("mail.command=/bin/sh -c x");
	assert_null(strstr(check(0), "mail.command"));
	set("mail.command=/nowhere/sendmail -t -i");
	assert_non_null(strstr(check(0), "warning: mail.command: /nowhere/sendmail: No such file"));
}

static void test_open_files(void **state)
{
	(void)state;
	set("server.max_connections=10000000");
	if (!strstr(check(0), "warning: server.max_connections: 10000000 wanted"))
		skip(); /* this machine allows that many */
}

/* All faults are told, not the first alone. */
static void test_all_faults(void **state)
{
	const char *text;

	(void)state;
	set("server.listen=nonsense");
	set("server.user=no-such-user-here");
	assert_int_equal(unlink(page), 0);
	text = check(-ERR_INVAL);
	assert_non_null(strstr(text, "nonsense"));
	assert_non_null(strstr(text, "server.user: "));
	assert_non_null(strstr(text, "server.web_root: "));
	assert_non_null(strstr(text, "warning: database: "));
}

/* What stood in the report before is not judged. */
static void test_report_is_appended_to(void **state)
{
	(void)state;
	buf_clear(&report);
	buf_add_cstr(&report, "server.x: an older fault\n");
	assert_int_equal(check_settings(s, &report), 0);
	assert_memory_equal(report.p, "server.x: an older fault\n", 25);
}

/* check_run with stdout in a file; its text. */
static const char *run(const struct options *opt, bool with_print, int expected)
{
	static char text[65536];
	int fd = memfd_create("stdout", MFD_CLOEXEC), keep = dup(STDOUT_FILENO);
	ssize_t n;

	fflush(stdout);
	dup2(fd, STDOUT_FILENO);
	int r = check_run(opt, with_print);

	fflush(stdout);
	dup2(keep, STDOUT_FILENO);
	close(keep);
	n = pread(fd, text, sizeof(text) - 1, 0);
	text[MAX(n, 0)] = '\0';
	close(fd);
	assert_int_equal(r, expected);
	return text;
}

static void test_run(void **state)
{
	struct options opt = {.assign = {web_root, "server.max_connections=16",
					 "database.url=host=/nowhere password=hunter2"},
			      .n_assign = 3};

	(void)state;
	assert_string_equal(run(&opt, false, EX_OK), "configuration ok\n");
	const char *text = run(&opt, true, EX_OK);

	assert_non_null(strstr(text, "server.max_connections=16\n"));
	assert_null(strstr(text, "hunter2"));
	assert_null(strstr(text, "configuration ok"));
}

static void test_run_with_faults(void **state)
{
	struct options opt = {.assign = {web_root, "server.listen=nonsense",
					 "database.url=host=/nowhere"},
			      .n_assign = 3};

	(void)state;
	assert_string_equal(run(&opt, false, EX_CONFIG), "");
	opt.assign[1] = "chat.name_max=many";
	assert_string_equal(run(&opt, true, EX_CONFIG), "");
	opt.file = "/nowhere/roomd.conf";
	opt.n_assign = 1;
	assert_string_equal(run(&opt, false, EX_CONFIG), "");
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_database_away_is_a_warning),
		T(test_page_missing),
		T(test_address),
		T(test_user),
		T(test_mail_command),
		T(test_open_files),
		T(test_all_faults),
		T(test_report_is_appended_to),
		T(test_run),
		T(test_run_with_faults),
	};
	int r;

	if (!mkdtemp(dir))
		return 99;
	snprintf(page, sizeof(page), "%s/index.html", dir);
	snprintf(web_root, sizeof(web_root), "server.web_root=%s", dir);
	unsetenv("PORT");
	unsetenv("DATABASE_URL");
	r = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(page);
	rmdir(dir);
	return r;
}
