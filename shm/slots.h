/* SPDX-License-Identifier: MIT */
/*
 * Process slots: who runs where, since when, and which conversations have a commit in flight.
 * Starting, stopping and replacing processes is the master's business; recovery of a dead slot is
 * in recover.h.
 */
#ifndef SHM_SLOTS_H
#define SHM_SLOTS_H

#include <sys/types.h>

#include "shm/shm.h"

enum slot_state {
	SLOT_FREE,     /* nobody */
	SLOT_STARTING, /* reserved by the master, perhaps opened by its process */
	SLOT_READY,    /* serves clients */
	SLOT_DRAINING, /* serves its clients, takes no new ones */
	SLOT_DEAD,     /* its process is gone; survivors recover what it left */
};

/*
 * Conversations whose commit may be in flight at once; beyond it the list means "all rooms of
 * this slot", those without members here left out: so it holds the largest round of a worker.
 */
#define SLOT_INFLIGHT_MAX 4160

/*
 * Server processes of the database that a slot remembers: the latest of its own and of those it
 * inherited.
 */
#define SLOT_BACKENDS_MAX 16

/* Name of a state for people; "unknown" for anything else. Static. */
const char *slot_state_name(enum slot_state state);

/*
 * Master, before it forks the process of SLOT: next generation, state STARTING, no pid. Returns
 * 0, -ERR_INVAL (no such slot) or -ERR_EXISTS (its process has not been closed yet).
 */
int slot_reserve(struct shm *shm, unsigned slot, uint32_t *ret_generation) MUST_CHECK;

/*
 * The process itself, first thing after the fork: says who it is. Returns 0: the slot may be
 * used. -ERR_DIRTY: the pid is registered, but what the slot's former process left is not
 * recovered; call recover_slot(shm, me = slot, slot, …) and then slot_open again (recover_slot
 * answers -ERR_AGAIN while a survivor is doing it). -ERR_INVAL: not the generation that was
 * reserved.
 */
int slot_open(struct shm *shm, unsigned slot, pid_t pid, uint32_t generation) MUST_CHECK;

/*
 * Master, when the process of this generation is gone, best before its pid is reaped: state DEAD.
 * Recovery then is the survivors' work (or the next process's of the slot). A stale generation
 * changes nothing.
 */
void slot_close(struct shm *shm, unsigned slot, uint32_t generation);

/* The process itself: STARTING to READY, READY to DRAINING. Clears nothing else. */
void slot_set_state(struct shm *shm, unsigned me, enum slot_state state);

/* One turn of the event loop passed at NOW (clock_mono_ms). */
void slot_beat(struct shm *shm, unsigned me, uint64_t now);

/*
 * Whether the process of the slot's present generation runs: state, exit of its pid (a zombie is
 * dead) and start time are checked, so a reused pid does not deceive. System calls: not for hot
 * paths.
 */
bool slot_alive(struct shm *shm, unsigned slot);

struct slot_info {
	unsigned slot;
	enum slot_state state;
	pid_t pid;		/* 0 before slot_open */
	uint32_t generation;	/* 0 when the slot was never used */
	uint64_t heartbeat_ms;	/* last slot_beat, 0 before */
	uint64_t ring_cursor;	/* offset up to which it has read */
	uint64_t ring_behind;	/* bytes published since */
	uint32_t inflight;	/* conversations in flight */
	bool is_asleep;		/* waits for a wake-up */
	bool is_clean;		/* nothing of a former run is left to recover */
};

/* A snapshot without locks. Returns 0 or -ERR_INVAL. */
int slot_read(struct shm *shm, unsigned slot, struct slot_info *ret) MUST_CHECK;

/*
 * Before a commit: CONVS (N ids) are in flight, replacing the former list in one step. More than
 * SLOT_INFLIGHT_MAX are stored as "all rooms of this slot". N = 0 clears. Owner only.
 */
void slot_inflight_set(struct shm *shm, unsigned me, const int64_t *convs, size_t n);

/*
 * A server process of the database works for this slot: until it has ended, what it was sent may
 * still be committed. The oldest of too many is forgotten. Owner only.
 */
void slot_backend_add(struct shm *shm, unsigned me, int32_t pid);
void slot_backend_remove(struct shm *shm, unsigned me, int32_t pid);

/* Those of SLOT, in no order; returns their number. */
unsigned slot_backends(const struct shm *shm, unsigned slot, int32_t ret[SLOT_BACKENDS_MAX]);

/* No commit is in flight any more. */
void slot_inflight_clear(struct shm *shm, unsigned me);

#endif
