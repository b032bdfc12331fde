/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/event.c: every type there and back, and the refusal of everything else.
 * That the form is MessagePack is checked with msgpack-c's own reader.
 */
#include "proto_test.h"

#include <msgpack.h>

#include "proto/event.h"
#include "proto/json.h"

static const int types[] = {
#define X(name, id, native, raw, class, perm, rate) EVT_##name,
#include "proto/events.def"
#undef X
};

static struct event sample(int type)
{
	bool durable = event_info(type)->class == EVENT_DURABLE;
	struct event e = {
	    .type = type,
	    .conv = 42,
	    .rev = durable ? INT64_C(4000000000) : 0,
	    .seq = durable ? 70000 : 0,
	    .at_ms = INT64_C(1767323045678),
	    .actor = 7,
	    .actor_name = STR("Al\xc3\xa9"),
	    .subject = 9,
	    .subject_name = STR("Bob"),
	    .client_id = STR("k-1"),
	    .content = STR("hello \xf0\x9f\x98\x80"),
	    .key = STR("admin"),
	    .reply_to_rev = 117,
	    .target_rev = 200,
	    .on = true,
	    .reason = PRESENCE_LOST,
	};

	memset(e.client_msg_id.b, 0x5a, sizeof(e.client_msg_id.b));
	return e;
}

static void assert_same_str(struct str a, struct str b)
{
	assert_true(str_eq(a, b));
}

static void assert_same(const struct event *a, const struct event *b)
{
	assert_int_equal(a->type, b->type);
	assert_int_equal(a->conv, b->conv);
	assert_int_equal(a->rev, b->rev);
	assert_int_equal(a->seq, b->seq);
	assert_int_equal(a->at_ms, b->at_ms);
	assert_int_equal(a->actor, b->actor);
	assert_int_equal(a->subject, b->subject);
	assert_int_equal(a->reply_to_rev, b->reply_to_rev);
	assert_int_equal(a->target_rev, b->target_rev);
	assert_int_equal(a->on, b->on);
	assert_int_equal(a->reason, b->reason);
	assert_memory_equal(a->client_msg_id.b, b->client_msg_id.b, 16);
	assert_same_str(a->actor_name, b->actor_name);
	assert_same_str(a->subject_name, b->subject_name);
	assert_same_str(a->client_id, b->client_id);
	assert_same_str(a->content, b->content);
	assert_same_str(a->key, b->key);
}

static void test_round_trip(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct event e = sample(types[i]), d;

		event_encode(&e, &b);
		assert_int_equal(event_decode(b.p, b.len, &d), 0);
		assert_same(&e, &d);
		buf_clear(&b);
	}
	buf_done(&b);
}

/* Integers at the borders of MessagePack's formats. */
static void test_integers(void **state)
{
	static const int64_t values[] = {1,
					 127,
					 128,
					 255,
					 256,
					 32767,
					 32768,
					 65535,
					 65536,
					 2147483647,
					 INT64_C(2147483648),
					 INT64_C(4294967295),
					 INT64_C(4294967296),
					 INT64_MAX};
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		struct event e = sample(EVT_MESSAGE_NEW), d;

		e.conv = MIN(values[i], INT32_MAX);
		e.rev = MIN(values[i], UINT32_MAX);
		e.seq = e.actor = e.subject = values[i];
		e.at_ms = MAX(-values[i], INT64_C(-62135596800000));
		event_encode(&e, &b);
		assert_int_equal(event_decode(b.p, b.len, &d), 0);
		assert_same(&e, &d);
		buf_clear(&b);
	}
	buf_done(&b);
}

/* Times outside the years 0001 to 9999 cannot be shown, so they are refused at the door. */
static void test_times(void **state)
{
	struct event e = sample(EVT_TYPING), d;
	struct buf b = BUF_INIT;
	uint8_t *at;

	(void)state;
	e.at_ms = INT64_C(253402300799999); /* 0x0000e677d21fdbff */
	event_encode(&e, &b);
	assert_int_equal(event_decode(b.p, b.len, &d), 0);
	at = memmem(b.p, b.len, "\xe6\x77\xd2\x1f\xdb\xff", 6);
	assert_non_null(at);
	at[4]++;
	at[5] = 0;
	assert_int_equal(event_decode(b.p, b.len, &d), -ERR_CORRUPT);
	buf_done(&b);
}

