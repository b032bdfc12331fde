/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/ws.c and ws_out.c: RFC 6455's own examples, every rule that closes a connection,
 * and the independence of the result from how the bytes were cut.
 */
#include "proto_test.h"

#include "proto/ws.h"

static const struct ws_limits limits = {.frame_max = 1000, .message_max = 1500, .fragments_max = 5};

/* Appends a masked frame as a client would send it. B0 is the whole first byte. */
static void client_frame(struct buf *b, uint8_t b0, struct str payload)
{
	static const uint8_t mask[4] = {0x37, 0xfa, 0x21, 0x3d};
	uint8_t h[WS_HEADER_MAX];
	size_t n = ws_header(h, WS_OP_TEXT, payload.len);

	h[0] = b0;
	h[1] |= 0x80;
	buf_add(b, h, n);
	buf_add(b, mask, 4);
	for (size_t i = 0; i < payload.len; i++)
		buf_add_char(b, (char)((uint8_t)payload.p[i] ^ mask[i & 3]));
}

/*
 * Feeds the bytes of B in pieces of CHUNK and writes what happens as text: "text:hi ping:x
 * close:1000:bye fault:1002 again". Empties B.
 */
static void run(struct buf *b, size_t chunk, struct buf *ret)
{
	static const char *const names[] = {[WS_OP_TEXT] = "text",
					    [WS_OP_BINARY] = "binary",
					    [WS_OP_CLOSE] = "close",
					    [WS_OP_PING] = "ping",
					    [WS_OP_PONG] = "pong"};
	struct ws_in in;
	struct ws_msg m;
	struct buf unread = BUF_INIT;
	size_t used;
	int r = -ERR_AGAIN;

	ws_in_init(&in);
	for (size_t at = 0; at < b->len && r == -ERR_AGAIN; at += chunk) {
		buf_add(&unread, b->p + at, MIN(chunk, b->len - at));
		while (!(r = ws_next(&in, &limits, unread.p, unread.len, &used, &m))) {
			buf_add_cstr(ret, names[m.op]);
			buf_add_char(ret, ':');
			if (m.op == WS_OP_CLOSE)
				buf_printf(ret, "%d:", m.close_code);
			buf_add_str(ret, m.payload);
			buf_add_char(ret, ' ');
			buf_consume(&unread, used);
		}
		buf_consume(&unread, used);
		if (r == -ERR_AGAIN)
			assert_true(unread.len <= 130);
	}
	if (r == -ERR_PROTO) {
		buf_printf(ret, "fault:%d", m.close_code);
		assert_non_null(m.fault);
		assert_int_equal(ws_next(&in, &limits, NULL, 0, &used, &m), -ERR_CLOSED);
	} else {
		buf_add_cstr(ret, r == -ERR_CLOSED ? "closed" : "again");
	}
	ws_in_done(&in);
	buf_done(&unread);
	buf_clear(b);
}

/* The same outcome at once, byte by byte and in odd pieces. */
static void check(struct buf *b, const char *want)
{
	static const size_t chunks[] = {SIZE_MAX / 2, 1, 2, 3, 7, 100};
	struct buf copy = BUF_INIT, got = BUF_INIT;

	for (size_t i = 0; i < ARRAY_LEN(chunks); i++) {
		buf_clear(&copy);
		buf_add(&copy, b->p, b->len);
		run(&copy, chunks[i], &got);
		assert_buf(&got, want);
	}
	buf_done(&copy);
	buf_done(&got);
	buf_clear(b);
}

/* Section 5.7: the masked "Hello" of the RFC. */
static void test_rfc_example(void **state)
{
	static const uint8_t hello[] = {0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d,
					0x7f, 0x9f, 0x4d, 0x51, 0x58};
	struct buf b = BUF_INIT;

	(void)state;
	buf_add(&b, hello, sizeof(hello));
	check(&b, "text:Hello again");
	buf_done(&b);
}

static void test_fragments_and_controls(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	client_frame(&b, 0x01, STR("Hel"));
	client_frame(&b, 0x89, STR("p1"));
	client_frame(&b, 0x80, STR("lo"));
	client_frame(&b, 0x8a, STR(""));
	client_frame(&b, 0x82, STR("\1\2"));
	check(&b, "ping:p1 text:Hello pong: binary:\1\2 again");

	client_frame(&b, 0x01, STR(""));
	client_frame(&b, 0x00, STR(""));
	client_frame(&b, 0x80, STR(""));
	check(&b, "text: again");
	client_frame(&b, 0x02, STR(""));
	client_frame(&b, 0x80, STR("x"));
	check(&b, "binary:x again");
	buf_done(&b);
}

