/* SPDX-License-Identifier: MIT */
/*
 * The cache of what people are in conversations, and the questions that fill it.
 * What may be done with a role is authz.c's, what follows for connections roles_conn.c's.
 */
#include "worker/roles.h"

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/map.h"
#include "sql/members.h"
#include "worker/chan.h"
#include "worker/dbio.h"

#define ROWS_IDLE_MAX 4096 /* remembered beside those of channels, conversations included */
#define AGAIN_MS 100	  /* until what could not be looked at is looked at once more */
#define CHANGES_KEPT 64	  /* the newest changes, to tell whether an answer is older */

struct role_row {
	uint8_t role; /* enum authz_role of a member; ROLE_NOBODY: no membership */
	int64_t muted_until_ms;
	int64_t banned_until_ms; /* 0: not; MEMBER_FOR_EVER */
};

struct roles_conv {
	struct list node; /* in roles.lru */
	int64_t conv;
	int64_t slow_ms;
	int64_t pair[2]; /* whose it is when it is direct; else 0 */
	bool is_open, is_owned, is_closed, has_code;
	bool is_complete; /* whoever is not in USERS is nobody in particular */
	bool is_asked;	  /* a look at all of it waits to be sent */
	struct map users; /* user -> struct role_row, owned */
};

/* Somebody waits for an answer; or nobody does, and it is a look at what changed. */
struct ask {
	struct list node; /* in roles.asks, or none */
	int64_t conv, user;
	bool is_admin, is_look;
	roles_fn *done;
	void *arg;
};

struct change {
	int64_t conv;
	uint64_t at; /* roles.n_changes */
};

struct roles {
	struct map convs; /* conversation -> struct roles_conv, owned */
	struct list lru;  /* struct roles_conv.node, longest unused first */
	uint32_t n_rows;
	struct list asks; /* struct ask.node: not sent */
	struct list again; /* looks that failed: asked for again from again_ms on */
	uint64_t again_ms;
	bool is_closing;
	uint64_t n_changes;
	struct change changes[CHANGES_KEPT];
};

/* One statement under way. */
struct asking {
	struct worker *wk;
	uint64_t n_changes; /* of that time */
	size_t n;
	struct ask *asks[]; /* owned */
};

/* ---- The cache ---- */

static void conv_clear(struct roles *rs, struct roles_conv *rc)
{
	uint32_t pos = 0;
	uint64_t key;
	void *row;

	while (map_next(&rc->users, &pos, &key, &row))
		free(row);
	rs->n_rows -= rc->users.count;
	map_done(&rc->users);
	rc->users = (struct map){0};
}

static void conv_drop(struct roles *rs, struct roles_conv *rc)
{
	conv_clear(rs, rc);
	list_remove(&rc->node);
	map_del(&rs->convs, (uint64_t)rc->conv);
	rs->n_rows--;
	free(rc);
}

/*
 * Makes room after N more; what a channel needs stays, however much it is. Looks at a few only: the
 * next call goes on.
 */
static void shrink(struct worker *wk, size_t n)
{
	struct roles *rs = wk->roles;
	const uint32_t max = ROWS_IDLE_MAX + wk->chans.count;
	uint32_t left = MIN(rs->convs.count, (uint32_t)(64 + 2 * n));

	for (; rs->n_rows > max && left > 0; left--) {
		struct list *node = list_first(&rs->lru);
		struct roles_conv *rc = list_entry(node, struct roles_conv, node);

		list_remove(node);
		list_append(&rs->lru, node);
		if (!chan_find(wk, rc->conv))
			conv_drop(rs, rc);
	}
}

static struct roles_conv *conv_get(struct roles *rs, int64_t conv)
{
	struct roles_conv *rc = map_get(&rs->convs, (uint64_t)conv);

	if (rc)
		return rc;
	rc = xcalloc(1, sizeof(*rc));
	rc->conv = conv;
	list_append(&rs->lru, &rc->node);
	map_put(&rs->convs, (uint64_t)conv, rc);
	rs->n_rows++;
	return rc;
}

static void row_put(struct roles *rs, struct roles_conv *rc, int64_t user, struct role_row row)
{
	struct role_row *p = map_get(&rc->users, (uint64_t)user);

	if (!p) {
		p = xmalloc(sizeof(*p));
		map_put(&rc->users, (uint64_t)user, p);
		rs->n_rows++;
	}
	*p = row;
}

/* ---- What a row makes of somebody ---- */

static struct role_row row_of(const struct member_row *m)
{
	struct role_row row = {.role = ROLE_NOBODY, .muted_until_ms = m->muted_until_ms};
	enum authz_role role;

