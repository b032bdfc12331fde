/* SPDX-License-Identifier: MIT */
/*
 * Rooms with codes: finding them, how long they are kept, and the closing of those that nobody uses
 * any more. What a code is, and the rules, are sql/codes.h's.
 *
 * One worker of the node, the first that serves, looks for rooms whose time is up.
 */
#ifndef WORKER_CODES_H
#define WORKER_CODES_H

#include "sql/codes.h"
#include "worker/call.h"
#include "worker/worker.h"

/* ---- Finding (codes_find.c) ---- */

/* Four letters in any case, blanks around them: RET in capitals. Returns 0 or -ERR_INVAL. */
int codes_parse(struct str s, char ret[CODE_LEN]) MUST_CHECK;

/* ERR as of code_done_fn; CONV is the room when it is 0. */
typedef void codes_find_fn(void *arg, int err, int64_t conv);

/*
 * The open room with CODE, in capitals; from now it is kept for chat.code_grace. DONE is called
 * exactly once, possibly before this returns. -ERR_DENIED, without DONE: too many codes that CALL's
 * address asked for were of no room; answer E_RATE_LIMITED.
 */
int codes_find(struct call *call, const char code[CODE_LEN], codes_find_fn *done,
	       void *arg) MUST_CHECK;

/* ---- Life (codes.c) ---- */

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
