/* SPDX-License-Identifier: MIT */
/*
 * What people are in conversations: a bounded cache per worker over the database, kept true by the
 * notices of revoke.h. What may be done with a role is authz.h's.
 *
 * Of an open room every exception (whoever is not simply a member or a visitor) is kept, so that
 * one question serves everybody. Of other conversations people are asked for one by one. What a
 * channel of this worker needs is never thrown out.
 */
#ifndef WORKER_ROLES_H
#define WORKER_ROLES_H

#include "base/base.h"
#include "proto/cmd.h"
#include "worker/authz.h"
#include "worker/conn.h"
#include "worker/worker.h"

/* By value: no pointer to keep. */
struct rights {
	struct authz_actor actor;
	int64_t muted_until_ms; /* wall clock; 0: is not muted */
	int64_t slow_ms;	/* between two messages of one person; 0: no slow mode */
	int64_t peer;		/* the other one of a direct conversation; 0: it is none */
	bool is_closed;		/* the conversation */
};

/*
 * What USER (0: a watcher) is in CONV, if this worker knows. IS_ADMIN: of the server. Asks nobody
 * and allocates nothing. False: use roles_get.
 */
bool roles_peek(struct worker *wk, int64_t conv, int64_t user, bool is_admin, struct rights *ret);

/* ERR 0: R (borrowed) is valid; -ERR_NOENT no such conversation; -ERR_UNAVAILABLE. */
typedef void roles_fn(struct worker *wk, void *arg, int err, const struct rights *r);

/*
 * The same, asking the database if need be: everybody who is asked for in one turn of the loop is
 * one statement. DONE is called exactly once, from inside this call when the answer is known.
 */
void roles_get(struct worker *wk, int64_t conv, int64_t user, bool is_admin, roles_fn *done,
	       void *arg);

/*
 * Asks for USER in all of the N conversations that are not known yet; DONE when all are answered,
 * as roles_peek tells: once, from inside this call when nothing had to be asked.
 */
typedef void roles_warm_fn(struct worker *wk, void *arg);
void roles_warm(struct worker *wk, const int64_t *convs, size_t n, int64_t user,
		roles_warm_fn *done, void *arg);

/*
 * Something about USER (0: about everybody, or the conversation itself) in CONV changed: what is
 * cached is thrown away, or read again if a channel needs it, and connections that may not read
 * any more are put out then.
 */
void roles_changed(struct worker *wk, int64_t conv, int64_t user);

/* Notices may have been lost: everything is as if it had changed. */
void roles_doubt(struct worker *wk);

/* Characters that a message in CONV may have: fewer in a room with a code. */
size_t roles_text_max(const struct worker *wk, int64_t conv);

/* ---- Connections (roles_conn.c) ---- */

/*
 * The decision for a connection, from what is known. E_NONE lets it through, *RET (may be NULL) are
 * its rights then; everything else has been written to the audit log already. Conversations that
 * the connection follows are known.
 */
enum proto_error roles_check(struct conn *c, int64_t conv, enum authz_action action,
			     struct rights *ret);

/* The same without a word in the audit log: for whoever refuses only perhaps. */
enum proto_error roles_decide(struct conn *c, int64_t conv, enum authz_action action,
			      struct rights *ret);

/*
 * chan_join (chan.h) for those who may read; others are refused on the connection. While the
 * database is asked the connection is blocked.
 */
void roles_enter(struct conn *c, int64_t conv, bool has_rev, int64_t rev, const struct cmd_id *re);

/* conn_unblock, unless roles_enter still waits, which does it then. */
void roles_unblock(struct conn *c);

/*
 * Takes every connection of USER (0: of everybody) off CONV for which IS_OUT (NULL: all) is true: a
 * native one is told ERROR and goes on, one that has no other conversation is closed with the code
 * of ERROR.
 */
void roles_put_out(struct worker *wk, int64_t conv, int64_t user, enum proto_error error);

/* Asks the database anew for USER (0: all that is kept) in CONV, then roles_sweep. */
void roles_look(struct worker *wk, int64_t conv, int64_t user);

/* Whether what USER (0: anybody) said in CONV waits to be stored. */
bool roles_is_awaited(const struct worker *wk, int64_t conv, int64_t user);

/* Whoever of USER (0: all) follows CONV and may not read it any more is put out. */
void roles_sweep(struct worker *wk, int64_t conv, int64_t user);

/* ---- Life ---- */

void roles_open(struct worker *wk);
void roles_flush(struct worker *wk); /* asks for what was wanted. Called once a turn. */
void roles_close(struct worker *wk); /* whoever waits is told -ERR_UNAVAILABLE */

#endif
