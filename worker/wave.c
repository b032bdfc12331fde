/* SPDX-License-Identifier: MIT */
/*
 * Spreads the list of a large room over its raw sockets and over time. The list is made anew when
 * the room has changed, also half way: who has had it lately comes last, so nobody starves, and
 * in the end all have the last one.
 */
#include "worker/wave.h"

#include "proto/dialect_raw.h"
#include "shm/presence.h"
#include "worker/deliver.h"
#include "worker/names.h"
#include "worker/ws_conn.h"

#define STEP_MS 100	/* between two parts */
#define MAKE_PAUSE_MS 1000 /* between two lists: a large one takes milliseconds to sort */

void wave_change(struct wave *w)
{
	w->version++;
	w->is_due = true;
}

void wave_want(struct wave *w)
{
	w->is_due = true;
}

void wave_stop(struct wave *w)
{
	buf_done(&w->frame);
	w->is_due = false;
}

static void make(struct chan *ch, struct wave *w, uint64_t now_ms)
{
	struct buf json = BUF_INIT;
	struct names n = {0};

	buf_clear(&w->frame);
	w->made = w->version = MAX(w->version, 1u);
	if (roster_read(ch->wk->shm, (unsigned)ch->wk->slot, ch->conv, names_add, &n) >= 0) {
		names_sort(&n);
		raw_add_users_list(&json, names_next, &n);
		ws_conn_frame(&w->frame, DIALECT_RAW, buf_str(&json));
	}
	buf_done(&json);
	names_done(&n);
	w->make_at_ms = now_ms + MAKE_PAUSE_MS;
}

/* How many sockets may get it now. */
static uint32_t allowance(const struct chan *ch, const struct wave *w)
{
	uint64_t bytes = (uint64_t)ch->wk->settings->presence_room_rate * STEP_MS / 1000;

	return (uint32_t)MAX(bytes / MAX(w->frame.len, 1), 1);
}

/* True when somebody still needs it. */
static bool send_some(struct chan *ch, struct wave *w)
{
	struct chan_side *side = &ch->sides[DIALECT_RAW];
	uint32_t left = allowance(ch, w);
	bool is_wanted = false;

	for (uint32_t i = 0; i < side->n; i++) {
		struct chan_entry *e = &side->entries[(w->at + i) % side->n];

		if (e->sub->list_version == w->made || (e->flags & ENTRY_DEAD))
			continue;
		if (e->flags & ENTRY_QUEUED) { /* a full socket asks for it when it has drained */
			deliver_owe(e->sub);
			continue;
		}
		is_wanted = true;
		if (!left) {
			w->at = (w->at + i) % side->n;
			break;
		}
		left--;
		e->sub->list_version = w->made;
		buf_add_str(conn_reply(e->sub->conn), buf_str(&w->frame));
	}
	return is_wanted;
}

uint64_t wave_run(struct chan *ch, struct wave *w, uint64_t now_ms)
{
	if (!w->is_due)
		return UINT64_MAX;
	if (now_ms < w->run_at_ms)
		return w->run_at_ms;
	if ((w->made != w->version || !w->frame.len) && now_ms >= w->make_at_ms)
		make(ch, w, now_ms);
	w->run_at_ms = now_ms + STEP_MS;
	if (!w->frame.len || send_some(ch, w) || w->made != w->version)
		return w->run_at_ms;
	wave_stop(w);
	return UINT64_MAX;
}
