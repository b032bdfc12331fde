/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/json.c and json_out.c: what is refused, typed members and their faults, escapes.
 * The grammar is RFC 8259's.
 */
#include "proto_test.h"

#include "proto/json.h"

static void test_accepts(void **state)
{
	(void)state;
	assert_true(json_check(STR("{}"), 2));
	assert_true(json_check(STR(" [1, -2.5e3, true, null, \"x\"] "), 2));
	assert_true(json_check(STR("\"top\""), 2));
	assert_true(json_check(STR("9223372036854775807"), 2));
	assert_true(json_check(STR("\"\\ud83d\\ude00\""), 2));
	assert_true(json_check(STR("{\"a\":{\"b\":1}}"), 2));
	assert_true(json_check(STR("[\"[[[[{{{{\", \"\\\"[[[\"]"), 1)); /* brackets in strings */
}

static void test_refuses(void **state)
{
	static const char *const texts[] = {
	    "",
	    " ",
	    "{",
	    "[1,]",
	    "{\"a\":1,}",
	    "{\"a\" 1}",
	    "{a:1}",
	    "'a'",
	    "01",
	    "+1",
	    "1.",
	    ".5",
	    "NaN",
	    "Infinity",
	    "tru",
	    "\"\t\"",
	    "\"\\x\"",
	    "\"\\u12\"",
	    "\"unterminated",
	    "{} {}",
	    "[1] x",
	    "{\"a\":1,\"a\":2}", /* duplicate key */
	    "\"\\u0000\"",
	    "{\"\\u0000\":1}", /* U+0000 */
	    "\"\\ud800\"",
	    "\"\\udc00\"",
	    "\"\\ud800\\u0041\"", /* lone surrogates */
	    "9223372036854775808",
	    "-9223372036854775809",
	    "1e999",
	    "[[[1]]]",
	    "{\"a\":{\"b\":{}}}", /* deeper than 2 */
	    "\"\xff\"",
	    "\"\xc0\x80\"",
	    "\"\xed\xa0\x80\"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct fault f = {0};
		struct json_doc *doc = NULL;

		if (json_parse(str_of(texts[i]), 2, &doc, &f) != -ERR_INVAL)
			fail_msg("taken: %s", texts[i]);
		assert_null(doc);
		assert_int_equal(f.error, E_BAD_JSON);
		assert_true(f.text[0]);
	}
	assert_false(json_check(STR("\"a\0b\""), 2));
	assert_false(json_check((struct str){0}, 2));
}

/* A megabyte of brackets must cost neither stack nor time. */
static void test_depth_bomb(void **state)
{
	size_t n = 1 << 20;
	char *text = xmalloc(n);

	(void)state;
	memset(text, '[', n);
	assert_false(json_check((struct str){text, n}, 128));
	memset(text, '{', n);
	assert_false(json_check((struct str){text, n}, 128));
	free(text);
}

static struct json_doc *parse(const char *text)
{
	struct json_doc *doc = NULL;

	assert_int_equal(json_parse(str_of(text), 16, &doc, NULL), 0);
	return doc;
}

static void test_strings(void **state)
{
	static const struct json_str_rule must = {1, 3, true}, may = {1, 3, false};
	struct json_doc *doc =
	    parse("{\"s\":\"a\\u00e9\\n\",\"n\":1,\"null\":null,\"e\":\"\",\"l\":\"abcd\"}");
	const struct json_value *v = json_root(doc);
	struct str s = STR("untouched");
	struct fault f = {0};

	(void)state;
	assert_int_equal(json_get_str(v, "null", &may, &s, &f), -ERR_NOENT);
	assert_int_equal(json_get_str(v, "x", &may, &s, &f), -ERR_NOENT);
	assert_int_equal(json_get_str(v, "x", &must, &s, &f), -ERR_INVAL);
	assert_int_equal(f.kind, FAULT_MISSING);
	assert_string_equal(f.field, "x");
	assert_non_null(strstr(f.text, "x"));
	assert_int_equal(json_get_str(v, "n", &may, &s, &f), -ERR_INVAL);
	assert_int_equal(f.kind, FAULT_TYPE);
	assert_int_equal(json_get_str(v, "e", &may, &s, &f), -ERR_INVAL);
	assert_int_equal(f.kind, FAULT_TOO_SHORT);
	assert_int_equal(json_get_str(v, "l", &may, &s, &f), -ERR_INVAL);
	assert_int_equal(f.kind, FAULT_TOO_LONG);
	assert_int_equal(f.bound, 3);
	assert_str(s, "untouched");
	assert_int_equal(json_get_str(v, "s", &must, &s, &f), 0);
	assert_str(s, "a\xc3\xa9\n");
	json_doc_free(&doc);
}

