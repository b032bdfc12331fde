/* SPDX-License-Identifier: MIT */
/*
 * Presence on the node: an event of the ring only says whose state to look at; what is told is
 * the state in shared memory at that time, if it differs from what was told before. So order and
 * loss of events do not matter.
 */
#include "worker/presence.h"

#include "base/clock.h"
#include "base/log.h"
#include "proto/dialect_native.h"
#include "shm/presence.h"
#include "worker/chan.h"
#include "worker/fanout.h"
#include "worker/names.h"
#include "worker/notices.h"
#include "worker/roster.h"
#include "worker/sio.h"
#include "worker/sse_conn.h"
#include "worker/ws_conn.h"

#define FRAME_MAX 500 /* changes in one frame */

enum scope { SCOPE_OFF, SCOPE_SHARED, SCOPE_ALL };
/* the choices of presence.scope, in order */
enum scope_setting { SET_AUTO, SET_ALL, SET_SHARED, SET_OFF };

/* Somebody who is online as far as the receivers know, or was a moment ago. */
struct person {
	int64_t user;
	char *name;	  /* owned */
	struct list node; /* in due or resting, or none */
	uint64_t told_ms; /* time of the last change that was told; 0: none */
	bool is_told;	  /* told to be online */
	bool is_due;	  /* in due */
	bool is_seen;	  /* in the list that resync reads */
};

struct presence {
	struct map people;   /* user -> struct person; SCOPE_ALL only */
	struct list due;     /* may have changed */
	struct list resting; /* told to be offline: kept for min_interval, oldest first */
	uint64_t flush_at_ms;
	enum scope scope;
	uint32_t n_here; /* connections of this worker that entered */
};

/* ---- The people ---- */

static struct person *person_get(struct presence *p, int64_t user, struct str name)
{
	struct person *person = map_get(&p->people, (uint64_t)user);

	if (person)
		return person;
	person = xcalloc(1, sizeof(*person));
	person->user = user;
	person->name = xstrndup(name.p, name.len);
	list_init(&person->node);
	map_put(&p->people, (uint64_t)user, person);
	return person;
}

static void person_free(struct presence *p, struct person *person)
{
	list_remove(&person->node);
	map_del(&p->people, (uint64_t)person->user);
	free(person->name);
	free(person);
}

static void people_clear(struct presence *p)
{
	uint32_t pos = 0;
	uint64_t key;
	void *person;

	while (map_next(&p->people, &pos, &key, &person))
		person_free(p, person);
	map_done(&p->people);
}

static void set_due(struct presence *p, struct person *person)
{
	if (person->is_due)
		return;
	person->is_due = true;
	list_remove(&person->node);
	list_append(&p->due, &person->node);
}

/* Whoever is offline is remembered only as long as that limits the next change. */
static void set_told(struct presence *p, struct person *person, bool is_told, uint64_t now)
{
	person->is_due = false;
	list_remove(&person->node);
	if (is_told != person->is_told)
		person->told_ms = now;
	person->is_told = is_told;
	if (is_told)
		return;
	if (person->told_ms)
		list_append(&p->resting, &person->node);
	else
		person_free(p, person);
}

/* ---- Telling ---- */

/* A frame and its notations, made when somebody needs them. */
struct frame {
	struct buf json, made[DIALECT_COUNT];
	bool is_whole; /* the whole set: makes good what was missed */
	struct names online; /* IS_WHOLE: owned */
	const struct native_presence *changes; /* borrowed */
	size_t n_changes;
	struct buf offset; /* owned; of the one receiver who has just come */
};

static void frame_done(struct frame *f)
{
	buf_done(&f->json);
	buf_done(&f->offset);
	names_done(&f->online);
	for (int d = 0; d < DIALECT_COUNT; d++)
		buf_done(&f->made[d]);
}

static bool is_receiver(const struct conn *c)
{
	return c->is_present && (dialect_is_native(c->dialect) || c->dialect == DIALECT_S4) &&
	       (c->state == CONN_WS || c->state == CONN_SSE);
}

