/* SPDX-License-Identifier: MIT */
/*
 * Sessions of Engine.IO 4: found or made by a request, moved to a WebSocket, kept alive, ended.
 * The polling transport is eio_poll.c's; messages are sio.c's.
 */
#include "worker/eio_priv.h"

#include <sys/random.h>

#include "base/base64.h"
#include "base/clock.h"
#include "base/log.h"
#include "worker/authn.h"
#include "worker/http_conn.h"
#include "worker/inbox.h"
#include "worker/routes.h"
#include "worker/sio.h"
#include "worker/upgrade.h"
#include "worker/ws_conn.h"

/* ---- Ids ---- */

/* The half that sessions are found by; random, so never 0 in practice, and made so. */
static uint64_t key_of(const uint8_t *sid)
{
	uint64_t key;

	memcpy(&key, sid + EIO_SID_BYTES - sizeof(key), sizeof(key));
	return key ? key : 1;
}

static void sid_new(const struct worker *wk, uint8_t *sid)
{
	if (getrandom(sid, EIO_SID_BYTES, 0) != EIO_SID_BYTES)
		abort(); /* never for so few bytes */
	sid[0] = (uint8_t)wk->slot;
}

/* Returns 0 or -ERR_INVAL. */
static int sid_read(struct str text, uint8_t *ret)
{
	struct buf b = BUF_INIT;
	int r = base64_take(&b, BASE64_URL, text);

	if (r == 0 && b.len == EIO_SID_BYTES)
		memcpy(ret, b.p, EIO_SID_BYTES);
	else
		r = -ERR_INVAL;
	buf_done(&b);
	return r;
}

static struct conn *session_find(struct worker *wk, const uint8_t *sid)
{
	struct conn *c = map_get(&wk->eios, key_of(sid));

	if (!c || c->state == CONN_DEAD || memcmp(c->eio->sid, sid, EIO_SID_BYTES) != 0)
		return NULL;
	return c;
}

/* ---- Sessions ---- */

static void session_begin(struct conn *c, const struct eio_core *core)
{
	struct worker *wk = conn_worker(c);
	struct eio *e = xcalloc(1, sizeof(*e));

	sid_new(wk, e->sid);
	e->conn = c;
	e->core = core;
	e->opened_ms = clock_mono_ms();
	list_init(&e->ready);
	c->eio = e;
	map_put(&wk->eios, key_of(e->sid), c);
	conn_wait(c, WAIT_EIO_PING);
}

static void add_open(struct buf *b, const struct conn *c, bool can_upgrade)
{
	const struct settings *s = conn_worker(c)->settings;
	struct buf sid = BUF_INIT;

	base64_add(&sid, BASE64_URL, c->eio->sid, EIO_SID_BYTES);
	eio_add_open(b, &(struct eio_handshake){
				.sid = buf_str(&sid),
				.can_upgrade = can_upgrade,
				.ping_interval_ms = s->engineio_ping_interval,
				.ping_timeout_ms = s->engineio_ping_timeout,
				.payload_max = (uint32_t)s->engineio_payload_max,
			});
	buf_done(&sid);
}

static unsigned transports(const struct worker *wk)
{
	static const unsigned of[] = {
		1u << EIO_POLLING | 1u << EIO_WEBSOCKET,
		1u << EIO_POLLING,
		1u << EIO_WEBSOCKET,
	};

	return of[wk->settings->engineio_transports];
}

/* A handshake by polling: the session has no socket of its own. */
static void open_polling(struct call *call, const struct eio_core *core)
{
	struct worker *wk = call->wk;
	struct conn *c, *from = call_conn(call);
	struct buf body = BUF_INIT;

	if (wk->draining) {
		call_error(call, E_RESTARTING, NULL);
		return;
	}
	c = admission_pass(wk) ? conn_open_session(wk) : NULL;
	if (!c) {
		call_error(call, E_OVERLOADED, NULL);
		return;
	}
	c->addr = from->addr;
	c->link = from->link;
	c->is_tls = from->is_tls;
	c->is_link_tls = from->is_link_tls;
	authn_keep(c, &call->who);
	ws_conn_start(c, DIALECT_S4, 0);
	session_begin(c, core);
	add_open(&body, c, transports(wk) & 1u << EIO_WEBSOCKET);
	eio_answer(call, buf_str(&body));
	buf_done(&body);
}

/* A packet for this session alone. */
static void say(struct conn *c, enum eio_type type, struct str data)
{
	eio_add_frame(conn_reply(c), &(struct eio_packet){.type = type, .data = data});
}

/* The session that a WebSocket wants to take over, if it is still to be had. */
static struct conn *session_of(const struct conn *c)
{
	struct conn *session = conn_find(conn_worker(c), c->eio_of);

