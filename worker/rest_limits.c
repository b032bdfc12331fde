/* SPDX-License-Identifier: MIT */
/*
 * GET /api/v1/limits: what a client may send, before it connects.
 * The limits are kept where requests are read.
 */
#include "proto/dialect_native.h"
#include "proto/json.h"
#include "worker/call.h"
#include "worker/limits.h"
#include "worker/on_cmd.h"
#include "worker/routes.h"

void rest_limits(struct call *call)
{
	const struct native_limits limits = on_cmd_limits(call->wk);
	struct buf body = BUF_INIT;

	native_add_limits(&body, &limits);
	body.len--; /* goes on behind what sockets are told as well */
	json_add_key_ms(&body, "ping", call->wk->settings->websocket_ping_interval);
	json_add_key(&body, "rates");
	limits_add_json(call->wk, &body);
	buf_add_char(&body, '}');
	call_json(call, 200, buf_str(&body));
	buf_done(&body);
}
