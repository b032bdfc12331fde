/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/msgpack.c and msgpack_in.c. Expected bytes are the MessagePack specification's
 * formats table, applied by hand, and the example of its front page.
 */
#include "proto_test.h"

#include "json_same.h"
#include "proto/dialect_native.h"
#include "proto/msgpack.h"

#define DEPTH 8

static uint8_t nibble(char c)
{
	return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* The bytes that HEX writes in lower-case digits; blanks are left out. */
static void add_hex(struct buf *b, const char *hex)
{
	for (; *hex; hex++) {
		if (*hex == ' ')
			continue;
		buf_add_char(b, (char)(nibble(hex[0]) << 4 | nibble(hex[1])));
		hex++;
	}
}

static void check_bytes(const struct buf *got, const struct buf *want, const char *json)
{
	if (str_eq(buf_str(got), buf_str(want)))
		return;
	print_error("%s gave", json);
	for (size_t i = 0; i < got->len; i++)
		print_error(" %02x", got->p[i]);
	print_error("\n");
	fail();
}

/* One value in both forms, the binary one in the shortest format. */
static const struct {
	const char *json, *hex;
} pairs[] = {
	{"null", "c0"},
	{"false", "c2"},
	{"true", "c3"},
	{"0", "00"},
	{"127", "7f"},
	{"128", "cc80"},
	{"255", "ccff"},
	{"256", "cd0100"},
	{"65535", "cdffff"},
	{"65536", "ce00010000"},
	{"4294967295", "ceffffffff"},
	{"4294967296", "cf0000000100000000"},
	{"9223372036854775807", "cf7fffffffffffffff"},
	{"-1", "ff"},
	{"-32", "e0"},
	{"-33", "d0df"},
	{"-128", "d080"},
	{"-129", "d1ff7f"},
	{"-32768", "d18000"},
	{"-32769", "d2ffff7fff"},
	{"-2147483648", "d280000000"},
	{"-2147483649", "d3ffffffff7fffffff"},
	{"-9223372036854775808", "d38000000000000000"},
	/* IEEE 754: 1.5 is 3ff8 and zeros, 1.2 and 3.7 are rounded */
	{"1.5", "cb3ff8000000000000"},
	{"1.2", "cb3ff3333333333333"},
	{"3.7", "cb400d99999999999a"},
	{"-0.25", "cbbfd0000000000000"},
	{"1e2", "cb4059000000000000"},
	{"\"\"", "a0"},
	{"\"a\"", "a161"},
	{"\"\xc3\xa9\"", "a2c3a9"},
	{"[]", "90"},
	{"{}", "80"},
	{"[1,[2,\"x\"],{}]", "93 01 92 02 a178 80"},
	{"{\"compact\":true,\"schema\":0}", "82 a7636f6d70616374 c3 a6736368656d61 00"},
	{"{\"a\":{\"b\":[null,-1]}}", "81 a161 81 a162 92 c0 ff"},
	{"[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15]", "9f 0102030405060708090a0b0c0d0e0f"},
	{"[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16]", "dc0010 0102030405060708090a0b0c0d0e0f10"},
};

static void test_from_json(void **state)
{
	struct buf got = BUF_INIT, want = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		assert_true(msgpack_from_json(&got, str_of(pairs[i].json)));
		add_hex(&want, pairs[i].hex);
		check_bytes(&got, &want, pairs[i].json);
		buf_clear(&got);
		buf_clear(&want);
	}
	buf_done(&got);
	buf_done(&want);
}

static void check_read(const char *hex, const char *json)
{
	struct json_doc *got, *want;
	struct buf b = BUF_INIT;
	struct fault f;

	add_hex(&b, hex);
	if (msgpack_to_json_doc(b.p, b.len, DEPTH, &got, &f) < 0)
		fail_msg("%s: %s", hex, f.text);
	assert_int_equal(json_parse(str_of(json), DEPTH, &want, &f), 0);
	if (!json_same(json_root(got), json_root(want)))
		fail_msg("%s is not %s", hex, json);
	json_doc_free(&got);
	json_doc_free(&want);
	buf_done(&b);
}

