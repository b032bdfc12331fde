/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/http.c, http_machine.c, http_target.c, http_request.c and http_out.c: requests
 * whole and in pieces, every refusal with its status, the handshake, heads of answers. Statuses are
 * RFC 9110's.
 */
#include "proto_test.h"

#include "proto/http.h"

static const struct http_limits limits = {
    .header_max = 512, .target_max = 100, .body_max = 50, .fields_max = 10};

/* One line about a request: what a handler would see. */
static void describe(const struct http_request *r, struct buf *ret)
{
	buf_add_str(ret, r->method_name);
	buf_add_char(ret, ' ');
	buf_add_str(ret, r->path);
	buf_add_char(ret, '?');
	buf_add_str(ret, r->query);
	buf_add_cstr(ret, " host=");
	buf_add_str(ret, r->host);
	buf_printf(ret, " 1.%d fields=%zu body=", r->minor, r->nfields);
	buf_add_str(ret, r->body);
	buf_add_cstr(ret, r->keep_alive ? " keep" : " close");
	buf_add_cstr(ret, r->upgrade ? " upgrade" : "");
	buf_add_cstr(ret, r->expect_continue ? " expect" : "");
	buf_add_char(ret, '|');
}

/*
 * Feeds BYTES in pieces; appends a description per request, then the status of a refusal or
 * "rest=N".
 */
static void run(struct str bytes, size_t chunk, struct buf *ret)
{
	struct http_in *in = http_in_new(&limits);
	size_t pos = 0, end = 0, used;
	int r = -ERR_AGAIN;

	while (pos < bytes.len && r != -ERR_PROTO) {
		end = MIN(bytes.len, MAX(end, pos + MIN(chunk, bytes.len)));
		r = http_feed(in, (const uint8_t *)bytes.p + pos, end - pos, &used);
		pos += used;
		if (r == 0) {
			describe(http_request(in), ret);
			if (http_request(in)->upgrade)
				break;
			http_next(in);
		}
	}
	if (r == -ERR_PROTO) {
		assert_null(http_request(in));
		assert_int_equal(http_feed(in, NULL, 0, &used), -ERR_PROTO);
		buf_add_i64(ret, error_info(http_fault(in)->error)->http_status);
	} else {
		buf_printf(ret, "rest=%zu", bytes.len - pos);
	}
	http_in_free(&in);
}

static void check(struct str bytes, const char *want)
{
	static const size_t chunks[] = {SIZE_MAX / 2, 1, 2, 3, 5, 17};
	struct buf got = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
		run(bytes, chunks[i], &got);
		if (!str_eq(buf_str(&got), str_of(want)))
			print_error("in pieces of %zu: %.*s\n", chunks[i], (int)bytes.len, bytes.p);
		assert_buf(&got, want);
	}
	buf_done(&got);
}
#define CHECK(text, want) check(STR(text), want)

#define H "Host: a\r\n"

static void test_simple(void **state)
{
	(void)state;
	CHECK("GET / HTTP/1.1\r\n" H "\r\n", "GET /? host=a 1.1 fields=1 body= keep|rest=0");
	CHECK("HEAD /x?y=1&z HTTP/1.1\r\nhOST: a:80\r\nX:  two words \t\r\n\r\n",
	      "HEAD /x?y=1&z host=a:80 1.1 fields=2 body= keep|rest=0");
	CHECK("\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n",
	      "GET /? host=a 1.1 fields=1 body= keep|rest=0");
	CHECK("GET / HTTP/1.0\r\n\r\n", "GET /? host= 1.0 fields=0 body= close|rest=0");
	CHECK("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
	      "GET /? host= 1.0 fields=1 body= keep|rest=0");
	CHECK("GET / HTTP/1.1\r\n" H "Connection: foo, Close\r\n\r\n",
	      "GET /? host=a 1.1 fields=2 body= close|rest=0");
	CHECK("DELETE /r/1 HTTP/1.1\r\n" H "\r\n",
	      "DELETE /r/1? host=a 1.1 fields=1 body= keep|rest=0");
	CHECK("OPTIONS * HTTP/1.1\r\n" H "\r\n",
	      "OPTIONS *? host=a 1.1 fields=1 body= keep|rest=0");
	CHECK("GET http://b:1/p?q HTTP/1.1\r\n" H "\r\n",
	      "GET /p?q host=b:1 1.1 fields=1 body= keep|rest=0");
	CHECK("GET http://b?q HTTP/1.1\r\n" H "\r\n",
	      "GET /?q host=b 1.1 fields=1 body= keep|rest=0");
	CHECK("GET / HTTP/1.1\r\n" H "Empty:\r\nNext: 1\r\n\r\n",
	      "GET /? host=a 1.1 fields=3 body= keep|rest=0");
}

