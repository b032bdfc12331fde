/* SPDX-License-Identifier: MIT */
/*
 * The control socket, on which the operator's command asks and orders. A client sends one line and
 * reads one answer up to the end of the stream: a JSON object, {"error": …} on failure, or the
 * Prometheus text of "metrics". The master answers what it knows; any other line is handed to a
 * ready worker together with the client's descriptor, so that the master takes no shared lock and
 * waits for nobody.
 */
#ifndef DAEMON_CTL_H
#define DAEMON_CTL_H

#include "base/base.h"

struct ctl; /* opaque */
struct master;

/*
 * Listens at control.socket; M's ctl stays NULL when that is empty. A socket that nobody serves
 * any more is replaced. Where the default path cannot be used, a daemon in the foreground says so
 * and goes on without. Returns 0 or -ERR_IO after a log line.
 */
int ctl_open(struct master *m) MUST_CHECK;

/* Closes everything and removes the socket, if it is still this one; NULL allowed. */
void ctl_close(struct ctl **ctl);

/* In a new child: closes the descriptors, leaves the socket to the master. NULL allowed. */
void ctl_leave(struct ctl *ctl);

#endif
