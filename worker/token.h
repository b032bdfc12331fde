/* SPDX-License-Identifier: MIT */
/*
 * Access tokens: JWTs (RFC 7519) that are signed and checked here, without the database.
 * Whether the session behind one was revoked is shm/revoked's and authn.c's.
 */
#ifndef WORKER_TOKEN_H
#define WORKER_TOKEN_H

#include "base/base.h"
#include "base/buf.h"
#include "base/ids.h"

struct keyring;

#define TOKEN_NAME_MAX 400  /* bytes: 100 characters of 4 */
#define TOKEN_TEXT_MAX 2048 /* a longer text is no token of ours */

/* Clocks of several nodes may differ by so much before a token counts as from the future. */
#define TOKEN_SKEW_MS 5000

/* The claims. By value: nothing in it is owned. Times are wall clock, whole seconds on the wire. */
struct token {
	struct uuid uid;     /* sub: users.uid */
	int64_t user;	     /* uid: users.id, positive */
	struct uuid session; /* sid */
	bool is_admin;	     /* adm */
	int64_t issued_ms;   /* iat and nbf */
	int64_t expires_ms;  /* exp */
	uint32_t key_id;     /* that signed it: set by token_check, not read by token_issue */
	char name[TOKEN_NAME_MAX + 1]; /* name: UTF-8 */
};

/*
 * Appends T as a signed text, by the ring's current key: {"alg","typ":"JWT","kid"} and the claims
 * with iss and aud "roomd". issued_ms 0 is now; expires_ms 0 is issued_ms + auth.access_ttl.
 * Returns 0, or -ERR_IO when the crypto library fails.
 */
int token_issue(const struct keyring *ring, const struct token *t, struct buf *out) MUST_CHECK;

/*
 * Takes TEXT apart and checks all of it: form, kid (which alone decides key and algorithm; the alg
 * in the header must then be that one), signature, iss, aud, the times against NOW_MS, every claim.
 * Returns 0, or -ERR_DENIED with *RET untouched.
 */
int token_check(const struct keyring *ring, struct str text, int64_t now_ms,
		struct token *ret) MUST_CHECK;

#endif
