/* SPDX-License-Identifier: MIT */
/*
 * Tests of proto/dialect_native_event.c: what happened in a conversation and who is here. Expected
 * texts are the protocol's section 6 with the members that dialect_native.h lists.
 */
#include "proto_test.h"

#include "proto/dialect_native.h"

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

static void test_message_event(void **state)
{
	struct event e = message();
	struct buf b = BUF_INIT;
	char want[400];

	(void)state;
	assert_true(native_add_event(&b, &e));
	snprintf(
	    want, sizeof(want),
	    "{\"op\":\"ev\",\"c\":42,\"rev\":117,\"t\":\"message.new\",\"d\":{"
	    "\"id\":\"180388626549\",\"uid\":\"%s\",\"seq\":97,\"rev\":117,"
	    "\"sender\":{\"id\":7,\"name\":\"Alice\"},\"content\":\"hi\",\"client_msg_id\":\"n1\","
	    "\"reply_to\":\"180388626548\",\"created_at\":\"1994-11-06T08:49:37.123Z\"}}",
	    uid_of(42, 117));
	assert_buf(&b, want);
	/* deleted since: what it said is gone, whatever the record still holds */
	e.on = true;
	assert_true(native_add_event(&b, &e));
	buf_add_char(&b, '\0');
	assert_non_null(strstr((char *)b.p, "\"content\":null,\"deleted\":true,"));
	assert_null(strstr((char *)b.p, "hi"));
	buf_clear(&b);
	e.key = STR("/hi");
	native_add_message(&b, &e);
	buf_add_char(&b, '\0');
	assert_null(strstr((char *)b.p, "hi"));
	buf_clear(&b);
	e.on = false;
	native_add_message(&b, &e);
	buf_add_char(&b, '\0');
	assert_non_null(strstr((char *)b.p, "\"content\":\"hi\",\"attachment_url\":\"/hi\","));
	buf_done(&b);
}

/* A key that is only known as a UUID, and none at all. */
static void test_client_msg_id(void **state)
{
	struct event e = message();
	struct buf b = BUF_INIT;

	(void)state;
	e.client_id = STR("");
	native_add_message(&b, &e);
	buf_add_char(&b, '\0');
	assert_non_null(strstr((char *)b.p, "\"client_msg_id\":null,"));
	buf_clear(&b);
	memset(e.client_msg_id.b, 0x11, 16);
	native_add_message(&b, &e);
	buf_add_char(&b, '\0');
	assert_non_null(
	    strstr((char *)b.p, "\"client_msg_id\":\"11111111-1111-1111-1111-111111111111\","));
	buf_done(&b);
}

static const int types[] = {
#define X(name, id, native, raw, class, perm, rate) EVT_##name,
#include "proto/events.def"
#undef X
};

/* Every type gives well-formed JSON or nothing at all. */
static void test_every_event(void **state)
{
	struct buf b = BUF_INIT;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		struct event e = message();
		bool shown;

		e.type = types[i];
		e.key = STR("k\"");
		e.subject = 9;
		e.subject_name = STR("Bob");
		e.target_rev = 100;
		shown = native_add_event(&b, &e);
		assert_int_equal(shown, e.type != EVT_TYPING && e.type != EVT_ROSTER);
		assert_int_equal(shown, b.len > 0);
		if (shown)
			assert_true(json_check(buf_str(&b), 4));
		buf_clear(&b);
	}
	buf_done(&b);
}

static bool next_user(void *arg, int64_t *ret_user, struct str *ret_name)
{
	static const struct str names[] = {{"Al\"ice", 6}, {"Bob", 3}};
	size_t *i = arg;

	if (*i == ARRAY_LEN(names))
		return false;
	*ret_user = 7 + (int64_t)*i;
	*ret_name = names[(*i)++];
	return true;
}

static void test_sets(void **state)
{
	struct event e = {
	    .type = EVT_PRESENCE, .conv = 42, .actor = 7, .actor_name = STR("Alice"), .on = true};
	struct buf b = BUF_INIT;
	size_t i = 0;

	(void)state;
	native_add_typing(&b, 42, next_user, &i);
	assert_buf(&b, "{\"op\":\"eph\",\"c\":42,\"t\":\"typing\",\"d\":{\"users\":[7,8],"
		       "\"names\":[\"Al\\\"ice\",\"Bob\"]}}");
	i = 0;
	native_add_roster(&b, 42, next_user, &i);
	assert_buf(&b, "{\"op\":\"eph\",\"c\":42,\"t\":\"roster\",\"d\":{\"users\":[{\"id\":7,"
		       "\"name\":\"Al\\\"ice\"},{\"id\":8,\"name\":\"Bob\"}]}}");
	native_add_typing(&b, 42, next_user, &i);
	assert_buf(&b,
		   "{\"op\":\"eph\",\"c\":42,\"t\":\"typing\",\"d\":{\"users\":[],\"names\":[]}}");
	assert_true(native_add_event(&b, &e));
	assert_buf(&b,
		   "{\"op\":\"eph\",\"c\":42,\"t\":\"presence\",\"d\":[{\"u\":7,\"name\":\"Alice\","
		   "\"s\":\"online\"}]}");
	buf_done(&b);
}

