/* SPDX-License-Identifier: MIT */
/*
 * Accounts: parameters and answers of their statements.
 * Who wins a race for a name and which sessions end is decided by functions in the schema.
 */
#include "sql/accounts_priv.h"
#include "sql/page_priv.h"

#define SEARCH_LIMIT 50
#define LIST_LIMIT 1000

/* ---- Shared with logins.c, factors.c and resets.c ---- */

int account_submit(struct db *db, const struct account_query *a, struct db_args *args,
		   uint64_t *ret_token)
{
	return db_ask(db, a->stmt, args, a->deadline_ms, a->on_done,
		      (struct db_call){a->arg, a->then}, ret_token);
}

void account_on_done(const struct db_call *call, const struct db_result *res)
{
	((account_done_fn *)call->then)(call->arg, db_result_err(res));
}

void account_on_found(const struct db_call *call, const struct db_result *res)
{
	int err = db_result_err(res);

	if (err == 0 && db_rows(res) == 0)
		err = -ERR_NOENT;
	((account_done_fn *)call->then)(call->arg, err);
}

void account_on_ended(const struct db_call *call, const struct db_result *res)
{
	account_ended_fn *done = (account_ended_fn *)call->then;
	int err = db_result_err(res), rows = db_rows(res);
	struct uuid *ids;
	size_t n = 0;

	if (err == 0 && rows == 0)
		err = -ERR_NOENT;
	if (err < 0) {
		done(call->arg, err, NULL, 0);
		return;
	}
	ids = xcalloc((size_t)rows, sizeof(*ids));
	for (int i = 0; i < rows; i++)
		if (!db_is_null(res, i, 0))
			ids[n++] = db_get_uuid(res, i, 0);
	done(call->arg, 0, ids, n);
	free(ids);
}

void args_bytes(struct db_args *args, const void *bytes, size_t len)
{
	db_args_open(args);
	buf_add(&args->data, bytes, len);
	db_args_close(args);
}

/* ---- Making ---- */

/* What account_create says. */
enum { CREATE_MADE, CREATE_USERNAME_TAKEN, CREATE_EMAIL_TAKEN, CREATE_NO_GUEST };

static int made_verdict(const struct db_result *res, enum account_clash *ret_clash)
{
	int err = db_result_err(res);

	if (err < 0)
		return err;
	if (db_rows(res) == 0)
		return -ERR_DB;
	switch (db_get_i64(res, 0, 0)) {
	case CREATE_MADE:
		return 0;
	case CREATE_USERNAME_TAKEN:
		*ret_clash = ACCOUNT_CLASH_USERNAME;
		return -ERR_EXISTS;
	case CREATE_EMAIL_TAKEN:
		*ret_clash = ACCOUNT_CLASH_EMAIL;
		return -ERR_EXISTS;
	case CREATE_NO_GUEST:
		return -ERR_NOENT;
	default:
		return -ERR_DB;
	}
}

static void on_made(const struct db_call *call, const struct db_result *res)
{
	account_made_fn *done = (account_made_fn *)call->then;
	enum account_clash clash = ACCOUNT_CLASH_NONE;
	int err = made_verdict(res, &clash);
	struct account account;

	if (err < 0) {
		done(call->arg, err, clash, NULL);
		return;
	}
	account = (struct account){.id = db_get_i64(res, 0, 1),
				   .uid = db_get_uuid(res, 0, 2),
				   .name = db_get_str(res, 0, 3),
				   .is_admin = db_get_i64(res, 0, 4) != 0};
	done(call->arg, 0, clash, &account);
}

int account_create(struct db *db, const struct account_new *n, uint64_t deadline_ms,
		   account_made_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_ACCOUNT_CREATE, on_made, (db_fn *)done, arg, deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	db_args_text(&args, n->username.p ? n->username : STR(""));
	db_args_text(&args, n->email);
	db_args_text(&args, n->full_name);
	db_args_text(&args, n->hash);
	db_args_i64(&args, n->guest);
	db_args_i32(&args, n->is_admin);
	db_args_i32(&args, n->by_operator);
	db_args_text(&args, n->address);
	db_args_text(&args, n->avatar_url);
	return account_submit(db, &q, &args, ret_token);
}

