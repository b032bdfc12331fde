/* SPDX-License-Identifier: MIT */
/*
 * Typing sets of channels, to each dialect in its terms.
 */
#include "worker/typers.h"

#include "base/clock.h"
#include "proto/dialect_native.h"
#include "proto/dialect_raw.h"
#include "shm/typing.h"
#include "worker/deliver.h"
#include "worker/fanout.h"
#include "worker/sio.h"

#define SET_PAUSE_MS 333 /* three sets a second, and as many at once after a pause */
#define SET_BURST 3

void typers_start(struct sub *sub)
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

void typers_stop(struct sub *sub)
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

/* ---- Telling ---- */

/* The number of people, or negative. */
static int read_set(const struct chan *ch, struct names *ret)
{
	return typing_read(ch->wk->shm, (unsigned)ch->wk->slot, ch->conv, clock_mono_ms(),
			   names_add, ret);
}

static void add_set(struct buf *b, const struct chan *ch, bool is_raw, struct names *n)
{
	n->next = 0;
	if (is_raw)
		raw_add_typing(b, names_next, n);
	else
		native_add_typing(b, ch->conv, names_next_user, n);
}

void typers_add(struct buf *b, const struct sub *sub, bool if_empty)
{
	struct names n = {0};
	int users = read_set(sub->chan, &n);

	if (users > 0 || (users == 0 && if_empty))
		add_set(b, sub->chan, sub->conn->dialect == DIALECT_RAW, &n);
	names_done(&n);
}

/* One who began or stopped, to the S4 sockets of everybody else. */
static void send_typer(struct chan *ch, const struct name_row *who, bool on)
{
	const struct chan_side *side = &ch->sides[DIALECT_S4];
	struct buf frame = BUF_INIT;

	sio_add_typing(&frame, ch->conv, who->user, who->name, on);
	for (uint32_t i = side->n; i-- > 0;) { /* downwards: who ends takes itself out */
		struct sub *sub = side->entries[i].sub;

		if (sub->conn->user != who->user && deliver_has_room(sub, frame.len, false))
			buf_add_str(conn_reply(sub->conn), buf_str(&frame));
	}
	buf_done(&frame);
}

static bool has_user(const struct names *n, int64_t user)
{
	for (size_t i = 0; i < n->n; i++)
		if (n->rows[i].user == user)
			return true;
	return false;
}

/* S4 is told of changes, not of the set. NOW becomes what was TOLD. */
static void send_changes(struct chan *ch, struct names *told, struct names *now)
{
	for (size_t i = 0; i < told->n; i++)
		if (!has_user(now, told->rows[i].user))
			send_typer(ch, &told->rows[i], false);
	for (size_t i = 0; i < now->n; i++)
		if (!has_user(told, now->rows[i].user))
			send_typer(ch, &now->rows[i], true);
	names_done(told);
	*told = *now;
	*now = (struct names){0};
}

static void send_set(struct chan *ch, struct names *told)
{
	struct names n = {0};
	int users = read_set(ch, &n);
	const enum dialect sides[] = {DIALECT_RAW, DIALECT_NATIVE};

	ch->typing_due = false;
	for (size_t i = 0; i < ARRAY_LEN(sides) && users >= 0; i++) {
		size_t begin;
		struct buf *b = deliver_begin(ch, sides[i], &begin);

		if (!b)
			continue;
		add_set(b, ch, sides[i] == DIALECT_RAW, &n);
		deliver_end(ch, sides[i], begin);
	}
	if (users >= 0 && ch->sides[DIALECT_S4].n)
		send_changes(ch, told, &n);
	names_done(&n);
}

/* Each set is paid for with a pause; up to SET_BURST of them may be owed. */
uint64_t typers_run(struct chan *ch, struct typers *t, uint64_t now_ms)
{
	const uint64_t credit = (SET_BURST - 1) * SET_PAUSE_MS;

	if (t->paid_ms > now_ms + credit)
		return t->paid_ms - credit;
	t->paid_ms = MAX(t->paid_ms, now_ms) + SET_PAUSE_MS;
	send_set(ch, &t->told);
	return UINT64_MAX;
}

void typers_done(struct typers *t)
{
	names_done(&t->told);
}
