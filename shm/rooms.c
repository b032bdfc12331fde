/* SPDX-License-Identifier: MIT */
/*
 * The table of rooms that somebody on this node is in: found by conversation id, freed when empty.
 * Members and typing marks are put into a room by members.c and typing.c.
 */
#include "shm/rooms.h"

#include "shm/presence.h"
#include "shm/view_priv.h"

int rooms_lock(struct shm *shm, unsigned me, int64_t conv)
{
	unsigned shard = room_shard(shm, conv);
	int r = lock_wait(shm, LOCK_ROOMS, shard, me);

	if (r != -ERR_DIRTY)
		return r;
	r = repair_rooms(shm, me, shard);
	if (r < 0) {
		lock_drop(shm, LOCK_ROOMS, shard, me); /* still dirty: the next one tries */
		return r;
	}
	lock_clean(shm, LOCK_ROOMS, shard, me);
	return 0;
}

void rooms_unlock(struct shm *shm, unsigned me, int64_t conv)
{
	lock_drop(shm, LOCK_ROOMS, room_shard(shm, conv), me);
}

uint32_t room_find(const struct shm *shm, int64_t conv)
{
	uint32_t i = index_first(shm, INDEX_ROOMS, conv, 0);

	while (i && rec_key(&room_at(shm, i)->rec) != conv)
		i = room_at(shm, i)->rec.next;
	return i;
}

int room_get(struct shm *shm, unsigned me, int64_t conv, uint32_t *ret)
{
	uint32_t idx = room_find(shm, conv);

	if (!idx) {
		int r = pool_get(shm, me, POOL_ROOMS, conv, &idx);

		if (r < 0)
			return r;
		FAULT_POINT("room.claimed");
		rec_set_state(&room_at(shm, idx)->rec, REC_LIVE);
		index_add(shm, INDEX_ROOMS, idx);
	}
	*ret = idx;
	return 0;
}

int room_free_unused(struct shm *shm, unsigned me, uint32_t idx)
{
	struct shm_room *room = room_at(shm, idx);

	if (room->n_records || room->n_typing)
		return 0;
	rec_set_state(&room->rec, REC_CLAIMED);
	index_del(shm, INDEX_ROOMS, idx);
	FAULT_POINT("room.unlinked");
	return pool_put(shm, me, POOL_ROOMS, idx);
}

void room_published_max(struct shm_room *room, int64_t rev)
{
	int64_t old = atomic_load_explicit(&room->published, memory_order_relaxed);

	while (old < rev && !atomic_compare_exchange_weak(&room->published, &old, rev))
		;
}

static void info_fill(const struct shm_room *room, struct room_info *ret)
{
	*ret = (struct room_info){
		.slots = atomic_load(&room->slots),
		.published_rev = atomic_load(&room->published),
		.newest = atomic_load(&room->newest),
		.connections = room->n_connections,
		.users = room->n_users,
		.typing = room->n_typing,
		.is_closed = room->is_closed,
	};
}

int room_read(struct shm *shm, unsigned me, int64_t conv, struct room_info *ret)
{
	uint32_t idx;
	int r = rooms_lock(shm, me, conv);

	if (r < 0)
		return r;
	idx = room_find(shm, conv);
	if (idx)
		info_fill(room_at(shm, idx), ret);
	rooms_unlock(shm, me, conv);
	return idx ? 0 : -ERR_NOENT;
}

int room_counts(struct shm *shm, unsigned me, int64_t conv, uint32_t *ret_connections,
		uint32_t *ret_users)
{
	struct room_info info = {0};
	int r = room_read(shm, me, conv, &info);

	if (r < 0 && r != -ERR_NOENT)
		return r;
	*ret_connections = info.connections;
	*ret_users = info.users;
	return 0;
}

int room_users_bulk(struct shm *shm, unsigned me, const int64_t *convs, size_t n,
		    uint32_t *ret_users)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t connections;
		int r = room_counts(shm, me, convs[i], &connections, &ret_users[i]);

		if (r < 0)
			return r;
	}
	return 0;
}

int room_mark_closed(struct shm *shm, unsigned me, int64_t conv)
{
	uint32_t idx;
	int r = rooms_lock(shm, me, conv);

	if (r < 0)
		return r;
	idx = room_find(shm, conv);
	if (idx)
		room_at(shm, idx)->is_closed = 1;
	rooms_unlock(shm, me, conv);
	return idx ? 0 : -ERR_NOENT;
}

int room_publish_rev(struct shm *shm, unsigned me, int64_t conv, int64_t rev)
{
	uint32_t idx;
	int r = rooms_lock(shm, me, conv);

	if (r < 0)
		return r;
	idx = room_find(shm, conv);
	if (idx)
		room_published_max(room_at(shm, idx), rev);
	rooms_unlock(shm, me, conv);
	return 0;
}

int room_note_head(struct shm *shm, unsigned me, int64_t conv, int64_t rev, int64_t seq)
{
	uint32_t idx;
	int r = rooms_lock(shm, me, conv);

	if (r < 0)
		return r;
	idx = room_find(shm, conv);
	if (idx) {
		struct shm_room *room = room_at(shm, idx);

		if (!room->is_head_known || rev > room->head_rev) {
			room->head_rev = rev;
			room->head_seq = seq;
			room->is_head_known = 1;
		}
	}
	rooms_unlock(shm, me, conv);
	return 0;
}

/* What a new follower may start from, if that is certain. */
static int head_of(const struct shm_room *room, int64_t *ret_rev, int64_t *ret_seq)
{
	int64_t published = atomic_load(&room->published);
	int64_t known = room->is_head_known ? room->head_rev : 0;

	if ((!room->is_head_known && !published) || room->targeted > MAX(published, known))
		return -ERR_NOENT;
	*ret_rev = MAX(published, known);
	*ret_seq = room->is_head_known && known >= published ? room->head_seq : -1;
	return 0;
}

int room_head(struct shm *shm, unsigned me, int64_t conv, int64_t *ret_rev, int64_t *ret_seq)
{
	uint32_t idx;
	int r = rooms_lock(shm, me, conv);

	if (r < 0)
		return r;
	idx = room_find(shm, conv);
	r = idx ? head_of(room_at(shm, idx), ret_rev, ret_seq) : -ERR_NOENT;
	rooms_unlock(shm, me, conv);
	return r;
}

int room_each(struct shm *shm, unsigned me,
	      int (*on_room)(void *arg, int64_t conv, const struct room_info *info), void *arg)
{
	uint32_t high = pool_high(shm, POOL_ROOMS);

	for (uint32_t i = 1; i <= high; i++) {
		struct shm_rec *rec = rec_at(shm, POOL_ROOMS, i);
		int64_t conv = rec_key(rec);
		struct room_info info;
		int r;

		if (rec_state(rec) != REC_LIVE || !MEMBER_IS_ROOM(conv))
			continue;
		r = room_read(shm, me, conv, &info);
		if (r == -ERR_NOENT)
			continue;
		if (!r)
			r = on_room(arg, conv, &info);
		if (r)
			return r;
	}
	return 0;
}
