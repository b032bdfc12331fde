/* SPDX-License-Identifier: MIT */
/*
 * Catching up: everything after a position, in order and once, from the ring or from the
 * database, up to the moment at which the connection can join the live receivers.
 */
#ifndef WORKER_CHAN_REPLAY_H
#define WORKER_CHAN_REPLAY_H

#include "worker/chan.h"

/*
 * SUB, in no list and no array, is to get what its channel has delivered after sub->rev. Goes on
 * each turn.
 */
void chan_replay_start(struct sub *sub);

/* The socket of a subscription that waits for it took everything. */
void chan_replay_resume(struct sub *sub);

/*
 * The queue of a live subscription's socket is at its bound: no more is queued, everything after
 * REV follows when it has drained. Takes SUB out of the array of receivers.
 */
void chan_replay_behind(struct sub *sub, int64_t rev);

/*
 * Events between the position of SUB and FIRST are not there any more: it is told so. False: that
 * has ended the subscription; else it stands before FIRST now.
 */
bool chan_replay_gap(struct sub *sub, int64_t first);

/*
 * The sequence number that goes with event REV, from its record in the ring; -1 when it is not
 * there.
 */
int64_t chan_replay_seq(struct chan *ch, int64_t rev);

/* Does a share of the catching up that can be done now. Called once a turn. */
void chan_replay_run(struct worker *wk);

/* Calls ON_LATE for each connection with a subscription that is behind since before SINCE_MS. */
void chan_replay_late(struct worker *wk, uint64_t since_ms,
		      void (*on_late)(struct conn *c, void *arg), void *arg);

/*
 * Drops what is known of a channel's place in the ring when nobody has used it for long. Returns
 * the time of the next look, UINT64_MAX for none.
 */
uint64_t chan_replay_age(struct chan *ch, uint64_t now_ms);
void chan_replay_done(struct chan *ch);

#endif
