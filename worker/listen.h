/* SPDX-License-Identifier: MIT */
/*
 * Accepts connections on the sockets that the master made, and refuses politely when there are too many.
 */
#ifndef WORKER_LISTEN_H
#define WORKER_LISTEN_H

#include "worker/worker.h"

/* Starts accepting on every listening socket of this worker. */
void listen_open(struct worker *wk);

/* Stops accepting; what waits in the queues is left to a successor. Safe to call twice. */
void listen_close(struct worker *wk);

#endif
