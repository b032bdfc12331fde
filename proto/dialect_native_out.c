/* SPDX-License-Identifier: MIT */
/*
 * roomd.v1, writing: answers, events and problem documents as JSON text.
 * Reading is dialect_native.c's.
 */
#include "proto/cmd_priv.h"
#include "proto/dialect_native.h"

static void begin(struct buf *b, const char *op, const struct cmd_id *re)
{
	buf_add_char(b, '{');
	json_add_key_cstr(b, "op", op);
	if (re && re->len)
		json_add_key_raw(b, "re", (struct str){re->text, re->len});
}

static void end(struct buf *b)
{
	buf_add_char(b, '}');
}

static void add_user(struct buf *b, const char *key, int64_t id, struct str name)
{
	json_add_key(b, key);
	buf_add_char(b, '{');
	json_add_key_i64(b, "id", id);
	json_add_key_str(b, "name", name);
	end(b);
}

static void add_limits(struct buf *b, const struct native_welcome *w)
{
	json_add_key(b, "limits");
	buf_add_char(b, '{');
	json_add_key_i64(b, "message", w->limits->message_max);
	json_add_key_i64(b, "name", w->limits->name_max);
	json_add_key_i64(b, "frame", w->frame_max);
	json_add_key_i64(b, "depth", w->limits->depth_max);
	json_add_key_i64(b, "batch", w->limits->batch_max);
	end(b);
}

void native_add_welcome(struct buf *b, const struct cmd_id *re, const struct native_welcome *w)
{
	begin(b, "welcome", re);
	json_add_key_str(b, "session", w->session);
	json_add_key(b, "user");
	buf_add_char(b, '{');
	json_add_key_i64(b, "id", w->user);
	json_add_key_str(b, "name", w->user_name);
	json_add_key_cstr(b, "kind", w->guest ? "guest" : "account");
	end(b);
	json_add_key_ms(b, "ping", w->ping_ms);
	add_limits(b, w);
	if (w->cursor.len)
		json_add_key_str(b, "cursor", w->cursor);
	json_add_key_bool(b, "resumed", w->resumed);
	end(b);
}

void native_add_live(struct buf *b, const struct cmd_id *re, const struct native_live *l)
{
	begin(b, "live", re);
	json_add_key_i64(b, "c", l->conv);
	json_add_key_i64(b, "rev", l->rev);
	json_add_key_i64(b, "seq", l->seq);
	json_add_key_i64(b, "unread", l->unread);
	json_add_key_i64(b, "members", l->members);
	if (l->name.len)
		json_add_key_str(b, "name", l->name);
	end(b);
}

void native_add_gap(struct buf *b, const struct cmd_id *re, int64_t conv, int64_t first)
{
	begin(b, "gap", re);
	json_add_key_i64(b, "c", conv);
	json_add_key_i64(b, "first", first);
	end(b);
}

void native_add_ok(struct buf *b, const struct cmd_id *re)
{
	begin(b, "ok", re);
	end(b);
}

/* The members that name a message wherever it is shown. */
static void add_identity(struct buf *b, const struct event *e)
{
	struct uuid uuid = msgid_to_uuid(e->conv, e->rev);
	char text[UUID_TEXT_LEN + 1];

	uuid_format(&uuid, text);
	cmd_add_msgid(b, "id", e->conv, e->rev);
	json_add_key_str(b, "uid", (struct str){text, UUID_TEXT_LEN});
	json_add_key_i64(b, "seq", e->seq);
	json_add_key_i64(b, "rev", e->rev);
}

void native_add_sent(struct buf *b, const struct cmd_id *re, const struct event *e, bool duplicate)
{
	begin(b, "ok", re);
	json_add_key(b, "message");
	buf_add_char(b, '{');
	add_identity(b, e);
	json_add_key_time(b, "created_at", e->at_ms);
	end(b);
	json_add_key_bool(b, "duplicate", duplicate);
	end(b);
}

void native_add_history(struct buf *b, const struct cmd_id *re, int64_t conv, struct str page)
{
	begin(b, "ok", re);
	json_add_key_i64(b, "c", conv);
	json_add_key_raw(b, "messages", page);
	end(b);
}

void native_add_pong(struct buf *b, const struct cmd_id *re)
{
	begin(b, "pong", re);
	end(b);
}

void native_add_err(struct buf *b, const struct cmd_id *re, const struct fault *f, int64_t conv,
		    int64_t retry_ms)
{
	begin(b, "err", re);
	json_add_key_cstr(b, "code", error_info(f->error)->code);
	json_add_key_cstr(b, "message", f->text);
	if (f->field)
		json_add_key_cstr(b, "field", f->field);
	if (conv)
		json_add_key_i64(b, "c", conv);
	if (retry_ms > 0)
		json_add_key_ms(b, "retry_after", retry_ms);
	end(b);
}

static void add_msgid_or_null(struct buf *b, const char *key, int64_t conv, int64_t rev)
{
	if (rev)
		cmd_add_msgid(b, key, conv, rev);
	else
		json_add_key_null(b, key);
}

