/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/dialect_native.c and dialect_native_out.c: roomd.v1's requests, answers, bodies
 * and problem documents. Expected texts are the protocol's section 6 with its field names, and
 * RFC 9457's members.
 */
#include "proto_test.h"

#include "proto/dialect_native.h"

static const struct cmd_limits limits = {
    .depth_max = 16, .name_max = 10, .desc_max = 20, .message_max = 12, .batch_max = 3};

/* Decodes the only request of FRAME. */
static int decode(const char *frame, struct json_doc **doc, struct cmd *c, struct fault *f)
{
	assert_int_equal(native_parse(str_of(frame), &limits, doc, f), 0);
	assert_int_equal(native_count(*doc), 1);
	return native_cmd(*doc, 0, &limits, c, f);
}

static void check_ok(const char *frame, struct json_doc **doc, struct cmd *c)
{
	struct fault f = {0};

	if (decode(frame, doc, c, &f) < 0)
		fail_msg("%s: %s", frame, f.text);
}

static void check_fault(const char *frame, enum proto_error error, const char *field,
			const char *id)
{
	struct json_doc *doc;
	struct fault f = {0};
	struct cmd c;

	assert_int_equal(decode(frame, &doc, &c, &f), -ERR_INVAL);
	if (f.error != error)
		fail_msg("%s: %s instead of %s", frame, error_info(f.error)->code,
			 error_info(error)->code);
	if (field)
		assert_string_equal(f.field, field);
	assert_str(((struct str){c.id.text, c.id.len}), id);
	json_doc_free(&doc);
}

static void test_hello(void **state)
{
	struct json_doc *doc;
	struct cmd c;

	(void)state;
	check_ok("{\"op\":\"hello\",\"id\":1,\"name\":\"Alice\",\"client\":\"web/"
		 "1.0\",\"resume\":\"cur\"}",
		 &doc, &c);
	assert_int_equal(c.op, OP_HELLO);
	assert_str(((struct str){c.id.text, c.id.len}), "1");
	assert_str(c.name, "Alice");
	assert_str(c.client, "web/1.0");
	assert_str(c.resume, "cur");
	json_doc_free(&doc);
	check_ok("{\"op\":\"hello\",\"token\":\"t\"}", &doc, &c);
	assert_str(c.token, "t");
	assert_int_equal(c.id.len, 0);
	json_doc_free(&doc);
	check_fault("{\"op\":\"hello\",\"id\":1}", E_INVALID, "name", "1");
	check_fault("{\"op\":\"hello\",\"id\":1,\"name\":\"\\n\"}", E_BAD_NAME, "name", "1");
}

static void test_sub_and_others(void **state)
{
	struct json_doc *doc;
	struct cmd c;

	(void)state;
	check_ok("{\"op\":\"sub\",\"id\":2,\"c\":42,\"rev\":118}", &doc, &c);
	assert_int_equal(c.op, OP_SUB);
	assert_int_equal(c.conv, 42);
	assert_true(c.has_rev);
	assert_int_equal(c.rev, 118);
	json_doc_free(&doc);
	check_ok("{\"op\":\"sub\",\"c\":\"42\"}", &doc, &c);
	assert_int_equal(c.conv, 42);
	assert_false(c.has_rev);
	json_doc_free(&doc);
	check_ok("{\"op\":\"unsub\",\"c\":42}", &doc, &c);
	assert_int_equal(c.op, OP_UNSUB);
	json_doc_free(&doc);
	check_fault("{\"op\":\"unsub\"}", E_INVALID, "c", "");
	check_fault("{\"op\":\"sub\",\"id\":2,\"c\":42,\"rev\":4294967296}", E_INVALID, "rev", "2");
	check_fault("{\"op\":\"typing\",\"c\":42}", E_INVALID, "on", "");
	check_fault("{\"op\":\"history\",\"c\":42,\"limit\":0}", E_INVALID, "limit", "");
	check_ok("{\"op\":\"typing\",\"c\":42,\"on\":true}", &doc, &c);
	assert_int_equal(c.op, OP_TYPING);
	assert_true(c.on);
	json_doc_free(&doc);
	check_ok("{\"op\":\"history\",\"c\":42,\"before\":100,\"limit\":50}", &doc, &c);
	assert_int_equal(c.op, OP_HISTORY);
	assert_int_equal(c.before, 100);
	assert_int_equal(c.after, 0);
	assert_int_equal(c.limit, 50);
	json_doc_free(&doc);
	check_ok("{\"op\":\"history\",\"c\":42,\"after\":7}", &doc, &c);
	assert_int_equal(c.after, 7);
	json_doc_free(&doc);
	check_ok("{\"op\":\"ping\",\"id\":\"p\"}", &doc, &c);
	assert_int_equal(c.op, OP_PING);
	json_doc_free(&doc);
}

