/* SPDX-License-Identifier: MIT */
/*
 * Conversations as named open rooms: create, list, look up by either id, close.
 * Live user counts come from shared memory and are merged in above.
 */
#ifndef SQL_ROOMS_H
#define SQL_ROOMS_H

#include "base/base.h"
#include "base/ids.h"
#include "sql/db.h"

/* A conversation's row and the head of its log. Strings are borrowed during the call. */
struct room {
	int64_t id;
	struct uuid uid;
	struct str kind;	/* "room", "code", "group", "direct" */
	struct str name;	/* p == NULL when it has none */
	struct str description; /* empty when none */
	int64_t created_by;	/* user id, 0 = nobody */
	int64_t created_at_ms;
	bool is_closed;
	int64_t rev, seq;	/* newest in the log; 0 while it is empty */
	int64_t at_ms;		/* time of the newest row, 0 while the log is empty */
};

/* ROOM is NULL unless ERR is 0. */
typedef void room_done_fn(void *arg, int err, const struct room *room);

/*
 * A new room of kind "room" and its audit row in one transaction. CREATED_BY 0 = nobody: no
 * owner, open to all. NAME must be 1 to 100 characters; DESCRIPTION may be empty.
 * ERR: -ERR_EXISTS an open room has exactly this name, -ERR_INVAL a value the schema refuses,
 * -ERR_UNAVAILABLE (may have been created: it is not sent twice), -ERR_DB.
 */
int room_create(struct db *db, struct str name, struct str description, int64_t created_by,
		uint64_t deadline_ms, room_done_fn *done, void *arg,
		uint64_t *ret_token) MUST_CHECK;

/*
 * By id, or by UID when ID is 0. Closed ones are found too. ERR: -ERR_NOENT, -ERR_UNAVAILABLE,
 * -ERR_DB.
 */
int room_info(struct db *db, int64_t id, const struct uuid *uid, uint64_t deadline_ms,
	      room_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* The row of the close event: kind KIND_CONVERSATION_CLOSE, actor as given. */
struct room_closed {
	int64_t id, rev, seq, at_ms;
};

/* CLOSED is NULL unless ERR is 0. */
typedef void room_close_done_fn(void *arg, int err, const struct room_closed *closed);

/*
 * Closes an open conversation, appends its conversation.close event and audits, in one
 * transaction. Sends that are already locked in come before the event, later ones find it closed.
 * ERR: -ERR_NOENT unknown or closed already, -ERR_UNAVAILABLE (may be closed), -ERR_DB.
 */
int room_close(struct db *db, int64_t id, int64_t actor, uint64_t deadline_ms,
	       room_close_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/* All open rooms of kind "room" with id > AFTER_ID, at most LIMIT of them (0 = 10,000): rows for
 * room_list_get, ascending id. */
int room_list(struct db *db, int64_t after_id, int limit, uint64_t deadline_ms,
	      db_rows_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

/*
 * Row I below db_rows(res). RET_BODY is a JSON object with id, name, description, created_at and
 * ends in "}", never empty: a caller may put more members before the brace. Borrowed from the
 * result.
 */
void room_list_get(const struct db_result *res, int i, int64_t *ret_id, struct str *ret_body);

#endif
