/* SPDX-License-Identifier: MIT */
/*
 * Profiles: one's own, others', finding people by the beginning of their username, and going.
 * What a profile has is decided by sql/accounts.h, which shows an e-mail address to its owner
 * alone.
 */
#include "proto/http_field.h"
#include "proto/json.h"
#include "proto/names.h"
#include "proto/utf8.h"
#include "sql/accounts.h"
#include "worker/authn.h"
#include "worker/credentials.h"
#include "worker/dbio.h"
#include "worker/fanout.h"
#include "worker/login.h"
#include "worker/mail.h"
#include "worker/rest.h"
#include "worker/revoke.h"
#include "worker/routes.h"
#include "worker/stale.h"

#define SEARCH_DEFAULT 20
#define SEARCH_MAX 50

static void on_profile(void *arg, int err, struct str json)
{
	struct call *call = arg;
	struct fault fault;

	if (!err) {
		call_json(call, 200, json);
	} else if (err == -ERR_NOENT) {
		call_error(call, E_NOT_FOUND, "There is no such user.");
	} else if (err == -ERR_EXISTS) {
		fault_field(&fault, FAULT_VALUE, "email", 0);
		fault.error = E_DUPLICATE;
		call_fault(call, &fault, NULL);
	} else {
		call_db_error(call, err);
	}
}

/* One's own: what If-Match of a change can name. */
static void on_self(void *arg, int err, struct str json)
{
	struct call *call = arg;

	if (!err)
		etag_of_profile(json, call->etag);
	on_profile(arg, err, json);
}

void rest_users_me(struct call *call)
{
	int r = account_get(dbio_reader(call->wk), call->who.user, NULL, true,
			    dbio_deadline(call->wk), on_self, call, NULL);

	if (r < 0)
		on_self(call, r, STR(""));
}

void rest_users_get(struct call *call)
{
	int r = -ERR_NOENT;

	if (call->path_id[0] || !uuid_is_zero(&call->path_uuid[0]))
		r = account_get(dbio_reader(call->wk), call->path_id[0], &call->path_uuid[0], false,
				dbio_deadline(call->wk), on_profile, call, NULL);
	if (r < 0)
		on_profile(call, r, STR(""));
}

/* ---- Change ---- */

/* A member that is null takes the value away, one that is absent leaves it. */
static int take_text(const struct json_value *body, const char *key, uint32_t max, struct str *ret,
		     struct fault *fault)
{
	const struct json_str_rule rule = {0, max, false};
	const struct json_value *member;
	struct str name;
	size_t pos = 0;
	int r;

	while (json_next(body, &pos, &name, &member))
		if (str_eq(name, str_of(key)) && json_kind_of(member) == JSON_KIND_NULL)
			*ret = STR("");
	r = json_get_str(body, key, &rule, ret, fault);
	return r == -ERR_NOENT ? 0 : r;
}

/* Everything is its own; strings p NULL stay as they are. */
struct patching {
	struct call *call;
	struct account_patch patch;
	int64_t credentials;
	struct str if_match; /* the field; p NULL: none */
	bool is_moved; /* the address is to change */
};

static struct str keep(struct str s)
{
	return s.p ? (struct str){xstrndup(s.p, s.len), s.len} : s;
}

static void patching_free(struct patching *p)
{
	free((char *)p->patch.full_name.p);
	free((char *)p->patch.avatar_url.p);
	free((char *)p->patch.email.p);
	free((char *)p->patch.seen.p);
	free((char *)p->if_match.p);
	free(p);
}

static int read_patch(const struct json_value *body, struct account_patch *ret,
		      struct fault *fault)
{
	int r = take_text(body, "full_name", 200, &ret->full_name, fault);

	if (r == 0)
		r = take_text(body, "avatar_url", 2048, &ret->avatar_url, fault);
	if (r == 0)
		r = take_text(body, "email", EMAIL_MAX, &ret->email, fault);
	if (r < 0)
		return r;
	ret->full_name = ret->full_name.p ? utf8_trim(ret->full_name) : ret->full_name;
	if (ret->email.len) {
		ret->email = utf8_trim(ret->email);
		if (!credentials_email_valid(ret->email)) {
			fault_field(fault, FAULT_VALUE, "email", 0);
			return -ERR_INVAL;
		}
	}
	return credentials_profile(ret->full_name, ret->avatar_url, fault);
}

static void on_patched(void *arg, int err, struct str old_email)
{
	struct patching *p = arg;
	struct call *call = p->call;
	struct worker *wk = call->wk;

	if (!err && old_email.len)
		mail_moved(wk, call->who.user, old_email, str_of(call->who.name));
	if (err == -ERR_NOENT && p->patch.seen.p) { /* another change since it was compared */
		call->etag[0] = '\0';
		call_error(call, E_CHANGED, NULL);
		patching_free(p);
		return;
	}
	if (err == -ERR_NOENT && p->is_moved) { /* another password meanwhile */
		call_error(call, E_BAD_PASSWORD, NULL);
		patching_free(p);
		return;
	}
	patching_free(p);
	if (!err)
		err = account_get(dbio_writer(wk), call->who.user, NULL, true, dbio_deadline(wk),
				  on_self, call, NULL);
	if (err < 0)
		on_self(call, err, STR(""));
}

static void store(struct patching *p)
{
	struct call *call = p->call;
	struct worker *wk = call->wk;
	int r = account_patch(dbio_writer(wk), call->who.user, &p->patch, p->credentials,
			      call_address(call), dbio_deadline(wk), on_patched, p, NULL);

	if (r < 0)
		on_patched(p, r, (struct str){0});
}

