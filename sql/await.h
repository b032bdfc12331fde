/* SPDX-License-Identifier: MIT */
/*
 * A connection whose owner has nothing else to do: waits for answers of db.h's wrappers. For the
 * operator's commands, never for a worker. What is asked is the caller's.
 */
#ifndef SQL_AWAIT_H
#define SQL_AWAIT_H

#include "base/base.h"
#include "base/buf.h"
#include "sql/db.h"

struct await; /* opaque */

/*
 * Connects to URL. Returns 0, or -ERR_UNAVAILABLE after one line in REPORT, without secrets. The
 * caller frees *RET.
 */
int await_open(const char *url, struct await **ret, struct buf *report) MUST_CHECK;

/* Borrowed; for the functions that submit. */
struct db *await_db(struct await *a);

/*
 * Returns 0 as soon as *IS_DONE, which a callback sets. A connection that is lost meanwhile is
 * given up: what is open is answered with -ERR_UNAVAILABLE (it may have happened), one line is
 * added to REPORT, and that error is returned; A is of no further use.
 */
int await_done(struct await *a, const bool *is_done, struct buf *report) MUST_CHECK;

/* NULL allowed; clears the pointer. */
void await_free(struct await **a);

#endif
