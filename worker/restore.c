/* SPDX-License-Identifier: MIT */
/*
 * From a cursor to subscriptions: the session is looked up, then the rights in what it followed.
 * Sessions themselves are resume.c's.
 */
#include "worker/restore.h"

#include "worker/roles.h"
#include "worker/ws_conn.h"

/* A session that is being looked up, or the rights of its user. */
struct restore {
	resume_known_fn *done;
	void *arg;
	int64_t user;
	struct resume_known known; /* positions owned */
};

static void on_warm(struct worker *wk, void *arg)
{
	struct restore *rc = arg;

	rc->done(wk, rc->arg, 0, &rc->known);
	free((struct cursor_pos *)rc->known.pos);
	free((struct cursor_pos *)rc->known.kept);
	free((struct cursor_pos *)rc->known.left);
	free(rc);
}

static struct cursor_pos *positions_copy(const struct cursor_pos *pos, size_t n)
{
	struct cursor_pos *copy = xcalloc(n + 1, sizeof(*copy));

	if (n)
		memcpy(copy, pos, n * sizeof(*copy));
	return copy;
}

static void on_known(struct worker *wk, void *arg, int err, const struct resume_known *known)
{
	struct restore *rc = arg;
	int64_t *convs;

	if (err) {
		rc->done(wk, rc->arg, err, NULL);
		free(rc);
		return;
	}
	rc->known = *known;
	rc->known.pos = positions_copy(known->pos, known->n);
	rc->known.kept = positions_copy(known->kept, known->n_kept);
	rc->known.left = positions_copy(known->left, known->n_left);
	convs = xcalloc(known->n + 1, sizeof(*convs));
	for (size_t i = 0; i < known->n; i++)
		convs[i] = known->pos[i].conv;
	roles_warm(wk, convs, known->n, rc->user, on_warm, rc);
	free(convs);
}

void restore_recall(struct worker *wk, const struct cursor *cur, resume_known_fn *done, void *arg)
{
	struct restore *rc = xcalloc(1, sizeof(*rc));

	*rc = (struct restore){.done = done, .arg = arg, .user = cur->user};
	resume_recall(wk, cur, on_known, rc);
}

void restore_subs(struct conn *c, const struct resume_known *known)
{
	const uint32_t max = (uint32_t)conn_worker(c)->settings->websocket_subscriptions_max;
	const struct cmd_id none = {0};

	resume_restore_begin(c);
	for (size_t i = 0; i < known->n && c->state == CONN_WS; i++) {
		const struct cursor_pos *pos = &known->pos[i];

		if (c->n_subs < max)
			roles_enter(c, pos->conv, true, pos->rev, &none);
		else
			ws_conn_error(c, E_TOO_MANY_SUBSCRIPTIONS, &none, NULL, pos->conv);
	}
	if (c->state == CONN_WS)
		resume_restore_end(c, known);
}
