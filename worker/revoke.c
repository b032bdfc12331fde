/* SPDX-License-Identifier: MIT */
/*
 * Notices of what was taken from somebody, and the look at the database that makes good for lost
 * ones. What a connection may still read is decided by roles.c.
 */
#include "worker/revoke.h"

#include "base/clock.h"
#include "base/log.h"
#include "proto/errors.h"
#include "shm/revoked.h"
#include "shm/ring.h"
#include "worker/conn.h"
#include "worker/fanout.h"
#include "worker/roles.h"
#include "worker/ws_conn.h"

#define NOTICE_MARK "revoke\1"

enum notice_kind { NOTICE_SESSION, NOTICE_USER, NOTICE_MEMBER, NOTICE_KICK };

/* A control record of the ring: between processes of one program, so a plain structure. */
struct notice {
	char mark[sizeof(NOTICE_MARK)];
	uint32_t kind; /* enum notice_kind */
	uint32_t pad;
	int64_t conv, user;
	struct uuid session;
};

/* ---- Telling ---- */

static void tell(struct worker *wk, struct notice *n)
{
	uint64_t all = UINT64_MAX >> (64 - wk->boot->n_slots), to_wake = 0;
	int r;

	memcpy(n->mark, NOTICE_MARK, sizeof(n->mark));
	ring_publish_begin(wk->shm, (unsigned)wk->slot);
	r = ring_publish_to(wk->shm, (unsigned)wk->slot, all, 0, 0, 0, n, sizeof(*n));
	if (r == 0)
		r = ring_publish_end(wk->shm, (unsigned)wk->slot, &to_wake);
	if (r < 0) /* the look at the database finds it */
		log_warn("a revocation was not announced", LF_STR("error", err_text(r)));
	fanout_wake(wk, to_wake);
	worker_kick(wk);
}

/* ---- The node's memory ---- */

static void note(int r, bool lost)
{
	if (r < 0)
		log_error("a revocation was not noted", LF_STR("error", err_text(r)));
	else if (lost)
		log_warn("the table of revocations is full: an older one was given up");
}

/* Every token that may still be out there has expired by then. */
static int64_t forget_at_ms(const struct worker *wk)
{
	(void)wk;
	return clock_wall_ms() + 24 * 3600 * 1000;
}

void revoke_session(struct worker *wk, const struct uuid *session)
{
	struct notice n = {.kind = NOTICE_SESSION, .session = *session};
	bool lost = false;
	int r = revoked_add(wk->shm, (unsigned)wk->slot, session, forget_at_ms(wk), &lost);

	note(r, lost);
	tell(wk, &n);
}

void revoke_user(struct worker *wk, int64_t user)
{
	struct notice n = {.kind = NOTICE_USER, .user = user};
	bool lost = false;
	int r = revoked_set_user(wk->shm, (unsigned)wk->slot, user, forget_at_ms(wk), &lost);

	note(r, lost);
	tell(wk, &n);
}

void revoke_member(struct worker *wk, int64_t conv, int64_t user)
{
	struct notice n = {.kind = NOTICE_MEMBER, .conv = conv, .user = user};

	tell(wk, &n);
}

void revoke_kick(struct worker *wk, int64_t conv, int64_t user)
{
	struct notice n = {.kind = NOTICE_KICK, .conv = conv, .user = user};

	tell(wk, &n);
}

bool revoke_is_due(const struct worker *wk, const struct uuid *session, int64_t user)
{
	return revoked_has(wk->shm, session) || revoked_has_user(wk->shm, user);
}

/* ---- Hearing ---- */

static void close_unauthorized(struct conn *c)
{
	if (c->state == CONN_WS) {
		ws_conn_error(c, E_UNAUTHORIZED, NULL, NULL, 0);
		ws_conn_close(c, E_UNAUTHORIZED);
	} else if (c->state == CONN_SSE) {
		conn_finish(c, CONN_END_BYE);
	}
}

static void on_session_gone(struct conn *c, void *arg)
{
	const struct uuid *session = arg;

	if (memcmp(&c->session_id, session, sizeof(*session)) == 0)
		close_unauthorized(c);
}

static void on_user_gone(struct conn *c, void *arg)
{
	const int64_t *user = arg;

	if (c->user == *user)
		close_unauthorized(c);
}

bool revoke_control(struct worker *wk, struct str bytes)
{
	struct notice n;

	if (bytes.len != sizeof(n) || memcmp(bytes.p, NOTICE_MARK, sizeof(n.mark)) != 0)
		return false;
	memcpy(&n, bytes.p, sizeof(n));
	switch ((enum notice_kind)n.kind) {
	case NOTICE_SESSION:
		if (!uuid_is_zero(&n.session))
			conn_each(wk, on_session_gone, &n.session);
		break;
	case NOTICE_USER:
		if (n.user > 0)
			conn_each(wk, on_user_gone, &n.user);
		break;
	case NOTICE_MEMBER:
		roles_changed(wk, n.conv, n.user);
		break;
	case NOTICE_KICK:
		roles_put_out(wk, n.conv, n.user, E_KICKED);
		break;
	}
	return true;
}

void revoke_open(struct worker *wk)
{
	(void)wk;
}

void revoke_close(struct worker *wk)
{
	(void)wk;
}
