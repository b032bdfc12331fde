/* SPDX-License-Identifier: MIT */
/*
 * Pages of messages: order, bounds, members of each object; judged by PostgreSQL's own JSON reader.
 */
#include "fixture.h"

#include "base/clock.h"
#include "base/ids.h"
#include "sql/batch.h"
#include "sql/messages.h"

static int64_t room, who; /* 150 messages, rev = seq = 1 to 150, except rev 140: a join */

struct got {
	int n, err;
	char json[60000];
};

static struct got got;

static void on_page(void *arg UNUSED, int err, struct str json)
{
	got.n++;
	got.err = err;
	assert_true(json.len < sizeof(got.json));
	copy(got.json, sizeof(got.json), json);
}

static void on_batch(void *arg, const struct batch_answer *answers UNUSED, size_t n UNUSED)
{
	++*(int *)arg;
}

static void fill(void)
{
	static struct batch_row rows[150];
	char sql[256];
	int n = 0;

	room = pg_room(pg, "pages");
	who = pg_account(pg, "dora");
	for (int i = 0; i < 150; i++)
		rows[i] = (struct batch_row){.conv = room, .sender = who, .content = STR("text")};
	rows[149].content = STR("quote \" back\\slash \x01 </script> \xf0\x9f\x98\x80");
	rows[149].reply_to_rev = 3;
	rows[149].meta_json = STR("{\"client_id\":\"c1\",\"n\":7}");
	assert_int_equal(batch_submit(l.db, rows, 150, 0, on_batch, &n), 0);
	link_until(&l, &n, 1);
	snprintf(sql, sizeof(sql),
		 "UPDATE events SET deleted_at = now_ms() WHERE conversation_id = %" PRId64
		 " AND rev = 145",
		 room);
	pg_value(pg, sql);
	snprintf(sql, sizeof(sql),
		 "UPDATE events SET kind = 7 WHERE conversation_id = %" PRId64 " AND rev = 140",
		 room);
	pg_value(pg, sql);
}

static int setup(void **state)
{
	fixture_open(state);
	fill();
	return 0;
}

