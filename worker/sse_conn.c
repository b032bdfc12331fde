/* SPDX-License-Identifier: MIT */
/*
 * Event streams: native frames as blocks of text/event-stream, with an id that resumes all their
 * conversations. Which requests become streams is rest_events.c's, who gets which event chan.c's.
 *
 * The body ends with the connection (HTTP/1.1 without Content-Length, RFC 9112 section 6.3)
 * instead of coming in chunks: the same bytes serve HTTP/1.0, every proxy passes them on as they
 * come, and no block can be split over a chunk that some intermediary waits for. A block cut
 * short has no blank line behind it, so clients drop it together with its id.
 */
#include "worker/sse_conn.h"

#include "proto/cursor.h"
#include "proto/dialect_native.h"
#include "proto/sse.h"
#include "worker/authn.h"
#include "worker/http_conn.h"
#include "worker/roles.h"

/* What a stream has beyond other connections. */
struct sse {
	struct cursor_pos *pos; /* owned; ascending by conversation */
	size_t n;
	void *echo; /* owned; what a stream of --conformance has instead, which ON_DONE frees */
	void (*on_done)(void *echo);
};

/* ---- Positions ---- */

static struct cursor_pos *find(const struct sse *s, int64_t conv)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = (low + high) / 2;

		if (s->pos[mid].conv == conv)
			return &s->pos[mid];
		if (s->pos[mid].conv < conv)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

static int by_conv(const void *a, const void *b)
{
	const struct cursor_pos *x = a, *y = b;

	return (x->conv > y->conv) - (x->conv < y->conv);
}

/* Conversations that are gone have no place in the id. */
static struct sse *sse_new(const struct sse_position *positions, size_t n)
{
	struct sse *s = xcalloc(1, sizeof(*s));

	s->pos = xcalloc(n, sizeof(*s->pos));
	for (size_t i = 0; i < n; i++)
		if (positions[i].head >= 0)
			s->pos[s->n++] = (struct cursor_pos){positions[i].conv, positions[i].rev};
	qsort(s->pos, s->n, sizeof(*s->pos), by_conv);
	return s;
}

/* The id: where the reader of this stream stands when it has read up to here. */
static void add_cursor(const struct conn *c, struct buf *b)
{
	const struct cursor cursor = {.user = c->user, .pos = c->sse->pos, .n = c->sse->n};

	cursor_encode(b, &cursor);
}

/* ---- Blocks ---- */

static void add_block(struct conn *c, struct str type, bool has_id, struct str json)
{
	struct buf id = BUF_INIT;

	if (has_id)
		add_cursor(c, &id);
	sse_add_event(conn_reply(c), type, buf_str(&id), json);
	buf_done(&id);
	conn_wait(c, WAIT_PING);
}

/*
 * The string behind MARK, which our own encoders write once and before any text of a user; or
 * empty.
 */
static struct str string_after(struct str json, struct str mark)
{
	const char *p = memmem(json.p, json.len, mark.p, mark.len), *end;

	if (!p)
		return STR("");
	p += mark.len;
	end = memchr(p, '"', json.len - (size_t)(p - json.p));
	return end ? (struct str){p, (size_t)(end - p)} : STR("");
}

/* "t" of events, else "op". */
static struct str type_of(struct str json)
{
	struct str op = string_after(json, STR("{\"op\":\""));

	if (str_eq(op, STR("ev")) || str_eq(op, STR("eph")))
		return string_after(json, STR(",\"t\":\""));
	return op;
}

#define BLOCK_FIELDS 64 /* names of fields and the longest type */

size_t sse_conn_cost(const struct conn *c, size_t len)
{
	return len + cursor_text_max(c->sse->n) + BLOCK_FIELDS;
}

void sse_conn_frame(struct conn *c, struct str json)
{
	add_block(c, type_of(json), false, json);
}

void sse_conn_event(struct sub *sub, const struct event *ev, struct str json)
{
	struct conn *c = sub->conn;
	struct cursor_pos *pos;

	if (!ev || !ev->rev) {
		add_block(c, type_of(json), false, json);
		return;
	}
	pos = find(c->sse, ev->conv);
	if (!pos || ev->rev <= pos->rev)
		return;
	pos->rev = ev->rev;
	add_block(c, str_of(event_info(ev->type)->native), true, json);
	if (ev->type == EVT_CONVERSATION_CLOSE && c->n_subs <= 1)
		conn_wait(c, WAIT_REFUSED); /* nothing can follow */
}

void sse_conn_gap(struct conn *c, int64_t conv, int64_t first)
{
	struct cursor_pos *pos = find(c->sse, conv);
	struct buf json = BUF_INIT;

	native_add_gap(&json, NULL, conv, first);
	if (pos)
		pos->rev = first - 1;
	add_block(c, STR("gap"), true, buf_str(&json));
	buf_done(&json);
}

