/* SPDX-License-Identifier: MIT */
/*
 * Who of this worker follows which conversation: entering, catching up, going live, leaving.
 * The order of events within a channel is chan_order.c's, bytes are deliver.c's.
 */
#include "worker/chan.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/slab.h"
#include "shm/presence.h"
#include "shm/rooms.h"
#include "sql/rooms.h"
#include "worker/chan_order.h"
#include "worker/chan_priv.h"
#include "worker/chan_replay.h"
#include "worker/dbio.h"
#include "worker/deliver.h"
#include "worker/fanout.h"
#include "worker/on_cmd.h"
#include "worker/presence.h"
#include "worker/resume.h"
#include "worker/ringpump.h"
#include "worker/roster.h"
#include "worker/typers.h"
#include "worker/ws_conn.h"

struct chan *chan_find(struct worker *wk, int64_t conv)
{
	return map_get(&wk->chans, (uint64_t)conv);
}

struct sub *sub_find(const struct conn *c, int64_t conv)
{
	struct sub *sub = c->subs;

	while (sub && sub->chan->conv != conv)
		sub = sub->next_of_conn;
	return sub;
}

int64_t sub_position(const struct sub *sub)
{
	return sub->state == SUB_LIVE ? sub->chan->rev : sub->rev;
}

struct cmd_id sub_re(const struct sub *sub)
{
	return sub->re ? *sub->re : (struct cmd_id){0};
}

uint64_t sub_begin_before_own(struct sub *sub)
{
	if (sub_position(sub) >= 0)
		return 0;
	if (sub->chan->state != CHAN_LOADING) {
		sub->rev = sub->chan->rev;
		return 0;
	}
	sub->n_unplaced++;
	return sub->serial;
}

void sub_place(struct sub *sub, int64_t rev)
{
	sub->n_unplaced--;
	if (rev && (sub->rev < 0 || sub->rev >= rev))
		sub->rev = rev - 1;
	if (!sub->n_unplaced && sub->state == SUB_LOADING && sub->chan->state != CHAN_LOADING)
		sub_go_on(sub);
}

struct sub_ref *sub_ref_new(const struct sub *sub)
{
	struct sub_ref *ref = xcalloc(1, sizeof(*ref));

	ref->wk = sub->chan->wk;
	ref->conn_id = sub->conn->id;
	ref->conv = sub->chan->conv;
	ref->rev = sub->chan->rev;
	ref->serial = sub->serial;
	return ref;
}

struct sub *sub_ref_take(struct sub_ref *ref)
{
	struct conn *c = conn_find(ref->wk, ref->conn_id);
	struct sub *sub = c ? sub_find(c, ref->conv) : NULL;

	if (sub && sub->serial != ref->serial)
		sub = NULL;
	free(ref);
	return sub;
}

/* ---- Channels ---- */

static struct chan *chan_new(struct worker *wk, int64_t conv)
{
	struct chan *ch = xcalloc(1, sizeof(*ch));

	ch->wk = wk;
	ch->conv = conv;
	ch->serial = ++wk->next_serial;
	list_init(&ch->loading);
	list_init(&ch->ahead);
	list_init(&ch->dirty);
	list_init(&ch->due);
	map_put(&wk->chans, (uint64_t)conv, ch);
	return ch;
}

void chan_free(struct chan *ch)
{
	assert(ch->n_subs == 0);
	for (int d = 0; d < DIALECT_COUNT; d++) {
		free(ch->sides[d].entries);
		free(ch->sides[d].ephemeral);
		buf_done(&ch->sides[d].out);
	}
	chan_order_done(ch);
	roster_done(ch);
	chan_replay_done(ch);
	deliver_marks_clear(ch);
	list_remove(&ch->dirty);
	list_remove(&ch->due);
	map_del(&ch->wk->chans, (uint64_t)ch->conv);
	free(ch);
}

void chan_set_due(struct chan *ch)
{
	list_remove(&ch->due); /* it may have been waiting for a later time */
	list_append(&ch->wk->chans_due, &ch->due);
}

/* Tells every subscription why and takes it off its connection. */
static void chan_refuse_all(struct chan *ch, enum proto_error error)
{
	struct list *node;

	while ((node = list_first(&ch->loading))) {
		struct sub *sub = list_entry(node, struct sub, node);
		struct conn *c = sub->conn;
		struct cmd_id re = sub_re(sub);

		chan_leave(sub, CONN_END_CLEAN);
		if (error == E_UNAVAILABLE && !re.len)
			ws_conn_try_later(c, &re); /* nobody asked for this one alone */
		else
			ws_conn_error(c, error, &re, NULL, ch->conv);
	}
}

