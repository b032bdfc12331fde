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

/* By value: nothing in it is owned. All zero: nobody. */
struct identity {
	int64_t user; /* 0: nobody; a socket's guest is nobody until the database knows the name */
	struct uuid uid;
	struct uuid session;	/* the login, or the guest's cookie; zero: none */
	int64_t expires_ms;	/* wall clock, when the credentials end; 0: never */
	bool is_account, is_admin;
	enum { BY_NONE, BY_TOKEN, BY_COOKIE } by;
	char name[AUTHN_NAME_MAX + 1];
};

/*
 * Fills call->who from "Authorization: Bearer", on upgrades and event streams also from ?token=,
 * else from the cookie. E_NONE without any credentials: call->who is nobody then. E_UNAUTHORIZED
 * for credentials that are malformed, expired or revoked.
 */
enum proto_error authn_call(struct call *call);

/* Checks an access token. *RET is left alone unless it returns E_NONE. */
enum proto_error authn_token(struct worker *wk, struct str token, struct identity *ret);

/*
 * Keeps what the handshake's own credentials said until the first frame; nobody is not kept.
 * Replaces what was kept.
 */
void authn_keep(struct conn *c, const struct identity *who);

/* C is WHO from now on: user, name and session are set, and the end of the credentials is watched. */
void authn_adopt(struct conn *c, const struct identity *who);

/* Drops what authn_keep kept. */
void authn_forget(struct conn *c);

/* Closes the sockets whose credentials have ended since, with E_UNAUTHORIZED. Called each second. */
void authn_expire(struct worker *wk);

#endif
