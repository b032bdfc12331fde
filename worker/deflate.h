/* SPDX-License-Identifier: MIT */
/*
 * The worker's compressors and its decompressor: as many as there are windows, however many
 * connections use them. What they make is proto/ws_deflate.h's.
 */
#ifndef WORKER_DEFLATE_H
#define WORKER_DEFLATE_H

#include "base/base.h"
#include "base/buf.h"
#include "worker/conn.h"

/* C's handshake has agreed on a window of BITS for what it is sent, from its next byte on. */
void deflate_agree(struct conn *c, unsigned bits);

/* Compresses the frames that C is to be sent; for connections with deflate_bits only. */
void deflate_reply(struct conn *c);

/* Appends FRAMES, whole ones, compressed for a window of BITS. */
void deflate_frames(struct worker *wk, unsigned bits, struct str frames, struct buf *b);

/* Frees all of it. */
void deflate_close(struct worker *wk);

#endif
