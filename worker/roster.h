/* SPDX-License-Identifier: MIT */
/*
 * Who is here and who types: sets read from shared memory, sent to a channel's receivers when they change.
 * Newest state wins; several changes become one frame.
 */
#ifndef WORKER_ROSTER_H
#define WORKER_ROSTER_H

#include "worker/chan.h"

/* The channel owes its receivers a user list. */
void roster_mark(struct chan *ch);

/* The user of a subscription types, or has stopped. */
void roster_start_typing(struct sub *sub);
void roster_stop_typing(struct sub *sub);

/* Sends the sets that are due. Returns the time of the next one, UINT64_MAX for none. */
uint64_t roster_run(struct chan *ch, uint64_t now_ms);

/* Ends graces and typing marks of this worker whose time has come. False when none are left to watch. */
bool roster_expire(struct worker *wk);

#endif
