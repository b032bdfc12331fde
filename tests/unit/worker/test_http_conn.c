/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/http_conn.c, call.c, origin.c and upgrade.c over a connection without a socket: what is
 * answered, when the connection waits, when it closes. Statuses and fields follow RFC 9110, 9112, 9457 and 6455.
 */
#include "worker_test.h"

#include "base/ids.h"
#include "proto/dialect_native.h"
#include "sql/rooms.h"
#include "worker/call.h"
#include "worker/conn.h"
#include "worker/dbio.h"
#include "worker/http_conn.h"
#include "worker/routes.h"
#include "worker/ws_conn.h"

#define DATE "Sun, 06 Nov 1994 08:49:37 GMT"
#define UUID_TEXT "0192f0c1-2345-7abc-8def-0123456789ab"

static struct worker *wk;
static struct conn *conn;
static struct buf out, pending; /* sent; kept until the connection goes on */
static struct call *kept;	/* by the handler that answers later */
static int64_t seen_id[2];
static struct uuid seen_uuid;
static int flushes, waits;

static struct {
	bool started;
	enum dialect dialect;
	int64_t room;
} ws;

static struct {
	room_done_fn *done;
	void *arg;
	struct uuid uid;
} query;

/* ---- In the places of conn.c, ws_conn.c, dbio.c, sql and shm ---- */

struct conn *conn_find(struct worker *w, uint64_t id)
{
	return w == wk && conn->id == id && conn->state != CONN_DEAD ? conn : NULL;
}

struct buf *conn_reply(struct conn *c)
{
	if (!c->reply)
		c->reply = xcalloc(1, sizeof(*c->reply));
	return c->reply;
}

static void take_reply(void)
{
	if (!conn->reply)
		return;
	buf_add(&out, conn->reply->p, conn->reply->len);
	buf_done(conn->reply);
	free(conn->reply);
	conn->reply = NULL;
}

void conn_flush(struct conn *c)
{
	(void)c;
	flushes++;
	take_reply();
}

void conn_finish(struct conn *c, enum conn_end end)
{
	c->state = CONN_LINGER;
	c->end = end;
	c->is_blocked = false;
}

void conn_wait(struct conn *c, enum conn_wait wait)
{
	c->wait = wait;
	waits++;
}

void conn_block(struct conn *c)
{
	c->is_blocked = true;
}

void conn_unblock(struct conn *c)
{
	c->is_blocked = false;
}

void ws_conn_start(struct conn *c, enum dialect dialect, int64_t room_id)
{
	c->state = CONN_WS;
	ws.started = true;
	ws.dialect = dialect;
	ws.room = room_id;
}

int64_t worker_retry_ms(const struct worker *w)
{
	(void)w;
	return 1500;
}

struct db *dbio_reader(struct worker *w)
{
	(void)w;
	return NULL;
}

uint64_t dbio_deadline(const struct worker *w)
{
	(void)w;
	return 1;
}

int room_info(struct db *db, int64_t id, const struct uuid *uid, uint64_t deadline_ms,
	      room_done_fn *done, void *arg, uint64_t *ret_token)
{
	(void)db;
	(void)id;
	(void)deadline_ms;
	(void)ret_token;
	query.done = done;
	query.arg = arg;
	query.uid = *uid;
	return 0;
}

void metric_add(struct shm *shm, unsigned me, enum metric m, int64_t n)
{
	(void)shm;
	(void)me;
	(void)m;
	(void)n;
}

/* ---- A table of its own ---- */

static void on_echo(struct call *call)
{
	call_answer(call, 200, "text/plain", "X-Mine: 1\r\n", call->req->body);
}

static void on_hello(struct call *call)
{
	call_answer(call, 200, "text/html; charset=utf-8", NULL, STR("hello"));
}

static void on_later(struct call *call)
{
	kept = call;
}

static void on_id(struct call *call)
{
	memcpy(seen_id, call->path_id, sizeof(seen_id));
	seen_uuid = call->path_uuid[0];
	call_json(call, 200, STR("{}"));
}

static void on_exists(struct call *call)
{
	call_db_error(call, -ERR_EXISTS);
}

static void on_away(struct call *call)
{
	call_db_error(call, -ERR_UNAVAILABLE);
}

static void on_big(struct call *call)
{
	static const char page[50000];

	call_answer(call, 200, "application/octet-stream", NULL, (struct str){page, sizeof(page)});
}

