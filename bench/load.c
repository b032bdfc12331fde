/* SPDX-License-Identifier: MIT */
/* Messages: who may send when, what has arrived, how long it took.
 * Leaves sockets to link.c and the arithmetic over processes to coord.c. */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "bench/gen.h"
#include "bench/herd.h"
#include "bench/link.h"

/* Request ids of sends start behind those of hello and sub. */
#define FIRST_ID 16
/* Sends of one turn in rate mode, should the generator have fallen behind. */
#define BURST_MAX 1000

/* By which an answer that tells of an error is known. */
static const char *const error_words[] = {
	[DIALECT_RAW] = "\"error\"", [DIALECT_NATIVE] = "\"err\"",
	[DIALECT_SOCKETIO] = "\"message_error\"", [DIALECT_FLOOR] = "\"error\"",
};

static bool is_counted(const struct gen *g)
{
	enum mode mode = g->conf->mode;

	return mode == MODE_FANOUT || mode == MODE_ROOMS || mode == MODE_ORDER;
}

/* Publishers send by the clock. */
static bool is_paced(const struct gen *g)
{
	return g->conf->mode == MODE_RATE || g->conf->mode == MODE_HERD;
}

static unsigned ring_len(const struct conf *cf)
{
	return cf->inflight * 4 > 64 ? cf->inflight * 4 : 64;
}

static void *zeroed(size_t n, size_t size)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		abort();
	return p;
}

void load_init(struct gen *g)
{
	const struct conf *cf = g->conf;
	size_t pubs = (size_t)cf->rooms * cf->publishers;

	g->local_members = zeroed(cf->rooms, sizeof(uint32_t));
	g->pub_of = zeroed(pubs, sizeof(uint32_t));
	g->pub = zeroed(pubs < g->link_count ? pubs : g->link_count, sizeof(*g->pub));
	g->dirty = zeroed(g->link_count, sizeof(*g->dirty));
	g->got = zeroed(is_counted(g) ? pubs * cf->inflight : 0, sizeof(uint32_t));
	g->filler = zeroed(1, cf->payload + 1);
	memset(g->filler, 'x', cf->payload);
	for (unsigned i = 0; i < g->link_count; i++) {
		struct link *l = &g->link[i];
		unsigned member = l->id % cf->members;
		struct pub *p;

		g->local_members[l->room]++;
		if (member >= cf->publishers)
			continue;
		p = &g->pub[g->pub_count++];
		*p = (struct pub){.id = l->room * cf->publishers + member, .link = l};
		p->sent_ns = zeroed(ring_len(cf), sizeof(uint64_t));
		g->pub_of[p->id] = g->pub_count;
		l->pub = p;
	}
}

static void mark_dirty(struct gen *g, struct pub *p)
{
	if (p->is_dirty)
		return;
	p->is_dirty = true;
	g->dirty[g->dirty_count++] = p;
}

/* Another process may own the publisher: then it is woken and looks at all of its own. */
static void complete(struct gen *g, uint32_t id, bool is_alone)
{
	const struct conf *cf = g->conf;
	unsigned owner = owner_of(cf, id / cf->publishers, id % cf->publishers);

	if (is_alone)
		atomic_store_explicit(&g->completed[id], g->completed[id] + 1,
				      memory_order_relaxed);
	else
		atomic_fetch_add(&g->completed[id], 1);
	if (owner == g->index)
		mark_dirty(g, &g->pub[g->pub_of[id] - 1]);
	else
		eventfd_write(g->shared->wake_fd[owner], 1);
}

/* One of our members has message n of publisher id: the last one completes it for this process,
 * the last process completes it for the room. */
static void count_in(struct gen *g, uint32_t room, const struct stamp *s)
{
	const struct conf *cf = g->conf;
	size_t slot = (size_t)s->pub * cf->inflight + s->n % cf->inflight;
	unsigned procs = cf->procs < cf->members ? cf->procs : cf->members;

	if (++g->got[slot] < g->local_members[room])
		return;
	g->got[slot] = 0;
	if (cf->rooms >= cf->procs) {
		complete(g, s->pub, true);
	} else if (atomic_fetch_add(&g->done[slot], 1) + 1 == procs) {
		atomic_store(&g->done[slot], 0);
		complete(g, s->pub, false);
	}
}

