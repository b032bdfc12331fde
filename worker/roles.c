/* SPDX-License-Identifier: MIT */
/*
 * The cache of what people are in conversations.
 * What may be done with a role is authz.c's; statements are sql/members.h's.
 */
#include "worker/roles.h"

#include "worker/chan.h"
#include "worker/ws_conn.h"

bool roles_peek(struct worker *wk, int64_t conv, int64_t user, bool is_admin, struct rights *ret)
{
	(void)wk;
	(void)conv;
	*ret = (struct rights){.actor = {user, ROLE_VISITOR, is_admin, false, false}};
	return true;
}

void roles_get(struct worker *wk, int64_t conv, int64_t user, bool is_admin, roles_fn *done,
	       void *arg)
{
	struct rights r;

	if (roles_peek(wk, conv, user, is_admin, &r))
		done(wk, arg, 0, &r);
}

void roles_changed(struct worker *wk, int64_t conv, int64_t user)
{
	(void)wk;
	(void)conv;
	(void)user;
}

enum proto_error roles_check(struct conn *c, int64_t conv, enum authz_action action)
{
	struct rights r;

	if (!roles_peek(conn_worker(c), conv, c->user, c->is_admin, &r))
		return E_UNAVAILABLE;
	return authz_allows(&r.actor, action) ? E_NONE : authz_refusal(&r.actor, action);
}

void roles_put_out(struct worker *wk, int64_t conv, int64_t user, enum proto_error error)
{
	(void)wk;
	(void)conv;
	(void)user;
	(void)error;
}

void roles_open(struct worker *wk)
{
	(void)wk;
}

void roles_flush(struct worker *wk)
{
	(void)wk;
}

void roles_close(struct worker *wk)
{
	(void)wk;
}
