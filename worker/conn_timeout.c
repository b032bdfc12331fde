/* SPDX-License-Identifier: MIT */
/*
 * One deadline per connection, kept in queues; tells the protocols when it has passed.
 * What a passed deadline means is decided in http_conn.c and ws_conn.c.
 */
#include "worker/conn_timeout.h"

#include "base/buf.h"
#include "base/clock.h"
#include "worker/sio.h"
#include "worker/ws_conn.h"

struct timeouts {
	struct list queues[WAIT_COUNT]; /* struct conn.wait_node, oldest first */
	ev_timer timer;			/* the nearest deadline */
};

/* A refresh within this part of the wait is not worth moving the connection in its queue. */
#define REFRESH_PART 16

static uint32_t wait_ms(const struct worker *wk, enum conn_wait wait)
{
	const struct settings *s = wk->settings;
	const int64_t ms[WAIT_COUNT] = {
		[WAIT_HEADER] = s->http_header_timeout,
		[WAIT_BODY] = s->http_body_timeout,
		[WAIT_KEEPALIVE] = s->http_keepalive_timeout,
		[WAIT_HELLO] = s->websocket_hello_timeout,
		[WAIT_PING] = s->websocket_ping_interval,
		[WAIT_PONG] = s->websocket_ping_timeout,
		[WAIT_CLOSE] = s->websocket_close_timeout,
		[WAIT_REFUSED] = WS_REFUSED_MS,
		[WAIT_EIO_PING] = s->engineio_ping_interval,
		[WAIT_EIO_PONG] = s->engineio_ping_timeout,
		[WAIT_EIO_UPGRADE] = s->engineio_upgrade_timeout,
		[WAIT_EIO_RETURN] = SIO_RETURN_MS,
	};

	return (uint32_t)ms[wait];
}

/* Milliseconds until the first of a queue is due: 0 when it is. False when the queue is empty. */
static bool first_due(const struct worker *wk, enum conn_wait wait, uint32_t now, uint32_t *ret_ms)
{
	const struct list *node = list_first(&wk->timeouts->queues[wait]);
	uint32_t waited, limit = wait_ms(wk, wait);

	if (!node)
		return false;
	waited = now - list_entry(node, struct conn, wait_node)->wait_since;
	*ret_ms = waited >= limit ? 0 : limit - waited;
	return true;
}

static void arm(struct worker *wk)
{
	uint32_t now = (uint32_t)clock_mono_ms(), ms, nearest = UINT32_MAX;

	for (int wait = WAIT_NONE + 1; wait < WAIT_COUNT; wait++)
		if (first_due(wk, wait, now, &ms) && ms < nearest)
			nearest = ms;
	ev_timer_stop(wk->loop, &wk->timeouts->timer);
	if (nearest == UINT32_MAX)
		return;
	ev_timer_set(&wk->timeouts->timer, (nearest + 1) / 1000.0, 0.);
	ev_timer_start(wk->loop, &wk->timeouts->timer);
}

static void expire(struct conn *c)
{
	enum conn_wait wait = c->wait;

	conn_wait(c, WAIT_NONE);
	if (c->state == CONN_LINGER)
		conn_kill(c, c->end);
	else if (c->state == CONN_HTTP)
		http_conn_timeout(c, wait);
	else if (c->state == CONN_SSE)
		sse_conn_timeout(c, wait);
	else
		ws_conn_timeout(c, wait);
}

static bool is_due(const struct conn *c)
{
	uint32_t waited = (uint32_t)clock_mono_ms() - c->wait_since;

	return c->wait != WAIT_NONE && waited >= wait_ms(conn_worker(c), c->wait);
}

void conn_check_wait(struct conn *c)
{
	while (is_due(c))
		expire(c);
}

void conn_check_waits(struct worker *wk)
{
	uint32_t ms;

	for (int wait = WAIT_NONE + 1; wait < WAIT_COUNT; wait++)
		while (first_due(wk, wait, (uint32_t)clock_mono_ms(), &ms) && ms == 0)
			expire(list_entry(list_first(&wk->timeouts->queues[wait]), struct conn,
					  wait_node));
	arm(wk);
}

static void on_timer(EV_P_ ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	conn_check_waits(w->data);
}

/* When a wait is over, SINCE stays what it was: see conn_wait_on. */
static void begin(struct conn *c, enum conn_wait wait, uint32_t since)
{
	struct worker *wk = conn_worker(c);

	list_remove(&c->wait_node);
	c->wait = wait;
	if (wait == WAIT_NONE)
		return;
	c->wait_since = since;
	list_append(&wk->timeouts->queues[wait], &c->wait_node);
	if (list_first(&wk->timeouts->queues[wait]) == &c->wait_node)
		arm(wk);
}

void conn_wait(struct conn *c, enum conn_wait wait)
{
	uint32_t now = (uint32_t)clock_mono_ms();

	if (wait != c->wait || wait == WAIT_NONE ||
	    now - c->wait_since >= wait_ms(conn_worker(c), wait) / REFRESH_PART)
		begin(c, wait, now);
}

void conn_wait_on(struct conn *c, enum conn_wait passed, enum conn_wait wait)
{
	const struct worker *wk = conn_worker(c);
	uint32_t now = (uint32_t)clock_mono_ms();
	uint32_t late = now - c->wait_since - wait_ms(wk, passed);
	uint32_t most = wait_ms(wk, wait) / 2;

	begin(c, wait, now - MIN(late, most));
}

void timeouts_open(struct worker *wk)
{
	wk->timeouts = xcalloc(1, sizeof(*wk->timeouts));
	for (int wait = 0; wait < WAIT_COUNT; wait++)
		list_init(&wk->timeouts->queues[wait]);
	ev_timer_init(&wk->timeouts->timer, on_timer, 0., 0.);
	wk->timeouts->timer.data = wk;
}

void timeouts_close(struct worker *wk)
{
	ev_timer_stop(wk->loop, &wk->timeouts->timer);
	free(wk->timeouts);
	wk->timeouts = NULL;
}
