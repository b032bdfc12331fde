/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/sse_conn.c and worker/rest_events.c: what stands in a stream, byte by byte.
 */
#include "worker_fixture.h"

#include <sys/socket.h>
#include <unistd.h>

#include "proto/cursor.h"
#include "shm/rooms.h"
#include "worker/sse_conn.h"
#include "worker/ws_conn.h"

static int fd;
static struct buf got;

static int setup(void **state)
{
	int pair[2];

	stand_setup(state);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
	fd = pair[0];
	assert_non_null(conn_open(wk, pair[1]));
	return 0;
}

static int teardown(void **state)
{
	close(fd);
	buf_done(&got);
	return stand_teardown(state);
}

/* Everything that came since the last call. */
static struct str come(void)
{
	ssize_t n;

	turns(3);
	buf_clear(&got);
	while ((n = read(fd, buf_reserve(&got, 65536), 65536)) > 0)
		buf_commit(&got, (size_t)n);
	return buf_str(&got);
}

static struct str ask(const char *target, const char *fields)
{
	struct buf b = BUF_INIT;

	buf_printf(&b, "GET %s HTTP/1.1\r\nHost: a\r\n%s\r\n", target, fields);
	assert_int_equal(write(fd, b.p, b.len), b.len);
	buf_done(&b);
	return come();
}

/* The stream's id when everything up to REV of ROOM has been read; static. */
static const char *id_of(int64_t rev)
{
	static struct buf b;
	const struct cursor cursor = {.pos = &(struct cursor_pos){ROOM, rev}, .n = 1};

	buf_clear(&b);
	cursor_encode(&b, &cursor);
	buf_add_char(&b, '\0');
	return (char *)b.p;
}

static const char *id_line(int64_t rev)
{
	static char line[256];

	snprintf(line, sizeof(line), "id: %s\n", id_of(rev));
	return line;
}

/* A stream of ROOM, whose log ends at HEAD, that is live; what came is in GOT. */
static void open_stream(const char *fields, int64_t head)
{
	struct str s = ask("/api/v1/events?c=42", fields);

	assert_int_equal(s.len, 0);
	db_room(head, head); /* may it be read, and where does it end */
	turns(2);
	if (asked_count(ASK_ROOM)) /* the channel's own look */
		db_room(head, head);
}

static void test_from_now(void **state)
{
	struct str s;

	(void)state;
	open_stream("", 5);
	s = come();
	assert_contains(s, "HTTP/1.1 200 OK\r\n");
	assert_contains(s, "Content-Type: text/event-stream\r\n");
	assert_contains(s, "Cache-Control: no-store\r\n");
	assert_contains(s, "X-Accel-Buffering: no\r\n");
	assert_contains(s, "Connection: close\r\n");
	assert_contains(s, "retry: ");
	assert_contains(s, id_line(5));
	assert_contains(s, "event: live\n");
	assert_lacks(s, "message.new");
	assert_int_equal(counted(M_CONNECTIONS_SSE), 1);
	assert_int_equal(counted(M_CONNECTIONS_HTTP), 0);
	publish(6);
	s = come();
	assert_contains(s, "event: message.new\n");
	assert_contains(s, id_line(6));
	assert_contains(s, "\"content\":\"m6\"");
	close(fd);
	fd = -1;
	turns(3);
	assert_int_equal(counted(M_CONNECTIONS_SSE), 0);
}

/* More than the log has: it is a shorter one now. */
static void test_ahead_of_the_log(void **state)
{
	char fields[300];
	struct str s;

	(void)state;
	snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", id_of(9));
	open_stream(fields, 5);
	s = come();
	assert_contains(s, "event: gap\n");
	assert_contains(s, "\"first\":6");
	assert_contains(s, id_line(5));
	assert_contains(s, "event: live\n");
}

static bool has(struct str s, const char *what)
{
	return memmem(s.p, s.len, what, strlen(what)) != NULL;
}

