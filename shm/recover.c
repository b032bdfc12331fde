/* SPDX-License-Identifier: MIT */
/*
 * Recovery of a dead slot by one survivor, and rebuilding and verifying of derived data on demand.
 * Every step may be repeated: a recoverer that dies is followed by another that starts again.
 */
#include "shm/recover.h"

#include "base/clock.h"
#include "shm/presence.h"
#include "shm/view_priv.h"

/* A run that left data and whose process is gone. */
static bool needs_recovery(struct shm *shm, unsigned me, unsigned slot)
{
	struct shm_slot *s = &shm->slots[slot];
	uint32_t dirty = atomic_load(&s->dirty_gen);

	if (!dirty)
		return false;
	if (dirty != atomic_load(&s->generation))
		return true; /* the master counted on: the former process is reaped */
	return slot != me && !slot_runs(shm, slot, dirty & LOCK_GEN_MASK);
}

int recover_next(struct shm *shm, unsigned me, unsigned *ret_slot)
{
	for (unsigned i = 0; i < shm->geo.n_slots; i++)
		if (needs_recovery(shm, me, i)) {
			*ret_slot = i;
			return 0;
		}
	return -ERR_NOENT;
}

static void inherit_all(struct shm *shm, unsigned me)
{
	atomic_store(&shm->slots[me].inherited_all, 1);
}

static void inherit(struct shm *shm, unsigned me, int64_t conv)
{
	struct shm_slot *s = &shm->slots[me];
	uint32_t n = atomic_load(&s->inherited_n);

	if (n >= INHERITED_MAX) {
		inherit_all(shm, me);
		return;
	}
	s->inherited[n] = conv;
	atomic_store_explicit(&s->inherited_n, n + 1, memory_order_release);
}

/* "All rooms of the slot": those where it had members. */
static void inherit_rooms(struct shm *shm, unsigned me, unsigned dead)
{
	uint32_t high = pool_high(shm, POOL_MEMBERS);

	for (uint32_t i = 1; i <= high && !atomic_load(&shm->slots[me].inherited_all); i++) {
		struct shm_rec *rec = rec_at(shm, POOL_MEMBERS, i);

		if (rec_state(rec) != REC_FREE && rec_slot(rec) == dead &&
		    MEMBER_IS_ROOM(rec_key(rec)))
			inherit(shm, me, rec_key(rec));
	}
}

/* Before the conversations: who sees those waits for these. */
static void inherit_backends(struct shm *shm, unsigned me, unsigned dead)
{
	int32_t pids[SLOT_BACKENDS_MAX];
	unsigned n = slot_backends(shm, dead, pids);

	for (unsigned i = 0; i < n && dead != me; i++)
		slot_backend_add(shm, me, pids[i]);
}

static void inherit_lists(struct shm *shm, unsigned me, unsigned dead)
{
	struct shm_slot *d = &shm->slots[dead];
	struct shm_inflight *list = &d->inflight[atomic_load(&d->inflight_now) & 1];
	uint32_t n = MIN(list->n, SLOT_INFLIGHT_MAX);

	for (uint32_t i = 0; i < n; i++)
		inherit(shm, me, list->convs[i]);
	if (list->is_all)
		inherit_rooms(shm, me, dead);
	if (dead == me)
		return;
	n = atomic_load(&d->inherited_n);
	n = MIN(n, INHERITED_MAX);
	for (uint32_t i = 0; i < n; i++)
		inherit(shm, me, d->inherited[i]);
	if (atomic_load(&d->inherited_all))
		inherit_all(shm, me);
}

/* Takes a lock that its owner left, repairs behind it, lets it go. */
static int lock_heal(struct shm *shm, unsigned me, enum lock_id id, unsigned shard)
{
	int r = lock_wait(shm, id, shard, me);

	if (r == -ERR_DIRTY) {
		r = 0;
		if (id == LOCK_ROOMS)
			r = repair_rooms(shm, me, shard);
		else if (id == LOCK_USERS)
			r = repair_users(shm, me, shard);
		else if (id == LOCK_POOLS && shard < POOLS)
			repair_pool(shm, shard);
		if (!r) /* behind the locks of revoked, ring and limits is nothing to repair */
			lock_clean(shm, id, shard, me);
	} else if (r < 0) {
		return r;
	}
	lock_drop(shm, id, shard, me);
	return r;
}

/*
 * Free lists first: the other repairs use them. Claims of dead recoverers are left to who recovers
 * those slots.
 */