static void test_send(void **state)
{
	struct json_doc *doc;
	struct cmd c;

	(void)state;
	check_ok(
	    "{\"op\":\"send\",\"id\":3,\"c\":42,\"k\":\"n1\",\"content\":\"hi\",\"reply_to\":null}",
	    &doc, &c);
	assert_int_equal(c.op, OP_SEND);
	assert_str(c.content, "hi");
	assert_str(c.key, "n1");
	assert_int_equal(c.reply_to_rev, 0);
	json_doc_free(&doc);
	/* 42 * 2^32 + 117, as text and as number */
	check_ok("{\"op\":\"send\",\"c\":42,\"content\":\"hi\",\"reply_to\":\"180388626549\"}",
		 &doc, &c);
	assert_int_equal(c.reply_to_rev, 117);
	assert_false(c.has_key);
	json_doc_free(&doc);
	check_ok("{\"op\":\"send\",\"c\":42,\"content\":\"hi\",\"reply_to\":180388626549}", &doc,
		 &c);
	assert_int_equal(c.reply_to_rev, 117);
	json_doc_free(&doc);
	check_fault(
	    "{\"op\":\"send\",\"id\":3,\"c\":41,\"content\":\"hi\",\"reply_to\":180388626549}",
	    E_INVALID, "reply_to", "3");
	check_fault("{\"op\":\"send\",\"id\":3,\"c\":42,\"content\":\"hi\",\"reply_to\":\"x\"}",
		    E_INVALID, "reply_to", "3");
	check_fault("{\"op\":\"send\",\"id\":3,\"c\":42}", E_INVALID, "content", "3");
	check_fault("{\"op\":\"send\",\"id\":3,\"content\":\"x\"}", E_INVALID, "c", "3");
	check_fault("{\"op\":\"send\",\"id\":3,\"c\":0,\"content\":\"x\"}", E_INVALID, "c", "3");
	check_fault("{\"op\":\"send\",\"id\":3,\"c\":1.5,\"content\":\"x\"}", E_INVALID, "c", "3");
	check_fault("{\"op\":\"send\",\"id\":3,\"c\":42,\"k\":\"\",\"content\":\"x\"}", E_INVALID,
		    "k", "3");
	check_fault("{\"op\":\"send\",\"id\":3,\"c\":42,\"content\":\"1234567890123\"}", E_INVALID,
		    "content", "3");
}

static void test_reply_by_uuid(void **state)
{
	struct uuid u = msgid_to_uuid(42, 117);
	char frame[200], text[UUID_TEXT_LEN + 1];
	struct json_doc *doc;
	struct cmd c;

	(void)state;
	uuid_format(&u, text);
	snprintf(frame, sizeof(frame),
		 "{\"op\":\"send\",\"c\":42,\"content\":\"hi\",\"reply_to\":\"%s\"}", text);
	check_ok(frame, &doc, &c);
	assert_int_equal(c.reply_to_rev, 117);
	json_doc_free(&doc);
}

static void test_ids(void **state)
{
	struct json_doc *doc;
	struct cmd c;

	(void)state;
	check_ok("{\"op\":\"ping\",\"id\":\"a\\\"\\u00e9\"}", &doc, &c);
	assert_str(((struct str){c.id.text, c.id.len}), "\"a\\\"\xc3\xa9\"");
	json_doc_free(&doc);
	check_ok("{\"op\":\"ping\",\"id\":-9223372036854775808}", &doc, &c);
	assert_str(((struct str){c.id.text, c.id.len}), "-9223372036854775808");
	json_doc_free(&doc);
	check_ok("{\"op\":\"ping\",\"id\":1.5}", &doc, &c);
	assert_str(((struct str){c.id.text, c.id.len}), "1.5");
	json_doc_free(&doc);
	check_fault("{\"op\":\"ping\",\"id\":[1]}", E_INVALID, "id", "");
	check_fault("{\"op\":\"ping\",\"id\":true}", E_INVALID, "id", "");
	check_fault("{\"op\":\"ping\",\"id\":\"0123456789012345678901234567890123456789"
		    "01234567890123456789abc\"}",
		    E_INVALID, "id", "");
	check_fault("{\"op\":\"fly\",\"id\":7}", E_UNKNOWN_OP, NULL, "7");
	check_fault("{\"op\":\"message\",\"id\":7}", E_UNKNOWN_OP, NULL, "7");
	check_fault("{\"id\":7}", E_INVALID, "op", "7");
	check_fault("{\"op\":7,\"id\":7}", E_INVALID, "op", "7");
}

