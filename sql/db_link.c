/* SPDX-License-Identifier: MIT */
/*
 * Attempts to connect, the loss of a connection, and the answers that come through one.
 * What is sent, and when, is db.c's.
 */
#include "sql/db_priv.h"

#include "base/clock.h"
#include "base/map.h"
#include "sql/database.h"

#define STANDBY_TEXT "the server is read-only"

/*
 * A machine that vanished is noticed within half a minute; the connection string may say
 * otherwise.
 */
#define KEEPALIVE_IDLE_S "10"
#define KEEPALIVE_EVERY_S "5"
#define KEEPALIVE_TRIES "3"
#define USER_TIMEOUT_MS "25000"

/* ---- Connecting and losing the connection ---- */

/*
 * Doubling with jitter: between half of the delay and all of it, so that nodes do not march in
 * step.
 */
static uint64_t retry_delay(const struct db *db)
{
	uint64_t shift = MIN(db->n_failed, 20u);
	uint64_t max = (uint64_t)db->cfg.retry_max_ms;
	uint64_t delay = MIN((uint64_t)db->cfg.retry_min_ms << shift, max);
	uint64_t seed[2] = {clock_mono_ns(), (uintptr_t)db};

	return delay - hash_bytes(seed, sizeof(seed)) % (delay / 2 + 1);
}

static void sort_inflight(struct db *db, uint64_t now)
{
	struct list *node, *tmp;

	/* from the newest, so that each goes before the ones sent after it */
	for (node = db->inflight.prev, tmp = node->prev; node != &db->inflight;
	     node = tmp, tmp = node->prev) {
		struct job *j = list_entry(node, struct job, node);
		bool is_repeat = !j->is_setup && stmt_get(j->stmt)->repeat == RUN_REPEAT;

		if (!j->done) {
			list_remove(node);
			job_free(j);
		} else if (j->is_undone ||
			   (is_repeat && j->n_sent < SENDS_MAX && !job_is_late(j, now))) {
			if (!j->is_undone)
				db_count(db, DB_COUNT_REPEATED, j);
			job_requeue_first(db, j);
		} else {
			list_remove(node);
			j->status = DB_LOST;
			list_append(db->dead.next, node); /* oldest first */
		}
	}
	db->n_inflight = 0;
}

void link_lose(struct db *db, const char *text)
{
	char line[DB_TEXT_MAX];
	uint64_t now = clock_mono_ms();

	result_first_line(text, line);
	sort_inflight(db, now);
	db_watch(db, -1, false, false, true);
	PQfinish(db->pg);
	db->pg = NULL;
	db->is_broken = db->is_stalled = false;
	db->phase = PHASE_PAUSE;
	db->retry_at = now + retry_delay(db);
	db->n_failed++;
	db_tell(db, DB_STATE_LOST, line);
}

static bool is_on(const char *value)
{
	return value && strcmp(value, "on") == 0;
}

static bool is_read_only(PGconn *pg)
{
	const char *standby = PQparameterStatus(pg, "in_hot_standby");
	const char *read_only = PQparameterStatus(pg, "default_transaction_read_only");

	return is_on(standby) || is_on(read_only);
}

/* Between PQconnectPoll's success and the first query. */
static void come_up(struct db *db)
{
	if (db->cfg.is_writer && is_read_only(db->pg)) {
		link_lose(db, STANDBY_TEXT);
		return;
	}
	if (PQsetnonblocking(db->pg, 1) != 0 || !PQenterPipelineMode(db->pg)) {
		link_lose(db, PQerrorMessage(db->pg));
		return;
	}
	memset(db->is_known, 0, sizeof(db->is_known));
	db->phase = PHASE_UP;
	db->heard_ms = clock_mono_ms();
	db_watch(db, PQsocket(db->pg), true, false, true);
	db_tell(db, DB_STATE_CONNECTED, "connected");
	job_send_setup(db);
	db_pump(db);
	db_flush(db);
}

/*
 * The socket may be another one after every call (next address, next host, TLS): always re-watch.
 */
void link_poll(struct db *db)
{
	PostgresPollingStatusType r = PQconnectPoll(db->pg);

	if (r == PGRES_POLLING_FAILED)
		link_lose(db, PQerrorMessage(db->pg));
	else if (r == PGRES_POLLING_OK)
		come_up(db);
	else
		db_watch(db, PQsocket(db->pg), r == PGRES_POLLING_READING,
			 r == PGRES_POLLING_WRITING, true);
}

/* What the server says besides its answers, such as that it ends, is no line of the log. */
static void ignore_notice(void *arg UNUSED, const char *text UNUSED)
{
}

