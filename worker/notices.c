/* SPDX-License-Identifier: MIT */
/*
 * Which messages are to be announced, and to whom: the worker in charge of a conversation reads
 * both and hands them to the workers that the receivers are connected to.
 * Writing to sockets is notices_show.c's.
 */
#include "worker/notices_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "shm/presence.h"
#include "shm/rooms.h"
#include "shm/users.h"
#include "sql/direct.h"
#include "worker/chan_order.h"
#include "worker/dbio.h"
#include "worker/fanout.h"

#define PLACES_MAX 16384 /* conversations whose place is remembered */
#define AGAIN_MS 200	 /* after the database failed */

/*
 * Where a conversation's place is not known, the messages just before the one that is rung in are
 * announced with it: they may have been stored at once with it, by workers that ring a bit later.
 */
#define BEGIN_ROWS 256

/* How far a conversation is announced. */
struct place {
	struct list node; /* in notices.due, or none */
	int64_t conv, rev;
	int64_t first; /* 0: REV is exact; else a guess, and this is the message that was rung in */
};

/* One question under way. Its two answers come in this order. */
struct asking {
	struct worker *wk;
	int err, left;
	size_t n;
	int64_t convs[NOTICES_CONVS_MAX];
	struct buf events; /* struct found, each with its event's canonical bytes behind it */
};

struct found {
	int64_t conv, rev;
	size_t len;
	bool is_deleted;
};

/* ---- Ringing ---- */

static int owner_of(const struct worker *wk, int64_t conv)
{
	return (int)(conv % wk->boot->n_slots);
}

static struct place *place_get(struct notices *ns, int64_t conv, int64_t rev)
{
	struct place *p = map_get(&ns->places, (uint64_t)conv);
	uint32_t pos = 0;
	uint64_t key;
	void *old;

	if (p)
		return p;
	while (ns->places.count >= PLACES_MAX && map_next(&ns->places, &pos, &key, &old))
		if (list_empty(&((struct place *)old)->node)) {
			map_del(&ns->places, key);
			free(old);
		}
	p = xcalloc(1, sizeof(*p));
	p->conv = conv;
	p->rev = MAX(rev - 1 - BEGIN_ROWS, 0);
	p->first = rev;
	list_init(&p->node);
	map_put(&ns->places, (uint64_t)conv, p);
	return p;
}

static void set_due(struct worker *wk, int64_t conv, int64_t rev)
{
	struct notices *ns = wk->notices;
	struct place *p = place_get(ns, conv, rev);

	if (list_empty(&p->node))
		list_append(&ns->due, &p->node);
	worker_kick(wk);
}

static void ring(struct worker *wk, int64_t conv, int64_t rev)
{
	struct notice_bell bell = {.magic = NOTICE_BELL, .conv = conv, .rev = rev};
	int owner = owner_of(wk, conv);

	if (owner == wk->slot)
		set_due(wk, conv, rev);
	else if (fanout_control_to(wk, UINT64_C(1) << owner, &bell, sizeof(bell)) < 0)
		log_debug("a bell was not rung", LF_INT("conversation", conv));
}

/* The slots that have somebody to tell at all. */
static uint64_t listening(struct worker *wk)
{
	struct room_info info;

	return room_read(wk->shm, (unsigned)wk->slot, MEMBER_NOTED, &info) < 0 ? 0 : info.slots;
}

void notices_stored(struct worker *wk, const struct event *events, size_t n)
{
	static char rung; /* its address counts */
	struct map done = {0};

	if (!wk->notices || !n || !listening(wk))
		return;
	for (size_t i = 0; i < n; i++) {
		if (events[i].type != EVT_MESSAGE_NEW ||
		    map_get(&done, (uint64_t)events[i].conv))
			continue;
		map_put(&done, (uint64_t)events[i].conv, &rung);
		ring(wk, events[i].conv, events[i].rev);
	}
	map_done(&done);
}

bool notices_control(struct worker *wk, struct str bytes)
{
	struct notice_bell bell;

	if (!wk->notices || bytes.len < NOTICE_MAGIC_LEN)
		return false;
	if (!memcmp(bytes.p, NOTICE_TELL, NOTICE_MAGIC_LEN)) {
		notices_show(wk, bytes);
		return true;
	}
	if (memcmp(bytes.p, NOTICE_BELL, NOTICE_MAGIC_LEN) != 0)
		return false;
	if (bytes.len == sizeof(bell)) {
		memcpy(&bell, bytes.p, sizeof(bell));
		if (bell.conv > 0)
			set_due(wk, bell.conv, bell.rev);
	}
	return true;
}

/* ---- Handing over ---- */

/* Those of one message who are connected; in parts, and to the slots that they are connected to. */
struct telling {
	struct worker *wk;
	struct str event;
	uint64_t listening, slots;
	struct notice_tell head;
	struct notice_receiver to[NOTICE_RECEIVERS_MAX];
};

static void send_part(struct telling *t)
{
	struct buf b = BUF_INIT;

	if (t->head.n) {
		memcpy(t->head.magic, NOTICE_TELL, NOTICE_MAGIC_LEN);
		buf_add(&b, &t->head, sizeof(t->head));
		buf_add(&b, t->to, t->head.n * sizeof(t->to[0]));
		buf_add_str(&b, t->event);
		if (fanout_control_to(t->wk, t->slots, b.p, b.len) < 0)
			log_debug("an announcement was not handed over");
		buf_done(&b);
	}
	t->slots = 0;
	t->head.n = 0;
	t->head.part++;
}

