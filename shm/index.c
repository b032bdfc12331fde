/* SPDX-License-Identifier: MIT */
/*
 * Hash indexes over the tables of records, one for each shard: linear hashing after Litwin (1980).
 * An index that is full splits one bucket with each record that it takes, so that chains stay
 * short however unequal the shards are, a small node touches little memory, and nobody ever waits
 * until a whole table is dealt out anew.
 */
#include "shm/view_priv.h"

/* Records for each bucket, from which on an index grows. */
#define CHAIN 4

static const struct {
	enum pool pool;
	unsigned first; /* number of its first shard's index */
} rows[INDEXES] = {
	[INDEX_ROOMS] = {POOL_ROOMS, 0},
	[INDEX_MEMBERS] = {POOL_MEMBERS, ROOM_SHARDS},
	[INDEX_USERS] = {POOL_USERS, 2 * ROOM_SHARDS},
};

static struct shm_index *index_at(const struct shm *shm, enum index id, unsigned shard)
{
	return &shm->indexes[rows[id].first + shard];
}

static struct shm_index *index_of(const struct shm *shm, enum index id, int64_t key)
{
	return index_at(shm, id,
			id == INDEX_USERS ? user_shard(shm, key) : room_shard(shm, key));
}

/* The bits that choose the shard say nothing within it. */
static uint32_t hash_of(const struct shm *shm, enum index id, int64_t key, int64_t user)
{
	uint64_t x = (uint64_t)key;

	if (id == INDEX_MEMBERS)
		x = x * 0x9e3779b97f4a7c15ULL + (uint64_t)user;
	return (uint32_t)(hash64(shm, x) >> 32);
}

static uint32_t hash_of_rec(const struct shm *shm, enum index id, uint32_t idx)
{
	const struct shm_rec *rec = rec_at(shm, rows[id].pool, idx);
	int64_t user = id == INDEX_MEMBERS ? ((const struct shm_entry *)rec)->user : 0;

	return hash_of(shm, id, rec_key(rec), user);
}

static uint32_t n_buckets(const struct shm_index *x)
{
	return INDEX_FIRST + x->more;
}

/* The greatest power of two that is not above N > 0. */
static uint32_t pow2_below(uint32_t n)
{
	return 1u << (31 - __builtin_clz(n));
}

/* The part that bucket B >= INDEX_FIRST lies in: part P begins with bucket INDEX_FIRST << P. */
static unsigned part_of(uint32_t b)
{
	return (unsigned)__builtin_ctz(pow2_below(b) / INDEX_FIRST);
}

static uint32_t *bucket_at(const struct shm *shm, const struct shm_index *x, uint32_t b)
{
	if (b < INDEX_FIRST)
		return &shm->buckets[(size_t)(x - shm->indexes) * INDEX_FIRST + b];
	return &shm->buckets[x->part[part_of(b)] + b - pow2_below(b)];
}

static uint32_t *bucket_of(const struct shm *shm, const struct shm_index *x, uint32_t hash)
{
	uint32_t n = n_buckets(x), low = pow2_below(n), b = hash & (2 * low - 1);

	return bucket_at(shm, x, b < n ? b : hash & (low - 1));
}

uint32_t index_first(const struct shm *shm, enum index id, int64_t key, int64_t user)
{
	return *bucket_of(shm, index_of(shm, id, key), hash_of(shm, id, key, user));
}

/* Buckets for a new part, which nobody had before. False: there are no more. */
static bool part_take(struct shm *shm, struct shm_index *x, unsigned part)
{
	uint32_t n = INDEX_FIRST << part, used = atomic_load(shm->buckets_used);

	do {
		if (n > shm->buckets_n - INDEX_FIRST * INDEXES_TOTAL - used)
			return false;
	} while (!atomic_compare_exchange_weak(shm->buckets_used, &used, used + n));
	x->part[part] = INDEX_FIRST * INDEXES_TOTAL + used;
	return true;
}

/* One bucket more, which takes its records from the one that had them so far. */
static void split(struct shm *shm, enum index id, struct shm_index *x)
{
	uint32_t b = n_buckets(x), *from, idx, *to;

	if (part_of(b) >= INDEX_PARTS ||
	    (!x->part[part_of(b)] && !part_take(shm, x, part_of(b))))
		return; /* chains get longer */
	from = bucket_at(shm, x, b - pow2_below(b));
	idx = *from;
	x->more++;
	FAULT_POINT("index.split");
	*from = 0;
	while (idx) {
		struct shm_rec *rec = rec_at(shm, rows[id].pool, idx);
		uint32_t next = rec->next;

		to = bucket_of(shm, x, hash_of_rec(shm, id, idx));
		rec->next = *to;
		*to = idx;
		idx = next;
	}
}

void index_add(struct shm *shm, enum index id, uint32_t idx)
{
	struct shm_rec *rec = rec_at(shm, rows[id].pool, idx);
	struct shm_index *x = index_of(shm, id, rec_key(rec));
	uint32_t *bucket = bucket_of(shm, x, hash_of_rec(shm, id, idx));

	rec->next = *bucket;
	*bucket = idx;
	if (++x->n > CHAIN * n_buckets(x))
		split(shm, id, x);
}

void index_del(struct shm *shm, enum index id, uint32_t idx)
{
	struct shm_rec *rec = rec_at(shm, rows[id].pool, idx);
	struct shm_index *x = index_of(shm, id, rec_key(rec));
	uint32_t *p = bucket_of(shm, x, hash_of_rec(shm, id, idx));

	while (*p && *p != idx)
		p = &rec_at(shm, rows[id].pool, *p)->next;
	if (!*p)
		return;
	*p = rec->next;
	x->n--;
}

void index_clear(struct shm *shm, enum index id, unsigned shard)
{
	struct shm_index *x = index_at(shm, id, shard);

	for (uint32_t b = 0; b < n_buckets(x); b++)
		*bucket_at(shm, x, b) = 0;
	x->n = 0;
}
