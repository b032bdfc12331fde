/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/names.c: which names are taken and the form in which they are kept.
 * Expected values come from the Unicode standard: NormalizationTest.txt, UAX 15, categories.
 */
#include "proto_test.h"

#include "proto/json.h"
#include "proto/names.h"

#define MAX_CHARS 10

/* WANT NULL: refused with ERR. */
static void check(const char *in, const char *want, int err)
{
	struct buf b = BUF_INIT;

	buf_add_char(&b, '>');
	assert_int_equal(names_normal(str_of(in), MAX_CHARS, &b), want ? 0 : err);
	assert_int_equal(b.p[0], '>');
	assert_str(((struct str){(const char *)b.p + 1, b.len - 1}), want ? want : "");
	buf_done(&b);
}

static void test_ordinary_names(void **state)
{
	static const char *const same[] = {
	    "Alice", "O'Neil", "\xc3\x89lodie", "\xe5\xbc\xa0\xe4\xbc\x9f",
	    "\xd7\x93\xd7\x95\xd7\x93",
	    "\xd9\x81\xd8\xa7\xd8\xb7\xd9\x85\xd8\xa9",
	    "\xe0\xa4\x85\xe0\xa4\xae\xe0\xa4\xbf\xe0\xa4\xa4",
	    "\xed\x99\x8d\xea\xb8\xb8\xeb\x8f\x99", "<b>x</b>", "a  b", "x\xf0\x9f\x98\x80",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		check(same[i], same[i], 0);
}

/* Rows of NormalizationTest.txt: source (column 1) and its composition (column 2). */
static void test_composition(void **state)
{
	(void)state;
	check("e\xcc\x81", "\xc3\xa9", 0);
	check("A\xcc\x8angstrom", "\xc3\x85ngstrom", 0);
	check("\xe2\x84\xab", "\xc3\x85", 0);		       /* ANGSTROM SIGN */
	check("\xe1\xb8\x8a\xcc\xa3", "\xe1\xb8\x8c\xcc\x87", 0); /* 1E0A 0323 -> 1E0C 0307 */
	check("\xe1\x84\x80\xe1\x85\xa1\xe1\x86\xa8", "\xea\xb0\x81", 0); /* Hangul LVT */
	check("\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc", 0); /* a composition exclusion */
	check("\xef\xac\x81", "\xef\xac\x81", 0); /* the ligature fi: only compatible */
}

static void test_ends(void **state)
{
	(void)state;
	check(" \t\xc2\xa0" "e\xcc\x81\xe3\x80\x80\xe2\x80\x8b", "\xc3\xa9", 0);
	check("", NULL, -ERR_NOENT);
	check(" \xe2\x80\x8b\xe2\x80\x8d\xef\xbb\xbf ", NULL, -ERR_NOENT);
	check("\xe3\x85\xa4", NULL, -ERR_NOENT);
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
	    "a\x01", "a\x7f", "a\xc2\x9f", "a\nb",
	    "a\xe2\x80\xae" "b",   /* right-to-left override */
	    "a\xe2\x80\xaa" "b",   /* left-to-right embedding */
	    "a\xe2\x81\xa7" "b",   /* right-to-left isolate */
	    "a\xe2\x80\x8f" "b",   /* right-to-left mark */
	    "a\xd8\x9c" "b",	   /* Arabic letter mark */
	    "a\xef\xbf\xbe", "a\xef\xb7\x90", /* noncharacters */
	    "a\xee\x80\x80",	   /* private use */
	    "a\xf4\x80\x80\x80",   /* private use, plane 16 */
	    "a\xcd\xb8",	   /* U+0378, unassigned */
	    "a\xf0\xaf\xa8\xa0",   /* U+2FA20, unassigned */
	    "\xcc\x81" "a",	   /* begins with a combining mark */
	    "a\xff", "a\xed\xa0\x80",
	};
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check(bad[i], NULL, -ERR_INVAL);
	assert_int_equal(names_normal(STR("a\0b"), MAX_CHARS, &b), -ERR_INVAL);
}

