/* SPDX-License-Identifier: MIT */
/*
 * Migrations from nothing, twice, at once, against odd databases; and promises of the schema
 * itself.
 */
#include "pg.h"

#include "base/clock.h"
#include "base/ids.h"
#include "sql/events.h"
#include "sql/migrate.h"
#include "sql/migrate_priv.h"

#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

static int migrate(const char *url, enum migrate_mode mode, char *ret, size_t size)
{
	struct buf report = BUF_INIT;
	int err = migrate_run(url, mode, &report);

	snprintf(ret, size, "%.*s", (int)report.len, report.p ? (char *)report.p : "");
	buf_done(&report);
	return err;
}

static void test_apply_twice(void **state UNUSED)
{
	char url[PG_URL_MAX], text[4096];
	PGconn *pg;

	pg_database_empty(url);
	assert_int_equal(migrate(url, MIGRATE_CHECK, text, sizeof(text)), -ERR_AGAIN);
	assert_non_null(strstr(text, "0001 schema: missing"));
	assert_non_null(strstr(text, "0002 log: missing"));
	pg = pg_open(url);
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM pg_class c JOIN pg_namespace n"
				       " ON n.oid = c.relnamespace WHERE n.nspname = 'public'"),
			 0); /* a check changes nothing */

	assert_int_equal(migrate(url, MIGRATE_APPLY, text, sizeof(text)), 0);
	assert_non_null(strstr(text, "0001 schema: applied"));
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM schema_migrations"),
			 (int64_t)migrations_count);
	assert_int_equal(migrate(url, MIGRATE_APPLY, text, sizeof(text)), 0);
	assert_null(strstr(text, "applied"));
	assert_non_null(strstr(text, "up to date"));
	assert_int_equal(migrate(url, MIGRATE_CHECK, text, sizeof(text)), 0);
	PQfinish(pg);
}

static void test_at_once(void **state UNUSED)
{
	char url[PG_URL_MAX], text[4096];
	pid_t pids[4];
	PGconn *pg;

	pg_database_empty(url);
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(migrate(url, MIGRATE_APPLY, text, sizeof(text)) == 0 ? 0 : 1);
	}
	for (size_t i = 0; i < ARRAY_LEN(pids); i++) {
		int status = -1;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	pg = pg_open(url);
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM schema_migrations"),
			 (int64_t)migrations_count);
	PQfinish(pg);
}

static void test_changed_and_newer(void **state UNUSED)
{
	char url[PG_URL_MAX], text[4096];
	PGconn *pg;

	pg_database(url);
	pg = pg_open(url);
	pg_value(pg, "UPDATE schema_migrations SET checksum = 'other' WHERE version = 2");
	assert_int_equal(migrate(url, MIGRATE_CHECK, text, sizeof(text)), -ERR_CORRUPT);
	assert_int_equal(migrate(url, MIGRATE_APPLY, text, sizeof(text)), -ERR_CORRUPT);
	assert_non_null(strstr(text, "0002 log: changed"));
	assert_non_null(strstr(text, "0002_log.sql"));
	assert_non_null(strstr(text, "to do: "));
	pg_value(pg, "UPDATE schema_migrations SET checksum = 'other' WHERE version = 5");
	pg_value(pg, "DELETE FROM schema_migrations WHERE version = 7");
	assert_int_equal(migrate(url, MIGRATE_APPLY, text, sizeof(text)), -ERR_CORRUPT);
	assert_non_null(strstr(text, "0005 marks: changed")); /* all of them */
	assert_non_null(strstr(text, "0007 verify: missing")); /* and nothing is built on them */
	pg_value(pg, "INSERT INTO schema_migrations VALUES (9999, 'later', 'x')");
	assert_int_equal(migrate(url, MIGRATE_APPLY, text, sizeof(text)), -ERR_UNSUPPORTED);
	assert_non_null(strstr(text, "9999 later: of a newer program"));
	assert_non_null(strstr(text, "to do: "));
	PQfinish(pg);
}

