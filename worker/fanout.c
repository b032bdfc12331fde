/* SPDX-License-Identifier: MIT */
/*
 * Encodes events into their canonical form and publishes them in the ring.
 * The publisher reads them back like every other worker: nothing is delivered from here.
 */
#include "worker/fanout.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "shm/recover.h"
#include "shm/ring.h"
#include "shm/rooms.h"
#include "sql/events.h"
#include "worker/chan_order.h"
#include "worker/dbio.h"

#define REPUBLISH_PAGE 500	/* events in one query */
#define REPUBLISH_RETRY 0.5	/* seconds, after a database error */

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

void fanout_conversation_closed(struct worker *wk, int64_t conv, int64_t rev, int64_t seq, int64_t at_ms)
{
	const struct event ev = {
		.type = EVT_CONVERSATION_CLOSE,
		.conv = conv,
		.rev = rev,
		.seq = seq,
		.at_ms = at_ms,
	};

	fanout_publish(wk, &ev, 1);
}

/* ---- Announcing from the log ---- */

struct republish {
	struct worker *wk;
	int64_t conv, after;
};

static void republish_next(struct republish *rp);
static void republish_start(struct republish *rp);

static void on_republish_retry(int revents, void *arg)
{
	(void)revents;
	republish_start(arg);
}

static void republish_done(struct republish *rp)
{
	recover_announced(rp->wk->shm, (unsigned)rp->wk->slot, rp->conv);
	free(rp);
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
		ev_once(wk->loop, -1, 0, REPUBLISH_RETRY, on_republish_retry, rp);
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
		ev_once(rp->wk->loop, -1, 0, REPUBLISH_RETRY, on_republish_retry, rp);
}

static void on_republish_settled(void *arg, int err)
{
	struct republish *rp = arg;

	if (err)
		ev_once(rp->wk->loop, -1, 0, REPUBLISH_RETRY, on_republish_retry, rp);
	else
		republish_next(rp);
}

/* A dead worker's transaction may be running still: only after it has ended does the log hold everything. */
static void republish_start(struct republish *rp)
{
	if (events_settle(dbio_reader(rp->wk), rp->conv, 0, on_republish_settled, rp, NULL) < 0)
		ev_once(rp->wk->loop, -1, 0, REPUBLISH_RETRY, on_republish_retry, rp);
}

void fanout_republish(struct worker *wk, int64_t conv)
{
	struct republish *rp;
	struct room_info info;

	/* without members on this node there is nobody to tell */
	if (room_read(wk->shm, (unsigned)wk->slot, conv, &info) < 0) {
		recover_announced(wk->shm, (unsigned)wk->slot, conv);
		return;
	}
	rp = xcalloc(1, sizeof(*rp));
	*rp = (struct republish){wk, conv, info.published_rev};
	republish_start(rp);
}

void fanout_ensure(struct worker *wk, int64_t conv, int64_t rev)
{
	struct room_info info;

	if (room_read(wk->shm, (unsigned)wk->slot, conv, &info) == 0 && info.published_rev < rev)
		fanout_republish(wk, conv);
}
