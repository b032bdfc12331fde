/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/conn.c: reading in pieces, backpressure, replies in order, ends, and the limit.
 */
#include "worker_fixture.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "worker/ws_conn.h"

#define PING "{\"op\":\"ping\",\"id\":%d}"

static struct client cl;

static int setup(void **state)
{
	stand_setup(state);
	client_open(&cl, DIALECT_NATIVE, 0);
	return 0;
}

static int teardown(void **state)
{
	client_close(&cl);
	assert_int_equal(wk->n_conns, 0);
	return stand_teardown(state);
}

static void hello(void)
{
	say(&cl, "{\"op\":\"hello\",\"id\":1,\"name\":\"Nina\"}");
	db_guest(8, "Nina");
	turn();
	told_until(&cl, "welcome");
}

/*
 * A frame that comes byte by byte is one frame (RFC 6455 section 5.4: nothing is said of
 * segments).
 */
static void test_byte_by_byte(void **state)
{
	static const uint8_t frame[] = {0x89, 0x83, 1, 2, 3, 4, 'a' ^ 1, 'b' ^ 2, 'c' ^ 3};

	(void)state;
	for (size_t i = 0; i < sizeof(frame); i++) {
		assert_string_equal(told(&cl), "");
		assert_int_equal(write(cl.fd, frame + i, 1), 1);
		turn();
	}
	turn();
	assert_string_equal(told(&cl), "pong abc");
}

static void test_several_frames_in_one_read(void **state)
{
	static const uint8_t frames[] = {0x89, 0x81, 0, 0, 0, 0, 'a', 0x89, 0x81, 0, 0, 0, 0, 'b',
					 0x89, 0x81, 0};
	static const uint8_t rest[] = {0, 0, 0, 'c'};

	(void)state;
	assert_int_equal(write(cl.fd, frames, sizeof(frames)), sizeof(frames));
	turns(2);
	assert_string_equal(told(&cl), "pong a");
	assert_string_equal(told(&cl), "pong b");
	assert_string_equal(told(&cl), "");
	assert_int_equal(write(cl.fd, rest, sizeof(rest)), sizeof(rest));
	turns(2);
	assert_string_equal(told(&cl), "pong c");
}

/*
 * While the database looks up who it is, nothing more is read; it is understood afterwards, in
 * order.
 */
static void test_blocked_until_the_answer(void **state)
{
	const char *hello_text = "{\"op\":\"hello\",\"id\":1,\"name\":\"Nina\"}";
	char text[64];

	(void)state;
	client_write(&cl, 1, hello_text, strlen(hello_text));
	for (int i = 2; i < 4; i++) { /* these come with the same read */
		snprintf(text, sizeof(text), PING, i);
		client_write(&cl, 1, text, strlen(text));
	}
	turns(2);
	assert_true(client_conn(&cl)->is_blocked);
	assert_string_equal(told(&cl), "");
	db_guest(8, "Nina");
	turns(3);
	assert_contains(str_of(told(&cl)), "\"op\":\"welcome\"");
	for (int i = 2; i < 4; i++) {
		snprintf(text, sizeof(text), "{\"op\":\"pong\",\"re\":%d,", i);
		told_until(&cl, text);
	}
}

static void test_what_comes_while_blocked(void **state)
{
	(void)state;
	say(&cl, "{\"op\":\"hello\",\"id\":1,\"name\":\"Nina\"}");
	say(&cl, "{\"op\":\"ping\",\"id\":2}");
	assert_string_equal(told(&cl), "");
	db_guest(8, "Nina");
	turns(3);
	assert_contains(str_of(told(&cl)), "\"op\":\"welcome\"");
	told_until(&cl, "{\"op\":\"pong\",\"re\":2,");
}

static void test_peer_goes_while_blocked(void **state)
{
	(void)state;
	say(&cl, "{\"op\":\"hello\",\"id\":1,\"name\":\"Nina\"}");
	close(cl.fd);
	cl.fd = -1;
	turns(3);
	db_guest(8, "Nina"); /* comes for a connection that is on its way out */
	turns(3);
	assert_null(client_conn(&cl));
}

static void test_found_by_id_until_the_end(void **state)
{
	uint64_t id = cl.id;

	(void)state;
	assert_non_null(conn_find(wk, id));
	assert_null(conn_find(wk, id + 1));
	conn_kill(client_conn(&cl), CONN_END_LOST);
	assert_null(conn_find(wk, id)); /* dead at once, freed by the sweep */
	assert_int_equal(wk->n_conns, 1);
	turn();
	assert_int_equal(wk->n_conns, 0);
	assert_string_equal(told(&cl), "(end)");
}

