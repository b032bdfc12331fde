/* SPDX-License-Identifier: MIT */
/*
 * A transaction that ends at any of its writes leaves nothing behind; sent again, it leaves all,
 * once. Seen red with a COMMIT between two of the writes.
 */
#include "pg.h"

#include "sql/batch.h"
#include "sql/changes.h"

static char url[PG_URL_MAX];
static PGconn *pg;
static int64_t room, anna;

static const char *const tables[] = {"events",	     "message_versions", "reactions",	  "members",
				     "audit",	     "receipt_log",	 "conversations", "users",
				     "resume_points"};

/* The server process ends itself at the write whose number is in cut_at; sequences do not roll
 * back. */
static void set_traps(void)
{
	pg_value(pg, "CREATE SEQUENCE cut_count; CREATE TABLE cut_at (n bigint);"
		     "INSERT INTO cut_at VALUES (0);"
		     "CREATE FUNCTION cut() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
		     " IF nextval('cut_count') = (SELECT n FROM cut_at) THEN"
		     "  PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(60);"
		     " END IF; RETURN coalesce(NEW, OLD); END $$");
	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		pg_valuef(
			pg,
			"CREATE TRIGGER a_cut BEFORE INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW"
			" EXECUTE FUNCTION cut();"
			"CREATE TRIGGER z_cut AFTER INSERT OR UPDATE OR DELETE ON %s FOR EACH ROW"
			" EXECUTE FUNCTION cut()",
			tables[i], tables[i]);
}

static void set_trap(int n)
{
	pg_valuef(pg, "UPDATE cut_at SET n = %d; ALTER SEQUENCE cut_count RESTART", n);
}

static int setup(void **state)
{
	pg_setup(state);
	pg_database(url);
	pg = pg_open(url);
	anna = pg_account(pg, "anna");
	set_traps();
	return 0;
}

static int teardown(void **state)
{
	PQfinish(pg);
	return pg_teardown(state);
}

/* Everything there is. */
static const char *fingerprint(void)
{
	static char text[ARRAY_LEN(tables) * 33 + 1];

	for (size_t i = 0; i < ARRAY_LEN(tables); i++)
		memcpy(text + i * 33,
		       pg_valuef(
			       pg,
			       "SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), ''))"
			       " || ' ' FROM %s t",
			       tables[i]),
		       33);
	return text;
}

static void verify(void)
{
	assert_string_equal(pg_value(pg, "SELECT string_agg(v::text, ' ') FROM verify_log() v"),
			    "");
	assert_string_equal(pg_value(pg, "SELECT string_agg(v::text, ' ') FROM verify_unread() v"),
			    "");
}

/*
 * Runs SQL on a connection of its own, cut at its first, second, … write until it gets through.
 * After each cut everything is as before; the number of cuts is at least MIN_CUTS.
 */
static void cut_everywhere(const char *sql, int min_cuts)
{
	char before[ARRAY_LEN(tables) * 33 + 1];
	int n = 0;
	bool is_cut;

	snprintf(before, sizeof(before), "%s", fingerprint());
	do {
		PGconn *victim = pg_open(url);
		PGresult *res;

		set_trap(++n);
		res = PQexec(victim, sql);
		is_cut = PQresultStatus(res) != PGRES_TUPLES_OK;
		if (is_cut) {
			assert_int_equal(PQstatus(victim), CONNECTION_BAD);
			assert_string_equal(fingerprint(), before);
		} else {
			assert_int_equal(PQntuples(res), 1);
			assert_string_not_equal(fingerprint(), before);
		}
		PQclear(res);
		PQfinish(victim);
	} while (is_cut);
	assert_true(n - 1 >= min_cuts);
	verify();
}

static void cut_change(int kind, int64_t target, const char *content, const char *key,
		       bool has_subject, int min_cuts)
{
	char sql[512], who[32] = "NULL";

	if (has_subject)
		snprintf(who, sizeof(who), "%" PRId64, anna);
	set_trap(0);
	snprintf(sql, sizeof(sql),
		 "SELECT * FROM log_change(%" PRId64 ", %d::smallint, %" PRId64
		 ", uuid_v7(), nullif(%" PRId64 ", 0), %s, %s, %s, true, 30)",
		 room, kind, anna, target, who, content, key);
	cut_everywhere(sql, min_cuts);
}

