/* SPDX-License-Identifier: MIT */
/*
 * What db.c (queue and connection), db_args.c (parameters) and db_result.c (answers) share.
 * Only these files know libpq's types, besides migrate.c.
 */
#ifndef SQL_DB_PRIV_H
#define SQL_DB_PRIV_H

#include "base/list.h"
#include "sql/db.h"

#include <libpq-fe.h>

#define DB_TEXT_MAX 256

struct db_result {
	enum db_status status;
	const PGresult *pg; /* rows, only with DB_OK; borrowed */
	char sqlstate[6];
	char constraint[64]; /* NAMEDATALEN */
	char message[DB_TEXT_MAX];
};

/* One query from submission to answer. */
struct job {
	struct list node; /* in waiting, inflight or dead */
	uint64_t token;
	uint64_t deadline_ms;
	struct db_args args;
	enum stmt_id stmt;
	enum db_status status; /* in dead: what to answer */
	db_done_fn *done;      /* NULL: cancelled, or ours */
	struct db_call call;
	PGresult *result;   /* owned; the answer until the sync point that ends the query */
	uint8_t n_sent;	    /* how often it was handed to libpq */
	bool has_prepare;   /* its first answer is that of the Parse before it */
	bool is_setup;	    /* ours, sent at connect; STMT and ARGS mean nothing */
	bool is_probe;	    /* ours, nothing but a sync point */
	bool is_patient;    /* its deadline ends with sending */
	bool is_unparsed;   /* that Parse failed */
	bool is_undone;	    /* refused by a server we leave: send it again wherever it was */
};

/* A query that was in flight in so many broken connections may be what breaks them. */
#define SENDS_MAX 8

enum phase {
	PHASE_IDLE,    /* before db_start */
	PHASE_PAUSE,   /* until retry_at */
	PHASE_CONNECT, /* PQconnectPoll, until give_up_at */
	PHASE_UP,
};

struct db {
	struct db_config cfg; /* the two strings are owned */
	char *url, *application_name;
	struct db_hooks hooks;
	void *arg;

	PGconn *pg; /* NULL in IDLE and PAUSE */
	enum phase phase;
	bool is_broken;	      /* sending failed: the next turn declares the connection lost */
	bool is_calling;      /* inside a done callback */
	bool is_stalled;      /* told the owner so */
	bool is_read, is_write; /* what on_io was told */
	int fd;
	uint32_t n_failed;	/* attempts since the last answer */
	uint64_t retry_at, give_up_at;
	uint64_t heard_ms;	/* last answer, or when the pipeline stopped being empty */
	uint64_t timer_at;	/* what on_timer was told; 0 = nothing */
	uint64_t deadline_at;	/* no job expires before this; 0 = none expires */
	uint64_t last_token;
	struct list waiting, inflight;
	struct list dead; /* answered without the server, callback still to come */
	uint32_t n_waiting, n_inflight;
	bool is_known[STMT_COUNT]; /* prepared on this connection, or on the way */
};

/* ---- db.c: the queue ---- */

/* Calls on_io when something changed or IS_FORCED. */
void db_watch(struct db *db, int fd, bool want_read, bool want_write, bool is_forced);
void db_tell(struct db *db, enum db_state state, const char *text);
void db_count(struct db *db, enum db_count what, const struct job *j);

/* Hands waiting queries to libpq as far as the pipeline may grow. Calls nobody back. */
void db_pump(struct db *db);
void db_flush(struct db *db);

void job_send(struct db *db, struct job *j);
void job_send_setup(struct db *db);
void job_answer(struct db *db, struct job *j, const struct db_result *res); /* and frees it */
void job_free(struct job *j);
void job_requeue_first(struct db *db, struct job *j);
bool job_is_late(const struct job *j, uint64_t now);

/* ---- db_link.c: the connection ---- */

void link_begin(struct db *db);

/* One step of an attempt; the next state may be UP or PAUSE. */
void link_poll(struct db *db);

/*
 * Closes, sorts the queries in flight into waiting and dead, plans the next attempt. Calls
 * on_state, answers nobody yet. TEXT may belong to the connection.
 */
void link_lose(struct db *db, const char *text);

/* Takes what the server sent and calls back for complete answers. */
void link_read(struct db *db);

/* ---- db_result.c, db_args.c ---- */

/* What the server's answer means; NULL is a lost connection. */
void result_classify(const PGresult *pg, struct db_result *ret);

/* An answer without one from the server. */
void result_init(struct db_result *res, enum db_status status);

/* The connection is gone or going: the answer says nothing about the query. */
bool result_is_farewell(const PGresult *pg);

/* First line of a libpq message, without the newline, cut to the size of RET. */
void result_first_line(const char *text, char ret[DB_TEXT_MAX]);

/* Fills libpq's parallel arrays; pointers are borrowed from A. */
void args_export(const struct db_args *a, const char *values[], int lengths[], int formats[]);

#endif