/* What stands before dbname is a default that the URL may override. */
void link_begin(struct db *db)
{
	const char *keys[] = {"fallback_application_name", "client_encoding",
			      "target_session_attrs", "keepalives_idle", "keepalives_interval",
			      "keepalives_count", "tcp_user_timeout", "dbname", NULL};
	const char *values[] = {db->application_name, "UTF8",
				db->cfg.is_writer ? "read-write" : "any", KEEPALIVE_IDLE_S,
				KEEPALIVE_EVERY_S, KEEPALIVE_TRIES, USER_TIMEOUT_MS, db->url, NULL};

	db->phase = PHASE_CONNECT;
	db->give_up_at = clock_mono_ms() + (uint64_t)db->cfg.connect_timeout_ms;
	if (!database_is_url(db->url)) {
		link_lose(db, "not a libpq connection string");
		return;
	}
	db->pg = PQconnectStartParams(keys, values, 1);
	if (db->pg)
		PQsetNoticeProcessor(db->pg, ignore_notice, NULL);
	if (!db->pg || PQstatus(db->pg) == CONNECTION_BAD)
		link_lose(db, db->pg ? PQerrorMessage(db->pg) : "out of memory");
	else
		db_watch(db, PQsocket(db->pg), false, true, true); /* as after POLLING_WRITING */
}

/* ---- Answers ---- */

/*
 * The server certainly did not carry the query out and another attempt may succeed:
 * 26000 the Parse before it failed, or a pooler changed the backend; 42P05 a pooler gave us a
 * used one.
 */
static bool is_name_trouble(struct db *db, struct job *j, const struct db_result *res)
{
	bool is_unknown = strcmp(res->sqlstate, "26000") == 0;
	bool is_taken = j->is_unparsed && strcmp(res->sqlstate, "42P05") == 0;

	if (j->is_setup || !(is_unknown || is_taken) || j->n_sent >= SENDS_MAX)
		return false;
	db->is_known[j->stmt] = is_taken;
	return true;
}

/* The sync point of the oldest query came: its answer is complete. */
static void job_finish(struct db *db, struct job *j)
{
	struct db_result res;

	result_classify(j->result, &res);
	if (db->cfg.is_writer && strcmp(res.sqlstate, "25006") == 0 && j->n_sent < SENDS_MAX) {
		j->is_undone = true;
		link_lose(db, STANDBY_TEXT);
		return;
	}
	db->n_inflight--;
	if (is_name_trouble(db, j, &res)) {
		job_requeue_first(db, j);
		return;
	}
	if (res.status == DB_OK) /* not before: many a door opens and nobody is at home */
		db->n_failed = 0;
	list_remove(&j->node);
	if (res.status != DB_OK && !j->is_probe)
		db_count(db, DB_COUNT_REFUSED, j);
	if (strncmp(res.sqlstate, "42", 2) == 0)
		db_tell(db, DB_STATE_SCHEMA, res.message);
	job_answer(db, j, &res);
}

static void take_result(struct db *db, struct job *j, PGresult *pg)
{
	ExecStatusType status = PQresultStatus(pg);

	if (j->has_prepare) {
		j->has_prepare = false;
		if (status == PGRES_COMMAND_OK) {
			PQclear(pg);
			return;
		}
		db->is_known[j->stmt] = false;
		j->is_unparsed = true;
	}
	if (j->result || status == PGRES_PIPELINE_ABORTED) {
		PQclear(pg); /* the first one told all */
		return;
	}
	j->result = pg;
}

/* Takes one result; false when there is none yet or the connection went. */
static bool read_result(struct db *db)
{
	struct job *j = list_entry(list_first(&db->inflight), struct job, node);
	PGresult *pg;

	if (PQisBusy(db->pg))
		return false;
	pg = PQgetResult(db->pg);
	if (!pg) /* between a query's results and its sync point */
		pg = PQisBusy(db->pg) ? NULL : PQgetResult(db->pg);
	if (!pg)
		return false;
	if (result_is_farewell(pg)) {
		link_lose(db, PQresultErrorMessage(pg));
		PQclear(pg);
		return false;
	}
	db->heard_ms = clock_mono_ms();
	if (db->is_stalled) {
		db->is_stalled = false;
		db_tell(db, DB_STATE_CONNECTED, "the server answers again");
	}
	if (PQresultStatus(pg) != PGRES_PIPELINE_SYNC) {
		take_result(db, j, pg);
		return true;
	}
	PQclear(pg);
	job_finish(db, j);
	return db->phase == PHASE_UP;
}

void link_read(struct db *db)
{
	bool is_open = PQconsumeInput(db->pg);

	while (db->n_inflight && read_result(db))
		;
	if (db->phase != PHASE_UP)
		return;
	if (!is_open || PQstatus(db->pg) == CONNECTION_BAD)
		link_lose(db, PQerrorMessage(db->pg));
	else
		db_flush(db);
}
