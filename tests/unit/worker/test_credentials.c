/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/credentials.c: which addresses may stand in the header of a mail.
 */
#include "worker_test.h"

#include "worker/credentials.h"

static void check_addresses(const char *const *texts, bool is_valid)
{
	for (; *texts; texts++) {
		if (credentials_email_valid(str_of(*texts)) != is_valid)
			fail_msg("%s", *texts);
	}
}

static void test_addresses(void **state)
{
	/* RFC 5322 section 3.4.1 dot-atoms, RFC 6531 section 3.3 */
	static const char *const good[] = {"a@b",
					   "ada.lovelace@example.org",
					   "ada+chat@mail.example.org",
					   "o'neil@example.org",
					   "!#$%&*/=?^_`{|}~@example.org",
					   "jos\xc3\xa9@ex\xc3\xa4mple.org",
					   "x@127.0.0.1",
					   NULL};
	static const char *const bad[] = {"@",
					  "a@",
					  "@b",
					  "nobody",
					  "a@b@c",
					  "a b@c",
					  "a@b c",
					  "a@b,c@d",
					  "a@b;c",
					  "<a@b>",
					  "a@b>",
					  "\"a\"@b",
					  "a(x)@b",
					  "a\\@b",
					  "a:b@c",
					  "a@[::1]",
					  ".a@b",
					  "a.@b",
					  "a..a@b",
					  "a@b..c",
					  "a@.b",
					  "a@b.",
					  "-a@b",
					  "a@b_c",
					  "a@b\nBcc: c@d",
					  "a\r@b",
					  "a\t@b",
					  "a@b\x7f",
					  "a\xc2\x85@b",
					  "a\xe2\x80\xa8@b",
					  "a\xc2\xa0@b",
					  NULL};

	(void)state;
	check_addresses(good, true);
	check_addresses(bad, false);
	assert_false(credentials_email_valid((struct str){"a@b\0c", 5}));
	assert_false(credentials_email_valid(STR("")));
}

static void test_lengths(void **state)
{
	char text[EMAIL_MAX + 8];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[64] = '@';
	assert_true(credentials_email_valid((struct str){text, EMAIL_MAX}));
	assert_false(credentials_email_valid((struct str){text, EMAIL_MAX + 1}));
	text[64] = 'a';
	text[65] = '@';
	assert_false(credentials_email_valid((struct str){text, 100}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_addresses),
	    cmocka_unit_test(test_lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