void sse_conn_refused(struct conn *c, enum proto_error error, int64_t conv)
{
	struct cursor_pos *pos = find(c->sse, conv), *end = c->sse->pos + c->sse->n;

	if (pos && error == E_NO_SUCH_ROOM) {
		memmove(pos, pos + 1, (size_t)(end - pos - 1) * sizeof(*pos));
		c->sse->n--;
	}
	if (!c->subs && !c->n_entering)
		conn_wait(c, WAIT_REFUSED); /* nothing can follow */
}

/* ---- Life ---- */

static void add_opening(struct conn *c)
{
	struct buf id = BUF_INIT;

	add_cursor(c, &id);
	sse_add_retry(conn_reply(c), worker_retry_ms(conn_worker(c)));
	sse_add_id(conn_reply(c), buf_str(&id));
	buf_done(&id);
}

static void say_gone(struct conn *c, int64_t conv)
{
	struct buf json = BUF_INIT;
	struct fault fault;

	fault_set(&fault, E_NO_SUCH_ROOM);
	native_add_err(&json, NULL, &fault, conv, 0);
	sse_conn_frame(c, buf_str(&json));
	buf_done(&json);
}

static void follow(struct conn *c, const struct sse_position *p)
{
	const struct cmd_id none = {0};

	if (p->head < 0)
		say_gone(c, p->conv);
	else if (p->rev > p->head) /* the log is shorter than it was: a database from a backup */
		sse_conn_gap(c, p->conv, p->head + 1);
	if (p->head >= 0)
		roles_enter(c, p->conv, true, MIN(p->rev, p->head), &none);
}

void sse_conn_head(struct call *call)
{
	struct conn *c = call_conn(call);

	if (c) {
		call_stream(call, SSE_CONTENT_TYPE, SSE_FIELDS);
		http_conn_answered(c, false);
	}
	call_done(call);
}

/* The connection of CALL, which is there, is a stream from now on. */
static struct conn *stream_begin(struct call *call, struct sse *s)
{
	struct conn *c = call_conn(call);

	call_stream(call, SSE_CONTENT_TYPE, SSE_FIELDS);
	http_conn_done(c);
	c->state = CONN_SSE;
	c->dialect = DIALECT_SSE;
	c->sse = s;
	worker_count(call->wk, M_CONNECTIONS_HTTP, -1);
	worker_count(call->wk, M_CONNECTIONS_SSE, 1);
	conn_count_as(c, TRANSPORT_SSE);
	conn_wait(c, WAIT_PING);
	return c;
}

struct conn *sse_conn_echo(struct call *call, void *echo, void (*on_done)(void *echo))
{
	struct sse *s;
	struct conn *c;

	if (!call_conn(call)) {
		on_done(echo);
		call_done(call);
		return NULL;
	}
	s = xcalloc(1, sizeof(*s));
	s->echo = echo;
	s->on_done = on_done;
	c = stream_begin(call, s);
	c->is_echo = true;
	sse_add_retry(conn_reply(c), worker_retry_ms(call->wk));
	conn_unblock(c);
	call_done(call);
	return c;
}

void sse_conn_start(struct call *call, const struct sse_position *positions, size_t n)
{
	struct conn *c = call_conn(call);

	if (!c) {
		call_done(call);
		return;
	}
	stream_begin(call, sse_new(positions, n));
	authn_adopt(c, &call->who); /* nobody is a watcher without a name */
	add_opening(c);
	conn_unblock(c);
	call_done(call);
	for (size_t i = 0; i < n && c->state == CONN_SSE; i++)
		follow(c, &positions[i]);
	/* the first ones may have been refused */
	if (c->state == CONN_SSE && (c->subs || c->n_entering))
		conn_wait(c, WAIT_PING);
}

void sse_conn_timeout(struct conn *c, enum conn_wait wait)
{
	if (wait != WAIT_PING || (!c->subs && !c->is_echo)) {
		conn_finish(c, CONN_END_CLEAN);
		return;
	}
	sse_add_comment(conn_reply(c), STR(""));
	conn_wait(c, WAIT_PING);
}

void sse_conn_goaway(struct conn *c, int64_t in_ms)
{
	struct buf json = BUF_INIT;

	native_add_goaway(&json, in_ms, "restart");
	sse_add_retry(conn_reply(c), in_ms);
	add_block(c, STR("goaway"), !c->is_echo, buf_str(&json));
	buf_done(&json);
}

void sse_conn_drain(struct conn *c)
{
	if (c->state == CONN_SSE)
		conn_finish(c, CONN_END_CLEAN);
}

void sse_conn_done(struct conn *c)
{
	if (!c->sse)
		return;
	if (c->sse->on_done)
		c->sse->on_done(c->sse->echo);
	free(c->sse->pos);
	free(c->sse);
	c->sse = NULL;
}
