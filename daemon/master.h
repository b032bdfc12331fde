/* SPDX-License-Identifier: MIT */
/*
 * The face of daemon/: the master, which makes what workers share, forks, supervises and stops
 * them.
 *
 *   options.h   command line and the settings it leads to      check.h    roomd -t
 *   spawn.h     worker processes and their slots               migrate child: schema.h
 *   sockets.h   listening sockets                              backoff.h  delays
 *   ctl.h       the control socket                       ops.h      the operations listener
 *   signals.h, reload.h, notify.h, priv.h, title.h, describe.h
 *
 * The master answers no client, takes no shared lock and waits for nobody: it may be killed at any
 * time, and the workers then drain and end by themselves.
 */
#ifndef DAEMON_MASTER_H
#define DAEMON_MASTER_H

#include <ev.h>

#include "base/settings.h"
#include "daemon/options.h"
#include "daemon/priv.h"
#include "daemon/schema.h"
#include "daemon/spawn.h"
#include "worker/worker.h"

struct ctl;
struct ops;
struct shm;
struct site;
struct sockets;

enum master_state {
	MASTER_STARTING, /* the schema is looked at; no worker yet */
	MASTER_RUNNING,
	MASTER_STOPPING,
};

#define MASTER_SIGNALS 5

struct master {
	const struct options *opt;
	/*
	 * Not the default loop: libev's own SIGCHLD handler there would reap children before
	 * their slot is closed. Children are watched through their pidfd.
	 */
	struct ev_loop *loop; /* owned */
	enum master_state state;
	int exit_code;
	uint64_t started_ms;
	bool is_announced; /* READY=1 was sent */

	struct settings *settings; /* owned */
	struct shm *shm;	   /* owned */
	struct site *site;	   /* owned */
	struct sockets *sockets;   /* owned */
	struct ops *ops;	   /* owned; NULL: no operations listener */
	struct priv priv;	   /* who workers become */

	unsigned n_slots;
	struct child children[SLOT_MAX];
	int wake_fds[SLOT_MAX]; /* owned eventfds, -1 past n_slots */
	struct worker_inbox inboxes[SLOT_MAX]; /* owned, -1 past n_slots */
	int lifeline[2];	/* owned pipe: the master keeps [1] and never writes */
	struct schema schema;
	struct ctl *ctl; /* owned; NULL: no control socket */

	ev_signal signals[MASTER_SIGNALS];
	ev_timer second;	/* heartbeats */
	ev_timer watchdog;	/* the service manager's */
	ev_timer stop_deadline;
	uint64_t second_ms; /* when "second" ran last */
};

/* Runs the node until it is told to stop. Takes S. Returns the exit code of the program. */
int master_run(const struct options *opt, struct settings *s);

/*
 * Asks every worker to drain; a second call kills them. CODE becomes the exit code if it is the
 * first.
 */
void master_stop(struct master *m, int code);

/* The schema has been looked at (again): forks the workers unless they run. */
void master_start_workers(struct master *m);

/* A child has changed its state: tells the service manager, ends the loop when the last is gone. */
void master_on_child_change(struct master *m);

/* In a new child: gives up everything of the master that the child must not keep. */
void master_leave(struct master *m);

#endif
