/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: a cookie's text as it came, and bytes as the content of a well sealed one.
 * What is taken can be sealed again and is then the same; one bit changed opens nothing.
 */
#include "fuzz.h"
#include "worker/cookie_priv.h"
#include "worker/keyring.h"

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

static bool is_equal(const struct cookie *a, const struct cookie *b)
{
	return a->user == b->user && a->is_guest == b->is_guest && a->is_admin == b->is_admin &&
	       a->room == b->room && a->expires_ms == b->expires_ms &&
	       strcmp(a->name, b->name) == 0 && memcmp(&a->uid, &b->uid, sizeof(a->uid)) == 0 &&
	       memcmp(&a->session, &b->session, sizeof(a->session)) == 0;
}

static void check_taken(const struct cookie *c)
{
	struct buf b = BUF_INIT;
	struct cookie again;

	MUST(c->expires_ms > NOW_MS && c->user >= 0 && c->room >= 0);
	MUST(memchr(c->name, '\0', sizeof(c->name)));
	MUST(cookie_seal(ring, c, &b) == 0);
	if (b.len <= COOKIE_TEXT_MAX) {
		MUST(cookie_open(ring, buf_str(&b), NOW_MS, &again) == 0);
		MUST(is_equal(c, &again));
	}
	buf_done(&b);
}

static bool is_taken(struct str text)
{
	struct cookie c;

	if (cookie_open(ring, text, NOW_MS, &c) < 0)
		return false;
	check_taken(&c);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct buf b = BUF_INIT;

	open_ring();
	(void)is_taken(text);
	MUST(cookie_seal_text(keyring_current(ring, KEY_COOKIE), text, &b));
	if (is_taken(buf_str(&b))) {
		b.p[b.len / 2] ^= 1;
		MUST(!is_taken(buf_str(&b)));
	}
	buf_done(&b);
	return 0;
}
