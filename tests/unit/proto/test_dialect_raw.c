/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/dialect_raw.c and dialect_raw_rest.c: S1's frames and bodies.
 * Expected texts are the protocol's section 4 with its field names.
 */
#include "proto_test.h"

#include "proto/dialect_raw.h"

static const struct cmd_limits limits = {
    .depth_max = 16, .name_max = 10, .desc_max = 20, .message_max = 12, .batch_max = 8};

static void check_ok(bool first, const char *frame, struct json_doc **doc, struct cmd *c)
{
	struct fault f = {0};

	if (raw_decode(str_of(frame), first, &limits, doc, c, &f, NULL) < 0)
		fail_msg("%s: %s", frame, f.text);
}

static void check_fault(bool first, const char *frame, enum proto_error error, const char *field)
{
	struct json_doc *doc = NULL;
	struct fault f = {0};
	struct cmd c;

	assert_int_equal(raw_decode(str_of(frame), first, &limits, &doc, &c, &f, NULL), -ERR_INVAL);
	assert_null(doc);
	if (f.error != error)
		fail_msg("%s: %s instead of %s", frame, error_info(f.error)->code,
			 error_info(error)->code);
	if (field)
		assert_string_equal(f.field, field);
	if (first)
		assert_int_equal(error_info(f.error)->ws_close, 4400);
}

static void test_first_frame(void **state)
{
	struct json_doc *doc;
	struct cmd c;

	(void)state;
	check_ok(true, "{\"username\":\" Alice \"}", &doc, &c);
	assert_int_equal(c.op, OP_HELLO);
	assert_str(c.name, "Alice");
	assert_int_equal(c.token.len, 0);
	json_doc_free(&doc);
	check_ok(true, "{\"username\":\"A\",\"token\":\"t\",\"extra\":[1]}", &doc, &c);
	assert_str(c.token, "t");
	json_doc_free(&doc);

	check_fault(true, "{\"username\":\"\"}", E_BAD_NAME, "username");
	check_fault(true, "{\"username\":\"12345678901\"}", E_BAD_NAME, "username");
	check_fault(true, "{\"username\":\"a\\u202eb\"}", E_BAD_NAME, "username");
	check_fault(true, "{\"username\":5}", E_BAD_FRAME, "username");
	check_fault(true, "{\"username\":null}", E_BAD_FRAME, "username");
	check_fault(true, "{\"type\":\"message\",\"content\":\"x\"}", E_BAD_FRAME, "username");
	check_fault(true, "[]", E_BAD_FRAME, NULL);
	check_fault(true, "hello", E_BAD_FRAME, NULL);
}

static void test_message(void **state)
{
	struct json_doc *doc;
	struct cmd c;

	(void)state;
	check_ok(false, "{\"type\":\"message\",\"content\":\" Hello!\\n\"}", &doc, &c);
	assert_int_equal(c.op, OP_SEND);
	assert_str(c.content, " Hello!\n");
	assert_false(c.has_key);
	assert_true(uuid_is_zero(&c.key_uuid));
	json_doc_free(&doc);

	check_ok(false,
		 "{\"type\":\"message\",\"content\":\"x\","
		 "\"client_id\":\"01890a5d-ac96-774b-bcce-b302099a8057\"}",
		 &doc, &c);
	assert_true(c.has_key);
	assert_str(c.key, "01890a5d-ac96-774b-bcce-b302099a8057");
	assert_int_equal(c.key_uuid.b[0], 0x01);
	assert_int_equal(c.key_uuid.b[15], 0x57);
	json_doc_free(&doc);

	/* any other key is hashed: the same text gives the same UUID */
	check_ok(false, "{\"type\":\"message\",\"content\":\"x\",\"client_id\":\"n1\"}", &doc, &c);
	assert_int_equal(c.key_uuid.b[6] >> 4, 8); /* RFC 9562: version 8 */
	assert_memory_equal(c.key_uuid.b, uuid_hash("n1", 2).b, 16);
	json_doc_free(&doc);

	check_fault(false, "{\"type\":\"message\"}", E_INVALID, "content");
	check_fault(false, "{\"type\":\"message\",\"content\":7}", E_INVALID, "content");
	check_fault(false, "{\"type\":\"message\",\"content\":\"\"}", E_INVALID, "content");
	check_fault(false, "{\"type\":\"message\",\"content\":\" \\n\\t\"}", E_INVALID, "content");
	check_fault(false, "{\"type\":\"message\",\"content\":\"1234567890123\"}", E_INVALID,
		    "content");
	check_fault(false, "{\"type\":\"message\",\"content\":\"a\\u0007\"}", E_INVALID, "content");
	check_fault(false, "{\"type\":\"message\",\"content\":\"a\\u0000\"}", E_BAD_JSON, NULL);
	check_fault(false, "{\"type\":\"message\",\"content\":\"a\",\"client_id\":7}", E_INVALID,
		    "client_id");
}

