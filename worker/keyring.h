/* SPDX-License-Identifier: MIT */
/*
 * The keys of tokens and cookies, derived from auth.secret_key and auth.previous_keys.
 * Where the secrets come from is base/settings'; what is signed, token.c's and cookie.c's.
 */
#ifndef WORKER_KEYRING_H
#define WORKER_KEYRING_H

#include "base/base.h"
#include "base/settings.h"

struct worker;

#define KEY_BYTES 32	/* every derived key */
#define KEY_ID_LEN 8	/* hexadecimal digits of a kid */
#define KEYS_MAX 16	/* secrets in use at once, the first one included */

enum key_use {
	KEY_HS256,   /* HMAC-SHA-256 of tokens */
	KEY_ED25519, /* Ed25519 seed for tokens */
	KEY_COOKIE,  /* AES-256-GCM of cookies */
	KEY_SECRET,  /* AES-256-GCM of secrets in the database: seal.h */
	KEY_REFRESH, /* HMAC-SHA-256 of refresh tokens: sql/logins.h */
	KEY_USES,
};

/* One derived key. Its id says nothing about it but which one it is. */
struct key {
	enum key_use use;
	char kid[KEY_ID_LEN + 1];
	uint32_t id; /* the same as a number */
	uint8_t bytes[KEY_BYTES]; /* KEY_ED25519: the private seed (RFC 8032 section 5.1.5) */
	uint8_t pub[KEY_BYTES];	  /* KEY_ED25519: the public key; else zero */
};

struct keyring; /* opaque, immutable */

/*
 * All keys of the secrets in S, by HKDF-SHA256 (RFC 5869), each use its own. An empty
 * auth.secret_key gives keys that nobody can know and that end with this ring. The caller frees
 * *RET. Returns 0, or -ERR_IO when the crypto library or the random source fails.
 */
int keyring_new(const struct settings *s, struct keyring **ret) MUST_CHECK;
void keyring_free(struct keyring **ring); /* NULL allowed; clears keys and the pointer */

/* The key with which new things of that use are made. Borrowed. */
const struct key *keyring_current(const struct keyring *ring, enum key_use use);

/* The key with which new tokens are signed, by auth.token_alg. Borrowed. */
const struct key *keyring_signer(const struct keyring *ring);

/* The key of that use and id, or NULL. Borrowed. */
const struct key *keyring_find(const struct keyring *ring, enum key_use use, struct str kid);

/* Whether a key of that number is in the ring still; 0, no key, always is. */
bool keyring_has(const struct keyring *ring, uint32_t id);

/* How long an access token is valid: auth.access_ttl when the ring was made. */
int64_t keyring_access_ttl_ms(const struct keyring *ring);

/*
 * wk->keyring from wk->settings: at start, and again after a reload. A ring that cannot be made
 * leaves the old one in force and is logged. False: there is none at all.
 */
bool keyring_load(struct worker *wk);

#endif
