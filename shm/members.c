/* SPDX-License-Identifier: MIT */
/*
 * Member records: attaching, detaching, and the chains and counts that follow from them.
 * Grace and rosters are in presence.c, users in users.c. The room's shard guards everything here.
 */
#include "shm/presence.h"
#include "shm/view_priv.h"

static struct shm_entry *member_at(const struct shm *shm, uint32_t idx)
{
	return entry_at(shm, POOL_MEMBERS, idx);
}

static bool is_of(const struct shm_entry *e, int64_t conv, int64_t user)
{
	return e->user == user && rec_key(&e->rec) == conv;
}

uint32_t member_find(const struct shm *shm, int64_t conv, int64_t user, unsigned slot)
{
	uint32_t i = index_first(shm, INDEX_MEMBERS, conv, user);

	while (i &&
	       !(is_of(member_at(shm, i), conv, user) && rec_slot(&member_at(shm, i)->rec) == slot))
		i = member_at(shm, i)->rec.next;
	return i;
}

/* Any record of the user in the room except BUT. */
uint32_t member_find_other(const struct shm *shm, int64_t conv, int64_t user, uint32_t but)
{
	uint32_t i = index_first(shm, INDEX_MEMBERS, conv, user);

	while (i && !(i != but && is_of(member_at(shm, i), conv, user)))
		i = member_at(shm, i)->rec.next;
	return i;
}

/*
 * The entry's connections and its slot's bit come into the room's counts, or go (SIGN -1). Watchers
 * have only the bit.
 */
void member_count_live(struct shm *shm, struct shm_entry *e, int sign)
{
	struct shm_room *room = room_at(shm, e->room_idx);
	unsigned slot = rec_slot(&e->rec);
	uint32_t before = room->slot_members[slot];

	if (e->user)
		room->n_connections += (uint32_t)(sign * (int)e->count);
	room->slot_members[slot] = before + (uint32_t)sign;
	if (!before)
		atomic_fetch_or(&room->slots, slot_bit(slot));
	else if (!room->slot_members[slot])
		atomic_fetch_and(&room->slots, ~slot_bit(slot));
}

/* Puts a filled record with its room index into chain, list and counts. */
void member_link(struct shm *shm, uint32_t idx)
{
	struct shm_entry *e = member_at(shm, idx);
	struct shm_room *room = room_at(shm, e->room_idx);

	e->is_primary = e->user && !member_find_other(shm, rec_key(&e->rec), e->user, idx);
	index_add(shm, INDEX_MEMBERS, idx);
	e->room_prev = 0;
	e->room_next = room->members;
	if (e->room_next)
		member_at(shm, e->room_next)->room_prev = idx;
	room->members = idx;
	FAULT_POINT("member.listed");
	room->n_records++;
	room->n_users += e->is_primary;
	if (rec_state(&e->rec) == REC_LIVE)
		member_count_live(shm, e, 1);
}

static void member_unlink(struct shm *shm, uint32_t idx)
{
	struct shm_entry *e = member_at(shm, idx);
	struct shm_room *room = room_at(shm, e->room_idx);

	index_del(shm, INDEX_MEMBERS, idx);
	if (e->room_next)
		member_at(shm, e->room_next)->room_prev = e->room_prev;
	if (e->room_prev)
		member_at(shm, e->room_prev)->room_next = e->room_next;
	else
		room->members = e->room_next;
	room->n_records--;
}

/* Takes a record out of everything and frees it, and its room when that was the last. */
int member_remove(struct shm *shm, unsigned me, uint32_t idx, bool *ret_has_left)
{
	struct shm_entry *e = member_at(shm, idx);
	struct shm_room *room = room_at(shm, e->room_idx);
	uint32_t room_idx = e->room_idx, user_idx = e->user_idx, other;
	unsigned slot = rec_slot(&e->rec);
	bool is_live = rec_state(&e->rec) == REC_LIVE;
	int64_t user = e->user;
	int r;

	if (slot == me)
		wheel_del(shm, &shm->slots[me].member_wheel, POOL_MEMBERS, idx);
	other = member_find_other(shm, rec_key(&e->rec), user, idx);
	rec_set_state(&e->rec, REC_CLAIMED);
	FAULT_POINT("member.gone");
	if (is_live)
		member_count_live(shm, e, -1);
	member_unlink(shm, idx);
	if (e->is_primary && other)
		member_at(shm, other)->is_primary = 1;
	else if (e->is_primary)
		room->n_users--;
	r = pool_put(shm, me, POOL_MEMBERS, idx);
	FAULT_POINT("member.removed");
	if (!r && user)
		r = user_unref(shm, me, slot, user, user_idx);
	if (!r)
		r = room_free_unused(shm, me, room_idx);
	*ret_has_left = !other;
	return r;
}