/* The head is known: whoever waited for it goes on. */
static void chan_open(struct chan *ch, int64_t rev, int64_t seq)
{
	struct list *node;

	ch->state = CHAN_OPEN;
	ch->rev = ch->flushed_rev = rev;
	ch->seq = seq;
	while ((node = list_first(&ch->loading))) {
		list_remove(node);
		sub_go_on(list_entry(node, struct sub, node));
	}
	chan_order_release(ch);
	chan_set_due(ch);
}

/* Other workers find the head where this one left it. */
static void note_head(struct chan *ch, int64_t rev, int64_t seq)
{
	if (room_note_head(ch->wk->shm, (unsigned)ch->wk->slot, ch->conv, rev, seq) < 0)
		log_debug("a head was not noted", LF_INT("conversation", ch->conv));
}

static void on_loaded(void *arg, int err, const struct room *room)
{
	struct sub_ref *ref = arg;
	struct worker *wk = ref->wk;
	struct chan *ch = chan_find(wk, ref->conv);
	bool is_same = ch && ch->serial == ref->serial && ch->state == CHAN_LOADING;

	free(ref);
	if (!is_same)
		return;
	ch->is_loading = false;
	if (err || room->is_closed) {
		chan_refuse_all(ch, err && err != -ERR_NOENT ? E_UNAVAILABLE : E_NO_SUCH_ROOM);
		return;
	}
	note_head(ch, room->rev, room->seq);
	chan_open(ch, room->rev, room->seq);
}

/* Whether the node knows the head: then nobody asks the database, however many come at once. */
static bool load_from_node(struct chan *ch)
{
	int64_t rev, seq;

	if (room_head(ch->wk->shm, (unsigned)ch->wk->slot, ch->conv, &rev, &seq) < 0)
		return false;
	if (seq < 0) {
		seq = chan_replay_seq(ch, rev);
		if (seq < 0)
			return false;
		note_head(ch, rev, seq);
	}
	chan_open(ch, rev, seq);
	return true;
}

void chan_load(struct chan *ch)
{
	struct sub_ref *ref;

	if (load_from_node(ch))
		return;
	ref = xcalloc(1, sizeof(*ref));
	ch->is_loading = true;
	*ref = (struct sub_ref){.wk = ch->wk, .conv = ch->conv, .serial = ch->serial};
	if (room_info(dbio_reader(ch->wk), ch->conv, NULL, dbio_deadline(ch->wk), on_loaded, ref,
		      NULL) < 0)
		on_loaded(ref, -ERR_UNAVAILABLE, NULL);
}

/* ---- Entering ---- */

/* The user's first connection to this conversation: everybody else gets to know. */
static void announce(struct sub *sub)
{
	struct conn *c = sub->conn;

	sub->is_announced = true;
	sub->entered_at = fanout_presence(sub->chan->wk, sub->chan->conv, c->user, str_of(c->name),
					  true, PRESENCE_JOIN);
}

static void confirm(struct sub *sub)
{
	if (sub->is_confirmed)
		return;
	sub->is_confirmed = true;
	if (sub->conn->dialect == DIALECT_RAW)
		on_cmd_confirm(sub);
}

/* The native "live" closes the catch-up; the raw "connected" opens it. */
static void confirm_live(struct sub *sub)
{
	if (sub->is_behind && !sub->re)
		sub->re = xcalloc(1, sizeof(*sub->re)); /* answers nothing that was asked */
	if (sub->conn->dialect != DIALECT_RAW && sub->re)
		on_cmd_confirm(sub);
	sub->is_behind = false;
	free(sub->re);
	sub->re = NULL;
}

/* How the frames of a side go to C. */
static uint32_t entry_flags(const struct conn *c)
{
	uint32_t flags = c->deflate_bits ? ENTRY_DEFLATED : 0;

	return c->out || c->io.fd < 0 ? flags | ENTRY_QUEUED : flags;
}

static void go_live(struct sub *sub)
{
	struct chan *ch = sub->chan;
	struct conn *c = sub->conn;
	struct chan_side *side = &ch->sides[c->dialect];
	uint64_t asked = sub->confirming;

	confirm_live(sub);
	deliver_flush(ch); /* what was encoded so far is not for the new receiver */
	conn_flush(c);	   /* what it was told so far comes before what follows */
	if (c->state != CONN_WS && c->state != CONN_SSE) /* SUB may have gone with it */
		return;
	if (side->n == side->cap) {
		side->cap = side->cap ? side->cap * 2 : 4;
		side->entries = xrealloc(side->entries, side->cap * sizeof(*side->entries));
	}
	sub->index = side->n++;
	side->entries[sub->index] = (struct chan_entry){c->io.fd, entry_flags(c), sub};
	if (deliver_is_parted(c)) {
		side->entries[sub->index].flags |= ENTRY_PARTED;
		side->n_parted++;
	}
	sub->state = SUB_LIVE;
	sub->is_paused = false;
	if (sub->owes_state)
		deliver_make_good(sub);
	else
		roster_greet(sub, false);
	if (sub->confirming != asked)
		deliver_hold(sub);
}

