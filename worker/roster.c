/* SPDX-License-Identifier: MIT */
/*
 * User lists, comings and goings of channels, and the end of graces and typing marks. Membership
 * itself is changed in chan.c and kept in shm/; typing sets are typers.c's.
 *
 * What a room is told costs its receivers times its users. So: changes within an interval are one
 * frame; the interval grows until the bytes stay below a rate; large rooms are told numbers.
 * Lists are read when they are sent, so the last one is right whatever was left out before.
 */
#include "worker/roster.h"

#include "base/clock.h"
#include "proto/dialect_native.h"
#include "proto/dialect_raw.h"
#include "proto/s0.h"
#include "shm/presence.h"
#include "shm/rooms.h"
#include "shm/typing.h"
#include "worker/codes.h"
#include "worker/deliver.h"
#include "worker/fanout.h"
#include "worker/names.h"
#include "worker/presence.h"
#include "worker/sse_conn.h"
#include "worker/typers.h"
#include "worker/wave.h"
#include "worker/ws_conn.h"

#define EXPIRE_BUDGET 1000
#define SEND_COST 1000	   /* bytes that one more send is worth: as long as copying them takes */
#define CHANGES_PAUSE_MAX_MS 1000 /* newcomers wait for it */

/* Somebody came or left, not told yet. */
struct change {
	int64_t user, at_ms;
	char *name; /* owned */
	enum presence_reason reason;
	bool on;
	bool is_undone; /* came and went, or the reverse: no line for S1 */
};

/* What a channel has not been told; none while nothing happens. */
struct roster {
	struct change *changes; /* owned */
	uint32_t n, cap;
	bool is_over;	 /* more changes than are told one by one */
	bool is_due;	 /* receivers of changes are owed something */
	bool is_counted; /* native receivers know a number, no names */
	bool is_restated; /* ... and are owed the whole list */
	struct list parked; /* struct sub.node: raw ones that wait for the next frame */
	struct wave wave;   /* the list of a large room */
	uint64_t changes_at_ms; /* not before */
	struct typers typers;
};

/* ---- Sets ---- */

/* The room's users by name. Returns their number or a negative code. */
static int read_users(const struct chan *ch, struct names *ret)
{
	int users = roster_read(ch->wk->shm, (unsigned)ch->wk->slot, ch->conv, names_add, ret);

	names_sort(ret);
	return users;
}

static uint32_t count_users(const struct chan *ch)
{
	uint32_t connections = 0, users = 0;

	if (room_counts(ch->wk->shm, (unsigned)ch->wk->slot, ch->conv, &connections, &users) < 0)
		return 0;
	return users;
}

static bool is_large(const struct chan *ch, uint32_t users)
{
	return users > (uint64_t)ch->wk->settings->presence_roster_max;
}

/* ---- Cost ---- */

static uint64_t receivers(const struct chan *ch)
{
	uint64_t n = 0;

	for (int d = DIALECT_NONE + 1; d < DIALECT_COUNT; d++)
		n += ch->sides[d].n;
	return n;
}

/* What the channel's receivers will be sent, all of them together. */
static uint64_t owed_bytes(const struct chan *ch)
{
	uint64_t bytes = 0;

	for (int d = DIALECT_NONE + 1; d < DIALECT_COUNT; d++)
		bytes += ch->sides[d].out.len * ch->sides[d].n;
	return bytes;
}

static uint64_t pause_of(const struct chan *ch, uint64_t bytes, uint64_t sends)
{
	return (bytes + sends * SEND_COST) * 1000 / (uint64_t)ch->wk->settings->presence_room_rate;
}

/* ---- Lists ---- */

static struct roster *roster_of(struct chan *ch)
{
	if (!ch->roster) {
		ch->roster = xcalloc(1, sizeof(*ch->roster));
		list_init(&ch->roster->parked);
	}
	return ch->roster;
}

void roster_mark(struct chan *ch)
{
	ch->roster_due = true;
	chan_set_due(ch);
}

void roster_restate(struct chan *ch)
{
	struct roster *r = roster_of(ch);

	r->is_restated = r->is_due = true;
	ch->typing_due = true;
	roster_mark(ch);
}

