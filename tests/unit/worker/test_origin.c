/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/origin.c and the gates before a handler: media types, credentials, origins, CORS.
 * Origins are RFC 6454's, the fields of CORS the Fetch standard's.
 */
#include "http_stand.h"

#include "worker/origin.h"

#define POST_JSON "POST /json HTTP/1.1\r\nHost: a:8080\r\nContent-Length: 2\r\n"

static void test_media_type(void **state)
{
	(void)state;
	check_status(POST_JSON "\r\n{}", 200);
	check_status(POST_JSON "Content-Type: application/json\r\n\r\n{}", 200);
	check_status(POST_JSON "Content-Type: application/json; charset=utf-8\r\n\r\n{}", 200);
	check_status(POST_JSON "Content-Type: text/plain\r\n\r\n{}", 415);
	check_status(POST_JSON "Content-Type: application/json; charset=latin1\r\n\r\n{}", 415);
	check_status("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Type: "
		     "text/plain\r\n\r\nhi",
		     200);
}

static void test_length(void **state)
{
	(void)state;
	check_status("POST /json HTTP/1.1\r\nHost: a\r\n\r\n", 411);
	check_status("POST /echo HTTP/1.1\r\nHost: a\r\n\r\n", 200);
	check_status("POST /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404);
	check_status("PUT /echo HTTP/1.1\r\nHost: a\r\n\r\n", 405);
	check_status("POST /json HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
		     "2\r\n{}\r\n0\r\n\r\n",
		     200);
}

static void test_credentials(void **state)
{
	struct str s;

	(void)state;
	check_status("GET /guest HTTP/1.1\r\nHost: a\r\n\r\n", 200);
	check_status("GET /token HTTP/1.1\r\nHost: a\r\n\r\n", 401);
	stand_set("chat.guests=off");
	s = stand_ask("GET /guest HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(answer_status(s), 401);
	assert_contains(s, "WWW-Authenticate: Bearer\r\n");
}

static void test_origins(void **state)
{
	(void)state;
	check_status(POST_JSON "Origin: http://a:8080\r\n\r\n{}", 200);
	check_status(POST_JSON "Origin: https://A:8080\r\n\r\n{}", 200);
	check_status(POST_JSON "Origin: http://a\r\n\r\n{}", 403);
	check_status(POST_JSON "Origin: http://a:80801\r\n\r\n{}", 403);
	check_status(POST_JSON "Origin: http://xa:8080\r\n\r\n{}", 403);
	check_status(POST_JSON "Origin: ftp://a:8080\r\n\r\n{}", 403);
	check_status(POST_JSON "Origin: null\r\n\r\n{}", 403);
	check_status(POST_JSON "Origin:\r\n\r\n{}", 403);
	/* Fetch Metadata tells of a page of another site too */
	check_status(POST_JSON "Sec-Fetch-Site: cross-site\r\n\r\n{}", 403);
	check_status(POST_JSON "Sec-Fetch-Site: same-origin\r\n\r\n{}", 200);
	check_status(POST_JSON "Sec-Fetch-Site: none\r\n\r\n{}", 200);
	/* default ports may be left out */
	check_status("POST /echo HTTP/1.1\r\nHost: b:443\r\nOrigin: https://b\r\n"
		     "Content-Length: 0\r\n\r\n",
		     200);
	check_status("POST /echo HTTP/1.1\r\nHost: b\r\nOrigin: http://b:80\r\n"
		     "Content-Length: 0\r\n\r\n",
		     200);
	check_status("POST /echo HTTP/1.1\r\nHost: b\r\nOrigin: http://b:443\r\n"
		     "Content-Length: 0\r\n\r\n",
		     403);
	/* reading is the browser's to forbid */
	check_status("GET / HTTP/1.1\r\nHost: a\r\nOrigin: http://evil\r\n\r\n", 200);
}

static void test_cors(void **state)
{
	struct str s;

	(void)state;
	s = stand_ask("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://good\r\n\r\n");
	assert_lacks(s, "Access-Control");
	assert_lacks(s, "Vary: Origin");
	stand_set("http.origins=https://good, https://fine:444");
	s = stand_ask("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://good\r\n\r\n");
	assert_contains(s, "Access-Control-Allow-Origin: https://good\r\n");
	assert_contains(s, "Vary: Origin\r\n");
	s = stand_ask("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://fine\r\n\r\n");
	assert_lacks(s, "Access-Control");
	assert_contains(s, "Vary: Origin\r\n");
	check_status(POST_JSON "Origin: https://fine:444\r\n\r\n{}", 200);
	check_status(POST_JSON "Origin: https://other\r\n\r\n{}", 403);
	s = stand_ask("OPTIONS /json HTTP/1.1\r\nHost: a\r\nOrigin: https://good\r\n"
		"Access-Control-Request-Method: POST\r\n\r\n");
	assert_int_equal(answer_status(s), 204);
	assert_contains(s, "Access-Control-Allow-Origin: https://good\r\n");
	assert_contains(s, "Access-Control-Allow-Methods: POST, OPTIONS\r\n");
	assert_contains(s, "Access-Control-Allow-Headers: ");
	s = stand_ask("OPTIONS /json HTTP/1.1\r\nHost: a\r\nOrigin: https://evil\r\n"
		"Access-Control-Request-Method: POST\r\n\r\n");
	assert_lacks(s, "Access-Control");
	stand_set("http.origins=*");
	s = stand_ask("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://any\r\n\r\n");
	assert_contains(s, "Access-Control-Allow-Origin: https://any\r\n");
}

/* Fetch Metadata and RFC 6454; http.origins = * is nobody's name. */
static bool allows_cookie(const char *fields)
{
	struct http_in *in = http_in_new(
		&(struct http_limits){.header_max = 1024, .target_max = 256, .body_max = 256});
	struct buf text = BUF_INIT;
	size_t used;
	bool r;

	buf_printf(&text, "POST / HTTP/1.1\r\nHost: a:8080\r\n%s\r\n", fields);
	assert_int_equal(http_feed(in, text.p, text.len, &used), 0);
	r = origin_allows_cookie(wk->settings, http_request(in));
	http_in_free(&in);
	buf_done(&text);
	return r;
}

static void test_cookies(void **state)
{
	(void)state;
	assert_true(allows_cookie(""));
	assert_true(allows_cookie("Sec-Fetch-Site: same-origin\r\n"));
	assert_true(allows_cookie("Sec-Fetch-Site: none\r\n"));
	assert_false(allows_cookie("Sec-Fetch-Site: cross-site\r\n"));
	assert_false(allows_cookie("Sec-Fetch-Site: same-site\r\n"));
	assert_false(allows_cookie("Sec-Fetch-Site: \r\n"));
	/* the browser knows better than what a proxy made of Host */
	assert_true(allows_cookie("Sec-Fetch-Site: same-origin\r\nOrigin: https://b\r\n"));
	assert_false(allows_cookie("Sec-Fetch-Site: cross-site\r\nOrigin: http://a:8080\r\n"));
	assert_true(allows_cookie("Origin: http://a:8080\r\n"));
	assert_false(allows_cookie("Origin: http://a\r\n"));
	assert_false(allows_cookie("Origin: null\r\n"));
	assert_true(allows_cookie("Referer: http://a:8080/x?y\r\n"));
	assert_false(allows_cookie("Referer: http://evil/http://a:8080/\r\n"));
	assert_false(allows_cookie("Referer: http://a:8080.evil/\r\n"));
	stand_set("http.origins=*");
	assert_false(allows_cookie("Origin: https://b\r\n"));
	assert_false(allows_cookie("Origin: *\r\n"));
	stand_set("http.origins=https://b, *, null");
	assert_true(allows_cookie("Origin: https://b\r\n"));
	assert_true(allows_cookie("Sec-Fetch-Site: cross-site\r\nOrigin: https://b\r\n"));
	assert_false(allows_cookie("Origin: null\r\n"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAND_TEST(test_media_type),
		STAND_TEST(test_length),
		STAND_TEST(test_credentials),
		STAND_TEST(test_origins),
		STAND_TEST(test_cors),
		STAND_TEST(test_cookies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
