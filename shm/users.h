/* SPDX-License-Identifier: MIT */
/*
 * Users with at least one member record or typing mark on this node: name, presence state, last
 * activity. A record comes and goes with presence.h and typing.h; nothing here creates one.
 */
#ifndef SHM_USERS_H
#define SHM_USERS_H

#include "shm/shm.h"

enum user_presence {
	USER_ONLINE,
	USER_AWAY,
	USER_BUSY,
	USER_INVISIBLE,
};

struct user_info {
	uint32_t records;	     /* member records and typing marks, all slots */
	uint64_t slots;		     /* bit per slot that has such records */
	enum user_presence presence; /* as the user chose it */
	uint64_t active_ms;	     /* last user_touch; 0 = never */
	uint32_t name_len;
	char name[SHM_NAME_MAX + 1];
};

/* Returns 0, -ERR_NOENT (not connected here) or -ERR_TIMEOUT. */
int user_read(struct shm *shm, unsigned me, int64_t user, struct user_info *ret) MUST_CHECK;

/* Which of N users are connected here, into RET[N]. Returns 0 or -ERR_TIMEOUT. */
int user_online_bulk(struct shm *shm, unsigned me, const int64_t *users, size_t n,
		     bool *ret) MUST_CHECK;

/*
 * The state a user chose; *RET_CHANGED when it was another. Returns 0, -ERR_NOENT, -ERR_INVAL,
 * -ERR_TIMEOUT.
 */
int user_presence_set(struct shm *shm, unsigned me, int64_t user, enum user_presence presence,
		      bool *ret_changed) MUST_CHECK;

/* The user did something at NOW; newest wins. Returns 0, -ERR_NOENT, -ERR_TIMEOUT. */
int user_touch(struct shm *shm, unsigned me, int64_t user, uint64_t now) MUST_CHECK;

#endif
