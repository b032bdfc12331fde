/* SPDX-License-Identifier: MIT */
/*
 * Identifiers that every layer shares: conversations, users, message ids, UUIDs, worker slots.
 * Conversions only; who may see what is decided elsewhere.
 */
#ifndef BASE_IDS_H
#define BASE_IDS_H

#include "base/base.h"

/* At most this many worker slots: their sets are one 64-bit word. */
#define SLOT_MAX 64

/* Conversation and user ids are positive; 0 means "none". */

struct uuid {
	uint8_t b[16];
};

#define UUID_TEXT_LEN 36

/*
 * A message's decimal id, conversation * 2^32 + rev. Both must be positive and below 2^31 and 2^32:
 * then the result is a positive int64_t. Returns 0 when one is out of range.
 */
int64_t msgid_of(int64_t conv, int64_t rev);

/* Takes a decimal message id apart. Returns 0, or -ERR_INVAL when a part is not positive. */
int msgid_split(int64_t msgid, int64_t *ret_conv, int64_t *ret_rev) MUST_CHECK;

/* The UUIDv8 form of a message id (RFC 9562 section 5.8): reversible, same order as (conv, rev). */
struct uuid msgid_to_uuid(int64_t conv, int64_t rev);

/* The inverse of msgid_to_uuid. Returns 0, or -ERR_INVAL for any other UUID. */
int msgid_from_uuid(const struct uuid *u, int64_t *ret_conv, int64_t *ret_rev) MUST_CHECK;

/*
 * A new UUIDv7 (RFC 9562 section 5.7): monotonic within the process. Ends the process without
 * entropy.
 */
struct uuid uuid_v7(void);

/*
 * A name-based UUIDv8: SHA-256 of BYTES, same input same UUID. For idempotency keys that are no
 * UUIDs.
 */
struct uuid uuid_hash(const void *bytes, size_t len);

/* Parses the 36-character form, either case. Returns 0 or -ERR_INVAL. */
int uuid_parse(struct str s, struct uuid *ret) MUST_CHECK;

/* Writes the lower-case 36-character form and a NUL. */
void uuid_format(const struct uuid *u, char ret[UUID_TEXT_LEN + 1]);

bool uuid_is_zero(const struct uuid *u);

/* Version 8: made by uuid_hash (or msgid_to_uuid), not chosen by a client. */
bool uuid_is_hash(const struct uuid *u);

#endif
