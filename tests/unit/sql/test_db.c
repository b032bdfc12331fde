/* SPDX-License-Identifier: MIT */
/*
 * The connection: order, isolation of errors, limits, time-outs, loss and return of the server.
 */
#include "pg.h"

#include "base/clock.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>

static char url[PG_URL_MAX];
static PGconn *pg; /* beside the connection under test */

/* What came back for one query. */
struct answer {
	int n;	   /* callbacks: must end at 1 */
	int order; /* place among all answers */
	enum db_status status;
	int err;
	int64_t value; /* first column of the first row */
	char sqlstate[6], constraint[64];
};

static int n_answers;

static void on_done(const struct db_call *call, const struct db_result *res)
{
	struct answer *a = call->arg;

	a->n++;
	a->order = ++n_answers;
	a->status = db_result_status(res);
	a->err = db_result_err(res);
	a->value = db_get_i64(res, 0, 0);
	snprintf(a->sqlstate, sizeof(a->sqlstate), "%s", db_result_sqlstate(res));
	snprintf(a->constraint, sizeof(a->constraint), "%s", db_result_constraint(res));
}

static int ask(struct link *l, enum stmt_id stmt, struct db_args *args, uint64_t deadline_ms,
	       struct answer *a, uint64_t *ret_token)
{
	struct db_query q = {.stmt = stmt,
			     .args = args,
			     .deadline_ms = deadline_ms,
			     .done = on_done,
			     .call = {.arg = a}};
	int r = db_submit(l->db, &q, ret_token);

	db_args_done(args);
	return r;
}

static int ask_info(struct link *l, int64_t id, uint64_t deadline_ms, struct answer *a,
		    uint64_t *ret_token)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_i64(&args, id);
	db_args_uuid(&args, NULL);
	return ask(l, STMT_ROOM_INFO, &args, deadline_ms, a, ret_token);
}

static int ask_create(struct link *l, const char *name, uint64_t deadline_ms, struct answer *a)
{
	struct db_args args = DB_ARGS_INIT;

	db_args_text(&args, str_of(name));
	db_args_text(&args, STR(""));
	db_args_null(&args);
	return ask(l, STMT_ROOM_CREATE, &args, deadline_ms, a, NULL);
}

static uint64_t in_ms(uint64_t ms)
{
	return clock_mono_ms() + ms;
}

static int setup(void **state)
{
	pg_setup(state);
	pg_database(url);
	pg = pg_open(url);
	return 0;
}

static int teardown(void **state)
{
	PQfinish(pg);
	return pg_teardown(state);
}

/* ---- Queries ---- */

static void ask_many(bool is_prepared)
{
	struct db_config cfg = {.is_prepared = is_prepared, .queue_max = 2000};
	struct answer answers[500] = {{0}};
	int64_t room = pg_room(pg, is_prepared ? "many" : "many unprepared");
	struct link l;

	link_open(&l, url, &cfg);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++)
		assert_int_equal(ask_info(&l, room, 0, &answers[i], NULL), 0);
	assert_int_equal(answers[0].n, 0); /* never from inside db_submit */
	assert_int_equal(db_pending(l.db), ARRAY_LEN(answers));
	n_answers = 0;
	link_until(&l, &answers[ARRAY_LEN(answers) - 1].n, 1);
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		assert_int_equal(answers[i].n, 1);
		assert_int_equal(answers[i].order, (int)i + 1);
		assert_int_equal(answers[i].status, DB_OK);
		assert_int_equal(answers[i].value, room);
	}
	assert_int_equal(db_pending(l.db), 0);
	assert_true(db_is_connected(l.db));
	link_close(&l);
}

static void test_answers_in_order(void **state UNUSED)
{
	ask_many(true);
}

static void test_without_prepared_statements(void **state UNUSED)
{
	ask_many(false);
}

