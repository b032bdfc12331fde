/* SPDX-License-Identifier: MIT */
/*
 * roomctl cookie: what a sealed cookie says. Needs the keys, but no daemon.
 */
#ifndef DAEMON_ROOMCTL_COOKIE_H
#define DAEMON_ROOMCTL_COOKIE_H

#include "daemon/roomctl_options.h"

/*
 * Opens the cookie on the first line of standard input (an argument would be seen by others) with
 * the configured keys and prints one JSON object. Returns the exit code of the program: 0,
 * EX_DATAERR when it is no cookie of ours or has expired, EX_CONFIG, EX_SOFTWARE, EX_IOERR.
 */
int roomctl_cookie_run(const struct roomctl_options *o);

#endif
