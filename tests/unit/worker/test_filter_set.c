/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/filter_set.c and filter_pattern.c: what words, expressions and links find, what
 * is hidden, and that no text costs more than its limits.
 */
#include "worker_test.h"

#include "base/clock.h"
#include "worker/filter_set.h"

static struct filter_limits limits = {
    .match_max = 20000, .depth_max = 1024, .until_ns = UINT64_MAX, .use_jit = true};

static void put(struct filter_set *set, int64_t id, enum filter_kind kind,
		enum filter_action action, const char *pattern)
{
	const struct filter_rule rule = {.id = id,
					 .kind = kind,
					 .action = action,
					 .pattern = str_of(pattern),
					 .reason = STR("why")};

	filter_set_put(set, &rule);
}

/* What a rule that hides leaves of TEXT; with and without just-in-time code. */
static void check(enum filter_kind kind, const char *pattern, const char *text, const char *want)
{
	for (int jit = 0; jit < 2; jit++) {
		struct filter_set *set = filter_set_new();
		struct filter_finding f = {0};
		struct buf b = BUF_INIT;

		limits.use_jit = jit;
		put(set, 1, kind, FILTER_MASK, pattern);
		filter_set_apply(set, &limits, str_of(text), &f);
		assert_null(f.undecided);
		if (f.mask)
			filter_mask_add(&b, str_of(text), f.mask);
		else
			buf_add_cstr(&b, text);
		buf_add_char(&b, '\0');
		assert_string_equal(b.p, want);
		buf_done(&b);
		filter_finding_done(&f);
		filter_set_free(&set);
	}
}

static void test_words(void **state)
{
	(void)state;
	check(FILTER_WORD, "spam", "spam", "****");
	check(FILTER_WORD, "spam", "no Spam, SPAM!", "no ****, ****!");
	check(FILTER_WORD, "spam", "spammer antispam spam1", "spammer antispam spam1");
	check(FILTER_WORD, "spam", "(spam) spam. _spam_", "(****) ****. _****_");
	check(FILTER_WORD, "spam*", "spammer antispam", "****mer antispam");
}

/* '*' opens an end: only what is written is hidden. */
static void test_open_words(void **state)
{
	(void)state;
	check(FILTER_WORD, "*spam*", "antispammer", "anti****mer");
	check(FILTER_WORD, "*spam", "antispam spammer", "anti**** spammer");
	check(FILTER_WORD, "buy now", "BUY  \t now!", "**********!");
}

static void test_scripts(void **state)
{
	(void)state;
	check(FILTER_WORD, "\xd0\xbc\xd0\xb0\xd1\x82", "\xd0\x9c\xd0\x90\xd0\xa2 x", "*** x");
	check(FILTER_WORD, "\xd0\xbc\xd0\xb0\xd1\x82", "\xd1\x82\xd0\xbe\xd0\xbc\xd0\xb0\xd1\x82",
	      "\xd1\x82\xd0\xbe\xd0\xbc\xd0\xb0\xd1\x82");
	/* no blanks between words there */
	check(FILTER_WORD, "\xe5\xb9\xbf\xe5\x91\x8a",
	      "\xe8\xbf\x99\xe6\x98\xaf\xe5\xb9\xbf\xe5\x91\x8a\xe5\x90\x97",
	      "\xe8\xbf\x99\xe6\x98\xaf**\xe5\x90\x97");
}

/* Both spellings, and characters that nobody sees. */
static void test_disguises(void **state)
{
	(void)state;
	check(FILTER_WORD, "caf\xc3\xa9", "cafe\xcc\x81!", "*****!");
	check(FILTER_WORD, "cafe\xcc\x81", "CAF\xc3\x89!", "****!");
	check(FILTER_WORD, "cafe", "caf\xc3\xa9", "caf\xc3\xa9");
	check(FILTER_WORD, "spam", "s\xe2\x80\x8bp\xc2\xad" "a\xef\xbb\xbfm", "*******");
	check(FILTER_WORD, "spam", "s p a m", "s p a m");
	check(FILTER_WORD, "spam", "\xef\xbd\x93\xef\xbd\x90\xef\xbd\x81\xef\xbd\x8d!", "****!");
	check(FILTER_WORD, "fish", "\xef\xac\x81sh", "***");
}

