/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/totp.c, with the vectors of RFC 4226 appendix D and RFC 6238 appendix B.
 */
#include "worker_test.h"

#include "worker/totp_priv.h"

#define SEED "12345678901234567890"

static void test_hotp(void **state)
{
	static const char *const codes[] = {"755224", "287082", "359152", "969429", "338314",
					    "254676", "287922", "162583", "399871", "520489"};
	static const struct totp_rule rule = {"SHA1", 6};
	char code[TOTP_DIGITS_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		assert_int_equal(totp_code(&rule, STR(SEED), (int64_t)i, code), 0);
		assert_string_equal(code, codes[i]);
	}
}

static void test_totp(void **state)
{
	static const struct {
		int64_t time_s;
		const char *sha1, *sha256, *sha512;
	} v[] = {
		{59, "94287082", "46119246", "90693936"},
		{1111111109, "07081804", "68084774", "25091201"},
		{1111111111, "14050471", "67062674", "99943326"},
		{1234567890, "89005924", "91819424", "93441116"},
		{2000000000, "69279037", "90698825", "38618901"},
		{20000000000, "65353130", "77737706", "47863826"},
	};
	static const struct totp_rule sha1 = {"SHA1", 8}, sha256 = {"SHA256", 8},
				      sha512 = {"SHA512", 8};
	const struct str seed32 = STR(SEED "123456789012"),
			 seed64 = STR(SEED SEED SEED "1234");
	char code[TOTP_DIGITS_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(v); i++) {
		int64_t counter = v[i].time_s / TOTP_STEP_S;

		assert_int_equal(totp_code(&sha1, STR(SEED), counter, code), 0);
		assert_string_equal(code, v[i].sha1);
		assert_int_equal(totp_code(&sha256, seed32, counter, code), 0);
		assert_string_equal(code, v[i].sha256);
		assert_int_equal(totp_code(&sha512, seed64, counter, code), 0);
		assert_string_equal(code, v[i].sha512);
	}
}

/* RFC 4226's codes are those of the first steps after 1970. */
static void test_window(void **state)
{
	const int64_t now_ms = 5 * TOTP_STEP_S * 1000ll + 7000;
	int64_t counter = -1;

	(void)state;
	assert_int_equal(totp_check(STR(SEED), STR("254676"), now_ms, 0, &counter), 0);
	assert_int_equal(counter, 5);
	assert_int_equal(totp_check(STR(SEED), STR("338314"), now_ms, 0, &counter), 0);
	assert_int_equal(counter, 4);
	assert_int_equal(totp_check(STR(SEED), STR("287922"), now_ms, 0, &counter), 0);
	assert_int_equal(counter, 6);
	assert_int_equal(totp_check(STR(SEED), STR("969429"), now_ms, 0, &counter), -ERR_DENIED);
	assert_int_equal(totp_check(STR(SEED), STR("162583"), now_ms, 0, &counter), -ERR_DENIED);
	assert_int_equal(counter, 6);
}

static void test_a_code_counts_once(void **state)
{
	const int64_t now_ms = 5 * TOTP_STEP_S * 1000ll;
	int64_t counter;

	(void)state;
	assert_int_equal(totp_check(STR(SEED), STR("254676"), now_ms, 4, &counter), 0);
	assert_int_equal(totp_check(STR(SEED), STR("254676"), now_ms, counter, &counter),
			 -ERR_DENIED);
	/* nor an earlier one after it, but the next one does */
	assert_int_equal(totp_check(STR(SEED), STR("338314"), now_ms, counter, &counter),
			 -ERR_DENIED);
	assert_int_equal(totp_check(STR(SEED), STR("287922"), now_ms, counter, &counter), 0);
	assert_int_equal(counter, 6);
}

static void test_what_is_typed(void **state)
{
	static const char *const bad[] = {"",	     "25467",   "2546760", "0254676",
					  "-25467", "25467a", "254 67",	 "０254676"};
	const int64_t now_ms = 5 * TOTP_STEP_S * 1000ll;
	int64_t counter;

	(void)state;
	assert_int_equal(totp_check(STR(SEED), STR(" 254 676 "), now_ms, 0, &counter), 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(totp_check(STR(SEED), str_of(bad[i]), now_ms, 0, &counter),
				 -ERR_DENIED);
	assert_int_equal(totp_check(STR(""), STR("254676"), now_ms, 0, &counter), -ERR_DENIED);
}

/* Key URI Format of Google Authenticator's wiki, which all apps read. */
static void test_uri(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	totp_uri(STR(SEED), STR("My Chat"), STR("zoë@example.org"), &b);
	assert_buffer(&b, "otpauth://totp/My%20Chat:zo%C3%AB%40example.org"
			  "?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=My%20Chat"
			  "&algorithm=SHA1&digits=6&period=30");
}

static void test_secrets_differ(void **state)
{
	uint8_t a[TOTP_SECRET_BYTES], b[TOTP_SECRET_BYTES];

	(void)state;
	assert_int_equal(totp_secret(a), 0);
	assert_int_equal(totp_secret(b), 0);
	assert_memory_not_equal(a, b, sizeof(a));
}

/* SHA-256 of ten zero bytes, by sha256sum. */
static const uint8_t zeros_hash[] = {0x01, 0xd4, 0x48, 0xaf, 0xd9, 0x28, 0x06, 0x54};

static void test_recovery(void **state)
{
	char codes[TOTP_RECOVERY_CODES][TOTP_RECOVERY_LEN + 1];
	uint8_t hash[TOTP_HASH_BYTES], again[TOTP_HASH_BYTES];

	(void)state;
	assert_int_equal(totp_recovery(codes), 0);
	for (size_t i = 0; i < TOTP_RECOVERY_CODES; i++) {
		assert_int_equal(strlen(codes[i]), TOTP_RECOVERY_LEN);
		assert_int_equal(strspn(codes[i], "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567-"),
				 TOTP_RECOVERY_LEN);
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(codes[i], codes[j]);
		assert_int_equal(totp_recovery_hash(str_of(codes[i]), hash), 0);
	}
	assert_int_equal(totp_recovery_hash(STR("AAAA-AAAA-AAAA-AAAA"), hash), 0);
	assert_memory_equal(hash, zeros_hash, sizeof(zeros_hash));
	assert_int_equal(totp_recovery_hash(STR(" aaaa aaaaaaaa-aaaa"), again), 0);
	assert_memory_equal(hash, again, sizeof(hash));
}

static void test_no_recovery_codes(void **state)
{
	static const char *const bad[] = {"", "AAAA-AAAA-AAAA-AAA", "AAAA-AAAA-AAAA-AAAAA",
					  "AAAA-AAAA-AAAA-AAA1", "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA"};
	uint8_t hash[TOTP_HASH_BYTES];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(totp_recovery_hash(str_of(bad[i]), hash), -ERR_INVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hotp),
		cmocka_unit_test(test_totp),
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_a_code_counts_once),
		cmocka_unit_test(test_what_is_typed),
		cmocka_unit_test(test_uri),
		cmocka_unit_test(test_secrets_differ),
		cmocka_unit_test(test_recovery),
		cmocka_unit_test(test_no_recovery_codes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
