/* SPDX-License-Identifier: MIT */
/*
 * Counters and gauges: one block per slot, written by that slot's main thread only, summed by
 * whoever reads. Serving them over HTTP is worker/'s and daemon/'s business.
 */
#ifndef SHM_METRICS_H
#define SHM_METRICS_H

#include "base/buf.h"
#include "shm/shm.h"

enum metric {
#define X(id, name, labels, type, unit, help) M_##id,
#include "shm/metrics.def"
#undef X
	METRICS
};

enum metric_type {
	METRIC_COUNTER,
	METRIC_GAUGE,
	METRIC_GAUGE_EACH, /* of each slot by itself */
};

struct metric_info {
	const char *id, *name, *labels; /* labels in Prometheus form without braces, or "" */
	enum metric_type type;
	const char *unit, *help;
};

/* The block of the master, which has no slot: use it as ME. */
#define METRIC_MASTER SLOT_MAX

/*
 * Metric M of slot ME goes up by N; gauges may go down with a negative N. Counters of a slot
 * outlive its process.
 */
void metric_add(struct shm *shm, unsigned me, enum metric m, int64_t n);

/* A gauge's value of slot ME. */
void metric_set(struct shm *shm, unsigned me, enum metric m, int64_t value);

/*
 * One slot's value, and the sum over all slots and the master. Without locks: values of different
 * moments.
 */
int64_t metric_get(const struct shm *shm, unsigned slot, enum metric m);
int64_t metric_sum(const struct shm *shm, enum metric m);

const struct metric_info *metric_info(enum metric m);

/*
 * All sums in the Prometheus text format (version 0.0.4), and one value for each slot where the
 * table says so.
 */
void metric_print(const struct shm *shm, struct buf *ret);

/* The table as a JSON array of {name, labels, by_worker, type, unit, help}. */
void metrics_describe(struct buf *ret);

#endif
