/* SPDX-License-Identifier: MIT */
/*
 * An array of atomic counters. Keys that share one cost each other a needless look, nothing else.
 */
#include "shm/epochs.h"

#include "base/map.h"
#include "shm/view_priv.h"

uint32_t epoch_class(const struct shm *shm, struct str key)
{
	const uint64_t secret[2] = {shm->header->hash_seed, shm->header->boot_id};

	return (uint32_t)(hash_keyed(secret, key.p, key.len) % EPOCHS);
}

uint64_t epoch_get(const struct shm *shm, uint32_t class)
{
	return atomic_load_explicit(&shm->epochs[class % EPOCHS], memory_order_acquire);
}

void epoch_raise(struct shm *shm, uint32_t class)
{
	atomic_fetch_add_explicit(&shm->epochs[class % EPOCHS], 1, memory_order_acq_rel);
}