static void test_error_stops_at_its_query(void **state UNUSED)
{
	struct answer a[4] = {{0}};
	struct link l;

	link_open(&l, url, NULL);
	assert_int_equal(ask_create(&l, "twice", 0, &a[0]), 0);
	assert_int_equal(ask_create(&l, "twice", 0, &a[1]), 0);
	assert_int_equal(ask_create(&l, "once", 0, &a[2]), 0);
	assert_int_equal(ask_create(&l, "", 0, &a[3]), 0);
	link_until(&l, &a[3].n, 1);
	assert_int_equal(a[0].status, DB_OK);
	assert_int_equal(a[1].status, DB_CONSTRAINT);
	assert_int_equal(a[1].err, -ERR_EXISTS);
	assert_string_equal(a[1].sqlstate, "23505");
	assert_string_equal(a[1].constraint, "conversations_open_name_key");
	assert_int_equal(a[2].status, DB_OK);
	assert_int_equal(a[3].status, DB_CONSTRAINT);
	assert_int_equal(a[3].err, -ERR_INVAL);
	assert_string_equal(a[3].constraint, "conversations_name_check");
	assert_int_equal(l.n_lost, 0);
	link_close(&l);
}

static void test_limits(void **state UNUSED)
{
	struct db_config cfg = {.is_prepared = true, .queue_max = 2};
	struct db_args none = DB_ARGS_INIT;
	struct answer a[3] = {{0}};
	struct link l;

	link_open(&l, "host=/nonexistent user=x", &cfg);
	assert_int_equal(ask(&l, STMT_ROOM_INFO, &none, 0, &a[0], NULL), -ERR_INVAL);
	assert_int_equal(ask_info(&l, 1, 0, &a[0], NULL), 0);
	assert_int_equal(ask_info(&l, 1, 0, &a[1], NULL), 0);
	assert_int_equal(ask_info(&l, 1, 0, &a[2], NULL), -ERR_FULL);
	link_close(&l);
	assert_int_equal(a[0].status, DB_NOT_SENT);
	assert_int_equal(a[0].n + a[1].n, 2);
	assert_int_equal(a[2].n, 0);
}

static void test_cancel(void **state UNUSED)
{
	struct answer waiting = {0}, sent = {0}, last = {0};
	uint64_t token[3];
	struct link l;

	link_open(&l, url, NULL);
	assert_int_equal(ask_info(&l, 1, 0, &waiting, &token[0]), 0);
	assert_int_equal(db_cancel(l.db, token[0]), 0); /* not connected yet */
	link_until(&l, &l.n_connected, 1);
	assert_int_equal(ask_info(&l, 1, 0, &sent, &token[1]), 0);
	assert_int_equal(ask_info(&l, 1, 0, &last, &token[2]), 0);
	assert_int_equal(db_cancel(l.db, token[1]), -ERR_AGAIN);
	assert_int_equal(db_cancel(l.db, token[1]), -ERR_NOENT);
	link_until(&l, &last.n, 1);
	assert_int_equal(db_cancel(l.db, token[2]), -ERR_NOENT);
	assert_int_equal(waiting.n + sent.n, 0);
	assert_int_equal(db_pending(l.db), 0);
	link_close(&l);
}

/* ---- Time ---- */

static void test_deadline_without_server(void **state UNUSED)
{
	struct answer soon = {0}, later = {0}, never = {0};
	struct link l;

	link_open(&l, "host=/nonexistent user=x", NULL);
	assert_int_equal(ask_info(&l, 1, in_ms(150), &later, NULL), 0);
	assert_int_equal(ask_info(&l, 1, in_ms(50), &soon, NULL), 0);
	assert_int_equal(ask_info(&l, 1, 0, &never, NULL), 0);
	n_answers = 0;
	link_until(&l, &soon.n, 1);
	link_until(&l, &later.n, 1);
	assert_int_equal(soon.order, 1);
	assert_int_equal(later.order, 2);
	assert_int_equal(soon.status, DB_TIMEOUT);
	assert_int_equal(later.status, DB_TIMEOUT);
	assert_int_equal(later.err, -ERR_UNAVAILABLE);
	assert_int_equal(never.n, 0);
	assert_true(l.n_lost > 1); /* went on trying meanwhile */
	link_close(&l);
	assert_int_equal(never.status, DB_NOT_SENT);
}

