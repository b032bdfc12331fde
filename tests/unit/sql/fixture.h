/* SPDX-License-Identifier: MIT */
/*
 * What most tests of sql/ begin with: a database with the schema, plain SQL beside it, and one link
 * to it. Servers and links themselves are pg.h's.
 */
#ifndef TESTS_SQL_FIXTURE_H
#define TESTS_SQL_FIXTURE_H

#include "pg.h"

extern char url[PG_URL_MAX]; /* of the database */
extern PGconn *pg;	     /* plain SQL */
extern struct link l;	     /* what the code under test goes through */

/* Group set-up and its end for cmocka. */
int fixture_open(void **state);
int fixture_close(void **state);

/* S as a C string in the SIZE bytes at RET, cut to fit; "" when there is none. */
void copy(char *ret, size_t size, struct str s);

#endif
