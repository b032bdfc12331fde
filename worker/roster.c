/* SPDX-License-Identifier: MIT */
/*
 * User lists and typing sets of channels, and the end of graces and typing marks.
 * Membership itself is changed in chan.c and kept in shm/.
 */
#include "worker/roster.h"

#include "base/clock.h"
#include "proto/dialect_native.h"
#include "proto/dialect_raw.h"
#include "shm/presence.h"
#include "shm/typing.h"
#include "worker/deliver.h"
#include "worker/fanout.h"

#define EXPIRE_BUDGET 1000

struct name_row {
	int64_t user;
	struct str name; /* owned */
};

/* A set of users, copied out of shared memory. */
struct names {
	struct name_row *rows; /* owned */
	size_t n, cap, next;
};

static void names_add(void *arg, int64_t user, struct str name)
{
	struct names *n = arg;

	if (n->n == n->cap) {
		n->cap = n->cap ? n->cap * 2 : 16;
		n->rows = xrealloc(n->rows, n->cap * sizeof(*n->rows));
	}
	n->rows[n->n++] = (struct name_row){user, {xstrndup(name.p, name.len), name.len}};
}

static int by_name(const void *a, const void *b)
{
	const struct name_row *x = a, *y = b;
	int order = strcmp(x->name.p, y->name.p);

	return order ? order : (x->user > y->user) - (x->user < y->user);
}

static bool names_next_user(void *arg, int64_t *ret_user, struct str *ret_name)
{
	struct names *n = arg;

	if (n->next == n->n)
		return false;
	*ret_user = n->rows[n->next].user;
	*ret_name = n->rows[n->next++].name;
	return true;
}

static bool names_next(void *arg, struct str *ret_name)
{
	int64_t user;

	return names_next_user(arg, &user, ret_name);
}

static void names_done(struct names *n)
{
	for (size_t i = 0; i < n->n; i++)
		free((char *)n->rows[i].name.p);
	free(n->rows);
}

void roster_mark(struct chan *ch)
{
	ch->roster_due = true;
	chan_set_due(ch);
}

/* A list costs its length times its receivers: the larger the room, the rarer. */
static uint64_t roster_pause(const struct chan *ch, int users)
{
	uint64_t grown = (uint64_t)users * (uint64_t)users / 1000;

	return MAX((uint64_t)ch->wk->settings->deliver_roster_interval, grown);
}

static void send_roster(struct chan *ch, uint64_t now_ms)
{
	struct names n = {0};
	int users = roster_read(ch->wk->shm, (unsigned)ch->wk->slot, ch->conv, names_add, &n);
	size_t begin;
	struct buf *b;

	ch->roster_due = false;
	ch->roster_at_ms = now_ms + roster_pause(ch, users);
	if (n.n)
		qsort(n.rows, n.n, sizeof(*n.rows), by_name);
	if (users >= 0 && (b = deliver_begin(ch, DIALECT_RAW, &begin))) {
		raw_add_users_list(b, names_next, &n);
		deliver_end(ch, DIALECT_RAW, begin);
	}
	names_done(&n);
}

static void send_typing(struct chan *ch, uint64_t now_ms)
{
	struct names n = {0};
	int users =
		typing_read(ch->wk->shm, (unsigned)ch->wk->slot, ch->conv, now_ms, names_add, &n);
	size_t begin;
	struct buf *b;

	ch->typing_due = false;
	if (users >= 0 && (b = deliver_begin(ch, DIALECT_RAW, &begin))) {
		raw_add_typing(b, names_next, &n);
		deliver_end(ch, DIALECT_RAW, begin);
	}
	n.next = 0;
	if (users >= 0 && (b = deliver_begin(ch, DIALECT_NATIVE, &begin))) {
		native_add_typing(b, ch->conv, names_next_user, &n);
		deliver_end(ch, DIALECT_NATIVE, begin);
	}
	names_done(&n);
}

uint64_t roster_run(struct chan *ch, uint64_t now_ms)
{
	if (ch->typing_due)
		send_typing(ch, now_ms);
	if (!ch->roster_due)
		return UINT64_MAX;
	if (now_ms < ch->roster_at_ms)
		return ch->roster_at_ms;
	send_roster(ch, now_ms);
	return UINT64_MAX;
}

/* ---- Typing ---- */

void roster_start_typing(struct sub *sub)
{
	struct worker *wk = sub->chan->wk;
	const struct conn *c = sub->conn;
	int64_t conv = sub->chan->conv;
	uint64_t until = clock_mono_ms() + (uint64_t)wk->settings->chat_typing_timeout;
	bool is_changed = false;

	if (typing_set(wk->shm, (unsigned)wk->slot, conv, c->user, str_of(c->name), until,
		       &is_changed) < 0)
		return;
	sub->is_typing = true;
	wk->typing_until_ms = until;
	worker_tick_on(wk);
	if (is_changed)
		fanout_typing(wk, conv, c->user, true);
}

void roster_stop_typing(struct sub *sub)
{
	struct worker *wk = sub->chan->wk;
	int64_t conv = sub->chan->conv, user = sub->conn->user;
	bool is_changed = false;

	if (!sub->is_typing)
		return;
	sub->is_typing = false;
	if (typing_clear(wk->shm, (unsigned)wk->slot, conv, user, &is_changed) == 0 && is_changed)
		fanout_typing(wk, conv, user, false);
}

/* ---- Time passes ---- */

static void on_left(void *arg, int64_t conv, int64_t user, struct str name)
{
	fanout_presence(arg, conv, user, name, false, PRESENCE_LEAVE);
}

static void on_typing_over(void *arg, int64_t conv)
{
	fanout_typing(arg, conv, 0, false);
}

bool roster_expire(struct worker *wk)
{
	uint64_t now = clock_mono_ms();
	bool is_more = false;

	if (member_expire(wk->shm, (unsigned)wk->slot, now, EXPIRE_BUDGET, on_left, wk, &is_more) < 0 ||
	    typing_expire(wk->shm, (unsigned)wk->slot, now, EXPIRE_BUDGET, on_typing_over, wk,
			  &is_more) < 0)
		return true;
	return member_lingering(wk->shm, (unsigned)wk->slot) > 0 || wk->typing_until_ms > now;
}
