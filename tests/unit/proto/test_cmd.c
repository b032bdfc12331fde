/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/cmd.c through the operations that use it: which message or conversation is meant,
 * what a reaction may be, positions and lists. Message ids are conversation * 2^32 + rev.
 */
#include "proto_test.h"

#include "proto/dialect_native.h"

static struct cmd_limits limits = {.depth_max = 16,
				   .name_max = 10,
				   .desc_max = 20,
				   .message_max = 12,
				   .batch_max = 3,
				   .subs_max = 3};

static void take(const char *frame, struct json_doc **doc, struct cmd *c)
{
	struct fault f = {0};

	assert_int_equal(native_parse(str_of(frame), &limits, doc, &f), 0);
	if (native_cmd(*doc, 0, &limits, c, &f) < 0)
		fail_msg("%s: %s", frame, f.text);
}

static void check_refused(const char *frame, const char *field)
{
	struct json_doc *doc;
	struct fault f = {0};
	struct cmd c;

	assert_int_equal(native_parse(str_of(frame), &limits, &doc, &f), 0);
	if (native_cmd(doc, 0, &limits, &c, &f) == 0)
		fail_msg("took %s", frame);
	assert_int_equal(f.error, E_INVALID);
	if (!f.field || strcmp(f.field, field) != 0)
		fail_msg("%s: %s instead of %s", frame, f.field ? f.field : "nothing", field);
	json_doc_free(&doc);
}

static void check_target(const char *target)
{
	static const struct {
		const char *op, *more;
		enum cmd_op code;
	} ops[] = {{"edit", ",\"content\":\"x\"", OP_EDIT},
		   {"delete", "", OP_DELETE},
		   {"recover", "", OP_RECOVER},
		   {"react", ",\"emoji\":\"+1\"", OP_REACT}};

	for (size_t i = 0; i < ARRAY_LEN(ops); i++) {
		struct json_doc *doc;
		struct cmd c;
		char frame[200];

		snprintf(frame, sizeof(frame), "{\"op\":\"%s\",\"id\":3,\"k\":\"key\",%s%s}",
			 ops[i].op, target, ops[i].more);
		take(frame, &doc, &c);
		assert_int_equal(c.op, ops[i].code);
		assert_int_equal(c.conv, 42);
		assert_int_equal(c.target_rev, 117);
		assert_str(c.key, "key");
		assert_false(c.has_conv_uid);
		json_doc_free(&doc);
	}
}

static void test_targets(void **state)
{
	struct uuid u = msgid_to_uuid(42, 117);
	char text[UUID_TEXT_LEN + 1], target[100];

	(void)state;
	check_target("\"c\":42,\"rev\":117");
	check_target("\"c\":\"42\",\"rev\":\"117\"");
	check_target("\"message\":180388626549"); /* 42 * 2^32 + 117 */
	check_target("\"message\":\"180388626549\"");
	check_target("\"c\":42,\"message\":\"180388626549\"");
	uuid_format(&u, text);
	snprintf(target, sizeof(target), "\"message\":\"%s\"", text);
	check_target(target);
}

static void test_bad_targets(void **state)
{
	(void)state;
	check_refused("{\"op\":\"delete\"}", "c");
	check_refused("{\"op\":\"delete\",\"rev\":117}", "c");
	check_refused("{\"op\":\"delete\",\"c\":42}", "rev");
	check_refused("{\"op\":\"delete\",\"c\":42,\"rev\":0}", "rev");
	check_refused("{\"op\":\"delete\",\"c\":42,\"rev\":4294967296}", "rev");
	check_refused("{\"op\":\"delete\",\"c\":41,\"message\":180388626549}", "message");
	check_refused("{\"op\":\"delete\",\"c\":\"x\",\"message\":180388626549}", "c");
	check_refused("{\"op\":\"delete\",\"message\":117}", "message");
	check_refused("{\"op\":\"delete\",\"message\":-1}", "message");
	check_refused("{\"op\":\"delete\",\"message\":true}", "message");
	check_refused("{\"op\":\"delete\",\"message\":\"x\"}", "message");
	check_refused("{\"op\":\"delete\",\"message\":\"11111111-1111-1111-1111-111111111111\"}",
		      "message");
	check_refused("{\"op\":\"edit\",\"c\":42,\"rev\":117}", "content");
	check_refused("{\"op\":\"edit\",\"c\":42,\"rev\":117,\"content\":\" \"}", "content");
	check_refused("{\"op\":\"delete\",\"c\":42,\"rev\":117,\"k\":7}", "k");
}