static void test_finish_says_everything_first(void **state)
{
	struct conn *c = client_conn(&cl);
	static char big[200000];
	size_t got = 0;

	(void)state;
	memset(big, 'x', sizeof(big));
	ws_add_frame(conn_reply(c), WS_OP_TEXT, (struct str){big, sizeof(big)});
	ws_conn_close_frame(conn_reply(c), E_OVERLOADED);
	conn_finish(c, CONN_END_CLEAN);
	for (int i = 0; i < 1000 && !got; i++) {
		const char *text = told(&cl);

		turn();
		if (text[0] == 'x')
			got = strlen(text);
	}
	assert_int_equal(got, sizeof(big));
	turns(3);
	assert_contains(str_of(told(&cl)), "close 1013 ");
	assert_string_equal(told(&cl), "(end)");
}

static void test_finished_reads_no_more(void **state)
{
	(void)state;
	conn_finish(client_conn(&cl), CONN_END_CLEAN);
	client_frame(&cl, 9, "x", 1);
	assert_string_equal(told(&cl), "(end)");
	close(cl.fd); /* the peer's end is the end */
	cl.fd = -1;
	turns(2);
	assert_null(client_conn(&cl));
}

static void test_limit(void **state)
{
	int pair[2];

	(void)state;
	wk->settings->server_max_connections = 1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	assert_null(conn_open(wk, pair[1]));
	assert_int_equal(fcntl(pair[1], F_GETFD), 0); /* untouched */
	close(pair[0]);
	close(pair[1]);
}

static void count(struct conn *c, void *arg)
{
	(void)c;
	++*(int *)arg;
}

static void test_each_living_one(void **state)
{
	struct client second;
	int n = 0;

	(void)state;
	client_open(&second, DIALECT_NATIVE, 0);
	conn_each(wk, count, &n);
	assert_int_equal(n, 2);
	conn_kill(client_conn(&second), CONN_END_LOST);
	conn_each(wk, count, &n);
	assert_int_equal(n, 3);
	client_close(&second);
}

