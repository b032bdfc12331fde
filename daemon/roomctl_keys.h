/* SPDX-License-Identifier: MIT */
/*
 * roomctl keys: which keys the secrets in the database are sealed with. Needs the keys and the
 * database, but no daemon.
 */
#ifndef DAEMON_ROOMCTL_KEYS_H
#define DAEMON_ROOMCTL_KEYS_H

#include "daemon/roomctl_options.h"

/*
 * Prints each key that sealed something, whether it is the current one, one of
 * auth.previous_keys, or unknown, and how many secrets need it. Returns the exit code of the
 * program: 0, ROOMCTL_EX_DIFFERENT when a key is unknown, EX_CONFIG, EX_UNAVAILABLE, EX_SOFTWARE,
 * EX_IOERR.
 */
int roomctl_keys_run(const struct roomctl_options *o);

#endif
