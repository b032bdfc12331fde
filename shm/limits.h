/* SPDX-License-Identifier: MIT */
/*
 * Allowances of addresses, users and conversations, counted once for all processes of the node.
 * Who is limited, and how much, is worker/limits.h.
 *
 * A bucket is the moment at which it will be full again (the generic cell rate algorithm), which
 * says the same as a number of tokens and the time of its last change. It lies in the set that its
 * key names; when all of a set are in use, the one that is full first is forgotten.
 */
#ifndef SHM_LIMITS_H
#define SHM_LIMITS_H

#include "shm/shm.h"

struct limit_rule {
	uint64_t interval_ns; /* one token comes back in so long; positive */
	uint32_t burst;	      /* tokens of a full bucket; positive */
};

struct limit_state {
	bool is_taken;
	uint32_t remaining; /* whole tokens left */
	uint64_t retry_ns;  /* refused: until so many are there; else 0. UINT64_MAX: never */
	uint64_t full_ns;   /* until the bucket is full */
};

/*
 * The key of a bucket, never 0: CLASS tells the same bytes of different rules apart. Keyed with a
 * secret of the segment, so that nobody can choose whose bucket he shares or drives out.
 */
uint64_t limit_key(const struct shm *shm, unsigned class, const void *p, size_t len);

/*
 * Takes N tokens from the bucket of KEY if it has them; else none. N 0 only looks. NOW_NS is
 * clock_mono_ns(). Returns 0, or -ERR_TIMEOUT (SHM_WAIT_MS), which ends the worker.
 */
int limit_take(struct shm *shm, unsigned me, uint64_t key, const struct limit_rule *rule,
	       uint32_t n, uint64_t now_ns, struct limit_state *ret) MUST_CHECK;

/* Puts N tokens back; a full bucket stays full. Returns as limit_take. */
int limit_give(struct shm *shm, unsigned me, uint64_t key, const struct limit_rule *rule,
	       uint32_t n, uint64_t now_ns) MUST_CHECK;

/* The bucket is full again. Returns as limit_take. */
int limit_forget(struct shm *shm, unsigned me, uint64_t key) MUST_CHECK;

/*
 * The rule alone, for buckets that no other process sees: *TAT_NS is the bucket, 0 a full one.
 */
void limit_apply(uint64_t *tat_ns, const struct limit_rule *rule, uint32_t n, uint64_t now_ns,
		 struct limit_state *ret);

#endif
