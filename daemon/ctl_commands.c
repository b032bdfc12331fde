/* SPDX-License-Identifier: MIT */
/*
 * What the master answers itself: status, reload, stop, log level. Everything else goes to a
 * worker. Reading lines and writing answers is ctl.c's.
 */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif
#include "daemon/ctl_priv.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/master.h"
#include "daemon/reload.h"
#include "daemon/sockets.h"
#include "proto/json.h"
#include "shm/metrics.h"
#include "shm/slots.h"

/* A worker whose loop turned within this time is asked before one that seems to stand still. */
#define FRESH_MS 2500

void ctl_command_fail(struct buf *ret_answer, const char *text)
{
	buf_clear(ret_answer);
	buf_add_char(ret_answer, '{');
	json_add_key_cstr(ret_answer, "error", text);
	buf_add_char(ret_answer, '}');
}

/* ---- status ---- */

static const char *const master_states[] = {
	[MASTER_STARTING] = "starting",
	[MASTER_RUNNING] = "running",
	[MASTER_STOPPING] = "stopping",
};

static const char *child_state(const struct child *c, const struct slot_info *info)
{
	switch (c->state) {
	case CHILD_STARTING:
		return "starting";
	case CHILD_READY: /* the worker itself knows whether it drains */
		return slot_state_name(info->state);
	case CHILD_WAITING:
		return "waiting";
	case CHILD_NONE:
		break;
	}
	return "stopped";
}

static void add_worker(struct buf *b, const struct child *c, const struct slot_info *info,
		       uint64_t now)
{
	json_add_sep(b);
	buf_add_char(b, '{');
	json_add_key_i64(b, "slot", c->slot);
	json_add_key_i64(b, "pid", c->pid);
	json_add_key_i64(b, "generation", c->generation);
	json_add_key_cstr(b, "state", child_state(c, info));
	if (c->pid > 0) {
		json_add_key_i64(b, "age_ms", (int64_t)(now - c->started_ms));
		json_add_key_i64(b, "ring_behind", (int64_t)info->ring_behind);
	}
	if (c->pid > 0 && info->heartbeat_ms)
		json_add_key_i64(b, "heartbeat_age_ms",
				 (int64_t)(MAX(now, info->heartbeat_ms) - info->heartbeat_ms));
	buf_add_char(b, '}');
}

static void add_workers(struct buf *b, const struct master *m)
{
	uint64_t now = clock_mono_ms();

	json_add_key(b, "workers");
	buf_add_char(b, '[');
	for (unsigned slot = 0; slot < m->n_slots; slot++) {
		struct slot_info info = {0};

		if (slot_read(m->shm, slot, &info) == 0)
			add_worker(b, &m->children[slot], &info, now);
	}
	buf_add_char(b, ']');
}

static void add_listen(struct buf *b, const struct master *m)
{
	struct buf list = BUF_INIT;
	struct str item;
	size_t pos = 0;

	sockets_print(m->sockets, &list);
	buf_add_char(&list, '\0');
	json_add_key(b, "listen");
	buf_add_char(b, '[');
	while (settings_list_next((char *)list.p, &pos, &item)) {
		json_add_sep(b);
		buf_add_json(b, item);
	}
	buf_add_char(b, ']');
	buf_done(&list);
}

static const char *schema_state(const struct master *m)
{
	if (m->schema.is_known)
		return m->schema.outcome == 0 ? "up to date" : err_text(m->schema.outcome);
	return m->schema.pid > 0 ? "being looked at" : "not looked at";
}

static void add_database(struct buf *b, const struct master *m)
{
	json_add_key(b, "database");
	buf_add_char(b, '{');
	json_add_key_cstr(b, "schema", schema_state(m));
	json_add_key_i64(b, "attempts", m->schema.attempts);
	json_add_key_i64(b, "connections", metric_sum(m->shm, M_DB_CONNECTIONS));
	buf_add_char(b, '}');
}

/* Those that stay: requests come and go. */
static int64_t count_sockets(const struct master *m)
{
	static const enum metric kinds[] = {M_CONNECTIONS_RAW, M_CONNECTIONS_NATIVE,
					    M_CONNECTIONS_MSGPACK, M_CONNECTIONS_SSE,
					    M_CONNECTIONS_SIO};
	int64_t n = 0;

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
		n += metric_sum(m->shm, kinds[i]);
	return n;
}

static void answer_status(struct master *m, struct str arg, struct buf *b)
{
	(void)arg;
	buf_add_char(b, '{');
	json_add_key_cstr(b, "version", PACKAGE_VERSION);
	json_add_key_i64(b, "pid", getpid());
	json_add_key_cstr(b, "state", master_states[m->state]);
	json_add_key_i64(b, "uptime_ms", (int64_t)(clock_mono_ms() - m->started_ms));
	json_add_key_i64(b, "sockets", count_sockets(m));
	add_listen(b, m);
	add_database(b, m);
	add_workers(b, m);
	buf_add_char(b, '}');
}

/* ---- reload ---- */

