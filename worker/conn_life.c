/* SPDX-License-Identifier: MIT */
/*
 * How connections begin and end, and which there are. What their sockets take and bring is
 * conn.c's.
 */
#include "worker/conn_priv.h"

#include <unistd.h>

#include "base/slab.h"
#include "worker/authn.h"
#include "worker/chan.h"
#include "worker/conn_out.h"
#include "worker/conn_timeout.h"
#include "worker/eio.h"
#include "worker/http_conn.h"
#include "worker/inbox.h"
#include "worker/sse_conn.h"
#include "worker/ws_conn.h"

/* ---- The beginning ---- */

static struct conn *conn_new(struct worker *wk, int fd)
{
	struct conn *c = slab_get(wk->conn_slab);

	c->id = ++wk->next_conn_id;
	c->io.data = wk;
	c->state = CONN_HTTP;
	c->end = CONN_END_LOST;
	list_init(&c->work);
	list_init(&c->dirty);
	list_init(&c->wait_node);
	map_put(&wk->conns, c->id, c);
	wk->n_conns++;
	conn_io_init(c, fd);
	conn_wait(c, WAIT_KEEPALIVE); /* whoever connects and says nothing is closed too */
	return c;
}

void conn_count_as(struct conn *c, enum conn_transport transport)
{
	static const struct {
		enum metric now, peak;
	} of[] = {
		[TRANSPORT_WEBSOCKET] = {M_SOCKETS_WEBSOCKET, M_PEAK_WEBSOCKET},
		[TRANSPORT_POLLING] = {M_SOCKETS_POLLING, M_PEAK_POLLING},
		[TRANSPORT_SSE] = {M_SOCKETS_SSE, M_PEAK_SSE},
	};
	const struct worker *wk = conn_worker(c);
	unsigned me = (unsigned)wk->slot;
	int64_t n;

	if (c->transport)
		worker_count(wk, of[c->transport].now, -1);
	c->transport = (uint8_t)transport;
	if (!transport)
		return;
	worker_count(wk, of[transport].now, 1);
	n = metric_get(wk->shm, me, of[transport].now);
	if (n > metric_get(wk->shm, me, of[transport].peak))
		metric_set(wk->shm, me, of[transport].peak, n);
}

static bool is_full(const struct worker *wk)
{
	return wk->n_conns - wk->n_ops_conns >= wk->settings->server_max_connections;
}

struct conn *conn_open_session(struct worker *wk)
{
	struct conn *c;

	if (is_full(wk))
		return NULL;
	c = conn_new(wk, -1);
	worker_count(wk, M_CONNECTIONS_HTTP, 1);
	return c;
}

struct conn *conn_open(struct worker *wk, int fd)
{
	struct conn *c;

	if (is_full(wk))
		return NULL;
	c = conn_new(wk, fd);
	worker_count(wk, M_CONNECTIONS_ACCEPTED, 1);
	worker_count(wk, M_CONNECTIONS_HTTP, 1);
	return c;
}

struct conn *conn_open_ops(struct worker *wk, int fd)
{
	struct conn *c;

	if (wk->n_ops_conns >= CONN_OPS_MAX)
		return NULL;
	c = conn_new(wk, fd);
	c->is_ops = true;
	wk->n_ops_conns++;
	return c;
}

/* ---- The end ---- */

void conn_kill(struct conn *c, enum conn_end end)
{
	struct worker *wk = conn_worker(c);

	if (c->state == CONN_DEAD)
		return;
	if (c->state != CONN_LINGER)
		c->end = end;
	c->state = CONN_DEAD;
	chan_mute(c);
	ev_io_stop(wk->loop, &c->io);
	conn_wait(c, WAIT_NONE);
	eio_conn_ended(c);
	list_remove(&c->dirty);
	list_remove(&c->work);
	list_append(&wk->closing, &c->work);
}

static void conn_free(struct conn *c)
{
	struct worker *wk = conn_worker(c);

	if (c->is_ops)
		wk->n_ops_conns--;
	else
		worker_count(wk, M_CONNECTIONS_CLOSED, 1);
	conn_count_as(c, TRANSPORT_NONE);
	chan_leave_all(c, c->end);
	http_conn_done(c);
	ws_conn_done(c);
	sse_conn_done(c);
	eio_conn_done(c);
	inbox_forget(c);
	ws_in_done(&c->ws);
	outq_free(&c->out);
	conn_reply_done(c);
	if (c->in)
		buf_done(c->in);
	free(c->in);
	free(c->name);
	authn_forget(c);
	list_remove(&c->work);
	list_remove(&c->dirty);
	map_del(&wk->conns, c->id);
	wk->n_conns--;
	if (c->io.fd >= 0)
		close(c->io.fd);
	slab_put(wk->conn_slab, c);
}

void conn_sweep(struct worker *wk)
{
	struct list *node;

	while ((node = list_first(&wk->closing)))
		conn_free(list_entry(node, struct conn, work));
}

/* ---- All of them ---- */

struct conn *conn_find(struct worker *wk, uint64_t id)
{
	struct conn *c = map_get(&wk->conns, id);

	return c && c->state != CONN_DEAD ? c : NULL;
}

void conn_each(struct worker *wk, void (*on_conn)(struct conn *c, void *arg), void *arg)
{
	uint32_t pos = 0;
	uint64_t id;
	void *c;

	while (map_next(&wk->conns, &pos, &id, &c))
		if (((struct conn *)c)->state != CONN_DEAD)
			on_conn(c, arg);
}
