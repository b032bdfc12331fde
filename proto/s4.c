/* SPDX-License-Identifier: MIT */
/*
 * What clients of S3 and S4 ask for: events to commands, in both spellings.
 * Writing is s4_out.c's.
 */
#include "proto/s4.h"

#include "proto/cmd_priv.h"

static int refuse(struct fault *fault, enum fault_kind kind, const char *field)
{
	fault_field(fault, kind, field, 0);
	return -ERR_INVAL;
}

/* The member under the first name, else under the second; *RET_KEY says which. */
static const struct json_value *get2(const struct json_value *v, const char *camel,
				     const char *snake, const char **ret_key)
{
	const struct json_value *member = json_get(v, camel);

	*ret_key = camel;
	if (member || !json_get(v, snake))
		return member;
	*ret_key = snake;
	return json_get(v, snake);
}

/* S without PREFIX and the ':' or '_' behind it; as it is when it begins otherwise. */
static struct str without_prefix(struct str s, const char *prefix)
{
	size_t n = strlen(prefix);

	if (s.len > n && !memcmp(s.p, prefix, n) && (s.p[n] == ':' || s.p[n] == '_'))
		return (struct str){s.p + n + 1, s.len - n - 1};
	return s;
}

int s4_room_id(struct str name, const char *kind, int64_t *ret)
{
	int64_t id;

	if (str_to_i64(without_prefix(name, kind), &id) < 0 || id < 1)
		return -ERR_INVAL;
	*ret = id;
	return 0;
}

/* Positive, and digits alone when it is text. */
static bool read_id(const struct json_value *v, int64_t max, int64_t *ret)
{
	struct str text;
	int64_t id;

	if (!json_to_i64(v, &id) && !(json_to_str(v, &text) && str_to_i64(text, &id) == 0))
		return false;
	if (id < 1 || id > max)
		return false;
	*ret = id;
	return true;
}

static bool conv_of_text(struct str text, const struct cmd_limits *lim, struct cmd *c)
{
	text = without_prefix(text, S4_ROOM_CONV);
	if (lim->conv_uids && uuid_parse(text, &c->conv_uid) == 0) {
		c->has_conv_uid = true;
		return true;
	}
	return str_to_i64(text, &c->conv) == 0 && c->conv >= 1 && c->conv <= INT32_MAX;
}

static int read_conv(const struct json_value *v, const char *key, const struct cmd_limits *lim,
		     struct cmd *c, struct fault *fault)
{
	struct str text;
	bool is_read = json_to_str(v, &text) ? conv_of_text(text, lim, c)
					     : read_id(v, INT32_MAX, &c->conv);

	if (is_read)
		return 0;
	c->conv = 0;
	return refuse(fault, FAULT_VALUE, key);
}

/* The conversation as the argument itself or in an object. */
static int read_place(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		      struct fault *fault)
{
	const char *key = "conversationId";

	if (v && json_kind_of(v) == JSON_KIND_OBJECT)
		v = get2(v, "conversationId", "conversation_id", &key);
	if (!v || json_kind_of(v) == JSON_KIND_NULL)
		return refuse(fault, FAULT_MISSING, key);
	return read_conv(v, key, lim, c, fault);
}

/* The room of one's own notifications has a name of that kind too. */
static bool is_user_room(const struct json_value *v, int64_t *ret)
{
	struct str text;

	return json_to_str(v, &text) && without_prefix(text, S4_ROOM_USER).len < text.len &&
	       s4_room_id(text, S4_ROOM_USER, ret) == 0;
}

static int read_join(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		     struct fault *fault)
{
	int64_t user;

	if (!is_user_room(v, &user))
		return read_place(v, lim, c, fault);
	c->peer = user;
	return 0;
}

static int read_typing(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		       struct fault *fault)
{
	c->on = true;
	return read_place(v, lim, c, fault);
}

/* Marks ----------------------------------------------------------------------------- */

/* A message's id decides about the conversation; a number beside it must agree. */
static int set_target(const struct json_value *id, const char *key, struct cmd *c,
		      struct fault *fault)
{
	int64_t conv, rev;

