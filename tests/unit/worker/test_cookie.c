/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/cookie.c: sealing, rotation, and that one changed bit leaves no cookie (S0-26,
 * S0-37).
 */
#include "worker_test.h"

#include "base/base64.h"
#include "worker/cookie_priv.h"
#include "worker/keyring.h"

#define SECRET "Zp3qVt9xKc7LmW2nRb8dYf4hJs6gTu1e"
#define OTHER "U5Jd0fGh2kLq8XwYb7NcVz1mPt4rSa6e"
#define NOW_MS 1800000000000ll

static struct keyring *ring;
static struct cookie got;
static struct buf text;

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

static int set_up(void **state)
{
	(void)state;
	ring = make(SECRET, "");
	got = (struct cookie){0};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	keyring_free(&ring);
	buf_done(&text);
	return 0;
}

static struct cookie somebody(void)
{
	struct cookie c = {.user = 42,
			   .is_guest = true,
			   .is_admin = true,
			   .room = 7,
			   .expires_ms = NOW_MS + 60000,
			   .name = "Zoë"};

	assert_int_equal(uuid_parse(STR("0190a6e2-9a3c-7d4e-8f00-112233445566"), &c.uid), 0);
	assert_int_equal(uuid_parse(STR("0190a6e2-9a3c-7d4e-8f00-665544332211"), &c.session), 0);
	return c;
}

static void seal(const struct cookie *c)
{
	buf_clear(&text);
	assert_int_equal(cookie_seal(ring, c, &text), 0);
}

static int open_text(struct str s)
{
	return cookie_open(ring, s, NOW_MS, &got);
}

static void test_there_and_back(void **state)
{
	struct cookie c = somebody();

	(void)state;
	seal(&c);
	assert_int_equal(open_text(buf_str(&text)), 0);
	assert_int_equal(got.user, 42);
	assert_memory_equal(&got.uid, &c.uid, sizeof(c.uid));
	assert_memory_equal(&got.session, &c.session, sizeof(c.session));
	assert_true(got.is_guest);
	assert_true(got.is_admin);
	assert_int_equal(got.room, 7);
	assert_int_equal(got.expires_ms, NOW_MS + 60000);
	assert_string_equal(got.name, "Zoë");
}

static void test_nearly_empty(void **state)
{
	struct cookie c = {.expires_ms = NOW_MS + 1000};

	(void)state;
	seal(&c);
	memset(&got, 0xff, sizeof(got));
	assert_int_equal(open_text(buf_str(&text)), 0);
	assert_int_equal(got.user, 0);
	assert_true(uuid_is_zero(&got.uid));
	assert_true(uuid_is_zero(&got.session));
	assert_false(got.is_guest);
	assert_false(got.is_admin);
	assert_int_equal(got.room, 0);
	assert_string_equal(got.name, "");
}

/* Only RFC 6265's cookie-octets; the same content never gives the same text. */
static void test_no_plain_text(void **state)
{
	struct cookie c = somebody();
	struct buf other = BUF_INIT;

	(void)state;
	seal(&c);
	for (size_t i = 0; i < text.len; i++)
		if (!strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.",
			    text.p[i]))
			fail_msg("character 0x%02x", text.p[i]);
	assert_int_equal(base64_take(&other, BASE64_URL,
				     (struct str){(char *)text.p + KEY_ID_LEN + 1,
						  text.len - KEY_ID_LEN - 1}),
			 0);
	assert_lacks(buf_str(&other), "Zoë");
	assert_lacks(buf_str(&other), "name");
	assert_lacks(buf_str(&other), "0190a6e2");
	buf_clear(&other);
	assert_int_equal(cookie_seal(ring, &c, &other), 0);
	assert_int_equal(other.len, text.len);
	assert_memory_equal(other.p, text.p, KEY_ID_LEN + 1);
	assert_memory_not_equal(other.p + KEY_ID_LEN + 1, text.p + KEY_ID_LEN + 1, 16);
	buf_done(&other);
}

static void test_longest(void **state)
{
	struct cookie c = somebody();

	(void)state;
	memset(c.name, '"', COOKIE_NAME_MAX); /* each takes two bytes in JSON */
	seal(&c);
	assert_in_range(text.len, 1, COOKIE_TEXT_MAX);
	assert_int_equal(open_text(buf_str(&text)), 0);
	assert_string_equal(got.name, c.name);
}

