/* SPDX-License-Identifier: MIT */
/*
 * The keyed hash (base/hash.c).
 * Tables that use it are tested in test_map.c and test_strmap.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "base/hash_priv.h"
#include "base/map.h"

/* The vector of the SipHash paper, appendix A: key 00..0f, message 00..0e */
static void test_paper_vector(void **state)
{
	static const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
	uint8_t message[15];

	(void)state;
	for (size_t i = 0; i < sizeof(message); i++)
		message[i] = (uint8_t)i;
	assert_true(siphash(key, 2, 4, message, sizeof(message)) == UINT64_C(0xa129ca6149be45e5));
}

/* The first outputs of the authors' vectors_sip64: message 00.. of length 0, 1 and 8 */
static void test_reference_vectors(void **state)
{
	static const uint64_t key[2] = {UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)};
	static const uint8_t message[] = {0, 1, 2, 3, 4, 5, 6, 7};

	(void)state;
	assert_true(siphash(key, 2, 4, message, 0) == UINT64_C(0x726fdb47dd0e0e31));
	assert_true(siphash(key, 2, 4, message, 1) == UINT64_C(0x74f839c593dc67fd));
	assert_true(siphash(key, 2, 4, message, 8) == UINT64_C(0x93f5f5799a932462));
}

static void test_numbers_spread(void **state)
{
	unsigned buckets[64] = {0};

	(void)state;
	/*
	 * message ids of one room differ in the low half, first messages of rooms in the high
	 * half
	 */
	for (uint64_t i = 1; i <= 3200; i++) {
		buckets[hash_u64(i << 32 | 1) % 64]++;
		buckets[hash_u64(UINT64_C(7) << 32 | i) % 64]++;
	}
	for (size_t i = 0; i < 64; i++) {
		assert_true(buckets[i] > 40); /* 100 expected, standard deviation 10 */
		assert_true(buckets[i] < 160);
	}
}

static void test_bytes_and_length_count(void **state)
{
	(void)state;
	assert_true(hash_bytes("a", 1) == hash_bytes("a", 1));
	assert_true(hash_bytes("a", 1) != hash_bytes("b", 1));
	assert_true(hash_bytes("a\0", 2) != hash_bytes("a", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paper_vector),
		cmocka_unit_test(test_reference_vectors),
		cmocka_unit_test(test_numbers_spread),
		cmocka_unit_test(test_bytes_and_length_count),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
