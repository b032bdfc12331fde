/* SPDX-License-Identifier: MIT */
/*
 * Sends a channel's buffers: one send per receiver, and what becomes of receivers that do not
 * keep up. What is in the buffers is deliver.c's; catching up afterwards is chan_replay.c's.
 */
#include "worker/deliver.h"

#include <errno.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "proto/ws_deflate.h"
#include "worker/chan_replay.h"
#include "worker/deflate.h"
#include "worker/roster.h"

/* Rooms smaller than this are never held off: their flush costs less than a turn. */
#define HOLDOFF_RECEIVERS 64
/* A hot room's next flush waits for this many times the duration of its last one. */
#define HOLDOFF_FACTOR 2
#define HOLDOFF_MAX_NS (20 * 1000000ull)
/* Looking for a channel to join replies with must not cost more than a send. */
#define JOIN_SUBS_MAX 16
/* This part of a queue is left to replies when events may not use more. */
#define REPLIES_PART 8
/* Frames for one connection alone are sent at once when they are this part of a queue. */
#define SINGLES_PART 4

static size_t events_max(const struct worker *wk)
{
	size_t max = (size_t)wk->settings->deliver_queue_max;

	return max - max / REPLIES_PART;
}

/* Two workers may announce one user's marks the other way round, this far apart at most. */
#define MARKS_KEPT_MS 5000

static void marks_let_go(struct chan *ch)
{
	if (ch->marks && ch->n_owing == 0 && clock_mono_ms() - ch->marked_at_ms > MARKS_KEPT_MS)
		deliver_marks_clear(ch);
}

void deliver_owe(struct sub *sub)
{
	if (!sub->owes_state)
		sub->chan->n_owing++;
	sub->owes_state = true;
}

void deliver_forgive(struct sub *sub)
{
	if (sub->owes_state && --sub->chan->n_owing == 0 && list_empty(&sub->chan->dirty))
		marks_let_go(sub->chan);
	sub->owes_state = false;
}

static void go_without(struct sub *sub, uint32_t frames)
{
	worker_count(sub->chan->wk, M_DELIVERIES_DROPPED, frames);
	deliver_owe(sub);
}

bool deliver_has_room(struct sub *sub, size_t len, bool is_lasting)
{
	struct conn *c = sub->conn;
	const struct worker *wk = sub->chan->wk;
	size_t queued, unsent = c->reply ? c->reply->len : 0;

	if (!c->out && unsent + len >= (size_t)wk->settings->deliver_queue_max / SINGLES_PART)
		conn_flush(c); /* an empty queue takes all of it: SUB stays */
	if (!c->out)
		return c->state != CONN_DEAD;
	queued = conn_queued(c) + (c->reply ? c->reply->len : 0);
	if (!is_lasting && queued >= (size_t)wk->settings->deliver_shed_at) {
		go_without(sub, 1);
		return false;
	}
	if (queued + len <= events_max(wk))
		return true;
	chan_replay_behind(sub, sub->chan->rev);
	return false;
}

/* ---- What slow receivers get ---- */

/* All of one side's frames, and the same to be queued: made at the first need and shared. */
struct form {
	struct buf bytes;
	struct blob *blob;
};

/* One side's frames in the forms that are sent and queued. */
struct load {
	struct chan *ch;
	struct chan_side *side;
	struct blob *all, *lasting;
	struct form *deflated; /* owned; by the bits of the window; NULL: nobody has needed any */
	uint32_t calls;
	size_t saved; /* bytes that were not sent, by compression */
};

static size_t ephemeral_bytes(const struct chan_side *side)
{
	const struct chan_spans *spans = side->ephemeral;
	size_t bytes = 0;

	for (uint32_t i = 0; spans && i < spans->n; i++)
		bytes += spans->at[i].end - spans->at[i].begin;
	return bytes;
}

/* The side's frames, compressed once for all whose window is C's. */
static struct form *deflated_for(struct load *l, const struct conn *c)
{
	struct form *f;

