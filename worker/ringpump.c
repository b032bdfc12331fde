/* SPDX-License-Identifier: MIT */
/*
 * Drains the ring: copies a record out, makes sure that it was whole, decodes it, passes it on.
 * Ephemeral events that were overwritten are gone; durable ones are read from the database.
 */
#include "worker/ringpump.h"

#include <unistd.h>

#include "base/log.h"
#include "proto/event.h"
#include "shm/ring.h"
#include "worker/chan.h"
#include "worker/notices.h"
#include "worker/presence.h"
#include "worker/resume.h"
#include "worker/revoke.h"
#include "worker/roles.h"
#include "worker/session.h"

#define RING_BUDGET 4096 /* records in one turn: sockets want their share of it */

struct ringpump {
	struct ring_reader reader;
	struct buf copy; /* the record being looked at */
	ev_io wake;
	struct log_rate rate;
};

static void on_lapped(struct worker *wk)
{
	uint64_t held;

	if (log_rate_pass(&wk->ringpump->rate, 10000, &held))
		log_warn("the ring was overtaken: reading from the database",
			 LF_INT("suppressed", held));
	chan_refill_all(wk);
	presence_resync(wk); /* no log has what was missed of these */
	roles_doubt(wk);
}

/* One record; 0, -ERR_AGAIN at the end, -ERR_LAPPED. */
static int pump_one(struct worker *wk)
{
	struct ringpump *p = wk->ringpump;
	struct ring_rec rec;
	struct event ev;
	int r = ring_peek(&p->reader, &rec);

	if (r < 0)
		return r;
	buf_clear(&p->copy);
	buf_add(&p->copy, rec.payload, rec.len);
	r = ring_check(&p->reader);
	if (r < 0)
		return r;
	ring_advance(&p->reader);
	if (rec.conv == 0 && revoke_control(wk, buf_str(&p->copy)))
		return 0;
	if (rec.conv == 0 && notices_control(wk, buf_str(&p->copy)))
		return 0;
	if (rec.conv == 0) {
		resume_control(wk, buf_str(&p->copy), rec.stamp_ns);
		session_control(wk, buf_str(&p->copy));
	} else if (event_decode(p->copy.p, p->copy.len, &ev) == 0) {
		chan_event(wk, &ev, buf_str(&p->copy));
	} else {
		log_error("an event in the ring cannot be read", LF_INT("conversation", rec.conv),
			  LF_INT("rev", rec.rev));
	}
	return 0;
}

void ringpump_drain(struct worker *wk)
{
	int r = 0;

	ring_sleep_cancel(&wk->ringpump->reader);
	for (int i = 0; i < RING_BUDGET && r == 0; i++)
		r = pump_one(wk);
	if (r == -ERR_LAPPED)
		on_lapped(wk);
}

void ringpump_sleep(struct worker *wk)
{
	if (ev_is_active(&wk->busy))
		return;
	if (!ring_sleep_prepare(&wk->ringpump->reader))
		worker_kick(wk);
}

static void on_wake(EV_P_ ev_io *w, int revents)
{
	uint64_t n;

	(void)loop;
	(void)revents;
	if (read(w->fd, &n, sizeof(n)) < 0)
		return; /* somebody else's wake-up was enough */
}

uint64_t ringpump_position(const struct worker *wk)
{
	return wk->ringpump->reader.cursor;
}

void ringpump_open(struct worker *wk)
{
	struct ringpump *p = wk->ringpump = xcalloc(1, sizeof(*p));

	ring_reader_init(wk->shm, (unsigned)wk->slot, &p->reader);
	ev_io_init(&p->wake, on_wake, wk->boot->wake_fds[wk->slot], EV_READ);
	ev_io_start(wk->loop, &p->wake);
}

void ringpump_close(struct worker *wk)
{
	ev_io_stop(wk->loop, &wk->ringpump->wake);
	buf_done(&wk->ringpump->copy);
	free(wk->ringpump);
	wk->ringpump = NULL;
}
