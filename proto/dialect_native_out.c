/* SPDX-License-Identifier: MIT */
/*
 * roomd.v1, writing: answers and problem documents as JSON text.
 * Reading is dialect_native.c's, events are dialect_native_event.c's.
 */
#include "proto/cmd_priv.h"
#include "proto/dialect_native.h"
#include "proto/native_priv.h"

void native_begin(struct buf *b, const char *op, const struct cmd_id *re)
{
	buf_add_char(b, '{');
	json_add_key_cstr(b, "op", op);
	if (re && re->len)
		json_add_key_raw(b, "re", (struct str){re->text, re->len});
}

void native_add_rate(struct buf *b, const char *key, const struct rate *rate)
{
	json_add_key(b, key);
	if (!rate->count) {
		buf_add_cstr(b, "null");
		return;
	}
	buf_add_char(b, '{');
	json_add_key_i64(b, "count", rate->count);
	json_add_key_i64(b, "ms", rate->period_ms);
	json_add_key_i64(b, "burst", rate->burst);
	buf_add_char(b, '}');
}

static void add_rate(struct buf *b, const char *key, const struct rate *rate)
{
	if (rate)
		native_add_rate(b, key, rate);
}

void native_add_limits(struct buf *b, const struct native_limits *limits)
{
	const struct cmd_limits *cmd = &limits->cmd;

	buf_add_char(b, '{');
	json_add_key_i64(b, "message", cmd->message_max);
	json_add_key_i64(b, "code_message", limits->code_message_max);
	json_add_key_i64(b, "attachment", cmd->address_max);
	json_add_key_i64(b, "name", cmd->name_max);
	json_add_key_i64(b, "frame", limits->frame_max);
	json_add_key_i64(b, "depth", cmd->depth_max);
	json_add_key_i64(b, "batch", cmd->batch_max);
	json_add_key_i64(b, "subscriptions", cmd_subs_max(cmd));
	json_add_key_i64(b, "history", limits->history_max);
	json_add_key_ms(b, "hello", limits->hello_ms);
	add_rate(b, "operations", cmd->operations);
	add_rate(b, "frames", cmd->frames);
	add_rate(b, "sends", cmd->sends);
	add_rate(b, "unauthenticated", cmd->unauthenticated);
	native_end(b);
}

void native_add_welcome(struct buf *b, const struct cmd_id *re, const struct native_welcome *w)
{
	native_begin(b, "welcome", re);
	json_add_key_str(b, "session", w->session);
	json_add_key(b, "user");
	buf_add_char(b, '{');
	json_add_key_i64(b, "id", w->user);
	json_add_key_str(b, "name", w->user_name);
	json_add_key_cstr(b, "kind", w->guest ? "guest" : "account");
	native_end(b);
	json_add_key_ms(b, "ping", w->ping_ms);
	json_add_key(b, "limits");
	native_add_limits(b, &w->limits);
	if (w->cursor.len)
		json_add_key_str(b, "cursor", w->cursor);
	if (w->scope.len)
		json_add_key_str(b, "scope", w->scope);
	json_add_key_bool(b, "resumed", w->resumed);
	native_end(b);
}

void native_add_live(struct buf *b, const struct cmd_id *re, const struct native_live *l)
{
	native_begin(b, "live", re);
	json_add_key_i64(b, "c", l->conv);
	json_add_key_i64(b, "rev", l->rev);
	json_add_key_i64(b, "seq", l->seq);
	if (l->unread >= 0)
		json_add_key_i64(b, "unread", l->unread);
	json_add_key_i64(b, "members", l->members);
	if (l->name.len)
		json_add_key_str(b, "name", l->name);
	native_end(b);
}

void native_add_gap(struct buf *b, const struct cmd_id *re, int64_t conv, int64_t first)
{
	native_begin(b, "gap", re);
	json_add_key_i64(b, "c", conv);
	json_add_key_i64(b, "first", first);
	native_end(b);
}

void native_add_ok(struct buf *b, const struct cmd_id *re)
{
	native_begin(b, "ok", re);
	native_end(b);
}

void native_add_ids(struct buf *b, int64_t conv, int64_t rev)
{
	struct uuid uuid = msgid_to_uuid(conv, rev);
	char text[UUID_TEXT_LEN + 1];

	uuid_format(&uuid, text);
	cmd_add_msgid(b, "id", conv, rev);
	json_add_key_str(b, "uid", (struct str){text, UUID_TEXT_LEN});
}

