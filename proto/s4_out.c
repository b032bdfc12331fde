/* SPDX-License-Identifier: MIT */
/*
 * What clients of S3 and S4 are told: events and acknowledgements as packets.
 * What they ask for is s4.c's.
 */
#include "proto/cmd_priv.h"
#include "proto/s4.h"
#include "proto/utf8.h"

static const char *const names[S4_EVENT_COUNT] = {
#define X(name, event) [S4_##name] = event,
#include "proto/s4_events.def"
#undef X
};

const char *s4_event_name(enum s4_event e)
{
	return names[e];
}

/* An event with one object as its argument. */
static void begin(struct buf *b, enum s4_event e)
{
	sio_event_begin(b, STR(SIO_NSP_MAIN), SIO_NO_ID, 0, names[e]);
	json_add_sep(b);
	buf_add_char(b, '{');
}

static void end(struct buf *b, struct str offset)
{
	buf_add_char(b, '}');
	sio_event_end(b, offset);
}

static void add_conv(struct buf *b, int64_t conv)
{
	json_add_key_i64(b, "conversationId", conv);
	json_add_key_i64(b, "conversation_id", conv);
}

static void add_user(struct buf *b, int64_t user, struct str name)
{
	json_add_key_i64(b, "userId", user);
	json_add_key_str(b, "username", name);
}

static void add_msgid_or_null(struct buf *b, const char *key, int64_t conv, int64_t rev)
{
	if (rev)
		cmd_add_msgid(b, key, conv, rev);
	else
		json_add_key_null(b, key);
}

static void add_uid(struct buf *b, int64_t conv, int64_t rev)
{
	struct uuid uid = msgid_to_uuid(conv, rev);
	char text[UUID_TEXT_LEN + 1];

	uuid_format(&uid, text);
	json_add_key_str(b, "uid", (struct str){text, UUID_TEXT_LEN});
}

void s4_add_room(struct buf *b, const char *kind, int64_t id)
{
	buf_printf(b, "%s_%" PRId64, kind, id);
}

/* Messages -------------------------------------------------------------------------- */

static void add_key(struct buf *b, const struct event *e)
{
	char text[UUID_TEXT_LEN + 1];

	if (e->client_id.len) {
		json_add_key_str(b, "clientMsgId", e->client_id);
	} else if (!uuid_is_zero(&e->client_msg_id)) {
		uuid_format(&e->client_msg_id, text);
		json_add_key_str(b, "clientMsgId", (struct str){text, UUID_TEXT_LEN});
	}
}

static void add_sender(struct buf *b, const struct event *e)
{
	json_add_key(b, "sender");
	buf_add_char(b, '{');
	json_add_key_i64(b, "id", e->actor);
	json_add_key_str(b, "username", e->actor_name);
	buf_add_char(b, '}');
}

static void add_times(struct buf *b, const struct event *e, const struct s4_view *view)
{
	json_add_key_bool(b, "is_read", view->read_at_ms != 0);
	if (view->read_at_ms)
		json_add_key_time(b, "read_at", view->read_at_ms);
	else
		json_add_key_null(b, "read_at");
	json_add_key_time(b, "createdAt", e->at_ms);
	json_add_key_time(b, "updatedAt", view->updated_at_ms ? view->updated_at_ms : e->at_ms);
}

static void add_attachment(struct buf *b, const struct event *e)
{
	if (e->key.len && !e->on)
		json_add_key_str(b, "attachment_url", e->key);
	else
		json_add_key_null(b, "attachment_url");
}

static void add_message_members(struct buf *b, const struct event *e, const struct s4_view *view)
{
	cmd_add_msgid(b, "id", e->conv, e->rev);
	add_uid(b, e->conv, e->rev);
	add_conv(b, e->conv);
	json_add_key_i64(b, "sender_id", e->actor);
	if (view->receiver)
		json_add_key_i64(b, "receiver_id", view->receiver);
	add_sender(b, e);
	json_add_key_str(b, "content", e->content);
	add_attachment(b, e);
	add_times(b, e, view);
	json_add_key_i64(b, "seq", e->seq);
	json_add_key_i64(b, "rev", e->rev);
	add_key(b, e);
}

void s4_add_message(struct buf *b, const struct event *e, const struct s4_view *view)
{
	buf_add_char(b, '{');
	add_message_members(b, e, view);
	buf_add_char(b, '}');
}

/* The first characters of S, whole ones. */
static struct str preview_of(struct str s)
{
	size_t pos = 0;
	uint32_t cp;

	for (size_t n = 0; n < S4_PREVIEW_MAX && utf8_next(s, &pos, &cp);)
		n++;
	return (struct str){s.p, pos};
}

void s4_add_notification(struct buf *b, const struct event *e, const struct s4_view *view,
			 int64_t unread, bool joined)
{
	begin(b, S4_NOTIFICATION);
	add_conv(b, e->conv);
	json_add_key(b, "message");
	s4_add_message(b, e, view);
	add_sender(b, e);
	json_add_key_str(b, "preview", preview_of(e->content));
	if (unread >= 0)
		json_add_key_i64(b, "unread", unread);
	if (joined)
		json_add_key_bool(b, "joined", true);
	end(b, STR(""));
}

/* Changes and marks -------------------------------------------------------------------- */

static void add_target(struct buf *b, const struct event *e)
{
	add_conv(b, e->conv);
	cmd_add_msgid(b, "id", e->conv, e->target_rev);
	add_uid(b, e->conv, e->target_rev);
}

