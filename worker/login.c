/* SPDX-License-Identifier: MIT */
/*
 * The last steps of signing in: a session's row, then its tokens or its cookie, then the profile.
 * Passwords and factors are checked by others.
 */
#include "worker/login.h"

#include "base/clock.h"
#include "proto/json.h"
#include "proto/utf8.h"
#include "sql/accounts.h"
#include "worker/authn.h"
#include "worker/dbio.h"
#include "worker/keyring.h"
#include "worker/limits.h"
#include "worker/revoke.h"
#include "worker/token.h"

/* A session on its way to the client. */
struct opening {
	struct call *call;
	int status;
	bool is_cookie;
	struct login_token refresh; /* zero in a cookie's */
	struct buf body;	    /* the answer but for the profile */
};

static void opening_free(struct opening *o)
{
	explicit_bzero(&o->refresh, sizeof(o->refresh));
	buf_done(&o->body);
	free(o);
}

/* ---- What is wanted ---- */

/* Whole characters that fit; what is no text is left out. */
static void take_device(struct str s, struct login_wish *ret)
{
	if (!s.p || !utf8_valid(s.p, s.len))
		return;
	s.len = MIN(s.len, (size_t)LOGIN_DEVICE_MAX);
	while (s.len && !utf8_valid(s.p, s.len))
		s.len--;
	memcpy(ret->device, s.p, s.len);
	ret->device[s.len] = '\0';
}

int login_wish_take(const struct call *call, const struct json_value *body, struct login_wish *ret,
		    struct fault *ret_fault)
{
	static const struct json_str_rule device_rule = {0, 200, false};
	struct str device = http_header(call->req, "User-Agent");
	int r;

	*ret = (struct login_wish){
		.is_cookie = str_eq(http_header(call->req, "Sec-Fetch-Site"), STR("same-origin"))};
	r = json_get_bool(body, "cookie", false, &ret->is_cookie, ret_fault);
	if (r == 0 || r == -ERR_NOENT)
		r = json_get_str(body, "device", &device_rule, &device, ret_fault);
	if (r < 0 && r != -ERR_NOENT)
		return r;
	take_device(device, ret);
	return 0;
}

/* ---- The answer ---- */

/* One answer with secrets: kept nowhere. */
static void answer(struct opening *o, struct str user)
{
	struct call *call = o->call;

	json_add_key_raw(&o->body, "user", user);
	buf_add_char(&o->body, '}');
	limits_call_proved(call);
	call_json(call, o->status, buf_str(&o->body));
	opening_free(o);
}

static void on_profile(void *arg, int err, struct str json)
{
	struct opening *o = arg;
	struct call *call = o->call;

	if (!err) {
		answer(o, json);
		return;
	}
	opening_free(o);
	call_db_error(call, err);
}

static int add_token(struct opening *o, const struct login *login)
{
	const struct keyring *ring = o->call->wk->keyring;
	struct token token = {
		.uid = login->uid,
		.user = login->user,
		.session = login->session,
		.is_admin = login->is_admin,
	};
	struct buf text = BUF_INIT;
	int r;

	memcpy(token.name, login->name.p, MIN(login->name.len, sizeof(token.name) - 1));
	r = token_issue(ring, &token, &text);
	if (r == 0) {
		json_add_key_str(&o->body, "token", buf_str(&text));
		json_add_key_str(&o->body, "access_token", buf_str(&text));
		json_add_key_cstr(&o->body, "token_type", "bearer");
		json_add_key_i64(&o->body, "expires_in", keyring_access_ttl_ms(ring) / 1000);
	}
	buf_done(&text);
	return r;
}

static void add_refresh(struct opening *o)
{
	char text[LOGIN_TOKEN_LEN + 1];

	login_token_format(&o->refresh, text);
	json_add_key_cstr(&o->body, "refresh_token", text);
	explicit_bzero(text, sizeof(text));
}

void login_set_cookie(struct call *call, const struct login *login)
{
	struct identity who = {
		.user = login->user,
		.uid = login->uid,
		.session = login->session,
		.expires_ms = login->expires_ms,
		.is_account = login->is_account,
		.is_admin = login->is_admin,
		.by = BY_COOKIE,
	};

	memcpy(who.name, login->name.p, MIN(login->name.len, sizeof(who.name) - 1));
	authn_set_cookie(call, &who);
}

/* The session stands: its secrets, then the profile of whose it is. */
static void tell(struct opening *o, const struct login *login)
{
	struct call *call = o->call;
	int r = 0;

	buf_add_char(&o->body, '{');
	if (o->is_cookie)
		login_set_cookie(call, login);
	else
		r = add_token(o, login);
	if (!o->is_cookie && r == 0)
		add_refresh(o);
	json_add_key_time(&o->body, "session_expires_at", login->expires_ms);
	if (r == 0)
		r = account_get(dbio_writer(call->wk), login->user, NULL, true,
				dbio_deadline(call->wk), on_profile, o, NULL);
	if (r < 0)
		on_profile(o, r, STR(""));
}

/* ---- Begin ---- */

static void on_login(void *arg, int err, const struct login *login)
{
	struct opening *o = arg;
	struct call *call = o->call;

	if (!err) {
		tell(o, login);
		return;
	}
	opening_free(o);
	if (err == -ERR_DENIED)
		call_error(call, E_BAD_LOGIN, NULL);
	else
		call_db_error(call, err);
}

void login_begin(struct call *call, int status, int64_t user, int64_t credentials,
		 const struct login_wish *wish)
{
	const struct settings *s = call->wk->settings;
	struct opening *o = xcalloc(1, sizeof(*o));
	struct login_new login = {
		.user = user,
		.kind = wish->is_cookie ? LOGIN_COOKIE : LOGIN_REFRESH,
		.credentials = credentials,
		.device = str_of(wish->device[0] ? wish->device : NULL),
		.address = call_address(call),
		.ttl_ms = s->auth_session_ttl,
		.sessions_max = (int)s->auth_sessions_max,
	};
	int r = login_token_new(&o->refresh);

	o->call = call;
	o->status = status;
	o->is_cookie = wish->is_cookie;
	login.token = o->refresh;
	if (r == 0)
		r = login_create(dbio_writer(call->wk), &login, dbio_deadline(call->wk), on_login,
				 o, NULL);
	explicit_bzero(&login.token, sizeof(login.token));
	if (r < 0)
		on_login(o, r, NULL);
}

void login_go_on(struct call *call, const struct login *login, const struct login_token *next)
{
	struct opening *o = xcalloc(1, sizeof(*o));

	o->call = call;
	o->status = 200;
	o->refresh = *next;
	tell(o, login);
}

void login_ended(struct worker *wk, const struct uuid *sessions, size_t n)
{
	for (size_t i = 0; i < n; i++)
		revoke_session(wk, &sessions[i]);
}

static void on_guest_ended(void *arg, int err, const struct uuid *sessions, size_t n)
{
	login_ended(arg, sessions, err ? 0 : n);
}

void login_end_guest(struct call *call)
{
	const struct identity *who = &call->who;
	int r;

	if (!who->user || who->is_account)
		return;
	revoke_session(call->wk, &who->session);
	r = login_revoke(dbio_writer(call->wk), who->user, &who->session, call_address(call),
			 dbio_deadline(call->wk), on_guest_ended, call->wk, NULL);
	(void)r; /* until the cookie would be asked about it is revoked anyway */
}

void login_answer_nothing(struct call *call)
{
	call_answer(call, 204, NULL, "Cache-Control: no-store\r\n", STR(""));
}
