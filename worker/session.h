/* SPDX-License-Identifier: MIT */
/*
 * Guests by name: the answer comes from a small cache or the database. Accounts, and guests with a
 * cookie, are authn.h's.
 */
#ifndef WORKER_SESSION_H
#define WORKER_SESSION_H

#include "base/base.h"
#include "proto/errors.h"
#include "worker/worker.h"

/* ERROR E_NONE: USER and NAME (borrowed during the call, as first written) are valid. */
typedef void session_guest_fn(struct worker *wk, void *arg, enum proto_error error, int64_t user,
			      struct str name);

/*
 * Finds or makes the guest of a checked name. E_NAME_TAKEN: an account has the name, a guest's
 * cookie is bound to it, or it is reserved (auth.reserved_names); E_UNAUTHORIZED: guests are not
 * let in. DONE is called exactly once, possibly before this returns: the cache answers at once, the
 * database after the next session_flush.
 */
void session_guest(struct worker *wk, struct str name, session_guest_fn *done, void *arg);

/* What the database said of a guest's name (sql/users.h, sql/guests.h), as clients are told it. */
enum proto_error session_error(int err);

/*
 * Asks the database for everybody who came since the last call, in one statement. Called once a
 * turn.
 */
void session_flush(struct worker *wk);

/*
 * NAME was taken, by an account or by a guest's cookie, or was given up by a guest who became an
 * account: to be called after the commit and before it is answered. No worker of the node lets a
 * guest of that name in by what it remembers from before.
 */
void session_name_changed(struct worker *wk, struct str name);

/* Whether NAME is one of auth.reserved_names, however it is written. */
bool session_is_reserved(struct worker *wk, struct str name);

/*
 * Whether a guest other than USER is connected under NAME. ERROR is E_NONE, E_NAME_TAKEN if so, or
 * E_UNAVAILABLE. DONE is called exactly once, possibly before this returns.
 */
typedef void session_free_fn(struct worker *wk, void *arg, enum proto_error error);
void session_is_free(struct worker *wk, struct str name, int64_t user, session_free_fn *done,
		     void *arg);

/*
 * The guests of this name, on sockets of whatever worker, have to leave: it belongs to an account
 * now. They came while it was being made. USER, who was one of them and is the account, stays.
 */
void session_put_out(struct worker *wk, struct str name, int64_t user);

/* The guest is asked for anew next time: it may not act any more. */
void session_forget(struct worker *wk, int64_t user);
/* A record of another worker: guests that it got to know, if it is one of those. */
void session_control(struct worker *wk, struct str bytes);

void session_open(struct worker *wk);

/* Whoever still waits is refused. */
void session_close(struct worker *wk);

#endif