static void test_to_json(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		check_read(pairs[i].hex, pairs[i].json);
}

/* Longer formats than a value needs are allowed, and so are 32-bit floats. */
static void test_long_formats(void **state)
{
	(void)state;
	check_read("cc07", "7");
	check_read("cd0007", "7");
	check_read("ce00000007", "7");
	check_read("cf0000000000000007", "7");
	check_read("d0ff", "-1");
	check_read("d1ffff", "-1");
	check_read("d2ffffffff", "-1");
	check_read("d3ffffffffffffffff", "-1");
	check_read("ca3fc00000", "1.5");
	check_read("cb4045000000000000", "42.0");
	check_read("d90161", "\"a\"");
	check_read("da000161", "\"a\"");
	check_read("db0000000161", "\"a\"");
	check_read("dc000101", "[1]");
	check_read("dd0000000101", "[1]");
	check_read("de0001 a161 01", "{\"a\":1}");
	check_read("df00000001 a161 01", "{\"a\":1}");
	/* 42.0 is no integer: ids and counters are not taken from floats */
	check_read("81 d90161 ca3f800000", "{\"a\":1.0}");
}

static void check_escapes(const char *json, const char *hex)
{
	struct buf got = BUF_INIT, want = BUF_INIT;

	assert_true(msgpack_from_json(&got, str_of(json)));
	add_hex(&want, hex);
	check_bytes(&got, &want, json);
	buf_done(&got);
	buf_done(&want);
}

/* RFC 8259 section 7, its own example of a surrogate pair (U+1D11E) among them. */
static void test_escapes(void **state)
{
	(void)state;
	check_escapes("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "a8 22 5c 2f 08 0c 0a 0d 09");
	check_escapes("\"\\u0041\\u00e9\\u20AC\"", "a6 41 c3a9 e282ac");
	check_escapes("\"x\\uD834\\uDD1Ey\"", "a6 78 f09d849e 79");
	check_escapes("{\"\\u0061\":\"a\\\"b\"}", "81 a161 a3612262");
	check_escapes(" { \"a\" : [ 1 , 2 ] }\n", "81 a161 92 01 02");
}

/* What the headers of long strings and containers look like, by the formats table. */
static void test_lengths(void **state)
{
	static const struct {
		size_t len;
		const char *head;
	} cases[] = {{31, "bf"},	   {32, "d920"},       {255, "d9ff"},
		     {256, "da0100"}, {65535, "daffff"}, {65536, "db00010000"}};
	struct buf json = BUF_INIT, got = BUF_INIT, want = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		add_hex(&want, cases[i].head);
		buf_add_char(&json, '"');
		for (size_t n = 0; n < cases[i].len; n++) {
			buf_add_char(&json, 'a');
			buf_add_char(&want, 'a');
		}
		buf_add_char(&json, '"');
		assert_true(msgpack_from_json(&got, buf_str(&json)));
		check_bytes(&got, &want, "a string");
		buf_clear(&json);
		buf_clear(&got);
		buf_clear(&want);
	}
	buf_done(&json);
	buf_done(&got);
	buf_done(&want);
}

/* An array of N zeros, alone in an array: the outer header must not move with the inner one. */
static void check_count(size_t n, const char *head)
{
	struct buf json = BUF_INIT, got = BUF_INIT, want = BUF_INIT;

	add_hex(&want, "92");
	add_hex(&want, head);
	buf_add_cstr(&json, "[[");
	for (size_t i = 0; i < n; i++) {
		buf_add_cstr(&json, i ? ",0" : "0");
		buf_add_char(&want, 0);
	}
	buf_add_cstr(&json, "],7]");
	add_hex(&want, "07");
	buf_add_char(&got, 'x');
	assert_true(msgpack_from_json(&got, buf_str(&json)));
	buf_consume(&got, 1);
	check_bytes(&got, &want, "an array");
	buf_done(&json);
	buf_done(&got);
	buf_done(&want);
}

