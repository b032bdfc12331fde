/* SPDX-License-Identifier: MIT */
/*
 * Messages of Socket.IO: packets to those who act on them, answers.
 * Transports are eio.c's, what events ask for sio_event.c's; what an event of a conversation looks
 * like is proto/s0.h's and s4.h's.
 */
#include "worker/sio_priv.h"

#include "base/clock.h"
#include "proto/dialect_native.h"
#include "proto/s0.h"
#include "proto/s4.h"
#include "worker/eio_priv.h"
#include "worker/names.h"
#include "worker/ws_conn.h"

/* ---- Frames ---- */

struct buf *sio_frame_begin(struct conn *c, size_t *ret_mark)
{
	struct buf *b = conn_reply(c);

	*ret_mark = ws_frame_begin(b);
	return b;
}

void sio_frame_end(struct buf *b, size_t mark)
{
	ws_frame_end(b, mark, WS_OP_TEXT);
}

/* What S4 shows of an event beside what all dialects do. */
static struct s4_view view_of(const struct event *ev)
{
	return (struct s4_view){
		.receiver = ev->type == EVT_MESSAGE_NEW ? ev->subject : 0,
		.mark_rev = ev->type == EVT_READ || ev->type == EVT_DELIVERED ? ev->target_rev : 0,
	};
}

bool sio_add_packet(struct buf *b, enum dialect dialect, const struct event *ev)
{
	const struct s4_view view = view_of(ev);

	return dialect == DIALECT_S0 ? s0_add_event(b, ev, STR(""))
				     : s4_add_event(b, ev, &view, STR(""));
}

void sio_add_frame(struct buf *b, struct str packet, struct str offset)
{
	size_t begin = ws_frame_begin(b);

	sio_add_event_at(b, packet, offset);
	sio_frame_end(b, begin);
}

/* ---- Presence ---- */

void sio_add_presence(struct buf *b, const struct native_presence *change)
{
	size_t begin = ws_frame_begin(b);

	s4_add_presence(b, change->user, change->name, strcmp(change->state, "offline") != 0,
			clock_wall_ms());
	sio_frame_end(b, begin);
}

static bool next_online(void *arg, int64_t *ret)
{
	struct str name;

	return names_next_user(arg, ret, &name);
}

void sio_add_online(struct buf *b, struct names *online, struct str offset)
{
	struct buf packet = BUF_INIT;

	online->next = 0;
	s4_add_online_users(&packet, next_online, online);
	sio_add_frame(b, buf_str(&packet), offset);
	buf_done(&packet);
}

void sio_add_typing(struct buf *b, int64_t conv, int64_t user, struct str name, bool on)
{
	size_t begin = ws_frame_begin(b);

	s4_add_typing(b, conv, user, name, on);
	sio_frame_end(b, begin);
}

/* ---- Answers ---- */

/* The key as its sender wrote it, out of its JSON form; keys that need escapes are left out. */
static struct str key_text(const struct cmd_id *key)
{
	if (!key || key->len < 2 || key->text[0] != '"' || memchr(key->text, '\\', key->len))
		return STR("");
	return (struct str){key->text + 1, key->len - 2u};
}

void sio_say_fault(struct conn *c, const struct fault *f, const struct cmd_id *re,
		   const struct cmd_id *key, int64_t retry_ms)
{
	/* nobody asked for the room of another page, which may have closed */
	bool is_silent = c->eio->is_entering && c->dialect == DIALECT_S4;
	size_t mark;
	struct buf *b;

	sio_entered(c);
	if (is_silent)
		return;
	b = sio_frame_begin(c, &mark);
	if (re && re->len)
		s4_ack_refused(b, re, f, retry_ms);
	else
		s4_add_error(b, f, retry_ms, key_text(key));
	sio_frame_end(b, mark);
}

