/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/pwhash_argon.c: RFC 9106's vector, and the text of a hash.
 */
#include "worker_test.h"

#include "worker/pwhash_priv.h"

/* RFC 9106 section 5.3 */
static void test_vector(void **state)
{
	static const uint8_t expected[] = {0x0d, 0x64, 0x0d, 0xf5, 0x8d, 0x78, 0x76, 0x6c,
					   0x08, 0xc0, 0x37, 0xa3, 0x4a, 0x8b, 0x53, 0xc9,
					   0xd0, 0x1e, 0xf0, 0x45, 0x2d, 0x75, 0xb6, 0x5e,
					   0xb5, 0x25, 0x20, 0xe9, 0x6b, 0x01, 0xe6, 0x59};
	const struct argon_rule rule = {.memory_kib = 32, .passes = 3, .lanes = 4};
	char password[32], salt[16], secret[8], data[12];
	uint8_t tag[sizeof(expected)];
	const struct argon_input in = {{password, sizeof(password)},
				       {salt, sizeof(salt)},
				       {secret, sizeof(secret)},
				       {data, sizeof(data)}};

	(void)state;
	memset(password, 1, sizeof(password));
	memset(salt, 2, sizeof(salt));
	memset(secret, 3, sizeof(secret));
	memset(data, 4, sizeof(data));
	assert_int_equal(argon_hash(&rule, &in, tag, sizeof(tag)), 0);
	assert_memory_equal(tag, expected, sizeof(expected));
}

/* The reference implementation's own: test.c, version 0x13, Argon2id. */
#define REFERENCE                                                                                  \
	"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ"                                                 \
	"$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"

static void test_text(void **state)
{
	uint8_t tag[ARGON_PART_MAX];
	struct argon_input in = {.password = STR("password")};
	struct buf b = BUF_INIT;
	struct phc phc;

	(void)state;
	assert_int_equal(phc_parse(STR(REFERENCE), &phc), 0);
	assert_int_equal(phc.kind, PHC_ARGON2ID);
	assert_int_equal(phc.rule.memory_kib, 256);
	assert_int_equal(phc.rule.passes, 2);
	assert_int_equal(phc.rule.lanes, 1);
	assert_int_equal(phc.tag_len, 32);
	in.salt = (struct str){(char *)phc.salt, phc.salt_len};
	assert_text(in.salt, "somesalt");
	assert_int_equal(argon_hash(&phc.rule, &in, tag, phc.tag_len), 0);
	assert_memory_equal(tag, phc.tag, phc.tag_len);
	phc_format(&phc, &b);
	assert_buffer(&b, REFERENCE);
}

static void test_bad_texts(void **state)
{
	static const char *const bad[] = {
		"",
		"$",
		"password",
		"$argon2i$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu",
		"$argon2id$v=16$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu",
		"$argon2id$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu",
		"$argon2id$v=19$t=2,m=256,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu",
		"$argon2id$v=19$m=256,t=2$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu",
		"$argon2id$v=19$m=256,t=2,p=1,x=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu",
		"$argon2id$v=19$m=0,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu",
		"$argon2id$v=19$m=256,t=0,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu",
		"$argon2id$v=19$m=-256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu",
		"$argon2id$v=19$m=7,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu",
		"$argon2id$v=19$m=31,t=2,p=4$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu",
		"$argon2id$v=19$m=4294967296,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7",
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhb$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu",
		"$argon2id$v=19$m=256,t=2,p=1$c29tZQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu",
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$",
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ",
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR_uIPnA4rEsF5h7TKyQwu",
		"$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4r$sF5h7TKyQwu",
	};
	struct phc phc;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (phc_parse(str_of(bad[i]), &phc) != -ERR_INVAL)
			fail_msg("%s", bad[i]);
}

static void test_too_much_work(void **state)
{
	struct phc phc;

	(void)state;
	assert_int_equal(phc_parse(STR("$argon2id$v=19$m=256,t=65,p=1$c29tZXNhbHQ"
				       "$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu"),
				   &phc),
			 -ERR_TOOBIG);
	assert_int_equal(phc_parse(STR("$argon2id$v=19$m=256,t=2,p=17$c29tZXNhbHQ"
				       "$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu"),
				   &phc),
			 -ERR_TOOBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vector),
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_bad_texts),
		cmocka_unit_test(test_too_much_work),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
