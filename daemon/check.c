/* SPDX-License-Identifier: MIT */
/*
 * Checks what lies outside the file: addresses, user, page, limits, database.
 * Syntax and ranges are base/settings' and are checked before.
 */
#include "daemon/check.h"

#include <errno.h>
#include <sysexits.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "base/log.h"
#include "daemon/limits.h"
#include "daemon/ops.h"
#include "daemon/priv.h"
#include "daemon/sockets.h"
#include "sql/addresses.h"
#include "sql/migrate.h"

static void check_user(const struct settings *s, struct priv *ret, struct buf *ret_report)
{
	int r = priv_lookup(s->server_user, ret);

	if (r == -ERR_NOENT)
		buf_printf(ret_report, "server.user: there is no user \"%s\"\n", s->server_user);
	else if (r == -ERR_DENIED)
		buf_printf(ret_report,
			   "warning: server.user: only root can start workers as \"%s\"\n",
			   s->server_user);
	else if (r < 0)
		buf_printf(ret_report, "server.user: \"%s\" is in too many groups\n",
			   s->server_user);
}

static void check_web_root(const struct settings *s, struct buf *ret_report)
{
	struct buf path = BUF_INIT;

	buf_printf(&path, "%s/index.html", s->server_web_root);
	buf_add_char(&path, '\0');
	if (access((char *)path.p, R_OK) < 0)
		buf_printf(ret_report, "server.web_root: %s: %s\n", (char *)path.p,
			   strerror(errno));
	buf_done(&path);
}

/* As the workers find it, but for the user that they become. */
static void check_mail(const struct settings *s, struct buf *ret_report)
{
	char *program = xstrndup(s->mail_command, strcspn(s->mail_command, " "));

	if (program[0] && access(program, X_OK) < 0)
		buf_printf(ret_report, "warning: mail.command: %s: %s\n", program, strerror(errno));
	free(program);
}

/* In production mode these are faults, which settings_check has found already. */
static void check_mode(const struct settings *s, struct buf *ret_report)
{
	struct buf lines = BUF_INIT;
	char *rest, *line;

	settings_check_mode(s, false, &lines);
	buf_add_char(&lines, '\0');
	for (rest = (char *)lines.p; (line = strsep(&rest, "\n"));)
		if (*line)
			buf_printf(ret_report, "warning: %s\n", line);
	buf_done(&lines);
}

static void check_limits(struct settings *s, struct buf *ret_report)
{
	int64_t wanted = s->server_max_connections;

	if (!limits_fit(s, false))
		buf_printf(ret_report,
			   "warning: server.max_connections: %" PRId64
			   " wanted, the limit of open files "
			   "allows %" PRId64 "\n",
			   wanted, s->server_max_connections);
}

/* Everybody at one address behind no listed proxy: then limits and the log see the proxy alone. */
static void check_addresses(const struct settings *s, struct buf *ret_report)
{
	struct addresses_seen seen;

	if (addresses_look(s->database_url, &seen) < 0 || seen.users < 2 || !seen.only[0])
		return;
	buf_printf(ret_report,
		   "warning: http.trusted_proxies: all %" PRId64
		   " logins of the last day came from %s; if that is a proxy, list it\n",
		   seen.logins, seen.only);
}

/*
 * Last, since it may become the workers' user for good: the database may know them by their user.
 */
static void check_database(const struct settings *s, const struct priv *p, struct buf *ret_report)
{
	struct buf report = BUF_INIT;
	char *rest, *line;

	if (priv_drop(p) < 0) {
		buf_printf(ret_report, "server.user: cannot become \"%s\"\n", s->server_user);
		return;
	}
	if (migrate_check(s->database_url, &report) < 0) {
		buf_add_char(&report, '\0');
		for (rest = (char *)report.p; (line = strsep(&rest, "\n"));)
			if (*line)
				buf_printf(ret_report, "warning: database: %s\n", line);
	} else {
		check_addresses(s, ret_report);
	}
	buf_done(&report);
}

static bool is_warning(const char *line, size_t len)
{
	return strncmp(line, "warning: ", MIN(len, 9)) == 0;
}

static bool has_fault(const struct buf *report, size_t from)
{
	const char *line = (const char *)report->p + from,
		   *end = (const char *)report->p + report->len;

	while (line < end) {
		if (!is_warning(line, (size_t)(end - line)))
			return true;
		line = memchr(line, '\n', (size_t)(end - line));
		line = line ? line + 1 : end;
	}
	return false;
}

int check_settings(struct settings *s, struct buf *ret_report)
{
	size_t before = ret_report->len;
	struct priv p = {0};

	if (sockets_check("server.listen", s->server_listen, ret_report) < 0 &&
	    ret_report->len == before)
		buf_add_cstr(ret_report, "server.listen: must name an address\n");
	if (ops_check(s->ops_listen, ret_report) < 0 && ret_report->len == before)
		buf_add_cstr(ret_report, "ops.listen: must name addresses or paths\n");
	check_user(s, &p, ret_report);
	check_web_root(s, ret_report);
	check_mail(s, ret_report);
	check_mode(s, ret_report);
	check_limits(s, ret_report);
	check_database(s, &p, ret_report);
	return has_fault(ret_report, before) ? -ERR_INVAL : 0;
}

void check_tell(struct buf *report)
{
	bool with_level = log_is_journal_stream();
	char *rest, *line;

	buf_add_char(report, '\0');
	for (rest = (char *)report->p; (line = strsep(&rest, "\n"));) {
		if (!*line)
			continue;
		if (with_level)
			fputs(is_warning(line, strlen(line)) ? SD_WARNING : SD_ERR, stderr);
		fprintf(stderr, "%s\n", line);
	}
	buf_done(report);
}

int check_run(const struct options *opt, bool with_print)
{
	struct buf report = BUF_INIT, text = BUF_INIT;
	struct settings *s = NULL;
	int r = options_load(opt, &s, &report);

	if (r == 0) {
		if (with_print)
			settings_print(s, false, &text);
		r = check_settings(s, &report);
		settings_locate(s, options_file(opt), 0, &report);
	}
	check_tell(&report);
	if (text.len)
		fwrite(text.p, 1, text.len, stdout);
	if (r == 0 && !with_print)
		puts("configuration ok");
	buf_done(&text);
	settings_free(&s);
	return r == 0 ? EX_OK : EX_CONFIG;
}
