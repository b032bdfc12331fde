/* SPDX-License-Identifier: MIT */
/*
 * WebSocket connections (RFC 6455): messages to the dialects, pings, silence, the closing
 * handshake. Frames are cut and checked by proto/ws; commands are run by on_cmd.c.
 */
#include "worker/ws_conn.h"

#include "base/log.h"
#include "proto/dialect_native.h"
#include "proto/dialect_raw.h"
#include "proto/msgpack.h"
#include "shm/rooms.h"
#include "sql/rooms.h"
#include "worker/chan.h"
#include "worker/conformance.h"
#include "worker/dbio.h"
#include "worker/eio.h"
#include "worker/limits.h"
#include "worker/on_cmd.h"
#include "worker/peer.h"
#include "worker/resume.h"
#include "worker/sio.h"
#include "worker/sse_conn.h"

#define NATIVE_BATCH_MAX 100 /* requests in one native frame */

struct cmd_limits worker_cmd_limits(const struct worker *wk)
{
	const struct settings *s = wk->settings;

	return (struct cmd_limits){
		.depth_max = (uint32_t)s->websocket_json_depth_max,
		.name_max = (uint32_t)s->chat_name_max,
		.desc_max = (uint32_t)s->chat_description_max,
		.message_max = (uint32_t)s->chat_message_max,
		.address_max = (uint32_t)s->chat_attachment_max,
		.batch_max = NATIVE_BATCH_MAX,
		.subs_max = (uint32_t)s->websocket_subscriptions_max,
		.operations = &s->limits_operations,
		.frames = &s->limits_frames,
		.sends = &s->limits_sends_user,
		.unauthenticated = &s->limits_anonymous,
	};
}

static enum metric connections_metric(const struct conn *c)
{
	static const enum metric of[DIALECT_COUNT] = {
		[DIALECT_NONE] = M_CONNECTIONS_HTTP,
		[DIALECT_RAW] = M_CONNECTIONS_RAW,
		[DIALECT_NATIVE] = M_CONNECTIONS_NATIVE,
		[DIALECT_MSGPACK] = M_CONNECTIONS_MSGPACK,
		[DIALECT_SSE] = M_CONNECTIONS_SSE,
		[DIALECT_S0] = M_CONNECTIONS_SIO,
		[DIALECT_S4] = M_CONNECTIONS_SIO,
	};

	return of[c->dialect];
}

/* ---- Frames ---- */

void ws_conn_frame(struct buf *b, enum dialect dialect, struct str json)
{
	size_t begin = ws_frame_begin(b);

	if (dialect != DIALECT_MSGPACK) {
		buf_add(b, json.p, json.len);
		ws_frame_end(b, begin, WS_OP_TEXT);
	} else if (msgpack_from_json(b, json)) {
		ws_frame_end(b, begin, WS_OP_BINARY);
	} else { /* our own encoder wrote it: cannot happen, and must not reach anybody */
		b->len = begin;
		log_error("a frame has no MessagePack form", LF_INT("bytes", (int64_t)json.len));
	}
}

struct buf *ws_reply_begin(struct conn *c, size_t *ret_mark)
{
	struct worker *wk = conn_worker(c);
	struct buf *b;

	if (c->dialect != DIALECT_RAW && c->dialect != DIALECT_NATIVE) {
		buf_clear(&wk->reply_frame);
		*ret_mark = 0;
		return &wk->reply_frame;
	}
	b = conn_reply(c);
	*ret_mark = ws_frame_begin(b);
	return b;
}

void ws_reply_end(struct conn *c, struct buf *b, size_t mark)
{
	if (c->dialect == DIALECT_MSGPACK)
		ws_conn_frame(conn_reply(c), DIALECT_MSGPACK, buf_str(b));
	else if (c->dialect == DIALECT_SSE)
		sse_conn_frame(c, buf_str(b));
	else if (dialect_is_sio(c->dialect)) /* knows no such frame */
		log_debug("a native frame has no Socket.IO form");
	else
		ws_frame_end(b, mark, WS_OP_TEXT);
}

/* Says that there is no such room; the close follows with the first frame. */
static void refuse_room(struct conn *c)
{
	size_t mark;
	struct buf *b = ws_reply_begin(c, &mark);
	struct fault f;

	fault_set(&f, E_NO_SUCH_ROOM);
	raw_add_error(b, &f, 0, NULL);
	ws_reply_end(c, b, mark);
	c->is_refused = true;
	conn_wait(c, WAIT_REFUSED);
}

struct room_check {
	struct worker *wk;
	uint64_t conn_id;
};

