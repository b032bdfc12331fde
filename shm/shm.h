/* SPDX-License-Identifier: MIT */
/*
 * The face of shm/: everything the processes of one node share, in one mapped memory file.
 * It carries opaque bytes and numbers; what an event means is known to proto/ and worker/ only.
 *
 * segment.h   create, map and detach the memory
 * slots.h     process slots: life, heartbeat, conversations with a commit in flight
 * rooms.h     rooms with members on this node: who listens, what was published
 * presence.h  members: connections per (slot, room, user), grace, rosters
 * users.h     connected users: names, presence state
 * typing.h    who is typing where
 * revoked.h   sessions and users whose credentials are refused
 * ring.h      the ring of recent events
 * limits.h    how often somebody may do something
 * metrics.h   counters and gauges
 * recover.h   what a survivor does for a dead process
 * lock.h      the shared locks under all of it (users of the above need none of them)
 *
 * Conventions. ME is the caller's own slot (0 to n_slots - 1), which it opened with slot_open. A
 * conversation and a user are positive ids. Times are milliseconds of clock_mono_ms(), which is
 * the same clock in every process of the node. Callbacks run with no lock held and may call
 * anything here. Functions that take shared locks wait at most SHM_WAIT_MS and then return
 * -ERR_TIMEOUT: a lost precondition that ends the worker.
 */
#ifndef SHM_SHM_H
#define SHM_SHM_H

#include "base/base.h"
#include "base/ids.h"

struct shm; /* opaque: one process's view of the segment */

/* Longest wait for one shared lock, which is held for microseconds unless its owner was stopped. */
#define SHM_WAIT_MS 2000

/* Longest name of a user in bytes: 100 characters of UTF-8. */
#define SHM_NAME_MAX 400

#endif
