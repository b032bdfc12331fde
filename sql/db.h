/* SPDX-License-Identifier: MIT */
/*
 * One asynchronous libpq connection in pipeline mode as a state machine: queue, send, answer,
 * reconnect. It watches nothing and waits for nothing: its owner holds the watchers and the clock.
 */
#ifndef SQL_DB_H
#define SQL_DB_H

#include "base/base.h"
#include "base/buf.h"
#include "base/ids.h"
#include "sql/stmt.h"

struct db;	  /* opaque */
struct db_result; /* opaque; valid inside the callback that received it, no longer */

enum db_state {
	DB_STATE_LOST,	    /* not connected; another attempt follows by itself */
	DB_STATE_CONNECTED, /* queries flow (again) */
	DB_STATE_STALLED,   /* connected, but silent for stall_ms although it was asked */
	DB_STATE_SCHEMA,    /* still connected, but a statement does not fit the schema: migrate */
};

struct db_config {
	const char *url;	      /* libpq string or URI, several hosts allowed; copied */
	const char *application_name; /* seen in pg_stat_activity; copied; NULL = "roomd" */
	bool is_prepared;	      /* named statements, prepared at first use */
	bool is_writer;		      /* leave a server in recovery or read-only */
	int64_t connect_timeout_ms;   /* one attempt, over all hosts; 0 = 5,000 */
	int64_t retry_min_ms;	      /* first delay after a failure; 0 = 100 */
	int64_t retry_max_ms;	      /* the delay doubles with jitter up to this; 0 = 5,000 */
	int64_t stall_ms;	      /* no answer for so long = stalled; 0 = never */
	/* an idle connection is asked for a sign so often; 0 = never */
	int64_t probe_ms;
	int64_t answer_timeout_ms;    /* no answer for so long = connection lost; 0 = 30,000 */
	int64_t statement_timeout_ms; /* set on the server; 0 = not */
	uint32_t queue_max;	      /* waiting; more are refused; 0 = 1,024 */
	uint32_t inflight_max;	      /* sent and not answered; the rest waits here; 0 = 64 */
};

/* What on_count is told of. */
enum db_count {
	DB_COUNT_SENT,	   /* a statement was handed to the server */
	DB_COUNT_REFUSED,  /* the server refused one */
	DB_COUNT_REPEATED, /* one of unknown fate was handed over again */
};

/*
 * Called from inside db_start, db_on_*, db_submit (on_io, on_timer, on_count only) and db_free
 * (on_io only).
 */
struct db_hooks {
	/* Watch FD for these events from now on, nothing else; -1 = no socket.
	 * The number may change while connecting, or stay the same for another socket: restart the
	 * watcher whenever this is called. */
	void (*on_io)(void *arg, int fd, bool want_read, bool want_write);
	/* Call db_on_timer once after DELAY_MS, forget earlier requests; -1 = none. */
	void (*on_timer)(void *arg, int64_t delay_ms);
	/* TEXT says why, one line without secrets, valid during the call. LOST is reported once per
	 * failed attempt, so that the owner can count; it must not free the db here. */
	void (*on_state)(void *arg, enum db_state state, const char *text);
	/* NULL: nobody counts. */
	void (*on_count)(void *arg, enum db_count what, enum stmt_id stmt);
};

/* HOOKS is copied; ARG goes to every hook. Never fails, connects nowhere before db_start. */
struct db *db_new(const struct db_config *cfg, const struct db_hooks *hooks, void *arg);

/*
 * Begins the first connection attempt. Host names are resolved synchronously by libpq: prefer
 * addresses.
 */
void db_start(struct db *db);

/*
 * Closes the connection and answers every open query (DB_NOT_SENT or DB_LOST). Not from inside a
 * callback of the same db. NULL allowed; clears the pointer.
 */
void db_free(struct db **db);

void db_on_readable(struct db *db);
void db_on_writable(struct db *db);
void db_on_timer(struct db *db);

/* Queries flow: there is a connection and it is not stalled. */
bool db_is_connected(const struct db *db);

/*
 * The server's process behind the present connection, 0 when there is none. Behind a pooler it is
 * a number of the pooler's.
 */
int32_t db_backend(const struct db *db);

/* Waiting and in flight together: 0 = idle. */
uint32_t db_pending(const struct db *db);

/*
 * New limits for later attempts (reload); url, is_prepared, is_writer and the queue are not
 * changed.
 */
void db_set_timeouts(struct db *db, const struct db_config *cfg);

/* ---- Parameters ---- */

#define DB_PARAM_MAX 16

/* Parameters in order, bytes owned here. Start from DB_ARGS_INIT; db_submit empties it. */
struct db_args {
	struct buf data;
	int n;
	struct {
		size_t off;
		int32_t len;	/* -1 = NULL */
		bool is_binary;
	} p[DB_PARAM_MAX];
};

#define DB_ARGS_INIT ((struct db_args){.n = 0})