static void test_conv_uid(void **state)
{
	static const char frame[] =
		"{\"op\":\"sub\",\"c\":\"0190163d-8694-739b-aea5-966c26f8ad91\"}";
	struct json_doc *doc;
	struct cmd c;
	struct uuid u;

	(void)state;
	check_refused(frame, "c");
	limits.conv_uids = true;
	take(frame, &doc, &c);
	assert_true(c.has_conv_uid);
	assert_int_equal(c.conv, 0);
	assert_int_equal(uuid_parse(STR("0190163d-8694-739b-aea5-966c26f8ad91"), &u), 0);
	assert_memory_equal(c.conv_uid.b, u.b, sizeof(u.b));
	json_doc_free(&doc);
	take("{\"op\":\"sub\",\"c\":\"42\"}", &doc, &c);
	assert_false(c.has_conv_uid);
	assert_int_equal(c.conv, 42);
	json_doc_free(&doc);
	/* the conversation of the message answered is left to be compared */
	take("{\"op\":\"send\",\"c\":\"0190163d-8694-739b-aea5-966c26f8ad91\",\"content\":\"x\","
	     "\"reply_to\":180388626549}",
	     &doc, &c);
	assert_int_equal(c.reply_to_conv, 42);
	assert_int_equal(c.reply_to_rev, 117);
	json_doc_free(&doc);
	check_refused("{\"op\":\"sub\",\"c\":\"0190163d\"}", "c");
	limits.conv_uids = false;
}

#define SEND "{\"op\":\"send\",\"c\":42,"

/* What may be an address is test_s4.c's: the rule is one. */
static void test_attachment(void **state)
{
	struct json_doc *doc;
	struct cmd c;

	(void)state;
	limits.address_max = 10;
	take(SEND "\"content\":\"x\",\"attachment_url\":\"/123456789\"}", &doc, &c);
	assert_str(c.content, "x");
	assert_str(c.attachment, "/123456789");
	json_doc_free(&doc);
	take(SEND "\"content\":\"\",\"attachment_url\":\"/1\"}", &doc, &c);
	assert_true(c.content.p && !c.content.len);
	json_doc_free(&doc);
	take(SEND "\"attachment_url\":\"/1\"}", &doc, &c);
	assert_true(c.content.p && !c.content.len);
	json_doc_free(&doc);
	check_refused(SEND "\"content\":\"x\",\"attachment_url\":\"/1234567890\"}",
		      "attachment_url");
	check_refused(SEND "\"content\":\"x\",\"attachment_url\":\"//h\"}", "attachment_url");
	check_refused(SEND "\"content\":\"x\",\"attachment_url\":7}", "attachment_url");
	check_refused(SEND "\"content\":\"\",\"attachment_url\":\"\"}", "content");
	check_refused(SEND "\"content\":\" \",\"attachment_url\":\"/1\"}", "content");
	limits.address_max = 0;
	check_refused(SEND "\"content\":\"x\",\"attachment_url\":\"/\"}", "attachment_url");
}

