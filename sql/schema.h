/* SPDX-License-Identifier: MIT */
/*
 * Whether the database has the schema that this program needs, asked without waiting. Bringing it
 * up to date is migrate.h's.
 */
#ifndef SQL_SCHEMA_H
#define SQL_SCHEMA_H

#include "base/base.h"
#include "sql/db.h"

/*
 * ERR 0: the schema is as new as this program, or newer. -ERR_NOENT: there is none, or an older
 * one. -ERR_UNAVAILABLE: not known.
 */
typedef void schema_done_fn(void *arg, int err);

/* Returns 0 or -ERR_FULL. DONE is called exactly once, never from inside. */
int schema_look(struct db *db, uint64_t deadline_ms, schema_done_fn *done, void *arg) MUST_CHECK;

#endif
