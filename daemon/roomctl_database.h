/* SPDX-License-Identifier: MIT */
/*
 * roomctl init-db and migrate: the database of the configuration, without a daemon.
 */
#ifndef DAEMON_ROOMCTL_DATABASE_H
#define DAEMON_ROOMCTL_DATABASE_H

#include "daemon/roomctl_options.h"

/*
 * Carries out the command of O and prints what was done. Returns the exit code of the program:
 * EX_TEMPFAIL when migrations are missing (--check) or a lock never came free, EX_UNAVAILABLE
 * without a connection, EX_NOPERM, EX_DATAERR for a schema that is not this program's, EX_CONFIG,
 * EX_SOFTWARE.
 */
int roomctl_database_run(const struct roomctl_options *o);

#endif
