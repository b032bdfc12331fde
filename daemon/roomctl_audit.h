/* SPDX-License-Identifier: MIT */
/*
 * roomctl audit: the audit log on standard output, and whether its chain is whole. Needs no daemon.
 */
#ifndef DAEMON_ROOMCTL_AUDIT_H
#define DAEMON_ROOMCTL_AUDIT_H

#include "daemon/roomctl_options.h"

/*
 * Prints every entry after the one that O names, one JSON object a line; with --verify computes the
 * chain again instead. Returns the exit code of the program: 0, ROOMCTL_EX_DIFFERENT for a chain
 * that is not whole, EX_USAGE, EX_UNAVAILABLE without a connection, EX_SOFTWARE, EX_CONFIG,
 * EX_IOERR.
 */
int roomctl_audit_run(const struct roomctl_options *o);

#endif
