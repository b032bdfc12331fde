/* SPDX-License-Identifier: MIT */
/*
 * What a survivor does for a dead worker: takes over its members, announces what it had committed.
 */
#ifndef WORKER_HEIR_H
#define WORKER_HEIR_H

#include "worker/worker.h"

/*
 * Registers this process in its slot, recovering what the slot's former process left. Returns 0
 * or -ERR_x.
 */
int heir_take_over_own_slot(struct worker *wk) MUST_CHECK;

/*
 * Announces what dead workers committed and never announced; done ones take themselves off the
 * list.
 */
void heir_announce(struct worker *wk);

/*
 * Looks for dead workers and begins with their recovery. Called each second, and when the master
 * tells of a death.
 */
void heir_look(struct worker *wk);

/* Goes on with a recovery, a few milliseconds at a time. Called once a turn. */
void heir_run(struct worker *wk);

/* A recovery under way is left to others. */
void heir_close(struct worker *wk);

#endif
