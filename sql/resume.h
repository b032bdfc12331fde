/* SPDX-License-Identifier: MIT */
/*
 * The subscriptions of sessions, kept so that any process restores them after any end.
 * When they are written and what a cursor adds is decided above.
 */
#ifndef SQL_RESUME_H
#define SQL_RESUME_H

#include "base/base.h"
#include "base/ids.h"
#include "sql/db.h"

#define RESUME_POINTS_MAX 512 /* in one statement */
#define RESUME_CONVS_MAX 4096 /* in one point */

struct resume_point {
	struct uuid session; /* not zero */
	int64_t user;
	size_t n;	      /* subscriptions, 0 to RESUME_CONVS_MAX */
	const int64_t *convs; /* n of them; borrowed during the call */
	const int64_t *revs;  /* n of them: a position in each; -1: it was left */
};

/* ERR: 0, -ERR_UNAVAILABLE (may have been written), -ERR_DB. */
typedef void resume_saved_fn(void *arg, int err);

/*
 * Writes N points (1 to RESUME_POINTS_MAX) in one statement, each whole in place of the former one
 * of its session; of two for one session the later stands. A session's point is never taken over
 * by another user. Removes some points not written for KEEP_DAYS (0 = none). Safe to repeat.
 * Returns 0, -ERR_FULL or -ERR_INVAL.
 */
int resume_save(struct db *db, const struct resume_point *points, size_t n, int keep_days,
		uint64_t deadline_ms, resume_saved_fn *done, void *arg,
		uint64_t *ret_token) MUST_CHECK;

/* In one resume_load: a point may have 64 KiB. */
#define RESUME_LOADS_MAX 128

struct resume_key {
	struct uuid session;
	int64_t user;
};

/*
 * POINTS are as many as there were keys, in their order, and live during the call; NULL unless ERR
 * is 0. Of a session that is not the user's, or nobody's, the point's session is zero. ERR:
 * -ERR_UNAVAILABLE, -ERR_DB.
 */
typedef void resume_loaded_fn(void *arg, int err, const struct resume_point *points);

/*
 * The points of N keys (1 to RESUME_LOADS_MAX) in one statement; a session may come twice. Returns
 * 0, -ERR_FULL or -ERR_INVAL.
 */
int resume_load(struct db *db, const struct resume_key *keys, size_t n, uint64_t deadline_ms,
		resume_loaded_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

#endif