/* Large rooms: the list is due for all, but not at once. */
static bool is_spread(struct chan *ch)
{
	if (!is_large(ch, count_users(ch))) {
		if (ch->roster)
			wave_stop(&ch->roster->wave);
		return false;
	}
	wave_change(&roster_of(ch)->wave);
	return true;
}

static void send_raw_list(struct chan *ch, uint64_t now_ms)
{
	struct names n = {0};
	uint64_t before = owed_bytes(ch), pause;
	int users = ch->sides[DIALECT_RAW].n ? read_users(ch, &n) : -1;
	size_t begin;
	struct buf *b;

	if (users >= 0 && (b = deliver_begin(ch, DIALECT_RAW, &begin))) {
		raw_add_users_list(b, names_next, &n);
		deliver_end(ch, DIALECT_RAW, begin);
	}
	pause = pause_of(ch, owed_bytes(ch) - before, ch->sides[DIALECT_RAW].n);
	ch->roster_at_ms = now_ms + MAX((uint64_t)ch->wk->settings->deliver_roster_interval, pause);
	names_done(&n);
}

/* The list, or in a large room the number, for whoever speaks native. */
static void add_native_list(struct buf *b, struct chan *ch, uint32_t users)
{
	struct names n = {0};

	if (is_large(ch, users))
		native_add_roster_count(b, ch->conv, users);
	else if (read_users(ch, &n) >= 0)
		native_add_roster(b, ch->conv, names_next_user, &n);
	names_done(&n);
}

static void send_native_list(struct chan *ch, uint32_t users)
{
	size_t begin;
	struct buf *b = deliver_begin(ch, DIALECT_NATIVE, &begin);

	if (!b)
		return;
	add_native_list(b, ch, users);
	deliver_end(ch, DIALECT_NATIVE, begin);
}

/* ---- Comings and goings ---- */

static void changes_clear(struct roster *r)
{
	while (r->n)
		free(r->changes[--r->n].name);
	r->is_over = false;
}

static void change_del(struct roster *r, uint32_t at)
{
	free(r->changes[at].name);
	r->n--;
	memmove(r->changes + at, r->changes + at + 1, (r->n - at) * sizeof(*r->changes));
}

/*
 * Keeps the change. The opposite of one that waits undoes it for S1, which is told of events.
 * Native clients are told the state all the same: a list that was sent meanwhile may hold the one
 * or the other.
 */
static void change_add(struct roster *r, const struct event *ev, int64_t max)
{
	for (uint32_t i = 0; i < r->n; i++) {
		if (r->changes[i].user != ev->actor)
			continue;
		if (r->changes[i].on != ev->on) {
			r->changes[i].on = ev->on;
			r->changes[i].is_undone = !r->changes[i].is_undone;
			r->changes[i].reason = ev->reason;
		}
		return;
	}
	if (r->n >= max) {
		changes_clear(r);
		r->is_over = true;
		return;
	}
	if (r->n == r->cap) {
		r->cap = r->cap ? r->cap * 2 : 8;
		r->changes = xrealloc(r->changes, r->cap * sizeof(*r->changes));
	}
	r->changes[r->n++] = (struct change){
		.user = ev->actor,
		.at_ms = ev->at_ms,
		.name = xstrndup(ev->actor_name.p, ev->actor_name.len),
		.reason = ev->reason,
		.on = ev->on,
	};
}

void roster_event(struct chan *ch, const struct event *ev)
{
	roster_mark(ch);
	if (!receivers(ch))
		return;
	roster_of(ch)->is_due = true;
	if (!ch->roster->is_over)
		change_add(ch->roster, ev, ch->wk->settings->presence_batch_max);
}

/*
 * Two workers' events of one user may come in the wrong order. Of the two the one that agrees
 * with the truth is told; the truth's own event has come or is coming.
 */
static bool is_true(const struct chan *ch, const struct change *c)
{
	bool is_here = false;

	return member_is_present(ch->wk->shm, (unsigned)ch->wk->slot, ch->conv, c->user, true,
				 &is_here) == 0 &&
	       is_here == c->on;
}

