/* SPDX-License-Identifier: MIT */
/*
 * Identifiers in their forms (base/ids.c).
 * Their meaning is the database's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/ids.h"

static const int64_t CONV_MAX = INT32_MAX, REV_MAX = UINT32_MAX;

static void test_msgid(void **state)
{
	int64_t conv, rev;

	(void)state;
	assert_int_equal(msgid_of(1, 1), INT64_C(4294967297));
	assert_int_equal(msgid_of(3, 5), INT64_C(3) * 4294967296 + 5);
	assert_int_equal(msgid_of(CONV_MAX, REV_MAX), INT64_MAX);
	assert_int_equal(msgid_split(INT64_C(4294967297), &conv, &rev), 0);
	assert_int_equal(conv, 1);
	assert_int_equal(rev, 1);
	assert_int_equal(msgid_split(INT64_MAX, &conv, &rev), 0);
	assert_int_equal(conv, CONV_MAX);
	assert_int_equal(rev, REV_MAX);
}

static void test_msgid_limits(void **state)
{
	int64_t conv = 7, rev = 7;

	(void)state;
	assert_int_equal(msgid_of(0, 1), 0);
	assert_int_equal(msgid_of(1, 0), 0);
	assert_int_equal(msgid_of(-1, 1), 0);
	assert_int_equal(msgid_of(CONV_MAX + 1, 1), 0);
	assert_int_equal(msgid_of(1, REV_MAX + 1), 0);
	assert_int_equal(msgid_split(0, &conv, &rev), -ERR_INVAL);
	assert_int_equal(msgid_split(5, &conv, &rev), -ERR_INVAL);
	assert_int_equal(msgid_split(INT64_C(1) << 32, &conv, &rev), -ERR_INVAL);
	assert_int_equal(msgid_split(-5, &conv, &rev), -ERR_INVAL);
	assert_int_equal(conv, 7);
	assert_int_equal(rev, 7);
}

static void test_msgid_uuid_is_reversible_and_ordered(void **state)
{
	static const int64_t parts[][2] = {{1, 1},	    {1, 2},	     {1, 0xfffff},
					   {1, 0x100000},   {1, 0xffffffff}, {2, 1},
					   {0x7fffffff, 1}, {0x7fffffff, 0xffffffff}};
	struct uuid last = {0}, u;
	int64_t conv, rev;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		u = msgid_to_uuid(parts[i][0], parts[i][1]);
		assert_int_equal(u.b[6] >> 4, 8); /* RFC 9562 section 4.2 */
		assert_int_equal(u.b[8] >> 6, 2); /* RFC 9562 section 4.1 */
		assert_true(memcmp(last.b, u.b, sizeof(u.b)) < 0);
		assert_int_equal(msgid_from_uuid(&u, &conv, &rev), 0);
		assert_int_equal(conv, parts[i][0]);
		assert_int_equal(rev, parts[i][1]);
		last = u;
	}
}

static void test_other_uuids_are_no_message_ids(void **state)
{
	struct uuid u = msgid_to_uuid(5, 6), other;
	int64_t conv = 7, rev = 7;

	(void)state;
	for (size_t bit = 48; bit < 128; bit++) {
		if (bit >= 52 && bit < 64)
			continue; /* part of rev */
		if (bit >= 66 && bit < 86)
			continue; /* part of rev */
		other = u;
		other.b[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
		assert_int_equal(msgid_from_uuid(&other, &conv, &rev), -ERR_INVAL);
	}
	other = uuid_v7();
	assert_int_equal(msgid_from_uuid(&other, &conv, &rev), -ERR_INVAL);
	other = (struct uuid){0};
	assert_int_equal(msgid_from_uuid(&other, &conv, &rev), -ERR_INVAL);
	assert_int_equal(conv, 7);
}

static void test_v7_is_monotonic(void **state)
{
	struct uuid last = uuid_v7(), u;

	(void)state;
	for (int i = 0; i < 20000; i++) { /* more than one millisecond's counter holds */
		u = uuid_v7();
		assert_int_equal(u.b[6] >> 4, 7);
		assert_int_equal(u.b[8] >> 6, 2);
		assert_true(memcmp(last.b, u.b, sizeof(u.b)) < 0);
		last = u;
	}
}

/* What is drawn before a fork is not given out on both sides (seen red without its handler). */
static void test_v7_differs_after_a_fork(void **state)
{
	struct uuid mine = uuid_v7(), theirs;
	int fds[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		theirs = uuid_v7();
		_exit(write(fds[1], &theirs, sizeof(theirs)) == sizeof(theirs) ? 0 : 1);
	}
	mine = uuid_v7();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(read(fds[0], &theirs, sizeof(theirs)), sizeof(theirs));
	assert_memory_not_equal(mine.b + 8, theirs.b + 8, 8);
	close(fds[0]);
	close(fds[1]);
}

static void test_hash_is_sha256(void **state)
{
	struct uuid u = uuid_hash("abc", 3), same = uuid_hash("abc", 3), empty = uuid_hash(NULL, 0);
	char text[UUID_TEXT_LEN + 1];

	(void)state;
	/*
	 * FIPS 180-2 appendix B.1: ba7816bf 8f01cfea 414140de 5dae2223, then version 8 and
	 * variant 10
	 */
	uuid_format(&u, text);
	assert_string_equal(text, "ba7816bf-8f01-8fea-8141-40de5dae2223");
	assert_memory_equal(u.b, same.b, sizeof(u.b));
	assert_memory_not_equal(u.b, empty.b, sizeof(u.b));
}

static void test_text_form(void **state)
{
	static const char text[] = "f81d4fae-7dec-11d0-a765-00a0c91e6bf6"; /* RFC 9562 section 4 */
	char upper[] = "F81D4FAE-7DEC-11D0-A765-00A0C91E6BF6", back[UUID_TEXT_LEN + 1];
	struct uuid u, v;

	(void)state;
	assert_int_equal(uuid_parse(str_of(text), &u), 0);
	assert_int_equal(u.b[0], 0xf8);
	assert_int_equal(u.b[15], 0xf6);
	uuid_format(&u, back);
	assert_string_equal(back, text);
	assert_int_equal(uuid_parse(str_of(upper), &v), 0);
	assert_memory_equal(u.b, v.b, sizeof(u.b));
	assert_false(uuid_is_zero(&u));
	assert_true(uuid_is_zero(&(struct uuid){0}));
}

static void test_text_form_refuses(void **state)
{
	static const char *const bad[] = {"",
					  "f81d4fae-7dec-11d0-a765-00a0c91e6bf",
					  "f81d4fae-7dec-11d0-a765-00a0c91e6bf66",
					  "f81d4fae_7dec-11d0-a765-00a0c91e6bf6",
					  "f81d4fae-7dec-11d0-a765-00a0c91e6bfg",
					  "f81d4fae7dec-11d0-a765-00a0c91e6bf6-",
					  "f81d4fa--7dec-11d0-a765-00a0c91e6bf6"};
	struct uuid u = {{9}};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(uuid_parse(str_of(bad[i]), &u), -ERR_INVAL);
	assert_int_equal(u.b[0], 9);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_msgid),
		cmocka_unit_test(test_msgid_limits),
		cmocka_unit_test(test_msgid_uuid_is_reversible_and_ordered),
		cmocka_unit_test(test_other_uuids_are_no_message_ids),
		cmocka_unit_test(test_v7_is_monotonic),
		cmocka_unit_test(test_v7_differs_after_a_fork),
		cmocka_unit_test(test_hash_is_sha256),
		cmocka_unit_test(test_text_form),
		cmocka_unit_test(test_text_form_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
