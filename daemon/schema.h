/* SPDX-License-Identifier: MIT */
/*
 * The database schema, brought up to date by a short-lived child: the master itself never waits for
 * the database.
 */
#ifndef DAEMON_SCHEMA_H
#define DAEMON_SCHEMA_H

#include <ev.h>
#include <stdbool.h>
#include <sys/types.h>

struct master;

struct schema {
	struct master *master;
	pid_t pid; /* > 0 while the child runs */
	int pidfd; /* owned */
	unsigned attempts;
	int outcome; /* of the last attempt: 0 or ERR_x; meaningless before the first has ended */
	bool is_known; /* an attempt has ended */
	ev_io exit_io;
	ev_timer retry;
};

/*
 * Starts the child that database.migrate asks for. When it has ended, workers are started: also
 * when the database could not be reached, which is then tried again every few seconds. A schema
 * that cannot be used stops the node.
 */
void schema_start(struct master *m);

/* Ends the child, if there is one, and all further attempts. */
void schema_stop(struct master *m);

#endif
