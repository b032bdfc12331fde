/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/call.c, and of what http_conn.c answers without a handler: fields, forms of
 * errors, Allow. Statuses and fields follow RFC 9110 and 9457.
 */
#include "http_stand.h"

static void test_answer(void **state)
{
	struct str s = stand_ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");

	(void)state;
	assert_int_equal(answer_status(s), 200);
	assert_text(answer_body(s), "hello");
	assert_contains(s, "Content-Length: 5\r\n");
	assert_contains(s, "Content-Type: text/html; charset=utf-8\r\n");
	assert_contains(s, "Date: " STAND_DATE "\r\n");
	assert_contains(s, "X-Content-Type-Options: nosniff\r\n");
	assert_contains(s, "Referrer-Policy: same-origin\r\n");
	assert_contains(s, "X-Request-Id: ");
	assert_contains(s, "Content-Security-Policy: default-src 'none'; script-src 'self'; ");
	assert_contains(s, "frame-ancestors 'none'\r\n");
	assert_contains(s, "Cross-Origin-Opener-Policy: same-origin\r\n");
	assert_lacks(s, "Connection:");
	assert_lacks(s, "X-Roomd-Worker");
	assert_lacks(s, "Server:");
	assert_int_equal(conn->state, CONN_HTTP);
	assert_int_equal(conn->wait, WAIT_KEEPALIVE);
	assert_null(conn->http);
	s = stand_ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
	assert_text(answer_body(s), "hi");
	assert_contains(s, "X-Mine: 1\r\n");
	assert_contains(s, "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'; "
			   "sandbox\r\n");
}

static void test_limits(void **state)
{
	struct str s;

	(void)state;
	s = stand_ask("GET /token HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(answer_status(s), 401);
	assert_lacks(s, "RateLimit"); /* nobody knows whose it is */
	conn->link = (struct addr){{[15] = 1}};
	limit_left = 2;
	s = stand_ask("GET /token HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(answer_status(s), 401);
	assert_contains(s, "RateLimit-Policy: 100;w=900\r\nRateLimit-Limit: 100\r\n"
			   "RateLimit-Remaining: 1\r\n");
	check_status("GET /token HTTP/1.1\r\nHost: a\r\n\r\n", 401);
	s = stand_ask("GET /token HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(answer_status(s), 429);
	assert_contains(s, "Retry-After: 3\r\n");
	assert_contains(answer_body(s), "\"code\":\"rate_limited\"");
	assert_contains(answer_body(s), "\"retry_after\":2.5");
	/* another limit, and none */
	s = stand_ask("GET /api/chat/exists HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(answer_status(s), 429);
	assert_contains(s, "RateLimit-Limit: 6000\r\n");
	assert_contains(answer_body(s), "{\"detail\":\"");
	stand_set("limits.guests=off");
	s = stand_ask("GET /api/chat/exists HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(answer_status(s), 400);
	assert_lacks(s, "RateLimit");
}

static void test_development(void **state)
{
	struct str s;

	(void)state;
	stand_set("server.mode=development");
	s = stand_ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_contains(s, "X-Roomd-Worker: 3\r\n");
	s = stand_ask("GET / HTTP/1.1\r\n\r\n");
	assert_contains(s, "X-Roomd-Worker: 3\r\n");
}

static void test_head(void **state)
{
	struct str s = stand_ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");

	(void)state;
	assert_int_equal(answer_status(s), 200);
	assert_contains(s, "Content-Length: 5\r\n");
	assert_contains(s, "Content-Type: text/html");
	assert_text(answer_body(s), "");
	s = stand_ask("HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(answer_status(s), 404);
	assert_lacks(s, "Content-Length: 0\r\n");
	assert_text(answer_body(s), "");
}

static void test_options(void **state)
{
	struct str s = stand_ask("OPTIONS /echo HTTP/1.1\r\nHost: a\r\n\r\n");

	(void)state;
	assert_int_equal(answer_status(s), 204);
	assert_contains(s, "Allow: POST, OPTIONS\r\n");
	assert_lacks(s, "Content-Length");
	assert_text(answer_body(s), "");
	s = stand_ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(answer_status(s), 204);
	assert_contains(s, "Allow: GET, HEAD, POST, OPTIONS\r\n");
	check_status("OPTIONS /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404);
}

static void test_shapes(void **state)
{
	struct str s = stand_ask("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");

	(void)state;
	assert_contains(s, "Content-Type: text/html");
	assert_contains(s, "<h1>Not Found</h1>");
	assert_contains(s, "Content-Security-Policy: ");
	s = stand_ask("GET /api/chat/nothing HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(answer_status(s), 404);
	assert_contains(s, "Content-Type: application/json\r\n");
	assert_contains(answer_body(s), "{\"detail\":\"");
	s = stand_ask("GET /api/v1/nothing HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(answer_status(s), 404);
	assert_contains(s, "Content-Type: application/problem+json\r\n");
	assert_contains(answer_body(s), "\"code\":\"not_found\"");
	assert_contains(answer_body(s), "\"status\":404");
	s = stand_ask("DELETE /echo HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(answer_status(s), 405);
	assert_contains(s, "Allow: POST, OPTIONS\r\n");
	check_status("BREW /echo HTTP/1.1\r\nHost: a\r\n\r\n", 501);
	check_status("PURGE /echo HTTP/1.1\r\nHost: a\r\n\r\n", 405);
	check_status("PURGE /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 501);
}

static void test_db_errors(void **state)
{
	struct str s = stand_ask("GET /api/chat/exists HTTP/1.1\r\nHost: a\r\n\r\n");

	(void)state;
	assert_int_equal(answer_status(s), 400);
	assert_text(answer_body(s), "{\"detail\":\"Room with this name already exists\"}");
	s = stand_ask("GET /api/chat/away HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(answer_status(s), 503);
	assert_contains(s, "Retry-After: 2\r\n");
	assert_contains(answer_body(s), "{\"detail\":\"");
	s = stand_ask("GET /api/v1/away HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(answer_status(s), 503);
	assert_contains(s, "Retry-After: 2\r\n");
	assert_contains(answer_body(s), "\"retry_after\":1.5");
	assert_contains(answer_body(s), "\"code\":\"unavailable\"");
}

static void test_ids(void **state)
{
	struct uuid want;

	(void)state;
	assert_int_equal(uuid_parse(STR(UUID_TEXT), &want), 0);
	stand_ask("GET /id/12/9223372036854775807 HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(seen_id[0], 12);
	assert_int_equal(seen_id[1], INT64_MAX);
	assert_true(uuid_is_zero(&seen_uuid));
	stand_ask("GET /id/" UUID_TEXT "/-5 HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(seen_id[0], 0);
	assert_int_equal(seen_id[1], 0);
	assert_memory_equal(&seen_uuid, &want, sizeof(want));
	stand_ask("GET /id/9223372036854775808/x HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(seen_id[0], 0);
	assert_true(uuid_is_zero(&seen_uuid));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAND_TEST(test_answer),
		STAND_TEST(test_limits),
		STAND_TEST(test_development),
		STAND_TEST(test_head),
		STAND_TEST(test_options),
		STAND_TEST(test_shapes),
		STAND_TEST(test_db_errors),
		STAND_TEST(test_ids),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
