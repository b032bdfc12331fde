/* SPDX-License-Identifier: MIT */
/*
 * Who is online on this node: connections enter and leave, changes are told in batches to whom
 * the scope allows. The truth is the membership of MEMBER_NODE in shm/; who is in which room is
 * roster.c's.
 */
#ifndef WORKER_PRESENCE_H
#define WORKER_PRESENCE_H

#include "base/base.h"
#include "proto/event.h"
#include "worker/conn.h"
#include "worker/worker.h"

/*
 * A connection whose user is known (c->user, c->name) counts for its presence from now on. Does
 * nothing for user 0. Call once, after the welcome is queued.
 */
void presence_enter(struct conn *c);

/*
 * The connection counts no more; END decides for how long its user stays. May be called again, or
 * without enter.
 */
void presence_leave(struct conn *c, enum conn_end end);

/* How long a user stays after the last connection ended like this, in milliseconds. */
uint64_t presence_grace(const struct worker *wk, enum conn_end end);

/* An event of MEMBER_NODE from the ring. */
void presence_event(struct worker *wk, const struct event *ev);

/* Tells what is due. Called once a turn. */
void presence_run(struct worker *wk);

/* Looks whether the scope has changed. Called each second. */
void presence_look(struct worker *wk);

/*
 * Events may have been missed: what was told is compared with the truth, and rooms are told their
 * lists again.
 */
void presence_resync(struct worker *wk);

/* A socket took everything again: makes good what it was not told meanwhile. */
void presence_catch_up(struct conn *c);

/* Whether comings and goings on the node are told at all: else nobody needs an event. */
bool presence_is_told(const struct worker *wk);

/* The scope in force: "all", "shared" or "off"; static. */
struct str presence_scope(const struct worker *wk);

/*
 * Asks all workers to compare (presence_resync): after a death, whose last announcements may be
 * missing.
 */
void presence_ask_resync(struct worker *wk);

void presence_open(struct worker *wk);
void presence_close(struct worker *wk);

#endif
