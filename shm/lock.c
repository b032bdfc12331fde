/* SPDX-License-Identifier: MIT */
/*
 * The futex lock: one word names its owner's slot and generation, so that a dead one is recognised.
 * Whether a process lives is asked of slots.c; repair of what a lock guards is in repair.c.
 */
#include "shm/lock.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "shm/view_priv.h"

/* A lock is held well under a microsecond as a rule: this spins for about two before it sleeps. */
#define SPINS 100
/* A sleep ends after so long at most, to look whether the owner is still alive. */
#define SLICE_MIN_MS 2
#define SLICE_MAX_MS 50

struct lock_row {
	const char *name, *guards;
	unsigned rank, shards;
};

static const struct lock_row rows[] = {
#define X(name, rank, shards, guards) {#name, guards, rank, shards},
#include "shm/locks.def"
#undef X
};

/* What this thread holds, in order of taking. */
#define HELD_MAX 8
static _Thread_local struct {
	unsigned n;
	enum lock_id id[HELD_MAX];
	unsigned shard[HELD_MAX];
} held;

unsigned lock_shards(enum lock_id id)
{
	return rows[id].shards;
}

unsigned lock_rank(enum lock_id id)
{
	return rows[id].rank;
}

static struct shm_lock *lock_at(struct shm *shm, enum lock_id id, unsigned shard)
{
	unsigned first = 0;

	assert(id < LOCK_IDS && shard < rows[id].shards);
	for (unsigned i = 0; i < id; i++)
		first += rows[i].shards;
	return &shm->locks[first + shard];
}

static void held_push(enum lock_id id, unsigned shard)
{
	assert(held.n < HELD_MAX);
	held.id[held.n] = id;
	held.shard[held.n++] = shard;
}

static void held_pop(enum lock_id id, unsigned shard)
{
	assert(held.n > 0 && held.id[held.n - 1] == id && held.shard[held.n - 1] == shard);
	held.n--;
}

static uint32_t owner_word(const struct shm *shm, unsigned me)
{
	uint32_t gen = atomic_load_explicit(&shm->slots[me].generation, memory_order_relaxed);

	return (me + 1) | (gen & LOCK_GEN_MASK) << LOCK_GEN_SHIFT;
}

static bool owner_is_alive(struct shm *shm, uint32_t word)
{
	unsigned slot = (word & LOCK_OWNER_MASK) - 1;

	return slot < shm->geo.n_slots &&
	       slot_runs(shm, slot, word >> LOCK_GEN_SHIFT & LOCK_GEN_MASK);
}

static bool word_swap(struct shm_lock *l, uint32_t *old, uint32_t new)
{
	return atomic_compare_exchange_strong_explicit(&l->word, old, new, memory_order_acquire,
						       memory_order_relaxed);
}

/* Returns true when the wait ended by time. */
static bool futex_wait(struct shm_lock *l, uint32_t word, unsigned ms)
{
	struct timespec ts = {.tv_nsec = ms * 1000000L};

	return syscall(SYS_futex, &l->word, FUTEX_WAIT, word, &ts, NULL, 0) < 0 &&
	       errno == ETIMEDOUT;
}

/* Takes the word from its owner W, if that one is dead. */
static bool take_over(struct shm *shm, struct shm_lock *l, uint32_t w, uint32_t self, unsigned me)
{
	if (owner_is_alive(shm, w) || !word_swap(l, &w, self | LOCK_DIRTY | LOCK_WAITERS))
		return false;
	metric_add(shm, me, M_LOCKS_INHERITED, 1);
	return true;
}

