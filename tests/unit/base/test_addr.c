/* SPDX-License-Identifier: MIT */
/*
 * Addresses and networks (base/addr.c). Notations are those of RFC 4291 section 2.2 and RFC 5952.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <netinet/in.h>
#include <sys/un.h>

#include "base/addr.h"

static struct addr of(const char *text)
{
	struct addr a = {{0}};

	if (addr_parse(str_of(text), &a) < 0)
		fail_msg("\"%s\" was not taken", text);
	return a;
}

static void assert_shown(const char *text, const char *want)
{
	char got[ADDR_TEXT_MAX];
	struct addr a = of(text);

	addr_format(&a, got);
	assert_string_equal(got, want);
}

static void test_text(void **state)
{
	static const char *const bad[] = {
		"",	    "1.2.3",	"1.2.3.4.5", "256.1.1.1", "01.2.3.4",  " 1.2.3.4",
		"1.2.3.4 ", "::1%lo",	"[::1]",     ":::",	  "1::2::3",   "g::",
		"localhost", "1.2.3.4/32", "unknown"};
	struct addr a, zero = {{0}};
	char text[ADDR_TEXT_MAX];

	(void)state;
	assert_shown("192.0.2.1", "192.0.2.1");
	assert_shown("::ffff:192.0.2.1", "192.0.2.1");
	assert_shown("2001:DB8:0:0:0:0:0:1", "2001:db8::1");
	assert_shown("::1", "::1");
	addr_format(&zero, text);
	assert_string_equal(text, "-");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (addr_parse(str_of(bad[i]), &a) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
	assert_int_equal(addr_parse((struct str){"1.2.3.4\0x", 9}, &a), -ERR_INVAL);
}

static void test_kinds(void **state)
{
	struct addr v4 = of("127.1.2.3"), v6 = of("::1"), other = of("2001:db8::1"), zero = {{0}};

	(void)state;
	assert_true(addr_is_v4(&v4) && !addr_is_v4(&v6));
	assert_true(addr_is_loopback(&v4) && addr_is_loopback(&v6) && !addr_is_loopback(&other));
	assert_true(addr_is_zero(&zero) && !addr_is_zero(&v6));
	v4 = of("128.0.0.1");
	assert_false(addr_is_loopback(&v4));
}

static void test_of_sockets(void **state)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000201)};
	struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
	struct sockaddr_un un = {.sun_family = AF_UNIX};
	struct addr a = addr_of((struct sockaddr *)&in), want = of("192.0.2.1");

	(void)state;
	assert_true(addr_eq(&a, &want));
	a = addr_of((struct sockaddr *)&in6);
	want = of("::1");
	assert_true(addr_eq(&a, &want));
	a = addr_of((struct sockaddr *)&un);
	assert_true(addr_is_zero(&a));
}

static void assert_site(const char *a, const char *want)
{
	struct addr x = of(a), y = of(want);

	x = addr_site(&x);
	assert_true(addr_eq(&x, &y));
}

static void test_sites(void **state)
{
	(void)state;
	assert_site("192.0.2.1", "192.0.2.1");
	assert_site("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::");
	assert_site("2001:db8:1:2::", "2001:db8:1:2::");
}

static bool has(const char *net, const char *a)
{
	struct addr_net n;
	struct addr x = of(a);

	assert_int_equal(addr_net_parse(str_of(net), &n), 0);
	return addr_net_has(&n, &x);
}

static void test_networks(void **state)
{
	static const char *const bad[] = {"", "/8", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1",
					  "10.0.0.1/8", "::/129", "2001:db8::1/64", "10.0.0.0/8x",
					  "10.0.0.0/0008", "x/8", "10.0.0.0/8/8"};
	struct addr_net n;

	(void)state;
	assert_true(has("10.0.0.0/8", "10.255.0.1") && !has("10.0.0.0/8", "11.0.0.0"));
	assert_true(has("10.0.0.7", "10.0.0.7") && !has("10.0.0.7", "10.0.0.8"));
	assert_true(has("10.0.0.0/8", "::ffff:10.1.1.1"));
	assert_true(has("192.168.4.0/22", "192.168.7.255"));
	assert_false(has("192.168.4.0/22", "192.168.8.0"));
	assert_true(has("0.0.0.0/0", "203.0.113.9") && !has("0.0.0.0/0", "2001:db8::1"));
	assert_true(has("2001:db8::/32", "2001:db8:ffff::1"));
	assert_false(has("2001:db8::/32", "2001:db9::"));
	assert_true(has("2001:db8::/33", "2001:db8:7fff::"));
	assert_false(has("2001:db8::/33", "2001:db8:8000::"));
	assert_true(has("::1", "::1") && has("::/0", "2001:db8::1"));
	assert_true(has("::ffff:10.0.0.0/104", "10.2.3.4"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (addr_net_parse(str_of(bad[i]), &n) == 0)
			fail_msg("\"%s\" was taken", bad[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),	 cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_of_sockets), cmocka_unit_test(test_sites),
		cmocka_unit_test(test_networks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
