/* SPDX-License-Identifier: MIT */
/*
 * Worker processes: fork, readiness, orders, death, replacement. One struct child per slot.
 */
#ifndef DAEMON_SPAWN_H
#define DAEMON_SPAWN_H

#include <ev.h>
#include <sys/types.h>

#include "base/ids.h"
#include "daemon/backoff.h"

struct master;

enum child_state {
	CHILD_NONE,	/* no process, none planned */
	CHILD_STARTING, /* forked, not ready */
	CHILD_READY,
	CHILD_WAITING, /* dead, its replacement is due when the timer fires */
};

struct child {
	struct master *master;
	unsigned slot;
	enum child_state state;
	pid_t pid;	/* > 0 while there is a process */
	int pidfd;	/* owned, readable when the process has ended */
	int control_fd; /* owned, SOCK_SEQPACKET */
	uint32_t generation;
	uint64_t started_ms;
	uint64_t aborted_ms; /* when SIGABRT was sent; 0: not */
	struct backoff backoff;
	ev_io exit_io, control_io;
	ev_timer timer; /* readiness while starting, replacement while waiting */
};

/* All slots empty. */
void spawn_init(struct master *m);

/* Forks the worker of C's slot; a failure to fork counts as a death. Never returns in the child. */
void spawn_worker(struct child *c);

/*
 * Sends one order (CONTROL_ORDER_MAX) to a running worker, with FD attached unless negative; FD
 * stays the caller's. Returns 0, -ERR_NOENT (no worker, or it is dying) or -ERR_AGAIN (it was not
 * taken, which is logged).
 */
int spawn_order(struct child *c, const char *text, int fd);

/* Kills a worker whose heartbeat stands still: SIGABRT, two seconds later SIGKILL. */
void spawn_check_heartbeat(struct child *c, uint64_t now);

/* No replacement any more; a running worker is told to drain. */
void spawn_drain(struct child *c);

void spawn_kill(struct child *c);

#endif
