/* SPDX-License-Identifier: MIT */
/*
 * What clients of S3 and S4 ask for: every event, every spelling of an id, and refusals.
 * What they are told is test_s4_out.c's.
 */
#include "proto/s4.h"

#include "proto_test.h"

static const struct cmd_limits limits = {
	.depth_max = 16, .name_max = 100, .message_max = 12, .address_max = 2048,
	.conv_uids = true};
static struct sio_packet packet;
static struct fault fault;

/* The command of one event, with its packet in PACKET until the next. */
static int decode(const char *event, const char *arg, struct cmd *c)
{
	static const struct sio_limits packets = {16, 10, 1000};
	struct sio_in in = {0};
	struct buf b = BUF_INIT;
	struct fault f;

	sio_packet_done(&packet);
	buf_printf(&b, "29[\"%s\"%s%s]", event, *arg ? "," : "", arg);
	assert_int_equal(sio_decode(&in, buf_str(&b), false, &packets, &packet, &f), 0);
	buf_done(&b);
	return s4_cmd(&packet, &limits, c, &fault);
}

static void refuse(const char *event, const char *arg, const char *field)
{
	struct cmd c;

	if (decode(event, arg, &c) != -ERR_INVAL)
		fail_msg("taken: %s %s", event, arg);
	assert_int_equal(fault.error, E_INVALID);
	if (strcmp(fault.field, field))
		fail_msg("%s %s: %s instead of %s", event, arg, fault.field, field);
	assert_int_equal(c.id.len, 1);
}

static void test_places(void **state)
{
	static const char *const same[] = {
		"42",
		"\"42\"",
		"\"conversation:42\"",
		"\"conversation_42\"",
		"{\"conversationId\":42}",
		"{\"conversation_id\":\"42\"}",
		"{\"conversationId\":\"conversation:42\"}",
		"{\"conversation_id\":null,\"conversationId\":42,\"x\":1}",
		"{\"conversationId\":null,\"conversation_id\":42}",
	};
	static const char *const bad[] = {
		"0",
		"-1",
		"4.5",
		"true",
		"[]",
		"\"\"",
		"\"x\"",
		"\"conversation:\"",
		"\"conversation:x\"",
		"\"conversation-42\"",
		"\"conversations:42\"",
		"\"Conversation:42\"",
		"\"42 \"",
		"2147483648",
		"{\"conversationId\":{}}",
		"\"ABCD\"",
		"\"0\"",
		"\"conversation_-5\"",
		"{\"conversationId\":\"user_7\"}",
	};
	static const struct {
		const char *event;
		enum cmd_op op;
	} events[] = {{"join_conversation", OP_SUB},
		      {"leave_conversation", OP_UNSUB},
		      {"typing", OP_TYPING},
		      {"stop_typing", OP_TYPING},
		      {"mark_as_read", OP_READ}};
	struct cmd c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(events); i++) {
		for (size_t k = 0; k < ARRAY_LEN(same); k++) {
			if (decode(events[i].event, same[k], &c) < 0)
				fail_msg("%s %s", events[i].event, same[k]);
			assert_int_equal(c.op, events[i].op);
			assert_int_equal(c.conv, 42);
			assert_int_equal(c.on, !strcmp(events[i].event, "typing"));
			assert_int_equal(c.peer + c.target_rev, 0);
		}
		for (size_t k = 0; k < ARRAY_LEN(bad); k++)
			refuse(events[i].event, bad[k], "conversationId");
		refuse(events[i].event, "", "conversationId");
		refuse(events[i].event, "null", "conversationId");
		refuse(events[i].event, "{}", "conversationId");
		refuse(events[i].event, "{\"conversation_id\":0}", "conversation_id");
	}
	assert_int_equal(decode("join_conversation",
				"\"conversation:01890a5d-ac96-774b-bcce-b302099a8057\"", &c),
			 0);
	assert_true(c.has_conv_uid);
	assert_int_equal(c.conv_uid.b[15], 0x57);
	assert_int_equal(decode("join_conversation", "\"user_7\"", &c), 0);
	assert_int_equal(c.peer, 7);
	assert_int_equal(c.conv, 0);
	refuse("leave_conversation", "\"user_7\"", "conversationId");
}

