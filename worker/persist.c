/* SPDX-License-Identifier: MIT */
/*
 * Gathers sends and changes while the previous round is under way, commits them, then announces and
 * acknowledges. The statements and their retries are sql/'s, the ring is fanout.c's.
 *
 * A round is one batch of messages and some single changes, on the writer's connection together.
 * What one actor does in one conversation keeps its order, because a round never holds a change
 * and anything else with the same actor and conversation, and rounds follow each other.
 */
#include "worker/persist.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "shm/slots.h"
#include "sql/filters.h"
#include "worker/dbio.h"
#include "worker/fanout.h"
#include "worker/notices.h"
#include "worker/persist_priv.h"
#include "worker/repeat.h"
#include "worker/stale.h"

#define CHANGES_MAX 64	 /* in one round: what the connection's pipeline takes */
#define LOOK_MAX 8192	 /* queued items looked at to fill a round */
#define PAUSE_MIN_MS 100 /* after the server could not store a round, doubling */
#define PAUSE_MAX_MS 1000

_Static_assert(BATCH_ROWS_MAX + CHANGES_MAX <= SLOT_INFLIGHT_MAX, "a round is noted whole");

/* ---- The end of a round ---- */

/*
 * What could not be stored goes back to where it was: the queue is in the order of time, which
 * expire_queue needs.
 */
static void put_back(struct persist *p, struct item **items, size_t n)
{
	struct list *before = p->queue.next;

	for (size_t i = 0; i < n; i++) {
		struct item *it = items[i];

		if (!it->is_again) {
			item_free(it);
			continue;
		}
		while (before != &p->queue &&
		       list_entry(before, struct item, node)->queued_ms < it->queued_ms)
			before = before->next;
		it->is_again = false;
		it->round = NULL;
		persist_put(p, it, before);
	}
}

static void pause_writer(struct worker *wk)
{
	struct persist *p = wk->persist;
	uint64_t now = clock_mono_ms();

	p->pause_ms = p->pause_ms ? MIN(p->pause_ms * 2, PAUSE_MAX_MS) : PAUSE_MIN_MS;
	/* workers that failed together do not come again together */
	p->pause_until_ms = now + p->pause_ms - hash_bytes(&now, sizeof(now)) % (p->pause_ms / 2);
	worker_wake_in(wk, p->pause_until_ms - now);
}

static void round_end(struct round *r)
{
	struct worker *wk = r->wk;
	struct persist *p = wk->persist;
	bool is_any = false;

	for (size_t i = 0; i < r->n_rows + r->n_changes; i++)
		is_any |= r->items[i]->is_again;
	if (is_any) /* what comes back may stand before what was skipped */
		persist_look_again(p);
	put_back(p, r->items, r->n_rows);
	put_back(p, r->items + r->n_rows, r->n_changes);
	if (is_any)
		pause_writer(wk);
	else
		p->pause_ms = 0;
	/* what is in doubt has gone to the inherited list before: fanout_republish */
	slot_inflight_clear(wk->shm, (unsigned)wk->slot);
	if (p->has_notes && filter_hits_report(dbio_writer(wk)) == 0)
		p->has_notes = false;
	free(r);
	p->round = NULL;
	persist_show(wk);
	worker_kick(wk);
}

/* After the announcement. A is the answer to a change. */
static void finish(struct worker *wk, struct item *it, enum verdict verdict,
		   const struct log_change_answer *a)
{
	wk->persist->has_notes |= it->note != NULL;
	if (verdict == VERDICT_UNKNOWN)
		fanout_republish(wk, it->event.conv);
	else if (it->is_duplicate)
		fanout_ensure(wk, it->event.conv, it->event.rev);
	if (verdict == VERDICT_AGAIN && it->is_revoked)
		item_refuse(wk, it, E_UNAUTHORIZED);
	else if (verdict == VERDICT_AGAIN && it->done && clock_mono_ms() < item_expires_at(wk, it))
		it->is_again = true;
	else if (verdict == VERDICT_AGAIN || verdict == VERDICT_UNKNOWN)
		item_refuse(wk, it, E_UNAVAILABLE);
	else
		item_answer(wk, it, a, NULL);
}

