/* SPDX-License-Identifier: MIT */
/*
 * Conversions between the forms of an identifier, and new random ones.
 * Whether an identifier exists is for the database to say.
 */
#include "base/ids.h"
#include "base/clock.h"

#include <openssl/evp.h>
#include <pthread.h>
#include <sys/random.h>

/*
 * A message id as UUIDv8, bits 0 to 127: conversation (48), version (4), rev 31..20 (12), variant
 * (2), rev 19..0 (20), tag (42). The tag tells these from other UUIDs of version 8.
 */
#define MSGID_TAG UINT64_C(0x2726f6f6d64) /* 42 bits: 0x272, then the letters "oomd" */
#define MSGID_TAG_BITS 42

int64_t msgid_of(int64_t conv, int64_t rev)
{
	if (conv < 1 || conv > INT32_MAX || rev < 1 || rev > UINT32_MAX)
		return 0;
	return conv << 32 | rev;
}

int msgid_split(int64_t msgid, int64_t *ret_conv, int64_t *ret_rev)
{
	int64_t conv = msgid >> 32, rev = msgid & UINT32_MAX;

	if (conv < 1 || rev < 1)
		return -ERR_INVAL;
	*ret_conv = conv;
	*ret_rev = rev;
	return 0;
}

static void store_be64(uint8_t *p, uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

static uint64_t load_be64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

/* Version (4 bits) and variant (binary 10) of RFC 9562 sections 4.1 and 4.2. */
static void uuid_stamp(struct uuid *u, uint8_t version)
{
	u->b[6] = (uint8_t)((u->b[6] & 0x0f) | version << 4);
	u->b[8] = (uint8_t)((u->b[8] & 0x3f) | 0x80);
}

struct uuid msgid_to_uuid(int64_t conv, int64_t rev)
{
	struct uuid u;

	store_be64(u.b, (uint64_t)conv << 16 | ((uint64_t)rev >> 20 & 0xfff));
	store_be64(u.b + 8, ((uint64_t)rev & 0xfffff) << MSGID_TAG_BITS | MSGID_TAG);
	uuid_stamp(&u, 8);
	return u;
}

int msgid_from_uuid(const struct uuid *u, int64_t *ret_conv, int64_t *ret_rev)
{
	uint64_t high = load_be64(u->b), low = load_be64(u->b + 8);
	int64_t conv = (int64_t)(high >> 16);
	int64_t rev = (int64_t)((high & 0xfff) << 20 | (low >> MSGID_TAG_BITS & 0xfffff));
	struct uuid again;

	if (msgid_of(conv, rev) == 0)
		return -ERR_INVAL;
	again = msgid_to_uuid(conv, rev);
	if (memcmp(again.b, u->b, sizeof(again.b)) != 0)
		return -ERR_INVAL;
	*ret_conv = conv;
	*ret_rev = rev;
	return 0;
}

/* Random bytes in store: a system call for each identifier costs more than all the rest of it. */
static struct {
	uint8_t bytes[256]; /* so many come whole (getrandom(2)) */
	size_t left;
	bool is_watched;
} store;

/* No child may use what its parent uses too. */
static void store_clear(void)
{
	store.left = 0;
}

static void store_refill(void)
{
	if (!store.is_watched && pthread_atfork(NULL, NULL, store_clear) != 0)
		abort();
	store.is_watched = true;
	if (getrandom(store.bytes, sizeof(store.bytes), 0) != (ssize_t)sizeof(store.bytes))
		abort();
	store.left = sizeof(store.bytes);
}

static void random_fill(void *p, size_t len)
{
	if (store.left < len)
		store_refill();
	store.left -= len;
	memcpy(p, store.bytes + store.left, len);
	memset(store.bytes + store.left, 0, len); /* nobody is to find what was given out */
}

/* RFC 9562 section 6.2, method 1: the 12 bits after the time count within one millisecond. */
struct uuid uuid_v7(void)
{
	static uint64_t last_ms;
	static uint16_t counter;
	uint64_t now = (uint64_t)clock_wall_ms();
	struct uuid u;

	random_fill(u.b, sizeof(u.b));
	if (now > last_ms) {
		last_ms = now;
		counter = (uint16_t)((u.b[6] << 8 | u.b[7]) & 0x7ff); /* leaves room to count */
	} else if (++counter > 0xfff) {
		last_ms++; /* runs ahead of the clock rather than backwards */
		counter = 0;
	}
	for (int i = 0; i < 6; i++)
		u.b[i] = (uint8_t)(last_ms >> (40 - 8 * i));
	u.b[6] = (uint8_t)(counter >> 8);
	u.b[7] = (uint8_t)counter;
	uuid_stamp(&u, 7);
	return u;
}

struct uuid uuid_hash(const void *bytes, size_t len)
{
	static EVP_MD *sha256; /* looking it up takes longer than the digest; kept for ever */
	unsigned char digest[EVP_MAX_MD_SIZE];
	struct uuid u;

	if (!sha256)
		sha256 = EVP_MD_fetch(NULL, "SHA256", NULL);
	if (!sha256 || EVP_Digest(len ? bytes : "", len, digest, NULL, sha256, NULL) != 1)
		abort();
	memcpy(u.b, digest, sizeof(u.b));
	uuid_stamp(&u, 8);
	return u;
}

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static bool is_dash_place(size_t i)
{
	return i == 8 || i == 13 || i == 18 || i == 23;
}

int uuid_parse(struct str s, struct uuid *ret)
{
	struct uuid u = {0};
	size_t nibble = 0;

	if (s.len != UUID_TEXT_LEN)
		return -ERR_INVAL;
	for (size_t i = 0; i < s.len; i++) {
		int v = hex_value(s.p[i]);

		if (is_dash_place(i)) {
			if (s.p[i] != '-')
				return -ERR_INVAL;
			continue;
		}
		if (v < 0)
			return -ERR_INVAL;
		u.b[nibble / 2] = (uint8_t)(u.b[nibble / 2] << 4 | v);
		nibble++;
	}
	*ret = u;
	return 0;
}

void uuid_format(const struct uuid *u, char ret[UUID_TEXT_LEN + 1])
{
	static const char digits[] = "0123456789abcdef";
	size_t nibble = 0;

	for (size_t i = 0; i < UUID_TEXT_LEN; i++) {
		if (is_dash_place(i)) {
			ret[i] = '-';
			continue;
		}
		ret[i] = digits[u->b[nibble / 2] >> (nibble % 2 ? 0 : 4) & 0xf];
		nibble++;
	}
	ret[UUID_TEXT_LEN] = '\0';
}

bool uuid_is_zero(const struct uuid *u)
{
	static const struct uuid zero;

	return memcmp(u, &zero, sizeof(zero)) == 0;
}

bool uuid_is_hash(const struct uuid *u)
{
	return u->b[6] >> 4 == 8;
}
