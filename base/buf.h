/* SPDX-License-Identifier: MIT */
/*
 * A growable byte buffer with one owner: append at the end, consume at the front.
 * Allocation failure ends the process: a worker without memory is replaced, not nursed.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/base.h"

struct buf {
	uint8_t *p;	/* owned; NULL while empty */
	size_t len;	/* bytes held, from p */
	size_t cap;
};

#define BUF_INIT ((struct buf){NULL, 0, 0})

void buf_done(struct buf *b);			      /* frees and empties */
void buf_clear(struct buf *b);			      /* empties, keeps the memory */
void buf_commit(struct buf *b, size_t added);
void buf_add_i64(struct buf *b, int64_t v);	      /* decimal */
/* a quoted JSON string; bytes that are no UTF-8 become U+FFFD */
void buf_add_json(struct buf *b, struct str s);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* drops LEN bytes at the front; frees when empty */
void buf_consume(struct buf *b, size_t len);
struct str buf_str(const struct buf *b);	      /* borrowed until the next change */

/* for buf_reserve */
uint8_t *buf_grow(struct buf *b, size_t more);

/* room for MORE bytes at the end; buf_commit adds them */
static inline uint8_t *buf_reserve(struct buf *b, size_t more)
{
	return b->p && more <= b->cap - b->len ? b->p + b->len : buf_grow(b, more);
}

/* These are inlined because frames are made of pieces of a few bytes each. */
static inline void buf_add(struct buf *b, const void *bytes, size_t len)
{
	if (len == 0)
		return;
	memcpy(buf_reserve(b, len), bytes, len);
	b->len += len;
}

static inline void buf_add_str(struct buf *b, struct str s)
{
	buf_add(b, s.p, s.len);
}

static inline void buf_add_cstr(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

static inline void buf_add_char(struct buf *b, char c)
{
	*buf_reserve(b, 1) = (uint8_t)c;
	b->len++;
}

/* malloc and calloc that end the process instead of returning NULL. */
void *xmalloc(size_t size);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrndup(const char *s, size_t len);

#endif
