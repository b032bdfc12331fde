/* SPDX-License-Identifier: MIT */
/*
 * The life of the node: makes what workers share, starts them, watches, stops.
 * Single workers are spawn.c's, the schema is schema.c's.
 */
#include "daemon/master.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/ctl.h"
#include "daemon/limits.h"
#include "daemon/notify.h"
#include "daemon/ops.h"
#include "daemon/signals.h"
#include "daemon/sockets.h"
#include "daemon/title.h"
#include "shm/segment.h"
#include "shm/slots.h"
#include "worker/site.h"

/*
 * The check of heartbeats is put off when the master itself was late: then everybody was stopped.
 */
#define SECOND_LATE_MS 2500

static double seconds(int64_t ms)
{
	return (double)ms / 1000.0;
}

/* ---- Watching ---- */

static unsigned count_state(const struct master *m, enum child_state state)
{
	unsigned n = 0;

	for (unsigned slot = 0; slot < m->n_slots; slot++)
		n += m->children[slot].state == state;
	return n;
}

static bool is_any_alive(const struct master *m)
{
	for (unsigned slot = 0; slot < m->n_slots; slot++)
		if (m->children[slot].pid > 0)
			return true;
	return m->schema.pid > 0;
}

static void announce(struct master *m)
{
	struct buf addresses = BUF_INIT, ops = BUF_INIT;

	sockets_print(m->sockets, &addresses);
	buf_add_char(&addresses, '\0');
	ops_print(m->ops, &ops);
	buf_add_char(&ops, '\0');
	log_notice("ready", LF_STR("listen", (char *)addresses.p), LF_STR("ops", (char *)ops.p),
		   LF_INT("workers", m->n_slots), LF_INT("pid", getpid()));
	buf_done(&addresses);
	buf_done(&ops);
	notify_ready();
	m->is_announced = true;
}

void master_on_child_change(struct master *m)
{
	unsigned ready = count_state(m, CHILD_READY);

	if (m->state == MASTER_STOPPING) {
		notify_status("stopping, %u workers left", ready + count_state(m, CHILD_STARTING));
		if (!is_any_alive(m))
			ev_break(m->loop, EVBREAK_ALL);
		return;
	}
	if (!m->is_announced && ready == m->n_slots)
		announce(m);
	notify_status("%u of %u workers ready", ready, m->n_slots);
}

static void on_second(EV_P_ ev_timer *w, int revents)
{
	struct master *m = w->data;
	uint64_t now = clock_mono_ms();
	bool is_late = m->second_ms != 0 && now - m->second_ms > SECOND_LATE_MS;

	(void)loop;
	(void)revents;
	m->second_ms = now;
	for (unsigned slot = 0; slot < m->n_slots && !is_late; slot++)
		spawn_check_heartbeat(&m->children[slot], now);
}

/* The node is alive unless it has ready workers and not one of them turns its loop. */
static bool is_healthy(const struct master *m)
{
	uint64_t now = clock_mono_ms(), limit = (uint64_t)m->settings->server_heartbeat_timeout;
	struct slot_info info;

	for (unsigned slot = 0; slot < m->n_slots; slot++) {
		if (m->children[slot].state != CHILD_READY || slot_read(m->shm, slot, &info) < 0)
			continue;
		if (now < info.heartbeat_ms + limit)
			return true;
	}
	return count_state(m, CHILD_READY) == 0;
}

static void on_watchdog(EV_P_ ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	if (is_healthy(w->data))
		notify_alive();
}

/* ---- Starting and stopping ---- */

void master_start_workers(struct master *m)
{
	if (m->state != MASTER_STARTING)
		return;
	m->state = MASTER_RUNNING;
	for (unsigned slot = 0; slot < m->n_slots; slot++)
		spawn_worker(&m->children[slot]);
	master_on_child_change(m);
}

static void kill_all(struct master *m)
{
	for (unsigned slot = 0; slot < m->n_slots; slot++)
		spawn_kill(&m->children[slot]);
}

static void on_stop_deadline(EV_P_ ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	log_warn("workers did not end in time and are killed");
	kill_all(w->data);
}

