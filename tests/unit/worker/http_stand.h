/* SPDX-License-Identifier: MIT */
/*
 * A stand for tests of HTTP: takes the places of conn.c, ws_conn.c, dbio.c and of the table of
 * routes, and drives the rest with bytes. Holds no expectations but those of check_status.
 */
#ifndef TESTS_HTTP_STAND_H
#define TESTS_HTTP_STAND_H

#include "worker_test.h"

#include "base/ids.h"
#include "sql/rooms.h"
#include "worker/call.h"
#include "worker/conn.h"
#include "worker/http_conn.h"

#define STAND_DATE "Sun, 06 Nov 1994 08:49:37 GMT"
#define STAND_SLOT 3
#define UUID_TEXT "0192f0c1-2345-7abc-8def-0123456789ab"

extern struct worker *wk;
extern struct conn *conn;
extern struct buf pending;	/* what the connection has not taken yet */
extern struct call *kept;	/* by GET /later */
extern int64_t seen_id[2];	/* by GET /id/{a}/{b} */
extern struct uuid seen_uuid;
extern uint32_t limit_left;	/* requests that limits let through; UINT32_MAX at first */
extern int flushes, waits;	/* calls of conn_flush and conn_wait */

extern struct ws_started {
	bool started;
	enum dialect dialect;
	int64_t room;
} ws;

/* The question that room_info was asked. */
extern struct room_query {
	room_done_fn *done;
	void *arg;
	struct uuid uid;
} query;

/* How long the database has been away; 0 after each set-up. */
extern uint64_t away_ms;

/* What the caller is in every room: ROLE_VISITOR unless a test says otherwise. */
extern enum authz_role stand_role;

/* cmocka's: a fresh worker and connection for each test. */
int stand_setup(void **state);
int stand_teardown(void **state);

/* One setting, "section.key=value". */
void stand_set(const char *assignment);

/* A new connection, and everything of the old one forgotten. */
void stand_reset(void);

/* Shows the connection more bytes, or again what it left. */
void stand_feed(const char *text);
void stand_run(void);

/* Moves what handlers have queued outside of stand_run to what is sent. */
void stand_flush(void);

/* Everything sent since the last call; valid until the next. */
struct str stand_sent(void);

/* stand_reset, stand_feed, stand_sent. */
struct str stand_ask(const char *text);

/* Of the first answer in S; 0 when it is none. */
int answer_status(struct str s);
struct str answer_body(struct str s);

/* How often TEXT occurs in S. */
int answer_count(struct str s, const char *text);

/* The answer to this request on a connection of its own has this status. */
void check_status(const char *text, int want);

#define STAND_TEST(f) cmocka_unit_test_setup_teardown(f, stand_setup, stand_teardown)

#endif
