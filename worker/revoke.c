/* SPDX-License-Identifier: MIT */
/*
 * Notices of what was taken from somebody, and the look at the database that makes good for lost
 * ones. What a connection may still read is decided by roles.c.
 */
#include "worker/revoke.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "proto/errors.h"
#include "shm/revoked.h"
#include "shm/ring.h"
#include "sql/logins.h"
#include "sql/members.h"
#include "worker/conn.h"
#include "worker/dbio.h"
#include "worker/fanout.h"
#include "worker/persist.h"
#include "worker/roles.h"
#include "worker/session.h"
#include "worker/sio.h"
#include "worker/ws_conn.h"

#define NOTICE_MARK "revoke\1"
#define CLOCK_MARGIN_MS 60000 /* clocks of servers differ */

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
	static struct log_rate failed, given_up;
	uint64_t suppressed;

	if (r < 0 && log_rate_pass(&failed, 10000, &suppressed))
		log_error("a revocation was not noted", LF_STR("error", err_text(r)),
			  LF_INT("suppressed", (int64_t)suppressed));
	else if (r == 0 && lost && log_rate_pass(&given_up, 60000, &suppressed))
		log_warn("the table of revocations is full: older tokens are refused",
			 LF_INT("suppressed", (int64_t)suppressed));
}

/*
 * Every token of a session that may still be out there has expired by then, and so has a cookie
 * that is not renewed from the database.
 */
static int64_t forget_at_ms(const struct worker *wk)
{
	return clock_wall_ms() + wk->settings->auth_access_ttl + CLOCK_MARGIN_MS;
}

/*
 * A user as such is refused only until every worker has heard of it: the sessions are ended one by
 * one, and one who is let in again must not wait.
 */
#define USER_REFUSED_MS 2000

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
	int r = revoked_set_user(wk->shm, (unsigned)wk->slot, user,
				 clock_wall_ms() + USER_REFUSED_MS, &lost);

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

bool revoke_is_forgotten(const struct worker *wk, int64_t made_ms)
{
	int64_t lost_ms = revoked_lost_ms(wk->shm);

	/* when the newest of those was revoked: what was made later is none of theirs */
	return lost_ms && made_ms <= lost_ms - wk->settings->auth_access_ttl - CLOCK_MARGIN_MS;
}

/* ---- Hearing ---- */