static void frame_make(struct frame *f, enum dialect dialect)
{
	struct buf *b = &f->made[dialect];

	if (dialect != DIALECT_S4)
		ws_conn_frame(b, dialect, buf_str(&f->json));
	else if (f->is_whole)
		sio_add_online(b, &f->online, buf_str(&f->offset));
	for (size_t i = 0; dialect == DIALECT_S4 && i < f->n_changes; i++)
		sio_add_presence(b, &f->changes[i]);
}

static void frame_send(struct conn *c, void *arg)
{
	struct frame *f = arg;

	if (!is_receiver(c))
		return;
	if (c->out) { /* a full socket has more important things to take */
		c->is_presence_stale = true;
		return;
	}
	if (c->dialect == DIALECT_SSE) {
		sse_conn_frame(c, buf_str(&f->json));
	} else {
		if (!f->made[c->dialect].len)
			frame_make(f, c->dialect);
		buf_add_str(conn_reply(c), buf_str(&f->made[c->dialect]));
	}
	if (f->is_whole)
		c->is_presence_stale = false;
}

/* Everybody who is online, as a frame that replaces what the receiver knew; false: not known. */
static bool frame_whole(struct worker *wk, struct frame *f)
{
	*f = (struct frame){.is_whole = true};
	if (roster_read(wk->shm, (unsigned)wk->slot, MEMBER_NODE, names_add, &f->online) < 0)
		return false;
	native_add_roster(&f->json, 0, names_next_user, &f->online);
	return true;
}

struct batch {
	struct presence *p;
	const struct native_presence *changes;
	size_t n, at, end;
};

static bool batch_next(void *arg, struct native_presence *ret)
{
	struct batch *b = arg;

	if (b->at == b->end)
		return false;
	*ret = b->changes[b->at++];
	return true;
}

static void tell(struct worker *wk, const struct native_presence *changes, size_t n)
{
	struct batch b = {.changes = changes, .n = n};

	while (b.at < b.n) {
		struct frame f = {.changes = changes + b.at};

		b.end = MIN(b.n, b.at + FRAME_MAX);
		f.n_changes = b.end - b.at;
		native_add_presence_batch(&f.json, 0, batch_next, &b);
		conn_each(wk, frame_send, &f);
		frame_done(&f);
	}
}

/*
 * One person's turn: 1 and *RET when there is something to tell, 0 when not, -1 when it is too
 * early.
 */
static int take_change(struct worker *wk, struct person *person, uint64_t now,
		       struct native_presence *ret, uint64_t *nearest)
{
	uint64_t ready = person->told_ms + (uint64_t)wk->settings->presence_min_interval;
	bool is_online = false, was_told = person->is_told;

	if (person->told_ms && now < ready) {
		*nearest = MIN(*nearest, ready);
		return -1;
	}
	if (member_is_present(wk->shm, (unsigned)wk->slot, MEMBER_NODE, person->user, true,
			      &is_online) < 0) {
		*nearest = MIN(*nearest, now + 100);
		return -1;
	}
	*ret = (struct native_presence){
		.user = person->user,
		.name = str_of(person->name),
		.state = is_online ? "online" : "offline",
	};
	return is_online != was_told;
}

static void flush(struct worker *wk, uint64_t now)
{
	struct presence *p = wk->presence;
	struct native_presence *changes = NULL;
	struct list waiting, *node;
	size_t n = 0, cap = 0;
	uint64_t nearest = UINT64_MAX;

	list_move(&waiting, &p->due);
	while ((node = list_first(&waiting))) {
		struct person *person = list_entry(node, struct person, node);
		struct native_presence change;
		int r = take_change(wk, person, now, &change, &nearest);

		list_remove(node);
		if (r < 0) {
			list_append(&p->due, node);
			continue;
		}
		if (r && n == cap) {
			cap = cap ? cap * 2 : 16;
			changes = xrealloc(changes, cap * sizeof(*changes));
		}
		if (r)
			changes[n++] = change; /* the name lives: who was told lately is kept */
		set_told(p, person, r ? !person->is_told : person->is_told, now);
	}
	if (n) {
		tell(wk, changes, n);
		p->flush_at_ms = now + (uint64_t)wk->settings->presence_batch_interval;
	} else {
		p->flush_at_ms = now;
	}
	if (nearest != UINT64_MAX)
		p->flush_at_ms = MAX(p->flush_at_ms, nearest);
	free(changes);
}

