/* SPDX-License-Identifier: MIT */
/*
 * What clients of S3 and S4 are told, member by member as the wire contract has it.
 * What they ask for is test_s4.c's.
 */
#include "proto/s4.h"

#include "proto_test.h"

/* What is in every message of these tests: 42 * 2^32 + 5, at 1994-11-06T08:49:37.123Z. */
#define AT "1994-11-06T08:49:37.123Z"
#define IDS "\"conversationId\":42,\"conversation_id\":42"
#define SENDER "\"sender\":{\"id\":7,\"username\":\"Ann\"}"

static const struct s4_view none;

static struct event message(void)
{
	return (struct event){.type = EVT_MESSAGE_NEW,
			      .conv = 42,
			      .rev = 5,
			      .seq = 4,
			      .at_ms = 784111777123,
			      .actor = 7,
			      .actor_name = STR("Ann"),
			      .content = STR("hi")};
}

/* The UUID form is RFC 9562's version 8 and reversible: what it says is base's test. */
static const char *uid(int64_t conv, int64_t rev)
{
	static char text[UUID_TEXT_LEN + 1];
	struct uuid u = msgid_to_uuid(conv, rev);

	uuid_format(&u, text);
	return text;
}

static void check(struct buf *b, const char *before, const char *after)
{
	struct buf want = BUF_INIT;

	buf_printf(&want, "%s%s%s", before, uid(42, 5), after);
	buf_add(&want, "", 1);
	assert_buf(b, (char *)want.p);
	buf_done(&want);
}

static void test_new_message(void **state)
{
	struct s4_view view = {
		.receiver = 8, .read_at_ms = 784111777000, .updated_at_ms = 784111778000};
	struct event e = message();
	struct buf b = BUF_INIT;

	(void)state;
	assert_true(s4_add_event(&b, &e, &none, STR("o")));
	check(&b, "42[\"new_message\",{\"id\":\"180388626437\",\"uid\":\"",
	      "\"," IDS ",\"sender_id\":7," SENDER ",\"content\":\"hi\",\"attachment_url\":null,"
	      "\"is_read\":false,\"read_at\":null,\"createdAt\":\"" AT "\",\"updatedAt\":\"" AT
	      "\","
	      "\"seq\":4,\"rev\":5},\"o\"]");
	e.client_id = STR("k\"1");
	s4_add_message(&b, &e, &view);
	check(&b, "{\"id\":\"180388626437\",\"uid\":\"",
	      "\"," IDS ",\"sender_id\":7,\"receiver_id\":8," SENDER ",\"content\":\"hi\","
	      "\"attachment_url\":null,\"is_read\":true,\"read_at\":\"1994-11-06T08:49:37.000Z\","
	      "\"createdAt\":\"" AT
	      "\",\"updatedAt\":\"1994-11-06T08:49:38.000Z\",\"seq\":4,\"rev\":5,"
	      "\"clientMsgId\":\"k\\\"1\"}");
	e.client_id = STR("");
	e.key = STR("/files/\"1");
	assert_true(s4_add_event(&b, &e, &none, STR("o")));
	buf_add(&b, "", 1);
	assert_non_null(strstr((char *)b.p, "\"attachment_url\":\"/files/\\\"1\",\"is_read\""));
	buf_clear(&b);
	e.on = true; /* deleted by now */
	s4_add_message(&b, &e, &none);
	buf_add(&b, "", 1);
	assert_non_null(strstr((char *)b.p, "\"attachment_url\":null,"));
	buf_clear(&b);
	assert_false(s4_add_event(&b, &e, &none, STR("")));
	assert_int_equal(b.len, 0);
	buf_done(&b);
}

static void test_notification(void **state)
{
	struct event e = message();
	struct buf b = BUF_INIT, text = BUF_INIT, object = BUF_INIT, want = BUF_INIT;

	(void)state;
	for (int i = 0; i < S4_PREVIEW_MAX; i++)
		buf_add_cstr(&text, "\xe2\x82\xac");
	buf_add_cstr(&text, "more");
	e.content = buf_str(&text);
	s4_add_message(&object, &e, &none);
	s4_add_notification(&b, &e, &none, 3, true);
	buf_printf(&want,
		   "42[\"message_notification\",{" IDS ",\"message\":%.*s," SENDER
		   ",\"preview\":\"%.*s\",\"unread\":3,\"joined\":true}]",
		   (int)object.len, (char *)object.p, 3 * S4_PREVIEW_MAX, (char *)text.p);
	assert_true(str_eq(buf_str(&b), buf_str(&want)));
	buf_clear(&b);
	e.content = STR("hi");
	s4_add_notification(&b, &e, &none, -1, false);
	buf_add(&b, "", 1);
	assert_non_null(strstr((char *)b.p, ",\"preview\":\"hi\"}]"));
	buf_done(&b);
	buf_done(&text);
	buf_done(&object);
	buf_done(&want);
}

