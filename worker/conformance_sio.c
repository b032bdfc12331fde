/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO's echo: three namespaces, events that come back, acknowledgements both ways, rooms.
 * Rooms are those of one worker: whoever tests them runs one.
 */
#include "worker/conformance.h"

#include <sys/random.h>

#include "base/base64.h"
#include "worker/eio_priv.h"
#include "worker/sio_priv.h"
#include "worker/ws_conn.h"

#define SID_BYTES 15
#define ROOMS_MAX 64 /* of one connection */
#define ROOM_NAME_MAX 64
#define WANTED_MAX 16 /* acknowledgements that are waited for at once */

#define NSP_CUSTOM "/custom"
#define NSP_GUARDED "/guarded"
#define NSP_COUNT 3

static const char *const namespaces[NSP_COUNT] = {SIO_NSP_MAIN, NSP_CUSTOM, NSP_GUARDED};

/*
 * Suites wait for one packet after the other and lose what comes in one piece with what they wait
 * for: clients that listen all the time do not.
 */
#define AUTH_LATER_S 0.01

struct echo {
	struct worker *wk;
	uint64_t conn_id;
	struct buf later; /* owned; frames that go when the timer ends */
	ev_timer timer;
	bool is_in[NSP_COUNT];
	struct {
		int nsp;
		char name[ROOM_NAME_MAX + 1];
	} rooms[ROOMS_MAX];
	int n_rooms;
	int64_t next_id; /* of the next acknowledgement that is wanted */
	struct {
		int64_t id;
		struct cmd_id re; /* what it is for; empty: free */
	} wanted[WANTED_MAX];
};

static void on_later(EV_P_ ev_timer *w, int revents);

static struct echo *echo_of(struct conn *c)
{
	struct echo *e = c->eio->state;

	if (e)
		return e;
	e = c->eio->state = xcalloc(1, sizeof(*e));
	e->wk = conn_worker(c);
	e->conn_id = c->id;
	ev_timer_init(&e->timer, on_later, 0., 0.);
	e->timer.data = e;
	return e;
}

static void on_done(void *state)
{
	struct echo *e = state;

	if (!e)
		return;
	ev_timer_stop(e->wk->loop, &e->timer);
	buf_done(&e->later);
	free(e);
}

/* The namespace's number, or -1. */
static int nsp_find(struct str name)
{
	for (int i = 0; i < NSP_COUNT; i++)
		if (str_eq(name, str_of(namespaces[i])))
			return i;
	return -1;
}

/* ---- Answers ---- */

static void add_attachments(struct conn *c, const struct sio_packet *p)
{
	for (uint32_t i = 0; i < p->nattachments; i++)
		eio_add_frame(conn_reply(c),
			      &(struct eio_packet){EIO_MESSAGE, true, sio_attachment_at(p, i)});
}

/* The arguments of P from FIRST on, to C. */
static void emit(struct conn *c, const struct sio_packet *p, size_t first, const char *name)
{
	size_t mark;
	struct buf *b = sio_frame_begin(c, &mark);

	sio_event_begin(b, p->nsp, SIO_NO_ID, p->nattachments, name);
	sio_add_args(b, p, first);
	sio_event_end(b, STR(""));
	sio_frame_end(b, mark);
	add_attachments(c, p);
}

static void ack(struct conn *c, const struct sio_packet *p)
{
	struct cmd_id re;
	size_t mark;
	struct buf *b;

	sio_cmd_id(p, &re);
	if (!re.len)
		return;
	b = sio_frame_begin(c, &mark);
	sio_ack_begin(b, p->nsp, &re, p->nattachments);
	sio_add_args(b, p, 0);
	sio_ack_end(b);
	sio_frame_end(b, mark);
	add_attachments(c, p);
}

/* One JSON value. */
static void ack_value(struct conn *c, struct str nsp, const struct cmd_id *re, struct str json)
{
	size_t mark;
	struct buf *b;

	if (!re->len)
		return;
	b = sio_frame_begin(c, &mark);
	sio_ack_begin(b, nsp, re, 0);
	buf_add_str(b, json);
	sio_ack_end(b);
	sio_frame_end(b, mark);
}

/* ---- Coming and going ---- */

