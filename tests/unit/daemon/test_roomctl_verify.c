/* SPDX-License-Identifier: MIT */
/*
 * roomctl verify: what is asked of sql/, how differences are shown, and the exit codes.
 * The recounts themselves are played here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/err.h"
#include "daemon/roomctl_verify.h"
#include "sql/verify.h"

static const struct verify_row rows[] = {
	{.conv = 7, .user = 3, .problem = {"unread", 6}, .have = 4, .want = 2},
	{.conv = 7, .rev = 12, .problem = {"\"gap\"", 5}, .have = 12, .want = 11},
};
static int asked_unread, asked_log, outcome;
static int64_t found;

int verify_run(const char *url, enum verify_what what, int limit, verify_fn *on_row, void *arg,
	       int64_t *ret_n, struct buf *report)
{
	assert_string_equal(url, "host=nowhere");
	assert_true(limit > 0);
	*(what == VERIFY_LOG ? &asked_log : &asked_unread) += 1;
	if (outcome < 0) {
		buf_add_cstr(report, "connect: refused\n");
		return outcome;
	}
	for (int64_t i = 0; i < found; i++)
		on_row(arg, &rows[i]);
	*ret_n = found;
	return 0;
}

/* Runs the command with what it prints going nowhere. */
static int run(const char *what, bool is_json)
{
	struct roomctl_options o = {.id = ROOMCTL_VERIFY, .argument = what, .is_json = is_json};
	int out = dup(1), err = dup(2), null = open("/dev/null", O_WRONLY), code;

	o.common.file = "/dev/null";
	o.common.assign[o.common.n_assign++] = "database.url=host=nowhere";
	asked_unread = asked_log = 0;
	fflush(stdout);
	dup2(null, 1);
	dup2(null, 2);
	code = roomctl_verify_run(&o);
	fflush(stdout);
	dup2(out, 1);
	dup2(err, 2);
	close(out);
	close(err);
	close(null);
	return code;
}

static void test_the_word_chooses_the_recount(void **state)
{
	(void)state;
	found = 0;
	outcome = 0;
	assert_int_equal(run("unread", false), EX_OK);
	assert_int_equal(asked_unread, 1);
	assert_int_equal(asked_log, 0);
	assert_int_equal(run("log", false), EX_OK);
	assert_int_equal(asked_unread, 0);
	assert_int_equal(asked_log, 1);
	assert_int_equal(run("all", true), EX_OK);
	assert_int_equal(asked_unread + asked_log, 2);
	assert_int_equal(run(NULL, false), EX_OK);
	assert_int_equal(asked_unread + asked_log, 2);
	assert_int_equal(run("lo", false), EX_USAGE);
	assert_int_equal(asked_unread + asked_log, 0);
}

static void test_exit_codes(void **state)
{
	(void)state;
	outcome = 0;
	found = 2;
	assert_int_equal(run("all", false), ROOMCTL_EX_DIFFERENT);
	assert_int_equal(run("all", true), ROOMCTL_EX_DIFFERENT);
	outcome = -ERR_UNAVAILABLE;
	assert_int_equal(run("all", false), EX_UNAVAILABLE);
	assert_int_equal(run("log", true), EX_UNAVAILABLE);
	outcome = -ERR_DB;
	assert_int_equal(run("all", false), EX_SOFTWARE);
}

static void assert_buf(struct buf *b, const char *want)
{
	assert_true(str_eq(buf_str(b), str_of(want)));
	buf_clear(b);
}

static void test_a_difference_is_shown(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	roomctl_verify_add_text(&b, "unread", &rows[0]);
	assert_buf(&b, "unread: conversation 7 user 3: unread, is 4, should be 2\n");
	roomctl_verify_add_text(&b, "log", &rows[1]);
	assert_buf(&b, "log: conversation 7 rev 12: \"gap\", is 12, should be 11\n");
	roomctl_verify_add_json(&b, "unread", &rows[0]);
	roomctl_verify_add_json(&b, "log", &rows[1]);
	assert_buf(&b,
		   "{\"recount\":\"unread\",\"conversation\":7,\"user\":3,\"problem\":\"unread\","
		   "\"is\":4,\"should_be\":2},{\"recount\":\"log\",\"conversation\":7,\"rev\":12,"
		   "\"problem\":\"\\\"gap\\\"\",\"is\":12,\"should_be\":11}");
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_word_chooses_the_recount),
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_a_difference_is_shown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