static void check_fault(uint8_t b0, struct str payload, const char *want)
{
	struct buf b = BUF_INIT;

	client_frame(&b, b0, payload);
	check(&b, want);
	buf_done(&b);
}

static void test_first_byte_rules(void **state)
{
	(void)state;
	check_fault(0xc1, STR("x"), "fault:1002"); /* RSV1 */
	check_fault(0xa1, STR("x"), "fault:1002");
	check_fault(0x91, STR("x"), "fault:1002");
	for (uint8_t op = 3; op <= 7; op++)
		check_fault(0x80 | op, STR("x"), "fault:1002");
	for (uint8_t op = 0xb; op <= 0xf; op++)
		check_fault(0x80 | op, STR("x"), "fault:1002");
	check_fault(0x09, STR("x"), "fault:1002"); /* fragmented ping */
	check_fault(0x08, STR(""), "fault:1002");
	check_fault(0x80, STR("x"), "fault:1002"); /* continuation of nothing */
	check_fault(0x00, STR("x"), "fault:1002");
}

static void test_interleaved_messages(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	client_frame(&b, 0x01, STR("a"));
	client_frame(&b, 0x81, STR("b"));
	check(&b, "fault:1002");
	buf_done(&b);
}

static void test_length_forms(void **state)
{
	static const uint8_t unmasked[] = {0x81, 0x01, 'x'};
	static const uint8_t long16[] = {0x81, 0xfe, 0x00, 0x7d, 0, 0, 0, 0};
	static const uint8_t long64[] = {0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0};
	static const uint8_t top_bit[] = {0x81, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0};
	static const uint8_t huge[] = {0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff,
				       0xff, 0xff, 0xff, 0,    0,    0,	   0};
	static const uint8_t ping126[] = {0x89, 0xfe, 0x00, 0x7e, 0, 0, 0, 0};
	struct buf b = BUF_INIT;

	(void)state;
	buf_add(&b, unmasked, sizeof(unmasked));
	check(&b, "fault:1002");
	buf_add(&b, long16, sizeof(long16));
	check(&b, "fault:1002");
	buf_add(&b, long64, sizeof(long64));
	check(&b, "fault:1002");
	buf_add(&b, top_bit, sizeof(top_bit));
	check(&b, "fault:1002");
	buf_add(&b, huge, sizeof(huge));
	check(&b, "fault:1009");
	buf_add(&b, ping126, sizeof(ping126));
	check(&b, "fault:1002");
	buf_done(&b);
}

static void test_limits(void **state)
{
	char text[1001], want[1020];
	struct buf b = BUF_INIT;

	(void)state;
	memset(text, 'x', sizeof(text));
	snprintf(want, sizeof(want), "text:%.1000s again", text);
	client_frame(&b, 0x81, (struct str){text, 1000});
	check(&b, want);
	client_frame(&b, 0x81, (struct str){text, 1001});
	check(&b, "fault:1009");

	client_frame(&b, 0x01, (struct str){text, 1000});
	client_frame(&b, 0x80, (struct str){text, 501});
	check(&b, "fault:1009");

	client_frame(&b, 0x01, STR("1"));
	for (int i = 0; i < 3; i++)
		client_frame(&b, 0x00, STR("2"));
	client_frame(&b, 0x80, STR("3"));
	check(&b, "text:12223 again");
	client_frame(&b, 0x01, STR("1"));
	for (int i = 0; i < 4; i++)
		client_frame(&b, 0x00, STR("2"));
	client_frame(&b, 0x80, STR("3"));
	check(&b, "fault:1009");
	buf_done(&b);
}

