/* SPDX-License-Identifier: MIT */
/*
 * Reads the ring and hands each event to its channel; sleeps and wakes by this slot's eventfd.
 * What an event does is chan_order.c's.
 */
#ifndef WORKER_RINGPUMP_H
#define WORKER_RINGPUMP_H

#include "worker/worker.h"

/* Stands at the ring's tail: open before the first member is attached. */
void ringpump_open(struct worker *wk);
void ringpump_close(struct worker *wk);

/* Reads what is there, at most a budget per turn. Called once a turn. */
void ringpump_drain(struct worker *wk);

/*
 * Before the loop sleeps: asks to be woken, or keeps the loop awake when there is more. Called
 * once a turn.
 */
void ringpump_sleep(struct worker *wk);

/* Every event before this ring position has been handed to its channel. */
uint64_t ringpump_position(const struct worker *wk);

#endif
