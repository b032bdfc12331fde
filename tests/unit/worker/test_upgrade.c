/* SPDX-License-Identifier: MIT */
/*
 * Tests of worker/upgrade.c: handshakes of both sockets. Key and accept value are RFC 6455 section
 * 1.3's.
 */
#include "http_stand.h"

#define SHAKE(path)                                                                                \
	"GET " path " HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"        \
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
#define ACCEPT "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"

static void test_upgrade_native(void **state)
{
	struct str s;

	(void)state;
	stand_set("server.mode=development");
	s = stand_ask(SHAKE("/ws") "\r\n");
	assert_int_equal(answer_status(s), 101);
	assert_contains(s, ACCEPT);
	assert_contains(s, "Upgrade: websocket\r\n");
	assert_int_equal(answer_count(s, "Connection: "), 1);
	assert_contains(s, "X-Roomd-Worker: 3\r\n");
	assert_lacks(s, "Sec-WebSocket-Protocol");
	assert_lacks(s, "Content-Length");
	assert_text(answer_body(s), "");
	assert_true(ws.started);
	assert_int_equal(ws.dialect, DIALECT_NATIVE);
	assert_null(conn->http);
	s = stand_ask(SHAKE("/ws") "Sec-WebSocket-Protocol: x, roomd.v1\r\n\r\n\x81");
	assert_contains(s, "Sec-WebSocket-Protocol: roomd.v1\r\n");
	assert_int_equal(pending.len, 1); /* the first frame is not HTTP's */
	check_status(SHAKE("/ws") "Sec-WebSocket-Protocol: roomd.v9\r\n\r\n", 400);
}

/* RFC 6455 section 4.1: offered in order of preference; the answer names one of them. */
static void check_subprotocol(const char *offered, enum dialect dialect, const char *named)
{
	char text[512], want[128];
	struct str s;

	snprintf(text, sizeof(text), SHAKE("/ws") "%s\r\n", offered);
	snprintf(want, sizeof(want), "Sec-WebSocket-Protocol: %s\r\n", named);
	s = stand_ask(text);
	assert_int_equal(answer_status(s), 101);
	assert_contains(s, want);
	assert_int_equal(answer_count(s, "Sec-WebSocket-Protocol:"), 1);
	assert_int_equal(ws.dialect, dialect);
}

static void test_subprotocols(void **state)
{
	(void)state;
	check_subprotocol("Sec-WebSocket-Protocol: roomd.v1.msgpack\r\n", DIALECT_MSGPACK,
			  "roomd.v1.msgpack");
	check_subprotocol("Sec-WebSocket-Protocol: roomd.v1.msgpack, roomd.v1\r\n",
			  DIALECT_MSGPACK, "roomd.v1.msgpack");
	check_subprotocol("Sec-WebSocket-Protocol: roomd.v1, roomd.v1.msgpack\r\n",
			  DIALECT_NATIVE, "roomd.v1");
	check_subprotocol("Sec-WebSocket-Protocol: roomd.v2\r\n"
			  "Sec-WebSocket-Protocol: roomd.v1.msgpack\r\n",
			  DIALECT_MSGPACK, "roomd.v1.msgpack");
	check_status(SHAKE("/ws") "Sec-WebSocket-Protocol: ROOMD.V1\r\n\r\n", 400);
	check_status(SHAKE("/ws") "Sec-WebSocket-Protocol: roomd.v1.msgpack2\r\n\r\n", 400);
	check_status(SHAKE("/ws") "Sec-WebSocket-Protocol: \r\n\r\n", 400);
}

static void test_upgrade_refused(void **state)
{
	struct str s;

	(void)state;
	s = stand_ask("GET /ws HTTP/1.1\r\nHost: a\r\n\r\n");
	assert_int_equal(answer_status(s), 426);
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
	stand_set("http.origins=http://evil");
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
	s = stand_ask(SHAKE("/ws/chat/" UUID_TEXT) "\r\n\x81");
	assert_int_equal(s.len, 0);
	assert_true(conn->is_blocked);
	assert_false(uuid_is_zero(&query.uid));
	query.done(query.arg, 0, &room);
	stand_flush();
	s = stand_sent();
	assert_int_equal(answer_status(s), 101);
	assert_contains(s, ACCEPT);
	assert_int_equal(ws.room, 42);
	assert_false(conn->is_blocked);
	assert_int_equal(pending.len, 1);

	stand_ask(SHAKE("/ws/chat/" UUID_TEXT) "\r\n");
	query.done(query.arg, -ERR_NOENT, NULL);
	stand_flush();
	assert_int_equal(answer_status(stand_sent()), 101);
	assert_int_equal(ws.room, 0);

	stand_ask(SHAKE("/ws/chat/" UUID_TEXT) "\r\n");
	query.done(query.arg, -ERR_UNAVAILABLE, NULL);
	stand_flush();
	assert_int_equal(answer_status(stand_sent()), 503);

	ws.started = false;
	stand_ask(SHAKE("/ws/chat/" UUID_TEXT) "\r\n");
	conn->state = CONN_DEAD;
	query.done(query.arg, 0, &room);
	assert_false(ws.started);
}

/* The drain knows only the sockets that were there when it began. */
static void test_drain_begins_meanwhile(void **state)
{
	const struct room room = {.id = 42};

	(void)state;
	stand_ask(SHAKE("/ws/chat/" UUID_TEXT) "\r\n");
	wk->draining = true;
	query.done(query.arg, 0, &room);
	stand_flush();
	assert_int_equal(answer_status(stand_sent()), 503);
	assert_false(ws.started);
}

#define OFFER(text) SHAKE("/ws") "Sec-WebSocket-Extensions: " text "\r\n\r\n"

/* RFC 7692 section 7.1: where it is wanted, what is offered in any of the fields. */
static void test_compression(void **state)
{
	struct str s;

	(void)state;
	s = stand_ask(OFFER("permessage-deflate"));
	assert_int_equal(answer_status(s), 101);
	assert_lacks(s, "Sec-WebSocket-Extensions");
	assert_int_equal(conn->deflate_bits, 0);
	stand_set("websocket.deflate=on");
	s = stand_ask(SHAKE("/ws") "Sec-WebSocket-Extensions: permessage-deflate; a=b\r\n"
				   "Sec-WebSocket-Extensions: permessage-deflate; "
				   "server_max_window_bits=10\r\n\r\n");
	assert_int_equal(answer_status(s), 101);
	assert_contains(s, "Sec-WebSocket-Extensions: permessage-deflate; "
			   "server_no_context_takeover; client_no_context_takeover; "
			   "server_max_window_bits=10\r\n");
	assert_int_equal(conn->deflate_bits, 10);
	conn->deflate_bits = 0;
	s = stand_ask(OFFER("permessage-deflate; server_max_window_bits=8"));
	assert_int_equal(answer_status(s), 101);
	assert_lacks(s, "Sec-WebSocket-Extensions");
	assert_int_equal(conn->deflate_bits, 0);
	check_status(SHAKE("/ws/chat/42") "\r\n", 101);
	check_status(OFFER("permessage-deflate; ="), 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STAND_TEST(test_upgrade_native),
		STAND_TEST(test_subprotocols),
		STAND_TEST(test_upgrade_refused),
		STAND_TEST(test_compression),
		STAND_TEST(test_upgrade_raw),
		STAND_TEST(test_upgrade_by_uuid),
		STAND_TEST(test_drain_begins_meanwhile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
