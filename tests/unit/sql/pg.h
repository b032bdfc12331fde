/* SPDX-License-Identifier: MIT */
/*
 * A private PostgreSQL for the tests of sql/, and a loop small enough to see through.
 * ROOMD_TEST_PG (a connection string that may create databases) replaces the private server;
 * ROOMD_TEST_CLUSTER (a fresh cluster of the role roomd, not running) is copied instead of calling
 * initdb.
 */
#ifndef TESTS_SQL_PG_H
#define TESTS_SQL_PG_H

#include <setjmp.h>
#include <stdarg.h>

#include "base/base.h"
#include "sql/db.h"

#include <cmocka.h>
#include <libpq-fe.h>

#define PG_URL_MAX 512
#define PG_PATIENCE_MS 60000 /* the longest wait for any condition, on a machine that is busy */

/* ---- The server; every failure ends the program, a missing PostgreSQL with status 77 ---- */

/* Group set-up for cmocka: starts the server once per program; it dies with the program. */
int pg_setup(void **state);
int pg_teardown(void **state);

bool pg_is_private(void);
void pg_stop(void);   /* immediate: as after a power cut */
void pg_resume(void); /* starts it again */

/* Sends SIGNAL to the server processes of all connections with this application_name. */
void pg_signal(const char *application_name, int signal);

/* A new empty database, or one with the schema. */
void pg_database_empty(char ret_url[PG_URL_MAX]);
void pg_database(char ret_url[PG_URL_MAX]);

/* ---- Plain synchronous SQL beside the code under test ---- */

PGconn *pg_open(const char *url);

/* Runs SQL that must succeed; the first value of the first row, "" when none. Static buffer. */
const char *pg_value(PGconn *pg, const char *sql);
int64_t pg_number(PGconn *pg, const char *sql);
const char *pg_valuef(PGconn *pg, const char *format, ...) PRINTF_LIKE(2, 3);
int64_t pg_numberf(PGconn *pg, const char *format, ...) PRINTF_LIKE(2, 3);
const char *pg_try(PGconn *pg, const char *sql); /* SQLSTATE, "" when it succeeded */

/* ---- The loop ---- */

struct link {
	struct db *db;
	int fd;
	bool want_read, want_write;
	uint64_t timer_at; /* 0 = none */
	int n_connected, n_lost, n_schema, n_stalled;
	int n_sent, n_refused, n_repeated;
	char text[256]; /* of the last state */
};

/* A started connection to URL; CFG may be NULL for the defaults with prepared statements. */
void link_open(struct link *l, const char *url, const struct db_config *cfg);
void link_close(struct link *l);

/* One turn for N links: waits for the first event, at most MAX_MS. */
void links_turn(struct link *const *links, int n, int max_ms);

/* Turns until *COUNTER reaches AT_LEAST; fails the test when that takes too long. */
void link_until(struct link *l, const int *counter, int at_least);

/* ---- Fixtures ---- */

/* Adds an open room, an account; their ids. NAME needs no quoting. */
int64_t pg_room(PGconn *pg, const char *name);
int64_t pg_account(PGconn *pg, const char *name);

/* Sends a message through persist_batch; its rev. TEXT needs no quoting. */
int64_t pg_send(PGconn *pg, int64_t conv, int64_t sender, const char *text);

#endif
