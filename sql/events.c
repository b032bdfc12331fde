/* SPDX-License-Identifier: MIT */
/*
 * Appending single events to the log and reading ranges of it.
 * Numbering and locking are persist_event's work in the schema.
 */
#include "sql/events.h"

#include "sql/array.h"

#include <limits.h>

const char *kind_name(int64_t kind)
{
	static const char *const names[] = {
#define X(id, number, name) [number] = name,
#include "sql/kinds.def"
#undef X
	};

	return kind > 0 && kind < (int64_t)ARRAY_LEN(names) && names[kind] ? names[kind] : "";
}

static void on_persisted(const struct db_call *call, const struct db_result *res)
{
	event_done_fn *done = (event_done_fn *)call->then;
	int err = db_result_err(res);
	struct event_numbers n;

	if (err == 0 && db_rows(res) == 0)
		err = -ERR_NOENT;
	if (err < 0) {
		done(call->arg, err, NULL);
		return;
	}
	n = (struct event_numbers){.conv = db_get_i64(res, 0, 0),
				   .rev = db_get_i64(res, 0, 1),
				   .seq = db_get_i64(res, 0, 2),
				   .at_ms = db_get_i64(res, 0, 3),
				   .is_duplicate = db_get_i64(res, 0, 4) != 0};
	done(call->arg, 0, &n);
}

int event_persist(struct db *db, const struct event_new *ev, uint64_t deadline_ms,
		  event_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct uuid key = uuid_is_zero(&ev->client_msg_id) ? uuid_v7() : ev->client_msg_id;
	struct db_args args = DB_ARGS_INIT;

	if (ev->kind == KIND_MESSAGE_NEW || !*kind_name(ev->kind))
		return -ERR_INVAL;
	db_args_i64(&args, ev->conv);
	db_args_i32(&args, (int32_t)ev->kind);
	db_args_i64(&args, ev->actor);
	db_args_i64_or_null(&args, ev->target_rev);
	db_args_uuid(&args, &key);
	db_args_text(&args, ev->content);
	db_args_text(&args, ev->meta_json);
	return db_ask(db, STMT_PERSIST_EVENT, &args, deadline_ms, on_persisted,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

static int range_submit(struct db *db, int64_t conv, int64_t first, int64_t last, int limit,
			uint64_t deadline_ms, db_rows_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, conv);
	db_args_i64(&args, first);
	db_args_i64(&args, last);
	db_args_i32(&args, MAX(limit, 0));
	return db_ask(db, STMT_EVENTS_RANGE, &args, deadline_ms, db_answer_rows,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

int events_by_key(struct db *db, const int64_t *actors, const struct uuid *keys, size_t n,
		  uint64_t deadline_ms, db_rows_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	array_i64(&args, actors, n);
	array_uuid(&args, keys, n);
	return db_ask(db, STMT_EVENTS_BY_KEY, &args, deadline_ms, db_answer_rows,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

size_t event_by_key_place(const struct db_result *res, int i)
{
	return (size_t)(db_get_i64(res, i, EVENT_ROW_COLUMNS) - 1);
}

static void on_settled(const struct db_call *call, const struct db_result *res)
{
	((events_settled_fn *)call->then)(call->arg, db_result_err(res));
}

int events_settle(struct db *db, int64_t conv, uint64_t deadline_ms, events_settled_fn *done,
		  void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, conv);
	return db_ask(db, STMT_EVENTS_SETTLE, &args, deadline_ms, on_settled,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

int events_after(struct db *db, int64_t conv, int64_t after_rev, int limit, uint64_t deadline_ms,
		 db_rows_fn *done, void *arg, uint64_t *ret_token)
{
	int64_t first = after_rev < INT64_MAX ? after_rev + 1 : after_rev;

	return range_submit(db, conv, first, INT64_MAX, limit, deadline_ms, done, arg, ret_token);
}

int events_between(struct db *db, int64_t conv, int64_t first_rev, int64_t last_rev,
		   uint64_t deadline_ms, db_rows_fn *done, void *arg, uint64_t *ret_token)
{
	return range_submit(db, conv, first_rev, last_rev, INT_MAX, deadline_ms, done, arg,
			    ret_token);
}

void event_row_get(const struct db_result *res, int i, struct event_row *ret)
{
	*ret = (struct event_row){
		.conv = db_get_i64(res, i, 0),
		.rev = db_get_i64(res, i, 1),
		.seq = db_get_i64(res, i, 2),
		.at_ms = db_get_i64(res, i, 3),
		.kind = db_get_i64(res, i, 4),
		.actor = db_get_i64(res, i, 5),
		.actor_name = db_get_str(res, i, 6),
		.client_msg_id = db_get_uuid(res, i, 7),
		.target_rev = db_get_i64(res, i, 8),
		.subject = db_get_i64(res, i, 9),
		.subject_name = db_get_str(res, i, 10),
		.key = db_get_str(res, i, 11),
		.content = db_get_str(res, i, 12),
		.meta_json = db_get_str(res, i, 13),
		.edited_at_ms = db_get_i64(res, i, 14),
		.deleted_at_ms = db_get_i64(res, i, 15),
	};
}
