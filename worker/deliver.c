/* SPDX-License-Identifier: MIT */
/*
 * Encodes each event once per dialect into one buffer per channel.
 * Which events come in which order is chan_order.c's, sending the buffers is deliver_flush.c's.
 */
#include "worker/deliver.h"

#include "proto/cursor.h"
#include "proto/dialect_native.h"
#include "proto/dialect_raw.h"
#include "proto/ws.h"
#include "worker/sio.h"
#include "worker/sse_conn.h"
#include "worker/ws_conn.h"

/* What is owed is sent at once when it is this part of what a slow reader may be owed. */
#define FLUSH_PART 4

/* The native payload of an event, in the worker's one place for it; empty when there is none. */
static struct str native_payload(struct worker *wk, const struct event *ev)
{
	buf_clear(&wk->frame);
	native_add_event(&wk->frame, ev);
	return buf_str(&wk->frame);
}

/* Everybody's: of who follows this conversation alone. */
static bool encode_sio(const struct worker *wk, struct buf *b, enum dialect dialect,
		       const struct event *ev)
{
	struct buf packet = BUF_INIT, offset = BUF_INIT;
	bool is_shown = sio_add_packet(&packet, dialect, ev);

	if (is_shown && ev->rev && wk->settings->engineio_recovery)
		sio_add_offset(&offset, ev);
	if (is_shown)
		sio_add_frame(b, buf_str(&packet), buf_str(&offset));
	buf_done(&offset);
	buf_done(&packet);
	return is_shown;
}

