/* SPDX-License-Identifier: MIT */
/*
 * Conversations as the native surface shows them: JSON text built by PostgreSQL.
 * The struct form for the program's own use, and closing, are in rooms.h.
 */
#ifndef SQL_CONVERSATIONS_H
#define SQL_CONVERSATIONS_H

#include "base/base.h"
#include "base/ids.h"
#include "sql/db.h"
#include "sql/messages.h"

/*
 * One object: id, uid, kind, name, description, created_by, created_at, updated_at, closed_at,
 * rev, seq, last_at, last_message {id,sender,preview,created_at} or null, and for a member role,
 * read_seq, unread. By id, or by UID when ID is 0; USER 0 = no member. Closed ones are shown
 * with closed_at. ERR: -ERR_NOENT, -ERR_UNAVAILABLE, -ERR_DB.
 */
int conversation_get(struct db *db, int64_t id, const struct uuid *uid, int64_t user,
		     uint64_t deadline_ms, page_done_fn *done, void *arg,
		     uint64_t *ret_token) MUST_CHECK;

/*
 * {"conversations":[…],"next":id or null}: open conversations with id > AFTER_ID in ascending id
 * that USER is a member of, and with WITH_OPEN the open rooms too. LIMIT 1 to 200, else cut.
 */
int conversation_list(struct db *db, int64_t user, bool with_open, int64_t after_id, int limit,
		      uint64_t deadline_ms, page_done_fn *done, void *arg,
		      uint64_t *ret_token) MUST_CHECK;

#endif
