/* SPDX-License-Identifier: MIT */
/*
 * A storm of frames, mutated from good and bad ones by a seeded generator: the WebSocket reader
 * and both decoders take or refuse each, nothing crashes and memory stays where it was. Usage:
 * storm [FRAMES [SEED]]
 */
#include <malloc.h>

#include "base/clock.h"
#include "fuzz.h"
#include "proto/dialect_native.h"
#include "proto/dialect_raw.h"
#include "proto/ws.h"

#define FRAMES_DEFAULT 200000
#define TEXT_MAX 4096
#define GROWTH_MAX (1024 * 1024) /* bytes that the allocator may keep after it all */

static const struct cmd_limits limits = {
	.depth_max = 16, .name_max = 100, .desc_max = 1000, .message_max = 2000, .batch_max = 16};

/*
 * What the requirement names: invalid UTF-8, depth, huge numbers, doubled keys; and what clients
 * send.
 */
static const char *const seeds[] = {
	"{\"username\":\"Alice\"}",
	"{\"type\":\"message\",\"content\":\"Hello!\",\"client_id\":\"k1\"}",
	"{\"type\":\"typing\",\"is_typing\":true}",
	"{\"type\":\"resume\",\"rev\":9007199254740993}",
	"{\"op\":\"hello\",\"id\":1,\"name\":\"Bob\"}",
	"[{\"op\":\"sub\",\"id\":2,\"c\":42,\"rev\":0},{\"op\":\"ping\",\"id\":\"x\"}]",
	"{\"op\":\"send\",\"id\":3,\"c\":42,\"k\":\"01a1fe5d-0000-7000-8000-000000000001\","
	"\"content\":\"\\ud83d\\ude00\"}",
	"{\"a\":1e999999,\"b\":-99999999999999999999999999,\"c\":0.1e-400}",
	"{\"type\":\"message\",\"type\":\"typing\",\"content\":\"a\",\"content\":\"b\"}",
	"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
	"{\"content\":\"\xc3\x28 \xed\xa0\x80 \xf8\x88\x80\x80\x80 "
	"\xe2\x80\xae\",\"type\":\"message\"}",
	"{\"type\":\"message\",\"content\":\"\\u0000\\ud800\\\"\\\\\"}",
};

static uint64_t state;

/* xorshift64*: a seed repeats the whole storm. */
static uint32_t next(uint32_t below)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)((state * 2685821657736338717ull) >> 33) % below;
}

static void mutate(struct buf *b)
{
	for (uint32_t n = next(4); n > 0 && b->len > 1; n--) {
		uint32_t at = next((uint32_t)b->len), len = next(8);

		switch (next(5)) {
		case 0:
			b->p[at] = (uint8_t)next(256);
			break;
		case 1:
			b->p[at] = (uint8_t)"\"{}[],:\\0e-\x80\xff"[next(13)];
			break;
		case 2: /* a part once more: doubled keys, deeper nesting */
			if (b->len < TEXT_MAX && at + len <= b->len) {
				buf_reserve(b, len);
				memmove(b->p + at + len, b->p + at, b->len - at);
				buf_commit(b, len);
			}
			break;
		case 3:
			b->len = at + 1;
			break;
		default:
			b->p[at] ^= (uint8_t)(1u << next(8));
		}
	}
}

/* A masked client frame (RFC 6455 section 5.2); now and then a fault in its header. */
static void add_frame(struct buf *out, const struct buf *text)
{
	uint8_t mask[4] = {(uint8_t)next(256), 7, 0, (uint8_t)next(256)};
	uint8_t head[4] = {next(64) ? 0x81 : (uint8_t)next(256), 0x80, 0, 0};
	size_t n = text->len < 126 ? 2 : 4;

	head[1] |= (uint8_t)(n == 2 ? text->len : 126);
	head[2] = (uint8_t)(text->len >> 8);
	head[3] = (uint8_t)text->len;
	buf_add(out, head, n);
	buf_add(out, mask, sizeof(mask));
	for (size_t i = 0; i < text->len; i++)
		buf_add_char(out, (char)(text->p[i] ^ mask[i & 3]));
}

static void take_raw(struct str text)
{
	struct json_doc *doc;
	struct cmd_id key;
	struct fault f;
	struct cmd c;

	if (raw_decode(text, next(2), &limits, &doc, &c, &f, &key) == 0)
		json_doc_free(&doc);
	else
		MUST(f.error > E_NONE && f.error < E_COUNT);
}

static void take_native(struct str text)
{
	struct json_doc *doc;
	struct fault f;
	struct cmd c;

	if (native_parse(text, &limits, &doc, &f) < 0) {
		MUST(f.error > E_NONE && f.error < E_COUNT);
		return;
	}
	for (size_t i = 0; i < native_count(doc); i++)
		if (native_cmd(doc, i, &limits, &c, &f) < 0)
			MUST(f.error > E_NONE && f.error < E_COUNT);
	json_doc_free(&doc);
}

/*
 * Reads FRAMES in pieces of any size, as a connection does. True: the connection would be closed.
 */
static bool read_frames(struct ws_in *in, struct buf *bytes)
{
	const struct ws_limits lim = {.frame_max = TEXT_MAX * 4, .message_max = TEXT_MAX * 8};
	struct ws_msg m;
	size_t used;
	int r;

	while ((r = ws_next(in, &lim, bytes->p, bytes->len, &used, &m)) == 0) {
		if (m.op == WS_OP_TEXT) {
			take_raw(m.payload);
			take_native(m.payload);
		}
		buf_consume(bytes, used);
	}
	if (r != -ERR_AGAIN)
		return true;
	MUST(in->partial.len <= TEXT_MAX * 8);
	buf_consume(bytes, used);
	return false;
}

static size_t heap_used(void)
{
	return mallinfo2().uordblks;
}

int main(int argc, char **argv)
{
	unsigned long frames = argc > 1 ? strtoul(argv[1], NULL, 10) : FRAMES_DEFAULT;
	struct buf text = BUF_INIT, bytes = BUF_INIT;
	uint64_t start = clock_mono_ms();
	unsigned long closed = 0;
	struct ws_in in;
	size_t before;

	state = argc > 2 ? strtoul(argv[2], NULL, 10) | 1 : 20260101;
	ws_in_init(&in);
	before = heap_used();
	for (unsigned long i = 0; i < frames; i++) {
		buf_clear(&text);
		buf_add_cstr(&text, seeds[next(ARRAY_LEN(seeds))]);
		mutate(&text);
		add_frame(&bytes, &text);
		if (read_frames(&in, &bytes)) {
			ws_in_done(&in);
			ws_in_init(&in);
			buf_clear(&bytes);
			closed++;
		}
	}
	ws_in_done(&in);
	buf_done(&text);
	buf_done(&bytes);
	MUST(heap_used() < before + GROWTH_MAX);
	MUST(closed > 0 || frames < 1000);
	printf("# %lu ms, %lu connections closed\n1..1\nok 1 - %lu frames\n",
	       (unsigned long)(clock_mono_ms() - start), closed, frames);
	return 0;
}
