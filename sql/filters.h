/* SPDX-License-Identifier: MIT */
/*
 * The content filters as they are stored, and what was flagged by them.
 * What a pattern means and when it applies is decided above.
 */
#ifndef SQL_FILTERS_H
#define SQL_FILTERS_H

#include "base/base.h"
#include "base/ids.h"
#include "sql/db.h"
#include "sql/messages.h"

#define FILTERS_PAGE 1000

/* One row of filters_read. Strings are borrowed from the result. */
struct filter_row {
	int64_t id;
	int64_t version;
	int64_t conv; /* 0: every conversation */
	bool is_deleted;
	struct str kind, action, pattern, reason;
};

/*
 * What filters_read answers. N rows, up to FILTERS_PAGE: with as many as that there may be more.
 * When REMOVED has another value than at the reader's beginning, rows have vanished since and
 * everything is to be read again from version 0.
 */
struct filters_page {
	int64_t version; /* the newest there is */
	int64_t removed;
	int n;
	const struct db_result *res; /* for filters_row; lives during the call */
};

/* PAGE is NULL unless ERR is 0. ERR: -ERR_UNAVAILABLE, -ERR_DB. */
typedef void filters_read_fn(void *arg, int err, const struct filters_page *page);

/* The states of filters newer than version AFTER (0: all that exist), in the order of versions. */
int filters_read(struct db *db, int64_t after, uint64_t deadline_ms, filters_read_fn *done,
		 void *arg) MUST_CHECK;
void filters_row(const struct db_result *res, int i, struct filter_row *ret);

/* {"filters":[…]} of conversation CONV, or with 0 the global ones, oldest first. */
int filters_list(struct db *db, int64_t conv, uint64_t deadline_ms, page_done_fn *done,
		 void *arg) MUST_CHECK;

struct filter_form {
	int64_t conv; /* 0: every conversation */
	struct str kind, action, pattern, reason;
	int64_t user; /* who makes it; 0: nobody in particular */
};

/*
 * Makes a filter unless the conversation (or the server) has MAX of them. JSON: the new one. ERR:
 * -ERR_FULL, -ERR_NOENT no such open conversation, -ERR_EXISTS, -ERR_INVAL, -ERR_UNAVAILABLE,
 * -ERR_DB.
 */
int filter_add(struct db *db, const struct filter_form *form, int max, uint64_t deadline_ms,
	       page_done_fn *done, void *arg) MUST_CHECK;

/* ERR: 0, -ERR_NOENT, -ERR_UNAVAILABLE, -ERR_DB. */
typedef void filter_deleted_fn(void *arg, int err);

/* USER deletes filter ID of CONV (0: a global one). */
int filter_delete(struct db *db, int64_t conv, int64_t id, int64_t user, uint64_t deadline_ms,
		  filter_deleted_fn *done, void *arg) MUST_CHECK;

/* A message or an edit that was flagged. Borrowed during the call. */
struct filter_hit {
	int64_t actor;
	struct uuid client_msg_id; /* its key, which is not zero */
	int64_t conv;
	int64_t filter; /* 0: the hook */
	struct str reason;
};

/*
 * Notes a hit. To be submitted on the connection of the message and before it: then no flagged
 * message is stored without its hit. Nobody is told of the end: it repeats until it is written.
 * Returns 0 or -ERR_FULL.
 */
int filter_hit_add(struct db *db, const struct filter_hit *hit) MUST_CHECK;

/* Makes reports of the hits whose messages are stored by now. Nobody is told. 0 or -ERR_FULL. */
int filter_hits_report(struct db *db) MUST_CHECK;

#endif
