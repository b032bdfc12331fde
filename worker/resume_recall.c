/* SPDX-License-Identifier: MIT */
/*
 * What was known of a session that comes back: from this process, or from the database, where many
 * are asked for with one statement. What is made of it is on_hello.c's and sync.c's.
 */
#include "worker/resume.h"

#include "base/list.h"
#include "sql/resume.h"
#include "worker/dbio.h"

/* Statements under way: while they are, those who come wait for each other. */
#define UNDER_WAY_MAX 2

struct recall {
	struct list node; /* in worker.recalls, or none */
	struct worker *wk;
	resume_known_fn *done;
	void *arg;
	struct cursor cur; /* positions owned */
};

/* One statement, in the order of its points. */
struct recalling {
	struct worker *wk;
	size_t n;
	struct recall *recalls[RESUME_LOADS_MAX]; /* owned */
};

/*
 * Both lists ascending; of one conversation the further position. Returns how many; RET has room
 * for all.
 */
static size_t merge(const struct cursor_pos *a, size_t na, const struct cursor_pos *b, size_t nb,
		    struct cursor_pos *ret)
{
	size_t i = 0, j = 0, n = 0;

	while (i < na || j < nb) {
		if (j == nb || (i < na && a[i].conv < b[j].conv)) {
			ret[n++] = a[i++];
		} else if (i == na || b[j].conv < a[i].conv) {
			ret[n++] = b[j++];
		} else {
			ret[n] = a[i++];
			ret[n].rev = MAX(ret[n].rev, b[j].rev);
			n++;
			j++;
		}
	}
	return n;
}

static int by_conv(const void *a, const void *b)
{
	const struct cursor_pos *x = a, *y = b;

	return (x->conv > y->conv) - (x->conv < y->conv);
}

/* KEPT without those that were left, which come to LEFT. Returns how many remain. */
static size_t part_left(struct cursor_pos *kept, size_t n, struct cursor_pos *left, size_t *ret_n)
{
	size_t n_kept = 0, n_left = 0;

	for (size_t i = 0; i < n; i++)
		if (kept[i].rev == RESUME_REV_LEFT)
			left[n_left++] = kept[i];
		else
			kept[n_kept++] = kept[i];
	*ret_n = n_left;
	return n_kept;
}

static size_t without(struct cursor_pos *pos, size_t n, const struct cursor *left)
{
	size_t n_kept = 0;

	for (size_t i = 0; i < n; i++)
		if (!cursor_find(left, pos[i].conv))
			pos[n_kept++] = pos[i];
	return n_kept;
}

/* KEPT in any order; sorted here. */
static void answer_known(const struct recall *rc, bool is_known, struct cursor_pos *kept,
			 size_t n_kept)
{
	struct cursor_pos *pos = xcalloc(n_kept + rc->cur.n + 1, sizeof(*pos));
	struct cursor left = {.pos = xcalloc(n_kept + 1, sizeof(*left.pos))};
	struct resume_known known = {
		.is_known = is_known, .kept = kept, .pos = pos, .left = left.pos};

	if (n_kept)
		qsort(kept, n_kept, sizeof(*kept), by_conv);
	known.n_kept = part_left(kept, n_kept, left.pos, &left.n);
	known.n = merge(kept, known.n_kept, rc->cur.pos, rc->cur.n, pos);
	known.n = without(pos, known.n, &left);
	known.n_left = left.n;
	rc->done(rc->wk, rc->arg, 0, &known);
	free(left.pos);
	free(pos);
}

static void recall_free(struct recall *rc)
{
	free(rc->cur.pos);
	free(rc);
}

static void on_point(struct recall *rc, int err, const struct resume_point *point)
{
	struct cursor_pos *kept;

	if (err) {
		rc->done(rc->wk, rc->arg, -ERR_UNAVAILABLE, NULL);
		recall_free(rc);
		return;
	}
	kept = xcalloc(point->n + 1, sizeof(*kept));
	for (size_t i = 0; i < point->n; i++)
		kept[i] = (struct cursor_pos){point->convs[i], point->revs[i]};
	answer_known(rc, !uuid_is_zero(&point->session), kept, point->n);
	free(kept);
	recall_free(rc);
}

/* What is not written yet is in this process. False when it is not here. */
static bool recall_here(const struct recall *rc)
{
	struct cursor_pos *kept;
	size_t n;

	if (!resume_here(rc->wk, &rc->cur, &kept, &n))
		return false;
	answer_known(rc, true, kept, n);
	free(kept);
	return true;
}

void resume_recall(struct worker *wk, const struct cursor *cur, resume_known_fn *done, void *arg)
{
	struct recall *rc = xcalloc(1, sizeof(*rc));

	*rc = (struct recall){.wk = wk, .done = done, .arg = arg, .cur = *cur};
	list_init(&rc->node);
	rc->cur.pos = xcalloc(cur->n + 1, sizeof(*cur->pos));
	if (cur->n)
		memcpy(rc->cur.pos, cur->pos, cur->n * sizeof(*cur->pos));
	if (uuid_is_zero(&cur->session)) {
		answer_known(rc, false, NULL, 0);
		recall_free(rc);
	} else if (recall_here(rc)) {
		recall_free(rc);
	} else {
		list_append(&wk->recalls, &rc->node);
		worker_kick(wk);
	}
}

/* ---- The database ---- */

static void on_points(void *arg, int err, const struct resume_point *points)
{
	struct recalling *rg = arg;

	rg->wk->n_recalling--;
	for (size_t i = 0; i < rg->n; i++)
		on_point(rg->recalls[i], err, err ? NULL : &points[i]);
	worker_kick(rg->wk); /* others may wait */
	free(rg);
}

/* The oldest, as many as one statement takes. */
static struct recalling *take(struct worker *wk)
{
	struct recalling *rg = xcalloc(1, sizeof(*rg));
	struct list *node;

	rg->wk = wk;
	wk->n_recalling++;
	while (rg->n < RESUME_LOADS_MAX && (node = list_first(&wk->recalls))) {
		list_remove(node);
		rg->recalls[rg->n++] = list_entry(node, struct recall, node);
	}
	return rg;
}

void resume_recall_flush(struct worker *wk)
{
	struct resume_key keys[RESUME_LOADS_MAX];

	while (!list_empty(&wk->recalls) && wk->n_recalling < UNDER_WAY_MAX) {
		struct recalling *rg = take(wk);

		for (size_t i = 0; i < rg->n; i++)
			keys[i] = (struct resume_key){rg->recalls[i]->cur.session,
						      rg->recalls[i]->cur.user};
		if (resume_load(dbio_reader(wk), keys, rg->n, dbio_deadline(wk), on_points, rg,
				NULL) < 0)
			on_points(rg, -ERR_UNAVAILABLE, NULL);
	}
}

void resume_recall_close(struct worker *wk)
{
	while (!list_empty(&wk->recalls))
		on_points(take(wk), -ERR_UNAVAILABLE, NULL);
}
