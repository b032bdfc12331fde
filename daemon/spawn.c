/* SPDX-License-Identifier: MIT */
/*
 * Starts workers, hears them, replaces them.
 * What a worker does is worker/'s; when all of them start or stop is master.c's.
 */
#include "daemon/spawn.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fdpass.h"
#include "base/log.h"
#include "daemon/master.h"
#include "daemon/ops.h"
#include "daemon/process.h"
#include "daemon/sockets.h"
#include "daemon/title.h"
#include "shm/metrics.h"
#include "shm/slots.h"
#include "worker/worker.h"

/* From SIGABRT, which leaves a core file, to SIGKILL, which works on a stopped process too. */
#define ABORT_MS 2000

#define MESSAGE_MAX 256

static double seconds(int64_t ms)
{
	return (double)ms / 1000.0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void set_timer(struct child *c, int64_t ms)
{
	ev_timer_stop(c->master->loop, &c->timer);
	ev_timer_set(&c->timer, seconds(ms), 0.);
	ev_timer_start(c->master->loop, &c->timer);
}

/* ---- The worker's side of the fork ---- */

static void __attribute__((noreturn)) run_worker(struct child *c, int control_fd)
{
	struct master *m = c->master;
	struct worker_boot boot = {
		.settings = m->settings,
		.shm = m->shm,
		.slot = (int)c->slot,
		.generation = c->generation,
		.n_slots = (int)m->n_slots,
		.wake_fds = m->wake_fds,
		.inboxes = m->inboxes,
		.control_fd = control_fd,
		.lifeline_fd = m->lifeline[0],
		.site = m->site,
		.is_conformance = m->opt->is_conformance,
	};

	title_set("worker", (int)c->slot);
	log_set_process("worker", (int)c->slot);
	master_leave(m);
	sockets_keep_only(m->sockets, c->slot);
	boot.listen_fds = sockets_of(m->sockets, c->slot, &boot.n_listen);
	boot.ops_fds = ops_fds(m->ops, &boot.n_ops);
	if (priv_drop(&m->priv) < 0) {
		log_error("cannot become the user of server.user",
			  LF_STR("user", m->settings->server_user));
		exit(WORKER_EXIT_FATAL);
	}
	exit(worker_main(&boot));
}

/* ---- Death and replacement ---- */

static void plan_replacement(struct child *c, uint64_t lived_ms)
{
	struct settings *s = c->master->settings;
	uint64_t delay = backoff_next(&c->backoff, lived_ms, (uint64_t)s->server_respawn_delay,
				      (uint64_t)s->server_respawn_delay_max);

	/*
	 * once, the queue waits for the successor; a slot that keeps failing must not collect
	 * connections
	 */
	if (c->backoff.failures > 1)
		sockets_close_slot(c->master->sockets, c->slot);
	c->state = CHILD_WAITING;
	set_timer(c, (int64_t)delay);
}

static void log_end(const struct child *c, struct process_end end, uint64_t lived_ms)
{
	bool is_asked = c->master->state == MASTER_STOPPING && end.code == WORKER_EXIT_OK;

	log_at(is_asked ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR,
	       is_asked ? "worker ended" : "worker died", LF_INT("slot", c->slot),
	       LF_INT("pid", c->pid), LF_INT("generation", c->generation), LF_INT("code", end.code),
	       LF_INT("signal", end.signal), LF_INT("lived_ms", lived_ms));
}

static void forget_process(struct child *c)
{
	struct ev_loop *loop = c->master->loop;

	ev_io_stop(loop, &c->exit_io);
	ev_io_stop(loop, &c->control_io);
	ev_timer_stop(loop, &c->timer);
	close_fd(&c->pidfd);
	close_fd(&c->control_fd);
	c->pid = 0;
	c->state = CHILD_NONE;
}

/* One survivor is told at once; all look by themselves once a second, should it die as well. */
static void tell_heir(struct child *dead)
{
	struct master *m = dead->master;

	for (unsigned i = 1; i < m->n_slots; i++) {
		struct child *c = &m->children[(dead->slot + i) % m->n_slots];

		if (c->state == CHILD_READY && spawn_order(c, "heir", -1) == 0)
			return;
	}
}

static void on_exit_event(EV_P_ ev_io *w, int revents)
{
	struct child *c = w->data;
	struct master *m = c->master;
	uint64_t lived = clock_mono_ms() - c->started_ms;
	struct process_end end;

	(void)loop;
	(void)revents;
	/* as long as the zombie holds the pid nobody mistakes another process for it */
	slot_close(m->shm, c->slot, c->generation);
	end = process_reap(c->pid);
	log_end(c, end, lived);
	forget_process(c);
	tell_heir(c);
	if (m->state != MASTER_STOPPING)
		metric_add(m->shm, METRIC_MASTER, M_WORKER_CRASHES, 1);
	if (m->state != MASTER_STOPPING && end.code == WORKER_EXIT_FATAL) {
		log_error("a worker says that starting again cannot help");
		master_stop(m, EXIT_FAILURE);
	} else if (m->state != MASTER_STOPPING) {
		plan_replacement(c, lived);
	}
	master_on_child_change(m);
}

static void on_timer(EV_P_ ev_timer *w, int revents)
{
	struct child *c = w->data;

	(void)loop;
	(void)revents;
	if (c->state == CHILD_WAITING) {
		spawn_worker(c);
	} else if (c->state == CHILD_STARTING) {
		log_error("worker was not ready in time", LF_INT("slot", c->slot),
			  LF_INT("pid", c->pid));
		spawn_kill(c);
	}
}

/* ---- Messages ---- */

static void on_message(struct child *c, struct str text)
{
	if (str_eq(text, STR("ready")) && c->state == CHILD_STARTING) {
		c->state = CHILD_READY;
		ev_timer_stop(c->master->loop, &c->timer);
		log_info("worker is ready", LF_INT("slot", c->slot), LF_INT("pid", c->pid),
			 LF_INT("generation", c->generation));
		master_on_child_change(c->master);
	} else if (!str_eq(text, STR("ready")) && !str_eq(text, STR("pong"))) {
		log_warn("unknown message from a worker", LF_INT("slot", c->slot));
	}
}

static void on_control(EV_P_ ev_io *w, int revents)
{
	struct child *c = w->data;
	char text[MESSAGE_MAX];
	ssize_t n = recv(w->fd, text, sizeof(text), MSG_DONTWAIT);

	(void)revents;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0)
		ev_io_stop(loop, w); /* its death comes by the pidfd */
	else
		on_message(c, (struct str){text, (size_t)n});
}