/* C14: also what comes in one turn is bounded, and what did not fit comes later, each once. */
static void test_much_in_one_turn(void **state)
{
	struct conn *c = conn_find(wk, wk->next_conn_id);
	struct buf all = BUF_INIT;
	int small = 4096;

	(void)state;
	open_stream("", 5);
	come();
	stand_set("deliver.queue_max=65536");
	setsockopt(c->io.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	publish(506);
	pass_ms(50); /* deliver.holdback */
	db_events(6, 505);
	assert_in_range(conn_queued(c), 1, 65536);
	for (int i = 0; i < 1000 && !has(buf_str(&got), id_line(506)); i++) {
		buf_add_str(&all, come());
		if (asked_count(ASK_EVENTS)) {
			int64_t first = asked(ASK_EVENTS)->after + 1;

			db_events(first, MIN(first + 199, 506));
		}
	}
	buf_add_str(&all, come());
	for (int64_t rev = 6; rev <= 506; rev++) {
		const char *line = id_line(rev), *at;

		at = memmem(all.p, all.len, line, strlen(line));
		assert_non_null(at);
		at++;
		assert_null(memmem(at, all.len - (size_t)(at - (char *)all.p), line, strlen(line)));
	}
	buf_done(&all);
}

#define MANY 50

/* The id of a stream of many conversations is longer than its events: it is in the bound, too. */
static void test_long_ids_are_bounded(void **state)
{
	const int64_t apart = 20000000;
	struct conn *c = conn_find(wk, wk->next_conn_id);
	struct buf target = BUF_INIT;
	int small = 4096;

	(void)state;
	buf_add_cstr(&target, "/api/v1/events?c=1");
	for (int i = 1; i < MANY; i++)
		buf_printf(&target, "&c=%" PRId64, 1 + i * apart);
	buf_add_char(&target, '\0');
	stand_set("deliver.queue_max=16000");
	ask((char *)target.p, "");
	for (int i = 0; i < 2 * MANY; i++) { /* each is looked at, then loaded */
		int64_t head = 2000000000 - asked(ASK_ROOM)->conv; /* numbers of many digits */

		db_room(head, head);
	}
	come();
	setsockopt(c->io.fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	while (c->subs && sub_find(c, 1)->state == SUB_LIVE) {
		struct event ev = message(1, chan_find(wk, 1)->rev + 1);

		publish_as(1, &ev);
		turns(2);
		assert_true(conn_queued(c) <= 16000 - 16000 / 8); /* the rest is for replies */
	}
	assert_int_equal(sub_find(c, 1)->state, SUB_BEHIND);
	buf_done(&target);
}

static void test_silence(void **state)
{
	(void)state;
	open_stream("", 5);
	come();
	for (int i = 0; i < 3; i++) {
		now_ms += (uint64_t)wk->settings->websocket_ping_interval + 1;
		conn_check_waits(wk);
		assert_true(come().len > 0);
		assert_int_equal(got.p[0], ':');
		assert_lacks(buf_str(&got), "data");
	}
}

static void test_refusals(void **state)
{
	(void)state;
	assert_contains(ask("/api/v1/events", ""), "HTTP/1.1 422 ");
	assert_contains(ask("/api/v1/events?c=x", ""), "HTTP/1.1 422 ");
	assert_contains(ask("/api/v1/events?c=42", "Last-Event-ID: nonsense\r\n"), "HTTP/1.1 422 ");
	ask("/api/v1/events?c=42", "");
	db_room_error(-ERR_NOENT);
	assert_contains(come(), "HTTP/1.1 404 ");
	ask("/api/v1/events?c=42", "");
	db_room_closed();
	assert_contains(come(), "HTTP/1.1 404 ");
	ask("/api/v1/events?c=42", "");
	db_room_error(-ERR_UNAVAILABLE);
	assert_contains(come(), "HTTP/1.1 503 ");
}

/* An EventSource gives up at anything but a stream. */
static void test_come_again(void **state)
{
	char fields[300];
	struct str s;

	(void)state;
	snprintf(fields, sizeof(fields), "Last-Event-ID: %s\r\n", id_of(5));
	ask("/api/v1/events?c=42", fields);
	db_room_error(-ERR_UNAVAILABLE);
	s = come();
	assert_contains(s, "HTTP/1.1 200 ");
	assert_contains(s, "\r\n\r\nretry: ");
	assert_lacks(s, "data:");
}

/*
 * A conversation that was deleted after it was looked up: the stream goes on with the other, and
 * its id has no place for it any more. (Seen red with a stream that ended there.)
 */
static void test_one_is_refused(void **state)
{
	const struct cursor both = {.pos = (struct cursor_pos[]){{41, 3}, {ROOM, 5}}, .n = 2};
	struct client other;
	struct buf id = BUF_INIT;
	char target[300];
	struct str s;

	(void)state;
	cursor_encode(&id, &both);
	snprintf(target, sizeof(target), "/api/v1/events?cursor=%.*s", (int)id.len, (char *)id.p);
	enter_native(&other, "Nina", 8); /* the node knows the conversation */
	say(&other, "{\"op\":\"sub\",\"id\":2,\"c\":41}");
	db_room(3, 3);
	ask(target, "");
	assert_int_equal(room_mark_closed(wk->shm, 1, 41), 0);
	db_room(3, 3);
	db_room(5, 5);
	turns(2);
	if (asked_count(ASK_ROOM))
		db_room(5, 5);
	s = come();
	assert_contains(s, "event: err\n");
	assert_contains(s, "\"code\":\"no_such_room\"");
	assert_contains(s, "\"c\":41}");
	assert_contains(s, "event: live\n");
	now_ms += WS_REFUSED_MS;
	conn_check_waits(wk);
	publish(6);
	s = come();
	assert_contains(s, "event: message.new\n");
	assert_contains(s, id_line(6));
	buf_done(&id);
	client_close(&other);
}

/* All were deleted meanwhile: nothing can follow. */
static void test_all_are_refused(void **state)
{
	struct client other;
	char byte;

	(void)state;
	enter_raw(&other, "Rita", 9, 5);
	ask("/api/v1/events?c=42", "");
	assert_int_equal(room_mark_closed(wk->shm, 1, ROOM), 0);
	db_room(5, 5);
	assert_contains(come(), "\"code\":\"no_such_room\"");
	now_ms += WS_REFUSED_MS;
	conn_check_waits(wk);
	turns(2);
	assert_int_equal(read(fd, &byte, 1), 0);
	client_close(&other);
}

/* The drain knows only the streams that were there when it began. */
static void test_drain_begins_meanwhile(void **state)
{
	struct str s = ask("/api/v1/events?c=42", "");

	(void)state;
	assert_int_equal(s.len, 0);
	wk->draining = true;
	db_room(5, 5);
	assert_contains(come(), "HTTP/1.1 503 ");
	assert_int_equal(counted(M_CONNECTIONS_SSE), 0);
}

static void test_goaway(void **state)
{
	struct str s;

	(void)state;
	open_stream("", 5);
	come();
	worker_drain(wk);
	s = come();
	assert_contains(s, "retry: ");
	assert_contains(s, "event: goaway\n");
	assert_contains(s, id_line(5));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_from_now, setup, teardown),
		cmocka_unit_test_setup_teardown(test_ahead_of_the_log, setup, teardown),
		cmocka_unit_test_setup_teardown(test_silence, setup, teardown),
		cmocka_unit_test_setup_teardown(test_much_in_one_turn, setup, teardown),
		cmocka_unit_test_setup_teardown(test_long_ids_are_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
		cmocka_unit_test_setup_teardown(test_come_again, setup, teardown),
		cmocka_unit_test_setup_teardown(test_one_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_all_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(test_drain_begins_meanwhile, setup, teardown),
		cmocka_unit_test_setup_teardown(test_goaway, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