static void test_batches(void **state)
{
	struct json_doc *doc = NULL;
	struct fault f;
	struct cmd c;

	(void)state;
	assert_int_equal(native_parse(STR("[{\"op\":\"ping\"},5,{\"op\":\"unsub\",\"c\":1}]"),
				      &limits, &doc, &f),
			 0);
	assert_int_equal(native_count(doc), 3);
	assert_int_equal(native_cmd(doc, 0, &limits, &c, &f), 0);
	assert_int_equal(c.op, OP_PING);
	assert_int_equal(native_cmd(doc, 1, &limits, &c, &f), -ERR_INVAL);
	assert_int_equal(f.error, E_BAD_REQUEST);
	assert_int_equal(native_cmd(doc, 2, &limits, &c, &f), 0);
	assert_int_equal(c.op, OP_UNSUB);
	assert_int_equal(native_cmd(doc, 3, &limits, &c, &f), -ERR_INVAL);
	json_doc_free(&doc);
	assert_int_equal(native_parse(STR("[{},{},{},{}]"), &limits, &doc, &f), -ERR_INVAL);
	assert_int_equal(f.error, E_BAD_FRAME);
	assert_int_equal(native_parse(STR("[]"), &limits, &doc, &f), -ERR_INVAL);
	assert_int_equal(native_parse(STR("7"), &limits, &doc, &f), -ERR_INVAL);
	assert_int_equal(native_parse(STR("{"), &limits, &doc, &f), -ERR_INVAL);
	assert_int_equal(f.error, E_BAD_JSON);
	assert_null(doc);
}

static const struct cmd_id re3 = {1, "3"};

static struct event message(void)
{
	return (struct event){.type = EVT_MESSAGE_NEW,
			      .conv = 42,
			      .rev = 117,
			      .seq = 97,
			      .at_ms = 784111777123,
			      .actor = 7,
			      .actor_name = STR("Alice"),
			      .content = STR("hi"),
			      .client_id = STR("n1"),
			      .reply_to_rev = 116};
}

/* The message id's UUID, which base/ids.c's own tests pin. */
static const char *uid_of(int64_t conv, int64_t rev)
{
	static char text[UUID_TEXT_LEN + 1];
	struct uuid u = msgid_to_uuid(conv, rev);

	uuid_format(&u, text);
	return text;
}

