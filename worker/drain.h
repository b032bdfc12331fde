/* SPDX-License-Identifier: MIT */
/*
 * Saying good-bye to all connections of a worker, spread over time so that they do not all return
 * at once. When a worker drains is worker.c's, what a connection is told is its protocol's.
 */
#ifndef WORKER_DRAIN_H
#define WORKER_DRAIN_H

#include "worker/worker.h"

/*
 * Idle HTTP connections and polling sessions without a request end at once; sockets are told now
 * when to come back and are closed evenly over as long as admission.rate needs to let them in
 * again, at most server.drain_spread. They work until then, polling sessions until their poll is
 * answered.
 */
void drain_begin(struct worker *wk);

/* Gives up a drain under way; the connections stay as they are. */
void drain_end(struct worker *wk);

#endif
