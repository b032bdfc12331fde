/* SPDX-License-Identifier: MIT */
/*
 * What channels owe, once a turn: lists, waits that are over, and the end of empty or closed ones.
 */
#include "base/clock.h"
#include "worker/chan_order.h"
#include "worker/chan_priv.h"
#include "worker/chan_replay.h"
#include "worker/deliver.h"
#include "worker/roster.h"
#include "worker/ws_conn.h"

/* The conversation was closed: everybody has the closing event, now the sockets go. */
static void chan_shut(struct chan *ch)
{
	struct conn **conns = xcalloc(ch->n_subs, sizeof(*conns));
	uint32_t n = 0;

	deliver_flush(ch);
	for (int d = DIALECT_NONE + 1; d < DIALECT_COUNT; d++)
		for (uint32_t i = 0; i < ch->sides[d].n; i++)
			conns[n++] = ch->sides[d].entries[i].sub->conn;
	while (n > 0) {
		struct conn *c = conns[--n];
		struct sub *sub = sub_find(c, ch->conv);

		chan_leave(sub, CONN_END_CLEAN);
		if (dialect_has_room(c->dialect))
			ws_conn_close(c, E_ROOM_DELETED);
	}
	free(conns);
}

/* What one channel owes now. Returns the time of the next look, UINT64_MAX for none. */
static uint64_t run_due(struct chan *ch, uint64_t now)
{
	uint64_t next, other;

	if (ch->state == CHAN_CLOSED && ch->n_subs)
		chan_shut(ch);
	if (ch->n_subs == 0) {
		chan_free(ch);
		return UINT64_MAX;
	}
	if (ch->state == CHAN_LOADING && !ch->is_loading)
		chan_load(ch); /* somebody came just after the last attempt had failed */
	next = roster_run(ch, now);
	other = chan_order_run(ch, now);
	next = MIN(next, other);
	other = chan_replay_age(ch, now);
	next = MIN(next, other);
	if (ch->state == CHAN_CLOSED) /* until the last one is level and gone */
		next = now + 10;
	if (next != UINT64_MAX && list_empty(&ch->due)) /* else it is due again already */
		list_append(&ch->wk->chans_later, &ch->due);
	return next;
}

/* Those whose time may have come are due again. */
static void take_later(struct worker *wk)
{
	struct list *node;

	while ((node = list_first(&wk->chans_later))) {
		list_remove(node);
		list_append(&wk->chans_due, node);
	}
	wk->chans_later_ms = UINT64_MAX;
}

void chan_run_due(struct worker *wk)
{
	uint64_t now = clock_mono_ms();
	struct list due, *node;

	if (now >= wk->chans_later_ms)
		take_later(wk);
	list_move(&due, &wk->chans_due);
	while ((node = list_first(&due))) {
		uint64_t next;

		list_remove(node);
		next = run_due(list_entry(node, struct chan, due), now);
		wk->chans_later_ms = MIN(wk->chans_later_ms, next);
	}
	if (wk->chans_later_ms != UINT64_MAX)
		worker_wake_in(wk, wk->chans_later_ms > now ? wk->chans_later_ms - now : 1);
	if (!list_empty(&wk->chans_due))
		worker_kick(wk);
}
