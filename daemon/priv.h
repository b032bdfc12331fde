/* SPDX-License-Identifier: MIT */
/*
 * Becoming another user for good, in a child of a master that was started as root.
 */
#ifndef DAEMON_PRIV_H
#define DAEMON_PRIV_H

#include <sys/types.h>

#include "base/base.h"

#define PRIV_GROUPS_MAX 64

struct priv {
	bool is_needed; /* false: stay who we are */
	uid_t uid;
	gid_t gid;
	gid_t groups[PRIV_GROUPS_MAX];
	int n_groups;
};

/*
 * Looks up USER and its groups. Empty, or already the user of this process: nothing is needed.
 * Returns 0, -ERR_NOENT (no such user), -ERR_DENIED (only root can become another), -ERR_TOOBIG
 * (groups).
 */
int priv_lookup(const char *user, struct priv *ret) MUST_CHECK;

/*
 * Groups, then gid, then uid, then proof that there is no way back. On failure the process must
 * end. Returns 0 or -ERR_DENIED.
 */
int priv_drop(const struct priv *p) MUST_CHECK;

#endif