void native_add_sent(struct buf *b, const struct cmd_id *re, const struct event *e, bool duplicate)
{
	native_begin(b, "ok", re);
	json_add_key(b, "message");
	buf_add_char(b, '{');
	native_add_ids(b, e->conv, e->rev);
	json_add_key_i64(b, "seq", e->seq);
	json_add_key_i64(b, "rev", e->rev);
	json_add_key_time(b, "created_at", e->at_ms);
	native_end(b);
	json_add_key_bool(b, "duplicate", duplicate);
	native_end(b);
}

void native_add_changed(struct buf *b, const struct cmd_id *re, const struct event *e,
			bool changed, bool duplicate)
{
	native_begin(b, "ok", re);
	json_add_key_i64(b, "c", e->conv);
	json_add_key_i64(b, "rev", e->rev);
	if (e->target_rev)
		cmd_add_msgid(b, "id", e->conv, e->target_rev);
	if (e->at_ms)
		json_add_key_time(b, "at", e->at_ms);
	else
		json_add_key_null(b, "at");
	json_add_key_bool(b, "changed", changed);
	json_add_key_bool(b, "duplicate", duplicate);
	native_end(b);
}

void native_add_marked(struct buf *b, const struct cmd_id *re, int64_t conv, int64_t seq,
		       int64_t unread)
{
	native_begin(b, "ok", re);
	json_add_key_i64(b, "c", conv);
	json_add_key_i64(b, "seq", seq);
	if (unread >= 0)
		json_add_key_i64(b, "unread", unread);
	native_end(b);
}

void native_add_sync(struct buf *b, const struct cmd_id *re, struct str events, struct str cursor,
		     bool more)
{
	native_begin(b, "ok", re);
	json_add_key_raw(b, "events", events);
	json_add_key_str(b, "cursor", cursor);
	json_add_key_bool(b, "more", more);
	native_end(b);
}

void native_add_history(struct buf *b, const struct cmd_id *re, int64_t conv, struct str page)
{
	native_begin(b, "ok", re);
	json_add_key_i64(b, "c", conv);
	buf_add_char(b, ',');
	buf_add(b, page.p + 1, page.len - 1); /* without its first brace */
}

void native_add_pong(struct buf *b, const struct cmd_id *re)
{
	native_add_pong_cursor(b, re, STR(""));
}

void native_add_pong_cursor(struct buf *b, const struct cmd_id *re, struct str cursor)
{
	native_begin(b, "pong", re);
	if (cursor.len)
		json_add_key_str(b, "cursor", cursor);
	native_end(b);
}

void native_add_err(struct buf *b, const struct cmd_id *re, const struct fault *f, int64_t conv,
		    int64_t retry_ms)
{
	native_begin(b, "err", re);
	json_add_key_cstr(b, "code", error_info(f->error)->code);
	json_add_key_cstr(b, "message", f->text);
	if (f->field)
		json_add_key_cstr(b, "field", f->field);
	if (conv)
		json_add_key_i64(b, "c", conv);
	if (retry_ms > 0)
		json_add_key_ms(b, "retry_after", retry_ms);
	native_end(b);
}

void native_add_behind(struct buf *b, int64_t conv, int64_t rev)
{
	native_begin(b, "behind", NULL);
	json_add_key_i64(b, "c", conv);
	json_add_key_i64(b, "rev", rev);
	native_end(b);
}

void native_add_goaway(struct buf *b, int64_t in_ms, const char *reason)
{
	native_add_goaway_cursor(b, in_ms, reason, STR(""));
}

void native_add_goaway_cursor(struct buf *b, int64_t in_ms, const char *reason, struct str cursor)
{
	native_begin(b, "goaway", NULL);
	json_add_key_ms(b, "in", in_ms);
	json_add_key_cstr(b, "reason", reason);
	if (cursor.len)
		json_add_key_str(b, "cursor", cursor);
	native_end(b);
}

void problem_add(struct buf *b, const struct fault *f, const char *request_id, int64_t retry_ms)
{
	const struct error_info *info = error_info(f->error);

	buf_add_char(b, '{');
	json_add_key_cstr(b, "type", "about:blank");
	json_add_key_cstr(b, "title", info->text);
	json_add_key_i64(b, "status", info->http_status);
	json_add_key_cstr(b, "detail", f->text);
	json_add_key_cstr(b, "code", info->code);
	if (f->field)
		json_add_key_cstr(b, "field", f->field);
	if (request_id)
		json_add_key_cstr(b, "request_id", request_id);
	if (retry_ms > 0)
		json_add_key_ms(b, "retry_after", retry_ms);
	native_end(b);
}
