/* SPDX-License-Identifier: MIT */
/*
 * The messages of sd_notify(3). A lost one is no reason to stop.
 */
#include "daemon/notify.h"

#include <stdarg.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"

void notify_ready(void)
{
	(void)sd_notify(0, "READY=1");
}

void notify_reloading(void)
{
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, clock_mono_ns() / 1000);
}

void notify_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1");
}

void notify_status(const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	(void)sd_notifyf(0, "STATUS=%s", text);
}

void notify_alive(void)
{
	(void)sd_notify(0, "WATCHDOG=1");
}

uint64_t notify_watchdog_ms(void)
{
	uint64_t usec = 0;

	return sd_watchdog_enabled(0, &usec) > 0 ? MAX(usec / 2000, 1) : 0;
}

int notify_listen_fds(int *ret_first)
{
	int n = sd_listen_fds(1);

	*ret_first = SD_LISTEN_FDS_START;
	return MAX(n, 0);
}
