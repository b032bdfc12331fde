/* SPDX-License-Identifier: MIT */
/*
 * Map from 64-bit keys to pointers: open addressing, linear probing.
 * A deleted entry keeps its key with a NULL value until the next rehash.
 */
#include "base/map.h"
#include "base/buf.h"
#include "base/hash_priv.h"

#define MAP_MIN_CAP 16

void map_done(struct map *m)
{
	free(m->keys);
	free(m->values);
	*m = (struct map){0};
}

/* Where KEY is, or else where its probe ends; the map has room. */
static uint32_t map_find(const struct map *m, uint64_t key)
{
	uint32_t i = (uint32_t)hash_u64(key) & (m->cap - 1);

	while (m->keys[i] != 0 && m->keys[i] != key)
		i = (i + 1) & (m->cap - 1);
	return i;
}

void *map_get(const struct map *m, uint64_t key)
{
	uint32_t i;

	assert(key != 0);
	if (m->count == 0)
		return NULL;
	i = map_find(m, key);
	return m->keys[i] ? m->values[i] : NULL;
}

/* Gives the live entries a table at most half full, larger or smaller than before. */
static void map_rehash(struct map *m)
{
	struct map old = *m;
	uint32_t cap = MAP_MIN_CAP, i;

	while (cap / 2 < old.count + 1)
		cap *= 2;
	m->keys = xcalloc(cap, sizeof(*m->keys));
	m->values = xcalloc(cap, sizeof(*m->values));
	m->cap = cap;
	m->used = old.count;
	for (uint32_t from = 0; from < old.cap; from++) {
		if (!old.keys[from] || !old.values[from])
			continue;
		i = map_find(m, old.keys[from]);
		m->keys[i] = old.keys[from];
		m->values[i] = old.values[from];
	}
	map_done(&old);
}

void map_put(struct map *m, uint64_t key, void *value)
{
	uint32_t i;

	assert(key != 0 && value);
	if (m->used >= m->cap / 4 * 3)
		map_rehash(m);
	i = map_find(m, key);
	if (!m->keys[i])
		m->used++;
	if (!m->keys[i] || !m->values[i])
		m->count++;
	m->keys[i] = key;
	m->values[i] = value;
}

void *map_del(struct map *m, uint64_t key)
{
	void *value = map_get(m, key);

	if (!value)
		return NULL;
	m->values[map_find(m, key)] = NULL;
	m->count--;
	return value;
}

bool map_next(const struct map *m, uint32_t *pos, uint64_t *ret_key, void **ret_value)
{
	for (; *pos < m->cap; (*pos)++) {
		if (!m->keys[*pos] || !m->values[*pos])
			continue;
		*ret_key = m->keys[*pos];
		*ret_value = m->values[*pos];
		(*pos)++;
		return true;
	}
	return false;
}