static void on_batch(void *arg, const struct batch_answer *answers, size_t n)
{
	struct round *r = arg;
	struct worker *wk = r->wk;
	struct event *events = xcalloc(n, sizeof(*events));
	enum verdict *verdicts = xcalloc(n, sizeof(*verdicts));
	size_t n_events = 0;

	for (size_t i = 0; i < n; i++) {
		verdicts[i] = item_judge_message(r->items[i], &answers[i]);
		if (verdicts[i] == VERDICT_STORED)
			events[n_events++] = r->items[i]->event;
	}
	FAULT_POINT("persist.committed");
	if (n_events)
		fanout_publish(wk, events, n_events);
	notices_stored(wk, events, n_events);
	FAULT_POINT("persist.announced");
	for (size_t i = 0; i < n; i++)
		finish(wk, r->items[i], verdicts[i], NULL);
	FAULT_POINT("persist.acknowledged");
	worker_count(wk, M_BATCHES, 1);
	worker_count(wk, M_BATCH_ROWS, n_events);
	worker_count(wk, M_MESSAGES_IN, n_events);
	free(events);
	free(verdicts);
	if (--r->n_open == 0)
		round_end(r);
}

static void on_change(void *arg, const struct log_change_answer *a)
{
	struct item *it = arg;
	struct round *r = it->round;
	struct worker *wk = r->wk;
	enum verdict verdict = item_judge_change(it, a);

	if (verdict == VERDICT_STORED) {
		stale_forget(wk, it->event.conv);
		FAULT_POINT("change.committed");
		fanout_publish(wk, &it->event, 1);
		FAULT_POINT("change.announced");
	}
	finish(wk, it, verdict, a);
	if (--r->n_open == 0)
		round_end(r);
}

/* ---- The beginning of a round ---- */

/* Whether IT may join the round; KEYS says what the round and the queue before IT hold. */
static bool may_join(struct map *keys, const struct item *it)
{
	static char has_message, is_blocked; /* the two values of the map: their addresses count */
	uint64_t key = item_key(it);
	void *before = map_get(keys, key);

	if (item_is_change(it)) {
		map_put(keys, key, &is_blocked); /* whatever follows waits for it */
		return !before;
	}
	if (!before)
		map_put(keys, key, &has_message);
	return before != &is_blocked;
}

/*
 * What follows something unjudged in its conversation waits with it: nothing overtakes, but for
 * what moderators do, which must not wait for the texts it may concern. FIRST and CONVS hold the
 * conversations of such items.
 */
static bool is_held(const struct map *first, struct map *convs, struct item *it)
{
	uint64_t conv = (uint64_t)it->event.conv;

	if (item_is_moderation(it))
		return false;
	if (it->judgement != JUDGE_DONE)
		map_put(convs, conv, it);
	return map_get(convs, conv) || map_get(first, conv);
}

/*
 * All that is held at the front of the queue is passed by once, however much it is: a conversation
 * whose judge is slow must not keep others waiting. Returns where to begin.
 */
static struct list *skip_held(struct persist *p)
{
	struct list *node = p->skip ? p->skip : p->queue.next;

	if (!p->n_held)
		return p->queue.next;
	while (node != &p->queue &&
	       is_held(&p->held, &p->held, list_entry(node, struct item, node)))
		node = node->next;
	return p->skip = node;
}

/* Takes items out of the queue: messages to the front of ITEMS, changes to CHANGES. */
static void gather(struct worker *wk, struct round *r, size_t rows_max, struct item **changes)
{
	struct persist *p = wk->persist;
	struct list *node, *next;
	struct map keys = {0}, held = {0};
	bool is_mixed = p->n_changes > 0 || p->n_held > 0;
	size_t left = LOOK_MAX;

	for (node = skip_held(p); node != &p->queue && left-- > 0; node = next) {
		struct item *it = list_entry(node, struct item, node);
		bool is_change = item_is_change(it);

		next = node->next;
		if (p->n_held && is_held(&p->held, &held, it))
			continue;
		if (is_mixed && !may_join(&keys, it))
			continue;
		if (is_change && r->n_changes < CHANGES_MAX)
			changes[r->n_changes++] = it;
		else if (!is_change && r->n_rows < rows_max)
			r->items[r->n_rows++] = it;
		else if (is_mixed)
			continue;
		else
			break;
		persist_take(p, it);
	}
	map_done(&keys);
	map_done(&held);
}

