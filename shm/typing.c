/* SPDX-License-Identifier: MIT */
/*
 * Typing marks: a short list per room, a timer wheel per slot.
 * The room's shard guards them; rooms without members have none.
 */
#include "shm/typing.h"

#include "shm/view_priv.h"

static struct shm_entry *mark_at(const struct shm *shm, uint32_t idx)
{
	return entry_at(shm, POOL_TYPING, idx);
}

static uint32_t mark_find(const struct shm *shm, uint32_t room, int64_t user, unsigned slot)
{
	uint32_t i = room_at(shm, room)->typing;

	while (i && !(mark_at(shm, i)->user == user && rec_slot(&mark_at(shm, i)->rec) == slot))
		i = mark_at(shm, i)->room_next;
	return i;
}

/* Whether another mark than BUT shows the user as typing. */
static bool is_shown_by_other(const struct shm *shm, uint32_t room, int64_t user, uint32_t but)
{
	for (uint32_t i = room_at(shm, room)->typing; i; i = mark_at(shm, i)->room_next)
		if (i != but && mark_at(shm, i)->user == user)
			return true;
	return false;
}

void typing_link(struct shm *shm, uint32_t idx)
{
	struct shm_entry *e = mark_at(shm, idx);
	struct shm_room *room = room_at(shm, e->room_idx);

	e->room_next = 0;
	e->room_prev = room->typing_last;
	if (e->room_prev)
		mark_at(shm, e->room_prev)->room_next = idx;
	else
		room->typing = idx;
	room->typing_last = idx;
	room->n_typing++;
}

/* Takes the mark out of everything; the room goes too when that was the last of it. */
static int mark_remove(struct shm *shm, unsigned me, uint32_t idx, bool *ret_changed)
{
	struct shm_entry *e = mark_at(shm, idx);
	struct shm_room *room = room_at(shm, e->room_idx);
	uint32_t room_idx = e->room_idx, user_idx = e->user_idx;
	unsigned slot = rec_slot(&e->rec);
	int64_t user = e->user;
	int r;

	if (slot == me)
		wheel_del(shm, &shm->slots[me].typing_wheel, POOL_TYPING, idx);
	*ret_changed = !is_shown_by_other(shm, room_idx, user, idx);
	rec_set_state(&e->rec, REC_CLAIMED);
	FAULT_POINT("typing.gone");
	if (e->room_next)
		mark_at(shm, e->room_next)->room_prev = e->room_prev;
	else
		room->typing_last = e->room_prev;
	if (e->room_prev)
		mark_at(shm, e->room_prev)->room_next = e->room_next;
	else
		room->typing = e->room_next;
	room->n_typing--;
	r = pool_put(shm, me, POOL_TYPING, idx);
	if (!r)
		r = user_unref(shm, me, slot, user, user_idx);
	return r < 0 ? r : room_free_unused(shm, me, room_idx);
}

static int mark_create(struct shm *shm, unsigned me, int64_t conv, uint32_t room, int64_t user,
		       struct str name, uint64_t until_ms)
{
	struct shm_entry *e;
	uint32_t user_idx, idx;
	int r = user_ref(shm, me, user, name, &user_idx), r2;

	if (r < 0)
		return r;
	r = pool_get(shm, me, POOL_TYPING, conv, &idx);
	if (r < 0) {
		r2 = user_unref(shm, me, me, user, user_idx);
		return r2 < 0 ? r2 : r;
	}
	e = mark_at(shm, idx);
	e->user = user;
	e->user_idx = user_idx;
	e->room_idx = room;
	e->count = 1;
	e->deadline_ms = until_ms;
	rec_set_state(&e->rec, REC_LIVE);
	FAULT_POINT("typing.live");
	typing_link(shm, idx);
	wheel_add(shm, &shm->slots[me].typing_wheel, POOL_TYPING, idx);
	return 0;
}

static void mark_renew(struct shm *shm, unsigned me, uint32_t idx, uint64_t until_ms)
{
	wheel_del(shm, &shm->slots[me].typing_wheel, POOL_TYPING, idx);
	mark_at(shm, idx)->deadline_ms = until_ms;
	wheel_add(shm, &shm->slots[me].typing_wheel, POOL_TYPING, idx);
}

int typing_set(struct shm *shm, unsigned me, int64_t conv, int64_t user, struct str name,
	       uint64_t until_ms, bool *ret_changed)
{
	bool is_new = false;
	uint32_t room, idx;
	int r;

	if (conv <= 0 || user <= 0 || !name.len || name.len > SHM_NAME_MAX)
		return -ERR_INVAL;
	r = rooms_lock(shm, me, conv);
	if (r < 0)
		return r;
	room = room_find(shm, conv);
	idx = room ? mark_find(shm, room, user, me) : 0;
	if (idx) {
		mark_renew(shm, me, idx, until_ms);
	} else if (room && room_at(shm, room)->n_records) {
		is_new = !is_shown_by_other(shm, room, user, 0);
		r = mark_create(shm, me, conv, room, user, name, until_ms);
	}
	rooms_unlock(shm, me, conv);
	if (!r)
		*ret_changed = is_new;
	return r;
}

int typing_clear(struct shm *shm, unsigned me, int64_t conv, int64_t user, bool *ret_changed)
{
	bool has_changed = false;
	uint32_t room, idx;
	int r = rooms_lock(shm, me, conv);

	if (r < 0)
		return r;
	room = room_find(shm, conv);
	idx = room ? mark_find(shm, room, user, me) : 0;
	if (idx)
		r = mark_remove(shm, me, idx, &has_changed);
	rooms_unlock(shm, me, conv);
	if (!r)
		*ret_changed = has_changed;
	return r;
}

