/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: a token's text as it came, and bytes as header and claims under a good signature.
 * What is taken has the claims of one that this program would issue; nothing of it stays when one
 * bit of the text changes.
 */
#include "base/base64.h"
#include "fuzz.h"
#include "worker/jws.h"
#include "worker/token.h"

#define NOW_MS 1800000000000ll

static struct keyring *ring; /* for the life of the process */

static void open_ring(void)
{
	struct settings *s;

	if (ring)
		return;
	s = settings_new();
	free(s->auth_secret_key);
	s->auth_secret_key = strdup("Zp3qVt9xKc7LmW2nRb8dYf4hJs6gTu1e");
	MUST(keyring_new(s, &ring) == 0);
	settings_free(&s);
}

static bool is_equal(const struct token *a, const struct token *b)
{
	return a->user == b->user && a->is_admin == b->is_admin && a->issued_ms == b->issued_ms &&
	       a->expires_ms == b->expires_ms && strcmp(a->name, b->name) == 0 &&
	       memcmp(&a->uid, &b->uid, sizeof(a->uid)) == 0 &&
	       memcmp(&a->session, &b->session, sizeof(a->session)) == 0;
}

static void check_taken(const struct token *t)
{
	struct buf b = BUF_INIT;
	struct token again;

	MUST(t->user > 0 && t->expires_ms > NOW_MS && t->issued_ms <= NOW_MS + TOKEN_SKEW_MS);
	MUST(memchr(t->name, '\0', sizeof(t->name)));
	if (t->issued_ms == 0)
		return; /* "now" to the one who issues */
	MUST(token_issue(ring, t, &b) == 0);
	if (b.len <= TOKEN_TEXT_MAX) {
		MUST(token_check(ring, buf_str(&b), NOW_MS, &again) == 0);
		MUST(is_equal(t, &again));
	}
	buf_done(&b);
}

static bool is_taken(struct str text)
{
	struct token t;

	if (token_check(ring, text, NOW_MS, &t) < 0)
		return false;
	check_taken(&t);
	return true;
}

/* HEADER and CLAIMS with the signature of one of our keys. */
static void try_signed(enum key_use use, struct str header, struct str claims)
{
	const struct key *key = keyring_current(ring, use);
	uint8_t signature[JWS_SIGNATURE_MAX];
	struct buf b = BUF_INIT;
	size_t len;

	base64_add(&b, BASE64_URL, header.p, header.len);
	buf_add_char(&b, '.');
	base64_add(&b, BASE64_URL, claims.p, claims.len);
	MUST(jws_sign(key, buf_str(&b), signature, &len) == 0);
	buf_add_char(&b, '.');
	base64_add(&b, BASE64_URL, signature, len);
	if (is_taken(buf_str(&b))) {
		b.p[b.len / 2] ^= 1;
		MUST(!is_taken(buf_str(&b)));
	}
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *newline = size ? memchr(data, '\n', size) : NULL;
	struct str text = {(const char *)data, size}, rest;
	char header[128];

	open_ring();
	(void)is_taken(text);
	for (enum key_use use = KEY_HS256; use <= KEY_ED25519; use++) {
		snprintf(header, sizeof(header), "{\"alg\":\"%s\",\"kid\":\"%s\"}",
			 use == KEY_HS256 ? "HS256" : "EdDSA", keyring_current(ring, use)->kid);
		try_signed(use, str_of(header), text);
		if (!newline)
			continue;
		/* a line that is the header, then the claims */
		rest = (struct str){newline + 1, size - (size_t)(newline + 1 - text.p)};
		try_signed(use, (struct str){text.p, size - rest.len - 1}, rest);
	}
	return 0;
}
