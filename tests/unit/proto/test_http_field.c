/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/http_field.c, http_form.c and http_date.c.
 * Expected values are RFC 9110's examples and grammar.
 */
#include "proto_test.h"

#include "proto/http_field.h"

static void test_list(void **state)
{
	struct str v = STR(" a ,, \"b,\\\"c\" ,d"), item;
	size_t pos = 0;

	(void)state;
	assert_true(http_list_next(v, &pos, &item));
	assert_str(item, "a");
	assert_true(http_list_next(v, &pos, &item));
	assert_str(item, "\"b,\\\"c\"");
	assert_true(http_list_next(v, &pos, &item));
	assert_str(item, "d");
	assert_false(http_list_next(v, &pos, &item));
}

static void check_range(struct str v, int want, uint64_t first, uint64_t last)
{
	uint64_t f = 7777, l = 7777;

	assert_int_equal(http_range(v, 10000, &f, &l), want);
	assert_int_equal(f, want ? 7777 : first);
	assert_int_equal(l, want ? 7777 : last);
}

/* Section 14.1.2's examples for a file of 10,000 bytes, and the rest of the grammar. */
static void test_range(void **state)
{
	uint64_t f, l;

	(void)state;
	check_range(STR("bytes=0-499"), 0, 0, 499);
	check_range(STR("bytes=500-999"), 0, 500, 999);
	check_range(STR("bytes=-500"), 0, 9500, 9999);
	check_range(STR("bytes=9500-"), 0, 9500, 9999);
	check_range(STR("bytes=0-99999"), 0, 0, 9999);
	check_range(STR("bytes=-99999"), 0, 0, 9999);
	check_range(STR("BYTES=1-1"), 0, 1, 1);
	check_range(STR("bytes=10000-"), -ERR_INVAL, 0, 0);
	check_range(STR("bytes=-0"), -ERR_INVAL, 0, 0);
	check_range(STR("bytes=99999999999999999999-"), -ERR_INVAL, 0, 0);
	check_range(STR("bytes=-10000"), 0, 0, 9999);
	check_range(STR("bytes=9999-9999"), 0, 9999, 9999);
	check_range(STR("bytes=5"), -ERR_NOENT, 0, 0);
	check_range(STR("bytes=1-2x"), -ERR_NOENT, 0, 0);
	check_range(STR("bytes=0-1,"), -ERR_NOENT, 0, 0);
	check_range(STR("bytes=5-4"), -ERR_NOENT, 0, 0);
	check_range(STR("bytes=-"), -ERR_NOENT, 0, 0);
	check_range(STR("bytes=a-b"), -ERR_NOENT, 0, 0);
	check_range(STR("bytes=0-1,3-4"), -ERR_NOENT, 0, 0);
	check_range(STR("lines=0-1"), -ERR_NOENT, 0, 0);
	check_range(STR(""), -ERR_NOENT, 0, 0);
	assert_int_equal(http_range(STR("bytes=0-0"), 0, &f, &l), -ERR_INVAL);
	assert_int_equal(http_range(STR("bytes=-5"), 0, &f, &l), -ERR_INVAL);
}

/* The table of section 8.8.3.2, and lists. */
static void test_etag(void **state)
{
	(void)state;
	assert_true(http_etag_match(STR("\"1\""), STR("\"1\""), false));
	assert_false(http_etag_match(STR("W/\"1\""), STR("W/\"1\""), false));
	assert_true(http_etag_match(STR("W/\"1\""), STR("W/\"1\""), true));
	assert_false(http_etag_match(STR("W/\"1\""), STR("\"1\""), false));
	assert_true(http_etag_match(STR("W/\"1\""), STR("\"1\""), true));
	assert_false(http_etag_match(STR("W/\"1\""), STR("W/\"2\""), true));
	assert_true(http_etag_match(STR("\"a\", W/\"b,c\",\"d\""), STR("\"b,c\""), true));
	assert_true(http_etag_match(STR(" * "), STR("\"x\""), true));
	assert_false(http_etag_match(STR(""), STR("\"x\""), true));
	assert_false(http_etag_match(STR("x"), STR("\"x\""), true));
}

