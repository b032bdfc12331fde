/* SPDX-License-Identifier: MIT */
/*
 * Gathers renewals: one statement is under way at most, and the next takes all that have come.
 * So a crowd of pages that return costs few, and a single one does not wait.
 */
#include "worker/renew.h"

#include "base/list.h"
#include "base/map.h"
#include "worker/dbio.h"

#define ADDRESS_MAX 46 /* INET6_ADDRSTRLEN */

struct renewal {
	struct list node; /* in waiting or asked */
	struct uuid session;
	size_t address_len;
	char address[ADDRESS_MAX];
	login_done_fn *done;
	void *arg;
};

struct renewals {
	struct list waiting, asked; /* struct renewal.node */
	bool is_asking;
};

/* The random half of a UUIDv7; never 0, its two top bits are the variant's. */
static uint64_t key_of(const struct uuid *session)
{
	uint64_t key;

	memcpy(&key, session->b + 8, sizeof(key));
	return key ? key : 1;
}

static bool is_same(const struct uuid *a, const struct uuid *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

static void answer(struct renewal *r, int err, const struct login *login)
{
	list_remove(&r->node);
	r->done(r->arg, err, login);
	free(r);
}

static void refuse_all(struct list *list, int err)
{
	struct list all, *node;

	for (list_move(&all, list); (node = list_first(&all));)
		answer(list_entry(node, struct renewal, node), err, NULL);
}

static struct login *logins_of(const struct db_result *res, struct map *ret_by_session)
{
	int n = login_renewed_rows(res);
	struct login *logins = xcalloc((size_t)n + 1, sizeof(*logins));

	for (int i = 0; i < n; i++) {
		logins[i] = login_renewed_row(res, i);
		map_put(ret_by_session, key_of(&logins[i].session), &logins[i]);
	}
	return logins;
}

static void on_renewed(void *arg, int err, const struct db_result *res)
{
	struct worker *wk = arg;
	struct renewals *rs = wk->renewals;
	struct map by_session = {0};
	struct login *logins;
	struct list all, *node;

	if (!rs)
		return;
	rs->is_asking = false;
	if (err) { /* those that wait would only wait longer */
		refuse_all(&rs->asked, err);
		refuse_all(&rs->waiting, err);
		return;
	}
	logins = logins_of(res, &by_session);
	for (list_move(&all, &rs->asked); (node = list_first(&all));) {
		struct renewal *r = list_entry(node, struct renewal, node);
		const struct login *login = map_get(&by_session, key_of(&r->session));

		if (login && is_same(&login->session, &r->session))
			answer(r, 0, login);
		else
			answer(r, -ERR_DENIED, NULL);
	}
	map_done(&by_session);
	free(logins);
	worker_kick(wk);
}

void renew_session(struct worker *wk, const struct uuid *session, struct str address,
		   login_done_fn *done, void *arg)
{
	struct renewals *rs = wk->renewals;
	struct renewal *r = xcalloc(1, sizeof(*r));

	if (!rs) {
		rs = wk->renewals = xcalloc(1, sizeof(*rs));
		list_init(&rs->waiting);
		list_init(&rs->asked);
	}
	r->session = *session;
	r->done = done;
	r->arg = arg;
	r->address_len = MIN(address.len, sizeof(r->address));
	if (address.len)
		memcpy(r->address, address.p, r->address_len);
	list_append(&rs->waiting, &r->node);
	worker_kick(wk);
}

/* Several pages of one browser come at once: a session is asked for once. */
static size_t take(struct renewals *rs, struct login_renewal *rows)
{
	struct map taken = {0};
	struct list *node, *next;
	size_t n = 0;

	list_each_safe (node, next, &rs->waiting) {
		struct renewal *r = list_entry(node, struct renewal, node);

		if (!map_get(&taken, key_of(&r->session))) {
			if (n == LOGIN_RENEW_MAX)
				break;
			map_put(&taken, key_of(&r->session), r);
			rows[n++] = (struct login_renewal){
				r->session, {r->address_len ? r->address : NULL, r->address_len}};
		}
		list_remove(node);
		list_append(&rs->asked, node);
	}
	map_done(&taken);
	return n;
}

void renew_flush(struct worker *wk)
{
	struct login_renewal rows[LOGIN_RENEW_MAX];
	struct renewals *rs = wk->renewals;
	size_t n;
	int r;

	if (!rs || rs->is_asking || list_empty(&rs->waiting))
		return;
	n = take(rs, rows);
	rs->is_asking = true;
	r = login_renew(dbio_writer(wk), rows, n, wk->settings->auth_session_ttl, dbio_deadline(wk),
			on_renewed, wk, NULL);
	if (r < 0)
		on_renewed(wk, -ERR_UNAVAILABLE, NULL);
}

void renew_close(struct worker *wk)
{
	struct renewals *rs = wk->renewals;

	if (!rs)
		return;
	wk->renewals = NULL;
	refuse_all(&rs->asked, -ERR_UNAVAILABLE);
	refuse_all(&rs->waiting, -ERR_UNAVAILABLE);
	free(rs);
}
