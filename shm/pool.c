/* SPDX-License-Identifier: MIT */
/*
 * Free lists of the tables: used records come first, fresh ones from the high-water mark.
 * What a record means, and in which chains it hangs, is known to its user.
 */
#include "shm/view_priv.h"

int pool_lock(struct shm *shm, unsigned me, enum pool pool)
{
	int r = lock_wait(shm, LOCK_POOLS, pool, me);

	if (r != -ERR_DIRTY)
		return r;
	repair_pool(shm, pool);
	lock_clean(shm, LOCK_POOLS, pool, me);
	return 0;
}

/* Index of a record off every list, or 0. */
static uint32_t pop(struct shm *shm, struct shm_pool *p, enum pool pool)
{
	uint32_t idx = p->free;

	if (idx) {
		p->free = rec_at(shm, pool, idx)->next;
		FAULT_POINT("pool.popped");
		return idx;
	}
	if (atomic_load_explicit(&p->high, memory_order_relaxed) >= p->capacity)
		return 0;
	idx = 1 + atomic_fetch_add_explicit(&p->high, 1, memory_order_release);
	FAULT_POINT("pool.grown");
	return idx;
}

int pool_get(struct shm *shm, unsigned me, enum pool pool, int64_t key, uint32_t *ret)
{
	struct shm_pool *p = &shm->pools[pool];
	uint32_t idx;
	int r = pool_lock(shm, me, pool);

	if (r < 0)
		return r;
	idx = pop(shm, p, pool);
	if (idx) {
		struct shm_rec *rec = rec_at(shm, pool, idx);

		if (pool != POOL_NAMES)
			memset(rec + 1, 0, shm->stride[pool] - sizeof(*rec));
		rec->next = 0;
		rec->len = 0;
		atomic_store_explicit(&rec->key, key, memory_order_relaxed);
		atomic_store_explicit(&rec->slot, (uint8_t)me, memory_order_relaxed);
		rec_set_state(rec, REC_CLAIMED);
		atomic_fetch_add_explicit(&p->used, 1, memory_order_relaxed);
	}
	lock_drop(shm, LOCK_POOLS, pool, me);
	if (!idx)
		return -ERR_FULL;
	*ret = idx;
	return 0;
}

int pool_put(struct shm *shm, unsigned me, enum pool pool, uint32_t idx)
{
	struct shm_pool *p = &shm->pools[pool];
	struct shm_rec *rec = rec_at(shm, pool, idx);
	int r = pool_lock(shm, me, pool);

	if (r < 0)
		return r;
	rec_set_state(rec, REC_FREE);
	FAULT_POINT("pool.freed");
	rec->next = p->free;
	p->free = idx;
	atomic_fetch_sub_explicit(&p->used, 1, memory_order_relaxed);
	lock_drop(shm, LOCK_POOLS, pool, me);
	return 0;
}
