/* SPDX-License-Identifier: MIT */
/*
 * One conversation or a list of them as JSON text.
 * Creating, looking up by id and closing are rooms.c's.
 */
#include "sql/conversations.h"
#include "sql/page_priv.h"

#define LIST_LIMIT 200

int conversation_get(struct db *db, int64_t id, const struct uuid *uid, int64_t user,
		     uint64_t deadline_ms, page_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64_or_null(&args, id);
	db_args_uuid(&args, id ? NULL : uid);
	db_args_i64(&args, user);
	return page_submit(db, STMT_CONVERSATION_GET, &args, deadline_ms, done, arg, ret_token);
}

int conversation_list(struct db *db, int64_t user, bool with_open, int64_t after_id, int limit,
		      uint64_t deadline_ms, page_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, user);
	db_args_i32(&args, with_open);
	db_args_i64(&args, after_id);
	db_args_i32(&args, page_limit(limit, LIST_LIMIT));
	return page_submit(db, STMT_CONVERSATION_LIST, &args, deadline_ms, done, arg, ret_token);
}
