/* SPDX-License-Identifier: MIT */
/*
 * Bounds of a page of messages; the page itself is text from PostgreSQL.
 * Rows of the log in binary are events.c's.
 */
#include "sql/messages.h"
#include "sql/page_priv.h"

#define RAW_LIMIT 100
#define NATIVE_LIMIT 200

void page_answer(const struct db_call *call, const struct db_result *res)
{
	int err = db_result_err(res);
	struct str json = {NULL, 0};

	if (err == 0 && db_rows(res) == 0)
		err = -ERR_NOENT;
	if (err == 0)
		json = db_get_str(res, 0, 0);
	((page_done_fn *)call->then)(call->arg, err, json);
}

int page_submit(struct db *db, enum stmt_id stmt, struct db_args *args, uint64_t deadline_ms,
		page_done_fn *done, void *arg, uint64_t *ret_token)
{
	return db_ask(db, stmt, args, deadline_ms, page_answer,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

int page_limit(int limit, int max)
{
	return MAX(1, MIN(limit, max));
}

int messages_page_raw(struct db *db, int64_t conv, int64_t before_rev, int limit,
		      uint64_t deadline_ms, page_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, conv);
	db_args_i64(&args, before_rev ? before_rev : INT64_MAX);
	db_args_i32(&args, page_limit(limit, RAW_LIMIT));
	return page_submit(db, STMT_MESSAGES_PAGE_RAW, &args, deadline_ms, done, arg, ret_token);
}

/* A page is at most BEFORE messages below a rev and at most AFTER above another. */
struct page_bounds {
	int64_t below, above;
	int before, after;
};

static struct page_bounds bounds_of(enum page_from from, int64_t rev, int limit)
{
	int before = (limit + 1) / 2; /* the message itself included */

	switch (from) {
	case PAGE_AFTER:
		return (struct page_bounds){.below = 0, .above = rev, .after = limit};
	case PAGE_AROUND:
		return (struct page_bounds){rev < INT64_MAX ? rev + 1 : rev, rev, before,
					    limit - before};
	case PAGE_BEFORE:
		break;
	}
	return (struct page_bounds){.below = rev ? rev : INT64_MAX, .before = limit};
}

int messages_page_native(struct db *db, int64_t conv, enum page_from from, int64_t rev, int limit,
			 uint64_t deadline_ms, page_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct page_bounds b = bounds_of(from, rev, page_limit(limit, NATIVE_LIMIT));
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, conv);
	db_args_i64(&args, b.below);
	db_args_i32(&args, b.before);
	db_args_i64(&args, b.above);
	db_args_i32(&args, b.after);
	return page_submit(db, STMT_MESSAGES_PAGE_NATIVE, &args, deadline_ms, done, arg, ret_token);
}