/* The long way: spin, sleep, look after the owner. */
static int wait_and_take(struct shm *shm, struct shm_lock *l, uint32_t self, unsigned me,
			 uint64_t deadline_ms)
{
	unsigned spins = SPINS, slice = SLICE_MIN_MS;
	uint32_t waiters = 0;

	for (;;) {
		uint32_t w = atomic_load_explicit(&l->word, memory_order_relaxed);
		uint64_t now;

		if (!(w & LOCK_OWNER_MASK)) {
			if (word_swap(l, &w, self | waiters | (w & (LOCK_DIRTY | LOCK_WAITERS))))
				return w & LOCK_DIRTY ? -ERR_DIRTY : 0;
			continue;
		}
		assert((w & ~(LOCK_DIRTY | LOCK_WAITERS)) != self); /* taken twice */
		if (spins) {
			spins--;
			__builtin_ia32_pause();
			continue;
		}
		now = clock_mono_ms();
		if (now >= deadline_ms)
			return take_over(shm, l, w, self, me) ? -ERR_DIRTY : -ERR_TIMEOUT;
		if (!(w & LOCK_WAITERS) && !word_swap(l, &w, w | LOCK_WAITERS))
			continue;
		waiters = LOCK_WAITERS; /* others may sleep as well: whoever slept wakes the next */
		if (futex_wait(l, w | LOCK_WAITERS, (unsigned)MIN(slice, deadline_ms - now))) {
			if (take_over(shm, l, w | LOCK_WAITERS, self, me))
				return -ERR_DIRTY;
			slice = MIN(slice * 2, SLICE_MAX_MS);
		}
	}
}

int lock_take(struct shm *shm, enum lock_id id, unsigned shard, unsigned me, uint64_t deadline_ms)
{
	struct shm_lock *l = lock_at(shm, id, shard);
	uint32_t self = owner_word(shm, me), free_word = 0;
	int r = 0;

	assert(held.n == 0 || rows[id].rank > rows[held.id[held.n - 1]].rank);
	if (!word_swap(l, &free_word, self))
		r = wait_and_take(shm, l, self, me, deadline_ms);
	if (r == 0 || r == -ERR_DIRTY) {
		held_push(id, shard);
		FAULT_POINT("lock.taken");
	}
	if (r == -ERR_DIRTY)
		FAULT_POINT("lock.inherited");
	return r;
}

int lock_wait(struct shm *shm, enum lock_id id, unsigned shard, unsigned me)
{
	struct shm_lock *l = lock_at(shm, id, shard);
	uint32_t self = owner_word(shm, me), free_word = 0;

	assert(held.n == 0 || rows[id].rank > rows[held.id[held.n - 1]].rank);
	if (word_swap(l, &free_word, self)) { /* the common case, without asking the time */
		held_push(id, shard);
		FAULT_POINT("lock.taken");
		return 0;
	}
	return lock_take(shm, id, shard, me, clock_mono_ms() + SHM_WAIT_MS);
}

void lock_clean(struct shm *shm, enum lock_id id, unsigned shard, unsigned me)
{
	struct shm_lock *l = lock_at(shm, id, shard);

	FAULT_POINT("lock.repaired");
	assert((atomic_load(&l->word) & ~(LOCK_DIRTY | LOCK_WAITERS)) == owner_word(shm, me));
	atomic_fetch_and_explicit(&l->word, ~LOCK_DIRTY, memory_order_release);
}

void lock_drop(struct shm *shm, enum lock_id id, unsigned shard, unsigned me)
{
	struct shm_lock *l = lock_at(shm, id, shard);
	uint32_t old;

	held_pop(id, shard);
	old = atomic_fetch_and_explicit(&l->word, LOCK_DIRTY, memory_order_release);
	assert((old & ~(LOCK_DIRTY | LOCK_WAITERS)) == owner_word(shm, me));
	(void)me;
	if (old & LOCK_WAITERS)
		(void)syscall(SYS_futex, &l->word, FUTEX_WAKE, 1, NULL, NULL, 0);
}

bool lock_is_orphan(struct shm *shm, enum lock_id id, unsigned shard)
{
	uint32_t w = atomic_load(&lock_at(shm, id, shard)->word);

	if (!(w & LOCK_OWNER_MASK))
		return w & LOCK_DIRTY;
	return !owner_is_alive(shm, w);
}

bool lock_names_slot(struct shm *shm, enum lock_id id, unsigned shard, unsigned slot)
{
	uint32_t w = atomic_load(&lock_at(shm, id, shard)->word);

	return (w & LOCK_OWNER_MASK) == slot + 1 || (w & LOCK_DIRTY);
}

void lock_describe(struct buf *ret)
{
	buf_add_char(ret, '[');
	for (unsigned i = 0; i < LOCK_IDS; i++)
		buf_printf(ret, "%s{\"name\":\"%s\",\"rank\":%u,\"shards\":%u,\"guards\":\"%s\"}",
			   i ? ",\n " : "", rows[i].name, rows[i].rank, rows[i].shards,
			   rows[i].guards);
	buf_add_cstr(ret, "]\n");
}
