/* SPDX-License-Identifier: MIT */
/*
 * Immutable counted bytes: one encoded event or answer shared by every queue that sends it.
 * Counts are plain integers: a blob never leaves its process and thread.
 */
#ifndef BASE_BLOB_H
#define BASE_BLOB_H

#include "base/base.h"

struct blob {
	uint32_t refs;
	uint32_t len;
	uint8_t bytes[];
};

/* A new blob with one reference, filled from BYTES unless NULL. LEN at most UINT32_MAX. */
struct blob *blob_new(const void *bytes, size_t len);
struct blob *blob_ref(struct blob *b);

/* Drops *B (NULL allowed), frees at the last reference, clears the caller's pointer. */
void blob_unref(struct blob **b);

#endif