static void test_utf8(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	client_frame(&b, 0x81, STR("\xce\xba\xe1\xbd\xb9"));
	check(&b, "text:\xce\xba\xe1\xbd\xb9 again");
	client_frame(&b, 0x81, STR("\xed\xa0\x80"));
	check(&b, "fault:1007");
	client_frame(&b, 0x81, STR("ab\xe2\x82"));
	check(&b, "fault:1007");
	client_frame(&b, 0x82, STR("\xff\xfe"));
	check(&b, "binary:\xff\xfe again");
	/* a character cut by a fragment border is whole again */
	client_frame(&b, 0x01, STR("\xe2"));
	client_frame(&b, 0x00, STR("\x82"));
	client_frame(&b, 0x80, STR("\xac"));
	check(&b, "text:\xe2\x82\xac again");
	/* a broken one is found although the message goes on */
	client_frame(&b, 0x01, STR("\xf4"));
	client_frame(&b, 0x00, STR("\x90"));
	check(&b, "fault:1007");
	buf_done(&b);
}

static void test_close_payloads(void **state)
{
	static const uint16_t good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
					1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999};
	static const uint16_t bad[] = {0,    999,  1004, 1005, 1006, 1015,
				       1016, 1100, 2000, 2999, 5000, 65535};
	char payload[WS_CONTROL_MAX] = {0}, want[40];
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good) + ARRAY_LEN(bad); i++) {
		bool is_good = i < ARRAY_LEN(good);
		uint16_t code = is_good ? good[i] : bad[i - ARRAY_LEN(good)];

		payload[0] = (char)(code >> 8);
		payload[1] = (char)code;
		snprintf(want, sizeof(want), "close:%d: closed", code);
		client_frame(&b, 0x88, (struct str){payload, 2});
		check(&b, is_good ? want : "fault:1002");
	}
	client_frame(&b, 0x88, STR(""));
	check(&b, "close:1005: closed");
	client_frame(&b, 0x88, STR("\x03"));
	check(&b, "fault:1002");
	client_frame(&b, 0x88,
		     STR("\x03\xe8"
			 "bye"));
	check(&b, "close:1000:bye closed");
	client_frame(&b, 0x88, STR("\x03\xe8\xff"));
	check(&b, "fault:1007");
	buf_done(&b);
}

/* What comes behind a close frame is not read. */
static void test_nothing_after_close(void **state)
{
	struct buf b = BUF_INIT, got = BUF_INIT;

	(void)state;
	client_frame(&b, 0x88, STR("\x03\xe8"));
	client_frame(&b, 0x81, STR("late"));
	run(&b, SIZE_MAX / 2, &got);
	assert_buf(&got, "close:1000: closed");
	buf_done(&b);
	buf_done(&got);
}

/* An idle connection holds no heap memory, whatever it has received. */
static void test_idle_holds_nothing(void **state)
{
	struct buf b = BUF_INIT;
	struct ws_in in;
	struct ws_msg m;
	size_t used;

	(void)state;
	ws_in_init(&in);
	client_frame(&b, 0x01, STR("frag"));
	client_frame(&b, 0x80, STR("ment"));
	assert_int_equal(ws_next(&in, &limits, b.p, 3, &used, &m), -ERR_AGAIN);
	assert_int_equal(used, 0);
	assert_int_equal(ws_next(&in, &limits, b.p, 8, &used, &m), -ERR_AGAIN);
	assert_int_equal(used, 8);
	assert_true(ws_in_message(&in));
	assert_int_equal(ws_next(&in, &limits, b.p + 8, b.len - 8, &used, &m), 0);
	assert_str(m.payload, "fragment");
	assert_false(ws_in_message(&in));
	assert_int_equal(ws_next(&in, &limits, b.p, 0, &used, &m), -ERR_AGAIN);
	assert_null(in.partial.p);
	buf_done(&b);
	ws_in_done(&in);
}

/* Section 5.7: unmasked frames of a server, and lengths at the borders of the three forms. */
static void test_headers(void **state)
{
	uint8_t h[WS_HEADER_MAX];
	struct buf b = BUF_INIT;

	(void)state;
	ws_add_frame(&b, WS_OP_TEXT, STR("Hello"));
	assert_buf(&b, "\x81\x05Hello");
	assert_int_equal(ws_header(h, WS_OP_BINARY, 125), 2);
	assert_memory_equal(h, "\x82\x7d", 2);
	assert_int_equal(ws_header(h, WS_OP_BINARY, 126), 4);
	assert_memory_equal(h, "\x82\x7e\x00\x7e", 4);
	assert_int_equal(ws_header(h, WS_OP_BINARY, 256), 4);
	assert_memory_equal(h, "\x82\x7e\x01\x00", 4);
	assert_int_equal(ws_header(h, WS_OP_BINARY, 65535), 4);
	assert_memory_equal(h, "\x82\x7e\xff\xff", 4);
	assert_int_equal(ws_header(h, WS_OP_BINARY, 65536), 10);
	assert_memory_equal(h, "\x82\x7f\0\0\0\0\0\1\0\0", 10);
	buf_done(&b);
}

