/* SPDX-License-Identifier: MIT */
/*
 * Puts canonical events into the ring, for this worker's members as for all others.
 * Reading them back and delivering is ringpump.c's and deliver.c's.
 */
#ifndef WORKER_FANOUT_H
#define WORKER_FANOUT_H

#include "base/base.h"
#include "proto/event.h"
#include "worker/worker.h"

/*
 * Publishes N events in order under one taking of the ring's lock and wakes who sleeps. Returns
 * the ring position behind them: who has read so far has seen them.
 */
uint64_t fanout_publish(struct worker *wk, const struct event *events, size_t n);

/* Rings the eventfds of SLOTS, a bit each; this worker's own loop is kept awake instead. */
void fanout_wake(struct worker *wk, uint64_t slots);

/*
 * Hands BYTES to every other worker of the node, as a record about no conversation. Each kind
 * begins with eight characters of its own (ringpump.c). Returns 0 or what the ring says.
 */
int fanout_control(struct worker *wk, const void *bytes, size_t len) MUST_CHECK;

/* The same to SLOTS, a bit each; this worker may be among them. */
int fanout_control_to(struct worker *wk, uint64_t slots, const void *bytes, size_t len) MUST_CHECK;

/* A user's first connection to a conversation came (or the last went). */
uint64_t fanout_presence(struct worker *wk, int64_t conv, int64_t user, struct str name, bool on,
		     enum presence_reason reason);

/* The set of typing users of a conversation changed. */
void fanout_typing(struct worker *wk, int64_t conv, int64_t user, bool on);

/* Announces event REV of CONV unless this node has done so: a repeated send cannot tell. */
void fanout_ensure(struct worker *wk, int64_t conv, int64_t rev);

/*
 * Announces what the log of CONV holds beyond what this node has published: after a crash, or
 * when it is unknown whether an earlier announcement was made. Receivers drop what they had.
 * Until it is done the conversation stands in this slot's inherited list, so that another worker
 * does it should this one die.
 */
void fanout_republish(struct worker *wk, int64_t conv);

/* True when no announcement from the log is under way. */
bool fanout_is_idle(const struct worker *wk);

/*
 * Forgets server processes of connections that were lost a minute ago: their ids may be others'
 * soon. Called each second.
 */
void fanout_forget(struct worker *wk);

/* Announcements under way are given up; the inherited list has them still. */
void fanout_close(struct worker *wk);

#endif
