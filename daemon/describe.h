/* SPDX-License-Identifier: MIT */
/*
 * --describe: the tables that the program is built from, by name.
 */
#ifndef DAEMON_DESCRIBE_H
#define DAEMON_DESCRIBE_H

#include "base/buf.h"

/*
 * Appends TABLE in FORMAT ("json"; "mdoc" and "conf" for settings only). Returns 0, -ERR_NOENT (no
 * such table) or -ERR_UNSUPPORTED (not in that format).
 */
int describe_table(const char *table, const char *format, struct buf *ret) MUST_CHECK;

#endif
