/* SPDX-License-Identifier: MIT */
/*
 * New settings for a running node.
 */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

#include "base/buf.h"

struct master;

/*
 * Reads and checks everything again. Without a fault the live settings are switched here and sent
 * to every worker, and each change is logged; with one, each fault is logged and nothing changes.
 * The lines "applied KEY", "restart KEY" and "fault TEXT" are appended to *RET_LINES (NULL: to the
 * log only). Returns 0, -ERR_INVAL after faults, or -ERR_CLOSED when the node is stopping.
 */
int reload_settings(struct master *m, struct buf *ret_lines);

/*
 * Logs from LEVEL ("debug") on, here and in every worker, until the next reload. Returns 0 or
 * -ERR_INVAL.
 */
int reload_log_level(struct master *m, struct str level) MUST_CHECK;

#endif
