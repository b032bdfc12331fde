/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/peer.c: whom requests of one connection belong to, over TLS or not, and which
 * cookies that allows. Decoding of fields and headers is tested in proto/.
 */
#include "http_stand.h"

#include <netinet/in.h>

#include "worker/peer.h"

static void link_from(const char *text)
{
	struct sockaddr_in in = {.sin_family = AF_INET};
	struct addr a;

	assert_int_equal(addr_parse(str_of(text), &a), 0);
	memcpy(&in.sin_addr, a.b + 12, 4);
	peer_accepted(conn, (struct sockaddr *)&in);
}

static void trust(const char *assignment)
{
	stand_set(assignment);
	peer_reload(wk);
}

static void assert_client(const char *fields, const char *want, bool is_tls)
{
	struct buf text = BUF_INIT;
	char got[ADDR_TEXT_MAX];

	buf_printf(&text, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", fields);
	buf_add_char(&text, '\0');
	stand_ask((char *)text.p);
	buf_done(&text);
	peer_format(conn, got);
	assert_string_equal(got, want);
	assert_int_equal(conn->is_tls, is_tls);
}

static void test_nobody_is_trusted_by_default(void **state)
{
	(void)state;
	peer_reload(wk);
	link_from("127.0.0.1");
	assert_client("X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\n", "127.0.0.1",
		      false);
	assert_client("Forwarded: for=192.0.2.1;proto=https\r\n", "127.0.0.1", false);
	peer_close(wk);
}

static void test_the_list(void **state)
{
	(void)state;
	trust("http.trusted_proxies=10.0.0.0/8, 192.0.2.9");
	link_from("10.1.2.3");
	assert_client("X-Forwarded-For: 198.51.100.1, 192.0.2.9\r\n", "198.51.100.1", false);
	assert_client("", "10.1.2.3", false); /* each request anew */
	link_from("11.1.2.3");
	assert_client("X-Forwarded-For: 198.51.100.1\r\n", "11.1.2.3", false);
	trust("http.trusted_proxies=11.1.2.3");
	assert_client("X-Forwarded-For: 198.51.100.1\r\n", "198.51.100.1", false);
	peer_close(wk);
}

static void test_long_chains_are_cut(void **state)
{
	struct buf fields = BUF_INIT;

	(void)state;
	trust("http.trusted_proxies=10.0.0.0/8");
	link_from("10.0.0.1");
	/* the client pads; what the proxies added last is still read from the end */
	buf_add_cstr(&fields, "X-Forwarded-For: 6.6.6.6");
	for (int i = 0; i < 50; i++)
		buf_add_cstr(&fields, ",6.6.6.6");
	buf_add_cstr(&fields, ", 192.0.2.1, 10.0.0.2\r\n");
	buf_add_char(&fields, '\0');
	assert_client((char *)fields.p, "192.0.2.1", false);
	buf_done(&fields);
	peer_close(wk);
}

static void test_scheme(void **state)
{
	(void)state;
	trust("http.trusted_proxies=10.0.0.0/8");
	link_from("10.0.0.1");
	assert_client("X-Forwarded-Proto: https\r\n", "10.0.0.1", true);
	assert_client("X-Forwarded-Proto: http, https\r\n", "10.0.0.1", true);
	assert_client("X-Forwarded-Proto: https, http\r\n", "10.0.0.1", false);
	assert_client("X-Forwarded-Proto: httpsx\r\n", "10.0.0.1", false);
	assert_client("Forwarded: for=192.0.2.1;proto=https\r\n", "192.0.2.1", true);
	assert_client("Forwarded: proto=https;for=6.6.6.6, for=192.0.2.1;proto=http\r\n",
		      "192.0.2.1", false);
	stand_set("http.forwarded=off");
	assert_client("Forwarded: for=192.0.2.1;proto=https\r\nX-Forwarded-Proto: https\r\n",
		      "10.0.0.1", false);
	peer_close(wk);
}

static void test_proxy_protocol(void **state)
{
	static const char header[] = "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\n";
	const uint8_t *data = (const uint8_t *)header;

	(void)state;
	stand_set("http.proxy_protocol=on");
	trust("http.trusted_proxies=10.0.0.0/8");
	link_from("11.0.0.1");
	assert_false(conn->awaits_proxy);
	link_from("10.0.0.1");
	assert_true(conn->awaits_proxy);
	assert_int_equal(peer_input(conn, data, 10), 0);
	assert_true(conn->awaits_proxy);
	assert_int_equal(conn->wait, WAIT_HEADER);
	assert_int_equal(peer_input(conn, data, sizeof(header) - 1), sizeof(header) - 1);
	assert_false(conn->awaits_proxy);
	assert_client("X-Forwarded-For: 6.6.6.6\r\n", "192.0.2.1", false);
	link_from("10.0.0.1");
	assert_int_equal(peer_input(conn, (const uint8_t *)"GET /", 5), 5);
	assert_int_equal(conn->state, CONN_LINGER); /* the stand's way to end */
	peer_close(wk);
}

static void test_cookies(void **state)
{
	(void)state;
	peer_reload(wk);
	link_from("192.0.2.1");
	assert_int_equal(peer_cookie(conn), PEER_COOKIE_NONE);
	conn->is_tls = true;
	assert_int_equal(peer_cookie(conn), PEER_COOKIE_SECURE);
	conn->is_tls = false;
	stand_set("http.plain_cookies=on");
	assert_int_equal(peer_cookie(conn), PEER_COOKIE_PLAIN);
	stand_set("http.plain_cookies=off");
	stand_set("server.mode=development");
	assert_int_equal(peer_cookie(conn), PEER_COOKIE_PLAIN);
	stand_set("server.mode=production");
	link_from("127.0.0.1");
	assert_int_equal(peer_cookie(conn), PEER_COOKIE_PLAIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAND_TEST(test_nobody_is_trusted_by_default),
		STAND_TEST(test_the_list),
		STAND_TEST(test_long_chains_are_cut),
		STAND_TEST(test_scheme),
		STAND_TEST(test_proxy_protocol),
		STAND_TEST(test_cookies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
