/* SPDX-License-Identifier: MIT */
/*
 * What roles mean for connections: whether they may enter and act, and who has to go.
 * What somebody is, is roles.c's; the decision authz.c's.
 */
#include "worker/roles.h"

#include "base/map.h"
#include "worker/audit.h"
#include "worker/chan.h"
#include "worker/dbio.h"
#include "worker/deliver.h"
#include "worker/on_cmd.h"
#include "worker/persist.h"
#include "worker/resume.h"
#include "worker/ws_conn.h"

#define AWAY_MS 1000 /* without a database: who comes then is told to come again */

/* ---- Acting ---- */

static void on_known(struct worker *wk, void *arg, int err, const struct rights *r)
{
	(void)wk;
	(void)arg;
	(void)err;
	(void)r;
}

enum proto_error roles_decide(struct conn *c, int64_t conv, enum authz_action action,
			      struct rights *ret)
{
	struct rights r;

	if (!roles_peek(conn_worker(c), conv, c->user, c->is_admin, &r)) {
		/* a room with more exceptions than are kept: known when he tries again */
		roles_get(conn_worker(c), conv, c->user, c->is_admin, on_known, NULL);
		return E_UNAVAILABLE;
	}
	if (!authz_allows(&r.actor, action))
		return authz_refusal(&r.actor, action);
	if (ret)
		*ret = r;
	return E_NONE;
}

enum proto_error roles_check(struct conn *c, int64_t conv, enum authz_action action,
			     struct rights *ret)
{
	enum proto_error error = roles_decide(c, conv, action, ret);

	if (error && error != E_UNAVAILABLE)
		audit_denied_conn(c, action, conv);
	return error;
}

/* ---- Entering ---- */

struct entering {
	uint64_t conn_id;
	int64_t conv, rev;
	bool has_rev, has_re;
	struct cmd_id re;
};

static void enter(struct conn *c, const struct entering *e, const struct rights *r)
{
	const struct cmd_id *re = e->has_re ? &e->re : NULL;
	struct sub *sub = dialect_is_sio(c->dialect) ? sub_find(c, e->conv) : NULL;

	if (sub) { /* it has come by itself meanwhile */
		if (re)
			on_mark_again(sub, re);
		return;
	}
	if (authz_allows(&r->actor, MAY_READ)) {
		chan_join(c, e->conv, e->has_rev, e->rev, re);
		return;
	}
	audit_denied_conn(c, MAY_READ, e->conv);
	ws_conn_error(c, authz_refusal(&r->actor, MAY_READ), re, NULL, e->conv);
}

/* The database cannot be asked who may. */
static void enter_later(struct conn *c, const struct entering *e)
{
	if (e->re.len)
		ws_conn_error(c, E_UNAVAILABLE, &e->re, NULL, e->conv);
	else
		ws_conn_try_later(c, NULL);
}

/* A conversation that is not there is refused by the channel, which has words for it. */
static void on_rights(struct worker *wk, void *arg, int err, const struct rights *r)
{
	struct entering *e = arg;
	struct conn *c = conn_find(wk, e->conn_id);

	if (c)
		c->n_entering--;
	if (c && (c->state == CONN_WS || c->state == CONN_SSE)) {
		if (!err)
			enter(c, e, r);
		else if (err == -ERR_NOENT)
			chan_join(c, e->conv, e->has_rev, e->rev, e->has_re ? &e->re : NULL);
		else
			enter_later(c, e);
	}
	if (c && c->is_blocked)
		roles_unblock(c);
	free(e);
}