static void test_long_strings(void **state)
{
	static const size_t sizes[] = {0, 31, 32, 255, 256, 65535, 65536, EVENT_CONTENT_MAX};
	char *text = xmalloc(EVENT_CONTENT_MAX);
	struct buf b = BUF_INIT;

	(void)state;
	memset(text, 'x', EVENT_CONTENT_MAX);
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		struct event e = sample(EVT_MESSAGE_NEW), d;

		e.content = (struct str){text, sizes[i]};
		event_encode(&e, &b);
		assert_int_equal(event_decode(b.p, b.len, &d), 0);
		assert_same(&e, &d);
		buf_clear(&b);
	}
	free(text);
	buf_done(&b);
}

static void test_is_messagepack(void **state)
{
	struct event e = sample(EVT_MESSAGE_NEW);
	struct buf b = BUF_INIT;
	msgpack_unpacked u;
	size_t off = 0;

	(void)state;
	event_encode(&e, &b);
	msgpack_unpacked_init(&u);
	assert_int_equal(msgpack_unpack_next(&u, (const char *)b.p, b.len, &off),
			 MSGPACK_UNPACK_SUCCESS);
	assert_int_equal(off, b.len);
	assert_int_equal(u.data.type, MSGPACK_OBJECT_ARRAY);
	assert_int_equal(u.data.via.array.ptr[0].via.u64, 1);
	assert_int_equal(u.data.via.array.ptr[2].via.u64, 42);
	msgpack_unpacked_destroy(&u);
	buf_done(&b);
}

/* No prefix is an event, nor one with a byte more; *RET stays as it was. */
static void test_every_cut(void **state)
{
	struct event e = sample(EVT_MESSAGE_NEW), d = {.conv = 4711};
	struct buf b = BUF_INIT;

	(void)state;
	event_encode(&e, &b);
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(event_decode(b.p, n, &d), -ERR_CORRUPT);
	buf_add_char(&b, '\0');
	assert_int_equal(event_decode(b.p, b.len, &d), -ERR_CORRUPT);
	assert_int_equal(d.conv, 4711);
	buf_done(&b);
}

/* Whatever one byte is changed to, the result is a sound event or an error. */
static void test_every_byte(void **state)
{
	struct event e = sample(EVT_PRESENCE), d;
	struct buf b = BUF_INIT;

	(void)state;
	event_encode(&e, &b);
	for (size_t at = 0; at < b.len; at++) {
		uint8_t was = b.p[at];

		for (int c = 0; c < 256; c++) {
			b.p[at] = (uint8_t)c;
			if (event_decode(b.p, b.len, &d) == 0) {
				assert_true(d.conv > 0);
				assert_int_equal(d.rev > 0,
						 event_info(d.type)->class == EVENT_DURABLE);
			}
		}
		b.p[at] = was;
	}
	buf_done(&b);
}

static void test_versions_and_types(void **state)
{
	struct event e = sample(EVT_TYPING), d;
	struct buf b = BUF_INIT;

	(void)state;
	event_encode(&e, &b);
	/* array 16 header of three bytes, then version and type as positive fixints */
	assert_int_equal(b.p[3], 1);
	assert_int_equal(b.p[4], EVT_TYPING);
	b.p[3] = 2;
	assert_int_equal(event_decode(b.p, b.len, &d), -ERR_UNSUPPORTED);
	b.p[3] = 0;
	assert_int_equal(event_decode(b.p, b.len, &d), -ERR_CORRUPT);
	b.p[3] = 1;
	b.p[4] = 127;
	assert_int_equal(event_decode(b.p, b.len, &d), -ERR_UNSUPPORTED);
	b.p[4] = EVT_MESSAGE_NEW; /* durable without a rev */
	assert_int_equal(event_decode(b.p, b.len, &d), -ERR_CORRUPT);
	buf_done(&b);
}

static int add_bytes(void *b, const char *p, size_t len)
{
	buf_add(b, p, len);
	return 0;
}

static void pack_text(msgpack_packer *pk, struct str s)
{
	msgpack_pack_str(pk, s.len);
	msgpack_pack_str_body(pk, s.len ? s.p : "", s.len);
}

/* The form as event.c describes it, written without its checks. UUID_LEN bytes of key. */
static void pack_unchecked(struct buf *b, const struct event *e, size_t uuid_len)
{
	msgpack_packer pk;

	msgpack_packer_init(&pk, b, add_bytes);
	msgpack_pack_array(&pk, 18);
	msgpack_pack_int64(&pk, 1);
	msgpack_pack_int64(&pk, e->type);
	msgpack_pack_int64(&pk, e->conv);
	msgpack_pack_int64(&pk, e->rev);
	msgpack_pack_int64(&pk, e->seq);
	msgpack_pack_int64(&pk, e->at_ms);
	msgpack_pack_int64(&pk, e->actor);
	pack_text(&pk, e->actor_name);
	msgpack_pack_int64(&pk, e->subject);
	pack_text(&pk, e->subject_name);
	msgpack_pack_bin(&pk, uuid_len);
	msgpack_pack_bin_body(&pk, e->client_msg_id.b, uuid_len);
	pack_text(&pk, e->client_id);
	pack_text(&pk, e->content);
	pack_text(&pk, e->key);
	msgpack_pack_int64(&pk, e->reply_to_rev);
	msgpack_pack_int64(&pk, e->target_rev);
	msgpack_pack_true(&pk);
	msgpack_pack_int64(&pk, e->reason);
}

