/* SPDX-License-Identifier: MIT */
/*
 * Reading Socket.IO packets: the examples of the protocol's document, version 5, and what its
 * reference reader refuses. Writing is test_socketio_out.c's.
 */
#include "proto/socketio.h"

#include "proto_test.h"

static const struct sio_limits limits = {
	.depth_max = 8, .attachments_max = 3, .attachments_bytes = 10};

static int decode(struct sio_in *in, const char *text, struct sio_packet *p)
{
	struct fault f;

	return sio_decode(in, str_of(text), false, &limits, p, &f);
}

static int attach(struct sio_in *in, const char *bytes, struct sio_packet *p)
{
	struct fault f;

	return sio_decode(in, str_of(bytes), true, &limits, p, &f);
}

/* One packet without attachments; DATA is its payload written again, NULL when it has none. */
static void check(const char *text, enum sio_type type, const char *nsp, int64_t id,
		  const char *data)
{
	struct sio_in in = {0};
	struct sio_packet p;
	struct buf b = BUF_INIT;

	if (decode(&in, text, &p) != 0)
		fail_msg("refused: %s", text);
	assert_int_equal(p.type, type);
	assert_str(p.nsp, nsp);
	assert_int_equal(p.has_id, id >= 0);
	assert_int_equal(p.id, id >= 0 ? id : 0);
	assert_int_equal(p.nattachments, 0);
	assert_int_equal(p.data != NULL, data != NULL);
	if (data) {
		json_add_value(&b, p.data);
		assert_buf(&b, data);
	}
	sio_packet_done(&p);
	sio_in_done(&in);
	buf_done(&b);
}

static void refuse(const char *text)
{
	struct sio_packet p = {.id = 77};
	struct sio_in in = {0};

	if (decode(&in, text, &p) != -ERR_PROTO)
		fail_msg("taken: %s", text);
	assert_int_equal(p.id, 77);
	assert_int_equal(in.wanted, 0);
	sio_in_done(&in);
}

static void test_examples(void **state)
{
	(void)state;
	check("0", SIO_CONNECT, "/", -1, NULL);
	check("0{\"token\":\"123\"}", SIO_CONNECT, "/", -1, "{\"token\":\"123\"}");
	check("0/admin,", SIO_CONNECT, "/admin", -1, NULL);
	check("0/random", SIO_CONNECT, "/random", -1, NULL);
	check("0/admin,{\"token\":\"123\"}", SIO_CONNECT, "/admin", -1, "{\"token\":\"123\"}");
	check("4{\"message\":\"Not authorized\"}", SIO_CONNECT_ERROR, "/", -1,
	      "{\"message\":\"Not authorized\"}");
	check("4\"Unauthorized\"", SIO_CONNECT_ERROR, "/", -1, "\"Unauthorized\"");
	check("1", SIO_DISCONNECT, "/", -1, NULL);
	check("1/admin,", SIO_DISCONNECT, "/admin", -1, NULL);
	check("2[\"foo\"]", SIO_EVENT, "/", -1, "[\"foo\"]");
	check("2/admin,[\"bar\"]", SIO_EVENT, "/admin", -1, "[\"bar\"]");
	check("212[\"foo\"]", SIO_EVENT, "/", 12, "[\"foo\"]");
	check("2/admin,13[\"foo\"]", SIO_EVENT, "/admin", 13, "[\"foo\"]");
	check("20[\"foo\"]", SIO_EVENT, "/", 0, "[\"foo\"]");
	check("2456[\"message-with-ack\",1,\"2\",{\"3\":[false]}]", SIO_EVENT, "/", 456,
	      "[\"message-with-ack\",1,\"2\",{\"3\":[false]}]");
	check("2[1,\"a\",{}]", SIO_EVENT, "/", -1, "[1,\"a\",{}]");
	check("2[\"a\",null,0.1,-1.5e300,true]", SIO_EVENT, "/", -1,
	      "[\"a\",null,0.1,-1.5e+300,true]");
	check("312[]", SIO_ACK, "/", 12, "[]");
	check("3/admin,13[\"bar\"]", SIO_ACK, "/admin", 13, "[\"bar\"]");
}

