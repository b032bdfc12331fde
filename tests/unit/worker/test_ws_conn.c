/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/ws_conn.c: RFC 6455's control frames and closing handshake, silence, refused
 * rooms, good-byes.
 */
#include "worker_fixture.h"

#include "worker/ws_conn.h"

static struct client cl;

static void test_ping_is_answered_with_its_payload(void **state) /* section 5.5.3 */
{
	(void)state;
	client_open(&cl, DIALECT_NATIVE, 0);
	client_frame(&cl, 9, "abc", 3);
	assert_string_equal(told(&cl), "pong abc");
	client_frame(&cl, 9, "", 0);
	assert_string_equal(told(&cl), "pong ");
	client_frame(&cl, 10, "unasked", 7);
	assert_string_equal(told(&cl), "");
	client_close(&cl);
}

static void test_close_is_answered_with_its_code(void **state) /* section 5.5.1 */
{
	(void)state;
	client_open(&cl, DIALECT_NATIVE, 0);
	client_frame(&cl, 8, "\x03\xe8" "bye", 5);
	assert_string_equal(told(&cl), "close 1000 ");
	assert_string_equal(told(&cl), "(end)");
	client_close(&cl);
	assert_null(client_conn(&cl));
	client_open(&cl, DIALECT_NATIVE, 0);
	client_frame(&cl, 8, "", 0);
	assert_string_equal(told(&cl), "close");
	assert_string_equal(told(&cl), "(end)");
	client_close(&cl);
}

/*
 * Section 7.1.1: with the answer to the peer's close frame the server closes, without waiting for
 * the peer. Unless that one said more, which to leave unread would take the answer back (RST).
 */
static void test_close_of_the_peer_ends_the_connection(void **state)
{
	(void)state;
	client_open(&cl, DIALECT_NATIVE, 0);
	client_frame(&cl, 8, "\x03\xe8" "bye", 5);
	turn();
	assert_null(client_conn(&cl)); /* red when it waits for the end of the stream */
	client_close(&cl);
	client_open(&cl, DIALECT_NATIVE, 0);
	client_write(&cl, 8, "\x03\xe8" "bye", 5);
	client_write(&cl, 1, "more", 4);
	turns(3);
	assert_non_null(client_conn(&cl));
	assert_string_equal(told(&cl), "close 1000 ");
	assert_string_equal(told(&cl), "(end)");
	client_close(&cl);
	turn();
	assert_null(client_conn(&cl));
}

/* PROTOCOL.md section 6: several requests in an array; what follows hello waits for its answer. */
static void test_requests_behind_hello_in_one_frame(void **state)
{
	(void)state;
	client_open(&cl, DIALECT_NATIVE, 0);
	say(&cl, "[{\"op\":\"hello\",\"id\":1,\"name\":\"Olga\"},{\"op\":\"ping\",\"id\":2},"
		 "{\"op\":\"nothing\",\"id\":3}]");
	say(&cl, "{\"op\":\"ping\",\"id\":4}");
	assert_string_equal(told(&cl), "");
	db_guest(9, "Olga");
	turns(2);
	assert_contains(str_of(told(&cl)), "\"op\":\"welcome\",\"re\":1");
	assert_contains(str_of(told(&cl)), "\"op\":\"pong\",\"re\":2");
	assert_contains(str_of(told(&cl)), "\"re\":3,\"code\":\"unknown_op\"");
	told_until(&cl, "\"op\":\"pong\",\"re\":4");
	client_close(&cl);
}

static void test_binary_is_not_understood(void **state) /* section 7.4.1 */
{
	(void)state;
	client_open(&cl, DIALECT_NATIVE, 0);
	client_frame(&cl, 2, "\x81", 1);
	assert_contains(str_of(told(&cl)), "close 1003 ");
	client_close(&cl);
}

static void test_invalid_utf8(void **state) /* section 8.1 */
{
	(void)state;
	client_open(&cl, DIALECT_NATIVE, 0);
	client_frame(&cl, 1, "\xff", 1);
	assert_contains(str_of(told(&cl)), "close 1007 ");
	client_close(&cl);
}

