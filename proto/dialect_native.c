/* SPDX-License-Identifier: MIT */
/*
 * roomd.v1, reading: frames and REST bodies to commands.
 * Writing is dialect_native_out.c's.
 */
#include "proto/dialect_native.h"

#include "proto/cmd_priv.h"
#include "proto/cursor.h"
#include "proto/msgpack.h"

#define STATUS_MAX 200 /* characters of a status text */

static const struct json_int_rule rev_rule = {0, UINT32_MAX, false, true};
/* more than a page holds is a page, as over HTTP */
static const struct json_int_rule limit_rule = {1, INT64_MAX, false, true};
static const struct json_str_rule text_rule = {0, 4096, false};

/* A frame is one request or a batch of them. Takes DOC over. */
static int accept_frame(struct json_doc *doc, const struct cmd_limits *lim,
			struct json_doc **ret_doc, struct fault *ret_fault)
{
	const struct json_value *root = json_root(doc);
	enum json_kind kind = json_kind_of(root);
	size_t n = json_count(root);

	if (kind != JSON_KIND_OBJECT && (kind != JSON_KIND_ARRAY || !n || n > lim->batch_max)) {
		fault_set(ret_fault, E_BAD_FRAME);
		json_doc_free(&doc);
		return -ERR_INVAL;
	}
	*ret_doc = doc;
	return 0;
}

int native_parse(struct str frame, const struct cmd_limits *lim, struct json_doc **ret_doc,
		 struct fault *ret_fault)
{
	struct json_doc *doc;

	if (json_parse(frame, lim->depth_max, &doc, ret_fault) < 0)
		return -ERR_INVAL;
	return accept_frame(doc, lim, ret_doc, ret_fault);
}

int native_parse_msgpack(struct str frame, const struct cmd_limits *lim, struct json_doc **ret_doc,
			 struct fault *ret_fault)
{
	struct json_doc *doc;

	if (msgpack_to_json_doc(frame.p, frame.len, lim->depth_max, &doc, ret_fault) < 0)
		return -ERR_INVAL;
	return accept_frame(doc, lim, ret_doc, ret_fault);
}

size_t native_count(const struct json_doc *doc)
{
	const struct json_value *root = json_root(doc);

	return json_kind_of(root) == JSON_KIND_ARRAY ? json_count(root) : 1;
}

/* The request's id as JSON text again. False when it is neither number nor string, or too long. */
static bool read_id(const struct json_value *v, struct cmd_id *ret)
{
	const struct json_value *id = json_get(v, "id");
	struct buf b = BUF_INIT;
	bool fits;

	ret->len = 0;
	if (!id)
		return true;
	json_add_scalar(&b, id);
	fits = b.len && b.len <= CMD_ID_MAX;
	if (fits) {
		memcpy(ret->text, b.p, b.len);
		ret->len = (uint8_t)b.len;
	}
	buf_done(&b);
	return fits;
}

static int refuse(struct fault *fault, enum fault_kind kind, const char *field, int64_t bound)
{
	fault_field(fault, kind, field, bound);
	return -ERR_INVAL;
}

/* A conversation as a member's key: decimal without leading zeros, so that none comes twice. */
static bool is_conv_key(struct str key)
{
	int64_t conv;

	return key.len && key.p[0] != '0' && str_to_i64(key, &conv) == 0 && conv > 0 &&
	       conv <= INT32_MAX;
}

static int decode_seen(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		       struct fault *fault)
{
	const struct json_value *seen = json_get(v, "seen"), *member;
	int64_t rev;
	struct str key;

	if (!seen)
		return 0;
	if (json_kind_of(seen) != JSON_KIND_OBJECT)
		return refuse(fault, FAULT_TYPE, "seen", 0);
	if (json_members(seen) > cmd_subs_max(lim))
		return refuse(fault, FAULT_VALUE, "seen", 0);
	for (size_t pos = 0; json_next(seen, &pos, &key, &member);)
		if (!is_conv_key(key) || !json_to_i64(member, &rev) || rev < rev_rule.min ||
		    rev > rev_rule.max)
			return refuse(fault, FAULT_VALUE, "seen", 0);
	c->seen = seen;
	c->nseen = json_members(seen);
	return 0;
}

static int decode_hello(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
			struct fault *fault)
{
	const struct json_str_rule cursor_rule = {
		0, (uint32_t)cursor_text_max(cmd_subs_max(lim)), false};
	int r = cmd_get(json_get_str(v, "token", &text_rule, &c->token, fault));

	if (r == 0)
		r = cmd_get_name(v, "name", lim, !c->token.len && !lim->is_known, &c->name, fault);
	if (r == 0)
		r = cmd_get(json_get_str(v, "client", &text_rule, &c->client, fault));
	if (r == 0)
		r = cmd_get(json_get_str(v, "resume", &cursor_rule, &c->resume, fault));
	return r < 0 ? r : decode_seen(v, lim, c, fault);
}

static int decode_sub(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		      struct fault *fault)
{
	int r = json_get_i64(v, "rev", &rev_rule, &c->rev, fault);

	(void)lim;
	c->has_rev = r == 0;
	return cmd_get(r);
}