	if (authz_role_parse(m->role, &role) < 0)
		return row;
	if (role == ROLE_BANNED) {
		row.role = ROLE_BANNED;
		row.banned_until_ms = m->banned_until_ms ? m->banned_until_ms : MEMBER_FOR_EVER;
	} else if (m->is_member || role == ROLE_READ_ONLY) {
		row.role = (uint8_t)role;
		/* who has lost his voice does not get it back by leaving an open room */
		if (!m->is_member && !m->is_open)
			row.role = ROLE_NOBODY;
	}
	return row;
}

static enum authz_role role_now(const struct roles_conv *rc, const struct role_row *row,
				int64_t now_ms)
{
	enum authz_role stranger = rc->is_open ? ROLE_VISITOR : ROLE_NONE;

	if (!row || row->role == ROLE_NOBODY)
		return stranger;
	if (row->role == ROLE_BANNED && row->banned_until_ms <= now_ms)
		return stranger;
	return row->role;
}

bool roles_peek(struct worker *wk, int64_t conv, int64_t user, bool is_admin, struct rights *ret)
{
	const struct roles_conv *rc = map_get(&wk->roles->convs, (uint64_t)conv);
	const struct role_row *row = NULL;
	int64_t now_ms;

	if (!rc || conv <= 0)
		return false;
	if (user > 0 && rc->users.count)
		row = map_get(&rc->users, (uint64_t)user);
	if (!row && user > 0 && !rc->is_complete)
		return false;
	now_ms = row ? clock_wall_ms() : 0;
	*ret = (struct rights){
		.actor = {.user = user,
			  .role = (uint8_t)role_now(rc, row, now_ms),
			  .is_admin = is_admin,
			  .is_muted = row && row->muted_until_ms > now_ms,
			  .is_unowned = rc->is_open && !rc->is_owned &&
					wk->settings->chat_open_rooms},
		.muted_until_ms = row && row->muted_until_ms > now_ms ? row->muted_until_ms : 0,
		.slow_ms = rc->slow_ms,
		.is_closed = rc->is_closed,
		.peer = rc->pair[rc->pair[0] == user],
	};
	return true;
}

size_t roles_text_max(const struct worker *wk, int64_t conv)
{
	const struct roles_conv *rc = map_get(&wk->roles->convs, (uint64_t)conv);
	int64_t max = wk->settings->chat_message_max;

	return (size_t)(rc && rc->has_code ? MIN(max, wk->settings->chat_code_message_max) : max);
}

/* ---- Asking ---- */

static void add_ask(struct worker *wk, struct ask *a)
{
	list_append(&wk->roles->asks, &a->node);
	worker_kick(wk);
}

void roles_get(struct worker *wk, int64_t conv, int64_t user, bool is_admin, roles_fn *done,
	       void *arg)
{
	struct rights r;
	struct ask *a;

	if (roles_peek(wk, conv, user, is_admin, &r)) {
		done(wk, arg, 0, &r);
		return;
	}
	a = xcalloc(1, sizeof(*a));
	*a = (struct ask){
		.conv = conv, .user = user, .is_admin = is_admin, .done = done, .arg = arg};
	list_init(&a->node);
	add_ask(wk, a);
}

/* What was committed after the question was put may be missing in its answer. */
static bool has_changed_since(const struct roles *rs, int64_t conv, uint64_t since)
{
	if (rs->n_changes - since > CHANGES_KEPT)
		return true;
	for (uint64_t i = since; i < rs->n_changes; i++)
		if (rs->changes[i % CHANGES_KEPT].conv == conv ||
		    rs->changes[i % CHANGES_KEPT].conv == 0)
			return true;
	return false;
}

/* Rows FROM to TO are those of one conversation. */
static void take_conv(struct worker *wk, const struct db_result *res, int from, int to)
{
	struct roles *rs = wk->roles;
	struct roles_conv *rc;
	struct member_row m;

	members_roles_row(res, from, &m);
	rc = conv_get(rs, m.conv);
	rc->is_open = m.is_open;
	rc->is_owned = m.is_owned;
	rc->is_closed = m.is_closed;
	rc->has_code = m.has_code;
	memcpy(rc->pair, m.pair, sizeof(rc->pair));
	rc->slow_ms = m.slow_ms;
	rc->is_complete = m.is_open && to - from < MEMBERS_EXCEPTIONS_MAX;
	/* of too many exceptions there are only some: those that were known stay */
	if (rc->is_complete)
		conv_clear(rs, rc);
	for (int i = from; i < to; i++) {
		members_roles_row(res, i, &m);
		if (m.user > 0)
			row_put(rs, rc, m.user, row_of(&m));
	}
	list_remove(&rc->node);
	list_append(&rs->lru, &rc->node);
}

