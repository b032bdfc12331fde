/* SPDX-License-Identifier: MIT */
/*
 * The user list of a large room on its way to raw sockets: to some of them at a time, so that the
 * bytes per second stay below presence.room_rate. Whether a room is large, and what small ones
 * are sent, is roster.c's.
 */
#ifndef WORKER_WAVE_H
#define WORKER_WAVE_H

#include "worker/chan.h"

/* Zero-initialised: nothing to send. */
struct wave {
	struct buf frame;    /* the list in version MADE; empty: to be made */
	uint32_t version;    /* of the room */
	/* of the frame: sockets with another one (struct sub.list_version) need it */
	uint32_t made;
	uint32_t at;	     /* the receiver to go on with */
	bool is_due;	     /* somebody may need it */
	uint64_t run_at_ms;  /* not before */
	uint64_t make_at_ms; /* a new list not before */
};

/* Somebody came or left: all need a new list. */
void wave_change(struct wave *w);

/* A newcomer needs the list. */
void wave_want(struct wave *w);

/*
 * Sends what may be sent by now. Returns the time to go on, UINT64_MAX when everybody has the
 * latest list.
 */
uint64_t wave_run(struct chan *ch, struct wave *w, uint64_t now_ms);

/* The room is not large any more, or gone. */
void wave_stop(struct wave *w);

#endif