/* Families, flags and keycaps, and pictographs that the library is too old to know. */
static void test_emoji(void **state)
{
	static const char *const same[] = {
	    "\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7", "\xf0\x9f\x87\xa9\xf0\x9f\x87\xaa",
	    "1\xef\xb8\x8f\xe2\x83\xa3", "\xf0\x9f\xab\xa8", "\xf0\x9f\xab\xbf",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		check(same[i], same[i], 0);
}

/* RFC 5892 appendix A.1 and A.2, UTS 51, UTS 37: where readers see what invisible ones do. */
static void test_invisible_ones(void **state)
{
	static const char *const same[] = {
		"\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8d\xe0\xa4\xb7", /* ka virama ZWJ ssa */
		"\xe0\xa4\x95\xe0\xa5\x8d\xe2\x80\x8c\xe0\xa4\xb7", /* with ZWNJ */
		"\xd9\x85\xdb\x8c\xe2\x80\x8c\xd8\xae",		/* meem yeh ZWNJ khah */
		"\xe2\x9d\xa4\xef\xb8\x8f\xe2\x80\x8d\xf0\x9f\x94\xa5", /* heart on fire */
		"\xf0\x9f\x8f\xb4\xf3\xa0\x81\xa7\xf3\xa0\x81\xbf", /* a flag with tags */
		"\xe8\x91\x9b\xf3\xa0\x84\x80",			/* U+845B VS17 */
		"\xe2\xa0\x93\xe2\xa0\x80\xe2\xa0\x8a",		/* Braille, two words */
	};
	static const char *const bad[] = {
		"an\xe2\x80\x8bn", "an\xe2\x80\x8cn", "an\xe2\x80\x8dn", "an\xe2\x81\xa0n",
		"an\xc2\xadn", "an\xef\xbb\xbfn", "an\xcd\x8fn", "an\xe3\x85\xa4n",
		"an\xef\xbe\xa0n", "an\xef\xb8\x8fn", "an\xf3\xa0\x81\xa7n",
		"an\xf3\xa0\x84\x80n", "an\xe1\xa0\x8en", "an\xe2\x81\xa4n",
		"\xd8\xa7\xe2\x80\x8c\xd8\xa7", /* alef does not join to the left */
		"\xd9\x85\xe2\x80\x8d\xd9\x85",
		"\xf0\x9f\x98\x80\xe2\x80\x8d" "a",
		"an\xe2\xa0\x80n", "Ann \xe2\xa0\x80", "\xe2\xa0\x93\xe2\xa0\x80",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(same); i++)
		check(same[i], same[i], 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		check(bad[i], NULL, -ERR_INVAL);
}

static void test_skeletons(void **state)
{
	static const char *const pairs[][2] = {
		{"ann", "an\xe2\x80\x8bn"}, {"Ann", "aNN"}, {"ann", "\xef\xbd\x81nn"},
		{"stra\xc3\x9f" "e", "STRASSE"}, {"\xe2\x9d\xa4", "\xe2\x9d\xa4\xef\xb8\x8f"},
		{"\xcf\x83\xcf\x8c\xcf\x82", "\xce\xa3\xce\x8c\xce\xa3"}, {"", "\xe2\x80\x8b"},
		{"Ann Lee", "ann  lee"}, {"Ann Lee", "Ann \xc2\xa0\xe2\x80\x83lee"},
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		assert_true(names_same(str_of(pairs[i][0]), str_of(pairs[i][1])));
	assert_false(names_same(STR("ann"), STR("anna")));
	assert_false(names_same(STR("ann"), STR("")));
	assert_false(names_same(STR("ann lee"), STR("annlee")));
}

static void test_lines(void **state)
{
	(void)state;
	assert_true(names_is_line(STR("Ada L. \xd7\x93"), false));
	assert_true(names_is_line(STR("a\tb\r\nc"), true));
	assert_false(names_is_line(STR("a\nb"), false));
	for (int may = 0; may < 2; may++) {
		assert_false(names_is_line(STR("a\xe2\x80\xae" "b"), may));
		assert_false(names_is_line(STR("a\xe2\x81\xa6" "b"), may));
		assert_false(names_is_line(STR("a\xe2\x80\x8f" "b"), may));
		assert_int_equal(names_is_line(STR("a\xe2\x80\xa8" "b"), may), may);
		assert_false(names_is_line(STR("a\x01" "b"), may));
	}
}

/* Ten characters of up to four code points each fit: they are counted when they are composed. */
static void test_length_is_counted_after_composing(void **state)
{
	struct buf in = BUF_INIT, want = BUF_INIT;

	(void)state;
	for (int i = 0; i < MAX_CHARS; i++) {
		/* 1F82: alpha, psili, varia, ypogegrammeni */
		buf_add_cstr(&in, "\xce\xb1\xcc\x93\xcc\x80\xcd\x85");
		buf_add_cstr(&want, "\xe1\xbe\x82");
	}
	buf_add_char(&in, '\0');
	buf_add_char(&want, '\0');
	check((const char *)in.p, (const char *)want.p, 0);
	in.p[in.len - 1] = 'a';
	buf_add_char(&in, '\0');
	check((const char *)in.p, NULL, -ERR_TOOBIG);
	check("abcdefghijk", NULL, -ERR_TOOBIG);
	check("                    abcdefghij                      ", "abcdefghij", 0);
	/* FB2C is one code point and becomes three */
	check("12345678\xef\xac\xac", NULL, -ERR_TOOBIG);
	buf_done(&in);
	buf_done(&want);
}

static int get(const char *json, bool required, struct str *ret, struct fault *fault,
	       struct json_doc **doc)
{
	assert_int_equal(json_parse(str_of(json), 4, doc, NULL), 0);
	return names_get(json_root(*doc), "name", MAX_CHARS, required, ret, fault);
}

static void test_get(void **state)
{
	struct str name = STR("untouched");
	struct json_doc *doc;
	struct fault fault;

	(void)state;
	assert_int_equal(get("{\"name\":\" e\\u0301 \"}", true, &name, &fault, &doc), 0);
	assert_str(name, "\xc3\xa9");
	json_doc_free(&doc);
	name = STR("untouched");
	assert_int_equal(get("{\"name\":null}", false, &name, &fault, &doc), -ERR_NOENT);
	json_doc_free(&doc);
	assert_int_equal(get("{}", true, &name, &fault, &doc), -ERR_INVAL);
	assert_int_equal(fault.error, E_INVALID);
	assert_int_equal(fault.kind, FAULT_MISSING);
	json_doc_free(&doc);
	assert_int_equal(get("{\"name\":7}", true, &name, &fault, &doc), -ERR_INVAL);
	assert_int_equal(fault.kind, FAULT_TYPE);
	json_doc_free(&doc);
	assert_int_equal(get("{\"name\":\" \"}", false, &name, &fault, &doc), -ERR_INVAL);
	assert_int_equal(fault.error, E_BAD_NAME);
	assert_int_equal(fault.kind, FAULT_TOO_SHORT);
	json_doc_free(&doc);
	assert_int_equal(get("{\"name\":\"a\\u202eb\"}", true, &name, &fault, &doc), -ERR_INVAL);
	assert_int_equal(fault.error, E_BAD_NAME);
	assert_int_equal(fault.kind, FAULT_VALUE);
	json_doc_free(&doc);
	assert_int_equal(get("{\"name\":\"abcdefghijk\"}", true, &name, &fault, &doc), -ERR_INVAL);
	assert_int_equal(fault.kind, FAULT_TOO_LONG);
	assert_int_equal(fault.bound, MAX_CHARS);
	json_doc_free(&doc);
	assert_str(name, "untouched");
}

static void check_fold(uint32_t cp, size_t n, uint32_t first, uint32_t last)
{
	uint32_t ret[NAMES_FOLD_MAX];

	assert_int_equal(names_fold(cp, ret), n);
	if (n) {
		assert_int_equal(ret[0], first);
		assert_int_equal(ret[n - 1], last);
	}
}

/* UnicodeData.txt: decompositions and simple lower case. */
static void test_fold(void **state)
{
	(void)state;
	check_fold('A', 1, 'a', 'a');
	check_fold('-', 1, '-', '-');
	check_fold(0xc9, 2, 'e', 0x301);
	check_fold(0x1f82, 4, 0x3b1, 0x345);
	check_fold(0xff33, 1, 's', 's');     /* FULLWIDTH S */
	check_fold(0x1d412, 1, 's', 's');    /* MATHEMATICAL BOLD S */
	check_fold(0xfb01, 2, 'f', 'i');     /* LIGATURE FI */
	check_fold(0xac01, 3, 0x1100, 0x11a8); /* HANGUL GAG */
	check_fold(0x41c, 1, 0x43c, 0x43c);
	check_fold(0xfdfa, 18, 0x635, 0x645);
	check_fold(0x200b, 0, 0, 0);
	check_fold(0xad, 0, 0, 0);
	check_fold(0xfe0f, 0, 0, 0);
	assert_true(names_is_word('z') && names_is_word(0x301) && names_is_word(0x4e2d));
	assert_false(names_is_word('_') || names_is_word(' ') || names_is_word(0x1f600));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ordinary_names),
	    cmocka_unit_test(test_composition),
	    cmocka_unit_test(test_ends),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_emoji),
	    cmocka_unit_test(test_invisible_ones),
	    cmocka_unit_test(test_skeletons),
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_length_is_counted_after_composing),
	    cmocka_unit_test(test_get),
	    cmocka_unit_test(test_fold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
