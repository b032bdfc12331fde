/* SPDX-License-Identifier: MIT */
/*
 * The keyed hash under hash_bytes, with its key and rounds open for the test vectors.
 */
#ifndef BASE_HASH_PRIV_H
#define BASE_HASH_PRIV_H

#include "base/base.h"

/*
 * SipHash-C-D of LEN bytes (Aumasson and Bernstein, "SipHash: a fast short-input PRF"); the key's
 * two halves are its bytes read as little-endian words.
 */
uint64_t siphash(const uint64_t key[2], int c_rounds, int d_rounds, const void *p, size_t len);

/* Mixes one 64-bit key with the process's seed. */
uint64_t hash_u64(uint64_t v);

#endif
