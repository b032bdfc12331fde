/* SPDX-License-Identifier: MIT */
/*
 * The polling transport: what is queued for a session goes out with a GET, its packets come in with
 * a POST. One of each at a time.
 */
#include "worker/eio_priv.h"

#include "worker/http_conn.h"

#define TEXT_TYPE "text/plain; charset=UTF-8"

void eio_answer(struct call *call, struct str body)
{
	struct conn *c = call_conn(call);

	call_answer(call, 200, TEXT_TYPE, "Cache-Control: no-store\r\n", body);
	if (c)
		c->eio_of = 0;
	if (c && !list_empty(&c->dirty))
		conn_flush(c); /* the turn's own flush may be over */
}

void eio_refuse(struct call *call, enum eio_error error)
{
	struct buf b = BUF_INIT;

	eio_add_error(&b, error);
	call_answer(call, eio_error_status(error), "application/json",
		    "Cache-Control: no-store\r\n", buf_str(&b));
	buf_done(&b);
}

/* ---- Out ---- */

/* Says what is queued to the poll that waits, as much as one answer may have. */
static void answer_poll(struct eio *e)
{
	struct conn *c = e->conn;
	const size_t max = (size_t)conn_worker(c)->settings->engineio_payload_max;
	struct call *call = e->poll;
	struct buf frames = BUF_INIT, body = BUF_INIT;
	size_t used;

	e->poll = NULL;
	conn_copy_out(c, EIO_POLL_PACKETS_MAX, &frames); /* segments are whole frames */
	used = eio_add_poll(&body, buf_str(&frames), max);
	eio_answer(call, buf_str(&body));
	buf_done(&frames);
	buf_done(&body);
	conn_drop_out(c, used);
	if (conn_worker(c)->draining)
		eio_drain(c); /* the next poll would reach nobody */
}

void eio_has_output(struct conn *c)
{
	struct worker *wk = conn_worker(c);

	if (!c->eio->poll || !list_empty(&c->eio->ready))
		return;
	list_append(&wk->eios_ready, &c->eio->ready);
	worker_kick(wk);
}

void eio_run(struct worker *wk)
{
	struct list *node;

	while ((node = list_first(&wk->eios_ready))) {
		struct eio *e = list_entry(node, struct eio, ready);

		list_remove(node);
		if (e->poll && conn_queued(e->conn))
			answer_poll(e);
	}
}

static void say_alone(struct call *call, enum eio_type type)
{
	struct buf body = BUF_INIT;

	eio_add_polled(&body, 0, &(struct eio_packet){.type = type});
	eio_answer(call, buf_str(&body));
	buf_done(&body);
}

void eio_poll_last(struct conn *session, struct call *call)
{
	say_alone(call, EIO_NOOP);
	conn_kill(session, CONN_END_CLEAN);
}

void eio_poll_get(struct conn *session, struct call *call)
{
	struct eio *e = session->eio;
	struct conn *c = call_conn(call);

	if (e->poll) { /* two clients, or one that has lost count */
		conn_kill(session, CONN_END_LOST);
		eio_refuse(call, EIO_E_REQUEST);
		return;
	}
	e->poll = call;
	c->eio_of = session->id;
	if (conn_queued(session)) {
		answer_poll(e);
	} else if (e->probed_by) {
		e->poll = NULL;
		say_alone(call, EIO_NOOP);
	} else {
		conn_watch(c); /* a poll that goes away takes its session with it */
	}
}

/* ---- In ---- */

static void answer_post(struct eio *e, bool is_good)
{
	struct call *call = e->post;

	e->post = NULL;
	if (!call)
		return;
	if (is_good)
		eio_answer(call, STR("ok"));
	else
		eio_refuse(call, EIO_E_REQUEST);
}

size_t eio_poll_input(struct conn *c, uint8_t *data, size_t len)
{
	struct eio *e = c->eio;
	struct buf scratch = BUF_INIT;
	struct eio_payload payload;
	struct eio_packet p;
	size_t used;
	int r = 0;

	eio_payload_init(&payload, (struct str){(char *)data, len});
	while (c->state == CONN_WS && conn_takes_more(c) &&
	       (r = eio_payload_next(&payload, &scratch, &p)) == 0)
		eio_packet(c, &p);
	if (r == 0 && !payload.is_done && payload.rest.len == 0)
		r = -ERR_PROTO; /* a separator with nothing behind it */
	buf_done(&scratch);
	used = len - payload.rest.len;
	if (c->state == CONN_DEAD)
		return len;
	if (r == -ERR_PROTO) {
		answer_post(e, false);
		conn_kill(c, CONN_END_LOST);
		return len;
	}
	if (c->state == CONN_WS && !payload.is_done)
		return used;
	answer_post(e, true);
	if (conn_worker(c)->draining)
		eio_drain(c);
	return len;
}

void eio_poll_post(struct conn *session, struct call *call)
{
	struct eio *e = session->eio;
	struct str body = call->req->body;
	struct conn *c = call_conn(call);

	if (e->post || body.len == 0) {
		conn_kill(session, CONN_END_LOST);
		eio_refuse(call, EIO_E_REQUEST);
		return;
	}
	e->post = call;
	c->eio_of = session->id;
	conn_input(session, (uint8_t *)body.p, body.len);
	if (session->state != CONN_DEAD && e->post == call)
		conn_watch(c); /* waits until the session takes more; blocked by the caller */
}

/* ---- The end ---- */

void eio_poll_end(struct eio *e)
{
	bool has_ended = e->conn->state == CONN_DEAD && e->conn->io.fd < 0 && !e->is_closed;
	struct call *call = e->poll;

	e->poll = NULL;
	list_remove(&e->ready);
	if (call)
		say_alone(call, has_ended ? EIO_CLOSE : EIO_NOOP);
	answer_post(e, true);
}