static void test_numbers(void **state)
{
	static const struct json_int_rule rule = {1, 10, false, false},
					  id = {1, INT64_MAX, true, true};
	struct json_doc *doc =
	    parse("{\"i\":5,\"r\":5.0,\"s\":\"42\",\"bad\":\"4x\",\"z\":0,\"b\":11,\"t\":true}");
	const struct json_value *v = json_root(doc);
	struct fault f = {0};
	int64_t n = 77;
	bool b = false;

	(void)state;
	assert_int_equal(json_get_i64(v, "x", &rule, &n, &f), -ERR_NOENT);
	assert_int_equal(json_get_i64(v, "r", &rule, &n, &f), -ERR_INVAL);
	assert_int_equal(f.kind, FAULT_TYPE);
	assert_int_equal(json_get_i64(v, "s", &rule, &n, &f), -ERR_INVAL);
	assert_int_equal(json_get_i64(v, "z", &rule, &n, &f), -ERR_INVAL);
	assert_int_equal(f.kind, FAULT_TOO_SMALL);
	assert_int_equal(json_get_i64(v, "b", &rule, &n, &f), -ERR_INVAL);
	assert_int_equal(f.kind, FAULT_TOO_LARGE);
	assert_int_equal(json_get_i64(v, "bad", &id, &n, &f), -ERR_INVAL);
	assert_int_equal(n, 77);
	assert_int_equal(json_get_i64(v, "i", &rule, &n, &f), 0);
	assert_int_equal(n, 5);
	assert_int_equal(json_get_i64(v, "s", &id, &n, &f), 0);
	assert_int_equal(n, 42);
	assert_int_equal(json_get_bool(v, "i", true, &b, &f), -ERR_INVAL);
	assert_int_equal(json_get_bool(v, "t", true, &b, &f), 0);
	assert_true(b);
	json_doc_free(&doc);
	json_doc_free(&doc);
}

static void test_arrays(void **state)
{
	struct json_doc *doc = parse("[1,{\"a\":2}]");
	const struct json_value *v = json_root(doc);
	int64_t n;

	(void)state;
	assert_int_equal(json_kind_of(v), JSON_KIND_ARRAY);
	assert_int_equal(json_count(v), 2);
	assert_true(json_to_i64(json_at(v, 0), &n));
	assert_int_equal(json_kind_of(json_at(v, 1)), JSON_KIND_OBJECT);
	assert_non_null(json_get(json_at(v, 1), "a"));
	assert_null(json_at(v, 2));
	assert_null(json_get(v, "a"));
	json_doc_free(&doc);
}

static void test_escapes(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	json_add_str(&b, STR("plain \xe2\x82\xac / '"));
	assert_buf(&b, "\"plain \xe2\x82\xac / '\"");
	json_add_str(&b, STR("q\" b\\ \b\f\n\r\t \x01\x1f\0\x7f"));
	assert_buf(&b, "\"q\\\" b\\\\ \\b\\f\\n\\r\\t \\u0001\\u001f\\u0000\x7f\"");
	json_add_str(&b, STR(""));
	assert_buf(&b, "\"\"");
	buf_done(&b);
}

/* Every byte at every place of the eight-byte steps comes back from the reader. */
static void test_escape_round_trip(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	for (int c = 1; c < 0x80; c++)
		for (size_t at = 0; at < 20; at++) {
			char text[20];
			struct json_doc *doc = NULL;
			struct str s;

			memset(text, 'a', sizeof(text));
			text[at] = (char)c;
			json_add_str(&b, (struct str){text, sizeof(text)});
			assert_int_equal(json_parse(buf_str(&b), 1, &doc, NULL), 0);
			assert_true(json_to_str(json_root(doc), &s));
			assert_int_equal(s.len, sizeof(text));
			assert_memory_equal(s.p, text, sizeof(text));
			json_doc_free(&doc);
			buf_clear(&b);
		}
	buf_done(&b);
}