static struct round *round_new(struct worker *wk)
{
	size_t rows_max = MIN((size_t)wk->settings->persist_batch_max, BATCH_ROWS_MAX);
	size_t n = MIN(wk->persist->n_queued, rows_max + CHANGES_MAX);
	struct round *r = xcalloc(1, sizeof(*r) + n * sizeof(r->items[0]));
	struct item *changes[CHANGES_MAX];

	r->wk = wk;
	gather(wk, r, rows_max, changes);
	for (size_t i = 0; i < r->n_changes; i++)
		r->items[r->n_rows + i] = changes[i];
	for (size_t i = 0; i < r->n_rows + r->n_changes; i++)
		r->items[i]->round = r;
	return r;
}

/* Survivors look here when this process dies between commit and announcement. */
static void note_inflight(struct worker *wk, const struct round *r)
{
	int64_t convs[BATCH_ROWS_MAX + CHANGES_MAX];
	size_t n = 0;

	for (; n < r->n_rows + r->n_changes; n++)
		convs[n] = r->items[n]->event.conv;
	slot_inflight_set(wk->shm, (unsigned)wk->slot, convs, n);
}

/* Before what it is about, on the same connection: see filter_hit_add. */
static void note_flag(struct worker *wk, const struct item *it)
{
	const struct filter_hit hit = {.actor = it->event.actor,
				       .client_msg_id = it->event.client_msg_id,
				       .conv = it->event.conv,
				       .filter = it->note ? it->note->rule : 0,
				       .reason = it->note ? (struct str){it->note->reason,
									  it->note->len}
							  : STR("")};
	uint64_t held;

	if (it->note && filter_hit_add(dbio_writer(wk), &hit) < 0 &&
	    log_rate_pass(&wk->persist->rate, 10000, &held))
		log_warn("a flagged message could not be noted", LF_INT("suppressed", held));
}

static void send_rows(struct worker *wk, struct round *r)
{
	struct batch_row rows[BATCH_ROWS_MAX];
	struct buf metas = BUF_INIT;
	uint64_t deadline = item_expires_at(wk, r->items[0]);
	int err;

	if (r->n_rows == 0)
		return;
	for (size_t i = 0; i < r->n_rows; i++) {
		note_flag(wk, r->items[i]);
		item_row(r->items[i], &rows[i], &metas);
	}
	items_rows_settle(rows, r->n_rows, &metas);
	err = batch_submit(dbio_writer(wk), rows, r->n_rows, deadline, on_batch, r);
	buf_done(&metas);
	if (err == 0)
		r->n_open++;
	for (size_t i = 0; err && i < r->n_rows; i++)
		finish(wk, r->items[i], VERDICT_AGAIN, NULL);
	FAULT_POINT("persist.sent");
}

static void send_changes(struct worker *wk, struct round *r)
{
	for (size_t i = r->n_rows; i < r->n_rows + r->n_changes; i++) {
		struct item *it = r->items[i];
		int err;

		note_flag(wk, it);
		err = log_change_submit(dbio_writer(wk), &it->change, item_expires_at(wk, it),
					on_change, it, NULL);

		if (err == 0)
			r->n_open++;
		else if (err == -ERR_FULL)
			finish(wk, it, VERDICT_AGAIN, NULL);
		else
			item_refuse(wk, it, E_INVALID);
		FAULT_POINT("change.sent");
	}
}

static void round_begin(struct worker *wk)
{
	struct persist *p = wk->persist;
	struct round *r = p->round = round_new(wk);

	persist_show(wk);
	if (r->n_rows + r->n_changes == 0) { /* all that there is waits for the filters */
		free(r);
		p->round = NULL;
		return;
	}
	note_inflight(wk, r);
	send_rows(wk, r);
	send_changes(wk, r);
	if (r->n_open == 0)
		round_end(r);
}