/* What the client wrote; a key that came as a UUID only is shown in its usual form. */
static void add_client_msg_id(struct buf *b, const struct event *e)
{
	char text[UUID_TEXT_LEN + 1];

	if (e->client_id.len) {
		json_add_key_str(b, "client_msg_id", e->client_id);
	} else if (uuid_is_zero(&e->client_msg_id)) {
		json_add_key_null(b, "client_msg_id");
	} else {
		uuid_format(&e->client_msg_id, text);
		json_add_key_str(b, "client_msg_id", (struct str){text, UUID_TEXT_LEN});
	}
}

void native_add_message(struct buf *b, const struct event *e)
{
	buf_add_char(b, '{');
	add_identity(b, e);
	add_user(b, "sender", e->actor, e->actor_name);
	json_add_key_str(b, "content", e->content);
	add_client_msg_id(b, e);
	add_msgid_or_null(b, "reply_to", e->conv, e->reply_to_rev);
	json_add_key_time(b, "created_at", e->at_ms);
	end(b);
}

/*
 * "d" of the durable types that are no new message: who, when, and what the type's row in event.h
 * uses.
 */
static void add_change(struct buf *b, const struct event *e)
{
	buf_add_char(b, '{');
	if (e->target_rev)
		cmd_add_msgid(b, "id", e->conv, e->target_rev);
	add_user(b, "by", e->actor, e->actor_name);
	if (e->subject)
		add_user(b, "user", e->subject, e->subject_name);
	if (e->type == EVT_MESSAGE_EDIT)
		json_add_key_str(b, "content", e->content);
	if (e->type == EVT_REACTION_SET || e->type == EVT_REACTION_UNSET)
		json_add_key_str(b, "emoji", e->key);
	if (e->type == EVT_MEMBER_JOIN || e->type == EVT_MEMBER_ROLE)
		json_add_key_str(b, "role", e->key);
	if (e->type == EVT_CONVERSATION_UPDATE) {
		json_add_key_str(b, "changed", e->key);
		json_add_key_str(b, "value", e->content);
	}
	json_add_key_time(b, "at", e->at_ms);
	end(b);
}

static void eph_begin(struct buf *b, int64_t conv, enum event_type type)
{
	begin(b, "eph", NULL);
	json_add_key_i64(b, "c", conv);
	json_add_key_cstr(b, "t", event_info(type)->native);
	json_add_key(b, "d");
}

static void add_presence(struct buf *b, const struct event *e)
{
	eph_begin(b, e->conv, EVT_PRESENCE);
	buf_add_cstr(b, "[{");
	json_add_key_i64(b, "u", e->actor);
	json_add_key_str(b, "name", e->actor_name);
	json_add_key_cstr(b, "s", e->on ? "online" : "offline");
	buf_add_cstr(b, "}]");
	end(b);
}

bool native_add_event(struct buf *b, const struct event *e)
{
	const struct event_info *info = event_info(e->type);

	if (!info || e->type == EVT_TYPING || e->type == EVT_ROSTER)
		return false;
	if (e->type == EVT_PRESENCE) {
		add_presence(b, e);
		return true;
	}
	begin(b, "ev", NULL);
	json_add_key_i64(b, "c", e->conv);
	json_add_key_i64(b, "rev", e->rev);
	json_add_key_cstr(b, "t", info->native);
	json_add_key(b, "d");
	if (e->type == EVT_MESSAGE_NEW)
		native_add_message(b, e);
	else
		add_change(b, e);
	end(b);
	return true;
}

void native_add_typing(struct buf *b, int64_t conv, native_user_fn next, void *arg)
{
	struct buf names = BUF_INIT;
	struct str name;
	int64_t user;

	eph_begin(b, conv, EVT_TYPING);
	buf_add_cstr(b, "{\"users\":[");
	while (next(arg, &user, &name)) {
		json_add_sep(b);
		buf_add_i64(b, user);
		json_add_sep(&names);
		json_add_str(&names, name);
	}
	buf_add_cstr(b, "],\"names\":[");
	buf_add_str(b, buf_str(&names));
	buf_add_cstr(b, "]}");
	end(b);
	buf_done(&names);
}

void native_add_roster(struct buf *b, int64_t conv, native_user_fn next, void *arg)
{
	struct str name;
	int64_t user;

	eph_begin(b, conv, EVT_ROSTER);
	buf_add_cstr(b, "{\"users\":[");
	while (next(arg, &user, &name)) {
		json_add_sep(b);
		buf_add_char(b, '{');
		json_add_key_i64(b, "id", user);
		json_add_key_str(b, "name", name);
		end(b);
	}
	buf_add_cstr(b, "]}");
	end(b);
}

void native_add_behind(struct buf *b, int64_t conv, int64_t rev)
{
	begin(b, "behind", NULL);
	json_add_key_i64(b, "c", conv);
	json_add_key_i64(b, "rev", rev);
	end(b);
}

void native_add_goaway(struct buf *b, int64_t in_ms, const char *reason)
{
	begin(b, "goaway", NULL);
	json_add_key_ms(b, "in", in_ms);
	json_add_key_cstr(b, "reason", reason);
	end(b);
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
	end(b);
}
