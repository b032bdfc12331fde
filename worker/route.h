/* SPDX-License-Identifier: MIT */
/*
 * Paths to handlers: the matcher built from routes.def at start. The only place that knows which
 * addresses exist; what they do is written in the rest_*.c files, static.c and upgrade.c.
 */
#ifndef WORKER_ROUTE_H
#define WORKER_ROUTE_H

#include "base/base.h"
#include "base/buf.h"
#include "proto/http.h"
#include "worker/call.h"

enum route_auth {
	ROUTE_AUTH_OPEN,  /* anybody */
	ROUTE_AUTH_GUEST, /* anybody while chat.guests is on, else accounts */
	ROUTE_AUTH_TOKEN, /* accounts */
	ROUTE_AUTH_ADMIN, /* accounts that administrate the server */
	ROUTE_AUTH_OPS,	  /* whoever reaches the operations listener; unknown to clients */
};

/* Which budget a request draws from. */
enum route_rate {
	ROUTE_RATE_STATIC,
	ROUTE_RATE_READ,
	ROUTE_RATE_WRITE,
	ROUTE_RATE_SEND,
	ROUTE_RATE_UPGRADE,
	ROUTE_RATE_SESSION, /* of a session, whose messages are counted instead */
	ROUTE_RATE_AUTH, /* proves who one is: unauthenticated by its nature */
	ROUTE_RATE_PROOF, /* the same with a secret that nobody guesses: only failures are */
};

enum route_body {
	ROUTE_BODY_NONE, /* one that comes anyway is ignored */
	ROUTE_BODY_TEXT, /* its form is the handler's to check; those below have a type */
	ROUTE_BODY_JSON, /* another Content-Type is answered 415; without one JSON is assumed */
	ROUTE_BODY_FORM, /* the same with application/x-www-form-urlencoded */
};

/*
 * One row of the table. PATH is made of exact segments, "{name}" for one segment that is not empty,
 * and, as the last segment only, "{name...}" for everything that follows.
 */
struct route {
	enum http_method method;
	const char *path;
	call_handler handler;
	const char *handler_name;
	uint8_t shape; /* enum call_shape */
	uint8_t auth, rate, body;
	const char *summary;
};

/*
 * Whether its requests open something that lasts or belong to it: a socket, an event stream, a
 * session of Socket.IO. Pages of other sites can ask for these with a cookie, and browsers can set
 * no field on them.
 */
static inline bool route_lasts(const struct route *r)
{
	return r->rate == ROUTE_RATE_UPGRADE || r->rate == ROUTE_RATE_SESSION;
}

#define ROUTE_PARAMS_MAX 2

struct route_match {
	const struct route *route; /* NULL: ROUTE_NO_PATH; ROUTE_OTHER_METHOD: any of the path's */
	struct str param[ROUTE_PARAMS_MAX]; /* borrowed from the path; p NULL: none */
	uint32_t methods; /* what the path allows: a set of 1 << enum http_method */
};

enum route_result {
	ROUTE_FOUND,
	ROUTE_NO_PATH,
	ROUTE_OTHER_METHOD,
};

struct routes; /* opaque */

/*
 * Builds a matcher over TABLE, which must outlive it. Returns 0; -ERR_EXISTS when two rows mean the
 * same; -ERR_INVAL for a malformed path; *RET_BAD (may be NULL) is then the row.
 */
int routes_new(const struct route *table, size_t n, struct routes **ret,
	       const struct route **ret_bad) MUST_CHECK;
void routes_free(struct routes **r); /* NULL allowed; clears the pointer */

/*
 * Finds the row for METHOD and PATH (without query). An exact segment is preferred to "{name}".
 * HEAD finds the row of GET. HTTP_OPTIONS never finds a row: it gives ROUTE_OTHER_METHOD on a known
 * path.
 */
enum route_result route_find(const struct routes *r, enum http_method method, struct str path,
			     struct route_match *ret);

/* Appends the names of a set of methods: "DELETE, GET, HEAD, OPTIONS". */
void route_add_allow(struct buf *b, uint32_t methods);

/* Every method that some path allows. */
uint32_t routes_methods(const struct routes *r);

/* Appends a table as a JSON array of objects. */
void route_describe(const struct route *table, size_t n, struct buf *b);

#endif