	return session && session->eio && session->state == CONN_WS && session->io.fd < 0
		       ? session
		       : NULL;
}

/* Nobody else has the session, or is about to. */
static bool may_take_over(const struct conn *c)
{
	const struct conn *session = session_of(c);

	return session && !session->eio->probed_by;
}

/* A WebSocket is there: a session of its own, or one that may take over SESSION. */
static void on_socket(struct conn *c, uint64_t session, const struct eio_core *core)
{
	size_t begin;

	c->eio_of = session;
	if (session && !may_take_over(c)) {
		ws_conn_shut(c, WS_CLOSE_NORMAL, "");
		return;
	}
	if (session) {
		conn_wait(c, WAIT_EIO_UPGRADE);
		return;
	}
	session_begin(c, core);
	begin = ws_frame_begin(conn_reply(c));
	add_open(conn_reply(c), c, false);
	ws_frame_end(conn_reply(c), begin, WS_OP_TEXT);
}

static void open_websocket(struct call *call, struct conn *session, const struct eio_core *core)
{
	uint64_t id = session ? session->id : 0;
	struct conn *c = upgrade_socketio(call);

	if (c)
		on_socket(c, id, core);
}

/* ---- Requests ---- */

/* It polls; one that ends is still told what is queued for it, the reason perhaps. */
static bool may_poll(const struct conn *session, bool is_get)
{
	if (session->io.fd >= 0)
		return false;
	return session->state == CONN_WS ||
	       (session->state == CONN_LINGER && is_get && conn_queued(session));
}

/* What the request of a known session is for. */
static void serve(struct call *call, const struct eio_query *q, const uint8_t *sid)
{
	struct conn *session = session_find(call->wk, sid);
	bool is_get = call->req->method == HTTP_GET;

	if (session && is_get)
		conn_check_wait(session); /* it may be late by less than the timer is */
	if (!session || session->state == CONN_DEAD)
		eio_refuse(call, EIO_E_SID);
	else if (q->transport == EIO_WEBSOCKET)
		open_websocket(call, session, NULL);
	else if (session->eio->is_closed && session->io.fd < 0 && is_get)
		eio_poll_last(session, call);
	else if (!may_poll(session, is_get))
		eio_refuse(call, EIO_E_REQUEST);
	else if (is_get)
		eio_poll_get(session, call);
	else
		eio_poll_post(session, call);
}

void eio_serve(struct call *call, const struct eio_core *core)
{
	uint8_t sid[EIO_SID_BYTES];
	struct eio_query q;
	struct str key;
	bool is_upgrade = http_websocket(call->req, &key) != -ERR_NOENT;
	enum eio_error error = eio_query_read(call->req, transports(call->wk), is_upgrade, &q);

	if (error == EIO_E_NONE && q.sid_len &&
	    sid_read((struct str){q.sid, q.sid_len}, sid) < 0)
		error = EIO_E_SID;
	if (error == EIO_E_NONE && q.sid_len && sid[0] >= call->wk->boot->n_slots)
		error = EIO_E_SID;
	if (error != EIO_E_NONE)
		eio_refuse(call, error);
	else if (q.sid_len && sid[0] != call->wk->slot)
		inbox_move(call, sid[0]);
	else if (q.sid_len)
		serve(call, &q, sid);
	else if (q.transport == EIO_WEBSOCKET)
		open_websocket(call, NULL, core);
	else
		open_polling(call, core);
}

struct str eio_route(const struct worker *wk, struct str path)
{
	if (str_eq(path, str_of(wk->eio_path)))
		return STR(EIO_PATH);
	return str_eq(path, STR(EIO_PATH)) ? STR("/socket.io//") : path; /* no route has that */
}

void eio_request(struct call *call)
{
	static const struct eio_core chat = {.on_message = sio_message};

	eio_serve(call, &chat);
}

/* ---- Packets ---- */

static void on_pong(struct conn *c)
{
	if (c->wait == WAIT_EIO_PONG)
		conn_wait(c, WAIT_EIO_PING);
}

/* The client says good-bye. The poll that it sent before may be on its way to us still. */
static void on_close(struct conn *c)
{
	c->eio->is_closed = true;
	if (c->io.fd >= 0) {
		conn_finish(c, CONN_END_CLEAN);
	} else if (c->eio->poll) {
		conn_kill(c, CONN_END_CLEAN);
	} else {
		chan_leave_all(c, CONN_END_CLEAN);
		c->state = CONN_WS_CLOSING;
		conn_wait(c, WAIT_CLOSE);
	}
}

