/* SPDX-License-Identifier: MIT */
/*
 * Runs one recount over a connection of its own and hands over the differences.
 * The recounts are verify_log and verify_unread in the schema.
 */
#include "sql/verify.h"

#include <libpq-fe.h>

#include "sql/database.h"
#include "sql/stmt.h"

#define ROWS_MAX 1000

static void ignore_notice(void *arg UNUSED, const char *text UNUSED)
{
}

static PGconn *connect_to(const char *url)
{
	static const char *const keys[] = {"fallback_application_name", "connect_timeout", "dbname",
					   NULL};
	const char *values[] = {"roomd verify", "10", url, NULL};
	PGconn *pg = PQconnectdbParams(keys, values, 1);

	PQsetNoticeProcessor(pg, ignore_notice, NULL);
	return pg;
}

static void report_line(struct buf *report, const char *what, const char *text)
{
	buf_printf(report, "%s: %.*s\n", what, (int)strcspn(text, "\n"), text);
}

static int64_t number_at(const PGresult *res, int row, int col)
{
	return strtoll(PQgetvalue(res, row, col), NULL, 10);
}

static void hand_over(const PGresult *res, verify_fn *on_row, void *arg)
{
	for (int i = 0; i < PQntuples(res); i++) {
		const struct verify_row row = {.conv = number_at(res, i, 0),
					       .rev = number_at(res, i, 1),
					       .user = number_at(res, i, 2),
					       .problem = str_of(PQgetvalue(res, i, 3)),
					       .have = number_at(res, i, 4),
					       .want = number_at(res, i, 5)};

		on_row(arg, &row);
	}
}

static int recount(PGconn *pg, enum verify_what what, int limit, verify_fn *on_row, void *arg,
		   int64_t *ret_n, struct buf *report)
{
	const struct stmt *s = stmt_get(what == VERIFY_LOG ? STMT_VERIFY_LOG : STMT_VERIFY_UNREAD);
	char text[16];
	const char *values[] = {text};
	PGresult *res;
	int r = 0;

	snprintf(text, sizeof(text), "%d", limit > 0 ? limit : ROWS_MAX);
	res = PQexecParams(pg, s->sql, 1, NULL, values, NULL, NULL, 0);
	if (PQresultStatus(res) == PGRES_TUPLES_OK) {
		*ret_n = PQntuples(res);
		hand_over(res, on_row, arg);
	} else {
		report_line(report, s->name, PQerrorMessage(pg));
		r = -ERR_DB;
	}
	PQclear(res);
	return r;
}

int verify_run(const char *url, enum verify_what what, int limit, verify_fn *on_row, void *arg,
	       int64_t *ret_n, struct buf *report)
{
	PGconn *pg;
	int r = -ERR_UNAVAILABLE;

	if (!database_is_url(url)) {
		buf_add_cstr(report, "connect: not a libpq connection string\n");
		return r;
	}
	pg = connect_to(url);
	if (PQstatus(pg) == CONNECTION_OK)
		r = recount(pg, what, limit, on_row, arg, ret_n, report);
	else
		report_line(report, "connect", PQerrorMessage(pg));
	PQfinish(pg);
	return r;
}
