/* SPDX-License-Identifier: MIT */
/*
 * Accounts are made, and people sign in, stay signed in and sign out.
 * Passwords are changed in rest_password.c, second factors in rest_totp.c, guests named in
 * rest_guests.c.
 */
#include "proto/json.h"
#include "proto/utf8.h"
#include "sql/accounts.h"
#include "sql/logins.h"
#include "worker/authn.h"
#include "worker/conn.h"
#include "worker/credentials.h"
#include "worker/dbio.h"
#include "worker/keyring.h"
#include "worker/limits.h"
#include "worker/login.h"
#include "worker/pwhash.h"
#include "worker/revoke.h"
#include "worker/routes.h"
#include "worker/session.h"

/* What the session will be like; answers and returns -ERR_INVAL when it may not be. */
static int take_wish(struct call *call, const struct json_value *body, struct login_wish *ret)
{
	struct fault fault;

	if (login_wish_take(call, body, ret, &fault) < 0) {
		call_fault(call, &fault, NULL);
		return -ERR_INVAL;
	}
	if (ret->is_cookie && !authn_may_set_cookie(call)) {
		call_error(call, E_FORBIDDEN, "A page can sign in over HTTPS only.");
		return -ERR_INVAL;
	}
	return 0;
}

/* ---- Register ---- */

/* An account that is being made. Everything is its own. */
struct making {
	struct call *call;
	struct login_wish wish;
	char *username, *password;
	char *email, *full_name, *avatar_url; /* may be NULL */
	int64_t guest;			    /* who becomes the account; 0: somebody new */
};

static void making_free(struct making *m)
{
	if (m->password)
		explicit_bzero(m->password, strlen(m->password));
	free(m->password);
	free(m->username);
	free(m->email);
	free(m->full_name);
	free(m->avatar_url);
	free(m);
}

/* FIELD is what somebody else has. */
static void answer_taken(struct call *call, const char *field, enum proto_error error,
			 const char *text)
{
	struct fault fault;

	fault_field(&fault, FAULT_VALUE, field, 0);
	fault.error = error;
	snprintf(fault.text, sizeof(fault.text), "%s", text);
	call_fault(call, &fault, NULL);
}

static void on_made(void *arg, int err, enum account_clash clash, const struct account *account)
{
	struct making *m = arg;
	struct call *call = m->call;

	if (!err) {
		session_name_changed(call->wk, str_of(m->username));
		if (m->guest)
			session_name_changed(call->wk, str_of(call->who.name));
		session_put_out(call->wk, str_of(m->username), account->id);
		login_end_guest(call); /* its cookie would become the account's */
		login_begin(call, 201, account->id, -1, &m->wish);
	} else if (err == -ERR_EXISTS && clash == ACCOUNT_CLASH_EMAIL) {
		answer_taken(call, "email", E_DUPLICATE, "The address has an account already.");
	} else if (err == -ERR_EXISTS) {
		answer_taken(call, "username", E_NAME_TAKEN, "The name is taken.");
	} else if (err == -ERR_NOENT) {
		call_error(call, E_CONFLICT, "The guest cannot become an account.");
	} else {
		call_db_error(call, err);
	}
	making_free(m);
}

static void on_hashed(struct worker *wk, void *arg, int err, bool matches, bool needs_rehash,
		      struct str phc)
{
	struct making *m = arg;
	struct account_new account = {
		.username = str_of(m->username),
		.email = str_of(m->email),
		.full_name = str_of(m->full_name),
		.avatar_url = str_of(m->avatar_url),
		.hash = phc,
		.guest = m->guest,
		.address = call_address(m->call),
	};

	(void)matches;
	(void)needs_rehash;
	if (!err)
		err = account_create(dbio_writer(wk), &account, dbio_deadline(wk), on_made, m,
				     NULL);
	else
		err = -ERR_UNAVAILABLE;
	if (err < 0)
		on_made(m, err, ACCOUNT_CLASH_NONE, NULL);
}

/* Whoever uses the name at this moment keeps it. */
static void on_free(struct worker *wk, void *arg, enum proto_error error)
{
	struct making *m = arg;

	if (!error && pwhash_make(wk, str_of(m->password), on_hashed, m) < 0)
		error = E_OVERLOADED;
	if (!error)
		return;
	if (error == E_NAME_TAKEN)
		answer_taken(m->call, "username", error, "A guest uses the name at present.");
	else
		call_error(m->call, error, NULL);
	making_free(m);
}

static char *copy_or_null(struct str s)
{
	return s.len ? xstrndup(s.p, s.len) : NULL;
}

/* Reads the form. Returns 0, or -ERR_INVAL. */
static int read_making(struct call *call, const struct json_value *body, struct making *m,
		       struct str *ret_password, struct fault *fault)
{
	static const struct json_str_rule name_rule = {0, 200, false}, url_rule = {0, 2048, false};
	struct str username = {0}, email = {0}, full_name = {0}, avatar_url = {0};
	int r = credentials_username(call, body, &username, fault);

