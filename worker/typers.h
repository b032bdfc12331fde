/* SPDX-License-Identifier: MIT */
/*
 * Who types: sets in shared memory, told to a channel's receivers when they change, and whole to
 * whoever comes. When a mark runs out is watched by roster.c.
 */
#ifndef WORKER_TYPERS_H
#define WORKER_TYPERS_H

#include "worker/chan.h"
#include "worker/names.h"

/* What a channel was told. */
struct typers {
	uint64_t paid_ms;  /* when the sets sent so far are paid for */
	struct names told; /* to S4 sockets as typing */
};

/* The user of a subscription types, or has stopped. */
void typers_start(struct sub *sub);
void typers_stop(struct sub *sub);

/* Appends the set as it is now, in the terms of SUB's dialect; an empty one only IF_EMPTY. */
void typers_add(struct buf *b, const struct sub *sub, bool if_empty);

/*
 * Sends the channel the set that it is owed. Returns UINT64_MAX, or, when there were too many just
 * now, the time to come back; both times as clock_mono_ms.
 */
uint64_t typers_run(struct chan *ch, struct typers *t, uint64_t now_ms);

/* Frees what *T holds. */
void typers_done(struct typers *t);

#endif
