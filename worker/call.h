/* SPDX-License-Identifier: MIT */
/*
 * One HTTP request on its way to an answer. A handler answers at once or keeps the call and answers from a
 * database callback; the connection may be gone by then, which the answering functions notice.
 */
#ifndef WORKER_CALL_H
#define WORKER_CALL_H

#include "base/base.h"
#include "base/buf.h"
#include "base/ids.h"
#include "proto/errors.h"
#include "proto/http.h"
#include "worker/worker.h"

struct route;

enum call_shape {
	CALL_SHAPE_S1,	   /* errors are {"detail": …} */
	CALL_SHAPE_PROBLEM, /* errors are RFC 9457 problem documents */
	CALL_SHAPE_PAGE,   /* errors are small HTML pages */
};

struct call {
	struct worker *wk;
	uint64_t conn_id;
	const struct route *route;
	const struct http_request *req; /* valid only until the handler returns */
	bool head_only, keep_alive;
	uint8_t shape;	    /* enum call_shape */
	int64_t path_id[2]; /* numbers taken from the path's {…} parts */
	struct uuid path_uuid[2]; /* where the part was a UUID, path_id is 0 then */
	char request_id[UUID_TEXT_LEN + 1];
	uint64_t started_ns;
	void *state; /* a handler's own; freed by it */
};

/* A handler: answers CALL now, or later exactly once. */
typedef void (*call_handler)(struct call *call);

/*
 * Each of these answers and frees CALL; BODY is copied. TYPE is the media type. HEADERS is NULL or complete
 * lines "Name: value\r\n".
 */
void call_answer(struct call *call, int status, const char *type, const char *headers, struct str body);
void call_json(struct call *call, int status, struct str body);
void call_error(struct call *call, enum proto_error error, const char *detail);

/* The request turns into a WebSocket: the handler has queued the 101 itself; only frees CALL. */
void call_done(struct call *call);

#endif
