/* SPDX-License-Identifier: MIT */
/*
 * The queue, the pipeline and the connection attempts of one libpq connection.
 * Watching the socket and the clock is the owner's work, through the hooks.
 */
#include "sql/db_priv.h"

#include "base/clock.h"

/* ---- Hooks ---- */

void db_watch(struct db *db, int fd, bool want_read, bool want_write, bool is_forced)
{
	if (!is_forced && fd == db->fd && want_read == db->is_read && want_write == db->is_write)
		return;
	db->fd = fd;
	db->is_read = want_read;
	db->is_write = want_write;
	db->hooks.on_io(db->arg, fd, want_read, want_write);
}

void db_tell(struct db *db, enum db_state state, const char *text)
{
	char line[DB_TEXT_MAX];

	result_first_line(text, line);
	db->hooks.on_state(db->arg, state, line);
}

void db_count(struct db *db, enum db_count what, const struct job *j)
{
	if (db->hooks.on_count && !j->is_setup && !j->is_probe)
		db->hooks.on_count(db->arg, what, j->stmt);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
	if (!a || !b)
		return a ? a : b;
	return MIN(a, b);
}

/* The next moment at which db_on_timer has something to do; 0 = none. */
static uint64_t next_event(const struct db *db, uint64_t now)
{
	uint64_t at = db->n_waiting || db->n_inflight ? db->deadline_at : 0;

	if (!list_empty(&db->dead) || db->is_broken)
		return now;
	if (db->phase == PHASE_PAUSE)
		at = earlier(at, db->retry_at);
	if (db->phase == PHASE_CONNECT)
		at = earlier(at, db->give_up_at);
	if (db->phase == PHASE_UP && db->n_inflight)
		at = earlier(at, db->heard_ms + (uint64_t)db->cfg.answer_timeout_ms);
	if (db->phase == PHASE_UP && db->n_inflight && db->cfg.stall_ms > 0 && !db->is_stalled)
		at = earlier(at, db->heard_ms + (uint64_t)db->cfg.stall_ms);
	if (db->phase == PHASE_UP && !db->n_inflight && db->cfg.probe_ms > 0)
		at = earlier(at, db->heard_ms + (uint64_t)db->cfg.probe_ms);
	return at;
}

/*
 * Asks for a timer only when an earlier one is needed: a timer that comes too early re-arms itself.
 */
static void arm(struct db *db)
{
	uint64_t now = clock_mono_ms(), at = next_event(db, now);

	if (!at || (db->timer_at && db->timer_at <= at))
		return;
	db->timer_at = at;
	db->hooks.on_timer(db->arg, at > now ? (int64_t)(at - now) : 0);
}

/* ---- Jobs ---- */

void job_free(struct job *j)
{
	PQclear(j->result);
	db_args_done(&j->args);
	free(j);
}

void job_answer(struct db *db, struct job *j, const struct db_result *res)
{
	if (j->done) {
		db->is_calling = true;
		j->done(&j->call, res);
		db->is_calling = false;
	}
	job_free(j);
}

static void job_kill(struct db *db, struct job *j, enum db_status status)
{
	list_remove(&j->node);
	j->status = status;
	list_append(&db->dead, &j->node);
}

/* Calls back for what died meanwhile; callbacks may submit, and may cancel other dead jobs. */
static void reap(struct db *db)
{
	struct db_result res;
	struct list *node;

	while ((node = list_first(&db->dead))) {
		struct job *j = list_entry(node, struct job, node);

		list_remove(node);
		result_init(&res, j->status);
		job_answer(db, j, &res);
	}
}

bool job_is_late(const struct job *j, uint64_t now)
{
	return j->deadline_ms && j->deadline_ms <= now;
}

/* Its submitter is answered now; the server's answer, if it comes, is read and dropped. */
static void cut_short(struct db *db, struct job *j)
{
	struct job *copy = xcalloc(1, sizeof(*copy));

	copy->token = j->token;
	copy->status = DB_LOST;
	copy->done = j->done;
	copy->call = j->call;
	j->done = NULL;
	list_append(&db->dead, &copy->node);
}

