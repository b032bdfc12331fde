/* SPDX-License-Identifier: MIT */
/*
 * GET /api/v1/limits: what a client may send, before it connects.
 * The limits are kept where requests are read.
 */
#include "proto/dialect_native.h"
#include "worker/call.h"
#include "worker/routes.h"
#include "worker/ws_conn.h"

void rest_limits(struct call *call)
{
	const struct cmd_limits limits = worker_cmd_limits(call->wk);
	struct buf body = BUF_INIT;

	native_add_limits(&body, &limits, (uint32_t)call->wk->settings->websocket_frame_max);
	call_json(call, 200, buf_str(&body));
	buf_done(&body);
}
