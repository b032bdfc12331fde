/* SPDX-License-Identifier: MIT */
/*
 * Credentials to identities, and the end of those that sockets were opened with.
 * Knows no keys: token.c and cookie.c check; no rights: authz.c decides.
 */
#include "worker/authn.h"

#include "base/buf.h"
#include "base/clock.h"
#include "proto/http_field.h"
#include "sql/logins.h"
#include "worker/call.h"
#include "worker/conn.h"
#include "worker/cookie.h"
#include "worker/keyring.h"
#include "worker/peer.h"
#include "worker/renew.h"
#include "worker/revoke.h"
#include "worker/route.h"
#include "worker/token.h"
#include "worker/touch.h"
#include "worker/ws_conn.h"

#define COOKIES_MAX 8 /* of one name, looked at in one request */

_Static_assert(AUTHN_NAME_MAX >= COOKIE_NAME_MAX && AUTHN_NAME_MAX >= TOKEN_NAME_MAX, "names");

/* ---- Checking ---- */

static bool is_revoked(const struct worker *wk, const struct identity *who)
{
	return revoke_is_due(wk, &who->session, who->user);
}

enum proto_error authn_token(struct worker *wk, struct str text, struct identity *ret)
{
	struct token t;
	struct identity who = {.by = BY_TOKEN, .is_account = true};

	if (token_check(wk->keyring, text, clock_wall_ms(), &t) < 0)
		return E_UNAUTHORIZED;
	who.user = t.user;
	who.uid = t.uid;
	who.session = t.session;
	who.expires_ms = t.expires_ms;
	who.key_id = t.key_id;
	who.is_admin = t.is_admin;
	memcpy(who.name, t.name, sizeof(t.name));
	/* a token that nobody here can vouch for: the refresh asks the database */
	if (is_revoked(wk, &who) || revoke_is_forgotten(wk, t.issued_ms))
		return E_UNAUTHORIZED;
	*ret = who;
	return E_NONE;
}

enum proto_error authn_again(struct worker *wk, const struct identity *who, struct identity *ret)
{
	if (!who->user || (!who->is_account && !wk->settings->chat_guests) ||
	    (who->expires_ms && who->expires_ms <= clock_wall_ms()) || is_revoked(wk, who) ||
	    !keyring_has(wk->keyring, who->key_id))
		return E_UNAUTHORIZED;
	*ret = *who;
	return E_NONE;
}

/* ---- Tokens of requests ---- */

static const char bearer[] = "bearer";
static const size_t bearer_len = sizeof(bearer) - 1;

/*
 * Whether the field Authorization is for us. Other schemes are for who stands in front, such as a
 * proxy that asks for a password of its own: browsers send that with every request, and say who
 * they are here by cookie. Of several fields none is to be trusted.
 */
static bool has_bearer(const struct http_request *req)
{
	struct str field = http_header(req, "Authorization");

	if (http_header_count(req, "Authorization") > 1)
		return true;
	return field.len >= bearer_len &&
	       str_ieq((struct str){field.p, bearer_len}, str_of(bearer)) &&
	       (field.len == bearer_len || field.p[bearer_len] == ' ');
}

/* The token of "Bearer TOKEN" (RFC 6750 section 2.1); false when there is none. */
static bool bearer_token(const struct http_request *req, struct str *ret)
{
	const size_t n = bearer_len + 1;
	struct str field = http_header(req, "Authorization");

	if (http_header_count(req, "Authorization") > 1 || field.len <= n)
		return false;
	*ret = (struct str){field.p + n, field.len - n};
	while (ret->len && ret->p[0] == ' ') {
		ret->p++;
		ret->len--;
	}
	return true;
}

static bool is_open(const struct call *call)
{
	return call->route->auth == ROUTE_AUTH_OPEN;
}

/* On open routes bad credentials are nobody's, which a socket's first frame may make good. */
static enum authn refuse(struct call *call, enum authn_by by)
{
	call->who = (struct identity){.by = by};
	return is_open(call) ? AUTHN_DONE : AUTHN_REFUSED;
}

static enum authn by_header(struct call *call)
{
	bool is_upgrade = call->route->rate == ROUTE_RATE_UPGRADE;
	struct str token;

	if (bearer_token(call->req, &token) &&
	    authn_token(call->wk, token, &call->who) == E_NONE)
		return AUTHN_DONE;
	/* whoever sets fields on a handshake can read its answer, which a page cannot */
	return is_upgrade ? AUTHN_REFUSED : refuse(call, BY_TOKEN);
}

/*
 * Browsers cannot set fields on sockets and event streams: those may carry it in the address.
 * False: there is none.
 */
