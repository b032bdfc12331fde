/* SPDX-License-Identifier: MIT */
/*
 * Encodes each event once per dialect into one buffer per channel and sends that buffer to every receiver.
 * Which events come in which order is chan.c's, what a full socket means is conn.c's.
 */
#include "worker/deliver.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "proto/dialect_native.h"
#include "proto/dialect_raw.h"
#include "proto/ws.h"
#include "worker/sse_conn.h"
#include "worker/ws_conn.h"

/* Rooms smaller than this are never held off: their flush costs less than a turn. */
#define HOLDOFF_RECEIVERS 64
/* A hot room's next flush waits for this many times the duration of its last one. */
#define HOLDOFF_FACTOR 2
#define HOLDOFF_MAX_NS (20 * 1000000ull)

/* The native payload of an event, in the worker's one place for it; empty when there is none. */
static struct str native_payload(struct worker *wk, const struct event *ev)
{
	buf_clear(&wk->frame);
	native_add_event(&wk->frame, ev);
	return buf_str(&wk->frame);
}

bool deliver_encode(struct buf *b, enum dialect dialect, const struct event *ev)
{
	size_t start = b->len, begin;
	struct buf json = BUF_INIT;
	bool is_shown;

	if (dialect == DIALECT_MSGPACK) {
		is_shown = native_add_event(&json, ev);
		if (is_shown)
			ws_conn_frame(b, dialect, buf_str(&json));
		buf_done(&json);
		return is_shown;
	}
	begin = ws_frame_begin(b);
	is_shown = dialect == DIALECT_RAW ? raw_add_event(b, ev) : native_add_event(b, ev);
	if (is_shown)
		ws_frame_end(b, begin, WS_OP_TEXT);
	else
		b->len = start;
	return is_shown;
}

void deliver_single(struct sub *sub, const struct event *ev)
{
	struct conn *c = sub->conn;
	struct str json;

	if (c->dialect == DIALECT_RAW || c->dialect == DIALECT_NATIVE) {
		deliver_encode(conn_reply(c), c->dialect, ev);
		return;
	}
	json = native_payload(sub->chan->wk, ev);
	if (!json.len)
		return;
	if (c->dialect == DIALECT_SSE)
		sse_conn_event(sub, ev, json);
	else
		ws_conn_frame(conn_reply(c), c->dialect, json);
}

/* One frame, encoded once, for all receivers of the dialect. */
static void count_frame(struct chan *ch, enum dialect dialect)
{
	static const enum metric of[DIALECT_COUNT] = {
		[DIALECT_RAW] = M_ENCODES_RAW,
		[DIALECT_NATIVE] = M_ENCODES_NATIVE,
		[DIALECT_MSGPACK] = M_ENCODES_MSGPACK,
		[DIALECT_SSE] = M_ENCODES_SSE,
	};

	worker_count(ch->wk, of[dialect], 1);
	worker_count(ch->wk, M_DELIVERIES, ch->sides[dialect].n);
}

static void mark_dirty(struct chan *ch)
{
	if (list_empty(&ch->dirty))
		list_append(&ch->wk->chans_dirty, &ch->dirty);
}

static void deliver_ahead(struct chan *ch, const struct event *ev)
{
	struct list *node, *tmp;

	list_each_safe(node, tmp, &ch->ahead) {
		struct sub *sub = list_entry(node, struct sub, node);

		if (!ev->rev || ev->rev > sub->rev)
			deliver_single(sub, ev);
	}
}

/* Event streams: the text is the same for all, the id after it is each connection's own. */
static void add_streams(struct chan *ch, const struct event *ev, struct str json)
{
	struct chan_side *side = &ch->sides[DIALECT_SSE];

	for (uint32_t i = 0; i < side->n; i++) {
		struct sub *sub = side->entries[i].sub;

		if (side->entries[i].flags & ENTRY_DEAD)
			continue;
		if (ev)
			sse_conn_event(sub, ev, json);
		else
			sse_conn_frame(sub->conn, json);
	}
	count_frame(ch, DIALECT_SSE);
}

/* The native frame JSON for whoever speaks native, each notation made once. EV is NULL for state. */
static void add_native(struct chan *ch, const struct event *ev, struct str json)
{
	for (int d = DIALECT_NATIVE; d <= DIALECT_MSGPACK; d++) {
		if (ch->sides[d].n == 0)
			continue;
		ws_conn_frame(&ch->sides[d].out, d, json);
		count_frame(ch, d);
		mark_dirty(ch);
	}
	if (ch->sides[DIALECT_SSE].n)
		add_streams(ch, ev, json);
}