/* A failing migration leaves nothing behind and the next attempt starts from there. */
static void test_failure_rolls_back(void **state UNUSED)
{
	char url[PG_URL_MAX], text[4096];
	PGconn *pg;

	pg_database_empty(url);
	pg = pg_open(url);
	pg_value(pg,
		 "CREATE SCHEMA compat"); /* in the way of the third, after it has made others */
	assert_int_equal(migrate(url, MIGRATE_APPLY, text, sizeof(text)), -ERR_DB);
	assert_int_equal(pg_number(pg, "SELECT max(version) FROM schema_migrations"), 2);
	assert_int_equal(
		pg_number(pg, "SELECT count(*) FROM pg_namespace WHERE nspname = 'compat_s0'"), 0);
	pg_value(pg, "DROP SCHEMA compat");
	assert_int_equal(migrate(url, MIGRATE_APPLY, text, sizeof(text)), 0);
	PQfinish(pg);
}

/* A table in use: the migration gives way every 200 ms and succeeds once it is free. */
static void test_waits_for_locks(void **state UNUSED)
{
	char url[PG_URL_MAX], text[4096];
	PGconn *pg, *watch;
	int status = -1;
	pid_t pid;

	pg_database(url);
	pg = pg_open(url);
	watch = pg_open(url);
	pg_value(pg, "DROP SCHEMA compat, compat_s0, compat_s1 CASCADE");
	pg_value(pg, "DELETE FROM schema_migrations WHERE version = 3");
	pg_value(pg, "BEGIN; LOCK TABLE users IN ACCESS EXCLUSIVE MODE");
	pid = fork();
	if (pid == 0)
		_exit(migrate(url, MIGRATE_APPLY, text, sizeof(text)) == 0 ? 0 : 1);
	for (int seen = 0; seen < 2;) { /* waiting, then again in another transaction */
		static char first[32];
		const char *xid = pg_value(watch, "SELECT virtualtransaction FROM pg_locks"
						  " WHERE NOT granted AND locktype = 'relation'");

		if (*xid && strcmp(first, xid) != 0) {
			snprintf(first, sizeof(first), "%s", xid);
			seen++;
		}
		assert_int_equal(waitpid(pid, &status, WNOHANG), 0);
		poll(NULL, 0, 10);
	}
	pg_value(pg, "ROLLBACK");
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	PQfinish(pg);
	PQfinish(watch);
}

static void test_refuses(void **state UNUSED)
{
	char url[PG_URL_MAX], other[PG_URL_MAX + 32], text[4096];
	PGconn *pg;

	pg_database_empty(url);
	assert_int_equal(migrate("host=/nonexistent user=x", MIGRATE_CHECK, text, sizeof(text)),
			 -ERR_UNAVAILABLE);
	assert_int_equal(migrate("pass word=secret", MIGRATE_CHECK, text, sizeof(text)),
			 -ERR_UNAVAILABLE);
	assert_null(strstr(text, "secret"));
	pg = pg_open(url);
	pg_value(pg, "CREATE DATABASE roomd_test_latin TEMPLATE template0 ENCODING 'LATIN1'"
		     " LOCALE 'C'");
	snprintf(other, sizeof(other), "%s dbname=roomd_test_latin", url);
	assert_int_equal(migrate(other, MIGRATE_APPLY, text, sizeof(text)), -ERR_UNSUPPORTED);
	assert_non_null(strstr(text, "UTF8"));
	pg_value(pg, "DROP DATABASE roomd_test_latin");
	PQfinish(pg);
}

/* ---- The schema ---- */

