/* SPDX-License-Identifier: MIT */
/*
 * Credentials to identities, and the end of those that sockets were opened with.
 * Knows no keys: token.c and cookie.c check; no rights: authz.c decides.
 */
#include "worker/authn.h"

#include "base/buf.h"
#include "base/clock.h"
#include "proto/http_field.h"
#include "worker/call.h"
#include "worker/conn.h"
#include "worker/route.h"
#include "worker/ws_conn.h"

enum proto_error authn_token(struct worker *wk, struct str token, struct identity *ret)
{
	(void)wk;
	(void)token;
	(void)ret;
	return E_UNAUTHORIZED;
}

/* ---- Requests ---- */

/* The token of "Bearer TOKEN" (RFC 6750 section 2.1); false for any other scheme. */
static bool bearer_token(struct str field, struct str *ret)
{
	static const char scheme[] = "bearer ";
	const size_t n = sizeof(scheme) - 1;

	if (field.len <= n || !str_ieq((struct str){field.p, n}, str_of(scheme)))
		return false;
	*ret = (struct str){field.p + n, field.len - n};
	while (ret->len && ret->p[0] == ' ') {
		ret->p++;
		ret->len--;
	}
	return ret->len > 0;
}

/* Browsers cannot set fields on sockets and event streams: those may carry it in the address. */
static enum proto_error by_query(struct call *call)
{
	struct buf text = BUF_INIT;
	int r = call->route->rate == ROUTE_RATE_UPGRADE
			? http_query_get(call->req, "token", &text)
			: -ERR_NOENT;
	enum proto_error error = E_NONE;

	if (r == 0)
		error = authn_token(call->wk, buf_str(&text), &call->who);
	else if (r != -ERR_NOENT)
		error = E_UNAUTHORIZED;
	buf_done(&text);
	return error;
}

enum proto_error authn_call(struct call *call)
{
	struct str field = http_header(call->req, "Authorization"), token;

	call->who = (struct identity){0};
	if (!field.p)
		return by_query(call);
	if (http_header_count(call->req, "Authorization") > 1 || !bearer_token(field, &token))
		return E_UNAUTHORIZED;
	return authn_token(call->wk, token, &call->who);
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
	if (who->expires_ms && (!wk->auth_end_ms || who->expires_ms < wk->auth_end_ms))
		wk->auth_end_ms = who->expires_ms;
}

struct ending {
	int64_t now_ms, next_ms; /* 0: none */
};

static void end_if_due(struct conn *c, void *arg)
{
	struct ending *e = arg;

	if (!c->auth_expires_ms || (c->state != CONN_WS && c->state != CONN_SSE))
		return;
	if (c->auth_expires_ms <= e->now_ms) {
		c->auth_expires_ms = 0;
		ws_conn_close(c, E_UNAUTHORIZED);
	} else if (!e->next_ms || c->auth_expires_ms < e->next_ms) {
		e->next_ms = c->auth_expires_ms;
	}
}

void authn_expire(struct worker *wk)
{
	struct ending e = {.now_ms = (int64_t)clock_wall_ms()};

	if (!wk->auth_end_ms || wk->auth_end_ms > e.now_ms)
		return;
	conn_each(wk, end_if_due, &e);
	wk->auth_end_ms = e.next_ms;
}
