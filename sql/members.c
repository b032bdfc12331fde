/* SPDX-License-Identifier: MIT */
/*
 * Parameters and results of the statements about members, mutes and reports.
 * What they do is written in the schema.
 */
#include "sql/members.h"

#include "sql/array.h"
#include "sql/page_priv.h"

#define LIST_LIMIT 200

/* ---- Roles ---- */

int members_roles(struct db *db, const int64_t *convs, const int64_t *users, size_t n,
		  uint64_t deadline_ms, db_rows_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	if (n < 1 || n > MEMBERS_ROLES_MAX)
		return -ERR_INVAL;
	array_i64(&args, convs, n);
	array_i64(&args, users, n);
	db_args_i32(&args, MEMBERS_EXCEPTIONS_MAX);
	return db_ask(db, STMT_MEMBERS_ROLES, &args, deadline_ms, db_answer_rows,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

void members_roles_row(const struct db_result *res, int i, struct member_row *ret)
{
	*ret = (struct member_row){.conv = db_get_i64(res, i, 0),
				   .is_open = db_get_i64(res, i, 1) != 0,
				   .is_owned = db_get_i64(res, i, 2) != 0,
				   .is_closed = db_get_i64(res, i, 3) != 0,
				   .slow_ms = db_get_i64(res, i, 4),
				   .user = db_get_i64(res, i, 5),
				   .role = db_get_str(res, i, 6),
				   .is_member = db_get_i64(res, i, 7) != 0,
				   .muted_until_ms = db_get_i64(res, i, 8),
				   .banned_until_ms = db_get_i64(res, i, 9),
				   .pair = {db_get_i64(res, i, 10), db_get_i64(res, i, 11)},
				   .has_code = db_get_i64(res, i, 12) != 0};
}

/* ---- What changed: the first row is the snapshot ---- */

static void on_changed(const struct db_call *call, const struct db_result *res)
{
	rights_changed_fn *done = (rights_changed_fn *)call->then;
	int err = db_result_err(res);

	if (err < 0)
		done(call->arg, err, STR(""), false, NULL);
	else
		done(call->arg, 0, db_get_str(res, 0, 0), db_get_i64(res, 0, 1) != 0, res);
}

int rights_changed(struct db *db, struct str seen, const struct right_change *after,
		   uint64_t deadline_ms, rights_changed_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_text(&args, seen);
	db_args_i64(&args, after->xid);
	db_args_i64(&args, after->conv);
	db_args_i64(&args, after->user);
	db_args_i32(&args, RIGHTS_CHANGED_MAX);
	return db_ask(db, STMT_RIGHTS_CHANGED, &args, deadline_ms, on_changed,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

int rights_changed_rows(const struct db_result *res)
{
	int n = db_rows(res);

	return n ? n - 1 : 0;
}

void rights_changed_row(const struct db_result *res, int i, struct right_change *ret)
{
	*ret = (struct right_change){.xid = db_get_i64(res, i + 1, 2),
				     .conv = db_get_i64(res, i + 1, 3),
				     .user = db_get_i64(res, i + 1, 4)};
}

/* ---- Lists ---- */

static int list(struct db *db, int64_t conv, int64_t user, bool banned, bool with_reasons,
		int64_t after, int limit, uint64_t deadline_ms, page_done_fn *done, void *arg,
		uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, conv);
	db_args_i64(&args, user);
	db_args_i32(&args, banned);
	db_args_i32(&args, with_reasons);
	db_args_i64(&args, after);
	db_args_i32(&args, limit);
	return page_submit(db, user ? STMT_MEMBER_GET : STMT_MEMBERS_LIST, &args, deadline_ms, done,
			   arg, ret_token);
}

int members_list(struct db *db, int64_t conv, bool banned, bool with_reasons, int64_t after,
		 int limit, uint64_t deadline_ms, page_done_fn *done, void *arg,
		 uint64_t *ret_token)
{
	return list(db, conv, 0, banned, with_reasons, after, page_limit(limit, LIST_LIMIT),
		    deadline_ms, done, arg, ret_token);
}

int members_get(struct db *db, int64_t conv, int64_t user, bool with_reasons, uint64_t deadline_ms,
		page_done_fn *done, void *arg, uint64_t *ret_token)
{
	if (user <= 0)
		return -ERR_INVAL;
	return list(db, conv, user, false, with_reasons, 0, 1, deadline_ms, done, arg, ret_token);
}

/* ---- Mutes ---- */

enum { MUTE_DONE = 0, MUTE_SAME = 2, MUTE_NO_CONV = 3, MUTE_NO_USER = 4, MUTE_DENIED = 5 };

static void on_muted(const struct db_call *call, const struct db_result *res)
{
	int err = db_result_err(res);
	int64_t status = db_get_i64(res, 0, 0);

	if (!err && (status == MUTE_NO_CONV || status == MUTE_NO_USER))
		err = -ERR_NOENT;
	else if (!err && status == MUTE_DENIED)
		err = -ERR_DENIED;
	((member_done_fn *)call->then)(call->arg, err);
}

int member_mute(struct db *db, const struct mute *mute, uint64_t deadline_ms, member_done_fn *done,
		void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, mute->conv);
	db_args_i64(&args, mute->actor);
	db_args_i64(&args, mute->user);
	db_args_i64_or_null(&args, mute->until_ms);
	db_args_text(&args, mute->reason);
	db_args_text(&args, mute->address);
	db_args_text(&args, str_of(mute->need.least));
	db_args_i32(&args, mute->need.is_above);
	return db_ask(db, STMT_MEMBER_MUTE, &args, deadline_ms, on_muted,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

/* ---- Reports ---- */

int report_create(struct db *db, const struct report_new *report, uint64_t deadline_ms,
		  page_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, report->conv);
	db_args_i64(&args, report->reporter);
	db_args_i64_or_null(&args, report->rev);
	db_args_i64_or_null(&args, report->user);
	db_args_text(&args, report->reason);
	db_args_text(&args, report->address);
	return page_submit(db, STMT_REPORT_CREATE, &args, deadline_ms, done, arg, ret_token);
}

int reports_list(struct db *db, int64_t conv, struct str status, int64_t after, int limit,
		 uint64_t deadline_ms, page_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, conv);
	db_args_text(&args, status.len ? status : STR(""));
	db_args_i64(&args, after);
	db_args_i32(&args, page_limit(limit, LIST_LIMIT));
	return page_submit(db, STMT_REPORTS_LIST, &args, deadline_ms, done, arg, ret_token);
}

int report_resolve(struct db *db, int64_t id, int64_t conv, int64_t actor, struct str status,
		   struct str note, struct str address, uint64_t deadline_ms, page_done_fn *done,
		   void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, id);
	db_args_i64(&args, conv);
	db_args_i64(&args, actor);
	db_args_text(&args, status);
	db_args_text(&args, note);
	db_args_text(&args, address);
	return page_submit(db, STMT_REPORT_RESOLVE, &args, deadline_ms, done, arg, ret_token);
}

int member_places(struct db *db, int64_t user, int64_t since_ms, int limit, uint64_t deadline_ms,
		  db_rows_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, user);
	db_args_i64(&args, since_ms);
	db_args_i32(&args, limit);
	return db_ask(db, STMT_MEMBER_PLACES, &args, deadline_ms, db_answer_rows,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

void member_place_get(const struct db_result *res, int i, int64_t *ret_conv, int64_t *ret_rev)
{
	*ret_conv = db_get_i64(res, i, 0);
	*ret_rev = db_get_i64(res, i, 1);
}

static void on_conv(const struct db_call *call, const struct db_result *res)
{
	int err = db_result_err(res);

	if (!err && db_rows(res) == 0)
		err = -ERR_NOENT;
	((report_conv_fn *)call->then)(call->arg, err, err ? 0 : db_get_i64(res, 0, 0));
}

int report_conversation(struct db *db, int64_t id, uint64_t deadline_ms, report_conv_fn *done,
			void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, id);
	return db_ask(db, STMT_REPORT_CONVERSATION, &args, deadline_ms, on_conv,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}