static void test_refused(void **state)
{
	static const char *const bad[] = {
		/* what the reference reader's own tests have */
		"42[\"some\",\"data\"",
		"0/admin,\"invalid\"",
		"0[]",
		"1/admin,{}",
		"2/admin,\"invalid",
		"2/admin,{}",
		"2[{\"toString\":\"foo\"}]",
		"2[true,\"foo\"]",
		"2[null,\"bar\"]",
		"2[\"connect\"]",
		"2[\"disconnect\",\"123\"]",
		"5",
		"51",
		"5a-",
		"51.23-",
		"999",
		/* the document's test suite */
		"abc",
		"2{}",
		"2abc[\"message-with-ack\",1,\"2\",{\"3\":[false]}]",
		/* a payload is mandatory; the other reserved names */
		"",
		"2",
		"2/admin,",
		"212",
		"2[]",
		"3",
		"312",
		"3{}",
		"4",
		"4[]",
		"2[\"connect_error\"]",
		"2[\"disconnecting\"]",
		"2[\"newListener\"]",
		"2[\"removeListener\"]",
		"7",
		"8[\"a\"]",
		/* numbers */
		"29007199254740992[\"a\"]",
		"211111111111111111[\"a\"]",
		/* 2^64 + 1 */
		"218446744073709551617[\"a\"]",
		"2-1[\"a\"]",
		"2 1[\"a\"]",
		"5-[\"a\"]",
		"54-[\"a\"]",
		"5 1-[\"a\"]",
		"5-1-[\"a\"]",
		"54294967297-[\"a\"]",
		/* attachments that are not there, on a packet that has none */
		"50-[\"a\"]",
		"60-[]",
		"50-[\"a\",{\"_placeholder\":true,\"num\":0}]",
		"2[\"a\"]x",
		"2[\"a\"][\"b\"]",
		"1[]",
		"2 [\"a\"]",
		"0 {}",
		"3 []",
		"4 \"x\"",
		"4null",
		"0null",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refuse(bad[i]);
	check("29007199254740991[\"a\"]", SIO_EVENT, "/", SIO_ID_MAX, "[\"a\"]");
}

/* Well-formed and refused: told to who asked, and the connection goes on. */
static void test_refused_json(void **state)
{
	static const char *const texts[] = {
		"2/n,7[\"a\",\"\\u0000\"]", "2/n,7[\"a\",{\"x\":1,\"x\":2}]",
		"2/n,7[\"a\",\"\\ud83d\"]", "2/n,7[\"a\",123456789012345678901234567890]",
		"2/n,7[\"a\",1e999]",	    "2/n,7[[[[[[[[[[]]]]]]]]]]",
	};
	struct sio_in in = {0};
	struct sio_packet p;
	struct fault f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		if (sio_decode(&in, str_of(texts[i]), false, &limits, &p, &f) != -ERR_INVAL)
			fail_msg("%s", texts[i]);
		assert_int_equal(f.error, E_BAD_JSON);
		assert_int_equal(p.type, SIO_EVENT);
		assert_str(p.nsp, "/n");
		assert_int_equal(p.id, 7);
		assert_null(p.data);
		assert_int_equal(sio_arg_count(&p), 0);
		sio_packet_done(&p);
	}
	/* what it announced is received first */
	assert_int_equal(decode(&in, "51-7[\"a\",\"\\u0000\"]", &p), -ERR_AGAIN);
	assert_int_equal(sio_decode(&in, STR("x"), true, &limits, &p, &f), -ERR_INVAL);
	assert_int_equal(p.id, 7);
	sio_packet_done(&p);
	assert_int_equal(decode(&in, "2[\"b\"]", &p), 0);
	sio_packet_done(&p);
	sio_in_done(&in);
}

