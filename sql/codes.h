/* SPDX-License-Identifier: MIT */
/*
 * Rooms that are found by a code of four letters: opening one, finding it, its page, what somebody
 * has ever sent in such rooms, and how long a room is kept. When a room is looked at and what
 * closing it means is up to the callers.
 */
#ifndef SQL_CODES_H
#define SQL_CODES_H

#include "base/base.h"
#include "sql/db.h"
#include "sql/messages.h"

#define CODE_LEN 4
#define CODES_MAX 1000 /* rooms, or pairs of room and user, in one statement */

/* CONV and CODE (borrowed) are valid when ERR is 0. */
typedef void code_done_fn(void *arg, int err, int64_t conv, struct str code);

/*
 * A new room of kind "code", kept for GRACE_MS. OWNER 0: nobody's, else that user is a member
 * already. ERR: -ERR_FULL hardly any code is free, -ERR_UNAVAILABLE (may have been made: it is not
 * sent twice), -ERR_DB.
 */
int code_open(struct db *db, int64_t owner, int64_t grace_ms, uint64_t deadline_ms,
	      code_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/*
 * The open room with CODE, in capitals; from now it is kept for GRACE_MS at least. ERR: -ERR_NOENT,
 * -ERR_UNAVAILABLE, -ERR_DB.
 */
int code_enter(struct db *db, struct str code, int64_t grace_ms, uint64_t deadline_ms,
	       code_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

struct code_view {
	int64_t conv, before_rev; /* 0: from the end */
	int limit;		  /* 1 to 200, else cut */
	int64_t user, hold_ms; /* who looks, and how long the room is kept for that; 0: nobody */
};

/*
 * {"code","messages":[{"id","rev","user","name","content","timestamp"}],"has_before",
 * "visitors":[{"id","name"}]}: the newest messages before a rev, oldest first, without deleted
 * ones, and who has looked at the page without a socket. ERR -ERR_NOENT: no such open room.
 */
int code_page(struct db *db, const struct code_view *view, uint64_t deadline_ms,
	      page_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/*
 * [{"id","room","content","timestamp"}]: what USER has sent in rooms with codes, closed ones too,
 * newest first, LIMIT (1 to 200, else cut) of it; older than the message (CONV, REV) unless REV is
 * 0.
 */
int code_history(struct db *db, int64_t user, int64_t conv, int64_t rev, int limit,
		 uint64_t deadline_ms, page_done_fn *done, void *arg,
		 uint64_t *ret_token) MUST_CHECK;

/* ---- How long a room is kept ---- */

typedef void code_noted_fn(void *arg, int err);

/*
 * USERS have left CONVS, pairwise, N (1 to CODES_MAX) of them: from now the rooms are kept for
 * GRACE_MS and whoever else is there. Conversations that have no code are passed over.
 */
int code_left(struct db *db, const int64_t *convs, const int64_t *users, size_t n,
	      int64_t grace_ms, uint64_t deadline_ms, code_noted_fn *done, void *arg,
	      uint64_t *ret_token) MUST_CHECK;

/* CONVS is borrowed, N 0 unless ERR is 0. */
typedef void code_list_fn(void *arg, int err, const int64_t *convs, size_t n);

/* Up to CODES_MAX rooms whose time is up. */
int code_due(struct db *db, uint64_t deadline_ms, code_list_fn *done, void *arg,
	     uint64_t *ret_token) MUST_CHECK;

/*
 * Decides about those, of which USERS tells how many people each has: rooms in use are due again
 * after AGAIN_MS; answers those that let nobody in from now on and have to be closed. They are due
 * again, too, until code_forget.
 */
int code_settle(struct db *db, const int64_t *convs, const int64_t *users, size_t n,
		int64_t grace_ms, int64_t again_ms, uint64_t deadline_ms, code_list_fn *done,
		void *arg, uint64_t *ret_token) MUST_CHECK;

/* Those of CONVS that are closed are not due any more. */
int code_forget(struct db *db, const int64_t *convs, size_t n, uint64_t deadline_ms,
		code_noted_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

#endif
