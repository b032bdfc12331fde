/* SPDX-License-Identifier: MIT */
/*
 * Grace periods, rosters, and taking over the members of a dead slot.
 * The records themselves are kept by members.c.
 */
#include "shm/presence.h"

#include "shm/view_priv.h"

uint32_t member_lingering(struct shm *shm, unsigned me)
{
	return shm->slots[me].member_wheel.n;
}

static bool is_due(const struct shm_entry *e, unsigned me, uint64_t now)
{
	return rec_state(&e->rec) == REC_LINGER && rec_slot(&e->rec) == me && e->deadline_ms <= now;
}

struct departure {
	int64_t conv, user;
	bool has_left;
	struct str name; /* points to TEXT */
	char text[SHM_NAME_MAX];
};

/* Removes the record if it is still due. Returns 1, 0 (not due any more), or a negative code. */
static int expire_one(struct shm *shm, unsigned me, uint32_t idx, uint64_t now,
		      struct departure *ret)
{
	struct shm_entry *e = entry_at(shm, POOL_MEMBERS, idx);
	struct str name;
	int r;

	if (!is_due(e, me, now))
		return 0;
	ret->conv = rec_key(&e->rec); /* own record: nobody else frees it */
	r = rooms_lock(shm, me, ret->conv);
	if (r < 0)
		return r;
	if (is_due(e, me, now)) {
		ret->user = e->user;
		name = user_name_at(shm, e->user_idx);
		memcpy(ret->text, name.p, name.len);
		ret->name = (struct str){ret->text, name.len};
		r = member_remove(shm, me, idx, &ret->has_left);
		r = r < 0 ? r : 1;
	}
	rooms_unlock(shm, me, ret->conv);
	return r;
}

int member_expire(struct shm *shm, unsigned me, uint64_t now, unsigned budget,
		  void (*on_left)(void *arg, int64_t conv, int64_t user, struct str name),
		  void *arg, bool *ret_is_more)
{
	struct shm_wheel *w = &shm->slots[me].member_wheel;
	uint32_t due[WHEEL_BATCH];
	unsigned removed = 0, n;

	while (removed < budget) {
		n = wheel_due(shm, w, POOL_MEMBERS, now, due, MIN(WHEEL_BATCH, budget - removed));
		if (!n) {
			*ret_is_more = false;
			return (int)removed;
		}
		for (unsigned i = 0; i < n; i++) {
			struct departure d;
			int r = expire_one(shm, me, due[i], now, &d);

			if (r < 0)
				return r;
			removed += (unsigned)r;
			if (r && d.has_left)
				on_left(arg, d.conv, d.user, d.name);
		}
	}
	*ret_is_more = true;
	return (int)removed;
}

int member_is_present(struct shm *shm, unsigned me, int64_t conv, int64_t user, bool with_lingering,
		      bool *ret)
{
	bool is_present = false;
	int r = rooms_lock(shm, me, conv);

	if (r < 0)
		return r;
	for (unsigned slot = 0; slot < shm->geo.n_slots && !is_present; slot++) {
		uint32_t idx = member_find(shm, conv, user, slot);

		is_present = idx && (with_lingering ||
				     rec_state(&entry_at(shm, POOL_MEMBERS, idx)->rec) == REC_LIVE);
	}
	rooms_unlock(shm, me, conv);
	*ret = is_present;
	return 0;
}

/* One user in the copy that roster_read makes under the lock: this, then the name. */
struct roster_item {
	int64_t user;
	uint32_t len;
};

/* Copies as many as fit into B without growing it. Returns the bytes that all of them need. */
static size_t roster_copy(const struct shm *shm, int64_t conv, struct buf *b)
{
	uint32_t room = room_find(shm, conv), i;
	size_t need = 0;

	if (!room)
		return 0;
	for (i = room_at(shm, room)->members; i; i = entry_at(shm, POOL_MEMBERS, i)->room_next) {
		struct shm_entry *e = entry_at(shm, POOL_MEMBERS, i);
		struct roster_item item = {.user = e->user};
		struct str name;

		if (!e->is_primary)
			continue;
		name = user_name_at(shm, e->user_idx);
		item.len = (uint32_t)name.len;
		need += sizeof(item) + name.len;
		if (need > b->cap)
			continue;
		memcpy(b->p + b->len, &item, sizeof(item));
		memcpy(b->p + b->len + sizeof(item), name.p, name.len);
		b->len += sizeof(item) + name.len;
	}
	return need;
}