/* The lines of LINES that begin with WORD and a blank, as a member NAME. */
static void add_lines(struct buf *b, const char *name, struct str lines, struct str word)
{
	json_add_key(b, name);
	buf_add_char(b, '[');
	while (lines.len) {
		const char *end = memchr(lines.p, '\n', lines.len);
		size_t len = end ? (size_t)(end - lines.p) : lines.len;

		if (len > word.len && memcmp(lines.p, word.p, word.len) == 0) {
			json_add_sep(b);
			buf_add_json(b, (struct str){lines.p + word.len, len - word.len});
		}
		len += end ? 1 : 0;
		lines = (struct str){lines.p + len, lines.len - len};
	}
	buf_add_char(b, ']');
}

static void answer_reload(struct master *m, struct str arg, struct buf *b)
{
	struct buf lines = BUF_INIT;
	int r = reload_settings(m, &lines);

	(void)arg;
	if (r == -ERR_CLOSED) {
		ctl_command_fail(b, "the daemon is stopping");
		return;
	}
	buf_add_char(b, '{');
	json_add_key_bool(b, "ok", r == 0);
	add_lines(b, "applied", buf_str(&lines), STR("applied "));
	add_lines(b, "restart", buf_str(&lines), STR("restart "));
	add_lines(b, "faults", buf_str(&lines), STR("fault "));
	buf_add_char(b, '}');
	buf_done(&lines);
}

/* ---- the others ---- */

/* Asking twice does not kill: only signals do that. */
static void answer_stop(struct master *m, struct str arg, struct buf *b)
{
	(void)arg;
	if (m->state != MASTER_STOPPING) {
		log_notice("told to stop", LF_STR("by", "control socket"));
		master_stop(m, EXIT_SUCCESS);
	}
	buf_add_char(b, '{');
	json_add_key_bool(b, "ok", true);
	json_add_key_cstr(b, "state", master_states[m->state]);
	buf_add_char(b, '}');
}

static void answer_log_level(struct master *m, struct str arg, struct buf *b)
{
	if (arg.len == 0 || reload_log_level(m, arg) < 0) {
		ctl_command_fail(b, "there is no such log level");
		return;
	}
	log_notice("log level set", LF_STR("by", "control socket"));
	buf_add_char(b, '{');
	json_add_key_bool(b, "ok", true);
	json_add_key_str(b, "level", settings_choice(m->settings, "log.level"));
	buf_add_char(b, '}');
}

static const struct {
	struct str word;
	bool has_argument;
	void (*answer)(struct master *m, struct str arg, struct buf *b);
} commands[] = {
	{{"status", 6}, false, answer_status},
	{{"reload", 6}, false, answer_reload},
	{{"stop", 4}, false, answer_stop},
	{{"log-level", 9}, true, answer_log_level},
};

/* ---- Handing over ---- */

static bool is_fresh(const struct master *m, unsigned slot)
{
	struct slot_info info;

	return slot_read(m->shm, slot, &info) == 0 &&
	       clock_mono_ms() < info.heartbeat_ms + FRESH_MS;
}

/* The worker that a command must go to; -1 when any will do. */
static int wanted_slot(struct str line)
{
	const struct str list = STR("client list ");
	int64_t slot;

	if (line.len < list.len || memcmp(line.p, list.p, list.len) != 0)
		return -1;
	if (str_to_i64((struct str){line.p + list.len, line.len - list.len}, &slot) < 0 ||
	    slot < 0 || slot > SLOT_MAX)
		return SLOT_MAX; /* there is none */
	return (int)slot;
}

/*
 * A ready worker, the one in slot ONLY unless that is -1, that takes the order; those that seem to
 * stand still only if they MAY_BE_STALE.
 */
static bool hand_over(struct master *m, const char *order, int fd, int only, bool may_be_stale)
{
	for (unsigned slot = 0; slot < m->n_slots; slot++) {
		if (only >= 0 && slot != (unsigned)only)
			continue;
		if (m->children[slot].state != CHILD_READY || (!may_be_stale && !is_fresh(m, slot)))
			continue;
		if (spawn_order(&m->children[slot], order, fd) == 0)
			return true;
	}
	return false;
}

static bool ask_worker(struct master *m, struct str line, int fd, struct buf *ret_answer)
{
	struct buf order = BUF_INIT;
	int only = wanted_slot(line);
	bool is_taken;

	buf_printf(&order, "ctl %.*s", (int)line.len, line.p);
	buf_add_char(&order, '\0');
	is_taken = hand_over(m, (char *)order.p, fd, only, false) ||
		   hand_over(m, (char *)order.p, fd, only, true);
	buf_done(&order);
	if (!is_taken)
		ctl_command_fail(ret_answer,
				 only < 0 ? "no worker is ready" : "this worker is not ready");
	return is_taken;
}

bool ctl_command_run(struct master *m, struct str line, int fd, struct buf *ret_answer)
{
	const char *blank = memchr(line.p, ' ', line.len);
	struct str word = {line.p, blank ? (size_t)(blank - line.p) : line.len};
	struct str arg = {line.p + word.len, line.len - word.len};

	if (blank)
		arg = (struct str){arg.p + 1, arg.len - 1};
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (!str_eq(word, commands[i].word))
			continue;
		if (arg.len && !commands[i].has_argument)
			ctl_command_fail(ret_answer, "this command takes no argument");
		else
			commands[i].answer(m, arg, ret_answer);
		return true;
	}
	return !ask_worker(m, line, fd, ret_answer);
}
