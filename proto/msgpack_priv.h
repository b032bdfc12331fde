/* SPDX-License-Identifier: MIT */
/*
 * A cursor over MessagePack that other programs wrote: takes no memory, believes no length before
 * it has seen the bytes. What the values mean is for the readers.
 */
#ifndef PROTO_MSGPACK_PRIV_H
#define PROTO_MSGPACK_PRIV_H

#include "base/base.h"
#include "base/buf.h"

/* After the first fault everything reads as zero and BAD stays. */
struct msgpack_reader {
	const uint8_t *p;
	size_t left;
	bool bad;
};

/* The next N bytes, or NULL when there are fewer. */
static inline const uint8_t *msgpack_take(struct msgpack_reader *r, size_t n)
{
	const uint8_t *p = r->p;

	if (r->bad || n > r->left) {
		r->bad = true;
		return NULL;
	}
	r->p += n;
	r->left -= n;
	return p;
}

/* A big-endian number of N bytes, at most 8. */
static inline uint64_t msgpack_take_be(struct msgpack_reader *r, size_t n)
{
	const uint8_t *p = msgpack_take(r, n);
	uint64_t v = 0;

	for (size_t i = 0; p && i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/* Whether a value whose first byte is TAG is a string. */
static inline bool msgpack_is_str(uint8_t tag)
{
	return (tag & 0xe0) == 0xa0 || (tag >= 0xd9 && tag <= 0xdb);
}

/* What the library's packer writes, into B, a struct buf. */
static inline int msgpack_add_bytes(void *b, const char *p, size_t len)
{
	buf_add(b, p, len);
	return 0;
}

/* The integer whose first byte was TAG; BAD for other types and values beyond int64_t. */
int64_t msgpack_take_int(struct msgpack_reader *r, uint8_t tag);

/* The length of the string whose first byte was TAG; BAD for other types. */
size_t msgpack_take_str_len(struct msgpack_reader *r, uint8_t tag);

#endif
