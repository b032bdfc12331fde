/* SPDX-License-Identifier: MIT */
/*
 * Rooms that have connected (or lingering) members or typing marks on this node. A room appears
 * with its first member and goes with its last: all of it can be rebuilt, the database is the
 * truth.
 */
#ifndef SHM_ROOMS_H
#define SHM_ROOMS_H

#include "shm/shm.h"

struct room_info {
	uint64_t slots;	       /* bit per slot with live members: the targets of an event */
	int64_t published_rev; /* highest revision that went through the ring; 0 = unknown */
	uint64_t newest;       /* offset of its newest ring record; 0 = none */
	uint32_t connections;  /* live connections, all slots */
	uint32_t users;	       /* distinct users, lingering ones included */
	uint32_t typing;       /* typing marks */
	bool is_closed;	       /* room_mark_closed was called: the conversation was deleted */
};

/* Returns 0, -ERR_NOENT (no member on this node), -ERR_TIMEOUT. */
int room_read(struct shm *shm, unsigned me, int64_t conv, struct room_info *ret) MUST_CHECK;

/* Only the two counts; both 0 when the room is not known here. Returns 0 or -ERR_TIMEOUT. */
int room_counts(struct shm *shm, unsigned me, int64_t conv, uint32_t *ret_connections,
		uint32_t *ret_users) MUST_CHECK;

/* Distinct users of N conversations into RET_USERS[N]. Returns 0 or -ERR_TIMEOUT. */
int room_users_bulk(struct shm *shm, unsigned me, const int64_t *convs, size_t n,
		    uint32_t *ret_users) MUST_CHECK;

/*
 * Marks a deleted conversation: further attaches get -ERR_CLOSED as long as the room is known
 * here. Returns 0, -ERR_NOENT (not known here: nothing to do), -ERR_TIMEOUT.
 */
int room_mark_closed(struct shm *shm, unsigned me, int64_t conv) MUST_CHECK;

/*
 * REV of CONV is known to be published without the ring (a survivor announced it, history was
 * read). Newest wins.
 */
int room_publish_rev(struct shm *shm, unsigned me, int64_t conv, int64_t rev) MUST_CHECK;

/*
 * The head of CONV's log, read from the database by somebody who is attached. The highest rev
 * wins; nothing when the room is not known here.
 */
int room_note_head(struct shm *shm, unsigned me, int64_t conv, int64_t rev, int64_t seq) MUST_CHECK;

/*
 * The head of CONV's log as this node knows it, for a slot that has attached to CONV: every later
 * event is published to it. *RET_SEQ is -1 when only the ring's record of that rev can tell.
 * Returns 0; -ERR_NOENT when the head is not known, or not for certain: an event whose targets
 * were chosen before the slot attached is still on its way (or its publisher died: then the
 * database must be asked). -ERR_TIMEOUT.
 */
int room_head(struct shm *shm, unsigned me, int64_t conv, int64_t *ret_rev,
	      int64_t *ret_seq) MUST_CHECK;

/*
 * Calls ON_ROOM for every known room, in no order, for listings; rooms that come or go meanwhile
 * may be missed. Returns 0, or the first non-zero result of ON_ROOM.
 */
int room_each(struct shm *shm, unsigned me,
	      int (*on_room)(void *arg, int64_t conv, const struct room_info *info),
	      void *arg) MUST_CHECK;

#endif