bool deliver_encode(const struct worker *wk, struct buf *b, enum dialect dialect,
		    const struct event *ev)
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
	if (dialect_is_sio(dialect))
		return encode_sio(wk, b, dialect, ev);
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
	struct buf packet = BUF_INIT;
	struct str json;

	if (dialect_is_sio(c->dialect)) {
		if (sio_add_packet(&packet, c->dialect, ev))
			sio_send_packet(sub, ev, buf_str(&packet));
		buf_done(&packet);
		return;
	}
	if (c->dialect != DIALECT_MSGPACK && c->dialect != DIALECT_SSE) {
		deliver_encode(sub->chan->wk, conn_reply(c), c->dialect, ev);
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
		[DIALECT_S0] = M_ENCODES_SIO,
		[DIALECT_S4] = M_ENCODES_SIO,
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

/* What begins at BEGIN need not reach a slow reader: the newest state will. */
static void note_ephemeral(struct chan_side *side, size_t begin)
{
	struct chan_spans *spans = side->ephemeral;
	uint32_t n = spans ? spans->n : 0;

	if (n && spans->at[n - 1].end == begin) {
		spans->at[n - 1].end = (uint32_t)side->out.len;
		spans->frames++;
		return;
	}
	if (!spans || n == spans->cap) {
		uint32_t cap = n ? 2 * n : 4;

		spans = xrealloc(spans, sizeof(*spans) + cap * sizeof(spans->at[0]));
		if (!n)
			*spans = (struct chan_spans){0};
		spans->cap = cap;
		side->ephemeral = spans;
	}
	spans->at[spans->n++] = (struct chan_span){(uint32_t)begin, (uint32_t)side->out.len};
	spans->frames++;
}

/* Event streams: the text is the same for all, the id after it is each connection's own. */
static void add_streams(struct chan *ch, const struct event *ev, struct str json)
{
	struct chan_side *side = &ch->sides[DIALECT_SSE];
	bool is_lasting = ev && ev->rev;

	count_frame(ch, DIALECT_SSE);
	for (uint32_t i = side->n; i-- > 0;) { /* downwards: who falls behind takes itself out */
		struct sub *sub = side->entries[i].sub;
		size_t len = is_lasting ? sse_conn_cost(sub->conn, json.len) : json.len;

		if ((side->entries[i].flags & ENTRY_DEAD) ||
		    !deliver_has_room(sub, len, is_lasting))
			continue;
		if (ev)
			sse_conn_event(sub, ev, json);
		else
			sse_conn_frame(sub->conn, json);
	}
}

/*
 * The native frame JSON for whoever speaks native, each notation made once. EV is NULL for state.
 */
static void add_native(struct chan *ch, const struct event *ev, struct str json)
{
	/*
	 * JSON lies there: a receiver that falls behind meanwhile is told so in a frame of its
	 * own
	 */
	struct buf held = ch->wk->frame;

	ch->wk->frame = BUF_INIT;
	for (int d = DIALECT_NATIVE; d <= DIALECT_MSGPACK; d++) {
		struct chan_side *side = &ch->sides[d];
		size_t begin = side->out.len;

		if (side->n == 0)
			continue;
		deliver_side_open(ch->wk, side);
		ws_conn_frame(&side->out, d, json);
		if (!ev || !ev->rev)
			note_ephemeral(side, begin);
		count_frame(ch, d);
		mark_dirty(ch);
	}
	if (ch->sides[DIALECT_SSE].n)
		add_streams(ch, ev, json);
	buf_done(&ch->wk->frame);
	ch->wk->frame = held;
}

static bool has_native(const struct chan *ch)
{
	return ch->sides[DIALECT_NATIVE].n || ch->sides[DIALECT_MSGPACK].n ||
	       ch->sides[DIALECT_SSE].n;
}

static bool is_large(const struct chan *ch)
{
	size_t max = (size_t)ch->wk->settings->deliver_queue_max / FLUSH_PART;

	for (int d = DIALECT_NONE + 1; d < DIALECT_COUNT; d++)
		if (ch->sides[d].out.len >= max)
			return true;
	return false;
}

/* The frame of a dialect that has one of its own. */
static void add_own(struct chan *ch, enum dialect dialect, const struct event *ev)
{
	struct chan_side *side = &ch->sides[dialect];
	size_t begin = side->out.len;

	if (side->n == side->n_parted)
		return;
	deliver_side_open(ch->wk, side);
	if (!deliver_encode(ch->wk, &side->out, dialect, ev))
		return;
	if (!ev->rev)
		note_ephemeral(side, begin);
	count_frame(ch, dialect);
	mark_dirty(ch);
}

/* Those whose frames are their own: the text is the same, what they have read is not. */
static void add_parted(struct chan *ch, enum dialect dialect, const struct event *ev)
{
	struct chan_side *side = &ch->sides[dialect];
	struct buf packet = BUF_INIT;

	if (!side->n_parted || !sio_add_packet(&packet, dialect, ev))
		return;
	for (uint32_t i = side->n; i-- > 0;) { /* downwards: who falls behind takes itself out */
		struct chan_entry *e = &side->entries[i];
		struct sub *sub = e->sub;
		size_t len = packet.len + cursor_text_max(sub->conn->n_subs);

		if ((e->flags & (ENTRY_PARTED | ENTRY_DEAD)) == ENTRY_PARTED &&
		    deliver_has_room(sub, len, ev->rev > 0))
			sio_send_packet(sub, ev, buf_str(&packet));
	}
	buf_done(&packet);
}

bool deliver_is_parted(const struct conn *c)
{
	return c->dialect == DIALECT_S4 && c->resume && c->n_subs > 1;
}

bool deliver_part(struct conn *c)
{
	if (c->dialect != DIALECT_S4 || !c->resume)
		return true;
	for (struct sub *sub = c->subs; sub; sub = sub->next_of_conn) {
		struct chan_entry *e;

		if (sub->state != SUB_LIVE)
			continue;
		e = &sub->chan->sides[c->dialect].entries[sub->index];
		if (e->flags & ENTRY_PARTED)
			continue;
		deliver_flush(sub->chan);
		if (c->state != CONN_WS) /* SUB may have gone with it */
			return false;
		if (sub->state == SUB_LIVE) { /* the flush may have found it behind */
			e = &sub->chan->sides[c->dialect].entries[sub->index];
			e->flags |= ENTRY_PARTED;
			sub->chan->sides[c->dialect].n_parted++;
		}
	}
	return true;
}

/* A mark, of which the devices of whoever made it are not told. */
static void add_to_others(struct chan *ch, enum dialect dialect, const struct event *ev)
{
	const struct chan_side *side = &ch->sides[dialect];
	struct buf packet = BUF_INIT, frame = BUF_INIT;

	if (side->out.len) /* the message that it is about comes first */
		deliver_flush(ch);
	if (side->n && sio_add_packet(&packet, dialect, ev)) {
		sio_add_frame(&frame, buf_str(&packet), STR("")); /* it has no place in the log */
		count_frame(ch, dialect);
	}
	for (uint32_t i = side->n; frame.len && i-- > 0;) { /* who ends takes itself out */
		struct sub *sub = side->entries[i].sub;

		if (sub->conn->user != ev->actor && deliver_has_room(sub, frame.len, false))
			buf_add_str(conn_reply(sub->conn), buf_str(&frame));
	}
	buf_done(&packet);
	buf_done(&frame);
}

void deliver_event(struct chan *ch, const struct event *ev)
{
	struct str json;

	if (deliver_mark_is_stale(ch, ev))
		return;
	deliver_marks_note(ch, ev);
	add_own(ch, DIALECT_RAW, ev);
	add_own(ch, DIALECT_S0, ev);
	if (ev->type == EVT_READ || ev->type == EVT_DELIVERED) {
		add_to_others(ch, DIALECT_S4, ev);
	} else {
		add_own(ch, DIALECT_S4, ev);
		add_parted(ch, DIALECT_S4, ev);
	}
	if (has_native(ch) && (json = native_payload(ch->wk, ev)).len)
		add_native(ch, ev, json);
	if (!list_empty(&ch->ahead))
		deliver_ahead(ch, ev);
	if (ev->rev) {
		ch->rev = ev->rev;
		ch->seq = ev->seq;
	}
	if (is_large(ch))
		deliver_flush(ch);
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
	deliver_side_open(ch->wk, side);
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
	note_ephemeral(&ch->sides[dialect], begin);
	count_frame(ch, dialect);
}
