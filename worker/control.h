/* SPDX-License-Identifier: MIT */
/*
 * The worker's end of its line to the master: orders in, readiness out, and the life-line.
 */
#ifndef WORKER_CONTROL_H
#define WORKER_CONTROL_H

#include "worker/worker.h"

/* Longest order of the master, in bytes. */
#define CONTROL_ORDER_MAX 1024

void control_open(struct worker *wk);
void control_close(struct worker *wk);

/* One message to the master; lost when the master does not take it at once. */
void control_say(struct worker *wk, const char *text);

#endif
