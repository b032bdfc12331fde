/* SPDX-License-Identifier: MIT */
/*
 * Encodes events into their canonical form and publishes them in the ring.
 * The publisher reads them back like every other worker: nothing is delivered from here.
 */
#include "worker/fanout.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "shm/recover.h"
#include "shm/ring.h"
#include "shm/rooms.h"
#include "shm/slots.h"
#include "sql/db_backends.h"
#include "sql/events.h"
#include "sql/rooms.h"
#include "worker/chan_order.h"
#include "worker/dbio.h"
#include "worker/notices.h"

#define REPUBLISH_PAGE 500	/* events in one query */
#define REPUBLISH_RETRY 0.2	/* seconds, after a database error */
#define GHOST_RETRY 0.02	/* seconds, while a dead connection's server process runs */
#define GHOST_PATIENCE_MS 10000
#define GHOST_MEMORY_MS 60000	/* by then a server process has noticed that its client is gone */
#define REPUBLISH_RUNNING 32	/* conversations at once: others ask the database, too */

void fanout_wake(struct worker *wk, uint64_t slots)
{
	const uint64_t one = 1;

	while (slots) {
		int slot = __builtin_ctzll(slots);

		slots &= slots - 1;
		if (slot == wk->slot)
			worker_kick(wk);
		else if (write(wk->boot->wake_fds[slot], &one, sizeof(one)) < 0)
			log_debug("wake-up not written", LF_INT("slot", slot));
	}
}

static uint64_t ring_tail(const struct worker *wk)
{
	uint64_t oldest, tail;

	ring_bounds(wk->shm, &oldest, &tail);
	return tail;
}

static int add_all(struct worker *wk, const struct event *events, size_t n, const struct buf *bytes,
		   const size_t *ends, unsigned flags)
{
	for (size_t i = 0, start = 0; i < n; start = ends[i++]) {
		int r = ring_publish_add(wk->shm, (unsigned)wk->slot, events[i].conv, events[i].rev,
					 flags, bytes->p + start, ends[i] - start, NULL);

		if (r < 0 && r != -ERR_TOOBIG) /* the database has it: readers see the hole */
			return r;
	}
	return 0;
}

/* Whoever comes from now on is refused: the event that closes the room will not be for him. */
static void mark_closed(struct worker *wk, int64_t conv)
{
	int r = room_mark_closed(wk->shm, (unsigned)wk->slot, conv);

	if (r < 0 && r != -ERR_NOENT)
		log_error("a closed room could not be marked", LF_INT("conversation", conv));
}

/* What the log has and this worker cannot announce any more. */
static void leave_to_heir(struct worker *wk, const struct event *events, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (events[i].rev)
			recover_inherit(wk->shm, (unsigned)wk->slot, events[i].conv);
}

static uint64_t publish(struct worker *wk, const struct event *events, size_t n, unsigned flags)
{
	struct buf bytes = BUF_INIT;
	size_t *ends = xcalloc(n, sizeof(*ends));
	uint64_t to_wake = 0;
	int r;

	for (size_t i = 0; i < n; i++) {
		event_encode(&events[i], &bytes);
		ends[i] = bytes.len;
		if (events[i].type == EVT_CONVERSATION_CLOSE)
			mark_closed(wk, events[i].conv);
	}
	ring_publish_begin(wk->shm, (unsigned)wk->slot);
	r = add_all(wk, events, n, &bytes, ends, flags);
	if (r == 0)
		r = ring_publish_end(wk->shm, (unsigned)wk->slot, &to_wake);
	free(ends);
	buf_done(&bytes);
	if (r < 0) {
		log_error("the ring cannot be written: this worker ends",
			  LF_STR("error", err_text(r)));
		leave_to_heir(wk, events, n);
		worker_stop(wk, WORKER_EXIT_SHM);
	}
	fanout_wake(wk, to_wake);
	worker_kick(wk);
	return ring_tail(wk);
}

int fanout_control(struct worker *wk, const void *bytes, size_t len)
{
	uint64_t all = UINT64_MAX >> (64 - wk->boot->n_slots);

	return fanout_control_to(wk, all & ~(UINT64_C(1) << wk->slot), bytes, len);
}

