/* SPDX-License-Identifier: MIT */
/*
 * Watchers and timers for the database connections of this worker, and one log line per change of
 * state. Reconnecting, queueing and pipelining are sql/db's.
 */
#include "worker/dbio.h"

#include "base/clock.h"
#include "base/log.h"
#include "shm/metrics.h"
#include "shm/slots.h"

struct dbio {
	struct worker *wk;
	const char *role; /* static: "writer", "reader", "shared" */
	struct db *db;	  /* owned */
	ev_io io;
	ev_timer timer;
	struct log_rate silent_rate, lost_rate, schema_rate;
	bool is_usable;
	bool is_up;    /* connected, perhaps stalled */
	bool was_lost; /* a connection that worked was lost, and none has worked since */
	uint64_t up_ms; /* when it was last seen to be usable; before that: when it was opened */
};

static void on_db_io(EV_P_ ev_io *w, int revents)
{
	struct dbio *d = w->data;

	(void)loop;
	if (revents & EV_WRITE)
		db_on_writable(d->db);
	if (revents & EV_READ)
		db_on_readable(d->db);
}

static void on_db_timer(EV_P_ ev_timer *w, int revents)
{
	struct dbio *d = w->data;

	(void)loop;
	(void)revents;
	db_on_timer(d->db);
}

static void watch(void *arg, int fd, bool want_read, bool want_write)
{
	struct dbio *d = arg;

	ev_io_stop(d->wk->loop, &d->io);
	if (fd < 0 || !(want_read || want_write))
		return;
	ev_io_set(&d->io, fd, (want_read ? EV_READ : 0) | (want_write ? EV_WRITE : 0));
	ev_io_start(d->wk->loop, &d->io);
}

static void set_timer(void *arg, int64_t delay_ms)
{
	struct dbio *d = arg;

	ev_timer_stop(d->wk->loop, &d->timer);
	if (delay_ms < 0)
		return;
	ev_now_update(d->wk->loop);
	ev_timer_set(&d->timer, (double)delay_ms / 1000.0, 0.);
	ev_timer_start(d->wk->loop, &d->timer);
}

static void count_usable(struct dbio *d, bool is_usable)
{
	if (d->is_usable != is_usable)
		worker_count(d->wk, M_DB_CONNECTIONS, is_usable ? 1 : -1);
	if (d->is_usable || is_usable) /* not with every attempt that fails */
		d->up_ms = clock_mono_ms();
	d->is_usable = is_usable;
}

static void on_connected(struct dbio *d, const char *text)
{
	if (d->was_lost)
		worker_count(d->wk, M_DB_RECONNECTS, 1);
	d->was_lost = false;
	slot_backend_add(d->wk->shm, (unsigned)d->wk->slot, db_backend(d->db));
	log_info("database connected", LF_STR("connection", d->role), LF_STR("reason", text));
	worker_kick(d->wk); /* what waits in persist.c may go */
}

static void on_count(void *arg, enum db_count what, enum stmt_id stmt)
{
	struct dbio *d = arg;

	if (what == DB_COUNT_SENT)
		worker_count(d->wk, M_DB_QUERIES, 1);
	else if (what == DB_COUNT_REFUSED)
		worker_count(d->wk, M_DB_ERRORS, 1);
	else if (stmt == STMT_PERSIST_BATCH)
		worker_count(d->wk, M_BATCH_RETRIES, 1);
}

static void on_state(void *arg, enum db_state state, const char *text)
{
	struct dbio *d = arg;
	uint64_t suppressed;

	if (state != DB_STATE_SCHEMA) {
		d->was_lost |= state == DB_STATE_LOST && d->is_up;
		d->is_up = state != DB_STATE_LOST;
		count_usable(d, state == DB_STATE_CONNECTED);
	}
	switch (state) {
	case DB_STATE_CONNECTED:
		on_connected(d, text);
		break;
	case DB_STATE_STALLED:
		if (log_rate_pass(&d->silent_rate, 10000, &suppressed))
			log_warn("database silent", LF_STR("connection", d->role),
				 LF_INT("suppressed", suppressed));
		break;
	case DB_STATE_LOST:
		if (log_rate_pass(&d->lost_rate, 10000, &suppressed))
			log_warn("database connection lost", LF_STR("connection", d->role),
				 LF_STR("reason", text), LF_INT("suppressed", suppressed));
		break;
	case DB_STATE_SCHEMA: /* told for every query until the schema fits */
		if (log_rate_pass(&d->schema_rate, 10000, &suppressed))
			log_error("database schema does not fit this version: run the migrations",
				  LF_STR("reason", text), LF_INT("suppressed", suppressed));
		break;
	}
}