static void test_deadline_already_past(void **state UNUSED)
{
	struct answer a = {0};
	struct link l;

	link_open(&l, url, NULL);
	link_until(&l, &l.n_connected, 1);
	assert_int_equal(ask_info(&l, 1, in_ms(0) - 1, &a, NULL), 0);
	assert_int_equal(a.n, 0);
	link_until(&l, &a.n, 1);
	assert_int_equal(a.status, DB_TIMEOUT);
	link_close(&l);
}

static void test_statement_timeout(void **state UNUSED)
{
	struct db_config cfg = {.is_prepared = true, .statement_timeout_ms = 400};
	struct answer a = {0};
	struct link l;

	link_open(&l, url, &cfg);
	pg_value(pg, "BEGIN; LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE");
	assert_int_equal(ask_info(&l, 1, 0, &a, NULL), 0);
	link_until(&l, &a.n, 1);
	pg_value(pg, "ROLLBACK");
	assert_int_equal(a.status, DB_PASSING);
	assert_string_equal(a.sqlstate, "57014");
	assert_int_equal(a.err, -ERR_UNAVAILABLE);
	link_close(&l);
}

/* The server process stands still with a query in flight: given up, and sent again to another. */
static void test_silent_server(void **state UNUSED)
{
	struct db_config cfg = {.is_prepared = true,
				.application_name = "silent",
				.answer_timeout_ms = 200,
				.retry_min_ms = 10};
	int64_t room = pg_room(pg, "silent");
	struct answer a = {0};
	struct link l;

	if (!pg_is_private())
		skip();
	link_open(&l, url, &cfg);
	link_until(&l, &l.n_connected, 1);
	pg_signal("silent", SIGSTOP);
	assert_int_equal(ask_info(&l, room, 0, &a, NULL), 0);
	link_until(&l, &l.n_lost, 1);
	assert_non_null(strstr(l.text, "not answered in time"));
	link_until(&l, &a.n, 1);
	assert_int_equal(a.status, DB_OK);
	assert_int_equal(a.value, room);
	assert_true(l.n_connected >= 2);
	link_close(&l);
	pg_signal("silent", SIGCONT);
}

static void wait_blocked(const char *application_name)
{
	char sql[256];
	uint64_t until = in_ms(PG_PATIENCE_MS);

	snprintf(sql, sizeof(sql),
		 "SELECT count(*) FROM pg_stat_activity WHERE application_name = '%s'"
		 " AND wait_event_type = 'Lock'",
		 application_name);
	while (pg_number(pg, sql) == 0) {
		pg_value(pg, "SELECT pg_stat_clear_snapshot()");
		if (clock_mono_ms() > until)
			fail_msg("nobody waits");
	}
}

/* A patient query may be answered late; any other is given up in time, and its answer dropped. */
static void test_deadline_after_sending(void **state UNUSED)
{
	struct answer cut = {0}, patient = {0}, next = {0};
	struct db_args args = DB_ARGS_INIT;
	struct db_query q = {.stmt = STMT_ROOM_INFO,
			     .args = &args,
			     .is_patient = true,
			     .done = on_done,
			     .call = {.arg = &patient}};
	struct link l;

	link_open(&l, url, NULL);
	link_until(&l, &l.n_connected, 1);
	pg_value(pg, "BEGIN; LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE");
	db_args_i64(&args, 1);
	db_args_uuid(&args, NULL);
	q.deadline_ms = in_ms(50);
	assert_int_equal(db_submit(l.db, &q, NULL), 0);
	assert_int_equal(ask_info(&l, 1, in_ms(500), &cut, NULL), 0);
	link_until(&l, &cut.n, 1);
	assert_int_equal(cut.status, DB_LOST);
	assert_int_equal(cut.err, -ERR_UNAVAILABLE);
	assert_int_equal(patient.n, 0);
	assert_int_equal(ask_info(&l, 1, 0, &next, NULL), 0);
	pg_value(pg, "ROLLBACK");
	link_until(&l, &next.n, 1);
	assert_int_equal(patient.status, DB_OK);
	assert_int_equal(next.status, DB_OK);
	assert_int_equal(cut.n, 1);
	assert_int_equal(db_pending(l.db), 0);
	link_close(&l);
}