static void test_too_large(void **state)
{
	static char big[200];

	(void)state;
	client_open(&cl, DIALECT_NATIVE, 0);
	stand_set("websocket.frame_max=125");
	client_frame(&cl, 1, big, sizeof(big));
	assert_contains(str_of(told(&cl)), "close 1009 ");
	client_close(&cl);
}

/*
 * Section 7.1.1: after our close frame the peer's is awaited; nothing else is understood or sent.
 */
static void test_our_close_waits_for_the_peers(void **state)
{
	(void)state;
	client_open(&cl, DIALECT_NATIVE, 0);
	ws_conn_close_code(client_conn(&cl), 1001, "bye");
	turn();
	assert_string_equal(told(&cl), "close 1001 bye");
	ws_conn_close_code(client_conn(&cl), 1011, "again");
	say(&cl, "{\"op\":\"ping\",\"id\":1}");
	client_frame(&cl, 9, "x", 1);
	assert_string_equal(told(&cl), "");
	client_frame(&cl, 8, "\x03\xe9", 2);
	assert_string_equal(told(&cl), "(end)");
	client_close(&cl);
}

static void test_peer_that_never_answers_our_close(void **state)
{
	(void)state;
	stand_set("websocket.close_timeout=200ms");
	client_open(&cl, DIALECT_NATIVE, 0);
	ws_conn_close_code(client_conn(&cl), 1001, "");
	turn();
	told_all(&cl);
	now_ms += 199;
	conn_check_waits(wk);
	assert_non_null(client_conn(&cl));
	now_ms += 1;
	conn_check_waits(wk);
	assert_null(client_conn(&cl));
	turn();
	assert_string_equal(told(&cl), "(end)");
	client_close(&cl);
}

/* PROTOCOL.md section 8: 4408 no hello in time; hello 10 s. */
static void test_no_hello(void **state)
{
	(void)state;
	client_open(&cl, DIALECT_NATIVE, 0);
	now_ms += 9999;
	conn_check_waits(wk);
	turn();
	assert_string_equal(told(&cl), "");
	client_frame(&cl, 9, "", 0); /* a ping is no hello */
	told_all(&cl);
	now_ms += 1;
	conn_check_waits(wk);
	turn();
	assert_contains(str_of(told(&cl)), "\"op\":\"err\",\"code\":\"hello_timeout\"");
	assert_contains(str_of(told(&cl)), "close 4408 ");
	client_close(&cl);
}

/* PROTOCOL.md section 8: ping 25 s + 20 s. */
static void test_silence(void **state)
{
	(void)state;
	enter_native(&cl, "Nina", 8);
	now_ms += 24999;
	conn_check_waits(wk);
	turn();
	assert_string_equal(told(&cl), "");
	now_ms += 1;
	conn_check_waits(wk);
	turn();
	assert_string_equal(told(&cl), "ping ");
	now_ms += 19999;
	conn_check_waits(wk);
	assert_non_null(client_conn(&cl));
	client_frame(&cl, 10, "", 0);
	now_ms += 24999;
	conn_check_waits(wk);
	turn();
	assert_string_equal(told(&cl), "");
	now_ms += 1;
	conn_check_waits(wk);
	turn();
	assert_string_equal(told(&cl), "ping ");
	now_ms += 20000;
	conn_check_waits(wk);
	turn();
	assert_null(client_conn(&cl));
	assert_string_equal(told(&cl), "(end)");
	client_close(&cl);
}

static void test_any_frame_ends_the_wait_for_a_pong(void **state)
{
	(void)state;
	enter_native(&cl, "Nina", 8);
	now_ms += 25000;
	conn_check_waits(wk);
	turn();
	told_all(&cl);
	say(&cl, "{\"op\":\"ping\",\"id\":2}");
	assert_contains(str_of(told(&cl)), "{\"op\":\"pong\",\"re\":2,");
	now_ms += 20000;
	conn_check_waits(wk);
	assert_non_null(client_conn(&cl));
	client_close(&cl);
}

/*
 * PROTOCOL.md section 8: 4404 no such room. The client may write its first frame before it reads.
 */
