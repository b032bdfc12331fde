/* SPDX-License-Identifier: MIT */
/*
 * Map from byte strings to pointers: open addressing over entries that hold a copy of their key.
 * Maps from numbers are map.c's.
 */
#include "base/buf.h"
#include "base/map.h"

#define STRMAP_MIN_CAP 16

struct strmap_entry {
	uint64_t hash;
	void *value; /* not owned */
	size_t len;
	char key[];
};

/* Marks the place of a deleted entry, so that probes go on. */
static struct strmap_entry gone;

void strmap_done(struct strmap *m)
{
	for (uint32_t i = 0; i < m->cap; i++)
		if (m->slots[i] != &gone)
			free(m->slots[i]);
	free(m->slots);
	*m = (struct strmap){0};
}

static bool entry_is(const struct strmap_entry *e, uint64_t hash, struct str key)
{
	return e != &gone && e->hash == hash && e->len == key.len &&
	       (key.len == 0 || memcmp(e->key, key.p, key.len) == 0);
}

/* Where KEY is, or else the empty slot where its probe ends; the map has room. */
static uint32_t strmap_find(const struct strmap *m, uint64_t hash, struct str key)
{
	uint32_t i = (uint32_t)hash & (m->cap - 1);

	while (m->slots[i] && !entry_is(m->slots[i], hash, key))
		i = (i + 1) & (m->cap - 1);
	return i;
}

void *strmap_get(const struct strmap *m, struct str key)
{
	struct strmap_entry *e;

	if (m->count == 0)
		return NULL;
	e = m->slots[strmap_find(m, hash_bytes(key.p, key.len), key)];
	return e ? e->value : NULL;
}

static void strmap_rehash(struct strmap *m)
{
	struct strmap_entry **old = m->slots, *e;
	uint32_t old_cap = m->cap, cap = STRMAP_MIN_CAP;

	while (cap / 2 < m->count + 1)
		cap *= 2;
	m->slots = xcalloc(cap, sizeof(*m->slots));
	m->cap = cap;
	m->used = m->count;
	for (uint32_t from = 0; from < old_cap; from++) {
		e = old[from];
		if (e && e != &gone)
			m->slots[strmap_find(m, e->hash, (struct str){e->key, e->len})] = e;
	}
	free(old);
}

void strmap_put(struct strmap *m, struct str key, void *value)
{
	uint64_t hash = hash_bytes(key.p, key.len);
	struct strmap_entry *e;
	uint32_t i;

	assert(value);
	if (m->used >= m->cap / 4 * 3)
		strmap_rehash(m);
	i = strmap_find(m, hash, key);
	if (!m->slots[i]) {
		e = xmalloc(sizeof(*e) + key.len);
		e->hash = hash;
		e->len = key.len;
		if (key.len > 0)
			memcpy(e->key, key.p, key.len);
		m->slots[i] = e;
		m->count++;
		m->used++;
	}
	m->slots[i]->value = value;
}

void *strmap_del(struct strmap *m, struct str key)
{
	void *value;
	uint32_t i;

	if (m->count == 0)
		return NULL;
	i = strmap_find(m, hash_bytes(key.p, key.len), key);
	if (!m->slots[i])
		return NULL;
	value = m->slots[i]->value;
	free(m->slots[i]);
	m->slots[i] = &gone;
	m->count--;
	return value;
}

bool strmap_next(const struct strmap *m, uint32_t *pos, struct str *ret_key, void **ret_value)
{
	struct strmap_entry *e;

	for (; *pos < m->cap; (*pos)++) {
		e = m->slots[*pos];
		if (!e || e == &gone)
			continue;
		*ret_key = (struct str){e->key, e->len};
		*ret_value = e->value;
		(*pos)++;
		return true;
	}
	return false;
}
