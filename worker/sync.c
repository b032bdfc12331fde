/* SPDX-License-Identifier: MIT */
/*
 * Pages of what was missed: a cursor becomes positions, rows become frames, positions a cursor
 * again. What a session follows is resume.c's to know.
 */
#include "worker/sync.h"

#include "base/buf.h"
#include "proto/cursor.h"
#include "proto/dialect_native.h"
#include "sql/sync.h"
#include "worker/chan_order.h"
#include "worker/dbio.h"
#include "worker/resume.h"

#define PAGE_BYTES (1024 * 1024) /* a page ends early behind so many */

struct syncing {
	struct worker *wk;
	sync_answer_fn *done;
	void *arg;
	int64_t user, limit; /* USER 0: anybody */
	struct cursor cur;   /* positions owned: how far this page leads */
};

static void syncing_free(struct syncing *s)
{
	free(s->cur.pos);
	free(s);
}

static void refuse(struct syncing *s, enum proto_error error)
{
	s->done(s->wk, s->arg, error, NULL);
	syncing_free(s);
}

/* The position of CONV in a list that may have new ones at its end. */
static void advance(struct cursor *cur, int64_t conv, int64_t rev)
{
	for (size_t i = cur->n; i > 0; i--) {
		if (cur->pos[i - 1].conv == conv) {
			cur->pos[i - 1].rev = MAX(cur->pos[i - 1].rev, rev);
			return;
		}
	}
	cur->pos = xrealloc(cur->pos, (cur->n + 1) * sizeof(*cur->pos));
	cur->pos[cur->n++] = (struct cursor_pos){conv, rev};
}

/* One row as the socket shows it; a kind that this version does not know is passed over. */
static void add_row(struct buf *b, const struct event_row *row)
{
	size_t start = b->len;
	struct key_text key;
	struct event ev;

	if (start > 0 && b->p[start - 1] != '[')
		buf_add_char(b, ',');
	if (row->kind == 0)
		native_add_gap(b, NULL, row->conv, row->rev + 1);
	else if (!chan_order_from_row(row->conv, row, &key, &ev) || !native_add_event(b, &ev))
		b->len = start;
}

static void on_rows(void *arg, int err, const struct db_result *res, int n, bool is_more)
{
	struct syncing *s = arg;
	struct buf page = BUF_INIT, cursor = BUF_INIT;
	struct sync_answer answer = {.is_more = is_more};

	if (err) {
		refuse(s, E_UNAVAILABLE);
		return;
	}
	buf_add_char(&page, '[');
	for (int i = 0; i < n; i++) {
		struct event_row row;

		if (page.len >= PAGE_BYTES) {
			answer.is_more = true;
			break;
		}
		event_row_get(res, i, &row);
		add_row(&page, &row);
		advance(&s->cur, row.conv, row.rev);
	}
	buf_add_char(&page, ']');
	cursor_encode(&cursor, &s->cur);
	answer.events = buf_str(&page);
	answer.cursor = buf_str(&cursor);
	s->done(s->wk, s->arg, E_NONE, &answer);
	buf_done(&page);
	buf_done(&cursor);
	syncing_free(s);
}

static void on_known(struct worker *wk, void *arg, int err, const struct resume_known *known)
{
	struct syncing *s = arg;
	struct sync_position *positions;
	int r;

	if (err) {
		refuse(s, E_UNAVAILABLE);
		return;
	}
	if (!known->is_known &&
	    known->n == 0) { /* what it followed is forgotten: not the same as nothing new */
		refuse(s, E_BAD_CURSOR);
		return;
	}
	s->cur.n = known->n;
	s->cur.pos = xcalloc(known->n + 1, sizeof(*s->cur.pos));
	positions = xcalloc(known->n + 1, sizeof(*positions));
	for (size_t i = 0; i < known->n; i++) {
		s->cur.pos[i] = known->pos[i];
		positions[i] = (struct sync_position){known->pos[i].conv, known->pos[i].rev};
	}
	r = known->n > SYNC_POSITIONS_MAX
		    ? -ERR_TOOBIG
		    : sync_page(dbio_reader(wk), s->user, positions, known->n, (int)s->limit,
				dbio_deadline(wk), on_rows, s, NULL);
	free(positions);
	if (r < 0)
		refuse(s, r == -ERR_TOOBIG ? E_BAD_CURSOR : E_UNAVAILABLE);
}

void sync_ask(struct worker *wk, struct str cursor, int64_t user, int64_t limit,
	      sync_answer_fn *done, void *arg)
{
	struct syncing *s = xcalloc(1, sizeof(*s));
	struct cursor cur;

	*s = (struct syncing){.wk = wk, .done = done, .arg = arg};
	s->user = user == SYNC_ANYBODY ? 0 : user;
	s->limit = limit > 0 ? MIN(limit, SYNC_ROWS_MAX) : SYNC_LIMIT_DEFAULT;
	if (cursor_decode(cursor, SYNC_POSITIONS_MAX, &cur) < 0) {
		refuse(s, E_BAD_CURSOR);
		return;
	}
	s->cur.session = cur.session;
	s->cur.user = cur.user;
	if (user == SYNC_ANYBODY || cur.user == user)
		resume_recall(wk, &cur, on_known, s);
	else
		refuse(s, E_BAD_CURSOR);
	cursor_done(&cur);
}