static void on_room_checked(void *arg, int err, const struct room *room)
{
	struct room_check *check = arg;
	struct conn *c = conn_find(check->wk, check->conn_id);

	if (c && c->state == CONN_WS && !c->is_helloed && !c->is_blocked &&
	    (err == -ERR_NOENT || (!err && room->is_closed)))
		refuse_room(c);
	free(check);
}

/*
 * A room that nobody on this node follows may not exist: better said now than after the first
 * frame.
 */
static void check_room(struct conn *c)
{
	struct worker *wk = conn_worker(c);
	struct room_check *check;
	int64_t rev, seq;

	if (c->room <= 0) {
		refuse_room(c);
		return;
	}
	if (chan_find(wk, c->room) ||
	    room_head(wk->shm, (unsigned)wk->slot, c->room, &rev, &seq) == 0)
		return;
	check = xcalloc(1, sizeof(*check));
	*check = (struct room_check){wk, c->id};
	if (room_info(dbio_reader(wk), c->room, NULL, dbio_deadline(wk), on_room_checked, check,
		      NULL) < 0)
		free(check); /* joining asks again */
}

/* Which rooms there are is nobody's business who is not let in. */
static bool may_know_rooms(const struct conn *c)
{
	return conn_worker(c)->settings->chat_guests || (c->who && c->who->user);
}

void ws_conn_start(struct conn *c, enum dialect dialect, int64_t room_id)
{
	worker_count(conn_worker(c), connections_metric(c), -1);
	c->state = CONN_WS;
	c->dialect = dialect;
	c->room = room_id;
	ws_in_init(&c->ws);
	conn_wait(c, WAIT_HELLO);
	worker_count(conn_worker(c), connections_metric(c), 1);
	conn_count_as(c, c->io.fd < 0 ? TRANSPORT_POLLING : TRANSPORT_WEBSOCKET);
	if (dialect == DIALECT_RAW && may_know_rooms(c))
		check_room(c);
}

/* ---- Closing ---- */

void ws_conn_shut(struct conn *c, uint16_t code, const char *reason)
{
	if (c->io.fd < 0) {
		conn_finish(c, CONN_END_CLEAN);
		return;
	}
	ws_add_close(conn_reply(c), code, str_of(reason));
	chan_leave_all(c, CONN_END_CLEAN);
	c->state = CONN_WS_CLOSING;
	conn_unblock(c); /* the peer's close frame is to be seen */
	conn_wait(c, WAIT_CLOSE);
}

void ws_conn_close_code(struct conn *c, uint16_t code, const char *reason)
{
	if (c->state == CONN_SSE)
		conn_finish(c, CONN_END_CLEAN);
	if (c->state != CONN_WS)
		return;
	/* clients come back by themselves unless they are told to leave */
	if (c->eio && code != WS_CLOSE_RESTART && code != WS_CLOSE_TRY_LATER)
		sio_say_disconnect(c);
	ws_conn_shut(c, code, reason);
}

void ws_conn_close(struct conn *c, enum proto_error error)
{
	const struct error_info *info = error_info(error);

	ws_conn_close_code(c, info->ws_close ? info->ws_close : WS_CLOSE_INTERNAL, info->text);
}

void ws_conn_close_frame(struct buf *b, enum proto_error error)
{
	const struct error_info *info = error_info(error);

	ws_add_close(b, info->ws_close, str_of(info->text));
}

/* One error frame. */
static void say_fault(struct conn *c, const struct fault *f, const struct cmd_id *re,
		      const struct cmd_id *key, int64_t conv, int64_t retry_ms)
{
	size_t mark;
	struct buf *b;

	worker_count(conn_worker(c), M_COMMAND_ERRORS, 1);
	if (dialect_is_sio(c->dialect)) {
		sio_say_fault(c, f, re, key, retry_ms);
		return;
	}
	b = ws_reply_begin(c, &mark);
	if (c->dialect == DIALECT_RAW)
		raw_add_error(b, f, retry_ms, key && key->len ? key : NULL);
	else
		native_add_err(b, re, f, conv, retry_ms);
	ws_reply_end(c, b, mark);
}

void ws_conn_fault(struct conn *c, const struct fault *f, const struct cmd_id *re,
		   const struct cmd_id *key, int64_t conv)
{
	const struct error_info *info = error_info(f->error);
	int64_t retry_ms = info->http_status == 503 ? worker_retry_ms(conn_worker(c)) : 0;

	if (c->state != CONN_WS && c->state != CONN_SSE)
		return;
	say_fault(c, f, re, key, conv, retry_ms);
	/* a native socket outlives the loss of one conversation, and so does a stream */
	if (c->state == CONN_SSE && conv)
		sse_conn_refused(c, f->error, conv);
	else if (info->ws_close && (dialect_has_room(c->dialect) || !c->is_helloed))
		ws_conn_close(c, f->error);
}