static void test_counts(void **state)
{
	struct buf json = BUF_INIT, got = BUF_INIT, want = BUF_INIT;

	(void)state;
	check_count(15, "9f");
	check_count(16, "dc0010");
	check_count(65535, "dcffff");
	check_count(65536, "dd00010000");
	add_hex(&want, "de0010");
	for (int i = 0; i < 16; i++) {
		buf_printf(&json, "%s\"%c\":%d", i ? "," : "{", 'a' + i, i);
		buf_printf(&want, "\xa1%c", 'a' + i);
		buf_add_char(&want, (char)i);
	}
	buf_add_char(&json, '}');
	assert_true(msgpack_from_json(&got, buf_str(&json)));
	check_bytes(&got, &want, "a map");
	buf_done(&json);
	buf_done(&got);
	buf_done(&want);
}

static void test_from_no_json(void **state)
{
	static const char *const bad[] = {
		"", " ", "nul", "[1", "[1,]", "{\"a\"}", "{\"a\":}", "{a:1}", "\"a", "\"\\x\"",
		"\"\\u12\"", "\"\\uD800\"", "\"\\uDC00\"", "\"\\uD800\\u0041\"", "01", "+1", "1.",
		".5", "-", "1e", "1 2", "[1]]", "{\"a\":1,}", "1e999", "\"\\"};
	struct buf b = BUF_INIT;

	(void)state;
	buf_add_char(&b, 'x');
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (msgpack_from_json(&b, str_of(bad[i])))
			fail_msg("took %s", bad[i]);
		assert_int_equal(b.len, 1);
	}
	buf_done(&b);
}

/* One level more than allowed, in both directions. */
static void test_depth(void **state)
{
	struct buf json = BUF_INIT, b = BUF_INIT;
	struct json_doc *doc;
	struct fault f;

	(void)state;
	for (int levels = MSGPACK_DEPTH_MAX; levels <= MSGPACK_DEPTH_MAX + 1; levels++) {
		for (int i = 0; i < levels; i++)
			buf_add_char(&json, '[');
		for (int i = 0; i < levels; i++)
			buf_add_char(&json, ']');
		assert_int_equal(msgpack_from_json(&b, buf_str(&json)),
				 levels == MSGPACK_DEPTH_MAX);
		buf_clear(&json);
	}
	add_hex(&json, "91 91 90");
	assert_int_equal(msgpack_to_json_doc(json.p, json.len, 3, &doc, &f), 0);
	json_doc_free(&doc);
	assert_int_equal(msgpack_to_json_doc(json.p, json.len, 2, &doc, &f), -ERR_INVAL);
	assert_int_equal(f.error, E_BAD_MSGPACK);
	buf_done(&json);
	buf_done(&b);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		"",			 /* nothing */
		"c1",			 /* never used */
		"c403616263",		 /* bin 8 */
		"81 a161 c40261",	 /* bin that is cut */
		"81 a161 c7ffffff",	 /* ext that is cut */
		"81 c40161 01",		 /* bin as a key */
		"d40100",		 /* fixext 1 */
		"c7010100",		 /* ext 8 */
		"d6ff00000000",		 /* timestamp */
		"81 01 02",		 /* a key that is a number */
		"81 c0 02",		 /* a key that is nil */
		"82 a161 01 a161 02",	 /* one key twice */
		"a100",			 /* U+0000 */
		"a180",			 /* no UTF-8 */
		"a3eda080",		 /* a surrogate */
		"cf8000000000000000",	 /* beyond int64_t */
		"ca7fc00000",		 /* NaN */
		"cb7ff0000000000000",	 /* infinity */
		"01 02",		 /* bytes behind the value */
		"90 90", "cd01",	 /* cut */
		"92 01", "a2 61", "d9",
		"ddffffffff",		 /* counts that no frame could hold */
		"dfffffffff", "dbffffffff61", "df80000000 a161 01",
	};
	struct json_doc *doc = NULL;
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		struct fault f = {0};

		buf_clear(&b);
		add_hex(&b, bad[i]);
		if (msgpack_to_json_doc(b.p, b.len, DEPTH, &doc, &f) == 0)
			fail_msg("took %s", bad[i]);
		assert_int_equal(f.error, E_BAD_MSGPACK);
		assert_true(f.text[0]);
		assert_null(doc);
	}
	buf_done(&b);
}

