/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/utf8.c: RFC 3629's syntax at its borders, and the rules for names and texts.
 * Expected values come from the Unicode standard's table of well-formed sequences.
 */
#include "proto_test.h"

#include "proto/utf8.h"

static bool valid(const char *s)
{
	return utf8_valid(s, strlen(s));
}

static void test_borders(void **state)
{
	(void)state;
	assert_true(utf8_valid("", 0));
	assert_true(utf8_valid("\0", 1));
	assert_true(valid("\x7f"));
	assert_true(valid("\xc2\x80"));
	assert_true(valid("\xdf\xbf"));
	assert_true(valid("\xe0\xa0\x80"));
	assert_true(valid("\xed\x9f\xbf"));
	assert_true(valid("\xee\x80\x80"));
	assert_true(valid("\xef\xbf\xbf"));
	assert_true(valid("\xf0\x90\x80\x80"));
	assert_true(valid("\xf4\x8f\xbf\xbf"));
	assert_false(valid("\x80"));
	assert_false(valid("\xbf"));
	assert_false(valid("\xc0\x80"));
	assert_false(valid("\xc1\xbf"));
	assert_false(valid("\xe0\x9f\xbf"));
	assert_false(valid("\xed\xa0\x80"));
	assert_false(valid("\xed\xbf\xbf"));
	assert_false(valid("\xf0\x8f\xbf\xbf"));
	assert_false(valid("\xf4\x90\x80\x80"));
	assert_false(valid("\xf5\x80\x80\x80"));
	assert_false(valid("\xff"));
	assert_false(valid("\xc2"));
	assert_false(valid("\xe2\x82"));
	assert_false(valid("\xf0\x9f\x98"));
	assert_false(valid("\xc2\x41"));
}

/* A fault behind a long ASCII run must be seen wherever it lies against the eight-byte steps. */
static void test_fault_at_every_offset(void **state)
{
	char s[64];

	(void)state;
	for (size_t at = 0; at < sizeof(s); at++) {
		memset(s, 'a', sizeof(s));
		assert_true(utf8_valid(s, sizeof(s)));
		s[at] = (char)0x80;
		assert_false(utf8_valid(s, sizeof(s)));
	}
}

static void test_pieces(void **state)
{
	static const char text[] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80z";
	uint8_t st = UTF8_START;

	(void)state;
	for (size_t i = 0; i < sizeof(text) - 1; i++)
		assert_true(utf8_feed(&st, text + i, 1));
	assert_int_equal(st, UTF8_START);

	st = UTF8_START;
	assert_true(utf8_feed(&st, "\xf4", 1));
	assert_int_not_equal(st, UTF8_START);
	assert_false(utf8_feed(&st, "\x90", 1)); /* known before the character is complete */
	assert_false(utf8_feed(&st, "a", 1));
}

static void test_length(void **state)
{
	struct str s = STR("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
	static const uint32_t want[] = {'a', 0xe9, 0x20ac, 0x1f600};
	size_t pos = 0;
	uint32_t cp;

	(void)state;
	assert_int_equal(utf8_length(s), 4);
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_true(utf8_next(s, &pos, &cp));
		assert_int_equal(cp, want[i]);
	}
	assert_false(utf8_next(s, &pos, &cp));
}

static void test_trim(void **state)
{
	(void)state;
	assert_str(utf8_trim(STR("  Al ice\t")), "Al ice");
	assert_str(utf8_trim(STR("\xe2\x80\x8b\xc2\xa0x\xe3\x80\x80\xef\xbb\xbf")), "x");
	assert_str(utf8_trim(STR(" \xe2\x80\xa8 ")), "");
	assert_str(utf8_trim(STR("")), "");
}

static void check_name(struct str in, int want, const char *want_name)
{
	struct str name = STR("untouched");

	assert_int_equal(utf8_name(in, 100, &name), want);
	assert_str(name, want ? "untouched" : want_name);
}

