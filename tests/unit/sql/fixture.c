/* SPDX-License-Identifier: MIT */
/*
 * One database and one link for all tests of a program.
 */
#include "fixture.h"

char url[PG_URL_MAX];
PGconn *pg;
struct link l;

int fixture_open(void **state)
{
	pg_setup(state);
	pg_database(url);
	pg = pg_open(url);
	link_open(&l, url, NULL);
	return 0;
}

int fixture_close(void **state)
{
	link_close(&l);
	PQfinish(pg);
	return pg_teardown(state);
}

void copy(char *ret, size_t size, struct str s)
{
	snprintf(ret, size, "%.*s", (int)s.len, s.p ? s.p : "");
}
