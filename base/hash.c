/* SPDX-License-Identifier: MIT */
/*
 * Seeded hashes for the maps.
 * The maps themselves are map.c and strmap.c.
 */
#include "base/hash_priv.h"
#include "base/map.h"

#include <endian.h>
#include <sys/random.h>

static uint64_t seed[2];

/* Before main: parent and children of a fork must agree on the seed. */
__attribute__((constructor)) static void seed_init(void)
{
	if (getrandom(seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
		abort();
}

static inline uint64_t rotl(uint64_t x, int n)
{
	return x << n | x >> (64 - n);
}

static inline void sip_rounds(uint64_t v[4], int n)
{
	while (n-- > 0) {
		v[0] += v[1];
		v[2] += v[3];
		v[1] = rotl(v[1], 13) ^ v[0];
		v[3] = rotl(v[3], 16) ^ v[2];
		v[0] = rotl(v[0], 32);
		v[2] += v[1];
		v[0] += v[3];
		v[1] = rotl(v[1], 17) ^ v[2];
		v[3] = rotl(v[3], 21) ^ v[0];
		v[2] = rotl(v[2], 32);
	}
}

static inline void sip_word(uint64_t v[4], uint64_t word, int rounds)
{
	v[3] ^= word;
	sip_rounds(v, rounds);
	v[0] ^= word;
}

uint64_t siphash(const uint64_t key[2], int c_rounds, int d_rounds, const void *p, size_t len)
{
	/* the constants are "somepseudorandomlygeneratedbytes" in the paper's byte order */
	uint64_t v[4] = {
		key[0] ^ UINT64_C(0x736f6d6570736575), key[1] ^ UINT64_C(0x646f72616e646f6d),
		key[0] ^ UINT64_C(0x6c7967656e657261), key[1] ^ UINT64_C(0x7465646279746573)};
	const uint8_t *bytes = p;
	uint64_t word = 0;
	size_t at = 0;

	for (; len - at >= 8; at += 8) {
		memcpy(&word, bytes + at, 8);
		sip_word(v, le64toh(word), c_rounds);
	}
	word = (uint64_t)len << 56;
	for (size_t i = at; i < len; i++)
		word |= (uint64_t)bytes[i] << (8 * (i - at));
	sip_word(v, word, c_rounds);
	v[2] ^= 0xff;
	sip_rounds(v, d_rounds);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

uint64_t hash_bytes(const void *p, size_t len)
{
	return siphash(seed, 1, 3, p, len);
}

uint64_t hash_keyed(const uint64_t key[2], const void *p, size_t len)
{
	return siphash(key, 1, 3, p, len);
}

uint64_t hash_u64(uint64_t v)
{
	__uint128_t wide;

	/* two multiplications folded to 64 bits: every input bit reaches every output bit */
	wide = (__uint128_t)(v ^ seed[0]) *
	       (UINT64_C(0x9e3779b97f4a7c15) ^ (seed[1] & ~UINT64_C(1)));
	v = (uint64_t)wide ^ (uint64_t)(wide >> 64);
	wide = (__uint128_t)(v ^ seed[1]) * UINT64_C(0xd6e8feb86659fd93);
	return (uint64_t)wide ^ (uint64_t)(wide >> 64);
}
