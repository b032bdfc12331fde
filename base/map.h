/* SPDX-License-Identifier: MIT */
/*
 * Hash maps private to a process: 64-bit keys, or byte strings, to pointers.
 * Keyed with a random seed so that clients cannot choose collisions. Values are not owned.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include "base/base.h"

/* Key 0 is not allowed. Zero-initialised is an empty map. */
struct map {
	uint64_t *keys;
	void **values;
	uint32_t count, used, cap; /* cap is 0 or a power of two */
};

void map_done(struct map *m);
void *map_get(const struct map *m, uint64_t key); /* NULL when absent */
void map_put(struct map *m, uint64_t key, void *value); /* adds or replaces; VALUE not NULL */
void *map_del(struct map *m, uint64_t key); /* the value that was there, or NULL */

/* Visits every entry: start with *pos = 0; false at the end. The current entry may be deleted. */
bool map_next(const struct map *m, uint32_t *pos, uint64_t *ret_key, void **ret_value);

/* Byte-string keys, copied. Zero-initialised is an empty map. */
struct strmap {
	struct strmap_entry **slots; /* owned */
	uint32_t count, used, cap;
};

void strmap_done(struct strmap *m);
void *strmap_get(const struct strmap *m, struct str key);
void strmap_put(struct strmap *m, struct str key, void *value);
void *strmap_del(struct strmap *m, struct str key);
bool strmap_next(const struct strmap *m, uint32_t *pos, struct str *ret_key, void **ret_value);

/* Seeded 64-bit hash of LEN bytes; the seed is random per process image and inherited by fork. */
uint64_t hash_bytes(const void *p, size_t len);

/* The same with a key of the caller's, for what several process images must agree on. */
uint64_t hash_keyed(const uint64_t key[2], const void *p, size_t len);

#endif
