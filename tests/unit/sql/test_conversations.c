/* SPDX-License-Identifier: MIT */
/*
 * Conversations as JSON: one by either id, and lists by membership and openness.
 */
#include "fixture.h"

#include "base/ids.h"
#include "sql/conversations.h"

static struct {
	int n, err;
	char json[16384];
} got;

static void on_page(void *arg UNUSED, int err, struct str json)
{
	got.n++;
	got.err = err;
	copy(got.json, sizeof(got.json), json);
}

static const char *judge(const char *expression)
{
	static char sql[1024], value[1024];
	const char *values[] = {got.json};
	PGresult *res;

	snprintf(sql, sizeof(sql), "SELECT (%s)::text FROM (SELECT $1::json AS j) t", expression);
	res = PQexecParams(pg, sql, 1, NULL, values, NULL, NULL, 0);
	if (PQresultStatus(res) != PGRES_TUPLES_OK)
		fail_msg("%s", PQerrorMessage(pg));
	snprintf(value, sizeof(value), "%s", PQgetvalue(res, 0, 0));
	PQclear(res);
	return value;
}

static void get(int64_t id, const struct uuid *uid, int64_t user)
{
	got.n = 0;
	assert_int_equal(conversation_get(l.db, id, uid, user, 0, on_page, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
}

static void list(int64_t user, bool with_open, int64_t after, int limit)
{
	got.n = 0;
	assert_int_equal(
		conversation_list(l.db, user, with_open, after, limit, 0, on_page, NULL, NULL), 0);
	link_until(&l, &got.n, 1);
	assert_int_equal(got.err, 0);
}

PRINTF_LIKE(1, 2) static void run(const char *format, ...)
{
	char sql[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(sql, sizeof(sql), format, ap);
	va_end(ap);
	pg_value(pg, sql);
}

static void test_get(void **state UNUSED)
{
	int64_t room = pg_room(pg, "details"), anna = pg_account(pg, "anna");
	char text[64];
	struct uuid uid;

	get(room, NULL, 0);
	assert_int_equal(got.err, 0);
	assert_string_equal(
		judge("(SELECT string_agg(k, ' ' ORDER BY k) FROM json_object_keys(j) k)"),
		"closed_at created_at created_by description id kind last_at last_message"
		" name read_seq rev role seq uid unread updated_at");
	assert_string_equal(judge("j->>'name'"), "details");
	assert_string_equal(judge("(j->>'rev') || (j->>'seq')"), "00");
	assert_string_equal(judge("json_typeof(j->'last_message')"), "null");
	snprintf(text, sizeof(text), "%s", judge("j->>'uid'"));
	assert_int_equal(uuid_parse(str_of(text), &uid), 0);

	run("INSERT INTO events (conversation_id, rev, seq, kind, actor_id, at, content)"
	    " SELECT %" PRId64 ", g, g, 1, %" PRId64 ", now_ms(), 'text ' || g"
	    " FROM generate_series(1, 5) g",
	    room, anna);
	run("INSERT INTO events (conversation_id, rev, seq, kind, actor_id, at)"
	    " VALUES (%" PRId64 ", 6, 5, 7, %" PRId64 ", now_ms())",
	    room, anna);
	run("INSERT INTO members (conversation_id, user_id, role, read_seq, read_rev)"
	    " VALUES (%" PRId64 ", %" PRId64 ", 'owner', 2, 2)",
	    room, anna);
	run("UPDATE events SET deleted_at = now_ms() WHERE conversation_id = %" PRId64
	    " AND rev = 5",
	    room);
	get(0, &uid, anna);
	assert_string_equal(judge("(j->>'rev') || ' ' || (j->>'seq')"), "6 5");
	assert_string_equal(judge("j->>'role'"), "owner");
	assert_string_equal(judge("j->>'unread'"), "2"); /* 3, 4; 5 is deleted */
	assert_string_equal(judge("j->'last_message'->>'preview'"), "text 4");
	assert_string_equal(judge("j->'last_message'->'sender'->>'name'"), "anna");
	get(room, NULL, 0);
	assert_string_equal(judge("json_typeof(j->'unread')"), "null");
	get(987654, NULL, 0);
	assert_int_equal(got.err, -ERR_NOENT);
}

#define IDS "(SELECT string_agg(e->>'name', ' ') FROM json_array_elements(j->'conversations') e)"

static void test_list(void **state UNUSED)
{
	int64_t a = pg_room(pg, "La"), group, b, bert = pg_account(pg, "bert");
	int64_t left, closed;

	pg_value(pg, "UPDATE conversations SET closed_at = now_ms() WHERE name = 'details'");
	group = pg_number(pg, "INSERT INTO conversations (kind, name) VALUES ('group', 'Lg')"
			      " RETURNING id");
	left = pg_number(pg, "INSERT INTO conversations (kind, name) VALUES ('group', 'Ll')"
			     " RETURNING id");
	b = pg_room(pg, "Lb");
	closed = pg_room(pg, "Lc");
	run("INSERT INTO members (conversation_id, user_id) VALUES (%" PRId64 ", %" PRId64 ")",
	    group, bert);
	run("INSERT INTO members (conversation_id, user_id, left_at) VALUES (%" PRId64 ", %" PRId64
	    ", now())",
	    left, bert);
	run("SELECT conversation_close(%" PRId64 ", 0)", closed);

	list(bert, true, 0, 200);
	assert_string_equal(judge(IDS), "La Lg Lb");
	assert_string_equal(judge("json_typeof(j->'next')"), "null");
	list(bert, false, 0, 200);
	assert_string_equal(judge(IDS), "Lg");
	list(0, true, 0, 200);
	assert_string_equal(judge(IDS), "La Lb");
	list(bert, true, 0, 2);
	assert_string_equal(judge(IDS), "La Lg");
	assert_int_equal(strtol(judge("j->>'next'"), NULL, 10), group);
	list(bert, true, group, 2);
	assert_string_equal(judge(IDS), "Lb");
	assert_string_equal(judge("json_typeof(j->'next')"), "null");
	list(bert, true, b, 2);
	assert_string_equal(judge("json_array_length(j->'conversations')"), "0");
	assert_true(a < group && group < b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, fixture_open, fixture_close);
}
