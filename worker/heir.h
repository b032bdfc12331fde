/* SPDX-License-Identifier: MIT */
/*
 * What a survivor does for a dead worker: takes over its members, announces what it had committed.
 */
#ifndef WORKER_HEIR_H
#define WORKER_HEIR_H

#include "worker/worker.h"

/* Registers this process in its slot, recovering what the slot's former process left. Returns 0 or -ERR_x. */
int heir_take_over_own_slot(struct worker *wk) MUST_CHECK;

/* Announces what dead workers committed and never announced; done ones take themselves off the list. */
void heir_announce(struct worker *wk);

/* Looks for dead workers and unannounced conversations. Called each second and after a wake-up. */
void heir_look(struct worker *wk);

#endif
