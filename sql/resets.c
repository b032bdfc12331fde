/* SPDX-License-Identifier: MIT */
/*
 * Reset tokens: parameters and answers of their statements.
 * What a client is told of them, and the mail, are the caller's.
 */
#include "sql/resets.h"

#include "sql/accounts_priv.h"

static void on_reset(const struct db_call *call, const struct db_result *res)
{
	reset_done_fn *done = (reset_done_fn *)call->then;
	int err = db_result_err(res);
	struct reset_mail mail;

	if (err == 0 && db_rows(res) == 0)
		err = -ERR_NOENT;
	if (err == 0 && db_get_i64(res, 0, 0))
		err = -ERR_FULL;
	if (err < 0) {
		done(call->arg, err, NULL);
		return;
	}
	mail = (struct reset_mail){.user = db_get_i64(res, 0, 1),
				   .email = db_get_str(res, 0, 2),
				   .name = db_get_str(res, 0, 3)};
	done(call->arg, 0, &mail);
}

int reset_create(struct db *db, struct str email, const uint8_t hash[RESET_HASH_LEN],
		 int64_t ttl_ms, struct str address, uint64_t deadline_ms, reset_done_fn *done,
		 void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_RESET_CREATE, on_reset, (db_fn *)done, arg, deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	db_args_text(&args, email.p ? email : STR(""));
	args_bytes(&args, hash, RESET_HASH_LEN);
	db_args_i64(&args, ttl_ms);
	db_args_i32(&args, RESET_PENDING_MAX);
	db_args_text(&args, address);
	return account_submit(db, &q, &args, ret_token);
}

int reset_check(struct db *db, const uint8_t hash[RESET_HASH_LEN], uint64_t deadline_ms,
		reset_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_RESET_CHECK, on_reset, (db_fn *)done, arg, deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	args_bytes(&args, hash, RESET_HASH_LEN);
	return account_submit(db, &q, &args, ret_token);
}

int reset_use(struct db *db, const uint8_t hash[RESET_HASH_LEN], struct str phc, struct str address,
	      uint64_t deadline_ms, account_ended_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_RESET_USE, account_on_ended, (db_fn *)done, arg,
				  deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	if (!phc.len)
		return -ERR_INVAL;
	args_bytes(&args, hash, RESET_HASH_LEN);
	db_args_text(&args, phc);
	db_args_text(&args, address);
	return account_submit(db, &q, &args, ret_token);
}
