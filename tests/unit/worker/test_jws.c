/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/jws.c, with the vectors of RFC 7515, RFC 4231 and RFC 8037.
 */
#include "worker_test.h"

#include "base/base64.h"
#include "worker/jws.h"

static struct buf bytes_of(const char *base64)
{
	struct buf b = BUF_INIT;

	assert_int_equal(base64_take(&b, BASE64_URL, str_of(base64)), 0);
	return b;
}

static void assert_base64(const uint8_t *p, size_t len, const char *expected)
{
	struct buf b = BUF_INIT;

	base64_add(&b, BASE64_URL, p, len);
	assert_buffer(&b, expected);
}

/* RFC 7515 appendix A.1 */
static void test_hs256(void **state)
{
	struct buf key = bytes_of("AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75"
				  "aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow");
	const struct str input = STR("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA"
				     "0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc1"
				     "9yb290Ijp0cnVlfQ");
	uint8_t mac[JWS_HS256_BYTES];

	(void)state;
	assert_int_equal(key.len, 64);
	assert_int_equal(jws_hs256(buf_str(&key), input, mac), 0);
	assert_base64(mac, sizeof(mac), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
	buf_done(&key);
}

/* RFC 4231 test case 1: its key of 20 bytes is, as HMAC's keys are, the same with zeros behind. */
static void test_hs256_by_key(void **state)
{
	static const uint8_t expected[] = {0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53,
					   0x5c, 0xa8, 0xaf, 0xce, 0xaf, 0x0b, 0xf1, 0x2b,
					   0x88, 0x1d, 0xc2, 0x00, 0xc9, 0x83, 0x3d, 0xa7,
					   0x26, 0xe9, 0x37, 0x6c, 0x2e, 0x32, 0xcf, 0xf7};
	struct key key = {.use = KEY_HS256};
	uint8_t mac[JWS_SIGNATURE_MAX];
	struct str signature = {(char *)mac, 0};

	(void)state;
	memset(key.bytes, 0x0b, 20);
	assert_int_equal(jws_sign(&key, STR("Hi There"), mac, &signature.len), 0);
	assert_int_equal(signature.len, sizeof(expected));
	assert_memory_equal(mac, expected, sizeof(expected));
	assert_text(jws_alg(&key), "HS256");
	assert_true(jws_verify(&key, STR("Hi There"), signature));
	assert_false(jws_verify(&key, STR("Hi there"), signature));
	signature.len--;
	assert_false(jws_verify(&key, STR("Hi There"), signature));
	signature.len++;
	for (unsigned bit = 0; bit < 8 * sizeof(expected); bit++) {
		mac[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(jws_verify(&key, STR("Hi There"), signature));
		mac[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(jws_verify(&key, STR("Hi There"), signature));
}

static struct key ed25519_key(void)
{
	struct buf d = bytes_of("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"),
		   x = bytes_of("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo");
	struct key key = {.use = KEY_ED25519};

	assert_int_equal(d.len, KEY_BYTES);
	assert_int_equal(x.len, KEY_BYTES);
	memcpy(key.bytes, d.p, KEY_BYTES);
	memcpy(key.pub, x.p, KEY_BYTES);
	buf_done(&d);
	buf_done(&x);
	return key;
}

/* RFC 8037 appendices A.1, A.4 and A.5 */
static void test_ed25519(void **state)
{
	const struct str input = STR("eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc");
	struct key key = ed25519_key();
	uint8_t signature[JWS_SIGNATURE_MAX];
	size_t len;

	(void)state;
	assert_text(jws_alg(&key), "EdDSA");
	assert_int_equal(jws_sign(&key, input, signature, &len), 0);
	assert_base64(signature, len,
		      "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sV"
		      "vpAr_MuM0KAg");
	assert_true(jws_verify(&key, input, (struct str){(char *)signature, len}));
	signature[40] ^= 1;
	assert_false(jws_verify(&key, input, (struct str){(char *)signature, len}));
	signature[40] ^= 1;
	assert_false(jws_verify(&key, input, (struct str){(char *)signature, len - 1}));
	assert_false(jws_verify(&key, STR("eyJhbGciOiJFZERTQSJ9."),
				(struct str){(char *)signature, len}));
}

/* The public key is no HMAC key, and a cookie's key signs nothing. */
static void test_other_uses(void **state)
{
	struct key key = ed25519_key(), as_mac = {.use = KEY_HS256};
	uint8_t signature[JWS_SIGNATURE_MAX];
	size_t len;

	(void)state;
	memcpy(as_mac.bytes, key.pub, KEY_BYTES);
	assert_int_equal(jws_sign(&as_mac, STR("text"), signature, &len), 0);
	assert_false(jws_verify(&key, STR("text"), (struct str){(char *)signature, len}));
	key.use = KEY_COOKIE;
	assert_int_equal(jws_sign(&key, STR("text"), signature, &len), -ERR_IO);
	assert_false(jws_verify(&key, STR("text"), (struct str){(char *)signature, 32}));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hs256),
		cmocka_unit_test(test_hs256_by_key),
		cmocka_unit_test(test_ed25519),
		cmocka_unit_test(test_other_uses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
