/* SPDX-License-Identifier: MIT */
/*
 * Settings from file, environment and command line (base/settings_read.c).
 * Forms of values are tested in test_settings_value.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/settings.h"

static char path[] = "/tmp/roomd-test-conf-XXXXXX";
static struct settings *s;
static struct buf faults;

static int set_up(void **state)
{
	(void)state;
	unsetenv("PORT");
	unsetenv("DATABASE_URL");
	unsetenv("SECRET_KEY");
	s = settings_new();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	settings_free(&s);
	buf_done(&faults);
	return 0;
}

static int read_text(const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	return settings_read_file(s, path, &faults);
}

/* EXPECTED has "@" where the path of the file stands. */
static void assert_faults(const char *expected)
{
	struct buf b = BUF_INIT;

	for (; *expected; expected++)
		if (*expected == '@')
			buf_add_cstr(&b, path);
		else
			buf_add_char(&b, *expected);
	buf_add_char(&b, '\0');
	buf_add_char(&faults, '\0');
	assert_string_equal((char *)faults.p, (char *)b.p);
	buf_done(&b);
}

static void test_file(void **state)
{
	(void)state;
	assert_int_equal(read_text("# comment\n; another\n\n[server]\nworkers = 3\nlisten=[::]:80\n"
				   "[database]\nurl = postgres://u:p@h/d?a=b;c#d ; remark\n"
				   "[chat]\n  guests : off\n"), 0);
	assert_int_equal(faults.len, 0);
	assert_int_equal(s->server_workers, 3);
	assert_string_equal(s->server_listen, "[::]:80");
	assert_string_equal(s->database_url, "postgres://u:p@h/d?a=b;c#d");
	assert_false(s->chat_guests);
	assert_int_equal(s->server_backlog, 4096); /* untouched: the default */
}

static void test_every_fault_is_named(void **state)
{
	(void)state;
	assert_int_equal(
		read_text("[server]\nworkrs = 3\nworkers = 99\nbacklog = 100\nbacklog = 200\n"
			  "user\n[nonsense]\nxyzzyxyzzy = 1\n"),
		-ERR_INVAL);
	assert_faults("@:2: server.workrs: unknown setting, did you mean server.workers?\n"
		      "@:3: server.workers: must be between 0 and 64 processes\n"
		      "@:5: server.backlog: set already in line 4\n"
		      "@:6: server.user: has no value\n"
		      "@:8: nonsense.xyzzyxyzzy: unknown setting\n");
}

static void test_syntax(void **state)
{
	(void)state;
	assert_int_equal(read_text("[server]\nworkers = 2\n[broken\n"), -ERR_INVAL);
	assert_faults("@:3: neither [section] nor name = value\n");
}

static void test_setting_outside_a_section(void **state)
{
	(void)state;
	assert_int_equal(read_text("workers = 2\n"), -ERR_INVAL);
	assert_faults("@:1: .workers: unknown setting, did you mean server.workers?\n");
}

static void test_long_lines(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	buf_add_cstr(&b, "[database]\nurl = postgres://h/");
	for (int i = 0; i < 4000; i++)
		buf_add_char(&b, 'd');
	buf_add_cstr(&b, "\n[server]\nweb_root = ");
	for (int i = 0; i < 20000; i++)
		buf_add_char(&b, 'w');
	buf_add_cstr(&b, "\nworkers = 5\n");
	buf_add_char(&b, '\0');
	assert_int_equal(read_text((char *)b.p), -ERR_INVAL);
	buf_done(&b);
	assert_int_equal(strlen(s->database_url), 4013);
	assert_int_equal(s->server_workers, 5); /* reading goes on after the fault */
	assert_faults("@:4: line is longer than 8191 bytes\n");
}

static void test_missing_and_unreadable(void **state)
{
	(void)state;
	assert_int_equal(settings_read_file(s, "/nonexistent/roomd.conf", &faults), -ERR_NOENT);
	assert_int_equal(settings_read_file(s, "/tmp", &faults), -ERR_IO);
	assert_non_null(memmem(faults.p, faults.len, "/nonexistent/roomd.conf: No such file", 37));
}

