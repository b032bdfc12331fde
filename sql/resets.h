/* SPDX-License-Identifier: MIT */
/*
 * Tokens for who forgot a password: kept as hashes, for one use, for a short time.
 * Making the token and mailing it is done above.
 */
#ifndef SQL_RESETS_H
#define SQL_RESETS_H

#include "base/base.h"
#include "sql/accounts.h"
#include "sql/db.h"

#define RESET_HASH_LEN 32

/* Where the token goes. Strings live during the call. */
struct reset_mail {
	int64_t user;
	struct str email, name;
};

/*
 * MAIL is NULL unless ERR is 0. ERR: -ERR_NOENT (no account that can act has the address, or the
 * token is none), -ERR_FULL (PENDING_MAX tokens of the account are unused), -ERR_UNAVAILABLE,
 * -ERR_DB. What a client is told must be the same in all cases.
 */
typedef void reset_done_fn(void *arg, int err, const struct reset_mail *mail);

#define RESET_PENDING_MAX 3

/* Keeps HASH for the account with this e-mail address, for TTL_MS. Removes some stale tokens. */
int reset_create(struct db *db, struct str email, const uint8_t hash[RESET_HASH_LEN],
		 int64_t ttl_ms, struct str address, uint64_t deadline_ms, reset_done_fn *done,
		 void *arg, uint64_t *ret_token) MUST_CHECK;

/* Whether a token would be taken now: before time is spent on hashing a password. */
int reset_check(struct db *db, const uint8_t hash[RESET_HASH_LEN], uint64_t deadline_ms,
		reset_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/*
 * Takes the token and sets the password PHC: ends all sessions of the account and voids its other
 * tokens. -ERR_NOENT: no token in force. Of several at once, one wins.
 */
int reset_use(struct db *db, const uint8_t hash[RESET_HASH_LEN], struct str phc,
	      struct str address, uint64_t deadline_ms, account_ended_fn *done, void *arg,
	      uint64_t *ret_token) MUST_CHECK;

#endif
