/* SPDX-License-Identifier: MIT */
/*
 * Forking for the master: no signal gets lost between the two lives, and the end of the child is
 * an event on a descriptor.
 */
#ifndef DAEMON_PROCESS_H
#define DAEMON_PROCESS_H

#include <sys/types.h>

#include "base/base.h"

/*
 * Forks. Returns the child's pid and its pidfd (owned by the caller, closed on exec) in the parent,
 * 0 in the child, where signals have their default action (SIGPIPE is ignored) and none is blocked,
 * and -1 with errno otherwise.
 */
pid_t process_fork(int *ret_pidfd);

/* How a process ended. */
struct process_end {
	int code;   /* exit code, -1 when a signal ended it */
	int signal; /* 0 when it exited */
};

/* Reaps PID, which has ended: does not wait. */
struct process_end process_reap(pid_t pid);

#endif