static bool by_query(struct call *call, enum authn *ret)
{
	struct buf text = BUF_INIT;
	int r;

	if (!route_lasts(call->route))
		return false;
	r = http_query_get(call->req, "token", &text);
	if (r != -ERR_NOENT) {
		if (r == 0 && authn_token(call->wk, buf_str(&text), &call->who) == E_NONE)
			*ret = AUTHN_DONE;
		else
			*ret = refuse(call, BY_TOKEN);
	}
	buf_done(&text);
	return r != -ERR_NOENT;
}

/* ---- Cookies ---- */

static void from_cookie(const struct cookie *cookie, struct identity *ret)
{
	*ret = (struct identity){
		.user = cookie->user,
		.uid = cookie->uid,
		.session = cookie->session,
		.expires_ms = cookie->expires_ms,
		.key_id = cookie->key_id,
		.room = cookie->room,
		.is_account = !cookie->is_guest,
		.is_admin = cookie->is_admin && !cookie->is_guest,
		.by = BY_COOKIE,
	};
	memcpy(ret->name, cookie->name, sizeof(cookie->name));
}

/*
 * A cookie is taken at its word for as long as an access token, counted from when it was made; then
 * the database is asked. One that seems to come from the future was made under another
 * auth.session_ttl.
 */
static bool is_stale(const struct worker *wk, const struct identity *who, int64_t now_ms)
{
	int64_t made_ms = who->expires_ms - wk->settings->auth_session_ttl;
	int64_t age_ms = now_ms - made_ms;

	return revoke_is_forgotten(wk, made_ms) || age_ms < -TOKEN_SKEW_MS ||
	       age_ms >= keyring_access_ttl_ms(wk->keyring);
}

/* The session is over: accounts have to sign in, guests are simply nobody again. */
static enum authn cookie_ended(struct call *call)
{
	bool was_account = call->who.is_account;

	authn_clear_cookie(call);
	if (was_account)
		return refuse(call, BY_COOKIE);
	call->who = (struct identity){0};
	return AUTHN_DONE;
}

/*
 * A browser may send several: of another path, of a domain above. The first that opens counts,
 * else the first that has expired. Returns as cookie_open, -ERR_NOENT when there is none.
 */
static int find_cookie(const struct call *call, int64_t now_ms, struct cookie *ret)
{
	int best = -ERR_NOENT;

	for (size_t i = 0; i < COOKIES_MAX; i++) {
		struct str text = http_cookie(call->req, COOKIE_FIELD, i);
		struct cookie cookie;
		int r = text.p ? cookie_open(call->wk->keyring, text, now_ms, &cookie) : -ERR_NOENT;

		if (!text.p)
			break;
		if (r == 0 || (r == -ERR_CLOSED && best != -ERR_CLOSED)) {
			*ret = cookie;
			best = r;
		}
		if (r == 0)
			break;
	}
	return best;
}

static enum authn by_cookie(struct call *call)
{
	struct worker *wk = call->wk;
	int64_t now_ms = clock_wall_ms();
	struct cookie cookie = {0};
	int r = find_cookie(call, now_ms, &cookie);

	if ((r < 0 && r != -ERR_CLOSED) || !cookie.user ||
	    (cookie.is_guest && !wk->settings->chat_guests))
		return AUTHN_DONE;
	from_cookie(&cookie, &call->who);
	if (r < 0 || is_revoked(wk, &call->who))
		return cookie_ended(call);
	return is_stale(wk, &call->who, now_ms) ? AUTHN_STALE : AUTHN_DONE;
}

/* Whoever has a token may be in a room with a page as well: the cookie tells, if it is theirs. */
static void add_room(struct call *call)
{
	struct cookie cookie;

	if (call->route->rate == ROUTE_RATE_SESSION && call->who.user &&
	    find_cookie(call, clock_wall_ms(), &cookie) == 0 && cookie.user == call->who.user)
		call->who.room = cookie.room;
}

enum authn authn_call(struct call *call)
{
	enum authn result;

	call->who = (struct identity){0};
	if (call->is_ops || call->route->rate == ROUTE_RATE_STATIC)
		return AUTHN_DONE;
	if (has_bearer(call->req))
		result = by_header(call);
	else if (!by_query(call, &result))
		return by_cookie(call);
	add_room(call);
	return result;
}

struct renewal {
	struct call *call;
	authn_renewed_fn *done;
};

