/* SPDX-License-Identifier: MIT */
/*
 * Second factors: parameters and answers of their statements.
 * Codes are compared, and secrets opened, above.
 */
#include "sql/factors.h"

#include "sql/accounts_priv.h"
#include "sql/array.h"

/* ---- Putting one in force ---- */

/* What totp_begin says. */
enum { BEGIN_KEPT, BEGIN_NO_ACCOUNT, BEGIN_IN_FORCE };

static void on_begun(const struct db_call *call, const struct db_result *res)
{
	int err = db_result_err(res);

	if (err == 0 && db_rows(res) == 0)
		err = -ERR_DB;
	if (err == 0 && db_get_i64(res, 0, 0) != BEGIN_KEPT)
		err = db_get_i64(res, 0, 0) == BEGIN_IN_FORCE ? -ERR_EXISTS : -ERR_NOENT;
	((account_done_fn *)call->then)(call->arg, err);
}

int factor_totp_begin(struct db *db, int64_t user, struct str sealed, uint64_t deadline_ms,
		      account_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_TOTP_BEGIN, on_begun, (db_fn *)done, arg, deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	if (sealed.len < 1 || sealed.len > FACTOR_SEALED_MAX)
		return -ERR_INVAL;
	db_args_i64(&args, user);
	args_bytes(&args, sealed.p, sealed.len);
	return account_submit(db, &q, &args, ret_token);
}

static void on_waiting(const struct db_call *call, const struct db_result *res)
{
	int err = db_result_err(res);

	if (err == 0 && db_rows(res) == 0)
		err = -ERR_NOENT;
	((factor_sealed_fn *)call->then)(call->arg, err, db_get_str(res, 0, 0));
}

int factor_totp_waiting(struct db *db, int64_t user, uint64_t deadline_ms, factor_sealed_fn *done,
			void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_TOTP_WAITING, on_waiting, (db_fn *)done, arg, deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, user);
	return account_submit(db, &q, &args, ret_token);
}

static void args_hashes(struct db_args *args, const uint8_t (*hashes)[FACTOR_HASH_LEN], size_t n)
{
	struct buf *b = array_open(args, OID_BYTEA, n);

	for (size_t i = 0; i < n; i++)
		array_add_str(b, (struct str){(const char *)hashes[i], FACTOR_HASH_LEN});
	db_args_close(args);
}

int factor_totp_confirm(struct db *db, int64_t user, struct str sealed, int64_t step,
			const uint8_t (*hashes)[FACTOR_HASH_LEN], size_t n, struct str address,
			uint64_t deadline_ms, account_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_TOTP_CONFIRM, account_on_found, (db_fn *)done, arg,
				  deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	if (n < 1 || n > FACTOR_CODES_MAX)
		return -ERR_INVAL;
	db_args_i64(&args, user);
	args_bytes(&args, sealed.p, sealed.len);
	db_args_i64(&args, step);
	args_hashes(&args, hashes, n);
	db_args_text(&args, address);
	return account_submit(db, &q, &args, ret_token);
}

/* ---- Using it ---- */

static void on_used(const struct db_call *call, const struct db_result *res)
{
	int err = db_result_err(res);

	if (err == 0 && db_rows(res) == 0)
		err = -ERR_DENIED;
	((account_done_fn *)call->then)(call->arg, err);
}

int factor_totp_use(struct db *db, int64_t user, int64_t step, uint64_t deadline_ms,
		    account_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_TOTP_USE, on_used, (db_fn *)done, arg, deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, user);
	db_args_i64(&args, step);
	return account_submit(db, &q, &args, ret_token);
}

int factor_totp_reseal(struct db *db, int64_t user, struct str old, struct str sealed,
		       uint64_t deadline_ms, account_done_fn *done, void *arg,
		       uint64_t *ret_token)
{
	struct account_query q = {STMT_TOTP_RESEAL, account_on_done, (db_fn *)done, arg,
				  deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	if (sealed.len < 1 || sealed.len > FACTOR_SEALED_MAX)
		return -ERR_INVAL;
	db_args_i64(&args, user);
	args_bytes(&args, old.p, old.len);
	args_bytes(&args, sealed.p, sealed.len);
	return account_submit(db, &q, &args, ret_token);
}

static void on_recovered(const struct db_call *call, const struct db_result *res)
{
	int err = db_result_err(res);

	if (err == 0 && db_rows(res) == 0)
		err = -ERR_DENIED;
	((factor_left_fn *)call->then)(call->arg, err, db_get_i64(res, 0, 0));
}

int factor_recovery_use(struct db *db, int64_t user, const uint8_t hash[FACTOR_HASH_LEN],
			struct str address, uint64_t deadline_ms, factor_left_fn *done, void *arg,
			uint64_t *ret_token)
{
	struct account_query q = {STMT_RECOVERY_USE, on_recovered, (db_fn *)done, arg, deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, user);
	args_bytes(&args, hash, FACTOR_HASH_LEN);
	db_args_text(&args, address);
	return account_submit(db, &q, &args, ret_token);
}

/* ---- Changing it ---- */

int factor_recovery_set(struct db *db, int64_t user, const uint8_t (*hashes)[FACTOR_HASH_LEN],
			size_t n, uint64_t deadline_ms, account_done_fn *done, void *arg,
			uint64_t *ret_token)
{
	struct account_query q = {STMT_RECOVERY_SET, account_on_found, (db_fn *)done, arg,
				  deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	if (n < 1 || n > FACTOR_CODES_MAX)
		return -ERR_INVAL;
	db_args_i64(&args, user);
	args_hashes(&args, hashes, n);
	return account_submit(db, &q, &args, ret_token);
}

int factor_totp_remove(struct db *db, int64_t user, int64_t actor, struct str address,
		       uint64_t deadline_ms, account_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_TOTP_REMOVE, account_on_found, (db_fn *)done, arg,
				  deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, user);
	db_args_i64(&args, actor);
	db_args_text(&args, address);
	return account_submit(db, &q, &args, ret_token);
}

/* ---- Their keys ---- */

int factor_keys(struct db *db, uint64_t deadline_ms, db_rows_fn *done, void *arg,
		uint64_t *ret_token)
{
	struct account_query q = {STMT_FACTOR_KEYS, db_answer_rows, (db_fn *)done, arg,
				  deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	return account_submit(db, &q, &args, ret_token);
}

void factor_keys_row(const struct db_result *res, int i, struct str *ret_kid, int64_t *ret_n)
{
	*ret_kid = db_get_str(res, i, 0);
	*ret_n = db_get_i64(res, i, 1);
}
