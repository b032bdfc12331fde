/* SPDX-License-Identifier: MIT */
/*
 * Rebuilds what a lock guards from the records themselves, after its owner died inside.
 * Runs with that lock held, may be cut short and repeated. Finding dead owners is in lock.c.
 */
#include "shm/view_priv.h"

/* State FREE is the truth; what the dead process did to the list is forgotten. */
void repair_pool(struct shm *shm, enum pool pool)
{
	struct shm_pool *p = &shm->pools[pool];
	uint32_t high = pool_high(shm, pool), used = high;

	if (high > p->capacity)
		atomic_store(&p->high, high = used = p->capacity);
	p->free = 0;
	for (uint32_t i = high; i; i--) {
		struct shm_rec *rec = rec_at(shm, pool, i);

		if (rec_state(rec) != REC_FREE)
			continue;
		rec->next = p->free;
		p->free = i;
		used--;
	}
	atomic_store(&p->used, used);
}

/*
 * Records of the shard cannot change while its lock is held, those of others can: so first the
 * state, then the key, and what belongs to another shard is not touched.
 */
static bool is_in_shard(const struct shm *shm, const struct shm_rec *rec, unsigned shard)
{
	return rec_state(rec) != REC_FREE && room_shard(shm, rec_key(rec)) == shard;
}

static void room_empty(struct shm *shm, uint32_t idx)
{
	struct shm_room *room = room_at(shm, idx);

	room->members = room->typing = room->typing_last = 0;
	room->n_records = room->n_connections = room->n_users = room->n_typing = 0;
	atomic_store(&room->slots, 0);
	memset(room->slot_members, 0, shm->geo.n_slots * sizeof(*room->slot_members));
	rec_set_state(&room->rec, REC_LIVE);
	index_add(shm, INDEX_ROOMS, idx);
}

/*
 * A given up or half made record goes; the user's count of it is settled when the slot is
 * recovered.
 */
static int relink(struct shm *shm, unsigned me, enum pool pool, uint32_t idx)
{
	struct shm_entry *e = entry_at(shm, pool, idx);
	uint32_t room;
	int r;

	if (rec_state(&e->rec) == REC_CLAIMED)
		return pool_put(shm, me, pool, idx);
	r = room_get(shm, me, rec_key(&e->rec), &room);
	if (r < 0)
		return r;
	e->room_idx = room;
	if (rec_state(&e->rec) == REC_LINGER)
		e->count = 0;
	if (pool == POOL_MEMBERS)
		member_link(shm, idx);
	else
		typing_link(shm, idx);
	return 0;
}

int repair_rooms(struct shm *shm, unsigned me, unsigned shard)
{
	static const enum pool entries[] = {POOL_MEMBERS, POOL_TYPING};
	uint32_t high = pool_high(shm, POOL_ROOMS);
	int r = 0;

	index_clear(shm, INDEX_ROOMS, shard);
	index_clear(shm, INDEX_MEMBERS, shard);
	for (uint32_t i = 1; i <= high; i++)
		if (is_in_shard(shm, rec_at(shm, POOL_ROOMS, i), shard))
			room_empty(shm, i);
	for (unsigned k = 0; k < ARRAY_LEN(entries); k++) {
		uint32_t n = pool_high(shm, entries[k]);

		for (uint32_t i = 1; i <= n && !r; i++)
			if (is_in_shard(shm, rec_at(shm, entries[k], i), shard))
				r = relink(shm, me, entries[k], i);
	}
	high = pool_high(shm, POOL_ROOMS);
	for (uint32_t i = 1; i <= high && !r; i++)
		if (is_in_shard(shm, rec_at(shm, POOL_ROOMS, i), shard))
			r = room_free_unused(shm, me, i);
	return r;
}

static bool is_user_in_shard(const struct shm *shm, const struct shm_rec *rec, unsigned shard)
{
	return rec_state(rec) != REC_FREE && user_shard(shm, rec_key(rec)) == shard;
}

/* Names that no user of the shard points to are given back. */
static int names_collect(struct shm *shm, unsigned me, unsigned shard)
{
	uint32_t high = pool_high(shm, POOL_NAMES);
	int r = 0;

	for (uint32_t i = 1; i <= high && !r; i++) {
		struct shm_rec *rec = rec_at(shm, POOL_NAMES, i);
		uint32_t u;

		if (!is_user_in_shard(shm, rec, shard))
			continue;
		u = index_first(shm, INDEX_USERS, rec_key(rec), 0);
		while (u && user_at(shm, u)->long_name != i)
			u = user_at(shm, u)->rec.next;
		if (!u)
			r = pool_put(shm, me, POOL_NAMES, i);
	}
	return r;
}

int repair_users(struct shm *shm, unsigned me, unsigned shard)
{
	uint32_t high = pool_high(shm, POOL_USERS);
	int r = 0;

	index_clear(shm, INDEX_USERS, shard);
	for (uint32_t i = 1; i <= high && !r; i++) {
		struct shm_user *u = user_at(shm, i);

		if (!is_user_in_shard(shm, &u->rec, shard))
			continue;
		if (rec_state(&u->rec) == REC_CLAIMED) {
			r = pool_put(shm, me, POOL_USERS, i);
			continue;
		}
		index_add(shm, INDEX_USERS, i);
		r = user_free_unused(shm, me, i);
	}
	return r < 0 ? r : names_collect(shm, me, shard);
}
