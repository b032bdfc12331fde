/* SPDX-License-Identifier: MIT */
/*
 * The start: a form with a name and a code, and what follows from it. Finding or opening the room,
 * taking the name and becoming a member come one after the other; the cookie comes last.
 */
#include "proto/http_field.h"
#include "proto/names.h"
#include "sql/changes.h"
#include "worker/authn.h"
#include "worker/codes.h"
#include "worker/dbio.h"
#include "worker/guests.h"
#include "worker/pages.h"
#include "worker/persist.h"
#include "worker/revoke.h"
#include "worker/routes.h"

/* Somebody on the way into a room. */
struct entering {
	struct call *call;
	struct buf name, code; /* owned: as typed, for the page that says what is wrong with them */
	struct buf normal;     /* owned: the name as it is kept */
	struct login_wish wish;
	bool is_join;
	int64_t conv; /* when it is known */
};

static void entering_free(struct entering *e)
{
	buf_done(&e->name);
	buf_done(&e->code);
	buf_done(&e->normal);
	free(e);
}

/* ---- The page ---- */

/* FIELD: which one is wrong; NULL: none. */
static void show(struct call *call, int status, struct str name, struct str code,
		 const char *field, struct str notice)
{
	static const char wrong_state[] =
		" aria-invalid=\"true\" aria-describedby=\"notice\" autofocus";
	const struct str wrong = str_of(wrong_state);
	bool is_name = field && strcmp(field, "name") == 0;
	bool is_code = field && strcmp(field, "code") == 0;
	struct buf html = BUF_INIT;

	pages_add_notice(call, &html, status >= 400 ? "error" : "info", notice);
	pages_answer(call, status, "start.html",
		    (struct html_value[]){
			    {"notice", buf_str(&html), true},
			    {"name", name, false},
			    {"code", code, false},
			    {"name_state", is_name ? wrong : STR(""), true},
			    {"code_state", is_code ? wrong : STR(""), true},
		    },
		    5);
	buf_done(&html);
}

/* The page of scripts and files, unless there is something to say. */
void page_home(struct call *call)
{
	struct str notice = pages_notice_text(call->req);

	if (notice.p)
		show(call, 200, STR(""), STR(""), NULL, notice);
	else
		static_page(call);
}

static void refuse(struct entering *e, enum proto_error error, const char *field, const char *text)
{
	struct call *call = e->call;

	show(call, pages_status(error), buf_str(&e->name), buf_str(&e->code), field,
	     str_of(text ? text : error_info(error)->text));
	entering_free(e);
}

/* ---- Becoming a member ---- */

static void on_joined(struct worker *wk, void *arg, const struct persist_result *res)
{
	struct entering *e = arg;
	struct call *call = e->call;

	if (res->error == E_NO_SUCH_ROOM) {
		refuse(e, E_NO_SUCH_ROOM, "code", NULL);
		return;
	}
	if (res->error) {
		refuse(e, res->error, NULL, NULL);
		return;
	}
	revoke_member(wk, e->conv, call->who.user);
	if (call->who.room && call->who.room != e->conv)
		codes_left(wk, call->who.room, call->who.user);
	pages_set_room(call, e->conv);
	pages_redirect(call, 302, "/room");
	entering_free(e);
}

static void join(struct entering *e)
{
	struct call *call = e->call;
	const struct log_change change = {
		.kind = KIND_MEMBER_JOIN,
		.conv = e->conv,
		.actor = call->who.user,
		.subject = call->who.user,
		.address = str_of(call->address),
	};

	if (persist_change(call->wk, &change, str_of(call->who.name), &call->who.session,
			   on_joined, e) < 0)
		refuse(e, E_UNAVAILABLE, NULL, NULL);
}

/* ---- The name ---- */

static void on_bound(struct call *call, void *arg, enum proto_error error,
		     const struct login *login)
{
	struct entering *e = arg;

	if (error == E_NAME_TAKEN || error == E_BAD_NAME) {
		refuse(e, error, "name",
		       error == E_NAME_TAKEN ? "This name belongs to somebody else: choose another."
					     : NULL);
		return;
	}
	if (error) {
		refuse(e, error, NULL, NULL);
		return;
	}
	call->who = (struct identity){
		.user = login->user,
		.uid = login->uid,
		.session = login->session,
		.expires_ms = login->expires_ms,
		.by = BY_COOKIE,
	};
	memcpy(call->who.name, login->name.p, MIN(login->name.len, sizeof(call->who.name) - 1));
	join(e);
}