static void check_attachment(const struct sio_packet *p, const struct json_value *v,
			     const char *bytes)
{
	struct str s;

	assert_true(sio_attachment(p, v, &s));
	assert_str(s, bytes);
}

static void test_attachments(void **state)
{
	struct sio_in in = {0};
	struct sio_packet p;
	struct str s;

	(void)state;
	assert_int_equal(decode(&in, "51-[\"baz\",{\"_placeholder\":true,\"num\":0}]", &p),
			 -ERR_AGAIN);
	assert_int_equal(attach(&in, "\1\2\3\4", &p), 0);
	assert_int_equal(p.type, SIO_EVENT);
	assert_int_equal(p.nattachments, 1);
	check_attachment(&p, sio_arg(&p, 0), "\1\2\3\4");
	assert_false(sio_attachment(&p, json_at(p.data, 0), &s));
	assert_false(sio_attachment(&p, sio_arg(&p, 1), &s));
	sio_packet_done(&p);

	assert_int_equal(
		decode(&in,
		       "52-/admin,7[\"baz\",{\"b\":[\"c\",{\"_placeholder\":true,\"num\":1}]},"
		       "{\"_placeholder\":true,\"num\":0}]",
		       &p),
		-ERR_AGAIN);
	assert_int_equal(attach(&in, "", &p), -ERR_AGAIN);
	assert_int_equal(attach(&in, "\3\4", &p), 0);
	assert_str(p.nsp, "/admin");
	assert_int_equal(p.id, 7);
	check_attachment(&p, json_at(json_get(sio_arg(&p, 0), "b"), 1), "\3\4");
	check_attachment(&p, sio_arg(&p, 1), "");
	assert_int_equal(sio_attachment_at(&p, 0).len, 0);
	assert_str(sio_attachment_at(&p, 1), "\3\4");
	sio_packet_done(&p);

	assert_int_equal(decode(&in, "61-15[\"bar\",{\"_placeholder\":true,\"num\":0}]", &p),
			 -ERR_AGAIN);
	assert_int_equal(attach(&in, "xyz", &p), 0);
	assert_int_equal(p.type, SIO_ACK);
	check_attachment(&p, sio_arg(&p, 1), "xyz");
	sio_packet_done(&p);

	/* a packet that announces none may have anything in it */
	assert_int_equal(decode(&in, "2[\"a\",{\"_placeholder\":true,\"num\":0}]", &p), 0);
	assert_false(sio_attachment(&p, sio_arg(&p, 0), &s));
	sio_packet_done(&p);
	sio_in_done(&in);
}

static void test_attachments_refused(void **state)
{
	static const char *const bad[] = {
		"51-[\"hello\",{\"_placeholder\":true,\"num\":\"splice\"}]",
		"51-[\"hello\",{\"_placeholder\":true,\"num\":1}]",
		"51-[\"hello\",{\"_placeholder\":true,\"num\":-1}]",
		"51-[\"hello\",{\"_placeholder\":true,\"num\":0.5}]",
		"51-[\"hello\",{\"_placeholder\":true}]",
		"51-[\"hello\",[{\"x\":{\"_placeholder\":true,\"num\":1}}]]",
		"53-[\"hello\",{\"_placeholder\":true,\"num\":3}]",
	};
	struct sio_in in = {0};
	struct sio_packet p;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		refuse(bad[i]);
	assert_int_equal(attach(&in, "world", &p), -ERR_PROTO); /* nobody announced it */
	assert_int_equal(decode(&in, "51-[\"hello\",{\"_placeholder\":true,\"num\":0}]", &p),
			 -ERR_AGAIN);
	assert_int_equal(decode(&in, "2[\"hello\"]", &p), -ERR_PROTO); /* text in its place */
	sio_in_done(&in);
	assert_int_equal(decode(&in, "2[\"hello\"]", &p), 0);
	sio_packet_done(&p);

	/* ten bytes in all, no more */
	assert_int_equal(decode(&in, "52-[\"a\"]", &p), -ERR_AGAIN);
	assert_int_equal(attach(&in, "12345", &p), -ERR_AGAIN);
	assert_int_equal(attach(&in, "67890", &p), 0);
	sio_packet_done(&p);
	assert_int_equal(decode(&in, "52-[\"a\"]", &p), -ERR_AGAIN);
	assert_int_equal(attach(&in, "12345", &p), -ERR_AGAIN);
	assert_int_equal(attach(&in, "678901", &p), -ERR_PROTO);
	sio_in_done(&in);
	assert_int_equal(decode(&in, "51-[\"a\"]", &p), -ERR_AGAIN);
	assert_int_equal(attach(&in, "12345678901", &p), -ERR_PROTO);
	sio_in_done(&in);
}

