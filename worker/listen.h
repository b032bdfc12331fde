/* SPDX-License-Identifier: MIT */
/*
 * Accepts connections on the sockets that the master made, and refuses politely when there are
 * too many.
 */
#ifndef WORKER_LISTEN_H
#define WORKER_LISTEN_H

#include "worker/worker.h"

/* Starts accepting on every listening socket of this worker; while it drains, operations only. */
void listen_open(struct worker *wk);

/* Stops accepting for now. Safe to call twice. */
void listen_close(struct worker *wk);

/*
 * Stops accepting clients for good and lets go of their sockets, so that a successor of the whole
 * daemon can have the addresses while this worker still says good-bye. What waits in the queues
 * is the master's. WITH_OPS: the operations listener too, which else answers to the end: nobody
 * may be left to close it.
 */
void listen_give_up(struct worker *wk, bool with_ops);

#endif
