/* SPDX-License-Identifier: MIT */
/*
 * Messages of permessage-deflate inflated and deflated, each on its own (RFC 7692 section 7.2).
 * Frames are read by ws.c; what is agreed before is ws_offer.c's.
 */
#include "proto/ws_deflate.h"

#include <zlib.h>

/* What a sender leaves out of the end of each message (section 7.2.1). */
#define TRAILER "\x00\x00\xff\xff"
#define TRAILER_LEN 4

/* Steps in which the inflated message grows. */
#define ROOM_MIN 512
#define ROOM_MAX (64 * 1024)

#define MEM_LEVEL 8 /* zlib's default */

/* ---- In ---- */

struct ws_inflater {
	z_stream z;
};

struct ws_inflater *ws_inflater_new(void)
{
	struct ws_inflater *f = xcalloc(1, sizeof(*f));

	/* the largest window reads what was made for any smaller one */
	if (inflateInit2(&f->z, -WS_DEFLATE_BITS_MAX) != Z_OK)
		abort(); /* no memory */
	return f;
}

void ws_inflater_free(struct ws_inflater **f)
{
	if (!*f)
		return;
	inflateEnd(&(*f)->z);
	free(*f);
	*f = NULL;
}

/* One piece, while the message that began at START stays within MAX bytes. */
static int inflate_piece(z_stream *z, struct str piece, size_t start, size_t max, struct buf *b)
{
	z->next_in = (Bytef *)piece.p;
	z->avail_in = (uInt)piece.len;
	do {
		size_t room = MIN(MAX(4 * (size_t)z->avail_in, ROOM_MIN), ROOM_MAX);
		int r;

		room = MIN(room, start + max + 1 - b->len); /* one more shows that it is too big */
		z->next_out = buf_reserve(b, room);
		z->avail_out = (uInt)room;
		r = inflate(z, Z_SYNC_FLUSH);
		buf_commit(b, room - z->avail_out);
		if (b->len - start > max)
			return -ERR_TOOBIG;
		if (r == Z_STREAM_END) /* others may follow a last block (section 7.2.3.4) */
			r = inflateResetKeep(z);
		if (r == Z_BUF_ERROR) /* nothing is left to do with what is there */
			return 0;
		if (r != Z_OK)
			return -ERR_INVAL;
	} while (z->avail_in || !z->avail_out);
	return 0;
}

int ws_inflate(struct ws_inflater *f, const struct str *pieces, size_t n, size_t max, struct buf *b)
{
	size_t start = b->len, total = 0;
	int r = inflateReset(&f->z) == Z_OK ? 0 : -ERR_INVAL;

	for (size_t i = 0; i < n && r == 0; i++) {
		total += pieces[i].len;
		if (pieces[i].len)
			r = inflate_piece(&f->z, pieces[i], start, max, b);
	}
	if (r < 0 || !total) /* some send nothing at all for an empty message */
		return r;
	r = inflate_piece(&f->z, (struct str){TRAILER, TRAILER_LEN}, start, max, b);
	if (r == 0 && (f->z.avail_in || !(f->z.data_type & 128))) /* not at the end of a block */
		r = -ERR_INVAL;
	return r;
}

/* ---- Out ---- */

/* What goes to many, one after the other, is among the last few frames. */
#define RESULTS 4
#define RESULT_MAX (32 * 1024) /* bytes of a frame that is kept */

struct compressor {
	z_stream z;
	struct {
		struct buf plain, deflated; /* owned; a frame and what is sent instead */
	} results[RESULTS];
	unsigned next; /* the oldest of them */
};

struct ws_deflater {
	struct compressor *of[WS_DEFLATE_BITS_MAX + 1]; /* owned; by bits; NULL: not asked for */
};

struct ws_deflater *ws_deflater_new(void)
{
	return xcalloc(1, sizeof(struct ws_deflater));
}

static void compressor_free(struct compressor *c)
{
	if (!c)
		return;
	deflateEnd(&c->z);
	for (unsigned i = 0; i < RESULTS; i++) {
		buf_done(&c->results[i].plain);
		buf_done(&c->results[i].deflated);
	}
	free(c);
}

void ws_deflater_free(struct ws_deflater **d)
{
	if (!*d)
		return;
	for (size_t i = 0; i < ARRAY_LEN((*d)->of); i++)
		compressor_free((*d)->of[i]);
	free(*d);
	*d = NULL;
}