/* ---- Logging in ---- */

static void on_login(const struct db_call *call, const struct db_result *res)
{
	account_login_fn *done = (account_login_fn *)call->then;
	int err = db_result_err(res);
	struct account_login login;

	if (err == 0 && db_rows(res) == 0)
		err = -ERR_NOENT;
	if (err < 0) {
		done(call->arg, err, NULL);
		return;
	}
	login = (struct account_login){.id = db_get_i64(res, 0, 0),
				       .uid = db_get_uuid(res, 0, 1),
				       .name = db_get_str(res, 0, 2),
				       .hash = db_get_str(res, 0, 3),
				       .credentials = db_get_i64(res, 0, 4),
				       .is_disabled = db_get_i64(res, 0, 5) != 0,
				       .is_admin = db_get_i64(res, 0, 6) != 0,
				       .totp = db_get_str(res, 0, 7),
				       .totp_step = db_get_i64(res, 0, 8)};
	done(call->arg, 0, &login);
}

int account_find_login(struct db *db, struct str text, uint64_t deadline_ms, account_login_fn *done,
		       void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_ACCOUNT_FIND_LOGIN, on_login, (db_fn *)done, arg,
				  deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	db_args_text(&args, text.p ? text : STR(""));
	return account_submit(db, &q, &args, ret_token);
}

int account_credentials(struct db *db, int64_t user, uint64_t deadline_ms, account_login_fn *done,
			void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_ACCOUNT_CREDENTIALS, on_login, (db_fn *)done, arg,
				  deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, user);
	return account_submit(db, &q, &args, ret_token);
}

/* ---- Passwords, disabling, administrators ---- */

int account_set_password(struct db *db, int64_t user, struct str hash, const struct uuid *keep,
			 int64_t actor, int64_t credentials, struct str address,
			 uint64_t deadline_ms, account_ended_fn *done, void *arg,
			 uint64_t *ret_token)
{
	struct account_query q = {STMT_ACCOUNT_SET_PASSWORD, account_on_ended, (db_fn *)done, arg,
				  deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	if (!hash.len)
		return -ERR_INVAL;
	db_args_i64(&args, user);
	db_args_text(&args, hash);
	db_args_uuid(&args, keep);
	db_args_i64(&args, actor);
	db_args_i64(&args, credentials);
	db_args_text(&args, address);
	return account_submit(db, &q, &args, ret_token);
}

int account_rehash(struct db *db, int64_t user, struct str old, struct str hash,
		   uint64_t deadline_ms, account_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_ACCOUNT_REHASH, account_on_done, (db_fn *)done, arg,
				  deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	if (!hash.len)
		return -ERR_INVAL;
	db_args_i64(&args, user);
	db_args_text(&args, old);
	db_args_text(&args, hash);
	return account_submit(db, &q, &args, ret_token);
}

static int set_flag(struct db *db, struct account_query q, int64_t user, bool flag, int64_t actor,
		    struct str address, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, user);
	db_args_i32(&args, flag);
	db_args_i64(&args, actor);
	db_args_text(&args, address);
	return account_submit(db, &q, &args, ret_token);
}

int account_set_disabled(struct db *db, int64_t user, bool is_disabled, int64_t actor,
			 struct str address, uint64_t deadline_ms, account_ended_fn *done,
			 void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_ACCOUNT_SET_DISABLED, account_on_ended, (db_fn *)done, arg,
				  deadline_ms};

	return set_flag(db, q, user, is_disabled, actor, address, ret_token);
}

int account_set_admin(struct db *db, int64_t user, bool is_admin, int64_t actor, struct str address,
		      uint64_t deadline_ms, account_ended_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_ACCOUNT_SET_ADMIN, account_on_ended, (db_fn *)done, arg,
				  deadline_ms};

	return set_flag(db, q, user, is_admin, actor, address, ret_token);
}

