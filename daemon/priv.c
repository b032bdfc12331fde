/* SPDX-License-Identifier: MIT */
/*
 * Drops privileges in the child. Names are looked up in the master, before: the child then needs no
 * name service.
 */
#include "daemon/priv.h"

#include <grp.h>
#include <pwd.h>
#include <unistd.h>

int priv_lookup(const char *user, struct priv *ret)
{
	struct priv p = {.is_needed = true, .n_groups = PRIV_GROUPS_MAX};
	struct passwd *pw;

	if (!*user) {
		*ret = (struct priv){0};
		return 0;
	}
	pw = getpwnam(user);
	if (!pw)
		return -ERR_NOENT;
	if (pw->pw_uid == geteuid()) {
		*ret = (struct priv){0};
		return 0;
	}
	if (geteuid() != 0)
		return -ERR_DENIED;
	p.uid = pw->pw_uid;
	p.gid = pw->pw_gid;
	if (getgrouplist(user, p.gid, p.groups, &p.n_groups) < 0)
		return -ERR_TOOBIG;
	*ret = p;
	return 0;
}

static bool is_dropped(const struct priv *p)
{
	uid_t real, effective, saved;
	gid_t greal, geffective, gsaved;

	if (getresuid(&real, &effective, &saved) < 0 || getresgid(&greal, &geffective, &gsaved) < 0)
		return false;
	if (real != p->uid || effective != p->uid || saved != p->uid)
		return false;
	if (greal != p->gid || geffective != p->gid || gsaved != p->gid)
		return false;
	/* the way back must be shut */
	return p->uid == 0 || (setuid(0) < 0 && seteuid(0) < 0);
}

int priv_drop(const struct priv *p)
{
	if (!p->is_needed)
		return 0;
	if (setgroups((size_t)p->n_groups, p->groups) < 0 ||
	    setresgid(p->gid, p->gid, p->gid) < 0 || setresuid(p->uid, p->uid, p->uid) < 0)
		return -ERR_DENIED;
	return is_dropped(p) ? 0 : -ERR_DENIED;
}