static void test_arguments(void **state)
{
	struct sio_in in = {0};
	struct sio_packet p;
	struct cmd_id id;
	struct str name;
	int64_t n;

	(void)state;
	assert_int_equal(decode(&in, "2007[\"message\",5,null]", &p), 0);
	assert_true(sio_event_name(&p, &name));
	assert_str(name, "message");
	assert_int_equal(sio_arg_count(&p), 2);
	assert_true(json_to_i64(sio_arg(&p, 0), &n));
	assert_int_equal(n, 5);
	assert_int_equal(json_kind_of(sio_arg(&p, 1)), JSON_KIND_NULL);
	assert_null(sio_arg(&p, 2));
	sio_cmd_id(&p, &id);
	assert_str(((struct str){id.text, id.len}), "7");
	sio_packet_done(&p);

	assert_int_equal(decode(&in, "2[5]", &p), 0);
	assert_false(sio_event_name(&p, &name));
	sio_cmd_id(&p, &id);
	assert_int_equal(id.len, 0);
	sio_packet_done(&p);
	assert_int_equal(decode(&in, "31[5]", &p), 0);
	assert_false(sio_event_name(&p, &name));
	assert_int_equal(sio_arg_count(&p), 1);
	sio_packet_done(&p);
}

static void test_auth(void **state)
{
	struct sio_in in = {0};
	struct sio_packet p;
	struct sio_auth a;

	(void)state;
	assert_int_equal(
		decode(&in, "0{\"token\":\"t\",\"pid\":\"p\",\"offset\":\"o\",\"x\":1}", &p), 0);
	sio_auth_read(&p, &a);
	assert_str(a.token, "t");
	assert_str(a.pid, "p");
	assert_str(a.offset, "o");
	assert_false(a.has_autojoin);
	sio_packet_done(&p);
	assert_int_equal(decode(&in, "0{\"autojoin\":true}", &p), 0);
	sio_auth_read(&p, &a);
	assert_true(a.has_autojoin && a.autojoin);
	sio_packet_done(&p);
	assert_int_equal(decode(&in, "0{\"autojoin\":false}", &p), 0);
	sio_auth_read(&p, &a);
	assert_true(a.has_autojoin && !a.autojoin);
	sio_packet_done(&p);
	assert_int_equal(decode(&in, "0{\"autojoin\":1}", &p), 0);
	sio_auth_read(&p, &a);
	assert_false(a.has_autojoin || a.autojoin);
	sio_packet_done(&p);
	assert_int_equal(decode(&in, "0{\"token\":7,\"pid\":null,\"offset\":[]}", &p), 0);
	sio_auth_read(&p, &a);
	assert_int_equal(a.token.len + a.pid.len + a.offset.len, 0);
	sio_packet_done(&p);
	assert_int_equal(decode(&in, "0", &p), 0);
	sio_auth_read(&p, &a);
	assert_int_equal(a.token.len, 0);
	sio_packet_done(&p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refused_json),
		cmocka_unit_test(test_attachments),
		cmocka_unit_test(test_attachments_refused),
		cmocka_unit_test(test_arguments),
		cmocka_unit_test(test_auth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