static void cut_late(struct db *db, uint64_t now)
{
	for (struct list *node = db->inflight.next; node != &db->inflight; node = node->next) {
		struct job *j = list_entry(node, struct job, node);

		if (!j->done || j->is_patient)
			continue;
		if (job_is_late(j, now))
			cut_short(db, j);
		else
			db->deadline_at = earlier(db->deadline_at, j->deadline_ms);
	}
}

static void kill_late(struct db *db, uint64_t now)
{
	struct list *node, *tmp;

	db->deadline_at = 0;
	list_each_safe (node, tmp, &db->waiting) {
		struct job *j = list_entry(node, struct job, node);

		if (job_is_late(j, now)) {
			db->n_waiting--;
			job_kill(db, j, j->n_sent ? DB_LOST : DB_TIMEOUT);
		} else {
			db->deadline_at = earlier(db->deadline_at, j->deadline_ms);
		}
	}
	cut_late(db, now);
}

void job_requeue_first(struct db *db, struct job *j)
{
	list_remove(&j->node);
	list_append(db->waiting.next, &j->node); /* before the present first */
	db->n_waiting++;
	db->deadline_at = earlier(db->deadline_at, j->deadline_ms);
	PQclear(j->result);
	j->result = NULL;
	j->has_prepare = j->is_unparsed = j->is_undone = false;
}

/* ---- Sending ---- */

/*
 * A server that is told to look ends what it does for us soon after we have hung up: no second
 * connection is needed to cancel it.
 */
#define SETUP                                                                                      \
	"SELECT set_config('client_connection_check_interval', '2s', false),"                      \
	" CASE WHEN $1::text <> '0' THEN set_config('statement_timeout', $1::text, false) END"

static int send_setup(struct db *db)
{
	char ms[24];
	const char *value = ms;

	snprintf(ms, sizeof(ms), "%" PRId64, db->cfg.statement_timeout_ms);
	return PQsendQueryParams(db->pg, SETUP, 1, NULL, &value, NULL, NULL, 1);
}

static int send_statement(struct db *db, struct job *j)
{
	const struct stmt *s = stmt_get(j->stmt);
	const char *values[DB_PARAM_MAX];
	int lengths[DB_PARAM_MAX], formats[DB_PARAM_MAX];

	args_export(&j->args, values, lengths, formats);
	if (!db->cfg.is_prepared)
		return PQsendQueryParams(db->pg, s->sql, j->args.n, NULL, values, lengths, formats,
					 1);
	j->has_prepare = !db->is_known[j->stmt];
	if (j->has_prepare && !PQsendPrepare(db->pg, s->name, s->sql, 0, NULL))
		return 0;
	db->is_known[j->stmt] = true;
	return PQsendQueryPrepared(db->pg, s->name, j->args.n, values, lengths, formats, 1);
}

/* libpq may have closed the socket, whose number is then nobody's, or somebody else's. */
static void mark_broken(struct db *db)
{
	db->is_broken = true;
	db_watch(db, -1, false, false, false);
}

/* A sync point after every query: its own transaction, and an error stops at it. */
void job_send(struct db *db, struct job *j)
{
	list_append(&db->inflight, &j->node);
	if (db->n_inflight++ == 0)
		db->heard_ms = clock_mono_ms();
	if (j->n_sent < UINT8_MAX)
		j->n_sent++;
	db_count(db, DB_COUNT_SENT, j);
	if (!(j->is_probe || (j->is_setup ? send_setup(db) : send_statement(db, j))) ||
	    !PQpipelineSync(db->pg))
		mark_broken(db);
}

/* Behind a pooler the connection is not ours to configure. */
void job_send_setup(struct db *db)
{
	struct job *j;

	if (!db->cfg.is_prepared)
		return;
	j = xcalloc(1, sizeof(*j));
	j->is_setup = true;
	job_send(db, j);
}

static void send_probe(struct db *db)
{
	struct job *j = xcalloc(1, sizeof(*j));

	j->is_probe = true;
	job_send(db, j);
	db_flush(db);
}

void db_flush(struct db *db)
{
	int r = db->is_broken ? -1 : PQflush(db->pg);

	if (r < 0)
		mark_broken(db);
	else
		db_watch(db, PQsocket(db->pg), true, r > 0, false);
}

