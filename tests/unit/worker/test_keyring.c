/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/keyring.c: derivation, ids, what a rotation keeps.
 * The expected keys were computed by RFC 5869 and RFC 8032 with Python's hmac and cryptography.
 */
#include "worker_test.h"

#include "worker/keyring.h"
#include "worker/worker.h"

#define SECRET "Zp3qVt9xKc7LmW2nRb8dYf4hJs6gTu1e"
#define OTHER "U5Jd0fGh2kLq8XwYb7NcVz1mPt4rSa6e"

static struct settings *s;

static int set_up(void **state)
{
	(void)state;
	s = settings_new();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	settings_free(&s);
	return 0;
}

static struct keyring *make(const char *key, const char *previous)
{
	struct keyring *ring;

	free(s->auth_secret_key);
	free(s->auth_previous_keys);
	s->auth_secret_key = strdup(key);
	s->auth_previous_keys = strdup(previous);
	assert_int_equal(keyring_new(s, &ring), 0);
	return ring;
}

static void assert_hex(const uint8_t *bytes, const char *expected)
{
	char hex[2 * KEY_BYTES + 1];

	for (size_t i = 0; i < KEY_BYTES; i++)
		snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
	assert_string_equal(hex, expected);
}

static void test_derivation(void **state)
{
	struct keyring *ring = make(SECRET, "");
	const struct key *k;

	(void)state;
	k = keyring_current(ring, KEY_HS256);
	assert_hex(k->bytes, "c1b8b7ec248cd0f708f08e3bb52df5e259cdc1752385791594936f9fe9587b90");
	assert_string_equal(k->kid, "746a48fc");
	k = keyring_current(ring, KEY_COOKIE);
	assert_hex(k->bytes, "6c0053091169bb5a238276734cedf0cd3246c2cc4166c166cfd50f06fed881b7");
	assert_string_equal(k->kid, "27fb9c4a");
	k = keyring_current(ring, KEY_ED25519);
	assert_hex(k->bytes, "cc2645a5d6bad3bc72eeb3742ac5baa7023354dffd5e6300fd195fa25a7e2bd1");
	assert_hex(k->pub, "9604d2701422be0ebcd2624a03dbaecf0cada5f6e09b0bceafc441ded2c93ffd");
	assert_string_equal(k->kid, "ff4d8295");
	keyring_free(&ring);
	assert_null(ring);
}

static void test_signer_is_the_setting(void **state)
{
	struct keyring *ring = make(SECRET, "");

	(void)state;
	assert_ptr_equal(keyring_signer(ring), keyring_current(ring, KEY_HS256));
	assert_int_equal(keyring_access_ttl_ms(ring), 15 * 60 * 1000);
	keyring_free(&ring);
	s->auth_token_alg = 1;
	s->auth_access_ttl = 1000;
	ring = make(SECRET, "");
	assert_ptr_equal(keyring_signer(ring), keyring_current(ring, KEY_ED25519));
	assert_int_equal(keyring_access_ttl_ms(ring), 1000);
	keyring_free(&ring);
}

static void test_rotation(void **state)
{
	struct keyring *before = make(SECRET, ""), *after = make(OTHER, SECRET),
		       *end = make(OTHER, "");

	(void)state;
	for (enum key_use use = 0; use < KEY_USES; use++) {
		const struct key *old = keyring_current(before, use), *found;

		assert_string_not_equal(old->kid, keyring_current(after, use)->kid);
		found = keyring_find(after, use, str_of(old->kid));
		assert_non_null(found);
		assert_memory_equal(found->bytes, old->bytes, KEY_BYTES);
		assert_null(keyring_find(end, use, str_of(old->kid)));
	}
	keyring_free(&before);
	keyring_free(&after);
	keyring_free(&end);
}

/* A key is good for its own use only. */
static void test_uses_are_apart(void **state)
{
	struct keyring *ring = make(SECRET, OTHER);

	(void)state;
	for (enum key_use use = 0; use < KEY_USES; use++)
		for (enum key_use of = 0; of < KEY_USES; of++) {
			struct str kid = str_of(keyring_current(ring, of)->kid);

			assert_int_equal(keyring_find(ring, use, kid) != NULL, use == of);
		}
	assert_null(keyring_find(ring, KEY_COOKIE, STR("27fb9c4")));
	assert_null(keyring_find(ring, KEY_COOKIE, STR("27fb9c4aa")));
	assert_null(keyring_find(ring, KEY_COOKIE, STR("")));
	keyring_free(&ring);
}

static void test_without_a_secret_nobody_knows_it(void **state)
{
	struct keyring *a = make("", ""), *b = make("", "");

	(void)state;
	assert_memory_not_equal(keyring_current(a, KEY_HS256)->bytes,
				keyring_current(b, KEY_HS256)->bytes, KEY_BYTES);
	keyring_free(&a);
	keyring_free(&b);
}

static void test_load_replaces(void **state)
{
	struct worker wk = {.settings = s};

	(void)state;
	free(s->auth_secret_key);
	s->auth_secret_key = strdup(SECRET);
	assert_true(keyring_load(&wk));
	assert_string_equal(keyring_current(wk.keyring, KEY_HS256)->kid, "746a48fc");
	free(s->auth_secret_key);
	s->auth_secret_key = strdup(OTHER);
	assert_true(keyring_load(&wk));
	assert_string_not_equal(keyring_current(wk.keyring, KEY_HS256)->kid, "746a48fc");
	keyring_free(&wk.keyring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_derivation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_signer_is_the_setting, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_rotation, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_uses_are_apart, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_without_a_secret_nobody_knows_it, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_load_replaces, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
