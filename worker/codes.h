/* SPDX-License-Identifier: MIT */
/*
 * How long rooms with codes are kept: who left them, and the closing of those that nobody uses any
 * more. What a code is, and the rules, are sql/codes.h's.
 *
 * One worker of the node, the first that serves, looks for rooms whose time is up.
 */
#ifndef WORKER_CODES_H
#define WORKER_CODES_H

#include "worker/worker.h"

/*
 * USER is in CONV, which may be any conversation, no more: if it is a room with a code and nobody
 * else is there, it is closed chat.code_grace later. Written with others within a second.
 */
void codes_left(struct worker *wk, int64_t conv, int64_t user);

/* Writes down who left, and closes what is due. Called each second. */
void codes_look(struct worker *wk);

void codes_open(struct worker *wk);
void codes_close(struct worker *wk);

#endif
