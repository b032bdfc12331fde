/* SPDX-License-Identifier: MIT */
/*
 * One process's view of the segment: addresses of the parts, private scratch, and what shm/ files
 * share. Nothing here lies in shared memory.
 */
#ifndef SHM_VIEW_PRIV_H
#define SHM_VIEW_PRIV_H

#include "base/fault.h"
#include "shm/layout_priv.h"

struct ring_pending {
	int64_t conv, rev;
	uint64_t targets, offset;
	const void *payload; /* borrowed until ring_publish_end */
	uint32_t len, room;
	uint16_t flags;
};

struct shm {
	uint8_t *base;
	size_t bytes;
	int fd; /* owned */
	struct shm_geometry geo;
	struct shm_header *header;
	struct shm_lock *locks;
	struct shm_slot *slots;
	struct shm_metrics *master_metrics;
	struct shm_pool *pools;
	uint8_t *table[POOLS]; /* address of record 0, which is never used */
	uint32_t stride[POOLS];
	struct shm_index *indexes;	/* INDEXES_TOTAL */
	_Atomic uint32_t *buckets_used; /* of those that lie in parts */
	uint32_t *buckets, buckets_n;
	struct shm_revoked *revoked; /* REVOKED_N, and one more: see revoked.c */
	uint32_t revoked_n;
	_Atomic uint64_t *epochs; /* EPOCHS */
	struct shm_limit *limits;
	uint32_t limit_mask; /* sets less one */
	struct shm_ring *ring;
	uint8_t *ring_data;
	uint64_t ring_mask;
	struct buf scratch;	    /* copies made under a lock, grown outside of it */
	struct ring_pending *batch; /* owned */
	uint32_t batch_n, batch_cap;
};

#define ROOM_SHARDS 256
#define USER_SHARDS 64
#define LIMIT_SHARDS 64

/* The tables that are hashed; members are found by room and user, in the room's shard. */
enum index { INDEX_ROOMS, INDEX_MEMBERS, INDEX_USERS, INDEXES };
#define INDEXES_TOTAL (2 * ROOM_SHARDS + USER_SHARDS)

