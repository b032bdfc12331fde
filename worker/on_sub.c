/* SPDX-License-Identifier: MIT */
/*
 * Following conversations: sub, unsub, resume, and the confirmation that a subscription stands.
 * Joining, catching up and order are chan.c's.
 */
#include "worker/on_priv.h"

#include "shm/rooms.h"
#include "worker/deliver.h"
#include "worker/resume.h"
#include "worker/sio.h"

void on_sub(struct conn *c, const struct cmd *cmd)
{
	if (sub_find(c, cmd->conv))
		cmd_refuse(c, cmd, E_CONFLICT);
	else if (c->n_subs >= conn_worker(c)->settings->websocket_subscriptions_max)
		cmd_refuse(c, cmd, E_TOO_MANY_SUBSCRIPTIONS);
	else
		roles_enter(c, cmd->conv, cmd->rev > 0, cmd->rev, &cmd->id);
}

void on_unsub(struct conn *c, const struct cmd *cmd)
{
	struct sub *sub = cmd_sub(c, cmd);
	struct cmd_id re;

	if (!sub)
		return;
	re = sub_re(sub);
	chan_leave(sub, CONN_END_BYE);
	resume_left(c, cmd->conv);
	if (re.len)
		ws_conn_error(c, E_NOT_SUBSCRIBED, &re, NULL, cmd->conv);
	cmd_say_ok(c, cmd);
}

void on_resume(struct conn *c, const struct cmd *cmd)
{
	struct sub *sub = sub_find(c, c->room);

	if (sub && cmd->has_rev)
		chan_rewind(sub, cmd->rev);
}

/* The revision from which on the stream goes on. */
static int64_t begins_at(const struct sub *sub)
{
	return sub_position(sub) < 0 ? sub->chan->rev : sub_position(sub);
}

void sub_say_live(struct sub *sub, const struct cmd_id *re, int64_t unread)
{
	const struct chan *ch = sub->chan;
	struct native_live live = {.conv = ch->conv, .unread = unread};
	uint32_t connections = 0, users = 0;
	struct conn *c = sub->conn;
	size_t mark;
	struct buf *b;

	if (sub->state == SUB_LIVE)
		deliver_flush(sub->chan); /* all up to the rev that is said comes before */
	if (c->state != CONN_WS && c->state != CONN_SSE) /* SUB may have gone with it */
		return;
	if (room_counts(ch->wk->shm, (unsigned)ch->wk->slot, ch->conv, &connections, &users) == 0)
		live.members = users;
	live.rev = begins_at(sub);
	if (dialect_is_sio(c->dialect)) {
		sio_say_joined(sub, re, unread, live.rev);
		return;
	}
	live.seq = ch->seq;
	b = ws_reply_begin(c, &mark);
	native_add_live(b, re, &live);
	ws_reply_end(c, b, mark);
	deliver_after_replies(sub); /* else a later event might come before it */
}

void on_cmd_confirm(struct sub *sub)
{
	struct conn *c = sub->conn;
	size_t mark;
	struct buf *b;

	if (c->dialect != DIALECT_RAW) {
		on_mark_confirm(sub, sub->re);
		resume_confirmed(sub);
		return;
	}
	b = ws_reply_begin(c, &mark);
	raw_add_connected(b, sub->chan->conv, str_of(c->name), begins_at(sub));
	ws_reply_end(c, b, mark);
}
