/* SPDX-License-Identifier: MIT */
/*
 * Engine.IO packets and payloads: the examples of the protocol's document, version 4.
 * Requests and handshakes are test_engineio_request.c's.
 */
#include "proto/engineio.h"

#include "proto_test.h"

#include "proto/ws.h"

static void check(const char *frame, enum eio_type type, const char *data)
{
	struct buf scratch = BUF_INIT;
	struct eio_packet p;

	assert_int_equal(eio_decode(str_of(frame), false, &scratch, &p), 0);
	assert_int_equal(p.type, type);
	assert_false(p.is_binary);
	assert_str(p.data, data);
	buf_done(&scratch);
}

static void refuse(struct str frame)
{
	struct buf scratch = BUF_INIT;
	struct eio_packet p;

	if (eio_decode(frame, false, &scratch, &p) != -ERR_PROTO)
		fail_msg("taken: %.*s", (int)frame.len, frame.p);
	buf_done(&scratch);
}

static void test_packets(void **state)
{
	struct buf scratch = BUF_INIT;
	struct eio_packet p;

	(void)state;
	check("0", EIO_OPEN, "");
	check("1", EIO_CLOSE, "");
	check("2", EIO_PING, "");
	check("2probe", EIO_PING, "probe");
	check("3probe", EIO_PONG, "probe");
	check("4hello", EIO_MESSAGE, "hello");
	check("4", EIO_MESSAGE, "");
	check("44b", EIO_MESSAGE, "4b");
	check("5", EIO_UPGRADE, "");
	check("6", EIO_NOOP, "");

	assert_int_equal(eio_decode(STR("\1\2\3\4"), true, &scratch, &p), 0);
	assert_int_equal(p.type, EIO_MESSAGE);
	assert_true(p.is_binary);
	assert_str(p.data, "\1\2\3\4");
	buf_done(&scratch);

	refuse(STR(""));
	refuse(STR("abc"));
	refuse(STR("a123"));
	refuse(STR("7"));
	refuse(STR("/"));
	refuse(STR("{}"));
}

static void test_base64(void **state)
{
	static const char *const same[] = {"bAQIDBA==", "bAQIDBA"};
	struct buf scratch = BUF_INIT;
	struct eio_packet p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(same); i++) {
		assert_int_equal(eio_decode(str_of(same[i]), false, &scratch, &p), 0);
		assert_int_equal(p.type, EIO_MESSAGE);
		assert_true(p.is_binary);
		assert_str(p.data, "\1\2\3\4");
	}
	assert_int_equal(eio_decode(STR("b"), false, &scratch, &p), 0);
	assert_int_equal(p.data.len, 0);
	assert_int_equal(eio_decode(STR("bTWFu"), false, &scratch, &p), 0);
	assert_str(p.data, "Man");
	buf_done(&scratch);

	refuse(STR("bAQIDBA="));
	refuse(STR("bAQIDBA==="));
	refuse(STR("bAQID===="));
	refuse(STR("b=="));
	refuse(STR("bAQ-_"));
	refuse(STR("bAQ ID"));
	refuse(STR("bA"));
}

static void test_probe(void **state)
{
	(void)state;
	assert_true(eio_is_probe(&(struct eio_packet){EIO_PING, false, STR("probe")}));
	assert_false(eio_is_probe(&(struct eio_packet){EIO_PING, false, STR("")}));
	assert_false(eio_is_probe(&(struct eio_packet){EIO_PONG, false, STR("probe")}));
}

static void test_payload(void **state)
{
	static const struct {
		enum eio_type type;
		bool is_binary;
		const char *data;
	} packets[] = {
		{EIO_MESSAGE, false, "hello"},	 {EIO_PING, false, ""},
		{EIO_MESSAGE, true, "\1\2\3\4"}, {EIO_MESSAGE, false, "\xe2\x82\xac"},
		{EIO_PONG, false, "probe"},
	};
	struct buf scratch = BUF_INIT;
	struct eio_payload in;
	struct eio_packet p;

	(void)state;
	eio_payload_init(&in, STR("4hello\x1e"
				  "2\x1e"
				  "bAQIDBA==\x1e"
				  "4\xe2\x82\xac\x1e"
				  "3probe"));
	for (size_t i = 0; i < ARRAY_LEN(packets); i++) {
		assert_int_equal(eio_payload_next(&in, &scratch, &p), 0);
		assert_int_equal(p.type, packets[i].type);
		assert_int_equal(p.is_binary, packets[i].is_binary);
		assert_str(p.data, packets[i].data);
	}
	assert_int_equal(eio_payload_next(&in, &scratch, &p), -ERR_NOENT);
	assert_int_equal(eio_payload_next(&in, &scratch, &p), -ERR_NOENT);
	buf_done(&scratch);
}

/* Packets before the broken one count, nothing after it does. */
static void test_broken_payloads(void **state)
{
	static const struct {
		const char *body;
		int good;
	} cases[] = {{"", 0},
		     {"abc", 0},
		     {"{", 0},
		     {"4a\x1e", 1},
		     {"\x1e"
		      "4a",
		      0},
		     {"4a\x1e\x1e"
		      "4b",
		      1},
		     {"4\xff", 0},
		     {"4a\x1e"
		      "9",
		      1},
		     {"4a\x1e"
		      "b!\x1e"
		      "4b",
		      1},
		     {"4\xe2\x1e"
		      "4a",
		      0}};
	struct buf scratch = BUF_INIT;
	struct eio_payload in;
	struct eio_packet p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		eio_payload_init(&in, str_of(cases[i].body));
		for (int n = 0; n < cases[i].good; n++)
			assert_int_equal(eio_payload_next(&in, &scratch, &p), 0);
		assert_int_equal(eio_payload_next(&in, &scratch, &p), -ERR_PROTO);
		assert_int_equal(eio_payload_next(&in, &scratch, &p), -ERR_NOENT);
	}
	buf_done(&scratch);
}

