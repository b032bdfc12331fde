/* SPDX-License-Identifier: MIT */
/*
 * Applies the embedded migrations, each in a transaction of its own, or compares them with the
 * database. Blocks; who runs it, and when, is decided above.
 */
#include "sql/migrate.h"
#include "sql/migrate_priv.h"

#include "base/clock.h"
#include "base/ids.h"

#include <libpq-fe.h>
#include <time.h>

#include "sql/database.h"

/* Any number will do as long as it never changes: "roomd" in ASCII. */
#define LOCK_KEY "491327352164"
#define LOCK_WAIT_MS 60000 /* for the lock of other migrating processes, and for tables in use */
#define LOCK_TIMEOUT "200ms"
#define PAUSE_MS 100
#define VERSION_MIN 150000

struct run {
	PGconn *pg;
	struct buf *report;
	enum migrate_mode mode;
	char (*sums)[UUID_TEXT_LEN + 1]; /* owned; recorded checksums, "" = missing */
	bool has_table;
	bool is_changed; /* an applied migration is not what it was */
};

static void ignore_notice(void *arg UNUSED, const char *text UNUSED)
{
}

static void sleep_ms(long ms)
{
	struct timespec ts = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&ts, NULL);
}

static void report_error(struct run *r, const char *what, const PGresult *res)
{
	const char *text = res ? PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY) : NULL;

	if (!text)
		text = PQerrorMessage(r->pg);
	buf_printf(r->report, "%s: %.*s\n", what, (int)strcspn(text, "\n"), text);
}

/* Runs SQL; the result when it went well, else NULL after a line in the report. */
static PGresult *query(struct run *r, const char *what, const char *sql)
{
	PGresult *res = PQexec(r->pg, sql);
	ExecStatusType status = PQresultStatus(res);

	if (status == PGRES_TUPLES_OK || status == PGRES_COMMAND_OK)
		return res;
	report_error(r, what, res);
	PQclear(res);
	return NULL;
}

static int execute(struct run *r, const char *what, const char *sql)
{
	PGresult *res = query(r, what, sql);

	if (!res)
		return PQstatus(r->pg) == CONNECTION_OK ? -ERR_DB : -ERR_UNAVAILABLE;
	PQclear(res);
	return 0;
}

static int run_connect(struct run *r, const char *url)
{
	const char *keys[] = {"fallback_application_name", "client_encoding", "connect_timeout",
			      "target_session_attrs",	   "dbname",	      NULL};
	const char *values[] = {"roomd migrate",
				"UTF8",
				"10",
				r->mode == MIGRATE_APPLY ? "read-write" : "any",
				url,
				NULL};

	if (!database_is_url(url)) {
		buf_add_cstr(r->report, "connect: not a libpq connection string\n");
		return -ERR_UNAVAILABLE;
	}
	r->pg = PQconnectdbParams(keys, values, 1);
	if (PQstatus(r->pg) != CONNECTION_OK) {
		report_error(r, "connect", NULL);
		return -ERR_UNAVAILABLE;
	}
	PQsetNoticeProcessor(r->pg, ignore_notice, NULL);
	return 0;
}

static int check_server(struct run *r)
{
	const char *encoding = PQparameterStatus(r->pg, "server_encoding");
	int version = PQserverVersion(r->pg);

	if (version < VERSION_MIN) {
		buf_printf(r->report, "server: PostgreSQL %d is older than 15\n", version / 10000);
		return -ERR_UNSUPPORTED;
	}
	if (!encoding || strcmp(encoding, "UTF8") != 0) {
		buf_printf(r->report, "server: the database is in %s, not in UTF8\n",
			   encoding ? encoding : "an unknown encoding");
		return -ERR_UNSUPPORTED;
	}
	return 0;
}

/* Held until the connection closes. */
static int take_lock(struct run *r)
{
	char sql[64];
	int err;

	snprintf(sql, sizeof(sql), "SET lock_timeout = %d", LOCK_WAIT_MS);
	err = execute(r, "lock", sql);
	if (err == 0)
		err = execute(r, "lock", "SELECT pg_advisory_lock(" LOCK_KEY ")");
	if (err == -ERR_DB)
		err = -ERR_TIMEOUT;
	return err;
}

