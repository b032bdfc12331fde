/* SPDX-License-Identifier: MIT */
/*
 * Who is here: sets read from shared memory, sent to a channel's receivers when they change, with
 * those of typers.c. Newest state wins; several changes become one frame. Being online at all is
 * presence.c's.
 */
#ifndef WORKER_ROSTER_H
#define WORKER_ROSTER_H

#include "proto/event.h"
#include "worker/chan.h"

/* The channel owes its receivers a user list. */
void roster_mark(struct chan *ch);

/*
 * Somebody came to the channel's conversation or left it: an event of the ring. Told at once or
 * with others.
 */
void roster_event(struct chan *ch, const struct event *ev);

/*
 * Receivers may have missed comings and goings: they are sent the whole sets with the next
 * chance.
 */
void roster_restate(struct chan *ch);

/*
 * While arrivals wait to be told together, a newcomer waits for that: nobody is told of his own
 * arrival. True when SUB was put aside; it is on worker.entering again afterwards.
 */
bool roster_park(struct sub *sub);

/*
 * The subscription went live: it alone is sent the sets as they are. IS_AGAIN: it was sent others
 * before and may have missed the last, so that it is told as well if nobody types.
 */
void roster_greet(struct sub *sub, bool is_again);

/* Sends the sets that are due. Returns the time of the next one, UINT64_MAX for none. */
uint64_t roster_run(struct chan *ch, uint64_t now_ms);

/*
 * Ends graces and typing marks of this worker whose time has come. False when none are left to
 * watch.
 */
bool roster_expire(struct worker *wk);

/* Frees what is kept for a channel. */
void roster_done(struct chan *ch);

#endif
