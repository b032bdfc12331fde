/* SPDX-License-Identifier: MIT */
/*
 * How often clients may do what: the classes of limits.def with the settings of section limits.
 * Where a limit is asked for and what a refusal looks like is up to the callers; how buckets are
 * counted is shm/limits.h.
 *
 * A setting that is "off" lets everything through and counts nothing.
 */
#ifndef WORKER_LIMITS_H
#define WORKER_LIMITS_H

#include "base/addr.h"
#include "base/base.h"
#include "base/buf.h"
#include "proto/errors.h"

struct call;
struct conn;
struct worker;

enum limit_class {
#define X(id, setting, key) LIMIT_##id,
#include "worker/limits.def"
#undef X
	LIMIT_CLASSES
};

/* Whose allowance: made by one of the three functions below. TEXT is borrowed. */
struct limit_who {
	struct addr bytes;
	struct str text; /* p NULL: bytes are meant */
};

/* An address; IPv6 counts by /64. The zero address stands for nobody and is never limited. */
struct limit_who limit_by_addr(const struct addr *a);

/* A user or a conversation. */
struct limit_who limit_by_id(int64_t id);

/* A name, in the one spelling that stands for all equal ones (lower case, NFC). */
struct limit_who limit_by_text(struct str text);

/*
 * Takes one from the allowance of WHO. False when there is none left: refuse with E_RATE_LIMITED
 * and *RET_RETRY_MS (may be NULL), the time until there is one, at least 1. Counts the refusal.
 * Exact over all workers. Not for classes whose key is SOCKET.
 */
bool limits_take(struct worker *wk, enum limit_class class, struct limit_who who,
		 int64_t *ret_retry_ms);

/* As limits_take, but a refusal is not counted: the caller asks again. */
bool limits_try(struct worker *wk, enum limit_class class, struct limit_who who);

/* Gives one back: what was taken turned out not to count, such as a login that succeeded. */
void limits_give(struct worker *wk, enum limit_class class, struct limit_who who);

/* The allowance of WHO is full again. */
void limits_forget(struct worker *wk, enum limit_class class, struct limit_who who);

/* Appends one object with every class by the name of its setting: {count, ms, burst} or null. */
void limits_add_json(const struct worker *wk, struct buf *b);

/* ---- Requests ---- */

/*
 * What an answer tells of a limit: the one that refused it, else the one that its request drew
 * from. All zero: of none.
 */
struct limit_answer {
	uint32_t limit, remaining;
	int64_t window_s; /* in so long LIMIT requests become possible */
	int64_t full_s;	  /* until REMAINING is LIMIT again */
	int64_t retry_ms; /* refused: until the next one is allowed */
	bool is_anonymous; /* the request was drawn from limits.anonymous */
};

/*
 * Draws one request from the limit that its route and its caller (call->who) choose; to be called
 * when both are known. AUTH_ERROR is what authn_call said: bad credentials count as none. False
 * when it is to be refused with E_RATE_LIMITED; call_error then tells the time.
 *
 * class		requests
 * anonymous	without valid credentials where an account is needed: routes TOKEN and ADMIN, routes
 *		GUEST while chat.guests is off, routes with rate AUTH, and every request whose
 *		credentials are bad; with limits.scope = all every request to the API
 * guests	without credentials on the other routes of the API, those with rate PROOF included
 * users	of an account, on whatever route
 * none		the page and its files, the operations listener; handshakes of sockets and event
 *		streams, which admission.rate counts
 */
bool limits_call(struct call *call, enum proto_error auth_error);

/*
 * The caller of a route with rate AUTH proved who he is: the request was not unauthenticated after
 * all and is given back.
 */
void limits_call_proved(struct call *call);

/*
 * The secret that CALL, of a route with rate PROOF, carries in its body is none: counted among the
 * requests without valid credentials. Returns what to answer: E_UNAUTHORIZED, or E_RATE_LIMITED
 * when there have been too many.
 */
enum proto_error limits_call_failed(struct call *call);

/*
 * As limits_take, for what a request wants. Refused, its answer tells of this limit: answer
 * E_RATE_LIMITED.
 */
bool limits_call_take(struct call *call, enum limit_class class, struct limit_who who);

/* As limits_send, for what a request wants; refused as by limits_call_take. */
bool limits_call_send(struct call *call, int64_t user, int64_t conv);

/* Appends the RateLimit fields of CALL's answer, if there are any to tell. */
void limits_add_fields(const struct call *call, struct buf *fields);

/* ---- Sockets ---- */

enum limit_verdict {
	LIMIT_PASS,
	LIMIT_REFUSED, /* answer E_RATE_LIMITED, keep the socket */
	LIMIT_ABUSE,   /* refused too often (limits.abuse): close with E_RATE_LIMITED */
};

/*
 * One frame (LIMIT_FRAMES) or one operation (LIMIT_OPERATIONS) of C's socket. *RET_RETRY_MS is set
 * with LIMIT_REFUSED.
 */
enum limit_verdict limits_frame(struct conn *c, enum limit_class class, int64_t *ret_retry_ms);

/* One message or change by USER in CONV: both allowances, or neither. Returns as limits_take. */
bool limits_send(struct worker *wk, int64_t user, int64_t conv, int64_t *ret_retry_ms);

/* Gives both back: it was refused for another reason before it cost anything. */
void limits_unsend(struct worker *wk, int64_t user, int64_t conv);

#endif