static void on_renewed(void *arg, int err, const struct login *login)
{
	struct renewal r = *(struct renewal *)arg;
	struct identity *who = &r.call->who;
	enum proto_error error = E_NONE;

	free(arg);
	if (!call_conn(r.call)) {
		call_done(r.call);
		return;
	}
	if (err == -ERR_DENIED) {
		if (cookie_ended(r.call) == AUTHN_REFUSED)
			error = E_UNAUTHORIZED;
	} else if (err) {
		error = E_UNAVAILABLE;
	} else {
		who->is_account = login->is_account;
		who->is_admin = login->is_admin;
		who->expires_ms = login->expires_ms;
		memset(who->name, 0, sizeof(who->name));
		memcpy(who->name, login->name.p, MIN(login->name.len, sizeof(who->name) - 1));
		who->key_id = keyring_current(r.call->wk->keyring, KEY_COOKIE)->id;
		authn_set_cookie(r.call, who);
	}
	r.done(r.call, error);
}

void authn_renew(struct call *call, authn_renewed_fn *done)
{
	struct renewal *r = xmalloc(sizeof(*r));

	*r = (struct renewal){call, done};
	renew_session(call->wk, &call->who.session, call_address(call), on_renewed, r);
}

bool authn_may_set_cookie(struct call *call)
{
	const struct conn *c = call_conn(call);

	return c && peer_cookie(c) != PEER_COOKIE_NONE;
}

static void put_cookie(struct call *call, struct str text, int64_t max_age_s)
{
	const struct conn *c = call_conn(call);
	struct buf line = BUF_INIT;

	if (!c || (text.len && peer_cookie(c) == PEER_COOKIE_NONE))
		return;
	buf_add_cstr(&line, "Set-Cookie: ");
	cookie_add_set(&line, text, max_age_s, peer_cookie(c) != PEER_COOKIE_PLAIN);
	buf_add(&line, "\r\n", 3); /* and the NUL */
	free(call->cookie);
	call->cookie = (char *)line.p;
}

void authn_set_cookie(struct call *call, const struct identity *who)
{
	struct cookie cookie = {
		.session = who->session,
		.user = who->user,
		.uid = who->uid,
		.is_guest = !who->is_account,
		.is_admin = who->is_admin,
		.room = who->room,
		.expires_ms = who->expires_ms,
	};
	int64_t life_ms = who->expires_ms - clock_wall_ms();
	struct buf text = BUF_INIT;

	memcpy(cookie.name, who->name, MIN(sizeof(cookie.name), sizeof(who->name)));
	if (life_ms > 0 && cookie_seal(call->wk->keyring, &cookie, &text) == 0)
		put_cookie(call, buf_str(&text), MAX(life_ms / 1000, 1));
	buf_done(&text);
}

void authn_clear_cookie(struct call *call)
{
	put_cookie(call, STR(""), 0);
}

/* ---- Sockets ---- */

void authn_keep(struct conn *c, const struct identity *who)
{
	authn_forget(c);
	if (who->by == BY_NONE)
		return;
	c->who = xmalloc(sizeof(*c->who));
	*c->who = *who;
}

void authn_forget(struct conn *c)
{
	free(c->who);
	c->who = NULL;
}

void authn_adopt(struct conn *c, const struct identity *who)
{
	struct worker *wk = conn_worker(c);

	free(c->name);
	c->name = xstrndup(who->name, strlen(who->name));
	c->user = who->user;
	c->is_account = who->is_account;
	c->is_admin = who->is_admin;
	c->session_id = who->session;
	c->auth_expires_ms = who->expires_ms;
	c->auth_key = who->key_id;
	if (who->expires_ms && (!wk->auth_end_ms || who->expires_ms < wk->auth_end_ms))
		wk->auth_end_ms = who->expires_ms;
	touch_note(wk, &who->session);
}

struct ending {
	int64_t now_ms, next_ms; /* 0: none */
};

static void end_socket(struct conn *c)
{
	c->auth_expires_ms = 0;
	ws_conn_error(c, E_UNAUTHORIZED, NULL, NULL, 0);
	ws_conn_close(c, E_UNAUTHORIZED);
}

static void end_if_due(struct conn *c, void *arg)
{
	struct ending *e = arg;

	if (!c->auth_expires_ms || (c->state != CONN_WS && c->state != CONN_SSE))
		return;
	if (c->auth_expires_ms <= e->now_ms)
		end_socket(c);
	else if (!e->next_ms || c->auth_expires_ms < e->next_ms)
		e->next_ms = c->auth_expires_ms;
}

void authn_expire(struct worker *wk)
{
	struct ending e = {.now_ms = clock_wall_ms()};

	if (!wk->auth_end_ms || wk->auth_end_ms > e.now_ms)
		return;
	conn_each(wk, end_if_due, &e);
	wk->auth_end_ms = e.next_ms;
}

static void end_if_keyless(struct conn *c, void *arg)
{
	const struct keyring *ring = arg;

	if ((c->state == CONN_WS || c->state == CONN_SSE) && !keyring_has(ring, c->auth_key))
		end_socket(c);
}

void authn_rekeyed(struct worker *wk)
{
	conn_each(wk, end_if_keyless, wk->keyring);
}
