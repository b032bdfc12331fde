/* SPDX-License-Identifier: MIT */
/*
 * Sessions that ended before their time, and users who may not act: what a token that is still
 * valid by itself must be compared with. Entries go when every such token has expired.
 */
#ifndef SHM_REVOKED_H
#define SHM_REVOKED_H

#include "shm/shm.h"

/* Entries: with 15 minutes of life, 70 revocations a second without end. */
#define REVOKED_USUAL 65536

/*
 * Remembers a session until UNTIL_MS (clock_wall_ms). A full table gives up the session that would
 * go first: *RET_LOST (may be NULL) tells, and revoked_lost_ms from then on. Returns 0 or
 * -ERR_TIMEOUT.
 */
int revoked_add(struct shm *shm, unsigned me, const struct uuid *session, int64_t until_ms,
		bool *ret_lost) MUST_CHECK;

/* The same for everything that a user does; UNTIL_MS 0 takes it back. */
int revoked_set_user(struct shm *shm, unsigned me, int64_t user, int64_t until_ms,
		     bool *ret_lost) MUST_CHECK;

/*
 * The latest end of all sessions that were given up; 0: none was. That a session is not found says
 * nothing about one that may have been revoked when such an entry was made: ask the database.
 */
int64_t revoked_lost_ms(const struct shm *shm);

/* Without lock, in constant time. A zero session and user 0 are never revoked. */
bool revoked_has(const struct shm *shm, const struct uuid *session);
bool revoked_has_user(const struct shm *shm, int64_t user);

#endif
