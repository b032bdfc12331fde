/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: payloads of compressed messages. The first byte is the window for the way back and
 * seeds the cuts. However the payload is cut it becomes the same, and what it becomes can be
 * deflated and inflated again.
 */
#include "fuzz.h"
#include "proto/ws_deflate.h"

#define MESSAGE_MAX 8192
#define PIECES_MAX 64

static struct ws_inflater *inflater;
static struct ws_deflater *deflater;

static int inflate_cut(struct str payload, struct cutter *cut, struct buf *b)
{
	struct str pieces[PIECES_MAX];
	size_t n = 0, at = 0;
	int r;

	while (at < payload.len && n < PIECES_MAX) {
		size_t len = payload.len - at;

		if (n + 1 < PIECES_MAX)
			len = cutter_next(cut, len);
		pieces[n++] = (struct str){payload.p + at, len};
		at += len;
	}
	r = ws_inflate(inflater, pieces, n, MESSAGE_MAX, b);
	MUST(r == 0 || r == -ERR_INVAL || r == -ERR_TOOBIG);
	MUST(b->len <= MESSAGE_MAX + (r == -ERR_TOOBIG));
	return r;
}

static void there_and_back(const struct buf *message, unsigned bits)
{
	struct buf plain = BUF_INIT, out = BUF_INIT, back = BUF_INIT;
	struct str payload;
	size_t head;

	ws_add_frame(&plain, WS_OP_BINARY, buf_str(message));
	ws_deflate_frames(deflater, bits, buf_str(&plain), &out);
	MUST(out.len <= plain.len);
	if (out.p[0] & 0x40) {
		head = out.p[1] < 126 ? 2 : 4;
		payload = (struct str){(const char *)out.p + head, out.len - head};
		MUST(ws_inflate(inflater, &payload, 1, message->len, &back) == 0);
		MUST(str_eq(buf_str(&back), buf_str(message)));
	} else {
		MUST(str_eq(buf_str(&out), buf_str(&plain)));
	}
	buf_done(&plain);
	buf_done(&out);
	buf_done(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT, cut = BUF_INIT;
	struct cutter cutter;
	struct str payload;
	int r;

	if (!inflater) {
		inflater = ws_inflater_new();
		deflater = ws_deflater_new();
	}
	if (size < 1)
		return 0;
	cutter.state = data[0];
	payload = (struct str){(const char *)data + 1, size - 1};
	r = inflate_cut(payload, NULL, &whole);
	MUST(inflate_cut(payload, &cutter, &cut) == r);
	if (r == 0) {
		MUST(str_eq(buf_str(&whole), buf_str(&cut)));
		there_and_back(&whole, WS_DEFLATE_BITS_MIN + data[0] % 7);
	}
	buf_done(&whole);
	buf_done(&cut);
	return 0;
}
