/* SPDX-License-Identifier: MIT */
/*
 * Echoes over plain WebSockets, as messages and as MessagePack values, and a stream of events that
 * can be resumed.
 */
#include "worker/conformance.h"

#include "proto/msgpack.h"
#include "proto/sse.h"
#include "worker/sse_conn.h"
#include "worker/upgrade.h"
#include "worker/ws_conn.h"

static void open_socket(struct call *call, enum dialect dialect)
{
	struct conn *c = upgrade_echo(call, dialect);

	if (!c)
		return;
	c->is_echo = true;
	c->is_helloed = true; /* nobody need say who he is */
	conn_wait(c, WAIT_PING);
}

void conformance_socket(struct call *call)
{
	open_socket(call, DIALECT_NATIVE);
}

void conformance_msgpack(struct call *call)
{
	open_socket(call, DIALECT_MSGPACK);
}

void conformance_message(struct conn *c, struct str payload, enum ws_opcode op)
{
	struct buf value = BUF_INIT;

	if (c->dialect == DIALECT_NATIVE) {
		ws_add_frame(conn_reply(c), op, payload);
		return;
	}
	if (op != WS_OP_BINARY)
		ws_conn_close_code(c, WS_CLOSE_UNSUPPORTED, "binary frames only");
	else if (msgpack_again(&value, payload.p, payload.len,
			       (uint32_t)conn_worker(c)->settings->websocket_json_depth_max) < 0)
		ws_conn_close_code(c, WS_CLOSE_INVALID_DATA, "not one MessagePack value");
	else
		ws_add_frame(conn_reply(c), WS_OP_BINARY, buf_str(&value));
	buf_done(&value);
}

/* ---- Ticks ---- */

#define TICK_S 0.1
#define ID_MAX 18 /* digits: no stream comes to the end of them */

struct ticker {
	struct worker *wk;
	uint64_t conn_id;
	int64_t last; /* id of the last tick */
	ev_timer timer;
};

static void on_tick(EV_P_ ev_timer *w, int revents)
{
	struct ticker *t = w->data;
	struct conn *c = conn_find(t->wk, t->conn_id);
	struct buf id = BUF_INIT;

	(void)loop;
	(void)revents;
	if (!c || c->state != CONN_SSE || conn_queued(c)) /* it waits until it is read */
		return;
	buf_add_i64(&id, ++t->last);
	sse_add_event(conn_reply(c), STR("tick"), buf_str(&id), buf_str(&id));
	buf_done(&id);
}

static void ticker_free(void *ticker)
{
	struct ticker *t = ticker;

	ev_timer_stop(t->wk->loop, &t->timer);
	free(t);
}

/* Returns 0 with the id to go on behind, or -ERR_INVAL. */
static int last_id(const struct call *call, int64_t *ret)
{
	struct str text = http_header(call->req, "Last-Event-ID");
	int r = text.p ? sse_last_event_id(text, ID_MAX, &text) : -ERR_NOENT;

	*ret = 0;
	if (r == -ERR_NOENT)
		return 0;
	return r == 0 && str_to_i64(text, ret) == 0 && *ret >= 0 ? 0 : -ERR_INVAL;
}

void conformance_stream(struct call *call)
{
	struct fault fault;
	struct ticker *t;
	struct conn *c;
	int64_t last;

	if (last_id(call, &last) < 0) {
		fault_field(&fault, FAULT_VALUE, "Last-Event-ID", 0);
		call_fault(call, &fault, NULL);
		return;
	}
	if (call->head_only) {
		sse_conn_head(call);
		return;
	}
	t = xcalloc(1, sizeof(*t));
	t->wk = call->wk;
	t->last = last;
	ev_timer_init(&t->timer, on_tick, TICK_S, TICK_S);
	t->timer.data = t;
	c = sse_conn_echo(call, t, ticker_free);
	if (!c)
		return;
	t->conn_id = c->id;
	ev_timer_start(t->wk->loop, &t->timer);
}
