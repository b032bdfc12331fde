/* SPDX-License-Identifier: MIT */
/*
 * Catching up: from the ring as far as it reaches back without a hole, else in pages from the
 * database. Who catches up and what follows is chan.c's; how an event becomes bytes is
 * deliver.c's.
 */
#include "worker/chan_replay.h"

#include "base/clock.h"
#include "proto/dialect_native.h"
#include "shm/ring.h"
#include "sql/events.h"
#include "worker/chan_order.h"
#include "worker/chan_priv.h"
#include "worker/dbio.h"
#include "worker/deliver.h"
#include "worker/sse_conn.h"
#include "worker/ws_conn.h"

#define PAGE 200		/* events in one query */
#define TURN_EVENTS 4096	/* events for all subscriptions in one turn */
#define SHARE_EVENTS 256	/* of them for one subscription */
#define SHARE_BYTES (64 * 1024) /* it may have not more than this unsent */
#define WALK_MAX 16384		/* records looked at to find the way back: about 3 ms */
#define PLACES_MAX 65536	/* revisions whose place in the ring is remembered, per channel */
#define PLACES_MS 10000		/* for how long after the last use */
#define RETRY_MS 250		/* after a database error */
/*
 * Pages under way at once. A connection may resume hundreds of conversations, and half a queue of
 * it holds few pages; one database connection is never idle with a few times as many.
 */
#define PAGES_OF_CONN 4
#define PAGES_OF_WORKER 32
#define LOOK_MAX 256 /* subscriptions looked at in a turn for the next pages */

/*
 * Where the recent events of a channel are in the ring. Found by walking back along its chain
 * once, for all that catch up: a worker that has just started has read none of them itself.
 */
struct replay {
	struct map places; /* rev -> offset, as a pointer's value */
	uint64_t newest;   /* the chain was walked from here … */
	uint64_t next;	   /* … to this record, which was not looked at; 0: the chain ends */
	uint64_t used_ms;
	struct buf copy; /* the record being looked at */
};

void chan_replay_done(struct chan *ch)
{
	if (!ch->replay)
		return;
	map_done(&ch->replay->places);
	buf_done(&ch->replay->copy);
	free(ch->replay);
	ch->replay = NULL;
}

uint64_t chan_replay_age(struct chan *ch, uint64_t now_ms)
{
	uint64_t until;

	if (!ch->replay)
		return UINT64_MAX;
	until = ch->replay->used_ms + PLACES_MS;
	if (now_ms < until)
		return until;
	chan_replay_done(ch);
	return UINT64_MAX;
}

/* ---- The ring ---- */

/* Notes where the record is; the newest of several with one rev wins. */
static void note_place(struct replay *rp, const struct ring_rec *rec)
{
	if (rec->rev > 0 && !map_get(&rp->places, (uint64_t)rec->rev))
		map_put(&rp->places, (uint64_t)rec->rev, (void *)(uintptr_t)rec->offset);
}

/* Records that came since the last look, back to those that are known. */
static bool look_at_new(struct chan *ch, struct replay *rp)
{
	struct shm *shm = ch->wk->shm;
	uint64_t newest, at;

	if (ring_room_newest(shm, (unsigned)ch->wk->slot, ch->conv, &newest) < 0)
		return false;
	if (!rp->newest)
		rp->newest = rp->next = newest; /* place_of walks from there as far as it must */
	at = newest;
	for (int i = 0; at > rp->newest; i++) {
		struct ring_rec rec;

		if (ring_room_prev(shm, ch->conv, at, &rec) < 0)
			break;
		if (i == WALK_MAX)
			return false;
		note_place(rp, &rec);
		at = rec.prev;
	}
	rp->newest = newest;
	return true;
}

/* Walks back until the place of REV is known, or it is clear that it cannot be. */
static uint64_t place_of(struct chan *ch, struct replay *rp, int64_t rev)
{
	void *place = map_get(&rp->places, (uint64_t)rev);

	for (int i = 0; !place && rp->next && i < WALK_MAX && rp->places.count < PLACES_MAX; i++) {
		struct ring_rec rec;

		if (ring_room_prev(ch->wk->shm, ch->conv, rp->next, &rec) < 0) {
			rp->next = 0;
			break;
		}
		note_place(rp, &rec);
		rp->next = rec.prev;
		if (rec.rev == rev)
			place = map_get(&rp->places, (uint64_t)rev);
	}
	return (uintptr_t)place;
}

