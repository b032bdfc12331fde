/* SPDX-License-Identifier: MIT */
/*
 * Brings the schema up to date or says what is missing; the migrations are inside the binary.
 * Synchronous: for the master's short-lived child, for checks and for tests, never for a worker.
 */
#ifndef SQL_MIGRATE_H
#define SQL_MIGRATE_H

#include "base/base.h"
#include "base/buf.h"

enum migrate_mode {
	MIGRATE_CHECK, /* change nothing */
	MIGRATE_APPLY, /* each missing one in its own transaction, under an advisory lock */
};

/*
 * Appends to REPORT one line per migration (applied, missing, changed) or the reason of the
 * failure and what can be done, without secrets; also on failure. Safe to call from several
 * processes at once: one works, the others wait. Waits at most 200 ms for a lock on a table in use,
 * then lets its users
 * pass and tries again, for 60 s in all. Returns 0 when the schema is up to date (now),
 * -ERR_AGAIN when MIGRATE_CHECK found some missing, -ERR_CORRUPT when an applied one differs
 * from this binary's, -ERR_UNSUPPORTED when the database is newer than this binary or the server
 * older than 15 or not in UTF-8, -ERR_UNAVAILABLE when it cannot connect, -ERR_TIMEOUT when
 * locks never came free, -ERR_DB otherwise.
 */
int migrate_run(const char *url, enum migrate_mode mode, struct buf *report) MUST_CHECK;

/* migrate_run with MIGRATE_CHECK. */
int migrate_check(const char *url, struct buf *report) MUST_CHECK;

/* What ERR, as these return it, means for the operator; what to do is in the report. */
const char *migrate_text(int err);

#endif