/* A message id, or null. It must lie in the conversation that is written to. */
static int decode_reply(const struct json_value *v, struct cmd *c, struct fault *fault)
{
	const struct json_value *member = json_get(v, "reply_to");

	if (!member)
		return 0;
	if (!cmd_msgid(member, &c->reply_to_conv, &c->reply_to_rev) ||
	    (c->conv && c->reply_to_conv != c->conv))
		return refuse(fault, FAULT_VALUE, "reply_to", 0);
	return 0;
}

static int decode_key(const struct json_value *v, struct cmd *c, struct fault *fault)
{
	int r = cmd_get_key(v, "k", c, fault);

	return r == 0 && !c->has_key ? cmd_get_key(v, "client_msg_id", c, fault) : r;
}

static int decode_send(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		       struct fault *fault)
{
	int r = decode_key(v, c, fault);

	if (r == 0)
		r = cmd_get_said(v, "attachment_url", lim, c, fault);
	return r < 0 ? r : decode_reply(v, c, fault);
}

/* delete and recover; the beginning of edit and react */
static int decode_target(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
			 struct fault *fault)
{
	int r = cmd_get_target(v, lim, c, fault);

	return r < 0 ? r : decode_key(v, c, fault);
}

static int decode_edit(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		       struct fault *fault)
{
	int r = decode_target(v, lim, c, fault);

	return r < 0 ? r : cmd_get_content(v, "content", lim, &c->content, fault);
}

static int decode_react(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
			struct fault *fault)
{
	static const struct json_str_rule rule = {1, UINT32_MAX, true};
	int r = decode_target(v, lim, c, fault);

	if (r == 0)
		r = json_get_str(v, "emoji", &rule, &c->emoji, fault);
	if (r < 0)
		return r;
	if (!cmd_emoji_valid(c->emoji))
		return refuse(fault, FAULT_VALUE, "emoji", 0);
	c->on = true;
	return cmd_get(json_get_bool(v, "on", false, &c->on, fault));
}

/* read and delivered */
static int decode_mark(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		       struct fault *fault)
{
	static const struct json_int_rule rule = {1, INT64_MAX, true, true};

	(void)lim;
	return json_get_i64(v, "seq", &rule, &c->seq, fault);
}

static int decode_sync(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		       struct fault *fault)
{
	const struct json_str_rule rule = {1, (uint32_t)cursor_text_max(cmd_subs_max(lim)), true};
	int r = json_get_str(v, "cursor", &rule, &c->cursor, fault);

	return r < 0 ? r : cmd_get(json_get_i64(v, "limit", &limit_rule, &c->limit, fault));
}

static int decode_users(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
			struct fault *fault)
{
	c->users = json_get(v, "users");
	if (!c->users)
		return 0;
	if (json_kind_of(c->users) != JSON_KIND_ARRAY)
		return refuse(fault, FAULT_TYPE, "users", 0);
	c->nusers = json_count(c->users);
	if (c->nusers > cmd_subs_max(lim))
		return refuse(fault, FAULT_VALUE, "users", 0);
	for (size_t i = 0; i < c->nusers; i++)
		if (cmd_user_at(c, i) <= 0)
			return refuse(fault, FAULT_VALUE, "users", 0);
	return 0;
}

static int decode_presence(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
			   struct fault *fault)
{
	static const struct json_str_rule rule = {0, STATUS_MAX, false};
	int r = cmd_get_text(v, "status", &rule, &c->status, fault);

	if (r < 0)
		return r;
	c->has_status = c->status.p != NULL;
	return decode_users(v, lim, c, fault);
}

static int decode_typing(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
			 struct fault *fault)
{
	(void)lim;
	return json_get_bool(v, "on", true, &c->on, fault);
}

static int decode_history(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
			  struct fault *fault)
{
	int r = cmd_get(json_get_i64(v, "before", &rev_rule, &c->before, fault));

	(void)lim;
	if (r == 0)
		r = cmd_get(json_get_i64(v, "after", &rev_rule, &c->after, fault));
	if (r == 0)
		r = cmd_get(json_get_i64(v, "limit", &limit_rule, &c->limit, fault));
	return r;
}

/*
 * How the fields of an operation are read; NULL: it has none of its own. HAS_CONV: "c" comes first
 * and is required.
 */
static const struct {
	bool has_conv;
	int (*decode)(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		      struct fault *fault);
} readers[OP_COUNT] = {
	[OP_HELLO] = {false, decode_hello},
	[OP_SUB] = {true, decode_sub},
	[OP_UNSUB] = {true, NULL},
	[OP_SEND] = {true, decode_send},
	[OP_TYPING] = {true, decode_typing},
	[OP_HISTORY] = {true, decode_history},
	[OP_EDIT] = {false, decode_edit},
	[OP_DELETE] = {false, decode_target},
	[OP_RECOVER] = {false, decode_target},
	[OP_REACT] = {false, decode_react},
	[OP_READ] = {true, decode_mark},
	[OP_DELIVERED] = {true, decode_mark},
	[OP_SYNC] = {false, decode_sync},
	[OP_PRESENCE] = {false, decode_presence},
};

