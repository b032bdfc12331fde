/* SPDX-License-Identifier: MIT */
/* Runs one measurement: forks the generators, leads them through the stages, takes the figures.
 * Printing is report.c's. */
#ifndef BENCH_COORD_H
#define BENCH_COORD_H

#include "bench/proctree.h"
#include "bench/roombench.h"

/* Sums over all generator processes at one moment. */
struct totals {
	uint64_t live, failed, lost, sends, deliveries, acks, errors, strays, others, reads, bytes,
		handshakes, cut, resumed, retries, gaps;
};

/* One moment: the sums and what everybody has cost so far. */
struct moment {
	uint64_t ns;
	struct totals totals;
	struct proctree server, db, self;
	uint64_t host_us;           /* CPU time of everything on this machine */
};

/* order: the comparison of what the sockets received. */
struct order_result {
	uint64_t expected;          /* deliveries in all */
	uint64_t missing, twice, out_of_order;
	unsigned rooms_equal;
};

struct outcome {
	struct moment begin, end;   /* around the measured time */
	struct moment last;         /* after the drain */
	struct proctree server_before, server_after, db_before, db_after; /* memory, idle */
	uint64_t slab_before_kb, slab_after_kb;
	double connect_seconds;
	bool is_stalled;            /* nothing arrived for seconds in the midst of the run */
	struct order_result order;
	struct hist delivery, ack, handshake, lateness, resume;
	char trouble[200];
};

/* Returns 0 with *ret_outcome filled, or -1 after printing why nothing could be measured. */
int coord_run(struct conf *cf, struct outcome *ret_outcome);

#endif
