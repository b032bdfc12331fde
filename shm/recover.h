/* SPDX-License-Identifier: MIT */
/*
 * What one survivor does for a dead process, so that nothing of it stays behind and nothing is
 * lost. Asking the database about conversations in flight and announcing what was committed is
 * the caller's business.
 */
#ifndef SHM_RECOVER_H
#define SHM_RECOVER_H

#include "shm/shm.h"

struct recover_calls {
	void *arg;
	void (*on_typing)(void *arg, int64_t conv); /* the room's typing set changed; may be NULL */
};

struct recover_result {
	uint32_t members;  /* records of the dead slot that were taken over */
	uint32_t inflight; /* conversations now in the caller's inherited list */
	uint64_t wake;	   /* slots that may have missed a wake-up: ring their eventfds */
};

/*
 * A slot that needs recovery: its process died and it is not clean. *RET_SLOT may be ME itself
 * (its former process). Call when told of a death and in a slow timer. System calls. Returns 0 or
 * -ERR_NOENT.
 */
int recover_next(struct shm *shm, unsigned me, unsigned *ret_slot) MUST_CHECK;

/* A recovery in pieces, for a process that has other things to do between them. */
enum recover_step {
	RECOVER_CLAIMED, /* next: take over the conversations in flight */
	RECOVER_LOCKS,	 /* from here on they stand in the inherited list */
	RECOVER_MEMBERS,
	RECOVER_TYPING,
	RECOVER_USERS,
	RECOVER_END,
	RECOVER_DONE,
};

struct recover_run {
	unsigned dead;
	enum recover_step step;
	uint32_t pos; /* in the table of the step */
	uint64_t grace_until_ms;
	struct recover_result result; /* complete when DONE */
};

/*
 * Claims DEAD_SLOT: nobody else recovers it until the run has ended, or this process. One run at
 * a time. Returns as recover_slot.
 */
int recover_begin(struct shm *shm, unsigned me, unsigned dead_slot, uint64_t grace_until_ms,
		  struct recover_run *ret) MUST_CHECK;

/*
 * The next piece: about BUDGET records. Returns -ERR_AGAIN when there is more to do; 0 when all
 * is done, or -ERR_TIMEOUT: either way the claim is given up and the run over.
 */
int recover_step(struct shm *shm, unsigned me, const struct recover_calls *calls, uint32_t budget,
		 struct recover_run *run) MUST_CHECK;

/* Gives the claim up without an end: somebody begins again. */
void recover_abandon(struct shm *shm, unsigned me, struct recover_run *run);

/*
 * Ids of rooms from *POS (first 0) on into RET_CONVS, at most MAX: for who must look at all of
 * them. No lock is taken: rooms that come or go meanwhile may be left out. Returns the number, 0
 * at the end.
 */
uint32_t recover_rooms(const struct shm *shm, uint32_t *pos, int64_t *ret_convs, uint32_t max);

/*
 * Recovers DEAD_SLOT completely: repairs the locks it held, moves its conversations in flight to
 * the inherited list of slot ME, makes its members linger here until GRACE_UNTIL_MS, drops its
 * typing marks, resets what its reader left, marks the slot clean. Takes milliseconds with a
 * million records. If ME dies in the middle, another caller does all of it again. Returns 0,
 * -ERR_AGAIN (somebody else is at it), -ERR_NOENT (already clean, or its process lives),
 * -ERR_TIMEOUT.
 */
int recover_slot(struct shm *shm, unsigned me, unsigned dead_slot, uint64_t grace_until_ms,
		 const struct recover_calls *calls, struct recover_result *ret) MUST_CHECK;

/*
 * The inherited list of slot ME: conversations in which a dead process may have committed what it
 * never announced. At most MAX into RET_CONVS; *RET_IS_ALL: the list was too long, every room of
 * this node is meant as well. Returns the number. It survives this process: whoever recovers ME
 * inherits it in turn.
 */
uint32_t recover_inherited(struct shm *shm, unsigned me, int64_t *ret_convs, uint32_t max,
			   bool *ret_is_all);

/*
 * Puts CONV on the inherited list of slot ME, once: what may have been committed in it is not
 * announced yet. A list that is full becomes "all rooms".
 */
void recover_inherit(struct shm *shm, unsigned me, int64_t conv);

/* CONV has been announced: off the list. 0 clears the "all rooms" mark. */
void recover_announced(struct shm *shm, unsigned me, int64_t conv);

/*
 * Rebuilds everything derived (chains, lists, counts, bitmaps, free lists) from the member,
 * typing and user records, shard by shard under the locks. For an operator's check, and tests.
 * Returns 0 or -ERR_TIMEOUT.
 */
int shm_rebuild(struct shm *shm, unsigned me) MUST_CHECK;

/*
 * Compares derived data with the records without changing them. Returns 0, -ERR_CORRUPT or
 * -ERR_TIMEOUT.
 */
int shm_verify(struct shm *shm, unsigned me) MUST_CHECK;

#endif
