/* SPDX-License-Identifier: MIT */
/*
 * The face of base/: what every file may use without asking.
 * Topic headers (buf, blob, slab, list, map, settings, log, clock, ids) are included by who needs
 * them.
 */
#ifndef BASE_BASE_H
#define BASE_BASE_H

#include <assert.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/banned.h"
#include "base/err.h"

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define UNUSED __attribute__((unused))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

/* The structure that embeds MEMBER at PTR. */
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

/* Borrowed bytes: not NUL-terminated, owner and life time are said where it is used. */
struct str {
	const char *p;
	size_t len;
};

#define STR(literal) ((struct str){(literal), sizeof(literal) - 1})

/* A borrowed view of a NUL-terminated string; NULL gives an empty one with p == NULL. */
struct str str_of(const char *s);

/* Equal bytes. */
bool str_eq(struct str a, struct str b);

/* Copies S to *AT, where there is room, and moves *AT behind it; the copy, p NULL where S's is. */
struct str str_put(char **at, struct str s);

/* Equal bytes when ASCII letters are compared without case. */
bool str_ieq(struct str a, struct str b);

/*
 * Decimal digits only, optional leading '-', no blanks, within int64_t.
 * Returns 0 or -ERR_INVAL.
 */
int str_to_i64(struct str s, int64_t *ret_value) MUST_CHECK;

#endif
