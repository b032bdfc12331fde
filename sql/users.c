/* SPDX-License-Identifier: MIT */
/*
 * Guests: one statement and its answer.
 * Which names are acceptable is decided above.
 */
#include "sql/users.h"

/* What guest_get says. */
enum { GUEST_OK, GUEST_TAKEN, GUEST_DISABLED };

static int guest_err(const struct db_result *res)
{
	int err = db_result_err(res);

	if (err < 0)
		return err;
	if (db_rows(res) == 0) /* made and removed by others between our two looks */
		return -ERR_UNAVAILABLE;
	switch (db_get_i64(res, 0, 0)) {
	case GUEST_OK:
		return 0;
	case GUEST_TAKEN:
		return -ERR_EXISTS;
	case GUEST_DISABLED:
		return -ERR_DENIED;
	default:
		return -ERR_DB;
	}
}

static void on_guest(const struct db_call *call, const struct db_result *res)
{
	user_done_fn *done = (user_done_fn *)call->then;
	int err = guest_err(res);
	struct user user;

	if (err < 0) {
		done(call->arg, err, NULL);
		return;
	}
	user = (struct user){.id = db_get_i64(res, 0, 1),
			     .uid = db_get_uuid(res, 0, 2),
			     .name = db_get_str(res, 0, 3)};
	done(call->arg, 0, &user);
}

int user_guest_get(struct db *db, struct str name, uint64_t deadline_ms, user_done_fn *done,
		   void *arg, uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;
	struct db_query q = {.stmt = STMT_GUEST_GET,
			     .args = &args,
			     .deadline_ms = deadline_ms,
			     .done = on_guest,
			     .call = {arg, (db_fn *)done}};
	int r;

	db_args_text(&args, name.p ? name : STR(""));
	r = db_submit(db, &q, ret_token);
	db_args_done(&args);
	return r;
}