static int decode_op(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
		     struct fault *fault)
{
	static const struct json_str_rule rule = {1, 64, true};
	const struct op_info *info;
	struct str op;
	int r = 0;

	if (json_get_str(v, "op", &rule, &op, fault) < 0)
		return -ERR_INVAL;
	info = op_by_native(op);
	if (!info) {
		fault_set(fault, E_UNKNOWN_OP);
		return -ERR_INVAL;
	}
	c->op = info->op;
	if (readers[c->op].has_conv)
		r = cmd_get_conv(v, "c", false, lim, c, fault);
	if (r == 0 && readers[c->op].decode)
		r = readers[c->op].decode(v, lim, c, fault);
	return r;
}

int native_cmd(const struct json_doc *doc, size_t i, const struct cmd_limits *lim, struct cmd *ret,
	       struct fault *ret_fault)
{
	const struct json_value *v = json_root(doc);

	*ret = (struct cmd){0};
	if (json_kind_of(v) == JSON_KIND_ARRAY)
		v = json_at(v, i);
	if (!v || json_kind_of(v) != JSON_KIND_OBJECT) {
		fault_set(ret_fault, E_BAD_REQUEST);
		return -ERR_INVAL;
	}
	if (!read_id(v, &ret->id)) {
		fault_field(ret_fault, FAULT_VALUE, "id", 0);
		return -ERR_INVAL;
	}
	return decode_op(v, lim, ret, ret_fault);
}

static int object_of(struct str body, const struct cmd_limits *lim, struct json_doc **ret_doc,
		     struct fault *ret_fault)
{
	if (json_parse(body, lim->depth_max, ret_doc, ret_fault) < 0)
		return -ERR_INVAL;
	if (json_kind_of(json_root(*ret_doc)) == JSON_KIND_OBJECT)
		return 0;
	json_doc_free(ret_doc);
	fault_set(ret_fault, E_INVALID);
	ret_fault->kind = FAULT_TYPE;
	return -ERR_INVAL;
}

int native_decode_message(struct str body, int64_t conv, struct str idempotency_key,
			  const struct cmd_limits *lim, struct json_doc **ret_doc, struct cmd *ret,
			  struct fault *ret_fault)
{
	struct cmd c = {.op = OP_SEND, .conv = conv};
	struct json_doc *doc;

	if (object_of(body, lim, &doc, ret_fault) < 0)
		return -ERR_INVAL;
	if (decode_send(json_root(doc), lim, &c, ret_fault) < 0) {
		json_doc_free(&doc);
		return -ERR_INVAL;
	}
	if (!c.has_key && idempotency_key.len) {
		if (idempotency_key.len > CMD_KEY_MAX) {
			fault_field(ret_fault, FAULT_TOO_LONG, "Idempotency-Key", CMD_KEY_MAX);
			json_doc_free(&doc);
			return -ERR_INVAL;
		}
		cmd_set_key(&c, idempotency_key);
	}
	*ret_doc = doc;
	*ret = c;
	return 0;
}

/* "members": [somebody], as a number, its digits or a UUID. */
static int get_peer(const struct json_value *root, struct conversation_form *form,
		    struct fault *fault)
{
	const struct json_value *members = json_get(root, "members"), *one;
	struct str text;

	if (!members)
		return 0;
	one = json_kind_of(members) == JSON_KIND_ARRAY && json_count(members) == 1
		      ? json_at(members, 0)
		      : NULL;
	if (one && json_to_str(one, &text) && uuid_parse(text, &form->peer_uid) == 0)
		return 0;
	if (one && (json_to_i64(one, &form->peer) ||
		    (json_to_str(one, &text) && str_to_i64(text, &form->peer) == 0)) &&
	    form->peer > 0)
		return 0;
	fault_field(fault, FAULT_VALUE, "members", 0);
	return -ERR_INVAL;
}

int native_decode_conversation(struct str body, const struct cmd_limits *lim,
			       struct json_doc **ret_doc, struct conversation_form *ret,
			       struct fault *ret_fault)
{
	static const struct json_str_rule kind_rule = {1, 32, false};
	const struct json_str_rule desc_rule = {0, lim->desc_max, false};
	struct conversation_form form = {
		.kind = STR("room"), .name = STR(""), .description = STR("")};
	const struct json_value *root;
	struct json_doc *doc;
	int r;

	if (object_of(body, lim, &doc, ret_fault) < 0)
		return -ERR_INVAL;
	root = json_root(doc);
	r = cmd_get(json_get_str(root, "kind", &kind_rule, &form.kind, ret_fault));
	if (r == 0)
		r = cmd_get_name(root, "name", lim, str_eq(form.kind, STR("room")), &form.name,
				 ret_fault);
	if (r == 0)
		r = cmd_get_text(root, "description", &desc_rule, &form.description, ret_fault);
	if (r == 0 && str_eq(form.kind, STR("direct")))
		r = get_peer(root, &form, ret_fault);
	if (r < 0) {
		json_doc_free(&doc);
		return -ERR_INVAL;
	}
	*ret_doc = doc;
	*ret = form;
	return 0;
}
