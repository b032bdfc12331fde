/* SPDX-License-Identifier: MIT */
/* The mark that every measured message carries in its text: who sent it, its number, and when.
 * Found by search in raw JSON, so that no message is ever parsed. */
#ifndef BENCH_STAMP_H
#define BENCH_STAMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "~rb~", then 8 + 8 + 16 lower-case hexadecimal digits. */
#define STAMP_LEN 36

struct stamp {
	uint32_t pub;      /* publisher */
	uint32_t n;        /* its n-th message, from 0 */
	uint64_t ns;       /* CLOCK_MONOTONIC when it was sent */
};

/* Writes STAMP_LEN bytes at p. */
void stamp_write(char *p, const struct stamp *s);

/* Finds the first stamp in the n bytes at p. *guess is where the last one was found in a text of
 * this kind: tried first, corrected after a search. On success *ret_end is the offset behind the
 * stamp. */
bool stamp_find(const char *p, size_t n, uint32_t *guess, struct stamp *ret_stamp,
		size_t *ret_end);

/* Finds the unsigned number that follows key (such as "\"re\":", blanks allowed after it). */
bool stamp_number(const char *p, size_t n, const char *key, uint64_t *ret_value);

/* True if word occurs in the n bytes at p. */
bool stamp_has(const char *p, size_t n, const char *word);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t stamp_now(void);

#endif
