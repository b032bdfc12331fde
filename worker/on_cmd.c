/* SPDX-License-Identifier: MIT */
/*
 * The operations of the socket dialects: hello, sub, send, typing and the rest.
 * Decoding and encoding is proto/'s; joining and order are chan.c's; storing is persist.c's.
 */
#include "worker/on_cmd.h"

#include "base/clock.h"
#include "proto/dialect_native.h"
#include "proto/dialect_raw.h"
#include "shm/rooms.h"
#include "sql/messages.h"
#include "worker/dbio.h"
#include "worker/deliver.h"
#include "worker/persist.h"
#include "worker/roster.h"
#include "worker/session.h"
#include "worker/ws_conn.h"

#define HISTORY_PAGE 50
#define HISTORY_PAGE_MAX 200

/* A request whose answer comes later. */
struct pending {
	struct worker *wk;
	uint64_t conn_id;
	int64_t conv;
	struct cmd_id re, key;
};

static struct pending *pending_new(const struct conn *c, const struct cmd *cmd, int64_t conv)
{
	struct pending *p = xcalloc(1, sizeof(*p));

	p->wk = conn_worker(c);
	p->conn_id = c->id;
	p->conv = conv;
	p->re = cmd->id;
	if (cmd->has_key)
		raw_key_of(cmd, &p->key);
	return p;
}

/* A text frame for this connection alone: append its payload between the two calls. */
static struct buf *frame_begin(struct conn *c, size_t *ret_begin)
{
	struct buf *b = conn_reply(c);

	*ret_begin = ws_frame_begin(b);
	return b;
}

static void frame_end(struct buf *b, size_t begin)
{
	ws_frame_end(b, begin, WS_OP_TEXT);
}

static void refuse(struct conn *c, const struct cmd *cmd, enum proto_error error)
{
	struct cmd_id key = {0};

	if (cmd->has_key)
		raw_key_of(cmd, &key);
	ws_conn_error(c, error, &cmd->id, &key, cmd->conv);
}

/* ---- hello ---- */