void eio_packet(struct conn *c, const struct eio_packet *p)
{
	switch (p->type) {
	case EIO_MESSAGE:
		c->eio->core->on_message(c, p->data, p->is_binary);
		break;
	case EIO_PONG:
		on_pong(c);
		break;
	case EIO_CLOSE:
		on_close(c);
		break;
	default: /* nothing else comes from a client that has its transport */
		worker_count(conn_worker(c), M_PROTOCOL_ERRORS, 1);
		conn_kill(c, CONN_END_LOST);
	}
}

/* The other transport is tried: the poll that waits ends, so that the client may stop polling. */
static void on_probe(struct conn *c, struct conn *session)
{
	say(c, EIO_PONG, STR(EIO_PROBE));
	session->eio->probed_by = c->id;
	eio_poll_end(session->eio);
}

static void take_over(struct conn *c, struct conn *session)
{
	if (session->in) { /* half of a POST: no client changes its transport there */
		conn_kill(session, CONN_END_LOST);
		conn_kill(c, CONN_END_LOST);
		return;
	}
	session->eio->probed_by = 0;
	conn_take_socket(session, c);
	conn_count_as(c, TRANSPORT_NONE);
	conn_count_as(session, TRANSPORT_WEBSOCKET);
	eio_poll_end(session->eio);
}

static void on_candidate(struct conn *c, const struct eio_packet *p)
{
	struct conn *session = session_of(c);
	uint64_t by = session ? session->eio->probed_by : 0;

	if (!session || (by && by != c->id))
		conn_kill(c, CONN_END_LOST); /* another socket was first, or it has ended */
	else if (eio_is_probe(p))
		on_probe(c, session);
	else if (p->type == EIO_UPGRADE && by)
		take_over(c, session);
	else
		conn_kill(c, CONN_END_LOST);
}

void eio_ws_message(struct conn *c, struct str payload, bool is_binary)
{
	struct buf scratch = BUF_INIT;
	struct eio_packet p;

	if (eio_decode(payload, is_binary, &scratch, &p) < 0) {
		worker_count(conn_worker(c), M_PROTOCOL_ERRORS, 1);
		conn_kill(c, CONN_END_LOST);
	} else if (c->eio) {
		eio_packet(c, &p);
	} else {
		on_candidate(c, &p);
	}
	buf_done(&scratch);
}

/* ---- Time ---- */

void eio_timeout(struct conn *c, enum conn_wait wait)
{
	const struct settings *s = conn_worker(c)->settings;

	if (wait == WAIT_EIO_RETURN) {
		conn_wait(c, WAIT_EIO_PING);
		sio_return(c);
		return;
	}
	if (wait != WAIT_EIO_PING || !c->eio) { /* no answer to a ping, or no upgrade */
		conn_kill(c, CONN_END_LOST);
		return;
	}
	if (!c->is_helloed && !c->eio->core->is_silent &&
	    clock_mono_ms() - c->eio->opened_ms >= (uint64_t)s->engineio_connect_timeout) {
		ws_conn_shut(c, WS_CLOSE_NORMAL, "");
		return;
	}
	say(c, EIO_PING, STR(""));
	conn_wait_on(c, WAIT_EIO_PING, WAIT_EIO_PONG);
}

/* ---- The end ---- */

void eio_drain(struct conn *c)
{
	if (c->eio && c->io.fd < 0 && !c->eio->poll && !c->eio->post)
		conn_kill(c, CONN_END_LOST); /* expected back, as from any restart */
}

/* A request or a candidate that belonged to a session. */
static void on_servant_ended(struct conn *c)
{
	struct conn *session = conn_find(conn_worker(c), c->eio_of);
	struct eio *e = session ? session->eio : NULL;
	struct call *call = NULL;

	c->eio_of = 0;
	if (!e)
		return;
	if (c->dialect != DIALECT_NONE) {
		if (e->probed_by == c->id) /* not one of those that were refused */
			e->probed_by = 0;
	} else if (e->post && e->post->conn_id == c->id) {
		call = e->post;
		e->post = NULL;
	} else if (e->poll && e->poll->conn_id == c->id) {
		call = e->poll;
		e->poll = NULL;
		conn_kill(session, CONN_END_LOST);
	}
	if (call)
		call_done(call);
}

void eio_conn_ended(struct conn *c)
{
	if (c->eio) {
		map_del(&conn_worker(c)->eios, key_of(c->eio->sid));
		eio_poll_end(c->eio);
	} else if (c->eio_of) {
		on_servant_ended(c);
	}
}

void eio_conn_done(struct conn *c)
{
	if (!c->eio)
		return;
	if (c->eio->in)
		sio_in_done(c->eio->in);
	free(c->eio->in);
	sio_return_forget(c);
	sio_all_stop(c);
	if (c->eio->core->on_done)
		c->eio->core->on_done(c->eio->state);
	free(c->eio);
	c->eio = NULL;
}
