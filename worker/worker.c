/* SPDX-License-Identifier: MIT */
/*
 * The life of a worker: opens everything, turns the loop, ends in order.
 * worker_turn is the one place that says what happens once per turn of the loop, and in which
 * order.
 */
#include "worker/worker.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/slab.h"
#include "shm/presence.h"
#include "shm/slots.h"
#include "worker/audit.h"
#include "worker/authn.h"
#include "worker/chan.h"
#include "worker/codes.h"
#include "worker/conn.h"
#include "worker/conn_timeout.h"
#include "worker/control.h"
#include "worker/ctl.h"
#include "worker/dbio.h"
#include "worker/deflate.h"
#include "worker/deliver.h"
#include "worker/drain.h"
#include "worker/eio.h"
#include "worker/fanout.h"
#include "worker/filter.h"
#include "worker/heap.h"
#include "worker/heir.h"
#include "worker/http_conn.h"
#include "worker/inbox.h"
#include "worker/keyring.h"
#include "worker/listen.h"
#include "worker/attempts.h"
#include "worker/mail.h"
#include "worker/notices.h"
#include "worker/on_cmd.h"
#include "worker/peer.h"
#include "worker/persist.h"
#include "worker/readiness.h"
#include "worker/renew.h"
#include "worker/presence.h"
#include "worker/pwhash.h"
#include "worker/resume.h"
#include "worker/revoke.h"
#include "worker/ringpump.h"
#include "worker/roles.h"
#include "worker/roster.h"
#include "worker/session.h"
#include "worker/stale.h"
#include "worker/touch.h"
#include "worker/worker_priv.h"
#include "worker/ws_conn.h"

#define READ_BUFFER (256 * 1024) /* one read takes at most this much */
#define TICK_S 0.1		 /* while something may expire */

/*
 * What the callbacks of this turn left behind, in an order that lets one message pass from socket
 * to batch, or from database to receivers, within one turn: batch out, ring in, frames out, dead
 * connections away.
 */
static void worker_turn(struct worker *wk)
{
	conn_resume_ready(wk);
	session_flush(wk);
	resume_recall_flush(wk);
	renew_flush(wk);
	if (!filter_is_ready(wk))
		filter_look(wk);
	persist_flush(wk);
	heir_run(wk);
	ringpump_drain(wk);
	roles_flush(wk);
	notices_flush(wk);
	chan_settle(wk);
	chan_run_due(wk);
	on_mark_flush(wk);
	presence_run(wk);
	inbox_run(wk);
	conn_flush_all(wk);
	deliver_flush_all(wk);
	eio_run(wk);
	resume_flush(wk);
	conn_sweep(wk);
	if (!wk->has_looked)
		readiness_look(wk);
	ringpump_sleep(wk);
	if (wk->draining && wk->n_conns == wk->n_ops_conns && persist_is_idle(wk) &&
	    resume_is_idle(wk))
		ev_break(wk->loop, EVBREAK_ALL);
}

static void on_prepare(EV_P_ ev_prepare *w, int revents)
{
	(void)loop;
	(void)revents;
	worker_turn(w->data);
}

/* An active idle watcher only keeps the loop from sleeping. */
static void on_busy(EV_P_ ev_idle *w, int revents)
{
	(void)revents;
	ev_idle_stop(loop, w);
}

void worker_kick(struct worker *wk)
{
	ev_idle_start(wk->loop, &wk->busy);
}

static void on_soon(EV_P_ ev_timer *w, int revents)
{
	(void)loop;
	(void)w;
	(void)revents; /* waking up was all: worker_turn follows */
}

void worker_wake_in(struct worker *wk, uint64_t ms)
{
	double after = (double)ms / 1000.0;

	if (ev_is_active(&wk->soon) && ev_timer_remaining(wk->loop, &wk->soon) <= after)
		return;
	ev_timer_stop(wk->loop, &wk->soon);
	ev_timer_set(&wk->soon, after, 0.);
	ev_timer_start(wk->loop, &wk->soon);
}

