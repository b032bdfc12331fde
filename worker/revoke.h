/* SPDX-License-Identifier: MIT */
/*
 * What was taken from somebody reaches every open socket: by a notice through the ring at once,
 * and, should that be lost or the act have been another program's, by a look at the database
 * every auth.revocation_check.
 */
#ifndef WORKER_REVOKE_H
#define WORKER_REVOKE_H

#include "base/base.h"
#include "base/ids.h"
#include "worker/worker.h"

/*
 * Call these after the commit of the act. Every worker of the node, this one too, closes or
 * updates its sockets with its next turn; tokens of the session or user are refused at once. From
 * that turn on the worker gives the database nothing more of what they said: it is refused with
 * E_UNAUTHORIZED, whether it came by a socket or a request. What the database was given before is
 * as if it had come before the act.
 */
void revoke_session(struct worker *wk, const struct uuid *session); /* closes with 4401 */
void revoke_user(struct worker *wk, int64_t user);		      /* closes with 4401 */

/* USER's role in CONV changed, or that of everybody (0), or the conversation's settings. */
void revoke_member(struct worker *wk, int64_t conv, int64_t user);

/* Puts USER's connections out of CONV, who may come back. */
void revoke_kick(struct worker *wk, int64_t conv, int64_t user);

/* Whether a token or cookie of this session and user must be refused: the node's memory. */
bool revoke_is_due(const struct worker *wk, const struct uuid *session, int64_t user);

/*
 * Whether the node's memory gave up so much that it cannot speak for credentials made at MADE_MS
 * (clock_wall_ms): the database can.
 */
bool revoke_is_forgotten(const struct worker *wk, int64_t made_ms);

/* A control record of the ring. False: it is no notice of these. */
bool revoke_control(struct worker *wk, struct str bytes);

void revoke_open(struct worker *wk); /* begins to look */
void revoke_close(struct worker *wk);

#endif
