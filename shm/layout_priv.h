/* SPDX-License-Identifier: MIT */
/*
 * Every structure that lies in shared memory. Zeroed memory is a valid empty table everywhere.
 * Rules of access are numbered in shm/README.md; a change here needs a new SHM_VERSION.
 */
#ifndef SHM_LAYOUT_PRIV_H
#define SHM_LAYOUT_PRIV_H

#include <stdatomic.h>

#include "shm/epochs.h"
#include "shm/lock.h"
#include "shm/metrics.h"
#include "shm/segment.h"
#include "shm/shm.h"
#include "shm/slots.h"

#define SHM_MAGIC 0x31306d73646d6f72ULL /* "romdsm01" in memory */
#define SHM_VERSION 8
#define SHM_LINE 64
#define ON_LINE _Alignas(SHM_LINE)

/* Index 0 is "none" in every table: records are numbered from 1. */

struct shm_header {
	uint64_t magic;
	uint32_t version;
	uint32_t header_bytes;
	struct shm_geometry geo;
	uint64_t boot_id;
	uint64_t hash_seed;   /* keys of clients' choosing cannot pile up in one chain */
	uint64_t total_bytes; /* length of the file */
	uint32_t metrics;     /* METRICS of the creator */
	uint32_t pad;
};
_Static_assert(sizeof(struct shm_geometry) == 40, "layout");
_Static_assert(sizeof(struct shm_header) == 88, "layout");
_Static_assert(offsetof(struct shm_header, boot_id) == 56, "layout");

/*
 * Bits of a lock word. Owner 0 is free; the generation tells a slot's former process from its
 * present one.
 */
#define LOCK_OWNER_MASK 0x7fu
#define LOCK_GEN_SHIFT 7
#define LOCK_GEN_MASK 0x7fffffu
#define LOCK_DIRTY (1u << 30)
#define LOCK_WAITERS (1u << 31)

struct shm_lock {
	ON_LINE _Atomic uint32_t word;
};
_Static_assert(sizeof(struct shm_lock) == SHM_LINE, "layout");
_Static_assert(SLOT_MAX + 1 <= LOCK_OWNER_MASK, "layout");

struct shm_metrics {
	ON_LINE _Atomic int64_t v[METRICS];
};

/*
 * Timers of one slot: entries hang in the spoke of their deadline's tick, far ones for several
 * turns.
 */
#define WHEEL_SPOKES 128
#define WHEEL_TICK_MS 128

struct shm_wheel {
	uint64_t last_tick; /* every earlier tick was visited */
	uint32_t n;	    /* entries */
	uint32_t pad;
	uint32_t heads[WHEEL_SPOKES];
};
_Static_assert(sizeof(struct shm_wheel) == 528, "layout");

struct shm_inflight {
	uint32_t n;
	uint32_t is_all;
	int64_t convs[SLOT_INFLIGHT_MAX];
};

#define INHERITED_MAX (2 * SLOT_INFLIGHT_MAX)

struct shm_slot {
	/* written by the master */
	ON_LINE _Atomic uint32_t state;
	_Atomic uint32_t generation;
	/* written by its process; dirty_gen also by who recovers it */
	ON_LINE _Atomic int32_t pid;
	_Atomic uint32_t dirty_gen;  /* the run whose data lies here; 0 = clean */
	_Atomic uint64_t start_time; /* of the process, in clock ticks after boot; 0 = unknown */
	/* written by its process, often */
	ON_LINE _Atomic uint64_t heartbeat_ms;
	_Atomic uint64_t ring_cursor;
	/* asleep: set by its process, cleared by who wakes it */
	ON_LINE _Atomic uint32_t asleep;
	/* newest record with this slot as target: written under the ring lock */
	ON_LINE _Atomic uint64_t last_target;

	struct shm_metrics metrics;
	/* everything below is written by its process, or by who recovers it */
	ON_LINE _Atomic uint32_t inflight_now; /* which of the two lists is in force */
	struct shm_inflight inflight[2];
	_Atomic uint32_t inherited_n;
	_Atomic uint32_t inherited_all;
	int64_t inherited[INHERITED_MAX];
	_Atomic uint32_t backends_next;
	_Atomic int32_t backends[SLOT_BACKENDS_MAX];
	struct shm_wheel member_wheel;
	struct shm_wheel typing_wheel;
};
_Static_assert(offsetof(struct shm_slot, pid) == 64, "layout");
_Static_assert(offsetof(struct shm_slot, heartbeat_ms) == 128, "layout");
_Static_assert(offsetof(struct shm_slot, asleep) == 192, "layout");
_Static_assert(offsetof(struct shm_slot, last_target) == 256, "layout");
_Static_assert(sizeof(struct shm_slot) % SHM_LINE == 0, "layout");

/* Tables with a free list. */
enum pool { POOL_ROOMS, POOL_MEMBERS, POOL_TYPING, POOL_USERS, POOL_NAMES, POOLS };

struct shm_pool {
	ON_LINE uint32_t free;	       /* first of the free list */
	_Atomic uint32_t high; /* records 1 to high were ever used */
	_Atomic uint32_t used;
	uint32_t capacity;
};
_Static_assert(sizeof(struct shm_pool) == SHM_LINE, "layout");

enum rec_state {
	REC_FREE,
	REC_CLAIMED, /* taken from the pool or given up: counts for nothing */
	REC_LIVE,
	REC_LINGER, /* members only: no connection, counts as present until its deadline */
};