static void test_emoji(void **state)
{
	static const char *const good[] = {
		"+1",
		":shipit:",
		"\xf0\x9f\x91\x8d",		   /* thumbs up, U+1F44D */
		"\xf0\x9f\x91\x8d\xf0\x9f\x8f\xbd", /* with skin tone U+1F3FD */
		"\xe2\x9d\xa4\xef\xb8\x8f",	   /* heart with variation selector U+FE0F */
		/* family: man, joiner, woman, joiner, girl */
		"\xf0\x9f\x91\xa8\xe2\x80\x8d\xf0\x9f\x91\xa9\xe2\x80\x8d\xf0\x9f\x91\xa7",
		"12345678901234567890123456789012",
	};
	static const char *const bad[] = {
		"", " ", "a b", " a", "a ", "a\nb", "a\tb", "\x7f", "\xe2\x80\x8b", "\xef\xb8\x8f",
		"a\xe2\x80\xae",				    /* right-to-left override */
		"a\xc2\xa0z",					    /* no-break space */
		/* a joiner that joins nothing */
		"a\xe2\x80\x8d",
		"\xff", "123456789012345678901234567890123",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		if (!cmd_emoji_valid(str_of(good[i])))
			fail_msg("refused %s", good[i]);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		if (cmd_emoji_valid(str_of(bad[i])))
			fail_msg("took number %zu", i);
}

static void test_react(void **state)
{
	struct json_doc *doc;
	struct cmd c;

	(void)state;
	take("{\"op\":\"react\",\"c\":42,\"rev\":1,\"emoji\":\"+1\"}", &doc, &c);
	assert_str(c.emoji, "+1");
	assert_true(c.on);
	json_doc_free(&doc);
	take("{\"op\":\"react\",\"c\":42,\"rev\":1,\"emoji\":\"+1\",\"on\":false}", &doc, &c);
	assert_false(c.on);
	json_doc_free(&doc);
	check_refused("{\"op\":\"react\",\"c\":42,\"rev\":1}", "emoji");
	check_refused("{\"op\":\"react\",\"c\":42,\"rev\":1,\"emoji\":7}", "emoji");
	check_refused("{\"op\":\"react\",\"c\":42,\"rev\":1,\"emoji\":\"a b\"}", "emoji");
	check_refused("{\"op\":\"react\",\"c\":42,\"rev\":1,\"emoji\":\"+1\",\"on\":1}", "on");
}

static void test_marks(void **state)
{
	struct json_doc *doc;
	struct cmd c;

	(void)state;
	take("{\"op\":\"read\",\"c\":42,\"seq\":97}", &doc, &c);
	assert_int_equal(c.op, OP_READ);
	assert_int_equal(c.conv, 42);
	assert_int_equal(c.seq, 97);
	json_doc_free(&doc);
	take("{\"op\":\"delivered\",\"c\":\"42\",\"seq\":\"1\"}", &doc, &c);
	assert_int_equal(c.op, OP_DELIVERED);
	assert_int_equal(c.conv, 42);
	assert_int_equal(c.seq, 1);
	json_doc_free(&doc);
	check_refused("{\"op\":\"read\",\"seq\":97}", "c");
	check_refused("{\"op\":\"read\",\"c\":42}", "seq");
	check_refused("{\"op\":\"read\",\"c\":42,\"seq\":-1}", "seq");
	check_refused("{\"op\":\"read\",\"c\":42,\"seq\":0}", "seq");
	check_refused("{\"op\":\"delivered\",\"c\":42,\"seq\":1.0}", "seq");
}

static void test_seen(void **state)
{
	int64_t conv, rev, found = 0;
	struct json_doc *doc;
	size_t pos = 0, n = 0;
	struct cmd c;

	(void)state;
	take("{\"op\":\"hello\",\"name\":\"A\",\"resume\":\"cur\",\"seen\":{\"42\":119,\"7\":0,"
	     "\"2147483647\":4294967295}}",
	     &doc, &c);
	assert_int_equal(c.nseen, 3);
	while (cmd_seen_next(&c, &pos, &conv, &rev)) {
		if (conv == 42)
			assert_int_equal(rev, 119);
		else if (conv == 7)
			assert_int_equal(rev, 0);
		else
			assert_true(conv == 2147483647 && rev == 4294967295);
		found += conv;
		n++;
	}
	assert_int_equal(n, 3);
	assert_int_equal(found, 42 + 7 + INT64_C(2147483647));
	json_doc_free(&doc);
	take("{\"op\":\"hello\",\"name\":\"A\"}", &doc, &c);
	pos = 0;
	assert_int_equal(c.nseen, 0);
	assert_false(cmd_seen_next(&c, &pos, &conv, &rev));
	json_doc_free(&doc);
}

static void test_bad_seen(void **state)
{
	static const char *const bad[] = {"[1]",
					  "7",
					  "{\"x\":1}",
					  "{\"0\":1}",
					  "{\"-1\":1}",
					  "{\"042\":1}",
					  "{\"42\":-1}",
					  "{\"\":1}",
					  "{\"42\":\"119\"}",
					  "{\"42\":null}",
					  "{\"42\":1.5}",
					  "{\"42\":4294967296}",
					  "{\"2147483648\":1}",
					  "{\"1\":1,\"2\":1,\"3\":1,\"4\":1}"};
	char frame[200];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		snprintf(frame, sizeof(frame), "{\"op\":\"hello\",\"name\":\"A\",\"seen\":%s}",
			 bad[i]);
		check_refused(frame, "seen");
	}
}

