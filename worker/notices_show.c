/* SPDX-License-Identifier: MIT */
/*
 * The last step of an announcement: from a record of the ring to the sockets of its receivers.
 * Who gets what is decided in notices.c.
 */
#include "worker/notices_priv.h"

#include "base/log.h"
#include "proto/s4.h"
#include "proto/ws.h"
#include "shm/presence.h"
#include "worker/chan.h"
#include "worker/sio.h"

#define SHOWN_MAX 16384 /* conversations remembered */
#define PARTS_BITS 12 /* of a number in SHOWN: revs have 32 */

/* Somebody's connections. */
struct noted {
	uint64_t *conns; /* owned; ids */
	uint32_t n;
};

void notices_enter(struct conn *c)
{
	struct worker *wk = conn_worker(c);
	struct notices *ns = wk->notices;
	struct noted *who;
	bool is_first;

	if (!ns || c->dialect != DIALECT_S4)
		return;
	if (ns->n_conns++ == 0 && member_attach(wk->shm, (unsigned)wk->slot, MEMBER_NOTED, 0,
						STR(""), &is_first) < 0)
		log_warn("a worker cannot ask for announcements");
	who = map_get(&ns->people, (uint64_t)c->user);
	if (!who) {
		who = xcalloc(1, sizeof(*who));
		map_put(&ns->people, (uint64_t)c->user, who);
	}
	who->conns = xrealloc(who->conns, (who->n + 1) * sizeof(*who->conns));
	who->conns[who->n++] = c->id;
}

static void person_free(struct notices *ns, int64_t user, struct noted *who)
{
	map_del(&ns->people, (uint64_t)user);
	free(who->conns);
	free(who);
}

void notices_leave(struct conn *c)
{
	struct worker *wk = conn_worker(c);
	struct notices *ns = wk->notices;
	struct noted *who = ns && c->user ? map_get(&ns->people, (uint64_t)c->user) : NULL;
	uint32_t i = 0;
	bool is_last;

	while (who && i < who->n && who->conns[i] != c->id)
		i++;
	if (!who || i == who->n)
		return;
	who->conns[i] = who->conns[--who->n];
	if (who->n == 0)
		person_free(ns, c->user, who);
	if (--ns->n_conns == 0 &&
	    member_detach(wk->shm, (unsigned)wk->slot, MEMBER_NOTED, 0, 0, &is_last) < 0)
		log_debug("a worker was not asking for announcements");
}

void notices_each(struct worker *wk, int64_t user, void (*fn)(struct conn *c, void *arg),
		  void *arg)
{
	const struct notices *ns = wk->notices;
	const struct noted *who;

	for (uint32_t i = 0; ns && (who = map_get(&ns->people, (uint64_t)user)) && i < who->n;
	     i++) {
		struct conn *c = conn_find(wk, who->conns[i]);

		if (c)
			fn(c, arg);
	}
}

/* ---- Showing ---- */

static void tell(struct conn *c, const struct event *ev, int64_t unread)
{
	const size_t most = (size_t)conn_worker(c)->settings->deliver_shed_at;
	const struct s4_view view = {.receiver = ev->subject};
	const bool is_joined = sub_find(c, ev->conv) != NULL;
	struct buf *b;
	size_t mark;

	/* a full socket has more important things to take */
	if (c->state != CONN_WS || conn_queued(c) >= most)
		return;
	b = conn_reply(c);
	mark = ws_frame_begin(b);
	s4_add_notification(b, ev, &view, unread, is_joined);
	ws_frame_end(b, mark, WS_OP_TEXT);
	if (!is_joined)
		sio_all_look(c);
}

static void tell_person(struct notices *ns, const struct notice_receiver *to,
			const struct event *ev)
{
	const struct noted *who = map_get(&ns->people, (uint64_t)to->user);

	for (uint32_t i = 0; who && i < who->n; i++) {
		struct conn *c = conn_find(ns->wk, who->conns[i]);

		if (c)
			tell(c, ev, to->unread);
	}
}

/* Another one took over the conversation and begins a little earlier: that was told here. */
static bool is_repeated(struct notices *ns, const struct event *ev, uint32_t part)
{
	uintptr_t number = ((uintptr_t)ev->rev << PARTS_BITS | part) + 1;

	if ((uintptr_t)map_get(&ns->shown, (uint64_t)ev->conv) >= number)
		return true;
	if (ns->shown.count >= SHOWN_MAX) {
		map_done(&ns->shown);
		ns->shown = (struct map){0};
	}
	map_put(&ns->shown, (uint64_t)ev->conv, (void *)number);
	return false;
}

void notices_show(struct worker *wk, struct str bytes)
{
	struct notices *ns = wk->notices;
	struct notice_tell head;
	struct notice_receiver to;
	struct event ev;
	size_t at = sizeof(head);

	if (bytes.len < at)
		return;
	memcpy(&head, bytes.p, sizeof(head));
	if (head.n > NOTICE_RECEIVERS_MAX || bytes.len - at < head.n * sizeof(to))
		return;
	at += head.n * sizeof(to);
	if (event_decode(bytes.p + at, bytes.len - at, &ev) < 0 ||
	    is_repeated(ns, &ev, head.part))
		return;
	for (uint32_t i = 0; i < head.n; i++) {
		memcpy(&to, bytes.p + sizeof(head) + i * sizeof(to), sizeof(to));
		tell_person(ns, &to, &ev);
	}
}

void notices_show_done(struct notices *ns)
{
	uint32_t pos = 0;
	uint64_t user;
	void *who;

	while (map_next(&ns->people, &pos, &user, &who))
		person_free(ns, (int64_t)user, who);
	map_done(&ns->people);
	map_done(&ns->shown);
}
