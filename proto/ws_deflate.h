/* SPDX-License-Identifier: MIT */
/*
 * permessage-deflate (RFC 7692) without context takeover in either direction: what is agreed, a
 * message inflated, frames deflated. Which connections have it is worker's.
 */
#ifndef PROTO_WS_DEFLATE_H
#define PROTO_WS_DEFLATE_H

#include "base/base.h"
#include "base/buf.h"
#include "proto/ws.h"

/* The smallest window that zlib makes raw deflate streams for (8 it refuses), and the largest. */
#define WS_DEFLATE_BITS_MIN 9
#define WS_DEFLATE_BITS_MAX 15

/* Of the first byte of a message's first frame: it is compressed (section 6). */
#define WS_RSV1 0x40

/* Smaller payloads are sent as they are: little is won, and each costs a reset. */
#define WS_DEFLATE_FROM 64

/* What was agreed (section 7.1); windows in bits. */
struct ws_deflate {
	uint8_t server_bits; /* of what this side sends: 9 to 15 */
	uint8_t client_bits; /* of what the client sends: 8 to 15; 0: it did not name one */
	bool is_asked;	     /* the client named server_bits */
};

/*
 * Takes the first of the offers in Sec-WebSocket-Extensions, all fields joined, that can be
 * accepted. Returns 0; -ERR_NOENT when there is none: unknown extensions, and offers with unknown
 * or doubled parameters or values out of range (section 7.1), are passed over, and so is a window
 * of 8 bits for what the server sends; or -ERR_INVAL when the list is malformed, which ends the
 * handshake (RFC 6455 section 9.1).
 */
int ws_deflate_negotiate(struct str offers, struct ws_deflate *ret) MUST_CHECK;

/* Appends the answer, a value of Sec-WebSocket-Extensions. */
void ws_deflate_add_answer(struct buf *b, const struct ws_deflate *agreed);

/*
 * Inflates messages, one at a time and each whole: one serves any number of connections. Owned by
 * whoever makes it; about 40 KiB.
 */
struct ws_inflater *ws_inflater_new(void);
void ws_inflater_free(struct ws_inflater **inflater);

/*
 * Appends what the N pieces of one message's payload stand for (section 7.2.2). Returns 0;
 * -ERR_TOOBIG beyond MAX bytes, of which no more than one are written; -ERR_INVAL when it is not
 * what a compressor makes, or not all of it. After an error B has what came before it.
 */
int ws_inflate(struct ws_inflater *inflater, const struct str *pieces, size_t n, size_t max,
	       struct buf *b) MUST_CHECK;

/*
 * Deflates messages: one compressor for each window that was ever asked for, made at its first use,
 * whatever the number of connections. About 260 KiB for the largest, and as much at most for its
 * last results.
 */
struct ws_deflater *ws_deflater_new(void);
void ws_deflater_free(struct ws_deflater **deflater);

/*
 * Appends FRAMES, whole frames as ws_add_frame writes them, those with data compressed for a window
 * of BITS (WS_DEFLATE_BITS_MIN to _MAX, asserted) where that makes them shorter (section 6).
 * Returns how many were run through a compressor: the same frame for one connection after the other
 * is so once.
 */
size_t ws_deflate_frames(struct ws_deflater *deflater, unsigned bits, struct str frames,
			 struct buf *b);

#endif
