/* SPDX-License-Identifier: MIT */
/* WebSocket frame heads and masking (RFC 6455 section 5), pure functions.
 * Leaves sockets, handshakes and payloads to others. */
#include <string.h>

#include "bench/frame.h"

static uint64_t read_big(const uint8_t *p, unsigned n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | *p++;
	return v;
}

int frame_parse(const uint8_t *p, size_t n, struct frame *ret_frame)
{
	struct frame f;
	uint64_t len;
	unsigned extra;

	if (n < 2)
		return 0;
	if (p[0] & 0x70) /* no extension was agreed on */
		return -1;
	f.op = p[0] & 15;
	f.is_fin = p[0] >> 7;
	f.is_masked = p[1] >> 7;
	len = p[1] & 127;
	extra = len == 126 ? 2 : len == 127 ? 8 : 0;
	f.head = (uint8_t)(2 + extra + (f.is_masked ? 4 : 0));
	if (n < f.head)
		return 0;
	if (extra)
		len = read_big(p + 2, extra);
	if (len > FRAME_LEN_MAX)
		return -1;
	f.len = (uint32_t)len;
	memset(f.mask, 0, sizeof(f.mask));
	if (f.is_masked)
		memcpy(f.mask, p + 2 + extra, 4);
	*ret_frame = f;
	return 1;
}

size_t frame_head(uint8_t *at, unsigned op, size_t len, const uint8_t *mask)
{
	uint8_t *p = at, bit = mask ? 0x80 : 0;

	*p++ = (uint8_t)(0x80 | op);
	if (len < 126) {
		*p++ = (uint8_t)(bit | len);
	} else if (len < 65536) {
		*p++ = bit | 126;
		*p++ = (uint8_t)(len >> 8);
		*p++ = (uint8_t)len;
	} else {
		*p++ = bit | 127;
		for (int shift = 56; shift >= 0; shift -= 8)
			*p++ = (uint8_t)((uint64_t)len >> shift);
	}
	if (mask) {
		memcpy(p, mask, 4);
		p += 4;
	}
	return (size_t)(p - at);
}

void frame_mask(uint8_t *p, size_t n, const uint8_t mask[4])
{
	uint64_t wide, word;
	uint32_t narrow;
	size_t i = 0;

	memcpy(&narrow, mask, 4);
	wide = (uint64_t)narrow << 32 | narrow;
	for (; i + 8 <= n; i += 8) {
		memcpy(&word, p + i, 8);
		word ^= wide;
		memcpy(p + i, &word, 8);
	}
	for (; i < n; i++)
		p[i] ^= mask[i & 3];
}
