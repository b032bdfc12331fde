/* SPDX-License-Identifier: MIT */
/*
 * Secrets that are kept in the database: sealed, so that a copy of the tables does not give them
 * away. Where they are kept is sql/'s.
 */
#ifndef WORKER_SEAL_H
#define WORKER_SEAL_H

#include "base/base.h"
#include "base/buf.h"

struct keyring;

#define SEAL_EXTRA 36 /* bytes that sealing adds: kid, nonce, tag */

/*
 * Appends SECRET, sealed with AES-256-GCM under the ring's current key for OWNER alone: the text is
 * worth nothing in another's row. Returns 0, or -ERR_IO when the crypto library fails.
 */
int seal_add(const struct keyring *ring, int64_t owner, struct str secret, struct buf *out)
	MUST_CHECK;

/*
 * Appends what was sealed for OWNER by any key of the ring. Returns 0, or -ERR_DENIED: made with a
 * key that is gone, for somebody else, or altered.
 */
int seal_open(const struct keyring *ring, int64_t owner, struct str sealed, struct buf *out)
	MUST_CHECK;

/* Whether SEALED was made with the ring's current key. */
bool seal_is_current(const struct keyring *ring, struct str sealed);

#endif