/* A lingering record of this slot has a connection again. */
static void member_revive(struct shm *shm, unsigned me, uint32_t idx)
{
	struct shm_entry *e = member_at(shm, idx);

	wheel_del(shm, &shm->slots[me].member_wheel, POOL_MEMBERS, idx);
	e->count = 1;
	rec_set_state(&e->rec, REC_LIVE);
	member_count_live(shm, e, 1);
}

/* The user is referenced. On failure the room is freed again if it was made for this. */
static int member_create(struct shm *shm, unsigned me, int64_t conv, int64_t user,
			 uint32_t user_idx, bool *ret_is_first)
{
	struct shm_entry *e;
	uint32_t room, idx;
	int r = room_get(shm, me, conv, &room);

	if (r < 0)
		return r;
	r = pool_get(shm, me, POOL_MEMBERS, conv, &idx);
	if (r < 0) {
		int r2 = room_free_unused(shm, me, room);

		return r2 < 0 ? r2 : r;
	}
	FAULT_POINT("member.claimed");
	e = member_at(shm, idx);
	e->user = user;
	e->user_idx = user_idx;
	e->room_idx = room;
	e->count = 1;
	rec_set_state(&e->rec, REC_LIVE);
	FAULT_POINT("member.live");
	member_link(shm, idx);
	*ret_is_first = e->is_primary;
	return 0;
}

static int member_add(struct shm *shm, unsigned me, int64_t conv, int64_t user, struct str name,
		      bool *ret_is_first)
{
	uint32_t user_idx = 0;
	int r = user ? user_ref(shm, me, user, name, &user_idx) : 0, r2;

	if (r < 0)
		return r;
	FAULT_POINT("member.referenced");
	r = member_create(shm, me, conv, user, user_idx, ret_is_first);
	if (r < 0 && user) {
		r2 = user_unref(shm, me, me, user, user_idx);
		return r2 < 0 ? r2 : r;
	}
	return r;
}

int member_attach(struct shm *shm, unsigned me, int64_t conv, int64_t user, struct str name,
		  bool *ret_is_first)
{
	uint32_t room, idx;
	int r;

	if (conv <= 0 || user < 0 || (user && !name.len) || name.len > SHM_NAME_MAX)
		return -ERR_INVAL;
	r = rooms_lock(shm, me, conv);
	if (r < 0)
		return r;
	room = room_find(shm, conv);
	idx = room ? member_find(shm, conv, user, me) : 0;
	if (room && room_at(shm, room)->is_closed) {
		r = -ERR_CLOSED;
	} else if (!idx) {
		r = member_add(shm, me, conv, user, name, ret_is_first);
	} else {
		if (rec_state(&member_at(shm, idx)->rec) == REC_LINGER) {
			member_revive(shm, me, idx);
		} else {
			member_at(shm, idx)->count++;
			room_at(shm, room)->n_connections += user != 0;
		}
		*ret_is_first = false;
	}
	rooms_unlock(shm, me, conv);
	return r;
}

/* The shard is held, the record is live with one connection. */
static void member_linger(struct shm *shm, unsigned me, uint32_t idx, uint64_t until_ms)
{
	struct shm_entry *e = member_at(shm, idx);

	e->deadline_ms = until_ms;
	rec_set_state(&e->rec, REC_LINGER);
	FAULT_POINT("member.lingers");
	member_count_live(shm, e, -1);
	e->count = 0;
	wheel_add(shm, &shm->slots[me].member_wheel, POOL_MEMBERS, idx);
}

int member_detach(struct shm *shm, unsigned me, int64_t conv, int64_t user, uint64_t grace_until_ms,
		  bool *ret_is_last)
{
	struct shm_entry *e;
	uint32_t idx;
	bool has_left;
	int r = rooms_lock(shm, me, conv);

	if (r < 0)
		return r;
	idx = member_find(shm, conv, user, me);
	e = member_at(shm, idx);
	if (!idx || rec_state(&e->rec) != REC_LIVE) {
		r = -ERR_NOENT;
	} else if (e->count > 1) {
		e->count--;
		room_at(shm, e->room_idx)->n_connections -= user != 0;
		*ret_is_last = false;
	} else if (!user) {
		r = member_remove(shm, me, idx, &has_left);
		*ret_is_last = true;
	} else {
		member_linger(shm, me, idx, grace_until_ms);
		*ret_is_last = true;
	}
	rooms_unlock(shm, me, conv);
	return r;
}
