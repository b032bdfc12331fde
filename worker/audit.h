/* SPDX-License-Identifier: MIT */
/*
 * What somebody was not allowed to do goes into the audit log; and the log is chained.
 * Acts that succeed write their row in their own transaction.
 */
#ifndef WORKER_AUDIT_H
#define WORKER_AUDIT_H

#include "base/base.h"
#include "worker/authz.h"
#include "worker/worker.h"

struct call;
struct conn;

/*
 * Notes that USER was refused ACTION in CONV (0: none), done to TARGET (0: nobody) from ADDRESS.
 * The same refusal within ten seconds is counted instead of written again. Nobody waits for it.
 */
void audit_denied(struct worker *wk, int64_t user, enum authz_action action, int64_t conv,
		  int64_t target, struct str address);
void audit_denied_conn(struct conn *c, enum authz_action action, int64_t conv);
void audit_denied_call(struct call *call, enum authz_action action, int64_t conv, int64_t target);

/* An act that no statement writes down in its own transaction. ACTION is static. */
void audit_act(struct worker *wk, int64_t user, const char *action, int64_t conv, int64_t target,
	       struct str address);

void audit_open(struct worker *wk);
void audit_look(struct worker *wk); /* chains new rows. Called each second. */
void audit_close(struct worker *wk);

#endif
