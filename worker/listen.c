/* SPDX-License-Identifier: MIT */
/*
 * Accepting: a bounded number per turn, a pause when descriptors run out, 503 when the worker is
 * full. The sockets are the master's and outlive this process.
 */
#include "worker/listen.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/log.h"
#include "worker/admission.h"
#include "worker/conn.h"
#include "worker/peer.h"
#include "worker/ws_conn.h"

#define ACCEPT_BUDGET 128   /* connections in one turn: others want their share of it */
#define ACCEPT_PAUSE 0.2    /* seconds, after the system refused a descriptor */

static void on_pause_over(int revents, void *arg)
{
	(void)revents;
	listen_open(arg);
}

/* Full: a short answer, without reading the request. */
static void turn_away(struct worker *wk, int fd)
{
	struct buf b = BUF_INIT;

	admission_add_refusal(wk, &b);
	if (send(fd, b.p, b.len, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("refusal not sent", LF_INT("errno", errno));
	buf_done(&b);
	shutdown(fd, SHUT_WR);
	close(fd);
	worker_count(wk, M_CONNECTIONS_REFUSED, 1);
}

static bool is_short(int err)
{
	return err == EMFILE || err == ENFILE || err == ENOBUFS || err == ENOMEM;
}

static void pause_accept(struct worker *wk, int err)
{
	static const char text[] = "accepting pauses: the system gives no descriptor";

	log_warn(text, LF_STR("error", strerror(err)));
	listen_close(wk);
	ev_once(wk->loop, -1, 0, ACCEPT_PAUSE, on_pause_over, wk);
}

static void on_accept(EV_P_ ev_io *w, int revents)
{
	struct worker *wk = w->data;

	(void)loop;
	(void)revents;
	for (int i = 0; i < ACCEPT_BUDGET; i++) {
		struct sockaddr_storage sa = {.ss_family = AF_UNSPEC};
		socklen_t len = sizeof(sa);
		int fd = accept4(w->fd, (struct sockaddr *)&sa, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		struct conn *c = fd >= 0 ? conn_open(wk, fd) : NULL;

		if (c)
			peer_accepted(c, (struct sockaddr *)&sa);
		else if (fd >= 0)
			turn_away(wk, fd);
		if (fd >= 0 || errno == ECONNABORTED || errno == EINTR)
			continue;
		if (is_short(errno))
			pause_accept(wk, errno);
		return;
	}
}

/* Few at a time: whoever asks how we are must not get in the way of clients. */
static void on_ops_accept(EV_P_ ev_io *w, int revents)
{
	struct worker *wk = w->data;
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)loop;
	(void)revents;
	if (fd >= 0 && !conn_open_ops(wk, fd))
		turn_away(wk, fd);
	else if (fd < 0 && is_short(errno))
		pause_accept(wk, errno);
}

static void open_ops(struct worker *wk)
{
	const struct worker_boot *boot = wk->boot;

	if (wk->ops_io || wk->exit_code == WORKER_EXIT_ORPHAN)
		return;
	wk->ops_io = xcalloc((size_t)boot->n_ops, sizeof(*wk->ops_io));
	for (int i = 0; i < boot->n_ops; i++) {
		ev_io_init(&wk->ops_io[i], on_ops_accept, boot->ops_fds[i], EV_READ);
		wk->ops_io[i].data = wk;
		ev_io_start(wk->loop, &wk->ops_io[i]);
	}
}

static void close_ops(struct worker *wk)
{
	for (int i = 0; wk->ops_io && i < wk->boot->n_ops; i++)
		ev_io_stop(wk->loop, &wk->ops_io[i]);
	free(wk->ops_io);
	wk->ops_io = NULL;
}

/* Accepted sockets inherit it. */
static void set_option(int fd, int option, int value)
{
	if (setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value)) < 0)
		log_debug("an option of the listening socket was refused",
			  LF_INT("option", option), LF_INT("errno", errno));
}

void listen_open(struct worker *wk)
{
	const struct worker_boot *boot = wk->boot;

	open_ops(wk);
	if (wk->draining || wk->listen_io)
		return;
	wk->listen_io = xcalloc((size_t)boot->n_listen, sizeof(*wk->listen_io));
	for (int i = 0; i < boot->n_listen; i++) {
		set_option(boot->listen_fds[i], TCP_NODELAY, 1); /* small frames must not wait */
		set_option(boot->listen_fds[i], TCP_NOTSENT_LOWAT,
			   (int)wk->settings->deliver_unsent_max);
		ev_io_init(&wk->listen_io[i], on_accept, boot->listen_fds[i], EV_READ);
		wk->listen_io[i].data = wk;
		ev_io_start(wk->loop, &wk->listen_io[i]);
	}
}

static void close_clients(struct worker *wk)
{
	for (int i = 0; wk->listen_io && i < wk->boot->n_listen; i++)
		ev_io_stop(wk->loop, &wk->listen_io[i]);
	free(wk->listen_io);
	wk->listen_io = NULL;
}

void listen_close(struct worker *wk)
{
	close_clients(wk);
	close_ops(wk);
}

void listen_give_up(struct worker *wk, bool with_ops)
{
	close_clients(wk);
	for (int i = 0; i < wk->boot->n_listen; i++)
		close(wk->boot->listen_fds[i]);
	if (!with_ops)
		return;
	close_ops(wk);
	for (int i = 0; i < wk->boot->n_ops; i++)
		close(wk->boot->ops_fds[i]);
}