static int make_table(struct run *r)
{
	return execute(
		r, "schema_migrations",
		"CREATE TABLE IF NOT EXISTS public.schema_migrations (version integer PRIMARY KEY,"
		" name text NOT NULL, checksum text NOT NULL,"
		" applied_at timestamptz NOT NULL DEFAULT now());"
		"COMMENT ON TABLE public.schema_migrations IS"
		" 'Which migrations this database has; checksum is of the text that was run'");
}

static int find_table(struct run *r)
{
	PGresult *res = query(r, "schema_migrations",
			      "SELECT to_regclass('public.schema_migrations') IS NOT NULL");

	if (!res)
		return -ERR_DB;
	r->has_table = PQntuples(res) == 1 && PQgetvalue(res, 0, 0)[0] == 't';
	PQclear(res);
	return 0;
}

static int take_row(struct run *r, const PGresult *res, int row)
{
	int64_t version;

	if (str_to_i64(str_of(PQgetvalue(res, row, 0)), &version) < 0 || version < 1)
		return -ERR_DB;
	if (version > (int64_t)migrations_count) {
		buf_printf(r->report,
			   "%04" PRId64 " %s: of a newer program, this one ends with %04zu\n",
			   version, PQgetvalue(res, row, 1), migrations_count);
		return -ERR_UNSUPPORTED;
	}
	snprintf(r->sums[version - 1], sizeof(r->sums[0]), "%s", PQgetvalue(res, row, 2));
	return 0;
}

static int read_table(struct run *r)
{
	PGresult *res;
	int err = 0;

	memset(r->sums, 0, migrations_count * sizeof(r->sums[0]));
	if (!r->has_table)
		return 0;
	res = query(
		r, "schema_migrations",
		"SELECT version, name, checksum FROM public.schema_migrations ORDER BY version");
	if (!res)
		return -ERR_DB;
	for (int i = 0; i < PQntuples(res) && err != -ERR_DB; i++) {
		int e = take_row(r, res, i);

		err = e ? e : err; /* all that are too new are named */
	}
	PQclear(res);
	if (err == -ERR_UNSUPPORTED)
		buf_add_cstr(r->report, "to do: install the newer program again, or restore the "
					"backup of the database from before it\n");
	return err;
}

static void sum_of(const struct migration *m, char ret[UUID_TEXT_LEN + 1])
{
	struct uuid u = uuid_hash(m->sql, strlen(m->sql));

	uuid_format(&u, ret);
}

static PGresult *record(struct run *r, const struct migration *m)
{
	char version[16], sum[UUID_TEXT_LEN + 1];
	const char *values[] = {version, m->name, sum};

	snprintf(version, sizeof(version), "%d", m->version);
	sum_of(m, sum);
	return PQexecParams(r->pg,
			    "INSERT INTO public.schema_migrations (version, name, checksum)"
			    " VALUES ($1::text::integer, $2::text, $3::text)",
			    3, NULL, values, NULL, NULL, 0);
}

/* Stops at the first statement that fails and returns its result, else the last one's. */
static PGresult *attempt(struct run *r, const struct migration *m)
{
	PGresult *res = PQexec(r->pg, "BEGIN; SET LOCAL lock_timeout = '" LOCK_TIMEOUT "'");

	if (PQresultStatus(res) == PGRES_COMMAND_OK) {
		PQclear(res);
		res = PQexec(r->pg, m->sql);
	}
	if (PQresultStatus(res) == PGRES_COMMAND_OK || PQresultStatus(res) == PGRES_TUPLES_OK) {
		PQclear(res);
		res = record(r, m);
	}
	if (PQresultStatus(res) == PGRES_COMMAND_OK) {
		PQclear(res);
		res = PQexec(r->pg, "COMMIT");
	}
	return res;
}

