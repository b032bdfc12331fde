/* SPDX-License-Identifier: MIT */
/*
 * The growable buffer (base/buf.c).
 * JSON documents as a whole are tested in proto.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"

static void assert_holds(const struct buf *b, const char *bytes, size_t len)
{
	assert_int_equal(b->len, len);
	assert_memory_equal(b->p, bytes, len);
}

static void test_add(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	buf_add(&b, "a\0b", 3);
	buf_add_str(&b, STR("cd"));
	buf_add_cstr(&b, "e");
	buf_add_char(&b, 'f');
	buf_printf(&b, "%d%s", 7, "g");
	buf_add_str(&b, str_of(NULL));
	assert_holds(&b, "a\0bcdef7g", 9);
	buf_done(&b);
	assert_null(b.p);
	assert_int_equal(b.len, 0);
}

static void test_numbers(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	buf_add_i64(&b, 0);
	buf_add_char(&b, ' ');
	buf_add_i64(&b, INT64_MIN);
	buf_add_char(&b, ' ');
	buf_add_i64(&b, INT64_MAX);
	assert_holds(&b, "0 -9223372036854775808 9223372036854775807", 42);
	buf_done(&b);
}

static void test_grows_and_consumes(void **state)
{
	struct buf b = BUF_INIT;
	char block[1000];

	(void)state;
	for (int i = 0; i < 100; i++) {
		memset(block, i, sizeof(block));
		buf_add(&b, block, sizeof(block));
	}
	for (int i = 0; i < 99; i++) {
		assert_int_equal(b.p[0], i);
		assert_int_equal(b.p[999], i);
		buf_consume(&b, 1000);
	}
	buf_consume(&b, 500);
	assert_int_equal(b.len, 500);
	buf_consume(&b, 500);
	assert_null(b.p); /* an empty buffer holds no memory */
}

static void test_reserve_commit(void **state)
{
	struct buf b = BUF_INIT;
	uint8_t *room;

	(void)state;
	buf_add_cstr(&b, "xy");
	room = buf_reserve(&b, 10000);
	assert_ptr_equal(room, b.p + 2);
	assert_int_equal(b.len, 2);
	memset(room, 'z', 10000);
	buf_commit(&b, 3);
	assert_holds(&b, "xyzzz", 5);
	buf_clear(&b);
	assert_non_null(b.p);
	assert_int_equal(b.len, 0);
	buf_done(&b);
}

static void assert_json(struct str in, const char *out)
{
	struct buf b = BUF_INIT;

	buf_add_json(&b, in);
	assert_holds(&b, out, strlen(out));
	buf_done(&b);
}

/* RFC 8259 section 7 */
static void test_json_escapes(void **state)
{
	(void)state;
	assert_json(STR(""), "\"\"");
	assert_json(STR("a\"b\\c/"), "\"a\\\"b\\\\c/\"");
	assert_json(STR("\n\x01\0"), "\"\\u000a\\u0001\\u0000\"");
	assert_json(STR("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x99\x82"),
		    "\"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x99\x82\"");
}

/* RFC 3629 sections 3 and 4: overlong forms, surrogates, past U+10FFFF, cut short */
static void test_json_replaces_what_is_no_utf8(void **state)
{
	(void)state;
	assert_json(STR("\x80"), "\"\xef\xbf\xbd\"");
	assert_json(STR("\xc0\xaf"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	assert_json(STR("\xed\xa0\x80"), "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	assert_json(STR("\xf4\x90\x80\x80"),
		    "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
	assert_json(STR("\xe2\x82"), "\"\xef\xbf\xbd\xef\xbf\xbd\"");
	assert_json(STR("a\xf0\x9f\x99z"), "\"a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\"");
}

static void test_xstrndup(void **state)
{
	char *s = xstrndup("hello", 4), *empty = xstrndup(NULL, 0);

	(void)state;
	assert_string_equal(s, "hell");
	assert_string_equal(empty, "");
	free(s);
	free(empty);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_grows_and_consumes),
		cmocka_unit_test(test_reserve_commit),
		cmocka_unit_test(test_json_escapes),
		cmocka_unit_test(test_json_replaces_what_is_no_utf8),
		cmocka_unit_test(test_xstrndup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