static void forget_rested(struct worker *wk, uint64_t now)
{
	struct presence *p = wk->presence;
	struct list *node;

	while ((node = list_first(&p->resting))) {
		struct person *person = list_entry(node, struct person, node);

		if (now < person->told_ms + (uint64_t)wk->settings->presence_min_interval)
			break;
		person_free(p, person);
	}
}

void presence_run(struct worker *wk)
{
	struct presence *p = wk->presence;
	uint64_t now;

	if (list_empty(&p->due))
		return;
	now = clock_mono_ms();
	if (now >= p->flush_at_ms)
		flush(wk, now);
	if (!list_empty(&p->due))
		worker_wake_in(wk, p->flush_at_ms > now ? p->flush_at_ms - now : 1);
}

/* ---- Comparing with the truth ---- */

static void see(void *arg, int64_t user, struct str name)
{
	person_get(arg, user, name)->is_seen = true;
}

static void compare(struct worker *wk)
{
	struct presence *p = wk->presence;
	uint32_t pos = 0;
	uint64_t key;
	void *entry;

	if (roster_read(wk->shm, (unsigned)wk->slot, MEMBER_NODE, see, p) < 0)
		return;
	while (map_next(&p->people, &pos, &key, &entry)) {
		struct person *person = entry;

		if (person->is_seen != person->is_told)
			set_due(p, person);
		person->is_seen = false;
	}
}

void presence_event(struct worker *wk, const struct event *ev)
{
	struct presence *p = wk->presence;
	uint64_t soon;

	if (ev->type == EVT_ROSTER && ev->on) {
		presence_resync(wk);
		return;
	}
	if (ev->type == EVT_ROSTER && p->scope == SCOPE_ALL)
		compare(wk);
	if (p->scope != SCOPE_ALL || ev->type != EVT_PRESENCE)
		return;
	set_due(p, person_get(p, ev->actor, ev->actor_name));
	/* others may be waiting for their interval: that does not keep this one waiting */
	soon = clock_mono_ms() + (uint64_t)wk->settings->presence_batch_interval;
	p->flush_at_ms = MIN(p->flush_at_ms, soon);
}

void presence_resync(struct worker *wk)
{
	uint32_t pos = 0;
	uint64_t key;
	void *ch;

	if (wk->presence->scope == SCOPE_ALL)
		compare(wk);
	while (map_next(&wk->chans, &pos, &key, &ch))
		roster_restate(ch);
}

/* Rooms as well, or the node only. */
static void ask(struct worker *wk, bool with_rooms)
{
	const struct event ev = {
		.type = EVT_ROSTER,
		.conv = MEMBER_NODE,
		.at_ms = clock_wall_ms(),
		.on = with_rooms,
	};

	fanout_publish(wk, &ev, 1);
}

void presence_ask_resync(struct worker *wk)
{
	ask(wk, true);
}

static const char *scope_name(enum scope scope)
{
	static const char *const names[] = {"off", "shared", "all"};

	return names[scope];
}

void presence_catch_up(struct conn *c)
{
	struct worker *wk = conn_worker(c);
	struct frame f = {0};

	if (!c->is_presence_stale)
		return;
	c->is_presence_stale = false;
	native_add_scope(&f.json, scope_name(wk->presence->scope));
	frame_send(c, &f);
	frame_done(&f);
	if (wk->presence->scope != SCOPE_ALL)
		return;
	if (frame_whole(wk, &f)) {
		sio_add_first_offset(&f.offset, c);
		frame_send(c, &f);
	}
	frame_done(&f);
}

/* ---- The scope ---- */

static enum scope scope_now(const struct worker *wk)
{
	bool is_crowded = false;

