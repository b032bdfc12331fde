/* SPDX-License-Identifier: MIT */
/*
 * Buckets in sets of eight, each set behind the lock of its shard.
 * Nothing behind these locks needs repair: every value of a bucket is a valid one.
 */
#include "shm/limits.h"

#include "base/map.h"
#include "shm/view_priv.h"

uint64_t limit_key(const struct shm *shm, unsigned class, const void *p, size_t len)
{
	const uint64_t secret[2] = {shm->header->hash_seed, shm->header->boot_id ^ class};
	uint64_t key = hash_keyed(secret, p, len);

	return key ? key : 1;
}

void limit_apply(uint64_t *tat_ns, const struct limit_rule *rule, uint32_t n, uint64_t now_ns,
		 struct limit_state *ret)
{
	uint64_t room = rule->interval_ns * rule->burst;
	uint64_t used = *tat_ns > now_ns ? *tat_ns - now_ns : 0, more = rule->interval_ns * n;
	struct limit_state s = {0};

	/* a rule that was made stricter finds buckets emptier than its own can be */
	used = MIN(used, room);
	s.is_taken = used + more <= room;
	if (s.is_taken)
		used += more;
	else
		s.retry_ns = more > room ? UINT64_MAX : used + more - room;
	s.remaining = (uint32_t)((room - used) / rule->interval_ns);
	s.full_ns = used;
	if (s.is_taken && n)
		*tat_ns = now_ns + used;
	*ret = s;
}

static unsigned set_of(const struct shm *shm, uint64_t key)
{
	return (unsigned)(key >> 32) & shm->limit_mask;
}

/* Takes the lock of the set that KEY falls into. */
static int limits_lock(struct shm *shm, unsigned me, unsigned set)
{
	int r = lock_wait(shm, LOCK_LIMITS, set % LIMIT_SHARDS, me);

	if (r != -ERR_DIRTY)
		return r;
	lock_clean(shm, LOCK_LIMITS, set % LIMIT_SHARDS, me);
	return 0;
}

static void limits_unlock(struct shm *shm, unsigned me, unsigned set)
{
	lock_drop(shm, LOCK_LIMITS, set % LIMIT_SHARDS, me);
}

/* The bucket of KEY, NULL when it has none. */
static struct shm_limit *bucket_find(struct shm *shm, unsigned set, uint64_t key)
{
	struct shm_limit *b = shm->limits + (size_t)set * LIMIT_WAYS;

	for (unsigned i = 0; i < LIMIT_WAYS; i++)
		if (b[i].key == key)
			return &b[i];
	return NULL;
}

/* A bucket to give to a new key: the one that is, or will be, full first. */
static struct shm_limit *bucket_spare(struct shm *shm, unsigned set)
{
	struct shm_limit *b = shm->limits + (size_t)set * LIMIT_WAYS, *spare = b;

	for (unsigned i = 1; i < LIMIT_WAYS; i++)
		if (b[i].tat_ns < spare->tat_ns)
			spare = &b[i];
	return spare;
}

int limit_take(struct shm *shm, unsigned me, uint64_t key, const struct limit_rule *rule,
	       uint32_t n, uint64_t now_ns, struct limit_state *ret)
{
	unsigned set = set_of(shm, key);
	bool is_forgotten = false;
	struct shm_limit *b;
	uint64_t tat_ns;
	int r = limits_lock(shm, me, set);

	if (r < 0)
		return r;
	b = bucket_find(shm, set, key);
	tat_ns = b ? b->tat_ns : 0;
	limit_apply(&tat_ns, rule, n, now_ns, ret);
	if (!b && ret->is_taken && n) {
		b = bucket_spare(shm, set);
		is_forgotten = b->tat_ns > now_ns;
		b->tat_ns = 0; /* first: whoever dies in between leaves a full bucket */
		b->key = key;
	}
	if (b)
		b->tat_ns = tat_ns;
	limits_unlock(shm, me, set);
	if (is_forgotten)
		metric_add(shm, me, M_LIMITS_FORGOTTEN, 1);
	return 0;
}

int limit_give(struct shm *shm, unsigned me, uint64_t key, const struct limit_rule *rule,
	       uint32_t n, uint64_t now_ns)
{
	uint64_t back = rule->interval_ns * n;
	unsigned set = set_of(shm, key);
	struct shm_limit *b;
	int r = limits_lock(shm, me, set);

	if (r < 0)
		return r;
	b = bucket_find(shm, set, key);
	if (b)
		b->tat_ns = b->tat_ns > now_ns + back ? b->tat_ns - back : 0;
	limits_unlock(shm, me, set);
	return 0;
}

int limit_forget(struct shm *shm, unsigned me, uint64_t key)
{
	unsigned set = set_of(shm, key);
	struct shm_limit *b;
	int r = limits_lock(shm, me, set);

	if (r < 0)
		return r;
	b = bucket_find(shm, set, key);
	if (b)
		b->tat_ns = 0;
	limits_unlock(shm, me, set);
	return 0;
}
