/* SPDX-License-Identifier: MIT */
/*
 * roomctl verify: recounts what the database says of itself, without a daemon.
 */
#ifndef DAEMON_ROOMCTL_VERIFY_H
#define DAEMON_ROOMCTL_VERIFY_H

#include "daemon/roomctl_options.h"

/* Exit code for differences: what was asked could be answered, and the answer is bad. */
#define ROOMCTL_EX_DIFFERENT 1

/*
 * Recounts what O names ("unread", "log", "all" or nothing for all) and prints the differences.
 * Returns the exit code of the program: 0 without a difference, ROOMCTL_EX_DIFFERENT, EX_USAGE for
 * another word, EX_UNAVAILABLE without a connection, EX_SOFTWARE, EX_CONFIG.
 */
int roomctl_verify_run(const struct roomctl_options *o);

/*
 * The same without a database, for tests: appends one difference found by the recount WHAT as a
 * line, or as an element of a JSON array.
 */
struct verify_row;
void roomctl_verify_add_text(struct buf *b, const char *what, const struct verify_row *row);
void roomctl_verify_add_json(struct buf *b, const char *what, const struct verify_row *row);

#endif
