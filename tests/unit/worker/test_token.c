/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/token.c: what is issued is taken, everything else refused (S3-16).
 * Forged tokens are put together here from RFC 7515's rules, signed with the real keys.
 */
#include "worker_test.h"

#include "base/base64.h"
#include "worker/jws.h"
#include "worker/token.h"

#define SECRET "Zp3qVt9xKc7LmW2nRb8dYf4hJs6gTu1e"
#define OTHER "U5Jd0fGh2kLq8XwYb7NcVz1mPt4rSa6e"
#define NOW_MS 1800000000000ll

#define SUB "0190a6e2-9a3c-7d4e-8f00-112233445566"
#define SID "0190a6e2-9a3c-7d4e-8f00-665544332211"
#define CLAIMS_BUT_TIMES                                                                           \
	"\"sub\":\"" SUB "\",\"uid\":42,\"sid\":\"" SID "\",\"name\":\"Zoë\",\"adm\":true"
#define TIMES "\"iat\":1799999990,\"nbf\":1799999990,\"exp\":1800000890"
#define GOOD_CLAIMS                                                                                \
	"{\"iss\":\"roomd\",\"aud\":\"roomd\"," CLAIMS_BUT_TIMES "," TIMES "}"

static struct keyring *ring;
static struct token got;

static struct keyring *make(const char *key, const char *previous, bool is_eddsa)
{
	struct settings *s = settings_new();
	struct keyring *made;

	free(s->auth_secret_key);
	free(s->auth_previous_keys);
	s->auth_secret_key = strdup(key);
	s->auth_previous_keys = strdup(previous);
	s->auth_token_alg = is_eddsa;
	assert_int_equal(keyring_new(s, &made), 0);
	settings_free(&s);
	return made;
}

static int set_up(void **state)
{
	(void)state;
	ring = make(SECRET, "", false);
	got = (struct token){0};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	keyring_free(&ring);
	return 0;
}

static struct token somebody(void)
{
	struct token t = {.user = 42,
			  .is_admin = true,
			  .issued_ms = NOW_MS - 10000,
			  .expires_ms = NOW_MS + 890000,
			  .name = "Zoë"};

	assert_int_equal(uuid_parse(STR(SUB), &t.uid), 0);
	assert_int_equal(uuid_parse(STR(SID), &t.session), 0);
	return t;
}

static void assert_somebody(const struct token *t)
{
	const struct token expected = somebody();

	assert_int_equal(t->user, 42);
	assert_true(t->is_admin);
	assert_memory_equal(&t->uid, &expected.uid, sizeof(t->uid));
	assert_memory_equal(&t->session, &expected.session, sizeof(t->session));
	assert_string_equal(t->name, "Zoë");
	assert_int_equal(t->issued_ms, NOW_MS - 10000);
	assert_int_equal(t->expires_ms, NOW_MS + 890000);
}

static int check(struct str text)
{
	return token_check(ring, text, NOW_MS, &got);
}

/* Signs HEADER and CLAIMS with KEY; NULL leaves the signature empty. */
static struct buf forge(const char *header, const char *claims, const struct key *key)
{
	uint8_t signature[JWS_SIGNATURE_MAX];
	struct buf b = BUF_INIT;
	size_t len = 0;

	base64_add(&b, BASE64_URL, header, strlen(header));
	buf_add_char(&b, '.');
	base64_add(&b, BASE64_URL, claims, strlen(claims));
	if (key)
		assert_int_equal(jws_sign(key, buf_str(&b), signature, &len), 0);
	buf_add_char(&b, '.');
	base64_add(&b, BASE64_URL, signature, len);
	return b;
}

static int check_forged(const char *header, const char *claims, const struct key *key)
{
	struct buf b = forge(header, claims, key);
	int r = check(buf_str(&b));

	buf_done(&b);
	return r;
}

/* A header for KEY with ALG in it. */
static const char *header_of(const struct key *key, const char *alg)
{
	static char header[256];

	snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"typ\":\"JWT\",\"kid\":\"%s\"}", alg,
		 key->kid);
	return header;
}

static int check_claims(const char *claims)
{
	const struct key *key = keyring_current(ring, KEY_HS256);

	return check_forged(header_of(key, "HS256"), claims, key);
}

/* ---- */