static bool has_row(const struct db_result *res, int from, int to, int64_t user)
{
	for (int i = from; i < to; i++) {
		struct member_row m;

		members_roles_row(res, i, &m);
		if (m.user == user)
			return true;
	}
	return false;
}

/* Who was asked for and has no row is remembered as such where not everybody is. */
static void take_absent(struct worker *wk, const struct asking *q, const struct db_result *res,
			int64_t conv, int from, int to)
{
	struct roles_conv *rc = map_get(&wk->roles->convs, (uint64_t)conv);

	for (size_t i = 0; i < q->n && !rc->is_complete; i++)
		if (q->asks[i]->conv == conv && q->asks[i]->user > 0 &&
		    !has_row(res, from, to, q->asks[i]->user))
			row_put(wk->roles, rc, q->asks[i]->user,
				(struct role_row){.role = ROLE_NOBODY});
}

static void take_rows(const struct asking *q, const struct db_result *res)
{
	int n = db_rows(res);

	for (int from = 0, to; from < n; from = to) {
		struct member_row first, m;

		members_roles_row(res, from, &first);
		for (to = from + 1; to < n; to++) {
			members_roles_row(res, to, &m);
			if (m.conv != first.conv)
				break;
		}
		if (has_changed_since(q->wk->roles, first.conv, q->n_changes))
			continue;
		take_conv(q->wk, res, from, to);
		take_absent(q->wk, q, res, first.conv, from, to);
	}
}

static void answer(struct worker *wk, struct ask *a, int err)
{
	struct rights r;

	if (!err && !roles_peek(wk, a->conv, a->user, a->is_admin, &r))
		err = -ERR_NOENT;
	if (a->is_look && !err)
		roles_sweep(wk, a->conv, a->user);
	else if (a->done)
		a->done(wk, a->arg, err, err ? NULL : &r);
	free(a);
}

/* While the database is away this must not keep the loop turning. */
static void ask_later(struct worker *wk, struct ask *a)
{
	list_append(&wk->roles->again, &a->node);
	wk->roles->again_ms = clock_mono_ms() + AGAIN_MS;
}

static void on_rows(void *arg, int err, const struct db_result *res)
{
	struct asking *q = arg;
	struct worker *wk = q->wk;

	if (!err)
		take_rows(q, res);
	for (size_t i = 0; i < q->n; i++) {
		struct ask *a = q->asks[i];
		bool is_old = !err && has_changed_since(wk->roles, a->conv, q->n_changes);

		if (!wk->roles->is_closing && is_old)
			add_ask(wk, a);
		else if (!wk->roles->is_closing && err && a->is_look)
			ask_later(wk, a);
		else
			answer(wk, a, err);
	}
	shrink(wk, q->n);
	free(q);
}

static void forget_asked(struct roles *rs, const struct ask *a)
{
	struct roles_conv *rc = a->is_look ? map_get(&rs->convs, (uint64_t)a->conv) : NULL;

	if (rc)
		rc->is_asked = false;
}

static struct asking *take_asks(struct worker *wk)
{
	struct asking *q = xcalloc(1, sizeof(*q) + MEMBERS_ROLES_MAX * sizeof(q->asks[0]));
	struct list *node;

	q->wk = wk;
	q->n_changes = wk->roles->n_changes;
	while (q->n < MEMBERS_ROLES_MAX && (node = list_first(&wk->roles->asks))) {
		list_remove(node);
		q->asks[q->n++] = list_entry(node, struct ask, node);
		forget_asked(wk->roles, q->asks[q->n - 1]);
	}
	return q;
}

static void send_asks(struct worker *wk)
{
	struct asking *q = take_asks(wk);
	int64_t *convs = xcalloc(2 * q->n, sizeof(*convs)), *users = convs + q->n;
	int r;

	for (size_t i = 0; i < q->n; i++) {
		convs[i] = q->asks[i]->conv;
		users[i] = q->asks[i]->user;
	}
	r = members_roles(dbio_reader(wk), convs, users, q->n, dbio_deadline(wk), on_rows, q, NULL);
	free(convs);
	if (r < 0)
		on_rows(q, -ERR_UNAVAILABLE, NULL);
}

/* A connection that comes back wakes the loop by itself. */
static void look_at_failed(struct worker *wk)
{
	struct roles *rs = wk->roles;
	uint64_t now = clock_mono_ms();
	struct list *node;

	if (!db_is_connected(dbio_reader(wk)))
		return;
	if (now < rs->again_ms) {
		worker_wake_in(wk, rs->again_ms - now);
		return;
	}
	while ((node = list_first(&rs->again))) {
		list_remove(node);
		list_append(&rs->asks, node);
	}
}

