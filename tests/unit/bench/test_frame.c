/* SPDX-License-Identifier: MIT */
/* Checks frame heads and masking against the examples of RFC 6455 section 5.7 and its length rules.
 * Leaves sockets alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "bench/frame.h"

/* RFC 6455 section 5.7: "Hello" unmasked, and masked with 37 fa 21 3d. */
static const uint8_t hello[] = {0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f};
static const uint8_t masked[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58};
/* 256 and 65536 bytes of binary data, unmasked. */
static const uint8_t medium[] = {0x82, 0x7e, 0x01, 0x00};
static const uint8_t large[] = {0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0};

static void test_parse_rfc(void **state)
{
	struct frame f;

	(void)state;
	assert_int_equal(frame_parse(hello, sizeof(hello), &f), 1);
	assert_int_equal(f.op, FRAME_TEXT);
	assert_true(f.is_fin);
	assert_false(f.is_masked);
	assert_int_equal(f.head, 2);
	assert_int_equal(f.len, 5);
	assert_int_equal(frame_parse(masked, sizeof(masked), &f), 1);
	assert_true(f.is_masked);
	assert_int_equal(f.head, 6);
	assert_memory_equal(f.mask, masked + 2, 4);
	assert_int_equal(frame_parse(medium, sizeof(medium), &f), 1);
	assert_int_equal(f.op, FRAME_BINARY);
	assert_int_equal(f.len, 256);
	assert_int_equal(f.head, 4);
	assert_int_equal(frame_parse(large, sizeof(large), &f), 1);
	assert_int_equal(f.len, 65536);
	assert_int_equal(f.head, 10);
}

/* A head that has not arrived whole is no error at any length. */
static void test_parse_partial(void **state)
{
	struct frame f;

	(void)state;
	for (size_t n = 0; n < sizeof(large); n++)
		assert_int_equal(frame_parse(large, n, &f), 0);
	for (size_t n = 0; n < 6; n++)
		assert_int_equal(frame_parse(masked, n, &f), 0);
}

static void test_parse_refused(void **state)
{
	static const uint8_t reserved[] = {0xc1, 0x00};
	static const uint8_t huge[] = {0x82, 0x7f, 0, 0, 0, 1, 0, 0, 0, 0};
	struct frame f;

	(void)state;
	assert_int_equal(frame_parse(reserved, sizeof(reserved), &f), -1);
	assert_int_equal(frame_parse(huge, sizeof(huge), &f), -1);
}

static void test_head(void **state)
{
	uint8_t buf[FRAME_HEAD_MAX];

	(void)state;
	assert_int_equal(frame_head(buf, FRAME_TEXT, 5, NULL), 2);
	assert_memory_equal(buf, hello, 2);
	assert_int_equal(frame_head(buf, FRAME_TEXT, 5, masked + 2), 6);
	assert_memory_equal(buf, masked, 6);
	assert_int_equal(frame_head(buf, FRAME_BINARY, 256, NULL), sizeof(medium));
	assert_memory_equal(buf, medium, sizeof(medium));
	assert_int_equal(frame_head(buf, FRAME_BINARY, 65536, NULL), sizeof(large));
	assert_memory_equal(buf, large, sizeof(large));
}

static void test_mask(void **state)
{
	uint8_t text[5], line[100], again[100];

	(void)state;
	memcpy(text, masked + 6, 5);
	frame_mask(text, 5, masked + 2);
	assert_memory_equal(text, "Hello", 5);
	/* Octet i of the text is combined with octet i modulo 4 of the key (section 5.3). */
	for (size_t n = 0; n <= sizeof(line); n++) {
		for (size_t i = 0; i < n; i++)
			line[i] = again[i] = (uint8_t)(i * 7);
		frame_mask(line, n, masked + 2);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(line[i], again[i] ^ masked[2 + i % 4]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_rfc), cmocka_unit_test(test_parse_partial),
		cmocka_unit_test(test_parse_refused), cmocka_unit_test(test_head),
		cmocka_unit_test(test_mask),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
