/* SPDX-License-Identifier: MIT */
/*
 * permessage-deflate for connections: who has it, and what compresses for them. Frames are
 * compressed as they leave, whoever wrote them; those of a room once for all, by deliver_flush.c.
 */
#include "worker/deflate.h"

#include "proto/ws_deflate.h"

void deflate_agree(struct conn *c, unsigned bits)
{
	struct worker *wk = conn_worker(c);

	if (!wk->inflater)
		wk->inflater = ws_inflater_new();
	if (!wk->deflater)
		wk->deflater = ws_deflater_new();
	c->deflate_bits = (uint8_t)bits;
}

void deflate_reply(struct conn *c)
{
	struct buf plain = *c->reply;

	*c->reply = BUF_INIT;
	deflate_frames(conn_worker(c), c->deflate_bits, buf_str(&plain), c->reply);
	buf_done(&plain);
}

void deflate_frames(struct worker *wk, unsigned bits, struct str frames, struct buf *b)
{
	worker_count(wk, M_DEFLATES, (int64_t)ws_deflate_frames(wk->deflater, bits, frames, b));
}

void deflate_close(struct worker *wk)
{
	ws_inflater_free(&wk->inflater);
	ws_deflater_free(&wk->deflater);
}
