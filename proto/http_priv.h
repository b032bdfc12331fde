/* SPDX-License-Identifier: MIT */
/*
 * Inside HTTP: the seam between the request's rules (http.c) and llhttp (http_machine.c).
 * llhttp's header defines names that http.h uses too, so only http_machine.c includes it.
 */
#ifndef PROTO_HTTP_PRIV_H
#define PROTO_HTTP_PRIV_H

#include "base/base.h"
#include "base/buf.h"
#include "proto/errors.h"

struct http_limits;

enum http_token {
	HTTP_TOKEN_METHOD,
	HTTP_TOKEN_TARGET,
	HTTP_TOKEN_NAME,     /* of a field; may come in pieces, as all of these */
	HTTP_TOKEN_NAME_END, /* empty: the next name is another field's */
	HTTP_TOKEN_VALUE,
	HTTP_TOKEN_BODY,
};

struct http_head_facts {
	uint8_t major, minor;
	bool chunked, has_length, upgrade;
	uint64_t length;
};

/* Where the machine delivers. Both return false to refuse the request. */
struct http_sink {
	bool (*token)(void *arg, enum http_token token, const char *p, size_t len);
	bool (*head)(void *arg, const struct http_head_facts *facts);
};

struct http_machine; /* opaque: an llhttp parser for one request */

/* SINK and ARG must outlive the machine. */
struct http_machine *http_machine_new(const struct http_sink *sink, void *arg);
void http_machine_free(struct http_machine **m);
void http_machine_reset(struct http_machine *m);

/*
 * Returns 0 when the request is complete, -ERR_AGAIN when more is needed, -ERR_DENIED when the sink
 * refused, -ERR_PROTO with *RET_ERROR when the syntax is wrong. *RET_USED is set for 0 and
 * -ERR_AGAIN.
 */
int http_machine_feed(struct http_machine *m, const uint8_t *p, size_t len, size_t *ret_used,
		      enum proto_error *ret_error) MUST_CHECK;

struct http_scan {
	enum http_scan_state {
		HTTP_SCAN_START, /* before the request line: empty lines are skipped */
		HTTP_SCAN_START_CR,
		HTTP_SCAN_IN_LINE,
		HTTP_SCAN_LINE_CR,
		HTTP_SCAN_LINE_START,
		HTTP_SCAN_EMPTY_CR,
		HTTP_SCAN_END,
	} state;
	unsigned fields; /* lines behind the request line */
	unsigned blanks; /* runs of them in the request line, up to two */
	size_t target_len;
};

/*
 * Reads on to the end of the head. Returns how many bytes are sound; *RET_ERROR is E_NONE, or what
 * the byte behind them breaks. Zero is the initial state.
 */
size_t http_scan(struct http_scan *s, const struct http_limits *lim, const uint8_t *p, size_t len,
		 enum proto_error *ret_error);

/* A target taken apart: views into it, and the decoded path, which is appended to *PATH. */
struct http_target {
	struct str host;  /* of an absolute target; p NULL without one */
	struct str query; /* without '?' */
};

/* Section 3.2 of RFC 9112. Returns 0 or -ERR_INVAL. */
int http_target_parse(struct str target, bool is_options, struct buf *path,
		      struct http_target *ret) MUST_CHECK;

/* True for what may stand in Host: a name or address with an optional port. */
bool http_host_valid(struct str host);

/* Whether C may stand in a token (RFC 9110 section 5.6.2). */
bool http_is_tchar(char c);

#endif