static void on_tick(EV_P_ ev_timer *w, int revents)
{
	struct worker *wk = w->data;

	(void)revents;
	if (!roster_expire(wk))
		ev_timer_stop(loop, w);
}

void worker_tick_on(struct worker *wk)
{
	if (!ev_is_active(&wk->tick))
		ev_timer_again(wk->loop, &wk->tick);
}

static void set_date(struct worker *wk)
{
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct tm tm;

	gmtime_r(&now, &tm);
	strftime(wk->date, sizeof(wk->date), "%a, %d %b %Y %H:%M:%S GMT", &tm);
}

static void on_second(EV_P_ ev_timer *w, int revents)
{
	struct worker *wk = w->data;

	(void)loop;
	(void)revents;
	slot_beat(wk->shm, (unsigned)wk->slot, clock_mono_ms());
	set_date(wk);
	persist_expire(wk);
	conn_check_slow(wk);
	heir_look(wk);
	readiness_look(wk);
	presence_look(wk);
	authn_expire(wk);
	audit_look(wk);
	codes_look(wk);
	touch_flush(wk);
	heap_look(wk);
}

/* ---- Ending ---- */

void worker_stop(struct worker *wk, enum worker_exit code)
{
	wk->exit_code = code;
	ev_break(wk->loop, EVBREAK_ALL);
}

static void on_stop(EV_P_ ev_timer *w, int revents)
{
	(void)w;
	(void)revents;
	ev_break(loop, EVBREAK_ALL);
}

void worker_drain(struct worker *wk)
{
	if (wk->draining)
		return;
	wk->draining = true;
	slot_set_state(wk->shm, (unsigned)wk->slot, SLOT_DRAINING);
	listen_give_up(wk, wk->exit_code == WORKER_EXIT_ORPHAN);
	drain_begin(wk);
	/* leave the master's own deadline some room */
	ev_timer_set(&wk->stop, (double)wk->settings->server_stop_timeout * 0.8 / 1000.0, 0.);
	ev_timer_start(wk->loop, &wk->stop);
	worker_kick(wk);
}

/* ---- Opening ---- */