static void test_writing(void **state)
{
	struct eio_packet text = {EIO_MESSAGE, false, STR("hello")},
			  probe = {EIO_PONG, false, STR("probe")};
	struct eio_packet bytes = {EIO_MESSAGE, true, STR("\1\2\3\4")};
	struct buf b = BUF_INIT;

	(void)state;
	eio_add(&b, &text);
	assert_buf(&b, "4hello");
	eio_add(&b, &probe);
	assert_buf(&b, "3probe");
	eio_add(&b, &bytes);
	assert_buf(&b, "\1\2\3\4");
	eio_add_frame(&b, &text);
	assert_buf(&b, "\x81\x06"
		       "4hello"); /* RFC 6455 section 5.2: FIN and text, unmasked */
	eio_add_frame(&b, &bytes);
	assert_buf(&b, "\x82\x04\1\2\3\4");

	buf_add_cstr(&b, "head");
	eio_add_polled(&b, 4, &text);
	eio_add_polled(&b, 4, &bytes);
	eio_add_polled(&b, 4, &(struct eio_packet){EIO_NOOP, false, STR("")});
	assert_buf(&b, "head4hello\x1e"
		       "bAQIDBA==\x1e"
		       "6");
	eio_add_polled(&b, 0, &(struct eio_packet){EIO_MESSAGE, true, STR("\1\2\3")});
	assert_buf(&b, "bAQID");
	eio_add_polled(&b, 0, &(struct eio_packet){EIO_MESSAGE, true, STR("\1\2")});
	assert_buf(&b, "bAQI=");
	buf_done(&b);
}

/* What waits is kept as frames; a poll takes up to sixteen packets or as many bytes as may be. */
static void test_polls(void **state)
{
	struct buf frames = BUF_INIT, b = BUF_INIT;
	char text[300];
	struct str rest;
	size_t n;

	(void)state;
	eio_add_frame(&frames, &(struct eio_packet){EIO_MESSAGE, false, STR("hello")});
	eio_add_frame(&frames, &(struct eio_packet){EIO_MESSAGE, true, STR("\1\2\3\4")});
	assert_int_equal(eio_add_poll(&b, buf_str(&frames), 1000), frames.len);
	assert_buf(&b, "4hello\x1e"
		       "bAQIDBA==");
	/* six bytes, a separator and nine */
	assert_int_equal(eio_add_poll(&b, buf_str(&frames), 15), 8);
	assert_buf(&b, "4hello");
	assert_int_equal(eio_add_poll(&b, buf_str(&frames), 16), frames.len);
	buf_clear(&b);
	/* one goes in any case, or nothing ever would */
	assert_int_equal(eio_add_poll(&b, buf_str(&frames), 1), 8);
	assert_buf(&b, "4hello");

	buf_clear(&frames);
	memset(text, 'x', sizeof(text));
	for (int i = 0; i < 20; i++)
		eio_add_frame(&frames,
			      &(struct eio_packet){EIO_MESSAGE, false, {text, sizeof(text)}});
	n = eio_add_poll(&b, buf_str(&frames), 1000000);
	assert_int_equal(n, 16 * (4 + 301));
	assert_int_equal(b.len, 16 * 301 + 15);
	rest = (struct str){(char *)frames.p + n, frames.len - n};
	buf_clear(&b);
	assert_int_equal(eio_add_poll(&b, rest, 1000000), 4 * (4 + 301));
	assert_int_equal(eio_add_poll(&b, STR(""), 1000), 0);
	buf_done(&b);
	buf_done(&frames);
}

static void test_frames(void **state)
{
	static const struct str bad[] = {
		STR("\x81"),
		STR("\x81\x05"
		    "4abc"),
		STR("\x81\x7e\x01"),
		STR("\x81\x82"
		    "1234"
		    "ab"),
		STR("\x01\x01"
		    "4"),
		STR("\x81\x00"),
		STR("\x88\x00"),
		STR("\x81\x01"
		    "x"),
		STR("\x81\x02"
		    "bA"),
		STR("\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff"
		    "4"),
	};
	struct buf b = BUF_INIT;
	struct eio_packet p;
	char *large = xcalloc(1, 70000);
	struct str s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		s = bad[i];
		assert_int_equal(eio_frame_next(&s, &p), -ERR_CORRUPT);
		assert_int_equal(s.len, bad[i].len);
		assert_int_equal(eio_add_poll(&b, s, 1000), 0);
	}
	s = STR("");
	assert_int_equal(eio_frame_next(&s, &p), -ERR_NOENT);
	ws_add_frame(&b, WS_OP_BINARY, (struct str){large, 70000});
	s = buf_str(&b);
	assert_int_equal(eio_frame_next(&s, &p), 0);
	assert_int_equal(p.data.len, 70000);
	assert_true(p.is_binary);
	assert_int_equal(s.len, 0);
	free(large);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets),		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_probe),		cmocka_unit_test(test_payload),
		cmocka_unit_test(test_broken_payloads), cmocka_unit_test(test_writing),
		cmocka_unit_test(test_polls),		cmocka_unit_test(test_frames),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
