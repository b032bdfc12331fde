/* SPDX-License-Identifier: MIT */
/*
 * One page over many conversations: positions out, rows of the log in.
 * Which revisions make the page is sync_ranges' work in the schema.
 */
#include "sql/sync.h"

#include "sql/array.h"

/* One row more than asked for is read to know whether there are more; each row says how many. */
static void on_page(const struct db_call *call, const struct db_result *res)
{
	sync_done_fn *done = (sync_done_fn *)call->then;
	int err = db_result_err(res), n = db_rows(res), limit = 0;

	if (err < 0) {
		done(call->arg, err, NULL, 0, false);
		return;
	}
	if (n > 0)
		limit = (int)db_get_i64(res, 0, EVENT_ROW_COLUMNS) - 1;
	done(call->arg, 0, res, MIN(n, limit), n > limit);
}

int sync_page(struct db *db, int64_t user, const struct sync_position *positions,
	      size_t n_positions, int limit, uint64_t deadline_ms, sync_done_fn *done, void *arg,
	      uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;
	struct buf *b;

	if (n_positions > SYNC_POSITIONS_MAX)
		return -ERR_INVAL;
	db_args_i64(&args, user);
	b = array_open(&args, OID_INT8, n_positions);
	for (size_t i = 0; i < n_positions; i++)
		array_add_i64(b, positions[i].conv);
	db_args_close(&args);
	b = array_open(&args, OID_INT8, n_positions);
	for (size_t i = 0; i < n_positions; i++)
		array_add_i64(b, positions[i].rev);
	db_args_close(&args);
	db_args_i32(&args, MIN(MAX(limit, 1), SYNC_ROWS_MAX) + 1);
	return db_ask(db, STMT_SYNC_PAGE, &args, deadline_ms, on_page,
		      (struct db_call){arg, (db_fn *)done}, ret_token);
}
