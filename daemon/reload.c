/* SPDX-License-Identifier: MIT */
/*
 * SIGHUP: parse, validate, then switch.
 * No worker is replaced and no socket closed.
 */
#include "daemon/reload.h"

#include <unistd.h>

#include "base/log.h"
#include "daemon/limits.h"
#include "daemon/master.h"
#include "daemon/notify.h"
#include "daemon/secret.h"
#include "shm/metrics.h"

static void log_faults(struct buf *faults, struct buf *ret_lines)
{
	char *rest, *line;

	buf_add_char(faults, '\0');
	for (rest = (char *)faults->p; (line = strsep(&rest, "\n"));) {
		if (!*line)
			continue;
		log_error("fault in the configuration", LF_STR("fault", line));
		if (ret_lines)
			buf_printf(ret_lines, "fault %s\n", line);
	}
	log_error("the configuration has faults: the old one stays in force");
}

static void log_changes(struct buf *changes)
{
	char *rest, *line;

	buf_add_char(changes, '\0');
	for (rest = (char *)changes->p; (line = strsep(&rest, "\n"));) {
		if (strncmp(line, "restart ", 8) == 0)
			log_warn("setting needs a restart", LF_STR("setting", line + 8));
		else if (strncmp(line, "applied ", 8) == 0)
			log_notice("setting applied", LF_STR("setting", line + 8));
	}
}

static void send_settings(struct master *m)
{
	int fd;

	if (settings_to_memfd(m->settings, &fd) < 0) {
		log_error("settings cannot be handed to the workers");
		return;
	}
	for (unsigned slot = 0; slot < m->n_slots; slot++)
		spawn_order(&m->children[slot], "settings", fd);
	close(fd);
}

static void switch_settings(struct master *m, struct settings *next, struct buf *ret_lines)
{
	struct buf changes = BUF_INIT;

	settings_diff(m->settings, next, &changes);
	if (ret_lines)
		buf_add_str(ret_lines, buf_str(&changes));
	settings_free(&m->settings);
	m->settings = next;
	limits_fit(m->settings, true);
	log_set_level((enum log_level)(m->settings->log_level + LOG_LEVEL_ERROR));
	log_notice("configuration was read again",
		   LF_STR("result", changes.len ? "changed" : "unchanged"));
	log_changes(&changes);
	send_settings(m);
	buf_done(&changes);
}

/*
 * The mode stays what it was at the start, whatever the file says now: what it forbids must not
 * come in with another mode's name.
 */
static int check_running_mode(const struct master *m, const struct settings *next,
			      struct buf *ret_faults)
{
	size_t before = ret_faults->len;

	if (m->settings->server_mode != next->server_mode &&
	    str_eq(settings_choice(m->settings, "server.mode"), STR("production")))
		settings_check_mode(next, true, ret_faults);
	settings_locate(next, options_file(m->opt), before, ret_faults);
	return ret_faults->len == before ? 0 : -ERR_INVAL;
}

int reload_settings(struct master *m, struct buf *ret_lines)
{
	struct settings *next = NULL;
	struct buf faults = BUF_INIT;
	int r;

	if (m->state == MASTER_STOPPING)
		return -ERR_CLOSED;
	metric_add(m->shm, METRIC_MASTER, M_RELOADS, 1);
	notify_reloading();
	r = options_load(m->opt, &next, &faults);
	if (r == 0)
		r = check_running_mode(m, next, &faults);
	if (r < 0 && next)
		settings_free(&next);
	if (r == 0 && secret_fill(next) < 0) {
		buf_add_cstr(&faults, "auth.secret_key: none can be drawn\n");
		settings_free(&next);
		r = -ERR_IO;
	}
	if (r == 0)
		switch_settings(m, next, ret_lines);
	else
		log_faults(&faults, ret_lines);
	buf_done(&faults);
	if (m->is_announced) {
		notify_ready();
		master_on_child_change(m);
	}
	return r;
}

int reload_log_level(struct master *m, struct str level)
{
	struct buf assignment = BUF_INIT, faults = BUF_INIT;
	int r;

	buf_printf(&assignment, "log.level=%.*s", (int)level.len, level.p);
	r = settings_assign(m->settings, buf_str(&assignment), &faults);
	if (r == 0) {
		log_set_level((enum log_level)(m->settings->log_level + LOG_LEVEL_ERROR));
		send_settings(m);
	}
	buf_done(&assignment);
	buf_done(&faults);
	return r;
}
