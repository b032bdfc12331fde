/* SPDX-License-Identifier: MIT */
/*
 * Rooms with codes: parameters and answers of their statements.
 * Which rooms are closed is decided by code_settle in the schema.
 */
#include "sql/codes.h"

#include "sql/array.h"
#include "sql/page_priv.h"

#define PAGE_LIMIT 200

/* ---- Finding ---- */

static void tell_code(const struct db_call *call, const struct db_result *res, int absent)
{
	code_done_fn *done = (code_done_fn *)call->then;
	int err = db_result_err(res);

	if (err == 0 && db_rows(res) == 0)
		err = absent;
	if (err < 0)
		done(call->arg, err, 0, STR(""));
	else
		done(call->arg, 0, db_get_i64(res, 0, 0), db_get_str(res, 0, 1));
}

static void on_opened(const struct db_call *call, const struct db_result *res)
{
	tell_code(call, res, -ERR_FULL);
}

static void on_entered(const struct db_call *call, const struct db_result *res)
{
	tell_code(call, res, -ERR_NOENT);
}

int code_open(struct db *db, int64_t owner, int64_t grace_ms, uint64_t deadline_ms,
	      code_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, owner);
	db_args_i64(&args, grace_ms);
	return db_ask(db, STMT_CODE_OPEN, &args, deadline_ms, on_opened,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

int code_enter(struct db *db, struct str code, int64_t grace_ms, uint64_t deadline_ms,
	       code_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_text(&args, code);
	db_args_i64(&args, grace_ms);
	return db_ask(db, STMT_CODE_ENTER, &args, deadline_ms, on_entered,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

/* ---- Pages ---- */

int code_page(struct db *db, const struct code_view *view, uint64_t deadline_ms,
	      page_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, view->conv);
	db_args_i64(&args, view->before_rev ? view->before_rev : INT64_MAX);
	db_args_i32(&args, page_limit(view->limit, PAGE_LIMIT));
	db_args_i64(&args, view->user);
	db_args_i64(&args, view->hold_ms);
	return page_submit(db, STMT_CODE_PAGE, &args, deadline_ms, done, arg, ret_token);
}

int code_history(struct db *db, int64_t user, int64_t conv, int64_t rev, int limit,
		 uint64_t deadline_ms, page_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, user);
	db_args_i64(&args, conv);
	db_args_i64(&args, rev);
	db_args_i32(&args, page_limit(limit, PAGE_LIMIT));
	return page_submit(db, STMT_CODE_HISTORY, &args, deadline_ms, done, arg, ret_token);
}

/* ---- How long a room is kept ---- */

static void on_noted(const struct db_call *call, const struct db_result *res)
{
	((code_noted_fn *)call->then)(call->arg, db_result_err(res));
}

static void on_list(const struct db_call *call, const struct db_result *res)
{
	code_list_fn *done = (code_list_fn *)call->then;
	int err = db_result_err(res), rows = err < 0 ? 0 : db_rows(res);
	int64_t convs[CODES_MAX];
	size_t n = 0;

	for (int i = 0; i < rows && n < CODES_MAX; i++)
		convs[n++] = db_get_i64(res, i, 0);
	done(call->arg, err, convs, n);
}

int code_left(struct db *db, const int64_t *convs, const int64_t *users, size_t n,
	      int64_t grace_ms, uint64_t deadline_ms, code_noted_fn *done, void *arg,
	      uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	if (n < 1 || n > CODES_MAX)
		return -ERR_INVAL;
	array_i64(&args, convs, n);
	array_i64(&args, users, n);
	db_args_i64(&args, grace_ms);
	return db_ask(db, STMT_CODE_LEFT, &args, deadline_ms, on_noted,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

int code_due(struct db *db, uint64_t deadline_ms, code_list_fn *done, void *arg,
	     uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i32(&args, CODES_MAX);
	return db_ask(db, STMT_CODE_DUE, &args, deadline_ms, on_list,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

int code_settle(struct db *db, const int64_t *convs, const int64_t *users, size_t n,
		int64_t grace_ms, int64_t again_ms, uint64_t deadline_ms, code_list_fn *done,
		void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	if (n < 1 || n > CODES_MAX)
		return -ERR_INVAL;
	array_i64(&args, convs, n);
	array_i64(&args, users, n);
	db_args_i64(&args, grace_ms);
	db_args_i64(&args, again_ms);
	return db_ask(db, STMT_CODE_SETTLE, &args, deadline_ms, on_list,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

int code_forget(struct db *db, const int64_t *convs, size_t n, uint64_t deadline_ms,
		code_noted_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	if (n < 1 || n > CODES_MAX)
		return -ERR_INVAL;
	array_i64(&args, convs, n);
	return db_ask(db, STMT_CODE_FORGET, &args, deadline_ms, on_noted,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}
