/* SPDX-License-Identifier: MIT */
/*
 * roomd -t and -T: looks at a configuration without starting anything.
 */
#ifndef DAEMON_CHECK_H
#define DAEMON_CHECK_H

#include "daemon/options.h"

/*
 * Appends every fault and every warning ("warning: …") as a line to *RET_REPORT. Warnings are
 * what may change by itself: a database that is away, a limit of this shell. Returns 0 or
 * -ERR_INVAL.
 */
int check_settings(struct settings *s, struct buf *ret_report) MUST_CHECK;

/*
 * Writes such a report to standard error, each line with its level if the journal reads it there
 * (sd-daemon(3)). Frees REPORT's bytes.
 */
void check_tell(struct buf *report);

/* The whole action; WITH_PRINT for -T. Returns the exit code of the program. */
int check_run(const struct options *opt, bool with_print);

#endif