static void on_erased(const struct db_call *call, const struct db_result *res)
{
	account_erased_fn *done = (account_erased_fn *)call->then;
	int err = db_result_err(res), rows = db_rows(res);
	size_t n = 0, n_convs = 0;
	struct uuid *sessions;
	int64_t *convs;

	if (err == 0 && rows == 0)
		err = -ERR_NOENT;
	if (err < 0) {
		done(call->arg, err, NULL, 0, NULL, 0);
		return;
	}
	sessions = xcalloc((size_t)rows, sizeof(*sessions));
	convs = xcalloc((size_t)rows, sizeof(*convs));
	for (int i = 0; i < rows; i++) {
		if (!db_is_null(res, i, 0))
			sessions[n++] = db_get_uuid(res, i, 0);
		if (!db_is_null(res, i, 1))
			convs[n_convs++] = db_get_i64(res, i, 1);
	}
	done(call->arg, 0, sessions, n, convs, n_convs);
	free(sessions);
	free(convs);
}

int account_erase(struct db *db, int64_t user, int64_t credentials, struct str address,
		  uint64_t deadline_ms, account_erased_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_ACCOUNT_ERASE, on_erased, (db_fn *)done, arg, deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, user);
	db_args_i64(&args, credentials);
	db_args_text(&args, address);
	return account_submit(db, &q, &args, ret_token);
}

/* ---- Profiles ---- */

int account_get(struct db *db, int64_t id, const struct uuid *uid, bool is_self,
		uint64_t deadline_ms, page_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64_or_null(&args, id);
	db_args_uuid(&args, id ? NULL : uid);
	return page_submit(db, is_self ? STMT_ACCOUNT_SELF : STMT_ACCOUNT_GET, &args, deadline_ms,
			   done, arg, ret_token);
}

static void on_patched(const struct db_call *call, const struct db_result *res)
{
	int err = db_result_err(res);
	struct str old = {0};

	if (err == 0 && db_rows(res) == 0)
		err = -ERR_NOENT;
	if (err == 0 && db_get_i64(res, 0, 0) != 0)
		old = db_get_str(res, 0, 1);
	((account_patched_fn *)call->then)(call->arg, err, old);
}

int account_patch(struct db *db, int64_t user, const struct account_patch *patch,
		  int64_t credentials, struct str address, uint64_t deadline_ms,
		  account_patched_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_ACCOUNT_PATCH, on_patched, (db_fn *)done, arg, deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, user);
	db_args_text(&args, patch->full_name);
	db_args_text(&args, patch->avatar_url);
	db_args_text(&args, patch->email);
	db_args_i64(&args, credentials);
	db_args_text(&args, address);
	db_args_text(&args, patch->seen);
	return account_submit(db, &q, &args, ret_token);
}

int account_note(struct db *db, struct str action, int64_t user, struct str address,
		 uint64_t deadline_ms, account_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct account_query q = {STMT_ACCOUNT_NOTE, account_on_done, (db_fn *)done, arg,
				  deadline_ms};
	struct db_args args = DB_ARGS_INIT;

	db_args_text(&args, action);
	db_args_i64(&args, user);
	db_args_text(&args, address);
	return account_submit(db, &q, &args, ret_token);
}

int account_search(struct db *db, struct str query, int limit, uint64_t deadline_ms,
		   page_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_text(&args, query.p ? query : STR(""));
	db_args_i32(&args, page_limit(limit, SEARCH_LIMIT));
	return page_submit(db, STMT_ACCOUNT_SEARCH, &args, deadline_ms, done, arg, ret_token);
}

int account_list(struct db *db, int64_t after_id, int limit, uint64_t deadline_ms,
		 page_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, after_id);
	db_args_i32(&args, page_limit(limit, LIST_LIMIT));
	return page_submit(db, STMT_ACCOUNT_LIST, &args, deadline_ms, done, arg, ret_token);
}
