/* SPDX-License-Identifier: MIT */
/*
 * Rooms: their statements' parameters and results.
 * JSON of conversations for the native surface is conversations.c's.
 */
#include "sql/rooms.h"

#define LIST_LIMIT 10000

static void on_room(const struct db_call *call, const struct db_result *res)
{
	room_done_fn *done = (room_done_fn *)call->then;
	int err = db_result_err(res);
	struct room room;

	if (err == 0 && db_rows(res) == 0)
		err = -ERR_NOENT;
	if (err < 0) {
		done(call->arg, err, NULL);
		return;
	}
	room = (struct room){.id = db_get_i64(res, 0, 0),
			     .uid = db_get_uuid(res, 0, 1),
			     .kind = db_get_str(res, 0, 2),
			     .name = db_get_str(res, 0, 3),
			     .description = db_get_str(res, 0, 4),
			     .created_by = db_get_i64(res, 0, 5),
			     .created_at_ms = db_get_i64(res, 0, 6),
			     .is_closed = db_get_i64(res, 0, 7) != 0,
			     .rev = db_get_i64(res, 0, 8),
			     .seq = db_get_i64(res, 0, 9),
			     .at_ms = db_get_i64(res, 0, 10)};
	done(call->arg, 0, &room);
}

int room_create(struct db *db, struct str name, struct str description, int64_t created_by,
		uint64_t deadline_ms, room_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_text(&args, name);
	db_args_text(&args, description.p ? description : STR(""));
	db_args_i64_or_null(&args, created_by);
	return db_ask(db, STMT_ROOM_CREATE, &args, deadline_ms, on_room,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

int room_info(struct db *db, int64_t id, const struct uuid *uid, uint64_t deadline_ms,
	      room_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64_or_null(&args, id);
	db_args_uuid(&args, id ? NULL : uid);
	return db_ask(db, STMT_ROOM_INFO, &args, deadline_ms, on_room,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

static void on_closed(const struct db_call *call, const struct db_result *res)
{
	room_close_done_fn *done = (room_close_done_fn *)call->then;
	int err = db_result_err(res);
	struct room_closed closed;

	if (err == 0 && db_rows(res) == 0)
		err = -ERR_NOENT;
	if (err < 0) {
		done(call->arg, err, NULL);
		return;
	}
	closed = (struct room_closed){.id = db_get_i64(res, 0, 0),
				      .rev = db_get_i64(res, 0, 1),
				      .seq = db_get_i64(res, 0, 2),
				      .at_ms = db_get_i64(res, 0, 3)};
	done(call->arg, 0, &closed);
}

int room_close(struct db *db, int64_t id, int64_t actor, uint64_t deadline_ms,
	       room_close_done_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, id);
	db_args_i64(&args, actor);
	return db_ask(db, STMT_ROOM_CLOSE, &args, deadline_ms, on_closed,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

int room_list(struct db *db, int64_t after_id, int limit, uint64_t deadline_ms,
	      db_rows_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, after_id);
	db_args_i32(&args, limit > 0 ? MIN(limit, LIST_LIMIT) : LIST_LIMIT);
	return db_ask(db, STMT_ROOM_LIST, &args, deadline_ms, db_answer_rows,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

void room_list_get(const struct db_result *res, int i, int64_t *ret_id, struct str *ret_body)
{
	*ret_id = db_get_i64(res, i, 0);
	*ret_body = db_get_str(res, i, 1);
}
