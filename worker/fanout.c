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
#include "sql/events.h"
#include "sql/rooms.h"
#include "worker/chan_order.h"
#include "worker/dbio.h"

#define REPUBLISH_PAGE 500	/* events in one query */
#define REPUBLISH_RETRY 0.2	/* seconds, after a database error */
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

static uint64_t publish(struct worker *wk, const struct event *events, size_t n, unsigned flags)
{
	struct buf bytes = BUF_INIT;
	size_t *ends = xcalloc(n, sizeof(*ends));
	uint64_t to_wake = 0;
	int r;

	for (size_t i = 0; i < n; i++) {
		event_encode(&events[i], &bytes);
		ends[i] = bytes.len;
	}
	ring_publish_begin(wk->shm, (unsigned)wk->slot);
	r = add_all(wk, events, n, &bytes, ends, flags);
	if (r == 0)
		r = ring_publish_end(wk->shm, (unsigned)wk->slot, &to_wake);
	free(ends);
	buf_done(&bytes);
	if (r < 0) {
		log_error("the ring cannot be written: this worker ends", LF_STR("error", err_text(r)));
		worker_stop(wk, WORKER_EXIT_SHM);
	}
	fanout_wake(wk, to_wake);
	worker_kick(wk);
	return ring_tail(wk);
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
	bool is_again; /* asked for once more meanwhile: what was read then may be too old */
};

struct fanout {
	struct map open;     /* conversation id -> struct republish, owned */
	struct list waiting; /* struct republish.node: not begun */
	unsigned n_running;
};

static void republish_start(struct republish *rp);
static void republish_next(struct republish *rp);

static struct fanout *fanout_of(struct worker *wk)
{
	if (!wk->fanout) {
		wk->fanout = xcalloc(1, sizeof(*wk->fanout));
		list_init(&wk->fanout->waiting);
	}
	return wk->fanout;
}

static void run_waiting(struct fanout *f)
{
	struct list *node;

	while (f->n_running < REPUBLISH_RUNNING && (node = list_first(&f->waiting))) {
		list_remove(node);
		f->n_running++;
		republish_start(list_entry(node, struct republish, node));
	}
}

static void on_republish_retry(EV_P_ ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	republish_start(w->data);
}

static void republish_later(struct republish *rp)
{
	ev_timer_set(&rp->retry, REPUBLISH_RETRY, 0.);
	ev_timer_start(rp->wk->loop, &rp->retry);
}

static void republish_done(struct republish *rp)
{
	struct worker *wk = rp->wk;
	struct fanout *f = wk->fanout;

	if (rp->is_again) {
		rp->is_again = false;
		republish_start(rp);
		return;
	}
	recover_announced(wk->shm, (unsigned)wk->slot, rp->conv);
	map_del(&f->open, (uint64_t)rp->conv);
	free(rp);
	f->n_running--;
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
	if (n_events)
		publish(wk, events, n_events, RING_F_RECOVERED);
	free(events);
	free(keys);
	if (n == REPUBLISH_PAGE)
		republish_next(rp);
	else
		republish_done(rp);
}

static void republish_next(struct republish *rp)
{
	if (events_after(dbio_reader(rp->wk), rp->conv, rp->after, REPUBLISH_PAGE, 0, on_republish, rp,
			 NULL) < 0)
		republish_later(rp);
}

/*
 * Nothing was announced since the conversation's room was made, so where to begin is not known. The newest
 * event alone tells everybody: who lacks earlier ones reads them as a hole.
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

/* A dead worker's transaction may be running still: only after it has ended does the log hold everything. */
static void republish_start(struct republish *rp)
{
	if (!rp->wk->reader ||
	    events_settle(dbio_reader(rp->wk), rp->conv, 0, on_republish_settled, rp, NULL) < 0)
		republish_later(rp);
}

void fanout_republish(struct worker *wk, int64_t conv)
{
	struct fanout *f = fanout_of(wk);
	struct republish *rp = map_get(&f->open, (uint64_t)conv);

	recover_inherit(wk->shm, (unsigned)wk->slot, conv);
	if (rp) {
		rp->is_again = list_empty(&rp->node); /* one that waits will see everything */
		return;
	}
	rp = xcalloc(1, sizeof(*rp));
	rp->wk = wk;
	rp->conv = conv;
	ev_timer_init(&rp->retry, on_republish_retry, 0., 0.);
	rp->retry.data = rp;
	map_put(&f->open, (uint64_t)conv, rp);
	list_init(&rp->node);
	list_append(&f->waiting, &rp->node);
	run_waiting(f);
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
	while (map_next(&f->open, &pos, &key, &value)) {
		struct republish *rp = value;

		ev_timer_stop(wk->loop, &rp->retry);
		free(rp);
	}
	map_done(&f->open);
	free(f);
	wk->fanout = NULL;
}