static void test_environment(void **state)
{
	(void)state;
	assert_int_equal(read_text("[server]\nlisten = 127.0.0.1:1, [::1]:2\n"), 0);
	setenv("PORT", "8099", 1);
	setenv("DATABASE_URL", "postgres://e/x", 1);
	setenv("SECRET_KEY", "0123456789abcdef0123456789abcdef", 1);
	assert_int_equal(settings_read_env(s, &faults), 0);
	assert_string_equal(s->server_listen, "127.0.0.1:8099 [::1]:8099");
	assert_string_equal(s->database_url, "postgres://e/x");
	assert_string_equal(s->auth_secret_key, "0123456789abcdef0123456789abcdef");
}

static void test_environment_edges(void **state)
{
	(void)state;
	assert_int_equal(read_text("[server]\nlisten = 127.0.0.1:1, 127.0.0.1:2\n"), 0);
	setenv("DATABASE_URL", "", 1); /* empty is as good as absent */
	setenv("PORT", "80", 1);
	assert_int_equal(settings_read_env(s, &faults), 0);
	assert_string_equal(s->server_listen, "127.0.0.1:80");
	assert_string_equal(s->database_url, "postgresql:///roomd");
	setenv("PORT", "http", 1);
	assert_int_equal(settings_read_env(s, &faults), -ERR_INVAL);
	setenv("PORT", "65536", 1);
	assert_int_equal(settings_read_env(s, &faults), -ERR_INVAL);
	assert_faults("PORT: must be a port number\nPORT: must be a port number\n");
}

static void test_assign(void **state)
{
	(void)state;
	assert_int_equal(settings_assign(s, STR("server.listen=127.0.0.1:5"), &faults), 0);
	assert_string_equal(s->server_listen, "127.0.0.1:5");
	assert_int_equal(settings_assign(s, STR("database.url=host=a user=b"), &faults), 0);
	assert_string_equal(s->database_url, "host=a user=b");
	assert_int_equal(settings_assign(s, STR("server.user="), &faults), 0);
	assert_int_equal(faults.len, 0);
	assert_int_equal(settings_assign(s, STR("server"), &faults), -ERR_INVAL);
	assert_int_equal(settings_assign(s, STR("server=a.b"), &faults), -ERR_INVAL);
	assert_int_equal(settings_assign(s, STR("server.backlog=1"), &faults), -ERR_INVAL);
	assert_int_equal(settings_assign(s, STR("server.lisen=1"), &faults), -ERR_INVAL);
	assert_faults("-o: \"server\" is not section.name=value\n"
		      "-o: \"server=a.b\" is not section.name=value\n"
		      "-o: server.backlog: must be between 16 and 65535 connections\n"
		      "-o: server.lisen: unknown setting, did you mean server.listen?\n");
}

/* Faults that are found later tell the line all the same, unless another source won over it. */
static void test_locate(void **state)
{
	(void)state;
	assert_int_equal(read_text("[server]\n\nlisten = x\n[database]\nretry_min = 9s\n"
				   "[engineio]\npath = foo\n"),
			 0);
	assert_int_equal(settings_assign(s, STR("engineio.path=bar"), &faults), 0);
	buf_add_cstr(&faults, "server.listen: an older line\n");
	size_t from = faults.len;

	assert_int_equal(settings_check(s, &faults), -ERR_INVAL);
	buf_add_cstr(&faults, "warning: server.listen: x\n: \nx.y: z\nserver.listen: unended");
	settings_locate(s, path, from, &faults);
	assert_faults("server.listen: an older line\n"
		      "@:3: server.listen: \"x\" is not address:port\n"
		      "@:5: database.retry_min: must not be more than database.retry_max\n"
		      "engineio.path: \"bar\" is no path that begins and ends with a slash\n"
		      "warning: server.listen: x\n: \nx.y: z\n"
		      "@:3: server.listen: unended");
}

static int make_file(void **state)
{
	int fd = mkstemp(path);

	(void)state;
	return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
	(void)state;
	return unlink(path);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_file),
		TEST(test_every_fault_is_named),
		TEST(test_syntax),
		TEST(test_setting_outside_a_section),
		TEST(test_long_lines),
		TEST(test_missing_and_unreadable),
		TEST(test_environment),
		TEST(test_environment_edges),
		TEST(test_assign),
		TEST(test_locate),
	};

	return cmocka_run_group_tests(tests, make_file, remove_file);
}
