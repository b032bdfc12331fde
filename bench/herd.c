/* SPDX-License-Identifier: MIT */
/* The mode herd: what is cut, when each comes back, what it may not miss.
 * Every socket counts the revisions of its room; a step other than one is a loss or a repeat. */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "bench/herd.h"
#include "bench/link.h"

/*
 * A client library's usual pause after a refusal without a hint: half a second to one and a half.
 */
#define PAUSE_NS (SEC_NS / 2)
#define PAUSE_SPREAD_MS 1000

/* Sockets closed or opened in one turn: answers that come meanwhile are to be read in time. */
#define TURN_MAX 64

static uint64_t cut_at(const struct gen *g)
{
	return g->measure_ns + g->conf->cut_ns;
}

static void cut(struct gen *g, struct link *l)
{
	const struct linger hard = {.l_onoff = 1};

	if (l->state == LINK_LIVE) {
		bump(&g->own->live, (uint64_t)-1);
		g->live--;
	}
	setsockopt(l->fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	link_close(g, l);
	l->is_cut = true;
	l->retry_ns = g->now;
	g->waiting++;
	bump(&g->own->cut, 1);
}

/* The next ones that are to be cut; all within as many turns as it takes. */
static void cut_some(struct gen *g)
{
	for (unsigned left = TURN_MAX; left && g->at < g->link_count; g->at++) {
		struct link *l = &g->link[g->at];

		if (l->pub || l->state != LINK_LIVE)
			continue;
		cut(g, l);
		left--;
	}
	g->has_cut = g->at == g->link_count;
}

static void open_some(struct gen *g)
{
	unsigned left = TURN_MAX;

	for (unsigned i = 0; i < g->link_count && g->waiting && left; i++, g->at++) {
		struct link *l = &g->link[g->at % g->link_count];

		if (!l->is_cut || l->state != LINK_FREE || l->retry_ns > g->now)
			continue;
		g->waiting--;
		left--;
		link_open(g, l);
	}
}

void herd_turn(struct gen *g)
{
	if (g->stage < STAGE_MEASURE || g->stage == STAGE_QUIT)
		return;
	if (g->has_cut)
		open_some(g);
	else if (g->now >= cut_at(g))
		cut_some(g);
}

/* While some of those that are cut off wait for their first attempt there is no pause. */
static bool is_busy(const struct gen *g)
{
	return g->has_cut ? g->waiting && g->at < 2 * g->link_count : g->at > 0;
}

uint64_t herd_wait(const struct gen *g)
{
	uint64_t now = stamp_now();

	if (is_busy(g))
		return 0;
	if (g->waiting)
		return SEC_NS / 100;
	if (g->has_cut || g->stage != STAGE_MEASURE)
		return UINT64_MAX;
	return cut_at(g) > now ? cut_at(g) - now : 0;
}

int herd_hello(const struct gen *g, const struct link *l, char *buf, size_t room)
{
	return snprintf(buf, room,
			"{\"op\":\"hello\",\"id\":1,\"name\":\"%s-u%u\",\"resume\":\"%s\","
			"\"seen\":{\"%s\":%llu}}",
			g->conf->prefix, l->id, l->cursor, g->conf->room[l->room].id,
			(unsigned long long)l->rev);
}

bool herd_welcome(struct link *l, const char *text, size_t len)
{
	static const char key[] = "\"cursor\":\"";
	const char *from = memmem(text, len, key, sizeof(key) - 1), *to;

	free(l->cursor);
	l->cursor = NULL;
	if (!from)
		return false;
	from += sizeof(key) - 1;
	to = memchr(from, '"', len - (size_t)(from - text));
	if (to)
		l->cursor = strndup(from, (size_t)(to - from));
	return stamp_has(text, len, "\"resumed\":true");
}

bool herd_failed(struct gen *g, struct link *l, const char *why)
{
	if (!l->is_cut)
		return false;
	gen_trouble(g, "socket %u comes again: %s", l->id, why);
	if (l->state == LINK_LIVE) {
		bump(&g->own->live, (uint64_t)-1);
		g->live--;
	} else {
		g->pending--;
	}
	link_close(g, l);
	l->retry_ns = stamp_now() + PAUSE_NS +
		      (uint64_t)(random() % PAUSE_SPREAD_MS) * (SEC_NS / 1000);
	g->waiting++;
	bump(&g->own->retries, 1);
	return true;
}

void herd_text(struct gen *g, struct link *l, const char *text, size_t len)
{
	uint64_t rev;

	if (!stamp_has(text, len, "\"ev\"") || !stamp_number(text, len, "\"rev\":", &rev))
		return;
	if (l->rev && rev != l->rev + 1) {
		bump(&g->own->gaps, 1);
		gen_trouble(g, "socket %u: revision %llu after %llu", l->id,
			    (unsigned long long)rev, (unsigned long long)l->rev);
	}
	l->rev = rev;
}

void herd_live(struct gen *g, struct link *l, const char *text, size_t len)
{
	uint64_t rev = 0;

	stamp_number(text, len, "\"rev\":", &rev);
	if (l->is_cut) {
		bump(&g->own->gaps, l->rev != rev);
		bump(&g->own->resumed, 1);
		hist_record(&g->own->resume, stamp_now() - cut_at(g));
	}
	l->rev = rev;
}
