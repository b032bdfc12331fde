/* SPDX-License-Identifier: MIT */
/*
 * Objects of one size in aligned chunks, each chunk with its own free list.
 * The chunk of an object is found from its address, so objects carry no header.
 */
#include "base/slab.h"
#include "base/buf.h"
#include "base/list.h"

#include <sys/mman.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#include <sanitizer/asan_interface.h>
#endif
#endif
#ifndef ASAN_POISON_MEMORY_REGION
#define ASAN_POISON_MEMORY_REGION(p, len) ((void)(p), (void)(len))
#define ASAN_UNPOISON_MEMORY_REGION(p, len) ((void)(p), (void)(len))
#endif

#define OBJECT_MAX 8192
#define OBJECT_ALIGN 16
#define SMALL_CHUNK 65536u /* at least 63 objects of 1 KiB: under 2 % lost at the ends */
#define LARGE_CHUNK 262144u /* at least 31 objects of 8 KiB: about 3 % lost */

struct chunk {
	struct list node;   /* in partial or full */
	struct slab *slab;
	void *free;	    /* first freed object; each starts with a pointer to the next */
	uint32_t in_use;
	/* objects at the end that were never handed out: their pages are not there yet */
	uint32_t untouched;
};

struct slab {
	const char *name;
	size_t size, chunk_bytes;
	uint32_t per_chunk;
	struct list partial, full;
	/* one empty chunk is kept: a single object coming and going maps nothing */
	struct chunk *spare;
	size_t in_use, chunks;
};

#define CHUNK_HEAD ((sizeof(struct chunk) + OBJECT_ALIGN - 1) / OBJECT_ALIGN * OBJECT_ALIGN)

struct slab *slab_new(const char *name, size_t size)
{
	struct slab *s = xcalloc(1, sizeof(*s));

	assert(size > 0 && size <= OBJECT_MAX);
	s->name = name;
	s->size = (size + OBJECT_ALIGN - 1) / OBJECT_ALIGN * OBJECT_ALIGN;
	s->chunk_bytes = s->size <= 1024 ? SMALL_CHUNK : LARGE_CHUNK;
	s->per_chunk = (uint32_t)((s->chunk_bytes - CHUNK_HEAD) / s->size);
	list_init(&s->partial);
	list_init(&s->full);
	return s;
}

/* Maps twice the size and gives back what is outside the aligned middle. */
static void *map_aligned(size_t bytes)
{
	char *p = mmap(NULL, 2 * bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t skip;

	if (p == MAP_FAILED)
		abort();
	skip = (bytes - (uintptr_t)p % bytes) % bytes;
	if (skip > 0)
		munmap(p, skip);
	munmap(p + skip + bytes, bytes - skip);
	return p + skip;
}

static struct chunk *chunk_new(struct slab *s)
{
	struct chunk *c = s->spare;

	s->spare = NULL;
	if (!c) {
		c = map_aligned(s->chunk_bytes);
		c->slab = s;
		c->untouched = s->per_chunk;
		ASAN_POISON_MEMORY_REGION((char *)c + CHUNK_HEAD, s->chunk_bytes - CHUNK_HEAD);
		s->chunks++;
	}
	list_init(&c->node);
	list_append(&s->partial, &c->node);
	return c;
}

static void chunk_free(struct slab *s, struct chunk *c)
{
	ASAN_UNPOISON_MEMORY_REGION(c, s->chunk_bytes);
	munmap(c, s->chunk_bytes);
	s->chunks--;
}

void slab_free(struct slab **s)
{
	struct slab *old = *s;

	*s = NULL;
	if (!old)
		return;
	assert(old->in_use == 0);
	if (old->spare)
		chunk_free(old, old->spare);
	assert(old->chunks == 0);
	free(old);
}

static void *chunk_take(struct slab *s, struct chunk *c)
{
	void *object = c->free;

	if (object) {
		ASAN_UNPOISON_MEMORY_REGION(object, s->size);
		memcpy(&c->free, object, sizeof(c->free));
	} else {
		object = (char *)c + CHUNK_HEAD + (s->per_chunk - c->untouched) * s->size;
		c->untouched--;
		ASAN_UNPOISON_MEMORY_REGION(object, s->size);
	}
	c->in_use++;
	return object;
}

void *slab_get(struct slab *s)
{
	struct list *first = list_first(&s->partial);
	struct chunk *c = first ? list_entry(first, struct chunk, node) : chunk_new(s);
	void *object = chunk_take(s, c);

	if (c->in_use == s->per_chunk) {
		list_remove(&c->node);
		list_append(&s->full, &c->node);
	}
	s->in_use++;
	return memset(object, 0, s->size);
}

static void chunk_retire(struct slab *s, struct chunk *c)
{
	list_remove(&c->node);
	if (s->spare)
		chunk_free(s, c);
	else
		s->spare = c;
}

void slab_put(struct slab *s, void *object)
{
	struct chunk *c = (struct chunk *)((uintptr_t)object & ~(uintptr_t)(s->chunk_bytes - 1));

	assert(c->slab == s && c->in_use > 0);
	assert(((uintptr_t)object - (uintptr_t)c - CHUNK_HEAD) % s->size == 0);
	if (c->in_use == s->per_chunk) {
		list_remove(&c->node);
		list_append(&s->partial, &c->node);
	}
	memcpy(object, &c->free, sizeof(c->free));
	c->free = object;
	ASAN_POISON_MEMORY_REGION(object, s->size);
	c->in_use--;
	s->in_use--;
	if (c->in_use == 0)
		chunk_retire(s, c);
}

void slab_stat(const struct slab *s, struct slab_stat *ret)
{
	*ret = (struct slab_stat){s->name, s->size, s->in_use, s->chunks, s->chunk_bytes};
}
