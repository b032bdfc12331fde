/* SPDX-License-Identifier: MIT */
/*
 * A MessagePack value read and written once more, type by type as the specification has them.
 */
#include <msgpack.h>

#include "proto/msgpack.h"
#include "proto/msgpack_priv.h"
#include "proto/utf8.h"

struct copier {
	struct msgpack_reader in;
	msgpack_packer out;
	struct buf *b;
	uint64_t left[MSGPACK_DEPTH_MAX]; /* values still to come in each open container */
	uint32_t depth, depth_max;
};

static void copy_bytes(struct copier *c, size_t len)
{
	const uint8_t *p = msgpack_take(&c->in, len);

	if (p)
		buf_add(c->b, p, len);
}

/* The length or count behind TAG: SIZE bytes behind FIRST, twice as many behind each tag after. */
static size_t take_len(struct copier *c, uint8_t tag, uint8_t first, size_t size)
{
	return msgpack_take_be(&c->in, size << (tag - first));
}

static void copy_str(struct copier *c, uint8_t tag)
{
	size_t len = msgpack_take_str_len(&c->in, tag);

	if (len > c->in.left || !utf8_valid(c->in.p, len)) {
		c->in.bad = true;
		return;
	}
	msgpack_pack_str(&c->out, len);
	copy_bytes(c, len);
}

static void copy_bin(struct copier *c, uint8_t tag)
{
	size_t len = take_len(c, tag, 0xc4, 1);

	if (len > c->in.left) {
		c->in.bad = true;
		return;
	}
	msgpack_pack_bin(&c->out, len);
	copy_bytes(c, len);
}

static void copy_ext(struct copier *c, uint8_t tag)
{
	size_t len = tag >= 0xd4 ? (size_t)1 << (tag - 0xd4) : take_len(c, tag, 0xc7, 1);
	int8_t type = (int8_t)msgpack_take_be(&c->in, 1);

	if (c->in.bad || len > c->in.left) {
		c->in.bad = true;
		return;
	}
	msgpack_pack_ext(&c->out, len, type);
	copy_bytes(c, len);
}

static void copy_float(struct copier *c, uint8_t tag)
{
	buf_add_char(c->b, (char)tag);
	copy_bytes(c, (size_t)4 << (tag - 0xca));
}

/* In the shortest form that holds it. */
static void copy_int(struct copier *c, uint8_t tag)
{
	if (tag >= 0xcc && tag <= 0xcf)
		msgpack_pack_uint64(&c->out, msgpack_take_be(&c->in, (size_t)1 << (tag - 0xcc)));
	else
		msgpack_pack_int64(&c->out, msgpack_take_int(&c->in, tag)); /* bad: no type */
}

/* Each value takes a byte at least: a count beyond the bytes at hand is refused at once. */
static void open_container(struct copier *c, uint64_t count, bool is_map)
{
	uint64_t values = is_map ? count * 2 : count;

	if (c->depth == c->depth_max || values > c->in.left) {
		c->in.bad = true;
		return;
	}
	if (is_map)
		msgpack_pack_map(&c->out, count);
	else
		msgpack_pack_array(&c->out, count);
	c->left[c->depth++] = values;
}

static void copy_value(struct copier *c)
{
	uint8_t tag = (uint8_t)msgpack_take_be(&c->in, 1);

	if (c->in.bad)
		return;
	if ((tag & 0xf0) == 0x80)
		open_container(c, tag & 0x0f, true);
	else if ((tag & 0xf0) == 0x90)
		open_container(c, tag & 0x0f, false);
	else if (tag == 0xdc || tag == 0xdd)
		open_container(c, take_len(c, tag, 0xdc, 2), false);
	else if (tag == 0xde || tag == 0xdf)
		open_container(c, take_len(c, tag, 0xde, 2), true);
	else if (msgpack_is_str(tag))
		copy_str(c, tag);
	else if (tag >= 0xc4 && tag <= 0xc6)
		copy_bin(c, tag);
	else if ((tag >= 0xc7 && tag <= 0xc9) || (tag >= 0xd4 && tag <= 0xd8))
		copy_ext(c, tag);
	else if (tag == 0xc0 || tag == 0xc2 || tag == 0xc3)
		buf_add_char(c->b, (char)tag);
	else if (tag == 0xca || tag == 0xcb)
		copy_float(c, tag);
	else
		copy_int(c, tag);
}

int msgpack_again(struct buf *b, const void *p, size_t len, uint32_t depth_max)
{
	struct copier c = {.in = {p, len, false},
			   .b = b,
			   .depth_max = MIN(depth_max, MSGPACK_DEPTH_MAX)};
	size_t begin = b->len;

	msgpack_packer_init(&c.out, b, msgpack_add_bytes);
	copy_value(&c);
	while (c.depth && !c.in.bad) {
		if (c.left[c.depth - 1]-- == 0)
			c.depth--;
		else
			copy_value(&c);
	}
	if (!c.in.bad && !c.in.left)
		return 0;
	b->len = begin;
	return -ERR_INVAL;
}
