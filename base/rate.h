/* SPDX-License-Identifier: MIT */
/*
 * How often something may happen: "100/15m", "20/s burst 40", "off".
 * Counting is done elsewhere (shm/limits.h); this is the value and its text.
 */
#ifndef BASE_RATE_H
#define BASE_RATE_H

#include "base/base.h"
#include "base/buf.h"

/* COUNT 0: no limit, and everything else 0. Otherwise all three are positive. */
struct rate {
	uint32_t count;	   /* so many in every period */
	uint32_t burst;	   /* so many at once after a quiet time */
	int64_t period_ms;
};

#define RATE_COUNT_MAX 1000000000u
#define RATE_PERIOD_MAX_MS (INT64_C(365) * 86400000)

/*
 * Reads "COUNT/PERIOD", "COUNT/PERIOD burst COUNT" or "off". PERIOD is a unit (ms, s, m, h, d) with
 * or without a number before it; without "burst" the burst is COUNT. Returns 0, or
 * -ERR_INVAL, also for a burst that stands for more than 146 years.
 */
int rate_parse(struct str text, struct rate *ret) MUST_CHECK;

/* Appends the text that rate_parse reads. */
void rate_format(const struct rate *rate, struct buf *ret);

/* Nanoseconds after which one more may happen; 0 for no limit. */
uint64_t rate_interval_ns(const struct rate *rate);

#endif
