/* SPDX-License-Identifier: MIT */
/*
 * Conversations of two people: parameters and results of their statements.
 * That there is one for each pair is direct_open's work in the schema.
 */
#include "sql/direct.h"

#include "sql/array.h"
#include "sql/page_priv.h"

/* What the schema's status means: the numbers of log_change. */
static int err_of(int64_t status)
{
	switch (status) {
	case 0:
	case 1:
	case 2:
		return 0;
	case 3:
		return -ERR_CLOSED;
	case 4:
		return -ERR_NOENT;
	case 5:
		return -ERR_DENIED;
	default:
		return -ERR_INVAL;
	}
}

static int result_err(const struct db_result *res)
{
	int err = db_result_err(res);

	if (err == 0 && db_rows(res) == 0)
		return -ERR_DB;
	return err ? err : err_of(db_get_i64(res, 0, 0));
}

static void on_direct(const struct db_call *call, const struct db_result *res)
{
	direct_done_fn *done = (direct_done_fn *)call->then;
	int err = result_err(res);
	struct direct direct;

	if (err < 0) {
		done(call->arg, err, NULL);
		return;
	}
	direct = (struct direct){.conv = db_get_i64(res, 0, 1),
				 .peer = db_get_i64(res, 0, 2),
				 .is_new = db_get_i64(res, 0, 0) == 1};
	done(call->arg, 0, &direct);
}

int direct_open(struct db *db, int64_t user, int64_t peer, const struct uuid *uid,
		uint64_t deadline_ms, direct_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, user);
	db_args_i64_or_null(&args, peer);
	db_args_uuid(&args, peer ? NULL : uid);
	return db_ask(db, STMT_DIRECT_OPEN, &args, deadline_ms, on_direct,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

/* ---- Blocks ---- */

static void on_block(const struct db_call *call, const struct db_result *res)
{
	int err = result_err(res);

	((block_done_fn *)call->then)(call->arg, err, err ? 0 : db_get_i64(res, 0, 1));
}

int block_set(struct db *db, int64_t user, int64_t other, bool on, uint64_t deadline_ms,
	      block_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, user);
	db_args_i64(&args, other);
	db_args_i32(&args, on);
	return db_ask(db, STMT_BLOCK_SET, &args, deadline_ms, on_block,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

int block_list(struct db *db, int64_t user, uint64_t deadline_ms, page_done_fn *done, void *arg,
	       uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, user);
	db_args_i32(&args, BLOCKS_MAX);
	return page_submit(db, STMT_BLOCK_LIST, &args, deadline_ms, done, arg, ret_token);
}

/* ---- Announcements ---- */

int notices_events(struct db *db, const int64_t *convs, const int64_t *after,
		   const int64_t *first, size_t n, uint64_t deadline_ms, db_rows_fn *done,
		   void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	if (n < 1 || n > NOTICES_CONVS_MAX)
		return -ERR_INVAL;
	array_i64(&args, convs, n);
	array_i64(&args, after, n);
	array_i64(&args, first, n);
	db_args_i32(&args, NOTICES_EVENTS_MAX);
	return db_ask(db, STMT_NOTICES_EVENTS, &args, deadline_ms, db_answer_rows,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

int notices_members(struct db *db, const int64_t *convs, size_t n, uint64_t deadline_ms,
		    db_rows_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	if (n < 1 || n > NOTICES_CONVS_MAX)
		return -ERR_INVAL;
	array_i64(&args, convs, n);
	db_args_i32(&args, NOTICES_MEMBERS_MAX);
	return db_ask(db, STMT_NOTICES_MEMBERS, &args, deadline_ms, db_answer_rows,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

void notices_member_get(const struct db_result *res, int i, struct notice_member *ret)
{
	*ret = (struct notice_member){.conv = db_get_i64(res, i, 0),
				      .user = db_get_i64(res, i, 1),
				      .unread = db_get_i64(res, i, 2),
				      .peer = db_get_i64(res, i, 3)};
}