/* Types without a form in JSON are no reason to refuse what is ignored, and fit no member. */
static void test_foreign_types(void **state)
{
	static const char *const foreign[] = {
		"c400", "c40161", "c50001ff", "c600000001ff", "d40100", "d5010000", "d60100000000",
		"d7010000000000000000", "d8 01 00000000000000000000000000000000", "c70001",
		"c70301616263", "c80001 01ff", "c900000001 01ff",
	};
	const struct json_int_rule number = {.max = 99, .or_text = true};
	const struct json_str_rule text = {.max = 9};
	struct json_doc *doc;
	struct buf b = BUF_INIT;
	struct fault f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(foreign); i++) {
		struct str s;
		int64_t n = 0;

		buf_clear(&b);
		add_hex(&b, "82 a178");
		add_hex(&b, foreign[i]);
		add_hex(&b, "a163 2a");
		if (msgpack_to_json_doc(b.p, b.len, DEPTH, &doc, &f) < 0)
			fail_msg("refused %s", foreign[i]);
		assert_int_equal(json_get_i64(json_root(doc), "c", &number, &n, &f), 0);
		assert_int_equal(n, 42);
		assert_true(json_get_str(json_root(doc), "x", &text, &s, &f) < 0);
		assert_true(json_get_i64(json_root(doc), "x", &number, &n, &f) < 0);
		json_doc_free(&doc);
	}
	buf_done(&b);
}

/* The refusal says what is wrong where the reader knows better than "no MessagePack". */
static void test_reasons(void **state)
{
	static const struct {
		const char *hex, *text;
	} cases[] = {
		{"81 01 02", "A key is not a string."},
		{"a180", "A string is not valid UTF-8."},
		{"ca7fc00000", "A number is not finite."},
		{"91 91 91 91 91 91 91 91 91 01", "The value is nested too deeply."},
		{"01 02", "The bytes are not valid MessagePack."},
	};
	struct json_doc *doc;
	struct buf b = BUF_INIT;
	struct fault f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		buf_clear(&b);
		add_hex(&b, cases[i].hex);
		assert_int_equal(msgpack_to_json_doc(b.p, b.len, DEPTH, &doc, &f), -ERR_INVAL);
		assert_string_equal(f.text, cases[i].text);
		assert_int_equal(msgpack_to_json_doc(b.p, b.len, DEPTH, &doc, NULL), -ERR_INVAL);
	}
	buf_done(&b);
}

