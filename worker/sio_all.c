/* SPDX-License-Identifier: MIT */
/*
 * Clients that follow all conversations of their user: what there is when they come, and what
 * begins later. Coming in is sio_connect.c's, following chan.c's.
 */
#include "worker/sio_priv.h"

#include "base/clock.h"
#include "sql/members.h"
#include "worker/dbio.h"
#include "worker/eio_priv.h"
#include "worker/notices.h"
#include "worker/roles.h"
#include "worker/ws_conn.h"

/* What was made so long before the client came may not have been there when it looked first. */
#define MARGIN_MS 5000

struct sio_all {
	int64_t since_ms; /* since 1970: when the session began */
	bool is_in, is_asking, is_again;
	struct cursor found; /* owned; where to begin */
	struct cursor left;  /* owned; what its client had left before it came back */
};

/* One question. */
struct look {
	struct worker *wk;
	uint64_t conn_id;
};

/* Who asked, if he is there still and wants to know. He waits no more. */
static struct conn *asker(const struct look *l)
{
	struct conn *c = conn_find(l->wk, l->conn_id);

	if (!c || c->state != CONN_WS || !c->eio->all)
		return NULL;
	c->eio->all->is_asking = false;
	return c;
}

static void follow(struct conn *c)
{
	const uint32_t max = (uint32_t)conn_worker(c)->settings->websocket_subscriptions_max;
	const struct cmd_id none = {0};
	struct sio_all *all = c->eio->all;

	for (size_t i = 0; i < all->found.n && c->state == CONN_WS && c->n_subs < max; i++) {
		const struct cursor_pos *pos = &all->found.pos[i];

		if (!sub_find(c, pos->conv) && !cursor_find(&all->left, pos->conv))
			roles_enter(c, pos->conv, true, pos->rev, &none);
	}
	cursor_done(&all->found);
	if (all->is_again)
		sio_all_look(c);
}

/* The rights in all that was found are known too. */
static void on_warm(struct worker *wk, void *arg)
{
	struct look *l = arg;
	struct conn *c = asker(l);

	(void)wk;
	free(l);
	if (c && c->eio->all->is_in) {
		follow(c);
	} else if (c) {
		c->n_entering--;
		sio_all_known(c);
		roles_unblock(c);
	}
}

/* Ascending, as cursors are. */
static void take(struct sio_all *all, const struct db_result *res)
{
	size_t n = (size_t)db_rows(res);

	cursor_done(&all->found);
	all->found.pos = xcalloc(n + 1, sizeof(*all->found.pos));
	all->found.n = n;
	for (size_t i = 0; i < n; i++)
		member_place_get(res, (int)(n - 1 - i), &all->found.pos[i].conv,
				 &all->found.pos[i].rev);
}

static void warm(struct look *l, const struct conn *c)
{
	const struct cursor *found = &c->eio->all->found;
	int64_t *convs = xcalloc(found->n + 1, sizeof(*convs));

	for (size_t i = 0; i < found->n; i++)
		convs[i] = found->pos[i].conv;
	c->eio->all->is_asking = true; /* still */
	roles_warm(l->wk, convs, found->n, c->user, on_warm, l);
	free(convs);
}

static void on_places(void *arg, int err, const struct db_result *res)
{
	struct look *l = arg;
	struct conn *c = asker(l);

	if (c && !err) {
		take(c->eio->all, res);
		warm(l, c);
		return;
	}
	if (c && !c->eio->all->is_in) /* else the next message brings it here again */
		ws_conn_close_code(c, WS_CLOSE_TRY_LATER, error_info(E_UNAVAILABLE)->text);
	free(l);
}

static void ask(struct conn *c, int64_t since_ms)
{
	struct worker *wk = conn_worker(c);
	struct look *l = xmalloc(sizeof(*l));
	int r;

	*l = (struct look){wk, c->id};
	c->eio->all->is_asking = true;
	c->eio->all->is_again = false;
	r = member_places(dbio_reader(wk), c->user, since_ms,
			  (int)wk->settings->websocket_subscriptions_max, dbio_deadline(wk),
			  on_places, l, NULL);
	if (r < 0)
		on_places(l, r, NULL);
}

/* ---- Coming in ---- */

void sio_all_start(struct conn *c)
{
	c->eio->all = xcalloc(1, sizeof(*c->eio->all));
}

void sio_all_begin(struct conn *c)
{
	c->eio->all->since_ms = clock_wall_ms();
	c->n_entering++;
	conn_block(c);
	ask(c, 0);
}

/* Sessions are named by the time that they begin at (RFC 9562 section 5.7). */
static int64_t begin_of(const struct uuid *session)
{
	int64_t ms = 0;

	for (size_t i = 0; i < 6; i++)
		ms = ms << 8 | session->b[i];
	return ms;
}

void sio_all_enter(struct conn *c, const struct uuid *session, const struct resume_known *known)
{
	struct sio_all *all = c->eio->all;

	if (!all)
		return;
	all->is_in = true;
	all->is_again = true; /* it was told of nothing that happened since it was looked up */
	if (session)
		all->since_ms = begin_of(session);
	if (known) {
		all->left.pos = xcalloc(known->n_left + 1, sizeof(*all->left.pos));
		all->left.n = known->n_left;
		if (known->n_left)
			memcpy(all->left.pos, known->left, known->n_left * sizeof(*known->left));
	}
	follow(c);
}

/* ---- Later ---- */

void sio_all_look(struct conn *c)
{
	struct sio_all *all = c->eio->all;

	if (!all || c->state != CONN_WS)
		return;
	if (all->is_asking || !all->is_in)
		all->is_again = true;
	else if (c->n_subs < conn_worker(c)->settings->websocket_subscriptions_max)
		ask(c, MAX(all->since_ms - MARGIN_MS, 1));
}

static void look(struct conn *c, void *arg)
{
	(void)arg;
	sio_all_look(c);
}

void sio_all_changed(struct worker *wk, int64_t user)
{
	notices_each(wk, user, look, NULL);
}

void sio_all_stop(struct conn *c)
{
	struct sio_all *all = c->eio->all;

	c->eio->all = NULL;
	if (!all)
		return;
	cursor_done(&all->found);
	cursor_done(&all->left);
	free(all);
}
