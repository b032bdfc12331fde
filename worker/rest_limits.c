/* SPDX-License-Identifier: MIT */
/*
 * GET /api/v1/limits: what a client may send, before it connects.
 * The limits are kept where requests are read.
 */
#include "proto/dialect_native.h"
#include "worker/call.h"
#include "worker/on_cmd.h"
#include "worker/routes.h"

void rest_limits(struct call *call)
{
	const struct native_limits limits = on_cmd_limits(call->wk);
	struct buf body = BUF_INIT;

	native_add_limits(&body, &limits);
	call_json(call, 200, buf_str(&body));
	buf_done(&body);
}
