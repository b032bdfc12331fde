/* SPDX-License-Identifier: MIT */
/*
 * How long to wait before a crashed process is started again: doubling, forgiven after a long life.
 */
#ifndef DAEMON_BACKOFF_H
#define DAEMON_BACKOFF_H

#include "base/base.h"

/* A process that lived so long starts a new count. */
#define BACKOFF_FORGIVE_MS 60000

/* Zero-initialised: nothing has failed yet. */
struct backoff {
	unsigned failures; /* in a row */
};

/*
 * The process has died after LIVED_MS. Returns the delay in milliseconds: MIN_MS for the first
 * failure in a row, twice as much for each further one, at most MAX_MS.
 */
uint64_t backoff_next(struct backoff *b, uint64_t lived_ms, uint64_t min_ms, uint64_t max_ms);

#endif
