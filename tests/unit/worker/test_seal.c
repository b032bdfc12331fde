/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/seal.c: what is sealed for one row opens for that row alone, by any key in use.
 */
#include "worker_test.h"

#include "worker/keyring.h"
#include "worker/seal.h"

#define SECRET "Zp3qVt9xKc7LmW2nRb8dYf4hJs6gTu1e"
#define OTHER "U5Jd0fGh2kLq8XwYb7NcVz1mPt4rSa6e"
#define OWNER 42

static struct keyring *make(const char *key, const char *previous)
{
	struct settings *s = settings_new();
	struct keyring *made;

	free(s->auth_secret_key);
	free(s->auth_previous_keys);
	s->auth_secret_key = strdup(key);
	s->auth_previous_keys = strdup(previous);
	assert_int_equal(keyring_new(s, &made), 0);
	settings_free(&s);
	return made;
}

static void test_a_secret_comes_back(void **state)
{
	struct keyring *ring = make(SECRET, ""), *next = make(OTHER, SECRET);
	struct buf sealed = BUF_INIT, again = BUF_INIT, open = BUF_INIT;

	(void)state;
	assert_int_equal(seal_add(ring, OWNER, STR("twenty bytes of it"), &sealed), 0);
	assert_int_equal(sealed.len, strlen("twenty bytes of it") + SEAL_EXTRA);
	assert_null(memmem(sealed.p, sealed.len, "twenty", 6));
	assert_int_equal(seal_add(ring, OWNER, STR("twenty bytes of it"), &again), 0);
	assert_memory_not_equal(sealed.p, again.p, sealed.len);
	assert_int_equal(seal_open(ring, OWNER, buf_str(&sealed), &open), 0);
	assert_buffer(&open, "twenty bytes of it");
	assert_int_equal(seal_open(next, OWNER, buf_str(&sealed), &open), 0);
	assert_buffer(&open, "twenty bytes of it");
	buf_done(&sealed);
	buf_done(&again);
	keyring_free(&ring);
	keyring_free(&next);
}

static void test_what_does_not_open(void **state)
{
	struct keyring *ring = make(SECRET, ""), *other = make(OTHER, "");
	struct buf sealed = BUF_INIT, open = BUF_INIT;

	(void)state;
	assert_int_equal(seal_add(ring, OWNER, STR("secret"), &sealed), 0);
	assert_int_equal(seal_open(ring, OWNER + 1, buf_str(&sealed), &open), -ERR_DENIED);
	assert_int_equal(seal_open(other, OWNER, buf_str(&sealed), &open), -ERR_DENIED);
	for (size_t i = 0; i < sealed.len * 8; i++) {
		sealed.p[i / 8] ^= (uint8_t)(1 << i % 8);
		assert_int_equal(seal_open(ring, OWNER, buf_str(&sealed), &open), -ERR_DENIED);
		sealed.p[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	for (size_t len = 0; len < sealed.len; len++)
		assert_int_equal(seal_open(ring, OWNER, (struct str){(char *)sealed.p, len}, &open),
				 -ERR_DENIED);
	assert_int_equal(open.len, 0);
	buf_done(&open);
	buf_done(&sealed);
	keyring_free(&ring);
	keyring_free(&other);
}

static void test_nothing_can_be_sealed(void **state)
{
	struct keyring *ring = make(SECRET, "");
	struct buf sealed = BUF_INIT, open = BUF_INIT;

	(void)state;
	assert_int_equal(seal_add(ring, OWNER, STR(""), &sealed), 0);
	assert_int_equal(sealed.len, SEAL_EXTRA);
	assert_int_equal(seal_open(ring, OWNER, buf_str(&sealed), &open), 0);
	assert_int_equal(open.len, 0);
	buf_done(&open);
	buf_done(&sealed);
	keyring_free(&ring);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_secret_comes_back),
	    cmocka_unit_test(test_what_does_not_open),
	    cmocka_unit_test(test_nothing_can_be_sealed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
