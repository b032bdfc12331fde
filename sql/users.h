/* SPDX-License-Identifier: MIT */
/*
 * Guests by name. Accounts, passwords and sessions are not here yet.
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
 * The guest of exactly this name; made if there is none. Accounts are compared without case.
 * ERR: -ERR_EXISTS an account has the name, -ERR_DENIED the guest is disabled, -ERR_INVAL a
 * value the schema refuses, -ERR_UNAVAILABLE, -ERR_DB.
 */
int user_guest_get(struct db *db, struct str name, uint64_t deadline_ms, user_done_fn *done,
		   void *arg, uint64_t *ret_token) MUST_CHECK;

#endif
