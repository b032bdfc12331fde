/* SPDX-License-Identifier: MIT */
/*
 * What the service manager is told, and what it gives. Without one all of this does nothing.
 */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include "base/base.h"

/* Ready to serve, also after notify_reloading. */
void notify_ready(void);

/* A reload begins (Type=notify-reload wants the time of it). */
void notify_reloading(void);
void notify_stopping(void);

/* One line for "systemctl status". */
void notify_status(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* "Still alive": due at least every notify_watchdog_ms. */
void notify_alive(void);

/* Half of the watchdog's time in milliseconds; 0 when there is none. */
uint64_t notify_watchdog_ms(void);

/*
 * Number of sockets passed, from descriptor *RET_FIRST on; 0 for none. Forgets them in the
 * environment.
 */
int notify_listen_fds(int *ret_first);

#endif
