/* SPDX-License-Identifier: MIT */
/*
 * Marks and unread counters: parameters and results of their statements.
 * Raising a mark and counting are mark_set's and unread_of's work in the schema.
 */
#include "sql/marks.h"

#include "sql/array.h"

static void on_marked(const struct db_call *call, const struct db_result *res)
{
	mark_done_fn *done = (mark_done_fn *)call->then;
	int err = db_result_err(res);
	struct mark_answer a;

	if (err == 0 && db_rows(res) == 0)
		err = -ERR_NOENT;
	if (err == 0 && db_get_i64(res, 0, 2) < 0)
		err = -ERR_INVAL;
	if (err < 0) {
		done(call->arg, err, NULL);
		return;
	}
	a = (struct mark_answer){.conv = db_get_i64(res, 0, 0),
				 .user = db_get_i64(res, 0, 1),
				 .seq = db_get_i64(res, 0, 2),
				 .unread = db_get_i64(res, 0, 3),
				 .at_ms = db_get_i64(res, 0, 4),
				 .is_changed = db_get_i64(res, 0, 5) != 0,
				 .rev = db_get_i64(res, 0, 6),
				 .count = db_get_i64(res, 0, 7)};
	done(call->arg, 0, &a);
}

int mark_set(struct db *db, int64_t conv, int64_t user, enum mark_kind kind,
	     const struct mark_place *place, uint64_t deadline_ms, mark_done_fn *done, void *arg,
	     uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	if (user <= 0 || (place->seq <= 0 && place->rev <= 0))
		return -ERR_INVAL;
	db_args_i64(&args, conv);
	db_args_i64(&args, user);
	db_args_text(&args, kind == MARK_READ ? STR("read") : STR("delivered"));
	db_args_i64(&args, place->seq);
	if (place->rev || place->wants_rev)
		db_args_i64(&args, place->rev);
	else
		db_args_i64_or_null(&args, 0);
	return db_ask(db, STMT_MARK_SET, &args, deadline_ms, on_marked,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

/* ---- The marks of others ---- */

int marks_page(struct db *db, const int64_t *convs, const int64_t *after_revs, size_t n,
	       uint64_t deadline_ms, db_rows_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	if (n < 1 || n > MARKS_CONVS_MAX)
		return -ERR_INVAL;
	array_i64(&args, convs, n);
	array_i64(&args, after_revs, n);
	db_args_i32(&args, MARKS_PAGE_MAX);
	return db_ask(db, STMT_MARKS_PAGE, &args, deadline_ms, db_answer_rows,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

void mark_row_get(const struct db_result *res, int i, struct mark_row *ret)
{
	*ret = (struct mark_row){.at = (size_t)db_get_i64(res, i, 0) - 1,
				 .user = db_get_i64(res, i, 1),
				 .name = db_get_str(res, i, 2),
				 .read_seq = db_get_i64(res, i, 3),
				 .delivered_seq = db_get_i64(res, i, 4),
				 .at_ms = db_get_i64(res, i, 5)};
}

/* ---- Counters ---- */

int unread_get(struct db *db, const int64_t *convs, const int64_t *users, size_t n,
	       uint64_t deadline_ms, db_rows_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	if (n < 1 || n > MARKS_CONVS_MAX)
		return -ERR_INVAL;
	array_i64(&args, convs, n);
	array_i64(&args, users, n);
	return db_ask(db, STMT_UNREAD_GET, &args, deadline_ms, db_answer_rows,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

void unread_row_get(const struct db_result *res, int i, struct unread_row *ret)
{
	*ret = (struct unread_row){.at = (size_t)db_get_i64(res, i, 0) - 1,
				   .unread = db_get_i64(res, i, 1),
				   .read_seq = db_get_i64(res, i, 2),
				   .seq = db_get_i64(res, i, 3)};
}

static void on_total(const struct db_call *call, const struct db_result *res)
{
	unread_done_fn *done = (unread_done_fn *)call->then;
	int err = db_result_err(res);
	struct unread u = {.unread = db_get_i64(res, 0, 0), .conversations = db_get_i64(res, 0, 1)};

	done(call->arg, err, err < 0 ? NULL : &u);
}

int unread_total(struct db *db, int64_t user, uint64_t deadline_ms, unread_done_fn *done, void *arg,
		 uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, user);
	return db_ask(db, STMT_UNREAD_TOTAL, &args, deadline_ms, on_total,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}
