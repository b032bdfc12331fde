/* SPDX-License-Identifier: MIT */
/*
 * Puts the database connections of sql/db on the event loop: watchers, timers, state changes.
 * What is asked of the database is the business of whoever submits.
 */
#ifndef WORKER_DBIO_H
#define WORKER_DBIO_H

#include "base/base.h"
#include "sql/db.h"
#include "worker/worker.h"

/*
 * Opens this worker's share of database.max_connections: one for the batch writer and one for all
 * else, or one for both when the share is one.
 */
void dbio_open_all(struct worker *wk);
void dbio_close_all(struct worker *wk);

/* NULL only while dbio_close_all closes it. */
struct db *dbio_writer(const struct worker *wk);
struct db *dbio_reader(const struct worker *wk);

/* New timeouts after a reload. */
void dbio_reload(struct worker *wk);

/*
 * How long no connection has been usable, 0 while one is. A server that is silent counts as away
 * from database.stall_after on.
 */
uint64_t dbio_away_ms(const struct worker *wk);
bool dbio_is_away(const struct worker *wk);

/* Away for persist.wait_max: nobody else is made to wait for it. */
bool dbio_is_given_up(const struct worker *wk);

/*
 * Monotonic time by which a query of this moment must be answered: persist.wait_max from now, or
 * from when the database went away. It may be now.
 */
uint64_t dbio_deadline(const struct worker *wk);

#endif