/* Silence is told early and costs nothing: the connection is kept, and the answer counts. */
static void test_stall(void **state UNUSED)
{
	struct db_config cfg = {
		.is_prepared = true, .application_name = "stalled", .stall_ms = 500};
	int64_t room = pg_room(pg, "stalled");
	struct answer a = {0};
	struct link l;

	if (!pg_is_private())
		skip();
	link_open(&l, url, &cfg);
	link_until(&l, &l.n_connected, 1);
	pg_signal("stalled", SIGSTOP);
	assert_int_equal(ask_info(&l, room, 0, &a, NULL), 0);
	link_until(&l, &l.n_stalled, 1);
	assert_false(db_is_connected(l.db));
	pg_signal("stalled", SIGCONT);
	link_until(&l, &a.n, 1);
	assert_int_equal(a.status, DB_OK);
	assert_true(db_is_connected(l.db));
	assert_int_equal(l.n_connected, 2); /* told again */
	assert_int_equal(l.n_lost, 0);
	link_close(&l);
}

/* Nobody asks anything: the connection itself does, without a statement. */
static void test_probe(void **state UNUSED)
{
	struct db_config cfg = {.is_prepared = true,
				.application_name = "probed",
				.stall_ms = 1000,
				.probe_ms = 50,
				.retry_min_ms = 10};
	struct link l;
	int n_sent;

	if (!pg_is_private())
		skip();
	link_open(&l, url, &cfg);
	link_until(&l, &l.n_connected, 1);
	for (uint64_t until = in_ms(1200); clock_mono_ms() < until;)
		links_turn(&(struct link *){&l}, 1, 50);
	assert_int_equal(l.n_stalled, 0); /* silence that is asked about is none */
	n_sent = l.n_sent;
	pg_signal("probed", SIGSTOP);
	link_until(&l, &l.n_stalled, 1);
	pg_signal("probed", SIGCONT);
	link_until(&l, &l.n_connected, 2);
	assert_int_equal(l.n_lost, 0);
	assert_int_equal(l.n_sent, n_sent);
	link_close(&l);
}

static void test_counts(void **state UNUSED)
{
	struct db_config cfg = {
		.is_prepared = true, .application_name = "counted", .retry_min_ms = 10};
	struct answer a[3] = {{0}};
	struct link l;

	link_open(&l, url, &cfg);
	assert_int_equal(ask_create(&l, "counted", 0, &a[0]), 0);
	assert_int_equal(ask_create(&l, "counted", 0, &a[1]), 0);
	link_until(&l, &a[1].n, 1);
	assert_int_equal(l.n_sent, 2);
	assert_int_equal(l.n_refused, 1);
	pg_value(pg, "BEGIN; LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE");
	assert_int_equal(ask_info(&l, 1, 0, &a[2], NULL), 0);
	wait_blocked("counted");
	pg_value(pg, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
		     " WHERE application_name = 'counted'");
	pg_value(pg, "ROLLBACK");
	link_until(&l, &a[2].n, 1);
	assert_int_equal(l.n_repeated, 1);
	assert_int_equal(l.n_sent, 4);
	assert_int_equal(l.n_refused, 1);
	link_close(&l);
}

