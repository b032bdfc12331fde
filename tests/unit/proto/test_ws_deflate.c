/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/ws_deflate.c and of what ws.c does with compressed messages: RFC 7692's own
 * examples (section 7.2.3), limits, windows, and the independence of how the bytes were cut.
 */
#include "proto_test.h"

#include "proto/ws_deflate.h"

#define BYTES(s) ((struct str){s, sizeof(s) - 1})
#define HELLO "\xf2\x48\xcd\xc9\xc9\x07\x00"

static struct ws_inflater *inflater;

static int set_up(void **state)
{
	(void)state;
	inflater = ws_inflater_new();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	ws_inflater_free(&inflater);
	ws_inflater_free(&inflater);
	return 0;
}

/* The same whether it comes in one piece or cut anywhere, and again after any other message. */
static void check_message(struct str payload, const char *want)
{
	struct buf b = BUF_INIT;

	for (size_t at = 0; at <= payload.len; at++) {
		const struct str pieces[] = {{payload.p, at}, {payload.p + at, payload.len - at}};
		int r = ws_inflate(inflater, pieces, 2, 100, &b);

		if (r < 0)
			buf_clear(&b);
		if (r == -ERR_INVAL)
			buf_add_cstr(&b, "(invalid)");
		else if (r < 0)
			buf_add_cstr(&b, "(too big)");
		assert_buf(&b, want);
	}
	buf_done(&b);
}