static struct compressor *compressor_of(struct ws_deflater *d, unsigned bits)
{
	struct compressor **c = &d->of[bits];

	assert(bits >= WS_DEFLATE_BITS_MIN && bits <= WS_DEFLATE_BITS_MAX);
	if (*c)
		return *c;
	*c = xcalloc(1, sizeof(**c));
	if (deflateInit2(&(*c)->z, Z_BEST_SPEED, Z_DEFLATED, -(int)bits, MEM_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		abort(); /* no memory */
	return *c;
}

/* Appends the result for FRAME, if it is still there. */
static bool add_result(const struct compressor *c, struct str frame, struct buf *b)
{
	for (unsigned i = 0; i < RESULTS; i++) {
		if (!str_eq(buf_str(&c->results[i].plain), frame))
			continue;
		buf_add_str(b, buf_str(&c->results[i].deflated));
		return true;
	}
	return false;
}

static void keep_result(struct compressor *c, struct str frame, struct str deflated)
{
	unsigned i = c->next;

	if (frame.len > RESULT_MAX)
		return;
	c->next = (i + 1) % RESULTS;
	buf_clear(&c->results[i].plain);
	buf_clear(&c->results[i].deflated);
	buf_add_str(&c->results[i].plain, frame);
	buf_add_str(&c->results[i].deflated, deflated);
}

/* Appends PAYLOAD compressed (section 7.2.1). */
static void add_deflated(z_stream *z, struct str payload, struct buf *b)
{
	z->next_in = (Bytef *)payload.p;
	z->avail_in = (uInt)payload.len;
	do {
		size_t room = MIN(MAX(payload.len / 2, ROOM_MIN), ROOM_MAX);
		int r;

		z->next_out = buf_reserve(b, room);
		z->avail_out = (uInt)room;
		r = deflate(z, Z_SYNC_FLUSH);
		assert(r == Z_OK || r == Z_BUF_ERROR); /* the latter: the last round had no more */
		buf_commit(b, room - z->avail_out);
	} while (!z->avail_out);
	assert(b->len >= TRAILER_LEN);
	b->len -= TRAILER_LEN;
}

/* The frame of HEAD_LEN bytes before its payload, compressed if it is shorter then. */
static void add_data(struct compressor *c, struct str frame, size_t head_len, struct buf *b)
{
	struct str payload = {frame.p + head_len, frame.len - head_len};
	size_t begin = ws_frame_begin(b), payload_at = b->len;

	deflateReset(&c->z);
	add_deflated(&c->z, payload, b);
	if (b->len - payload_at < payload.len) {
		ws_frame_end(b, begin, (uint8_t)frame.p[0] & 0x0f);
		b->p[begin] |= WS_RSV1;
	} else {
		b->len = begin;
		buf_add_str(b, frame);
	}
	keep_result(c, frame, (struct str){(const char *)b->p + begin, b->len - begin});
}

/* The length of the frame at the front of S, and of its header; 0: it is not whole. */
static size_t frame_len(struct str s, size_t *ret_head_len)
{
	const uint8_t *p = (const uint8_t *)s.p;
	size_t ext = s.len < 2 ? 0 : p[1] == 126 ? 2 : p[1] == 127 ? 8 : 0;
	uint64_t len = ext || s.len < 2 ? 0 : p[1];

	if (s.len < 2 + ext)
		return 0;
	for (size_t i = 0; i < ext; i++)
		len = len << 8 | p[2 + i];
	*ret_head_len = 2 + ext;
	return len <= s.len - 2 - ext ? 2 + ext + (size_t)len : 0;
}

size_t ws_deflate_frames(struct ws_deflater *d, unsigned bits, struct str frames, struct buf *b)
{
	struct compressor *c = compressor_of(d, bits);
	size_t head_len, n, runs = 0;

	while ((n = frame_len(frames, &head_len)) > 0) {
		struct str frame = {frames.p, n};
		bool is_data = ((uint8_t)frame.p[0] & 0x0f) < WS_OP_CLOSE;

		if (!is_data || n - head_len < WS_DEFLATE_FROM) {
			buf_add_str(b, frame);
		} else if (!add_result(c, frame, b)) {
			add_data(c, frame, head_len, b);
			runs++;
		}
		frames = (struct str){frames.p + n, frames.len - n};
	}
	assert(!frames.len);
	return runs;
}