static void close_unauthorized(struct conn *c)
{
	ws_conn_error(c, E_UNAUTHORIZED, NULL, NULL, 0); /* ends streams and room sockets */
	ws_conn_close(c, E_UNAUTHORIZED);
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

static void end_session(struct worker *wk, struct uuid *session)
{
	if (uuid_is_zero(session))
		return;
	persist_revoke(wk, 0, session);
	conn_each(wk, on_session_gone, session);
}

static void end_user(struct worker *wk, int64_t user)
{
	if (user <= 0)
		return;
	persist_revoke(wk, user, NULL);
	session_forget(wk, user);
	conn_each(wk, on_user_gone, &user);
}

bool revoke_control(struct worker *wk, struct str bytes)
{
	struct notice n;

	if (bytes.len != sizeof(n) || memcmp(bytes.p, NOTICE_MARK, sizeof(n.mark)) != 0)
		return false;
	memcpy(&n, bytes.p, sizeof(n));
	worker_count(wk, M_REVOKED, 1);
	switch ((enum notice_kind)n.kind) {
	case NOTICE_SESSION:
		end_session(wk, &n.session);
		break;
	case NOTICE_USER:
		end_user(wk, n.user);
		break;
	case NOTICE_MEMBER:
		roles_changed(wk, n.conv, n.user);
		if (n.user) /* else of everybody who is in it already */
			sio_all_changed(wk, n.user);
		break;
	case NOTICE_KICK:
		roles_put_out(wk, n.conv, n.user, E_KICKED);
		break;
	}
	return true;
}

/* ---- Looking ---- */

/*
 * Ended logins are told again for some seconds, because a transaction becomes visible later than
 * the time that it notes: what this worker has acted on already is remembered for so long.
 */
#define SEEN_MAX 65536

struct revoke {
	struct worker *wk;
	ev_timer look;
	int64_t logins_ms; /* the database's clock at the last answer; 0: none yet */
	bool is_asking_logins, is_asking_rights;
	struct map seen, seen_before; /* hash of what and when -> itself */
	char *rights_seen; /* owned: up to this snapshot all is known; or NULL */
	char *rights_next; /* owned: the one of the look that is not at its end; or NULL */
	struct right_change rights_at; /* how far that look is */
};

static bool is_news(struct revoke *rv, const void *p, size_t len)
{
	uint64_t key = hash_bytes(p, len) | 1;

	if (map_get(&rv->seen, key) || map_get(&rv->seen_before, key))
		return false;
	if (rv->seen.count >= SEEN_MAX) {
		map_done(&rv->seen_before);
		rv->seen_before = rv->seen;
		rv->seen = (struct map){0};
	}
	map_put(&rv->seen, key, rv);
	return true;
}

/*
 * NOW_MS is the database's clock. A full table refuses tokens that are older than what it gave up:
 * so the time that counts is when the session ended, not when this worker heard of it.
 */
static void take_login(struct revoke *rv, const struct login_revoked *l, int64_t now_ms)
{
	int64_t age_ms = MAX(now_ms - l->at_ms, 0);
	struct worker *wk = rv->wk;
	struct uuid session = l->session;
	int64_t user = l->user;
	bool lost = false;
	int r;

	if (!is_news(rv, l, sizeof(*l)))
		return;
	worker_count(wk, M_REVOKED, 1);
	if (uuid_is_zero(&session)) {
		end_user(wk, user);
		return;
	}
	r = revoked_add(wk->shm, (unsigned)wk->slot, &session, forget_at_ms(wk) - age_ms, &lost);
	note(r, lost);
	end_session(wk, &session);
}

static void on_logins(void *arg, int err, int64_t now_ms, const struct db_result *res)
{
	struct worker *wk = arg;
	struct revoke *rv = wk->revoke;

	if (!rv)
		return;
	rv->is_asking_logins = false;
	if (err)
		return;
	rv->logins_ms = now_ms;
	for (int i = 0; i < logins_revoked_rows(res); i++) {
		struct login_revoked l;

		memset(&l, 0, sizeof(l)); /* it is hashed as a whole */
		logins_revoked_row(res, i, &l);
		take_login(rv, &l, now_ms);
	}
}

static void ask_rights(struct revoke *rv);

/* Whatever was asked before may be older than the snapshot to begin with. */
static void begin_rights(struct revoke *rv, struct str seen)
{
	free(rv->rights_seen);
	free(rv->rights_next);
	rv->rights_seen = xstrndup(seen.p, seen.len);
	rv->rights_next = NULL;
	rv->rights_at = (struct right_change){0};
	roles_doubt(rv->wk);
}

static void end_rights(struct revoke *rv)
{
	free(rv->rights_seen);
	rv->rights_seen = rv->rights_next;
	rv->rights_next = NULL;
	rv->rights_at = (struct right_change){0};
}

static void on_rights(void *arg, int err, struct str seen, bool is_other,
		      const struct db_result *res)
{
	struct worker *wk = arg;
	struct revoke *rv = wk->revoke;
	int n;

	if (!rv)
		return;
	rv->is_asking_rights = false;
	if (err)
		return;
	if (!rv->rights_seen || is_other) {
		begin_rights(rv, seen);
		return;
	}
	if (!rv->rights_next)
		rv->rights_next = xstrndup(seen.p, seen.len);
	n = rights_changed_rows(res);
	for (int i = 0; i < n; i++) {
		rights_changed_row(res, i, &rv->rights_at);
		roles_changed(wk, rv->rights_at.conv, rv->rights_at.user);
	}
	if (n == RIGHTS_CHANGED_MAX)
		ask_rights(rv);
	else
		end_rights(rv);
}

static void ask_rights(struct revoke *rv)
{
	struct worker *wk = rv->wk;

	if (!rv->is_asking_rights)
		rv->is_asking_rights =
			rights_changed(dbio_reader(wk), str_of(rv->rights_seen), &rv->rights_at, 0,
				       on_rights, wk, NULL) == 0;
}

/* A worker that begins asks for all whose tokens may still be good. */
static void look(struct revoke *rv)
{
	struct worker *wk = rv->wk;
	int64_t since = rv->logins_ms ? rv->logins_ms : -wk->settings->auth_access_ttl;

	if (!rv->is_asking_logins)
		rv->is_asking_logins = logins_revoked_since(dbio_reader(wk), since, 0, on_logins,
							    wk, NULL) == 0;
	ask_rights(rv);
}

static void on_look(EV_P_ ev_timer *w, int revents)
{
	struct revoke *rv = w->data;
	double next = (double)rv->wk->settings->auth_revocation_check / 1000.;

	(void)revents;
	look(rv);
	ev_timer_set(w, next, 0.);
	ev_timer_start(EV_A_ w);
}

void revoke_open(struct worker *wk)
{
	struct revoke *rv = wk->revoke = xcalloc(1, sizeof(*rv));

	rv->wk = wk;
	ev_timer_init(&rv->look, on_look, 0., 0.);
	rv->look.data = rv;
	ev_timer_start(wk->loop, &rv->look);
}

void revoke_close(struct worker *wk)
{
	struct revoke *rv = wk->revoke;

	wk->revoke = NULL;
	ev_timer_stop(wk->loop, &rv->look);
	map_done(&rv->seen);
	map_done(&rv->seen_before);
	free(rv->rights_seen);
	free(rv->rights_next);
	free(rv);
}