static void test_bodies(void **state)
{
	(void)state;
	CHECK("POST / HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhello",
	      "POST /? host=a 1.1 fields=2 body=hello keep|rest=0");
	CHECK("POST / HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n",
	      "POST /? host=a 1.1 fields=2 body= keep|rest=0");
	CHECK("PUT / HTTP/1.1\r\n" H
	      "Transfer-Encoding: Chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n",
	      "PUT /? host=a 1.1 fields=2 body=abcde keep|rest=0");
	CHECK("PUT / HTTP/1.1\r\n" H
	      "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nHost: evil\r\nT: 1\r\n\r\n",
	      "PUT /? host=a 1.1 fields=2 body=abc keep|rest=0");
	CHECK("POST / HTTP/1.1\r\n" H "Expect: 100-Continue\r\nContent-Length: 2\r\n\r\nok",
	      "POST /? host=a 1.1 fields=3 body=ok keep expect|rest=0");
	CHECK("GET / HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nok",
	      "GET /? host=a 1.1 fields=2 body=ok keep|rest=0");
}

static void test_pipeline(void **state)
{
	(void)state;
	CHECK("POST /1 HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nokGET /2 HTTP/1.1\r\n" H "\r\n"
	      "PUT /3 HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
	      "GET /4 HTTP/1.1\r\n" H "\r\n",
	      "POST /1? host=a 1.1 fields=2 body=ok keep|GET /2? host=a 1.1 fields=1 body= keep|"
	      "PUT /3? host=a 1.1 fields=2 body=x keep|GET /4? host=a 1.1 fields=1 body= "
	      "keep|rest=0");
	CHECK("GET /ws HTTP/1.1\r\n" H
	      "Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\r\n",
	      "GET /ws? host=a 1.1 fields=3 body= keep upgrade|rest=0");
}

/* Bytes behind an upgrade are the other protocol's. */
static void test_upgrade_leaves_the_rest(void **state)
{
	struct str all = STR("GET /ws HTTP/1.1\r\n" H
			     "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n\x81\x80rest");
	struct http_in *in = http_in_new(&limits);
	size_t used;

	(void)state;
	assert_int_equal(http_feed(in, (const uint8_t *)all.p, all.len, &used), 0);
	assert_int_equal(all.len - used, 6);
	assert_true(http_request(in)->upgrade);
	http_in_free(&in);
}

static void test_paths(void **state)
{
	static const struct {
		const char *target, *want;
	} rows[] = {
	    {"/a%20b", "GET /a b?"},
	    {"/%E2%82%AC", "GET /\xe2\x82\xac?"},
	    {"/a/./b/../c", "GET /a/c?"},
	    {"/a/..", "GET /?"},
	    {"/a/b/.", "GET /a/b/?"},
	    {"/a/b/..", "GET /a/?"},
	    {"/../../etc/passwd", "GET /etc/passwd?"},
	    {"/%2e%2e/%2E%2E/etc", "GET /etc?"},
	    {"/..%2f..%2fetc", "GET /etc?"},
	    {"/...", "GET /...?"},
	    {"/a//b", "GET /a//b?"},
	    {"/%252e", "GET /%2e?"},
	    {"/a+b", "GET /a+b?"},
	    {"/x?%zz", "GET /x?%zz"},
	    {"/a%00b", "400"},
	    {"/a%0ab", "400"},
	    {"/%zz", "400"},
	    {"/%2", "400"},
	    {"/%", "400"},
	    {"/%ff", "400"},
	    {"/%c0%ae%c0%ae", "400"},
	    {"/a#b", "400"},
	    {"a", "400"},
	    {"*", "400"},
	    {"ftp://x/", "400"},
	    {"http:///x", "400"},
	    {"http://u@h/x", "400"},
	};
	struct buf text = BUF_INIT, got = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		buf_clear(&text);
		buf_printf(&text, "GET %s HTTP/1.1\r\n" H "\r\n", rows[i].target);
		run(buf_str(&text), SIZE_MAX / 2, &got);
		got.len = MIN(got.len, strlen(rows[i].want));
		assert_buf(&got, rows[i].want);
	}
	buf_done(&text);
	buf_done(&got);
}

