/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/pwhash_bcrypt.c, with the vectors of Openwall's crypt_blowfish, and S3-17: what
 * bcrypt would cut off is not cut off silently.
 */
#include "worker_test.h"

#include "worker/pwhash_priv.h"

/* wrapper.c's password of more than 72 bytes, and the 72 that bcrypt sees of it. */
#define LONG_SEEN "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
#define LONG_REST "chars after 72 are ignored"
#define LONG_HASH "$2a$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui"

static const struct {
	const char *hash, *password;
} vectors[] = {
	{"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", "U*U"},
	{"$2a$05$CCCCCCCCCCCCCCCCCCCCC.VGOzA784oUp/Z0DY336zx7pLYAy0lwK", "U*U*"},
	{"$2a$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a", "U*U*U"},
	{"$2a$05$CCCCCCCCCCCCCCCCCCCCC.7uG0VCzI2bS7j6ymqJi9CdcdxiRTWNy", ""},
	{"$2y$05$/OK.fbVrR/bpIqNJ5ianF.Sa7shbm4.OzKpvFnX1pQLmQW96oUlCq", "\xa3"},
	{LONG_HASH, LONG_SEEN},
};

static bool matches(struct str password, const char *hash)
{
	bool is_right = false;

	assert_int_equal(bcrypt_verify(password, str_of(hash), &is_right), 0);
	return is_right;
}

static void test_vectors(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		assert_int_equal(bcrypt_parse(str_of(vectors[i].hash)), 0);
		assert_true(matches(str_of(vectors[i].password), vectors[i].hash));
		assert_false(matches(STR("another"), vectors[i].hash));
	}
}

static void test_s3_17_no_silent_truncation(void **state)
{
	static const struct str with_nul = {"U*U\0more", 8};

	(void)state;
	assert_true(matches(STR(LONG_SEEN), LONG_HASH));
	assert_false(matches(STR(LONG_SEEN LONG_REST), LONG_HASH));
	assert_false(matches(STR(LONG_SEEN "x"), LONG_HASH));
	assert_false(matches(with_nul, vectors[0].hash));
	assert_false(matches((struct str){"U*U", 4}, vectors[0].hash));
}

#define TAIL "$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"

static void test_forms(void **state)
{
	static const char *const bad[] = {
		"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
		"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWW",
		"$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2$$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2a$5a$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2a$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2a$32$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
		"$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe!",
		"$1$05$$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (bcrypt_parse(str_of(bad[i])) != -ERR_INVAL)
			fail_msg("%s", bad[i]);
	assert_int_equal(bcrypt_parse(STR("$2b$15" TAIL)), 0);
	assert_int_equal(bcrypt_parse(STR("$2b$16" TAIL)), -ERR_TOOBIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_s3_17_no_silent_truncation),
		cmocka_unit_test(test_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