	switch ((enum scope_setting)wk->settings->presence_scope) {
	case SET_ALL:
		return SCOPE_ALL;
	case SET_SHARED:
		return SCOPE_SHARED;
	case SET_OFF:
		return SCOPE_OFF;
	case SET_AUTO:
		break;
	}
	if (node_is_crowded(wk->shm, (unsigned)wk->slot,
			    (uint32_t)wk->settings->presence_auto_limit, &is_crowded) < 0)
		return wk->presence->scope;
	return is_crowded ? SCOPE_SHARED : SCOPE_ALL;
}

/* Those who are here are told, and from now on they know what is told here, or nothing. */
static void scope_change(struct worker *wk, enum scope scope)
{
	struct presence *p = wk->presence;
	struct frame f = {0};
	uint32_t pos = 0;
	uint64_t key;
	void *person;

	p->scope = scope;
	people_clear(p);
	native_add_scope(&f.json, scope_name(scope));
	conn_each(wk, frame_send, &f);
	frame_done(&f);
	if (scope != SCOPE_ALL)
		return;
	if (roster_read(wk->shm, (unsigned)wk->slot, MEMBER_NODE, see, p) < 0)
		log_debug("presence not read");
	while (map_next(&p->people, &pos, &key, &person)) {
		((struct person *)person)->is_told = true;
		((struct person *)person)->is_seen = false;
	}
	if (frame_whole(wk, &f))
		conn_each(wk, frame_send, &f);
	frame_done(&f);
	ask(wk, false); /* others may tell everybody already, and have heard nothing from here */
}

bool presence_is_told(const struct worker *wk)
{
	return wk->presence->scope == SCOPE_ALL;
}

void presence_look(struct worker *wk)
{
	struct presence *p = wk->presence;
	enum scope scope = scope_now(wk);

	if (scope != p->scope)
		scope_change(wk, scope);
	forget_rested(wk, clock_mono_ms());
}

struct str presence_scope(const struct worker *wk)
{
	return str_of(scope_name(wk->presence->scope));
}

/* ---- Coming and going ---- */

uint64_t presence_grace(const struct worker *wk, enum conn_end end)
{
	switch (end) {
	case CONN_END_BYE:
		return 0;
	case CONN_END_CLEAN:
		return (uint64_t)wk->settings->presence_grace_clean;
	case CONN_END_LOST:
		break;
	}
	return (uint64_t)wk->settings->presence_grace_lost;
}

void presence_enter(struct conn *c)
{
	struct worker *wk = conn_worker(c);
	bool is_first = false;

	if (c->is_present || !c->user || (c->state != CONN_WS && c->state != CONN_SSE))
		return;
	if (member_attach(wk->shm, (unsigned)wk->slot, MEMBER_NODE, c->user, str_of(c->name),
			  &is_first) < 0) {
		log_debug("a user could not be marked as online", LF_INT("user", c->user));
		return;
	}
	c->is_present = true;
	notices_enter(c);
	if (wk->presence->n_here++ == 0 && wk->presence->scope == SCOPE_ALL)
		compare(wk); /* nothing was for this worker while it had nobody to tell */
	if (is_first && presence_is_told(wk))
		fanout_presence(wk, MEMBER_NODE, c->user, str_of(c->name), true, PRESENCE_JOIN);
}

void presence_leave(struct conn *c, enum conn_end end)
{
	struct worker *wk = conn_worker(c);
	bool is_last = false;

	if (!c->is_present)
		return;
	c->is_present = false;
	notices_leave(c);
	wk->presence->n_here--;
	if (member_detach(wk->shm, (unsigned)wk->slot, MEMBER_NODE, c->user,
			  clock_mono_ms() + presence_grace(wk, end), &is_last) < 0)
		log_debug("a user was not marked as online", LF_INT("user", c->user));
	worker_tick_on(wk);
}

void presence_open(struct worker *wk)
{
	struct presence *p = wk->presence = xcalloc(1, sizeof(*p));

	list_init(&p->due);
	list_init(&p->resting);
	p->scope = scope_now(wk);
	if (p->scope == SCOPE_ALL)
		scope_change(wk, p->scope);
}

void presence_close(struct worker *wk)
{
	people_clear(wk->presence);
	free(wk->presence);
	wk->presence = NULL;
}
