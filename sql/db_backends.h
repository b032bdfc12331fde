/* SPDX-License-Identifier: MIT */
/*
 * Server processes of connections that were lost: whether they still work on what they were sent.
 */
#ifndef SQL_DB_BACKENDS_H
#define SQL_DB_BACKENDS_H

#include "base/base.h"
#include "sql/db.h"

/* ERR: 0, -ERR_UNAVAILABLE, -ERR_DB. N_ALIVE: how many of them the server still runs. */
typedef void backends_done_fn(void *arg, int err, int64_t n_alive);

/*
 * Asks for server processes by their ids, which db_backend told while they were connected. A
 * process that reads of its client's death ends after what it was sent before. Returns 0 or
 * -ERR_FULL.
 */
int backends_alive(struct db *db, const int32_t *pids, size_t n, uint64_t deadline_ms,
		   backends_done_fn *done, void *arg) MUST_CHECK;

#endif
