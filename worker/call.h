/* SPDX-License-Identifier: MIT */
/*
 * One HTTP request on its way to an answer. A handler answers at once or keeps the call and answers
 * from a database callback; the connection may be gone by then, which the answering functions
 * notice.
 */
#ifndef WORKER_CALL_H
#define WORKER_CALL_H

#include "base/addr.h"
#include "base/base.h"
#include "base/buf.h"
#include "base/ids.h"
#include "proto/errors.h"
#include "proto/http.h"
#include "worker/authn.h"
#include "worker/etag.h"
#include "worker/limits.h"
#include "worker/stale.h"
#include "worker/worker.h"

struct conn;
struct route;

enum call_shape {
	CALL_SHAPE_S1,	   /* errors are {"detail": …} */
	CALL_SHAPE_PROBLEM, /* errors are RFC 9457 problem documents */
	CALL_SHAPE_PAGE,   /* errors are small HTML pages */
};

struct call {
	struct worker *wk;
	uint64_t conn_id;
	const struct route *route;	/* NULL: unknown path, or refused before */
	const struct http_request *req; /* valid only until the handler returns */
	bool head_only, keep_alive;
	bool is_ops; /* came in on the operations listener */
	uint8_t minor;	    /* of the request's HTTP/1.x */
	uint8_t shape;	    /* enum call_shape */
	bool *ret_answered; /* while the handler runs: set by the answer; NULL later */
	int64_t path_id[2]; /* numbers taken from the path's {…} parts */
	struct uuid path_uuid[2]; /* where the part was a UUID; both are 0 for anything else */
	char path_code[5]; /* where the first part was a code: in capitals; empty otherwise */
	struct addr addr;	  /* the client's: peer.c */
	struct limit_answer limit; /* that the request drew from: limits.c */
	struct identity who;	  /* set before the handler runs: authn.c */
	char etag[ETAG_LEN + 1];  /* of what is answered; empty: none */
	char *cookie;		  /* owned; a line Set-Cookie for the answer, or NULL */
	char *cors;		  /* owned; header lines for the request's origin, or NULL */
	char request_id[UUID_TEXT_LEN + 1];
	uint64_t since_ms; /* CLOCK_MONOTONIC: when the request was complete */
	char address[ADDR_TEXT_MAX]; /* the client's, as text; "-" when it is not known */
	void *state; /* a handler's own; freed by it */
	struct stale_key stale; /* what the call asks for, if an old answer may do */
	bool is_stale;		/* the answer is such a one, */
	uint64_t age_ms;	/* so old */
};

/* A handler: answers CALL now, or later exactly once. */
typedef void (*call_handler)(struct call *call);

/* A call for the present request of C; REQ may be NULL (refused before it was complete). */
struct call *call_new(struct conn *c, const struct http_request *req);

/*
 * Each of these answers and frees CALL; BODY is copied. TYPE is the media type, NULL for none.
 * HEADERS is NULL or complete lines "Name: value\r\n".
 */
void call_answer(struct call *call, int status, const char *type, const char *headers,
		 struct str body);
void call_json(struct call *call, int status, struct str body);

/*
 * Queues the head of a 200 answer whose body ends with the connection. Does not end CALL: what
 * follows on the connection, and call_done, are the caller's. The connection must be there
 * (call_conn).
 */
void call_stream(struct call *call, const char *type, const char *headers);

/* As an error of CALL's shape; DETAIL replaces the text of the table, unless NULL. */
void call_error(struct call *call, enum proto_error error, const char *detail);

/* As call_error with the whole fault and further HEADERS. */
void call_fault(struct call *call, const struct fault *fault, const char *headers);

/*
 * What a failed query is to the client: -ERR_UNAVAILABLE and -ERR_FULL 503, -ERR_NOENT no such
 * room, -ERR_EXISTS a duplicate, -ERR_INVAL invalid, anything else 500 and a line in the log.
 */
void call_db_error(struct call *call, int err);

/* The living connection of CALL if it still waits for an answer in HTTP, else NULL. */
struct conn *call_conn(struct call *call);

/* Appends the fields that every answer of CALL has, the ones of the 101 included. */
void call_add_fields(const struct call *call, struct buf *fields);

/* The client's address as text; p NULL when it is not known. Lives as long as CALL. */
struct str call_address(const struct call *call);

/* The request turned into a WebSocket: the handler has queued the 101 itself; only frees CALL. */
void call_done(struct call *call);

#endif
