/* SPDX-License-Identifier: MIT */
/*
 * May this connection do that here, and now? The question that every operation asks first.
 * Who may is authz.c's, what somebody is roles.c's.
 */
#include "worker/on_priv.h"

#include "worker/roles.h"

struct sub *cmd_may(struct conn *c, const struct cmd *cmd, enum authz_action action,
		    struct rights *ret)
{
	struct sub *sub = cmd_sub(c, cmd);
	enum proto_error error;

	if (!sub)
		return NULL;
	error = roles_check(c, sub->chan->conv, action, ret);
	if (!error)
		return sub;
	cmd_refuse(c, cmd, error);
	return NULL;
}

static void refuse_slow(struct conn *c, const struct cmd *cmd, int64_t retry_ms)
{
	struct cmd_id key = {0};
	struct fault f;
	size_t mark;
	struct buf *b;

	fault_set(&f, E_SLOW_MODE);
	if (cmd->has_key)
		raw_key_of(cmd, &key);
	b = ws_reply_begin(c, &mark);
	if (c->dialect == DIALECT_RAW)
		raw_add_error(b, &f, retry_ms, key.len ? &key : NULL);
	else
		native_add_err(b, &cmd->id, &f, cmd->conv, retry_ms);
	ws_reply_end(c, b, mark);
	worker_count(conn_worker(c), M_COMMAND_ERRORS, 1);
}

struct sub *cmd_may_speak(struct conn *c, const struct cmd *cmd)
{
	struct rights r;
	struct sub *sub = cmd_may(c, cmd, MAY_SEND, &r);
	int64_t retry_ms;

	if (!sub || r.slow_ms == 0 || roles_pace(conn_worker(c), sub->chan->conv, &r, &retry_ms))
		return sub;
	refuse_slow(c, cmd, retry_ms);
	return NULL;
}
