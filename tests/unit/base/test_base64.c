/* SPDX-License-Identifier: MIT */
/*
 * base64 and base32 (base/base64.c), with the vectors of RFC 4648 section 10.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/base64.h"

static const struct {
	const char *bytes, *base64, *base32;
} vectors[] = {
	{"", "", ""},
	{"f", "Zg", "MY"},
	{"fo", "Zm8", "MZXQ"},
	{"foo", "Zm9v", "MZXW6"},
	{"foob", "Zm9vYg", "MZXW6YQ"},
	{"fooba", "Zm9vYmE", "MZXW6YTB"},
	{"foobar", "Zm9vYmFy", "MZXW6YTBOI"},
};

static void assert_buf(struct buf *b, struct str expected)
{
	assert_int_equal(b->len, expected.len);
	if (expected.len)
		assert_memory_equal(b->p, expected.p, expected.len);
	buf_done(b);
}

static void test_vectors(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(vectors); i++) {
		struct str bytes = str_of(vectors[i].bytes);

		base64_add(&b, BASE64_STD, bytes.p, bytes.len);
		assert_int_equal(b.len, BASE64_LEN(bytes.len));
		assert_buf(&b, str_of(vectors[i].base64));
		assert_int_equal(base64_take(&b, BASE64_URL, str_of(vectors[i].base64)), 0);
		assert_buf(&b, bytes);
		base32_add(&b, bytes.p, bytes.len);
		assert_buf(&b, str_of(vectors[i].base32));
		assert_int_equal(base32_take(&b, str_of(vectors[i].base32)), 0);
		assert_buf(&b, bytes);
	}
}

/* Section 5: the two characters that differ. */
static void test_alphabets(void **state)
{
	static const uint8_t bytes[] = {0xfb, 0xff, 0xbf};
	struct buf b = BUF_INIT;

	(void)state;
	base64_add(&b, BASE64_STD, bytes, sizeof(bytes));
	assert_buf(&b, STR("+/+/"));
	base64_add(&b, BASE64_URL, bytes, sizeof(bytes));
	assert_buf(&b, STR("-_-_"));
	assert_int_equal(base64_take(&b, BASE64_URL, STR("-_-_")), 0);
	assert_buf(&b, (struct str){(const char *)bytes, sizeof(bytes)});
	assert_int_equal(base64_take(&b, BASE64_URL, STR("+/+/")), -ERR_INVAL);
	assert_int_equal(base64_take(&b, BASE64_STD, STR("-_-_")), -ERR_INVAL);
}

/* What a careless reader takes: then one value had several texts, and signatures several forms. */
static void test_strict(void **state)
{
	static const char *const bad[] = {"Zg==", "Z", "Zm9vY", "Zh", "Zm9", "Zm 9v", "Zm9v\n",
					  "Zm9v."};
	struct buf b = BUF_INIT;

	(void)state;
	buf_add_cstr(&b, "kept");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(base64_take(&b, BASE64_URL, str_of(bad[i])), -ERR_INVAL);
		assert_int_equal(b.len, 4);
	}
	assert_buf(&b, STR("kept"));
}

static void test_base32_as_typed(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(base32_take(&b, STR("mzxw 6ytb-OI======")), 0);
	assert_buf(&b, STR("foobar"));
	assert_int_equal(base32_take(&b, STR("MZXW6YT1")), -ERR_INVAL);
	assert_int_equal(base32_take(&b, STR("M")), -ERR_INVAL);
	assert_int_equal(base32_take(&b, STR("MZ")), -ERR_INVAL); /* bits behind the last byte */
	assert_buf(&b, STR(""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_vectors),
		cmocka_unit_test(test_alphabets),
		cmocka_unit_test(test_strict),
		cmocka_unit_test(test_base32_as_typed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
