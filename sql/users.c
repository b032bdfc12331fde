/* SPDX-License-Identifier: MIT */
/*
 * Guests, and people by UUID: their statements and answers.
 * Which names are acceptable is decided above.
 */
#include "sql/users.h"

#include "sql/array.h"

/* What guest_get and guests_get say. */
enum { GUEST_OK, GUEST_TAKEN, GUEST_DISABLED, GUEST_IMPOSSIBLE, GUEST_BOUND };

static int guest_verdict(const struct db_result *res, int row)
{
	switch (db_get_i64(res, row, 0)) {
	case GUEST_OK:
		return 0;
	case GUEST_TAKEN:
	case GUEST_BOUND:
		return -ERR_EXISTS;
	case GUEST_DISABLED:
		return -ERR_DENIED;
	case GUEST_IMPOSSIBLE:
		return -ERR_INVAL;
	default:
		return -ERR_DB;
	}
}

static struct user guest_at(const struct db_result *res, int row)
{
	return (struct user){.id = db_get_i64(res, row, 1),
			     .uid = db_get_uuid(res, row, 2),
			     .name = db_get_str(res, row, 3)};
}

static void on_guest(const struct db_call *call, const struct db_result *res)
{
	user_done_fn *done = (user_done_fn *)call->then;
	int err = db_result_err(res);
	struct user user;

	if (err == 0) /* no row: made and removed by others between our two looks */
		err = db_rows(res) ? guest_verdict(res, 0) : -ERR_UNAVAILABLE;
	if (err < 0) {
		done(call->arg, err, NULL);
		return;
	}
	user = guest_at(res, 0);
	done(call->arg, 0, &user);
}

int user_guest_get(struct db *db, struct str name, uint64_t deadline_ms, user_done_fn *done,
		   void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_text(&args, name.p ? name : STR(""));
	return db_ask(db, STMT_GUEST_GET, &args, deadline_ms, on_guest,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

/* ---- Many ---- */

int user_guests_get(struct db *db, const struct str *names, size_t n, uint64_t deadline_ms,
		    db_rows_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;
	struct buf *b;

	if (n < 1 || n > USER_GUESTS_MAX)
		return -ERR_INVAL;
	b = array_open(&args, OID_TEXT, n);
	for (size_t i = 0; i < n; i++)
		array_add_str(b, names[i]);
	db_args_close(&args);
	return db_ask(db, STMT_GUESTS_GET, &args, deadline_ms, db_answer_rows,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}

int user_guests_row(const struct db_result *res, int i, struct user *ret)
{
	int err;

	if (i < 0 || i >= db_rows(res))
		return -ERR_DB;
	err = guest_verdict(res, i);
	if (err == 0)
		*ret = guest_at(res, i);
	return err;
}

/* ---- By UUID ---- */

static void on_ids(const struct db_call *call, const struct db_result *res)
{
	user_ids_fn *done = (user_ids_fn *)call->then;
	int err = db_result_err(res), rows = err < 0 ? 0 : db_rows(res);
	int64_t *ids = xcalloc((size_t)rows + 1, sizeof(*ids));

	for (int i = 0; i < rows; i++)
		ids[i] = db_get_i64(res, i, 0);
	done(call->arg, err, ids, (size_t)rows);
	free(ids);
}

int user_ids(struct db *db, const struct uuid *uids, size_t n, uint64_t deadline_ms,
	     user_ids_fn *done, void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	if (n < 1 || n > USER_GUESTS_MAX)
		return -ERR_INVAL;
	array_uuid(&args, uids, n);
	return db_ask(db, STMT_USER_IDS, &args, deadline_ms, on_ids,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}
