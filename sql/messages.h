/* SPDX-License-Identifier: MIT */
/*
 * Pages of messages as JSON text, built by PostgreSQL and passed through unread.
 * Who may read them is decided above; other rows of the log are in events.h.
 */
#ifndef SQL_MESSAGES_H
#define SQL_MESSAGES_H

#include "base/base.h"
#include "sql/db.h"

/* JSON text, borrowed during the call. ERR: 0, -ERR_NOENT no such open conversation,
 * -ERR_UNAVAILABLE, -ERR_DB; JSON is empty then. */
typedef void page_done_fn(void *arg, int err, struct str json);

/*
 * The page of the raw dialect: a JSON array, oldest first, of the newest LIMIT (1 to 100, else
 * cut) messages with rev < BEFORE_REV (0 = from the end), deleted ones left out. Members: id
 * (decimal string), room_id, username, content, created_at, seq, rev.
 */
int messages_page_raw(struct db *db, int64_t conv, int64_t before_rev, int limit,
		      uint64_t deadline_ms, page_done_fn *done, void *arg,
		      uint64_t *ret_token) MUST_CHECK;

enum page_from {
	PAGE_BEFORE, /* the newest with rev < REV; REV 0 = from the end */
	PAGE_AFTER,  /* the oldest with rev > REV */
	PAGE_AROUND, /* half before and the message itself, half after */
};

/*
 * The native page: {"messages":[…],"has_before":bool,"has_after":bool,"rev":n,"seq":n}, oldest
 * first; rev and seq are the newest of the conversation at the time of reading. Each message:
 * id, uid, conversation_id, sender {id,name}, content (null when deleted), attachment_url, reply_to
 * (id or null), created_at, edited_at, deleted_at, seq, rev, client_msg_id, and meta when there is
 * some. LIMIT 1 to 200, else cut.
 */
int messages_page_native(struct db *db, int64_t conv, enum page_from from, int64_t rev, int limit,
			 uint64_t deadline_ms, page_done_fn *done, void *arg,
			 uint64_t *ret_token) MUST_CHECK;

#endif
