/* SPDX-License-Identifier: MIT */
/*
 * Messages are announced to every socket of the other members of their conversation that speaks
 * S4, whether it follows the conversation or not: once each, and those of one conversation in the
 * order of the log, whichever workers stored them. What follows a conversation is chan.h's.
 *
 * Whoever has stored messages rings the worker that is in charge of their conversation. That one
 * reads behind the last message that it announced, so a bell that is late or lost costs nothing but
 * time, and hands each message to the workers that its receivers are connected to. Announcements
 * are not kept: who was away reads the counters and the history.
 */
#ifndef WORKER_NOTICES_H
#define WORKER_NOTICES_H

#include "base/base.h"
#include "proto/event.h"
#include "worker/conn.h"
#include "worker/worker.h"

/* After N events were committed. Nothing happens for other events than messages. */
void notices_stored(struct worker *wk, const struct event *events, size_t n);

/* A connection of DIALECT_S4 knows its user now; it ends, or has never entered. */
void notices_enter(struct conn *c);
void notices_leave(struct conn *c);

/* Calls FN for each of USER's connections here that has entered; it may end them. */
void notices_each(struct worker *wk, int64_t user, void (*fn)(struct conn *c, void *arg),
		  void *arg);

/* A control record of the ring. False: it is none of these. */
bool notices_control(struct worker *wk, struct str bytes);

void notices_open(struct worker *wk);
void notices_flush(struct worker *wk); /* asks for what is to be announced. Called once a turn. */
void notices_close(struct worker *wk);

#endif
