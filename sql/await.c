/* SPDX-License-Identifier: MIT */
/*
 * The smallest loop that a connection can live in.
 * Reconnecting is left out: an operator can call again.
 */
#include "sql/await.h"

#include <errno.h>
#include <poll.h>

#include "base/clock.h"

struct await {
	struct db *db; /* NULL: given up */
	int fd;
	bool wants_read, wants_write;
	uint64_t timer_at; /* 0 = none */
	bool is_connected, is_lost;
	char text[256]; /* why it is lost, or does not fit */
};

static void on_io(void *arg, int fd, bool want_read, bool want_write)
{
	struct await *a = arg;

	a->fd = fd;
	a->wants_read = want_read;
	a->wants_write = want_write;
}

static void on_timer(void *arg, int64_t delay_ms)
{
	struct await *a = arg;

	a->timer_at = delay_ms < 0 ? 0 : clock_mono_ms() + (uint64_t)delay_ms + 1;
}

static void on_state(void *arg, enum db_state state, const char *text)
{
	struct await *a = arg;

	a->is_connected |= state == DB_STATE_CONNECTED;
	a->is_lost |= state == DB_STATE_LOST || state == DB_STATE_SCHEMA;
	if (a->is_lost && !a->text[0])
		snprintf(a->text, sizeof(a->text), "%s%s", text,
			 state == DB_STATE_SCHEMA ? " (roomctl migrate)" : "");
}

/* Waits for the next event and hands it over. */
static void turn(struct await *a)
{
	struct pollfd p = {.fd = a->fd,
			   .events = (short)((a->wants_read ? POLLIN : 0) |
					     (a->wants_write ? POLLOUT : 0))};
	uint64_t now = clock_mono_ms();
	int timeout = -1, n;

	if (a->timer_at)
		timeout = a->timer_at > now ? (int)MIN(a->timer_at - now, 60000u) : 0;
	n = poll(&p, 1, timeout);
	if (n < 0 && errno != EINTR)
		abort(); /* only for lack of memory */
	if (n > 0 && a->wants_read && p.revents & (POLLIN | POLLHUP | POLLERR))
		db_on_readable(a->db);
	if (n > 0 && a->wants_write && p.revents & (POLLOUT | POLLHUP | POLLERR))
		db_on_writable(a->db);
	if (a->timer_at && a->timer_at <= clock_mono_ms()) {
		a->timer_at = 0;
		db_on_timer(a->db);
	}
}

static int give_up(struct await *a, struct buf *report)
{
	buf_printf(report, "database: %s\n", a->text);
	db_free(&a->db);
	return -ERR_UNAVAILABLE;
}

int await_open(const char *url, struct await **ret, struct buf *report)
{
	static const struct db_hooks hooks = {on_io, on_timer, on_state, NULL};
	struct db_config cfg = {
		.url = url, .application_name = "roomctl", .is_writer = true,
		.connect_timeout_ms = 10000};
	struct await *a = xcalloc(1, sizeof(*a));

	a->fd = -1;
	a->db = db_new(&cfg, &hooks, a);
	db_start(a->db);
	while (!a->is_connected && !a->is_lost)
		turn(a);
	if (a->is_lost) {
		(void)give_up(a, report);
		free(a);
		return -ERR_UNAVAILABLE;
	}
	*ret = a;
	return 0;
}

struct db *await_db(struct await *a)
{
	return a->db;
}

int await_done(struct await *a, const bool *is_done, struct buf *report)
{
	while (!*is_done && !a->is_lost)
		turn(a);
	if (!*is_done)
		return give_up(a, report);
	if (a->text[0]) /* why it was refused: a schema that is not there */
		buf_printf(report, "database: %s\n", a->text);
	return 0;
}

void await_free(struct await **a)
{
	if (!*a)
		return;
	db_free(&(*a)->db);
	free(*a);
	*a = NULL;
}