void db_pump(struct db *db)
{
	uint64_t now = clock_mono_ms();
	bool is_sent = false;

	while (db->phase == PHASE_UP && !db->is_broken && db->n_inflight < db->cfg.inflight_max) {
		struct list *node = list_first(&db->waiting);
		struct job *j;

		if (!node)
			break;
		j = list_entry(node, struct job, node);
		db->n_waiting--;
		if (job_is_late(j, now)) {
			job_kill(db, j, j->n_sent ? DB_LOST : DB_TIMEOUT);
			continue;
		}
		list_remove(node);
		job_send(db, j);
		is_sent = true;
	}
	if (is_sent)
		db_flush(db);
}

/* ---- The owner's calls ---- */

/* The end of every entry from the owner: in this order, since each may cause the next. */
static void settle(struct db *db)
{
	db_pump(db);
	if (db->is_broken)
		link_lose(db, PQerrorMessage(db->pg));
	reap(db);
	arm(db);
}

void db_on_readable(struct db *db)
{
	if (db->phase == PHASE_CONNECT)
		link_poll(db);
	else if (db->phase == PHASE_UP && !db->is_broken)
		link_read(db);
	settle(db);
}

void db_on_writable(struct db *db)
{
	if (db->phase == PHASE_CONNECT)
		link_poll(db);
	else if (db->phase == PHASE_UP)
		db_flush(db);
	settle(db);
}

static bool is_silent(const struct db *db, int64_t limit_ms, uint64_t now)
{
	return limit_ms > 0 && db->heard_ms + (uint64_t)limit_ms <= now;
}

/* The server is asked for signs of life, and judged by them. */
static void watch_server(struct db *db, uint64_t now)
{
	/* perhaps it is us who were late: what has come meanwhile counts */
	if (db->n_inflight && (is_silent(db, db->cfg.answer_timeout_ms, now) ||
			       (!db->is_stalled && is_silent(db, db->cfg.stall_ms, now))))
		link_read(db);
	if (db->phase != PHASE_UP || db->is_broken)
		return;
	if (!db->n_inflight) {
		if (is_silent(db, db->cfg.probe_ms, now))
			send_probe(db);
	} else if (is_silent(db, db->cfg.answer_timeout_ms, now)) {
		link_lose(db, "a query was not answered in time");
	} else if (!db->is_stalled && is_silent(db, db->cfg.stall_ms, now)) {
		db->is_stalled = true;
		db_tell(db, DB_STATE_STALLED, "the server is silent");
	}
}

void db_on_timer(struct db *db)
{
	uint64_t now = clock_mono_ms();

	db->timer_at = 0;
	if (db->deadline_at && db->deadline_at <= now)
		kill_late(db, now);
	if (db->phase == PHASE_PAUSE && db->retry_at <= now)
		link_begin(db);
	else if (db->phase == PHASE_CONNECT && db->give_up_at <= now)
		link_lose(db, "the server did not answer in time");
	else if (db->phase == PHASE_UP && !db->is_broken)
		watch_server(db, now);
	settle(db);
}

static void set_timeouts(struct db_config *c, const struct db_config *from)
{
	c->connect_timeout_ms = from->connect_timeout_ms > 0 ? from->connect_timeout_ms : 5000;
	c->retry_min_ms = from->retry_min_ms > 0 ? from->retry_min_ms : 100;
	c->retry_max_ms = MAX(c->retry_min_ms, from->retry_max_ms > 0 ? from->retry_max_ms : 5000);
	c->answer_timeout_ms = from->answer_timeout_ms > 0 ? from->answer_timeout_ms : 30000;
	c->stall_ms = from->stall_ms;
	c->probe_ms = from->probe_ms;
}

void db_set_timeouts(struct db *db, const struct db_config *cfg)
{
	set_timeouts(&db->cfg, cfg);
	arm(db);
}

struct db *db_new(const struct db_config *cfg, const struct db_hooks *hooks, void *arg)
{
	struct db *db = xcalloc(1, sizeof(*db));
	const char *name = cfg->application_name ? cfg->application_name : "roomd";

