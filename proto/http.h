/* SPDX-License-Identifier: MIT */
/*
 * HTTP/1.1 (RFC 9110, 9112), server side: requests in through llhttp, response heads out. Routing,
 * time-outs and the connection are worker's; header values are taken apart in http_field.h.
 */
#ifndef PROTO_HTTP_H
#define PROTO_HTTP_H

#include "base/base.h"
#include "base/buf.h"
#include "proto/errors.h"

enum http_method {
	HTTP_GET,
	HTTP_HEAD,
	HTTP_POST,
	HTTP_PUT,
	HTTP_PATCH,
	HTTP_DELETE,
	HTTP_OPTIONS,
	HTTP_OTHER, /* well-formed and known to nobody here: answer 405 or 501 */
};
#define HTTP_METHOD_COUNT HTTP_OTHER

/* "GET" and so on; "" for HTTP_OTHER. Static. */
const char *http_method_name(enum http_method m);

struct http_limits {
	size_t header_max; /* request line and fields, bytes */
	size_t target_max; /* request target, bytes */
	size_t body_max;   /* body, bytes */
	/* borrowed for the life of the reader; its bodies may have LARGE_MAX bytes. NULL: none */
	const char *large_path;
	size_t large_max;
	unsigned fields_max; /* header fields; 0: 100 */
};

struct http_field {
	struct str name, value; /* as sent; the value without blanks at its ends */
};

/* A complete request. Everything is borrowed from its http_in until http_next or http_in_free. */
struct http_request {
	enum http_method method;
	struct str method_name;
	struct str target;  /* as sent */
	struct str path;    /* decoded once, dots resolved, UTF-8; starts with '/' or is "*" */
	struct str query;   /* raw, without '?'; empty when there is none */
	struct str host;    /* from the target or the Host field; empty only in HTTP/1.0 */
	uint8_t minor;	    /* HTTP/1.minor */
	const struct http_field *fields;
	size_t nfields;
	struct str body;
	bool keep_alive;    /* the client lets the connection stay open */
	bool upgrade;	    /* Connection: upgrade; nothing behind the head is consumed */
	bool expect_continue;
};

struct http_in; /* opaque; exists only while a connection speaks HTTP */

/* Copies LIM. Free with http_in_free. */
struct http_in *http_in_new(const struct http_limits *lim);
void http_in_free(struct http_in **in); /* NULL allowed; clears the pointer */

/*
 * Reads up to the end of one request.
 *
 *	0		http_request() is complete; the bytes from *RET_USED on belong to the
 *			next one. Answer it, then call http_next
 *	-ERR_AGAIN	all bytes are consumed, more are needed
 *	-ERR_PROTO	http_fault() says what to answer; then close. Further calls give the same
 *
 * *RET_USED is set in every case. Refused: no or several Host fields in 1.1, Content-Length
 * together with Transfer-Encoding or repeated, codings other than chunked (501), folded lines, bare
 * LF in fields, bad escapes or NUL in the target, sizes over the limits (413 before the body is
 * read when its length is declared, 414, 431), versions other than 1.0 and 1.1 (505). Without any
 * length there is no body (RFC 9112 section 6.3); whether one was needed is the route's business.
 */
int http_feed(struct http_in *in, const uint8_t *data, size_t len, size_t *ret_used) MUST_CHECK;

/* The complete request after http_feed returned 0, else NULL. */
const struct http_request *http_request(const struct http_in *in);

/* The refusal after http_feed returned -ERR_PROTO: fault.error has the status. */
const struct fault *http_fault(const struct http_in *in);

/* Forgets the request; the next http_feed starts a new one. */
void http_next(struct http_in *in);

/* For time-outs: how far the present request has come. */
enum http_phase {
	HTTP_PHASE_IDLE, /* no byte of it yet */
	HTTP_PHASE_HEAD,
	HTTP_PHASE_BODY,
	HTTP_PHASE_DONE, /* complete or refused */
};
enum http_phase http_phase(const struct http_in *in);

/*
 * True once per request: the head is complete, its body is awaited and the client waits for "100
 * Continue".
 */
bool http_wants_continue(struct http_in *in);

/* Fields ------------------------------------------------------------------------ */

/* The first field of that name (any case); p is NULL when there is none. */
struct str http_header(const struct http_request *r, const char *name);

/* How many fields have that name. */
size_t http_header_count(const struct http_request *r, const char *name);

/* True when a list-valued field (RFC 9110 section 5.6.1) has TOKEN as an element, in any case. */
bool http_header_has(const struct http_request *r, const char *name, const char *token);

/* Appends the values of all fields of that name joined by ", ". False when there are none. */
bool http_header_join(const struct http_request *r, const char *name, struct buf *b);

/*
 * Decodes the first query parameter of that name ('+' and escapes) and appends it. Returns 0,
 * -ERR_NOENT when absent, -ERR_INVAL for bad escapes, NUL or invalid UTF-8.
 */
int http_query_get(const struct http_request *r, const char *name, struct buf *ret) MUST_CHECK;

/*
 * Cookie number NTH (from 0) of that name (RFC 6265 section 4.2), without quotes; p is NULL when
 * there are not so many. Their order says nothing (section 4.2.2).
 */
struct str http_cookie(const struct http_request *r, const char *name, size_t nth);

/*
 * Checks an opening handshake (RFC 6455 section 4.2.1). Returns 0; -ERR_NOENT when it is none (no
 * Upgrade: websocket); -ERR_UNSUPPORTED when the version is not 13 (answer 426 with Sec-WebSocket-
 * Version: 13); -ERR_INVAL when it is broken (answer 400). *RET_KEY is to be given to
 * ws_accept_key, which may refuse it.
 */
int http_websocket(const struct http_request *r, struct str *ret_key) MUST_CHECK;

/* Responses --------------------------------------------------------------------- */

/* "OK", "Not Found"…; "Unknown" for others. Static. */
const char *http_status_text(int status);

struct http_head {
	int status;
	const char *date;    /* IMF-fixdate for the Date field; NULL leaves it out */
	const char *type;    /* Content-Type; NULL leaves it out */
	int64_t length;	     /* Content-Length; negative leaves it out (101, 204, 304, streams) */
	bool keep_alive;     /* false: Connection: close */
	uint8_t minor;	     /* of the request: 0 makes Connection: keep-alive explicit */
	struct str fields;   /* further lines, each ended by CRLF, as http_add_field makes them */
};

/*
 * Appends status line, fields and the empty line. With status 101 there is no Connection field of
 * its own.
 */
void http_add_head(struct buf *b, const struct http_head *h);

/*
 * Appends "Name: value" and CRLF; control characters in VALUE become blanks, so a value cannot end
 * the line.
 */
void http_add_field(struct buf *b, const char *name, struct str value);

#endif