static void test_frame_in_place(void **state)
{
	static const size_t sizes[] = {0, 1, 125, 126, 65535, 65536, 70000};
	char *text = xmalloc(70000);
	struct buf b = BUF_INIT, want = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < 70000; i++)
		text[i] = (char)('a' + i % 26);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct str payload = {text, sizes[i]};
		size_t begin;

		ws_add_frame(&want, WS_OP_PING, STR("before"));
		ws_add_frame(&want, WS_OP_TEXT, payload);
		ws_add_frame(&b, WS_OP_PING, STR("before"));
		begin = ws_frame_begin(&b);
		buf_add_str(&b, payload);
		ws_frame_end(&b, begin, WS_OP_TEXT);
		assert_int_equal(b.len, want.len);
		assert_memory_equal(b.p, want.p, b.len);
		buf_clear(&b);
		buf_clear(&want);
	}
	free(text);
	buf_done(&b);
	buf_done(&want);
}

static void test_close_out(void **state)
{
	char reason[130], want[130];
	struct buf b = BUF_INIT;

	(void)state;
	ws_add_close(&b, 4404, STR("room deleted"));
	assert_buf(&b, "\x88\x0e\x11\x34room deleted");
	ws_add_close(&b, WS_CLOSE_NONE, STR("ignored"));
	assert_int_equal(b.len, 2);
	assert_memory_equal(b.p, "\x88\x00", 2);
	buf_clear(&b);
	memset(reason, 'r', WS_REASON_MAX);
	ws_add_close(&b, 1000, (struct str){reason, WS_REASON_MAX});
	assert_int_equal(b.len, 2 + WS_CONTROL_MAX);
	buf_clear(&b);
	/* 122 ASCII bytes and a character of two: cut before the character */
	memset(reason, 'r', 122);
	memcpy(reason + 122, "\xc3\xa9", 2);
	ws_add_close(&b, 1000, (struct str){reason, 124});
	snprintf(want, sizeof(want), "\x88\x7c\x03\xe8%.122s", reason);
	assert_buf(&b, want);
	buf_done(&b);
}

/* Section 1.3's example. */
static void test_accept_key(void **state)
{
	char accept[WS_ACCEPT_LEN + 1] = "untouched";

	(void)state;
	assert_int_equal(ws_accept_key(STR("dGhlIHNhbXBsZSBub25jZQ="), accept), -ERR_INVAL);
	assert_int_equal(ws_accept_key(STR("dGhlIHNhbXBsZSBub25jZQ==="), accept), -ERR_INVAL);
	assert_int_equal(ws_accept_key(STR("dGhlIHNhbXBsZSBub25jZQAA"), accept), -ERR_INVAL);
	assert_int_equal(ws_accept_key(STR("dGhlIHNhbXBsZSBub2 jZQ=="), accept), -ERR_INVAL);
	assert_int_equal(ws_accept_key((struct str){0}, accept), -ERR_INVAL);
	assert_string_equal(accept, "untouched");
	assert_int_equal(ws_accept_key(STR("AZaz09+/AZaz09+/AZaz09=="), accept), 0);
	assert_int_equal(ws_accept_key(STR("dGhlIHNhbXBsZSBub25jZQ=="), accept), 0);
	assert_string_equal(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rfc_example),
	    cmocka_unit_test(test_fragments_and_controls),
	    cmocka_unit_test(test_first_byte_rules),
	    cmocka_unit_test(test_interleaved_messages),
	    cmocka_unit_test(test_length_forms),
	    cmocka_unit_test(test_limits),
	    cmocka_unit_test(test_utf8),
	    cmocka_unit_test(test_close_payloads),
	    cmocka_unit_test(test_nothing_after_close),
	    cmocka_unit_test(test_idle_holds_nothing),
	    cmocka_unit_test(test_headers),
	    cmocka_unit_test(test_frame_in_place),
	    cmocka_unit_test(test_close_out),
	    cmocka_unit_test(test_accept_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