static void say_welcome(struct conn *c, const struct cmd_id *re)
{
	const struct worker *wk = conn_worker(c);
	const struct cmd_limits limits = worker_cmd_limits(wk);
	struct uuid session = uuid_v7();
	char text[UUID_TEXT_LEN + 1];
	size_t begin;
	struct buf *b = frame_begin(c, &begin);
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
	frame_end(b, begin);
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

static void do_hello(struct conn *c, const struct cmd *cmd)
{
	struct pending *p;

	if (c->is_helloed) {
		refuse(c, cmd, E_CONFLICT);
		return;
	}
	if (cmd->name.len == 0) {
		refuse(c, cmd, E_UNAUTHORIZED);
		return;
	}
	p = pending_new(c, cmd, 0);
	conn_wait(c, WAIT_NONE); /* the client has done its part */
	conn_block(c);		 /* what follows is understood only by somebody known */
	session_guest(conn_worker(c), cmd->name, on_identified, p);
}

/* ---- sub, unsub, resume ---- */

static void do_sub(struct conn *c, const struct cmd *cmd)
{
	struct sub *sub = sub_find(c, cmd->conv);

	if (sub) {
		refuse(c, cmd, E_CONFLICT);
		return;
	}
	if (c->n_subs >= conn_worker(c)->settings->websocket_subscriptions_max) {
		refuse(c, cmd, E_TOO_MANY_SUBSCRIPTIONS);
		return;
	}
	chan_join(c, cmd->conv, cmd->rev > 0, cmd->rev, &cmd->id);
}

static void say_ok(struct conn *c, const struct cmd *cmd)
{
	size_t begin;
	struct buf *b;

	if (c->dialect == DIALECT_RAW || cmd->id.len == 0)
		return;
	b = frame_begin(c, &begin);
	native_add_ok(b, &cmd->id);
	frame_end(b, begin);
}

static void do_unsub(struct conn *c, const struct cmd *cmd)
{
	struct sub *sub = sub_find(c, cmd->conv);

	if (!sub) {
		refuse(c, cmd, E_NOT_SUBSCRIBED);
		return;
	}
	chan_leave(sub, CONN_END_CLEAN);
	say_ok(c, cmd);
}

static void do_resume(struct conn *c, const struct cmd *cmd)
{
	struct sub *sub = sub_find(c, c->room);

	if (sub && cmd->has_rev)
		chan_rewind(sub, cmd->rev);
}

void on_cmd_confirm(struct sub *sub)
{
	const struct chan *ch = sub->chan;
	struct conn *c = sub->conn;
	size_t begin;
	struct buf *b = frame_begin(c, &begin);

	if (c->dialect == DIALECT_RAW) {
		raw_add_connected(b, ch->conv, str_of(c->name), ch->rev);
	} else {
		struct native_live live = {.conv = ch->conv, .rev = ch->rev, .seq = ch->seq};
		uint32_t connections = 0, users = 0;

		if (room_counts(ch->wk->shm, (unsigned)ch->wk->slot, ch->conv, &connections, &users) == 0)
			live.members = users;
		native_add_live(b, sub->re, &live);
	}
	frame_end(b, begin);
}

/* ---- send ---- */

/* This worker's receivers had the event: it will not come through the channel any more. */
static bool was_delivered(const struct conn *c, const struct event *ev)
{
	const struct sub *sub = sub_find(c, ev->conv);

	return sub && ev->rev <= sub->chan->rev;
}

static void on_sent(struct worker *wk, void *arg, const struct persist_result *res)
{
	struct pending *p = arg;
	struct conn *c = conn_find(wk, p->conn_id);
	size_t begin;
	struct buf *b;

	if (c && res->error) {
		ws_conn_error(c, res->error, &p->re, &p->key, p->conv);
	} else if (c && c->dialect == DIALECT_NATIVE) {
		b = frame_begin(c, &begin);
		native_add_sent(b, &p->re, res->event, res->is_duplicate);
		frame_end(b, begin);
	} else if (c && res->is_duplicate && was_delivered(c, res->event)) {
		/* the room will not see it again: the sender's confirmation is its own copy */
		deliver_encode(conn_reply(c), c->dialect, res->event);
	}
	free(p);
}

static void do_send(struct conn *c, const struct cmd *cmd)
{
	struct worker *wk = conn_worker(c);
	int64_t conv = c->dialect == DIALECT_RAW ? c->room : cmd->conv;
	struct sub *sub = sub_find(c, conv);
	struct pending *p;
	const struct event ev = {
		.conv = conv,
		.actor = c->user,
		.actor_name = str_of(c->name),
		.client_msg_id = cmd->key_uuid,
		.client_id = cmd->key,
		.content = cmd->content,
		.reply_to_rev = cmd->reply_to_rev,
	};

	if (!sub) {
		refuse(c, cmd, E_NOT_SUBSCRIBED);
		return;
	}
	roster_stop_typing(sub);
	p = pending_new(c, cmd, conv);
	if (persist_send(wk, &ev, on_sent, p) < 0) {
		free(p);
		refuse(c, cmd, E_UNAVAILABLE);
	}
}

/* ---- the rest ---- */

static void do_typing(struct conn *c, const struct cmd *cmd)
{
	int64_t conv = c->dialect == DIALECT_RAW ? c->room : cmd->conv;
	struct sub *sub = sub_find(c, conv);

	if (!sub) {
		refuse(c, cmd, E_NOT_SUBSCRIBED);
		return;
	}
	if (cmd->on)
		roster_start_typing(sub);
	else
		roster_stop_typing(sub);
	say_ok(c, cmd);
}

static void do_ping(struct conn *c, const struct cmd *cmd)
{
	size_t begin;
	struct buf *b = frame_begin(c, &begin);

	if (c->dialect == DIALECT_RAW)
		raw_add_pong(b);
	else
		native_add_pong(b, &cmd->id);
	frame_end(b, begin);
}

static void on_history(void *arg, int err, struct str json)
{
	struct pending *p = arg;
	struct conn *c = conn_find(p->wk, p->conn_id);
	size_t begin;
	struct buf *b;

	if (c && err) {
		ws_conn_error(c, err == -ERR_NOENT ? E_NOT_FOUND : E_UNAVAILABLE, &p->re, NULL,
			      p->conv);
	} else if (c) {
		b = frame_begin(c, &begin);
		native_add_history(b, &p->re, p->conv, json);
		frame_end(b, begin);
	}
	free(p);
}

static void do_history(struct conn *c, const struct cmd *cmd)
{
	struct worker *wk = conn_worker(c);
	struct pending *p = pending_new(c, cmd, cmd->conv);
	enum page_from from = cmd->after ? PAGE_AFTER : PAGE_BEFORE;
	int limit = (int)(cmd->limit > 0 ? MIN(cmd->limit, HISTORY_PAGE_MAX) : HISTORY_PAGE);

	if (messages_page_native(dbio_reader(wk), cmd->conv, from,
				 cmd->after ? cmd->after : cmd->before, limit, dbio_deadline(wk),
				 on_history, p, NULL) < 0)
		on_history(p, -ERR_UNAVAILABLE, STR(""));
}

typedef void cmd_handler(struct conn *c, const struct cmd *cmd);

static cmd_handler *const handlers[OP_COUNT] = {
	[OP_HELLO] = do_hello,	 [OP_SUB] = do_sub,	  [OP_UNSUB] = do_unsub,
	[OP_SEND] = do_send,	 [OP_TYPING] = do_typing, [OP_HISTORY] = do_history,
	[OP_RESUME] = do_resume, [OP_PING] = do_ping,
};

void on_cmd(struct conn *c, const struct cmd *cmd)
{
	worker_count(conn_worker(c), M_COMMANDS, 1);
	if (!c->is_helloed && cmd->op != OP_HELLO)
		refuse(c, cmd, E_UNAUTHORIZED);
	else if (cmd->op > OP_NONE && cmd->op < OP_COUNT && handlers[cmd->op])
		handlers[cmd->op](c, cmd);
	else
		refuse(c, cmd, E_UNKNOWN_OP);
}