static int roster_tell(const struct buf *b,
		       void (*on_user)(void *arg, int64_t user, struct str name), void *arg)
{
	size_t at = 0;
	int n = 0;

	while (at < b->len) {
		struct roster_item item;

		memcpy(&item, b->p + at, sizeof(item));
		at += sizeof(item);
		on_user(arg, item.user, (struct str){(const char *)b->p + at, item.len});
		at += item.len;
		n++;
	}
	return n;
}

int roster_read(struct shm *shm, unsigned me, int64_t conv,
		void (*on_user)(void *arg, int64_t user, struct str name), void *arg)
{
	struct buf copy = shm->scratch; /* taken out, so that a callback may read a roster too */
	size_t need;
	int r;

	shm->scratch = BUF_INIT;
	do { /* again when the room grew between measuring and copying */
		buf_clear(&copy);
		r = rooms_lock(shm, me, conv);
		if (r < 0)
			break;
		need = roster_copy(shm, conv, &copy);
		rooms_unlock(shm, me, conv);
		if (need > copy.cap) {
			(void)buf_reserve(&copy, need + need / 4);
			need = SIZE_MAX;
		}
	} while (need == SIZE_MAX);
	if (!r)
		r = roster_tell(&copy, on_user, arg);
	buf_done(&shm->scratch);
	shm->scratch = copy;
	return r;
}

/* Puts USER into its place among the N smallest so far; the largest goes when there are MAX. */
static unsigned page_add(int64_t *users, unsigned n, unsigned max, int64_t user)
{
	unsigned at = n;

	while (at > 0 && users[at - 1] > user)
		at--;
	if (at == max)
		return n;
	n = MIN(n + 1, max);
	memmove(users + at + 1, users + at, (n - at - 1) * sizeof(*users));
	users[at] = user;
	return n;
}

#define PAGE_STEP 4096 /* records looked at under one taking of the lock */

int roster_page(struct shm *shm, unsigned me, int64_t conv, int64_t after, unsigned max,
		int64_t *ret_users)
{
	uint32_t high = pool_high(shm, POOL_MEMBERS);
	unsigned n = 0;

	for (uint32_t from = 1; from <= high && max; from += PAGE_STEP) {
		uint32_t end = MIN(high, from + PAGE_STEP - 1);
		int r = rooms_lock(shm, me, conv);

		if (r < 0)
			return r;
		for (uint32_t i = from; i <= end; i++) {
			const struct shm_entry *e = entry_at(shm, POOL_MEMBERS, i);
			enum rec_state state = rec_state(&e->rec);

			if (rec_key(&e->rec) == conv && e->is_primary && e->user > after &&
			    (state == REC_LIVE || state == REC_LINGER))
				n = page_add(ret_users, n, max, e->user);
		}
		rooms_unlock(shm, me, conv);
	}
	return (int)n;
}

int node_is_crowded(struct shm *shm, unsigned me, uint32_t limit, bool *ret)
{
	bool is_crowded = false;
	uint32_t idx;
	int r = rooms_lock(shm, me, MEMBER_NODE);

	if (r < 0)
		return r;
	idx = room_find(shm, MEMBER_NODE);
	if (idx) {
		struct shm_room *room = room_at(shm, idx);

		room->is_crowded = room->n_connections >=
				   limit - (room->is_crowded ? limit / 10 : 0);
		is_crowded = room->is_crowded;
	}
	rooms_unlock(shm, me, MEMBER_NODE);
	*ret = is_crowded;
	return 0;
}

/* The former process of this very slot left the record: no change of owner, only of state. */
static void keep_own(struct shm *shm, unsigned me, uint32_t idx, uint64_t until_ms)
{
	struct shm_entry *e = entry_at(shm, POOL_MEMBERS, idx);

	if (rec_state(&e->rec) == REC_LIVE) {
		e->deadline_ms = until_ms;
		rec_set_state(&e->rec, REC_LINGER);
		member_count_live(shm, e, -1);
		e->count = 0;
	}
	e->spoke = 0; /* of the former process's wheel, which was reset */
	wheel_add(shm, &shm->slots[me].member_wheel, POOL_MEMBERS, idx);
}

