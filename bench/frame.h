/* SPDX-License-Identifier: MIT */
/* WebSocket frames (RFC 6455 section 5) as both ends of a measurement need them, without state.
 * Handshakes are link.c's and floor.c's; what a payload means is stamp.c's. */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include <stddef.h>
#include <stdint.h>

enum { FRAME_CONT = 0, FRAME_TEXT = 1, FRAME_BINARY = 2, FRAME_CLOSE = 8, FRAME_PING = 9,
       FRAME_PONG = 10 };

#define FRAME_HEAD_MAX 14
#define FRAME_LEN_MAX (16u << 20)

struct frame {
	uint8_t op;
	uint8_t is_fin;
	uint8_t is_masked;
	uint8_t head;      /* bytes before the payload */
	uint32_t len;      /* bytes of payload, at most FRAME_LEN_MAX */
	uint8_t mask[4];
};

/* Reads the head of the frame at p. Returns 1 with *ret_frame set (the payload need not have
 * arrived yet), 0 if more bytes are needed, -1 if this is no frame we accept. */
int frame_parse(const uint8_t *p, size_t n, struct frame *ret_frame);

/* Writes a head to at (FRAME_HEAD_MAX bytes of room); mask NULL for a server's frame.
 * Returns its length. */
size_t frame_head(uint8_t *at, unsigned op, size_t len, const uint8_t *mask);

/* Applies the mask in place. */
void frame_mask(uint8_t *p, size_t n, const uint8_t mask[4]);

#endif
