/* SPDX-License-Identifier: MIT */
/*
 * The table of connected users: found by id, kept by references of member records and typing marks.
 * Who is in which room is in members.c; nobody outside shm/ creates a user.
 */
#include "shm/users.h"

#include "shm/view_priv.h"

int users_lock(struct shm *shm, unsigned me, unsigned shard)
{
	int r = lock_wait(shm, LOCK_USERS, shard, me);

	if (r != -ERR_DIRTY)
		return r;
	r = repair_users(shm, me, shard);
	if (r < 0) {
		lock_drop(shm, LOCK_USERS, shard, me); /* still dirty: the next one tries */
		return r;
	}
	lock_clean(shm, LOCK_USERS, shard, me);
	return 0;
}

static void users_unlock(struct shm *shm, unsigned me, int64_t user)
{
	lock_drop(shm, LOCK_USERS, user_shard(shm, user), me);
}

static uint32_t user_find(const struct shm *shm, int64_t user)
{
	uint32_t i = index_first(shm, INDEX_USERS, user, 0);

	while (i && rec_key(&user_at(shm, i)->rec) != user)
		i = user_at(shm, i)->rec.next;
	return i;
}

static uint32_t refs_get(const struct shm_user *u, unsigned slot)
{
	return atomic_load_explicit(&u->refs[slot], memory_order_relaxed);
}

static void refs_set(struct shm_user *u, unsigned slot, uint32_t n)
{
	atomic_store_explicit(&u->refs[slot], n, memory_order_relaxed);
}

static uint64_t refs_sum(const struct shm *shm, const struct shm_user *u)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < shm->geo.n_slots; i++)
		n += refs_get(u, i);
	return n;
}

struct str user_name_at(const struct shm *shm, uint32_t idx)
{
	const struct shm_user *u = user_at(shm, idx);
	const struct shm_name *n;

	if (!u->long_name)
		return (struct str){u->name, MIN(u->rec.len, USER_NAME_INLINE)};
	n = (const struct shm_name *)rec_at(shm, POOL_NAMES, u->long_name);
	return (struct str){n->bytes, MIN(u->rec.len, SHM_NAME_MAX)};
}

static int name_store(struct shm *shm, unsigned me, struct shm_user *u, struct str name)
{
	char *to = u->name;

	if (name.len > USER_NAME_INLINE) {
		uint32_t idx;
		int r = pool_get(shm, me, POOL_NAMES, rec_key(&u->rec), &idx);

		if (r < 0)
			return r;
		u->long_name = idx;
		to = ((struct shm_name *)rec_at(shm, POOL_NAMES, idx))->bytes;
	}
	memcpy(to, name.p, name.len);
	u->rec.len = (uint16_t)name.len;
	return 0;
}

/* The shard is held. */
static int user_create(struct shm *shm, unsigned me, int64_t user, struct str name, uint32_t *ret)
{
	uint32_t idx;
	struct shm_user *u;
	int r = pool_get(shm, me, POOL_USERS, user, &idx);

	if (r < 0)
		return r;
	FAULT_POINT("user.claimed");
	u = user_at(shm, idx);
	r = name_store(shm, me, u, name);
	if (r < 0) {
		int r2 = pool_put(shm, me, POOL_USERS, idx);

		return r2 < 0 ? r2 : r;
	}
	rec_set_state(&u->rec, REC_LIVE);
	index_add(shm, INDEX_USERS, idx);
	*ret = idx;
	return 0;
}

int user_ref(struct shm *shm, unsigned me, int64_t user, struct str name, uint32_t *ret)
{
	uint32_t idx;
	int r = users_lock(shm, me, user_shard(shm, user));

	if (r < 0)
		return r;
	idx = user_find(shm, user);
	if (!idx)
		r = user_create(shm, me, user, name, &idx);
	if (!r) {
		refs_set(user_at(shm, idx), me, refs_get(user_at(shm, idx), me) + 1);
		*ret = idx;
	}
	users_unlock(shm, me, user);
	return r;
}

int user_ref_again(struct shm *shm, unsigned me, int64_t user, uint32_t idx)
{
	struct shm_user *u = user_at(shm, idx);
	int r = users_lock(shm, me, user_shard(shm, user));

	if (r < 0)
		return r;
	refs_set(u, me, refs_get(u, me) + 1);
	users_unlock(shm, me, user);
	return 0;
}

int user_free_unused(struct shm *shm, unsigned me, uint32_t idx)
{
	struct shm_user *u = user_at(shm, idx);
	int r;

	if (refs_sum(shm, u))
		return 0;
	rec_set_state(&u->rec, REC_CLAIMED);
	index_del(shm, INDEX_USERS, idx);
	FAULT_POINT("user.unlinked");
	if (u->long_name) {
		r = pool_put(shm, me, POOL_NAMES, u->long_name);
		if (r < 0)
			return r;
		u->long_name = 0;
	}
	return pool_put(shm, me, POOL_USERS, idx);
}

/* A count that is 0 already stays 0, and a record that is another user's by now is left alone. */
int user_unref(struct shm *shm, unsigned me, unsigned slot, int64_t user, uint32_t idx)
{
	struct shm_user *u = user_at(shm, idx);
	int r = users_lock(shm, me, user_shard(shm, user));

	if (r < 0)
		return r;
	if (rec_state(&u->rec) == REC_LIVE && rec_key(&u->rec) == user) {
		if (refs_get(u, slot))
			refs_set(u, slot, refs_get(u, slot) - 1);
		r = user_free_unused(shm, me, idx);
	}
	users_unlock(shm, me, user);
	return r;
}

