/* SPDX-License-Identifier: MIT */
/*
 * Runs the migrations in a child, tries again while the database is away.
 * The migrations themselves are sql/'s.
 */
#include "daemon/schema.h"

#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/master.h"
#include "daemon/process.h"
#include "daemon/title.h"
#include "sql/migrate.h"

#define RETRY_S 3.

static void log_report(struct buf *report, enum log_level level)
{
	char *rest, *line;

	buf_add_char(report, '\0');
	for (rest = (char *)report->p; (line = strsep(&rest, "\n"));)
		if (*line)
			log_at(level, "schema", LF_STR("report", line));
}

static bool is_hopeless(int code)
{
	return code == ERR_AGAIN || code == ERR_CORRUPT || code == ERR_UNSUPPORTED ||
	       code == ERR_DENIED;
}

/* The exit code is the error's number, 0 for none. */
static void __attribute__((noreturn)) run_child(struct schema *sc)
{
	struct master *m = sc->master;
	bool is_check = str_eq(settings_choice(m->settings, "database.migrate"), STR("check"));
	struct buf report = BUF_INIT;
	bool is_news;
	int r;

	title_set("migrate", -1);
	log_set_process("migrate", -1);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	master_leave(m);
	if (priv_drop(&m->priv) < 0)
		exit(ERR_DENIED);
	r = migrate_run(m->settings->database_url, is_check ? MIGRATE_CHECK : MIGRATE_APPLY,
			&report);
	/* that the database is away is said once, not every few seconds */
	is_news = r != -ERR_UNAVAILABLE || sc->attempts == 1;
	log_report(&report, r == 0		? LOG_LEVEL_INFO
			    : is_hopeless(-r)	? LOG_LEVEL_ERROR
			    : is_news		? LOG_LEVEL_WARN
						: LOG_LEVEL_DEBUG);
	buf_done(&report);
	exit(-r);
}

static void on_outcome(struct schema *sc, struct process_end end)
{
	struct master *m = sc->master;

	sc->outcome = end.code < 0 ? ERR_IO : end.code;
	sc->is_known = true;
	if (end.code == 0) {
		log_notice("the schema is up to date", LF_INT("attempts", sc->attempts));
		master_start_workers(m);
		return;
	}
	if (is_hopeless(end.code)) {
		log_error("the schema cannot be used", LF_STR("error", migrate_text(-end.code)));
		master_stop(m, EXIT_FAILURE);
		return;
	}
	if (sc->attempts == 1 || end.code != ERR_UNAVAILABLE)
		log_warn("the schema could not be looked at, another attempt follows",
			 LF_STR("error", err_text(end.code)), LF_INT("signal", end.signal));
	ev_timer_set(&sc->retry, RETRY_S, 0.);
	ev_timer_start(m->loop, &sc->retry);
	master_start_workers(m);
}

static void forget_child(struct schema *sc)
{
	ev_io_stop(sc->master->loop, &sc->exit_io);
	close(sc->pidfd);
	sc->pid = 0;
}

static void on_exit_event(EV_P_ ev_io *w, int revents)
{
	struct schema *sc = w->data;
	struct process_end end = process_reap(sc->pid);

	(void)loop;
	(void)revents;
	forget_child(sc);
	if (sc->master->state != MASTER_STOPPING)
		on_outcome(sc, end);
	master_on_child_change(sc->master);
}

static void run(struct schema *sc)
{
	struct process_end failed = {ERR_NOMEM, 0};

	sc->attempts++;
	sc->pid = process_fork(&sc->pidfd);
	if (sc->pid == 0)
		run_child(sc);
	if (sc->pid < 0) {
		sc->pid = 0;
		on_outcome(sc, failed);
		return;
	}
	ev_io_set(&sc->exit_io, sc->pidfd, EV_READ);
	ev_io_start(sc->master->loop, &sc->exit_io);
}

static void on_retry(EV_P_ ev_timer *w, int revents)
{
	(void)loop;
	(void)revents;
	run(w->data);
}

void schema_start(struct master *m)
{
	struct schema *sc = &m->schema;

	*sc = (struct schema){.master = m, .pidfd = -1};
	ev_init(&sc->exit_io, on_exit_event);
	ev_init(&sc->retry, on_retry);
	sc->exit_io.data = sc->retry.data = sc;
	if (str_eq(settings_choice(m->settings, "database.migrate"), STR("off")))
		master_start_workers(m);
	else
		run(sc);
}

void schema_stop(struct master *m)
{
	struct schema *sc = &m->schema;

	ev_timer_stop(m->loop, &sc->retry);
	if (sc->pid > 0)
		kill(sc->pid, SIGKILL); /* the server rolls an open migration back */
}