static void on_ack(struct gen *g, struct pub *p, uint32_t n)
{
	uint64_t sent = p->sent_ns[n % ring_len(g->conf)];

	if (n >= p->sent)
		return;
	bump(&g->own->acks, 1);
	if (g->stage == STAGE_MEASURE)
		hist_record(&g->own->ack, g->now - sent);
	if (g->conf->mode == MODE_SEND)
		complete(g, p->id, true);
}

static void on_stamp(struct gen *g, struct link *l, const struct stamp *s)
{
	const struct conf *cf = g->conf;
	uint32_t first = l->room * cf->publishers;

	if (s->pub < first || s->pub >= first + cf->publishers) {
		bump(&g->own->strays, 1);
		return;
	}
	bump(&g->own->deliveries, 1);
	if (g->stage == STAGE_MEASURE && (cf->mode != MODE_HERD || l->pub))
		hist_record(&g->own->delivery, g->now - s->ns);
	if (cf->mode == MODE_ORDER && l->count < cells_of(cf))
		g->order[l->id * cells_of(cf) + l->count] = (uint64_t)s->pub << 32 | s->n;
	l->count++;
	if (l->pub && l->pub->id == s->pub && cf->dialect != DIALECT_NATIVE)
		on_ack(g, l->pub, s->n);
	if (is_counted(g))
		count_in(g, l->room, s);
}

/* Native answers to our sends; several may share a frame with events. */
static unsigned scan_acks(struct gen *g, struct link *l, const char *text, size_t len)
{
	const char *at = text, *end = text + len;
	unsigned count = 0;
	uint64_t re;

	while (l->pub && (at = memmem(at, (size_t)(end - at), "\"ok\"", 4))) {
		at += 4;
		if (stamp_number(at, (size_t)(end - at), "\"re\":", &re) && re >= FIRST_ID)
			on_ack(g, l->pub, (uint32_t)(re - FIRST_ID));
		count++;
	}
	return count;
}

void load_text(struct gen *g, struct link *l, const char *text, size_t len)
{
	static uint32_t next_guess;
	uint32_t *guess = &l->guess;
	struct stamp s;
	size_t at = 0, end;
	unsigned found = 0;

	if (g->conf->mode == MODE_HERD)
		herd_text(g, l, text, len);
	while (stamp_find(text + at, len - at, guess, &s, &end)) {
		on_stamp(g, l, &s);
		at += end;
		guess = &next_guess; /* from one message of an array to the next */
		found++;
	}
	if (g->conf->dialect == DIALECT_NATIVE && l->pub)
		found += scan_acks(g, l, text, len);
	if (found)
		return;
	bump(&g->own->others, 1);
	if (stamp_has(text, len, error_words[g->conf->dialect])) {
		bump(&g->own->errors, 1);
		gen_trouble(g, "error frame: %.*s", (int)(len < 150 ? len : 150), text);
	}
}