/* A survivor has a record of the same user itself: that one stands for both. */
static int merge_into(struct shm *shm, unsigned me, uint32_t mine, uint32_t idx, uint64_t until_ms)
{
	struct shm_entry *m = entry_at(shm, POOL_MEMBERS, mine);
	bool has_left;

	if (rec_state(&m->rec) == REC_LINGER && m->deadline_ms < until_ms) {
		wheel_del(shm, &shm->slots[me].member_wheel, POOL_MEMBERS, mine);
		m->deadline_ms = until_ms;
		wheel_add(shm, &shm->slots[me].member_wheel, POOL_MEMBERS, mine);
	}
	return member_remove(shm, me, idx, &has_left);
}

/* The record becomes this slot's. The user is counted here before it is uncounted there. */
static int adopt(struct shm *shm, unsigned me, unsigned dead, uint32_t idx, uint64_t until_ms)
{
	struct shm_entry *e = entry_at(shm, POOL_MEMBERS, idx);
	int r = user_ref_again(shm, me, e->user, e->user_idx);

	if (r < 0)
		return r;
	if (rec_state(&e->rec) == REC_LIVE) {
		e->deadline_ms = until_ms;
		rec_set_state(&e->rec, REC_LINGER);
		FAULT_POINT("recover.converting");
		member_count_live(shm, e, -1);
		e->count = 0;
	} else {
		e->deadline_ms = MAX(e->deadline_ms, until_ms);
	}
	atomic_store_explicit(&e->rec.slot, (uint8_t)me, memory_order_release);
	e->spoke = 0;
	wheel_add(shm, &shm->slots[me].member_wheel, POOL_MEMBERS, idx);
	return user_unref(shm, me, dead, e->user, e->user_idx);
}

/* The shard is held; the record is the dead slot's. */
static int drop_one(struct shm *shm, unsigned me, unsigned dead, uint32_t idx, uint64_t until_ms)
{
	struct shm_entry *e = entry_at(shm, POOL_MEMBERS, idx);
	uint32_t mine;
	bool has_left;

	if (rec_state(&e->rec) == REC_CLAIMED) /* in no list: a lock that timed out left it */
		return pool_put(shm, me, POOL_MEMBERS, idx);
	if (!e->user) /* nobody knew of the watcher */
		return member_remove(shm, me, idx, &has_left);
	if (dead == me) {
		keep_own(shm, me, idx, until_ms);
		return 0;
	}
	mine = member_find(shm, rec_key(&e->rec), e->user, me);
	return mine ? merge_into(shm, me, mine, idx, until_ms)
		    : adopt(shm, me, dead, idx, until_ms);
}

int presence_drop_part(struct shm *shm, unsigned me, unsigned dead_slot, uint64_t grace_until_ms,
		       uint32_t *pos, uint32_t budget)
{
	uint32_t high = pool_high(shm, POOL_MEMBERS);
	uint32_t end = high - *pos > budget ? *pos + budget : high;
	int n = 0, r;

	for (uint32_t i = *pos + 1; i <= end; *pos = i++) {
		struct shm_rec *rec = rec_at(shm, POOL_MEMBERS, i);
		int64_t conv = rec_key(rec);

		if (rec_state(rec) == REC_FREE || rec_slot(rec) != dead_slot)
			continue;
		r = rooms_lock(shm, me, conv);
		if (r < 0)
			return r;
		if (rec_state(rec) != REC_FREE && rec_slot(rec) == dead_slot &&
		    rec_key(rec) == conv) {
			r = drop_one(shm, me, dead_slot, i, grace_until_ms);
			n++;
		}
		rooms_unlock(shm, me, conv);
		if (r < 0)
			return r;
	}
	if (*pos == high)
		*pos = UINT32_MAX;
	return n;
}

int presence_drop_slot(struct shm *shm, unsigned me, unsigned dead_slot, uint64_t grace_until_ms,
		       void (*on_typing)(void *arg, int64_t conv), void *arg)
{
	uint32_t pos = 0;
	int n = presence_drop_part(shm, me, dead_slot, grace_until_ms, &pos, UINT32_MAX);
	int r = n < 0 ? n : typing_drop_slot(shm, me, dead_slot, on_typing, arg);

	return r < 0 ? r : n;
}
