/* SPDX-License-Identifier: MIT */
/*
 * One's own sessions: where one is signed in, and ending it there.
 * How sessions begin is login.c's; that open sockets close, revoke.c's.
 */
#include "proto/json.h"
#include "sql/logins.h"
#include "worker/call.h"
#include "worker/dbio.h"
#include "worker/login.h"
#include "worker/routes.h"

static void on_list(void *arg, int err, struct str json)
{
	struct call *call = arg;
	struct buf body = BUF_INIT;

	if (err) {
		call_db_error(call, err);
		return;
	}
	buf_add_char(&body, '{');
	json_add_key_raw(&body, "sessions", json);
	buf_add_char(&body, '}');
	call_json(call, 200, buf_str(&body));
	buf_done(&body);
}

void rest_sessions_list(struct call *call)
{
	int r = login_list(dbio_reader(call->wk), call->who.user, &call->who.session,
			   dbio_deadline(call->wk), on_list, call, NULL);

	if (r < 0)
		on_list(call, r, STR(""));
}

static void on_ended(void *arg, int err, const struct uuid *sessions, size_t n)
{
	struct call *call = arg;

	if (!err) {
		login_ended(call->wk, sessions, n);
		login_answer_nothing(call);
	} else if (err == -ERR_NOENT) {
		call_error(call, E_NOT_FOUND, "There is no such session.");
	} else {
		call_db_error(call, err);
	}
}

/* All but the one that asks. */
void rest_sessions_end_others(struct call *call)
{
	int r = login_revoke_all(dbio_writer(call->wk), call->who.user, &call->who.session,
				 call_address(call), dbio_deadline(call->wk), on_ended, call, NULL);

	if (r < 0)
		on_ended(call, r, NULL, 0);
}

void rest_sessions_end(struct call *call)
{
	int r = -ERR_NOENT;

	if (!uuid_is_zero(&call->path_uuid[0]))
		r = login_revoke(dbio_writer(call->wk), call->who.user, &call->path_uuid[0],
				 call_address(call), dbio_deadline(call->wk), on_ended, call, NULL);

	if (r < 0)
		on_ended(call, r, NULL, 0);
}