/* Appends the frame of the publisher's next message to the scratch buffer. */
static size_t build(struct gen *g, struct pub *p, size_t at)
{
	const struct conf *cf = g->conf;
	const struct room *room = &cf->room[p->link->room];
	struct stamp s = {.pub = p->id, .n = p->sent, .ns = g->now};
	char text[ROOM_ID_MAX + 256 + 65536], key[40];
	const char *quote = room->is_text ? "\"" : "";
	int n;

	stamp_write(g->filler, &s);
	if (cf->dialect == DIALECT_FLOOR)
		return link_frame(g, at, g->filler, cf->payload);
	snprintf(key, sizeof(key), "%08x-%04x-8%03x-8%03x-%08x%04x", (unsigned)g->nonce,
		 (unsigned)(g->nonce >> 32 & 0xffff), p->id & 0xfff, p->id >> 12 & 0xfff, s.n,
		 p->id >> 24);
	if (cf->dialect == DIALECT_RAW)
		n = snprintf(text, sizeof(text),
			     "{\"type\":\"message\",\"content\":\"%s\",\"client_id\":\"%s\"}",
			     g->filler, key);
	else if (cf->dialect == DIALECT_SOCKETIO)
		n = snprintf(text, sizeof(text),
			     "42[\"send_message\",{\"conversationId\":%s%s%s,\"content\":\"%s\","
			     "\"clientMsgId\":\"%s\"}]",
			     quote, room->id, quote, g->filler, key);
	else
		n = snprintf(text, sizeof(text),
			     "{\"op\":\"send\",\"id\":%u,\"c\":%s%s%s,\"k\":\"%s\","
			     "\"content\":\"%s\"}",
			     s.n + FIRST_ID, quote, room->id, quote, key, g->filler);
	return link_frame(g, at, text, (size_t)n);
}

/* Sends count messages of one publisher with one call. */
static void publish(struct gen *g, struct pub *p, uint32_t count)
{
	size_t at = 0;

	if (p->link->state != LINK_LIVE)
		return;
	g->now = stamp_now();
	for (uint32_t i = 0; i < count; i++) {
		at = build(g, p, at);
		p->sent_ns[p->sent % ring_len(g->conf)] = g->now;
		p->sent++;
	}
	bump(&g->own->sends, count);
	link_send(g, p->link, g->scratch, at);
}

static uint32_t may_send(const struct gen *g, const struct pub *p)
{
	const struct conf *cf = g->conf;
	uint32_t upto = g->completed[p->id] + cf->inflight;
	uint32_t each = cf->messages / cf->publishers;

	if (cf->mode == MODE_ORDER && upto > each)
		upto = each;
	return upto > p->sent ? upto - p->sent : 0;
}

static bool is_open(const struct gen *g)
{
	return g->stage == STAGE_RUN || g->stage == STAGE_MEASURE;
}

void load_start(struct gen *g)
{
	g->due_ns = stamp_now();
	if (is_paced(g))
		return;
	for (unsigned i = 0; i < g->pub_count; i++)
		mark_dirty(g, &g->pub[i]);
}

void load_wake(struct gen *g)
{
	for (unsigned i = 0; i < g->pub_count && is_counted(g) && is_open(g); i++)
		mark_dirty(g, &g->pub[i]);
}

/* Publishers take turns, so that the load is even: one sends every period / publishers. */
static void turn_rate(struct gen *g)
{
	uint64_t gap = (uint64_t)((double)SEC_NS / g->conf->rate / g->pub_count);

	for (unsigned i = 0; i < BURST_MAX && g->due_ns <= g->now; i++) {
		if (g->stage == STAGE_MEASURE)
			hist_record(&g->own->lateness, g->now - g->due_ns);
		publish(g, &g->pub[g->due_pub], 1);
		g->due_pub = (g->due_pub + 1) % g->pub_count;
		g->due_ns += gap;
	}
}

void load_turn(struct gen *g)
{
	unsigned count = g->dirty_count;
	uint32_t sends;

	if (!is_open(g) || g->conf->mode == MODE_CONNECT)
		return;
	if (is_paced(g)) {
		if (g->pub_count)
			turn_rate(g);
		return;
	}
	g->dirty_count = 0;
	for (unsigned i = 0; i < count; i++) {
		struct pub *p = g->dirty[i];

		p->is_dirty = false;
		sends = may_send(g, p);
		if (sends)
			publish(g, p, sends);
	}
}

uint64_t load_wait(const struct gen *g)
{
	uint64_t now;

	if (!is_open(g) || !is_paced(g) || !g->pub_count)
		return is_open(g) && g->dirty_count ? 0 : UINT64_MAX;
	now = stamp_now();
	return g->due_ns > now ? g->due_ns - now : 0;
}
