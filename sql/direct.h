/* SPDX-License-Identifier: MIT */
/*
 * Conversations of two people, who may write to whom, and whom a message is announced to.
 * What a role lets somebody do is decided above.
 */
#ifndef SQL_DIRECT_H
#define SQL_DIRECT_H

#include "base/base.h"
#include "base/ids.h"
#include "sql/db.h"
#include "sql/messages.h"

struct direct {
	int64_t conv, peer; /* PEER: the other one */
	bool is_new; /* it was made, or somebody is in it again: what workers know of it is old */
};

/*
 * DIRECT is NULL unless ERR is 0. ERR: -ERR_NOENT there is nobody of that id who can act,
 * -ERR_INVAL it is USER himself, -ERR_DENIED PEER has blocked USER and has no such conversation,
 * -ERR_CLOSED it is closed, -ERR_UNAVAILABLE, -ERR_DB.
 */
typedef void direct_done_fn(void *arg, int err, const struct direct *direct);

/*
 * The conversation of USER with PEER, or with the one of UID when PEER is 0; made if there is
 * none. Both are members of it afterwards, also who had left. However many ask for it at once, in
 * whatever order of the two, it is one. Safe to repeat.
 */
int direct_open(struct db *db, int64_t user, int64_t peer, const struct uuid *uid,
		uint64_t deadline_ms, direct_done_fn *done, void *arg,
		uint64_t *ret_token) MUST_CHECK;

/* ---- Blocks ---- */

/*
 * CONV is the conversation of the two, in which rights have changed; 0: none have. ERR: -ERR_NOENT
 * there is nobody of that id, -ERR_INVAL it is USER himself, -ERR_UNAVAILABLE, -ERR_DB.
 */
typedef void block_done_fn(void *arg, int err, int64_t conv);

/*
 * From now on (not ON: no more) OTHER may only read in the conversation of the two. Safe to repeat.
 */
int block_set(struct db *db, int64_t user, int64_t other, bool on, uint64_t deadline_ms,
	      block_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* {"blocks":[{"user":{"id","uid","name"},"at"}]}, the newest first, at most BLOCKS_MAX. */
#define BLOCKS_MAX 1000
int block_list(struct db *db, int64_t user, uint64_t deadline_ms, page_done_fn *done, void *arg,
	       uint64_t *ret_token) MUST_CHECK;

/* ---- Announcements ---- */

#define NOTICES_CONVS_MAX 64	 /* in one question */
#define NOTICES_EVENTS_MAX 200	 /* messages of each */
#define NOTICES_MEMBERS_MAX 2000 /* of each */

/*
 * The messages of N conversations (1 to NOTICES_CONVS_MAX) behind each one's place in AFTER,
 * without those made more than a second before the one at its rev in FIRST (0: all): rows for
 * event_row_get, by conversation and rev.
 */
int notices_events(struct db *db, const int64_t *convs, const int64_t *after,
		   const int64_t *first, size_t n, uint64_t deadline_ms, db_rows_fn *done,
		   void *arg, uint64_t *ret_token) MUST_CHECK;

struct notice_member {
	int64_t conv, user;
	int64_t unread; /* messages, now */
	int64_t peer;	/* the other one of a direct conversation; 0: it is none */
};

/*
 * The members of N conversations who want to be told of messages: rows for notices_member_get, by
 * conversation.
 */
int notices_members(struct db *db, const int64_t *convs, size_t n, uint64_t deadline_ms,
		    db_rows_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;
void notices_member_get(const struct db_result *res, int i, struct notice_member *ret);

#endif
