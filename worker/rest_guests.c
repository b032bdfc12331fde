/* SPDX-License-Identifier: MIT */
/*
 * A guest takes a name for as long as the browser keeps the cookie that this gives out.
 * Whether the name is to be had is guests.c's.
 */
#include "proto/json.h"
#include "proto/names.h"
#include "worker/authn.h"
#include "worker/credentials.h"
#include "worker/guests.h"
#include "worker/login.h"
#include "worker/routes.h"

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

static void on_bound(struct call *call, void *arg, enum proto_error error,
		     const struct login *login)
{
	(void)arg;
	if (error) {
		call_error(call, error, NULL);
		return;
	}
	login_set_cookie(call, login);
	answer(call, login);
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
	struct json_doc *doc = NULL;
	const struct json_value *body = credentials_body(call, &doc);
	struct login_wish wish;
	struct fault fault;
	struct str name;

	if (!body)
		;
	else if (names_get(body, "name", max, true, &name, &fault) < 0 ||
		 login_wish_take(call, body, &wish, &fault) < 0)
		call_fault(call, &fault, NULL);
	else if (is_own(call, name))
		answer_own(call);
	else if (!authn_may_set_cookie(call))
		call_error(call, E_FORBIDDEN, "A cookie is given over HTTPS only.");
	else
		guest_bind(call, name, &wish, on_bound, NULL);
	json_doc_free(&doc);
}
