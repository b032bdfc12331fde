/* SPDX-License-Identifier: MIT */
/*
 * Freed memory that the C library keeps because a longer-lived block lies above it.
 * It gives back by itself only what is free at the heap's very end.
 */
#include "worker/heap.h"

#include <malloc.h>

#include "base/clock.h"
#include "worker/deliver.h"
#include "worker/worker.h"

#define TRIM_EVERY_MS 60000
#define TRIM_APART_MS 1000	/* between two workers: a look costs a pass over the free blocks */
#define TRIM_KEEP (128 * 1024) /* bytes at the heap's end that stay for what comes next */

/* Blocks that the C library maps one by one are live: it never keeps a free one. */
static struct mallinfo2 heap_note(struct worker *wk)
{
	struct mallinfo2 now = mallinfo2();

	metric_set(wk->shm, (unsigned)wk->slot, M_HEAP_LIVE,
		   (int64_t)(now.uordblks + now.hblkhd));
	metric_set(wk->shm, (unsigned)wk->slot, M_HEAP_FREE, (int64_t)now.fordblks);
	return now;
}

void heap_look(struct worker *wk)
{
	uint64_t now_ms = clock_mono_ms();

	if (wk->trim_at_ms == 0) {
		wk->trim_at_ms = now_ms + TRIM_EVERY_MS + (uint64_t)wk->slot * TRIM_APART_MS;
		heap_note(wk);
	}
	if (now_ms < wk->trim_at_ms)
		return;
	wk->trim_at_ms = now_ms + TRIM_EVERY_MS;
	deliver_spares_free(wk);
	buf_done(&wk->frame);
	buf_done(&wk->reply_frame);
	if (heap_note(wk).fordblks > TRIM_KEEP)
		malloc_trim(TRIM_KEEP);
}