static void test_sync(void **state)
{
	struct json_doc *doc;
	struct cmd c;

	(void)state;
	take("{\"op\":\"sync\",\"cursor\":\"AQAA\",\"limit\":5}", &doc, &c);
	assert_int_equal(c.op, OP_SYNC);
	assert_str(c.cursor, "AQAA");
	assert_int_equal(c.limit, 5);
	json_doc_free(&doc);
	check_refused("{\"op\":\"sync\"}", "cursor");
	check_refused("{\"op\":\"sync\",\"cursor\":\"\"}", "cursor");
	check_refused("{\"op\":\"sync\",\"cursor\":7}", "cursor");
	check_refused("{\"op\":\"sync\",\"cursor\":\"A\",\"limit\":0}", "limit");
}

static void test_presence(void **state)
{
	struct json_doc *doc;
	struct cmd c;

	(void)state;
	take("{\"op\":\"presence\",\"users\":[7,\"8\",9223372036854775807]}", &doc, &c);
	assert_int_equal(c.op, OP_PRESENCE);
	assert_false(c.has_status);
	assert_int_equal(c.nusers, 3);
	assert_int_equal(cmd_user_at(&c, 0), 7);
	assert_int_equal(cmd_user_at(&c, 1), 8);
	assert_true(cmd_user_at(&c, 2) == INT64_MAX);
	json_doc_free(&doc);
	take("{\"op\":\"presence\",\"status\":\"\"}", &doc, &c);
	assert_true(c.has_status);
	assert_int_equal(c.status.len, 0);
	assert_int_equal(c.nusers, 0);
	json_doc_free(&doc);
	take("{\"op\":\"presence\",\"status\":\"at lunch\",\"users\":[]}", &doc, &c);
	assert_str(c.status, "at lunch");
	json_doc_free(&doc);
	check_refused("{\"op\":\"presence\",\"status\":7}", "status");
	check_refused("{\"op\":\"presence\",\"status\":\"a\\u0007\"}", "status");
	check_refused("{\"op\":\"presence\",\"users\":7}", "users");
	check_refused("{\"op\":\"presence\",\"users\":[0]}", "users");
	check_refused("{\"op\":\"presence\",\"users\":[\"x\"]}", "users");
	check_refused("{\"op\":\"presence\",\"users\":[1,2,3,4]}", "users");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_targets),	 cmocka_unit_test(test_bad_targets),
		cmocka_unit_test(test_conv_uid), cmocka_unit_test(test_attachment),
		cmocka_unit_test(test_emoji),
		cmocka_unit_test(test_react),	 cmocka_unit_test(test_marks),
		cmocka_unit_test(test_seen),	 cmocka_unit_test(test_bad_seen),
		cmocka_unit_test(test_sync),	 cmocka_unit_test(test_presence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