void db_args_done(struct db_args *a);
void db_args_i64(struct db_args *a, int64_t v);			 /* bigint, binary */
void db_args_i64_or_null(struct db_args *a, int64_t v);		 /* 0 becomes NULL */
void db_args_i32(struct db_args *a, int32_t v);			 /* integer, binary */
void db_args_text(struct db_args *a, struct str s);		 /* p == NULL becomes NULL */
void db_args_uuid(struct db_args *a, const struct uuid *u);	 /* NULL or zero becomes NULL */
void db_args_null(struct db_args *a);
/* Bytes of the type's binary form; open, append to a->data, close. */
void db_args_open(struct db_args *a);
void db_args_close(struct db_args *a);

/* ---- Queries ---- */

enum db_status {
	DB_OK,
	DB_CONSTRAINT, /* a constraint was violated, see db_result_constraint; nothing was stored */
	DB_PASSING,    /* rolled back for a reason that passes: deadlock, time-out, no room */
	DB_ERROR,      /* refused for any other reason; nothing was stored */
	DB_LOST,       /* sent and not answered: it may or may not have been carried out */
	DB_NOT_SENT,   /* given up before sending (db_free) */
	DB_TIMEOUT,    /* the deadline passed before sending */
};

typedef void db_fn(void); /* any function; cast back to its own type before the call */

/* What comes back with an answer. */
struct db_call {
	void *arg;   /* the submitter's */
	db_fn *then; /* for wrappers: the typed callback of their caller; NULL if unused */
};

typedef void db_done_fn(const struct db_call *call, const struct db_result *res);

struct db_query {
	enum stmt_id stmt;
	struct db_args *args;	/* moved on success, untouched on failure; NULL = no parameters */
	uint64_t deadline_ms;	/* clock_mono_ms to be answered by; 0 = no limit */
	bool is_patient;	/* the deadline is for sending: the server's answer is waited for */
	db_done_fn *done;	/* called exactly once, never from inside db_submit */
	struct db_call call;
};

/*
 * Queues a query; queries are sent in the order of submission and each is its own transaction,
 * so that a failing one takes no other down. While disconnected the queue waits. A statement
 * that is marked REPEAT and was in flight when the connection broke is sent again first, in the
 * old order; past its deadline it is answered DB_LOST instead. Others are answered DB_LOST at once,
 * and so is one that was sent and is not answered at its deadline, unless it is patient.
 * RET_TOKEN (NULL allowed) serves db_cancel and is never 0.
 * Returns 0, -ERR_FULL when queue_max is reached, -ERR_INVAL when the number of parameters is
 * wrong.
 */
int db_submit(struct db *db, const struct db_query *q, uint64_t *ret_token) MUST_CHECK;

/*
 * db_submit of a query that is what most are: answered by DEADLINE_MS, not patient. ARGS are done
 * with afterwards, whatever comes of it.
 */
int db_ask(struct db *db, enum stmt_id stmt, struct db_args *args, uint64_t deadline_ms,
	   db_done_fn *done, struct db_call call, uint64_t *ret_token) MUST_CHECK;

/* Rows, valid during the call; RES is NULL unless ERR is 0 (-ERR_UNAVAILABLE, -ERR_DB, and what the
 * function that asks names). */
typedef void db_rows_fn(void *arg, int err, const struct db_result *res);

/* For db_ask, with a db_rows_fn as what to call then. */
void db_answer_rows(const struct db_call *call, const struct db_result *res);

/*
 * Forgets a query: its callback will not be called. Returns 0 when it had not been sent,
 * -ERR_AGAIN when it had (it may still be carried out), -ERR_NOENT when it is answered already.
 */
int db_cancel(struct db *db, uint64_t token);

/* ---- Results ---- */

enum db_status db_result_status(const struct db_result *res);

/*
 * 0 for DB_OK; -ERR_EXISTS unique constraint, -ERR_INVAL other constraint or bad value (classes
 * 22 and 23), -ERR_UNAVAILABLE for PASSING, LOST, NOT_SENT, TIMEOUT and a schema that is not there
 * (yet), -ERR_DB for the rest.
 */
int db_result_err(const struct db_result *res);

const char *db_result_sqlstate(const struct db_result *res);   /* five characters, "" when none */
const char *db_result_constraint(const struct db_result *res); /* name, "" when none */
const char *db_result_message(const struct db_result *res);    /* one line for the log, or "" */

/*
 * Rows of a DB_OK result; 0 for every other. ROW and COL out of range and unexpected types give
 * 0, an empty string or a zero UUID: what a database answers is not trusted with our life.
 */
int db_rows(const struct db_result *res);
bool db_is_null(const struct db_result *res, int row, int col);
int64_t db_get_i64(const struct db_result *res, int row, int col); /* any integer, boolean */
struct str db_get_str(const struct db_result *res, int row, int col); /* NULL: p == NULL */
struct uuid db_get_uuid(const struct db_result *res, int row, int col);

#endif
