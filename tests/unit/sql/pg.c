/* SPDX-License-Identifier: MIT */
/*
 * Starts and stops the private server, makes databases, and drives connections with poll(2).
 */
#include "pg.h"

#include "base/clock.h"
#include "sql/migrate.h"

#include <fcntl.h>
#include <glob.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <grp.h>

static char server_dir[256], server_bin[256], server_url[PG_URL_MAX];
static pid_t server_pid;
static uid_t server_uid;
static gid_t server_gid;
static bool is_private;
static int n_databases;

static void die(const char *what)
{
	fprintf(stderr, "pg: %s\n", what);
	exit(1);
}

bool pg_is_private(void)
{
	return is_private;
}

/* The newest server programs: Debian keeps them out of PATH. */
static bool find_programs(void)
{
	glob_t g;
	bool is_found = glob("/usr/lib/postgresql/*/bin", 0, NULL, &g) == 0 && g.gl_pathc > 0;

	if (getenv("ROOMD_PG_BINDIR"))
		snprintf(server_bin, sizeof(server_bin), "%s", getenv("ROOMD_PG_BINDIR"));
	else if (is_found)
		snprintf(server_bin, sizeof(server_bin), "%s", g.gl_pathv[g.gl_pathc - 1]);
	globfree(&g);
	return server_bin[0];
}

/* In the child: never as root, never outliving the test. */
static void become_server(const char *log)
{
	int fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);

	if (fd >= 0) {
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
	}
	setpgid(0, 0); /* the terminal's Ctrl-C is for the test */
	if (geteuid() == 0 &&
	    (setgroups(0, NULL) < 0 || setgid(server_gid) < 0 || setuid(server_uid) < 0))
		_exit(126);
	prctl(PR_SET_PDEATHSIG, SIGQUIT);
	if (chdir("/") < 0)
		_exit(126);
}

/* A copy of a fresh cluster takes a tenth of the time that initdb takes. */
static void copy_cluster(const char *made)
{
	char command[1024];
	int n = snprintf(command, sizeof(command), "cp -R '%s' '%s/data'", made, server_dir);

	if (geteuid() == 0)
		snprintf(command + n, sizeof(command) - (size_t)n, " && chown -R %d:%d '%s/data'",
			 (int)server_uid, (int)server_gid, server_dir);
	if (n > 700 || system(command) != 0)
		die("the cluster in ROOMD_TEST_CLUSTER cannot be copied");
}

static void run_initdb(void)
{
	char program[300], log[300], data[300];
	int status;
	pid_t pid;

	snprintf(program, sizeof(program), "%s/initdb", server_bin);
	snprintf(log, sizeof(log), "%s/log", server_dir);
	snprintf(data, sizeof(data), "%s/data", server_dir);
	pid = fork();
	if (pid == 0) {
		become_server(log);
		execl(program, program, "-D", data, "-A", "trust", "-U", "roomd", "-E", "UTF8",
		      "--locale=C.UTF-8", "-N", (char *)NULL);
		_exit(127);
	}
	if (waitpid(pid, &status, 0) != pid || status != 0)
		die("initdb failed, see its log");
}

static void wait_ready(void)
{
	uint64_t until = clock_mono_ms() + PG_PATIENCE_MS;

	while (PQping(server_url) != PQPING_OK) {
		if (clock_mono_ms() > until || waitpid(server_pid, NULL, WNOHANG) != 0)
			die("the server did not start, see its log");
		poll(NULL, 0, 20); /* asks again */
	}
}

void pg_resume(void)
{
	char program[300], log[300], data[300];

	snprintf(program, sizeof(program), "%s/postgres", server_bin);
	snprintf(log, sizeof(log), "%s/log", server_dir);
	snprintf(data, sizeof(data), "%s/data", server_dir);
	server_pid = fork();
	if (server_pid == 0) {
		become_server(log);
		execl(program, program, "-D", data, "-k", server_dir, "-c",
		      "listen_addresses=", "-c", "fsync=off", "-c", "max_connections=120",
		      (char *)NULL);
		_exit(127);
	}
	wait_ready();
}

void pg_signal(const char *application_name, int signal)
{
	PGconn *pg = pg_open(server_url);
	PGresult *res =
		PQexecParams(pg, "SELECT pid FROM pg_stat_activity WHERE application_name = $1", 1,
			     NULL, &application_name, NULL, NULL, 0);

	for (int i = 0; i < PQntuples(res); i++)
		kill((pid_t)strtol(PQgetvalue(res, i, 0), NULL, 10), signal);
	PQclear(res);
	PQfinish(pg);
}

void pg_stop(void)
{
	if (server_pid <= 0)
		return;
	kill(server_pid, SIGCONT);
	kill(server_pid, SIGQUIT);
	waitpid(server_pid, NULL, 0);
	server_pid = 0;
}

