/* SPDX-License-Identifier: MIT */
/*
 * Logins in use: gathered, then written by one statement a second.
 * What a session is and when it ends is sql/logins.h's.
 */
#include "worker/touch.h"

#include "sql/logins.h"
#include "worker/dbio.h"

/*
 * So many wait at most: beyond that they come faster than they can be written, or the database is
 * away. What is not noted costs a session nothing but a later end.
 */
#define TOUCHES_MAX 16384

struct touches {
	size_t n, cap;
	bool is_writing;
	struct login_touch *rows; /* owned */
};

void touch_note(struct worker *wk, const struct uuid *session)
{
	struct touches *t = wk->touches;

	if (uuid_is_zero(session))
		return;
	if (!t)
		t = wk->touches = xcalloc(1, sizeof(*t));
	if (t->n == TOUCHES_MAX)
		return;
	if (t->n == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 64;
		t->rows = xrealloc(t->rows, t->cap * sizeof(*t->rows));
	}
	t->rows[t->n++] = (struct login_touch){*session, uuid_v7()};
}

static void on_written(void *arg, int err)
{
	struct worker *wk = arg;

	(void)err; /* the next use of the session notes it again */
	if (wk->touches)
		wk->touches->is_writing = false;
}

void touch_flush(struct worker *wk)
{
	struct touches *t = wk->touches;
	size_t n = t ? MIN(t->n, (size_t)LOGIN_TOUCH_MAX) : 0;

	if (!n || t->is_writing)
		return;
	t->is_writing = true;
	if (login_touch(dbio_writer(wk), t->rows, n, wk->settings->auth_session_ttl,
			dbio_deadline(wk), on_written, wk, NULL) < 0) {
		t->is_writing = false;
		return;
	}
	t->n -= n;
	memmove(t->rows, t->rows + n, t->n * sizeof(*t->rows));
}

void touch_close(struct worker *wk)
{
	if (wk->touches)
		free(wk->touches->rows);
	free(wk->touches);
	wk->touches = NULL;
}
