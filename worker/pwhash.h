/* SPDX-License-Identifier: MIT */
/*
 * Password hashes, made and checked by threads that the loop never waits for.
 * New ones are Argon2id (RFC 9106); bcrypt is checked and then replaced. Who logs in is authn.c's.
 */
#ifndef WORKER_PWHASH_H
#define WORKER_PWHASH_H

#include "base/base.h"
#include "base/buf.h"

struct worker;

#define PWHASH_PASSWORD_MAX 1024 /* bytes */
#define PWHASH_TEXT_MAX 256	 /* of a stored hash */

/*
 * The end of one piece of work, on the worker's loop, exactly once for each call that returned 0,
 * never within that call.
 *
 * ERR is 0; -ERR_CLOSED when the worker ends first; -ERR_INVAL for a stored hash that cannot be
 * read; -ERR_TOOBIG for one that needs more memory or time than the pool may spend; -ERR_IO when a
 * library failed. MATCHES is only true with ERR 0. NEEDS_REHASH, only with MATCHES: the stored hash
 * is not of the current scheme and parameters; PHC is then a new one to store in its place. After
 * pwhash_make PHC is the hash. PHC is borrowed for the call; empty when there is none.
 */
typedef void pwhash_done(struct worker *wk, void *arg, int err, bool matches, bool needs_rehash,
			 struct str phc);

/*
 * Checks PASSWORD against STORED, the text of an Argon2id or bcrypt hash. STORED.p NULL stands for
 * a user who does not exist: it takes as long as a hash of the current parameters and never
 * matches. bcrypt cannot see behind byte 72: a longer password never matches there.
 * Both are copied. Returns 0, -ERR_FULL when auth.hash_queue pieces wait already (503), -ERR_TOOBIG
 * when PASSWORD is longer than PWHASH_PASSWORD_MAX.
 */
int pwhash_verify(struct worker *wk, struct str password, struct str stored, pwhash_done *done,
		  void *arg) MUST_CHECK;

/* A new hash of PASSWORD in the current parameters. Returns as pwhash_verify does. */
int pwhash_make(struct worker *wk, struct str password, pwhash_done *done, void *arg) MUST_CHECK;

/* Before the loop turns. Threads start with the first work. */
void pwhash_open(struct worker *wk);

/*
 * Waits for the threads (each ends the hash it is at), then answers all work with -ERR_CLOSED.
 * Nothing may be asked afterwards.
 */
void pwhash_close(struct worker *wk);

/* Takes the parameters from wk->settings: for what is asked from now on. */
void pwhash_reload(struct worker *wk);

/* Pieces of work that are waited for, running ones included. */
unsigned pwhash_pending(const struct worker *wk);

struct settings;

/*
 * Appends a new hash of PASSWORD in the parameters of S, in the caller's own time and without a
 * worker: for the operator's command. Returns 0, -ERR_TOOBIG as pwhash_verify, -ERR_IO when a
 * library failed.
 */
int pwhash_now(const struct settings *s, struct str password, struct buf *out) MUST_CHECK;

#endif
