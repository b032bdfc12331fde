/* SPDX-License-Identifier: MIT */
/*
 * Sessions of cookies that the database has to vouch for again: those that come while it is asked
 * wait and are one question then. What a session is and when it ends is sql/logins.h's.
 */
#ifndef WORKER_RENEW_H
#define WORKER_RENEW_H

#include "base/base.h"
#include "base/ids.h"
#include "sql/logins.h"
#include "worker/worker.h"

/*
 * Prolongs SESSION, used from ADDRESS (copied; p NULL: unknown). DONE is called exactly once, never
 * from inside this call: ERR 0 and LOGIN (borrowed); -ERR_DENIED: the session has ended;
 * -ERR_UNAVAILABLE, -ERR_DB.
 */
void renew_session(struct worker *wk, const struct uuid *session, struct str address,
		   login_done_fn *done, void *arg);

/* Asks for those that wait, unless the last question is under way. Called once a turn. */
void renew_flush(struct worker *wk);

/* Whoever waits is told -ERR_UNAVAILABLE. */
void renew_close(struct worker *wk);

#endif