void master_stop(struct master *m, int code)
{
	if (m->state == MASTER_STOPPING) {
		log_warn("told to stop again: workers are killed");
		kill_all(m);
		return;
	}
	m->state = MASTER_STOPPING;
	m->exit_code = code;
	notify_stopping();
	schema_stop(m);
	for (unsigned slot = 0; slot < m->n_slots; slot++)
		spawn_drain(&m->children[slot]);
	sockets_shut(m->sockets);
	ev_timer_set(&m->stop_deadline, seconds(m->settings->server_stop_timeout), 0.);
	ev_timer_start(m->loop, &m->stop_deadline);
	master_on_child_change(m);
}

/* ---- Opening and closing ---- */

static unsigned count_cpus(void)
{
	cpu_set_t set;

	if (sched_getaffinity(0, sizeof(set), &set) < 0)
		return 1;
	return (unsigned)MAX(CPU_COUNT(&set), 1);
}

static unsigned count_slots(const struct settings *s)
{
	unsigned wanted = s->server_workers ? (unsigned)s->server_workers : count_cpus();

	/* each worker needs a database connection of its own */
	return MIN(MIN(wanted, SLOT_MAX), (unsigned)s->database_max_connections);
}

/* Typing marks are short: one for every sixteenth membership. */
static uint32_t typing_max(const struct settings *s)
{
	return (uint32_t)MIN(MAX(s->memory_members / 16, 1024), 1 << 24);
}

static int open_shm(struct master *m)
{
	const struct shm_geometry geo = {
		.n_slots = m->n_slots,
		.rooms_max = (uint32_t)m->settings->memory_rooms,
		.members_max = (uint32_t)m->settings->memory_members,
		.users_max = (uint32_t)m->settings->memory_users,
		.typing_max = typing_max(m->settings),
		.revoked_max = (uint32_t)m->settings->memory_revocations,
		.limits_max = (uint32_t)m->settings->memory_limits,
		.ring_bytes = (uint64_t)m->settings->memory_ring,
	};
	int r = shm_create(&geo, &m->shm);

	if (r < 0)
		log_error("shared memory cannot be made", LF_STR("error", err_text(r)));
	return r;
}

static int open_sockets(struct master *m)
{
	const struct sockets_plan plan = {
		.setting = "server.listen",
		.list = m->settings->server_listen,
		.n_slots = m->n_slots,
		.backlog = (int)m->settings->server_backlog,
		.wait_ms = (uint64_t)m->settings->server_listen_wait,
	};
	int first, n = notify_listen_fds(&first), fds[SOCKETS_MAX], r;
	struct buf why = BUF_INIT;

	for (int i = 0; i < MIN(n, SOCKETS_MAX); i++)
		fds[i] = first + i;
	if (n > 0)
		r = sockets_adopt(fds, MIN(n, SOCKETS_MAX), m->n_slots, &m->sockets, &why);
	else
		r = sockets_open(&plan, &m->sockets, &why);
	if (r < 0) {
		why.len -= why.len > 0; /* the line end */
		buf_add_char(&why, '\0');
		log_error("cannot listen", LF_STR("error", (char *)why.p));
	}
	buf_done(&why);
	return r;
}

static int open_inbox(struct worker_inbox *inbox)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
		return -ERR_IO;
	*inbox = (struct worker_inbox){ends[0], ends[1]};
	return 0;
}

static int open_wakeups(struct master *m)
{
	for (unsigned slot = 0; slot < m->n_slots; slot++) {
		m->wake_fds[slot] = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
		if (m->wake_fds[slot] < 0 || open_inbox(&m->inboxes[slot]) < 0)
			return -ERR_IO;
	}
	return pipe2(m->lifeline, O_CLOEXEC | O_NONBLOCK) < 0 ? -ERR_IO : 0;
}

static int open_user(struct master *m)
{
	const char *user = m->settings->server_user;
	int r = priv_lookup(user, &m->priv);

	if (r < 0)
		log_error("server.user cannot be used", LF_STR("user", user),
			  LF_STR("error", err_text(r)));
	else if (geteuid() == 0 && !m->priv.is_needed)
		log_warn("workers run as root: set server.user, or start as another user");
	return r;
}

