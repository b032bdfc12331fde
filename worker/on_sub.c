/* SPDX-License-Identifier: MIT */
/*
 * Following conversations: sub, unsub, resume, and the confirmation that a subscription stands.
 * Joining, catching up and order are chan.c's.
 */
#include "worker/on_priv.h"

#include "shm/rooms.h"

void on_sub(struct conn *c, const struct cmd *cmd)
{
	if (sub_find(c, cmd->conv))
		cmd_refuse(c, cmd, E_CONFLICT);
	else if (c->n_subs >= conn_worker(c)->settings->websocket_subscriptions_max)
		cmd_refuse(c, cmd, E_TOO_MANY_SUBSCRIPTIONS);
	else
		chan_join(c, cmd->conv, cmd->rev > 0, cmd->rev, &cmd->id);
}

void on_unsub(struct conn *c, const struct cmd *cmd)
{
	struct sub *sub = cmd_sub(c, cmd);

	if (!sub)
		return;
	chan_leave(sub, CONN_END_CLEAN);
	cmd_say_ok(c, cmd);
}

void on_resume(struct conn *c, const struct cmd *cmd)
{
	struct sub *sub = sub_find(c, c->room);

	if (sub && cmd->has_rev)
		chan_rewind(sub, cmd->rev);
}

void on_cmd_confirm(struct sub *sub)
{
	const struct chan *ch = sub->chan;
	struct conn *c = sub->conn;
	size_t mark;
	struct buf *b = ws_reply_begin(c, &mark);

	if (c->dialect == DIALECT_RAW) {
		raw_add_connected(b, ch->conv, str_of(c->name), ch->rev);
	} else {
		struct native_live live = {.conv = ch->conv, .rev = ch->rev, .seq = ch->seq};
		uint32_t connections = 0, users = 0;

		if (room_counts(ch->wk->shm, (unsigned)ch->wk->slot, ch->conv, &connections, &users) == 0)
			live.members = users;
		native_add_live(b, sub->re, &live);
	}
	ws_reply_end(c, b, mark);
}
