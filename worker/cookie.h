/* SPDX-License-Identifier: MIT */
/*
 * The sealed cookie "session": who a page's visitor is, readable by the server alone.
 * Who gets one and what it opens is authn.c's; finding it in a request, proto/http's.
 */
#ifndef WORKER_COOKIE_H
#define WORKER_COOKIE_H

#include "base/base.h"
#include "base/buf.h"
#include "base/ids.h"

struct keyring;

#define COOKIE_FIELD "session"
#define COOKIE_NAME_MAX 400  /* bytes: 100 characters of 4 */
#define COOKIE_TEXT_MAX 2048 /* a longer text is no cookie of ours */

/* By value: nothing in it is owned. Zero and empty members are left out of the sealed text. */
struct cookie {
	struct uuid session; /* the login session, or a guest's own id */
	int64_t user;	     /* users.id; 0: not known to the database yet */
	struct uuid uid;     /* users.uid; zero while user is 0 */
	bool is_guest, is_admin;
	int64_t room;	     /* conversation of the S0 page; 0: none */
	uint32_t key_id;     /* that sealed it: set by cookie_open alone */
	int64_t expires_ms;  /* wall clock, whole seconds are kept; must be set */
	char name[COOKIE_NAME_MAX + 1]; /* UTF-8 */
};

/*
 * Appends C sealed with AES-256-GCM under the ring's current key and a random nonce. The text has
 * only characters that RFC 6265 allows in a cookie. Returns 0, or -ERR_IO when the crypto library
 * fails.
 */
int cookie_seal(const struct keyring *ring, const struct cookie *c, struct buf *out) MUST_CHECK;

/*
 * Opens TEXT by any key of the ring. Returns 0; -ERR_CLOSED with *RET set when it has expired at
 * NOW_MS; -ERR_DENIED with *RET untouched when it is another's or one bit was changed: then there
 * is no cookie.
 */
int cookie_open(const struct keyring *ring, struct str text, int64_t now_ms,
		struct cookie *ret) MUST_CHECK;

/*
 * Appends the value of a Set-Cookie field (RFC 6265 section 4.1) for TEXT: HttpOnly, SameSite=Lax,
 * Path=/, and Secure if IS_SECURE. MAX_AGE_S 0 with an empty TEXT tells the browser to forget it.
 */
void cookie_add_set(struct buf *out, struct str text, int64_t max_age_s, bool is_secure);

#endif