static void ignore_signals(void)
{
	/* the terminal and the service manager tell the master, the master tells us */
	const int ignored[] = {SIGPIPE, SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
	struct sigaction sa = {.sa_handler = SIG_IGN};

	for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
		sigaction(ignored[i], &sa, NULL);
	sa.sa_handler = SIG_DFL;
	sigaction(SIGCHLD, &sa, NULL);
}

static void init_lists(struct worker *wk)
{
	list_init(&wk->closing);
	list_init(&wk->conns_dirty);
	list_init(&wk->conns_ready);
	list_init(&wk->outqs);
	list_init(&wk->conns_moving);
	list_init(&wk->eios_ready);
	list_init(&wk->chans_dirty);
	list_init(&wk->chans_due);
	list_init(&wk->chans_later);
	wk->chans_later_ms = UINT64_MAX;
	list_init(&wk->entering);
	list_init(&wk->subs_replaying);
	list_init(&wk->subs_waiting);
	list_init(&wk->subs_paging);
	list_init(&wk->confirming);
	list_init(&wk->subs_retrying);
	list_init(&wk->replies);
}

static void init_watchers(struct worker *wk)
{
	ev_prepare_init(&wk->prepare, on_prepare);
	ev_idle_init(&wk->busy, on_busy);
	ev_timer_init(&wk->second, on_second, 1., 1.);
	ev_timer_init(&wk->soon, on_soon, 0., 0.);
	ev_timer_init(&wk->tick, on_tick, 0., TICK_S);
	ev_timer_init(&wk->stop, on_stop, 0., 0.);
	wk->prepare.data = wk->second.data = wk->tick.data = wk->stop.data = wk;
	ev_prepare_start(wk->loop, &wk->prepare);
	ev_timer_start(wk->loop, &wk->second);
}

struct worker *worker_open(const struct worker_boot *boot)
{
	struct worker *wk = xcalloc(1, sizeof(*wk));

	wk->boot = boot;
	wk->settings = boot->settings;
	wk->shm = boot->shm;
	wk->site = boot->site;
	wk->slot = boot->slot;
	wk->eio_path = xstrndup(wk->settings->engineio_path, strlen(wk->settings->engineio_path));
	wk->loop = ev_loop_new(EVFLAG_AUTO);
	if (!wk->loop) {
		log_error("no event loop: the system refused it");
		free(wk);
		return NULL;
	}
	wk->rbuf_cap = READ_BUFFER;
	wk->rbuf = xmalloc(wk->rbuf_cap);
	wk->conn_slab = slab_new("conn", sizeof(struct conn));
	wk->sub_slab = slab_new("sub", sizeof(struct sub));
	init_lists(wk);
	init_watchers(wk);
	set_date(wk);
	if (!keyring_load(wk))
		wk->exit_code = WORKER_EXIT_FATAL;
	pwhash_open(wk);
	timeouts_open(wk);
	peer_reload(wk);
	persist_open(wk);
	filter_open(wk);
	resume_open(wk);
	session_open(wk);
	roles_open(wk);
	audit_open(wk);
	codes_open(wk);
	stale_open(wk);
	if (heir_take_over_own_slot(wk) < 0)
		wk->exit_code = WORKER_EXIT_SHM;
	ringpump_open(wk);
	presence_open(wk);
	notices_open(wk);
	dbio_open_all(wk);
	revoke_open(wk);
	control_open(wk);
	inbox_open(wk);
	return wk;
}

static void kill_conn(struct conn *c, void *arg)
{
	(void)arg;
	conn_kill(c, CONN_END_CLEAN);
}

void worker_close(struct worker *wk)
{
	listen_close(wk);
	drain_end(wk);
	conn_each(wk, kill_conn, NULL);
	conn_sweep(wk);
	pwhash_close(wk);
	revoke_close(wk);
	dbio_close_all(wk);
	notices_close(wk);
	on_mark_close(wk);
	renew_close(wk);
	roles_close(wk);
	audit_close(wk);
	codes_close(wk);
	persist_close(wk);
	filter_close(wk);
	fanout_close(wk);
	heir_close(wk);
	resume_close(wk);
	chan_close_all(wk);
	session_close(wk);
	touch_close(wk);
	attempts_close(wk);
	mail_close(wk);
	stale_close(wk);
	presence_close(wk);
	ringpump_close(wk);
	control_close(wk);
	inbox_close(wk);
	ctl_close_all(wk);
	timeouts_close(wk);
	peer_close(wk);
	map_done(&wk->conns);
	map_done(&wk->eios);
	slab_free(&wk->sub_slab);
	slab_free(&wk->conn_slab);
	keyring_free(&wk->keyring);
	buf_done(&wk->frame);
	buf_done(&wk->reply_frame);
	deflate_close(wk);
	deliver_spares_free(wk);
	if (wk->spare)
		buf_done(wk->spare);
	free(wk->spare);
	free(wk->rbuf);
	free(wk->eio_path);
	ev_loop_destroy(wk->loop);
	settings_free(&wk->settings);
	free(wk);
}

static void serve(struct worker *wk)
{
	heir_announce(wk);
	slot_beat(wk->shm, (unsigned)wk->slot, clock_mono_ms());
	slot_set_state(wk->shm, (unsigned)wk->slot, SLOT_READY);
	listen_open(wk);
	control_say(wk, "ready");
	log_info("worker ready");
	ev_run(wk->loop, 0);
}

int worker_main(const struct worker_boot *boot)
{
	struct worker *wk;
	int code;

	FAULT_SLOT(boot->slot);
	ignore_signals();
	wk = worker_open(boot);
	if (!wk)
		return WORKER_EXIT_FATAL;
	if (wk->exit_code == WORKER_EXIT_OK)
		serve(wk);
	code = wk->exit_code;
	log_info("worker ends", LF_INT("code", code));
	worker_close(wk);
	return code;
}