/*
 * Who sends may be the first to notice that the server has gone, and libpq then closes the socket
 * at once. Seen red with mark_broken watching on: libev ended the worker.
 */
static void test_a_closed_socket_is_not_watched(void **state UNUSED)
{
	struct db_config cfg = {
		.is_prepared = true, .application_name = "closed", .retry_min_ms = 10};
	struct answer a[8] = {{0}};
	struct link l;

	link_open(&l, url, &cfg);
	link_until(&l, &l.n_connected, 1);
	pg_value(pg, "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity"
		     " WHERE application_name = 'closed'");
	for (size_t i = 0; i < ARRAY_LEN(a); i++) {
		assert_int_equal(ask_info(&l, 1, 0, &a[i], NULL), 0);
		assert_true(l.fd < 0 || fcntl(l.fd, F_GETFD) >= 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		link_until(&l, &a[i].n, 1);
	link_close(&l);
}

static int64_t delays[16], spent[16]; /* spent: by this process, before the delay was told */
static int n_delays;
static uint64_t turned_at;

static void record_delay(void *arg UNUSED, int64_t delay_ms)
{
	if (n_delays == (int)ARRAY_LEN(delays))
		return;
	spent[n_delays] = (int64_t)(clock_mono_ms() - turned_at);
	delays[n_delays++] = delay_ms;
}

static void ignore_io(void *arg UNUSED, int fd UNUSED, bool r UNUSED, bool w UNUSED)
{
}

static void ignore_state(void *arg UNUSED, enum db_state s UNUSED, const char *text UNUSED)
{
}

/* Doubling from 64 ms to 1,000 ms, each between half of it and all of it. */
static void test_back_off(void **state UNUSED)
{
	struct db_config cfg = {
		.url = "host=/nonexistent user=x", .retry_min_ms = 64, .retry_max_ms = 1000};
	struct db_hooks hooks = {ignore_io, record_delay, ignore_state, NULL};
	struct db *db = db_new(&cfg, &hooks, NULL);
	int64_t full = 64;

	n_delays = 0;
	turned_at = clock_mono_ms();
	db_start(db);
	while (n_delays < 8) {
		uint64_t until = clock_mono_ms() + (uint64_t)delays[n_delays - 1];
		int seen = n_delays;

		while (n_delays == seen && clock_mono_ms() < until + 1000)
			if (clock_mono_ms() >= until) {
				turned_at = clock_mono_ms();
				db_on_timer(db);
			}
	}
	for (int i = 0; i < n_delays; i++, full = MIN(full * 2, 1000)) {
		assert_true(delays[i] + spent[i] >= full / 2 - 2);
		assert_true(delays[i] <= full);
	}
	db_free(&db);
}

/* ---- Loss ---- */

static void test_lost_in_flight(void **state UNUSED)
{
	struct db_config cfg = {
		.is_prepared = true, .application_name = "victim", .retry_min_ms = 10};
	struct answer a[4] = {{0}};
	int64_t room = pg_room(pg, "lost");
	uint64_t past;
	struct link l;

	link_open(&l, url, &cfg);
	link_until(&l, &l.n_connected, 1);
	n_answers = 0;
	pg_value(pg, "BEGIN; LOCK TABLE conversations IN ACCESS EXCLUSIVE MODE");
	assert_int_equal(ask_info(&l, room, 0, &a[0], NULL), 0);
	assert_int_equal(ask_create(&l, "made once", 0, &a[1]), 0);
	past = in_ms(200);
	assert_int_equal(ask_info(&l, room, past, &a[2], NULL), 0);
	assert_int_equal(ask_info(&l, room, 0, &a[3], NULL), 0);
	wait_blocked("victim");
	while (clock_mono_ms() <= past)
		poll(NULL, 0, 10);
	pg_value(pg, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
		     " WHERE application_name = 'victim'");
	pg_value(pg, "ROLLBACK");
	link_until(&l, &a[3].n, 1);
	assert_int_equal(a[0].status, DB_OK);	/* a read: repeated */
	assert_int_equal(a[1].status, DB_LOST); /* not to be repeated */
	assert_int_equal(a[1].err, -ERR_UNAVAILABLE);
	assert_int_equal(a[2].status, DB_LOST); /* past its deadline */
	assert_int_equal(a[3].status, DB_OK);
	assert_true(a[1].order < a[0].order);
	assert_true(a[2].order < a[0].order); /* nor is the new connection waited for */
	assert_true(a[0].order < a[3].order);
	assert_int_equal(a[0].n + a[1].n + a[2].n + a[3].n, 4);
	assert_int_equal(l.n_lost, 1);
	assert_int_equal(l.n_connected, 2);
	link_close(&l);
}

static void test_free_in_flight(void **state UNUSED)
{
	struct answer a = {0};
	struct link l;

	link_open(&l, url, NULL);
	link_until(&l, &l.n_connected, 1);
	assert_int_equal(ask_info(&l, 1, 0, &a, NULL), 0);
	link_close(&l);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.status, DB_LOST);
	assert_null(l.db);
	link_close(&l); /* NULL is allowed */
}

static void test_server_stops_and_returns(void **state UNUSED)
{
	struct answer a[20] = {{0}};
	struct link l;

	if (!pg_is_private())
		skip();
	link_open(&l, url, NULL);
	link_until(&l, &l.n_connected, 1);
	pg_stop();
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		assert_int_equal(ask_info(&l, 1, 0, &a[i], NULL), 0);
	link_until(&l, &l.n_lost, 4);
	assert_false(db_is_connected(l.db));
	pg_resume();
	link_until(&l, &a[ARRAY_LEN(a) - 1].n, 1);
	for (size_t i = 0; i < ARRAY_LEN(a); i++) {
		assert_int_equal(a[i].n, 1);
		assert_int_equal(a[i].status, DB_OK);
	}
	link_close(&l);
	PQfinish(pg);
	pg = pg_open(url);
}

/* ---- Servers that cannot be used ---- */

static void test_schema_missing(void **state UNUSED)
{
	char empty[PG_URL_MAX];
	struct answer a[5] = {{0}};
	struct link l;

	pg_database_empty(empty);
	link_open(&l, empty, NULL);
	for (size_t i = 0; i < ARRAY_LEN(a); i++)
		assert_int_equal(ask_info(&l, 1, 0, &a[i], NULL), 0);
	for (size_t i = 0; i < ARRAY_LEN(a); i++) {
		link_until(&l, &a[i].n, 1);
		assert_int_equal(a[i].status, DB_ERROR);
		assert_int_equal(a[i].err, -ERR_UNAVAILABLE);
		assert_string_equal(a[i].sqlstate,
				    "42P01"); /* the cause, not "no such statement" */
	}
	assert_true(l.n_schema > 0);
	assert_int_equal(l.n_lost, 0);
	link_close(&l);
}

static void test_malformed_url(void **state UNUSED)
{
	struct link l;

	link_open(&l, "host=/x pass word=secret", NULL);
	assert_int_equal(l.n_lost, 1);
	assert_null(strstr(l.text, "secret"));
	link_close(&l);
}

/* As after a failover: the server we were connected to has become a standby. */
static void test_turns_read_only(void **state UNUSED)
{
	struct answer a[3] = {{0}}, read = {0};
	struct db_config reader = {.is_prepared = true};
	struct link l, r;

	if (!pg_is_private())
		skip();
	link_open(&l, url, NULL);
	assert_int_equal(ask_create(&l, "before", 0, &a[0]), 0);
	link_until(&l, &a[0].n, 1);
	pg_value(pg, "ALTER SYSTEM SET default_transaction_read_only = on");
	pg_value(pg, "SELECT pg_reload_conf()");
	while (strcmp(pg_value(pg, "SHOW default_transaction_read_only"), "on") != 0)
		;
	/* the session sees the new value with the next command or the one after */
	for (int i = 0; l.n_lost == 0 && i < 1000; i++) {
		char name[32];

		snprintf(name, sizeof(name), "switch %d", i);
		a[1].n = 0;
		assert_int_equal(ask_create(&l, name, 0, &a[1]), 0);
		while (a[1].n == 0 && l.n_lost == 0)
			links_turn(&(struct link *){&l}, 1, 1000);
	}
	assert_int_equal(a[1].n, 0); /* not answered: it will be done by a server that can */
	link_until(&l, &l.n_lost, 3);
	assert_int_equal(l.n_connected, 1);
	link_open(&r, url, &reader);
	assert_int_equal(ask_info(&r, 1, 0, &read, NULL), 0);
	link_until(&r, &read.n, 1); /* a reader takes what it gets */
	assert_int_equal(read.status, DB_OK);
	link_close(&r);
	pg_value(pg, "SET default_transaction_read_only = off");
	pg_value(pg, "ALTER SYSTEM RESET default_transaction_read_only");
	pg_value(pg, "SELECT pg_reload_conf()");
	link_until(&l, &a[1].n, 1);
	assert_int_equal(a[1].status, DB_OK);
	link_close(&l);
}

/* ---- Values ---- */

static void on_values(const struct db_call *call, const struct db_result *res)
{
	int *n = call->arg;
	struct uuid zero = {{0}}, u = db_get_uuid(res, 0, 1);
	struct str name = db_get_str(res, 0, 3);

	++*n;
	assert_int_equal(db_rows(res), 1);
	assert_true(str_eq(name, STR("values")));
	assert_false(uuid_is_zero(&u));
	assert_int_equal(db_get_i64(res, 0, 7), 0); /* boolean */
	assert_int_equal(db_get_i64(res, 0, 3), 0); /* text is no number */
	assert_int_equal(db_get_i64(res, 1, 0), 0); /* no such row */
	assert_int_equal(db_get_i64(res, -1, 0), 0);
	assert_int_equal(db_get_i64(res, 0, 99), 0); /* no such column */
	assert_true(db_is_null(res, 0, 99));
	assert_null(db_get_str(res, 0, 99).p);
	u = db_get_uuid(res, 0, 0);
	assert_memory_equal(u.b, zero.b, sizeof(zero.b));
}

static void test_values(void **state UNUSED)
{
	struct db_args args = DB_ARGS_INIT;
	struct db_query q = {.stmt = STMT_ROOM_INFO, .args = &args, .done = on_values};
	int n = 0;
	struct link l;

	q.call.arg = &n;
	link_open(&l, url, NULL);
	db_args_i64(&args, pg_room(pg, "values"));
	db_args_null(&args);
	assert_int_equal(db_submit(l.db, &q, NULL), 0);
	assert_int_equal(args.n, 0); /* moved */
	link_until(&l, &n, 1);
	link_close(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers_in_order),
		cmocka_unit_test(test_without_prepared_statements),
		cmocka_unit_test(test_error_stops_at_its_query),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_deadline_without_server),
		cmocka_unit_test(test_deadline_already_past),
		cmocka_unit_test(test_statement_timeout),
		cmocka_unit_test(test_silent_server),
		cmocka_unit_test(test_deadline_after_sending),
		cmocka_unit_test(test_stall),
		cmocka_unit_test(test_probe),
		cmocka_unit_test(test_counts),
		cmocka_unit_test(test_a_closed_socket_is_not_watched),
		cmocka_unit_test(test_back_off),
		cmocka_unit_test(test_lost_in_flight),
		cmocka_unit_test(test_free_in_flight),
		cmocka_unit_test(test_server_stops_and_returns),
		cmocka_unit_test(test_schema_missing),
		cmocka_unit_test(test_malformed_url),
		cmocka_unit_test(test_turns_read_only),
		cmocka_unit_test(test_values),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
