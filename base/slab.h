/* SPDX-License-Identifier: MIT */
/*
 * Objects of one size from page-aligned chunks: little overhead each, and an empty chunk goes back
 * to the system, so that memory follows the number of objects down as well as up.
 */
#ifndef BASE_SLAB_H
#define BASE_SLAB_H

#include "base/base.h"

struct slab; /* opaque */

/*
 * NAME is static and shown in statistics; SIZE in bytes, at most 8 KiB. Ends the process without
 * memory.
 */
struct slab *slab_new(const char *name, size_t size);

/* Every object must have been freed (asserted). NULL allowed; clears the pointer. */
void slab_free(struct slab **s);

void *slab_get(struct slab *s); /* zeroed object */
void slab_put(struct slab *s, void *object);

struct slab_stat {
	const char *name;
	size_t object_bytes, in_use, chunks, chunk_bytes;
};
void slab_stat(const struct slab *s, struct slab_stat *ret);

#endif
