/* SPDX-License-Identifier: MIT */
/*
 * Cursors: packed numbers with a checksum, as base64url text.
 * Whether the session and the conversations still exist is for others to say.
 */
#include "proto/cursor.h"

#include <stdlib.h>

#include "base/base64.h"

/*
 * Version 1, in bytes: the version, the session (16), user, count, then for each position how far
 * its conversation is from the one before (at least 1) and its rev; at the end the CRC-32 of all of
 * it (4, big-endian). Numbers are groups of seven bits, the lowest first, the last without its high
 * bit.
 */
#define VERSION 1
#define CRC_LEN 4
#define VARINT32_MAX 5
#define VARINT64_MAX 9 /* of a positive int64_t */
#define HEAD_MAX (1 + sizeof(struct uuid) + VARINT64_MAX + VARINT32_MAX)

/* The checksum of IEEE 802.3, reflected: finds what was cut, mixed up or mistyped. */
static uint32_t crc32_of(const uint8_t *p, size_t len)
{
	static const uint32_t nibbles[16] = {
		0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
		0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
		0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= p[i];
		crc = crc >> 4 ^ nibbles[crc & 0xf];
		crc = crc >> 4 ^ nibbles[crc & 0xf];
	}
	return ~crc;
}

/* Writing ---------------------------------------------------------------------------- */

size_t cursor_text_max(size_t n)
{
	return (HEAD_MAX + n * 2 * VARINT32_MAX + CRC_LEN) * 4 / 3 + 1;
}

static void add_varint(struct buf *b, uint64_t v)
{
	for (; v >= 0x80; v >>= 7)
		buf_add_char(b, (char)(0x80 | (v & 0x7f)));
	buf_add_char(b, (char)v);
}

/* Ascending by conversation, of one conversation the furthest first. */
static int pos_cmp(const void *a, const void *b)
{
	const struct cursor_pos *x = a, *y = b;

	if (x->conv != y->conv)
		return x->conv < y->conv ? -1 : 1;
	return (x->rev < y->rev) - (x->rev > y->rev);
}

static size_t drop_doubles(struct cursor_pos *pos, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!kept || pos[kept - 1].conv != pos[i].conv)
			pos[kept++] = pos[i];
	return kept;
}

static void add_positions(struct buf *b, const struct cursor *c)
{
	struct cursor_pos *pos = xmalloc((c->n + 1) * sizeof(*pos));
	int64_t before = 0;
	size_t n;

	if (c->n) {
		memcpy(pos, c->pos, c->n * sizeof(*pos));
		qsort(pos, c->n, sizeof(*pos), pos_cmp);
	}
	n = drop_doubles(pos, c->n);
	add_varint(b, n);
	for (size_t i = 0; i < n; i++) {
		assert(pos[i].conv > 0 && pos[i].conv <= INT32_MAX);
		assert(pos[i].rev >= 0 && pos[i].rev <= UINT32_MAX);
		add_varint(b, (uint64_t)(pos[i].conv - before));
		add_varint(b, (uint64_t)pos[i].rev);
		before = pos[i].conv;
	}
	free(pos);
}

void cursor_encode(struct buf *b, const struct cursor *c)
{
	struct buf raw = BUF_INIT;
	uint32_t crc;

	assert(c->user >= 0);
	buf_add_char(&raw, VERSION);
	buf_add(&raw, c->session.b, sizeof(c->session.b));
	add_varint(&raw, (uint64_t)c->user);
	add_positions(&raw, c);
	crc = crc32_of(raw.p, raw.len);
	for (int shift = 24; shift >= 0; shift -= 8)
		buf_add_char(&raw, (char)(crc >> shift));
	base64_add(b, BASE64_URL, raw.p, raw.len);
	buf_done(&raw);
}

/* Reading ---------------------------------------------------------------------------- */

struct reader {
	const uint8_t *p, *end;
	bool bad;
};

/* A number up to MAX in its shortest form; 0 and BAD otherwise. */
static int64_t take_varint(struct reader *r, uint64_t max)
{
	uint64_t v = 0;
	unsigned shift = 0;
	uint8_t byte;

	do {
		if (r->p == r->end || shift >= 7 * VARINT64_MAX) {
			r->bad = true;
			return 0;
		}
		byte = *r->p++;
		v |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
	} while (byte & 0x80);
	if (v > max || (!byte && shift > 7)) {
		r->bad = true;
		return 0;
	}
	return (int64_t)v;
}

static int take_positions(struct reader *r, size_t pos_max, struct cursor *c)
{
	int64_t n = take_varint(r, UINT32_MAX), conv = 0;

	/* a position takes two bytes at least: memory only for what can be there */
	if (r->bad || n > (r->end - r->p) / 2)
		return -ERR_INVAL;
	if ((uint64_t)n > pos_max)
		return -ERR_TOOBIG;
	c->pos = n ? xmalloc((size_t)n * sizeof(*c->pos)) : NULL;
	for (c->n = 0; c->n < (size_t)n; c->n++) {
		int64_t delta = take_varint(r, INT32_MAX);

		conv += delta;
		r->bad |= !delta || conv > INT32_MAX;
		c->pos[c->n] = (struct cursor_pos){conv, take_varint(r, UINT32_MAX)};
		if (r->bad)
			return -ERR_INVAL;
	}
	return 0;
}

static bool has_checksum(const struct buf *raw)
{
	const uint8_t *p;
	uint32_t crc;

	if (raw->len < CRC_LEN)
		return false;
	p = raw->p + raw->len - CRC_LEN;
	crc = (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
	return crc == crc32_of(raw->p, raw->len - CRC_LEN);
}

static int decode_bytes(const struct buf *raw, size_t pos_max, struct cursor *ret)
{
	struct reader r = {raw->p, raw->p + raw->len - CRC_LEN, false};
	struct cursor c = {0};
	int rc;

	if (r.end - r.p < (ptrdiff_t)(1 + sizeof(c.session.b)))
		return -ERR_INVAL;
	if (*r.p != VERSION)
		return *r.p > VERSION ? -ERR_UNSUPPORTED : -ERR_INVAL;
	memcpy(c.session.b, ++r.p, sizeof(c.session.b));
	r.p += sizeof(c.session.b);
	c.user = take_varint(&r, INT64_MAX);
	rc = r.bad ? -ERR_INVAL : take_positions(&r, pos_max, &c);
	if (rc == 0 && r.p != r.end)
		rc = -ERR_INVAL;
	if (rc == 0)
		*ret = c;
	else
		cursor_done(&c);
	return rc;
}

int cursor_decode(struct str text, size_t pos_max, struct cursor *ret)
{
	struct buf raw = BUF_INIT;
	int r = -ERR_INVAL;

	if (text.len > cursor_text_max(pos_max))
		return -ERR_TOOBIG;
	if (base64_take(&raw, BASE64_URL, text) == 0 && has_checksum(&raw))
		r = decode_bytes(&raw, pos_max, ret);
	buf_done(&raw);
	return r;
}

void cursor_done(struct cursor *c)
{
	free(c->pos);
	*c = (struct cursor){0};
}

const struct cursor_pos *cursor_find(const struct cursor *c, int64_t conv)
{
	size_t low = 0, high = c->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (c->pos[mid].conv == conv)
			return &c->pos[mid];
		if (c->pos[mid].conv < conv)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}
