/* SPDX-License-Identifier: MIT */
/*
 * Writing Socket.IO packets: the examples of the protocol's document, version 5, with the 4 of the
 * Engine.IO message in front. Reading is test_socketio.c's.
 */
#include "proto/socketio.h"

#include "proto_test.h"

#define MAIN STR(SIO_NSP_MAIN)

static void test_connect(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	sio_add_connect(&b, MAIN, STR("wZX3oN0bSVIhsaknAAAI"), STR(""));
	assert_buf(&b, "40{\"sid\":\"wZX3oN0bSVIhsaknAAAI\"}");
	sio_add_connect(&b, STR("/admin"), STR("oSO0OpakMV_3jnilAAAA"), STR(""));
	assert_buf(&b, "40/admin,{\"sid\":\"oSO0OpakMV_3jnilAAAA\"}");
	sio_add_connect(&b, MAIN, STR("s"), STR("p"));
	assert_buf(&b, "40{\"sid\":\"s\",\"pid\":\"p\"}");
	sio_add_connect_error(&b, MAIN, STR("Not authorized"), STR(""));
	assert_buf(&b, "44{\"message\":\"Not authorized\"}");
	sio_add_connect_error(&b, STR("/random"), STR("Invalid namespace"), STR(""));
	assert_buf(&b, "44/random,{\"message\":\"Invalid namespace\"}");
	sio_add_connect_error(&b, STR("/guarded"), STR("not authorized"),
			      STR("{\"code\":\"E_AUTH\"}"));
	assert_buf(&b,
		   "44/guarded,{\"message\":\"not authorized\",\"data\":{\"code\":\"E_AUTH\"}}");
	sio_add_disconnect(&b, MAIN);
	assert_buf(&b, "41");
	sio_add_disconnect(&b, STR("/admin"));
	assert_buf(&b, "41/admin,");
	buf_done(&b);
}

static void test_events(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	sio_event_begin(&b, MAIN, SIO_NO_ID, 0, "foo");
	sio_event_end(&b, STR(""));
	assert_buf(&b, "42[\"foo\"]");
	sio_event_begin(&b, STR("/admin"), 13, 0, "foo");
	json_add_sep(&b);
	json_add_str(&b, STR("Jude"));
	sio_event_end(&b, STR(""));
	assert_buf(&b, "42/admin,13[\"foo\",\"Jude\"]");
	sio_event_begin(&b, MAIN, 0, 0, "foo");
	sio_event_end(&b, STR("x1"));
	assert_buf(&b, "420[\"foo\",\"x1\"]"); /* the offset comes last */
	sio_add_event_at(&b, STR("42[\"foo\",{}]"), STR("x1"));
	assert_buf(&b, "42[\"foo\",{},\"x1\"]");
	sio_add_event_at(&b, STR("42[\"foo\"]"), STR(""));
	assert_buf(&b, "42[\"foo\"]");
	sio_event_begin(&b, STR("/admin"), SIO_NO_ID, 2, "baz");
	sio_add_placeholder(&b, 0);
	sio_add_placeholder(&b, 1);
	sio_event_end(&b, STR(""));
	assert_buf(&b, "452-/admin,[\"baz\",{\"_placeholder\":true,\"num\":0},"
		       "{\"_placeholder\":true,\"num\":1}]");
	sio_event_begin(&b, MAIN, 14, 1, "foo");
	sio_add_placeholder(&b, 0);
	sio_event_end(&b, STR(""));
	assert_buf(&b, "451-14[\"foo\",{\"_placeholder\":true,\"num\":0}]");
	buf_done(&b);
}

static void test_acks(void **state)
{
	struct cmd_id twelve = {2, "12"}, fifteen = {2, "15"};
	struct buf b = BUF_INIT;

	(void)state;
	sio_ack_begin(&b, MAIN, &twelve, 0);
	sio_ack_end(&b);
	assert_buf(&b, "4312[]");
	sio_ack_begin(&b, STR("/admin"), &(struct cmd_id){2, "13"}, 0);
	json_add_sep(&b);
	json_add_str(&b, STR("bar"));
	sio_ack_end(&b);
	assert_buf(&b, "43/admin,13[\"bar\"]");
	sio_ack_begin(&b, MAIN, &fifteen, 1);
	json_add_str(&b, STR("bar"));
	sio_add_placeholder(&b, 0);
	sio_ack_end(&b);
	assert_buf(&b, "461-15[\"bar\",{\"_placeholder\":true,\"num\":0}]");
	buf_done(&b);
}

/* What came goes out again the same, as the public test suite's server does. */
static void test_echo(void **state)
{
	static const struct sio_limits limits = {16, 10, 1000};
	static const char args[] = "1,\"2\",{\"3\":[false],\"a\\\"b\":{}},null,0.30000000000000004,"
				   "{\"_placeholder\":true,\"num\":0},\"\\u0007\xe2\x82\xac\"";
	struct buf b = BUF_INIT, text = BUF_INIT;
	struct sio_in in = {0};
	struct sio_packet p;
	struct cmd_id id;
	struct fault f;

	(void)state;
	buf_printf(&text, "2456[\"message\",%s]", args);
	assert_int_equal(sio_decode(&in, buf_str(&text), false, &limits, &p, &f), 0);
	sio_cmd_id(&p, &id);
	sio_ack_begin(&b, p.nsp, &id, 0);
	sio_add_args(&b, &p, 0);
	sio_ack_end(&b);
	buf_clear(&text);
	buf_printf(&text, "43456[%s]", args);
	assert_true(str_eq(buf_str(&b), buf_str(&text)));
	buf_clear(&b);
	sio_event_begin(&b, p.nsp, SIO_NO_ID, 0, "back");
	sio_add_args(&b, &p, 5);
	sio_event_end(&b, STR(""));
	assert_buf(&b, "42[\"back\",{\"_placeholder\":true,\"num\":0},\"\\u0007\xe2\x82\xac\"]");
	sio_packet_done(&p);
	buf_done(&text);
	buf_done(&b);
}

static void test_refusal(void **state)
{
	struct buf b = BUF_INIT;
	struct fault f;

	(void)state;
	fault_set(&f, E_FORBIDDEN);
	sio_add_refusal(&b, &f, 0);
	assert_buf(&b, "{\"ok\":false,\"error\":\"This is not allowed.\",\"code\":\"forbidden\"}");
	fault_field(&f, FAULT_MISSING, "content", 0);
	sio_add_refusal(&b, &f, 1500);
	assert_buf(&b, "{\"ok\":false,\"error\":\"content is missing.\",\"code\":\"invalid\","
		       "\"field\":\"content\",\"retry_after\":1.5}");
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect), cmocka_unit_test(test_events),
		cmocka_unit_test(test_acks),	cmocka_unit_test(test_echo),
		cmocka_unit_test(test_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