void ws_conn_error(struct conn *c, enum proto_error error, const struct cmd_id *re,
		   const struct cmd_id *key, int64_t conv)
{
	struct fault f;

	fault_set(&f, error);
	ws_conn_fault(c, &f, re, key, conv);
}

void ws_conn_later(struct conn *c, const struct fault *f, int64_t retry_ms,
		   const struct cmd_id *re, const struct cmd_id *key, int64_t conv)
{
	if (c->state == CONN_WS || c->state == CONN_SSE)
		say_fault(c, f, re, key, conv, retry_ms);
}

void ws_conn_limited(struct conn *c, int64_t retry_ms, const struct cmd_id *re,
		     const struct cmd_id *key, int64_t conv)
{
	struct fault f;

	fault_set(&f, E_RATE_LIMITED);
	ws_conn_later(c, &f, retry_ms, re, key, conv);
}

void ws_conn_abused(struct conn *c)
{
	static struct log_rate rate;
	char text[ADDR_TEXT_MAX];
	const char *client = text;
	uint64_t suppressed;

	peer_format(c, text);
	if (log_rate_pass(&rate, 60000, &suppressed))
		log_notice("a socket went on after its limit: closed", LF_STR("client", client),
			   LF_INT("connection", (int64_t)c->id), LF_INT("user", c->user),
			   LF_INT("suppressed", (int64_t)suppressed));
	ws_conn_limited(c, worker_retry_ms(conn_worker(c)), NULL, NULL, 0);
	ws_conn_close(c, E_RATE_LIMITED);
}

void ws_conn_try_later(struct conn *c, const struct cmd_id *re)
{
	ws_conn_error(c, E_UNAVAILABLE, re, NULL, 0);
	ws_conn_close_code(c, WS_CLOSE_TRY_LATER, error_info(E_UNAVAILABLE)->text);
}

/* ---- Messages ---- */

static void on_close_frame(struct conn *c, const struct ws_msg *m)
{
	if (c->state == CONN_WS) /* section 5.5.1: answer with the peer's code */
		ws_add_close(conn_reply(c), m->close_code == WS_CLOSE_NONE ? 0 : m->close_code,
			     STR(""));
	c->is_over = true;
	conn_finish(c, str_eq(m->payload, STR("bye")) ? CONN_END_BYE : CONN_END_CLEAN);
}

static void on_payload(struct conn *c, struct str payload, enum ws_opcode op)
{
	bool is_binary = c->dialect == DIALECT_MSGPACK;

	if (c->state != CONN_WS)
		return;
	if (c->is_echo) {
		conformance_message(c, payload, op);
		return;
	}
	if (dialect_is_sio(c->dialect)) {
		eio_ws_message(c, payload, op == WS_OP_BINARY);
		return;
	}
	if ((op == WS_OP_BINARY) != is_binary) {
		ws_conn_close_code(c, WS_CLOSE_UNSUPPORTED,
				   is_binary ? "binary frames only" : "text frames only");
		return;
	}
	if (c->is_refused) {
		ws_conn_close(c, E_NO_SUCH_ROOM);
		return;
	}
	if (c->dialect == DIALECT_RAW)
		on_raw_frame(c, payload);
	else
		on_native_frame(c, payload);
}

/* Pings and pongs are frames like others, only that no error can answer them. */
static bool takes_control(struct conn *c)
{
	int64_t retry_ms;
	enum limit_verdict verdict;

	if (c->is_echo)
		return true;
	verdict = limits_frame(c, c->dialect == DIALECT_RAW ? LIMIT_FRAMES : LIMIT_OPERATIONS,
			       &retry_ms);
	if (verdict == LIMIT_ABUSE)
		ws_conn_abused(c);
	return verdict == LIMIT_PASS;
}

static void on_message(struct conn *c, const struct ws_msg *m)
{
	switch (m->op) {
	case WS_OP_TEXT:
	case WS_OP_BINARY:
		on_payload(c, m->payload, m->op);
		break;
	case WS_OP_PING:
		if (c->state == CONN_WS && takes_control(c))
			ws_add_frame(conn_reply(c), WS_OP_PONG, m->payload);
		break;
	case WS_OP_PONG:
		if (c->state == CONN_WS)
			(void)takes_control(c);
		break;
	case WS_OP_CLOSE:
		on_close_frame(c, m);
		break;
	case WS_OP_CONT:
		break;
	}
	if (c->is_helloed && c->state == CONN_WS && !c->eio)
		conn_wait(c, WAIT_PING);
}