	if (!cmd_msgid(id, &conv, &rev) || (c->conv && c->conv != conv))
		return refuse(fault, FAULT_VALUE, key);
	c->conv = conv;
	c->has_conv_uid = false;
	c->target_rev = rev;
	return 0;
}

static int read_mark(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		     struct fault *fault)
{
	const char *key, *place;
	const struct json_value *id = get2(v, "messageId", "message_id", &key);

	if (!id || get2(v, "conversationId", "conversation_id", &place)) {
		int r = read_place(v, lim, c, fault);

		if (r < 0)
			return r;
	}
	return id ? set_target(id, key, c, fault) : 0;
}

static int read_delivered(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
			  struct fault *fault)
{
	int r = read_mark(v, lim, c, fault);

	return r == 0 && !c->target_rev ? refuse(fault, FAULT_MISSING, "messageId") : r;
}

/* Messages -------------------------------------------------------------------------- */

static int read_peer(const struct json_value *v, const char *key, struct cmd *c,
		     struct fault *fault)
{
	struct str text;

	if (read_id(v, INT64_MAX, &c->peer))
		return 0;
	if (!json_to_str(v, &text) || uuid_parse(text, &c->peer_uid) < 0)
		return refuse(fault, FAULT_VALUE, key);
	c->has_peer_uid = true;
	return 0;
}

/* Where it goes: a conversation, or who is to read it. A conversation wins. */
static int read_goal(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		     struct fault *fault)
{
	const char *key;
	const struct json_value *to = get2(v, "receiverId", "receiver_id", &key);
	const char *place;

	if (!to || get2(v, "conversationId", "conversation_id", &place))
		return read_place(v, lim, c, fault);
	return read_peer(to, key, c, fault);
}

static int read_said(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		     struct fault *fault)
{
	const char *key;

	(void)get2(v, "attachmentUrl", "attachment_url", &key);
	return cmd_get_said(v, key, lim, c, fault);
}

static int read_reply(const struct json_value *v, struct cmd *c, struct fault *fault)
{
	const char *key;
	const struct json_value *id = get2(v, "replyTo", "reply_to", &key);

	if (!id)
		return 0;
	if (!cmd_msgid(id, &c->reply_to_conv, &c->reply_to_rev) ||
	    (c->conv && c->conv != c->reply_to_conv))
		return refuse(fault, FAULT_VALUE, key);
	return 0;
}

static int read_send(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		     struct fault *fault)
{
	const char *key;
	int r;

	if (!v || json_kind_of(v) != JSON_KIND_OBJECT)
		return refuse(fault, v ? FAULT_TYPE : FAULT_MISSING, "content");
	(void)get2(v, "clientMsgId", "client_msg_id", &key);
	r = cmd_get_key(v, key, c, fault);
	if (r == 0)
		r = read_goal(v, lim, c, fault);
	if (r == 0)
		r = read_said(v, lim, c, fault);
	return r < 0 ? r : read_reply(v, c, fault);
}

static const struct {
	const char *event;
	enum cmd_op op;
	int (*read)(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		    struct fault *fault);
} ops[] = {
#define X(event, op, read) {event, OP_##op, read},
#include "proto/s4_ops.def"
#undef X
};

/* The row of EVENT, or -1. */
static int find(struct str event)
{
	for (size_t i = 0; i < ARRAY_LEN(ops); i++)
		if (str_eq(event, str_of(ops[i].event)))
			return (int)i;
	return -1;
}

bool s4_knows(struct str event)
{
	return find(event) >= 0;
}

int s4_cmd(const struct sio_packet *p, const struct cmd_limits *lim, struct cmd *ret,
	   struct fault *ret_fault)
{
	struct str name;
	int i = sio_event_name(p, &name) ? find(name) : -1;

	*ret = (struct cmd){0};
	sio_cmd_id(p, &ret->id);
	if (i < 0) {
		fault_set(ret_fault, E_UNKNOWN_OP);
		return -ERR_INVAL;
	}
	ret->op = ops[i].op;
	return ops[i].read(sio_arg(p, 0), lim, ret, ret_fault);
}
