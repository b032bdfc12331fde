/* SPDX-License-Identifier: MIT */
/*
 * S1's room socket: client frames to commands, events and answers to frames.
 * The REST side of S1 is dialect_raw_rest.c's; sets of names come from the caller.
 */
#include "proto/dialect_raw.h"

#include "proto/cmd_priv.h"
#include "proto/errors.h"
#include "proto/utf8.h"

static int decode_first(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
			struct fault *fault)
{
	static const struct json_str_rule any = {0, UINT32_MAX, false};
	int r = cmd_get(json_get_str(v, "token", &any, &c->token, fault));

	if (r == 0)
		r = cmd_get_name(v, "username", lim, !c->token.len && !lim->is_known, &c->name,
				 fault);
	c->op = OP_HELLO;
	/* whoever cannot say a name cannot stay: a fault with a close code */
	if (r < 0 && fault->error != E_BAD_NAME)
		fault->error = E_BAD_FRAME;
	return r;
}

static int decode_message(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
			  struct fault *fault)
{
	int r = cmd_get_key(v, "client_id", c, fault);

	return r < 0 ? r : cmd_get_content(v, "content", lim, &c->content, fault);
}

static int decode_resume(const struct json_value *v, struct cmd *c, struct fault *fault)
{
	static const struct json_int_rule rule = {0, INT64_MAX, true, true};

	c->has_rev = true;
	return json_get_i64(v, "rev", &rule, &c->rev, fault);
}

static int decode_typed(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
			struct fault *fault)
{
	static const struct json_str_rule rule = {1, 64, true};
	const struct op_info *op;
	struct str type;

	if (json_get_str(v, "type", &rule, &type, fault) < 0)
		return -ERR_INVAL;
	op = op_by_raw(type);
	if (!op) {
		fault_set(fault, E_UNKNOWN_OP);
		return -ERR_INVAL;
	}
	c->op = op->op;
	switch (op->op) {
	case OP_SEND:
		return decode_message(v, lim, c, fault);
	case OP_TYPING:
		return json_get_bool(v, "is_typing", true, &c->on, fault);
	case OP_RESUME:
		return decode_resume(v, c, fault);
	default:
		return 0;
	}
}

int raw_decode(struct str frame, bool first, const struct cmd_limits *lim,
	       struct json_doc **ret_doc, struct cmd *ret, struct fault *ret_fault,
	       struct cmd_id *ret_key)
{
	const struct json_value *root;
	struct json_doc *doc;
	struct cmd c = {0};
	int r;

	if (ret_key)
		ret_key->len = 0;
	r = json_parse(frame, lim->depth_max, &doc, ret_fault);
	if (r < 0) {
		if (first)
			ret_fault->error = E_BAD_FRAME;
		return r;
	}
	root = json_root(doc);
	if (json_kind_of(root) != JSON_KIND_OBJECT) {
		fault_set(ret_fault, first ? E_BAD_FRAME : E_BAD_REQUEST);
		r = -ERR_INVAL;
	} else {
		r = first ? decode_first(root, lim, &c, ret_fault)
			  : decode_typed(root, lim, &c, ret_fault);
	}
	if (r < 0) {
		if (ret_key)
			raw_key_of(&c, ret_key);
		json_doc_free(&doc);
		return -ERR_INVAL;
	}
	*ret_doc = doc;
	*ret = c;
	return 0;
}

void raw_key_of(const struct cmd *c, struct cmd_id *ret)
{
	struct buf b = BUF_INIT;

	ret->len = 0;
	if (!c->has_key)
		return;
	json_add_str(&b, c->key);
	if (b.len <= CMD_ID_MAX) {
		memcpy(ret->text, b.p, b.len);
		ret->len = (uint8_t)b.len;
	}
	buf_done(&b);
}

static void begin(struct buf *b, const char *type)
{
	buf_add_char(b, '{');
	json_add_key_cstr(b, "type", type);
}

void raw_add_connected(struct buf *b, int64_t room, struct str username, int64_t rev)
{
	begin(b, "connected");
	json_add_key_i64(b, "room_id", room);
	json_add_key_str(b, "username", username);
	json_add_key_i64(b, "rev", rev);
	buf_add_char(b, '}');
}

static void add_names(struct buf *b, const char *type, raw_name_fn next, void *arg)
{
	struct str name;

	begin(b, type);
	json_add_key(b, "users");
	buf_add_char(b, '[');
	while (next(arg, &name)) {
		json_add_sep(b);
		json_add_str(b, name);
	}
	buf_add(b, "]}", 2);
}

void raw_add_users_list(struct buf *b, raw_name_fn next, void *arg)
{
	add_names(b, event_info(EVT_ROSTER)->raw, next, arg);
}

void raw_add_typing(struct buf *b, raw_name_fn next, void *arg)
{
	add_names(b, event_info(EVT_TYPING)->raw, next, arg);
}

void raw_add_system(struct buf *b, struct str username, bool joined, int64_t at_ms)
{
	struct buf text = BUF_INIT;

	buf_add_str(&text, username);
	buf_add_cstr(&text, joined ? " joined" : " left");
	begin(b, event_info(EVT_PRESENCE)->raw);
	json_add_key_str(b, "content", buf_str(&text));
	json_add_key_cstr(b, "event", joined ? "join" : "leave");
	json_add_key_str(b, "username", username);
	json_add_key_time(b, "timestamp", at_ms);
	buf_add_char(b, '}');
	buf_done(&text);
}

void raw_add_message(struct buf *b, const struct event *e)
{
	begin(b, event_info(EVT_MESSAGE_NEW)->raw);
	cmd_add_msgid(b, "id", e->conv, e->rev);
	json_add_key_i64(b, "room_id", e->conv);
	json_add_key_str(b, "username", e->actor_name);
	cmd_add_text(b, "content", e);
	json_add_key_time(b, "created_at", e->at_ms);
	json_add_key_i64(b, "seq", e->seq);
	json_add_key_i64(b, "rev", e->rev);
	if (e->client_id.len)
		json_add_key_str(b, "client_id", e->client_id);
	buf_add_char(b, '}');
}

void raw_add_pong(struct buf *b)
{
	begin(b, "pong");
	buf_add_char(b, '}');
}

void raw_add_error(struct buf *b, const struct fault *f, int64_t retry_ms, const struct cmd_id *key)
{
	begin(b, "error");
	json_add_key_cstr(b, "code", error_info(f->error)->code);
	json_add_key_cstr(b, "message", f->text);
	if (retry_ms > 0)
		json_add_key_ms(b, "retry_after", retry_ms);
	if (key && key->len)
		json_add_key_raw(b, "client_id", (struct str){key->text, key->len});
	buf_add_char(b, '}');
}

bool raw_add_event(struct buf *b, const struct event *e)
{
	if (e->type == EVT_MESSAGE_NEW && !e->on)
		raw_add_message(b, e);
	else if (e->type == EVT_PRESENCE)
		raw_add_system(b, e->actor_name, e->on, e->at_ms);
	else
		return false;
	return true;
}