static void test_answers(void **state)
{
	struct native_welcome w = {.session = STR("s1"),
				   .user = 7,
				   .user_name = STR("Alice"),
				   .guest = true,
				   .ping_ms = 25000,
				   .limits = {limits, 9, 65536, 200, 10000}};
	struct native_live l = {.conv = 42, .rev = 131, .seq = 97, .unread = 3, .members = 12};
	struct event e = message();
	struct buf b = BUF_INIT;
	char want[300];
	struct fault f;

	(void)state;
	native_add_welcome(&b, &re3, &w);
	assert_buf(
	    &b,
	    "{\"op\":\"welcome\",\"re\":3,\"session\":\"s1\",\"user\":{\"id\":7,\"name\":\"Alice\","
	    "\"kind\":\"guest\"},\"ping\":25,\"limits\":{\"message\":12,\"code_message\":9,"
	    "\"attachment\":0,\"name\":10,"
	    "\"frame\":65536,\"depth\":16,\"batch\":3,\"subscriptions\":500,"
	    "\"history\":200,\"hello\":10},\"resumed\":false}");
	native_add_live(&b, &re3, &l);
	assert_buf(&b, "{\"op\":\"live\",\"re\":3,\"c\":42,\"rev\":131,\"seq\":97,\"unread\":3,"
		       "\"members\":12}");
	l.unread = -1;
	native_add_live(&b, NULL, &l);
	assert_buf(&b, "{\"op\":\"live\",\"c\":42,\"rev\":131,\"seq\":97,\"members\":12}");
	native_add_gap(&b, NULL, 42, 90);
	assert_buf(&b, "{\"op\":\"gap\",\"c\":42,\"first\":90}");
	native_add_ok(&b, &re3);
	assert_buf(&b, "{\"op\":\"ok\",\"re\":3}");
	native_add_pong(&b, NULL);
	assert_buf(&b, "{\"op\":\"pong\"}");
	native_add_sent(&b, &re3, &e, true);
	snprintf(
	    want, sizeof(want),
	    "{\"op\":\"ok\",\"re\":3,\"message\":{\"id\":\"180388626549\","
	    "\"uid\":\"%s\",\"seq\":97,\"rev\":117,\"created_at\":\"1994-11-06T08:49:37.123Z\"},"
	    "\"duplicate\":true}",
	    uid_of(42, 117));
	assert_buf(&b, want);
	native_add_history(&b, &re3, 42, STR("{\"messages\":[{}],\"rev\":5}"));
	assert_buf(&b, "{\"op\":\"ok\",\"re\":3,\"c\":42,\"messages\":[{}],\"rev\":5}");
	fault_field(&f, FAULT_MISSING, "content", 0);
	native_add_err(&b, &re3, &f, 42, 1200);
	assert_buf(
	    &b, "{\"op\":\"err\",\"re\":3,\"code\":\"invalid\",\"message\":\"content is missing.\","
		"\"field\":\"content\",\"c\":42,\"retry_after\":1.2}");
	native_add_behind(&b, 42, 140);
	assert_buf(&b, "{\"op\":\"behind\",\"c\":42,\"rev\":140}");
	native_add_goaway(&b, 3700, "upgrade");
	assert_buf(&b, "{\"op\":\"goaway\",\"in\":3.7,\"reason\":\"upgrade\"}");
	buf_done(&b);
}

static void test_answers_of_sessions(void **state)
{
	struct native_welcome w = {.session = STR("s1"),
				   .user = 7,
				   .user_name = STR("Alice"),
				   .ping_ms = 25000,
				   .limits = {limits, 9, 65536, 200, 10000},
				   .cursor = STR("AQAA"),
				   .scope = STR("shared"),
				   .resumed = true};
	struct event e = message();
	struct buf b = BUF_INIT;

	(void)state;
	native_add_welcome(&b, &re3, &w);
	assert_buf(
	    &b,
	    "{\"op\":\"welcome\",\"re\":3,\"session\":\"s1\",\"user\":{\"id\":7,\"name\":\"Alice\","
	    "\"kind\":\"account\"},\"ping\":25,\"limits\":{\"message\":12,\"code_message\":9,"
	    "\"attachment\":0,\"name\":10,"
	    "\"frame\":65536,\"depth\":16,\"batch\":3,\"subscriptions\":500,"
	    "\"history\":200,\"hello\":10},\"cursor\":\"AQAA\","
	    "\"scope\":\"shared\",\"resumed\":true}");
	native_add_pong_cursor(&b, &re3, STR("AQAA"));
	assert_buf(&b, "{\"op\":\"pong\",\"re\":3,\"cursor\":\"AQAA\"}");
	native_add_goaway_cursor(&b, 3700, "upgrade", STR("AQAA"));
	assert_buf(&b, "{\"op\":\"goaway\",\"in\":3.7,\"reason\":\"upgrade\",\"cursor\":\"AQAA\"}");
	native_add_sync(&b, &re3, STR("[{}]"), STR("AQAA"), true);
	assert_buf(&b,
		   "{\"op\":\"ok\",\"re\":3,\"events\":[{}],\"cursor\":\"AQAA\","
		   "\"more\":true}");
	native_add_marked(&b, &re3, 42, 97, 3);
	assert_buf(&b, "{\"op\":\"ok\",\"re\":3,\"c\":42,\"seq\":97,\"unread\":3}");
	native_add_marked(&b, &re3, 42, 97, -1);
	assert_buf(&b, "{\"op\":\"ok\",\"re\":3,\"c\":42,\"seq\":97}");
	e.type = EVT_MESSAGE_EDIT;
	e.rev = 120;
	e.target_rev = 117;
	native_add_changed(&b, &re3, &e, true, false);
	assert_buf(&b, "{\"op\":\"ok\",\"re\":3,\"c\":42,\"rev\":120,\"id\":\"180388626549\","
		       "\"at\":\"1994-11-06T08:49:37.123Z\",\"changed\":true,"
		       "\"duplicate\":false}");
	native_add_changed(&b, &re3, &e, false, false);
	assert_buf(&b, "{\"op\":\"ok\",\"re\":3,\"c\":42,\"rev\":120,\"id\":\"180388626549\","
		       "\"at\":\"1994-11-06T08:49:37.123Z\",\"changed\":false,"
		       "\"duplicate\":false}");
	e.at_ms = 0; /* a reaction that is not there never began: seen red as 1970 */
	native_add_changed(&b, &re3, &e, false, false);
	assert_buf(&b, "{\"op\":\"ok\",\"re\":3,\"c\":42,\"rev\":120,\"id\":\"180388626549\","
		       "\"at\":null,\"changed\":false,\"duplicate\":false}");
	buf_done(&b);
}

