/* SPDX-License-Identifier: MIT */
/*
 * Slow mode: how soon somebody may speak again in a conversation.
 * Who is exempt is authz.c's, what may be said at all roles.c's.
 */
#ifndef WORKER_PACE_H
#define WORKER_PACE_H

#include "worker/roles.h"

/* What a message took of slow mode. */
struct pace {
	int64_t conv, user;
	int64_t slow_ms; /* 0: nothing */
};

/*
 * One message of USER in a conversation with these rights, if slow mode lets it through now: node-
 * exact. Else false and *RET_RETRY_MS. *RET is for pace_give_back, should the message not be
 * stored; ask for this last of all.
 */
bool pace_take(struct worker *wk, int64_t conv, const struct rights *r, struct pace *ret,
	       int64_t *ret_retry_ms);

/* Gives it back, once: another message may come in its place. */
void pace_give_back(struct worker *wk, struct pace *pace);

#endif
