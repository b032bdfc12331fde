/* SPDX-License-Identifier: MIT */
/*
 * Whether the node can serve clients, as all workers together see it: from their slots and gauges
 * in shared memory. Telling it to operators is ops_status.c's.
 */
#ifndef WORKER_READINESS_H
#define WORKER_READINESS_H

#include "base/base.h"
#include "base/buf.h"
#include "worker/worker.h"

/* Why a node is not ready, a bit each. */
enum readiness {
	READY_NO_WORKER = 1 << 0, /* none that has said ready and still turns */
	READY_DRAINING = 1 << 1,
	READY_NO_DATABASE = 1 << 2, /* none of them has a connection that answers */
	READY_NO_SCHEMA = 1 << 3,   /* none of them has seen the schema it needs */
};

/* The reasons, 0 when the node is ready. */
unsigned readiness_of(const struct worker *wk);

/* Appends {"status","reasons":[…],"workers":[…]}. */
void readiness_print(const struct worker *wk, unsigned reasons, struct buf *b);

/*
 * Has a look at the schema; called once a second. The answer becomes this worker's gauge
 * M_DB_SCHEMA.
 */
void readiness_look(struct worker *wk);

#endif
