/* SPDX-License-Identifier: MIT */
/* Writes and finds the mark inside measured messages, eight digits at a time.
 * Leaves counting and latencies to load.c. */
#include <string.h>
#include <time.h>

#include "bench/stamp.h"

static const char mark[4] = {'~', 'r', 'b', '~'};

static void write_hex8(char *p, uint32_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 4)
		p[i] = "0123456789abcdef"[v & 15];
}

/* Eight digits at once: each byte to its nibble (letters have bit 6 set and need 9 more),
 * then neighbours are joined: nibbles to bytes, bytes to halves, halves to the word. */
static uint32_t read_hex8(const char *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	v = __builtin_bswap64(v);
	v = (v & 0x0f0f0f0f0f0f0f0full) + 9 * (v >> 6 & 0x0101010101010101ull);
	v = (v | v >> 4) & 0x00ff00ff00ff00ffull;
	v = (v | v >> 8) & 0x0000ffff0000ffffull;
	return (uint32_t)(v | v >> 16);
}

void stamp_write(char *p, const struct stamp *s)
{
	memcpy(p, mark, sizeof(mark));
	write_hex8(p + 4, s->pub);
	write_hex8(p + 12, s->n);
	write_hex8(p + 20, (uint32_t)(s->ns >> 32));
	write_hex8(p + 28, (uint32_t)s->ns);
}

bool stamp_find(const char *p, size_t n, uint32_t *guess, struct stamp *ret_stamp,
		size_t *ret_end)
{
	const char *at = p + *guess;

	if (n < STAMP_LEN)
		return false;
	if (*guess > n - STAMP_LEN || memcmp(at, mark, sizeof(mark)) != 0) {
		at = memmem(p, n, mark, sizeof(mark));
		if (!at || (size_t)(at - p) > n - STAMP_LEN)
			return false;
		*guess = (uint32_t)(at - p);
	}
	ret_stamp->pub = read_hex8(at + 4);
	ret_stamp->n = read_hex8(at + 12);
	ret_stamp->ns = (uint64_t)read_hex8(at + 20) << 32 | read_hex8(at + 28);
	*ret_end = (size_t)(at - p) + STAMP_LEN;
	return true;
}

bool stamp_number(const char *p, size_t n, const char *key, uint64_t *ret_value)
{
	const char *end = p + n, *at = memmem(p, n, key, strlen(key));
	uint64_t v = 0;

	if (!at)
		return false;
	at += strlen(key);
	while (at < end && *at == ' ')
		at++;
	if (at == end || *at < '0' || *at > '9')
		return false;
	while (at < end && *at >= '0' && *at <= '9')
		v = v * 10 + (uint64_t)(*at++ - '0');
	*ret_value = v;
	return true;
}

bool stamp_has(const char *p, size_t n, const char *word)
{
	return memmem(p, n, word, strlen(word)) != NULL;
}

uint64_t stamp_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}
