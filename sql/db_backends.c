/* SPDX-License-Identifier: MIT */
/*
 * One look at the server's list of processes. Ids are not unique for ever: whoever waits for one to
 * vanish sets a limit.
 */
#include "sql/db_backends.h"

static void on_alive(const struct db_call *call, const struct db_result *res)
{
	int err = db_result_err(res);

	((backends_done_fn *)call->then)(call->arg, err, err < 0 ? 0 : db_get_i64(res, 0, 0));
}

int backends_alive(struct db *db, const int32_t *pids, size_t n, uint64_t deadline_ms,
		   backends_done_fn *done, void *arg)
{
	struct db_args args = DB_ARGS_INIT;
	struct db_query q = {.stmt = STMT_BACKENDS_ALIVE,
			     .args = &args,
			     .deadline_ms = deadline_ms,
			     .done = on_alive,
			     .call = {arg, (db_fn *)done}};
	struct buf list = BUF_INIT;
	int r;

	buf_add_char(&list, '{');
	for (size_t i = 0; i < n; i++)
		buf_printf(&list, "%s%" PRId32, i ? "," : "", pids[i]);
	buf_add_char(&list, '}');
	db_args_text(&args, buf_str(&list));
	r = db_submit(db, &q, NULL);
	db_args_done(&args);
	buf_done(&list);
	return r;
}
