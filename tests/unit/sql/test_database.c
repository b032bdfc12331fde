/* SPDX-License-Identifier: MIT */
/*
 * Making the database itself: where there is none, where there is one, where it is not allowed.
 */
#include "pg.h"

#include "sql/database.h"

#define URL_MAX (2 * PG_URL_MAX)
#define NAME "a \"new\" one"

static int ensure(const char *url, char *ret, size_t size)
{
	struct buf report = BUF_INIT;
	int err = database_ensure(url, &report);

	snprintf(ret, size, "%.*s", (int)report.len, report.p ? (char *)report.p : "");
	buf_done(&report);
	return err;
}

/* URL with another dbname, and USER unless NULL: the last one of a string wins. */
static void url_to(char ret[URL_MAX], const char *url, const char *name, const char *user)
{
	snprintf(ret, URL_MAX, "%s dbname='%s'%s%s", url, name, user ? " user=" : "", user ?: "");
}

static void test_made_once(void **state UNUSED)
{
	char base[PG_URL_MAX], url[URL_MAX], text[1024];
	PGconn *pg;

	pg_database_empty(base);
	url_to(url, base, NAME, NULL);
	assert_int_equal(ensure(url, text, sizeof(text)), 0);
	assert_string_equal(text, "database " NAME ": created\n");
	pg = pg_open(url);
	assert_string_equal(pg_value(pg, "SELECT pg_encoding_to_char(encoding) FROM pg_database"
					 " WHERE datname = current_database()"),
			    "UTF8");
	PQfinish(pg);
	assert_int_equal(ensure(url, text, sizeof(text)), 0);
	assert_string_equal(text, "");
	pg = pg_open(base);
	assert_string_equal(pg_try(pg, "DROP DATABASE \"a \"\"new\"\" one\""), "");
	PQfinish(pg);
}

static void test_not_allowed(void **state UNUSED)
{
	char base[PG_URL_MAX], url[URL_MAX], text[1024];
	PGconn *pg;

	if (!pg_is_private())
		skip();
	pg_database_empty(base);
	pg = pg_open(base);
	assert_string_equal(pg_try(pg, "CREATE ROLE modest LOGIN"), "");
	url_to(url, base, "never_made", "modest");
	assert_int_equal(ensure(url, text, sizeof(text)), -ERR_DENIED);
	assert_non_null(strstr(text, "permission denied"));
	assert_int_equal(
		pg_number(pg, "SELECT count(*) FROM pg_database WHERE datname = 'never_made'"), 0);
	assert_string_equal(pg_try(pg, "DROP ROLE modest"), "");
	PQfinish(pg);
}

static void test_no_server(void **state UNUSED)
{
	char text[1024];

	assert_int_equal(ensure("host=/nonexistent dbname=x password=hush", text, sizeof(text)),
			 -ERR_UNAVAILABLE);
	assert_non_null(strstr(text, "connect: "));
	assert_null(strstr(text, "hush"));
	assert_int_equal(ensure("hush = = no string", text, sizeof(text)), -ERR_UNAVAILABLE);
	assert_null(strstr(text, "hush"));
}

/* The database is there and refuses: nothing is made, and its own words are reported. */
static void test_refused_by_the_database(void **state UNUSED)
{
	char base[PG_URL_MAX], url[URL_MAX], text[1024];
	PGconn *pg;

	if (!pg_is_private())
		skip();
	pg_database_empty(base);
	pg = pg_open(base);
	assert_string_equal(pg_try(pg, "CREATE DATABASE shut ALLOW_CONNECTIONS false"), "");
	url_to(url, base, "shut", NULL);
	assert_int_equal(ensure(url, text, sizeof(text)), -ERR_UNAVAILABLE);
	assert_non_null(strstr(text, "not currently accepting connections"));
	assert_string_equal(pg_try(pg, "DROP DATABASE shut"), "");
	PQfinish(pg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_made_once),
		cmocka_unit_test(test_not_allowed),
		cmocka_unit_test(test_no_server),
		cmocka_unit_test(test_refused_by_the_database),
	};

	return cmocka_run_group_tests_name("database", tests, pg_setup, pg_teardown);
}
