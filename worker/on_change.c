/* SPDX-License-Identifier: MIT */
/*
 * Changes of messages that were sent: edit, delete, recover, react.
 * What is allowed and what a change does is sql/changes.h's; storing and announcing is persist.c's.
 */
#include "worker/on_priv.h"

#include "sql/changes.h"
#include "worker/audit.h"
#include "worker/limits.h"

#define DAY_MS (24 * 3600 * 1000)

static enum kind kind_of(const struct cmd *cmd)
{
	switch (cmd->op) {
	case OP_EDIT:
		return KIND_MESSAGE_EDIT;
	case OP_DELETE:
		return KIND_MESSAGE_DELETE;
	case OP_RECOVER:
		return KIND_MESSAGE_RECOVER;
	default:
		return cmd->on ? KIND_REACTION_SET : KIND_REACTION_UNSET;
	}
}

static enum authz_action action_of(const struct cmd *cmd)
{
	switch (cmd->op) {
	case OP_EDIT:
		return MAY_EDIT;
	case OP_REACT:
		return MAY_REACT;
	default:
		return MAY_DELETE;
	}
}

static void on_changed(struct worker *wk, void *arg, const struct persist_result *res)
{
	struct pending *p = arg;
	struct conn *c = pending_conn(p);

	(void)wk;
	if (c && res->error == E_FORBIDDEN && !p->is_denied) /* it is not his own message */
		audit_denied_conn(c, MAY_DELETE_ANY, p->conv);
	if (res->error) {
		pending_refuse_as(p, res->error, res->detail);
	} else if (c && p->re.len) {
		struct event ev = *res->event;
		bool is_changed = ev.rev > 0;
		size_t mark;
		struct buf *b = ws_reply_begin(c, &mark);

		if (!is_changed && res->answer)
			ev.rev = res->answer->rev;
		native_add_changed(b, &p->re, &ev, is_changed, res->is_duplicate);
		ws_reply_end(c, b, mark);
	}
	free(p);
}

void on_change(struct conn *c, const struct cmd *cmd)
{
	const struct settings *s = conn_worker(c)->settings;
	struct log_change change = {
		.kind = kind_of(cmd),
		.conv = cmd->conv,
		.actor = c->user,
		.client_msg_id = cmd->key_uuid,
		.target_rev = cmd->target_rev,
		.content = cmd->content,
		.key = cmd->emoji,
		.recover_days = (int)(s->chat_recover_max / DAY_MS),
	};
	struct sub *sub = cmd_sub(c, cmd);
	enum proto_error error;
	struct rights r;
	struct pending *p;

	if (!sub)
		return;
	p = pending_new(c, cmd, cmd->conv);
	error = cmd_may_make(c, action_of(cmd), p, &r);
	if (error) {
		cmd_refuse_new(c, cmd, (enum event_type)change.kind, p, error, on_changed);
		return;
	}
	change.may_moderate = (cmd->op == OP_DELETE || cmd->op == OP_RECOVER) &&
			      authz_allows(&r.actor, MAY_DELETE_ANY);
	change.need.least = authz_least(&r.actor, MAY_DELETE_ANY);
	if (persist_change(conn_worker(c), &change, str_of(c->name), &c->session_id, on_changed,
			   p) < 0) {
		limits_unsend(conn_worker(c), c->user, cmd->conv);
		free(p);
		cmd_refuse(c, cmd, E_UNAVAILABLE);
	}
}