static void on_fault(struct conn *c, const struct ws_msg *m)
{
	worker_count(conn_worker(c), M_PROTOCOL_ERRORS, 1);
	if (c->state == CONN_WS)
		ws_add_close(conn_reply(c), m->close_code, str_of(m->fault));
	conn_finish(c, CONN_END_CLEAN);
}

static struct ws_limits limits_of(const struct conn *c)
{
	const struct settings *s = conn_worker(c)->settings;
	uint32_t payload = (uint32_t)s->engineio_payload_max;
	struct ws_inflater *inflater = c->deflate_bits ? conn_worker(c)->inflater : NULL;

	if (dialect_is_sio(c->dialect))
		return (struct ws_limits){
			.frame_max = payload, .message_max = payload, .inflater = inflater};
	return (struct ws_limits){
		.frame_max = (uint32_t)s->websocket_frame_max,
		.message_max = (uint32_t)s->websocket_message_max,
		.inflater = inflater,
	};
}

/* The rest of what was read belongs to the session that has the socket now. */
static void pass_on(struct conn *c, uint8_t *data, size_t len)
{
	struct conn *session = c->took_over ? conn_find(conn_worker(c), c->took_over) : NULL;

	if (session && len)
		conn_input(session, data, len);
}

size_t ws_conn_input(struct conn *c, uint8_t *data, size_t len)
{
	const struct ws_limits lim = limits_of(c);
	size_t used = 0;

	while (conn_takes_more(c) && (c->state == CONN_WS || c->state == CONN_WS_CLOSING)) {
		struct ws_msg m;
		size_t n = 0;
		int r = ws_next(&c->ws, &lim, data + used, len - used, &n, &m);

		used += n;
		if (r == -ERR_AGAIN)
			break;
		if (r == -ERR_CLOSED)
			return len;
		if (r < 0) {
			on_fault(c, &m);
			return len;
		}
		on_message(c, &m);
	}
	if (c->state == CONN_DEAD)
		pass_on(c, data + used, len - used);
	return used;
}

/* ---- Silence and good-bye ---- */

void ws_conn_timeout(struct conn *c, enum conn_wait wait)
{
	if (wait >= WAIT_EIO_PING) {
		eio_timeout(c, wait);
		return;
	}
	if ((wait == WAIT_PING || wait == WAIT_PONG) && conn_is_stopped(c)) {
		conn_wait(c, WAIT_PING); /* it is not heard: conn_check_slow looks after it */
		return;
	}
	switch (wait) {
	case WAIT_HELLO:
		ws_conn_error(c, E_HELLO_TIMEOUT, NULL, NULL, 0);
		break;
	case WAIT_REFUSED:
		ws_conn_close(c, E_NO_SUCH_ROOM);
		break;
	case WAIT_PING:
		ws_add_frame(conn_reply(c), WS_OP_PING, STR(""));
		conn_wait(c, WAIT_PONG);
		break;
	default: /* no pong, no close frame: the link is lost */
		conn_kill(c, CONN_END_LOST);
		break;
	}
}

void ws_conn_goaway(struct conn *c, int64_t in_ms)
{
	struct buf cursor = BUF_INIT, *b;
	struct fault f;
	size_t mark;

	if (c->state != CONN_WS || !c->is_helloed || c->eio || c->is_echo)
		return;
	if (!resume_cursor(c, &cursor) && c->state != CONN_WS)
		return;
	b = ws_reply_begin(c, &mark);
	fault_set(&f, E_RESTARTING);
	if (c->dialect == DIALECT_RAW)
		raw_add_error(b, &f, in_ms, NULL);
	else
		native_add_goaway_cursor(b, in_ms, "restart", buf_str(&cursor));
	ws_reply_end(c, b, mark);
	buf_done(&cursor);
}

void ws_conn_drain(struct conn *c)
{
	if (c->state != CONN_WS)
		return;
	chan_leave_all(c, CONN_END_LOST); /* expected back: gone for a restart is not gone */
	ws_conn_close_code(c, WS_CLOSE_RESTART, error_info(E_RESTARTING)->text);
}

void ws_conn_done(struct conn *c)
{
	on_frame_forget(c);
	if (!c->is_ops)
		worker_count(conn_worker(c), connections_metric(c), -1);
}