static void test_other_frames(void **state)
{
	struct json_doc *doc;
	struct cmd c;

	(void)state;
	check_ok(false, "{\"type\":\"typing\",\"is_typing\":true}", &doc, &c);
	assert_int_equal(c.op, OP_TYPING);
	assert_true(c.on);
	json_doc_free(&doc);
	check_ok(false, "{\"type\":\"resume\",\"rev\":118}", &doc, &c);
	assert_int_equal(c.op, OP_RESUME);
	assert_int_equal(c.rev, 118);
	json_doc_free(&doc);
	check_ok(false, "{\"type\":\"ping\"}", &doc, &c);
	assert_int_equal(c.op, OP_PING);
	json_doc_free(&doc);

	check_fault(false, "{\"type\":\"typing\"}", E_INVALID, "is_typing");
	check_fault(false, "{\"type\":\"typing\",\"is_typing\":1}", E_INVALID, "is_typing");
	check_fault(false, "{\"type\":\"resume\"}", E_INVALID, "rev");
	check_fault(false, "{\"type\":\"resume\",\"rev\":-1}", E_INVALID, "rev");
	check_fault(false, "{\"type\":\"dance\"}", E_UNKNOWN_OP, NULL);
	check_fault(false, "{\"type\":\"messages\"}", E_UNKNOWN_OP, NULL);
	check_fault(false, "{}", E_INVALID, "type");
	check_fault(false, "{\"type\":\"ping\",\"type\":\"ping\"}", E_BAD_JSON, NULL);
	check_fault(false, "[{\"type\":\"ping\"}]", E_BAD_REQUEST, NULL);
	check_fault(false, "\"ping\"", E_BAD_REQUEST, NULL);
}

/* A refused message is named by its key, as the client wrote it. */
static void test_key_of_a_refusal(void **state)
{
	struct json_doc *doc = NULL;
	struct buf b = BUF_INIT;
	struct cmd_id key;
	struct fault f;
	struct cmd c;

	(void)state;
	assert_int_equal(
	    raw_decode(STR("{\"type\":\"message\",\"client_id\":\"a\\\"b\",\"content\":\"\"}"),
		       false, &limits, &doc, &c, &f, &key),
	    -ERR_INVAL);
	raw_add_error(&b, &f, 1200, &key);
	assert_buf(&b, "{\"type\":\"error\",\"code\":\"invalid\","
		       "\"message\":\"content must not be empty.\","
		       "\"retry_after\":1.2,\"client_id\":\"a\\\"b\"}");
	assert_int_equal(raw_decode(STR("nonsense"), false, &limits, &doc, &c, &f, &key),
			 -ERR_INVAL);
	assert_int_equal(key.len, 0);
	fault_set(&f, E_NO_SUCH_ROOM);
	raw_add_error(&b, &f, 0, NULL);
	assert_buf(&b, "{\"type\":\"error\",\"code\":\"no_such_room\",\"message\":\"There is no "
		       "such room.\"}");
	buf_done(&b);
}

static bool next_name(void *arg, struct str *ret_name)
{
	const char ***at = arg;

	if (!**at)
		return false;
	*ret_name = str_of(*(*at)++);
	return true;
}

static void test_answers(void **state)
{
	const char *two[] = {"Al\"ice", "Bob", NULL}, *none[] = {NULL}, **at = two;
	struct buf b = BUF_INIT;

	(void)state;
	raw_add_connected(&b, 42, STR("Alice"), 117);
	assert_buf(&b,
		   "{\"type\":\"connected\",\"room_id\":42,\"username\":\"Alice\",\"rev\":117}");
	raw_add_users_list(&b, next_name, &at);
	assert_buf(&b, "{\"type\":\"users_list\",\"users\":[\"Al\\\"ice\",\"Bob\"]}");
	at = none;
	raw_add_typing(&b, next_name, &at);
	assert_buf(&b, "{\"type\":\"typing\",\"users\":[]}");
	raw_add_pong(&b);
	assert_buf(&b, "{\"type\":\"pong\"}");
	buf_done(&b);
}