static void test_changes(void **state)
{
	struct event e = message();
	struct buf b = BUF_INIT;

	(void)state;
	e.type = EVT_MESSAGE_EDIT;
	e.rev = 9;
	e.target_rev = 5;
	assert_true(s4_add_event(&b, &e, &none, STR("o")));
	check(&b, "42[\"message_edited\",{" IDS ",\"id\":\"180388626437\",\"uid\":\"",
	      "\",\"content\":\"hi\",\"userId\":7,\"username\":\"Ann\",\"editedAt\":\"" AT "\","
	      "\"rev\":9},\"o\"]");
	e.type = EVT_MESSAGE_RECOVER;
	assert_true(s4_add_event(&b, &e, &none, STR("")));
	check(&b, "42[\"message_edited\",{" IDS ",\"id\":\"180388626437\",\"uid\":\"",
	      "\",\"content\":\"hi\",\"recovered\":true,\"attachment_url\":null,"
	      "\"userId\":7,\"username\":\"Ann\","
	      "\"editedAt\":\"" AT "\",\"rev\":9}]");
	e.type = EVT_MESSAGE_DELETE;
	assert_true(s4_add_event(&b, &e, &none, STR("")));
	check(&b, "42[\"message_deleted\",{" IDS ",\"id\":\"180388626437\",\"uid\":\"",
	      "\",\"userId\":7,\"username\":\"Ann\",\"deletedAt\":\"" AT "\",\"rev\":9}]");
	e.target_rev = 0; /* a record that names no message */
	assert_false(s4_add_event(&b, &e, &none, STR("")));
	buf_done(&b);
}

static void test_marks(void **state)
{
	struct s4_view view = {.mark_rev = 5};
	struct event e = message();
	struct buf b = BUF_INIT;

	(void)state;
	e.type = EVT_READ;
	e.rev = 0;
	assert_true(s4_add_event(&b, &e, &view, STR("")));
	assert_buf(&b, "42[\"messages_read\",{" IDS
		       ",\"userId\":7,\"lastReadMessageId\":\"180388626437\","
		       "\"seq\":4,\"readAt\":\"" AT "\"}]");
	assert_true(s4_add_event(&b, &e, &none, STR("")));
	assert_buf(&b, "42[\"messages_read\",{" IDS ",\"userId\":7,\"lastReadMessageId\":null,"
		       "\"seq\":4,\"readAt\":\"" AT "\"}]");
	e.type = EVT_DELIVERED;
	assert_true(s4_add_event(&b, &e, &view, STR("")));
	assert_buf(&b,
		   "42[\"message_delivered\",{" IDS ",\"userId\":7,\"messageId\":\"180388626437\","
		   "\"seq\":4,\"deliveredAt\":\"" AT "\"}]");
	buf_done(&b);
}

/* Everything else that a room says has no event here, or a function of its own. */
static void test_not_shown(void **state)
{
	static const enum event_type types[] = {EVT_REACTION_SET, EVT_MEMBER_JOIN,
						EVT_TYPING,	  EVT_PRESENCE,
						EVT_ROSTER,	  EVT_CONVERSATION_CLOSE};
	struct event e = message();
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		e.type = types[i];
		assert_false(s4_add_event(&b, &e, &none, STR("o")));
	}
	assert_int_equal(b.len, 0);
	buf_done(&b);
}

static bool next_user(void *arg, int64_t *ret_user)
{
	int64_t *left = arg;

	*ret_user = *left;
	return (*left)-- > 0;
}

