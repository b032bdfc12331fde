/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/ws_offer.c: what RFC 7692 section 7.1 accepts, declines and answers, and what RFC
 * 6455 section 9.1 calls malformed.
 */
#include "proto_test.h"

#include "proto/ws_deflate.h"

#define PMD "permessage-deflate"
#define NO_TAKEOVER "; server_no_context_takeover; client_no_context_takeover"

static void check(const char *offers, const char *want)
{
	struct ws_deflate d;
	struct buf b = BUF_INIT;
	int r = ws_deflate_negotiate(str_of(offers), &d);

	if (r == 0)
		ws_deflate_add_answer(&b, &d);
	else
		buf_add_cstr(&b, r == -ERR_NOENT ? "none" : "malformed");
	print_message("%s\n", offers);
	assert_buf(&b, want);
	buf_done(&b);
}

static void test_an_offer_without_parameters(void **state)
{
	struct ws_deflate d;

	(void)state;
	check(PMD, PMD NO_TAKEOVER);
	check("", "none");
	check("x-webkit-deflate-frame", "none");
	check("Permessage-Deflate-2; a=b", "none");
	assert_int_equal(ws_deflate_negotiate(STR(PMD), &d), 0);
	assert_int_equal(d.server_bits, 15);
}

/* Neither side keeps a window, whether it was asked for or not (7.1.1.1, 7.1.1.2). */
static void test_context_takeover(void **state)
{
	(void)state;
	check(PMD "; server_no_context_takeover", PMD NO_TAKEOVER);
	check(PMD "; client_no_context_takeover", PMD NO_TAKEOVER);
	check(PMD "; client_no_context_takeover; server_no_context_takeover", PMD NO_TAKEOVER);
	check(PMD "; server_no_context_takeover=1", "none");
	check(PMD "; client_no_context_takeover=true", "none");
}

static void test_windows(void **state)
{
	struct ws_deflate d;

	(void)state;
	for (int bits = 9; bits <= 15; bits++) {
		struct buf offer = BUF_INIT, want = BUF_INIT;

		buf_printf(&offer, PMD "; server_max_window_bits=%d%c", bits, 0);
		buf_printf(&want, PMD NO_TAKEOVER "; server_max_window_bits=%d%c", bits, 0);
		check((const char *)offer.p, (const char *)want.p);
		assert_int_equal(ws_deflate_negotiate(str_of((const char *)offer.p), &d), 0);
		assert_int_equal(d.server_bits, bits);
		buf_done(&offer);
		buf_done(&want);
	}
	check(PMD "; client_max_window_bits", PMD NO_TAKEOVER);
	check(PMD "; client_max_window_bits=8", PMD NO_TAKEOVER "; client_max_window_bits=8");
	check(PMD "; client_max_window_bits=10; server_max_window_bits=11",
	      PMD NO_TAKEOVER "; server_max_window_bits=11; client_max_window_bits=10");
	check(PMD "; server_max_window_bits", "none"); /* 7.1.2.1: it has a value */
	check(PMD "; server_max_window_bits=8", "none"); /* zlib has no such window */
}

/* Decimal without leading zeros, 8 to 15 (7.1.2). */
static void test_values_out_of_range(void **state)
{
	static const char *const values[] = {"0", "7", "16", "010", "09", "+10", "-9", "1e1",
					     "10a", "a", "100", "4294967306", "1.5"};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		struct buf b = BUF_INIT;

		buf_printf(&b, PMD "; client_max_window_bits=%s%c", values[i], 0);
		check((const char *)b.p, "none");
		buf_clear(&b);
		buf_printf(&b, PMD "; server_max_window_bits=%s%c", values[i], 0);
		check((const char *)b.p, "none");
		buf_done(&b);
	}
}

static void test_unknown_and_doubled_parameters(void **state)
{
	(void)state;
	check(PMD "; foo", "none");
	check(PMD "; Server_No_Context_Takeover", "none");
	check(PMD "; server_no_context_takeover; server_no_context_takeover", "none");
	check(PMD "; client_max_window_bits=10; client_max_window_bits=10", "none");
	check(PMD "; foo; foo", "none");
}

/* The first that can be accepted, in the client's order. */
static void test_several_offers(void **state)
{
	(void)state;
	check(PMD "; server_max_window_bits=8, " PMD, PMD NO_TAKEOVER);
	check(PMD "; server_max_window_bits=10, " PMD,
	      PMD NO_TAKEOVER "; server_max_window_bits=10");
	check("foo; bar=1, , " PMD "; foo," PMD "; server_max_window_bits=12",
	      PMD NO_TAKEOVER "; server_max_window_bits=12");
}

static void test_quotes_and_blanks(void **state)
{
	(void)state;
	check(PMD ";server_max_window_bits=\"10\"", PMD NO_TAKEOVER "; server_max_window_bits=10");
	check(PMD " ;\tserver_max_window_bits = \"1\\1\" ",
	      PMD NO_TAKEOVER "; server_max_window_bits=11");
	check("foo; bar=\"a\", " PMD, PMD NO_TAKEOVER);
}

/* Whatever else could be accepted: the whole list is not to be trusted (RFC 6455 section 9.1). */
static void test_malformed_lists(void **state)
{
	static const char *const lists[] = {
		";",
		PMD ";",
		PMD "; ",
		PMD "; =10",
		PMD "; server_max_window_bits=",
		PMD "; server_max_window_bits=\"\"",
		PMD "; server_max_window_bits=\"10",
		PMD "; server_max_window_bits=\"1 0\"",
		PMD "; server_max_window_bits=\"10\\",
		PMD " foo",
		PMD "; foo bar",
		PMD ", b@d",
		"(comment), " PMD,
		PMD "; a=\"b,c\"",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		check(lists[i], "malformed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_offer_without_parameters),
		cmocka_unit_test(test_context_takeover),
		cmocka_unit_test(test_windows),
		cmocka_unit_test(test_values_out_of_range),
		cmocka_unit_test(test_unknown_and_doubled_parameters),
		cmocka_unit_test(test_several_offers),
		cmocka_unit_test(test_quotes_and_blanks),
		cmocka_unit_test(test_malformed_lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
