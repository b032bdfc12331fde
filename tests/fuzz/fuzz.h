/* SPDX-License-Identifier: MIT */
/*
 * What the fuzz targets share: their entry point and the check that ends a run.
 * Each target is built twice: with libFuzzer, and with replay.c for the corpus under make check.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include "base/base.h"
#include "base/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Ends the process when a property does not hold; unlike assert it cannot be compiled out. */
#define MUST(condition)                                                                            \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);            \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/*
 * Cuts an input into pieces: sizes come from a generator that the input's first byte seeds, so that
 * a finding repeats. Small pieces are the common case.
 */
struct cutter {
	uint32_t state;
};

/* The next size, at most LEFT; LEFT itself without a cutter. */
static inline size_t cutter_next(struct cutter *c, size_t left)
{
	size_t n = left;

	if (c) {
		c->state = c->state * 1664525u + 1013904223u;
		n = 1 + (c->state >> 28 ? (c->state >> 24) & 7 : (c->state >> 16) & 255);
	}
	return MIN(n, left);
}

#endif