/* Copies event REV of the channel out of the ring; false when it is not there (any more). */
static bool read_place(struct chan *ch, struct replay *rp, uint64_t place, int64_t rev,
		       struct event *ret)
{
	struct ring_rec rec;

	if (!place || ring_room_prev(ch->wk->shm, ch->conv, place, &rec) < 0)
		return false;
	buf_clear(&rp->copy);
	buf_add(&rp->copy, rec.payload, rec.len);
	return ring_room_check(ch->wk->shm, &rec) == 0 &&
	       event_decode(rp->copy.p, rp->copy.len, ret) == 0 && ret->conv == ch->conv &&
	       ret->rev == rev;
}

static struct replay *replay_get(struct chan *ch)
{
	struct replay *rp = ch->replay;

	if (!rp)
		rp = ch->replay = xcalloc(1, sizeof(*rp));
	rp->used_ms = clock_mono_ms();
	chan_set_due(ch); /* where it is aged */
	return rp;
}

static bool share_is_used_up(const struct sub *sub)
{
	const struct buf *reply = sub->conn->reply;

	return reply && reply->len >= SHARE_BYTES;
}

/* Sends what the ring has of the events after sub->rev without a hole; returns how many. */
static int from_ring(struct sub *sub)
{
	struct chan *ch = sub->chan;
	struct replay *rp = replay_get(ch);
	struct event ev;
	int n = 0;

	if (ch->rev - sub->rev > PLACES_MAX || !look_at_new(ch, rp)) {
		chan_replay_done(ch);
		return 0;
	}
	while (n < SHARE_EVENTS && sub->rev < ch->rev && !share_is_used_up(sub)) {
		int64_t rev = sub->rev + 1;

		if (!read_place(ch, rp, place_of(ch, rp, rev), rev, &ev))
			break;
		deliver_single(sub, &ev);
		sub->rev = rev;
		n++;
	}
	if (rp->places.count >= PLACES_MAX)
		chan_replay_done(ch);
	worker_count(ch->wk, M_REPLAYED_RING, n);
	return n;
}

int64_t chan_replay_seq(struct chan *ch, int64_t rev)
{
	struct replay *rp = replay_get(ch);
	struct event ev;

	if (!look_at_new(ch, rp) || !read_place(ch, rp, place_of(ch, rp, rev), rev, &ev))
		return -1;
	return ev.seq;
}

/* ---- The database ---- */

bool chan_replay_gap(struct sub *sub, int64_t first)
{
	struct conn *c = sub->conn;
	const int64_t conv = sub->chan->conv;
	struct cmd_id re = sub_re(sub);
	struct buf *b;
	size_t mark;

	worker_count(sub->chan->wk, M_GAPS, 1);
	/* the socket is the room, or its clients know no gap: it goes on with what there is */
	if (c->dialect == DIALECT_RAW || dialect_is_sio(c->dialect)) {
		ws_conn_error(c, E_GAP, NULL, NULL, conv);
		sub->rev = first - 1;
		return true;
	}
	if (c->dialect == DIALECT_SSE) { /* nobody can subscribe again in a stream */
		sse_conn_gap(c, conv, first);
		sub->rev = first - 1;
		return true;
	}
	chan_leave(sub, CONN_END_CLEAN);
	b = ws_reply_begin(c, &mark);
	native_add_gap(b, &re, conv, first);
	ws_reply_end(c, b, mark);
	return false;
}

static void send_row(struct sub *sub, const struct event_row *row)
{
	struct key_text key;
	struct event ev;

	if (chan_order_from_row(sub->chan->conv, row, &key, &ev))
		deliver_single(sub, &ev);
	sub->rev = row->rev;
}

/* Other conversations' pages may have come meanwhile: together they must not fill the queue. */
static bool has_room_for_row(const struct sub *sub)
{
	const struct conn *c = sub->conn;
	size_t unsent = conn_queued(c) + (c->reply ? c->reply->len : 0);

	return unsent < (size_t)sub->chan->wk->settings->deliver_queue_max / 2;
}

