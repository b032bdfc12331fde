/* SPDX-License-Identifier: MIT */
/*
 * Guests by name, and people by UUID. Accounts are in accounts.h, sessions in logins.h.
 * Which names are acceptable (length, characters, form) is decided above.
 */
#ifndef SQL_USERS_H
#define SQL_USERS_H

#include "base/base.h"
#include "base/ids.h"
#include "sql/db.h"

struct user {
	int64_t id;
	struct uuid uid;
	struct str name; /* as stored at the first use; borrowed during the call */
};

/* USER is NULL unless ERR is 0. */
typedef void user_done_fn(void *arg, int err, const struct user *user);

/*
 * The guest of this name, however it is written (accounts.h); made if there is none. ERR:
 * -ERR_EXISTS an account has the name or a session holds it (guests.h), -ERR_DENIED the guest is
 * disabled, -ERR_INVAL a value the schema refuses, -ERR_UNAVAILABLE, -ERR_DB.
 */
int user_guest_get(struct db *db, struct str name, uint64_t deadline_ms, user_done_fn *done,
		   void *arg, uint64_t *ret_token) MUST_CHECK;

#define USER_GUESTS_MAX 1024

/*
 * user_guest_get for N names (1 to USER_GUESTS_MAX) in one statement; a name may come twice. Names
 * are borrowed during the call. A name that is refused takes no other down, except by its encoding
 * (-ERR_INVAL). As many rows as names, in their order, for user_guests_row.
 */
int user_guests_get(struct db *db, const struct str *names, size_t n, uint64_t deadline_ms,
		    db_rows_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* IDS are the numbers of those asked for, 0 where there is nobody; borrowed. ERR as db_rows_fn. */
typedef void user_ids_fn(void *arg, int err, const int64_t *ids, size_t n);

/* The numbers of N people (1 to USER_GUESTS_MAX), in their order. UIDS are borrowed. */
int user_ids(struct db *db, const struct uuid *uids, size_t n, uint64_t deadline_ms,
	     user_ids_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* What became of name I: 0 and *RET (borrowed from the result), or the ERR of user_guest_get. */
int user_guests_row(const struct db_result *res, int i, struct user *ret) MUST_CHECK;

#endif
