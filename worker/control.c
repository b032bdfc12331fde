/* SPDX-License-Identifier: MIT */
/*
 * Orders of the master: new settings (in a sealed memory file), drain, a colleague's death, an
 * operator's question. What the master checks is not checked again, but a text that cannot be
 * read changes nothing.
 */
#include "worker/control.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/fdpass.h"
#include "base/log.h"
#include "worker/authn.h"
#include "worker/conn.h"
#include "worker/ctl.h"
#include "worker/dbio.h"
#include "worker/heir.h"
#include "worker/peer.h"
#include "worker/keyring.h"
#include "worker/pwhash.h"


void control_say(struct worker *wk, const char *text)
{
	if (send(wk->boot->control_fd, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		log_warn("the master does not listen", LF_STR("error", strerror(errno)));
}

static void switch_settings(struct worker *wk, int fd)
{
	struct settings *next;

	if (settings_from_memfd(fd, &next) < 0) {
		log_error("new settings could not be read: the old ones stay");
		return;
	}
	settings_free(&wk->settings);
	wk->settings = next;
	log_set_level((enum log_level)(next->log_level + LOG_LEVEL_ERROR));
	peer_reload(wk);
	dbio_reload(wk);
	(void)keyring_load(wk);
	authn_rekeyed(wk);
	pwhash_reload(wk);
	conn_check_waits(wk);
	log_info("settings switched");
}

static void on_order(struct worker *wk, struct str order, int fd)
{
	const struct str ctl = STR("ctl ");

	if (str_eq(order, STR("settings")) && fd >= 0)
		switch_settings(wk, fd);
	else if (str_eq(order, STR("drain")))
		worker_drain(wk);
	else if (str_eq(order, STR("heir")))
		heir_look(wk);
	else if (fd >= 0 && order.len > ctl.len && memcmp(order.p, ctl.p, ctl.len) == 0)
		ctl_answer(wk, (struct str){order.p + ctl.len, order.len - ctl.len}, fd);
	else
		log_warn("unknown order from the master");
}

static void on_control(EV_P_ ev_io *w, int revents)
{
	struct worker *wk = w->data;
	char text[CONTROL_ORDER_MAX];
	int fds[FDPASS_MAX];
	size_t n_fds;
	ssize_t n = fdpass_receive(w->fd, text, sizeof(text), fds, &n_fds);

	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) { /* the life-line tells whether the master is gone */
		ev_io_stop(loop, w);
		return;
	}
	on_order(wk, (struct str){text, (size_t)n}, n_fds > 0 ? fds[0] : -1);
	while (n_fds > 0)
		close(fds[--n_fds]);
}

static void on_lifeline(EV_P_ ev_io *w, int revents)
{
	struct worker *wk = w->data;

	(void)revents;
	ev_io_stop(loop, w);
	log_warn("the master is gone: draining");
	wk->exit_code = WORKER_EXIT_ORPHAN;
	worker_drain(wk);
}

void control_open(struct worker *wk)
{
	ev_io_init(&wk->control_io, on_control, wk->boot->control_fd, EV_READ);
	ev_io_init(&wk->lifeline_io, on_lifeline, wk->boot->lifeline_fd, EV_READ);
	wk->control_io.data = wk->lifeline_io.data = wk;
	ev_io_start(wk->loop, &wk->control_io);
	ev_io_start(wk->loop, &wk->lifeline_io);
}

void control_close(struct worker *wk)
{
	ev_io_stop(wk->loop, &wk->control_io);
	ev_io_stop(wk->loop, &wk->lifeline_io);
}