static void test_send(void **state)
{
	struct cmd c;

	(void)state;
	assert_int_equal(decode("send_message", "{\"conversationId\":42,\"content\":\"hi\"}", &c),
			 0);
	assert_int_equal(c.op, OP_SEND);
	assert_int_equal(c.conv, 42);
	assert_str(c.content, "hi");
	assert_false(c.has_key);
	assert_str(((struct str){c.id.text, c.id.len}), "9");

	/* 42 * 2^32 + 5 */
	assert_int_equal(decode("send_message",
				"{\"conversation_id\":\"conversation_42\",\"content\":\"hi\","
				"\"reply_to\":\"180388626437\",\"client_msg_id\":\"k\","
				"\"attachment_url\":\"/files/1\"}",
				&c),
			 0);
	assert_int_equal(c.conv, 42);
	assert_int_equal(c.reply_to_conv, 42);
	assert_int_equal(c.reply_to_rev, 5);
	assert_str(c.key, "k");
	assert_str(c.attachment, "/files/1");

	assert_int_equal(decode("send_message",
				"{\"receiverId\":7,\"content\":\"hi\",\"clientMsgId\":\"k\","
				"\"replyTo\":180388626437,\"attachmentUrl\":null}",
				&c),
			 0);
	assert_int_equal(c.peer, 7);
	assert_int_equal(c.conv, 0);
	assert_int_equal(c.reply_to_conv, 42);
	assert_int_equal(decode("send_message", "{\"receiver_id\":\"7\",\"content\":\"hi\"}", &c),
			 0);
	assert_int_equal(c.peer, 7);
	assert_int_equal(decode("send_message",
				"{\"receiverId\":\"01890a5d-ac96-774b-bcce-b302099a8057\","
				"\"content\":\"hi\"}",
				&c),
			 0);
	assert_true(c.has_peer_uid);
	assert_int_equal(decode("send_message",
				"{\"receiverId\":7,\"conversationId\":42,\"content\":\"hi\"}", &c),
			 0);
	assert_int_equal(c.conv, 42);
	assert_int_equal(c.peer, 0);
	assert_int_equal(decode("send_message",
				"{\"receiverId\":7,\"attachmentUrl\":\"https://h/a.png\"}", &c),
			 0);
	assert_int_equal(c.content.len, 0);
	assert_str(c.attachment, "https://h/a.png");
}

static void test_room_names(void **state)
{
	static const char *const bad[] = {
		"",		  "x",				 "conversation_", "conversation_0",
		"conversation-7", "conversation_conversation_7", "user_7",	  "-7"};
	struct buf b = BUF_INIT;
	int64_t id;

	(void)state;
	s4_add_room(&b, S4_ROOM_USER, 7);
	assert_buf(&b, "user_7");
	assert_int_equal(s4_room_id(STR("user:7"), S4_ROOM_USER, &id), 0);
	assert_int_equal(id, 7);
	assert_int_equal(s4_room_id(STR("conversation_42"), S4_ROOM_CONV, &id), 0);
	assert_int_equal(id, 42);
	assert_int_equal(s4_room_id(STR("43"), S4_ROOM_CONV, &id), 0);
	assert_int_equal(id, 43);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(s4_room_id(str_of(bad[i]), S4_ROOM_CONV, &id), -ERR_INVAL);
	buf_done(&b);
}