static inline uint64_t hash64(const struct shm *shm, uint64_t x)
{
	x ^= shm->header->hash_seed;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

static inline unsigned room_shard(const struct shm *shm, int64_t conv)
{
	return hash64(shm, (uint64_t)conv) % ROOM_SHARDS;
}

static inline unsigned user_shard(const struct shm *shm, int64_t user)
{
	return hash64(shm, (uint64_t)user) % USER_SHARDS;
}

static inline struct shm_rec *rec_at(const struct shm *shm, enum pool pool, uint32_t idx)
{
	return (struct shm_rec *)(shm->table[pool] + (size_t)idx * shm->stride[pool]);
}

static inline struct shm_room *room_at(const struct shm *shm, uint32_t idx)
{
	return (struct shm_room *)rec_at(shm, POOL_ROOMS, idx);
}

static inline struct shm_entry *entry_at(const struct shm *shm, enum pool pool, uint32_t idx)
{
	return (struct shm_entry *)rec_at(shm, pool, idx);
}

static inline struct shm_user *user_at(const struct shm *shm, uint32_t idx)
{
	return (struct shm_user *)rec_at(shm, POOL_USERS, idx);
}

static inline enum rec_state rec_state(const struct shm_rec *r)
{
	return atomic_load_explicit(&r->state, memory_order_acquire);
}

static inline void rec_set_state(struct shm_rec *r, enum rec_state state)
{
	atomic_store_explicit(&r->state, (uint8_t)state, memory_order_release);
}

static inline int64_t rec_key(const struct shm_rec *r)
{
	return atomic_load_explicit(&r->key, memory_order_relaxed);
}

static inline unsigned rec_slot(const struct shm_rec *r)
{
	return atomic_load_explicit(&r->slot, memory_order_relaxed);
}

static inline uint32_t pool_high(const struct shm *shm, enum pool pool)
{
	return atomic_load_explicit(&shm->pools[pool].high, memory_order_acquire);
}

static inline uint64_t slot_bit(unsigned slot)
{
	return (uint64_t)1 << slot;
}

/* lock.c: taking with the usual deadline; the slot that a word names, or -1. */
int lock_wait(struct shm *shm, enum lock_id id, unsigned shard, unsigned me) MUST_CHECK;
bool lock_names_slot(struct shm *shm, enum lock_id id, unsigned shard, unsigned slot);

/* slots.c */
bool slot_runs(struct shm *shm, unsigned slot, uint32_t generation);
void slot_reset_run(struct shm *shm, unsigned slot);

/* pool.c: KEY and ME are stamped on the record, whose rest is zero (not that of names). */
int pool_get(struct shm *shm, unsigned me, enum pool pool, int64_t key, uint32_t *ret) MUST_CHECK;
int pool_put(struct shm *shm, unsigned me, enum pool pool, uint32_t idx) MUST_CHECK;
int pool_lock(struct shm *shm, unsigned me, enum pool pool) MUST_CHECK;

/*
 * index.c: with the shard's lock held. A record is added once its key (and user) is set, and taken
 * out before that changes. index_first: the first record of the chain, through rec.next, that holds
 * whatever has this key (and this user, for members); 0: none.
 */
uint32_t index_first(const struct shm *shm, enum index id, int64_t key, int64_t user);
void index_add(struct shm *shm, enum index id, uint32_t idx);
void index_del(struct shm *shm, enum index id, uint32_t idx);
/* No record is in it any more; its buckets stay. */
void index_clear(struct shm *shm, enum index id, unsigned shard);

/* wheel.c: the owner's process only. */
void wheel_add(struct shm *shm, struct shm_wheel *w, enum pool pool, uint32_t idx);
void wheel_del(struct shm *shm, struct shm_wheel *w, enum pool pool, uint32_t idx);
/*
 * Up to MAX entries whose deadline is not after NOW; they stay until wheel_del. Returns their
 * number.
 */
#define WHEEL_BATCH 64
unsigned wheel_due(struct shm *shm, struct shm_wheel *w, enum pool pool, uint64_t now,
		   uint32_t *ret, unsigned max);
void wheel_reset(struct shm_wheel *w);

/* users.c: a reference keeps record and name. Callers hold the room's shard or nothing. */
int users_lock(struct shm *shm, unsigned me, unsigned shard) MUST_CHECK;
int user_ref(struct shm *shm, unsigned me, int64_t user, struct str name, uint32_t *ret) MUST_CHECK;
int user_ref_again(struct shm *shm, unsigned me, int64_t user, uint32_t idx) MUST_CHECK;
int user_unref(struct shm *shm, unsigned me, unsigned slot, int64_t user, uint32_t idx) MUST_CHECK;
struct str user_name_at(const struct shm *shm, uint32_t idx);
/* Makes SLOT's reference counts those of its entries, which must not change meanwhile. */
int users_settle(struct shm *shm, unsigned me, unsigned slot) MUST_CHECK;

/*
 * For a slot that has no entry left: no user is counted for it any more. BUDGET records from *POS
 * (first 0) on; afterwards *POS is UINT32_MAX when all were looked at.
 */
int users_forget_part(struct shm *shm, unsigned me, unsigned slot, uint32_t *pos,
		      uint32_t budget) MUST_CHECK;
/* With the shard's lock held: frees the user when nobody refers to it. */
int user_free_unused(struct shm *shm, unsigned me, uint32_t idx) MUST_CHECK;

/* rooms.c: all with the conversation's shard held, which rooms_lock takes (and repairs). */
int rooms_lock(struct shm *shm, unsigned me, int64_t conv) MUST_CHECK;
void rooms_unlock(struct shm *shm, unsigned me, int64_t conv);
uint32_t room_find(const struct shm *shm, int64_t conv);
int room_get(struct shm *shm, unsigned me, int64_t conv, uint32_t *ret) MUST_CHECK;
int room_free_unused(struct shm *shm, unsigned me, uint32_t idx) MUST_CHECK;
void room_published_max(struct shm_room *room, int64_t rev);

/* members.c: links and counts of one member record; the room's shard is held. */
uint32_t member_find(const struct shm *shm, int64_t conv, int64_t user, unsigned slot);
uint32_t member_find_other(const struct shm *shm, int64_t conv, int64_t user, uint32_t but);
void member_link(struct shm *shm, uint32_t idx);
void member_count_live(struct shm *shm, struct shm_entry *e, int sign);
int member_remove(struct shm *shm, unsigned me, uint32_t idx, bool *ret_has_left) MUST_CHECK;

/* typing.c */
void typing_link(struct shm *shm, uint32_t idx);
int typing_drop_slot(struct shm *shm, unsigned me, unsigned dead_slot,
		     void (*on_typing)(void *arg, int64_t conv), void *arg) MUST_CHECK;

/* ring.c */
void ring_header_read(const struct shm *shm, uint64_t offset, struct shm_ring_rec *ret);
bool ring_header_is_sound(const struct shm *shm, uint64_t offset, const struct shm_ring_rec *h);
bool ring_is_kept(const struct shm *shm, uint64_t offset);
uint64_t ring_room_left(const struct shm *shm, uint64_t offset);
uint64_t ring_tail(const struct shm *shm);
/* Slots that may not know that something for them is published, as their publisher died. */
uint64_t ring_wake_forgotten(struct shm *shm);

/* repair.c: with the lock held; the data behind it is rebuilt from the records. */
int repair_rooms(struct shm *shm, unsigned me, unsigned shard) MUST_CHECK;
int repair_users(struct shm *shm, unsigned me, unsigned shard) MUST_CHECK;
void repair_pool(struct shm *shm, enum pool pool);

#endif