static void add_receiver(struct telling *t, const struct notice_member *m)
{
	struct user_info info;
	uint64_t slots;

	if (user_read(t->wk->shm, (unsigned)t->wk->slot, m->user, &info) < 0)
		return;
	slots = info.slots & t->listening;
	if (!slots)
		return;
	t->slots |= slots;
	t->to[t->head.n++] = (struct notice_receiver){m->user, m->unread};
	if (t->head.n == NOTICE_RECEIVERS_MAX)
		send_part(t);
}

/* The event says who gets it, if that is one person. */
static void add_peer(struct buf *bytes, const struct event *ev, const struct notice_member *m)
{
	struct event direct = *ev;

	if (m->peer)
		direct.subject = m->user == ev->actor ? m->peer : m->user;
	event_encode(&direct, bytes);
}

static void announce(struct worker *wk, const struct event *ev, const struct db_result *members)
{
	struct telling *t = xcalloc(1, sizeof(*t));
	struct buf bytes = BUF_INIT;
	int n = db_rows(members);

	t->wk = wk;
	t->listening = listening(wk);
	for (int i = 0; t->listening && i < n; i++) {
		struct notice_member m;

		notices_member_get(members, i, &m);
		if (m.conv != ev->conv)
			continue;
		if (!bytes.len) {
			add_peer(&bytes, ev, &m);
			t->event = buf_str(&bytes);
		}
		if (m.user != ev->actor)
			add_receiver(t, &m);
	}
	send_part(t);
	buf_done(&bytes);
	free(t);
}

/* ---- Asking ---- */

static void take_event(struct asking *q, const struct db_result *res, int i)
{
	struct event_row row;
	struct key_text key;
	struct found f;
	struct event ev;
	struct buf bytes = BUF_INIT;

	event_row_get(res, i, &row);
	if (!chan_order_from_row(row.conv, &row, &key, &ev))
		return;
	event_encode(&ev, &bytes);
	f = (struct found){row.conv, row.rev, bytes.len, ev.on};
	buf_add(&q->events, &f, sizeof(f));
	buf_add_str(&q->events, buf_str(&bytes));
	buf_done(&bytes);
}

static void announce_all(struct asking *q, const struct db_result *members)
{
	struct notices *ns = q->wk->notices;
	struct found f;
	struct event ev;

	for (size_t at = 0; at < q->events.len; at += f.len) {
		struct place *p;

		memcpy(&f, q->events.p + at, sizeof(f));
		at += sizeof(f);
		p = map_get(&ns->places, (uint64_t)f.conv);
		if (!p || f.rev <= p->rev ||
		    event_decode(q->events.p + at, f.len, &ev) < 0)
			continue;
		p->rev = f.rev;
		p->first = 0;
		if (!f.is_deleted)
			announce(q->wk, &ev, members);
	}
}

/* Both answers have come. */
static void step(struct asking *q)
{
	struct worker *wk = q->wk;
	struct notices *ns = wk->notices;

	if (--q->left > 0)
		return;
	ns->is_asking = false;
	if (q->err)
		ns->again_ms = clock_mono_ms() + AGAIN_MS;
	for (size_t i = 0; q->err && i < q->n; i++)
		set_due(wk, q->convs[i], 1);
	worker_kick(wk);
	buf_done(&q->events);
	free(q);
}

static void on_events(void *arg, int err, const struct db_result *res)
{
	struct asking *q = arg;
	int n = err ? 0 : db_rows(res);

	q->err = err ? err : q->err;
	for (int i = 0; i < n; i++)
		take_event(q, res, i);
	for (size_t i = 0; n >= NOTICES_EVENTS_MAX && i < q->n; i++)
		set_due(q->wk, q->convs[i], 1); /* there may be more */
	step(q);
}

static void on_members(void *arg, int err, const struct db_result *res)
{
	struct asking *q = arg;

	q->err = err ? err : q->err;
	if (!q->err)
		announce_all(q, res);
	step(q);
}

static struct asking *take_due(struct notices *ns, int64_t *after, int64_t *first)
{
	struct asking *q = xcalloc(1, sizeof(*q));
	struct list *node;

	q->wk = ns->wk;
	while (q->n < NOTICES_CONVS_MAX && (node = list_first(&ns->due))) {
		struct place *p = list_entry(node, struct place, node);

		list_remove(node);
		after[q->n] = p->rev;
		first[q->n] = p->first;
		q->convs[q->n++] = p->conv;
	}
	return q;
}

void notices_flush(struct worker *wk)
{
	struct notices *ns = wk->notices;
	int64_t after[NOTICES_CONVS_MAX], first[NOTICES_CONVS_MAX];
	uint64_t now, deadline;
	struct asking *q;
	int r;

	if (ns->is_asking || list_empty(&ns->due))
		return;
	now = clock_mono_ms();
	if (now < ns->again_ms) {
		worker_wake_in(wk, ns->again_ms - now);
		return;
	}
	q = take_due(ns, after, first);
	ns->is_asking = true;
	q->left = 2;
	deadline = dbio_deadline(wk);
	r = notices_events(dbio_reader(wk), q->convs, after, first, q->n, deadline, on_events, q,
			   NULL);
	if (r < 0)
		on_events(q, r, NULL);
	r = notices_members(dbio_reader(wk), q->convs, q->n, deadline, on_members, q, NULL);
	if (r < 0)
		on_members(q, r, NULL);
}

/* ---- Life ---- */

void notices_open(struct worker *wk)
{
	struct notices *ns = wk->notices = xcalloc(1, sizeof(*ns));

	ns->wk = wk;
	list_init(&ns->due);
}

void notices_close(struct worker *wk)
{
	struct notices *ns = wk->notices;
	uint32_t pos = 0;
	uint64_t conv;
	void *p;

	while (map_next(&ns->places, &pos, &conv, &p))
		free(p);
	map_done(&ns->places);
	notices_show_done(ns);
	free(ns);
	wk->notices = NULL;
}
