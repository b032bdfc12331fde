/* SPDX-License-Identifier: MIT */
/*
 * Gathers sends while the previous batch is under way, commits them as one, then announces and acknowledges.
 * The statement and its retries are sql/batch's, the ring is fanout.c's.
 */
#include "worker/persist.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/list.h"
#include "base/log.h"
#include "proto/json.h"
#include "shm/slots.h"
#include "sql/batch.h"
#include "worker/dbio.h"
#include "worker/fanout.h"

/* One message on its way; strings are copies behind the structure. */
struct send {
	struct list node;
	struct event event;
	uint64_t queued_ms;
	persist_done_fn *done; /* NULL once answered */
	void *arg;
	char bytes[];
};

/* What is under way in the database: rows in the order of the answers. */
struct batch {
	struct worker *wk;
	size_t n;
	struct send *sends[]; /* owned */
};

struct persist {
	struct list queue; /* struct send.node */
	size_t n_queued;
	struct batch *batch; /* NULL: the writer is free */
	struct log_rate rate;
};

static struct str keep(char **at, struct str s)
{
	char *start = *at;

	if (s.len)
		memcpy(start, s.p, s.len);
	*at += s.len;
	return (struct str){start, s.len};
}

static struct send *send_new(const struct event *ev)
{
	size_t len = ev->actor_name.len + ev->content.len + ev->client_id.len;
	struct send *s = xmalloc(sizeof(*s) + len);
	char *at = s->bytes;

	list_init(&s->node);
	s->event = *ev;
	s->event.type = EVT_MESSAGE_NEW;
	s->event.actor_name = keep(&at, ev->actor_name);
	s->event.content = keep(&at, ev->content);
	s->event.client_id = keep(&at, ev->client_id);
	if (uuid_is_zero(&s->event.client_msg_id))
		s->event.client_msg_id = uuid_v7();
	s->queued_ms = clock_mono_ms();
	return s;
}

static void answer(struct worker *wk, struct send *s, enum proto_error error, bool is_duplicate)
{
	const struct persist_result res = {error, is_duplicate, &s->event};
	persist_done_fn *done = s->done;

	if (error)
		worker_count(wk, M_MESSAGES_REFUSED, 1);
	else if (is_duplicate)
		worker_count(wk, M_MESSAGES_DUPLICATE, 1);
	s->done = NULL;
	if (done)
		done(wk, s->arg, &res);
}

int persist_send(struct worker *wk, const struct event *ev, persist_done_fn *done, void *arg)
{
	struct persist *p = wk->persist;
	struct send *s;

	if ((int64_t)p->n_queued >= wk->settings->persist_queue_max)
		return -ERR_FULL;
	s = send_new(ev);
	s->done = done;
	s->arg = arg;
	list_append(&p->queue, &s->node);
	p->n_queued++;
	metric_set(wk->shm, (unsigned)wk->slot, M_PERSIST_QUEUE, (int64_t)p->n_queued);
	return 0;
}

/* ---- The answer of the database ---- */

/* What the row became; true when it is to be announced. */
static bool settle(struct worker *wk, struct send *s, const struct batch_answer *a,
		   enum proto_error *ret_error)
{
	*ret_error = E_NONE;
	switch (a->status) {
	case BATCH_STORED:
	case BATCH_DUPLICATE:
		/* keys are the sender's: this one stands for a message elsewhere, and this is lost */
		if (a->conv != s->event.conv) {
			*ret_error = E_CONFLICT;
			return false;
		}
		s->event.rev = a->rev;
		s->event.seq = a->seq;
		s->event.at_ms = a->at_ms;
		if (a->status == BATCH_DUPLICATE)
			fanout_ensure(wk, a->conv, a->rev);
		return a->status == BATCH_STORED;
	case BATCH_NO_CONV:
		*ret_error = E_NO_SUCH_ROOM;
		return false;
	case BATCH_FAILED:
		*ret_error = E_INVALID;
		return false;
	case BATCH_UNKNOWN:
		fanout_republish(wk, s->event.conv);
		*ret_error = E_UNAVAILABLE;
		return false;
	case BATCH_UNSENT:
		*ret_error = E_UNAVAILABLE;
		return false;
	}
	*ret_error = E_INTERNAL;
	return false;
}

static void batch_free(struct persist *p)
{
	for (size_t i = 0; i < p->batch->n; i++)
		free(p->batch->sends[i]);
	free(p->batch);
	p->batch = NULL;
}

static void on_batch(void *arg, const struct batch_answer *answers, size_t n)
{
	struct batch *b = arg;
	struct worker *wk = b->wk;
	struct event *events = xcalloc(n, sizeof(*events));
	enum proto_error *errors = xcalloc(n, sizeof(*errors));
	size_t n_events = 0;

	for (size_t i = 0; i < n; i++)
		if (settle(wk, b->sends[i], &answers[i], &errors[i]))
			events[n_events++] = b->sends[i]->event;
	FAULT_POINT("persist.committed");
	if (n_events)
		fanout_publish(wk, events, n_events);
	FAULT_POINT("persist.announced");
	slot_inflight_set(wk->shm, (unsigned)wk->slot, NULL, 0);
	for (size_t i = 0; i < n; i++)
		answer(wk, b->sends[i], errors[i], answers[i].status == BATCH_DUPLICATE);
	worker_count(wk, M_BATCHES, 1);
	worker_count(wk, M_BATCH_ROWS, n_events);
	worker_count(wk, M_MESSAGES_IN, n_events);
	free(events);
	free(errors);
	batch_free(wk->persist);
	worker_kick(wk);
}