static void test_encoding(void **state)
{
	(void)state;
	assert_int_equal(http_encoding_quality(STR("compress, gzip"), "gzip"), 1000);
	assert_int_equal(http_encoding_quality(STR("GZIP;q=0.5"), "gzip"), 500);
	assert_int_equal(http_encoding_quality(STR("gzip;q=0"), "gzip"), 0);
	assert_int_equal(http_encoding_quality(STR("*;q=0.25"), "gzip"), 250);
	assert_int_equal(http_encoding_quality(STR("gzip;q=0, *"), "gzip"), 0);
	assert_int_equal(http_encoding_quality(STR("identity"), "gzip"), 0);
	assert_int_equal(http_encoding_quality(STR("gzip; q=0.001"), "gzip"), 1);
	assert_int_equal(http_encoding_quality(STR("gzip;q=2"), "gzip"), 0);
	assert_int_equal(http_encoding_quality(STR("gzip;q=1.000"), "gzip"), 1000);
	assert_int_equal(http_encoding_quality(STR("gzip;q=1.001"), "gzip"), 0);
	assert_int_equal(http_encoding_quality(STR("gzip;q=0.1234"), "gzip"), 0);
	assert_int_equal(http_encoding_quality(STR("gzip;Q=0.25"), "gzip"), 250);
	assert_int_equal(http_encoding_quality(STR("xgzip"), "gzip"), 0);
	assert_int_equal(http_encoding_quality((struct str){0}, "gzip"), 0);
}

static void test_accept(void **state)
{
	(void)state;
	assert_int_equal(http_type_quality((struct str){0}, "text/html"), 1000);
	assert_int_equal(
	    http_type_quality(STR("text/*;q=0.3, text/html;q=0.7, */*;q=0.5"), "text/html"), 700);
	assert_int_equal(
	    http_type_quality(STR("text/*;q=0.3, text/html;q=0.7, */*;q=0.5"), "text/plain"), 300);
	assert_int_equal(
	    http_type_quality(STR("text/*;q=0.3, text/html;q=0.7, */*;q=0.5"), "image/jpeg"), 500);
	assert_int_equal(http_type_quality(STR("application/json"), "text/html"), 0);
}

static void test_type(void **state)
{
	(void)state;
	assert_true(http_is_type(STR("application/json"), "application/json"));
	assert_true(http_is_type(STR("Application/JSON ; charset=\"UTF-8\""), "application/json"));
	assert_false(http_is_type(STR("application/json; charset=latin1"), "application/json"));
	assert_false(http_is_type(STR("application/jsonp"), "application/json"));
	assert_false(http_is_type(STR("application/json; charset="), "application/json"));
	assert_true(http_is_type(STR("application/json; x=\"a;charset=b\""), "application/json"));
	assert_false(http_is_type((struct str){0}, "application/json"));
}

