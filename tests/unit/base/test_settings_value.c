/* SPDX-License-Identifier: MIT */
/*
 * Values of settings (base/settings_value.c).
 * Files are tested in test_settings_read.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/settings_priv.h"

static struct settings *s;

static int set_up(void **state)
{
	(void)state;
	s = settings_new();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	settings_free(&s);
	return 0;
}

static size_t row(const char *section, const char *name)
{
	int i = setting_find(str_of(section), str_of(name));

	assert_true(i >= 0);
	return (size_t)i;
}

static void assert_accepts(size_t i, const char *text, const char *printed)
{
	struct buf b = BUF_INIT;

	assert_int_equal(setting_parse(s, i, str_of(text), &b), 0);
	assert_int_equal(b.len, 0);
	setting_format(s, i, &b);
	buf_add_char(&b, '\0');
	assert_string_equal((char *)b.p, printed);
	buf_done(&b);
}

static void assert_refuses(size_t i, const char *text, const char *why)
{
	struct buf before = BUF_INIT, after = BUF_INIT, b = BUF_INIT;

	setting_format(s, i, &before);
	assert_int_equal(setting_parse(s, i, str_of(text), &b), -ERR_INVAL);
	setting_format(s, i, &after);
	assert_true(str_eq(buf_str(&before), buf_str(&after)));
	buf_add_char(&b, '\0');
	assert_string_equal((char *)b.p, why);
	buf_done(&before);
	buf_done(&after);
	buf_done(&b);
}

static void test_bool(void **state)
{
	size_t i = row("chat", "guests");

	(void)state;
	assert_accepts(i, "off", "off");
	assert_false(s->chat_guests);
	assert_accepts(i, "Yes", "on");
	assert_true(s->chat_guests);
	assert_accepts(i, "false", "off");
	assert_accepts(i, "1", "on");
	assert_refuses(i, "maybe", "must be on or off");
	assert_refuses(i, "", "must be on or off");
}

static void test_int(void **state)
{
	size_t i = row("server", "workers");

	(void)state;
	assert_accepts(i, "64", "64");
	assert_int_equal(s->server_workers, 64);
	assert_refuses(i, "65", "must be between 0 and 64 processes");
	assert_refuses(i, "99999999999999999999", "must be between 0 and 64 processes");
	assert_refuses(i, "-1", "must be a whole number");
	assert_refuses(i, "", "must be a whole number");
	assert_refuses(i, "1k", "must be a whole number");
}

static void test_size(void **state)
{
	static const char *const form = "must be a size such as 512, 64k, 16M or 1G";
	size_t i = row("http", "body_max"); /* 256 to 1G */

	(void)state;
	assert_accepts(i, "1000", "1000");
	assert_accepts(i, "2k", "2k");
	assert_int_equal(s->http_body_max, 2048);
	assert_accepts(i, "1024K", "1M");
	assert_accepts(i, "1G", "1G");
	assert_int_equal(s->http_body_max, 1073741824);
	assert_refuses(i, "2G", "must be between 256 and 1G");
	assert_refuses(i, "255", "must be between 256 and 1G");
	assert_refuses(i, "9999999999G", "must be between 256 and 1G");
	assert_refuses(i, "1 k", form);
	assert_refuses(i, "k", form);
	assert_refuses(i, "1kb", form);
}

static void test_duration(void **state)
{
	static const char *const form = "must be a time such as 500ms, 10s, 5m, 1h or 7d";
	size_t i = row("http", "keepalive_timeout"); /* 0 to 1h */

	(void)state;
	assert_accepts(i, "1500ms", "1500ms");
	assert_accepts(i, "90", "90s");
	assert_int_equal(s->http_keepalive_timeout, 90000);
	assert_accepts(i, "120s", "2m");
	assert_accepts(i, "1h", "1h");
	assert_accepts(i, "0", "0s");
	assert_refuses(i, "2h", "must be between 0s and 1h");
	assert_refuses(i, "1d", "must be between 0s and 1h");
	assert_refuses(i, "1.5s", form);
	assert_refuses(i, "1 s", form);
}

static void test_enum(void **state)
{
	size_t i = row("log", "level");

	(void)state;
	assert_accepts(i, "error", "error");
	assert_int_equal(s->log_level, 0);
	assert_accepts(i, "debug", "debug");
	assert_int_equal(s->log_level, 4);
	assert_refuses(i, "loud", "must be one of error|warn|notice|info|debug");
	assert_refuses(i, "", "must be one of error|warn|notice|info|debug");
	assert_refuses(i, "warn|notice", "must be one of error|warn|notice|info|debug");
}

static void test_text(void **state)
{
	size_t i = row("server", "user"); /* 0 to 64 bytes */
	char long_text[66];

	(void)state;
	memset(long_text, 'u', 65);
	long_text[65] = '\0';
	assert_accepts(i, "roomd", "roomd");
	assert_accepts(i, "", "");
	assert_refuses(i, long_text, "must be between 0 and 64 bytes long");
	assert_refuses(i, "a\nb", "must not contain control characters");
	assert_refuses(i, "a\x7f", "must not contain control characters");
}

static void assert_suggestion(const char *section, const char *name, const char *hint)
{
	struct buf b = BUF_INIT;

	setting_suggest(str_of(section), str_of(name), &b);
	buf_add_char(&b, '\0');
	assert_string_equal((char *)b.p, hint);
	buf_done(&b);
}

static void test_suggestions(void **state)
{
	(void)state;
	assert_suggestion("server", "workrs", ", did you mean server.workers?");
	assert_suggestion("server", "Listen", ", did you mean server.listen?");
	assert_suggestion("server", "batch_max", ", did you mean persist.batch_max?");
	assert_suggestion("srever", "backlog", ", did you mean server.backlog?");
	assert_suggestion("server", "zzzzzzzzzzzz", "");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_bool), TEST(test_int),  TEST(test_size),	 TEST(test_duration),
		TEST(test_enum), TEST(test_text), TEST(test_suggestions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