/* How many entries of SLOT in POOL refer to each user. */
static void refs_count(struct shm *shm, enum pool pool, unsigned slot, uint32_t *counts, uint32_t n)
{
	uint32_t high = pool_high(shm, pool);

	for (uint32_t i = 1; i <= high; i++) {
		struct shm_entry *e = entry_at(shm, pool, i);
		enum rec_state state = rec_state(&e->rec);

		if ((state == REC_LIVE || state == REC_LINGER) && rec_slot(&e->rec) == slot &&
		    e->user_idx <= n)
			counts[e->user_idx]++;
	}
}

int users_settle(struct shm *shm, unsigned me, unsigned slot)
{
	uint32_t n = pool_high(shm, POOL_USERS);
	uint32_t *counts = xcalloc((size_t)n + 1, sizeof(*counts));
	int r = 0;

	refs_count(shm, POOL_MEMBERS, slot, counts, n);
	refs_count(shm, POOL_TYPING, slot, counts, n);
	for (uint32_t i = 1; i <= n && !r; i++) {
		struct shm_user *u = user_at(shm, i);
		int64_t user = rec_key(&u->rec);

		if (rec_state(&u->rec) != REC_LIVE || refs_get(u, slot) == counts[i])
			continue;
		r = users_lock(shm, me, user_shard(shm, user));
		if (r < 0)
			break;
		if (rec_state(&u->rec) == REC_LIVE && rec_key(&u->rec) == user) {
			refs_set(u, slot, counts[i]);
			r = user_free_unused(shm, me, i);
		}
		users_unlock(shm, me, user);
	}
	free(counts);
	return r;
}

int users_forget_part(struct shm *shm, unsigned me, unsigned slot, uint32_t *pos, uint32_t budget)
{
	uint32_t high = pool_high(shm, POOL_USERS);
	uint32_t end = high - *pos > budget ? *pos + budget : high;

	for (uint32_t i = *pos + 1; i <= end; *pos = i++) {
		struct shm_user *u = user_at(shm, i);
		int64_t user = rec_key(&u->rec);
		int r;

		if (rec_state(&u->rec) != REC_LIVE || !refs_get(u, slot))
			continue;
		r = users_lock(shm, me, user_shard(shm, user));
		if (r < 0)
			return r;
		if (rec_state(&u->rec) == REC_LIVE && rec_key(&u->rec) == user) {
			refs_set(u, slot, 0);
			r = user_free_unused(shm, me, i);
		}
		users_unlock(shm, me, user);
		if (r < 0)
			return r;
	}
	if (*pos == high)
		*pos = UINT32_MAX;
	return 0;
}

/* The shard is held; the caller fills its own. */
static void info_fill(const struct shm *shm, uint32_t idx, struct user_info *ret)
{
	const struct shm_user *u = user_at(shm, idx);
	struct str name = user_name_at(shm, idx);

	ret->records = (uint32_t)refs_sum(shm, u);
	ret->slots = 0;
	for (unsigned i = 0; i < shm->geo.n_slots; i++)
		if (refs_get(u, i))
			ret->slots |= slot_bit(i);
	ret->presence = u->presence;
	ret->active_ms = u->active_ms;
	ret->name_len = (uint32_t)name.len;
	memcpy(ret->name, name.p, name.len);
	ret->name[name.len] = '\0';
}

int user_read(struct shm *shm, unsigned me, int64_t user, struct user_info *ret)
{
	uint32_t idx;
	int r = users_lock(shm, me, user_shard(shm, user));

	if (r < 0)
		return r;
	idx = user_find(shm, user);
	if (idx)
		info_fill(shm, idx, ret);
	users_unlock(shm, me, user);
	return idx ? 0 : -ERR_NOENT;
}

int user_online_bulk(struct shm *shm, unsigned me, const int64_t *users, size_t n, bool *ret)
{
	for (size_t i = 0; i < n; i++) {
		int r = users_lock(shm, me, user_shard(shm, users[i]));

		if (r < 0)
			return r;
		ret[i] = user_find(shm, users[i]) != 0;
		users_unlock(shm, me, users[i]);
	}
	return 0;
}

int user_presence_set(struct shm *shm, unsigned me, int64_t user, enum user_presence presence,
		      bool *ret_changed)
{
	struct shm_user *u;
	uint32_t idx;
	int r;

	if (presence > USER_INVISIBLE)
		return -ERR_INVAL;
	r = users_lock(shm, me, user_shard(shm, user));
	if (r < 0)
		return r;
	idx = user_find(shm, user);
	if (idx) {
		u = user_at(shm, idx);
		*ret_changed = u->presence != presence;
		u->presence = (uint8_t)presence;
	}
	users_unlock(shm, me, user);
	return idx ? 0 : -ERR_NOENT;
}

static void touch(struct shm_user *u, uint64_t now)
{
	u->active_ms = MAX(u->active_ms, now);
}

int user_touch(struct shm *shm, unsigned me, int64_t user, uint64_t now)
{
	uint32_t idx;
	int r = users_lock(shm, me, user_shard(shm, user));

	if (r < 0)
		return r;
	idx = user_find(shm, user);
	if (idx)
		touch(user_at(shm, idx), now);
	users_unlock(shm, me, user);
	return idx ? 0 : -ERR_NOENT;
}
