/* SPDX-License-Identifier: MIT */
/*
 * Read and delivered marks, and the unread counters that follow from them. Marks are state: they
 * take no rev. Whom a mark is shown to is decided above.
 */
#ifndef SQL_MARKS_H
#define SQL_MARKS_H

#include "base/base.h"
#include "base/ids.h"
#include "sql/db.h"

enum mark_kind { MARK_READ, MARK_DELIVERED };

struct mark_answer {
	int64_t conv, user;
	int64_t seq;	 /* the mark as it stands now */
	int64_t unread;	 /* unread_of(conv, user) after it */
	int64_t at_ms;	 /* when the mark came to stand there; 0 when not changed */
	bool is_changed; /* to be announced; false: it stood there or further already */
	int64_t rev;	 /* of the message there; 0: there is none, or nobody asked */
	int64_t count;	 /* messages that became read by it */
};

/* ANSWER is NULL unless ERR is 0; ERR: -ERR_NOENT no such open conversation or no such user,
 * -ERR_INVAL no such message, -ERR_UNAVAILABLE, -ERR_DB. */
typedef void mark_done_fn(void *arg, int err, const struct mark_answer *answer);

/* How far: the message with the number SEQ, or the one at REV. */
struct mark_place {
	int64_t seq; /* positive, MARK_ALL: whatever there is; unused when rev is given */
	int64_t rev; /* 0: by number */
	bool wants_rev; /* the answer has to tell of a mark that was there already */
};
#define MARK_ALL INT64_MAX

/*
 * Raises a mark of USER to PLACE, at most to the newest message; never back. Whoever has no row in
 * members gets one that is no membership. One receipt_log row per change. What is read counts as
 * delivered. Safe to repeat. Returns 0, -ERR_FULL, -ERR_INVAL (USER or place not positive).
 */
int mark_set(struct db *db, int64_t conv, int64_t user, enum mark_kind kind,
	     const struct mark_place *place, uint64_t deadline_ms, mark_done_fn *done, void *arg,
	     uint64_t *ret_token) MUST_CHECK;

/* ---- The marks of others, for the end of a catch-up ---- */

#define MARKS_PAGE_MAX 200

struct mark_row {
	size_t at; /* which conversation of the question, from 0 */
	int64_t user;
	struct str name; /* borrowed from the result */
	int64_t read_seq, delivered_seq; /* delivered is never below read */
	int64_t at_ms;	 /* of the last change */
};

#define MARKS_CONVS_MAX 32 /* in one question */

/*
 * The marks of each of N conversations (1 to MARKS_CONVS_MAX) that changed since its row of
 * AFTER_REVS was written, with a margin for unequal clocks, so some may be known already; all when
 * that is 0 or gone. At most MARKS_PAGE_MAX of each, the newest. Marks raised by a send are not
 * among them: the message itself says so. Rows for mark_row_get, by conversation, oldest change
 * first.
 */
int marks_page(struct db *db, const int64_t *convs, const int64_t *after_revs, size_t n,
	       uint64_t deadline_ms, db_rows_fn *done, void *arg,
	       uint64_t *ret_token) MUST_CHECK;

/* Row I below db_rows(res). */
void mark_row_get(const struct db_result *res, int i, struct mark_row *ret);

/* ---- Counters ---- */

struct unread_row {
	size_t at;	/* which pair of the question, from 0 */
	int64_t unread; /* messages */
	int64_t read_seq;
	int64_t seq; /* the newest message there was, counted in */
};

/*
 * Of N pairs (1 to MARKS_CONVS_MAX) of a conversation and a user. Rows for unread_row_get, of those
 * alone who have marks: all others have read nothing and missed nothing.
 */
int unread_get(struct db *db, const int64_t *convs, const int64_t *users, size_t n,
	       uint64_t deadline_ms, db_rows_fn *done, void *arg,
	       uint64_t *ret_token) MUST_CHECK;

/* Row I below db_rows(res). */
void unread_row_get(const struct db_result *res, int i, struct unread_row *ret);

struct unread {
	int64_t unread;	       /* messages */
	int64_t conversations; /* with at least one */
};

/* UNREAD is NULL unless ERR is 0 (-ERR_UNAVAILABLE, -ERR_DB). */
typedef void unread_done_fn(void *arg, int err, const struct unread *unread);

/* Of all open conversations USER is a member of. */
int unread_total(struct db *db, int64_t user, uint64_t deadline_ms, unread_done_fn *done, void *arg,
		 uint64_t *ret_token) MUST_CHECK;

#endif