/* Accounts come under their own name; a guest who keeps the name keeps the session. */
static bool is_known(const struct entering *e)
{
	const struct identity *who = &e->call->who;

	return who->user && (who->is_account || str_eq(buf_str(&e->normal), str_of(who->name)));
}

static void take_name(struct entering *e)
{
	if (is_known(e))
		join(e);
	else
		guest_bind(e->call, buf_str(&e->normal), &e->wish, on_bound, e);
}

/* ---- The room ---- */

static void on_room(void *arg, int err, int64_t conv)
{
	struct entering *e = arg;

	if (err == -ERR_NOENT) {
		refuse(e, E_NO_SUCH_ROOM, "code", "There is no such room: look at the code again.");
	} else if (err) {
		refuse(e, pages_db_error(err), NULL, NULL);
	} else {
		e->conv = conv;
		take_name(e);
	}
}

static void on_opened(void *arg, int err, int64_t conv, struct str code)
{
	(void)code;
	on_room(arg, err, conv);
}

static void open_room(struct entering *e)
{
	struct worker *wk = e->call->wk;
	int64_t owner = e->call->who.is_account ? e->call->who.user : 0;
	int r = code_open(dbio_writer(wk), owner, wk->settings->chat_code_grace, dbio_deadline(wk),
			  on_opened, e, NULL);

	if (r < 0)
		on_room(e, r, 0);
}

static void find_room(struct entering *e, const char code[CODE_LEN])
{
	if (codes_find(e->call, code, on_room, e) < 0)
		refuse(e, E_RATE_LIMITED, NULL, "Too many wrong codes: wait a minute.");
}

/* ---- What was typed ---- */

/* Says what is wrong with the name, which ends E; false: nothing is. */
static bool refuse_name(struct entering *e, bool is_good)
{
	const int64_t max = e->call->wk->settings->chat_name_max;
	struct fault fault;

	if (e->call->who.is_account)
		return false;
	switch (is_good ? names_normal(buf_str(&e->name), (size_t)max, &e->normal) : -ERR_INVAL) {
	case 0:
		return false;
	case -ERR_NOENT:
		fault_field(&fault, FAULT_TOO_SHORT, "name", 1);
		break;
	case -ERR_TOOBIG:
		fault_field(&fault, FAULT_TOO_LONG, "name", max);
		break;
	default:
		fault_field(&fault, FAULT_OTHER, "name", 0);
		snprintf(fault.text, sizeof(fault.text),
			 "The name has characters that are not allowed.");
	}
	if (fault.kind != FAULT_OTHER)
		memcpy(fault.text, "Name", 4);
	refuse(e, E_INVALID, "name", fault.text);
	return true;
}

static bool has_field(const struct call *call, const char *name)
{
	struct buf b = BUF_INIT;
	int r = http_form_get(call->req->body, name, &b);

	buf_done(&b);
	return r != -ERR_NOENT;
}

/* Nothing here asks the database. */
void page_enter(struct call *call)
{
	bool is_name_good, is_code_good, is_create = has_field(call, "create");
	char code[CODE_LEN];
	struct entering *e;
	struct fault fault;

	if (!pages_is_own_form(call))
		return;
	e = xcalloc(1, sizeof(*e));
	e->call = call;
	e->is_join = has_field(call, "join");
	e->name = pages_field(call, "name", &is_name_good);
	e->code = pages_field(call, "code", &is_code_good);
	if (login_wish_take(call, NULL, &e->wish, &fault) < 0)
		e->wish = (struct login_wish){0};
	e->wish.is_cookie = true;
	if (e->is_join == is_create) {
		refuse(e, E_INVALID, NULL, "Either make a room or join one.");
	} else if (refuse_name(e, is_name_good)) {
		return;
	} else if (e->is_join && (!is_code_good || codes_parse(buf_str(&e->code), code) < 0)) {
		refuse(e, E_INVALID, "code", "The code must be four letters.");
	} else if (!e->call->who.is_account && !call->wk->settings->chat_guests) {
		refuse(e, E_FORBIDDEN, NULL, "This server lets in nobody without an account.");
	} else if (!authn_may_set_cookie(call)) {
		refuse(e, E_FORBIDDEN, NULL, "A cookie is given over HTTPS only.");
	} else if (e->is_join) {
		find_room(e, code);
	} else {
		open_room(e);
	}
}
