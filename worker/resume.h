/* SPDX-License-Identifier: MIT */
/*
 * Sessions of native sockets: what each follows and from where, kept in the database for whoever
 * resumes it. Saying hello is on_hello.c's, following is chan.c's, the text of a cursor is
 * proto's.
 */
#ifndef WORKER_RESUME_H
#define WORKER_RESUME_H

#include "base/base.h"
#include "base/buf.h"
#include "base/ids.h"
#include "proto/cursor.h"
#include "worker/conn.h"

struct sub;

void resume_open(struct worker *wk);
void resume_close(struct worker *wk);

/*
 * Gives a connection its session: SESSION, or a new one if NULL. What the connection follows from
 * now on is noted. *RET is the session's id.
 */
void resume_start(struct conn *c, const struct uuid *session, struct uuid *ret);

/*
 * Between the two calls subscriptions are restored: they are in the database already, and are not
 * written again.
 */
struct resume_known;
void resume_restore_begin(struct conn *c);
void resume_restore_end(struct conn *c, const struct resume_known *was);

/*
 * A subscription is confirmed / the connection has given one up: the session is written with the
 * next batch.
 */
void resume_confirmed(struct sub *sub);
void resume_mark(struct conn *c);

/*
 * The connection's client has given up CONV: the session is written so, and does not follow it
 * again because an older position names it.
 */
void resume_left(struct conn *c, int64_t conv);

/*
 * The connection ends and its subscriptions still stand: what is not written yet is taken down.
 * NULL session allowed.
 */
void resume_end(struct conn *c);

/*
 * Appends the text of a cursor: everything that C was told before what is queued next. False, and
 * nothing appended, when C has no session or has just ended: sending what it is owed may show
 * that it is gone.
 */
bool resume_cursor(struct conn *c, struct buf *b) MUST_CHECK;

/* Whether this process has SESSION: what it follows need not be written to be known. */
bool resume_is_here(const struct worker *wk, const struct uuid *session);

/* What is known of a cursor's session. Borrowed during the call. */
struct resume_known {
	bool is_known;		   /* the session exists and is the cursor's user's */
	const struct cursor_pos *kept; /* what it follows, as written; ascending */
	size_t n_kept;
	/* that and the cursor's positions, the further of each, without LEFT; ascending */
	const struct cursor_pos *pos;
	size_t n;
	const struct cursor_pos *left; /* what its client has given up; ascending */
	size_t n_left;
};

/* ERR: 0, or -ERR_UNAVAILABLE; then KNOWN is NULL. */
typedef void resume_known_fn(struct worker *wk, void *arg, int err,
			     const struct resume_known *known);

/*
 * Looks up the session of CUR, whose user the caller has checked. CUR is not needed afterwards.
 * DONE is called exactly once, possibly before this returns.
 */
void resume_recall(struct worker *wk, const struct cursor *cur, resume_known_fn *done, void *arg);

/* Asks for all who came since it was asked last. Called once a turn. */
void resume_recall_flush(struct worker *wk);

/* Answers those who were not asked for yet: not available. */
void resume_recall_close(struct worker *wk);

/*
 * What the session of CUR follows if this process has it and it is CUR's user's: true, and *RET_N
 * positions in *RET_POS, which the caller frees. RESUME_REV_LEFT: what it follows no more.
 */
#define RESUME_REV_LEFT (-1)
bool resume_here(const struct worker *wk, const struct cursor *cur, struct cursor_pos **ret_pos,
		 size_t *ret_n);

/*
 * Another connection takes the session over: whoever has it, in this process or another, is
 * closed with E_REPLACED and writes nothing more. True when it still had something to write, which
 * is the new connection's to do (resume_mark) once it follows what the session followed.
 */
bool resume_take_over(struct worker *wk, const struct uuid *session);

/*
 * A record of the ring that belongs to no conversation, published at STAMP_NS by some worker's
 * resume_take_over.
 */
void resume_control(struct worker *wk, struct str bytes, uint64_t stamp_ns);

/*
 * Writes what has changed, many sessions in one statement, at most every RESUME_SAVE_MS. Called
 * once a turn. Without the database it is kept until later.
 */
#define RESUME_SAVE_MS 250
/*
 * What ended sessions may take while they wait to be written: some ten thousand of them. Beyond it
 * the oldest are forgotten, as if the process had died before it wrote them.
 */
#define RESUME_ENDED_BYTES (4 * 1024 * 1024)
void resume_flush(struct worker *wk);

/* True when everything is written. */
bool resume_is_idle(const struct worker *wk);

#endif