static int locks_heal(struct shm *shm, unsigned me, unsigned dead)
{
	static const enum lock_id order[] = {LOCK_POOLS, LOCK_USERS, LOCK_ROOMS, LOCK_REVOKED,
					     LOCK_RING, LOCK_LIMITS};

	for (unsigned i = 0; i < ARRAY_LEN(order); i++)
		for (unsigned shard = 0; shard < lock_shards(order[i]); shard++) {
			int r = 0;

			if (lock_names_slot(shm, order[i], shard, dead) &&
			    lock_is_orphan(shm, order[i], shard))
				r = lock_heal(shm, me, order[i], shard);
			if (r < 0)
				return r;
		}
	return 0;
}

static void slot_mark_clean(struct shm *shm, unsigned me, unsigned dead)
{
	struct shm_slot *d = &shm->slots[dead];

	if (dead != me) {
		wheel_reset(&d->member_wheel);
		wheel_reset(&d->typing_wheel);
		atomic_store(&d->inherited_n, 0);
		atomic_store(&d->inherited_all, 0);
		for (unsigned i = 0; i < SLOT_BACKENDS_MAX; i++)
			atomic_store(&d->backends[i], 0);
	}
	slot_reset_run(shm, dead);
	atomic_store(&d->dirty_gen, 0);
	metric_add(shm, me, M_RECOVERIES, 1);
}

/* ---- The recovery of one slot, in steps that may all be repeated ---- */

static int step_claimed(struct shm *shm, unsigned me, struct recover_run *run)
{
	FAULT_POINT("recover.claimed");
	if (run->dead == me) { /* the former process's timers: set again below */
		wheel_reset(&shm->slots[me].member_wheel);
		wheel_reset(&shm->slots[me].typing_wheel);
	}
	inherit_backends(shm, me, run->dead);
	inherit_lists(shm, me, run->dead);
	FAULT_POINT("recover.inherited");
	run->step = RECOVER_LOCKS;
	return 0;
}

static int step_locks(struct shm *shm, unsigned me, struct recover_run *run)
{
	run->step = RECOVER_MEMBERS;
	run->pos = 0;
	return locks_heal(shm, me, run->dead);
}

static int step_members(struct shm *shm, unsigned me, struct recover_run *run, uint32_t budget)
{
	int r = presence_drop_part(shm, me, run->dead, run->grace_until_ms, &run->pos, budget);

	if (r < 0)
		return r;
	run->result.members += (uint32_t)r;
	if (run->pos == UINT32_MAX)
		run->step = RECOVER_TYPING;
	return 0;
}

static int step_typing(struct shm *shm, unsigned me, struct recover_run *run,
		       const struct recover_calls *calls)
{
	run->step = RECOVER_USERS;
	run->pos = 0;
	return typing_drop_slot(shm, me, run->dead, calls->on_typing, calls->arg);
}

/*
 * Of a slot that goes on with its members the counts must be found; of any other nothing is left.
 */
static int step_users(struct shm *shm, unsigned me, struct recover_run *run, uint32_t budget)
{
	int r;

	if (run->dead != me) {
		r = users_forget_part(shm, me, run->dead, &run->pos, budget);
	} else {
		run->pos = UINT32_MAX;
		r = users_settle(shm, me, me);
	}
	if (r == 0 && run->pos == UINT32_MAX)
		run->step = RECOVER_END;
	return r;
}

static int step_end(struct shm *shm, unsigned me, struct recover_run *run)
{
	FAULT_POINT("recover.dropped");
	run->result.inflight = atomic_load(&shm->slots[me].inherited_n);
	run->result.wake = ring_wake_forgotten(shm);
	slot_mark_clean(shm, me, run->dead);
	run->step = RECOVER_DONE;
	return 0;
}

static int step_next(struct shm *shm, unsigned me, const struct recover_calls *calls,
		     uint32_t budget, struct recover_run *run)
{
	switch (run->step) {
	case RECOVER_CLAIMED:
		return step_claimed(shm, me, run);
	case RECOVER_LOCKS:
		return step_locks(shm, me, run);
	case RECOVER_MEMBERS:
		return step_members(shm, me, run, budget);
	case RECOVER_TYPING:
		return step_typing(shm, me, run, calls);
	case RECOVER_USERS:
		return step_users(shm, me, run, budget);
	case RECOVER_END:
		return step_end(shm, me, run);
	case RECOVER_DONE:
		break;
	}
	return 0;
}

int recover_begin(struct shm *shm, unsigned me, unsigned dead_slot, uint64_t grace_until_ms,
		  struct recover_run *ret)
{
	int r;