/* ---- Time ---- */

/* Answers what has waited too long; what is under way goes on without its sender. */
static uint64_t expire_round(struct worker *wk, uint64_t now, uint64_t nearest)
{
	struct round *r = wk->persist->round;

	for (size_t i = 0; r && i < r->n_rows + r->n_changes; i++) {
		struct item *it = r->items[i];
		const uint64_t expires = item_expires_at(wk, it);

		if (!it->done)
			continue;
		if (expires <= now)
			item_refuse(wk, it, E_UNAVAILABLE);
		else
			nearest = MIN(nearest, expires);
	}
	return nearest;
}

static uint64_t expire_queue(struct worker *wk, uint64_t now, uint64_t *ret_n)
{
	struct persist *p = wk->persist;
	struct list *node;

	for (*ret_n = 0; (node = list_first(&p->queue)); ++*ret_n) {
		struct item *it = list_entry(node, struct item, node);

		if (item_expires_at(wk, it) > now)
			return item_expires_at(wk, it);
		persist_drop(wk, it, E_UNAVAILABLE, NULL);
	}
	return UINT64_MAX;
}

void persist_expire(struct worker *wk)
{
	struct persist *p = wk->persist;
	uint64_t now = clock_mono_ms(), n, held;

	p->expire_ms = expire_queue(wk, now, &n);
	p->expire_ms = expire_round(wk, now, p->expire_ms);
	persist_show(wk);
	if (n && log_rate_pass(&p->rate, 10000, &held))
		log_warn("messages refused: the database did not take them in time",
			 LF_INT("count", n), LF_INT("suppressed", held));
}

/* Senders hear in time, not with the next second. */
static void watch_time(struct worker *wk, uint64_t now)
{
	struct persist *p = wk->persist;

	if (p->expire_ms <= now)
		persist_expire(wk);
	if (p->expire_ms != UINT64_MAX)
		worker_wake_in(wk, p->expire_ms - now);
}

static void flush(struct worker *wk)
{
	struct persist *p = wk->persist;
	uint64_t delay = (uint64_t)wk->settings->persist_delay, now, age;

	if (!p->round && p->n_queued == 0) {
		p->expire_ms = 0;
		return;
	}
	now = clock_mono_ms();
	watch_time(wk, now);
	judge_run(wk);
	if (p->round || p->n_queued == p->n_held || !db_is_connected(dbio_writer(wk)))
		return;
	if (now < p->pause_until_ms) {
		worker_wake_in(wk, p->pause_until_ms - now);
		return;
	}
	age = now - list_entry(list_first(&p->queue), struct item, node)->queued_ms;
	if (age < delay && (int64_t)p->n_queued < wk->settings->persist_batch_max)
		worker_wake_in(wk, delay - age);
	else
		round_begin(wk);
}

void persist_flush(struct worker *wk)
{
	flush(wk);
	repeat_flush(wk);
}

bool persist_is_idle(const struct worker *wk)
{
	return !wk->persist->round && wk->persist->n_queued == 0 && repeat_is_idle(wk);
}

void persist_open(struct worker *wk)
{
	wk->persist = xcalloc(1, sizeof(*wk->persist));
	list_init(&wk->persist->queue);
	repeat_open(wk);
}

/* Nobody hears the answer any more, but who asked frees what was kept for it. */
static void give_up(struct worker *wk, struct item *it)
{
	judge_forget(wk, it);
	item_refuse(wk, it, E_UNAVAILABLE);
	item_free(it);
}

void persist_close(struct worker *wk)
{
	struct persist *p = wk->persist;
	struct list *node;

	while ((node = list_first(&p->queue))) {
		list_remove(node);
		give_up(wk, list_entry(node, struct item, node));
	}
	persist_look_again(p);
	for (size_t i = 0; p->round && i < p->round->n_rows + p->round->n_changes; i++)
		give_up(wk, p->round->items[i]);
	repeat_close(wk);
	free(p->round);
	free(p);
	wk->persist = NULL;
}