/* A peer that does not read its replies: they wait, then come complete and in order. */
static void test_replies_wait_for_a_slow_reader(void **state)
{
	int small = 4096, n = 0;
	char text[64];

	(void)state;
	hello();
	setsockopt(client_conn(&cl)->io.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (!client_conn(&cl)->out) {
		snprintf(text, sizeof(text), PING, ++n);
		say(&cl, text);
		assert_true(n < 100000);
	}
	for (int i = 1; i <= n; i++) {
		const char *got;

		snprintf(text, sizeof(text), "{\"op\":\"pong\",\"re\":%d,", i);
		while (!strstr(got = told(&cl), "\"op\":\"pong\""))
			turn();
		assert_contains(str_of(got), text);
	}
	turns(2);
	assert_null(client_conn(&cl)->out);
}

/* ---- A client that asks and does not read ---- */

#define MAX_BYTES (64 * 1024)

static size_t held(void)
{
	const struct conn *c = client_conn(&cl);

	assert_non_null(c);
	return conn_queued(c) + (c->reply ? c->reply->len : 0);
}

static void small_socket(void)
{
	int small = 4096;

	stand_set("deliver.queue_max=65536");
	stand_set("limits.operations=off");
	setsockopt(client_conn(&cl)->io.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
}

/* Pings FIRST to LAST in one frame, an array. */
static void ping_many(int first, int last)
{
	struct buf text = BUF_INIT;

	for (int i = first; i <= last; i++)
		buf_printf(&text, "%c" PING, i == first ? '[' : ',', i);
	buf_add_char(&text, ']');
	client_write(&cl, 1, (char *)text.p, text.len);
	buf_done(&text);
}

static void expect_pongs(int first, int last)
{
	char text[64];

	for (int i = first; i <= last; i++) {
		const char *got;

		snprintf(text, sizeof(text), "{\"op\":\"pong\",\"re\":%d,", i);
		while (!strstr(got = told(&cl), "\"op\":\"pong\"")) {
			assert_null(strstr(got, "\"op\":\"err\""));
			assert_true(held() <= MAX_BYTES);
			turn();
		}
		assert_contains(str_of(got), text);
	}
}

/*
 * 20,000 answers are 2 MB. The queue was empty when the requests came, and its limit holds all the
 * same: the others wait in the client's socket. Afterwards all are answered, in order.
 */
static void test_many_requests_and_no_reader(void **state)
{
	int n = 0;

	(void)state;
	hello();
	small_socket();
	while (n < 20000) {
		int sent = n;

		while (n < sent + 500) { /* several frames in one read */
			ping_many(n + 1, n + 50);
			n += 50;
		}
		turn();
		assert_true(held() <= MAX_BYTES);
		if (client_conn(&cl)->is_full)
			break;
	}
	assert_true(client_conn(&cl)->is_full);
	for (int i = 0; i < 10; i++) {
		turn();
		assert_true(held() <= MAX_BYTES);
	}
	expect_pongs(1, n);
	turns(2);
	assert_false(client_conn(&cl)->is_full);
	assert_int_equal(counted(M_CLOSED_SLOW), 0);
	ping_many(n + 1, n + 1);
	expect_pongs(n + 1, n + 1);
}

/*
 * Who is cut off gets the rest of the frame of which it has a part, and then the close frame. Red
 * where the rest is queued by itself: the last pong is cut short.
 */
static void test_a_begun_frame_is_finished_before_the_close(void **state)
{
	char text[64] = "";
	int n = 0, got = 0;

	(void)state;
	hello();
	small_socket();
	while (n < 300) { /* answered with one send, of which the socket takes a part */
		ping_many(n + 1, n + 50);
		n += 50;
	}
	turn();
	assert_non_null(client_conn(&cl)->out);
	ping_many(n + 1, n + 50);
	turn();
	now_ms += 60001; /* deliver.behind_timeout, 30s */
	conn_check_slow(wk);
	for (;;) {
		const char *frame = told(&cl);

		if (!*frame || !strcmp(frame, "(part)")) {
			turn();
			continue;
		}
		if (!strncmp(frame, "close ", 6)) {
			assert_contains(str_of(frame), "close 4480");
			break;
		}
		assert_int_equal(frame[strlen(frame) - 1], '}');
		if (!strstr(frame, "\"op\":\"pong\""))
			continue;
		snprintf(text, sizeof(text), "{\"op\":\"pong\",\"re\":%d,", ++got);
		assert_contains(str_of(frame), text);
	}
	assert_true(got > 0 && got < n); /* what was behind it is not sent any more */
}

/* It is not heard, so it is not taken for lost; it is cut off when it has read nothing for long. */
static void test_silence_of_a_stopped_connection(void **state)
{
	int n = 0;

	(void)state;
	hello();
	stand_set("deliver.behind_timeout=60s");
	small_socket();
	while (!client_conn(&cl)->is_full) {
		ping_many(n + 1, n + 50);
		n += 50;
		turn();
	}
	for (int i = 0; i < 2; i++) {
		now_ms += 25001; /* websocket.ping_interval, websocket.ping_timeout */
		conn_check_waits(wk);
		turns(2);
	}
	assert_non_null(client_conn(&cl));
	expect_pongs(1, n);
}

/*
 * Pages are read one by one, and only with half a queue free: three of them together are more
 * than a queue, and nobody is cut off for asking.
 */
static void test_pages_one_by_one(void **state)
{
	char *page = xmalloc(40001);
	const char *got;

	(void)state;
	hello();
	small_socket();
	memset(page, ' ', 40000);
	memcpy(page, "{\"messages\":[]", 14);
	page[39999] = '}';
	page[40000] = 0;
	say(&cl, "[{\"op\":\"history\",\"id\":1,\"c\":42},{\"op\":\"history\",\"id\":2,\"c\":42},"
		 "{\"op\":\"history\",\"id\":3,\"c\":42},{\"op\":\"ping\",\"id\":4}]");
	for (int i = 0; i < 3; i++) {
		while (!asked_count(ASK_PAGE)) { /* the client reads what it has asked for */
			told(&cl);
			turn();
		}
		assert_int_equal(asked_count(ASK_PAGE), 1);
		assert_true(held() <= MAX_BYTES / 2);
		db_page(0, page);
		turn();
		assert_true(held() <= MAX_BYTES / 2 + 41000);
	}
	while (!strstr(got = told(&cl), "\"op\":\"pong\",\"re\":4"))
		turn();
	assert_int_equal(counted(M_CLOSED_SLOW), 0);
	free(page);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_byte_by_byte),
		T(test_several_frames_in_one_read),
		T(test_blocked_until_the_answer),
		T(test_what_comes_while_blocked),
		T(test_peer_goes_while_blocked),
		T(test_found_by_id_until_the_end),
		T(test_finish_says_everything_first),
		T(test_finished_reads_no_more),
		T(test_limit),
		T(test_each_living_one),
		T(test_replies_wait_for_a_slow_reader),
		T(test_many_requests_and_no_reader),
		T(test_a_begun_frame_is_finished_before_the_close),
		T(test_silence_of_a_stopped_connection),
		T(test_pages_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