#define ROW(m, p, h, s, a, b)                                                                      \
	{.method = HTTP_##m, .path = (p), .handler = (h), .shape = CALL_SHAPE_##s,                 \
	 .auth = ROUTE_AUTH_##a, .body = ROUTE_BODY_##b}

static const struct route table[] = {
	ROW(GET, "/", on_hello, PAGE, OPEN, NONE),
	ROW(POST, "/echo", on_echo, PROBLEM, OPEN, NONE),
	ROW(POST, "/json", on_echo, PROBLEM, OPEN, JSON),
	ROW(GET, "/later", on_later, PROBLEM, OPEN, NONE),
	ROW(GET, "/id/{a}/{b}", on_id, PROBLEM, OPEN, NONE),
	ROW(GET, "/guest", on_hello, PROBLEM, GUEST, NONE),
	ROW(GET, "/token", on_hello, PROBLEM, TOKEN, NONE),
	ROW(GET, "/big", on_big, PROBLEM, OPEN, NONE),
	ROW(GET, "/api/chat/exists", on_exists, S1, OPEN, NONE),
	ROW(GET, "/api/chat/away", on_away, S1, OPEN, NONE),
	ROW(GET, "/api/v1/away", on_away, PROBLEM, OPEN, NONE),
	ROW(GET, "/ws", upgrade_native, PROBLEM, OPEN, NONE),
	ROW(GET, "/ws/chat/{id}", upgrade_raw, S1, OPEN, NONE),
};

const struct routes *routes_all(void)
{
	static struct routes *all;

	if (!all)
		assert_int_equal(routes_new(table, ARRAY_LEN(table), &all, NULL), 0);
	return all;
}

/* ---- Driving it ---- */

static void set(const char *assignment)
{
	struct buf faults = BUF_INIT;

	assert_int_equal(settings_assign(wk->settings, str_of(assignment), &faults), 0);
	buf_done(&faults);
}

static int setup(void **state)
{
	(void)state;
	wk = xcalloc(1, sizeof(*wk));
	wk->settings = settings_new();
	wk->slot = 3;
	snprintf(wk->date, sizeof(wk->date), "%s", DATE);
	conn = xcalloc(1, sizeof(*conn));
	conn->io.data = wk;
	conn->id = 7;
	set("http.header_max=1024");
	set("http.target_max=256");
	set("http.body_max=256");
	kept = NULL;
	flushes = 0;
	memset(&ws, 0, sizeof(ws));
	memset(&query, 0, sizeof(query));
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	take_reply();
	buf_done(&out);
	buf_done(&pending);
	http_conn_done(conn);
	free(conn);
	settings_free(&wk->settings);
	free(wk);
	return 0;
}

/* What conn.c does with bytes of a peer. */
static void run(void)
{
	size_t used = 0;

	while (used < pending.len && !conn->is_blocked && conn->state == CONN_HTTP) {
		size_t n = http_conn_input(conn, pending.p + used, pending.len - used);

		if (!n)
			break;
		used += n;
	}
	buf_consume(&pending, used);
	take_reply();
}

static void feed(const char *text)
{
	buf_add_cstr(&pending, text);
	run();
}

/* Everything sent since the last look at it; freed with the next. */
static struct str sent(void)
{
	static struct buf last;

	buf_done(&last);
	last = out;
	out = BUF_INIT;
	return buf_str(&last);
}

static void reset_conn(void)
{
	http_conn_done(conn);
	buf_done(&pending);
	sent();
	conn->state = CONN_HTTP;
	conn->wait = WAIT_NONE;
	conn->is_blocked = false;
	conn->requests = 0;
}

/* One request on a connection of its own. */
static struct str ask(const char *text)
{
	reset_conn();
	feed(text);
	return sent();
}

static int status_of(struct str s)
{
	int status = 0;

	if (s.len > 12 && memcmp(s.p, "HTTP/1.1 ", 9) == 0)
		for (int i = 9; i < 12; i++)
			status = status * 10 + (s.p[i] - '0');
	return status;
}

static void check_status(const char *text, int want)
{
	struct str answer = ask(text);

	if (status_of(answer) != want)
		fail_msg("%s: %.*s", text, (int)answer.len, answer.len ? answer.p : "");
}

static struct str body_of(struct str s)
{
	const char *end = memmem(s.p, s.len, "\r\n\r\n", 4);

	assert_non_null(end);
	return (struct str){end + 4, s.len - (size_t)(end + 4 - s.p)};
}

/* How often TEXT occurs in S. */
static int count(struct str s, const char *text)
{
	int n = 0;

	for (size_t i = 0; i + strlen(text) <= s.len; i++)
		n += memcmp(s.p + i, text, strlen(text)) == 0;
	return n;
}

/* ---- Answers ---- */

static void test_answer(void **state)
{
	struct str s = ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");

	(void)state;
	assert_int_equal(status_of(s), 200);
	assert_text(body_of(s), "hello");
	assert_contains(s, "Content-Length: 5\r\n");
	assert_contains(s, "Content-Type: text/html; charset=utf-8\r\n");
	assert_contains(s, "Date: " DATE "\r\n");
	assert_contains(s, "X-Content-Type-Options: nosniff\r\n");
	assert_contains(s, "Referrer-Policy: no-referrer\r\n");
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
	s = ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
	assert_text(body_of(s), "hi");
	assert_contains(s, "X-Mine: 1\r\n");
	assert_lacks(s, "Content-Security-Policy");
}

static void test_development(void **state)
{
	struct str s;

	(void)state;
	set("server.mode=development");
	s = ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_contains(s, "X-Roomd-Worker: 3\r\n");
	s = ask("GET / HTTP/1.1\r\n\r\n");
	assert_contains(s, "X-Roomd-Worker: 3\r\n");
}

static void test_head(void **state)
{
	struct str s = ask("HEAD / HTTP/1.1\r\nHost: a\r\n\r\n");

	(void)state;
	assert_int_equal(status_of(s), 200);
	assert_contains(s, "Content-Length: 5\r\n");
	assert_contains(s, "Content-Type: text/html");
	assert_text(body_of(s), "");
	s = ask("HEAD /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(status_of(s), 404);
	assert_lacks(s, "Content-Length: 0\r\n");
	assert_text(body_of(s), "");
}

static void test_options(void **state)
{
	struct str s = ask("OPTIONS /echo HTTP/1.1\r\nHost: a\r\n\r\n");

	(void)state;
	assert_int_equal(status_of(s), 204);
	assert_contains(s, "Allow: POST, OPTIONS\r\n");
	assert_lacks(s, "Content-Length");
	assert_text(body_of(s), "");
	s = ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(status_of(s), 204);
	assert_contains(s, "Allow: GET, HEAD, POST, OPTIONS\r\n");
	check_status("OPTIONS /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 404);
}

static void test_shapes(void **state)
{
	struct str s = ask("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");

	(void)state;
	assert_contains(s, "Content-Type: text/html");
	assert_contains(s, "<h1>Not Found</h1>");
	assert_contains(s, "Content-Security-Policy: ");
	s = ask("GET /api/chat/nothing HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(status_of(s), 404);
	assert_contains(s, "Content-Type: application/json\r\n");
	assert_contains(body_of(s), "{\"detail\":\"");
	s = ask("GET /api/v1/nothing HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(status_of(s), 404);
	assert_contains(s, "Content-Type: application/problem+json\r\n");
	assert_contains(body_of(s), "\"code\":\"not_found\"");
	assert_contains(body_of(s), "\"status\":404");
	s = ask("DELETE /echo HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(status_of(s), 405);
	assert_contains(s, "Allow: POST, OPTIONS\r\n");
	check_status("BREW /echo HTTP/1.1\r\nHost: a\r\n\r\n", 501);
	check_status("PURGE /echo HTTP/1.1\r\nHost: a\r\n\r\n", 405);
	check_status("PURGE /nothing HTTP/1.1\r\nHost: a\r\n\r\n", 501);
}

static void test_db_errors(void **state)
{
	struct str s = ask("GET /api/chat/exists HTTP/1.1\r\nHost: a\r\n\r\n");

	(void)state;
	assert_int_equal(status_of(s), 400);
	assert_text(body_of(s), "{\"detail\":\"Room with this name already exists\"}");
	s = ask("GET /api/chat/away HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(status_of(s), 503);
	assert_contains(s, "Retry-After: 2\r\n");
	assert_contains(body_of(s), "{\"detail\":\"");
	s = ask("GET /api/v1/away HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(status_of(s), 503);
	assert_contains(s, "Retry-After: 2\r\n");
	assert_contains(body_of(s), "\"retry_after\":1.5");
	assert_contains(body_of(s), "\"code\":\"unavailable\"");
}

static void test_ids(void **state)
{
	struct uuid want;

	(void)state;
	assert_int_equal(uuid_parse(STR(UUID_TEXT), &want), 0);
	ask("GET /id/12/9223372036854775807 HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(seen_id[0], 12);
	assert_int_equal(seen_id[1], INT64_MAX);
	assert_true(uuid_is_zero(&seen_uuid));
	ask("GET /id/" UUID_TEXT "/-5 HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(seen_id[0], 0);
	assert_int_equal(seen_id[1], 0);
	assert_memory_equal(&seen_uuid, &want, sizeof(want));
	ask("GET /id/9223372036854775808/x HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(seen_id[0], 0);
	assert_true(uuid_is_zero(&seen_uuid));
}

/* ---- The connection ---- */

static void test_pipeline(void **state)
{
	struct str s;

	(void)state;
	s = ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n"
		"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
		"GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(count(s, "HTTP/1.1 200 OK\r\n"), 2);
	assert_int_equal(count(s, "HTTP/1.1 404 "), 1);
	assert_int_equal(conn->requests, 3);
	assert_int_equal(conn->state, CONN_HTTP);
}

static void test_later(void **state)
{
	struct str s;

	(void)state;
	s = ask("GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
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
	run();
	s = sent();
	assert_int_equal(count(s, "HTTP/1.1 200 OK\r\n"), 2);
	assert_contains(s, "\r\n\r\n[]HTTP/1.1 200 OK\r\n");
	assert_contains(s, "Cache-Control: no-store\r\n");
}

static void test_gone_before_answer(void **state)
{
	(void)state;
	ask("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	conn->state = CONN_DEAD;
	call_json(kept, 200, STR("[]"));
	assert_int_equal(sent().len, 0);
	ask("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	conn->state = CONN_LINGER;
	call_error(kept, E_INTERNAL, NULL);
	take_reply();
	assert_int_equal(sent().len, 0);
}

static void test_closing(void **state)
{
	struct str s;

	(void)state;
	s = ask("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_contains(s, "Connection: close\r\n");
	assert_int_equal(count(s, "HTTP/1.1 "), 1);
	assert_int_equal(conn->state, CONN_LINGER);
	assert_int_equal(conn->end, CONN_END_CLEAN);
	s = ask("GET / HTTP/1.0\r\n\r\n");
	assert_contains(s, "Connection: close\r\n");
	assert_int_equal(conn->state, CONN_LINGER);
	s = ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
	assert_contains(s, "Connection: keep-alive\r\n");
	assert_int_equal(conn->state, CONN_HTTP);
	set("http.keepalive_requests=2");
	s = ask("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"
		"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(count(s, "HTTP/1.1 200"), 2);
	assert_int_equal(count(s, "Connection: close\r\n"), 1);
	assert_int_equal(conn->state, CONN_LINGER);
}

static void test_drain(void **state)
{
	struct str s;

	(void)state;
	reset_conn();
	wk->draining = true;
	http_conn_drain(conn);
	assert_int_equal(conn->state, CONN_LINGER);
	reset_conn();
	feed("GET / HTTP/1.1\r\n");
	http_conn_drain(conn);
	assert_int_equal(conn->state, CONN_HTTP);
	feed("Host: a\r\n\r\n");
	s = sent();
	assert_int_equal(status_of(s), 200);
	assert_contains(s, "Connection: close\r\n");
	assert_int_equal(conn->state, CONN_LINGER);
	ask("GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
	http_conn_drain(conn);
	assert_int_equal(conn->state, CONN_HTTP);
	call_json(kept, 200, STR("[]"));
	take_reply();
	assert_contains(sent(), "Connection: close\r\n");
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
	check_status("POST /echo HTTP/1.1\r\nHost: a\r\n\r\n", 411);
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
	assert_contains(ask("GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"),
			"\"code\":\"bad_request\"");
}

static void test_continue(void **state)
{
	struct str s;

	(void)state;
	s = ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: "
		"100-continue\r\n\r\n");
	assert_text(s, "HTTP/1.1 100 Continue\r\n\r\n");
	assert_int_equal(conn->wait, WAIT_BODY);
	feed("h");
	assert_int_equal(sent().len, 0);
	feed("i");
	assert_text(body_of(sent()), "hi");
	/* the length says enough */
	check_status("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 9999\r\nExpect: "
		     "100-continue\r\n\r\n",
		     413);
}

static void test_waits(void **state)
{
	(void)state;
	ask("G");
	assert_int_equal(conn->wait, WAIT_HEADER);
	waits = 0;
	feed("ET / HTTP/1.1\r\n");
	feed("Host: a\r\n");
	assert_int_equal(waits, 0); /* counted from the first byte, not from the last */
	assert_int_equal(conn->wait, WAIT_HEADER);
	http_conn_timeout(conn, WAIT_HEADER);
	take_reply();
	assert_int_equal(status_of(sent()), 408);
	assert_int_equal(conn->state, CONN_LINGER);
	ask("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nh");
	assert_int_equal(conn->wait, WAIT_BODY);
	http_conn_timeout(conn, WAIT_BODY);
	take_reply();
	assert_int_equal(status_of(sent()), 408);
	assert_int_equal(conn->state, CONN_LINGER);
}

static void test_idle_timeouts_are_silent(void **state)
{
	(void)state;
	reset_conn();
	http_conn_timeout(conn, WAIT_HEADER);
	take_reply();
	assert_int_equal(sent().len, 0);
	assert_int_equal(conn->state, CONN_LINGER);
	ask("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	http_conn_timeout(conn, WAIT_KEEPALIVE);
	take_reply();
	assert_int_equal(sent().len, 0);
	assert_int_equal(conn->state, CONN_LINGER);
	assert_int_equal(conn->end, CONN_END_CLEAN);
}

static void test_backpressure(void **state)
{
	char unsent; /* stands for the queue, which is not looked into */

	(void)state;
	ask("GET /big HTTP/1.1\r\nHost: a\r\n\r\nGET /big HTTP/1.1\r\nHost: a\r\n\r\n"
	    "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(flushes, 1);
	reset_conn();
	conn->out = (struct outq *)(void *)&unsent;
	feed("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(sent().len, 0);
	assert_true(conn->is_blocked);
	conn->out = NULL;
	http_conn_drained(conn);
	assert_false(conn->is_blocked);
	run();
	assert_int_equal(status_of(sent()), 200);
}

/* ---- Gates ---- */

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

static void test_credentials(void **state)
{
	struct str s;

	(void)state;
	check_status("GET /guest HTTP/1.1\r\nHost: a\r\n\r\n", 200);
	check_status("GET /token HTTP/1.1\r\nHost: a\r\n\r\n", 401);
	set("chat.guests=off");
	s = ask("GET /guest HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(status_of(s), 401);
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
	s = ask("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://good\r\n\r\n");
	assert_lacks(s, "Access-Control");
	assert_lacks(s, "Vary: Origin");
	set("http.origins=https://good, https://fine:444");
	s = ask("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://good\r\n\r\n");
	assert_contains(s, "Access-Control-Allow-Origin: https://good\r\n");
	assert_contains(s, "Vary: Origin\r\n");
	s = ask("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://fine\r\n\r\n");
	assert_lacks(s, "Access-Control");
	assert_contains(s, "Vary: Origin\r\n");
	check_status(POST_JSON "Origin: https://fine:444\r\n\r\n{}", 200);
	check_status(POST_JSON "Origin: https://other\r\n\r\n{}", 403);
	s = ask("OPTIONS /json HTTP/1.1\r\nHost: a\r\nOrigin: https://good\r\n"
		"Access-Control-Request-Method: POST\r\n\r\n");
	assert_int_equal(status_of(s), 204);
	assert_contains(s, "Access-Control-Allow-Origin: https://good\r\n");
	assert_contains(s, "Access-Control-Allow-Methods: POST, OPTIONS\r\n");
	assert_contains(s, "Access-Control-Allow-Headers: ");
	s = ask("OPTIONS /json HTTP/1.1\r\nHost: a\r\nOrigin: https://evil\r\n"
		"Access-Control-Request-Method: POST\r\n\r\n");
	assert_lacks(s, "Access-Control");
	set("http.origins=*");
	s = ask("GET / HTTP/1.1\r\nHost: a\r\nOrigin: https://any\r\n\r\n");
	assert_contains(s, "Access-Control-Allow-Origin: https://any\r\n");
}

/* ---- Upgrades (key and accept value are RFC 6455 section 1.3's) ---- */

#define SHAKE(path)                                                                                \
	"GET " path " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"        \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static void test_upgrade_native(void **state)
{
	struct str s;

	(void)state;
	set("server.mode=development");
	s = ask(SHAKE("/ws") "\r\n");
	assert_int_equal(status_of(s), 101);
	assert_contains(s, ACCEPT);
	assert_contains(s, "Upgrade: websocket\r\n");
	assert_int_equal(count(s, "Connection: "), 1);
	assert_contains(s, "X-Roomd-Worker: 3\r\n");
	assert_lacks(s, "Sec-WebSocket-Protocol");
	assert_lacks(s, "Content-Length");
	assert_text(body_of(s), "");
	assert_true(ws.started);
	assert_int_equal(ws.dialect, DIALECT_NATIVE);
	assert_null(conn->http);
	s = ask(SHAKE("/ws") "Sec-WebSocket-Protocol: x, roomd.v1\r\n\r\n\x81");
	assert_contains(s, "Sec-WebSocket-Protocol: roomd.v1\r\n");
	assert_int_equal(pending.len, 1); /* the first frame is not HTTP's */
	check_status(SHAKE("/ws") "Sec-WebSocket-Protocol: roomd.v9\r\n\r\n", 400);
}

static void test_upgrade_refused(void **state)
{
	struct str s;

	(void)state;
	s = ask("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(status_of(s), 426);
	assert_contains(s, "Upgrade: websocket\r\n");
	assert_contains(s, "Sec-WebSocket-Version: 13\r\n");
	assert_int_equal(conn->state, CONN_HTTP);
	check_status("GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		     "Sec-WebSocket-Version: 8\r\nSec-WebSocket-Key: "
		     "dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
		     426);
	/* what follows an upgrade that was refused is not read as a request */
	assert_int_equal(conn->state, CONN_LINGER);
	check_status("GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		     "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: short\r\n\r\n",
		     400);
	check_status("GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
		     "Sec-WebSocket-Version: 13\r\n\r\n",
		     400);
	check_status(SHAKE("/ws") "Origin: http://evil\r\n\r\n", 403);
	check_status(SHAKE("/ws") "Origin: http://a\r\n\r\n", 101);
	set("http.origins=http://evil");
	check_status(SHAKE("/ws") "Origin: http://evil\r\n\r\n", 101);
	wk->draining = true;
	check_status(SHAKE("/ws") "\r\n", 503);
}

static void test_upgrade_raw(void **state)
{
	(void)state;
	check_status(SHAKE("/ws/chat/42") "\r\n", 101);
	assert_int_equal(ws.dialect, DIALECT_RAW);
	assert_int_equal(ws.room, 42);
	check_status(SHAKE("/ws/chat/general") "\r\n", 101);
	assert_int_equal(ws.room, 0);
	check_status("GET /ws/chat/42 HTTP/1.1\r\nHost: a\r\n\r\n", 426);
}

static void test_upgrade_by_uuid(void **state)
{
	const struct room room = {.id = 42};
	struct str s;

	(void)state;
	s = ask(SHAKE("/ws/chat/" UUID_TEXT) "\r\n\x81");
	assert_int_equal(s.len, 0);
	assert_true(conn->is_blocked);
	assert_false(uuid_is_zero(&query.uid));
	query.done(query.arg, 0, &room);
	take_reply();
	s = sent();
	assert_int_equal(status_of(s), 101);
	assert_contains(s, ACCEPT);
	assert_int_equal(ws.room, 42);
	assert_false(conn->is_blocked);
	assert_int_equal(pending.len, 1);

	ask(SHAKE("/ws/chat/" UUID_TEXT) "\r\n");
	query.done(query.arg, -ERR_NOENT, NULL);
	take_reply();
	assert_int_equal(status_of(sent()), 101);
	assert_int_equal(ws.room, 0);

	ask(SHAKE("/ws/chat/" UUID_TEXT) "\r\n");
	query.done(query.arg, -ERR_UNAVAILABLE, NULL);
	take_reply();
	assert_int_equal(status_of(sent()), 503);

	ws.started = false;
	ask(SHAKE("/ws/chat/" UUID_TEXT) "\r\n");
	conn->state = CONN_DEAD;
	query.done(query.arg, 0, &room);
	assert_false(ws.started);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_answer),
		TEST(test_development),
		TEST(test_head),
		TEST(test_options),
		TEST(test_shapes),
		TEST(test_db_errors),
		TEST(test_ids),
		TEST(test_pipeline),
		TEST(test_later),
		TEST(test_gone_before_answer),
		TEST(test_closing),
		TEST(test_drain),
		TEST(test_refusals),
		TEST(test_continue),
		TEST(test_waits),
		TEST(test_idle_timeouts_are_silent),
		TEST(test_backpressure),
		TEST(test_media_type),
		TEST(test_credentials),
		TEST(test_origins),
		TEST(test_cors),
		TEST(test_upgrade_native),
		TEST(test_upgrade_refused),
		TEST(test_upgrade_raw),
		TEST(test_upgrade_by_uuid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
