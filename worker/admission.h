/* SPDX-License-Identifier: MIT */
/*
 * How many newcomers a worker lets in at once, and when those it turns away should come again.
 * Which requests are newcomers is decided by those who call admission_pass.
 */
#ifndef WORKER_ADMISSION_H
#define WORKER_ADMISSION_H

#include "base/base.h"
#include "base/buf.h"

struct worker;

/* Part of struct worker; zero is the state at the start. Times are CLOCK_MONOTONIC. */
struct admission {
	double tokens;	   /* handshakes that may begin at once */
	double turned_away; /* those sent away who are expected back; shrinks by the rate */
	uint64_t at_ns;	   /* when both were last brought up to date; 0: never */
	uint64_t random;   /* state of the jitter; 0: not seeded */
};

/*
 * Takes one handshake's share of admission.rate (of which each worker has its part). False when
 * there is none left: refuse with worker_retry_ms before anything expensive was done. Always true
 * with a rate of 0.
 */
bool admission_pass(struct worker *wk);

/*
 * After how many milliseconds a client that is refused now should try again, at least 500. It has
 * jitter, so that a crowd that was refused together does not return together, and grows with the
 * size of that crowd.
 */
int64_t worker_retry_ms(struct worker *wk);

/*
 * Appends the whole answer to a connection whose request is not read: 503, when to come again, and
 * that it closes.
 */
void admission_add_refusal(struct worker *wk, struct buf *b);

/* A random whole number of 0 to LIMIT, for spreading in time; not for secrets. */
uint64_t worker_jitter(struct worker *wk, uint64_t limit);

#endif
