/* SPDX-License-Identifier: MIT */
/*
 * S0's event: the three forms of a message, and what a room is told.
 * Expected texts are those of the wire contract.
 */
#include "proto/s0.h"

#include "proto_test.h"

static const struct cmd_limits limits = {.depth_max = 16, .name_max = 100, .message_max = 12};

static int decode(const char *text, struct sio_packet *p, struct cmd *c, struct fault *f)
{
	static const struct sio_limits packets = {16, 10, 1000};
	struct sio_in in = {0};

	assert_int_equal(sio_decode(&in, str_of(text), false, &packets, p, f), 0);
	return s0_cmd(p, &limits, c, f);
}

static void check(const char *text, const char *content)
{
	struct sio_packet p;
	struct fault f;
	struct cmd c;

	assert_int_equal(decode(text, &p, &c, &f), 0);
	assert_int_equal(c.op, OP_SEND);
	assert_str(c.content, content);
	assert_int_equal(c.conv, 0);
	assert_false(c.has_key);
	sio_packet_done(&p);
}

static void refuse(const char *text, enum proto_error error, const char *field)
{
	struct sio_packet p;
	struct fault f;
	struct cmd c;

	assert_int_equal(decode(text, &p, &c, &f), -ERR_INVAL);
	assert_int_equal(f.error, error);
	if (field)
		assert_string_equal(f.field, field);
	assert_int_equal(c.id.len, 1); /* a refusal is answered too */
	sio_packet_done(&p);
}

static void test_reading(void **state)
{
	(void)state;
	check("2[\"message\",{\"data\":\"hi\"}]", "hi");
	check("2[\"message\",\"hi\"]", "hi");
	check("2[\"message\",{\"message\":\"hi\"}]", "hi");
	check("2[\"message\",{\"data\":\"hi\",\"message\":5,\"extra\":1}]", "hi");
	check("2[\"message\",{\"data\":null,\"message\":\"hi\"}]", "hi");
	check("2[\"message\",\" hi\\n\",\"more\"]", " hi\n");

	refuse("27[\"message\"]", E_INVALID, "data");
	refuse("27[\"message\",null]", E_INVALID, "data");
	refuse("27[\"message\",5]", E_INVALID, "data");
	refuse("27[\"message\",{}]", E_INVALID, "data");
	refuse("27[\"message\",{\"data\":5}]", E_INVALID, "data");
	refuse("27[\"message\",{\"message\":\"\"}]", E_INVALID, "message");
	refuse("27[\"message\",\"\"]", E_INVALID, "message");
	refuse("27[\"message\",\" \\n\"]", E_INVALID, "message");
	refuse("27[\"message\",\"1234567890123\"]", E_INVALID, "message");
	refuse("27[\"message\",\"a\\u0007\"]", E_INVALID, "message");
	refuse("27[\"messages\",\"hi\"]", E_UNKNOWN_OP, NULL);
	refuse("27[5,\"hi\"]", E_UNKNOWN_OP, NULL);
}

/* Red before the key was read. */
static void test_key(void **state UNUSED)
{
	struct sio_packet p;
	struct fault f;
	struct cmd c;

	assert_int_equal(decode("2[\"message\",{\"data\":\"hi\",\"clientMsgId\":\"k1\"}]", &p, &c,
				&f),
			 0);
	assert_str(c.content, "hi");
	assert_true(c.has_key);
	assert_str(c.key, "k1");
	sio_packet_done(&p);
	refuse("27[\"message\",{\"data\":\"hi\",\"clientMsgId\":5}]", E_INVALID, "clientMsgId");
	refuse("27[\"message\",{\"data\":\"hi\",\"clientMsgId\":\"\"}]", E_INVALID, "clientMsgId");
}

static void test_writing(void **state)
{
	struct event e = {.type = EVT_MESSAGE_NEW,
			  .conv = 1,
			  .rev = 3,
			  .seq = 2,
			  .at_ms = 784111777123,
			  .actor = 7,
			  .actor_name = STR("Ann"),
			  .content = STR("a \"b\"")};
	struct buf b = BUF_INIT;

	(void)state;
	assert_true(s0_add_event(&b, &e, STR("o")));
	assert_buf(&b, "42[\"message\",{\"name\":\"Ann\",\"message\":\"a \\\"b\\\"\","
		       "\"timestamp\":\"1994-11-06T08:49:37.123Z\",\"id\":\"4294967299\",\"seq\":2}"
		       ",\"o\"]");
	e.content = STR("");
	e.key = STR("/files/1");
	assert_true(s0_add_event(&b, &e, STR("")));
	assert_buf(&b, "42[\"message\",{\"name\":\"Ann\",\"message\":\"/files/1\","
		       "\"timestamp\":\"1994-11-06T08:49:37.123Z\",\"id\":\"4294967299\",\"seq\":2}"
		       "]");
	s0_ack_sent(&b, &(struct cmd_id){1, "4"}, &e, false);
	assert_buf(&b, "434[{\"ok\":true,\"id\":\"4294967299\",\"seq\":2}]");
	s0_ack_sent(&b, &(struct cmd_id){1, "4"}, &e, true);
	assert_buf(&b, "434[{\"ok\":true,\"id\":\"4294967299\",\"seq\":2,\"duplicate\":true}]");
	e.on = true; /* deleted by now */
	assert_false(s0_add_event(&b, &e, STR("o")));
	e.type = EVT_PRESENCE;
	assert_true(s0_add_event(&b, &e, STR("")));
	assert_buf(&b, "42[\"message\",{\"name\":\"Ann\",\"message\":\"has entered the room\","
		       "\"system\":true,\"timestamp\":\"1994-11-06T08:49:37.123Z\"}]");
	e.on = false;
	assert_true(s0_add_event(&b, &e, STR("")));
	assert_buf(&b, "42[\"message\",{\"name\":\"Ann\",\"message\":\"has left the room\","
		       "\"system\":true,\"timestamp\":\"1994-11-06T08:49:37.123Z\"}]");
	e.type = EVT_MESSAGE_EDIT;
	assert_false(s0_add_event(&b, &e, STR("")));
	assert_int_equal(b.len, 0);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reading),
		cmocka_unit_test(test_key),
		cmocka_unit_test(test_writing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
