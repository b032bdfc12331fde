/* SPDX-License-Identifier: MIT */
/* Log-linear histogram: recording, merging, quantiles.
 * Leaves units and printing to the caller. */
#include "bench/hist.h"

static unsigned slot_of(uint64_t value)
{
	unsigned top, shift;

	if (value < 2 * HIST_STEPS)
		return (unsigned)value;
	top = 63u - (unsigned)__builtin_clzll(value);
	if (top >= HIST_TOP_BITS)
		return HIST_SLOTS - 1;
	shift = top - HIST_STEP_BITS;
	return shift * HIST_STEPS + (unsigned)(value >> shift);
}

/* The middle of what a slot holds; exact for the slots that hold one value only. */
static uint64_t slot_middle(unsigned slot)
{
	unsigned shift;
	uint64_t low;

	if (slot < 2 * HIST_STEPS)
		return slot;
	shift = slot / HIST_STEPS - 1;
	low = (uint64_t)(slot - shift * HIST_STEPS) << shift;
	return low + ((1ull << shift) >> 1);
}

void hist_record(struct hist *h, uint64_t value)
{
	h->slot[slot_of(value)]++;
	h->count++;
	h->sum += value;
	if (value > h->max)
		h->max = value;
}

void hist_merge(struct hist *into, const struct hist *from)
{
	for (unsigned i = 0; i < HIST_SLOTS; i++)
		into->slot[i] += from->slot[i];
	into->count += from->count;
	into->sum += from->sum;
	if (from->max > into->max)
		into->max = from->max;
}

uint64_t hist_quantile(const struct hist *h, double q)
{
	uint64_t rank, seen = 0, middle;

	if (!h->count)
		return 0;
	rank = (uint64_t)(q * (double)h->count);
	if (rank >= h->count)
		rank = h->count - 1;
	for (unsigned i = 0; i < HIST_SLOTS; i++) {
		seen += h->slot[i];
		if (seen > rank) {
			middle = slot_middle(i);
			return middle < h->max ? middle : h->max;
		}
	}
	return h->max;
}
