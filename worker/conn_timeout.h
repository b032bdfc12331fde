/* SPDX-License-Identifier: MIT */
/*
 * Deadlines of connections: a queue per kind of wait. All waits of a kind are equally long, so
 * each queue is in order of time and one timer serves them all.
 */
#ifndef WORKER_CONN_TIMEOUT_H
#define WORKER_CONN_TIMEOUT_H

#include "worker/conn.h"

/* Makes wk->timeouts, idle. */
void timeouts_open(struct worker *wk);

/* No connection may wait any more. */
void timeouts_close(struct worker *wk);

#endif