static void test_events(void **state)
{
	struct event e = {.type = EVT_MESSAGE_NEW,
			  .conv = 1,
			  .rev = 2,
			  .seq = 1,
			  .at_ms = 784111777123,
			  .actor = 7,
			  .actor_name = STR("Alice"),
			  .content = STR("<b>hi</b>"),
			  .client_id = STR("n1")};
	struct buf b = BUF_INIT;

	(void)state;
	assert_true(raw_add_event(&b, &e));
	/* 1 * 2^32 + 2 */
	assert_buf(
	    &b, "{\"type\":\"message\",\"id\":\"4294967298\",\"room_id\":1,\"username\":\"Alice\","
		"\"content\":\"<b>hi</b>\",\"created_at\":\"1994-11-06T08:49:37.123Z\",\"seq\":1,"
		"\"rev\":2,\"client_id\":\"n1\"}");
	e.key = STR("/files/1"); /* pages without attachments show their address */
	assert_true(raw_add_event(&b, &e));
	buf_add_char(&b, '\0');
	assert_non_null(strstr((char *)b.p, "\"content\":\"<b>hi</b>\\n/files/1\","));
	buf_clear(&b);
	e = (struct event){.type = EVT_PRESENCE,
			   .conv = 1,
			   .at_ms = 784111777123,
			   .actor_name = STR("Alice"),
			   .on = true};
	assert_true(raw_add_event(&b, &e));
	assert_buf(&b, "{\"type\":\"system\",\"content\":\"Alice joined\",\"event\":\"join\","
		       "\"username\":\"Alice\",\"timestamp\":\"1994-11-06T08:49:37.123Z\"}");
	e.on = false;
	assert_true(raw_add_event(&b, &e));
	assert_buf(&b, "{\"type\":\"system\",\"content\":\"Alice left\",\"event\":\"leave\","
		       "\"username\":\"Alice\",\"timestamp\":\"1994-11-06T08:49:37.123Z\"}");
	e.type = EVT_TYPING;
	assert_false(raw_add_event(&b, &e));
	e.type = EVT_MEMBER_ROLE;
	assert_false(raw_add_event(&b, &e));
	e.type = EVT_MESSAGE_NEW; /* deleted since: pages without edits show nothing */
	e.on = true;
	assert_false(raw_add_event(&b, &e));
	assert_int_equal(b.len, 0);
	buf_done(&b);
}

static void test_room_form(void **state)
{
	struct room_form form;
	struct json_doc *doc;
	struct fault f;

	(void)state;
	assert_int_equal(
	    raw_decode_room(STR("{\"name\":\" General \",\"description\":\"All\\nhere\"}"), &limits,
			    &doc, &form, &f),
	    0);
	assert_str(form.name, "General");
	assert_str(form.description, "All\nhere");
	json_doc_free(&doc);
	assert_int_equal(
	    raw_decode_room(STR("{\"name\":\"G\",\"description\":null}"), &limits, &doc, &form, &f),
	    0);
	assert_str(form.description, "");
	json_doc_free(&doc);
}

static void check_room(const char *body, const char *want)
{
	struct buf b = BUF_INIT;
	struct room_form form;
	struct json_doc *doc;
	struct fault f;

	assert_int_equal(raw_decode_room(str_of(body), &limits, &doc, &form, &f), -ERR_INVAL);
	assert_int_equal(raw_http_status(&f), 422);
	raw_add_detail(&b, &f);
	assert_buf(&b, want);
	buf_done(&b);
}

static void test_room_faults(void **state)
{
	struct buf b = BUF_INIT;
	struct fault f;

	(void)state;
	check_room("{}", "{\"detail\":[{\"loc\":[\"body\",\"name\"],\"msg\":\"name is missing.\","
			 "\"type\":\"missing\"}]}");
	check_room("{\"name\":7}",
		   "{\"detail\":[{\"loc\":[\"body\",\"name\"],"
		   "\"msg\":\"name has the wrong type.\",\"type\":\"type_error\"}]}");
	check_room("{\"name\":\" \"}", "{\"detail\":[{\"loc\":[\"body\",\"name\"],\"msg\":"
				       "\"name must not be empty.\","
				       "\"type\":\"string_too_short\"}]}");
	check_room("{\"name\":\"12345678901\"}",
		   "{\"detail\":[{\"loc\":[\"body\",\"name\"],\"msg\":"
		   "\"name must have at most 10 characters.\","
		   "\"type\":\"string_too_long\"}]}");
	check_room("{\"name\":\"a\",\"description\":[]}",
		   "{\"detail\":[{\"loc\":[\"body\",\"description\"],"
		   "\"msg\":\"description has the wrong type.\",\"type\":\"type_error\"}]}");
	check_room("{\"name\":\"a\",\"description\":\"123456789012345678901\"}",
		   "{\"detail\":[{\"loc\":[\"body\",\"description\"],"
		   "\"msg\":\"description must have at most 20 characters.\","
		   "\"type\":\"string_too_long\"}]}");
	check_room("{", "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"The text is not valid JSON.\","
			"\"type\":\"json_invalid\"}]}");
	check_room("[]",
		   "{\"detail\":[{\"loc\":[\"body\"],\"msg\":\"A field has a value that is not "
		   "allowed.\",\"type\":\"type_error\"}]}");
	fault_set(&f, E_DUPLICATE);
	assert_int_equal(raw_http_status(&f), 400);
	raw_add_detail(&b, &f);
	assert_buf(&b, "{\"detail\":\"This exists already.\"}");
	fault_set(&f, E_NO_SUCH_ROOM);
	assert_int_equal(raw_http_status(&f), 404);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_first_frame),	 cmocka_unit_test(test_message),
	    cmocka_unit_test(test_other_frames), cmocka_unit_test(test_key_of_a_refusal),
	    cmocka_unit_test(test_answers),	 cmocka_unit_test(test_events),
	    cmocka_unit_test(test_room_form),	 cmocka_unit_test(test_room_faults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