static void test_people(void **state)
{
	struct buf b = BUF_INIT;
	int64_t left = 2;
	struct fault f;

	(void)state;
	s4_add_typing(&b, 42, 7, STR("Ann"), true);
	assert_buf(&b, "42[\"typing\",{" IDS ",\"userId\":7,\"username\":\"Ann\"}]");
	s4_add_typing(&b, 42, 7, STR("Ann"), false);
	assert_buf(&b, "42[\"stop_typing\",{" IDS ",\"userId\":7,\"username\":\"Ann\"}]");
	s4_add_presence(&b, 7, STR("Ann"), true, 784111777123);
	assert_buf(&b, "42[\"user:online\",{\"userId\":7,\"username\":\"Ann\",\"at\":\"" AT "\"}]");
	s4_add_presence(&b, 7, STR("Ann"), false, 784111777123);
	assert_buf(&b,
		   "42[\"user:offline\",{\"userId\":7,\"username\":\"Ann\",\"at\":\"" AT "\"}]");
	s4_add_online_users(&b, next_user, &left);
	assert_buf(&b, "42[\"online_users\",{\"users\":[2,1]}]");
	left = 0;
	s4_add_online_users(&b, next_user, &left);
	assert_buf(&b, "42[\"online_users\",{\"users\":[]}]");
	fault_set(&f, E_FORBIDDEN);
	s4_add_error(&b, &f, 0, STR(""));
	assert_buf(&b, "42[\"message_error\",{\"code\":\"forbidden\",\"message\":\"This is not "
		       "allowed.\"}]");
	s4_add_error(&b, &f, 2000, STR("k"));
	assert_buf(&b, "42[\"message_error\",{\"clientMsgId\":\"k\",\"code\":\"forbidden\","
		       "\"message\":\"This is not allowed.\",\"retry_after\":2}]");
	buf_done(&b);
}

static void test_acks(void **state)
{
	struct cmd_id re = {1, "9"};
	struct event e = message();
	struct buf b = BUF_INIT;
	struct fault f;

	(void)state;
	s4_ack_joined(&b, &re, &(struct s4_joined){42, 117, 3, STR("general")});
	assert_buf(&b, "439[{\"ok\":true,\"conversation\":{\"id\":42,\"conversationId\":42,"
		       "\"name\":\"general\"},\"unread\":3,\"rev\":117}]");
	s4_ack_joined(&b, &re, &(struct s4_joined){42, 117, -1, STR("")});
	assert_buf(&b, "439[{\"ok\":true,\"conversation\":{\"id\":42,\"conversationId\":42,"
		       "\"name\":null},\"unread\":null,\"rev\":117}]");
	s4_ack_sent(&b, &re, &e, &none, true);
	check(&b, "439[{\"ok\":true,\"message\":{\"id\":\"180388626437\",\"uid\":\"",
	      "\"," IDS ",\"sender_id\":7," SENDER ",\"content\":\"hi\",\"attachment_url\":null,"
	      "\"is_read\":false,\"read_at\":null,\"createdAt\":\"" AT "\",\"updatedAt\":\"" AT
	      "\","
	      "\"seq\":4,\"rev\":5},\"duplicate\":true}]");
	s4_ack_marked(&b, &re, 2, 42, 5);
	assert_buf(&b, "439[{\"ok\":true,\"count\":2,\"lastReadMessageId\":\"180388626437\"}]");
	s4_ack_marked(&b, &re, 0, 42, 0);
	assert_buf(&b, "439[{\"ok\":true,\"count\":0,\"lastReadMessageId\":null}]");
	s4_ack_ok(&b, &re);
	assert_buf(&b, "439[{\"ok\":true}]");
	fault_set(&f, E_FORBIDDEN);
	s4_ack_refused(&b, &re, &f, 0);
	assert_buf(&b,
		   "439[{\"ok\":false,\"error\":\"This is not allowed.\",\"code\":\"forbidden\"}]");
	buf_done(&b);
}

/* The names, as the contract lists them. */
static void test_names(void **state)
{
	static const char *const listed[] = {
		"new_message",	 "message_notification", "typing",	   "stop_typing",
		"messages_read", "message_delivered",	 "message_edited", "message_deleted",
		"user:online",	 "user:offline",	 "online_users",   "message_error",
	};

	(void)state;
	assert_int_equal(S4_EVENT_COUNT, ARRAY_LEN(listed));
	for (int i = 0; i < S4_EVENT_COUNT; i++)
		assert_string_equal(s4_event_name((enum s4_event)i), listed[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_message), cmocka_unit_test(test_notification),
		cmocka_unit_test(test_changes),	    cmocka_unit_test(test_marks),
		cmocka_unit_test(test_not_shown),   cmocka_unit_test(test_people),
		cmocka_unit_test(test_acks),	    cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