static void test_kinds_equal(void **state UNUSED)
{
	static const struct {
		int number;
		const char *name;
	} kinds[] = {
#define X(id, number, name) {number, name},
#include "sql/kinds.def"
#undef X
	};
	char url[PG_URL_MAX], sql[128];
	PGconn *pg;

	pg_database(url);
	pg = pg_open(url);
	assert_int_equal(pg_number(pg, "SELECT count(*) FROM event_kinds"), ARRAY_LEN(kinds));
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		snprintf(sql, sizeof(sql), "SELECT name FROM event_kinds WHERE kind = %d",
			 kinds[i].number);
		assert_string_equal(pg_value(pg, sql), kinds[i].name);
		assert_string_equal(kind_name(kinds[i].number), kinds[i].name);
	}
	assert_string_equal(kind_name(0), "");
	assert_string_equal(kind_name(999), "");
	PQfinish(pg);
}

static void test_message_ids_equal(void **state UNUSED)
{
	static const int64_t ids[][2] = {
		{1, 1},	       {5, 7},	      {1048577, 4294967290}, {2147483647, 4294967295},
		{77, 1048576}, {77, 1048575}, {42, 2147483648}};
	char url[PG_URL_MAX], sql[256], text[UUID_TEXT_LEN + 1], want[64];
	PGconn *pg;

	pg_database(url);
	pg = pg_open(url);
	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		struct uuid u = msgid_to_uuid(ids[i][0], ids[i][1]);

		uuid_format(&u, text);
		snprintf(sql, sizeof(sql), "SELECT message_uid(%" PRId64 ", %" PRId64 ")",
			 ids[i][0], ids[i][1]);
		assert_string_equal(pg_value(pg, sql), text);
		snprintf(sql, sizeof(sql), "SELECT message_id(%" PRId64 ", %" PRId64 ")", ids[i][0],
			 ids[i][1]);
		assert_int_equal(pg_number(pg, sql), msgid_of(ids[i][0], ids[i][1]));
		snprintf(sql, sizeof(sql),
			 "SELECT message_uid_conversation('%s') || ':' || message_uid_rev('%s')",
			 text, text);
		snprintf(want, sizeof(want), "%" PRId64 ":%" PRId64, ids[i][0], ids[i][1]);
		assert_string_equal(pg_value(pg, sql), want);
	}
	PQfinish(pg);
}

static void test_uuid_v7(void **state UNUSED)
{
	char url[PG_URL_MAX];
	PGconn *pg;

	pg_database(url);
	pg = pg_open(url);
	assert_int_equal(pg_number(pg, "SELECT count(DISTINCT u) FROM (SELECT uuid_v7() AS u"
				       " FROM generate_series(1, 1000)) t"
				       " WHERE u::text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}"
				       "-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'"),
			 1000);
	/* the first 48 bits are the time: within a minute of the server's clock */
	assert_int_equal(
		pg_number(pg,
			  "SELECT count(*) FROM (SELECT ('x' || substr(replace(uuid_v7()::text,"
			  " '-', ''), 1, 12))::bit(48)::bigint AS ms) t"
			  " WHERE abs(ms - extract(epoch FROM clock_timestamp()) * 1000) < 60000"),
		1);
	PQfinish(pg);
}

static void test_everything_has_a_comment(void **state UNUSED)
{
	char url[PG_URL_MAX];
	PGconn *pg;

	pg_database(url);
	pg = pg_open(url);
	assert_string_equal(pg_value(pg, "SELECT string_agg(c.relname, ' ') FROM pg_class c"
					 " JOIN pg_namespace n ON n.oid = c.relnamespace"
					 " WHERE c.relkind IN ('r', 'p') AND n.nspname = 'public'"
					 " AND obj_description(c.oid, 'pg_class') IS NULL"),
			    "");
	PQfinish(pg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apply_twice),
		cmocka_unit_test(test_at_once),
		cmocka_unit_test(test_changed_and_newer),
		cmocka_unit_test(test_failure_rolls_back),
		cmocka_unit_test(test_waits_for_locks),
		cmocka_unit_test(test_refuses),
		cmocka_unit_test(test_kinds_equal),
		cmocka_unit_test(test_message_ids_equal),
		cmocka_unit_test(test_uuid_v7),
		cmocka_unit_test(test_everything_has_a_comment),
	};

	return cmocka_run_group_tests(tests, pg_setup, pg_teardown);
}
