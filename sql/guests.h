/* SPDX-License-Identifier: MIT */
/*
 * Guests whose name is bound to a session, so that nobody else is the same guest while it lives.
 * Guests by name alone are users.h's; sessions go on by logins.h.
 */
#ifndef SQL_GUESTS_H
#define SQL_GUESTS_H

#include "base/base.h"
#include "base/ids.h"
#include "sql/db.h"
#include "sql/logins.h"

struct guest_claim {
	struct str name;
	struct uuid session; /* new */
	struct str device, address; /* as in login_new */
	int64_t ttl_ms;
};

/*
 * Makes a session (LOGIN_COOKIE) of the guest of this name, who is made if there is none. ERR:
 * -ERR_EXISTS an account has the name or another session holds it, -ERR_DENIED the guest is
 * disabled, -ERR_INVAL, -ERR_UNAVAILABLE, -ERR_DB. Safe to repeat.
 */
int guest_claim(struct db *db, const struct guest_claim *claim, uint64_t deadline_ms,
		login_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/*
 * Guests whose name is NAME as names are compared: who an account of this name would put out. At
 * most GUESTS_NAMED_MAX. USERS borrowed; N 0 unless ERR is 0.
 */
#define GUESTS_NAMED_MAX 100
typedef void guests_named_fn(void *arg, int err, const int64_t *users, size_t n);
int guests_named(struct db *db, struct str name, uint64_t deadline_ms, guests_named_fn *done,
		 void *arg, uint64_t *ret_token) MUST_CHECK;

#endif
