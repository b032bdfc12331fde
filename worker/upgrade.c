/* SPDX-License-Identifier: MIT */
/*
 * Opening handshakes of WebSockets (RFC 6455 section 4.2): checks, the 101, the hand-over.
 * What is said on the socket afterwards is ws_conn.c's.
 */
#include "worker/upgrade.h"

#include "proto/dialect_native.h"
#include "proto/http_field.h"
#include "proto/ws.h"
#include "proto/ws_deflate.h"
#include "sql/rooms.h"
#include "worker/authn.h"
#include "worker/call.h"
#include "worker/codes.h"
#include "worker/conn.h"
#include "worker/dbio.h"
#include "worker/deflate.h"
#include "worker/http_conn.h"
#include "worker/origin.h"
#include "worker/routes.h"
#include "worker/ws_conn.h"

/* What the 101 needs when it waits for the database. */
struct handshake {
	enum dialect dialect;
	bool is_echo;
	const char *subprotocol; /* static; NULL: none was offered */
	struct ws_deflate deflate; /* server_bits 0: nothing is compressed */
	char accept[WS_ACCEPT_LEN + 1];
};

static void answer_not_websocket(struct call *call)
{
	struct fault fault;

	fault_set(&fault, E_UPGRADE_REQUIRED);
	call_fault(call, &fault,
		   "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n");
}

/* The notations of the native frames, by the subprotocol that names them. */
static const struct {
	enum dialect dialect;
	const char *name;
} subprotocols[] = {
	{DIALECT_NATIVE, NATIVE_SUBPROTOCOL},
	{DIALECT_MSGPACK, NATIVE_SUBPROTOCOL_MSGPACK},
};

/*
 * The first of the client's list that is known here, which is in the client's order of preference
 * (RFC 6455 section 4.1). Names are compared exactly.
 */
static int pick_subprotocol(struct str offered, struct handshake *h)
{
	struct str item;
	size_t pos = 0;

	while (http_list_next(offered, &pos, &item)) {
		for (size_t i = 0; i < ARRAY_LEN(subprotocols); i++) {
			if (!str_eq(item, str_of(subprotocols[i].name)))
				continue;
			h->dialect = subprotocols[i].dialect;
			h->subprotocol = subprotocols[i].name;
			return 0;
		}
	}
	return -ERR_UNSUPPORTED;
}

/* A native socket without a subprotocol speaks the first of the table. */
static int check_subprotocol(const struct http_request *req, struct handshake *h)
{
	struct buf offered = BUF_INIT;
	int r = 0;

	if (h->dialect == DIALECT_NATIVE && !h->is_echo &&
	    http_header_join(req, "Sec-WebSocket-Protocol", &offered))
		r = pick_subprotocol(buf_str(&offered), h);
	buf_done(&offered);
	return r;
}

/* Of the extensions that are offered, permessage-deflate is known, where it is wanted. */
static int check_extensions(const struct call *call, struct handshake *h)
{
	struct buf offered = BUF_INIT;
	int r = 0;

	if (call->wk->settings->websocket_deflate &&
	    http_header_join(call->req, "Sec-WebSocket-Extensions", &offered))
		r = ws_deflate_negotiate(buf_str(&offered), &h->deflate);
	buf_done(&offered);
	return r == -ERR_NOENT ? 0 : r;
}

/*
 * Checks everything that needs no database; answers and returns false when the request is refused.
 */
static bool handshake_check(struct call *call, struct handshake *h)
{
	struct str key;
	int r = http_websocket(call->req, &key);

	if (call->head_only || r == -ERR_NOENT || r == -ERR_UNSUPPORTED)
		answer_not_websocket(call);
	else if (r < 0 || ws_accept_key(key, h->accept) < 0)
		call_error(call, E_BAD_REQUEST, "The WebSocket handshake is malformed.");
	else if (!origin_is_allowed(call->wk->settings, call->req))
		call_error(call, E_BAD_ORIGIN, NULL);
	else if (call->wk->draining)
		call_error(call, E_RESTARTING, NULL);
	else if (!admission_pass(call->wk))
		call_error(call, E_OVERLOADED, NULL);
	else if (check_subprotocol(call->req, h) < 0)
		call_error(call, E_BAD_REQUEST,
			   "None of the offered subprotocols is spoken here.");
	else if (check_extensions(call, h) < 0)
		call_error(call, E_BAD_REQUEST, "The list of extensions is malformed.");
	else
		return true;
	return false;
}