/* Every type comes back, in its shortest form; members keep their order. */
static void test_again(void **state)
{
	static const struct {
		const char *hex, *again; /* NULL: as it came; "": refused */
	} cases[] = {
		{"c0", NULL},
		{"93 c2 c3 c0", NULL},
		{"97 00 7f ff e0 cc80 cdffff ceffffffff", NULL},
		{"94 d080 d18000 d280000000 d38000000000000000", NULL},
		{"cf7fffffffffffffff", NULL},
		{"cb3ff8000000000000", NULL},
		{"cb8000000000000000", NULL}, /* -0.0 */
		{"cb3ff0000000000000", NULL}, /* 1.0 stays what it is */
		{"cb7fefffffffffffff", NULL},
		{"cb0000000000000001", NULL},
		{"a0", NULL},
		{"82 a162 01 a161 90", NULL},
		{"cd0007", "07"},
		{"d9 01 61", "a161"},
		{"dc 0001 c0", "91 c0"},
		{"de 0001 a161 80", "81 a161 80"},
		{"ca3fc00000", NULL},
		{"cb7ff8000000000000", NULL}, /* not a number */
		{"c4 01 61", NULL},
		{"91 c5 0001 61", "91 c4 01 61"},
		{"81 a161 c70101ff", "81 a161 d401ff"},
		{"c7 03 05 010203", NULL},
		{"d6ff 00000000", NULL}, /* a timestamp */
		{"cf8000000000000000", NULL},
		{"cfffffffffffffffff", NULL},
		{"81 01 02", NULL},
		{"82 a161 01 a161 02", NULL},
		{"c1", ""},
		{"91 c1", ""},
		{"", ""},
		{"91", ""},
		{"c0 c0", ""},
		{"a1 ff", ""},
		{"c4 02 61", ""},
		{"c6 ffffffff 61", ""},
		{"c9 ffffffff 01 61", ""},
		{"dd ffffffff c0", ""},
		{"df ffffffff c0 c0", ""},
	};
	struct buf b = BUF_INIT, got = BUF_INIT, want = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *again = cases[i].again ? cases[i].again : cases[i].hex;
		bool is_kept = cases[i].hex[0] && again[0];

		buf_clear(&b);
		buf_clear(&got);
		buf_clear(&want);
		add_hex(&b, cases[i].hex);
		add_hex(&want, again);
		assert_int_equal(msgpack_again(&got, b.p, b.len, DEPTH),
				 is_kept ? 0 : -ERR_INVAL);
		if (!str_eq(buf_str(&got), buf_str(&want)))
			fail_msg("%s came back as something else", cases[i].hex);
	}
	buf_done(&b);
	buf_done(&got);
	buf_done(&want);
}

/* A binary frame meets the operations' own rules. */
static void test_native_frame(void **state)
{
	static const struct cmd_limits limits = {
		.depth_max = 16, .name_max = 10, .desc_max = 20, .message_max = 12, .batch_max = 2};
	struct json_doc *doc;
	struct buf b = BUF_INIT;
	struct fault f;
	struct cmd c;

	(void)state;
	/* {"op":"send","id":3,"c":42,"k":"n","content":"hi"} */
	add_hex(&b, "85 a26f70 a473656e64 a26964 03 a163 2a a16b a16e a7636f6e74656e74 a26869");
	assert_int_equal(native_parse_msgpack(buf_str(&b), &limits, &doc, &f), 0);
	assert_int_equal(native_count(doc), 1);
	assert_int_equal(native_cmd(doc, 0, &limits, &c, &f), 0);
	assert_int_equal(c.op, OP_SEND);
	assert_str(((struct str){c.id.text, c.id.len}), "3");
	assert_int_equal(c.conv, 42);
	assert_str(c.key, "n");
	assert_str(c.content, "hi");
	json_doc_free(&doc);
	buf_clear(&b);
	add_hex(&b, "93 80 80 80"); /* more requests than one frame may have */
	assert_int_equal(native_parse_msgpack(buf_str(&b), &limits, &doc, &f), -ERR_INVAL);
	assert_int_equal(f.error, E_BAD_FRAME);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_from_json),    cmocka_unit_test(test_to_json),
		cmocka_unit_test(test_long_formats), cmocka_unit_test(test_escapes),
		cmocka_unit_test(test_lengths),	     cmocka_unit_test(test_counts),
		cmocka_unit_test(test_from_no_json), cmocka_unit_test(test_depth),
		cmocka_unit_test(test_foreign_types),
		cmocka_unit_test(test_refused),	     cmocka_unit_test(test_reasons),
		cmocka_unit_test(test_again),
		cmocka_unit_test(test_native_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
