/* SPDX-License-Identifier: MIT */
/*
 * The doubling delay. Timers are spawn.c's.
 */
#include "daemon/backoff.h"

uint64_t backoff_next(struct backoff *b, uint64_t lived_ms, uint64_t min_ms, uint64_t max_ms)
{
	uint64_t delay = min_ms;

	if (lived_ms >= BACKOFF_FORGIVE_MS)
		b->failures = 0;
	for (unsigned i = 0; i < b->failures && delay < max_ms; i++)
		delay *= 2;
	b->failures++;
	return MIN(delay, max_ms);
}
