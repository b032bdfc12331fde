/* SPDX-License-Identifier: MIT */
/*
 * A guest takes a name for as long as the browser keeps the cookie that this gives out.
 * Guests without one are session.c's.
 */
#include "proto/json.h"
#include "proto/names.h"
#include "shm/presence.h"
#include "sql/guests.h"
#include "worker/authn.h"
#include "worker/credentials.h"
#include "worker/dbio.h"
#include "worker/limits.h"
#include "worker/login.h"
#include "worker/routes.h"
#include "worker/session.h"

/* A name that is being claimed. */
struct claiming {
	struct call *call;
	struct login_wish wish;
	char *name; /* owned */
};

static void claiming_free(struct claiming *c)
{
	free(c->name);
	free(c);
}

static void refuse(struct claiming *c, enum proto_error error)
{
	call_error(c->call, error, NULL);
	claiming_free(c);
}

static void answer(struct call *call, const struct login *login)
{
	struct buf body = BUF_INIT;
	char uid[UUID_TEXT_LEN + 1];

	uuid_format(&login->uid, uid);
	buf_add_cstr(&body, "{\"user\":{");
	json_add_key_i64(&body, "id", login->user);
	json_add_key_cstr(&body, "uid", uid);
	json_add_key_cstr(&body, "kind", "guest");
	json_add_key_str(&body, "name", login->name);
	buf_add_char(&body, '}');
	json_add_key_time(&body, "session_expires_at", login->expires_ms);
	buf_add_char(&body, '}');
	call_json(call, 201, buf_str(&body));
	buf_done(&body);
}

static void on_claimed(void *arg, int err, const struct login *login)
{
	struct claiming *c = arg;
	struct call *call = c->call;

	if (err == -ERR_EXISTS) {
		refuse(c, E_NAME_TAKEN);
		return;
	}
	if (err == -ERR_DENIED || err == -ERR_INVAL) {
		refuse(c, err == -ERR_DENIED ? E_FORBIDDEN : E_BAD_NAME);
		return;
	}
	if (err) {
		call_db_error(call, err);
	} else {
		session_names_changed(call->wk);
		login_end_guest(call); /* the name that it had before is free again */
		login_set_cookie(call, login);
		answer(call, login);
	}
	claiming_free(c);
}

/* A name that somebody is using at this moment is not to be had, whoever that is. */
static void on_guest(struct worker *wk, void *arg, enum proto_error error, int64_t user,
		     struct str name)
{
	struct claiming *c = arg;
	struct guest_claim claim = {
		.name = name,
		.session = uuid_v7(),
		.device = str_of(c->wish.device[0] ? c->wish.device : NULL),
		.address = call_address(c->call),
		.ttl_ms = wk->settings->auth_session_ttl,
	};
	bool is_here = false;
	int r;

	if (!error && (member_is_present(wk->shm, (unsigned)wk->slot, MEMBER_NODE, user, false,
					 &is_here) < 0 ||
		       is_here))
		error = E_NAME_TAKEN;
	if (error) {
		refuse(c, error);
		return;
	}
	r = guest_claim(dbio_writer(wk), &claim, dbio_deadline(wk), on_claimed, c, NULL);
	if (r < 0)
		on_claimed(c, r, NULL);
}

/* Whose cookie holds the name already keeps it. */
static bool is_own(const struct call *call, struct str name)
{
	return call->who.user && !call->who.is_account && names_same(name, str_of(call->who.name));
}

static void answer_own(struct call *call)
{
	const struct identity *who = &call->who;

	answer(call, &(struct login){.session = who->session,
				     .user = who->user,
				     .uid = who->uid,
				     .name = str_of(who->name),
				     .expires_ms = who->expires_ms});
}

void rest_guests_claim(struct call *call)
{
	size_t max = (size_t)call->wk->settings->chat_name_max;
	struct claiming *c = xcalloc(1, sizeof(*c));
	struct json_doc *doc = NULL;
	const struct json_value *body = credentials_body(call, &doc);
	struct fault fault;
	struct str name;

	c->call = call;
	if (!body) {
		claiming_free(c);
	} else if (names_get(body, "name", max, true, &name, &fault) < 0 ||
		   login_wish_take(call, body, &c->wish, &fault) < 0) {
		call_fault(call, &fault, NULL);
		claiming_free(c);
	} else if (is_own(call, name)) {
		answer_own(call);
		claiming_free(c);
	} else if (!authn_may_set_cookie(call)) {
		call_error(call, E_FORBIDDEN, "A cookie is given over HTTPS only.");
		claiming_free(c);
	} else if (!limits_call_take(call, LIMIT_GUEST_NAMES, limit_by_addr(&call->addr))) {
		refuse(c, E_RATE_LIMITED);
	} else {
		c->name = xstrndup(name.p, name.len);
		session_guest(call->wk, str_of(c->name), on_guest, c);
	}
	json_doc_free(&doc);
}
