/* SPDX-License-Identifier: MIT */
/*
 * Who a connection is. Guests by name for now; the answer comes from a small cache or the database.
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
 * Finds or makes the guest of a checked name. DONE is called exactly once, possibly before this
 * returns: the cache answers at once, the database after the next session_flush.
 */
void session_guest(struct worker *wk, struct str name, session_guest_fn *done, void *arg);

/*
 * Asks the database for everybody who came since the last call, in one statement. Called once a
 * turn.
 */
void session_flush(struct worker *wk);

/* A record of another worker: guests that it got to know, if it is one of those. */
void session_control(struct worker *wk, struct str bytes);

void session_open(struct worker *wk);

/* Whoever still waits is refused. */
void session_close(struct worker *wk);

#endif