static void test_there_and_back(void **state)
{
	struct token t = somebody();
	struct buf b = BUF_INIT;

	(void)state;
	for (int is_eddsa = 0; is_eddsa < 2; is_eddsa++) {
		keyring_free(&ring);
		ring = make(SECRET, "", is_eddsa);
		buf_add_cstr(&b, "token=");
		assert_int_equal(token_issue(ring, &t, &b), 0);
		assert_int_equal(check((struct str){(char *)b.p + 6, b.len - 6}), 0);
		assert_somebody(&got);
		buf_done(&b);
	}
}

/* The text that goes out is the one that RFC 7519 and the protocol describe. */
static void test_the_text(void **state)
{
	const struct key *key = keyring_current(ring, KEY_HS256);
	struct token t = somebody();
	struct buf b = BUF_INIT,
		   expected = forge(header_of(key, "HS256"), GOOD_CLAIMS, key);

	(void)state;
	buf_add_char(&expected, '\0');
	assert_int_equal(token_issue(ring, &t, &b), 0);
	assert_buffer(&b, (char *)expected.p);
	buf_done(&expected);
}

static void test_defaults(void **state)
{
	struct token t = somebody();
	struct buf b = BUF_INIT;

	(void)state;
	t.expires_ms = 0;
	assert_int_equal(token_issue(ring, &t, &b), 0);
	assert_int_equal(check(buf_str(&b)), 0);
	assert_int_equal(got.expires_ms - got.issued_ms, 15 * 60 * 1000);
	buf_done(&b);
}

static void test_longest_name(void **state)
{
	struct token t = somebody();
	struct buf b = BUF_INIT;

	(void)state;
	memset(t.name, '"', TOKEN_NAME_MAX); /* each takes two bytes in JSON */
	t.name[TOKEN_NAME_MAX] = '\0';
	assert_int_equal(token_issue(ring, &t, &b), 0);
	assert_in_range(b.len, 1, TOKEN_TEXT_MAX);
	assert_int_equal(check(buf_str(&b)), 0);
	assert_string_equal(got.name, t.name);
	buf_done(&b);
}

static void test_rotation(void **state)
{
	struct keyring *after = make(OTHER, SECRET, true), *end = make(OTHER, "", true);
	struct token t = somebody();
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(token_issue(ring, &t, &b), 0);
	assert_int_equal(token_check(after, buf_str(&b), NOW_MS, &got), 0);
	assert_somebody(&got);
	assert_int_equal(token_check(end, buf_str(&b), NOW_MS, &got), -ERR_DENIED);
	buf_done(&b);
	keyring_free(&after);
	keyring_free(&end);
}

static void test_none_and_confusion(void **state)
{
	const struct key *hs = keyring_current(ring, KEY_HS256),
			 *ed = keyring_current(ring, KEY_ED25519);
	struct key mac = {.use = KEY_HS256};

	(void)state;
	assert_int_equal(check_forged("{\"alg\":\"none\"}", GOOD_CLAIMS, NULL), -ERR_DENIED);
	assert_int_equal(check_forged(header_of(hs, "none"), GOOD_CLAIMS, NULL), -ERR_DENIED);
	assert_int_equal(check_forged(header_of(hs, "none"), GOOD_CLAIMS, hs), -ERR_DENIED);
	assert_int_equal(check_forged(header_of(hs, "HS256"), GOOD_CLAIMS, NULL), -ERR_DENIED);
	/* what everybody may know, the public key, as the secret of an HMAC */
	memcpy(mac.bytes, ed->pub, KEY_BYTES);
	assert_int_equal(check_forged(header_of(ed, "HS256"), GOOD_CLAIMS, &mac), -ERR_DENIED);
	assert_int_equal(check_forged(header_of(ed, "EdDSA"), GOOD_CLAIMS, &mac), -ERR_DENIED);
	/* a good signature under the name of another algorithm */
	assert_int_equal(check_forged(header_of(hs, "EdDSA"), GOOD_CLAIMS, hs), -ERR_DENIED);
	assert_int_equal(check_forged(header_of(hs, "hs256"), GOOD_CLAIMS, hs), -ERR_DENIED);
	assert_int_equal(check_forged(header_of(ed, "EdDSA"), GOOD_CLAIMS, ed), 0);
	assert_int_equal(check_forged(header_of(hs, "HS256"), GOOD_CLAIMS, hs), 0);
	assert_somebody(&got);
}

