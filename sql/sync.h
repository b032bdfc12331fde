/* SPDX-License-Identifier: MIT */
/*
 * What happened in many conversations since the positions of one client, in one page.
 * Rows, not JSON: the events must look like those on the socket, so one encoder writes both.
 */
#ifndef SQL_SYNC_H
#define SQL_SYNC_H

#include "base/base.h"
#include "sql/db.h"
#include "sql/events.h"

#define SYNC_POSITIONS_MAX 4096
#define SYNC_ROWS_MAX 1000

struct sync_position {
	int64_t conv;
	int64_t rev; /* the last one seen, 0 = none */
};

/*
 * N rows to read with event_row_get(res, i, …) for i below N: the conversations in the order of the
 * positions, then those found beyond them by id; each conversation whole and in ascending rev, as
 * far as the page reaches. The next position of a conversation is the rev of its last row. A row of
 * kind 0 says that the log up to its rev is gone: rev + 1 is the first available; rows may follow.
 * IS_MORE: ask again from the next positions. RES is NULL and N 0 unless ERR is 0
 * (-ERR_UNAVAILABLE, -ERR_DB).
 */
typedef void sync_done_fn(void *arg, int err, const struct db_result *res, int n, bool is_more);

/*
 * The durable events after each of N_POSITIONS (0 to SYNC_POSITIONS_MAX) positions, at most LIMIT
 * (1 to SYNC_ROWS_MAX, else cut). Conversations that USER may not read give nothing: banned, or no
 * member of a group or pair. Open conversations that USER is a member of and that are not among
 * the positions are read from the joining on. Returns 0, -ERR_FULL, -ERR_INVAL.
 */
int sync_page(struct db *db, int64_t user, const struct sync_position *positions,
	      size_t n_positions, int limit, uint64_t deadline_ms, sync_done_fn *done, void *arg,
	      uint64_t *ret_token) MUST_CHECK;

#endif