static void on_later(EV_P_ ev_timer *w, int revents)
{
	struct echo *e = w->data;
	struct conn *c = conn_find(e->wk, e->conn_id);

	(void)loop;
	(void)revents;
	if (c && c->state == CONN_WS)
		buf_add_str(conn_reply(c), buf_str(&e->later));
	buf_clear(&e->later);
}

/* The event that comes with CONNECT comes a little behind it; see AUTH_LATER_S. */
static void auth_later(struct conn *c, const struct sio_packet *p)
{
	struct echo *e = echo_of(c);
	size_t mark = ws_frame_begin(&e->later);

	sio_event_begin(&e->later, p->nsp, SIO_NO_ID, 0, "auth");
	json_add_sep(&e->later);
	if (p->data)
		json_add_value(&e->later, p->data);
	else
		buf_add_cstr(&e->later, "{}");
	sio_event_end(&e->later, STR(""));
	sio_frame_end(&e->later, mark);
	if (!ev_is_active(&e->timer))
		ev_timer_set(&e->timer, AUTH_LATER_S, 0.);
	ev_timer_start(e->wk->loop, &e->timer);
}

static void say_connected(struct conn *c, const struct sio_packet *p)
{
	uint8_t raw[SID_BYTES];
	struct buf sid = BUF_INIT, *b;
	size_t mark;

	if (getrandom(raw, sizeof(raw), 0) != sizeof(raw))
		abort(); /* never for so few bytes */
	base64_add(&sid, BASE64_URL, raw, sizeof(raw));
	b = sio_frame_begin(c, &mark);
	sio_add_connect(b, p->nsp, buf_str(&sid), STR(""));
	sio_frame_end(b, mark);
	buf_done(&sid);
	auth_later(c, p);
}

static void on_connect(struct conn *c, const struct sio_packet *p)
{
	int nsp = nsp_find(p->nsp);
	struct sio_auth auth;

	sio_auth_read(p, &auth);
	if (nsp < 0) {
		sio_refuse_connect(c, p->nsp, STR("Invalid namespace"), NULL);
	} else if (str_eq(p->nsp, STR(NSP_GUARDED)) && !str_eq(auth.token, STR("let-me-in"))) {
		sio_refuse_connect(c, p->nsp, STR("not authorized"), "E_AUTH");
	} else if (!echo_of(c)->is_in[nsp]) {
		echo_of(c)->is_in[nsp] = true;
		say_connected(c, p);
	}
}

/* Returns the room's place, or -1. */
static int room_find(const struct echo *e, int nsp, struct str name)
{
	for (int i = 0; i < e->n_rooms; i++)
		if (e->rooms[i].nsp == nsp && str_eq(name, str_of(e->rooms[i].name)))
			return i;
	return -1;
}

static void nsp_leave(struct echo *e, int nsp)
{
	e->is_in[nsp] = false;
	for (int i = e->n_rooms; i-- > 0;)
		if (e->rooms[i].nsp == nsp)
			e->rooms[i] = e->rooms[--e->n_rooms];
}

static void on_disconnect(struct conn *c, const struct sio_packet *p)
{
	int nsp = nsp_find(p->nsp);

	if (nsp >= 0)
		nsp_leave(echo_of(c), nsp);
}

/* ---- Events ---- */

static void on_rooms(struct conn *c, const struct sio_packet *p, int nsp, bool is_join)
{
	struct echo *e = echo_of(c);
	struct cmd_id re;
	struct str name;
	int at;

	sio_cmd_id(p, &re);
	if (!json_to_str(sio_arg(p, 0), &name) || name.len > ROOM_NAME_MAX)
		return;
	at = room_find(e, nsp, name);
	if (is_join && at < 0 && e->n_rooms < ROOMS_MAX) {
		memcpy(e->rooms[e->n_rooms].name, name.p, name.len);
		e->rooms[e->n_rooms].name[name.len] = '\0';
		e->rooms[e->n_rooms++].nsp = nsp;
	} else if (!is_join && at >= 0) {
		e->rooms[at] = e->rooms[--e->n_rooms];
	}
	ack_value(c, p->nsp, &re, STR("true"));
}

struct broadcast {
	struct conn *from;
	const struct sio_packet *p;
	int nsp;
	struct str room;
};

