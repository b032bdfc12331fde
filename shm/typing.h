/* SPDX-License-Identifier: MIT */
/*
 * Who is typing in which room: marks of (slot, room, user) that end by themselves and fall with
 * their slot. Sending the set to clients, and how often, is worker/'s business.
 */
#ifndef SHM_TYPING_H
#define SHM_TYPING_H

#include "shm/shm.h"

/*
 * USER types in CONV until UNTIL_MS (clock_mono_ms); repeating it renews the mark. NAME as for
 * member_attach. *RET_CHANGED: the visible set of the room changed. A room without members on
 * this node keeps no marks (0, not changed). Returns 0, -ERR_INVAL, -ERR_FULL, -ERR_TIMEOUT.
 */
int typing_set(struct shm *shm, unsigned me, int64_t conv, int64_t user, struct str name,
	       uint64_t until_ms, bool *ret_changed) MUST_CHECK;

/*
 * Takes this slot's mark away, if there is one. *RET_CHANGED as above. Returns 0 or -ERR_TIMEOUT.
 */
int typing_clear(struct shm *shm, unsigned me, int64_t conv, int64_t user,
		 bool *ret_changed) MUST_CHECK;

/*
 * Removes marks of slot ME that ended by NOW, at most BUDGET, and calls ON_CHANGED for the room
 * of each whose visible set changed (a room may come more than once). Returns the number removed,
 * or -ERR_TIMEOUT.
 */
int typing_expire(struct shm *shm, unsigned me, uint64_t now, unsigned budget,
		  void (*on_changed)(void *arg, int64_t conv), void *arg,
		  bool *ret_is_more) MUST_CHECK;

/*
 * The users who type in CONV at NOW, each once, oldest mark first; NAME is borrowed for the call.
 * Calls come without a lock. Returns their number (0 when the room is unknown), or -ERR_TIMEOUT.
 */
int typing_read(struct shm *shm, unsigned me, int64_t conv, uint64_t now,
		void (*on_user)(void *arg, int64_t user, struct str name), void *arg) MUST_CHECK;

#endif
