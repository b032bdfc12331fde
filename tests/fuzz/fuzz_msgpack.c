/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: a client's binary frame, and the same bytes as JSON text. What one form says the
 * other says too, there and back.
 */
#include "fuzz.h"
#include "proto/dialect_native.h"
#include "proto/msgpack.h"
#include "tests/unit/proto/json_same.h"

#define DEPTH 16

static const struct cmd_limits limits = {
    .depth_max = DEPTH, .name_max = 100, .desc_max = 1000, .message_max = 2000, .batch_max = 16};

static void try_frame(struct str frame)
{
	struct json_doc *doc;
	struct fault f;
	struct cmd c;

	if (native_parse_msgpack(frame, &limits, &doc, &f) < 0) {
		MUST(f.error == E_BAD_MSGPACK || f.error == E_BAD_FRAME);
		return;
	}
	for (size_t i = 0; i < native_count(doc); i++)
		if (native_cmd(doc, i, &limits, &c, &f) < 0)
			MUST(f.error > E_NONE && f.error < E_COUNT && f.text[0]);
	json_doc_free(&doc);
}

/* Text that parses becomes bytes that read the same. */
static void try_text(struct str text)
{
	struct json_doc *doc, *again;
	struct buf b = BUF_INIT;
	bool is_taken = msgpack_from_json(&b, text);

	MUST(is_taken == (b.len > 0));
	if (json_parse(text, DEPTH, &doc, NULL) < 0) {
		buf_done(&b);
		return;
	}
	/* numbers may be longer than any that this program writes */
	MUST(is_taken || text.len > 64);
	if (is_taken) {
		MUST(msgpack_to_json_doc(b.p, b.len, DEPTH, &again, NULL) == 0);
		MUST(json_same(json_root(doc), json_root(again)));
		json_doc_free(&again);
	}
	json_doc_free(&doc);
	buf_done(&b);
}

/* What is written once more reads the same, and does not change when it is written again. */
static void try_again(const uint8_t *data, size_t size)
{
	struct buf once = BUF_INIT, twice = BUF_INIT;
	struct json_doc *doc, *again;

	if (msgpack_again(&once, data, size, DEPTH) == 0) {
		MUST(msgpack_again(&twice, once.p, once.len, DEPTH) == 0);
		MUST(str_eq(buf_str(&once), buf_str(&twice)));
	}
	if (msgpack_to_json_doc(data, size, DEPTH, &doc, NULL) == 0) {
		MUST(once.len && msgpack_to_json_doc(once.p, once.len, DEPTH, &again, NULL) == 0);
		MUST(json_same(json_root(doc), json_root(again)));
		json_doc_free(&again);
		json_doc_free(&doc);
	}
	buf_done(&once);
	buf_done(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size};
	struct json_doc *doc;

	if (msgpack_to_json_doc(data, size, DEPTH, &doc, NULL) == 0) {
		MUST(json_kind_of(json_root(doc)) <= JSON_KIND_OBJECT);
		json_doc_free(&doc);
	}
	try_again(data, size);
	try_frame(text);
	try_text(text);
	return 0;
}
