/* SPDX-License-Identifier: MIT */
/*
 * Closes the connections of a draining worker one share after the other.
 * The farewells are written by http_conn.c, ws_conn.c, sse_conn.c and eio.c.
 */
#include "worker/drain.h"

#include "base/clock.h"
#include "worker/admission.h"
#include "worker/conn.h"
#include "worker/eio.h"
#include "worker/sse_conn.h"
#include "worker/ws_conn.h"

#define DRAIN_STEP_S 0.02

struct drain {
	struct worker *wk;
	uint64_t *ids; /* owned; the sockets to close, in this order */
	uint32_t n, next;
	uint64_t begin_ms, spread_ms;
	ev_timer timer;
};

/* Milliseconds over which N closes of this worker are spread. */
static uint64_t spread_of(const struct worker *wk, uint32_t n)
{
	uint64_t most = (uint64_t)wk->settings->server_drain_spread;
	uint64_t rate = (uint64_t)wk->settings->admission_rate;

	if (rate == 0)
		return 0;
	return MIN(most, (uint64_t)n * (uint64_t)wk->boot->n_slots * 1000 / rate);
}

static void say_goodbye(struct conn *c, void *arg)
{
	struct drain *d = arg;
	int64_t in_ms;

	if (c->state == CONN_HTTP && !c->is_ops)
		http_conn_drain(c);
	eio_drain(c);
	if (c->state != CONN_WS && c->state != CONN_SSE)
		return;
	/* back when the last has gone, and not all together */
	in_ms = (int64_t)(d->spread_ms + worker_jitter(d->wk, d->spread_ms)) +
		worker_retry_ms(d->wk) / 5;
	if (c->state == CONN_WS)
		ws_conn_goaway(c, in_ms);
	else
		sse_conn_goaway(c, in_ms);
	d->ids[d->n++] = c->id;
}

static void close_share(struct drain *d)
{
	uint64_t gone = clock_mono_ms() - d->begin_ms;
	uint32_t upto = gone >= d->spread_ms ? d->n : (uint32_t)(d->n * gone / d->spread_ms);

	for (; d->next < upto; d->next++) {
		struct conn *c = conn_find(d->wk, d->ids[d->next]);

		if (c && c->state == CONN_SSE)
			sse_conn_drain(c);
		else if (c)
			ws_conn_drain(c);
	}
}

static void on_step(EV_P_ ev_timer *w, int revents)
{
	struct drain *d = w->data;

	(void)revents;
	close_share(d);
	if (d->next == d->n)
		ev_timer_stop(loop, w);
}

void drain_begin(struct worker *wk)
{
	struct drain *d = wk->drain = xcalloc(1, sizeof(*d));

	d->wk = wk;
	d->ids = xcalloc(MAX(wk->n_conns, 1u), sizeof(*d->ids));
	d->begin_ms = clock_mono_ms();
	d->spread_ms = spread_of(wk, wk->n_conns);
	conn_each(wk, say_goodbye, d);
	ev_timer_init(&d->timer, on_step, 0., DRAIN_STEP_S);
	d->timer.data = d;
	ev_timer_start(wk->loop, &d->timer);
	close_share(d);
}

void drain_end(struct worker *wk)
{
	struct drain *d = wk->drain;

	if (!d)
		return;
	ev_timer_stop(wk->loop, &d->timer);
	free(d->ids);
	free(d);
	wk->drain = NULL;
}
