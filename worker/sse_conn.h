/* SPDX-License-Identifier: MIT */
/*
 * An event stream (WHATWG HTML, "Server-sent events"): the native frames of several conversations, one way
 * only. Each event carries the positions of all of them as its id, so Last-Event-ID resumes the stream exactly.
 */
#ifndef WORKER_SSE_CONN_H
#define WORKER_SSE_CONN_H

#include "base/base.h"
#include "proto/event.h"
#include "worker/call.h"
#include "worker/chan.h"
#include "worker/conn.h"

/* One conversation of a stream: everything up to REV has been sent, or was before its time. */
struct sse_position {
	int64_t conv, rev;
};

/*
 * Turns the connection of CALL, which waits for its answer, into a stream of the N conversations (at least
 * one, each once) from those positions on, and frees CALL. POSITIONS is copied.
 */
void sse_conn_start(struct call *call, const struct sse_position *positions, size_t n);

/*
 * EV happened in the conversation that SUB follows; JSON is its native frame, {"op":"ev"|"eph",…}. A durable
 * event moves the position. Queues bytes only: the connection lives on.
 */
void sse_conn_event(struct sub *sub, const struct event *ev, struct str json);

/* A frame that is no event: {"op":"live"|"err"|"behind"|…}; its op becomes the type. Queues bytes only. */
void sse_conn_frame(struct conn *c, struct str json);

/*
 * Events before rev FIRST are not to be had any more: says so (event "gap"). The stream goes on with FIRST; the
 * caller ends the subscription, and this takes up a new one with the next turn.
 */
void sse_conn_gap(struct conn *c, int64_t conv, int64_t first);

/* What to do when a deadline passes: a comment against silence, or the end. */
void sse_conn_timeout(struct conn *c, enum conn_wait wait);

/* The node stops: event "goaway" with the time to come back, then the end. */
void sse_conn_drain(struct conn *c);

/* Frees what a stream has beyond other connections: called by the sweep; NULL state allowed. */
void sse_conn_done(struct conn *c);

#endif
