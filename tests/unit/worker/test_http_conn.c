/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/http_conn.c: one request after another, late answers, when the connection waits
 * and when it closes. Statuses follow RFC 9110 and 9112.
 */
#include "http_stand.h"

static void test_pipeline(void **state)
{
	struct str s;

	(void)state;
	s = stand_ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"
		"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
		"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(answer_count(s, "HTTP/1.1 200 OK\r\n"), 2);
	assert_int_equal(answer_count(s, "HTTP/1.1 404 "), 1);
	assert_int_equal(conn->requests, 3);
	assert_int_equal(conn->state, CONN_HTTP);
}

/* The two listeners have nothing in common; on the operators' one errors are problems. */
static void test_operations_apart(void **state)
{
	struct str s;

	(void)state;
	check_status("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n", 404);
	stand_reset();
	conn->is_ops = true;
	s = stand_ask("GET /healthz HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(answer_count(s, "HTTP/1.1 200 OK\r\n"), 1);
	assert_int_equal(answer_count(s, "HTTP/1.1 404 "), 1);
	assert_int_equal(answer_count(s, "application/problem+json"), 1);
	conn->is_ops = false;
}

static void test_later(void **state)
{
	struct str s;

	(void)state;
	s = stand_ask("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(s.len, 0);
	assert_true(conn->is_blocked);
	assert_int_equal(conn->wait, WAIT_NONE);
	assert_non_null(kept);
	assert_null(kept->req);
	http_conn_drained(conn); /* older bytes went out: no reason to go on */
	assert_true(conn->is_blocked);
	call_json(kept, 200, STR("[]"));
	assert_false(conn->is_blocked);
	assert_int_equal(conn->wait, WAIT_KEEPALIVE);
	stand_run();
	s = stand_sent();
	assert_int_equal(answer_count(s, "HTTP/1.1 200 OK\r\n"), 2);
	assert_contains(s, "\r\n\r\n[]HTTP/1.1 200 OK\r\n");
	assert_contains(s, "Cache-Control: no-store\r\n");
}

static void test_gone_before_answer(void **state)
{
	(void)state;
	stand_ask("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	conn->state = CONN_DEAD;
	call_json(kept, 200, STR("[]"));
	assert_int_equal(stand_sent().len, 0);
	stand_ask("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	conn->state = CONN_LINGER;
	call_error(kept, E_INTERNAL, NULL);
	stand_flush();
	assert_int_equal(stand_sent().len, 0);
}

static void test_closing(void **state)
{
	struct str s;

	(void)state;
	s = stand_ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_contains(s, "Connection: close\r\n");
	assert_int_equal(answer_count(s, "HTTP/1.1 "), 1);
	assert_int_equal(conn->state, CONN_LINGER);
	assert_int_equal(conn->end, CONN_END_CLEAN);
	s = stand_ask("GET / HTTP/1.0\r\n\r\n");
	assert_contains(s, "Connection: close\r\n");
	assert_int_equal(conn->state, CONN_LINGER);
	s = stand_ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	assert_contains(s, "Connection: keep-alive\r\n");
	assert_int_equal(conn->state, CONN_HTTP);
	stand_set("http.keepalive_requests=2");
	s = stand_ask("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(answer_count(s, "HTTP/1.1 200"), 2);
	assert_int_equal(answer_count(s, "Connection: close\r\n"), 1);
	assert_int_equal(conn->state, CONN_LINGER);
}

static void test_drain(void **state)
{
	struct str s;

	(void)state;
	stand_reset();
	wk->draining = true;
	http_conn_drain(conn);
	assert_int_equal(conn->state, CONN_LINGER);
	stand_reset();
	stand_feed("GET / HTTP/1.1\r\n");
	http_conn_drain(conn);
	assert_int_equal(conn->state, CONN_HTTP);
	stand_feed("Host: a\r\n\r\n");
	s = stand_sent();
	assert_int_equal(answer_status(s), 200);
	assert_contains(s, "Connection: close\r\n");
	assert_int_equal(conn->state, CONN_LINGER);
	stand_ask("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	http_conn_drain(conn);
	assert_int_equal(conn->state, CONN_HTTP);
	call_json(kept, 200, STR("[]"));
	stand_flush();
	assert_contains(stand_sent(), "Connection: close\r\n");
	assert_int_equal(conn->state, CONN_LINGER);
}

static void test_refusals(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	check_status("GET / HTTP/1.1\r\nHost: a\r\nno field\r\n\r\n", 400);
	assert_int_equal(conn->state, CONN_LINGER);
	check_status("GET / HTTP/1.1\r\n\r\n", 400);
	check_status("GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505);
	check_status("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 257\r\n\r\n", 413);
	check_status("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
		     501);
	buf_printf(&b, "GET /%0300d HTTP/1.1\r\nHost: a\r\n\r\n%c", 0, '\0');
	check_status((char *)b.p, 414);
	buf_clear(&b);
	buf_printf(&b, "GET / HTTP/1.1\r\nHost: a\r\nX: %01100d\r\n\r\n%c", 0, '\0');
	check_status((char *)b.p, 431);
	assert_int_equal(conn->state, CONN_LINGER);
	buf_done(&b);
	/* a refusal is a problem document, and nothing behind it is read */
	assert_contains(stand_ask("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
			"\"code\":\"bad_request\"");
}

static void test_continue(void **state)
{
	struct str s;

	(void)state;
	s = stand_ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: "
		"100-continue\r\n\r\n");
	assert_text(s, "HTTP/1.1 100 Continue\r\n\r\n");
	assert_int_equal(conn->wait, WAIT_BODY);
	stand_feed("h");
	assert_int_equal(stand_sent().len, 0);
	stand_feed("i");
	assert_text(answer_body(stand_sent()), "hi");
	/* the length says enough */
	check_status("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\nExpect: "
		     "100-continue\r\n\r\n",
		     413);
}

static void test_waits(void **state)
{
	(void)state;
	stand_ask("G");
	assert_int_equal(conn->wait, WAIT_HEADER);
	waits = 0;
	stand_feed("ET / HTTP/1.1\r\n");
	stand_feed("Host: a\r\n");
	assert_int_equal(waits, 0); /* counted from the first byte, not from the last */
	assert_int_equal(conn->wait, WAIT_HEADER);
	http_conn_timeout(conn, WAIT_HEADER);
	stand_flush();
	assert_int_equal(answer_status(stand_sent()), 408);
	assert_int_equal(conn->state, CONN_LINGER);
	stand_ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh");
	assert_int_equal(conn->wait, WAIT_BODY);
	http_conn_timeout(conn, WAIT_BODY);
	stand_flush();
	assert_int_equal(answer_status(stand_sent()), 408);
	assert_int_equal(conn->state, CONN_LINGER);
}

static void test_idle_timeouts_are_silent(void **state)
{
	(void)state;
	stand_reset();
	http_conn_timeout(conn, WAIT_HEADER);
	stand_flush();
	assert_int_equal(stand_sent().len, 0);
	assert_int_equal(conn->state, CONN_LINGER);
	stand_ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	http_conn_timeout(conn, WAIT_KEEPALIVE);
	stand_flush();
	assert_int_equal(stand_sent().len, 0);
	assert_int_equal(conn->state, CONN_LINGER);
	assert_int_equal(conn->end, CONN_END_CLEAN);
}

static void test_backpressure(void **state)
{
	char unsent; /* stands for the queue, which is not looked into */

	(void)state;
	stand_ask("GET /big HTTP/1.1\r\nHost: a\r\n\r\nGET /big HTTP/1.1\r\nHost: a\r\n\r\n"
	    "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(flushes, 1);
	stand_reset();
	conn->out = (struct outq *)(void *)&unsent;
	stand_feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(stand_sent().len, 0);
	assert_true(conn->is_blocked);
	conn->wait = WAIT_NONE;
	http_conn_timeout(conn, WAIT_KEEPALIVE);
	assert_int_equal(conn->state, CONN_HTTP);
	assert_int_equal(conn->wait, WAIT_KEEPALIVE);
	conn->out = NULL;
	http_conn_drained(conn);
	assert_false(conn->is_blocked);
	stand_run();
	assert_int_equal(answer_status(stand_sent()), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAND_TEST(test_pipeline),
		STAND_TEST(test_operations_apart),
		STAND_TEST(test_later),
		STAND_TEST(test_gone_before_answer),
		STAND_TEST(test_closing),
		STAND_TEST(test_drain),
		STAND_TEST(test_refusals),
		STAND_TEST(test_continue),
		STAND_TEST(test_waits),
		STAND_TEST(test_idle_timeouts_are_silent),
		STAND_TEST(test_backpressure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