static void test_rest_message(void **state)
{
	struct json_doc *doc;
	struct fault f;
	struct cmd c;

	(void)state;
	assert_int_equal(native_decode_message(STR("{\"content\":\"hi\"}"), 42, STR("idem"),
					       &limits, &doc, &c, &f),
			 0);
	assert_int_equal(c.op, OP_SEND);
	assert_int_equal(c.conv, 42);
	assert_str(c.key, "idem");
	json_doc_free(&doc);
	assert_int_equal(native_decode_message(STR("{\"content\":\"hi\",\"client_msg_id\":\"b\"}"),
					       42, STR("idem"), &limits, &doc, &c, &f),
			 0);
	assert_str(c.key, "b");
	json_doc_free(&doc);
	assert_int_equal(
	    native_decode_message(STR("{}"), 42, (struct str){0}, &limits, &doc, &c, &f),
	    -ERR_INVAL);
	assert_string_equal(f.field, "content");
	assert_int_equal(
	    native_decode_message(STR("[]"), 42, (struct str){0}, &limits, &doc, &c, &f),
	    -ERR_INVAL);
	assert_int_equal(f.error, E_INVALID);
	assert_null(doc);
}

static void test_rest_conversation(void **state)
{
	struct conversation_form form;
	struct json_doc *doc;
	struct fault f;

	(void)state;
	assert_int_equal(
	    native_decode_conversation(STR("{\"name\":\"General\"}"), &limits, &doc, &form, &f), 0);
	assert_str(form.kind, "room");
	assert_str(form.name, "General");
	assert_str(form.description, "");
	json_doc_free(&doc);
	assert_int_equal(
	    native_decode_conversation(STR("{\"kind\":\"direct\"}"), &limits, &doc, &form, &f), 0);
	assert_str(form.kind, "direct");
	json_doc_free(&doc);
	assert_int_equal(native_decode_conversation(STR("{}"), &limits, &doc, &form, &f),
			 -ERR_INVAL);
	assert_string_equal(f.field, "name");
}

static void test_problem(void **state)
{
	struct buf b = BUF_INIT;
	struct fault f;

	(void)state;
	fault_field(&f, FAULT_MISSING, "content", 0);
	problem_add(&b, &f, "r-1", 1500);
	assert_buf(
	    &b, "{\"type\":\"about:blank\",\"title\":\"A field has a value that is not allowed.\","
		"\"status\":422,\"detail\":\"content is missing.\",\"code\":\"invalid\","
		"\"field\":\"content\",\"request_id\":\"r-1\",\"retry_after\":1.5}");
	fault_set(&f, E_NOT_FOUND);
	problem_add(&b, &f, NULL, 0);
	assert_buf(&b, "{\"type\":\"about:blank\",\"title\":\"There is nothing at this address.\","
		       "\"status\":404,\"detail\":\"There is nothing at this "
		       "address.\",\"code\":\"not_found\"}");
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hello),
	    cmocka_unit_test(test_sub_and_others),
	    cmocka_unit_test(test_send),
	    cmocka_unit_test(test_reply_by_uuid),
	    cmocka_unit_test(test_ids),
	    cmocka_unit_test(test_batches),
	    cmocka_unit_test(test_answers),
	    cmocka_unit_test(test_answers_of_sessions),
	    cmocka_unit_test(test_rest_message),
	    cmocka_unit_test(test_rest_conversation),
	    cmocka_unit_test(test_problem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