#define BY_ALICE "\"by\":{\"id\":7,\"name\":\"Alice\"}"
#define TIME "\"1994-11-06T08:49:37.123Z\""

/* E as a change at rev 120; D is what stands in its "d", UID in it for the message's. */
static void check_change(struct event e, enum event_type type, const char *d)
{
	struct buf b = BUF_INIT, want = BUF_INIT;
	const char *uid = strstr(d, "UID");

	e.type = type;
	e.rev = 120;
	buf_printf(&want, "{\"op\":\"ev\",\"c\":42,\"rev\":120,\"t\":\"%s\",\"d\":{",
		   event_info((int)type)->native);
	if (uid) {
		buf_add(&want, d, (size_t)(uid - d));
		buf_add_cstr(&want, uid_of(42, e.target_rev));
		d = uid + 3;
	}
	buf_add_cstr(&want, d);
	buf_add(&want, "}}", 3);
	assert_true(native_add_event(&b, &e));
	assert_buf(&b, (char *)want.p);
	buf_done(&b);
	buf_done(&want);
}

/* 42 * 2^32 + 117 */
#define TARGET "\"id\":\"180388626549\",\"uid\":\"UID\",\"target\":117,"

static void test_message_changes(void **state)
{
	struct event e = message();

	(void)state;
	e.target_rev = 117;
	e.content = STR("new \"text\"");
	check_change(e, EVT_MESSAGE_EDIT,
		     TARGET "\"content\":\"new \\\"text\\\"\"," BY_ALICE ",\"edited_at\":" TIME);
	check_change(e, EVT_MESSAGE_DELETE, TARGET BY_ALICE ",\"deleted_at\":" TIME);
	check_change(e, EVT_MESSAGE_RECOVER,
		     TARGET "\"content\":\"new \\\"text\\\"\"," BY_ALICE ",\"at\":" TIME);
	e.key = STR("/files/1");
	check_change(e, EVT_MESSAGE_RECOVER,
		     TARGET "\"content\":\"new \\\"text\\\"\","
			    "\"attachment_url\":\"/files/1\"," BY_ALICE ",\"at\":" TIME);
	e.key = STR("\xf0\x9f\x91\x8d");
	check_change(e, EVT_REACTION_SET,
		     TARGET "\"emoji\":\"\xf0\x9f\x91\x8d\",\"user\":{\"id\":7,"
			    "\"name\":\"Alice\"},\"at\":" TIME);
	check_change(e, EVT_REACTION_UNSET,
		     TARGET "\"emoji\":\"\xf0\x9f\x91\x8d\",\"user\":{\"id\":7,"
			    "\"name\":\"Alice\"},\"at\":" TIME);
}

static void test_member_changes(void **state)
{
	struct event e = message();

	(void)state;
	e.key = STR("member");
	check_change(e, EVT_MEMBER_JOIN,
		     "\"user\":{\"id\":7,\"name\":\"Alice\"},\"role\":\"member\"," BY_ALICE
		     ",\"at\":" TIME);
	e.subject = 9;
	e.subject_name = STR("Bob");
	e.key = STR("admin");
	check_change(e, EVT_MEMBER_ROLE,
		     "\"user\":{\"id\":9,\"name\":\"Bob\"},\"role\":\"admin\"," BY_ALICE
		     ",\"at\":" TIME);
	e.key = STR("ban");
	check_change(e, EVT_MEMBER_LEAVE,
		     "\"user\":{\"id\":9,\"name\":\"Bob\"},\"reason\":\"ban\"," BY_ALICE
		     ",\"at\":" TIME);
	e.key = STR("");
	check_change(e, EVT_MEMBER_LEAVE,
		     "\"user\":{\"id\":9,\"name\":\"Bob\"}," BY_ALICE ",\"at\":" TIME);
}

static void test_conversation_changes(void **state)
{
	struct event e = message();

	(void)state;
	e.key = STR("name");
	e.content = STR("General");
	check_change(e, EVT_CONVERSATION_UPDATE,
		     "\"changed\":\"name\",\"name\":\"General\"," BY_ALICE ",\"at\":" TIME);
	e.key = STR("description");
	check_change(e, EVT_CONVERSATION_UPDATE,
		     "\"changed\":\"description\",\"description\":\"General\"," BY_ALICE
		     ",\"at\":" TIME);
	/* no member of the record's choice */
	e.key = STR("by");
	check_change(e, EVT_CONVERSATION_UPDATE,
		     "\"changed\":\"by\",\"value\":\"General\"," BY_ALICE ",\"at\":" TIME);
	check_change(e, EVT_CONVERSATION_CLOSE, BY_ALICE ",\"at\":" TIME);
}