static void raw(int64_t conv, int64_t before, int limit)
{
	got.n = 0;
	assert_int_equal(messages_page_raw(l.db, conv, before, limit, 0, on_page, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
}

static void native(enum page_from from, int64_t rev, int limit)
{
	got.n = 0;
	assert_int_equal(messages_page_native(l.db, room, from, rev, limit, 0, on_page, NULL, NULL),
			 0);
	link_until(&l, &got.n, 1);
}

/* The value of an expression over j, the JSON that came. */
static const char *judge(const char *expression)
{
	static char sql[62000];
	PGresult *res;
	static char value[1024];
	const char *values[] = {got.json};

	snprintf(sql, sizeof(sql), "SELECT (%s)::text FROM (SELECT $1::json AS j) t", expression);
	res = PQexecParams(pg, sql, 1, NULL, values, NULL, NULL, 0);
	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		fail_msg("%s", PQerrorMessage(pg));
	snprintf(value, sizeof(value), "%s", PQgetvalue(res, 0, 0));
	PQclear(res);
	return value;
}

#define RAW_REVS "(SELECT string_agg(e->>'rev', ' ') FROM json_array_elements(j) e)"
#define NATIVE_REVS "(SELECT string_agg(e->>'rev', ' ') FROM json_array_elements(j->'messages') e)"
#define EDGES "(j->>'has_before') || ' ' || (j->>'has_after')"

static void test_raw_page(void **state UNUSED)
{
	char id[32], iso[CLOCK_RFC3339_LEN + 1], sql[128];

	raw(room, 0, 100);
	assert_int_equal(got.err, 0);
	assert_string_equal(judge("json_array_length(j)"), "100");
	assert_string_equal(judge("j->0->>'rev'"), "49"); /* 150 back, without 140 and 145 */
	assert_string_equal(judge("j->99->>'rev'"), "150");
	snprintf(id, sizeof(id), "%" PRId64, msgid_of(room, 150));
	assert_string_equal(judge("j->99->>'id'"), id);
	assert_string_equal(judge("json_typeof(j->99->'id')"), "string");
	snprintf(id, sizeof(id), "%" PRId64, room);
	assert_string_equal(judge("j->99->'room_id'"), id);
	assert_string_equal(judge("j->99->>'username'"), "dora");
	assert_string_equal(judge("j->99->>'content'"),
			    "quote \" back\\slash \x01 </script> \xf0\x9f\x98\x80");
	snprintf(sql, sizeof(sql),
		 "SELECT epoch_ms(at) FROM events WHERE conversation_id = %" PRId64
		 " AND rev = 150",
		 room);
	clock_format(pg_number(pg, sql), iso);
	assert_string_equal(judge("j->99->>'created_at'"), iso);
	assert_string_equal(judge("(SELECT string_agg(k, ' ' ORDER BY k)"
				  " FROM json_object_keys(j->0) k)"),
			    "content created_at id rev room_id seq username");
}

static void test_raw_bounds(void **state UNUSED)
{
	raw(room, 4, 100);
	assert_string_equal(judge(RAW_REVS), "1 2 3");
	raw(room, 147, 4);
	assert_string_equal(judge(RAW_REVS), "142 143 144 146");
	raw(room, 0, 1000);
	assert_string_equal(judge("json_array_length(j)"), "100");
	raw(room, 0, -3);
	assert_string_equal(judge(RAW_REVS), "150");
	raw(room, 1, 10);
	assert_int_equal(got.err, 0);
	assert_string_equal(got.json, "[]");
}

static void test_raw_unknown(void **state UNUSED)
{
	int64_t closed = pg_room(pg, "closed"), empty = pg_room(pg, "empty");
	char sql[128];

	raw(empty, 0, 100);
	assert_int_equal(got.err, 0);
	assert_string_equal(got.json, "[]");
	snprintf(sql, sizeof(sql), "SELECT conversation_close(%" PRId64 ", 0)", closed);
	pg_value(pg, sql);
	raw(closed, 0, 100);
	assert_int_equal(got.err, -ERR_NOENT);
	raw(424242, 0, 100);
	assert_int_equal(got.err, -ERR_NOENT);
}

static void test_native_page(void **state UNUSED)
{
	struct uuid u = msgid_to_uuid(room, 150);
	char text[UUID_TEXT_LEN + 1], id[32];

	native(PAGE_BEFORE, 0, 8);
	assert_string_equal(judge(NATIVE_REVS), "143 144 145 146 147 148 149 150");
	assert_string_equal(judge(EDGES), "true false");
	assert_string_equal(judge("(j->>'rev') || ' ' || (j->>'seq')"), "150 150");
	assert_string_equal(
		judge("(SELECT string_agg(k, ' ' ORDER BY k)"
		      " FROM json_object_keys(j->'messages'->7) k)"),
		"attachment_url client_msg_id content conversation_id created_at deleted_at"
		" edited_at id meta reply_to rev sender seq uid");
	uuid_format(&u, text);
	assert_string_equal(judge("j->'messages'->7->>'uid'"), text);
	snprintf(id, sizeof(id), "%" PRId64, msgid_of(room, 150));
	assert_string_equal(judge("j->'messages'->7->>'id'"), id);
	snprintf(id, sizeof(id), "%" PRId64, msgid_of(room, 3));
	assert_string_equal(judge("j->'messages'->7->>'reply_to'"), id);
	snprintf(id, sizeof(id), "%" PRId64, who);
	assert_string_equal(judge("j->'messages'->7->'sender'->>'id'"), id);
	assert_string_equal(judge("j->'messages'->7->'sender'->>'name'"), "dora");
	assert_string_equal(judge("j->'messages'->7->>'client_msg_id'"), "c1");
	assert_string_equal(judge("(j->'messages'->7->'meta')::jsonb = '{\"n\":7}'"), "true");
	assert_string_equal(judge("json_typeof(j->'messages'->2->'content')"),
			    "null"); /* deleted */
	assert_string_equal(judge("json_typeof(j->'messages'->2->'deleted_at')"), "string");
	assert_string_equal(judge("json_typeof(j->'messages'->3->'reply_to')"), "null");
}

static void test_native_bounds(void **state UNUSED)
{
	native(PAGE_BEFORE, 4, 10);
	assert_string_equal(judge(NATIVE_REVS), "1 2 3");
	assert_string_equal(judge(EDGES), "false true");
	native(PAGE_BEFORE, 143, 3);
	assert_string_equal(judge(NATIVE_REVS), "139 141 142");
	native(PAGE_AFTER, 147, 10);
	assert_string_equal(judge(NATIVE_REVS), "148 149 150");
	assert_string_equal(judge(EDGES), "true false");
	native(PAGE_AFTER, 0, 2);
	assert_string_equal(judge(NATIVE_REVS), "1 2");
	assert_string_equal(judge(EDGES), "false true");
	native(PAGE_AROUND, 50, 5);
	assert_string_equal(judge(NATIVE_REVS), "48 49 50 51 52");
	assert_string_equal(judge(EDGES), "true true");
	native(PAGE_AROUND, 1, 4);
	assert_string_equal(judge(NATIVE_REVS), "1 2 3");
	native(PAGE_AFTER, 150, 5);
	assert_string_equal(judge("json_array_length(j->'messages')"), "0");
	assert_string_equal(judge(EDGES), "true false");
	native(PAGE_BEFORE, 1, 5);
	assert_string_equal(judge("json_array_length(j->'messages')"), "0");
	assert_string_equal(judge(EDGES), "false true");
	native(PAGE_BEFORE, 0, 5000);
	assert_string_equal(judge("json_array_length(j->'messages')"), "149");
}

/* The text of times does not depend on the session's settings. */
static void test_time_zone(void **state UNUSED)
{
	char zoned[PG_URL_MAX + 64], before[256];
	struct link other;

	raw(room, 2, 1);
	snprintf(before, sizeof(before), "%s", judge("j->0->>'created_at'"));
	snprintf(zoned, sizeof(zoned),
		 "%.500s options='-c TimeZone=Asia/Kolkata -c DateStyle=German'", url);
	link_open(&other, zoned, NULL);
	got.n = 0;
	assert_int_equal(messages_page_raw(other.db, room, 2, 1, 0, on_page, NULL, NULL), 0);
	link_until(&other, &got.n, 1);
	assert_string_equal(judge("j->0->>'created_at'"), before);
	link_close(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_raw_page),      cmocka_unit_test(test_raw_bounds),
		cmocka_unit_test(test_raw_unknown),   cmocka_unit_test(test_native_page),
		cmocka_unit_test(test_native_bounds), cmocka_unit_test(test_time_zone),
	};

	return cmocka_run_group_tests(tests, setup, fixture_close);
}
