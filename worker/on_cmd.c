/* SPDX-License-Identifier: MIT */
/*
 * The table of the operations, and what all of them share: who asks, where answers go.
 * Each operation is in on_*.c; decoding and encoding is proto/'s.
 */
#include "worker/on_cmd.h"

#include "worker/audit.h"
#include "worker/on_priv.h"
#include "worker/resume.h"
#include "worker/sio.h"

struct native_limits on_cmd_limits(const struct worker *wk)
{
	const struct settings *s = wk->settings;

	return (struct native_limits){
		.cmd = worker_cmd_limits(wk),
		.code_message_max = (uint32_t)MIN(s->chat_code_message_max, s->chat_message_max),
		.frame_max = (uint32_t)s->websocket_frame_max,
		.history_max = HISTORY_PAGE_MAX,
		.hello_ms = s->websocket_hello_timeout,
	};
}

struct pending *pending_new(const struct conn *c, const struct cmd *cmd, int64_t conv)
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

struct conn *pending_conn(const struct pending *p)
{
	struct conn *c = conn_find(p->wk, p->conn_id);

	return c && c->state == CONN_WS && conn_make_room(c) ? c : NULL;
}

void pending_refuse(const struct pending *p, enum proto_error error)
{
	struct conn *c = pending_conn(p);

	if (c)
		ws_conn_error(c, error, &p->re, &p->key, p->conv);
}

void pending_refuse_as(const struct pending *p, enum proto_error error, const char *detail)
{
	struct conn *c = pending_conn(p);
	struct fault f;

	fault_set(&f, error);
	if (detail)
		snprintf(f.text, sizeof(f.text), "%s", detail);
	if (!c)
		return;
	if (p->is_denied && error != E_UNAVAILABLE)
		audit_denied_conn(c, p->denied, p->conv);
	if (p->retry_ms && error_info(error)->http_status == 429)
		ws_conn_later(c, &f, p->retry_ms, &p->re, &p->key, p->conv);
	else
		ws_conn_fault(c, &f, &p->re, &p->key, p->conv);
}

void cmd_refuse(struct conn *c, const struct cmd *cmd, enum proto_error error)
{
	struct cmd_id key = {0};

	if (cmd->has_key)
		raw_key_of(cmd, &key);
	ws_conn_error(c, error, &cmd->id, &key, cmd->conv);
}

void cmd_say_ok(struct conn *c, const struct cmd *cmd)
{
	size_t mark;
	struct buf *b;

	if (c->dialect == DIALECT_RAW || cmd->id.len == 0)
		return;
	if (dialect_is_sio(c->dialect)) {
		sio_say_ok(c, &cmd->id);
		return;
	}
	b = ws_reply_begin(c, &mark);
	native_add_ok(b, &cmd->id);
	ws_reply_end(c, b, mark);
}

int64_t cmd_conv(const struct conn *c, const struct cmd *cmd)
{
	return dialect_has_room(c->dialect) ? c->room : cmd->conv;
}

struct sub *cmd_sub(struct conn *c, const struct cmd *cmd)
{
	struct sub *sub = sub_find(c, cmd_conv(c, cmd));

	if (!sub)
		cmd_refuse(c, cmd, E_NOT_SUBSCRIBED);
	return sub;
}

void on_ping(struct conn *c, const struct cmd *cmd)
{
	struct buf cursor = BUF_INIT, *b;
	size_t mark;

	/* without a session the text stays empty */
	if (!resume_cursor(c, &cursor) && c->state != CONN_WS)
		return;
	b = ws_reply_begin(c, &mark);
	if (c->dialect == DIALECT_RAW)
		raw_add_pong(b);
	else
		native_add_pong_cursor(b, &cmd->id, buf_str(&cursor));
	ws_reply_end(c, b, mark);
	buf_done(&cursor);
}

typedef void cmd_handler(struct conn *c, const struct cmd *cmd);

static cmd_handler *const handlers[OP_COUNT] = {
	[OP_HELLO] = on_hello,	 [OP_SUB] = on_sub,	  [OP_UNSUB] = on_unsub,
	[OP_SEND] = on_send,	 [OP_TYPING] = on_typing, [OP_HISTORY] = on_history,
	[OP_RESUME] = on_resume, [OP_PING] = on_ping,	  [OP_EDIT] = on_change,
	[OP_DELETE] = on_change, [OP_RECOVER] = on_change, [OP_REACT] = on_change,
	[OP_READ] = on_mark,	 [OP_DELIVERED] = on_mark, [OP_SYNC] = on_sync,
	[OP_PRESENCE] = on_presence,
};

void on_cmd(struct conn *c, const struct cmd *cmd)
{
	worker_count(conn_worker(c), M_COMMANDS, 1);
	if (!c->is_helloed && cmd->op != OP_HELLO)
		cmd_refuse(c, cmd, E_UNAUTHORIZED);
	else if (cmd->op > OP_NONE && cmd->op < OP_COUNT && handlers[cmd->op])
		handlers[cmd->op](c, cmd);
	else
		cmd_refuse(c, cmd, E_UNKNOWN_OP);
}