static void test_send_refused(void **state)
{
	static const char *const addresses[] = {
		"javascript:alert(1)", "data:text/html,x", "//evil/x",
		"/\\\\evil/x",	       "ftp://h/x",	   "x",
		"https://h/a b",       "/a\\nb",	   "/a\\u0007b"};
	char arg[128];
	struct cmd c;

	(void)state;
	refuse("send_message", "", "content");
	refuse("send_message", "\"hi\"", "content");
	refuse("send_message", "{\"content\":\"hi\"}", "conversationId");
	refuse("send_message", "{\"conversationId\":42}", "content");
	refuse("send_message", "{\"conversationId\":42,\"content\":\"\"}", "content");
	refuse("send_message", "{\"conversationId\":42,\"content\":\"1234567890123\"}", "content");
	refuse("send_message", "{\"conversationId\":42,\"content\":5,\"attachmentUrl\":\"/a\"}",
	       "content");
	refuse("send_message", "{\"conversationId\":\"x\",\"content\":\"hi\"}", "conversationId");
	refuse("send_message", "{\"receiverId\":0,\"content\":\"hi\"}", "receiverId");
	refuse("send_message", "{\"receiver_id\":\"bob\",\"content\":\"hi\"}", "receiver_id");
	refuse("send_message", "{\"conversationId\":42,\"content\":\"hi\",\"clientMsgId\":5}",
	       "clientMsgId");
	refuse("send_message", "{\"conversationId\":42,\"content\":\"hi\",\"replyTo\":1}",
	       "replyTo");
	/* a message of conversation 41 */
	refuse("send_message",
	       "{\"conversationId\":42,\"content\":\"hi\",\"replyTo\":\"176093659141\"}",
	       "replyTo");
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		snprintf(arg, sizeof(arg),
			 "{\"conversationId\":42,\"content\":\"hi\",\"attachmentUrl\":\"%s\"}",
			 addresses[i]);
		refuse("send_message", arg, "attachmentUrl");
	}
	/* the key is known although the message is refused */
	assert_int_equal(decode("send_message", "{\"content\":\"\",\"clientMsgId\":\"k\"}", &c),
			 -ERR_INVAL);
	assert_str(c.key, "k");
}

static void test_marks(void **state)
{
	struct cmd c;

	(void)state;
	assert_int_equal(decode("mark_as_read",
				"{\"conversationId\":42,\"messageId\":\"180388626437\"}", &c),
			 0);
	assert_int_equal(c.op, OP_READ);
	assert_int_equal(c.conv, 42);
	assert_int_equal(c.target_rev, 5);
	assert_int_equal(decode("mark_as_read", "{\"message_id\":180388626437}", &c), 0);
	assert_int_equal(c.conv, 42);
	assert_int_equal(decode("delivered",
				"{\"conversation_id\":\"01890a5d-ac96-774b-bcce-b302099a8057\","
				"\"messageId\":\"180388626437\"}",
				&c),
			 0);
	assert_int_equal(c.op, OP_DELIVERED);
	assert_int_equal(c.conv, 42); /* the message says so */
	assert_false(c.has_conv_uid);
	assert_int_equal(c.target_rev, 5);

	refuse("mark_as_read", "{\"conversationId\":41,\"messageId\":\"180388626437\"}",
	       "messageId");
	refuse("mark_as_read", "{\"conversationId\":42,\"messageId\":\"5\"}", "messageId");
	refuse("mark_as_read", "{\"conversationId\":42,\"message_id\":{}}", "message_id");
	refuse("delivered", "{\"conversationId\":42}", "messageId");
	refuse("delivered", "42", "messageId");
}

static void test_unknown(void **state)
{
	static const char *const names[] = {"message", "Typing",      "join",
					    "",	       "new_message", "user:online"};
	struct cmd c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_false(s4_knows(str_of(names[i])));
		assert_int_equal(decode(names[i], "1", &c), -ERR_INVAL);
		assert_int_equal(fault.error, E_UNKNOWN_OP);
		assert_int_equal(c.id.len, 1);
	}
	assert_true(s4_knows(STR("send_message")));
}

static int forget(void **state)
{
	(void)state;
	sio_packet_done(&packet);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_places),	     cmocka_unit_test(test_send),
		cmocka_unit_test(test_room_names),
		cmocka_unit_test(test_send_refused), cmocka_unit_test(test_marks),
		cmocka_unit_test(test_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, forget);
}
