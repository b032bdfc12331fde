/* SPDX-License-Identifier: MIT */
/*
 * The statements by number, generated from statements.def, the only place of SQL text at run time.
 * Nothing is sent from here; db.c prepares and executes.
 */
#ifndef SQL_STMT_H
#define SQL_STMT_H

#include "base/base.h"
#include "base/buf.h"

enum stmt_id {
#define X(id, name, n_params, repeat, sql) STMT_##id,
#include "sql/statements.def"
#undef X
	STMT_COUNT
};

enum stmt_repeat {
	RUN_ONCE,   /* a second execution would do a second thing */
	RUN_REPEAT, /* reads, and writes whose keys make a second execution harmless */
};

struct stmt {
	const char *name; /* also the name of the prepared statement */
	int n_params;
	enum stmt_repeat repeat;
	const char *sql;
};

/* ID below STMT_COUNT (asserted). Static. */
const struct stmt *stmt_get(enum stmt_id id);

/* Appends all rows as a JSON array of objects: name, params, repeat, sql. */
void statements_describe(struct buf *out);

#endif
