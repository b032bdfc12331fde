/* SPDX-License-Identifier: MIT */
/*
 * A hash table of fixed size with short probes. Readers take no lock: an entry counts from the
 * store of its end, and its key does not change while it counts.
 */
#include "shm/revoked.h"

#include "base/clock.h"
#include "shm/view_priv.h"

#define PROBES 32 /* places where a key can lie */

struct key {
	uint64_t hi, lo;
};

static struct key key_of_session(const struct uuid *session)
{
	struct key k;

	memcpy(&k.hi, session->b, 8);
	memcpy(&k.lo, session->b + 8, 8);
	return k;
}

/* No UUID of a session has this: they have a version and a variant. */
static struct key key_of_user(int64_t user)
{
	return (struct key){UINT64_MAX, (uint64_t)user};
}

static struct shm_revoked *entry_of(const struct shm *shm, struct key k, unsigned probe)
{
	uint64_t h = hash64(shm, k.hi ^ hash64(shm, k.lo));

	return &shm->revoked[(h + probe) % shm->revoked_n];
}

static int64_t end_of(struct shm_revoked *e)
{
	return atomic_load_explicit(&e->until_ms, memory_order_acquire);
}

static bool is_key(struct shm_revoked *e, struct key k)
{
	return atomic_load_explicit(&e->hi, memory_order_relaxed) == k.hi &&
	       atomic_load_explicit(&e->lo, memory_order_relaxed) == k.lo;
}

static struct shm_revoked *find(const struct shm *shm, struct key k)
{
	for (unsigned i = 0; i < PROBES; i++) {
		struct shm_revoked *e = entry_of(shm, k, i);

		if (end_of(e) && is_key(e, k))
			return e;
	}
	return NULL;
}

static bool is_user(struct shm_revoked *e)
{
	return atomic_load_explicit(&e->hi, memory_order_relaxed) == UINT64_MAX;
}

/* Behind the table: what is known of the entries that were given up. */
static struct shm_revoked *lost_of(const struct shm *shm)
{
	return &shm->revoked[shm->revoked_n];
}

static void note_lost(const struct shm *shm, int64_t until_ms)
{
	struct shm_revoked *lost = lost_of(shm);

	if (until_ms > end_of(lost))
		atomic_store_explicit(&lost->until_ms, until_ms, memory_order_release);
}

/*
 * A free or expired place, else the one that would be free first. Users are few and counted in
 * seconds, and nobody could be asked about them in time: they stay where sessions can go.
 */
static struct shm_revoked *place(const struct shm *shm, struct key k, bool *ret_lost)
{
	int64_t now = clock_wall_ms();
	struct shm_revoked *best = NULL;

	for (unsigned i = 0; i < PROBES; i++) {
		struct shm_revoked *e = entry_of(shm, k, i);

		if (is_user(e) && end_of(e) > now)
			continue;
		if (!best || end_of(e) < end_of(best))
			best = e;
	}
	if (!best)
		best = entry_of(shm, k, 0);
	*ret_lost = end_of(best) > now;
	if (*ret_lost)
		note_lost(shm, end_of(best));
	return best;
}

static void store(struct shm_revoked *e, struct key k, int64_t until_ms)
{
	if (!is_key(e, k)) {
		atomic_store_explicit(&e->until_ms, 0, memory_order_release);
		atomic_store_explicit(&e->hi, k.hi, memory_order_relaxed);
		atomic_store_explicit(&e->lo, k.lo, memory_order_relaxed);
	}
	atomic_store_explicit(&e->until_ms, until_ms, memory_order_release);
}

/* What an owner that died inside left is an entry that does not count, or one that does. */
static int take(struct shm *shm, unsigned me)
{
	int r = lock_wait(shm, LOCK_REVOKED, 0, me);

	if (r == -ERR_DIRTY)
		lock_clean(shm, LOCK_REVOKED, 0, me);
	return r == -ERR_DIRTY ? 0 : r;
}

static int set(struct shm *shm, unsigned me, struct key k, int64_t until_ms, bool *ret_lost)
{
	struct shm_revoked *e;
	int64_t present_ms;
	bool lost = false;
	int r = take(shm, me);

	if (r < 0)
		return r;
	e = find(shm, k);
	present_ms = e ? end_of(e) : 0;
	if (e && until_ms == 0)
		atomic_store_explicit(&e->until_ms, 0, memory_order_release);
	else if (e)
		store(e, k, MAX(until_ms, present_ms));
	else if (until_ms)
		store(place(shm, k, &lost), k, until_ms);
	lock_drop(shm, LOCK_REVOKED, 0, me);
	if (ret_lost)
		*ret_lost = lost;
	return 0;
}

static bool has(const struct shm *shm, struct key k)
{
	struct shm_revoked *e = find(shm, k);

	return e && end_of(e) > clock_wall_ms();
}

int revoked_add(struct shm *shm, unsigned me, const struct uuid *session, int64_t until_ms,
		bool *ret_lost)
{
	return set(shm, me, key_of_session(session), until_ms, ret_lost);
}

int revoked_set_user(struct shm *shm, unsigned me, int64_t user, int64_t until_ms, bool *ret_lost)
{
	return set(shm, me, key_of_user(user), until_ms, ret_lost);
}

int64_t revoked_lost_ms(const struct shm *shm)
{
	return end_of(lost_of(shm));
}

bool revoked_has(const struct shm *shm, const struct uuid *session)
{
	return !uuid_is_zero(session) && has(shm, key_of_session(session));
}

bool revoked_has_user(const struct shm *shm, int64_t user)
{
	return user > 0 && has(shm, key_of_user(user));
}
