/* SPDX-License-Identifier: MIT */
/*
 * A bounded store of answers by what was asked, the longest kept given up first.
 * Whether the database is away is dbio.c's to say.
 */
#include "worker/stale.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/map.h"
#include "worker/dbio.h"

/* Answers about one conversation: reading all of one pushes out no other's. */
#define CONV_MAX 8
#define RECONNECT_MS 500 /* a lost connection is often back by then: database.retry_min */

struct answer {
	struct list node;    /* in stale.answers */
	struct answer *next; /* about the same conversation, kept before this one; owned */
	struct stale_key key;
	uint64_t kept_ms;
	size_t len;
	char bytes[];
};

struct stale {
	struct list answers; /* struct answer.node: by the time of keeping */
	struct map convs;    /* index_of -> the newest struct answer */
	size_t size;	     /* of all answers, in bytes */
};

static uint64_t index_of(int64_t conv)
{
	return conv ? (uint64_t)conv : UINT64_MAX; /* the map has no key 0 */
}

static bool is_same(const struct stale_key *a, const struct stale_key *b)
{
	return a->what == b->what && a->conv == b->conv && a->rev == b->rev && a->from == b->from &&
	       a->limit == b->limit && a->user == b->user;
}

static void drop(struct stale *s, struct answer *a)
{
	const uint64_t index = index_of(a->key.conv);
	struct answer *first = map_get(&s->convs, index), **p = &first;

	while (*p != a)
		p = &(*p)->next;
	*p = a->next;
	if (first)
		map_put(&s->convs, index, first);
	else
		map_del(&s->convs, index);
	list_remove(&a->node);
	s->size -= sizeof(*a) + a->len;
	free(a);
}

/* Of one conversation: the answer to the same question, and the oldest of too many. */
static void drop_former(struct stale *s, const struct stale_key *key)
{
	struct answer *a = map_get(&s->convs, index_of(key->conv)), *next;

	for (int n = 1; a; a = next, n++) {
		next = a->next;
		if (is_same(&a->key, key) || n >= CONV_MAX)
			drop(s, a);
	}
}

void stale_keep(struct worker *wk, const struct stale_key *key, struct str bytes)
{
	const size_t max = (size_t)wk->settings->stale_size;
	const size_t need = sizeof(struct answer) + bytes.len;
	struct stale *s = wk->stale;
	struct answer *a;

	if (key->what == STALE_NOTHING)
		return;
	drop_former(s, key);
	while (!list_empty(&s->answers) && s->size + need > max)
		drop(s, list_entry(list_first(&s->answers), struct answer, node));
	if (need > max)
		return;
	a = xcalloc(1, need);
	a->key = *key;
	a->kept_ms = clock_mono_ms();
	a->len = bytes.len;
	if (bytes.len)
		memcpy(a->bytes, bytes.p, bytes.len);
	a->next = map_get(&s->convs, index_of(key->conv));
	map_put(&s->convs, index_of(key->conv), a);
	list_append(&s->answers, &a->node);
	s->size += need;
}

static struct answer *find(const struct worker *wk, const struct stale_key *key)
{
	struct answer *a = map_get(&wk->stale->convs, index_of(key->conv));
	const uint64_t age_max = (uint64_t)wk->settings->stale_age_max;

	if (key->what == STALE_NOTHING || !dbio_is_away(wk))
		return NULL;
	while (a && !is_same(&a->key, key))
		a = a->next;
	return a && clock_mono_ms() - a->kept_ms <= age_max ? a : NULL;
}

bool stale_find(struct worker *wk, const struct stale_key *key, struct str *ret,
		uint64_t *ret_age_ms)
{
	const struct answer *a = find(wk, key);

	if (!a)
		return false;
	*ret = (struct str){a->bytes, a->len};
	*ret_age_ms = clock_mono_ms() - a->kept_ms;
	worker_count(wk, M_STALE_ANSWERS, 1);
	return true;
}

void stale_forget(struct worker *wk, int64_t conv)
{
	struct answer *a;

	while ((a = map_get(&wk->stale->convs, index_of(conv))))
		drop(wk->stale, a);
}

uint64_t stale_deadline(struct worker *wk, const struct stale_key *key)
{
	const uint64_t away_ms = dbio_away_ms(wk), deadline = dbio_deadline(wk);
	const uint64_t soon = clock_mono_ms() + RECONNECT_MS - MIN(away_ms, RECONNECT_MS);

	return find(wk, key) ? MIN(soon, deadline) : deadline;
}

void stale_open(struct worker *wk)
{
	wk->stale = xcalloc(1, sizeof(*wk->stale));
	list_init(&wk->stale->answers);
}

void stale_close(struct worker *wk)
{
	struct stale *s = wk->stale;

	while (!list_empty(&s->answers))
		drop(s, list_entry(list_first(&s->answers), struct answer, node));
	map_done(&s->convs);
	free(s);
	wk->stale = NULL;
}
