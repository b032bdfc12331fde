/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: a cursor's text, and bytes as the value of Last-Event-ID and the data of an event.
 * What is taken is the one text of its value; no data ends an event early.
 */
#include "fuzz.h"
#include "proto/cursor.h"
#include "proto/sse.h"

#define POS_MAX 100

static void check_positions(const struct cursor *c)
{
	MUST(c->user >= 0 && c->n <= POS_MAX);
	for (size_t i = 0; i < c->n; i++) {
		MUST(c->pos[i].conv > (i ? c->pos[i - 1].conv : 0) && c->pos[i].conv <= INT32_MAX);
		MUST(c->pos[i].rev >= 0 && c->pos[i].rev <= UINT32_MAX);
		MUST(cursor_find(c, c->pos[i].conv) == &c->pos[i]);
	}
}

/* The bytes as numbers: whatever a program notes comes back. */
static void try_encode(const uint8_t *data, size_t size)
{
	struct cursor_pos pos[POS_MAX];
	struct cursor c = {.pos = pos}, back;
	struct buf b = BUF_INIT;

	for (; size >= 8 && c.n < POS_MAX; data += 8, size -= 8) {
		uint32_t conv, rev;

		memcpy(&conv, data, 4);
		memcpy(&rev, data + 4, 4);
		pos[c.n++] = (struct cursor_pos){1 + (conv & (INT32_MAX - 1)), rev};
		c.user = conv;
	}
	cursor_encode(&b, &c);
	MUST(b.len <= cursor_text_max(c.n));
	MUST(cursor_decode(buf_str(&b), c.n, &back) == 0);
	MUST(back.user == c.user && back.n <= c.n);
	for (size_t i = 0; i < c.n; i++) {
		const struct cursor_pos *p = cursor_find(&back, pos[i].conv);

		MUST(p && p->rev >= pos[i].rev);
	}
	cursor_done(&back);
	buf_done(&b);
}

/* No line of the data is anything but data. */
static void try_event(struct str data)
{
	struct buf b = BUF_INIT;
	const char *line, *end;

	sse_add_event(&b, STR(""), STR(""), data);
	MUST(b.len >= 8 && !memcmp(b.p + b.len - 2, "\n\n", 2));
	end = (const char *)b.p + b.len - 1;
	for (line = (const char *)b.p; line < end; line++) {
		MUST(!strncmp(line, "data: ", 6));
		MUST(!memchr(line, '\r', (size_t)(end - line)));
		line = memchr(line, '\n', (size_t)(end - line) + 1);
	}
	buf_done(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str text = {(const char *)data, size}, id;
	struct buf b = BUF_INIT;
	struct cursor c;

	if (cursor_decode(text, POS_MAX, &c) == 0) {
		check_positions(&c);
		cursor_encode(&b, &c);
		MUST(str_eq(buf_str(&b), text));
		cursor_done(&c);
	}
	if (sse_last_event_id(text, 64, &id) == 0) {
		MUST(id.len && id.len <= 64 && id.p >= text.p);
		buf_clear(&b);
		sse_add_id(&b, id);
	}
	try_encode(data, size);
	try_event(text);
	buf_done(&b);
	return 0;
}