int spawn_order(struct child *c, const char *text, int fd)
{
	struct iovec iov = {(char *)text, strlen(text)};

	if (c->pid <= 0)
		return -ERR_NOENT;
	if (fdpass_send(c->control_fd, &iov, 1, &fd, fd >= 0 ? 1 : 0) >= 0)
		return 0;
	if (errno == EPIPE) /* its death comes by the pidfd */
		return -ERR_NOENT;
	log_warn("worker does not take an order", LF_INT("slot", c->slot), LF_STR("order", text),
		 LF_STR("error", strerror(errno)));
	return -ERR_AGAIN;
}

/* ---- Life ---- */

void spawn_init(struct master *m)
{
	for (unsigned slot = 0; slot < SLOT_MAX; slot++) {
		struct child *c = &m->children[slot];

		*c = (struct child){.master = m, .slot = slot, .pidfd = -1, .control_fd = -1};
		ev_init(&c->exit_io, on_exit_event);
		ev_init(&c->control_io, on_control);
		ev_init(&c->timer, on_timer);
		c->exit_io.data = c->control_io.data = c->timer.data = c;
	}
}

static void watch_process(struct child *c)
{
	struct master *m = c->master;

	ev_io_set(&c->exit_io, c->pidfd, EV_READ);
	ev_io_set(&c->control_io, c->control_fd, EV_READ);
	/* "ready" first when both are there: a worker that was ready and died counts as such */
	ev_set_priority(&c->control_io, 1);
	ev_io_start(m->loop, &c->exit_io);
	ev_io_start(m->loop, &c->control_io);
	set_timer(c, m->settings->server_ready_timeout);
}

/* Returns 0, or -ERR_IO with errno when the system refuses a process, a socket or a port. */
static int start_process(struct child *c)
{
	struct master *m = c->master;
	int ends[2];

	if (slot_reserve(m->shm, c->slot, &c->generation) < 0 ||
	    sockets_reopen_slot(m->sockets, c->slot) < 0 ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return -ERR_IO;
	c->started_ms = clock_mono_ms();
	c->aborted_ms = 0;
	c->pid = process_fork(&c->pidfd);
	if (c->pid == 0) {
		close(ends[0]);
		c->pid = getpid();
		run_worker(c, ends[1]);
	}
	close(ends[1]);
	if (c->pid < 0) {
		close(ends[0]);
		c->pid = 0;
		return -ERR_IO;
	}
	c->control_fd = ends[0];
	return 0;
}

void spawn_worker(struct child *c)
{
	if (start_process(c) < 0) {
		log_error("worker cannot be started", LF_INT("slot", c->slot),
			  LF_STR("error", strerror(errno)));
		slot_close(c->master->shm, c->slot, c->generation);
		plan_replacement(c, 0);
		return;
	}
	metric_add(c->master->shm, METRIC_MASTER, M_WORKER_STARTS, 1);
	c->state = CHILD_STARTING;
	watch_process(c);
}

void spawn_kill(struct child *c)
{
	if (c->pid > 0)
		kill(c->pid, SIGKILL);
}

void spawn_check_heartbeat(struct child *c, uint64_t now)
{
	uint64_t limit = (uint64_t)c->master->settings->server_heartbeat_timeout;
	struct slot_info info;

	if (c->aborted_ms != 0 && now - c->aborted_ms >= ABORT_MS)
		spawn_kill(c);
	if (c->state != CHILD_READY || c->aborted_ms != 0)
		return;
	if (slot_read(c->master->shm, c->slot, &info) < 0 || info.generation != c->generation)
		return;
	if (info.heartbeat_ms == 0 || now < info.heartbeat_ms + limit)
		return;
	log_error("worker stands still", LF_INT("slot", c->slot), LF_INT("pid", c->pid),
		  LF_INT("silent_ms", now - info.heartbeat_ms));
	c->aborted_ms = now;
	kill(c->pid, SIGABRT);
}

void spawn_drain(struct child *c)
{
	if (c->state == CHILD_WAITING) {
		ev_timer_stop(c->master->loop, &c->timer);
		c->state = CHILD_NONE;
	}
	spawn_order(c, "drain", -1);
}
