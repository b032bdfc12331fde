/* SPDX-License-Identifier: MIT */
/* Prints the figures of one run, for people or as one JSON object. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench/coord.h"

/* Prints to standard output. Returns the exit status: 0, or 1 if the run showed a fault (sockets
 * failed or lost, messages missing, twice or out of order, a standstill). */
int report_print(const struct conf *cf, const struct outcome *out);

/* Name of a mode or dialect as written on the command line. */
const char *report_mode(enum mode mode);
const char *report_dialect(enum dialect dialect);

#endif
