/* SPDX-License-Identifier: MIT */
/*
 * Time: monotonic for intervals, wall clock for stamps. No time zone but UTC.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include "base/base.h"

uint64_t clock_mono_ns(void);
uint64_t clock_mono_ms(void);
/* Processor time of this thread; waiting for a busy machine is not in it. */
uint64_t clock_cpu_ns(void);
int64_t clock_wall_ms(void); /* milliseconds since 1970 */

#define CLOCK_RFC3339_LEN 24 /* 2026-01-02T03:04:05.678Z */

/* Writes the RFC 3339 form with milliseconds, and a NUL; years 0001 to 9999. */
void clock_format(int64_t wall_ms, char ret[CLOCK_RFC3339_LEN + 1]);

#endif