	if (r == 0)
		r = credentials_new_password(call, body, "password", username, ret_password, fault);
	if (r == 0)
		r = credentials_email(body, false, &email, fault);
	if (r == 0 || r == -ERR_NOENT)
		r = json_get_str(body, "full_name", &name_rule, &full_name, fault);
	if (r == 0 || r == -ERR_NOENT)
		r = json_get_str(body, "avatar_url", &url_rule, &avatar_url, fault);
	full_name = full_name.p ? utf8_trim(full_name) : full_name;
	if (r == 0 || r == -ERR_NOENT)
		r = credentials_profile(full_name, avatar_url, fault);
	if (r < 0)
		return r;
	m->username = copy_or_null(username);
	m->email = copy_or_null(email);
	m->full_name = copy_or_null(full_name);
	m->avatar_url = copy_or_null(avatar_url);
	return 0;
}

static void make(struct call *call, const struct json_value *body, struct making *m)
{
	struct str password = {0};
	struct fault fault;

	m->call = call;
	if (read_making(call, body, m, &password, &fault) < 0) {
		call_fault(call, &fault, NULL);
		making_free(m);
		return;
	}
	if (!limits_call_take(call, LIMIT_REGISTRATIONS, limit_by_addr(&call->addr))) {
		call_error(call, E_RATE_LIMITED, NULL);
		making_free(m);
		return;
	}
	if (session_is_reserved(call->wk, str_of(m->username))) {
		answer_taken(call, "username", E_NAME_TAKEN, "The name is reserved.");
		making_free(m);
		return;
	}
	m->password = xstrndup(password.p, password.len);
	session_is_free(call->wk, str_of(m->username), m->guest, on_free, m);
}

void rest_auth_register(struct call *call)
{
	struct making *m = xcalloc(1, sizeof(*m));
	const struct json_value *body;
	struct json_doc *doc = NULL;

	if (!call->wk->settings->auth_registration) {
		call_error(call, E_FORBIDDEN, "Accounts are made by the operator here.");
		free(m);
		return;
	}
	body = credentials_body(call, &doc);
	if (!body || take_wish(call, body, &m->wish) < 0) {
		free(m);
	} else {
		/* a guest with a cookie stays who they are, with all they have written */
		if (call->who.user && !call->who.is_account)
			m->guest = call->who.user;
		make(call, body, m);
	}
	json_doc_free(&doc);
}

/* ---- Login ---- */

struct signing {
	struct login_wish wish;
};

static void on_proved(struct call *call, void *arg, enum proto_error error,
		      const struct proved *who)
{
	struct signing *s = arg;

	if (error) {
		call_error(call, error, NULL);
	} else {
		if (s->wish.is_cookie) /* takes the place of the guest's */
			login_end_guest(call);
		login_begin(call, 200, who->user, who->credentials, &s->wish);
	}
	free(s);
}

/* One of the ways to name oneself. */
static int read_login(const struct json_value *body, struct str *ret, struct fault *fault)
{
	static const struct json_str_rule rule = {1, EMAIL_MAX, false};
	static const char *const keys[] = {"username", "email", "login"};
	int r = -ERR_NOENT;

	for (size_t i = 0; i < ARRAY_LEN(keys) && r == -ERR_NOENT; i++)
		r = json_get_str(body, keys[i], &rule, ret, fault);
	if (r == -ERR_NOENT)
		fault_field(fault, FAULT_MISSING, "username", 0);
	return r < 0 ? -ERR_INVAL : 0;
}

static int read_proof(const struct json_value *body, struct proof *proof, struct fault *fault)
{
	static const struct json_str_rule rule = {0, 64, false};
	static const char *const keys[] = {"totp", "recovery_code"};
	int r = read_login(body, &proof->login, fault);

	if (r == 0)
		r = credentials_password(body, "password", &proof->password, fault);
	for (size_t i = 0; i < ARRAY_LEN(keys) && (r == 0 || r == -ERR_NOENT); i++)
		if (!proof->code.p)
			r = json_get_str(body, keys[i], &rule, &proof->code, fault);
	return r == -ERR_NOENT ? 0 : r;
}

void rest_auth_login(struct call *call)
{
	struct signing *s = xcalloc(1, sizeof(*s));
	const struct json_value *body;
	struct json_doc *doc = NULL;
	struct proof proof = {0};
	struct fault fault;

	body = credentials_body(call, &doc);
	if (!body || take_wish(call, body, &s->wish) < 0) {
		free(s);
	} else if (read_proof(body, &proof, &fault) < 0) {
		call_fault(call, &fault, NULL);
		free(s);
	} else {
		credentials_prove(call, &proof, on_proved, s);
	}
	json_doc_free(&doc);
}

