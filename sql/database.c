/* SPDX-License-Identifier: MIT */
/*
 * Looks whether the database is there and makes it, over a connection to another one.
 * The schema is migrate.c's.
 */
#include "sql/database.h"

#include <libpq-fe.h>

/* The first line of TEXT. */
static void report_line(struct buf *report, const char *what, const char *text)
{
	buf_printf(report, "%s: %.*s\n", what, (int)strcspn(text, "\n"), text);
}

static void ignore_notice(void *arg UNUSED, const char *text UNUSED)
{
}

/* To the database of URL, or to NAME of the same server. */
static PGconn *connect_to(const char *url, const char *name)
{
	/* the first dbname is expanded, the second one wins over what it holds */
	const char *keys[] = {"fallback_application_name", "connect_timeout", "dbname", "dbname",
			      NULL};
	const char *values[] = {"roomd init", "10", url, name, NULL};
	PGconn *pg;

	if (!name)
		keys[3] = NULL;
	pg = PQconnectdbParams(keys, values, 1);
	PQsetNoticeProcessor(pg, ignore_notice, NULL);
	return pg;
}

/* A connection to any database of the server that is always there, or NULL. */
static PGconn *connect_aside(const char *url)
{
	static const char *const names[] = {"postgres", "template1"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		PGconn *pg = connect_to(url, names[i]);

		if (PQstatus(pg) == CONNECTION_OK)
			return pg;
		PQfinish(pg);
	}
	return NULL;
}

static bool is_there(PGconn *pg, const char *name)
{
	PGresult *res = PQexecParams(pg, "SELECT FROM pg_database WHERE datname = $1::text", 1,
				     NULL, &name, NULL, NULL, 0);
	bool is = PQresultStatus(res) != PGRES_TUPLES_OK || PQntuples(res) > 0;

	PQclear(res);
	return is;
}

static int error_of(const PGresult *res)
{
	const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	if (state && strcmp(state, "42P04") == 0) /* somebody was faster */
		return 0;
	return state && strcmp(state, "42501") == 0 ? -ERR_DENIED : -ERR_DB;
}

static int create(PGconn *pg, const char *name, struct buf *report)
{
	char *quoted = PQescapeIdentifier(pg, name, strlen(name));
	struct buf sql = BUF_INIT;
	PGresult *res;
	int r = 0;

	if (!quoted) {
		report_line(report, "database", PQerrorMessage(pg));
		return -ERR_DB;
	}
	buf_printf(&sql, "CREATE DATABASE %s ENCODING 'UTF8' TEMPLATE template0", quoted);
	buf_add_char(&sql, '\0');
	res = PQexec(pg, (char *)sql.p);
	if (PQresultStatus(res) != PGRES_COMMAND_OK)
		r = error_of(res);
	if (r < 0)
		report_line(report, "database",
			    PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) ?: "");
	else
		buf_printf(report, "database %s: created\n", name);
	PQclear(res);
	buf_done(&sql);
	PQfreemem(quoted);
	return r;
}

/* PG could not be connected; why is known only by looking from aside. */
static int ensure_from_aside(const char *url, const PGconn *pg, struct buf *report)
{
	PGconn *aside = connect_aside(url);
	int r = -ERR_UNAVAILABLE;

	if (!aside || is_there(aside, PQdb(pg)))
		report_line(report, "connect", PQerrorMessage(pg));
	else
		r = create(aside, PQdb(pg), report);
	PQfinish(aside);
	return r;
}

bool database_is_url(const char *url)
{
	PQconninfoOption *options = PQconninfoParse(url, NULL);

	PQconninfoFree(options);
	return options != NULL;
}

int database_ensure(const char *url, struct buf *report)
{
	PGconn *pg;
	int r = 0;

	if (!database_is_url(url)) {
		buf_add_cstr(report, "connect: not a libpq connection string\n");
		return -ERR_UNAVAILABLE;
	}
	pg = connect_to(url, NULL);
	if (PQstatus(pg) != CONNECTION_OK)
		r = ensure_from_aside(url, pg, report);
	PQfinish(pg);
	return r;
}