/* Section 5.6.7's three forms of one moment. */
static void test_dates(void **state)
{
	char text[HTTP_DATE_LEN + 1];
	int64_t t = 0;

	(void)state;
	http_date_format(784111777, text);
	assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
	http_date_format(0, text);
	assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
	http_date_format(INT64_MAX, text);
	assert_string_equal(text, "Fri, 31 Dec 9999 23:59:59 GMT");
	assert_int_equal(http_date_parse(STR("Sun, 06 Nov 1994 08:49:37 GMT"), &t), 0);
	assert_int_equal(t, 784111777);
	t = 0;
	assert_int_equal(http_date_parse(STR("Sunday, 06-Nov-94 08:49:37 GMT"), &t), 0);
	assert_int_equal(t, 784111777);
	t = 0;
	assert_int_equal(http_date_parse(STR("Sun Nov  6 08:49:37 1994"), &t), 0);
	assert_int_equal(t, 784111777);
	assert_int_equal(http_date_parse(STR("Sun, 06 Nov 1994 08:49:37 CET"), &t), -ERR_INVAL);
	assert_int_equal(http_date_parse(STR("Sun, 06 Nov 1994 08:49:37 GMT x"), &t), -ERR_INVAL);
	assert_int_equal(http_date_parse(STR("Sun, 06 Foo 1994 08:49:37 GMT"), &t), -ERR_INVAL);
	assert_int_equal(http_date_parse(STR("Sun, 06 Nov 1994 24:49:37 GMT"), &t), -ERR_INVAL);
	assert_int_equal(http_date_parse(STR("Sun, 00 Nov 1994 08:49:37 GMT"), &t), -ERR_INVAL);
	assert_int_equal(http_date_parse(STR("Sun, 32 Nov 1994 08:49:37 GMT"), &t), -ERR_INVAL);
	assert_int_equal(http_date_parse(STR("Sun, 06 Nov 1994 08:60:37 GMT"), &t), -ERR_INVAL);
	assert_int_equal(http_date_parse(STR("Sun, 06 Nov 1994 08:49:61 GMT"), &t), -ERR_INVAL);
	assert_int_equal(http_date_parse(STR("Sun Nov  6 08:49:37 1994 GMT"), &t), -ERR_INVAL);
	assert_int_equal(http_date_parse(STR("Mon, 31 Dec 1990 23:59:59 GMT"), &t), 0);
	assert_int_equal(t, 662687999);
	assert_int_equal(http_date_parse(STR("Sunday, 06-Nov-69 08:49:37 GMT"), &t), 0);
	http_date_format(t, text); /* two digits mean 1970 to 2069 */
	assert_string_equal(text, "Wed, 06 Nov 2069 08:49:37 GMT");
	assert_int_equal(http_date_parse(STR(""), &t), -ERR_INVAL);
}

static void test_escapes(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	http_add_escaped(&b, STR("aZ0-._~ /\xc3\xa9"));
	assert_buf(&b, "aZ0-._~%20%2F%C3%A9");
	assert_int_equal(http_unescape(STR("a%2fb+c"), false, &b), 0);
	assert_buf(&b, "a/b+c");
	assert_int_equal(http_unescape(STR("a%2Fb+c"), true, &b), 0);
	assert_buf(&b, "a/b c");
	buf_add_cstr(&b, "kept");
	assert_int_equal(http_unescape(STR("x%0"), false, &b), -ERR_INVAL);
	assert_int_equal(http_unescape(STR("x%00"), false, &b), -ERR_INVAL);
	assert_int_equal(http_unescape(STR("x%g1"), false, &b), -ERR_INVAL);
	assert_int_equal(http_unescape(STR("x%1g"), false, &b), -ERR_INVAL);
	assert_int_equal(http_unescape(STR("x\0"), false, &b), -ERR_INVAL);
	assert_int_equal(http_unescape(STR("x%ff"), false, &b), -ERR_INVAL);
	assert_buf(&b, "kept");
	buf_done(&b);
}

static void test_form(void **state)
{
	struct str form = STR("name=Al+ice&&code=AB%26C&create&name=2&x=1=2&a+b=3");
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(http_form_get(form, "name", &b), 0);
	assert_buf(&b, "Al ice");
	assert_int_equal(http_form_get(form, "code", &b), 0);
	assert_buf(&b, "AB&C");
	assert_int_equal(http_form_get(form, "create", &b), 0);
	assert_buf(&b, "");
	assert_int_equal(http_form_get(form, "x", &b), 0);
	assert_buf(&b, "1=2");
	assert_int_equal(http_form_get(form, "a b", &b), 0);
	assert_buf(&b, "3");
	assert_int_equal(http_form_get(form, "nam", &b), -ERR_NOENT);
	assert_int_equal(http_form_get(STR(""), "a", &b), -ERR_NOENT);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_list),   cmocka_unit_test(test_range),
	    cmocka_unit_test(test_etag),   cmocka_unit_test(test_encoding),
	    cmocka_unit_test(test_accept), cmocka_unit_test(test_type),
	    cmocka_unit_test(test_dates),  cmocka_unit_test(test_escapes),
	    cmocka_unit_test(test_form),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