static struct dbio *dbio_open(struct worker *wk, const char *role)
{
	const struct settings *s = wk->settings;
	const struct db_config cfg = {
		.url = s->database_url,
		.application_name = "roomd",
		.is_prepared = s->database_prepared,
		.is_writer = true,
		.connect_timeout_ms = s->database_connect_timeout,
		.retry_min_ms = s->database_retry_min,
		.retry_max_ms = s->database_retry_max,
		.stall_ms = s->database_stall_after,
		.probe_ms = s->database_probe_interval,
		.answer_timeout_ms = s->database_answer_timeout,
		.queue_max = (uint32_t)s->persist_queue_max,
	};
	const struct db_hooks hooks = {watch, set_timer, on_state, on_count};
	struct dbio *d = xcalloc(1, sizeof(*d));

	d->wk = wk;
	d->role = role;
	d->up_ms = clock_mono_ms();
	ev_init(&d->io, on_db_io);
	ev_init(&d->timer, on_db_timer);
	d->io.data = d->timer.data = d;
	d->db = db_new(&cfg, &hooks, d);
	db_start(d->db);
	return d;
}

static void dbio_close(struct dbio **d)
{
	if (!*d)
		return;
	count_usable(*d, false);
	db_free(&(*d)->db);
	ev_io_stop((*d)->wk->loop, &(*d)->io);
	ev_timer_stop((*d)->wk->loop, &(*d)->timer);
	free(*d);
	*d = NULL;
}

void dbio_open_all(struct worker *wk)
{
	int64_t share = wk->settings->database_max_connections / wk->boot->n_slots;

	if (share < 2) {
		wk->writer = wk->reader = dbio_open(wk, "shared");
		return;
	}
	wk->writer = dbio_open(wk, "writer");
	wk->reader = dbio_open(wk, "reader");
}

void dbio_close_all(struct worker *wk)
{
	if (wk->reader == wk->writer)
		wk->reader = NULL;
	dbio_close(&wk->writer);
	dbio_close(&wk->reader);
}

struct db *dbio_writer(const struct worker *wk)
{
	return wk->writer ? wk->writer->db : NULL;
}

struct db *dbio_reader(const struct worker *wk)
{
	return wk->reader ? wk->reader->db : NULL;
}

void dbio_reload(struct worker *wk)
{
	const struct db_config cfg = {
		.connect_timeout_ms = wk->settings->database_connect_timeout,
		.retry_min_ms = wk->settings->database_retry_min,
		.retry_max_ms = wk->settings->database_retry_max,
		.stall_ms = wk->settings->database_stall_after,
		.probe_ms = wk->settings->database_probe_interval,
		.answer_timeout_ms = wk->settings->database_answer_timeout,
	};

	db_set_timeouts(wk->writer->db, &cfg);
	if (wk->reader != wk->writer)
		db_set_timeouts(wk->reader->db, &cfg);
}

static uint64_t away_ms(struct dbio *d, uint64_t now)
{
	if (!d)
		return 0;
	if (db_is_connected(d->db))
		d->up_ms = now;
	return db_is_connected(d->db) ? 0 : MAX(now - d->up_ms, 1);
}

uint64_t dbio_away_ms(const struct worker *wk)
{
	const uint64_t now = clock_mono_ms(), writer = away_ms(wk->writer, now),
		       reader = away_ms(wk->reader, now);

	return MIN(writer, reader);
}

bool dbio_is_away(const struct worker *wk)
{
	return dbio_away_ms(wk) > 0;
}

bool dbio_is_given_up(const struct worker *wk)
{
	return dbio_away_ms(wk) >= (uint64_t)wk->settings->persist_wait_max;
}

uint64_t dbio_deadline(const struct worker *wk)
{
	const uint64_t wait_max = (uint64_t)wk->settings->persist_wait_max;
	const uint64_t away_ms = dbio_away_ms(wk);

	return clock_mono_ms() + (wait_max - MIN(away_ms, wait_max));
}
