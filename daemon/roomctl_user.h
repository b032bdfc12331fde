/* SPDX-License-Identifier: MIT */
/*
 * roomctl user: accounts in the database of the configuration, without a daemon. A daemon that runs
 * acts on what was ended within auth.revocation_check.
 */
#ifndef DAEMON_ROOMCTL_USER_H
#define DAEMON_ROOMCTL_USER_H

#include "daemon/roomctl_options.h"

/*
 * Carries out the command of O and prints what was done. Returns the exit code of the program:
 * EX_NOUSER when there is no such account, EX_CANTCREAT when a name or address is taken, EX_DATAERR
 * for a name, address or password that cannot be one, EX_UNAVAILABLE without a connection,
 * EX_TEMPFAIL when the daemon gave no whole answer, EX_CONFIG, EX_SOFTWARE.
 */
int roomctl_user_run(const struct roomctl_options *o);

#endif
