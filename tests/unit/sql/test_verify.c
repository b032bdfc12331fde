/* SPDX-License-Identifier: MIT */
/*
 * The recounts find each kind of damage that is done by hand, and nothing in a sound database.
 */
#include "pg.h"

#include "sql/verify.h"

static char url[PG_URL_MAX];
static PGconn *pg;
static int64_t room, anna, berta;

struct found {
	int n;
	char problem[8][32];
	struct verify_row row[8];
};

static struct found found;

static void on_row(void *arg, const struct verify_row *row)
{
	struct found *f = arg;

	assert_true(f->n < 8);
	f->row[f->n] = *row;
	snprintf(f->problem[f->n++], 32, "%.*s", (int)row->problem.len, row->problem.p);
}

static int setup(void **state)
{
	pg_setup(state);
	pg_database(url);
	pg = pg_open(url);
	anna = pg_account(pg, "anna");
	berta = pg_account(pg, "berta");
	return 0;
}

static int teardown(void **state)
{
	PQfinish(pg);
	return pg_teardown(state);
}

static void look(enum verify_what what)
{
	struct buf report = BUF_INIT;
	int64_t n = -1;

	found = (struct found){0};
	assert_int_equal(verify_run(url, what, 8, on_row, &found, &n, &report), 0);
	assert_int_equal(n, found.n);
	assert_int_equal(report.len, 0);
	buf_done(&report);
}

static void change(int kind, int64_t target, const char *content, const char *key, int64_t subject)
{
	pg_valuef(pg,
		  "SELECT log_change(%" PRId64 ", %d::smallint, %" PRId64
		  ", uuid_v7(), nullif(%" PRId64 ", 0), nullif(%" PRId64 ", 0), %s, %s, true, 0)",
		  room, kind, anna, target, subject, content, key);
}

/* A conversation in which everything has happened. */
static void make_history(void)
{
	room = pg_numberf(pg, "SELECT count(*) FROM conversations");
	room = pg_numberf(pg,
			  "INSERT INTO conversations (kind, name, created_at) VALUES ('room',"
			  " 'history ' || %" PRId64 ", '2026-01-01') RETURNING id",
			  room);
	change(7, 0, "NULL", "'member'", anna);	     /* 1 */
	pg_send(pg, room, anna, "one");		     /* 2 */
	pg_send(pg, room, berta, "two");	     /* 3 */
	change(2, 2, "'one and a half'", "NULL", 0); /* 4 */
	change(3, 3, "NULL", "NULL", 0);	     /* 5 */
	change(4, 3, "NULL", "NULL", 0);	     /* 6 */
	change(5, 2, "NULL", "'+1'", 0);	     /* 7 */
	change(6, 2, "NULL", "'+1'", 0);	     /* 8 */
	change(5, 3, "NULL", "'-1'", 0);	     /* 9 */
	change(10, 0, "'what'", "'description'", 0); /* 10 */
	change(9, 0, "NULL", "'admin'", anna);	     /* 11 */
	change(3, 3, "NULL", "NULL", 0);	     /* 12 */
	change(9, 0, "NULL", "'banned'", berta);     /* 13 */
	pg_send(pg, room, berta, "three");	     /* 14 */
	pg_valuef(pg, "SELECT mark_set(%" PRId64 ", %" PRId64 ", 'delivered', 2)", room, anna);
}

static void make_history_alone(void)
{
	pg_value(pg, "DELETE FROM events; DELETE FROM conversations; DELETE FROM reactions;"
		     "DELETE FROM message_versions");
	make_history();
}

static void test_sound(void **state UNUSED)
{
	make_history();
	pg_valuef(pg, "SELECT conversation_close(%" PRId64 ", 0)", room);
	make_history();
	look(VERIFY_LOG);
	assert_int_equal(found.n, 0);
	look(VERIFY_UNREAD);
	assert_int_equal(found.n, 0);
	/* the beginning may be gone, and what was about it */
	pg_valuef(pg, "DELETE FROM events WHERE conversation_id = %" PRId64 " AND rev < 14", room);
	pg_valuef(pg,
		  "DELETE FROM reactions WHERE conversation_id = %" PRId64 ";"
		  "DELETE FROM message_versions WHERE conversation_id = %" PRId64
		  "; UPDATE conversations SET base_rev = 13, base_seq = 2 WHERE id = %" PRId64,
		  room, room, room);
	look(VERIFY_LOG);
	assert_int_equal(found.n, 0);
}

/* Damage in SQL, with %s for the condition on the conversation; then what must be said, and where.
 */