/* The first bytes of every pool record: what repair goes by. */
struct shm_rec {
	uint32_t next; /* free list or hash chain */
	_Atomic uint8_t state;
	_Atomic uint8_t slot; /* owner of members and typing marks */
	uint16_t len;	      /* users: bytes of the name */
	_Atomic int64_t key;  /* conversation, or user in users and names */
};
_Static_assert(sizeof(struct shm_rec) == 16, "layout");

/*
 * The hash index of one shard of a table, under that shard's lock: index.c. Its first buckets have
 * their place by its number; the others lie in parts, each as large as all before it together,
 * that are taken for good from what is common to all.
 */
#define INDEX_FIRST 8 /* a power of two */
#define INDEX_PARTS 14

struct shm_index {
	ON_LINE uint32_t n;	    /* records */
	uint32_t more;		    /* buckets beside the first ones */
	uint32_t part[INDEX_PARTS]; /* its first bucket; 0: not taken yet */
};
_Static_assert(sizeof(struct shm_index) == SHM_LINE, "layout");

struct shm_room {
	/* guarded by its shard of LOCK_ROOMS */
	ON_LINE struct shm_rec rec;
	uint32_t members;	      /* first entry */
	uint32_t typing, typing_last; /* first and last mark */
	uint32_t n_records;	      /* entries in the member list */
	uint32_t n_connections, n_users, n_typing;
	uint32_t is_closed;
	_Atomic uint64_t slots;
	uint32_t is_crowded; /* MEMBER_NODE only: see node_is_crowded */
	/* newest: under LOCK_RING; published: atomic maximum; the rest as the first line */
	ON_LINE _Atomic uint64_t newest;
	_Atomic int64_t published;
	int64_t targeted;	     /* highest revision whose receivers were chosen */
	int64_t head_rev, head_seq;  /* of the log, as somebody read it */
	uint32_t is_head_known;
	/* live entries per slot, n_slots of them; guarded like the first line */
	ON_LINE uint32_t slot_members[];
};
_Static_assert(offsetof(struct shm_room, slots) == 48, "layout");
_Static_assert(offsetof(struct shm_room, newest) == 64, "layout");
_Static_assert(offsetof(struct shm_room, slot_members) == 128, "layout");

/* A member record or a typing mark: (slot, room, user). Guarded by the room's shard. */
struct shm_entry {
	struct shm_rec rec; /* next: members' hash chain */
	int64_t user;
	uint64_t deadline_ms; /* end of the grace, or of the typing mark */
	uint32_t user_idx, room_idx;
	uint32_t room_next, room_prev;
	uint32_t wheel_next, wheel_prev; /* owner's wheel: its process only */
	uint16_t spoke;			 /* 1 + spoke it hangs in, 0 = none */
	uint8_t is_primary; /* the one entry of its (room, user) that counts as the user */
	uint8_t pad;
	uint32_t count; /* connections; 1 in a typing mark */
};
_Static_assert(sizeof(struct shm_entry) == SHM_LINE, "layout");

#define USER_NAME_INLINE 32

/* Guarded by its shard of LOCK_USERS; the name does not change while anybody holds a reference. */
struct shm_user {
	ON_LINE struct shm_rec rec;
	uint64_t active_ms;
	uint32_t long_name; /* record in POOL_NAMES, 0 = name is inline */
	uint8_t presence;
	uint8_t pad[3];
	char name[USER_NAME_INLINE];
	_Atomic uint32_t refs[]; /* entries per slot, n_slots of them */
};
_Static_assert(offsetof(struct shm_user, refs) == SHM_LINE, "layout");

struct shm_name {
	struct shm_rec rec;
	char bytes[SHM_NAME_MAX];
};
_Static_assert(sizeof(struct shm_name) == 416, "layout");

/* A session or user whose credentials are refused: see revoked.c. until_ms 0: nothing. */
struct shm_revoked {
	_Atomic uint64_t hi, lo;
	_Atomic int64_t until_ms;
	uint64_t pad;
};
_Static_assert(sizeof(struct shm_revoked) == 32, "layout");

/*
 * One bucket of limits. Guarded by its shard of LOCK_LIMITS: sets are dealt out to the shards in
 * turn. One that was never used is as good as a full one.
 */
struct shm_limit {
	uint64_t key;	 /* 0: never used */
	uint64_t tat_ns; /* when it is full again: limits.c */
};
_Static_assert(sizeof(struct shm_limit) == 16, "layout");

/* Buckets in which one key may lie: two cache lines of them. */
#define LIMIT_WAYS 8

struct shm_ring {
	ON_LINE _Atomic uint64_t tail; /* everything before it is published */
	ON_LINE _Atomic uint64_t reserve; /* bytes before (reserve - size) may be overwritten */
};

#define RING_ALIGN 8
#define RING_F_FILLER 0x8000 /* rest of the ring up to its end; beside enum ring_flag */

struct shm_ring_rec {
	uint64_t check; /* from offset and seed: tells a record from anything else */
	uint64_t prev;
	int64_t conv, rev;
	uint64_t targets;
	uint64_t stamp_ns;
	uint32_t total; /* header, payload, padding */
	uint32_t len;
	uint32_t generation;
	uint16_t origin, flags;
	uint8_t payload[];
};
_Static_assert(sizeof(struct shm_ring_rec) == 64, "layout");

#endif