static void test_wrong_key(void **state)
{
	struct keyring *other = make(OTHER, "", false);
	const struct key *hs = keyring_current(ring, KEY_HS256),
			 *strange = keyring_current(other, KEY_HS256),
			 *cookie = keyring_current(ring, KEY_COOKIE);
	struct key as_mac = *cookie;

	(void)state;
	assert_int_equal(check_forged(header_of(strange, "HS256"), GOOD_CLAIMS, strange),
			 -ERR_DENIED);
	assert_int_equal(check_forged(header_of(hs, "HS256"), GOOD_CLAIMS, strange), -ERR_DENIED);
	as_mac.use = KEY_HS256;
	assert_int_equal(check_forged(header_of(cookie, "HS256"), GOOD_CLAIMS, &as_mac),
			 -ERR_DENIED);
	assert_int_equal(check_forged("{\"alg\":\"HS256\"}", GOOD_CLAIMS, hs), -ERR_DENIED);
	assert_int_equal(check_forged("{\"alg\":\"HS256\",\"kid\":7}", GOOD_CLAIMS, hs),
			 -ERR_DENIED);
	keyring_free(&other);
}

/* RFC 7515 section 4.1.11, and headers that are none. */
static void test_headers(void **state)
{
	const struct key *hs = keyring_current(ring, KEY_HS256);
	char header[256];

	(void)state;
	snprintf(header, sizeof(header),
		 "{\"alg\":\"HS256\",\"kid\":\"%s\",\"crit\":[\"x\"],\"x\":1}", hs->kid);
	assert_int_equal(check_forged(header, GOOD_CLAIMS, hs), -ERR_DENIED);
	snprintf(header, sizeof(header), "{\"alg\":\"HS256\",\"kid\":\"%s\",\"x\":1}", hs->kid);
	assert_int_equal(check_forged(header, GOOD_CLAIMS, hs), 0);
	snprintf(header, sizeof(header),
		 "{\"alg\":\"none\",\"alg\":\"HS256\",\"kid\":\"%s\"}", hs->kid);
	assert_int_equal(check_forged(header, GOOD_CLAIMS, hs), -ERR_DENIED);
	snprintf(header, sizeof(header), "[\"HS256\",\"%s\"]", hs->kid);
	assert_int_equal(check_forged(header, GOOD_CLAIMS, hs), -ERR_DENIED);
	assert_int_equal(check_forged("", GOOD_CLAIMS, hs), -ERR_DENIED);
	assert_int_equal(check_forged("\"HS256\"", GOOD_CLAIMS, hs), -ERR_DENIED);
}

#define TAKEN(claims) assert_int_equal(check_claims(claims), 0)
#define REFUSED(claims) assert_int_equal(check_claims(claims), -ERR_DENIED)
#define AUDIENCE(iss, aud) "{\"iss\":" iss ",\"aud\":" aud "," CLAIMS_BUT_TIMES "," TIMES "}"
#define TIMED(times) "{\"iss\":\"roomd\",\"aud\":\"roomd\"," CLAIMS_BUT_TIMES "," times "}"
#define OF(claims) "{\"iss\":\"roomd\",\"aud\":\"roomd\"," claims "," TIMES "}"

static void test_issuer_and_audience(void **state)
{
	(void)state;
	TAKEN(AUDIENCE("\"roomd\"", "\"roomd\""));
	REFUSED(AUDIENCE("\"roomd\"", "\"other\""));
	REFUSED(AUDIENCE("\"roomd\"", "\"Roomd\""));
	REFUSED(AUDIENCE("\"roomd\"", "null"));
	REFUSED(AUDIENCE("\"roomd\"", "[\"other\"]"));
	REFUSED(AUDIENCE("\"joe\"", "\"roomd\""));
	REFUSED("{" CLAIMS_BUT_TIMES "," TIMES "}");
}

