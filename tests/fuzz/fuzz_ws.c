/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: frames of a client. The first byte seeds the cuts, and its highest bit allows
 * compressed messages; the rest is the wire.
 * However the wire is cut, the same messages, close code and end must come out.
 */
#include "fuzz.h"
#include "proto/ws_deflate.h"

static struct ws_limits limits = {.frame_max = 4096, .message_max = 8192, .fragments_max = 64};

/* What an encoder makes of the message, by both ways of writing a frame. */
static void check_out(const struct ws_msg *m)
{
	struct buf a = BUF_INIT, b = BUF_INIT;
	size_t begin;

	if (m->op == WS_OP_CLOSE) {
		ws_add_close(&a, m->close_code, m->payload);
		MUST(a.len >= 2 && a.len <= 2 + WS_CONTROL_MAX);
	} else {
		ws_add_frame(&a, m->op, m->payload);
		begin = ws_frame_begin(&b);
		buf_add_str(&b, m->payload);
		ws_frame_end(&b, begin, m->op);
		MUST(str_eq(buf_str(&a), buf_str(&b)));
	}
	buf_done(&a);
	buf_done(&b);
}

static void note(const struct ws_msg *m, struct buf *log)
{
	buf_printf(log, "%d %d %zu ", m->op, m->close_code, m->payload.len);
	buf_add_str(log, m->payload);
	buf_add_char(log, '\n');
}

static void run(const uint8_t *data, size_t size, struct cutter *cut, struct buf *log)
{
	struct buf unread = BUF_INIT;
	struct ws_in in;
	struct ws_msg m = {0};
	size_t used, at = 0;
	int r = -ERR_AGAIN;

	ws_in_init(&in);
	while (at < size && r == -ERR_AGAIN) {
		size_t n = cutter_next(cut, size - at);

		buf_add(&unread, data + at, n);
		at += n;
		while (!(r = ws_next(&in, &limits, unread.p, unread.len, &used, &m))) {
			MUST(used <= unread.len);
			note(&m, log);
			check_out(&m);
			buf_consume(&unread, used);
		}
		MUST(used <= unread.len);
		buf_consume(&unread, used);
		MUST(r != -ERR_AGAIN || unread.len <= 130);
		MUST(in.partial.len <= limits.message_max + limits.message_max / 16 + 16);
	}
	if (r == -ERR_PROTO)
		buf_printf(log, "fault %d", m.close_code);
	else
		buf_printf(log, "end %d %d", ws_in_message(&in), r == -ERR_CLOSED);
	ws_in_done(&in);
	buf_done(&unread);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf whole = BUF_INIT, cut = BUF_INIT;
	static struct ws_inflater *inflater;
	struct cutter cutter;

	if (size < 2)
		return 0;
	if (!inflater)
		inflater = ws_inflater_new();
	limits.inflater = data[0] & 0x80 ? inflater : NULL;
	cutter.state = data[0];
	run(data + 1, size - 1, NULL, &whole);
	run(data + 1, size - 1, &cutter, &cut);
	MUST(str_eq(buf_str(&whole), buf_str(&cut)));
	buf_done(&whole);
	buf_done(&cut);
	return 0;
}
