/* SPDX-License-Identifier: MIT */
/*
 * Claimed guests: their statements and answers.
 * What binds a name is decided by guest_claim in the schema.
 */
#include "sql/guests.h"

#include "sql/accounts_priv.h"

/* What guest_claim says. */
enum { CLAIM_OK, CLAIM_TAKEN, CLAIM_DISABLED, CLAIM_IMPOSSIBLE, CLAIM_BOUND };

static int claim_verdict(const struct db_result *res)
{
	int err = db_result_err(res);

	if (err < 0)
		return err;
	if (db_rows(res) == 0)
		return -ERR_DENIED;
	switch (db_get_i64(res, 0, 0)) {
	case CLAIM_OK:
		return 0;
	case CLAIM_TAKEN:
	case CLAIM_BOUND:
		return -ERR_EXISTS;
	case CLAIM_DISABLED:
		return -ERR_DENIED;
	case CLAIM_IMPOSSIBLE:
	default:
		return -ERR_INVAL;
	}
}

static void on_claimed(const struct db_call *call, const struct db_result *res)
{
	login_done_fn *done = (login_done_fn *)call->then;
	int err = claim_verdict(res);
	struct login login;

	if (err < 0) {
		done(call->arg, err, NULL);
		return;
	}
	login = login_row(res);
	done(call->arg, 0, &login);
}

int guest_claim(struct db *db, const struct guest_claim *claim, uint64_t deadline_ms,
		login_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_GUEST_CLAIM, on_claimed, (db_fn *)done, arg, deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	if (uuid_is_zero(&claim->session))
		return -ERR_INVAL;
	db_args_text(&args, claim->name.p ? claim->name : STR(""));
	db_args_uuid(&args, &claim->session);
	db_args_text(&args, claim->device);
	db_args_text(&args, claim->address);
	db_args_i64(&args, claim->ttl_ms);
	return account_submit(db, &q, &args, ret_token);
}

static void on_named(const struct db_call *call, const struct db_result *res)
{
	guests_named_fn *done = (guests_named_fn *)call->then;
	int err = db_result_err(res), rows = err < 0 ? 0 : db_rows(res);
	int64_t users[GUESTS_NAMED_MAX];
	size_t n = 0;

	for (int i = 0; i < rows && n < GUESTS_NAMED_MAX; i++)
		users[n++] = db_get_i64(res, i, 0);
	done(call->arg, err, users, n);
}

int guests_named(struct db *db, struct str name, uint64_t deadline_ms, guests_named_fn *done,
		 void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_GUESTS_NAMED, on_named, (db_fn *)done, arg, deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	db_args_text(&args, name.p ? name : STR(""));
	return account_submit(db, &q, &args, ret_token);
}
