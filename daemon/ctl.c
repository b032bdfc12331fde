/* SPDX-License-Identifier: MIT */
/*
 * Clients of the control socket: one line in, one answer out, each within a time.
 * What a line means is ctl_commands.c's.
 */
#include "daemon/ctl.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "base/log.h"
#include "daemon/ctl_priv.h"
#include "daemon/master.h"

#define CLIENTS_MAX 32
#define LINE_S 5.   /* for the command */
#define ANSWER_S 10. /* for a client that does not read */
#define PAUSE_S 1.  /* after accept has failed for want of descriptors */

/* A line that is too long is read up to here, so that its sender gets to see why it was refused. */
#define READ_MAX 65536

struct ctl {
	struct master *master;
	struct ctl_socket socket;
	char *path; /* owned */
	ev_io io;
	ev_timer pause;
	struct list clients; /* struct ctl_client.node */
	unsigned n_clients;
};

struct ctl_client {
	struct ctl *ctl;
	struct list node;
	int fd; /* owned, non-blocking */
	ev_io io;
	ev_timer timer;
	struct buf line, answer;
	size_t n_read;
};

static void client_free(struct ctl_client *c)
{
	struct ev_loop *loop = c->ctl->master->loop;

	ev_io_stop(loop, &c->io);
	ev_timer_stop(loop, &c->timer);
	list_remove(&c->node);
	c->ctl->n_clients--;
	close(c->fd);
	buf_done(&c->line);
	buf_done(&c->answer);
	free(c);
}

static void set_deadline(struct ctl_client *c, double s)
{
	ev_timer_stop(c->ctl->master->loop, &c->timer);
	ev_timer_set(&c->timer, s, 0.);
	ev_timer_start(c->ctl->master->loop, &c->timer);
}

/* ---- Answers ---- */

static void client_write(struct ctl_client *c)
{
	ssize_t n = send(c->fd, c->answer.p, c->answer.len, MSG_NOSIGNAL);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n > 0)
		buf_consume(&c->answer, (size_t)n);
	if (n <= 0 || c->answer.len == 0)
		client_free(c);
}

static void client_answer(struct ctl_client *c)
{
	struct ev_loop *loop = c->ctl->master->loop;

	buf_add_char(&c->answer, '\n');
	ev_io_stop(loop, &c->io);
	ev_io_set(&c->io, c->fd, EV_WRITE);
	ev_io_start(loop, &c->io);
	set_deadline(c, ANSWER_S);
	client_write(c);
}

static void client_refuse(struct ctl_client *c, const char *text)
{
	ctl_command_fail(&c->answer, text);
	client_answer(c);
}

/* ---- The line ---- */

static bool has_control(struct str s)
{
	for (size_t i = 0; i < s.len; i++)
		if ((unsigned char)s.p[i] < ' ' || s.p[i] == 0x7f)
			return true;
	return false;
}

static struct str trim_end(struct str s)
{
	while (s.len && strchr(" \t\r", s.p[s.len - 1]))
		s.len--;
	return s;
}

static void client_command(struct ctl_client *c)
{
	struct str line = trim_end(buf_str(&c->line));

	if (line.len > CTL_LINE_MAX)
		client_refuse(c, "the command is too long");
	else if (line.len == 0 || has_control(line))
		client_refuse(c, "not a command");
	else if (ctl_command_run(c->ctl->master, line, c->fd, &c->answer))
		client_answer(c);
	else
		client_free(c);
}

/* Keeps what may belong to a line and one byte more, which marks it as too long. */
static void keep(struct ctl_client *c, const char *bytes, size_t len)
{
	buf_add(&c->line, bytes, MIN(len, CTL_LINE_MAX + 1 - c->line.len));
}

static void client_read(struct ctl_client *c)
{
	char bytes[4096], *end;
	ssize_t n = recv(c->fd, bytes, sizeof(bytes), 0);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0 || (n == 0 && c->line.len == 0)) {
		client_free(c);
		return;
	}
	end = n ? memchr(bytes, '\n', (size_t)n) : bytes;
	keep(c, bytes, end ? (size_t)(end - bytes) : (size_t)n);
	c->n_read += (size_t)n;
	if (end || c->n_read > READ_MAX)
		client_command(c);
}

static void on_client(EV_P_ ev_io *w, int revents)
{
	(void)loop;
	if (revents & EV_WRITE)
		client_write(w->data);
	else
		client_read(w->data);
}