static void test_one_bit(void **state)
{
	struct cookie c = somebody();

	(void)state;
	seal(&c);
	for (size_t bit = 0; bit < 8 * text.len; bit++) {
		text.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(open_text(buf_str(&text)), -ERR_DENIED);
		text.p[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	for (size_t len = 0; len < text.len; len++)
		assert_int_equal(open_text((struct str){(char *)text.p, len}), -ERR_DENIED);
	assert_int_equal(got.user, 0); /* untouched */
	assert_int_equal(open_text(buf_str(&text)), 0);
}

static void test_expiry(void **state)
{
	struct cookie c = somebody();

	(void)state;
	seal(&c);
	assert_int_equal(cookie_open(ring, buf_str(&text), c.expires_ms - 1, &got), 0);
	memset(&got, 0, sizeof(got));
	assert_int_equal(cookie_open(ring, buf_str(&text), c.expires_ms, &got), -ERR_CLOSED);
	assert_int_equal(got.user, c.user); /* whose it was */
}

static void test_rotation(void **state)
{
	struct keyring *after = make(OTHER, SECRET), *end = make(OTHER, "");
	struct cookie c = somebody();

	(void)state;
	seal(&c);
	assert_int_equal(cookie_open(after, buf_str(&text), NOW_MS, &got), 0);
	assert_int_equal(got.user, 42);
	assert_int_equal(cookie_open(end, buf_str(&text), NOW_MS, &got), -ERR_DENIED);
	keyring_free(&after);
	keyring_free(&end);
}

/* Another known key's id in place of the right one opens nothing. */
static void test_kid_of_another_key(void **state)
{
	struct keyring *both = make(OTHER, SECRET);
	struct cookie c = somebody();

	(void)state;
	seal(&c);
	memcpy(text.p, keyring_current(both, KEY_COOKIE)->kid, KEY_ID_LEN);
	assert_int_equal(cookie_open(both, buf_str(&text), NOW_MS, &got), -ERR_DENIED);
	keyring_free(&both);
}

static void test_no_cookies(void **state)
{
	const char *kid = keyring_current(ring, KEY_COOKIE)->kid;
	char large[COOKIE_TEXT_MAX + 2];
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(open_text((struct str){NULL, 0}), -ERR_DENIED);
	assert_int_equal(open_text(str_of(kid)), -ERR_DENIED);
	buf_printf(&b, "%s.", kid);
	assert_int_equal(open_text(buf_str(&b)), -ERR_DENIED);
	buf_add_cstr(&b, "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"); /* 28 bytes: nothing in it */
	assert_int_equal(open_text(buf_str(&b)), -ERR_DENIED);
	buf_done(&b);
	memset(large, 'A', sizeof(large));
	memcpy(large, kid, KEY_ID_LEN);
	large[KEY_ID_LEN] = '.';
	assert_int_equal(open_text((struct str){large, sizeof(large)}), -ERR_DENIED);
}

/* What no server of ours seals, well sealed. */
static void test_content(void **state)
{
	static const char *const good[] = {"{\"exp\":1800000001}",
					   "{\"exp\":1800000001,\"new\":[1]}"};
	static const char *const bad[] = {"",
					  "[]",
					  "{}",
					  "{\"exp\":1800000000}",
					  "{\"exp\":\"1800000001\"}",
					  "{\"exp\":-1}",
					  "{\"exp\":9223372036854775807}",
					  "{\"exp\":1800000001,\"sid\":\"x\"}",
					  "{\"exp\":1800000001,\"uid\":7}",
					  "{\"exp\":1800000001,\"user\":0}",
					  "{\"exp\":1800000001,\"user\":\"1\"}",
					  "{\"exp\":1800000001,\"room\":-1}",
					  "{\"exp\":1800000001,\"guest\":1}",
					  "{\"exp\":1800000001,\"adm\":\"yes\"}",
					  "{\"exp\":1800000001,\"name\":1}",
					  "{\"exp\":1800000001,\"exp\":1900000000}"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good) + ARRAY_LEN(bad); i++) {
		const char *plain = i < ARRAY_LEN(good) ? good[i] : bad[i - ARRAY_LEN(good)];

		buf_clear(&text);
		assert_true(cookie_seal_text(keyring_current(ring, KEY_COOKIE), str_of(plain),
					     &text));
		if ((open_text(buf_str(&text)) == 0) != (i < ARRAY_LEN(good)))
			fail_msg("%s", plain);
	}
}

static void test_field(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	cookie_add_set(&b, STR("abc"), 604800, false);
	assert_buffer(&b, "session=abc; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax");
	cookie_add_set(&b, STR(""), 0, true);
	assert_buffer(&b, "session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_there_and_back),
		CASE(test_nearly_empty),
		CASE(test_no_plain_text),
		CASE(test_longest),
		CASE(test_one_bit),
		CASE(test_expiry),
		CASE(test_rotation),
		CASE(test_kid_of_another_key),
		CASE(test_no_cookies),
		CASE(test_content),
		CASE(test_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