static bool has_native(const struct chan *ch)
{
	return ch->sides[DIALECT_NATIVE].n || ch->sides[DIALECT_MSGPACK].n ||
	       ch->sides[DIALECT_SSE].n;
}

void deliver_event(struct chan *ch, const struct event *ev)
{
	struct chan_side *raw = &ch->sides[DIALECT_RAW];
	struct str json;

	if (raw->n && deliver_encode(&raw->out, DIALECT_RAW, ev)) {
		count_frame(ch, DIALECT_RAW);
		mark_dirty(ch);
	}
	if (has_native(ch) && (json = native_payload(ch->wk, ev)).len)
		add_native(ch, ev, json);
	if (!list_empty(&ch->ahead))
		deliver_ahead(ch, ev);
	if (ev->rev) {
		ch->rev = ev->rev;
		ch->seq = ev->seq;
	}
}

struct buf *deliver_begin(struct chan *ch, enum dialect dialect, size_t *ret_begin)
{
	struct chan_side *side = &ch->sides[dialect];

	if (dialect_is_native(dialect)) {
		*ret_begin = 0;
		buf_clear(&ch->wk->frame);
		return has_native(ch) ? &ch->wk->frame : NULL;
	}
	if (side->n == 0)
		return NULL;
	*ret_begin = ws_frame_begin(&side->out);
	mark_dirty(ch);
	return &side->out;
}

void deliver_end(struct chan *ch, enum dialect dialect, size_t begin)
{
	if (dialect_is_native(dialect)) {
		add_native(ch, NULL, buf_str(&ch->wk->frame));
		return;
	}
	ws_frame_end(&ch->sides[dialect].out, begin, WS_OP_TEXT);
	count_frame(ch, dialect);
}

/* Everything that is not a plain, complete send: full sockets, broken links, partial writes. */
static void send_slowly(struct chan_entry *e, const uint8_t *p, size_t len, ssize_t sent,
			struct blob **blob)
{
	struct conn *c = e->sub->conn;

	if (e->flags & ENTRY_DEAD)
		return;
	if (sent < 0 && !(e->flags & ENTRY_QUEUED)) {
		conn_kill(c, CONN_END_LOST);
		return;
	}
	conn_queue_shared(c, p, len, (size_t)(sent > 0 ? sent : 0), blob);
}

/* Returns the number of system calls. */
static uint32_t flush_side(struct chan_side *side)
{
	const uint8_t *p = side->out.p;
	size_t len = side->out.len;
	struct blob *blob = NULL;
	uint32_t calls = 0;

	for (uint32_t i = side->n; i-- > 0;) { /* downwards: a receiver that ends takes itself out */
		struct chan_entry *e = &side->entries[i];
		ssize_t sent = 0;

		if (!e->flags) {
			sent = send(e->fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);
			calls++;
			if (sent == (ssize_t)len)
				continue;
			if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
				sent = 0;
		}
		send_slowly(e, p, len, sent, &blob);
	}
	blob_unref(&blob);
	if (side->out.cap > 256 * 1024)
		buf_done(&side->out);
	else
		buf_clear(&side->out);
	return calls;
}

void deliver_flush(struct chan *ch)
{
	uint64_t start = clock_mono_ns(), cost;
	uint32_t receivers = 0, calls = 0;

	list_remove(&ch->dirty);
	for (int d = DIALECT_NONE + 1; d < DIALECT_COUNT; d++) {
		if (ch->sides[d].out.len == 0)
			continue;
		receivers += ch->sides[d].n;
		worker_count(ch->wk, M_BYTES_OUT, (int64_t)(ch->sides[d].out.len * ch->sides[d].n));
		calls += flush_side(&ch->sides[d]);
	}
	worker_count(ch->wk, M_SENDS, calls);
	if (receivers < HOLDOFF_RECEIVERS)
		return;
	cost = clock_mono_ns() - start;
	ch->flush_at_ns = start + cost + MIN(cost * HOLDOFF_FACTOR, HOLDOFF_MAX_NS);
}

void deliver_flush_all(struct worker *wk)
{
	struct list *node, *tmp;
	uint64_t now = list_empty(&wk->chans_dirty) ? 0 : clock_mono_ns(), nearest = UINT64_MAX;

	list_each_safe(node, tmp, &wk->chans_dirty) {
		struct chan *ch = list_entry(node, struct chan, dirty);

		if (ch->flush_at_ns > now)
			nearest = MIN(nearest, ch->flush_at_ns);
		else
			deliver_flush(ch);
	}
	if (nearest != UINT64_MAX)
		worker_wake_in(wk, (nearest - now) / 1000000 + 1);
}
