/* SPDX-License-Identifier: MIT */
/*
 * The key of a node that was given none.
 */
#ifndef DAEMON_SECRET_H
#define DAEMON_SECRET_H

#include "base/settings.h"

/*
 * Fills an empty auth.secret_key with one drawn for this process, the same each time, and says so
 * in the log the first time. Workers get it with the other settings; it ends with the master, and
 * all tokens and cookies with it. Returns 0, or -ERR_IO without entropy.
 */
int secret_fill(struct settings *s) MUST_CHECK;

#endif