void roles_flush(struct worker *wk)
{
	struct list now, *node;

	if (!list_empty(&wk->roles->again))
		look_at_failed(wk);
	if (list_empty(&wk->roles->asks))
		return;
	/* those that are put back meanwhile wait for the next turn */
	for (list_move(&now, &wk->roles->asks); !list_empty(&now);) {
		for (size_t n = 0; n < MEMBERS_ROLES_MAX && (node = list_first(&now)); n++) {
			list_remove(node);
			list_append(&wk->roles->asks, node);
		}
		send_asks(wk);
	}
}

/* ---- Many at once ---- */

struct warming {
	size_t left;
	roles_warm_fn *done;
	void *arg;
};

static void warm_step(struct worker *wk, struct warming *w)
{
	if (--w->left > 0)
		return;
	w->done(wk, w->arg);
	free(w);
}

static void on_warm(struct worker *wk, void *arg, int err, const struct rights *r)
{
	(void)err;
	(void)r;
	warm_step(wk, arg);
}

void roles_warm(struct worker *wk, const int64_t *convs, size_t n, int64_t user,
		roles_warm_fn *done, void *arg)
{
	struct warming *w = xcalloc(1, sizeof(*w));

	*w = (struct warming){.left = 1, .done = done, .arg = arg};
	for (size_t i = 0; i < n; i++) {
		struct rights r;

		if (roles_peek(wk, convs[i], user, false, &r))
			continue;
		w->left++;
		roles_get(wk, convs[i], user, false, on_warm, w);
	}
	warm_step(wk, w);
}

/* ---- What changed ---- */

static void note_change(struct roles *rs, int64_t conv)
{
	rs->changes[rs->n_changes % CHANGES_KEPT] = (struct change){conv, rs->n_changes};
	rs->n_changes++;
}

void roles_look(struct worker *wk, int64_t conv, int64_t user)
{
	struct ask *a = xcalloc(1, sizeof(*a));

	*a = (struct ask){.conv = conv, .user = user, .is_look = true};
	list_init(&a->node);
	add_ask(wk, a);
}

void roles_changed(struct worker *wk, int64_t conv, int64_t user)
{
	struct roles *rs = wk->roles;
	struct roles_conv *rc = map_get(&rs->convs, (uint64_t)conv);

	if (conv <= 0)
		return;
	note_change(rs, conv);
	if (!chan_find(wk, conv) && !roles_is_awaited(wk, conv, user)) {
		if (rc)
			conv_drop(rs, rc);
	} else if (!rc || user == 0) {
		roles_look(wk, conv, user); /* what was true serves until then */
	} else if (rc->is_complete) {
		/* a crowd costs one look */
		if (!rc->is_asked)
			roles_look(wk, conv, 0);
		rc->is_asked = true;
	} else if (map_get(&rc->users, (uint64_t)user)) { /* whoever is here is among them */
		roles_look(wk, conv, user);
	}
}

void roles_doubt(struct worker *wk)
{
	struct roles *rs = wk->roles;
	uint32_t pos = 0;
	uint64_t key;
	void *value;

	note_change(rs, 0);
	while (map_next(&rs->convs, &pos, &key, &value)) {
		struct roles_conv *rc = value;

		if (!chan_find(wk, rc->conv)) {
			conv_drop(rs, rc);
			continue;
		}
		roles_look(wk, rc->conv, 0);
		if (!rc->is_complete) {
			uint32_t at = 0;
			uint64_t user;
			void *row;

			while (map_next(&rc->users, &at, &user, &row))
				roles_look(wk, rc->conv, (int64_t)user);
		}
	}
}

/* ---- Life ---- */

void roles_open(struct worker *wk)
{
	wk->roles = xcalloc(1, sizeof(*wk->roles));
	list_init(&wk->roles->lru);
	list_init(&wk->roles->asks);
	list_init(&wk->roles->again);
}

void roles_close(struct worker *wk)
{
	struct roles *rs = wk->roles;
	struct list *node;

	rs->is_closing = true;
	while ((node = list_first(&rs->again))) {
		list_remove(node);
		list_append(&rs->asks, node);
	}
	while (!list_empty(&rs->asks))
		on_rows(take_asks(wk), -ERR_UNAVAILABLE, NULL);
	while ((node = list_first(&rs->lru)))
		conv_drop(rs, list_entry(node, struct roles_conv, node));
	map_done(&rs->convs);
	free(rs);
	wk->roles = NULL;
}
