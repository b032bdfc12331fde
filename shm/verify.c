/* SPDX-License-Identifier: MIT */
/*
 * Compares everything derived with the records it comes from, without changing either.
 * For an operator's check and for tests; counts across shards agree only while nobody changes them.
 */
#include "shm/recover.h"
#include "shm/view_priv.h"

/* What the lists of one room say. */
struct tally {
	uint32_t records, connections, users, typing;
	uint32_t live[SLOT_MAX];
};

static bool entry_is_sound(const struct shm *shm, enum pool pool, uint32_t idx, uint32_t room)
{
	const struct shm_entry *e = entry_at(shm, pool, idx);
	enum rec_state state = rec_state(&e->rec);
	const struct shm_user *u = user_at(shm, e->user_idx);

	return (state == REC_LIVE ? e->count > 0 : state == REC_LINGER && e->count == 0) &&
	       e->room_idx == room && rec_key(&e->rec) == rec_key(&room_at(shm, room)->rec) &&
	       rec_slot(&e->rec) < shm->geo.n_slots &&
	       (e->user ? rec_key(&u->rec) == e->user && rec_state(&u->rec) == REC_LIVE
			: pool == POOL_MEMBERS && state == REC_LIVE && !e->user_idx);
}

/* Counts the room's member list; false when a record is wrong or the list does not end. */
static bool members_tally(const struct shm *shm, uint32_t room, struct tally *t)
{
	uint32_t limit = pool_high(shm, POOL_MEMBERS), prev = 0;

	for (uint32_t i = room_at(shm, room)->members; i;
	     i = entry_at(shm, POOL_MEMBERS, i)->room_next) {
		const struct shm_entry *e = entry_at(shm, POOL_MEMBERS, i);
		unsigned slot = rec_slot(&e->rec);

		if (t->records++ >= limit || !entry_is_sound(shm, POOL_MEMBERS, i, room) ||
		    e->room_prev != prev || member_find(shm, rec_key(&e->rec), e->user, slot) != i)
			return false;
		if (e->is_primary > 1)
			return false;
		if (e->is_primary)
			t->users++;
		else if (e->user && !member_find_other(shm, rec_key(&e->rec), e->user, i))
			return false;
		t->connections += e->user ? e->count : 0;
		t->live[slot] += rec_state(&e->rec) == REC_LIVE;
		prev = i;
	}
	return true;
}

static bool typing_tally(const struct shm *shm, uint32_t room, struct tally *t)
{
	uint32_t limit = pool_high(shm, POOL_TYPING), prev = 0;

	for (uint32_t i = room_at(shm, room)->typing; i;
	     i = entry_at(shm, POOL_TYPING, i)->room_next) {
		if (t->typing++ >= limit || !entry_is_sound(shm, POOL_TYPING, i, room) ||
		    entry_at(shm, POOL_TYPING, i)->room_prev != prev)
			return false;
		prev = i;
	}
	return room_at(shm, room)->typing_last == prev;
}

static bool room_is_sound(const struct shm *shm, uint32_t idx, struct tally *t)
{
	const struct shm_room *room = room_at(shm, idx);
	uint64_t slots = 0;

	if (rec_state(&room->rec) != REC_LIVE || room_find(shm, rec_key(&room->rec)) != idx ||
	    !members_tally(shm, idx, t) || !typing_tally(shm, idx, t))
		return false;
	for (unsigned i = 0; i < shm->geo.n_slots; i++) {
		if (room->slot_members[i] != t->live[i])
			return false;
		slots |= t->live[i] ? slot_bit(i) : 0;
	}
	return room->slots == slots && room->n_records == t->records && room->n_users == t->users &&
	       room->n_connections == t->connections && room->n_typing == t->typing &&
	       (t->records || t->typing);
}

