/* SPDX-License-Identifier: MIT */
/*
 * May this connection do that here, and now? The question that every operation asks first.
 * Who may is authz.c's, what somebody is roles.c's.
 */
#include "worker/on_priv.h"

#include "worker/limits.h"

struct sub *cmd_may(struct conn *c, const struct cmd *cmd, enum authz_action action)
{
	struct sub *sub = cmd_sub(c, cmd);
	enum proto_error error;

	if (!sub)
		return NULL;
	error = roles_check(c, sub->chan->conv, action, NULL);
	if (!error)
		return sub;
	cmd_refuse(c, cmd, error);
	return NULL;
}

bool cmd_may_mark(struct conn *c, const struct cmd *cmd)
{
	enum proto_error error;

	if (!dialect_is_sio(c->dialect))
		return cmd_may(c, cmd, MAY_MARK) != NULL;
	error = roles_check(c, cmd->conv, MAY_MARK, NULL);
	if (error)
		cmd_refuse(c, cmd, error);
	return !error;
}

enum proto_error cmd_may_make(struct conn *c, enum authz_action action, struct pending *p,
			      struct rights *ret)
{
	struct worker *wk = conn_worker(c);
	int64_t conv = p->conv;
	enum proto_error error = roles_decide(c, conv, action, ret);

	if (error) {
		p->is_denied = true;
		p->denied = action;
		return error;
	}
	if (!limits_send(wk, c->user, conv, &p->retry_ms))
		return E_RATE_LIMITED;
	if (action != MAY_SEND || pace_take(wk, conv, ret, &p->pace, &p->retry_ms))
		return E_NONE;
	limits_unsend(wk, c->user, conv);
	return E_SLOW_MODE;
}

void cmd_refuse_new(struct conn *c, const struct cmd *cmd, enum event_type type, struct pending *p,
		    enum proto_error error, persist_done_fn *done)
{
	const struct repeat what = {.conv = p->conv,
				    .actor = c->user,
				    .key = cmd->key_uuid,
				    .type = type,
				    .target_rev = cmd->target_rev,
				    .emoji = cmd->emoji,
				    .error = error};

	repeat_ask(conn_worker(c), &what, done, p);
}