/* The page's rows, as far as the channel has come. False: the subscription has ended in a gap. */
static bool send_page(struct sub *sub, const struct db_result *res, int n, int64_t committed)
{
	int i = 0;

	for (; i < n; i++) {
		struct event_row row;

		event_row_get(res, i, &row);
		if (row.rev > sub->chan->rev)
			break; /* comes through the channel */
		if (!has_room_for_row(sub))
			return true; /* is asked for again when the socket has drained */
		if (row.rev != sub->rev + 1 && !chan_replay_gap(sub, row.rev))
			return false;
		send_row(sub, &row);
		worker_count(sub->chan->wk, M_REPLAYED_DATABASE, 1);
	}
	if (i < PAGE && sub->rev < committed) /* the log ends before what was committed */
		return chan_replay_gap(sub, committed + 1);
	return true;
}

/*
 * Nothing can be done for SUB now; it is among those that wait for an answer or for their socket.
 */
static void wait_for_it(struct sub *sub)
{
	list_remove(&sub->node);
	list_append(&sub->chan->wk->subs_waiting, &sub->node);
}

static void go_on_soon(struct sub *sub)
{
	list_remove(&sub->node);
	list_append(&sub->chan->wk->subs_replaying, &sub->node);
	worker_kick(sub->chan->wk);
}

static void try_again_later(struct sub *sub)
{
	struct worker *wk = sub->chan->wk;

	if (list_empty(&wk->subs_retrying))
		wk->retry_at_ms = clock_mono_ms() + RETRY_MS;
	list_remove(&sub->node);
	list_append(&wk->subs_retrying, &sub->node);
	worker_wake_in(wk, RETRY_MS);
}

static void on_page(void *arg, int err, const struct db_result *res)
{
	const struct sub_ref *ref = arg;
	const int64_t committed = ref->rev;
	struct conn *c = conn_find(ref->wk, ref->conn_id);
	struct sub *sub;

	ref->wk->n_pages--;
	if (c)
		c->n_pages--;
	sub = sub_ref_take(arg);
	if (!sub)
		return;
	if (err)
		try_again_later(sub);
	else if (send_page(sub, res, db_rows(res), committed))
		go_on_soon(sub);
}

static bool may_have_page(const struct sub *sub)
{
	return sub->conn->n_pages < PAGES_OF_CONN && sub->chan->wk->n_pages < PAGES_OF_WORKER;
}

/*
 * Those who waited longest for a page go on, as many as there may be now. A connection that has
 * its share stands behind the others. Returns whether anybody went on.
 */
static bool take_paging(struct worker *wk)
{
	uint32_t left = wk->n_pages < PAGES_OF_WORKER ? PAGES_OF_WORKER - wk->n_pages : 0;
	bool is_any = false;
	struct list *node;

	for (int i = 0; i < LOOK_MAX && left > 0 && (node = list_first(&wk->subs_paging)); i++) {
		struct sub *sub = list_entry(node, struct sub, node);

		list_remove(node);
		if (!may_have_page(sub)) {
			list_append(&wk->subs_paging, node);
			continue;
		}
		go_on_soon(sub);
		is_any = true;
		left--;
	}
	return is_any;
}

static void from_database(struct sub *sub)
{
	struct worker *wk = sub->chan->wk;
	struct sub_ref *ref;

	if (!may_have_page(sub)) {
		list_remove(&sub->node);
		list_append(&wk->subs_paging, &sub->node);
		return;
	}
	wait_for_it(sub);
	ref = sub_ref_new(sub);
	if (events_after(dbio_reader(wk), sub->chan->conv, sub->rev, PAGE, dbio_deadline(wk),
			 on_page, ref, NULL) == 0) {
		wk->n_pages++;
		sub->conn->n_pages++;
		return;
	}
	free(ref);
	try_again_later(sub);
}

/* ---- Who goes on ---- */

void chan_replay_start(struct sub *sub)
{
	sub->state = SUB_CATCHUP;
	sub->is_paused = false;
	go_on_soon(sub);
}