/* Production mode refuses what this warns of. */
static void warn_mode(const struct settings *s)
{
	struct buf lines = BUF_INIT;
	char *rest, *line;

	settings_check_mode(s, false, &lines);
	buf_add_char(&lines, '\0');
	for (rest = (char *)lines.p; (line = strsep(&rest, "\n"));)
		if (*line)
			log_warn("a setting is for development only", LF_STR("setting", line));
	buf_done(&lines);
}

static int open_site(struct master *m)
{
	int r = m->opt->is_conformance /* echoes have no page */
			? 0
			: site_load(m->settings->server_web_root, &m->site);

	if (r < 0)
		log_error("the page cannot be read",
			  LF_STR("web_root", m->settings->server_web_root),
			  LF_STR("error", err_text(r)));
	return r;
}

static void open_timers(struct master *m)
{
	double watchdog = seconds((int64_t)notify_watchdog_ms());

	ev_timer_init(&m->second, on_second, 1., 1.);
	ev_timer_init(&m->watchdog, on_watchdog, watchdog, watchdog);
	ev_timer_init(&m->stop_deadline, on_stop_deadline, 0., 0.);
	m->second.data = m->watchdog.data = m->stop_deadline.data = m;
	ev_timer_start(m->loop, &m->second);
	if (watchdog > 0.)
		ev_timer_start(m->loop, &m->watchdog);
}

/* Returns 0, or the exit code of the program. */
static int master_open(struct master *m)
{
	m->n_slots = count_slots(m->settings);
	limits_raise();
	limits_fit(m->settings, true);
	spawn_init(m);
	warn_mode(m->settings);
	if (open_user(m) < 0 || open_site(m) < 0)
		return EX_CONFIG;
	m->loop = ev_loop_new(EVFLAG_AUTO);
	if (!m->loop || open_shm(m) < 0 || open_wakeups(m) < 0)
		return EX_OSERR;
	if (open_sockets(m) < 0 || ops_open(m) < 0)
		return EX_UNAVAILABLE;
	if (ctl_open(m) < 0)
		return EX_CANTCREAT;
	signals_open(m);
	open_timers(m);
	return 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void master_leave(struct master *m)
{
	/* otherwise this process would hold its own life-line */
	close_fd(&m->lifeline[1]);
	for (unsigned slot = 0; slot < m->n_slots; slot++) {
		close_fd(&m->children[slot].control_fd);
		close_fd(&m->children[slot].pidfd);
	}
	ctl_leave(m->ctl);
	ev_loop_destroy(m->loop);
	m->loop = NULL;
}

static void master_close(struct master *m)
{
	ctl_close(&m->ctl);
	if (m->loop)
		ev_loop_destroy(m->loop);
	sockets_free(&m->sockets);
	ops_close(&m->ops);
	shm_detach(&m->shm);
	site_free(&m->site);
	for (unsigned slot = 0; slot < m->n_slots; slot++) {
		close_fd(&m->wake_fds[slot]);
		close_fd(&m->inboxes[slot].in);
		close_fd(&m->inboxes[slot].out);
	}
	close_fd(&m->lifeline[0]);
	close_fd(&m->lifeline[1]);
	settings_free(&m->settings);
}

int master_run(const struct options *opt, struct settings *s)
{
	static struct master m; /* large, and children keep pointers into it */
	int r;

	m = (struct master){
		.opt = opt, .settings = s, .lifeline = {-1, -1}, .started_ms = clock_mono_ms()};
	memset(m.wake_fds, -1, sizeof(m.wake_fds));
	memset(m.inboxes, -1, sizeof(m.inboxes));
	title_set("master", -1);
	log_set_process("master", -1);
	r = master_open(&m);
	if (r == 0) {
		log_notice("starting", LF_INT("workers", m.n_slots), LF_INT("pid", getpid()));
		schema_start(&m);
		ev_run(m.loop, 0);
		signals_close(&m);
		log_notice("stopped", LF_INT("code", m.exit_code));
		r = m.exit_code;
	}
	master_close(&m);
	return r;
}
