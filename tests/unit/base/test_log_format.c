/* SPDX-License-Identifier: MIT */
/*
 * The written forms of log lines (base/log_format.c).
 * Sinks are tested in test_log.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_priv.h"

/* 2009-02-13T23:31:30.123Z */
#define WHEN INT64_C(1234567890123)

static void assert_text(const struct buf *b, const char *text)
{
	assert_int_equal(b->len, strlen(text));
	assert_memory_equal(b->p, text, b->len);
}

static void test_text(void **state)
{
	const struct log_field fields[] = {LF_INT("slot", -3), LF_STR("room", "Alice's"),
					   LF_STR("why", "a b\nc"), LF_STR("none", NULL), {0}};
	struct log_line line = {LOG_LEVEL_WARN, WHEN, "worker", 2, "room is gone", fields};
	struct buf b = BUF_INIT;

	(void)state;
	log_format_text(&line, false, &b);
	assert_text(&b, "23:31:30.123 warn   worker 2: room is gone slot=-3 room=Alice's "
			"why=\"a b\\u000ac\" none=\"\"\n");
	buf_done(&b);
}

static void test_text_without_process(void **state)
{
	struct log_line line = {LOG_LEVEL_NOTICE, WHEN, NULL, -1, "hello", NULL};
	struct buf b = BUF_INIT;

	(void)state;
	log_format_text(&line, false, &b);
	assert_text(&b, "23:31:30.123 notice hello\n");
	buf_clear(&b);
	line.role = "master";
	log_format_text(&line, true, &b);
	assert_text(&b, "23:31:30.123 \033[1mnotice\033[0m master: hello\n");
	buf_done(&b);
}

/* A value with an escape sequence or a line break must not reach a terminal as such. */
static void test_text_neutralises_control_bytes(void **state)
{
	const struct log_field fields[] = {LF_STR("name", "\033[2Jx\r\nfake line\x9b"), {0}};
	struct log_line line = {LOG_LEVEL_INFO, WHEN, NULL, -1, "joined", fields};
	struct buf b = BUF_INIT;

	(void)state;
	log_format_text(&line, false, &b);
	for (size_t i = 0; i + 1 < b.len; i++)
		assert_true(b.p[i] >= ' ');
	buf_done(&b);
}

static void test_json(void **state)
{
	const struct log_field fields[] = {LF_INT("n", INT64_MIN), LF_STR("s", "q\"\n\xff"), {0}};
	struct log_line line = {LOG_LEVEL_ERROR, WHEN, "worker", 0, "it broke", fields};
	struct buf b = BUF_INIT;
	json_t *root;

	(void)state;
	log_format_json(&line, &b);
	assert_int_equal(b.p[b.len - 1], '\n');
	assert_ptr_equal(memchr(b.p, '\n', b.len), b.p + b.len - 1);
	root = json_loadb((char *)b.p, b.len, 0, NULL);
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "time")),
			    "2009-02-13T23:31:30.123Z");
	assert_string_equal(json_string_value(json_object_get(root, "level")), "error");
	assert_string_equal(json_string_value(json_object_get(root, "process")), "worker");
	assert_int_equal(json_integer_value(json_object_get(root, "process_slot")), 0);
	assert_string_equal(json_string_value(json_object_get(root, "text")), "it broke");
	assert_true(json_integer_value(json_object_get(root, "n")) == INT64_MIN);
	assert_string_equal(json_string_value(json_object_get(root, "s")), "q\"\n\xef\xbf\xbd");
	json_decref(root);
	buf_done(&b);
}

/* systemd's JOURNAL_NATIVE_PROTOCOL: NAME=value, or NAME, 64-bit little-endian length, value */
static void test_journal(void **state)
{
	const struct log_field fields[] = {LF_INT("exit_code", 7), LF_STR("why", "a\nb"), {0}};
	struct log_line line = {LOG_LEVEL_WARN, WHEN, "master", -1, "worker died", fields};
	struct buf b = BUF_INIT;
	static const char expected[] = "PRIORITY=4\n"
				       "SYSLOG_IDENTIFIER=roomd\n"
				       "MESSAGE=worker died exit_code=7 why=\"a\\u000ab\"\n"
				       "ROOMD_EVENT=worker died\n"
				       "ROOMD_PROCESS=master\n"
				       "ROOMD_EXIT_CODE=7\n"
				       "ROOMD_WHY\n\x03\0\0\0\0\0\0\0a\nb\n";

	(void)state;
	log_format_journal(&line, &b);
	assert_int_equal(b.len, sizeof(expected) - 1);
	assert_memory_equal(b.p, expected, b.len);
	buf_done(&b);
}

/* Long values are cut, and fields that do not fit in one atomic write are left out. */
static void test_long_lines(void **state)
{
	char *huge = malloc(20000);
	struct log_field fields[12] = {{0}};
	struct log_line line = {LOG_LEVEL_INFO, WHEN, NULL, -1, "long", fields};
	struct buf b = BUF_INIT;
	json_t *root;

	(void)state;
	memset(huge, 'x', 20000);
	huge[19999] = '\0';
	for (size_t i = 0; i < 10; i++)
		fields[i] = LF_STR("value", huge);
	fields[10] = LF_INT("last", 5);
	log_format_text(&line, false, &b);
	assert_true(b.len > 3000 && b.len <= LOG_LINE_MAX);
	assert_int_equal(b.p[b.len - 1], '\n');
	assert_non_null(memmem(b.p, b.len, " last=5\n", 8));
	buf_clear(&b);
	log_format_json(&line, &b);
	assert_true(b.len <= LOG_LINE_MAX);
	root = json_loadb((char *)b.p, b.len, 0, NULL);
	assert_non_null(root);
	assert_int_equal(json_integer_value(json_object_get(root, "last")), 5);
	json_decref(root);
	buf_done(&b);
	free(huge);
}

/* At every length near the limit the line stays within it. */
static void test_limit_is_exact(void **state)
{
	char space[1000], *value = space, rest_space[801], *rest = rest_space;
	struct log_field fields[] = {LF_STR("a", rest), LF_STR("b", rest), LF_STR("c", rest),
				     LF_STR("d", rest), LF_STR("e", value), {0}};
	struct log_line line = {LOG_LEVEL_INFO, WHEN, NULL, -1, "near", fields};
	struct buf b = BUF_INIT;

	(void)state;
	memset(rest, 'x', 800);
	rest[800] = '\0';
	memset(value, 'x', sizeof(space));
	for (size_t cut = 600; cut < 999; cut++) {
		value[cut] = '\0';
		buf_clear(&b);
		log_format_text(&line, false, &b);
		assert_true(b.len <= LOG_LINE_MAX);
		buf_clear(&b);
		log_format_json(&line, &b);
		assert_true(b.len <= LOG_LINE_MAX);
		value[cut] = 'x';
	}
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_text_without_process),
		cmocka_unit_test(test_text_neutralises_control_bytes),
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_journal),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_limit_is_exact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