	if (!l->deflated)
		l->deflated = xcalloc(WS_DEFLATE_BITS_MAX + 1, sizeof(*l->deflated));
	f = &l->deflated[c->deflate_bits];
	if (!f->bytes.len)
		deflate_frames(l->ch->wk, c->deflate_bits, buf_str(&l->side->out), &f->bytes);
	return f;
}

/* All of the frames from OFF on, in the form that C is sent. */
static void queue_all(struct load *l, struct conn *c, size_t off)
{
	struct form *f = c->deflate_bits ? deflated_for(l, c) : NULL;
	const struct buf *bytes = f ? &f->bytes : &l->side->out;

	conn_queue_shared(c, bytes->p, bytes->len, off, f ? &f->blob : &l->all);
}

/* The frames without the ephemeral ones. */
static struct blob *lasting_blob(const struct chan_side *side)
{
	const struct chan_spans *spans = side->ephemeral;
	struct buf b = BUF_INIT;
	struct blob *blob;
	size_t at = 0;

	for (uint32_t i = 0; i < spans->n; i++) {
		buf_add(&b, side->out.p + at, spans->at[i].begin - at);
		at = spans->at[i].end;
	}
	buf_add(&b, side->out.p + at, side->out.len - at);
	blob = blob_new(b.p, b.len);
	buf_done(&b);
	return blob;
}

/* For a socket that has not taken what was queued earlier. */
static void queue_more(struct load *l, struct sub *sub)
{
	const struct worker *wk = l->ch->wk;
	struct conn *c = sub->conn;
	size_t len = l->side->out.len, queued = conn_queued(c);

	if (queued >= (size_t)wk->settings->deliver_shed_at && ephemeral_bytes(l->side)) {
		len -= ephemeral_bytes(l->side);
		go_without(sub, l->side->ephemeral->frames);
		if (len == 0)
			return;
		if (queued + len <= events_max(wk)) {
			if (!l->lasting)
				l->lasting = lasting_blob(l->side);
			conn_queue_shared(c, NULL, 0, 0, &l->lasting);
			return;
		}
	}
	if (queued + len <= events_max(wk))
		queue_all(l, c, 0);
	else
		chan_replay_behind(sub, l->ch->flushed_rev);
}

void deliver_after_replies(struct sub *sub)
{
	const struct conn *c = sub->conn;

	if (sub->state == SUB_LIVE && c->state == CONN_WS && dialect_is_native(c->dialect))
		sub->chan->sides[c->dialect].entries[sub->index].flags |= ENTRY_HELD;
}

void deliver_hold(struct sub *sub)
{
	struct conn *c = sub->conn;

	/* others may not be told at all that they are live */
	if (c->state != CONN_WS || c->out || !dialect_is_native(c->dialect))
		return;
	deliver_after_replies(sub);
	conn_hold(c);
}

/* In the order in which they were said, and with one call if the socket takes it. */
static void send_held(struct load *l, struct chan_entry *e)
{
	struct sub *sub = e->sub;
	struct conn *c = sub->conn;

	e->flags &= ~ENTRY_HELD;
	if (!c->out) {
		const struct buf *b = c->deflate_bits ? &deflated_for(l, c)->bytes : &l->side->out;

		conn_flush_with(c, b->p, b->len);
		return;
	}
	conn_flush(c);
	if (c->state == CONN_WS) /* else SUB went with it */
		queue_more(l, sub);
}

/* As send, but what the socket does not take now is no error. */
static ssize_t send_now(int fd, const uint8_t *p, size_t len)
{
	ssize_t sent = send(fd, p, len, MSG_NOSIGNAL | MSG_DONTWAIT);

	return sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) ? 0 : sent;
}

static void send_deflated(struct load *l, struct chan_entry *e)
{
	struct conn *c = e->sub->conn;
	const struct buf *b = &deflated_for(l, c)->bytes;
	ssize_t sent = send_now(e->fd, b->p, b->len);

	l->calls++;
	l->saved += l->side->out.len - b->len;
	if (sent < 0)
		conn_kill(c, CONN_END_LOST);
	else if ((size_t)sent < b->len)
		queue_all(l, c, (size_t)sent);
}

