/* SPDX-License-Identifier: MIT */
/*
 * roomd.v1, writing: what happened in a conversation and who is here, as JSON text.
 * Answers are dialect_native_out.c's.
 */
#include "proto/cmd_priv.h"
#include "proto/dialect_native.h"
#include "proto/native_priv.h"

static void add_user(struct buf *b, const char *key, int64_t id, struct str name)
{
	json_add_key(b, key);
	buf_add_char(b, '{');
	json_add_key_i64(b, "id", id);
	json_add_key_str(b, "name", name);
	native_end(b);
}

/* Messages ------------------------------------------------------------------------- */

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

static void add_attachment(struct buf *b, const struct event *e)
{
	if (e->key.len)
		json_add_key_str(b, "attachment_url", e->key);
}

/* What a deleted message said is not told, even if somebody still has it in hand. */
static void add_content(struct buf *b, const struct event *e)
{
	if (e->on) {
		json_add_key_null(b, "content");
		json_add_key_bool(b, "deleted", true);
	} else {
		json_add_key_str(b, "content", e->content);
		add_attachment(b, e);
	}
}

void native_add_message(struct buf *b, const struct event *e)
{
	buf_add_char(b, '{');
	native_add_ids(b, e->conv, e->rev);
	json_add_key_i64(b, "seq", e->seq);
	json_add_key_i64(b, "rev", e->rev);
	add_user(b, "sender", e->actor, e->actor_name);
	add_content(b, e);
	add_client_msg_id(b, e);
	add_msgid_or_null(b, "reply_to", e->conv, e->reply_to_rev);
	json_add_key_time(b, "created_at", e->at_ms);
	native_end(b);
}

/* Changes -------------------------------------------------------------------------- */

/* The message that was changed. A record without one shows none. */
static void add_target(struct buf *b, const struct event *e)
{
	if (!e->target_rev)
		return;
	native_add_ids(b, e->conv, e->target_rev);
	json_add_key_i64(b, "target", e->target_rev);
}

static void add_by(struct buf *b, const struct event *e, const char *time_key)
{
	add_user(b, "by", e->actor, e->actor_name);
	json_add_key_time(b, time_key, e->at_ms);
}

static void add_edit(struct buf *b, const struct event *e)
{
	add_target(b, e);
	json_add_key_str(b, "content", e->content);
	add_by(b, e, "edited_at");
}

static void add_delete(struct buf *b, const struct event *e)
{
	add_target(b, e);
	add_by(b, e, "deleted_at");
}

static void add_recover(struct buf *b, const struct event *e)
{
	add_target(b, e);
	json_add_key_str(b, "content", e->content);
	add_attachment(b, e);
	add_by(b, e, "at");
}

static void add_reaction(struct buf *b, const struct event *e)
{
	add_target(b, e);
	json_add_key_str(b, "emoji", e->key);
	add_user(b, "user", e->actor, e->actor_name);
	json_add_key_time(b, "at", e->at_ms);
}

/* Whom it is about: the actor unless somebody else is named. */
static void add_subject(struct buf *b, const struct event *e)
{
	if (e->subject)
		add_user(b, "user", e->subject, e->subject_name);
	else
		add_user(b, "user", e->actor, e->actor_name);
}

static void add_role(struct buf *b, const struct event *e)
{
	add_subject(b, e);
	json_add_key_str(b, "role", e->key);
	add_by(b, e, "at");
}

static void add_leave(struct buf *b, const struct event *e)
{
	add_subject(b, e);
	if (e->key.len)
		json_add_key_str(b, "reason", e->key);
	add_by(b, e, "at");
}

/* Only fields that every reader knows get a member of their own: KEY may hold anything. */
static void add_update(struct buf *b, const struct event *e)
{
	static const char *const known[] = {"name", "description"};
	const char *member = "value";

	for (size_t i = 0; i < ARRAY_LEN(known); i++)
		if (str_eq(e->key, str_of(known[i])))
			member = known[i];
	json_add_key_str(b, "changed", e->key);
	json_add_key_str(b, member, e->content);
	add_by(b, e, "at");
}

static void add_close(struct buf *b, const struct event *e)
{
	add_by(b, e, "at");
}

/* Ids are below 64, as is every index here. */
#define CHANGES_MAX 64

static void (*const changes[CHANGES_MAX])(struct buf *b, const struct event *e) = {
	[EVT_MESSAGE_EDIT] = add_edit,	    [EVT_MESSAGE_DELETE] = add_delete,
	[EVT_MESSAGE_RECOVER] = add_recover, [EVT_REACTION_SET] = add_reaction,
	[EVT_REACTION_UNSET] = add_reaction, [EVT_MEMBER_JOIN] = add_role,
	[EVT_MEMBER_LEAVE] = add_leave,	    [EVT_MEMBER_ROLE] = add_role,
	[EVT_CONVERSATION_UPDATE] = add_update, [EVT_CONVERSATION_CLOSE] = add_close,
};