static bool is_due(const struct shm_entry *e, unsigned me, uint64_t now)
{
	return rec_state(&e->rec) == REC_LIVE && rec_slot(&e->rec) == me && e->deadline_ms <= now;
}

/* Returns 1 when it was removed, 0 when it is not due any more, or a negative code. */
static int expire_one(struct shm *shm, unsigned me, uint32_t idx, uint64_t now, int64_t *ret_conv,
		      bool *ret_changed)
{
	struct shm_entry *e = mark_at(shm, idx);
	int64_t conv = rec_key(&e->rec);
	int r;

	if (!is_due(e, me, now))
		return 0;
	r = rooms_lock(shm, me, conv);
	if (r < 0)
		return r;
	if (is_due(e, me, now) && rec_key(&e->rec) == conv) {
		r = mark_remove(shm, me, idx, ret_changed);
		r = r < 0 ? r : 1;
	}
	rooms_unlock(shm, me, conv);
	*ret_conv = conv;
	return r;
}

int typing_expire(struct shm *shm, unsigned me, uint64_t now, unsigned budget,
		  void (*on_changed)(void *arg, int64_t conv), void *arg, bool *ret_is_more)
{
	struct shm_wheel *w = &shm->slots[me].typing_wheel;
	uint32_t due[WHEEL_BATCH];
	unsigned removed = 0, n;

	while (removed < budget) {
		n = wheel_due(shm, w, POOL_TYPING, now, due, MIN(WHEEL_BATCH, budget - removed));
		if (!n) {
			*ret_is_more = false;
			return (int)removed;
		}
		for (unsigned i = 0; i < n; i++) {
			bool has_changed;
			int64_t conv;
			int r = expire_one(shm, me, due[i], now, &conv, &has_changed);

			if (r < 0)
				return r;
			removed += (unsigned)r;
			if (r && has_changed)
				on_changed(arg, conv);
		}
	}
	*ret_is_more = true;
	return (int)removed;
}

/* Whether an earlier mark of the list shows the user already. */
static bool is_repeated(const struct shm *shm, uint32_t idx, uint64_t now)
{
	const struct shm_entry *e = mark_at(shm, idx);

	for (uint32_t i = e->room_prev; i; i = mark_at(shm, i)->room_prev)
		if (mark_at(shm, i)->user == e->user && mark_at(shm, i)->deadline_ms > now)
			return true;
	return false;
}

/* More than this many writers at once are not told apart on any screen: the rest is left out. */
#define TYPING_SHOWN_MAX 64

struct shown {
	unsigned n;
	struct {
		int64_t user;
		uint32_t len;
		char name[SHM_NAME_MAX];
	} v[TYPING_SHOWN_MAX];
};

static void shown_copy(const struct shm *shm, int64_t conv, uint64_t now, struct shown *ret)
{
	uint32_t room = room_find(shm, conv), i;

	ret->n = 0;
	if (!room)
		return;
	for (i = room_at(shm, room)->typing; i && ret->n < TYPING_SHOWN_MAX;
	     i = mark_at(shm, i)->room_next) {
		const struct shm_entry *e = mark_at(shm, i);
		struct str name;

		if (e->deadline_ms <= now || is_repeated(shm, i, now))
			continue;
		name = user_name_at(shm, e->user_idx);
		ret->v[ret->n].user = e->user;
		ret->v[ret->n].len = (uint32_t)name.len;
		memcpy(ret->v[ret->n++].name, name.p, name.len);
	}
}

int typing_read(struct shm *shm, unsigned me, int64_t conv, uint64_t now,
		void (*on_user)(void *arg, int64_t user, struct str name), void *arg)
{
	struct shown shown; /* 26 KiB of stack: a callback may read another room */
	int r = rooms_lock(shm, me, conv);

	if (r < 0)
		return r;
	shown_copy(shm, conv, now, &shown);
	rooms_unlock(shm, me, conv);
	for (unsigned i = 0; i < shown.n; i++)
		on_user(arg, shown.v[i].user, (struct str){shown.v[i].name, shown.v[i].len});
	return (int)shown.n;
}

int typing_drop_slot(struct shm *shm, unsigned me, unsigned dead_slot,
		     void (*on_typing)(void *arg, int64_t conv), void *arg)
{
	uint32_t high = pool_high(shm, POOL_TYPING);

	for (uint32_t i = 1; i <= high; i++) {
		struct shm_entry *e = mark_at(shm, i);
		int64_t conv = rec_key(&e->rec);
		bool has_changed = false;
		int r;

		if (rec_state(&e->rec) == REC_FREE || rec_slot(&e->rec) != dead_slot)
			continue;
		r = rooms_lock(shm, me, conv);
		if (r < 0)
			return r;
		if (rec_slot(&e->rec) == dead_slot && rec_key(&e->rec) == conv) {
			if (rec_state(&e->rec) == REC_LIVE) {
				e->spoke = 0; /* its process's wheel is no more */
				r = mark_remove(shm, me, i, &has_changed);
			} else if (rec_state(&e->rec) == REC_CLAIMED) {
				r = pool_put(shm, me, POOL_TYPING, i);
			}
		}
		rooms_unlock(shm, me, conv);
		if (r < 0)
			return r;
		if (has_changed && on_typing)
			on_typing(arg, conv);
	}
	return 0;
}
