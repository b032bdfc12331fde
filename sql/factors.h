/* SPDX-License-Identifier: MIT */
/*
 * The second factor: one TOTP secret per account (RFC 6238) and its recovery codes.
 * The caller seals the secret and compares codes; here it is bytes. Recovery codes come as hashes.
 */
#ifndef SQL_FACTORS_H
#define SQL_FACTORS_H

#include "base/base.h"
#include "sql/accounts.h"
#include "sql/db.h"

#define FACTOR_CODES_MAX 20
#define FACTOR_HASH_LEN 32
#define FACTOR_SEALED_MAX 256

/*
 * Keeps SEALED (1 to FACTOR_SEALED_MAX bytes) until it is confirmed; an earlier one that was not
 * confirmed is forgotten. -ERR_EXISTS: the account has a factor in force; -ERR_NOENT: no such
 * account.
 */
int factor_totp_begin(struct db *db, int64_t user, struct str sealed, uint64_t deadline_ms,
		      account_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* SEALED lives during the call; p == NULL unless ERR is 0. ERR: -ERR_NOENT, -ERR_UNAVAILABLE,
 * -ERR_DB. */
typedef void factor_sealed_fn(void *arg, int err, struct str sealed);

/* The secret that waits for confirmation. */
int factor_totp_waiting(struct db *db, int64_t user, uint64_t deadline_ms, factor_sealed_fn *done,
			void *arg, uint64_t *ret_token) MUST_CHECK;

/*
 * Puts the waiting secret SEALED in force, STEP being the time step of the code that proved it,
 * with N (1 to FACTOR_CODES_MAX) hashes of recovery codes. -ERR_NOENT: it waits no more. Not safe
 * to repeat.
 */
int factor_totp_confirm(struct db *db, int64_t user, struct str sealed, int64_t step,
			const uint8_t (*hashes)[FACTOR_HASH_LEN], size_t n, struct str address,
			uint64_t deadline_ms, account_done_fn *done, void *arg,
			uint64_t *ret_token) MUST_CHECK;

/*
 * Uses up time step STEP: a code counts once (RFC 6238 section 5.2). -ERR_DENIED: it or a later
 * one was used up, or there is no factor. Of several at once, one wins.
 */
int factor_totp_use(struct db *db, int64_t user, int64_t step, uint64_t deadline_ms,
		    account_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* With which keys the secrets are sealed, each of which begins with the name of its key: a row for
 * each key, for factor_keys_row. */
int factor_keys(struct db *db, uint64_t deadline_ms, db_rows_fn *done, void *arg,
		uint64_t *ret_token) MUST_CHECK;

/* Row I below db_rows: the key KID (borrowed) sealed N of them. */
void factor_keys_row(const struct db_result *res, int i, struct str *ret_kid, int64_t *ret_n);

/* Puts SEALED, the same secret, in the place of OLD, unless that is there no more. */
int factor_totp_reseal(struct db *db, int64_t user, struct str old, struct str sealed,
		       uint64_t deadline_ms, account_done_fn *done, void *arg,
		       uint64_t *ret_token) MUST_CHECK;

/* Uses up the recovery code with HASH. LEFT codes remain. -ERR_DENIED: none such. */
typedef void factor_left_fn(void *arg, int err, int64_t left);
int factor_recovery_use(struct db *db, int64_t user, const uint8_t hash[FACTOR_HASH_LEN],
			struct str address, uint64_t deadline_ms, factor_left_fn *done, void *arg,
			uint64_t *ret_token) MUST_CHECK;

/* New recovery codes in place of all. -ERR_NOENT: there is no factor in force. */
int factor_recovery_set(struct db *db, int64_t user, const uint8_t (*hashes)[FACTOR_HASH_LEN],
			size_t n, uint64_t deadline_ms, account_done_fn *done, void *arg,
			uint64_t *ret_token) MUST_CHECK;

/* Removes secret and codes. -ERR_NOENT: there is no factor, waiting or in force. */
int factor_totp_remove(struct db *db, int64_t user, int64_t actor, struct str address,
		       uint64_t deadline_ms, account_done_fn *done, void *arg,
		       uint64_t *ret_token) MUST_CHECK;

#endif