static void add_change(struct buf *b, const struct event *e)
{
	buf_add_char(b, '{');
	changes[e->type](b, e);
	native_end(b);
}

/* What is not in the log ------------------------------------------------------------- */

static void eph_begin(struct buf *b, int64_t conv, enum event_type type)
{
	native_begin(b, "eph", NULL);
	if (conv)
		json_add_key_i64(b, "c", conv);
	json_add_key_cstr(b, "t", event_info(type)->native);
	json_add_key(b, "d");
}

static void add_state(struct buf *b, const struct native_presence *p)
{
	json_add_sep(b);
	buf_add_char(b, '{');
	json_add_key_i64(b, "u", p->user);
	if (p->name.len)
		json_add_key_str(b, "name", p->name);
	json_add_key_cstr(b, "s", p->state);
	if (p->status.p)
		json_add_key_str(b, "status", p->status);
	native_end(b);
}

static void add_presence(struct buf *b, const struct event *e)
{
	struct native_presence p = {.user = e->actor,
				    .name = e->actor_name,
				    .state = e->on ? "online" : "offline"};

	eph_begin(b, e->conv, EVT_PRESENCE);
	buf_add_char(b, '[');
	add_state(b, &p);
	buf_add_char(b, ']');
	native_end(b);
}

size_t native_add_presence_batch(struct buf *b, int64_t conv, native_presence_fn next, void *arg)
{
	struct native_presence p = {0};
	size_t n = 0;

	for (; next(arg, &p); n++) {
		if (!n) {
			eph_begin(b, conv, EVT_PRESENCE);
			buf_add_char(b, '[');
		}
		add_state(b, &p);
		p = (struct native_presence){0};
	}
	if (n) {
		buf_add_char(b, ']');
		native_end(b);
	}
	return n;
}

void native_add_presence_list(struct buf *b, const struct cmd_id *re, native_presence_fn next,
			      void *arg)
{
	struct native_presence p = {0};

	native_begin(b, "ok", re);
	json_add_key(b, "presence");
	buf_add_char(b, '[');
	for (; next(arg, &p); p = (struct native_presence){0})
		add_state(b, &p);
	buf_add_char(b, ']');
	native_end(b);
}

void native_add_presence_page(struct buf *b, native_presence_fn next, void *arg, int64_t more)
{
	struct native_presence p = {0};

	buf_add_char(b, '{');
	json_add_key(b, "presence");
	buf_add_char(b, '[');
	for (; next(arg, &p); p = (struct native_presence){0})
		add_state(b, &p);
	buf_add_char(b, ']');
	if (more)
		json_add_key_i64(b, "next", more);
	else
		json_add_key_null(b, "next");
	buf_add_char(b, '}');
}

void native_add_scope(struct buf *b, const char *scope)
{
	native_begin(b, "eph", NULL);
	json_add_key_cstr(b, "t", "scope");
	json_add_key(b, "d");
	buf_add_char(b, '{');
	json_add_key_cstr(b, "scope", scope);
	native_end(b);
	native_end(b);
}

void native_add_mark(struct buf *b, enum event_type type, int64_t conv, int64_t user, int64_t seq)
{
	assert(type == EVT_READ || type == EVT_DELIVERED);
	eph_begin(b, conv, type);
	buf_add_char(b, '{');
	json_add_key_i64(b, "user", user);
	json_add_key_i64(b, "seq", seq);
	native_end(b);
	native_end(b);
}

void native_add_roster_count(struct buf *b, int64_t conv, int64_t count)
{
	eph_begin(b, conv, EVT_ROSTER);
	buf_add_char(b, '{');
	json_add_key_i64(b, "count", count);
	native_end(b);
	native_end(b);
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
	native_end(b);
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
		native_end(b);
	}
	buf_add_cstr(b, "]}");
	native_end(b);
}

/* Events of the ring ------------------------------------------------------------------ */

static bool add_ephemeral(struct buf *b, const struct event *e)
{
	switch (e->type) {
	case EVT_PRESENCE:
		add_presence(b, e);
		return true;
	case EVT_READ:
	case EVT_DELIVERED:
		native_add_mark(b, e->type, e->conv, e->actor, e->seq);
		return true;
	default:
		return false;
	}
}

bool native_add_event(struct buf *b, const struct event *e)
{
	const struct event_info *info = event_info(e->type);

	if (!info || info->class == EVENT_EPHEMERAL)
		return info && add_ephemeral(b, e);
	native_begin(b, "ev", NULL);
	json_add_key_i64(b, "c", e->conv);
	json_add_key_i64(b, "rev", e->rev);
	json_add_key_cstr(b, "t", info->native);
	json_add_key(b, "d");
	if (e->type == EVT_MESSAGE_NEW)
		native_add_message(b, e);
	else
		add_change(b, e);
	native_end(b);
	return true;
}