static void test_name(void **state)
{
	char longest[101];

	(void)state;
	check_name(STR("Alice"), 0, "Alice");
	check_name(STR(" \xe5\xbc\xa0\xe4\xbc\x9f "), 0, "\xe5\xbc\xa0\xe4\xbc\x9f");
	check_name(STR("A B"), 0, "A B");
	check_name(STR(""), -ERR_NOENT, NULL);
	check_name(STR(" \t\n"), -ERR_NOENT, NULL);
	check_name(STR("\xe2\x80\x8b\xe2\x80\x8d"), -ERR_NOENT, NULL);
	check_name(STR("\xe3\x85\xa4"), -ERR_NOENT, NULL); /* Hangul filler */
	check_name(STR("A\nB"), -ERR_INVAL, NULL);
	check_name(STR("A\x7f"), -ERR_INVAL, NULL);
	check_name(STR("A\0B"), -ERR_INVAL, NULL);
	check_name(STR("A\xc2\x85"
		       "B"),
		   -ERR_INVAL, NULL);
	check_name(STR("A\xe2\x80\xae"
		       "B"),
		   -ERR_INVAL, NULL); /* right-to-left override */
	check_name(STR("A\xe2\x81\xa6"
		       "B"),
		   -ERR_INVAL, NULL);			    /* isolate */
	check_name(STR("A\xef\xbf\xbf"), -ERR_INVAL, NULL); /* noncharacter */
	check_name(STR("A\xff"), -ERR_INVAL, NULL);
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(utf8_name((struct str){longest, 100}, 100, &(struct str){0}), 0);
	assert_int_equal(utf8_name((struct str){longest, 101}, 100, &(struct str){0}), -ERR_TOOBIG);
}

/* A family emoji holds joiners inside: they belong to it. */
static void test_name_keeps_joiners_inside(void **state)
{
	(void)state;
	check_name(STR("\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7"), 0,
		   "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7");
}

static void test_message(void **state)
{
	(void)state;
	assert_int_equal(utf8_message(STR("hi"), 10), 0);
	assert_int_equal(utf8_message(STR(" a\r\n\tb "), 10), 0);
	assert_int_equal(utf8_message(STR("\xe2\x82\xac\xe2\x82\xac"), 2), 0);
	assert_int_equal(utf8_message(STR("\xe2\x82\xac\xe2\x82\xac\xe2\x82\xac"), 2), -ERR_TOOBIG);
	assert_int_equal(utf8_message(STR(""), 10), -ERR_NOENT);
	assert_int_equal(utf8_message(STR(" \n\t"), 10), -ERR_NOENT);
	assert_int_equal(utf8_message(STR("\xe2\x80\x8b"), 10), -ERR_NOENT);
	assert_int_equal(utf8_message(STR("a\0b"), 10), -ERR_INVAL);
	assert_int_equal(utf8_message(STR("a\x1b[31m"), 10), -ERR_INVAL);
	assert_int_equal(utf8_message(STR("\xc3"), 10), -ERR_INVAL);
}

/* White_Space of Unicode 15's PropList.txt, and characters that only look like it. */
static void test_space(void **state)
{
	static const uint32_t spaces[] = {0x09,	  0x0d,	  0x20,	  0x85,	  0xa0,	  0x1680, 0x2000,
					  0x200a, 0x2028, 0x2029, 0x202f, 0x205f, 0x3000};
	static const uint32_t others[] = {0x08, 0x0e, 'a', 0x200b, 0x200d, 0x2060, 0xfeff, 0x3001};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(spaces); i++)
		assert_true(utf8_is_space(spaces[i]));
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_false(utf8_is_space(others[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_space),
	    cmocka_unit_test(test_borders),
	    cmocka_unit_test(test_fault_at_every_offset),
	    cmocka_unit_test(test_pieces),
	    cmocka_unit_test(test_length),
	    cmocka_unit_test(test_trim),
	    cmocka_unit_test(test_name),
	    cmocka_unit_test(test_name_keeps_joiners_inside),
	    cmocka_unit_test(test_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