/* Everything that is not a plain, complete send: full sockets, broken links, partial writes. */
static void send_slowly(struct load *l, struct chan_entry *e, ssize_t sent)
{
	struct conn *c = e->sub->conn;

	if (e->flags & ENTRY_SENT)
		e->flags &= ~ENTRY_SENT;
	else if (e->flags & (ENTRY_DEAD | ENTRY_PARTED))
		return;
	else if (e->flags & ENTRY_HELD)
		send_held(l, e);
	else if (e->flags & ENTRY_QUEUED)
		queue_more(l, e->sub);
	else if (e->flags & ENTRY_DEFLATED)
		send_deflated(l, e);
	else if (sent < 0)
		conn_kill(c, CONN_END_LOST);
	else
		queue_all(l, c, (size_t)sent);
}

static void load_done(struct load *l)
{
	blob_unref(&l->all);
	blob_unref(&l->lasting);
	for (unsigned i = 0; l->deflated && i <= WS_DEFLATE_BITS_MAX; i++) {
		buf_done(&l->deflated[i].bytes);
		blob_unref(&l->deflated[i].blob);
	}
	free(l->deflated);
}

void deliver_side_open(struct worker *wk, struct chan_side *side)
{
	if (!side->out.p && wk->n_spare_outs)
		side->out = wk->spare_outs[--wk->n_spare_outs];
}

static void side_clear(struct worker *wk, struct chan_side *side)
{
	buf_clear(&side->out);
	if (wk->n_spare_outs < SPARE_OUTS && side->out.cap <= 256 * 1024)
		wk->spare_outs[wk->n_spare_outs++] = side->out;
	else
		buf_done(&side->out);
	side->out = BUF_INIT;
	if (side->ephemeral)
		side->ephemeral->n = side->ephemeral->frames = 0;
}

/* Returns the number of system calls; *SAVED grows by what was compressed away. */
static uint32_t flush_side(struct chan *ch, struct chan_side *side, size_t *saved)
{
	struct load load = {.ch = ch, .side = side};
	const uint8_t *p = side->out.p;
	size_t len = side->out.len;

	for (uint32_t i = side->n;
	     i-- > 0;) { /* downwards: a receiver that ends takes itself out */
		struct chan_entry *e = &side->entries[i];
		ssize_t sent = 0;

		if (!e->flags) {
			sent = send_now(e->fd, p, len);
			load.calls++;
			if (sent == (ssize_t)len)
				continue;
		}
		send_slowly(&load, e, sent);
	}
	load_done(&load);
	side_clear(ch->wk, side);
	*saved += load.saved;
	return load.calls;
}

void deliver_flush(struct chan *ch)
{
	uint64_t start = clock_mono_ns(), cost;
	uint32_t receivers = 0, calls = 0, n;
	size_t bytes = 0, saved = 0;

	list_remove(&ch->dirty);
	for (int d = DIALECT_NONE + 1; d < DIALECT_COUNT; d++) {
		if (!ch->sides[d].out.p)
			continue;
		if (ch->sides[d].out.len == 0) { /* whoever it was for has gone */
			side_clear(ch->wk, &ch->sides[d]);
			continue;
		}
		n = ch->sides[d].n - ch->sides[d].n_parted;
		receivers += n;
		bytes += ch->sides[d].out.len * n;
		calls += flush_side(ch, &ch->sides[d], &saved);
	}
	worker_count(ch->wk, M_BYTES_OUT, (int64_t)(bytes - saved));
	ch->flushed_rev = ch->rev;
	marks_let_go(ch);
	worker_count(ch->wk, M_SENDS, calls);
	if (receivers < HOLDOFF_RECEIVERS)
		return;
	cost = clock_mono_ns() - start;
	ch->flush_at_ns = start + cost + MIN(cost * HOLDOFF_FACTOR, HOLDOFF_MAX_NS);
}