/* Before and after each row that is written: twice the number of rows. */
static void test_changes(void **state UNUSED)
{
	set_trap(0);
	room = pg_room(pg, "changes");
	pg_send(pg, room, anna, "text");
	cut_change(2, 1, "'edited'", "NULL", false, 6);
	cut_change(3, 1, "NULL", "NULL", false, 6);
	cut_change(4, 1, "NULL", "NULL", false, 6);
	cut_change(5, 1, "NULL", "'+1'", false, 4);
	cut_change(6, 1, "NULL", "'+1'", false, 4);
	cut_change(7, 0, "NULL", "'member'", true, 6); /* and has_members */
	cut_change(9, 0, "NULL", "'admin'", true, 6);
	cut_change(8, 0, "NULL", "NULL", true, 4);
	cut_change(10, 0, "'d'", "'description'", false, 6);
	cut_change(11, 0, "NULL", "NULL", false, 6);
}

static void test_batch_and_mark(void **state UNUSED)
{
	int64_t berta;
	char sql[512];

	set_trap(0);
	berta = pg_account(pg, "berta");
	room = pg_room(pg, "batch");
	pg_valuef(pg,
		  "INSERT INTO members (conversation_id, user_id) VALUES (%" PRId64 ", %" PRId64
		  ")",
		  room, anna);
	snprintf(sql, sizeof(sql),
		 "SELECT * FROM persist_batch(ARRAY[%" PRId64 "::bigint], ARRAY[%" PRId64
		 ", %" PRId64 "]::bigint[], ARRAY[1, 2], ARRAY[%" PRId64 ", %" PRId64
		 "]::bigint[], ARRAY[uuid_v7(), uuid_v7()], ARRAY['a', 'b'],"
		 " ARRAY[NULL, NULL]::bigint[], ARRAY[NULL, NULL]::text[])",
		 room, room, room, anna, berta);
	cut_everywhere(sql, 6); /* two messages, one mark */
	snprintf(sql, sizeof(sql), "SELECT * FROM mark_set(%" PRId64 ", %" PRId64 ", 'read', 2)",
		 room, anna);
	cut_everywhere(sql, 4);
	set_trap(0);
	pg_send(pg, room, anna, "c");
	/* a row of their own first */
	snprintf(sql, sizeof(sql), "SELECT * FROM mark_set(%" PRId64 ", %" PRId64 ", 'read', 3)",
		 room, berta);
	cut_everywhere(sql, 6);
	snprintf(sql, sizeof(sql), "SELECT * FROM conversation_close(%" PRId64 ", 0)", room);
	cut_everywhere(sql, 6);
}

struct got {
	int n;
	struct log_change_answer a;
};

static void on_changed(void *arg, const struct log_change_answer *answer)
{
	struct got *g = arg;

	g->n++;
	g->a = *answer;
}

/* The connection is cut at each write in turn and repeats the change by itself. */
static void test_repeated_by_the_connection(void **state UNUSED)
{
	struct log_change c = {.kind = KIND_MESSAGE_EDIT, .target_rev = 1};
	struct link l;

	set_trap(0);
	room = pg_room(pg, "repeated");
	pg_send(pg, room, anna, "text");
	link_open(&l, url, NULL);
	c.conv = room;
	c.actor = anna;
	for (int cut = 1; cut <= 6; cut++) {
		struct got g = {0};
		char text[16];

		snprintf(text, sizeof(text), "text %d", cut);
		c.content = str_of(text);
		link_until(&l, &l.n_connected, cut);
		set_trap(cut);
		assert_int_equal(log_change_submit(l.db, &c, 0, on_changed, &g, NULL), 0);
		link_until(&l, &g.n, 1);
		assert_int_equal(l.n_lost, cut);
		assert_int_equal(g.a.status, CHANGE_STORED);
		assert_int_equal(g.a.rev, 1 + cut);
	}
	link_close(&l);
	verify();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_batch_and_mark),
		cmocka_unit_test(test_repeated_by_the_connection),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