/* The head of the 101. */
static void add_head(struct call *call, struct conn *c, const struct handshake *h)
{
	struct buf fields = BUF_INIT;

	buf_printf(&fields,
		   "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n",
		   h->accept);
	if (h->subprotocol)
		buf_printf(&fields, "Sec-WebSocket-Protocol: %s\r\n", h->subprotocol);
	if (h->deflate.server_bits) {
		buf_add_cstr(&fields, "Sec-WebSocket-Extensions: ");
		ws_deflate_add_answer(&fields, &h->deflate);
		buf_add_cstr(&fields, "\r\n");
	}
	call_add_fields(call, &fields);
	http_add_head(conn_reply(c), &(struct http_head){
					     .status = 101,
					     .date = call->wk->date,
					     .length = -1,
					     .keep_alive = true,
					     .minor = 1,
					     .fields = buf_str(&fields),
				     });
	buf_done(&fields);
}

/* What follows is compressed, the head is not. False: the connection has ended. */
static bool begin_deflate(struct conn *c, const struct handshake *h)
{
	if (!h->deflate.server_bits)
		return true;
	conn_flush(c);
	deflate_agree(c, h->deflate.server_bits);
	return c->state != CONN_DEAD;
}

/*
 * Queues the 101 and leaves HTTP; NULL when nobody is there any more. The conversation may be 0:
 * the socket then says that there is none.
 */
static struct conn *handshake_finish(struct call *call, const struct handshake *h,
				     int64_t room_id)
{
	struct conn *c = call_conn(call);

	if (c)
		add_head(call, c, h);
	if (!c || !begin_deflate(c, h)) {
		call_done(call);
		return NULL;
	}
	http_conn_done(c);
	authn_keep(c, &call->who);
	ws_conn_start(c, h->dialect, room_id);
	conn_unblock(c);
	call_done(call);
	return c;
}

struct conn *upgrade_socketio(struct call *call)
{
	struct handshake h = {.dialect = DIALECT_S4};

	return handshake_check(call, &h) ? handshake_finish(call, &h, 0) : NULL;
}

struct conn *upgrade_echo(struct call *call, enum dialect dialect)
{
	struct handshake h = {.dialect = dialect, .is_echo = true};

	return handshake_check(call, &h) ? handshake_finish(call, &h, 0) : NULL;
}

void upgrade_native(struct call *call)
{
	struct handshake h = {.dialect = DIALECT_NATIVE};

	if (handshake_check(call, &h))
		handshake_finish(call, &h, 0);
}

/* The socket of room CONV, which may be none (-ERR_NOENT). */
static void raw_finish(struct call *call, int err, int64_t conv)
{
	struct handshake *h = call->state;

	if (err < 0 && err != -ERR_NOENT)
		call_db_error(call, err);
	else if (call->wk->draining) /* since the handshake came */
		call_error(call, E_RESTARTING, NULL);
	else
		handshake_finish(call, h, err ? 0 : conv);
	free(h);
}

static void on_room(void *arg, int err, const struct room *room)
{
	raw_finish(arg, err, room ? room->id : 0);
}

static void on_code(void *arg, int err, int64_t conv)
{
	raw_finish(arg, err, conv);
}

void upgrade_raw(struct call *call)
{
	struct handshake h = {.dialect = DIALECT_RAW};
	int r;

	if (!handshake_check(call, &h))
		return;
	if (uuid_is_zero(&call->path_uuid[0]) && !call->path_code[0]) {
		handshake_finish(call, &h, call->path_id[0]);
		return;
	}
	call->state = xmalloc(sizeof(h));
	memcpy(call->state, &h, sizeof(h));
	if (call->path_code[0])
		r = codes_find(call, call->path_code, on_code, call);
	else
		r = room_info(dbio_reader(call->wk), 0, &call->path_uuid[0],
			      dbio_deadline(call->wk), on_room, call, NULL);
	if (r == -ERR_DENIED) {
		free(call->state);
		call_error(call, E_RATE_LIMITED, NULL);
	} else if (r < 0) {
		raw_finish(call, r, 0);
	}
}