void sub_go_on(struct sub *sub)
{
	struct chan *ch = sub->chan;

	if (sub->n_unplaced) { /* sub_place goes on */
		sub->state = SUB_LOADING;
		return;
	}
	if (!sub->is_announced)
		announce(sub);
	if (ringpump_position(ch->wk) < sub->entered_at) {
		sub->state = SUB_ENTERING;
		list_append(&ch->wk->entering, &sub->node);
		worker_kick(ch->wk);
		return;
	}
	if (roster_park(sub))
		return;
	confirm(sub);
	if (sub->rev < 0 || sub->rev == ch->rev) {
		go_live(sub);
	} else if (sub->rev < ch->rev) {
		chan_replay_start(sub);
	} else {
		sub->state = SUB_AHEAD;
		list_append(&ch->ahead, &sub->node);
		chan_order_doubt(ch);
	}
}

void chan_settle(struct worker *wk)
{
	struct list waiting, *node;

	list_move(&waiting, &wk->entering);
	while ((node = list_first(&waiting))) { /* going on may end others: no neighbour is safe */
		list_remove(node);
		sub_go_on(list_entry(node, struct sub, node));
	}
	chan_replay_run(wk);
}

void chan_level(struct chan *ch)
{
	struct list waiting, *node;

	list_move(&waiting, &ch->ahead);
	while ((node = list_first(&waiting))) {
		struct sub *sub = list_entry(node, struct sub, node);

		list_remove(node);
		if (sub->rev > ch->rev)
			list_append(&ch->ahead, node);
		else
			go_live(sub);
	}
}

void chan_level_off(struct chan *ch)
{
	struct list *node;

	while ((node = list_first(&ch->ahead))) {
		struct sub *sub = list_entry(node, struct sub, node);

		list_remove(node);
		if (chan_replay_gap(sub, ch->rev + 1))
			sub_go_on(sub);
	}
}

/* ---- Going back ---- */

void chan_rewind(struct sub *sub, int64_t rev)
{
	switch ((enum sub_state)sub->state) {
	case SUB_LIVE:
		deliver_flush(sub->chan);
		if (sub->state == SUB_LIVE) /* the flush may have found it behind */
			sub_take_off(sub);
		sub->state = SUB_CATCHUP; /* in no array, whatever comes of it */
		break;
	case SUB_LOADING:
	case SUB_ENTERING:
		sub->rev = rev;
		return;
	case SUB_BEHIND:
	case SUB_CATCHUP:
	case SUB_AHEAD:
		break;
	}
	list_remove(&sub->node);
	/* what was asked for before is not wanted any more */
	sub->serial = ++sub->chan->wk->next_serial;
	sub->rev = rev;
	sub_go_on(sub);
}

/* ---- Joining and leaving ---- */

/* Everybody had left within this turn: what was published meanwhile was not for this worker. */
static void chan_reopen(struct chan *ch)
{
	if (ch->state == CHAN_OPEN) {
		chan_order_fill(ch);
	} else if (ch->is_loading) {
		ch->serial = ++ch->wk->next_serial; /* that answer may be too old */
		ch->is_loading = false;
		chan_set_due(ch);
	}
}

