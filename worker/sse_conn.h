/* SPDX-License-Identifier: MIT */
/*
 * An event stream (WHATWG HTML, "Server-sent events"): the native frames of several
 * conversations, one way only. Each event carries the positions of all of them as its id, so
 * Last-Event-ID resumes the stream exactly.
 */
#ifndef WORKER_SSE_CONN_H
#define WORKER_SSE_CONN_H

#include "base/base.h"
#include "proto/event.h"
#include "worker/call.h"
#include "worker/chan.h"
#include "worker/conn.h"

/*
 * Fields of an answer that is a stream: kept nowhere, and passed on at once by proxies that
 * collect.
 */
#define SSE_FIELDS "Cache-Control: no-store\r\nX-Accel-Buffering: no\r\n"

/* One conversation of a stream. */
struct sse_position {
	int64_t conv;
	int64_t rev;  /* the reader has everything up to here */
	int64_t head; /* of the log; -1: there is no such conversation (any more) */
};

/*
 * Turns the connection of CALL, which waits for its answer, into a stream of the N conversations
 * (each once, at least one of which exists) from those positions on, and frees CALL. POSITIONS is
 * copied.
 */
void sse_conn_start(struct call *call, const struct sse_position *positions, size_t n);

/* Answers HEAD: the head alone of the stream that GET would begin. */
void sse_conn_head(struct call *call);

/*
 * Turns the connection of CALL, which is freed, into a stream of roomd --conformance: what is on it
 * is the caller's. ECHO is the stream's from here on, and ON_DONE frees it. NULL: nobody is there
 * any more.
 */
struct conn *sse_conn_echo(struct call *call, void *echo, void (*on_done)(void *echo));

/*
 * EV happened in the conversation that SUB follows; JSON is its native frame,
 * {"op":"ev"|"eph",…}. A durable event moves the position. Queues bytes only: the connection
 * lives on.
 */
void sse_conn_event(struct sub *sub, const struct event *ev, struct str json);

/* The bytes that sse_conn_event takes at most for a durable event whose frame is LEN bytes long. */
size_t sse_conn_cost(const struct conn *c, size_t len);

/*
 * A frame that is no event: {"op":"live"|"err"|"behind"|…}; its op becomes the type. Queues bytes
 * only.
 */
void sse_conn_frame(struct conn *c, struct str json);

/*
 * Events before rev FIRST are not to be had any more: says so (event "gap"). The stream goes on
 * with FIRST, so the subscription stays and its position becomes FIRST - 1.
 */
void sse_conn_gap(struct conn *c, int64_t conv, int64_t first);

/*
 * CONV cannot be followed, and the reader was told ERROR: the stream goes on with the others. One
 * that passes keeps its place in the id, for when the reader comes again.
 */
void sse_conn_refused(struct conn *c, enum proto_error error, int64_t conv);

/* What to do when a deadline passes: a comment against silence, or the end. */
void sse_conn_timeout(struct conn *c, enum conn_wait wait);

/*
 * The node stops: event "goaway" and, for clients that know no events of ours, the time to come
 * back.
 */
void sse_conn_goaway(struct conn *c, int64_t in_ms);

/* Ends the stream after what is queued. */
void sse_conn_drain(struct conn *c);

/* Frees what a stream has beyond other connections: called by the sweep; NULL state allowed. */
void sse_conn_done(struct conn *c);

#endif