static const struct {
	const char *damage, *problem;
	int64_t rev;
} damages[] = {
	{"DELETE FROM events WHERE %s AND rev = 10", "gap", 11},
	{"UPDATE events SET seq = seq + 1 WHERE %s AND rev = 14", "seq", 14},
	{"UPDATE events SET seq = seq + 5 WHERE %s", "seq", 1},
	{"UPDATE events SET at = at - interval '1 hour' WHERE %s AND rev = 9", "time", 9},
	{"UPDATE conversations SET closed_at = now() WHERE id = (SELECT conversation_id FROM events"
	 " WHERE %s LIMIT 1)",
	 "closed", 14},
	{"INSERT INTO events SELECT conversation_id, 15, seq, 0, now(), NULL, NULL, NULL, NULL, "
	 "NULL,"
	 " NULL, 11 FROM events WHERE %s AND rev = 14",
	 "closed", 15},
	{"UPDATE conversations SET base_rev = 3 WHERE id = (SELECT conversation_id FROM events"
	 " WHERE %s LIMIT 1)",
	 "base", 1},
	{"UPDATE members SET read_seq = 99 WHERE %s AND user_id = (SELECT min(user_id) FROM "
	 "members)",
	 "mark", 0},
	{"UPDATE members SET delivered_rev = 99 WHERE %s AND user_id = (SELECT min(user_id) FROM"
	 " members)",
	 "mark", 0},
	{"UPDATE events SET target_rev = 1 WHERE %s AND rev = 8", "target", 8},
	{"UPDATE events SET deleted_at = now() WHERE %s AND rev = 2", "deleted", 2},
	{"UPDATE events SET deleted_at = NULL WHERE %s AND rev = 3", "deleted", 3},
	{"UPDATE events SET content = 'else' WHERE %s AND rev = 2", "text", 2},
	{"DELETE FROM message_versions WHERE %s", "version", 4},
	{"DELETE FROM reactions WHERE %s", "reaction", 3},
	{"INSERT INTO reactions SELECT conversation_id, rev, 1, 'x', now() FROM events WHERE %s AND"
	 " rev = 3",
	 "reaction", 3},
	{"UPDATE members SET left_at = now() WHERE %s AND role = 'admin'", "member", 1},
	{"UPDATE members SET role = 'member' WHERE %s AND role = 'admin'", "role", 11},
	{"UPDATE conversations SET description = 'no' WHERE id = (SELECT conversation_id FROM "
	 "events"
	 " WHERE %s LIMIT 1)",
	 "update", 10},
};

static void test_log_damages(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(damages); i++) {
		char where[64], sql[512];
		bool is_found = false;

		make_history_alone();
		snprintf(where, sizeof(where), "conversation_id = %" PRId64, room);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(sql, sizeof(sql), damages[i].damage, where);
#pragma GCC diagnostic pop
		pg_value(pg, sql);
		look(VERIFY_LOG);
		for (int j = 0; j < found.n; j++)
			is_found = is_found ||
				   (strcmp(found.problem[j], damages[i].problem) == 0 &&
				    found.row[j].conv == room &&
				    (damages[i].rev == 0 || found.row[j].rev == damages[i].rev));
		if (!is_found)
			fail_msg("%s: %d found, first %s at %" PRId64, sql, found.n,
				 found.problem[0], found.row[0].rev);
	}
}

/* Events without a conversation, and a key twice, which the index forbids while it stands. */
static void test_orphans_and_keys(void **state UNUSED)
{
	make_history_alone();
	pg_value(pg, "INSERT INTO events (conversation_id, rev, seq, kind, actor_id, at)"
		     " VALUES (888888, 1, 1, 1, 0, now())");
	look(VERIFY_LOG);
	assert_int_equal(found.row[found.n - 1].conv, 888888);
	assert_string_equal(found.problem[found.n - 1], "conversation");
	pg_value(pg, "DELETE FROM events WHERE conversation_id = 888888;"
		     "DROP INDEX events_client_msg_key");
	pg_valuef(pg,
		  "UPDATE events SET client_msg_id = (SELECT client_msg_id FROM events WHERE rev = "
		  "3 AND"
		  " conversation_id = %" PRId64 ") WHERE rev = 14 AND conversation_id = %" PRId64,
		  room, room);
	look(VERIFY_LOG);
	assert_string_equal(found.problem[0], "key");
	assert_int_equal(found.row[0].have, 2);
	pg_valuef(pg,
		  "UPDATE events SET client_msg_id = uuid_v7() WHERE conversation_id = %" PRId64,
		  room);
	pg_value(pg,
		 "CREATE UNIQUE INDEX events_client_msg_key ON events (client_msg_id, actor_id)");
}

static void test_unread(void **state UNUSED)
{
	make_history_alone();
	/* she has sent number 1; a mark that fell below it counts her own message */
	pg_valuef(pg,
		  "UPDATE members SET read_seq = 0 WHERE conversation_id = %" PRId64
		  " AND user_id = %" PRId64,
		  room, anna);
	look(VERIFY_UNREAD);
	assert_int_equal(found.n, 1);
	assert_string_equal(found.problem[0], "unread");
	assert_int_equal(found.row[0].conv, room);
	assert_int_equal(found.row[0].user, anna);
	assert_int_equal(found.row[0].have, 2);
	assert_int_equal(found.row[0].want, 1);
}

static void test_unreachable(void **state UNUSED)
{
	struct buf report = BUF_INIT;
	char empty[PG_URL_MAX];
	int64_t n = -1;

	assert_int_equal(verify_run("host=/nonexistent", VERIFY_LOG, 0, on_row, NULL, &n, &report),
			 -ERR_UNAVAILABLE);
	assert_int_equal(verify_run("password=hidden'", VERIFY_LOG, 0, on_row, NULL, &n, &report),
			 -ERR_UNAVAILABLE);
	pg_database_empty(empty);
	assert_int_equal(verify_run(empty, VERIFY_UNREAD, 0, on_row, NULL, &n, &report), -ERR_DB);
	assert_int_equal(n, -1);
	buf_add_char(&report, '\0');
	assert_null(strstr((char *)report.p, "hidden"));
	assert_non_null(strstr((char *)report.p, "verify_unread: "));
	buf_done(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sound),
		cmocka_unit_test(test_log_damages),
		cmocka_unit_test(test_orphans_and_keys),
		cmocka_unit_test(test_unread),
		cmocka_unit_test(test_unreachable),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