int fanout_control_to(struct worker *wk, uint64_t slots, const void *bytes, size_t len)
{
	uint64_t to_wake = 0;
	int r;

	if (!slots)
		return 0;
	ring_publish_begin(wk->shm, (unsigned)wk->slot);
	r = ring_publish_to(wk->shm, (unsigned)wk->slot, slots, 0, 0, 0, bytes, len);
	if (r == 0)
		r = ring_publish_end(wk->shm, (unsigned)wk->slot, &to_wake);
	fanout_wake(wk, to_wake);
	return r;
}

uint64_t fanout_publish(struct worker *wk, const struct event *events, size_t n)
{
	return publish(wk, events, n, 0);
}

uint64_t fanout_presence(struct worker *wk, int64_t conv, int64_t user, struct str name, bool on,
			 enum presence_reason reason)
{
	const struct event ev = {
		.type = EVT_PRESENCE,
		.conv = conv,
		.at_ms = clock_wall_ms(),
		.actor = user,
		.actor_name = name,
		.on = on,
		.reason = reason,
	};

	return fanout_publish(wk, &ev, 1);
}

void fanout_typing(struct worker *wk, int64_t conv, int64_t user, bool on)
{
	const struct event ev = {
		.type = EVT_TYPING,
		.conv = conv,
		.at_ms = clock_wall_ms(),
		.actor = user,
		.on = on,
	};

	fanout_publish(wk, &ev, 1);
}

/* ---- Announcing from the log ---- */

/* One conversation on its way: settle, perhaps look for the head, then page after page. */
struct republish {
	struct worker *wk;
	int64_t conv, after;
	struct list node; /* in fanout.waiting, or none */
	ev_timer retry;
	unsigned n_looks; /* done; behind a pooler one is not enough */
	bool is_resting;  /* between two looks */
	bool is_again; /* asked for once more meanwhile: what was read then may be too old */
};

struct fanout {
	struct worker *wk;
	struct map open;     /* conversation id -> struct republish, owned */
	struct list waiting; /* struct republish.node: not begun */
	unsigned n_running;
	ev_timer look;	     /* for server processes that must end first */
	bool is_looking;
	uint64_t patient_until_ms; /* 0: nobody is waited for */
	uint64_t ghosts_since_ms;  /* 0: there are none */
	int32_t pids[SLOT_BACKENDS_MAX];
	unsigned n_pids;
};

static void republish_start(struct republish *rp);
static void republish_next(struct republish *rp);
static void run_waiting(struct fanout *f);
static void on_look(EV_P_ ev_timer *w, int revents);

static struct fanout *fanout_of(struct worker *wk)
{
	if (!wk->fanout) {
		wk->fanout = xcalloc(1, sizeof(*wk->fanout));
		wk->fanout->wk = wk;
		list_init(&wk->fanout->waiting);
		ev_timer_init(&wk->fanout->look, on_look, 0., 0.);
		wk->fanout->look.data = wk->fanout;
	}
	return wk->fanout;
}

/* ---- Server processes of dead connections ---- */

static bool is_closing(const struct worker *wk)
{
	return !wk->reader || !wk->writer || !dbio_reader(wk) || !dbio_writer(wk);
}

/*
 * What a dead worker had sent may lie unread in its server process's socket: no lock shows it
 * yet, and it will be committed after whoever looks now. So first that process must have ended.
 */
static unsigned ghosts(struct worker *wk, int32_t pids[SLOT_BACKENDS_MAX])
{
	unsigned n = slot_backends(wk->shm, (unsigned)wk->slot, pids), kept = 0;

	for (unsigned i = 0; i < n; i++)
		if (pids[i] != db_backend(dbio_writer(wk)) &&
		    pids[i] != db_backend(dbio_reader(wk)))
			pids[kept++] = pids[i];
	return kept;
}

static void look_later(struct fanout *f, double after)
{
	ev_timer_stop(f->wk->loop, &f->look);
	ev_timer_set(&f->look, after, 0.);
	ev_timer_start(f->wk->loop, &f->look);
}