void sio_say_ok(struct conn *c, const struct cmd_id *re)
{
	size_t mark;
	struct buf *b;

	if (!re->len)
		return;
	b = sio_frame_begin(c, &mark);
	s4_ack_ok(b, re);
	sio_frame_end(b, mark);
}

void sio_say_sent(struct conn *c, const struct cmd_id *re, const struct event *ev,
		  bool is_duplicate)
{
	const struct s4_view view = view_of(ev);
	size_t mark;
	struct buf *b;

	if (!re->len)
		return;
	b = sio_frame_begin(c, &mark);
	if (c->dialect == DIALECT_S0)
		s0_ack_sent(b, re, ev, is_duplicate);
	else
		s4_ack_sent(b, re, ev, &view, is_duplicate);
	sio_frame_end(b, mark);
}

void sio_say_marked(struct conn *c, const struct cmd_id *re, int64_t count, int64_t conv,
		    int64_t rev)
{
	size_t mark;
	struct buf *b;

	if (!re->len)
		return;
	b = sio_frame_begin(c, &mark);
	s4_ack_marked(b, re, count, conv, rev);
	sio_frame_end(b, mark);
}

void sio_say_joined(struct sub *sub, const struct cmd_id *re, int64_t unread, int64_t rev)
{
	size_t mark;
	struct buf *b;

	sio_entered(sub->conn);
	if (!re->len)
		return;
	b = sio_frame_begin(sub->conn, &mark);
	s4_ack_joined(b, re, &(struct s4_joined){
				     .conv = sub->chan->conv, .rev = rev, .unread = unread});
	sio_frame_end(b, mark);
}

/* ---- Packets ---- */

static void on_event(struct conn *c, const struct sio_packet *p)
{
	if (!c->is_helloed || !str_eq(p->nsp, STR(SIO_NSP_MAIN))) {
		conn_kill(c, CONN_END_LOST); /* nothing may come before CONNECT */
		return;
	}
	sio_event(c, p);
}

/* Well-formed, and nobody can act upon it. */
static void refuse(struct conn *c, const struct sio_packet *p, const struct fault *f)
{
	struct cmd_id re;

	sio_cmd_id(p, &re);
	if (p->type == SIO_CONNECT)
		sio_refuse_connect(c, p->nsp, str_of(f->text), error_info(f->error)->code);
	else if (c->is_helloed)
		ws_conn_fault(c, f, &re, NULL, 0);
}

void sio_run(struct conn *c, struct str data, bool is_binary, const struct sio_core *core)
{
	const struct settings *s = conn_worker(c)->settings;
	const struct sio_limits limits = {
		.depth_max = (uint32_t)s->websocket_json_depth_max,
		.attachments_max = (uint32_t)s->engineio_attachments_max,
		.attachments_bytes = (uint32_t)s->engineio_payload_max,
	};
	struct sio_in first = {0}, *in = c->eio->in ? c->eio->in : &first;
	struct sio_packet p;
	struct fault fault;
	int r = sio_decode(in, data, is_binary, &limits, &p, &fault);

	if (r == -ERR_AGAIN && in == &first) {
		c->eio->in = xmalloc(sizeof(*in));
		*c->eio->in = first;
	}
	if (r == -ERR_AGAIN)
		return;
	if (r == -ERR_PROTO) {
		worker_count(conn_worker(c), M_PROTOCOL_ERRORS, 1);
		ws_conn_shut(c, WS_CLOSE_PROTOCOL, "");
		return;
	}
	if (r < 0)
		core->refuse(c, &p, &fault);
	else if (core->on[p.type])
		core->on[p.type](c, &p);
	sio_packet_done(&p);
}

void sio_message(struct conn *c, struct str data, bool is_binary)
{
	static const struct sio_core chat = {
		.on = {
			[SIO_CONNECT] = sio_connect,
			[SIO_DISCONNECT] = sio_disconnect,
			[SIO_EVENT] = on_event,
		},
		.refuse = refuse,
	};

	sio_run(c, data, is_binary, &chat);
}