static void to_member(struct conn *c, void *arg)
{
	const struct broadcast *bc = arg;

	if (c != bc->from && c->state == CONN_WS && c->eio && c->eio->state &&
	    c->eio->core == bc->from->eio->core &&
	    room_find(c->eio->state, bc->nsp, bc->room) >= 0)
		emit(c, bc->p, 1, "broadcasted");
}

static void on_broadcast(struct conn *c, const struct sio_packet *p, int nsp)
{
	struct broadcast bc = {.from = c, .p = p, .nsp = nsp};
	struct cmd_id re;

	sio_cmd_id(p, &re);
	if (!json_to_str(sio_arg(p, 0), &bc.room))
		return;
	conn_each(conn_worker(c), to_member, &bc);
	ack_value(c, p->nsp, &re, STR("true"));
}

static void on_request_ack(struct conn *c, const struct sio_packet *p)
{
	struct echo *e = echo_of(c);
	size_t mark;
	struct buf *b;

	for (int i = 0; i < WANTED_MAX; i++) {
		if (e->wanted[i].re.len)
			continue;
		sio_cmd_id(p, &e->wanted[i].re);
		e->wanted[i].id = e->next_id++;
		b = sio_frame_begin(c, &mark);
		sio_event_begin(b, p->nsp, e->wanted[i].id, 0, "please-ack");
		sio_add_args(b, p, 0);
		sio_event_end(b, STR(""));
		sio_frame_end(b, mark);
		return;
	}
}

static void on_ack(struct conn *c, const struct sio_packet *p)
{
	struct echo *e = echo_of(c);
	struct buf value = BUF_INIT;

	for (int i = 0; i < WANTED_MAX && p->has_id; i++) {
		if (!e->wanted[i].re.len || e->wanted[i].id != p->id)
			continue;
		if (sio_arg_count(p))
			json_add_value(&value, sio_arg(p, 0));
		else
			buf_add_cstr(&value, "null");
		ack_value(c, p->nsp, &e->wanted[i].re, buf_str(&value));
		e->wanted[i].re.len = 0;
		buf_done(&value);
		return;
	}
}

static void on_kick(struct conn *c, const struct sio_packet *p, int nsp)
{
	size_t mark;
	struct buf *b = sio_frame_begin(c, &mark);

	nsp_leave(echo_of(c), nsp);
	sio_add_disconnect(b, p->nsp);
	sio_frame_end(b, mark);
}

static void on_event(struct conn *c, const struct sio_packet *p)
{
	int nsp = nsp_find(p->nsp);
	struct str name;

	if (nsp < 0 || !echo_of(c)->is_in[nsp]) {
		conn_kill(c, CONN_END_LOST); /* nothing may come before CONNECT */
		return;
	}
	if (!sio_event_name(p, &name))
		return;
	if (str_eq(name, STR("message")))
		emit(c, p, 0, "message-back");
	else if (str_eq(name, STR("message-with-ack")))
		ack(c, p);
	else if (str_eq(name, STR("join")) || str_eq(name, STR("leave")))
		on_rooms(c, p, nsp, str_eq(name, STR("join")));
	else if (str_eq(name, STR("broadcast")))
		on_broadcast(c, p, nsp);
	else if (str_eq(name, STR("request-ack")))
		on_request_ack(c, p);
	else if (str_eq(name, STR("kick")))
		on_kick(c, p, nsp);
	else if (str_eq(name, STR("kick-transport")))
		ws_conn_shut(c, WS_CLOSE_NORMAL, "");
}

static void refuse(struct conn *c, const struct sio_packet *p, const struct fault *f)
{
	(void)p;
	(void)f;
	conn_kill(c, CONN_END_LOST);
}

static void on_message(struct conn *c, struct str data, bool is_binary)
{
	static const struct sio_core echo = {
		.on = {
			[SIO_CONNECT] = on_connect,
			[SIO_DISCONNECT] = on_disconnect,
			[SIO_EVENT] = on_event,
			[SIO_ACK] = on_ack,
		},
		.refuse = refuse,
	};

	sio_run(c, data, is_binary, &echo);
}

const struct eio_core conformance_sio_core = {
	.on_message = on_message,
	.on_done = on_done,
	.is_silent = true,
};
