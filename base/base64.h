/* SPDX-License-Identifier: MIT */
/*
 * base64 (RFC 4648) without padding, in both alphabets, and base32 for people's eyes.
 * Reading is strict: one text per value.
 */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include "base/base.h"
#include "base/buf.h"

enum base64_alphabet {
	BASE64_STD, /* section 4: '+' and '/' */
	BASE64_URL, /* section 5: '-' and '_' */
};

/* Characters that LEN bytes take. */
#define BASE64_LEN(len) (((len) * 4 + 2) / 3)

/* Appends LEN bytes at P as text, without padding. */
void base64_add(struct buf *b, enum base64_alphabet alphabet, const void *p, size_t len);

/*
 * Appends the bytes of TEXT. Returns 0, or -ERR_INVAL with B as it was: other characters, padding,
 * a length that no bytes have, or bits behind the last byte.
 */
int base64_take(struct buf *b, enum base64_alphabet alphabet, struct str text) MUST_CHECK;

/* Appends LEN bytes at P in base32 (section 6: A to Z, 2 to 7), without padding. */
void base32_add(struct buf *b, const void *p, size_t len);

/*
 * Appends the bytes of TEXT in base32, either case; blanks and '-' between characters and padding
 * at the end are skipped, because people type it. Returns 0, or -ERR_INVAL with B as it was.
 */
int base32_take(struct buf *b, struct str text) MUST_CHECK;

#endif
