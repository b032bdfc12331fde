/* SPDX-License-Identifier: MIT */
/*
 * The names that ps and top show.
 */
#ifndef DAEMON_TITLE_H
#define DAEMON_TITLE_H

#include "base/base.h"

/*
 * Once, first thing in main: takes the memory of ARGV and the environment for titles. The
 * environment moves elsewhere; the arguments are in the copy that is returned, which is never
 * freed. Values on the command line vanish from view with the first title.
 */
char **title_init(char **argv);

/* "roomd: ROLE" or, with SLOT >= 0, "roomd: ROLE SLOT". */
void title_set(const char *role, int slot);

#endif