void chan_join(struct conn *c, int64_t conv, bool has_rev, int64_t rev, const struct cmd_id *re)
{
	struct worker *wk = conn_worker(c);
	struct chan *ch = chan_find(wk, conv);
	bool is_new = !ch, is_first = false;
	struct sub *sub;
	int r;

	if (!MEMBER_IS_ROOM(conv) || (ch && ch->state == CHAN_CLOSED)) {
		ws_conn_error(c, E_NO_SUCH_ROOM, re, NULL, conv);
		return;
	}
	if (!deliver_part(c))
		return;
	r = member_attach(wk->shm, (unsigned)wk->slot, conv, c->user, str_of(c->name), &is_first);
	if (r < 0) {
		ws_conn_error(c, r == -ERR_CLOSED ? E_NO_SUCH_ROOM : E_OVERLOADED, re, NULL, conv);
		return;
	}
	if (!ch)
		ch = chan_new(wk, conv);
	else if (ch->n_subs == 0)
		chan_reopen(ch);
	sub = slab_get(wk->sub_slab);
	sub->conn = c;
	sub->chan = ch;
	sub->serial = sub->joined = ++wk->next_serial;
	sub->rev = sub->known_rev = has_rev ? rev : -1;
	sub->is_announced = !is_first;
	list_init(&sub->node);
	if (re) {
		sub->re = xmalloc(sizeof(*re));
		*sub->re = *re;
	}
	sub->next_of_conn = c->subs;
	c->subs = sub;
	c->n_subs++;
	ch->n_subs++;
	if (ch->state == CHAN_OPEN) {
		sub_go_on(sub);
		return;
	}
	sub->state = SUB_LOADING;
	list_append(&ch->loading, &sub->node);
	if (is_new)
		chan_load(ch);
}

/* The last one takes the free place. */
void sub_take_off(struct sub *sub)
{
	struct chan_side *side = &sub->chan->sides[sub->conn->dialect];

	if (side->entries[sub->index].flags & ENTRY_PARTED)
		side->n_parted--;
	side->entries[sub->index] = side->entries[--side->n];
	side->entries[sub->index].sub->index = sub->index;
	if (side->n == 0) {
		buf_clear(&side->out);
		if (side->ephemeral)
			side->ephemeral->n = side->ephemeral->frames = 0;
	}
}

static void unlink_of_conn(struct sub *sub)
{
	struct sub **p = &sub->conn->subs;

	while (*p != sub)
		p = &(*p)->next_of_conn;
	*p = sub->next_of_conn;
	sub->conn->n_subs--;
}

void chan_leave(struct sub *sub, enum conn_end end)
{
	struct chan *ch = sub->chan;
	struct conn *c = sub->conn;
	struct worker *wk = ch->wk;
	bool is_last = false;
	uint64_t grace = presence_grace(wk, end);

	if (sub->state == SUB_LIVE)
		sub_take_off(sub);
	deliver_forgive(sub);
	list_remove(&sub->node);
	unlink_of_conn(sub);
	typers_stop(sub);
	if (!sub->is_announced)
		grace = 0;
	if (member_detach(wk->shm, (unsigned)wk->slot, ch->conv, c->user,
			  clock_mono_ms() + grace, &is_last) < 0)
		log_debug("a member was not attached", LF_INT("conversation", ch->conv));
	worker_tick_on(wk);
	free(sub->re);
	slab_put(wk->sub_slab, sub);
	if (--ch->n_subs == 0)
		chan_set_due(ch); /* freed there: somebody may be looking at it now */
}

void chan_leave_all(struct conn *c, enum conn_end end)
{
	resume_end(c);
	while (c->subs)
		chan_leave(c->subs, end);
	presence_leave(c, end);
}

static void flag_all(struct conn *c, uint32_t flag, bool is_on)
{
	for (struct sub *sub = c->subs; sub; sub = sub->next_of_conn) {
		struct chan_entry *e;

		if (sub->state != SUB_LIVE)
			continue;
		e = &sub->chan->sides[c->dialect].entries[sub->index];
		e->flags = is_on ? e->flags | flag : e->flags & ~flag;
	}
}

void chan_mute(struct conn *c)
{
	flag_all(c, ENTRY_DEAD, true);
}

void chan_mark_socket(struct conn *c)
{
	for (struct sub *sub = c->subs; sub; sub = sub->next_of_conn)
		if (sub->state == SUB_LIVE)
			sub->chan->sides[c->dialect].entries[sub->index].fd = c->io.fd;
	flag_all(c, ENTRY_QUEUED, c->out != NULL);
	flag_all(c, ENTRY_DEFLATED, c->deflate_bits != 0);
}

void chan_mark_queued(struct conn *c, bool is_queued)
{
	/* a session without a socket has nothing but its queue */
	flag_all(c, ENTRY_QUEUED, is_queued || c->io.fd < 0);
	if (is_queued)
		return;
	presence_catch_up(c);
	for (struct sub *sub = c->subs, *next; sub; sub = next) {
		next = sub->next_of_conn;
		if (sub->is_paused)
			chan_replay_resume(sub);
		else if (sub->state == SUB_LIVE)
			deliver_make_good(sub);
	}
}

void chan_close_all(struct worker *wk)
{
	uint32_t pos = 0;
	uint64_t key;
	void *ch;

	while (map_next(&wk->chans, &pos, &key, &ch))
		chan_free(ch);
	map_done(&wk->chans);
}