static void on_ghosts(void *arg, int err, int64_t n_alive)
{
	struct worker *wk = arg;
	struct fanout *f = wk->fanout;

	if (!f)
		return;
	f->is_looking = false;
	/* ids are used again: one that stays for so long is somebody else's */
	if (err || (n_alive > 0 && clock_mono_ms() < f->patient_until_ms)) {
		look_later(f, err ? REPUBLISH_RETRY : GHOST_RETRY);
		return;
	}
	f->patient_until_ms = 0;
	for (unsigned i = 0; i < f->n_pids; i++)
		slot_backend_remove(wk->shm, (unsigned)wk->slot, f->pids[i]);
	run_waiting(f);
}

/* True when nothing stands in the way of reading the log; else run_waiting follows. */
static bool are_ghosts_gone(struct fanout *f)
{
	struct worker *wk = f->wk;

	if (f->is_looking || ev_is_active(&f->look))
		return false;
	f->n_pids = ghosts(wk, f->pids);
	if (f->n_pids == 0)
		return true;
	if (!f->patient_until_ms)
		f->patient_until_ms = clock_mono_ms() + GHOST_PATIENCE_MS;
	f->is_looking =
		backends_alive(dbio_reader(wk), f->pids, f->n_pids, 0, on_ghosts, wk) == 0;
	if (!f->is_looking)
		look_later(f, REPUBLISH_RETRY);
	return false;
}

static void on_look(EV_P_ ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	run_waiting(w->data);
}

/* ---- Turns ---- */

static void run_waiting(struct fanout *f)
{
	struct list *node;

	if (list_empty(&f->waiting) || is_closing(f->wk) || !are_ghosts_gone(f))
		return;
	while (f->n_running < REPUBLISH_RUNNING && (node = list_first(&f->waiting))) {
		list_remove(node);
		f->n_running++;
		republish_start(list_entry(node, struct republish, node));
	}
}

static void republish_queue(struct republish *rp)
{
	list_append(&rp->wk->fanout->waiting, &rp->node);
	run_waiting(rp->wk->fanout);
}

static void on_republish_retry(EV_P_ ev_timer *w, int revents)
{
	struct republish *rp = w->data;

	(void)loop;
	(void)revents;
	if (rp->is_resting) {
		rp->is_resting = false;
		republish_queue(rp);
	} else {
		republish_start(rp);
	}
}

static void republish_in(struct republish *rp, double after)
{
	ev_timer_set(&rp->retry, after, 0.);
	ev_timer_start(rp->wk->loop, &rp->retry);
}

static void republish_later(struct republish *rp)
{
	republish_in(rp, REPUBLISH_RETRY);
}

/*
 * A pooler does not tell which processes are whose: what they may still commit is looked for
 * later, too.
 */
static bool rests(struct republish *rp)
{
	static const double pauses[] = {0.2, 1., 4.};

	if (rp->wk->settings->database_prepared || rp->n_looks >= ARRAY_LEN(pauses))
		return false;
	rp->is_resting = true;
	republish_in(rp, pauses[rp->n_looks++]);
	return true;
}

static void republish_done(struct republish *rp)
{
	struct worker *wk = rp->wk;
	struct fanout *f = wk->fanout;

	f->n_running--;
	if (rp->is_again) {
		rp->is_again = false;
		rp->n_looks = 0;
		republish_queue(rp);
		return;
	}
	if (!rests(rp)) {
		recover_announced(wk->shm, (unsigned)wk->slot, rp->conv);
		map_del(&f->open, (uint64_t)rp->conv);
		free(rp);
	}
	run_waiting(f);
}

static void on_republish(void *arg, int err, const struct db_result *res)
{
	struct republish *rp = arg;
	struct worker *wk = rp->wk;
	int n = err ? 0 : db_rows(res);
	struct key_text *keys;
	struct event *events;
	size_t n_events = 0;

	if (err) {
		republish_later(rp);
		return;
	}
	events = xcalloc((size_t)n + 1, sizeof(*events));
	keys = xcalloc((size_t)n + 1, sizeof(*keys));
	for (int i = 0; i < n; i++) {
		struct event_row row;

		event_row_get(res, i, &row);
		if (chan_order_from_row(rp->conv, &row, &keys[n_events], &events[n_events]))
			n_events++;
		rp->after = row.rev;
	}
	if (n_events) {
		publish(wk, events, n_events, RING_F_RECOVERED);
		notices_stored(wk, events, n_events);
	}
	free(events);
	free(keys);
	if (wk->exit_code == WORKER_EXIT_SHM) /* it failed: the heir does it all again */
		return;
	if (n == REPUBLISH_PAGE)
		republish_next(rp);
	else
		republish_done(rp);
}