/* What is syntax elsewhere is a character here. */
static void test_words_are_no_syntax(void **state)
{
	(void)state;
	check(FILTER_WORD, "a.c", "abc a.c", "abc ***");
	check(FILTER_WORD, "c++", "c++ ccc", "*** ccc");
	check(FILTER_WORD, "(?i)x", "x (?i)x", "x *****");
	check(FILTER_WORD, "a|b", "a b a|b", "a b ***");
}

static void test_expressions(void **state)
{
	(void)state;
	check(FILTER_REGEX, "\\d{3}-\\d{4}", "call 555-1234 now", "call ******** now");
	check(FILTER_REGEX, "(?-i:secret)", "Secret secret", "Secret ******");
	check(FILTER_REGEX, "\\p{Greek}+", "a \xce\xb1\xce\xb2\xce\xb3", "a ***");
	check(FILTER_REGEX, "x*", "axxb", "a**b"); /* nothing is nowhere found */
	check(FILTER_REGEX, "(a)|b", "cabc", "c**c");
}

static void test_links(void **state)
{
	(void)state;
	check(FILTER_LINK, "evil.test", "see https://evil.test/a?b#c ok",
	      "see *********************** ok");
	check(FILTER_LINK, "evil.test", "evil.test", "*********");
	check(FILTER_LINK, "*.evil.test", "http://a.b.EVIL.test:80/ x",
	      "************************ x");
	check(FILTER_LINK, "evil.test", "notevil.test evil.test.org evil.tests a-evil.test",
	      "notevil.test evil.test.org evil.tests a-evil.test");
	check(FILTER_LINK, "evil.test", "http://user@evil.test. End", "*********************. End");
	check(FILTER_LINK, "*", "go to www.x.org or ftp://y z.io/q, not 1/2 or e.g.",
	      "go to ********* or ******* ******* not 1/2 or e.g.");
}

static void test_patterns_that_cannot_be(void **state)
{
	static const struct {
		enum filter_kind kind;
		const char *pattern;
	} bad[] = {
	    {FILTER_WORD, "*"},	      {FILTER_WORD, " "},	 {FILTER_WORD, "\xe2\x80\x8b"},
	    {FILTER_WORD, "**"},
	    {FILTER_REGEX, "("},      {FILTER_REGEX, "a{2,1}"},	 {FILTER_REGEX, "\\C"},
	    {FILTER_REGEX, "(?<=a+)b"},
	    {FILTER_LINK, "a b"},     {FILTER_LINK, "http://x"}, {FILTER_LINK, "a..b"},
	    {FILTER_LINK, "x."},      {FILTER_LINK, ".x"},	 {FILTER_LINK, "*.*"},
	};
	char why[128];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		why[0] = '\0';
		if (filter_pattern_check(bad[i].kind, str_of(bad[i].pattern), why, sizeof(why)) !=
		    -ERR_INVAL)
			fail_msg("taken: %s", bad[i].pattern);
		assert_true(why[0]);
	}
	assert_int_equal(filter_pattern_check(FILTER_WORD, STR("x"), why, sizeof(why)), 0);
}

static void test_the_rule_that_blocks_is_named(void **state)
{
	struct filter_set *set = filter_set_new();
	struct filter_finding f = {0};
	char word[32];

	(void)state;
	for (int i = 0; i < 200; i++) {
		snprintf(word, sizeof(word), "word%d", i);
		put(set, 1000 + i, FILTER_WORD, FILTER_BLOCK, word);
	}
	put(set, 1, FILTER_WORD, FILTER_FLAG, "odd");
	put(set, 2, FILTER_WORD, FILTER_MASK, "odd");
	for (int i = 0; i < 200; i++) {
		snprintf(word, sizeof(word), "a word%d b", i);
		filter_set_apply(set, &limits, str_of(word), &f);
		assert_non_null(f.block);
		assert_int_equal(f.block->id, 1000 + i);
		filter_finding_done(&f);
	}
	filter_set_apply(set, &limits, STR("odd word"), &f);
	assert_null(f.block);
	assert_int_equal(f.flag->id, 1);
	assert_non_null(f.mask);
	filter_finding_done(&f);
	filter_set_del(set, 1);
	filter_set_del(set, 2);
	put(set, 1000, FILTER_WORD, FILTER_BLOCK, "other"); /* in the place of word0 */
	assert_int_equal(filter_set_count(set), 200);
	filter_set_apply(set, &limits, STR("odd word0"), &f);
	assert_null(f.block);
	assert_null(f.flag);
	assert_null(f.mask);
	filter_set_free(&set);
}