void chan_replay_resume(struct sub *sub)
{
	sub->is_paused = false;
	if (sub->state == SUB_BEHIND)
		chan_replay_start(sub);
	else
		go_on_soon(sub);
}

/* One share. Returns the number of events. */
static int step(struct sub *sub)
{
	struct conn *c = sub->conn;
	int n;

	wait_for_it(sub);
	conn_flush(c);
	if (c->state != CONN_WS && c->state != CONN_SSE) /* SUB may have gone with it */
		return 0;
	/*
	 * also when nothing is left to send: the confirmation must not meet a queue that a page
	 * has filled
	 */
	sub->is_paused = c->out != NULL;
	if (sub->is_paused)
		return 0;
	if (sub->rev >= sub->chan->rev) {
		list_remove(&sub->node);
		sub_go_on(sub);
		return 0;
	}
	n = from_ring(sub);
	if (n == 0) {
		from_database(sub);
	} else if (sub->rev < sub->chan->rev) {
		go_on_soon(sub);
	} else {
		list_remove(&sub->node);
		sub_go_on(sub);
	}
	return n;
}

static void take_retrying(struct worker *wk)
{
	struct list *node;

	while ((node = list_first(&wk->subs_retrying))) {
		list_remove(node);
		list_append(&wk->subs_replaying, node);
	}
}

void chan_replay_run(struct worker *wk)
{
	struct list todo, *node;
	int budget = TURN_EVENTS;

	if (take_paging(wk))
		worker_kick(wk); /* what these do not use is for the next */
	if (!list_empty(&wk->subs_retrying)) {
		uint64_t now = clock_mono_ms();

		if (now >= wk->retry_at_ms)
			take_retrying(wk);
		else
			worker_wake_in(wk, wk->retry_at_ms - now);
	}
	list_move(&todo, &wk->subs_replaying);
	while ((node = list_first(&todo))) { /* going on may end others: no neighbour is safe */
		if (budget > 0) {
			/* a share costs something even when nothing comes of it */
			budget -= 4 + step(list_entry(node, struct sub, node));
			continue;
		}
		list_remove(node);
		list_append(&wk->subs_replaying, node);
	}
	if (!list_empty(&wk->subs_replaying))
		worker_kick(wk);
}

/* ---- Behind ---- */

static void say_behind(struct sub *sub)
{
	struct conn *c = sub->conn;
	size_t mark;
	struct buf *b = ws_reply_begin(c, &mark);

	native_add_behind(b, sub->chan->conv, sub->rev);
	ws_reply_end(c, b, mark);
	conn_flush(c); /* behind what is queued */
}

void chan_replay_behind(struct sub *sub, int64_t rev)
{
	sub_take_off(sub);
	sub->rev = rev;
	sub->state = SUB_BEHIND;
	sub->is_paused = true;
	sub->serial = ++sub->chan->wk->next_serial;
	if (!sub->is_behind)
		sub->behind_since_ms = clock_mono_ms();
	sub->is_behind = true;
	deliver_owe(sub);
	wait_for_it(sub);
	worker_count(sub->chan->wk, M_BEHIND, 1);
	if (dialect_is_native(sub->conn->dialect))
		say_behind(sub);
}

static void look_for_late(struct list *subs, uint64_t since_ms,
			  void (*on_late)(struct conn *c, void *arg), void *arg)
{
	struct list todo, *node;

	list_move(&todo, subs);
	while ((node = list_first(&todo))) {
		struct sub *sub = list_entry(node, struct sub, node);

		list_remove(node);
		list_append(subs, node);
		if (sub->is_behind && sub->behind_since_ms <= since_ms)
			on_late(sub->conn, arg); /* which may end it, and others */
	}
}

void chan_replay_late(struct worker *wk, uint64_t since_ms,
		      void (*on_late)(struct conn *c, void *arg), void *arg)
{
	look_for_late(&wk->subs_waiting, since_ms, on_late, arg);
	look_for_late(&wk->subs_replaying, since_ms, on_late, arg);
	look_for_late(&wk->subs_retrying, since_ms, on_late, arg);
	look_for_late(&wk->subs_paging, since_ms, on_late, arg);
}