static void check_unsound(const struct event *e)
{
	struct buf b = BUF_INIT;
	struct event d;

	pack_unchecked(&b, e, 16);
	assert_int_equal(event_decode(b.p, b.len, &d), -ERR_CORRUPT);
	buf_done(&b);
}

/* Each rule of soundness broken alone. */
static void test_soundness(void **state)
{
	const struct event good = sample(EVT_MESSAGE_NEW);
	char *text = xmalloc(EVENT_CONTENT_MAX + 1);
	struct buf b = BUF_INIT;
	struct event e, d;

	(void)state;
	memset(text, 'x', EVENT_CONTENT_MAX + 1);
	pack_unchecked(&b, &good, 16);
	assert_int_equal(event_decode(b.p, b.len, &d), 0);
	assert_same(&good, &d);
	e = good;
	e.actor = e.subject = 0; /* the system, to nobody in particular */
	e.key = (struct str){text, EVENT_KEY_MAX};
	buf_clear(&b);
	event_encode(&e, &b);
	assert_int_equal(event_decode(b.p, b.len, &d), 0);
#define BAD(change)                                                                                \
	do {                                                                                       \
		e = good;                                                                          \
		change;                                                                            \
		check_unsound(&e);                                                                 \
	} while (0)
	BAD(e.conv = 0);
	BAD(e.conv = -1);
	BAD(e.conv = INT64_C(1) << 31);
	BAD(e.rev = 0);
	BAD(e.rev = -1);
	BAD(e.rev = INT64_C(1) << 32);
	BAD(e.seq = -1);
	BAD(e.actor = -1);
	BAD(e.subject = -1);
	BAD(e.reply_to_rev = -1);
	BAD(e.reply_to_rev = INT64_C(1) << 32);
	BAD(e.target_rev = -1);
	BAD(e.at_ms = INT64_C(253402300800000));
	BAD(e.at_ms = INT64_C(-62135596800001));
	BAD(e.reason = PRESENCE_REMOVED + 1);
	BAD(e.type = EVT_PRESENCE); /* ephemeral with a rev */
	BAD(e.actor_name = STR("\xff"));
	BAD(e.content = STR("\xed\xa0\x80"));
	BAD(e.actor_name = ((struct str){text, EVENT_NAME_MAX + 1}));
	BAD(e.subject_name = ((struct str){text, EVENT_NAME_MAX + 1}));
	BAD(e.key = ((struct str){text, EVENT_KEY_MAX + 1}));
	BAD(e.client_id = ((struct str){text, EVENT_CLIENT_ID_MAX + 1}));
	BAD(e.content = ((struct str){text, EVENT_CONTENT_MAX + 1}));
#undef BAD
	buf_clear(&b);
	pack_unchecked(&b, &good, 15);
	assert_int_equal(event_decode(b.p, b.len, &d), -ERR_CORRUPT);
	free(text);
	buf_done(&b);
}

static void test_tables(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		const struct event_info *info = event_info(types[i]);

		assert_non_null(info);
		assert_ptr_equal(event_info_by_name(str_of(info->native)), info);
	}
	assert_null(event_info(EVT_NONE));
	assert_null(event_info_by_name(STR("message")));
	assert_int_equal(op_by_native(STR("send"))->op, OP_SEND);
	assert_int_equal(op_by_raw(STR("message"))->op, OP_SEND);
	assert_null(op_by_raw(STR("send")));
	assert_null(op_by_native(STR("Send")));
	assert_null(op_info(OP_NONE));
	assert_null(op_info(OP_COUNT));
	for (int op = OP_NONE + 1; op < OP_COUNT; op++)
		assert_int_equal(op_info(op)->op, op);
	events_describe(&b);
	assert_true(json_check(buf_str(&b), 2));
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),	       cmocka_unit_test(test_integers),
	    cmocka_unit_test(test_long_strings),       cmocka_unit_test(test_times),
	    cmocka_unit_test(test_soundness),	       cmocka_unit_test(test_is_messagepack),
	    cmocka_unit_test(test_every_cut),	       cmocka_unit_test(test_every_byte),
	    cmocka_unit_test(test_versions_and_types), cmocka_unit_test(test_tables),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
