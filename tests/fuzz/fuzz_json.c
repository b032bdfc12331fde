/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: one text as a frame or body of every dialect.
 * What is taken obeys the limits, and every answer to it is well-formed JSON.
 */
#include "fuzz.h"
#include "proto/dialect_native.h"
#include "proto/dialect_raw.h"
#include "proto/utf8.h"

static const struct cmd_limits limits = {
    .depth_max = 16, .name_max = 100, .desc_max = 1000, .message_max = 2000, .address_max = 100,
    .batch_max = 16, .conv_uids = true};

static void must_be_json(struct buf *b)
{
	MUST(json_check(buf_str(b), 16));
	buf_clear(b);
}

static void check_fault(const struct fault *f, const struct cmd_id *id)
{
	struct buf b = BUF_INIT;

	MUST(f->error > E_NONE && f->error < E_COUNT && f->text[0]);
	raw_add_error(&b, f, 1, id);
	must_be_json(&b);
	raw_add_detail(&b, f);
	must_be_json(&b);
	native_add_err(&b, id, f, 0, 0);
	must_be_json(&b);
	problem_add(&b, f, "r", 1);
	must_be_json(&b);
	buf_done(&b);
}

/* What lists and positions give must be what their header promises. */
static void check_lists(const struct cmd *c)
{
	int64_t conv, rev;
	size_t pos = 0, n = 0;

	for (; cmd_seen_next(c, &pos, &conv, &rev); n++)
		MUST(conv > 0 && conv <= INT32_MAX && rev >= 0 && rev <= UINT32_MAX);
	MUST(n == c->nseen);
	for (size_t i = 0; i < c->nusers; i++)
		MUST(cmd_user_at(c, i) > 0);
	MUST(!c->emoji.len || cmd_emoji_valid(c->emoji));
	MUST(c->conv >= 0 && c->seq >= 0 && c->target_rev >= 0);
	if (c->op == OP_EDIT || c->op == OP_DELETE || c->op == OP_RECOVER || c->op == OP_REACT)
		MUST(msgid_of(c->conv, c->target_rev) || c->has_conv_uid);
}

static void check_cmd(const struct cmd *c)
{
	struct event e = {.type = EVT_MESSAGE_NEW, .conv = 1, .rev = 1, .seq = 1, .actor = 1};
	struct buf b = BUF_INIT;

	MUST(op_info(c->op));
	check_lists(c);
	MUST(utf8_length(c->name) <= limits.name_max);
	MUST(utf8_length(c->content) <= limits.message_max);
	MUST(utf8_length(c->attachment) <= limits.address_max);
	MUST(c->key.len <= CMD_KEY_MAX && c->has_key == !uuid_is_zero(&c->key_uuid));
	e.actor_name = c->name;
	e.content = c->content;
	e.client_id = c->key;
	e.key = c->attachment;
	raw_add_event(&b, &e);
	must_be_json(&b);
	native_add_event(&b, &e);
	must_be_json(&b);
	native_add_sent(&b, &c->id, &e, false);
	must_be_json(&b);
	event_encode(&e, &b);
	MUST(event_decode(b.p, b.len, &e) == 0);
	buf_done(&b);
}

static void try_raw(struct str text, bool first)
{
	struct json_doc *doc;
	struct cmd_id key;
	struct fault f;
	struct cmd c;

	if (raw_decode(text, first, &limits, &doc, &c, &f, &key) < 0) {
		check_fault(&f, &key);
		return;
	}
	check_cmd(&c);
	json_doc_free(&doc);
}

static void try_native(struct str text)
{
	static const struct cmd_id none;
	struct json_doc *doc;
	struct fault f;
	struct cmd c;

	if (native_parse(text, &limits, &doc, &f) < 0) {
		check_fault(&f, &none);
		return;
	}
	for (size_t i = 0; i < native_count(doc); i++) {
		if (native_cmd(doc, i, &limits, &c, &f) < 0)
			check_fault(&f, &c.id);
		else
			check_cmd(&c);
	}
	json_doc_free(&doc);
}

static void try_bodies(struct str text)
{
	static const struct cmd_id none;
	struct conversation_form conversation;
	struct room_form room;
	struct json_doc *doc;
	struct fault f;
	struct cmd c;

	if (raw_decode_room(text, &limits, &doc, &room, &f) == 0)
		json_doc_free(&doc);
	else
		check_fault(&f, &none);
	if (native_decode_message(text, 1, STR("key"), &limits, &doc, &c, &f) == 0)
		json_doc_free(&doc);
	else
		check_fault(&f, &none);
	if (native_decode_conversation(text, &limits, &doc, &conversation, &f) == 0)
		json_doc_free(&doc);
	else
		check_fault(&f, &none);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size}, name;
	struct buf b = BUF_INIT;

	try_raw(text, true);
	try_raw(text, false);
	try_native(text);
	try_bodies(text);
	if (size && utf8_valid(data, size)) {
		json_add_str(&b, text);
		MUST(memchr(data, '\0', size) || json_check(buf_str(&b), 1));
	}
	if (size && utf8_name(text, 100, &name) == 0)
		MUST(name.len && utf8_length(name) <= 100);
	buf_done(&b);
	return 0;
}
