/* SPDX-License-Identifier: MIT */
/*
 * The limit of open files, so that a worker never promises more connections than it may hold.
 */
#include "daemon/limits.h"

#include <sys/resource.h>

#include "base/log.h"

/*
 * Besides clients a worker holds: 64 wake-up descriptors, listening sockets, database
 * connections, log.
 */
#define RESERVED 192

void limits_raise(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0 || rl.rlim_cur == rl.rlim_max)
		return;
	rl.rlim_cur = rl.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &rl) < 0)
		log_warn("the limit of open files cannot be raised", LF_INT("wanted", rl.rlim_max));
}

int64_t limits_connections(uint64_t nofile)
{
	if (nofile > INT64_MAX)
		return INT64_MAX;
	return nofile > RESERVED ? (int64_t)nofile - RESERVED : 1;
}

bool limits_fit(struct settings *s, bool is_logged)
{
	struct rlimit rl;
	int64_t most;

	if (getrlimit(RLIMIT_NOFILE, &rl) < 0)
		return true;
	most = limits_connections(rl.rlim_max);
	if (s->server_max_connections <= most)
		return true;
	if (is_logged)
		log_warn("server.max_connections is more than the limit of open files allows",
			 LF_INT("wanted", s->server_max_connections), LF_INT("allowed", most));
	s->server_max_connections = most;
	return false;
}
