/* SPDX-License-Identifier: MIT */
/* A log-linear histogram of nanoseconds that lives in shared memory without pointers.
 * One writer each; readers merge copies. Reporting is report.c's. */
#ifndef BENCH_HIST_H
#define BENCH_HIST_H

#include <stdint.h>

/* 128 steps in each power of two: a value is known to 1/128, its middle to 0.4 %. */
#define HIST_STEP_BITS 7
#define HIST_STEPS (1u << HIST_STEP_BITS)
/* Values of 2^41 ns (36 minutes) and more are counted in the last slot. */
#define HIST_TOP_BITS 41
#define HIST_SLOTS ((HIST_TOP_BITS - HIST_STEP_BITS) * HIST_STEPS + HIST_STEPS)

struct hist {
	uint64_t count;
	uint64_t sum;
	uint64_t max;
	uint64_t slot[HIST_SLOTS];
};

/* Counts one value. No atomics: only the process that owns the histogram may call it. */
void hist_record(struct hist *h, uint64_t value);

/* Adds the counts of from to into. */
void hist_merge(struct hist *into, const struct hist *from);

/* The value below which the share q (0 to 1) of all values lies; 0 for an empty histogram. */
uint64_t hist_quantile(const struct hist *h, double q);

#endif
