/* SPDX-License-Identifier: MIT */
/*
 * Counters of changes, one for each class of keys: who remembers something about a key keeps the
 * count beside it, and knows by another one that it may be true no more.
 */
#ifndef SHM_EPOCHS_H
#define SHM_EPOCHS_H

#include "shm/shm.h"

#define EPOCHS 4096 /* classes */

/* The class of a key, below EPOCHS: the same in every process of the node. */
uint32_t epoch_class(const struct shm *shm, struct str key);

/* How often something in the class has changed. Without lock. */
uint64_t epoch_get(const struct shm *shm, uint32_t class);

/* Something in the class has changed: seen by every process before this returns. */
void epoch_raise(struct shm *shm, uint32_t class);

#endif
