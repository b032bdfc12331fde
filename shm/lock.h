/* SPDX-License-Identifier: MIT */
/*
 * Process-shared futex locks that survive their owner: the next taker inherits a dead owner's
 * lock and is told. Repair of what a lock guards is its user's business (shm/ does it itself in
 * all its functions).
 */
#ifndef SHM_LOCK_H
#define SHM_LOCK_H

#include "base/buf.h"
#include "shm/shm.h"

enum lock_id {
#define X(name, rank, shards, guards) LOCK_##name,
#include "shm/locks.def"
#undef X
	LOCK_IDS
};

/*
 * Takes shard SHARD of lock ID for slot ME, waiting until DEADLINE_MS (clock_mono_ms; 0 = one
 * attempt). Returns
 *   0             taken, what it guards is sound
 *   -ERR_DIRTY    taken too, but its owner died inside (or a former heir did not finish):
 *                 repair, then lock_clean
 *   -ERR_TIMEOUT  not taken: the owner is alive and keeps it
 * Taking a lock out of rank order, or twice, is an assertion. Never allocate, log or make a
 * system call under a lock.
 */
int lock_take(struct shm *shm, enum lock_id id, unsigned shard, unsigned me,
	      uint64_t deadline_ms) MUST_CHECK;

/* The data of an inherited lock is sound again. The lock stays held. */
void lock_clean(struct shm *shm, enum lock_id id, unsigned shard, unsigned me);

/*
 * Lets go. A lock released without lock_clean stays dirty: the next taker gets -ERR_DIRTY as
 * well.
 */
void lock_drop(struct shm *shm, enum lock_id id, unsigned shard, unsigned me);

/*
 * True when the lock is marked dirty or held by a dead run of any process: somebody must take and
 * repair it.
 */
bool lock_is_orphan(struct shm *shm, enum lock_id id, unsigned shard);

unsigned lock_shards(enum lock_id id);
unsigned lock_rank(enum lock_id id);

/* The table as a JSON array of {name, rank, shards, guards}. */
void lock_describe(struct buf *ret);

#endif