static void add_change(struct buf *b, const struct event *e, const char *time_key)
{
	add_target(b, e);
	if (e->type != EVT_MESSAGE_DELETE)
		json_add_key_str(b, "content", e->content);
	if (e->type == EVT_MESSAGE_RECOVER) {
		json_add_key_bool(b, "recovered", true);
		add_attachment(b, e);
	}
	add_user(b, e->actor, e->actor_name);
	json_add_key_time(b, time_key, e->at_ms);
	json_add_key_i64(b, "rev", e->rev);
}

static void add_mark(struct buf *b, const struct event *e, const char *id_key,
		     const char *time_key, int64_t rev)
{
	add_conv(b, e->conv);
	json_add_key_i64(b, "userId", e->actor);
	add_msgid_or_null(b, id_key, e->conv, rev);
	json_add_key_i64(b, "seq", e->seq);
	json_add_key_time(b, time_key, e->at_ms);
}

/* Which event shows a ring event, -1 for none. */
static int shown_as(const struct event *e)
{
	switch (e->type) {
	case EVT_MESSAGE_NEW:
		return e->on ? -1 : S4_NEW_MESSAGE;
	case EVT_MESSAGE_EDIT:
	case EVT_MESSAGE_RECOVER:
		return e->target_rev ? S4_EDITED : -1;
	case EVT_MESSAGE_DELETE:
		return e->target_rev ? S4_DELETED : -1;
	case EVT_READ:
		return S4_READ;
	case EVT_DELIVERED:
		return S4_DELIVERED;
	default:
		return -1;
	}
}

bool s4_add_event(struct buf *b, const struct event *e, const struct s4_view *view,
		  struct str offset)
{
	int shown = shown_as(e);

	if (shown < 0)
		return false;
	begin(b, (enum s4_event)shown);
	if (shown == S4_NEW_MESSAGE)
		add_message_members(b, e, view);
	else if (shown == S4_READ)
		add_mark(b, e, "lastReadMessageId", "readAt", view->mark_rev);
	else if (shown == S4_DELIVERED)
		add_mark(b, e, "messageId", "deliveredAt", view->mark_rev);
	else
		add_change(b, e, shown == S4_EDITED ? "editedAt" : "deletedAt");
	end(b, offset);
	return true;
}

/* People ------------------------------------------------------------------------------- */

void s4_add_typing(struct buf *b, int64_t conv, int64_t user, struct str name, bool on)
{
	begin(b, on ? S4_TYPING : S4_STOP_TYPING);
	add_conv(b, conv);
	add_user(b, user, name);
	end(b, STR(""));
}

void s4_add_presence(struct buf *b, int64_t user, struct str name, bool is_online, int64_t at_ms)
{
	begin(b, is_online ? S4_ONLINE : S4_OFFLINE);
	add_user(b, user, name);
	json_add_key_time(b, "at", at_ms);
	end(b, STR(""));
}

void s4_add_online_users(struct buf *b, s4_user_fn next, void *arg)
{
	int64_t user;

	begin(b, S4_ONLINE_USERS);
	json_add_key(b, "users");
	buf_add_char(b, '[');
	while (next(arg, &user)) {
		json_add_sep(b);
		buf_add_i64(b, user);
	}
	buf_add_char(b, ']');
	end(b, STR(""));
}

void s4_add_error(struct buf *b, const struct fault *f, int64_t retry_ms, struct str key)
{
	begin(b, S4_ERROR);
	if (key.len)
		json_add_key_str(b, "clientMsgId", key);
	json_add_key_cstr(b, "code", error_info(f->error)->code);
	json_add_key_cstr(b, "message", f->text);
	if (retry_ms > 0)
		json_add_key_ms(b, "retry_after", retry_ms);
	end(b, STR(""));
}

/* Acknowledgements ----------------------------------------------------------------------- */

static void ack_begin(struct buf *b, const struct cmd_id *re)
{
	sio_ack_begin(b, STR(SIO_NSP_MAIN), re, 0);
	buf_add_char(b, '{');
	json_add_key_bool(b, "ok", true);
}

static void ack_end(struct buf *b)
{
	buf_add_char(b, '}');
	sio_ack_end(b);
}

void s4_ack_joined(struct buf *b, const struct cmd_id *re, const struct s4_joined *j)
{
	ack_begin(b, re);
	json_add_key(b, "conversation");
	buf_add_char(b, '{');
	json_add_key_i64(b, "id", j->conv);
	json_add_key_i64(b, "conversationId", j->conv);
	if (j->name.len)
		json_add_key_str(b, "name", j->name);
	else
		json_add_key_null(b, "name");
	buf_add_char(b, '}');
	if (j->unread >= 0)
		json_add_key_i64(b, "unread", j->unread);
	else
		json_add_key_null(b, "unread");
	json_add_key_i64(b, "rev", j->rev);
	ack_end(b);
}

void s4_ack_sent(struct buf *b, const struct cmd_id *re, const struct event *e,
		 const struct s4_view *view, bool duplicate)
{
	ack_begin(b, re);
	json_add_key(b, "message");
	s4_add_message(b, e, view);
	if (duplicate)
		json_add_key_bool(b, "duplicate", true);
	ack_end(b);
}

void s4_ack_marked(struct buf *b, const struct cmd_id *re, int64_t count, int64_t conv,
		   int64_t rev)
{
	ack_begin(b, re);
	json_add_key_i64(b, "count", count);
	add_msgid_or_null(b, "lastReadMessageId", conv, rev);
	ack_end(b);
}

void s4_ack_ok(struct buf *b, const struct cmd_id *re)
{
	ack_begin(b, re);
	ack_end(b);
}

void s4_ack_refused(struct buf *b, const struct cmd_id *re, const struct fault *f,
		    int64_t retry_ms)
{
	sio_ack_begin(b, STR(SIO_NSP_MAIN), re, 0);
	sio_add_refusal(b, f, retry_ms);
	sio_ack_end(b);
}