static void on_deadline(EV_P_ ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	client_free(w->data);
}

/* ---- Connections ---- */

static void refuse_one_more(int fd)
{
	static const char text[] = "{\"error\":\"too many clients of the control socket\"}\n";

	if (send(fd, text, sizeof(text) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		log_debug("a client too many was not told");
	close(fd);
}

static void client_new(struct ctl *ctl, int fd)
{
	struct ctl_client *c = xcalloc(1, sizeof(*c));

	c->ctl = ctl;
	c->fd = fd;
	ev_io_init(&c->io, on_client, fd, EV_READ);
	ev_init(&c->timer, on_deadline);
	c->io.data = c->timer.data = c;
	list_append(&ctl->clients, &c->node);
	ctl->n_clients++;
	ev_io_start(ctl->master->loop, &c->io);
	set_deadline(c, LINE_S);
}

static void on_pause_end(EV_P_ ev_timer *w, int revents)
{
	struct ctl *ctl = w->data;

	(void)revents;
	ev_io_start(loop, &ctl->io);
}

static void on_accept(EV_P_ ev_io *w, int revents)
{
	struct ctl *ctl = w->data;
	int fd = accept4(w->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)revents;
	if (fd < 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
		return;
	if (fd < 0) {
		log_warn("the control socket cannot accept", LF_STR("error", strerror(errno)));
		ev_io_stop(loop, w);
		ev_timer_set(&ctl->pause, PAUSE_S, 0.);
		ev_timer_start(loop, &ctl->pause);
	} else if (ctl->n_clients >= CLIENTS_MAX) {
		refuse_one_more(fd);
	} else {
		client_new(ctl, fd);
	}
}

/* ---- Life ---- */

static bool is_default_path(const char *path)
{
	struct settings *defaults = settings_new();
	bool is_same = strcmp(path, defaults->control_socket) == 0;

	settings_free(&defaults);
	return is_same;
}

static mode_t socket_mode(const struct settings *s)
{
	struct str text = settings_choice(s, "control.socket_mode");
	mode_t mode = 0;

	for (size_t i = 0; i < text.len; i++)
		mode = mode * 8 + (mode_t)(text.p[i] - '0');
	return mode;
}

/* Returns 0 when the daemon may go on without a control socket. */
static int report(const struct master *m, int r, const char *why)
{
	const char *path = m->settings->control_socket;

	if (r == -ERR_EXISTS)
		why = "another daemon serves it";
	if (m->opt->is_foreground && is_default_path(path)) {
		log_warn("there is no control socket", LF_STR("path", path), LF_STR("error", why));
		return 0;
	}
	log_error("the control socket cannot be opened", LF_STR("path", path),
		  LF_STR("error", why));
	return -ERR_IO;
}

int ctl_open(struct master *m)
{
	const char *path = m->settings->control_socket, *why = "";
	struct ctl_socket s;
	struct ctl *ctl;
	int r;

	if (!*path)
		return 0;
	r = ctl_socket_open(path, socket_mode(m->settings), &s, &why);
	if (r < 0)
		return report(m, r, why);
	ctl = xcalloc(1, sizeof(*ctl));
	ctl->master = m;
	ctl->socket = s;
	ctl->path = xstrndup(path, strlen(path));
	list_init(&ctl->clients);
	ev_io_init(&ctl->io, on_accept, s.fd, EV_READ);
	ev_init(&ctl->pause, on_pause_end);
	ctl->io.data = ctl->pause.data = ctl;
	ev_io_start(m->loop, &ctl->io);
	m->ctl = ctl;
	return 0;
}

void ctl_close(struct ctl **pointer)
{
	struct ctl *ctl = *pointer;
	struct list *node, *tmp;

	*pointer = NULL;
	if (!ctl)
		return;
	list_each_safe(node, tmp, &ctl->clients)
		client_free(list_entry(node, struct ctl_client, node));
	ev_io_stop(ctl->master->loop, &ctl->io);
	ev_timer_stop(ctl->master->loop, &ctl->pause);
	ctl_socket_close(&ctl->socket, ctl->path);
	free(ctl->path);
	free(ctl);
}

void ctl_leave(struct ctl *ctl)
{
	struct list *node, *tmp;

	if (!ctl)
		return;
	close(ctl->socket.fd);
	list_each_safe(node, tmp, &ctl->clients)
		close(list_entry(node, struct ctl_client, node)->fd);
}
