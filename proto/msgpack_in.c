/* SPDX-License-Identifier: MIT */
/*
 * MessagePack of a client to a document: rewritten as JSON text, then parsed like any other, so
 * that both forms of a request meet the same rules. Writing MessagePack is msgpack.c's.
 */
#include "proto/msgpack.h"

#include <math.h>

#include "proto/json.h"
#include "proto/msgpack_priv.h"
#include "proto/utf8.h"

int64_t msgpack_take_int(struct msgpack_reader *r, uint8_t tag)
{
	uint64_t v;

	if (tag <= 0x7f)
		return tag;
	if (tag >= 0xe0)
		return (int8_t)tag;
	if (tag >= 0xcc && tag <= 0xcf) {
		v = msgpack_take_be(r, (size_t)1 << (tag - 0xcc));
		r->bad |= v > INT64_MAX;
		return r->bad ? 0 : (int64_t)v;
	}
	switch (tag) {
	case 0xd0:
		return (int8_t)msgpack_take_be(r, 1);
	case 0xd1:
		return (int16_t)msgpack_take_be(r, 2);
	case 0xd2:
		return (int32_t)msgpack_take_be(r, 4);
	case 0xd3:
		return (int64_t)msgpack_take_be(r, 8);
	default:
		r->bad = true;
		return 0;
	}
}

size_t msgpack_take_str_len(struct msgpack_reader *r, uint8_t tag)
{
	if ((tag & 0xe0) == 0xa0)
		return tag & 0x1f;
	if (tag >= 0xd9 && tag <= 0xdb)
		return msgpack_take_be(r, (size_t)1 << (tag - 0xd9));
	r->bad = true;
	return 0;
}

/* One open container. */
struct level {
	uint64_t left; /* values still to come; in a map keys count as well */
	bool is_map;
};

struct rewriter {
	struct msgpack_reader in;
	struct buf *out;
	const char *fault; /* static; NULL: the general one */
	struct level levels[MSGPACK_DEPTH_MAX];
	uint32_t depth, depth_max;
};

static void refuse(struct rewriter *w, const char *why)
{
	w->in.bad = true;
	if (!w->fault)
		w->fault = why;
}

static void write_str(struct rewriter *w, uint8_t tag)
{
	size_t len = msgpack_take_str_len(&w->in, tag);
	const uint8_t *p = msgpack_take(&w->in, len);

	if (!p)
		return;
	if (!utf8_valid(p, len))
		refuse(w, "A string is not valid UTF-8.");
	else
		json_add_str(w->out, (struct str){(const char *)p, len});
}

/* A number that is no integer stays none: 1.0 is written with its point. */
static void write_double(struct rewriter *w, double d)
{
	char text[40];

	if (!isfinite(d)) {
		refuse(w, "A number is not finite.");
		return;
	}
	snprintf(text, sizeof(text), "%.17g", d);
	buf_add_cstr(w->out, text);
	if (!strpbrk(text, ".e"))
		buf_add_cstr(w->out, ".0");
}

static void write_float(struct rewriter *w, bool is_double)
{
	uint64_t bits = msgpack_take_be(&w->in, is_double ? 8 : 4);
	uint32_t low = (uint32_t)bits;
	double d;
	float f;

	memcpy(&d, &bits, sizeof(d));
	memcpy(&f, &low, sizeof(f));
	if (!w->in.bad)
		write_double(w, is_double ? d : (double)f);
}

static void write_int(struct rewriter *w, uint8_t tag)
{
	int64_t v = msgpack_take_int(&w->in, tag);

	if (w->in.bad)
		refuse(w, "A number is too large, or a type is not known here.");
	else
		buf_add_i64(w->out, v);
}

/*
 * Every element takes a byte at least: what is declared beyond the bytes at hand is refused before
 * anything is read.
 */
static void open_level(struct rewriter *w, uint64_t count, bool is_map)
{
	uint64_t left = is_map ? count * 2 : count;

	if (w->depth == w->depth_max) {
		refuse(w, "The value is nested too deeply.");
		return;
	}
	if (left > w->in.left) {
		refuse(w, NULL);
		return;
	}
	w->levels[w->depth++] = (struct level){left, is_map};
	buf_add_char(w->out, is_map ? '{' : '[');
}

