/* SPDX-License-Identifier: MIT */
/*
 * New settings for a running node.
 */
#ifndef DAEMON_RELOAD_H
#define DAEMON_RELOAD_H

struct master;

/*
 * Reads and checks everything again. Without a fault the live settings are switched here and sent to
 * every worker, and each change is logged; with one, each fault is logged and nothing changes.
 */
void reload_settings(struct master *m);

#endif