static void test_refused_room_closes_at_the_first_frame(void **state)
{
	(void)state;
	client_open(&cl, DIALECT_RAW, ROOM);
	db_room_error(-ERR_NOENT);
	assert_contains(str_of(told(&cl)), "{\"type\":\"error\",\"code\":\"no_such_room\"");
	assert_string_equal(told(&cl), "");
	say(&cl, "{\"username\":\"Alice\"}");
	assert_contains(str_of(told(&cl)), "close 4404 ");
	assert_int_equal(asked_count(ASK_GUEST), 0);
	client_close(&cl);
}

static void test_refused_room_closes_by_itself(void **state)
{
	(void)state;
	client_open(&cl, DIALECT_RAW, ROOM);
	db_room_closed();
	assert_contains(str_of(told(&cl)), "\"no_such_room\"");
	now_ms += WS_REFUSED_MS - 1;
	conn_check_waits(wk);
	turn();
	assert_string_equal(told(&cl), "");
	now_ms += 1;
	conn_check_waits(wk);
	turn();
	assert_contains(str_of(told(&cl)), "close 4404 ");
	client_close(&cl);
}

static void test_path_that_names_no_room(void **state)
{
	(void)state;
	client_open(&cl, DIALECT_RAW, 0);
	assert_contains(str_of(told(&cl)), "\"no_such_room\"");
	assert_int_equal(asked_count(ASK_ROOM), 0);
	client_close(&cl);
}

/* The check of the room must not take away from somebody who is in already. */
static void test_database_that_is_away_refuses_nobody_early(void **state)
{
	(void)state;
	client_open(&cl, DIALECT_RAW, ROOM);
	db_room_error(-ERR_UNAVAILABLE);
	assert_string_equal(told(&cl), "");
	assert_int_equal(client_conn(&cl)->state, CONN_WS);
	client_close(&cl);
}

/* PROTOCOL.md section 6: goaway, then 1012 restart. */
static void test_drain(void **state)
{
	struct client raw;

	(void)state;
	enter_native(&cl, "Nina", 8);
	enter_raw(&raw, "Alice", 5, 10);
	worker_drain(wk);
	turn();
	told_until(&cl, "{\"op\":\"goaway\",\"in\":");
	assert_contains(str_of(told(&cl)), "close 1012 ");
	assert_contains(str_of(told(&raw)), "\"code\":\"restarting\"");
	assert_contains(str_of(told(&raw)), "close 1012 ");
	client_frame(&cl, 8, "\x03\xf4", 2);
	client_frame(&raw, 8, "\x03\xf4", 2);
	client_close(&cl);
	client_close(&raw);
	assert_int_equal(wk->n_conns, 0);
}

static void test_connections_are_counted_by_dialect(void **state)
{
	struct client raw;

	(void)state;
	enter_native(&cl, "Nina", 8);
	enter_raw(&raw, "Alice", 5, 10);
	assert_int_equal(counted(M_CONNECTIONS_NATIVE), 1);
	assert_int_equal(counted(M_CONNECTIONS_RAW), 1);
	client_close(&cl);
	client_close(&raw);
	assert_int_equal(counted(M_CONNECTIONS_NATIVE), 0);
	assert_int_equal(counted(M_CONNECTIONS_RAW), 0);
}

#define T(f) cmocka_unit_test_setup_teardown(f, stand_setup, stand_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_ping_is_answered_with_its_payload),
		T(test_close_is_answered_with_its_code),
		T(test_close_of_the_peer_ends_the_connection),
		T(test_requests_behind_hello_in_one_frame),
		T(test_binary_is_not_understood),
		T(test_invalid_utf8),
		T(test_too_large),
		T(test_our_close_waits_for_the_peers),
		T(test_peer_that_never_answers_our_close),
		T(test_no_hello),
		T(test_silence),
		T(test_any_frame_ends_the_wait_for_a_pong),
		T(test_refused_room_closes_at_the_first_frame),
		T(test_refused_room_closes_by_itself),
		T(test_path_that_names_no_room),
		T(test_database_that_is_away_refuses_nobody_early),
		T(test_drain),
		T(test_connections_are_counted_by_dialect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