/* ---- Refresh ---- */

struct refreshing {
	struct call *call;
	struct login_token shown, next;
};

static void on_refreshed(void *arg, int err, const struct login *login)
{
	struct refreshing *r = arg;
	struct call *call = r->call;

	if (err == -ERR_CLOSED) /* used before: it was copied by somebody */
		revoke_session(call->wk, &r->shown.session);
	if (!err)
		login_go_on(call, login, &r->next);
	else if (err == -ERR_CLOSED || err == -ERR_DENIED || err == -ERR_INVAL)
		call_error(call, limits_call_failed(call), NULL);
	else
		call_db_error(call, err);
	explicit_bzero(r, sizeof(*r));
	free(r);
}

/* Member "refresh_token" of a body. Returns 0, -ERR_NOENT or -ERR_INVAL. */
static int read_token(const struct json_value *body, bool required, struct login_token *ret,
		      struct fault *fault)
{
	const struct json_str_rule rule = {0, 4096, required};
	struct str text;
	int r = json_get_str(body, "refresh_token", &rule, &text, fault);

	if (r == 0 && login_token_parse(text, ret) < 0) {
		fault_set(fault, E_UNAUTHORIZED);
		r = -ERR_INVAL;
	}
	return r;
}

void rest_auth_refresh(struct call *call)
{
	struct worker *wk = call->wk;
	const struct key *key = keyring_current(wk->keyring, KEY_REFRESH);
	struct refreshing *r = xcalloc(1, sizeof(*r));
	const struct json_value *body;
	struct json_doc *doc = NULL;
	struct fault fault;
	int err;

	r->call = call;
	body = credentials_body(call, &doc);
	if (!body || read_token(body, true, &r->shown, &fault) < 0) {
		if (body && fault.error == E_UNAUTHORIZED)
			call_error(call, limits_call_failed(call), NULL);
		else if (body)
			call_fault(call, &fault, NULL);
		free(r);
		json_doc_free(&doc);
		return;
	}
	json_doc_free(&doc);
	login_token_next(&r->shown, key->bytes, sizeof(key->bytes), &r->next);
	err = login_refresh(dbio_writer(wk), &r->shown, &r->next, wk->settings->auth_session_ttl,
			    wk->settings->auth_refresh_grace, call_address(call),
			    dbio_deadline(wk), on_refreshed, r, NULL);
	if (err < 0)
		on_refreshed(r, err, NULL);
}

/* ---- Logout ---- */

/* Whoever is over already is signed out as well. */
static void on_ended(void *arg, int err, const struct uuid *sessions, size_t n)
{
	struct call *call = arg;

	if (err && err != -ERR_NOENT) {
		call_db_error(call, err);
		return;
	}
	login_ended(call->wk, sessions, err ? 0 : n);
	login_answer_nothing(call);
}

/* {"refresh_token":…} or {"all":true}, if there is a body at all. */
static int read_logout(struct call *call, struct login_token *ret_token, bool *ret_all,
		       struct fault *fault)
{
	struct json_doc *doc = NULL;
	int r;

	if (!call->req->body.len)
		return -ERR_NOENT;
	r = json_parse(call->req->body, 4, &doc, fault);
	if (r < 0)
		return r;
	r = json_get_bool(json_root(doc), "all", false, ret_all, fault);
	if (r == 0 || r == -ERR_NOENT)
		r = read_token(json_root(doc), false, ret_token, fault);
	json_doc_free(&doc);
	return r;
}

void rest_auth_logout(struct call *call)
{
	struct worker *wk = call->wk;
	const struct identity *who = &call->who;
	struct login_token token = {0};
	bool is_all = false;
	struct fault fault;
	int r = read_logout(call, &token, &is_all, &fault);

	if (r < 0 && r != -ERR_NOENT) {
		call_fault(call, &fault, NULL);
		return;
	}
	if (r == -ERR_NOENT && !who->user && who->by != BY_COOKIE) {
		call_error(call, E_UNAUTHORIZED, NULL);
		return;
	}
	if (who->by == BY_COOKIE)
		authn_clear_cookie(call);
	if (r == 0)
		r = login_revoke_token(dbio_writer(wk), &token, call_address(call),
				       dbio_deadline(wk), on_ended, call, NULL);
	else if (who->user && is_all)
		r = login_revoke_all(dbio_writer(wk), who->user, NULL, call_address(call),
				     dbio_deadline(wk), on_ended, call, NULL);
	else if (who->user)
		r = login_revoke(dbio_writer(wk), who->user, &who->session, call_address(call),
				 dbio_deadline(wk), on_ended, call, NULL);
	else
		on_ended(call, r = -ERR_NOENT, NULL, 0);
	if (r < 0 && r != -ERR_NOENT)
		on_ended(call, r, NULL, 0);
}
