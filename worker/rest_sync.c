/* SPDX-License-Identifier: MIT */
/*
 * GET /api/v1/sync: what happened since a cursor, for clients without a socket.
 * Pages are made by sync.c.
 */
#include "proto/json.h"
#include "sql/sync.h"
#include "worker/call.h"
#include "worker/rest.h"
#include "worker/routes.h"
#include "worker/sync.h"

static void on_answer(struct worker *wk, void *arg, enum proto_error error,
		      const struct sync_answer *answer)
{
	struct call *call = arg;
	struct buf body = BUF_INIT;

	(void)wk;
	if (error) {
		call_error(call, error, NULL);
		return;
	}
	buf_add_char(&body, '{');
	json_add_key_raw(&body, "events", answer->events);
	json_add_key_str(&body, "cursor", answer->cursor);
	json_add_key_bool(&body, "more", answer->is_more);
	buf_add_char(&body, '}');
	call_json(call, 200, buf_str(&body));
	buf_done(&body);
}

void rest_sync(struct call *call)
{
	struct buf cursor = BUF_INIT;
	int64_t limit = 0;
	struct fault fault;
	int r = http_query_get(call->req, "cursor", &cursor);

	if (r < 0) {
		fault_field(&fault, r == -ERR_NOENT ? FAULT_MISSING : FAULT_VALUE, "cursor", 0);
		call_fault(call, &fault, NULL);
	} else if (rest_query_number(call->req, "limit", 1, SYNC_ROWS_MAX, &limit, &fault) ==
		   -ERR_INVAL) {
		call_fault(call, &fault, NULL);
	} else { /* who has not said who they are sees what is open to all */
		sync_ask(call->wk, buf_str(&cursor),
			 call->who.user ? call->who.user : SYNC_ANYBODY, limit, on_answer, call);
	}
	buf_done(&cursor);
}
