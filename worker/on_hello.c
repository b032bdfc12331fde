/* SPDX-License-Identifier: MIT */
/*
 * The first frame of a socket: who speaks, and the welcome.
 * Who a guest is was decided by session.c.
 */
#include "worker/on_priv.h"

#include "worker/session.h"

static void say_welcome(struct conn *c, const struct cmd_id *re)
{
	const struct worker *wk = conn_worker(c);
	const struct cmd_limits limits = worker_cmd_limits(wk);
	struct uuid session = uuid_v7();
	char text[UUID_TEXT_LEN + 1];
	size_t mark;
	struct buf *b = ws_reply_begin(c, &mark);
	struct native_welcome w = {
		.user = c->user,
		.user_name = str_of(c->name),
		.guest = true,
		.ping_ms = wk->settings->websocket_ping_interval,
		.limits = &limits,
		.frame_max = (uint32_t)wk->settings->websocket_frame_max,
	};

	uuid_format(&session, text);
	w.session = str_of(text);
	native_add_welcome(b, re, &w);
	ws_reply_end(c, b, mark);
}

static void on_identified(struct worker *wk, void *arg, enum proto_error error, int64_t user,
			  struct str name)
{
	struct pending *p = arg;
	struct conn *c = conn_find(wk, p->conn_id);

	if (!c || c->state != CONN_WS) {
		free(p);
		return;
	}
	if (error) {
		if (error == E_UNAVAILABLE)
			ws_conn_try_later(c, &p->re);
		else
			ws_conn_error(c, error, &p->re, NULL, 0);
		free(p);
		return;
	}
	c->user = user;
	c->name = xstrndup(name.p, name.len);
	c->is_helloed = true;
	conn_wait(c, WAIT_PING);
	if (c->dialect == DIALECT_RAW)
		chan_join(c, c->room, false, 0, NULL);
	else
		say_welcome(c, &p->re);
	conn_unblock(c);
	free(p);
}

void on_hello(struct conn *c, const struct cmd *cmd)
{
	struct pending *p;

	if (c->is_helloed) {
		cmd_refuse(c, cmd, E_CONFLICT);
		return;
	}
	if (cmd->name.len == 0) {
		cmd_refuse(c, cmd, E_UNAUTHORIZED);
		return;
	}
	p = pending_new(c, cmd, 0);
	conn_wait(c, WAIT_NONE); /* the client has done its part */
	conn_block(c);		 /* what follows is understood only by somebody known */
	session_guest(conn_worker(c), cmd->name, on_identified, p);
}