static void republish_next(struct republish *rp)
{
	if (events_after(dbio_reader(rp->wk), rp->conv, rp->after, REPUBLISH_PAGE, 0, on_republish,
			 rp, NULL) < 0)
		republish_later(rp);
}

/*
 * Nothing was announced since the conversation's room was made, so where to begin is not known.
 * The newest event alone tells everybody: who lacks earlier ones reads them as a hole.
 */
static void on_republish_head(void *arg, int err, const struct room *room)
{
	struct republish *rp = arg;

	if (err && err != -ERR_NOENT) {
		republish_later(rp);
	} else if (err || room->rev == 0) {
		republish_done(rp);
	} else {
		rp->after = room->rev - 1;
		republish_next(rp);
	}
}

static void on_republish_settled(void *arg, int err)
{
	struct republish *rp = arg;
	struct worker *wk = rp->wk;
	struct room_info info;

	if (err) {
		republish_later(rp);
	} else if (room_read(wk->shm, (unsigned)wk->slot, rp->conv, &info) < 0) {
		republish_done(rp); /* without members on this node there is nobody to tell */
	} else if (info.published_rev) {
		rp->after = info.published_rev;
		republish_next(rp);
	} else if (room_info(dbio_reader(wk), rp->conv, NULL, 0, on_republish_head, rp, NULL) < 0) {
		republish_later(rp);
	}
}

/*
 * A transaction that was begun elsewhere may be running still: only after it does the log hold
 * everything.
 */
static void republish_start(struct republish *rp)
{
	if (is_closing(rp->wk) ||
	    events_settle(dbio_reader(rp->wk), rp->conv, 0, on_republish_settled, rp, NULL) < 0)
		republish_later(rp);
}

void fanout_republish(struct worker *wk, int64_t conv)
{
	struct fanout *f = fanout_of(wk);
	struct republish *rp = map_get(&f->open, (uint64_t)conv);

	recover_inherit(wk->shm, (unsigned)wk->slot, conv);
	if (rp) {
		rp->n_looks = 0;
		/* else it will see everything */
		rp->is_again = list_empty(&rp->node) && !rp->is_resting;
		return;
	}
	rp = xcalloc(1, sizeof(*rp));
	rp->wk = wk;
	rp->conv = conv;
	ev_timer_init(&rp->retry, on_republish_retry, 0., 0.);
	rp->retry.data = rp;
	map_put(&f->open, (uint64_t)conv, rp);
	list_init(&rp->node);
	republish_queue(rp);
}

void fanout_forget(struct worker *wk)
{
	int32_t pids[SLOT_BACKENDS_MAX];
	struct fanout *f = fanout_of(wk);
	uint64_t now = clock_mono_ms();
	unsigned n = is_closing(wk) || !fanout_is_idle(wk) ? 0 : ghosts(wk, pids);

	if (n == 0)
		f->ghosts_since_ms = 0;
	else if (!f->ghosts_since_ms)
		f->ghosts_since_ms = now;
	else if (now - f->ghosts_since_ms > GHOST_MEMORY_MS)
		for (unsigned i = 0; i < n; i++)
			slot_backend_remove(wk->shm, (unsigned)wk->slot, pids[i]);
}

bool fanout_is_idle(const struct worker *wk)
{
	return !wk->fanout || wk->fanout->open.count == 0;
}

void fanout_ensure(struct worker *wk, int64_t conv, int64_t rev)
{
	struct room_info info;

	if (room_read(wk->shm, (unsigned)wk->slot, conv, &info) == 0 && info.published_rev < rev)
		fanout_republish(wk, conv);
}

void fanout_close(struct worker *wk)
{
	struct fanout *f = wk->fanout;
	uint32_t pos = 0;
	uint64_t key;
	void *value;

	if (!f)
		return;
	ev_timer_stop(wk->loop, &f->look);
	while (map_next(&f->open, &pos, &key, &value)) {
		struct republish *rp = value;

		ev_timer_stop(wk->loop, &rp->retry);
		free(rp);
	}
	map_done(&f->open);
	free(f);
	wk->fanout = NULL;
}