static void test_members(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	buf_add_char(&b, '{');
	json_add_key_str(&b, "s", STR("{"));
	json_add_key_cstr(&b, "c", NULL);
	json_add_key_i64(&b, "i", -7);
	json_add_key_bool(&b, "t", true);
	json_add_key_ms(&b, "a", 1200);
	json_add_key_ms(&b, "b", 3000);
	json_add_key_ms(&b, "d", 5);
	json_add_key_ms(&b, "e", 250);
	json_add_key_time(&b, "at", INT64_C(784111777123));
	json_add_key(&b, "l");
	buf_add_char(&b, '[');
	for (int i = 0; i < 3; i++) {
		json_add_sep(&b);
		buf_add_i64(&b, i);
	}
	buf_add_cstr(&b, "]}");
	assert_buf(
	    &b,
	    "{\"s\":\"{\",\"c\":null,\"i\":-7,\"t\":true,\"a\":1.2,\"b\":3,\"d\":0.005,\"e\":0.25,"
	    "\"at\":\"1994-11-06T08:49:37.123Z\",\"l\":[0,1,2]}");
	buf_done(&b);
}

/* U+0000 ends nothing: what stands behind it is not skipped. */
static void test_nul(void **state)
{
	static const struct str texts[] = {
		{"0\0", 2}, {"{}\0x", 4}, {"{\0}", 3}, {"\0", 1}, {"\0{}", 3}, {"\"a\0\"", 4}};
	struct json_doc *doc = NULL;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		assert_int_equal(json_parse(texts[i], 4, &doc, NULL), -ERR_INVAL);
		assert_null(doc);
	}
}

static void test_next(void **state)
{
	const struct json_value *v;
	struct json_doc *doc;
	size_t pos = 0, n = 0;
	struct str key;
	int64_t sum = 0, one;

	(void)state;
	assert_int_equal(json_parse(STR("{\"a\":1,\"b\":2,\"c\":null}"), 4, &doc, NULL), 0);
	assert_int_equal(json_members(json_root(doc)), 3);
	for (; json_next(json_root(doc), &pos, &key, &v); n++) {
		assert_int_equal(key.len, 1);
		if (json_to_i64(v, &one))
			sum += one;
		else
			assert_str(key, "c");
	}
	assert_int_equal(n, 3);
	assert_int_equal(sum, 3);
	json_doc_free(&doc);
	assert_int_equal(json_parse(STR("[1]"), 4, &doc, NULL), 0);
	pos = 0;
	assert_false(json_next(json_root(doc), &pos, &key, &v));
	assert_int_equal(json_members(json_root(doc)), 0);
	json_doc_free(&doc);
}

/* Values are written as they were read: members in their order, numbers without idle digits. */
static void test_values(void **state)
{
	static const char *const same[] = {
	    "{\"b\":[1,-2,{}],\"a\":null,\"\\\"k\":\"\\n\"}", "[]", "[true,false]", "\"x\"",
	    "[0.1,0.30000000000000004,1e+300,-2.5]", "9223372036854775807"};
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		struct json_doc *doc = parse(same[i]);

		json_add_value(&b, json_root(doc));
		assert_buf(&b, same[i]);
		json_doc_free(&doc);
	}
	buf_done(&b);
}

/* What JSON allows and we do not is told apart from what is no JSON. */
static void test_kinds_of_refusal(void **state)
{
	static const char *const allowed[] = {"[\"\\u0000\"]", "{\"\\u0000\":1}", "[1e999]",
					      "[92233720368547758080]", "[\"\\ud83d\"]",
					      "[\"\\ude00\"]", "{\"a\":1,\"a\":1}", "[[[[[]]]]]"};
	static const char *const broken[] = {"", "[", "[1,]", "[\"\\uZZZZ\"]", "[\"\xff\"]",
					     "abc[\"a\"]", "{} x", "[\"\n\"]", "'a'"};
	struct json_doc *doc;
	struct fault f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(allowed); i++) {
		assert_int_equal(json_parse(str_of(allowed[i]), 4, &doc, &f), -ERR_INVAL);
		assert_int_equal(f.error, E_BAD_JSON);
		assert_int_equal(f.kind, FAULT_VALUE);
	}
	for (size_t i = 0; i < ARRAY_LEN(broken); i++) {
		assert_int_equal(json_parse(str_of(broken[i]), 4, &doc, &f), -ERR_INVAL);
		assert_int_equal(f.kind, FAULT_OTHER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_next), cmocka_unit_test(test_nul),
	    cmocka_unit_test(test_accepts),    cmocka_unit_test(test_refuses),
	    cmocka_unit_test(test_depth_bomb), cmocka_unit_test(test_strings),
	    cmocka_unit_test(test_numbers),    cmocka_unit_test(test_arrays),
	    cmocka_unit_test(test_escapes),    cmocka_unit_test(test_escape_round_trip),
	    cmocka_unit_test(test_members),    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_kinds_of_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