	if (dead_slot >= shm->geo.n_slots || !needs_recovery(shm, me, dead_slot))
		return -ERR_NOENT;
	r = lock_take(shm, LOCK_RECOVER, dead_slot, me, 0);
	if (r == -ERR_TIMEOUT)
		return -ERR_AGAIN;
	if (r == -ERR_DIRTY) /* a claim guards steps that may all be repeated */
		lock_clean(shm, LOCK_RECOVER, dead_slot, me);
	if (!needs_recovery(shm, me, dead_slot)) { /* somebody finished meanwhile */
		lock_drop(shm, LOCK_RECOVER, dead_slot, me);
		return -ERR_NOENT;
	}
	*ret = (struct recover_run){.dead = dead_slot, .grace_until_ms = grace_until_ms};
	return 0;
}

int recover_step(struct shm *shm, unsigned me, const struct recover_calls *calls, uint32_t budget,
		 struct recover_run *run)
{
	int r = step_next(shm, me, calls, budget, run);

	if (r == 0 && run->step != RECOVER_DONE)
		return -ERR_AGAIN;
	lock_drop(shm, LOCK_RECOVER, run->dead, me);
	return r;
}

void recover_abandon(struct shm *shm, unsigned me, struct recover_run *run)
{
	lock_drop(shm, LOCK_RECOVER, run->dead, me);
}

int recover_slot(struct shm *shm, unsigned me, unsigned dead_slot, uint64_t grace_until_ms,
		 const struct recover_calls *calls, struct recover_result *ret)
{
	struct recover_run run;
	int r = recover_begin(shm, me, dead_slot, grace_until_ms, &run);

	if (r < 0)
		return r;
	do
		r = recover_step(shm, me, calls, UINT32_MAX, &run);
	while (r == -ERR_AGAIN);
	if (!r)
		*ret = run.result;
	return r;
}

uint32_t recover_rooms(const struct shm *shm, uint32_t *pos, int64_t *ret_convs, uint32_t max)
{
	uint32_t high = pool_high(shm, POOL_ROOMS), n = 0;

	while (n < max && *pos < high) {
		const struct shm_rec *rec = rec_at(shm, POOL_ROOMS, ++*pos);

		if (rec_state(rec) == REC_LIVE && rec_key(rec) > 0)
			ret_convs[n++] = rec_key(rec);
	}
	return n;
}

uint32_t recover_inherited(struct shm *shm, unsigned me, int64_t *ret_convs, uint32_t max,
			   bool *ret_is_all)
{
	struct shm_slot *s = &shm->slots[me];
	uint32_t n = atomic_load(&s->inherited_n);

	n = MIN(n, max);
	memcpy(ret_convs, s->inherited, n * sizeof(*ret_convs));
	*ret_is_all = atomic_load(&s->inherited_all);
	return n;
}

void recover_inherit(struct shm *shm, unsigned me, int64_t conv)
{
	const struct shm_slot *s = &shm->slots[me];
	uint32_t n = atomic_load(&s->inherited_n);

	if (atomic_load(&s->inherited_all))
		return;
	for (uint32_t i = 0; i < n; i++)
		if (s->inherited[i] == conv)
			return;
	inherit(shm, me, conv);
}

/*
 * The last one takes the place of a removed one before the list gets shorter: a death leaves a
 * duplicate at worst.
 */
void recover_announced(struct shm *shm, unsigned me, int64_t conv)
{
	struct shm_slot *s = &shm->slots[me];
	uint32_t n = atomic_load(&s->inherited_n);

	if (conv == 0)
		atomic_store(&s->inherited_all, 0);
	for (uint32_t i = n; i-- > 0;) {
		if (s->inherited[i] != conv)
			continue;
		s->inherited[i] = s->inherited[--n];
		atomic_store_explicit(&s->inherited_n, n, memory_order_release);
	}
}

static int rebuild_one(struct shm *shm, unsigned me, enum lock_id id, unsigned shard)
{
	int r = lock_wait(shm, id, shard, me);

	if (r < 0 && r != -ERR_DIRTY)
		return r;
	r = 0;
	if (id == LOCK_ROOMS)
		r = repair_rooms(shm, me, shard);
	else if (id == LOCK_USERS)
		r = repair_users(shm, me, shard);
	else
		repair_pool(shm, shard);
	if (!r)
		lock_clean(shm, id, shard, me);
	lock_drop(shm, id, shard, me);
	return r;
}

int shm_rebuild(struct shm *shm, unsigned me)
{
	int r = 0;

	for (unsigned i = 0; i < POOLS && !r; i++)
		r = rebuild_one(shm, me, LOCK_POOLS, i);
	for (unsigned i = 0; i < USER_SHARDS && !r; i++)
		r = rebuild_one(shm, me, LOCK_USERS, i);
	for (unsigned i = 0; i < ROOM_SHARDS && !r; i++)
		r = rebuild_one(shm, me, LOCK_ROOMS, i);
	return r < 0 ? r : users_settle(shm, me, me);
}
