/* SPDX-License-Identifier: MIT */
/*
 * What accounts.c, logins.c, factors.c and resets.c share: sending, and the common answers.
 */
#ifndef SQL_ACCOUNTS_PRIV_H
#define SQL_ACCOUNTS_PRIV_H

#include "sql/accounts.h"
#include "sql/logins.h"

/* A statement with its parameters on the way to ON_DONE, which finds THEN in call->then. */
struct account_query {
	enum stmt_id stmt;
	db_done_fn *on_done;
	db_fn *then;
	void *arg;
	uint64_t deadline_ms;
};

/* Empties ARGS in any case. */
int account_submit(struct db *db, const struct account_query *q, struct db_args *args,
		   uint64_t *ret_token) MUST_CHECK;

/* For account_done_fn: success is all there is to say. */
void account_on_done(const struct db_call *call, const struct db_result *res);

/* For account_done_fn: no row is -ERR_NOENT. */
void account_on_found(const struct db_call *call, const struct db_result *res);

/* For account_ended_fn: no row is -ERR_NOENT; a row without a session says only that. */
void account_on_ended(const struct db_call *call, const struct db_result *res);

/* A bytea parameter. */
void args_bytes(struct db_args *args, const void *bytes, size_t len);

/* The session that begins, renews or claims answer after their verdict; its name is RES's. */
struct login login_row(const struct db_result *res);

#endif