static void drop_untrue(struct chan *ch)
{
	struct roster *r = ch->roster;

	for (uint32_t i = r->n; i-- > 0;)
		if (!is_true(ch, &r->changes[i]))
			change_del(r, i);
}

static void send_line(struct chan *ch, enum dialect dialect, const struct event *ev)
{
	size_t begin;
	struct buf *b = deliver_begin(ch, dialect, &begin);

	if (!b)
		return;
	if (dialect == DIALECT_RAW)
		raw_add_event(b, ev);
	else
		s0_add_event(b, ev, STR(""));
	deliver_end(ch, dialect, begin);
}

/* One line for each, in one send. */
static void send_raw_lines(struct chan *ch)
{
	const struct roster *r = ch->roster;

	for (uint32_t i = 0; i < r->n; i++) {
		const struct change *c = &r->changes[i];
		const struct event ev = {
			.type = EVT_PRESENCE,
			.conv = ch->conv,
			.at_ms = c->at_ms,
			.actor = c->user,
			.actor_name = str_of(c->name),
			.on = c->on,
			.reason = c->reason,
		};

		if (c->is_undone)
			continue;
		send_line(ch, DIALECT_RAW, &ev);
		send_line(ch, DIALECT_S0, &ev);
	}
}

struct change_reader {
	const struct roster *r;
	uint32_t at;
};

static bool change_next(void *arg, struct native_presence *ret)
{
	struct change_reader *reader = arg;
	const struct change *c;

	if (reader->at == reader->r->n)
		return false;
	c = &reader->r->changes[reader->at++];
	*ret = (struct native_presence){
		.user = c->user,
		.name = str_of(c->name),
		.state = c->on ? "online" : "offline",
	};
	return true;
}

static void send_native_batch(struct chan *ch)
{
	struct change_reader reader = {ch->roster, 0};
	size_t begin;
	struct buf *b = ch->roster->n ? deliver_begin(ch, DIALECT_NATIVE, &begin) : NULL;

	if (!b)
		return;
	native_add_presence_batch(b, ch->conv, change_next, &reader);
	deliver_end(ch, DIALECT_NATIVE, begin);
}

/* Those who waited so as not to be told of themselves go on. */
static void unpark(struct chan *ch)
{
	struct list *node;

	while ((node = list_first(&ch->roster->parked))) {
		list_remove(node);
		list_append(&ch->wk->entering, node);
		worker_kick(ch->wk);
	}
}

static void send_changes(struct chan *ch, uint64_t now_ms)
{
	struct roster *r = ch->roster;
	uint64_t before = owed_bytes(ch), pause;
	uint32_t users = count_users(ch);
	bool is_many = is_large(ch, users);

	if (!is_many && !r->is_over) {
		drop_untrue(ch);
		send_raw_lines(ch);
	}
	if (is_many || r->is_over || r->is_counted || r->is_restated)
		send_native_list(ch, users);
	else
		send_native_batch(ch);
	r->is_counted = is_many;
	r->is_due = r->is_restated = false;
	changes_clear(r);
	pause = pause_of(ch, owed_bytes(ch) - before, receivers(ch));
	pause = MIN(pause, CHANGES_PAUSE_MAX_MS);
	r->changes_at_ms = now_ms + MAX((uint64_t)ch->wk->settings->presence_batch_interval, pause);
	unpark(ch);
}

bool roster_park(struct sub *sub)
{
	struct chan *ch = sub->chan;

	if (!dialect_has_room(sub->conn->dialect) || !ch->roster || !ch->roster->n ||
	    sub->has_parked)
		return false;
	if (ch->roster->changes_at_ms <= clock_mono_ms()) {
		send_changes(ch, clock_mono_ms());
		return false;
	}
	sub->state = SUB_ENTERING;
	sub->has_parked = true; /* what comes next is others': it must not wait for ever */
	list_append(&ch->roster->parked, &sub->node);
	chan_set_due(ch);
	return true;
}

/* ---- Newcomers ---- */