/*
 * RFC 9110 section 13.1.1: which of the client's tags is that of what there is. That it still is,
 * the change makes sure of.
 */
static void on_present(void *arg, int err, struct str json)
{
	struct patching *p = arg;
	struct call *call = p->call;

	if (err) {
		patching_free(p);
		on_profile(call, err, STR(""));
		return;
	}
	etag_of_profile(json, call->etag);
	if (!http_etag_match(p->if_match, str_of(call->etag), false)) {
		patching_free(p);
		call_error(call, E_CHANGED, NULL);
		return;
	}
	if (!str_eq(p->if_match, STR("*")))
		p->patch.seen = keep((struct str){call->etag + 1, strlen(call->etag) - 2});
	store(p);
}

static void patch(struct patching *p)
{
	struct worker *wk = p->call->wk;
	int r;

	if (!p->if_match.p) {
		store(p);
		return;
	}
	r = account_get(dbio_writer(wk), p->call->who.user, NULL, true, dbio_deadline(wk),
			on_present, p, NULL);
	if (r < 0)
		on_present(p, r, STR(""));
}

static void on_proved(struct call *call, void *arg, enum proto_error error,
		      const struct proved *who)
{
	struct patching *p = arg;

	if (credentials_refused(call, error)) {
		patching_free(p);
		return;
	}
	p->credentials = who->credentials;
	patch(p);
}

/*
 * Whoever has the address can set a new password: a token alone, which may be stolen, does not
 * change it.
 */
void rest_users_patch(struct call *call)
{
	struct proof proof = {.user = call->who.user, .no_factor = true};
	struct account_patch read = {0};
	struct json_doc *doc = NULL;
	const struct json_value *body = credentials_body(call, &doc);
	struct buf if_match = BUF_INIT;
	struct patching *p;
	struct fault fault;

	if (!body)
		return;
	if (read_patch(body, &read, &fault) < 0 ||
	    (read.email.p && credentials_password(body, "password", &proof.password, &fault) < 0)) {
		call_fault(call, &fault, NULL);
		json_doc_free(&doc);
		return;
	}
	p = xcalloc(1, sizeof(*p));
	p->call = call;
	p->patch = (struct account_patch){keep(read.full_name), keep(read.avatar_url),
					  keep(read.email), {NULL, 0}};
	if (http_header_join(call->req, "If-Match", &if_match))
		p->if_match = keep(if_match.len ? buf_str(&if_match) : STR(""));
	buf_done(&if_match);
	p->credentials = ACCOUNT_CREDENTIALS_ANY;
	p->is_moved = read.email.p;
	if (p->is_moved)
		credentials_prove(call, &proof, on_proved, p);
	else
		patch(p);
	json_doc_free(&doc);
}

/* ---- Going ---- */

static void on_erased(void *arg, int err, const struct uuid *sessions, size_t n,
		      const int64_t *convs, size_t n_convs)
{
	struct call *call = arg;
	struct worker *wk = call->wk;

	if (err == -ERR_NOENT) { /* another password meanwhile */
		call_error(call, E_BAD_PASSWORD, NULL);
		return;
	}
	if (err) {
		call_db_error(call, err);
		return;
	}
	login_ended(wk, sessions, n);
	revoke_user(wk, call->who.user);
	for (size_t i = 0; i < n_convs; i++) {
		stale_forget(wk, convs[i]);
		revoke_member(wk, convs[i], 0); /* it may have another owner */
		fanout_republish(wk, convs[i]);
	}
	authn_clear_cookie(call);
	login_answer_nothing(call);
}

static void on_owner_proved(struct call *call, void *arg, enum proto_error error,
			    const struct proved *who)
{
	struct worker *wk = call->wk;
	int r;

	(void)arg;
	if (credentials_refused(call, error))
		return;
	r = account_erase(dbio_writer(wk), who->user, who->credentials, call_address(call),
			  dbio_deadline(wk), on_erased, call, NULL);
	if (r < 0)
		on_erased(call, r, NULL, 0, NULL, 0);
}

void rest_users_erase(struct call *call)
{
	credentials_confirm(call, on_owner_proved);
}

/* ---- Search ---- */

static void on_found(void *arg, int err, struct str json)
{
	struct call *call = arg;
	struct buf body = BUF_INIT;

	if (err) {
		call_db_error(call, err);
		return;
	}
	buf_add_char(&body, '{');
	json_add_key_raw(&body, "users", json);
	buf_add_char(&body, '}');
	call_json(call, 200, buf_str(&body));
	buf_done(&body);
}

void rest_users_search(struct call *call)
{
	int64_t limit = SEARCH_DEFAULT;
	struct buf query = BUF_INIT;
	struct fault fault;
	int r = http_query_get(call->req, "q", &query);

	if (r < 0 || !query.len) {
		fault_field(&fault, r == -ERR_NOENT ? FAULT_MISSING : FAULT_VALUE, "q", 0);
		call_fault(call, &fault, NULL);
	} else if (rest_query_number(call->req, "limit", 1, SEARCH_MAX, &limit, &fault) ==
		   -ERR_INVAL) {
		call_fault(call, &fault, NULL);
	} else {
		r = account_search(dbio_reader(call->wk), buf_str(&query), (int)limit,
				   dbio_deadline(call->wk), on_found, call, NULL);
		if (r < 0)
			on_found(call, r, STR(""));
	}
	buf_done(&query);
}