/* RFC 9112 sections 2.2, 3.2, 5.1, 5.2, 6.1, 6.3, 7.1: what two parsers could read differently. */
static void test_smuggling(void **state)
{
	(void)state;
	CHECK("POST / HTTP/1.1\r\n" H
	      "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	      "400");
	CHECK("POST / HTTP/1.1\r\n" H
	      "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
	      "400");
	CHECK("POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 2\r\n\r\nab", "400");
	CHECK("POST / HTTP/1.1\r\n" H "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", "400");
	CHECK("POST / HTTP/1.1\r\n" H "Content-Length: 1, 1\r\n\r\na", "400");
	CHECK("POST / HTTP/1.1\r\n" H "Content-Length: -1\r\n\r\n", "400");
	CHECK("POST / HTTP/1.1\r\n" H "Content-Length: +1\r\n\r\na", "400");
	CHECK("POST / HTTP/1.1\r\n" H "Content-Length: 0x1\r\n\r\na", "400");
	CHECK("POST / HTTP/1.1\r\n" H "Content-Length:\r\n\r\n", "400");
	CHECK("POST / HTTP/1.1\r\n" H "Content-Length: 99999999999999999999\r\n\r\n", "400");
	CHECK("POST / HTTP/1.1\r\n" H "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "501");
	CHECK("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked, gzip\r\n\r\n", "400");
	CHECK("POST / HTTP/1.1\r\n" H
	      "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
	      "400");
	CHECK("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400");
	CHECK("GET / HTTP/1.1\r\n" H "A: b\r\n folded\r\n\r\n", "400");
	CHECK("GET / HTTP/1.1\r\n" H "A: b\r\n\tfolded\r\n\r\n", "400");
	CHECK("GET / HTTP/1.1\r\n A: b\r\n" H "\r\n", "400");
	CHECK("GET / HTTP/1.1\n" H "\r\n", "400");
	CHECK("GET / HTTP/1.1\r\nHost: a\n\r\n", "400");
	CHECK("GET / HTTP/1.1\r\n" H "A: b\rC: d\r\n\r\n", "400");
	CHECK("GET / HTTP/1.1\r\n" H "A : b\r\n\r\n", "400");
	CHECK("GET / HTTP/1.1\r\n" H "A(: b\r\n\r\n", "400");
	CHECK("GET / HTTP/1.1\r\n" H ": b\r\n\r\n", "400");
	CHECK("GET / HTTP/1.1\r\n" H "A: b\0c\r\n\r\n", "400");
	CHECK("GET / HTTP/1.1\r\n" H "no colon\r\n\r\n", "400");
	CHECK("GET / HTTP/1.1\r\n" H "A: b\x01"
	      "c\r\n\r\n",
	      "400");
	CHECK("GET / HTTP/1.1\r\n" H "A: b\x7f\r\n\r\n", "400");
	CHECK("GET / HTTP/1.1\r\n" H "A: b\tc\r\n\r\n",
	      "GET /? host=a 1.1 fields=2 body= keep|rest=0");
	CHECK("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\nx\r\n", "400");
	CHECK("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\nabc\r\n0\r\n\r\n",
	      "400");
	CHECK("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3;a\nabc\r\n0\r\n\r\n",
	      "400");
	CHECK("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd\r\n0\r\n\r\n",
	      "400");
	CHECK("POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n 3\r\nabc\r\n0\r\n\r\n",
	      "400");
	CHECK("POST / HTTP/1.1\r\n" H
	      "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nabc\r\n0\r\n\r\n",
	      "400");
}

/* RFC 9112 section 6.3, item 7: a request that declares no length has no body. */
static void test_no_length(void **state)
{
	(void)state;
	CHECK("POST / HTTP/1.1\r\n" H "\r\n", "POST /? host=a 1.1 fields=1 body= keep|rest=0");
	CHECK("PUT / HTTP/1.1\r\n" H "\r\n", "PUT /? host=a 1.1 fields=1 body= keep|rest=0");
	CHECK("PATCH / HTTP/1.1\r\n" H "\r\n", "PATCH /? host=a 1.1 fields=1 body= keep|rest=0");
	CHECK("POST / HTTP/1.0\r\n\r\n", "POST /? host= 1.0 fields=0 body= close|rest=0");
}

static void test_refusals(void **state)
{
	(void)state;
	CHECK("GET / HTTP/1.1\r\n\r\n", "400"); /* no Host */
	CHECK("GET / HTTP/1.1\r\n" H H "\r\n", "400");
	CHECK("GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400");
	CHECK("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", "400");
	CHECK("GET / HTTP/1.1\r\nHost:\r\n\r\n", "400");
	CHECK("GET / HTTP/1.1\r\nHost: a\"\r\n\r\n", "400");
	CHECK("GET / HTTP/1.1\r\nHost: AZaz09-._~%[:]\r\n\r\n",
	      "GET /? host=AZaz09-._~%[:] 1.1 fields=1 body= keep|rest=0");
	CHECK("FOO / HTTP/1.1\r\n" H "\r\n", "501");
	CHECK("get / HTTP/1.1\r\n" H "\r\n", "501");
	CHECK("CONNECT a:1 HTTP/1.1\r\n" H "\r\n", "501");
	CHECK("\x16\x03\x01\x02", "400"); /* a TLS hello */
	CHECK("GET / HTTP/2.0\r\n" H "\r\n", "505");
	CHECK("GET / HTTP/1.2\r\n" H "\r\n", "505");
	CHECK("GET / HTTP/0.9\r\n\r\n", "505");
	CHECK("GET / HTTP/3.0\r\n" H "\r\n", "505");
	CHECK("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400"); /* HTTP/2 with prior knowledge */
	CHECK("GET / HTTP/x.1\r\n" H "\r\n", "400");
	CHECK("GET / HTTQ/1.1\r\n" H "\r\n", "400");
	CHECK("GET /\r\n\r\n", "505"); /* HTTP/0.9 */
}

static void add_repeated(struct buf *b, char c, size_t n)
{
	for (size_t i = 0; i < n; i++)
		buf_add_char(b, c);
}

static void check_and_clear(struct buf *b, const char *want)
{
	check(buf_str(b), want);
	buf_clear(b);
}

static void test_size_limits(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	buf_add_cstr(&b, "GET /");
	add_repeated(&b, 'x', 100);
	buf_add_cstr(&b, " HTTP/1.1\r\n" H "\r\n");
	check_and_clear(&b, "414");
	buf_add_cstr(&b, "GET / HTTP/1.1\r\n" H "A: ");
	add_repeated(&b, 'x', 600);
	check_and_clear(&b, "431");
	buf_add_cstr(&b, "GET / HTTP/1.1\r\n" H);
	for (int i = 0; i < 10; i++)
		buf_add_cstr(&b, "A: b\r\n");
	buf_add_cstr(&b, "\r\n");
	check_and_clear(&b, "431");
	buf_add_cstr(&b,
		     "POST / HTTP/1.1\r\n" H "Content-Length: 51\r\n\r\n"); /* before the body */
	check_and_clear(&b, "413");
	buf_add_cstr(&b, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n33\r\n");
	add_repeated(&b, 'x', 51);
	check_and_clear(&b, "413");
	/* an endless chunk extension */
	buf_add_cstr(&b, "POST / HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1;");
	add_repeated(&b, 'x', 1000);
	check_and_clear(&b, "413");
	buf_done(&b);
}

/* A head of exactly the limit is taken. */
static void test_head_at_the_limit(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	buf_add_cstr(&b, "GET / HTTP/1.1\r\n" H "A: ");
	add_repeated(&b, 'x', limits.header_max - b.len - 4);
	buf_add_cstr(&b, "\r\n\r\n");
	assert_int_equal(b.len, limits.header_max);
	check_and_clear(&b, "GET /? host=a 1.1 fields=2 body= keep|rest=0");
	buf_done(&b);
}

static void test_phases_and_continue(void **state)
{
	static const char head[] =
	    "POST / HTTP/1.1\r\n" H "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n";
	struct http_in *in = http_in_new(&limits);
	size_t used;

	(void)state;
	assert_int_equal(http_phase(in), HTTP_PHASE_IDLE);
	assert_int_equal(http_feed(in, (const uint8_t *)head, 4, &used), -ERR_AGAIN);
	assert_int_equal(http_phase(in), HTTP_PHASE_HEAD);
	assert_false(http_wants_continue(in));
	assert_int_equal(http_feed(in, (const uint8_t *)head + 4, sizeof(head) - 5, &used),
			 -ERR_AGAIN);
	assert_int_equal(http_phase(in), HTTP_PHASE_BODY);
	assert_null(http_request(in));
	assert_true(http_wants_continue(in));
	assert_false(http_wants_continue(in));
	assert_int_equal(http_feed(in, (const uint8_t *)"ok", 2, &used), 0);
	assert_int_equal(http_phase(in), HTTP_PHASE_DONE);
	assert_str(http_request(in)->body, "ok");
	http_next(in);
	assert_int_equal(http_phase(in), HTTP_PHASE_IDLE);
	http_in_free(&in);
	assert_null(in);
}

static struct http_in *parse(const char *text)
{
	struct http_in *in = http_in_new(&limits);
	size_t used;

	assert_int_equal(http_feed(in, (const uint8_t *)text, strlen(text), &used), 0);
	return in;
}

static void test_fields(void **state)
{
	struct http_in *in =
	    parse("GET /?a=1&b=x+y%21&c&a=2&%64=e&bad=%zz HTTP/1.1\r\n" H
		  "Cookie: a=1 ; session=\"s s\"; ab=2;q=\"\r\nAccept: x\r\naccept: y , z\r\n\r\n");
	const struct http_request *r = http_request(in);
	struct buf b = BUF_INIT;

	(void)state;
	assert_str(http_header(r, "ACCEPT"), "x");
	assert_null(http_header(r, "accep").p);
	assert_int_equal(http_header_count(r, "accept"), 2);
	assert_true(http_header_has(r, "accept", "Z"));
	assert_false(http_header_has(r, "accept", "xy"));
	assert_true(http_header_join(r, "accept", &b));
	assert_buf(&b, "x, y , z");
	assert_false(http_header_join(r, "absent", &b));
	assert_str(http_cookie(r, "a", 0), "1");
	assert_str(http_cookie(r, "session", 0), "s s");
	assert_str(http_cookie(r, "ab", 0), "2");
	assert_null(http_cookie(r, "b", 0).p);
	assert_str(http_cookie(r, "q", 0), "\"");
	assert_int_equal(http_query_get(r, "a", &b), 0);
	assert_buf(&b, "1");
	assert_int_equal(http_query_get(r, "b", &b), 0);
	assert_buf(&b, "x y!");
	assert_int_equal(http_query_get(r, "c", &b), 0);
	assert_buf(&b, "");
	assert_int_equal(http_query_get(r, "d", &b), 0);
	assert_buf(&b, "e");
	assert_int_equal(http_query_get(r, "bad", &b), -ERR_INVAL);
	assert_int_equal(http_query_get(r, "e", &b), -ERR_NOENT);
	buf_done(&b);
	http_in_free(&in);
}

static int handshake(const char *fields, struct str *ret_key)
{
	struct buf b = BUF_INIT;
	struct http_in *in;
	int r;

	/* a body, where one is wanted, comes with FIELDS and its own empty line */
	buf_printf(&b, "GET /ws HTTP/1.1\r\n" H "%s%s", fields,
		   strstr(fields, "\r\n\r\n") ? "" : "\r\n");
	buf_add_char(&b, '\0');
	in = parse((const char *)b.p);
	r = http_websocket(http_request(in), ret_key);
	if (!r)
		assert_str(*ret_key, "k");
	http_in_free(&in);
	buf_done(&b);
	return r;
}

#define UP "Connection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n"

static void test_websocket(void **state)
{
	struct str key;

	(void)state;
	assert_int_equal(
	    handshake(UP "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: k\r\n", &key), 0);
	assert_int_equal(handshake("", &key), -ERR_NOENT);
	assert_int_equal(handshake(UP "Content-Length: 1\r\nSec-WebSocket-Version: 13\r\n"
				      "Sec-WebSocket-Key: k\r\n\r\nx",
				   &key),
			 -ERR_INVAL);
	assert_int_equal(handshake(UP "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 8\r\n"
				      "Sec-WebSocket-Key: k\r\n",
				   &key),
			 -ERR_INVAL);
	assert_int_equal(handshake(UP "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: k\r\n"
				      "Sec-WebSocket-Key: k\r\n",
				   &key),
			 -ERR_INVAL);
	assert_int_equal(handshake("Connection: upgrade\r\nUpgrade: h2c\r\n", &key), -ERR_NOENT);
	assert_int_equal(handshake(UP "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: k\r\n", &key),
			 -ERR_UNSUPPORTED);
	assert_int_equal(handshake(UP "Sec-WebSocket-Version: 13\r\n", &key), -ERR_INVAL);
	assert_int_equal(handshake("Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
				   "Sec-WebSocket-Key: k\r\n",
				   &key),
			 -ERR_INVAL);
}

static void test_answers(void **state)
{
	struct http_head h = {.status = 200,
			      .date = "Sun, 06 Nov 1994 08:49:37 GMT",
			      .type = "text/plain",
			      .length = 5,
			      .keep_alive = true,
			      .minor = 1};
	struct buf b = BUF_INIT, fields = BUF_INIT;

	(void)state;
	http_add_head(&b, &h);
	assert_buf(&b, "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
		       "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\n");
	http_add_field(&fields, "X", STR("a\r\nInjected: b\0"));
	h = (struct http_head){.status = 404, .length = 0, .fields = buf_str(&fields), .minor = 1};
	http_add_head(&b, &h);
	assert_buf(&b, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n"
		       "X: a  Injected: b \r\n\r\n");
	h = (struct http_head){.status = 204, .length = -1, .keep_alive = true};
	http_add_head(&b, &h);
	assert_buf(&b, "HTTP/1.1 204 No Content\r\nConnection: keep-alive\r\n\r\n");
	h = (struct http_head){.status = 200, .length = -1, .keep_alive = true};
	http_add_head(&b, &h);
	assert_buf(&b, "HTTP/1.1 200 OK\r\nConnection: keep-alive\r\n\r\n");
	h = (struct http_head){.status = 101, .length = -1};
	http_add_head(&b, &h);
	assert_buf(&b, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
	buf_done(&b);
	buf_done(&fields);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_simple),
	    cmocka_unit_test(test_bodies),
	    cmocka_unit_test(test_pipeline),
	    cmocka_unit_test(test_upgrade_leaves_the_rest),
	    cmocka_unit_test(test_paths),
	    cmocka_unit_test(test_smuggling),
	    cmocka_unit_test(test_no_length),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_size_limits),
	    cmocka_unit_test(test_head_at_the_limit),
	    cmocka_unit_test(test_phases_and_continue),
	    cmocka_unit_test(test_fields),
	    cmocka_unit_test(test_websocket),
	    cmocka_unit_test(test_answers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
