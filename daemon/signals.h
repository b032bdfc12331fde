/* SPDX-License-Identifier: MIT */
/*
 * What signals mean to the master; workers ignore all but SIGKILL, SIGABRT and their like.
 */
#ifndef DAEMON_SIGNALS_H
#define DAEMON_SIGNALS_H

struct master;

void signals_open(struct master *m);
void signals_close(struct master *m);

#endif
