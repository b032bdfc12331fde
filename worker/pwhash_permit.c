/* SPDX-License-Identifier: MIT */
/*
 * Permits as record locks: the count holds for the node, and nobody has to clean up after a death.
 * How long to wait for one is pwhash.c's.
 */
#include "worker/pwhash_priv.h"

#include <errno.h>
#include <fcntl.h>

/* Far from anything that lies in the file; a lock needs no byte to lie on. */
#define PERMIT_BASE ((off_t)1 << 48)

enum grant { GRANT_YES, GRANT_NO, GRANT_UNKNOWN };

static enum grant lock_byte(struct permits *p, unsigned i, short type)
{
	struct flock fl = {
		.l_type = type, .l_whence = SEEK_SET, .l_start = PERMIT_BASE + i, .l_len = 1};
	int r;

	do
		r = fcntl(p->fd, F_SETLK, &fl);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		return GRANT_YES;
	return errno == EAGAIN || errno == EACCES ? GRANT_NO : GRANT_UNKNOWN;
}

static bool take_one(struct permits *p, unsigned i)
{
	enum grant grant = p->held[i] ? GRANT_NO : lock_byte(p, i, F_WRLCK);

	if (grant == GRANT_NO || (grant == GRANT_UNKNOWN && p->n_held >= p->share))
		return false;
	p->held[i] = true;
	p->n_held++;
	return true;
}

bool permits_take(struct permits *p, unsigned n, bool ret[PERMITS_MAX])
{
	unsigned got = 0;

	memset(ret, 0, PERMITS_MAX * sizeof(ret[0]));
	for (unsigned i = 0; i < p->limit && got < n; i++) {
		ret[i] = take_one(p, i);
		got += ret[i];
	}
	if (got == n)
		return true;
	permits_give(p, ret);
	return false;
}

void permits_give(struct permits *p, const bool taken[PERMITS_MAX])
{
	for (unsigned i = 0; i < PERMITS_MAX; i++) {
		if (!taken[i])
			continue;
		(void)lock_byte(p, i, F_UNLCK);
		p->held[i] = false;
		p->n_held--;
	}
}
