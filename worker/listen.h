/* SPDX-License-Identifier: MIT */
/*
 * Accepts connections on the sockets that the master made, and refuses politely when there are too many.
 */
#ifndef WORKER_LISTEN_H
#define WORKER_LISTEN_H

#include "worker/worker.h"

/* Starts accepting on every listening socket of this worker. */
void listen_open(struct worker *wk);

/* Stops accepting for now. Safe to call twice. */
void listen_close(struct worker *wk);

/*
 * Stops accepting for good and lets go of the sockets, so that a successor of the whole daemon can have the
 * addresses while this worker still says good-bye. What waits in the queues is the master's.
 */
void listen_give_up(struct worker *wk);

#endif
