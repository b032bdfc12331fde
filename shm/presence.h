/* SPDX-License-Identifier: MIT */
/*
 * Members: connections per (slot, room, user), the truth from which counts, targets and rosters
 * are derived. Telling clients who came and went is worker/'s business, from what these functions
 * return.
 */
#ifndef SHM_PRESENCE_H
#define SHM_PRESENCE_H

#include "shm/shm.h"

/*
 * The room that everybody with a connection to this node is in, whatever else they follow:
 * presence on the node is membership of it. No conversation has this id, and listings of rooms
 * leave it out.
 */
#define MEMBER_NODE INT32_MAX

/*
 * The room whose targets are the slots with sockets that are told of messages wherever they come
 * from; watchers alone are in it. The same holds.
 */
#define MEMBER_NOTED (INT32_MAX - 1)
#define MEMBER_IS_ROOM(conv) ((conv) < MEMBER_NOTED)

/*
 * One connection more of USER in CONV at slot ME. NAME (1 to SHM_NAME_MAX bytes, copied) counts
 * when the user is not connected to this node yet. From its return on, every event published to
 * the room has this slot as a target. *RET_IS_FIRST: nobody on this node, lingering ones
 * included, had the user in the room before ("joined"). USER 0 is a watcher, whose NAME is not
 * looked at: it makes the slot a target and is in no count, roster or presence. Returns 0,
 * -ERR_INVAL (id or name), -ERR_FULL (a table), -ERR_CLOSED (room_mark_closed), -ERR_TIMEOUT.
 */
int member_attach(struct shm *shm, unsigned me, int64_t conv, int64_t user, struct str name,
		  bool *ret_is_first) MUST_CHECK;

/*
 * One connection less. The last one of this slot makes the record linger until GRACE_UNTIL_MS
 * (clock_mono_ms; a time that has passed means the next member_expire): the user stays in
 * rosters, the slot is no target any more. Attaching again anywhere before that makes the
 * departure unseen. A watcher's record goes at once, and with a dead slot. *RET_IS_LAST: it was
 * this slot's last connection of the user to the room. Typing marks are not touched. Returns 0,
 * -ERR_NOENT (nothing attached), -ERR_TIMEOUT.
 */
int member_detach(struct shm *shm, unsigned me, int64_t conv, int64_t user, uint64_t grace_until_ms,
		  bool *ret_is_last) MUST_CHECK;

/*
 * Removes lingering records of slot ME whose grace ended by NOW and calls ON_LEFT for each user
 * that is thereby in the room no more (no record of any slot, live or lingering). NAME is
 * borrowed for the call. At most BUDGET records; call again at once when *RET_IS_MORE. Returns
 * the number removed, or -ERR_TIMEOUT.
 */
int member_expire(struct shm *shm, unsigned me, uint64_t now, unsigned budget,
		  void (*on_left)(void *arg, int64_t conv, int64_t user, struct str name),
		  void *arg, bool *ret_is_more) MUST_CHECK;

/* Number of lingering records of slot ME: while it is 0 no timer is needed. */
uint32_t member_lingering(struct shm *shm, unsigned me);

/*
 * Whether any slot has USER in CONV; live connections only, or lingering ones too. Returns 0 or
 * -ERR_TIMEOUT.
 */
int member_is_present(struct shm *shm, unsigned me, int64_t conv, int64_t user, bool with_lingering,
		      bool *ret) MUST_CHECK;

/*
 * The distinct users of a room, each once, lingering ones included, in no order; NAME is borrowed
 * for the call. The calls come after the lock was released, from a copy. Returns the number of
 * users (0 when the room is unknown), or -ERR_TIMEOUT.
 */
int roster_read(struct shm *shm, unsigned me, int64_t conv,
		void (*on_user)(void *arg, int64_t user, struct str name), void *arg) MUST_CHECK;

/*
 * Up to MAX users of a room with ids above AFTER into RET_USERS, ascending, lingering ones
 * included. The table is gone through in steps, so that no lock is held for long: who comes or
 * goes meanwhile may be in it or not. Returns their number, or -ERR_TIMEOUT.
 */
int roster_page(struct shm *shm, unsigned me, int64_t conv, int64_t after, unsigned max,
		int64_t *ret_users) MUST_CHECK;

/*
 * Whether the node has reached LIMIT connections (of MEMBER_NODE), with hysteresis: once true, it
 * is so until a tenth of LIMIT has gone. One answer for all slots. Returns 0 or -ERR_TIMEOUT.
 */
int node_is_crowded(struct shm *shm, unsigned me, uint32_t limit, bool *ret) MUST_CHECK;

/*
 * The next part of it, members only: BUDGET records of the table from *POS (first 0) on.
 * Afterwards *POS is UINT32_MAX when all were looked at. Returns the number of records converted,
 * or -ERR_TIMEOUT.
 */
int presence_drop_part(struct shm *shm, unsigned me, unsigned dead_slot, uint64_t grace_until_ms,
		       uint32_t *pos, uint32_t budget) MUST_CHECK;

/*
 * The part of recover_slot for members and typing: every record of DEAD_SLOT becomes a lingering
 * one of slot ME until GRACE_UNTIL_MS, its typing marks go (ON_TYPING, may be NULL, for each room
 * that lost one), its bits and counts are cleared. May be repeated, also after a death in the
 * middle of it. Call recover_slot, not this. Returns the number of records converted, or
 * -ERR_TIMEOUT.
 */
int presence_drop_slot(struct shm *shm, unsigned me, unsigned dead_slot, uint64_t grace_until_ms,
		       void (*on_typing)(void *arg, int64_t conv), void *arg) MUST_CHECK;

#endif