static void start_private(void)
{
	const char *tmp = getenv("TMPDIR"), *made = getenv("ROOMD_TEST_CLUSTER");
	const struct passwd *pw = getpwnam("postgres");

	if (!find_programs() || (geteuid() == 0 && !pw)) {
		fprintf(stderr, "pg: no PostgreSQL server programs here\n");
		exit(77);
	}
	snprintf(server_dir, sizeof(server_dir), "%s/roomd-sql-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(server_dir))
		die("no temporary directory");
	if (geteuid() == 0) {
		server_uid = pw->pw_uid;
		server_gid = pw->pw_gid;
		if (chown(server_dir, server_uid, server_gid) < 0)
			die("chown");
	}
	snprintf(server_url, sizeof(server_url), "host=%s user=roomd dbname=postgres", server_dir);
	is_private = true;
	if (made && *made)
		copy_cluster(made);
	else
		run_initdb();
	pg_resume();
}

int pg_setup(void **state UNUSED)
{
	const char *given = getenv("ROOMD_TEST_PG");

	signal(SIGPIPE, SIG_IGN);
	if (given && *given)
		snprintf(server_url, sizeof(server_url), "%s", given);
	else
		start_private();
	return 0;
}

int pg_teardown(void **state UNUSED)
{
	char command[300];

	if (!is_private)
		return 0;
	pg_stop();
	snprintf(command, sizeof(command), "rm -rf '%s'", server_dir);
	return system(command);
}

/* ---- Databases ---- */

static void ignore_notice(void *arg UNUSED, const char *text UNUSED)
{
}

PGconn *pg_open(const char *url)
{
	PGconn *pg = PQconnectdb(url);

	PQsetNoticeProcessor(pg, ignore_notice, NULL);
	if (PQstatus(pg) != CONNECTION_OK)
		die(PQerrorMessage(pg));
	return pg;
}

const char *pg_value(PGconn *pg, const char *sql)
{
	static char value[65536];
	PGresult *res = PQexec(pg, sql);
	ExecStatusType status = PQresultStatus(res);

	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK) {
		fprintf(stderr, "pg: %s\n%s", sql, PQerrorMessage(pg));
		fail();
	}
	snprintf(value, sizeof(value), "%s", PQntuples(res) > 0 ? PQgetvalue(res, 0, 0) : "");
	PQclear(res);
	return value;
}

int64_t pg_number(PGconn *pg, const char *sql)
{
	int64_t n = -1;

	if (str_to_i64(str_of(pg_value(pg, sql)), &n) < 0)
		fail_msg("no number: %s", sql);
	return n;
}

PRINTF_LIKE(2, 0) static void pg_format(char sql[4096], const char *format, va_list ap)
{
	int n = vsnprintf(sql, 4096, format, ap);

	assert_in_range(n, 1, 4095);
}

const char *pg_valuef(PGconn *pg, const char *format, ...)
{
	char sql[4096];
	va_list ap;

	va_start(ap, format);
	pg_format(sql, format, ap);
	va_end(ap);
	return pg_value(pg, sql);
}

int64_t pg_numberf(PGconn *pg, const char *format, ...)
{
	char sql[4096];
	va_list ap;

	va_start(ap, format);
	pg_format(sql, format, ap);
	va_end(ap);
	return pg_number(pg, sql);
}

const char *pg_try(PGconn *pg, const char *sql)
{
	static char state[6];
	PGresult *res = PQexec(pg, sql);
	const char *s = PQresultErrorField(res, PG_DIAG_SQLSTATE);

	snprintf(state, sizeof(state), "%s", s ? s : "");
	PQclear(res);
	return state;
}

static void new_database(char ret_url[PG_URL_MAX], const char *template)
{
	PGconn *pg = pg_open(server_url);
	char sql[160];

	snprintf(sql, sizeof(sql), "CREATE DATABASE roomd_test_%d_%d TEMPLATE %.60s", (int)getpid(),
		 ++n_databases, template);
	pg_value(pg, sql);
	PQfinish(pg);
	snprintf(ret_url, PG_URL_MAX, "%.400s dbname=roomd_test_%d_%d", server_url, (int)getpid(),
		 n_databases);
}

void pg_database_empty(char ret_url[PG_URL_MAX])
{
	new_database(ret_url, "template0");
}

/* The migrations run once in each program; the other databases are copies of what they made. */
static const char *migrated(void)
{
	static char name[64];
	char url[PG_URL_MAX];
	struct buf report = BUF_INIT;

	if (name[0])
		return name;
	pg_database_empty(url);
	if (migrate_run(url, MIGRATE_APPLY, &report) < 0) {
		fprintf(stderr, "%.*s", (int)report.len, (char *)report.p);
		fail();
	}
	buf_done(&report);
	snprintf(name, sizeof(name), "roomd_test_%d_%d", (int)getpid(), n_databases);
	return name;
}