void deliver_spares_free(struct worker *wk)
{
	while (wk->n_spare_outs)
		buf_done(&wk->spare_outs[--wk->n_spare_outs]);
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

bool deliver_join(struct conn *c)
{
	if (c->out || c->io.fd < 0 || c->state != CONN_WS || c->n_subs > JOIN_SUBS_MAX)
		return false;
	for (struct sub *sub = c->subs; sub; sub = sub->next_of_conn) {
		struct chan *ch = sub->chan;
		struct chan_side *side = &ch->sides[c->dialect];
		struct chan_entry *e;

		if (sub->state != SUB_LIVE || list_empty(&ch->dirty) || side->out.len == 0)
			continue;
		e = &side->entries[sub->index];
		if ((e->flags & ~ENTRY_HELD) ||
		    (ch->flush_at_ns && ch->flush_at_ns > clock_mono_ns()))
			continue;
		e->flags = ENTRY_SENT;
		conn_flush_with(c, side->out.p, side->out.len);
		return true;
	}
	return false;
}

/* ---- Marks ---- */

#define MARKS_MAX 4096 /* users; the marks of others come with their next change */

struct marks {
	int64_t read, delivered;
	int64_t read_rev, delivered_rev; /* of the messages; 0: not known */
};

static bool is_mark(const struct event *ev)
{
	return (ev->type == EVT_READ || ev->type == EVT_DELIVERED) && ev->actor > 0;
}

bool deliver_mark_is_stale(const struct chan *ch, const struct event *ev)
{
	const struct marks *m;

	if (!is_mark(ev) || !ch->marks)
		return false;
	m = map_get(ch->marks, (uint64_t)ev->actor);
	return m && ev->seq < (ev->type == EVT_READ ? m->read : m->delivered);
}

void deliver_marks_note(struct chan *ch, const struct event *ev)
{
	struct marks *m;

	if (!is_mark(ev))
		return;
	if (!ch->marks)
		ch->marks = xcalloc(1, sizeof(*ch->marks));
	m = map_get(ch->marks, (uint64_t)ev->actor);
	if (!m) {
		if (ch->marks->count >= MARKS_MAX)
			return;
		m = xcalloc(1, sizeof(*m));
		map_put(ch->marks, (uint64_t)ev->actor, m);
	}
	ch->marked_at_ms = clock_mono_ms();
	if (ev->type == EVT_READ && ev->seq > m->read) {
		m->read = ev->seq;
		m->read_rev = ev->target_rev;
	} else if (ev->type == EVT_DELIVERED && ev->seq > m->delivered) {
		m->delivered = ev->seq;
		m->delivered_rev = ev->target_rev;
	}
}

void deliver_marks_clear(struct chan *ch)
{
	uint32_t pos = 0;
	uint64_t user;
	void *m;

	if (!ch->marks)
		return;
	while (map_next(ch->marks, &pos, &user, &m))
		free(m);
	map_done(ch->marks);
	free(ch->marks);
	ch->marks = NULL;
}

static void send_mark(struct sub *sub, enum event_type type, int64_t user, int64_t seq,
		      int64_t rev)
{
	const struct event ev = {
		.type = type,
		.conv = sub->chan->conv,
		.actor = user,
		.seq = seq,
		.target_rev = rev,
		.at_ms = clock_wall_ms(),
	};

	if (seq)
		deliver_single(sub, &ev);
}

void deliver_make_good(struct sub *sub)
{
	struct chan *ch = sub->chan;
	uint32_t pos = 0;
	uint64_t user;
	void *value;

	if (!sub->owes_state)
		return;
	while (ch->marks && map_next(ch->marks, &pos, &user, &value)) {
		const struct marks *m = value;

		send_mark(sub, EVT_DELIVERED, (int64_t)user, m->delivered, m->delivered_rev);
		send_mark(sub, EVT_READ, (int64_t)user, m->read, m->read_rev);
	}
	deliver_forgive(sub);
	roster_greet(sub, true);
}