static void test_examples_of_the_rfc(void **state)
{
	(void)state;
	check_message(BYTES(HELLO), "Hello"); /* 7.2.3.1 */
	check_message(BYTES("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), "Hello"); /* 7.2.3.3 */
	check_message(BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), "Hello"); /* 7.2.3.4 */
	check_message(BYTES("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
		      "Hello");		    /* 7.2.3.5 */
	check_message(BYTES("\x00"), ""); /* 7.2.3.6 */
}

/* 7.2.3.2: the second message refers to the first, which the answer has forbidden. */
static void test_a_message_stands_for_itself(void **state)
{
	(void)state;
	check_message(BYTES(HELLO), "Hello");
	check_message(BYTES("\xf2\x00\x11\x00\x00"), "(invalid)");
	check_message(BYTES(HELLO), "Hello");
}

/* A block that says it is the last forgets nothing: "lo" of what follows may stand before it. */
static void test_blocks_marked_as_last(void **state)
{
	(void)state;
	check_message(BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00" HELLO), "HelloHello");
	check_message(BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x00\x11\x00\x00"), "HelloHello");
	check_message(BYTES("\x03\x00\x03\x00\x03\x00\x00"), "");
}

static void test_what_no_compressor_makes(void **state)
{
	(void)state;
	check_message(BYTES(""), "");
	check_message(BYTES("\xf2\x48\xcd\xc9\xc9"), "(invalid)");	 /* cut inside a block */
	check_message(BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00"), "(invalid)"); /* no empty one behind */
	check_message(BYTES("\x06"), "(invalid)"); /* reserved kind of block */
	check_message(BYTES("\x00\x05\x00\xfa\xfe\x48\x65\x6c\x6c\x6f\x00"), "(invalid)");
	check_message(BYTES("Hello"), "(invalid)");
	check_message(BYTES("\xff\xff\xff\xff"), "(invalid)");
}

/* ---- Out ---- */

static struct buf text_of(size_t len, bool is_noise)
{
	struct buf b = BUF_INIT;
	uint32_t seed = 12345;

	while (b.len < len) {
		seed = seed * 1664525u + 1013904223u;
		if (is_noise)
			buf_add_char(&b, (char)(seed >> 24));
		else
			buf_printf(&b, "word%u ", seed >> 28);
	}
	b.len = len;
	return b;
}

/* The payload of the only frame in B, whose first byte is B0. */
static struct str payload_of(const struct buf *b, uint8_t b0)
{
	size_t head = b->p[1] == 127 ? 10 : b->p[1] == 126 ? 4 : 2;
	uint8_t want[WS_HEADER_MAX];

	assert_int_equal(b->p[0], b0);
	assert_int_equal(ws_header(want, WS_OP_TEXT, b->len - head), head);
	assert_memory_equal(b->p + 1, want + 1, head - 1);
	return (struct str){(const char *)b->p + head, b->len - head};
}

static void test_every_window_and_back(void **state)
{
	struct ws_deflater *d = ws_deflater_new();
	struct buf text = text_of(100000, false), plain = BUF_INIT, out = BUF_INIT, back = BUF_INIT;

	(void)state;
	ws_add_frame(&plain, WS_OP_TEXT, buf_str(&text));
	for (int round = 0; round < 2; round++) {
		for (unsigned bits = WS_DEFLATE_BITS_MIN; bits <= WS_DEFLATE_BITS_MAX; bits++) {
			struct str piece;

			ws_deflate_frames(d, bits, buf_str(&plain), &out);
			piece = payload_of(&out, 0xc1);
			assert_true(piece.len < text.len / 2);
			assert_int_equal(ws_inflate(inflater, &piece, 1, text.len, &back), 0);
			assert_true(str_eq(buf_str(&back), buf_str(&text)));
			buf_clear(&out);
			buf_clear(&back);
		}
	}
	ws_deflater_free(&d);
	ws_deflater_free(&d);
	buf_done(&text);
	buf_done(&plain);
	buf_done(&out);
	buf_done(&back);
}

/* What goes to one connection after the other is compressed once, among a few others. */
static void test_the_same_frames_again(void **state)
{
	struct ws_deflater *d = ws_deflater_new();
	struct buf text = text_of(3000, false), plain = BUF_INIT, first = BUF_INIT, out = BUF_INIT;

	(void)state;
	for (int i = 0; i < 3; i++) {
		text.p[0] = (uint8_t)('a' + i);
		ws_add_frame(&plain, WS_OP_TEXT, buf_str(&text));
	}
	assert_int_equal(ws_deflate_frames(d, 15, buf_str(&plain), &first), 3);
	for (int i = 0; i < 5; i++) {
		assert_int_equal(ws_deflate_frames(d, 15, buf_str(&plain), &out), 0);
		assert_true(str_eq(buf_str(&out), buf_str(&first)));
		buf_clear(&out);
	}
	assert_int_equal(ws_deflate_frames(d, 9, buf_str(&plain), &out), 3); /* another window */
	plain.p[plain.len - 1] ^= 1;
	assert_int_equal(ws_deflate_frames(d, 15, buf_str(&plain), &out), 1); /* another text */
	ws_deflater_free(&d);
	buf_done(&text);
	buf_done(&plain);
	buf_done(&first);
	buf_done(&out);
}

/* What would not be shorter, control frames and little ones stay as they are, in their places. */
static void test_frames_that_stay(void **state)
{
	struct ws_deflater *d = ws_deflater_new();
	struct buf noise = text_of(70000, true), text = text_of(200, false), plain = BUF_INIT,
		   out = BUF_INIT;
	size_t before;

	(void)state;
	ws_add_frame(&plain, WS_OP_BINARY, buf_str(&noise));
	ws_add_frame(&plain, WS_OP_TEXT, STR("little"));
	ws_add_frame(&plain, WS_OP_PING, (struct str){(const char *)text.p, 120});
	ws_add_close(&plain, WS_CLOSE_NORMAL, (struct str){(const char *)text.p, 120});
	ws_deflate_frames(d, 15, buf_str(&plain), &out);
	assert_true(str_eq(buf_str(&out), buf_str(&plain)));
	before = out.len;
	buf_clear(&plain);
	ws_add_frame(&plain, WS_OP_TEXT, buf_str(&text));
	ws_deflate_frames(d, 15, buf_str(&plain), &out);
	assert_true(out.len < before + text.len);
	assert_int_equal(out.p[before], 0xc1);
	ws_deflater_free(&d);
	buf_done(&noise);
	buf_done(&text);
	buf_done(&plain);
	buf_done(&out);
}

/* ---- Frames of a client ---- */

static void client_frame(struct buf *b, uint8_t b0, struct str payload)
{
	uint8_t h[WS_HEADER_MAX], mask[4] = {0};
	size_t n = ws_header(h, WS_OP_TEXT, payload.len);

	h[0] = b0;
	h[1] |= 0x80;
	buf_add(b, h, n);
	buf_add(b, mask, sizeof(mask));
	buf_add_str(b, payload);
}

static void run(const struct buf *b, const struct ws_limits *limits, size_t chunk, struct buf *ret)
{
	struct buf unread = BUF_INIT;
	struct ws_in in;
	struct ws_msg m;
	size_t used;
	int r = -ERR_AGAIN;

	ws_in_init(&in);
	for (size_t at = 0; at < b->len && r == -ERR_AGAIN; at += chunk) {
		buf_add(&unread, b->p + at, MIN(chunk, b->len - at));
		while (!(r = ws_next(&in, limits, unread.p, unread.len, &used, &m))) {
			buf_printf(ret, "%d:", m.op);
			buf_add_str(ret, m.payload);
			buf_add_char(ret, ' ');
			buf_consume(&unread, used);
		}
		buf_consume(&unread, used);
	}
	if (r == -ERR_PROTO)
		buf_printf(ret, "fault:%d", m.close_code);
	else
		buf_add_cstr(ret, ws_in_message(&in) ? "inside" : "again");
	ws_in_done(&in);
	buf_done(&unread);
}

/* The same outcome at once and byte by byte; B is cleared. */
static void check_frames(struct buf *b, const char *want)
{
	const struct ws_limits limits = {
		.frame_max = 100, .message_max = 200, .fragments_max = 9, .inflater = inflater};
	struct buf got = BUF_INIT;

	for (size_t chunk = SIZE_MAX / 2; chunk; chunk = chunk > 3 ? 3 : chunk - 1) {
		run(b, &limits, chunk, &got);
		assert_buf(&got, want);
	}
	buf_done(&got);
	buf_clear(b);
}

static void test_compressed_messages(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	client_frame(&b, 0xc1, BYTES(HELLO));
	client_frame(&b, 0x81, STR("plain"));
	client_frame(&b, 0x41, BYTES("\xf2\x48\xcd")); /* 7.2.3.1, in fragments */
	client_frame(&b, 0x89, STR("ping"));
	client_frame(&b, 0x00, BYTES(""));
	client_frame(&b, 0x80, BYTES("\xc9\xc9\x07\x00"));
	client_frame(&b, 0x01, STR("in "));
	client_frame(&b, 0x80, STR("two"));
	client_frame(&b, 0xc2, BYTES("\x00"));
	client_frame(&b, 0xc2, BYTES(HELLO));
	check_frames(&b, "1:Hello 1:plain 9:ping 1:Hello 1:in two 2: 2:Hello again");
	buf_done(&b);
}

/* Section 6.1: RSV1 is of a message's first frame, and of no control frame. */
static void test_where_rsv1_may_stand(void **state)
{
	static const uint8_t wrong[] = {0xa1, 0x91, 0xf1, 0xe1, 0xd2, 0xc8, 0xc9, 0xca, 0xc0, 0xc3};
	struct buf b = BUF_INIT, got = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		client_frame(&b, wrong[i], BYTES(""));
		check_frames(&b, "fault:1002");
	}
	client_frame(&b, 0x41, BYTES("\xf2\x48\xcd"));
	client_frame(&b, 0xc0, BYTES("\xc9\xc9\x07\x00"));
	check_frames(&b, "fault:1002");
	client_frame(&b, 0xc1, BYTES(HELLO)); /* and nowhere at all when it was not agreed */
	run(&b, &(struct ws_limits){.frame_max = 100, .message_max = 200}, 100, &got);
	assert_buf(&got, "fault:1002");
	buf_done(&b);
	buf_done(&got);
}

static void test_faults_within(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	client_frame(&b, 0xc1, BYTES("\x06"));
	check_frames(&b, "fault:1007");
	client_frame(&b, 0xc2, BYTES("\xf2\x48\xcd\xc9\xc9"));
	check_frames(&b, "fault:1007");
	client_frame(&b, 0xc1, BYTES("\x00\x02\x00\xfd\xff\xc3\x28\x00")); /* no UTF-8 */
	check_frames(&b, "fault:1007");
	client_frame(&b, 0xc1, BYTES("\x00\x01\x00\xfe\xff\xc3\x00")); /* half a character */
	check_frames(&b, "fault:1007");
	client_frame(&b, 0xc2, BYTES("\x00\x02\x00\xfd\xff\xc3\x28\x00"));
	check_frames(&b, "2:\xc3\x28 again");
	buf_done(&b);
}

/* A message of LEN characters a, compressed, as one frame. */
static void add_bomb(struct buf *b, size_t len)
{
	struct ws_deflater *d = ws_deflater_new();
	struct buf text = BUF_INIT, plain = BUF_INIT, out = BUF_INIT;

	memset(buf_reserve(&text, len), 'a', len);
	buf_commit(&text, len);
	ws_add_frame(&plain, WS_OP_TEXT, buf_str(&text));
	ws_deflate_frames(d, 15, buf_str(&plain), &out);
	client_frame(b, 0xc1, payload_of(&out, 0xc1));
	ws_deflater_free(&d);
	buf_done(&text);
	buf_done(&plain);
	buf_done(&out);
}

/* The limit is on what a message becomes; on the wire a sixteenth more may come. */
static void test_limits_on_both_sides(void **state)
{
	struct buf b = BUF_INIT, want = BUF_INIT;
	char stored[300] = {0};

	(void)state;
	add_bomb(&b, 200);
	buf_add_cstr(&want, "1:");
	memset(buf_reserve(&want, 200), 'a', 200);
	buf_commit(&want, 200);
	buf_add(&want, " again", sizeof(" again"));
	check_frames(&b, (const char *)want.p);
	add_bomb(&b, 201);
	check_frames(&b, "fault:1009");
	add_bomb(&b, 16u << 20);
	check_frames(&b, "fault:1009");
	client_frame(&b, 0xc2, (struct str){stored, 100 + 100 / 16 + 16 + 1});
	check_frames(&b, "fault:1009");
	client_frame(&b, 0x82, (struct str){stored, 101});
	check_frames(&b, "fault:1009");
	for (int i = 0; i < 3; i++)
		client_frame(&b, i ? 0x00 : 0x42, (struct str){stored, 100});
	check_frames(&b, "fault:1009");
	buf_done(&b);
	buf_done(&want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples_of_the_rfc),
		cmocka_unit_test(test_a_message_stands_for_itself),
		cmocka_unit_test(test_blocks_marked_as_last),
		cmocka_unit_test(test_what_no_compressor_makes),
		cmocka_unit_test(test_every_window_and_back),
		cmocka_unit_test(test_the_same_frames_again),
		cmocka_unit_test(test_frames_that_stay),
		cmocka_unit_test(test_compressed_messages),
		cmocka_unit_test(test_where_rsv1_may_stand),
		cmocka_unit_test(test_faults_within),
		cmocka_unit_test(test_limits_on_both_sides),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