/* The longest strings that a record may hold are shown whole. */
static void test_longest(void **state)
{
	struct buf key = BUF_INIT, b = BUF_INIT, form = BUF_INIT;
	struct event e = message(), back;

	(void)state;
	for (int i = 0; i < EVENT_NAME_MAX; i++)
		buf_add_char(&key, 'r');
	e.type = EVT_MEMBER_ROLE;
	e.subject = 9;
	e.key = buf_str(&key);
	e.subject_name = buf_str(&key);
	event_encode(&e, &form);
	assert_int_equal(event_decode(form.p, form.len, &back), 0);
	assert_true(native_add_event(&b, &back));
	assert_true(json_check(buf_str(&b), 4));
	assert_true(b.len > 2 * EVENT_NAME_MAX);
	buf_done(&key);
	buf_done(&b);
	buf_done(&form);
}

static void test_marks(void **state)
{
	struct event e = {.type = EVT_READ, .conv = 42, .actor = 7, .seq = 97};
	struct buf b = BUF_INIT;

	(void)state;
	assert_true(native_add_event(&b, &e));
	assert_buf(&b, "{\"op\":\"eph\",\"c\":42,\"t\":\"read\",\"d\":{\"user\":7,\"seq\":97}}");
	e.type = EVT_DELIVERED;
	assert_true(native_add_event(&b, &e));
	assert_buf(&b,
		   "{\"op\":\"eph\",\"c\":42,\"t\":\"delivered\",\"d\":{\"user\":7,\"seq\":97}}");
	native_add_mark(&b, EVT_READ, 42, 8, 0);
	assert_buf(&b, "{\"op\":\"eph\",\"c\":42,\"t\":\"read\",\"d\":{\"user\":8,\"seq\":0}}");
	assert_int_equal(event_info(EVT_READ)->class, EVENT_EPHEMERAL);
	assert_int_equal(event_info(EVT_DELIVERED)->class, EVENT_EPHEMERAL);
	buf_done(&b);
}

struct people {
	const struct native_presence *p;
	size_t n, at;
};

static bool next_person(void *arg, struct native_presence *ret)
{
	struct people *all = arg;

	if (all->at == all->n)
		return false;
	*ret = all->p[all->at++];
	return true;
}

static void test_presence_batch(void **state)
{
	static const struct native_presence both[] = {
		{.user = 7, .name = {"Al\"ice", 6}, .state = "online", .status = {"lunch", 5}},
		{.user = 8, .state = "offline"}};
	struct people all = {both, 2, 0};
	const struct cmd_id re = {1, "3"};
	struct buf b = BUF_INIT;

	(void)state;
	assert_int_equal(native_add_presence_batch(&b, 0, next_person, &all), 2);
	assert_buf(&b, "{\"op\":\"eph\",\"t\":\"presence\",\"d\":[{\"u\":7,\"name\":\"Al\\\"ice\","
		       "\"s\":\"online\",\"status\":\"lunch\"},{\"u\":8,\"s\":\"offline\"}]}");
	assert_int_equal(native_add_presence_batch(&b, 42, next_person, &all), 0);
	assert_int_equal(b.len, 0);
	all.at = 1;
	assert_int_equal(native_add_presence_batch(&b, 42, next_person, &all), 1);
	assert_buf(&b, "{\"op\":\"eph\",\"c\":42,\"t\":\"presence\",\"d\":[{\"u\":8,"
		       "\"s\":\"offline\"}]}");
	all.at = 1;
	native_add_presence_list(&b, &re, next_person, &all);
	assert_buf(&b,
		   "{\"op\":\"ok\",\"re\":3,\"presence\":[{\"u\":8,\"s\":\"offline\"}]}");
	native_add_presence_list(&b, NULL, next_person, &all);
	assert_buf(&b, "{\"op\":\"ok\",\"presence\":[]}");
	native_add_roster_count(&b, 42, 10000);
	assert_buf(&b, "{\"op\":\"eph\",\"c\":42,\"t\":\"roster\",\"d\":{\"count\":10000}}");
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_message_event),
		cmocka_unit_test(test_client_msg_id),
		cmocka_unit_test(test_message_changes),
		cmocka_unit_test(test_member_changes),
		cmocka_unit_test(test_conversation_changes),
		cmocka_unit_test(test_longest),
		cmocka_unit_test(test_every_event),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_marks),
		cmocka_unit_test(test_presence_batch),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