	db->cfg = *cfg;
	set_timeouts(&db->cfg, cfg);
	db->cfg.queue_max = cfg->queue_max ? cfg->queue_max : 1024;
	db->cfg.inflight_max = cfg->inflight_max ? cfg->inflight_max : 64;
	db->url = xstrndup(cfg->url, strlen(cfg->url));
	db->application_name = xstrndup(name, strlen(name));
	db->cfg.url = db->url;
	db->cfg.application_name = db->application_name;
	db->hooks = *hooks;
	db->arg = arg;
	db->fd = -1;
	list_init(&db->waiting);
	list_init(&db->inflight);
	list_init(&db->dead);
	return db;
}

void db_start(struct db *db)
{
	if (db->phase == PHASE_IDLE)
		link_begin(db);
	arm(db);
}

static void kill_all(struct db *db)
{
	struct list *node;

	while ((node = list_first(&db->inflight)))
		job_kill(db, list_entry(node, struct job, node), DB_LOST);
	while ((node = list_first(&db->waiting))) {
		struct job *j = list_entry(node, struct job, node);

		job_kill(db, j, j->n_sent ? DB_LOST : DB_NOT_SENT);
	}
	db->n_waiting = db->n_inflight = 0;
}

void db_free(struct db **pdb)
{
	struct db *db = *pdb;

	if (!db)
		return;
	assert(!db->is_calling);
	*pdb = NULL;
	db_watch(db, -1, false, false, false);
	PQfinish(db->pg);
	db->pg = NULL;
	db->phase = PHASE_IDLE;
	db->cfg.queue_max = 0; /* callbacks find it full */
	kill_all(db);
	reap(db);
	free(db->url);
	free(db->application_name);
	free(db);
}

bool db_is_connected(const struct db *db)
{
	return db->phase == PHASE_UP && !db->is_broken && !db->is_stalled;
}

int32_t db_backend(const struct db *db)
{
	return db->phase == PHASE_UP ? PQbackendPID(db->pg) : 0;
}

uint32_t db_pending(const struct db *db)
{
	return db->n_waiting + db->n_inflight;
}

int db_submit(struct db *db, const struct db_query *q, uint64_t *ret_token)
{
	int n = q->args ? q->args->n : 0;
	struct job *j;

	if (n != stmt_get(q->stmt)->n_params)
		return -ERR_INVAL;
	if (db->n_waiting >= db->cfg.queue_max)
		return -ERR_FULL;
	j = xcalloc(1, sizeof(*j));
	j->token = ++db->last_token;
	j->deadline_ms = q->deadline_ms;
	j->is_patient = q->is_patient;
	j->stmt = q->stmt;
	j->done = q->done;
	j->call = q->call;
	if (q->args) {
		j->args = *q->args;
		*q->args = DB_ARGS_INIT;
	}
	list_append(&db->waiting, &j->node);
	db->n_waiting++;
	db->deadline_at = earlier(db->deadline_at, j->deadline_ms);
	if (ret_token)
		*ret_token = j->token;
	db_pump(db);
	arm(db);
	return 0;
}

int db_ask(struct db *db, enum stmt_id stmt, struct db_args *args, uint64_t deadline_ms,
	   db_done_fn *done, struct db_call call, uint64_t *ret_token)
{
	struct db_query q = {.stmt = stmt,
			     .args = args,
			     .deadline_ms = deadline_ms,
			     .done = done,
			     .call = call};
	int r = db_submit(db, &q, ret_token);

	db_args_done(args);
	return r;
}

void db_answer_rows(const struct db_call *call, const struct db_result *res)
{
	int err = db_result_err(res);

	((db_rows_fn *)call->then)(call->arg, err, err < 0 ? NULL : res);
}

static struct job *find_job(const struct list *l, uint64_t token)
{
	for (struct list *node = l->next; node != l; node = node->next) {
		struct job *j = list_entry(node, struct job, node);

		if (j->token == token)
			return j;
	}
	return NULL;
}

int db_cancel(struct db *db, uint64_t token)
{
	struct job *j = find_job(&db->waiting, token);
	bool was_sent;

	if (j)
		db->n_waiting--;
	else
		j = find_job(&db->dead, token);
	if (j) {
		was_sent = j->n_sent > 0;
		list_remove(&j->node);
		job_free(j);
		return was_sent ? -ERR_AGAIN : 0;
	}
	j = find_job(&db->inflight, token);
	if (!j || !j->done)
		return -ERR_NOENT;
	j->done = NULL; /* its answer is read and dropped */
	return -ERR_AGAIN;
}
