/* SPDX-License-Identifier: MIT */
/*
 * Open files: how many the system allows, and what that leaves for clients.
 */
#ifndef DAEMON_LIMITS_H
#define DAEMON_LIMITS_H

#include "base/settings.h"

/* Raises the soft limit to the hard one. */
void limits_raise(void);

/* Client connections that fit into a process under a limit of NOFILE descriptors. At least 1. */
int64_t limits_connections(uint64_t nofile);

/*
 * Lowers server.max_connections to what fits into this process's hard limit. IS_LOGGED: says so in
 * the log. Returns false when it had to.
 */
bool limits_fit(struct settings *s, bool is_logged);

#endif