/* ---- Sending a batch ---- */

static struct batch *take_batch(struct worker *wk)
{
	struct persist *p = wk->persist;
	size_t n = MIN(p->n_queued, (size_t)wk->settings->persist_batch_max);
	struct batch *b = xmalloc(sizeof(*b) + n * sizeof(b->sends[0]));

	b->wk = wk;
	b->n = n;
	for (size_t i = 0; i < n; i++) {
		b->sends[i] = list_entry(list_first(&p->queue), struct send, node);
		list_remove(&b->sends[i]->node);
	}
	p->n_queued -= n;
	return b;
}

/* Survivors look here when this process dies between commit and announcement. */
static void note_inflight(struct worker *wk, const struct batch *b)
{
	int64_t convs[BATCH_ROWS_MAX];

	for (size_t i = 0; i < b->n; i++)
		convs[i] = b->sends[i]->event.conv;
	slot_inflight_set(wk->shm, (unsigned)wk->slot, convs, b->n);
}

/* What a row keeps of its client beside the key's hash: the key as it was written. */
static struct str meta_of(const struct event *ev, struct buf *metas)
{
	size_t start = metas->len;

	if (!ev->client_id.len || !uuid_is_hash(&ev->client_msg_id))
		return STR("");
	buf_add_char(metas, '{');
	json_add_key_str(metas, "client_id", ev->client_id);
	buf_add_char(metas, '}');
	return (struct str){NULL, metas->len - start}; /* P when the buffer moves no more */
}

/* The rows of a batch; METAS holds what they borrow. */
static void fill_rows(const struct batch *b, struct batch_row *rows, struct buf *metas)
{
	size_t at = 0;

	for (size_t i = 0; i < b->n; i++) {
		const struct event *ev = &b->sends[i]->event;

		rows[i] = (struct batch_row){
			.conv = ev->conv,
			.sender = ev->actor,
			.client_msg_id = ev->client_msg_id,
			.content = ev->content,
			.reply_to_rev = ev->reply_to_rev,
			.meta_json = meta_of(ev, metas),
		};
	}
	for (size_t i = 0; i < b->n; i++) {
		if (!rows[i].meta_json.len)
			continue;
		rows[i].meta_json.p = (const char *)metas->p + at;
		at += rows[i].meta_json.len;
	}
}

static void submit(struct worker *wk)
{
	struct persist *p = wk->persist;
	struct batch_row rows[BATCH_ROWS_MAX];
	struct batch *b = p->batch = take_batch(wk);
	uint64_t deadline = b->sends[0]->queued_ms + (uint64_t)wk->settings->persist_wait_max;
	struct buf metas = BUF_INIT;
	int r;

	fill_rows(b, rows, &metas);
	note_inflight(wk, b);
	r = batch_submit(dbio_writer(wk), rows, b->n, deadline, on_batch, b);
	buf_done(&metas);
	if (r == 0)
		return;
	slot_inflight_set(wk->shm, (unsigned)wk->slot, NULL, 0);
	for (size_t i = 0; i < b->n; i++)
		answer(wk, b->sends[i], E_UNAVAILABLE, false);
	batch_free(p);
}

void persist_flush(struct worker *wk)
{
	struct persist *p = wk->persist;
	uint64_t delay = (uint64_t)wk->settings->persist_delay, age;

	if (p->batch || p->n_queued == 0 || !db_is_connected(dbio_writer(wk)))
		return;
	age = clock_mono_ms() - list_entry(list_first(&p->queue), struct send, node)->queued_ms;
	if (age < delay && (int64_t)p->n_queued < wk->settings->persist_batch_max)
		worker_wake_in(wk, delay - age);
	else
		submit(wk);
}

void persist_expire(struct worker *wk)
{
	struct persist *p = wk->persist;
	uint64_t now = clock_mono_ms(), limit = (uint64_t)wk->settings->persist_wait_max, n = 0, held;
	struct list *node;

	while ((node = list_first(&p->queue))) {
		struct send *s = list_entry(node, struct send, node);

		if (now - s->queued_ms < limit)
			break;
		list_remove(node);
		p->n_queued--;
		answer(wk, s, E_UNAVAILABLE, false);
		free(s);
		n++;
	}
	for (size_t i = 0; p->batch && i < p->batch->n; i++)
		if (now - p->batch->sends[i]->queued_ms >= limit)
			answer(wk, p->batch->sends[i], E_UNAVAILABLE, false);
	if (n && log_rate_pass(&p->rate, 10000, &held))
		log_warn("messages refused: the database did not take them in time",
			 LF_INT("count", n), LF_INT("suppressed", held));
}

bool persist_is_idle(const struct worker *wk)
{
	return !wk->persist->batch && wk->persist->n_queued == 0;
}

void persist_open(struct worker *wk)
{
	wk->persist = xcalloc(1, sizeof(*wk->persist));
	list_init(&wk->persist->queue);
}

void persist_close(struct worker *wk)
{
	struct persist *p = wk->persist;
	struct list *node;

	while ((node = list_first(&p->queue))) {
		list_remove(node);
		free(list_entry(node, struct send, node));
	}
	if (p->batch)
		batch_free(p);
	free(p);
	wk->persist = NULL;
}
