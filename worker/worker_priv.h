/* SPDX-License-Identifier: MIT */
/*
 * The two ends of worker_main, for programs that turn the loop themselves: the unit tests.
 */
#ifndef WORKER_WORKER_PRIV_H
#define WORKER_WORKER_PRIV_H

#include "worker/worker.h"

/*
 * A worker with everything but listening sockets; its loop has not turned yet. NULL: no loop.
 * exit_code says whether its slot could be opened.
 */
struct worker *worker_open(const struct worker_boot *boot);

/* Ends every connection and frees all, boot->settings included. */
void worker_close(struct worker *wk);

#endif