/* A frame for one subscription: JSON is in its dialect's terms. */
static void send_one(struct sub *sub, struct str json)
{
	struct conn *c = sub->conn;

	if (c->dialect == DIALECT_SSE)
		sse_conn_event(sub, NULL, json);
	else
		ws_conn_frame(conn_reply(c), c->dialect, json);
}

/*
 * The list for one raw socket, unless one for all comes soon, or is too long to be sent to each
 * newcomer.
 */
static void greet_raw(struct sub *sub, struct buf *b)
{
	struct chan *ch = sub->chan;
	uint64_t interval = (uint64_t)ch->wk->settings->deliver_roster_interval;
	struct names n = {0};

	if (ch->roster_due && ch->roster_at_ms <= clock_mono_ms() + interval)
		return;
	if (is_large(ch, count_users(ch))) {
		wave_want(&roster_of(ch)->wave);
		chan_set_due(ch);
		return;
	}
	if (read_users(ch, &n) >= 0) {
		raw_add_users_list(b, names_next, &n);
		send_one(sub, buf_str(b));
		buf_clear(b);
	}
	names_done(&n);
}

void roster_greet(struct sub *sub, bool is_again)
{
	struct buf b = BUF_INIT;

	if (dialect_is_sio(sub->conn->dialect)) /* has no lists */
		return;
	if (sub->conn->dialect == DIALECT_RAW) {
		greet_raw(sub, &b);
	} else {
		add_native_list(&b, sub->chan, count_users(sub->chan));
		if (b.len)
			send_one(sub, buf_str(&b));
		buf_clear(&b);
	}
	typers_add(&b, sub, is_again);
	if (b.len)
		send_one(sub, buf_str(&b));
	buf_done(&b);
}

/* ---- What is due ---- */

static uint64_t run_changes(struct chan *ch, uint64_t now_ms)
{
	if (now_ms < ch->roster->changes_at_ms)
		return ch->roster->changes_at_ms;
	send_changes(ch, now_ms);
	return UINT64_MAX;
}

uint64_t roster_run(struct chan *ch, uint64_t now_ms)
{
	uint64_t next = UINT64_MAX, other;

	if (ch->typing_due)
		next = typers_run(ch, &roster_of(ch)->typers, now_ms);
	if (ch->roster && ch->roster->is_due) {
		other = run_changes(ch, now_ms);
		next = MIN(next, other);
	}
	if (ch->roster_due && now_ms < ch->roster_at_ms) {
		next = MIN(next, ch->roster_at_ms);
	} else if (ch->roster_due) {
		ch->roster_due = false;
		if (!is_spread(ch))
			send_raw_list(ch, now_ms);
	}
	if (!ch->roster)
		return next;
	other = wave_run(ch, &ch->roster->wave, now_ms);
	return MIN(next, other);
}

void roster_done(struct chan *ch)
{
	struct roster *r = ch->roster;

	if (!r)
		return;
	changes_clear(r);
	wave_stop(&r->wave);
	typers_done(&r->typers);
	free(r->changes);
	free(r);
	ch->roster = NULL;
}

/* ---- Time passes ---- */

static void on_left(void *arg, int64_t conv, int64_t user, struct str name)
{
	if (conv != MEMBER_NODE || presence_is_told(arg))
		fanout_presence(arg, conv, user, name, false, PRESENCE_LEAVE);
	if (conv != MEMBER_NODE)
		codes_left(arg, conv, user);
}

static void on_typing_over(void *arg, int64_t conv)
{
	fanout_typing(arg, conv, 0, false);
}

bool roster_expire(struct worker *wk)
{
	uint64_t now = clock_mono_ms();
	bool is_more = false;

	if (member_expire(wk->shm, (unsigned)wk->slot, now, EXPIRE_BUDGET, on_left, wk, &is_more) <
		    0 ||
	    typing_expire(wk->shm, (unsigned)wk->slot, now, EXPIRE_BUDGET, on_typing_over, wk,
			  &is_more) < 0)
		return true;
	return member_lingering(wk->shm, (unsigned)wk->slot) > 0 || wk->typing_until_ms > now;
}
