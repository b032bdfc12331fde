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

static void log_lines(struct buf *lines, enum log_level level, const char *text, const char *field)
{
	char *rest, *line;

	buf_add_char(lines, '\0');
	for (rest = (char *)lines->p; (line = strsep(&rest, "\n"));)
		if (*line)
			log_at(level, text, LF_STR(field, line));
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

static void switch_settings(struct master *m, struct settings *next)
{
	struct buf changes = BUF_INIT;

	settings_diff(m->settings, next, &changes);
	settings_free(&m->settings);
	m->settings = next;
	limits_fit(m->settings, true);
	log_set_level((enum log_level)(m->settings->log_level + LOG_LEVEL_ERROR));
	log_notice("configuration was read again", LF_STR("result", changes.len ? "changed" : "unchanged"));
	log_changes(&changes);
	send_settings(m);
	buf_done(&changes);
}

void reload_settings(struct master *m)
{
	struct settings *next;
	struct buf faults = BUF_INIT;

	if (m->state == MASTER_STOPPING)
		return;
	notify_reloading();
	if (options_load(m->opt, &next, &faults) == 0) {
		switch_settings(m, next);
	} else {
		log_lines(&faults, LOG_LEVEL_ERROR, "fault in the configuration", "fault");
		log_error("the configuration has faults: the old one stays in force");
	}
	buf_done(&faults);
	if (m->is_announced) {
		notify_ready();
		master_on_child_change(m);
	}
}