void roles_enter(struct conn *c, int64_t conv, bool has_rev, int64_t rev, const struct cmd_id *re)
{
	struct entering e = {.conn_id = c->id, .conv = conv, .rev = rev, .has_rev = has_rev};
	struct entering *waits;
	struct rights r;

	if (re) {
		e.has_re = true;
		e.re = *re;
	}
	if (roles_peek(conn_worker(c), conv, c->user, c->is_admin, &r)) {
		enter(c, &e, &r);
		return;
	}
	/* a moment is waited out, as while a worker starts or a server is started anew; no more */
	if (dbio_away_ms(conn_worker(c)) > AWAY_MS) {
		enter_later(c, &e);
		return;
	}
	waits = xmalloc(sizeof(*waits));
	*waits = e;
	c->n_entering++;
	conn_block(c);
	roles_get(conn_worker(c), conv, c->user, c->is_admin, on_rights, waits);
}

void roles_unblock(struct conn *c)
{
	if (!c->n_entering)
		conn_unblock(c);
}

/* ---- Leaving ---- */

struct sweep {
	struct worker *wk;
	int64_t conv, user; /* user 0: everybody */
	enum proto_error error; /* E_NONE: only who may not read */
	struct conn **conns; /* owned */
	size_t n, cap;
};

static void collect(struct conn *c, void *arg)
{
	struct sweep *s = arg;

	if ((s->user && c->user != s->user) || !sub_find(c, s->conv))
		return;
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 16;
		s->conns = xrealloc(s->conns, s->cap * sizeof(struct conn *));
	}
	s->conns[s->n++] = c;
}

/* Every frame up to here was for it, no later one is. */
static void put_out(struct conn *c, int64_t conv, enum proto_error error)
{
	struct sub *sub = sub_find(c, conv);
	struct cmd_id re;

	if (!sub)
		return;
	if (sub->state == SUB_LIVE)
		deliver_flush(sub->chan);
	sub = sub_find(c, conv); /* the flush may have ended it */
	if (!sub)
		return;
	re = sub_re(sub);
	chan_leave(sub, CONN_END_BYE);
	resume_mark(c);
	ws_conn_error(c, error, &re, NULL, conv);
	if (c->state == CONN_SSE && c->n_subs == 0)
		conn_finish(c, CONN_END_BYE);
}

static enum proto_error verdict(const struct sweep *s, const struct conn *c)
{
	struct rights r;

	if (s->error)
		return s->error;
	if (!roles_peek(s->wk, s->conv, c->user, c->is_admin, &r)) {
		roles_look(s->wk, s->conv, c->user); /* more exceptions than were told */
		return E_NONE;
	}
	if (authz_allows(&r.actor, MAY_READ))
		return E_NONE;
	/* he knows that it is there: he was in it */
	return r.actor.role == ROLE_NONE ? E_FORBIDDEN : authz_refusal(&r.actor, MAY_READ);
}

static void run(struct sweep *s)
{
	if (s->conv <= 0 || !chan_find(s->wk, s->conv))
		return;
	conn_each(s->wk, collect, s);
	for (size_t i = 0; i < s->n; i++) {
		enum proto_error error = verdict(s, s->conns[i]);

		if (error)
			put_out(s->conns[i], s->conv, error);
	}
	free(s->conns);
}

void roles_put_out(struct worker *wk, int64_t conv, int64_t user, enum proto_error error)
{
	struct sweep s = {.wk = wk, .conv = conv, .user = user, .error = error};

	if (user > 0)
		run(&s);
}

/* Edits ask for the same as sends; what is not known was decided when it came. */
static enum proto_error may_speak(struct worker *wk, int64_t conv, int64_t user)
{
	struct rights r;

	if (!roles_peek(wk, conv, user, false, &r) || authz_allows(&r.actor, MAY_SEND))
		return E_NONE;
	return authz_refusal(&r.actor, MAY_SEND);
}

bool roles_is_awaited(const struct worker *wk, int64_t conv, int64_t user)
{
	return persist_waits(wk, conv, user);
}

void roles_sweep(struct worker *wk, int64_t conv, int64_t user)
{
	struct sweep s = {.wk = wk, .conv = conv, .user = user};

	persist_recheck(wk, conv, user, may_speak);
	run(&s);
}
