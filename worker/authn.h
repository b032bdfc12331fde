/* SPDX-License-Identifier: MIT */
/*
 * Who asks: credentials of requests and sockets turned into an identity, without the database.
 * What an identity may do is authz.c's; how tokens and cookies are made and checked, token.c's and
 * cookie.c's.
 */
#ifndef WORKER_AUTHN_H
#define WORKER_AUTHN_H

#include "base/base.h"
#include "base/ids.h"
#include "proto/errors.h"

struct call;
struct conn;
struct worker;

/* chat.name_max is at most 100 characters of 4 bytes. */
#define AUTHN_NAME_MAX 400

enum authn_by {
	BY_NONE,
	BY_TOKEN,
	BY_COOKIE,
};

/*
 * By value: nothing in it is owned. All zero: nobody. User 0 by something: credentials that are
 * not good, where that does not matter yet.
 */
struct identity {
	int64_t user; /* 0: nobody */
	struct uuid uid;
	struct uuid session;	/* the login, or the guest's; zero: none */
	int64_t expires_ms;	/* wall clock, when the credentials end; 0: never */
	uint32_t key_id;	/* that vouches for them; 0: none */
	bool is_account, is_admin;
	int64_t room; /* conversation that a page's session is in; 0: none */
	uint8_t by; /* enum authn_by */
	char name[AUTHN_NAME_MAX + 1];
};

enum authn {
	AUTHN_DONE,    /* call->who is set, perhaps to nobody */
	AUTHN_REFUSED, /* credentials that are malformed, expired or revoked: E_UNAUTHORIZED */
	AUTHN_STALE,   /* a cookie that the database has to vouch for again: call authn_renew */
};

/*
 * Fills call->who from "Authorization: Bearer", on upgrades and event streams also from ?token=,
 * else from the cookie. Routes that are open to anybody refuse nobody: who has bad credentials is
 * nobody there. A text that is no cookie of ours is no cookie; one of an account that has expired
 * is bad credentials, one of a guest is taken away.
 */
enum authn authn_call(struct call *call);

/*
 * Asks the database whether the session of a stale cookie still stands. ERROR E_NONE: call->who is
 * set and the answer will carry the cookie anew, or take it away. Else answer the error. Not
 * called any more when the connection has gone: CALL is freed then.
 */
typedef void authn_renewed_fn(struct call *call, enum proto_error error);
void authn_renew(struct call *call, authn_renewed_fn *done);

/* Checks an access token. *RET is left alone unless it returns E_NONE. */
enum proto_error authn_token(struct worker *wk, struct str token, struct identity *ret);

/* Whether what was found earlier is still good: E_NONE and a copy in *RET, or E_UNAUTHORIZED. */
enum proto_error authn_again(struct worker *wk, const struct identity *who, struct identity *ret);

/* False when a cookie would travel where everybody can read it: then none is given out. */
bool authn_may_set_cookie(struct call *call);

/* The answer of CALL will set the cookie of WHO, or take away what the browser has. */
void authn_set_cookie(struct call *call, const struct identity *who);
void authn_clear_cookie(struct call *call);

/*
 * Keeps what the handshake's own credentials said until the first frame; nobody is not kept.
 * Replaces what was kept.
 */
void authn_keep(struct conn *c, const struct identity *who);

/* C is WHO from now on; the end of the credentials is watched. */
void authn_adopt(struct conn *c, const struct identity *who);

/* Drops what authn_keep kept. */
void authn_forget(struct conn *c);

/* Closes the sockets whose credentials have ended, with E_UNAUTHORIZED. Called each second. */
void authn_expire(struct worker *wk);

/* The same to those whose key is no longer in the ring. Called after it was loaded anew. */
void authn_rekeyed(struct worker *wk);

#endif