/* A rule that is no expression takes no other down. */
static void test_a_broken_rule_is_left_out(void **state)
{
	struct filter_set *set = filter_set_new();
	struct filter_finding f = {0};

	(void)state;
	put(set, 1, FILTER_REGEX, FILTER_BLOCK, "(");
	put(set, 2, FILTER_WORD, FILTER_BLOCK, "*");
	put(set, 3, FILTER_WORD, FILTER_BLOCK, "bad");
	filter_set_apply(set, &limits, STR("bad"), &f);
	assert_int_equal(f.block->id, 3);
	filter_set_free(&set);
}

/* Expressions whose search takes exponential time, or much memory. */
static void test_limits(void **state)
{
	static const char *const slow[] = {"(a+)+$", "(a|aa)+$", "(.+)+[0-9]", "^(a|a?)+$"};
	char text[3000];

	(void)state;
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '!';
	for (size_t i = 0; i < 2 * ARRAY_LEN(slow); i++) {
		struct filter_set *set = filter_set_new();
		struct filter_finding f = {0};
		uint64_t begin = clock_mono_ns();

		limits.use_jit = i % 2;
		put(set, 7, FILTER_REGEX, FILTER_BLOCK, slow[i / 2]);
		filter_set_apply(set, &limits, (struct str){text, sizeof(text)}, &f);
		assert_null(f.block);
		assert_non_null(f.undecided);
		assert_int_equal(f.undecided->id, 7);
		print_message("%s: %.3f ms\n", slow[i / 2],
			      (double)(clock_mono_ns() - begin) / 1e6);
		assert_true(clock_mono_ns() - begin < UINT64_C(1000000000));
		filter_set_free(&set);
	}
}

/* When the time is over nothing is searched any more; short texts cost none. */
static void test_time(void **state)
{
	struct filter_set *set = filter_set_new();
	struct filter_limits late = limits;
	struct filter_finding f = {0};
	char text[20000];

	(void)state;
	late.until_ns = 0;
	put(set, 7, FILTER_REGEX, FILTER_BLOCK, "bad");
	filter_set_apply(set, &late, STR("bad"), &f);
	assert_null(f.block);
	assert_int_equal(f.undecided->id, 7);
	filter_set_del(set, 7);
	put(set, 8, FILTER_WORD, FILTER_BLOCK, "bad");
	filter_set_apply(set, &late, STR("bad"), &f);
	assert_int_equal(f.block->id, 8);
	f = (struct filter_finding){0};
	memset(text, '-', sizeof(text));
	memcpy(text + sizeof(text) - 4, " bad", 4);
	filter_set_apply(set, &late, (struct str){text, sizeof(text)}, &f);
	assert_null(f.block);
	assert_int_equal(f.undecided->id, 8);
	filter_set_apply(set, &limits, (struct str){text, sizeof(text)}, &f);
	assert_int_equal(f.block->id, 8);
	filter_set_free(&set);
}

static void test_names(void **state)
{
	enum filter_kind kind;
	enum filter_action action;

	(void)state;
	assert_int_equal(filter_kind_parse(STR("link"), &kind), 0);
	assert_int_equal(kind, FILTER_LINK);
	assert_int_equal(filter_kind_parse(STR("lin"), &kind), -ERR_INVAL);
	assert_int_equal(filter_action_parse(STR("flag"), &action), 0);
	assert_int_equal(action, FILTER_FLAG);
	assert_int_equal(filter_action_parse(STR(""), &action), -ERR_INVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_open_words),
	    cmocka_unit_test(test_scripts),
	    cmocka_unit_test(test_disguises),
	    cmocka_unit_test(test_words_are_no_syntax),
	    cmocka_unit_test(test_expressions),
	    cmocka_unit_test(test_links),
	    cmocka_unit_test(test_patterns_that_cannot_be),
	    cmocka_unit_test(test_the_rule_that_blocks_is_named),
	    cmocka_unit_test(test_a_broken_rule_is_left_out),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_time),
	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