/* Bytes of a binary or extension type behind its first; -1: TAG is none of these. */
static int64_t foreign_len(struct msgpack_reader *in, uint8_t tag)
{
	if (tag >= 0xc4 && tag <= 0xc6)
		return (int64_t)msgpack_take_be(in, (size_t)1 << (tag - 0xc4));
	if (tag >= 0xc7 && tag <= 0xc9)
		return (int64_t)msgpack_take_be(in, (size_t)1 << (tag - 0xc7)) + 1;
	return tag >= 0xd4 && tag <= 0xd8 ? (1 << (tag - 0xd4)) + 1 : -1;
}

/*
 * JSON has nothing for these types and no member known here is of them, but a member that is not
 * known is ignored whatever it is. They become what no rule takes.
 */
static void write_foreign(struct rewriter *w, int64_t len)
{
	if (!w->depth)
		refuse(w, "A request is a map.");
	else if (msgpack_take(&w->in, (size_t)len))
		buf_add_cstr(w->out, "{\"\":0.5}");
}

/* Writes the value whose first byte is TAG; containers only their beginning. */
static void write_value(struct rewriter *w, uint8_t tag)
{
	int64_t foreign = foreign_len(&w->in, tag);

	if (foreign >= 0)
		write_foreign(w, foreign);
	else if ((tag & 0xf0) == 0x80)
		open_level(w, tag & 0x0f, true);
	else if ((tag & 0xf0) == 0x90)
		open_level(w, tag & 0x0f, false);
	else if (tag == 0xdc || tag == 0xdd)
		open_level(w, msgpack_take_be(&w->in, (size_t)2 << (tag - 0xdc)), false);
	else if (tag == 0xde || tag == 0xdf)
		open_level(w, msgpack_take_be(&w->in, (size_t)2 << (tag - 0xde)), true);
	else if (msgpack_is_str(tag))
		write_str(w, tag);
	else if (tag == 0xc0)
		buf_add_cstr(w->out, "null");
	else if (tag == 0xc2 || tag == 0xc3)
		buf_add_cstr(w->out, tag == 0xc3 ? "true" : "false");
	else if (tag == 0xca || tag == 0xcb)
		write_float(w, tag == 0xcb);
	else
		write_int(w, tag); /* refuses what is no type */
}

static void close_levels(struct rewriter *w)
{
	while (w->depth && !w->levels[w->depth - 1].left)
		buf_add_char(w->out, w->levels[--w->depth].is_map ? '}' : ']');
}

/* One key or value with what separates it from the one before. */
static void step(struct rewriter *w)
{
	struct level *l = w->depth ? &w->levels[w->depth - 1] : NULL;
	bool is_key = l && l->is_map && l->left % 2 == 0;
	uint8_t tag = (uint8_t)msgpack_take_be(&w->in, 1);

	if (w->in.bad)
		return;
	if (is_key && !msgpack_is_str(tag)) {
		refuse(w, "A key is not a string.");
		return;
	}
	if (l)
		l->left--;
	json_add_sep(w->out);
	write_value(w, tag);
	if (is_key)
		buf_add_char(w->out, ':');
	close_levels(w);
}

static int bad_msgpack(struct fault *ret, const char *text)
{
	if (ret) {
		fault_set(ret, E_BAD_MSGPACK);
		if (text)
			snprintf(ret->text, sizeof(ret->text), "%s", text);
	}
	return -ERR_INVAL;
}

int msgpack_to_json_doc(const void *p, size_t len, uint32_t depth_max, struct json_doc **ret,
			struct fault *ret_fault)
{
	struct buf text = BUF_INIT;
	struct rewriter w = {.in = {p, len, false},
			     .out = &text,
			     .depth_max = MIN(depth_max, MSGPACK_DEPTH_MAX)};
	int r = -ERR_INVAL;

	do
		step(&w);
	while (w.depth && !w.in.bad);
	if (w.in.bad || w.in.left)
		bad_msgpack(ret_fault, w.fault);
	else
		r = json_parse(buf_str(&text), depth_max, ret, ret_fault);
	if (r < 0 && ret_fault)
		ret_fault->error = E_BAD_MSGPACK;
	buf_done(&text);
	return r;
}
