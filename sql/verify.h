/* SPDX-License-Identifier: MIT */
/*
 * Recounts what the database says of itself and reports every difference. Synchronous: for the
 * operator's command and for tests, never for a worker. How differences are shown is the caller's.
 */
#ifndef SQL_VERIFY_H
#define SQL_VERIFY_H

#include "base/base.h"
#include "base/buf.h"

enum verify_what {
	VERIFY_UNREAD, /* unread counters against the rows of the log */
	VERIFY_LOG,    /* numbers, keys, targets and the state that the log tells */
};

/* One difference. Strings are borrowed during the call. */
struct verify_row {
	int64_t conv;
	int64_t rev;	    /* row of the log, 0 = none */
	int64_t user;	    /* 0 = none */
	struct str problem; /* a few words, the same for the same fault: "gap", "unread", … */
	int64_t have;	    /* the number found, where it is one */
	int64_t want;	    /* the number that should be there */
};

typedef void verify_fn(void *arg, const struct verify_row *row);

/*
 * Calls ON_ROW for each difference, at most LIMIT (0 = 1,000); *RET_N receives how many were
 * reported. Reads one snapshot, so a database in use is judged fairly. Returns 0 also when there
 * are differences; -ERR_UNAVAILABLE when it cannot connect, -ERR_DB otherwise, the reason in one
 * line appended to REPORT, without secrets.
 */
int verify_run(const char *url, enum verify_what what, int limit, verify_fn *on_row, void *arg,
	       int64_t *ret_n, struct buf *report) MUST_CHECK;

#endif
