/* SPDX-License-Identifier: MIT */
/*
 * One question over a connection of its own.
 */
#include "sql/addresses.h"

#include <libpq-fe.h>

#include "sql/stmt.h"

static void ignore_notice(void *arg UNUSED, const char *text UNUSED)
{
}

static int ask(PGconn *pg, struct addresses_seen *ret)
{
	const struct stmt *s = stmt_get(STMT_ADDRESSES_SEEN);
	PGresult *res = PQexecParams(pg, s->sql, 0, NULL, NULL, NULL, NULL, 0);
	int r = -ERR_DB;

	if (PQresultStatus(res) == PGRES_TUPLES_OK && PQntuples(res) == 1) {
		*ret = (struct addresses_seen){
			.logins = strtoll(PQgetvalue(res, 0, 0), NULL, 10),
			.users = strtoll(PQgetvalue(res, 0, 1), NULL, 10),
		};
		snprintf(ret->only, sizeof(ret->only), "%s", PQgetvalue(res, 0, 2));
		r = 0;
	}
	PQclear(res);
	return r;
}

int addresses_look(const char *url, struct addresses_seen *ret)
{
	static const char *const keys[] = {"fallback_application_name", "connect_timeout", "dbname",
					   NULL};
	const char *values[] = {"roomd check", "10", url, NULL};
	PGconn *pg = PQconnectdbParams(keys, values, 1);
	int r = -ERR_UNAVAILABLE;

	PQsetNoticeProcessor(pg, ignore_notice, NULL);
	if (PQstatus(pg) == CONNECTION_OK)
		r = ask(pg, ret);
	PQfinish(pg);
	return r;
}
