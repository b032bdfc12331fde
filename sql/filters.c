/* SPDX-License-Identifier: MIT */
/*
 * Content filters: reading by version, lists, making, deleting; hits.
 * What a pattern means is decided above.
 */
#include "sql/filters.h"
#include "sql/page_priv.h"

/* What filter_add says. */
enum { ADD_MADE, ADD_FULL, ADD_NO_CONV };

/* ---- Reading by version ---- */

static void on_read(const struct db_call *call, const struct db_result *res)
{
	filters_read_fn *done = (filters_read_fn *)call->then;
	int err = db_result_err(res);
	struct filters_page page = {.version = db_get_i64(res, 0, 0),
				    .removed = db_get_i64(res, 0, 1),
				    .res = res};

	if (err == 0 && db_rows(res) == 0)
		err = -ERR_DB; /* somebody emptied the table of one row */
	/* without news there is one row that holds no filter */
	page.n = db_is_null(res, 0, 2) ? 0 : db_rows(res);
	done(call->arg, err, err ? NULL : &page);
}

int filters_read(struct db *db, int64_t after, uint64_t deadline_ms, filters_read_fn *done,
		 void *arg)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, after);
	db_args_i32(&args, FILTERS_PAGE);
	return db_ask(db, STMT_FILTERS_READ, &args, deadline_ms, on_read,
		      (struct db_call){arg, (db_fn *)done}, NULL);
}

void filters_row(const struct db_result *res, int i, struct filter_row *ret)
{
	*ret = (struct filter_row){
		.id = db_get_i64(res, i, 2),
		.version = db_get_i64(res, i, 3),
		.conv = db_get_i64(res, i, 4),
		.is_deleted = db_get_i64(res, i, 5) != 0,
		.kind = db_get_str(res, i, 6),
		.action = db_get_str(res, i, 7),
		.pattern = db_get_str(res, i, 8),
		.reason = db_get_str(res, i, 9),
	};
}

/* ---- Lists ---- */

int filters_list(struct db *db, int64_t conv, uint64_t deadline_ms, page_done_fn *done, void *arg)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64_or_null(&args, conv);
	return page_submit(db, STMT_FILTERS_LIST, &args, deadline_ms, done, arg, NULL);
}

/* ---- Changes ---- */

static void on_added(const struct db_call *call, const struct db_result *res)
{
	page_done_fn *done = (page_done_fn *)call->then;
	int64_t status = db_get_i64(res, 0, 0);
	int err = db_result_err(res);

	if (err == 0 && status != ADD_MADE)
		err = status == ADD_FULL ? -ERR_FULL : -ERR_NOENT;
	done(call->arg, err, err ? STR("") : db_get_str(res, 0, 1));
}

int filter_add(struct db *db, const struct filter_form *form, int max, uint64_t deadline_ms,
	       page_done_fn *done, void *arg)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64_or_null(&args, form->conv);
	db_args_text(&args, form->kind);
	db_args_text(&args, form->action);
	db_args_text(&args, form->pattern);
	db_args_text(&args, form->reason.p ? form->reason : STR(""));
	db_args_i64_or_null(&args, form->user);
	db_args_i32(&args, max);
	return db_ask(db, STMT_FILTER_ADD, &args, deadline_ms, on_added,
		      (struct db_call){arg, (db_fn *)done}, NULL);
}

static void on_deleted(const struct db_call *call, const struct db_result *res)
{
	int err = db_result_err(res);

	if (err == 0 && db_get_i64(res, 0, 0) == 0)
		err = -ERR_NOENT;
	((filter_deleted_fn *)call->then)(call->arg, err);
}

int filter_delete(struct db *db, int64_t conv, int64_t id, int64_t user, uint64_t deadline_ms,
		  filter_deleted_fn *done, void *arg)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64_or_null(&args, conv);
	db_args_i64(&args, id);
	db_args_i64_or_null(&args, user);
	return db_ask(db, STMT_FILTER_DELETE, &args, deadline_ms, on_deleted,
		      (struct db_call){arg, (db_fn *)done}, NULL);
}

static void on_hit(const struct db_call *call, const struct db_result *res)
{
	(void)call;
	(void)res;
}

int filter_hit_add(struct db *db, const struct filter_hit *hit)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, hit->actor);
	db_args_uuid(&args, &hit->client_msg_id);
	db_args_i64(&args, hit->conv);
	db_args_i64_or_null(&args, hit->filter);
	db_args_text(&args, hit->reason.p ? hit->reason : STR(""));
	return db_ask(db, STMT_FILTER_HIT_ADD, &args, 0, on_hit, (struct db_call){0}, NULL);
}

int filter_hits_report(struct db *db)
{
	struct db_args args = DB_ARGS_INIT;

	return db_ask(db, STMT_FILTER_HITS_REPORT, &args, 0, on_hit, (struct db_call){0}, NULL);
}
