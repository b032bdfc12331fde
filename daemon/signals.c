/* SPDX-License-Identifier: MIT */
/*
 * Turns signals into calls, inside the event loop.
 */
#include "daemon/signals.h"

#include <signal.h>

#include "base/log.h"
#include "daemon/master.h"
#include "daemon/reload.h"

static void on_stop(EV_P_ ev_signal *w, int revents)
{
	(void)loop;
	(void)revents;
	log_notice("told to stop", LF_STR("signal", strsignal(w->signum)));
	master_stop(w->data, EXIT_SUCCESS);
}

static void on_reload(EV_P_ ev_signal *w, int revents)
{
	(void)loop;
	(void)revents;
	reload_settings(w->data, NULL);
}

static void on_reserved(EV_P_ ev_signal *w, int revents)
{
	(void)loop;
	(void)revents;
	log_notice("signal without a meaning", LF_STR("signal", strsignal(w->signum)));
}

static const struct {
	int signum;
	void (*on_signal)(EV_P_ ev_signal *w, int revents);
} table[MASTER_SIGNALS] = {
	{SIGTERM, on_stop},	{SIGINT, on_stop},	{SIGHUP, on_reload},
	{SIGUSR1, on_reserved}, {SIGUSR2, on_reserved},
};

void signals_open(struct master *m)
{
	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		ev_signal_init(&m->signals[i], table[i].on_signal, table[i].signum);
		m->signals[i].data = m;
		ev_signal_start(m->loop, &m->signals[i]);
	}
}

void signals_close(struct master *m)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++)
		ev_signal_stop(m->loop, &m->signals[i]);
}
