/* SPDX-License-Identifier: MIT */
/* Checks that stamps survive in any surrounding text and that numbers are found in raw JSON.
 * Leaves their meaning to the generator. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "bench/stamp.h"

static const struct stamp sample = {
	.pub = 0x0123abcd, .n = 0xfedc9876, .ns = 0x00112233deadbeefull};
static const char written[] = "~rb~0123abcdfedc987600112233deadbeef";

static void test_write(void **state)
{
	char buf[STAMP_LEN];

	(void)state;
	assert_int_equal(sizeof(written) - 1, STAMP_LEN);
	stamp_write(buf, &sample);
	assert_memory_equal(buf, written, STAMP_LEN);
}

static void assert_sample(const struct stamp *s)
{
	assert_int_equal(s->pub, sample.pub);
	assert_int_equal(s->n, sample.n);
	assert_int_equal(s->ns, sample.ns);
}

/* The guess is right, wrong, or beyond the text: the stamp is found and the guess corrected. */
static void test_find(void **state)
{
	static const uint32_t guesses[] = {0, 3, 12, 13, 5000};
	struct stamp s;
	char text[200];
	size_t end, n;

	(void)state;
	n = (size_t)snprintf(text, sizeof(text), "{\"content\":\"%sxxxx\"}", written);
	for (size_t i = 0; i < sizeof(guesses) / sizeof(guesses[0]); i++) {
		uint32_t guess = guesses[i];

		memset(&s, 0, sizeof(s));
		assert_true(stamp_find(text, n, &guess, &s, &end));
		assert_sample(&s);
		assert_int_equal(guess, 12);
		assert_int_equal(end, 12 + STAMP_LEN);
	}
}

static void test_find_several(void **state)
{
	struct stamp s;
	char text[400];
	uint32_t guess = 0;
	size_t at = 0, end, n;
	unsigned count = 0;

	(void)state;
	n = (size_t)snprintf(text, sizeof(text), "[{\"a\":\"%s\"},{\"a\":\"%s\"},{\"b\":\"%s\"}]",
			     written, written, written);
	while (stamp_find(text + at, n - at, &guess, &s, &end)) {
		assert_sample(&s);
		at += end;
		count++;
	}
	assert_int_equal(count, 3);
}

/* No stamp, or one that is cut off at any point. */
static void test_find_none(void **state)
{
	static const char list[] = "{\"type\":\"users_list\",\"users\":[\"a\",\"b\",\"c\",\"d\"]}";
	struct stamp s;
	uint32_t guess = 0;
	size_t end;

	(void)state;
	assert_false(stamp_find(list, strlen(list), &guess, &s, &end));
	for (size_t n = 0; n < STAMP_LEN; n++)
		assert_false(stamp_find(written, n, &guess, &s, &end));
}

static void test_number(void **state)
{
	const char *text = "{\"op\":\"ok\",\"re\": 417,\"rev\":9}";
	uint64_t v = 0;

	(void)state;
	assert_true(stamp_number(text, strlen(text), "\"re\":", &v));
	assert_int_equal(v, 417);
	assert_true(stamp_number(text, strlen(text), "\"rev\":", &v));
	assert_int_equal(v, 9);
	assert_false(stamp_number(text, strlen(text), "\"seq\":", &v));
	assert_false(stamp_number(text, strlen(text), "\"op\":", &v));
	assert_false(stamp_number(text, 16, "\"re\":", &v));
	assert_true(stamp_has(text, strlen(text), "\"ok\""));
	assert_false(stamp_has(text, 8, "\"ok\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write), cmocka_unit_test(test_find),
		cmocka_unit_test(test_find_several), cmocka_unit_test(test_find_none),
		cmocka_unit_test(test_number),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
