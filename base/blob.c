/* SPDX-License-Identifier: MIT */
/*
 * Counted immutable bytes.
 * Who queues them, and in which order, is the caller's affair.
 */
#include "base/blob.h"
#include "base/buf.h"

struct blob *blob_new(const void *bytes, size_t len)
{
	struct blob *b;

	assert(len <= UINT32_MAX);
	b = xmalloc(sizeof(*b) + len);
	b->refs = 1;
	b->len = (uint32_t)len;
	if (bytes && len > 0)
		memcpy(b->bytes, bytes, len);
	return b;
}

struct blob *blob_ref(struct blob *b)
{
	assert(b->refs > 0 && b->refs < UINT32_MAX);
	b->refs++;
	return b;
}

void blob_unref(struct blob **b)
{
	struct blob *old = *b;

	*b = NULL;
	if (!old)
		return;
	assert(old->refs > 0);
	if (--old->refs == 0)
		free(old);
}