void pg_database(char ret_url[PG_URL_MAX])
{
	const char *template = migrated();

	new_database(ret_url, template);
}

int64_t pg_room(PGconn *pg, const char *name)
{
	char sql[256];

	snprintf(sql, sizeof(sql),
		 "INSERT INTO conversations (kind, name) VALUES ('room', '%s') RETURNING id", name);
	return pg_number(pg, sql);
}

int64_t pg_account(PGconn *pg, const char *name)
{
	char sql[256];

	snprintf(sql, sizeof(sql),
		 "INSERT INTO users (kind, username, name) VALUES ('account', '%s', '%s')"
		 " RETURNING id",
		 name, name);
	return pg_number(pg, sql);
}

int64_t pg_send(PGconn *pg, int64_t conv, int64_t sender, const char *text)
{
	return pg_numberf(pg,
			  "SELECT rev + 1 FROM persist_batch(ARRAY[%" PRId64
			  "::bigint], ARRAY[%" PRId64 "::bigint], ARRAY[1], ARRAY[%" PRId64
			  "::bigint], ARRAY[uuid_v7()],"
			  " ARRAY['%s'], ARRAY[NULL::bigint], ARRAY[NULL::text])",
			  conv, conv, sender, text);
}

/* ---- The loop ---- */

static void on_io(void *arg, int fd, bool want_read, bool want_write)
{
	struct link *l = arg;

	l->fd = fd;
	l->want_read = want_read;
	l->want_write = want_write;
}

static void on_timer(void *arg, int64_t delay_ms)
{
	struct link *l = arg;

	l->timer_at = delay_ms < 0 ? 0 : clock_mono_ms() + (uint64_t)delay_ms;
}

static void on_state(void *arg, enum db_state state, const char *text)
{
	struct link *l = arg;

	l->n_connected += state == DB_STATE_CONNECTED;
	l->n_lost += state == DB_STATE_LOST;
	l->n_schema += state == DB_STATE_SCHEMA;
	l->n_stalled += state == DB_STATE_STALLED;
	snprintf(l->text, sizeof(l->text), "%s", text);
}

static void on_count(void *arg, enum db_count what, enum stmt_id stmt)
{
	struct link *l = arg;

	assert(stmt_get(stmt));
	l->n_sent += what == DB_COUNT_SENT;
	l->n_refused += what == DB_COUNT_REFUSED;
	l->n_repeated += what == DB_COUNT_REPEATED;
}

void link_open(struct link *l, const char *url, const struct db_config *cfg)
{
	static const struct db_hooks hooks = {on_io, on_timer, on_state, on_count};
	struct db_config c = {
		.is_prepared = true, .is_writer = true, .retry_min_ms = 10, .retry_max_ms = 200};

	if (cfg)
		c = *cfg;
	c.url = url;
	*l = (struct link){.fd = -1};
	l->db = db_new(&c, &hooks, l);
	db_start(l->db);
}

void link_close(struct link *l)
{
	db_free(&l->db);
}

static void link_fire(struct link *l, short revents)
{
	if (revents & (POLLIN | POLLHUP | POLLERR) && l->want_read)
		db_on_readable(l->db);
	if (l->db && l->fd >= 0 && revents & (POLLOUT | POLLHUP | POLLERR) && l->want_write)
		db_on_writable(l->db);
	if (l->db && l->timer_at && l->timer_at <= clock_mono_ms()) {
		l->timer_at = 0;
		db_on_timer(l->db);
	}
}

void links_turn(struct link *const *links, int n, int max_ms)
{
	struct pollfd fds[16];
	uint64_t now = clock_mono_ms();

	assert(n <= (int)ARRAY_LEN(fds));
	for (int i = 0; i < n; i++) {
		struct link *l = links[i];
		int events = (l->want_read ? POLLIN : 0) | (l->want_write ? POLLOUT : 0);

		fds[i] = (struct pollfd){.fd = l->fd, .events = (short)events};
		if (l->timer_at)
			max_ms = MIN(max_ms, l->timer_at > now ? (int)(l->timer_at - now) : 0);
	}
	poll(fds, (nfds_t)n, max_ms);
	for (int i = 0; i < n; i++)
		link_fire(links[i], fds[i].revents);
}

void link_until(struct link *l, const int *counter, int at_least)
{
	uint64_t until = clock_mono_ms() + PG_PATIENCE_MS;

	while (*counter < at_least) {
		if (clock_mono_ms() > until)
			fail_msg("still %d, want %d; last state: %s", *counter, at_least, l->text);
		links_turn(&l, 1, 1000);
	}
}