static int apply(struct run *r, const struct migration *m)
{
	uint64_t until = clock_mono_ms() + LOCK_WAIT_MS;
	int err = -ERR_DB;

	for (;;) {
		PGresult *res = attempt(r, m);
		const char *state = PQresultErrorField(res, PG_DIAG_SQLSTATE);
		bool is_locked = state && strcmp(state, "55P03") == 0;

		if (PQresultStatus(res) == PGRES_COMMAND_OK) {
			PQclear(res);
			buf_printf(r->report, "%04d %s: applied\n", m->version, m->name);
			return 0;
		}
		if (!is_locked || clock_mono_ms() >= until) {
			buf_printf(r->report, "%04d ", m->version);
			report_error(r, m->name, res);
			err = is_locked ? -ERR_TIMEOUT : -ERR_DB;
		}
		PQclear(res);
		PQclear(PQexec(r->pg, "ROLLBACK"));
		if (!is_locked || clock_mono_ms() >= until)
			return PQstatus(r->pg) == CONNECTION_OK ? err : -ERR_UNAVAILABLE;
		sleep_ms(PAUSE_MS); /* those who wait behind us go first */
	}
}

static int run_one(struct run *r, const struct migration *m)
{
	const char *recorded = r->sums[m->version - 1];
	char sum[UUID_TEXT_LEN + 1];

	sum_of(m, sum);
	if (!*recorded && r->mode == MIGRATE_APPLY && !r->is_changed)
		return apply(r, m);
	if (!*recorded) {
		buf_printf(r->report, "%04d %s: missing\n", m->version, m->name);
		return -ERR_AGAIN;
	}
	if (strcmp(recorded, sum) != 0) {
		buf_printf(r->report,
			   "%04d %s: changed since it was applied: %04d_%s.sql of this program "
			   "(%s) is not what this database was made with (%s)\n",
			   m->version, m->name, m->version, m->name, sum, recorded);
		r->is_changed = true;
		return -ERR_CORRUPT;
	}
	return 0;
}

static int run_all(struct run *r)
{
	int err = 0;

	for (size_t i = 0; i < migrations_count; i++) {
		int e = run_one(r, &migrations[i]);

		if (e == -ERR_CORRUPT || (e == -ERR_AGAIN && !err))
			err = e; /* name the others too, and apply nothing behind a changed one */
		else if (e < 0 && e != -ERR_AGAIN)
			return e;
	}
	if (err == -ERR_CORRUPT)
		buf_add_cstr(r->report,
			     "to do: run the program that applied these, whose migrations are "
			     "as they were released; a database made with an unreleased one is "
			     "made anew, or restored from a backup\n");
	if (err == 0)
		buf_printf(r->report, "schema %04zu: up to date\n", migrations_count);
	return err;
}

static int run_steps(struct run *r, const char *url)
{
	int err = run_connect(r, url);

	if (err == 0)
		err = check_server(r);
	if (err == 0 && r->mode == MIGRATE_APPLY)
		err = take_lock(r);
	if (err == 0)
		err = execute(r, "session", "SET client_min_messages = warning");
	if (err == 0)
		err = find_table(r);
	if (err == 0 && r->mode == MIGRATE_APPLY && !r->has_table) {
		err = make_table(r);
		r->has_table = true;
	}
	if (err == 0)
		err = read_table(r);
	return err == 0 ? run_all(r) : err;
}

int migrate_run(const char *url, enum migrate_mode mode, struct buf *report)
{
	struct run r = {.report = report, .mode = mode};
	int err;

	r.sums = xcalloc(migrations_count, sizeof(*r.sums));
	err = run_steps(&r, url);
	PQfinish(r.pg);
	free(r.sums);
	return err;
}

int migrate_check(const char *url, struct buf *report)
{
	return migrate_run(url, MIGRATE_CHECK, report);
}

const char *migrate_text(int err)
{
	switch (-err) {
	case ERR_AGAIN:
		return "migrations are missing";
	case ERR_CORRUPT:
		return "an applied migration is not the one that this program has";
	case ERR_UNSUPPORTED:
		return "the database is a newer program's, or on a server that cannot be used";
	case ERR_TIMEOUT:
		return "tables stayed in use";
	default:
		return err_text(err);
	}
}