/* With the shard held: all its rooms are sound, and no record of it is outside of a room. */
static bool shard_is_sound(const struct shm *shm, unsigned shard)
{
	uint32_t listed[POOLS] = {0}, stored[POOLS] = {0};

	for (uint32_t i = 1; i <= pool_high(shm, POOL_ROOMS); i++) {
		const struct shm_rec *rec = rec_at(shm, POOL_ROOMS, i);
		struct tally t = {0};

		if (rec_state(rec) == REC_FREE || room_shard(shm, rec_key(rec)) != shard)
			continue;
		if (!room_is_sound(shm, i, &t))
			return false;
		listed[POOL_MEMBERS] += t.records;
		listed[POOL_TYPING] += t.typing;
	}
	for (enum pool p = POOL_MEMBERS; p <= POOL_TYPING; p++) {
		for (uint32_t i = 1; i <= pool_high(shm, p); i++) {
			const struct shm_rec *rec = rec_at(shm, p, i);

			stored[p] += rec_state(rec) != REC_FREE &&
				     room_shard(shm, rec_key(rec)) == shard;
		}
		if (stored[p] != listed[p])
			return false;
	}
	return true;
}

/* References that entries really hold, one counter per user and slot. */
static uint32_t *refs_tally(const struct shm *shm)
{
	uint32_t n_users = pool_high(shm, POOL_USERS), n_slots = shm->geo.n_slots;
	uint32_t *refs = xcalloc((size_t)(n_users + 1) * n_slots, sizeof(*refs));

	for (enum pool p = POOL_MEMBERS; p <= POOL_TYPING; p++)
		for (uint32_t i = 1; i <= pool_high(shm, p); i++) {
			const struct shm_entry *e = entry_at(shm, p, i);

			if (rec_state(&e->rec) != REC_FREE && e->user_idx <= n_users &&
			    rec_slot(&e->rec) < n_slots)
				refs[e->user_idx * n_slots + rec_slot(&e->rec)]++;
		}
	return refs;
}

static bool user_is_sound(const struct shm *shm, uint32_t idx, const uint32_t *refs)
{
	const struct shm_user *u = user_at(shm, idx);
	uint32_t i = index_first(shm, INDEX_USERS, rec_key(&u->rec), 0);
	uint64_t sum = 0;

	while (i && i != idx)
		i = user_at(shm, i)->rec.next;
	if (i != idx)
		return false;
	for (unsigned s = 0; s < shm->geo.n_slots; s++) {
		if (u->refs[s] != refs[s])
			return false;
		sum += refs[s];
	}
	return sum > 0 && user_name_at(shm, idx).len > 0;
}

static bool users_are_sound(const struct shm *shm)
{
	uint32_t *refs = refs_tally(shm), names = 0;
	bool is_sound = true;

	for (uint32_t i = 1; i <= pool_high(shm, POOL_USERS) && is_sound; i++) {
		if (rec_state(&user_at(shm, i)->rec) == REC_FREE)
			continue;
		names += user_at(shm, i)->long_name != 0;
		is_sound = user_is_sound(shm, i, refs + (size_t)i * shm->geo.n_slots);
	}
	free(refs);
	return is_sound && shm->pools[POOL_NAMES].used == names;
}

/* With the pool held: the free list holds exactly the free records. */
static bool pool_is_sound(const struct shm *shm, enum pool pool)
{
	const struct shm_pool *p = &shm->pools[pool];
	uint32_t high = pool_high(shm, pool), n_free = 0, n_listed = 0;

	for (uint32_t i = 1; i <= high; i++)
		n_free += rec_state(rec_at(shm, pool, i)) == REC_FREE;
	for (uint32_t i = p->free; i && n_listed <= high; i = rec_at(shm, pool, i)->next)
		if (i > high || rec_state(rec_at(shm, pool, i)) != REC_FREE)
			return false;
		else
			n_listed++;
	return high <= p->capacity && n_free == n_listed && p->used == high - n_free;
}

int shm_verify(struct shm *shm, unsigned me)
{
	bool is_sound = true;

	for (unsigned i = 0; i < ROOM_SHARDS && is_sound; i++) {
		int r = lock_wait(shm, LOCK_ROOMS, i, me);

		if (r < 0 && r != -ERR_DIRTY)
			return r;
		is_sound = r == 0 && shard_is_sound(shm, i);
		lock_drop(shm, LOCK_ROOMS, i, me);
	}
	for (enum pool p = 0; p < POOLS && is_sound; p++) {
		int r = lock_wait(shm, LOCK_POOLS, p, me);

		if (r < 0 && r != -ERR_DIRTY)
			return r;
		is_sound = r == 0 && pool_is_sound(shm, p);
		lock_drop(shm, LOCK_POOLS, p, me);
	}
	return is_sound && users_are_sound(shm) ? 0 : -ERR_CORRUPT;
}