static void test_times(void **state)
{
	(void)state;
	/* the last moment, and the end */
	TAKEN(TIMED("\"iat\":1,\"nbf\":1,\"exp\":1800000001"));
	REFUSED(TIMED("\"iat\":1,\"nbf\":1,\"exp\":1800000000"));
	REFUSED(TIMED("\"iat\":1,\"nbf\":1,\"exp\":1799999999"));
	/* from the future, by more than clocks differ */
	TAKEN(TIMED("\"iat\":1,\"nbf\":1800000005,\"exp\":1900000000"));
	REFUSED(TIMED("\"iat\":1,\"nbf\":1800000006,\"exp\":1900000000"));
	REFUSED(TIMED("\"iat\":1800000006,\"nbf\":1,\"exp\":1900000000"));
	/* missing, and no numbers */
	REFUSED(TIMED("\"iat\":1,\"nbf\":1"));
	REFUSED(TIMED("\"iat\":1,\"exp\":1900000000"));
	REFUSED(TIMED("\"nbf\":1,\"exp\":1900000000"));
	REFUSED(TIMED("\"iat\":1,\"nbf\":1,\"exp\":\"1900000000\""));
	REFUSED(TIMED("\"iat\":1,\"nbf\":-1,\"exp\":1900000000"));
	REFUSED(TIMED("\"iat\":1,\"nbf\":1,\"exp\":9223372036854775807"));
}

static void test_claims(void **state)
{
	(void)state;
	REFUSED(OF("\"sub\":\"x\",\"uid\":42,\"sid\":\"" SID
		   "\",\"name\":\"a\",\"adm\":true"));
	REFUSED(OF("\"sub\":\"" SUB "\",\"uid\":0,\"sid\":\"" SID
		   "\",\"name\":\"a\",\"adm\":true"));
	REFUSED(OF("\"sub\":\"" SUB "\",\"uid\":\"42\",\"sid\":\"" SID
		   "\",\"name\":\"a\",\"adm\":true"));
	REFUSED(OF("\"sub\":\"" SUB "\",\"uid\":42,\"name\":\"a\",\"adm\":true"));
	REFUSED(OF("\"sub\":\"" SUB "\",\"uid\":42,\"sid\":\"" SID
		   "\",\"name\":\"a\",\"adm\":1"));
	REFUSED(OF("\"sub\":\"" SUB "\",\"uid\":42,\"sid\":\"" SID
		   "\",\"name\":7,\"adm\":true"));
	REFUSED(OF("\"uid\":1," CLAIMS_BUT_TIMES)); /* twice */
	REFUSED("[]");
	REFUSED("");
}

/* No change of any character is overlooked; RFC 7515's strict base64 leaves no second spelling. */
static void test_every_character_counts(void **state)
{
	struct token t = somebody();
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(token_issue(ring, &t, &b), 0);
	for (size_t i = 0; i < b.len; i++) {
		uint8_t was = b.p[i];

		for (const char *c = "Aw_.=+ "; *c; c++) {
			if ((uint8_t)*c == was)
				continue;
			b.p[i] = (uint8_t)*c;
			assert_int_equal(check(buf_str(&b)), -ERR_DENIED);
		}
		b.p[i] = was;
	}
	for (size_t len = 0; len < b.len; len++)
		assert_int_equal(check((struct str){(char *)b.p, len}), -ERR_DENIED);
	assert_int_equal(check(buf_str(&b)), 0);
	buf_add_char(&b, '=');
	assert_int_equal(check(buf_str(&b)), -ERR_DENIED);
	buf_done(&b);
}

static void test_no_tokens(void **state)
{
	char large[TOKEN_TEXT_MAX + 2];

	(void)state;
	assert_int_equal(check((struct str){NULL, 0}), -ERR_DENIED);
	assert_int_equal(check(STR(".")), -ERR_DENIED);
	assert_int_equal(check(STR("..")), -ERR_DENIED);
	assert_int_equal(check(STR("...")), -ERR_DENIED);
	memset(large, 'A', sizeof(large));
	assert_int_equal(check((struct str){large, sizeof(large)}), -ERR_DENIED);
	assert_int_equal(got.user, 0); /* untouched */
}

/* RFC 7519 section 3.1: a good token of somebody else. */
static void test_a_strange_token(void **state)
{
	(void)state;
	assert_int_equal(check(STR("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9."
				   "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly"
				   "9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
				   "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")),
			 -ERR_DENIED);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_there_and_back),
		CASE(test_the_text),
		CASE(test_defaults),
		CASE(test_longest_name),
		CASE(test_rotation),
		CASE(test_none_and_confusion),
		CASE(test_wrong_key),
		CASE(test_headers),
		CASE(test_issuer_and_audience),
		CASE(test_times),
		CASE(test_claims),
		CASE(test_every_character_counts),
		CASE(test_no_tokens),
		CASE(test_a_strange_token),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
