/* SPDX-License-Identifier: MIT */
/*
 * Members of a conversation over REST: list, add, roles, bans, mutes, kicks; joining and leaving.
 * Who may is authz.c's; what a change does is sql/changes.h's and sql/members.h's.
 */
#include "base/clock.h"
#include "proto/json.h"
#include "proto/utf8.h"
#include "sql/accounts.h"
#include "sql/changes.h"
#include "sql/members.h"
#include "worker/audit.h"
#include "worker/credentials.h"
#include "worker/dbio.h"
#include "worker/persist.h"
#include "worker/rest.h"
#include "worker/revoke.h"
#include "worker/routes.h"

#define LIST_DEFAULT 50
#define LIST_MAX 200
#define REASON_MAX 500
#define FOR_MAX_S (INT64_C(10) * 366 * 86400) /* longer is for good */

/* ---- Lists ---- */

/* What a list was asked for; one block, which rest.c frees when it refuses. */
struct listing {
	bool banned;
	int64_t after, limit;
};

static void list_members(struct call *call, const struct room *room)
{
	struct listing l = *(struct listing *)call->state;
	struct rights r = rest_rights(call, room->id);
	bool may_moderate = authz_allows(&r.actor, MAY_MUTE);
	int err;

	free(call->state);
	call->state = NULL;
	if (l.banned && !authz_allows(&r.actor, MAY_BAN)) {
		rest_refuse(call, &r.actor, MAY_BAN, room->id, 0);
		return;
	}
	err = members_list(dbio_reader(call->wk), room->id, l.banned, may_moderate, l.after,
			   (int)l.limit, dbio_deadline(call->wk), rest_page, call, NULL);
	if (err < 0)
		call_db_error(call, err);
}

void rest_members_list(struct call *call)
{
	struct listing l = {.limit = LIST_DEFAULT};
	int64_t banned = 0;
	struct fault fault;

	if (rest_query_number(call->req, "cursor", 0, INT64_MAX, &l.after, &fault) == -ERR_INVAL ||
	    rest_query_number(call->req, "limit", 1, LIST_MAX, &l.limit, &fault) == -ERR_INVAL ||
	    rest_query_number(call->req, "banned", 0, 1, &banned, &fault) == -ERR_INVAL) {
		call_fault(call, &fault, NULL);
		return;
	}
	l.banned = banned != 0;
	call->state = xmalloc(sizeof(l));
	memcpy(call->state, &l, sizeof(l));
	rest_room(call, list_members);
}

/* ---- One act ---- */

/* What is done to whom; one block, which rest.c frees when it refuses. */
struct act {
	enum authz_action action;
	enum kind kind; /* of the change; KIND_MESSAGE_NEW: a mute, which is none */
	int64_t conv, target;
	struct authz_actor actor; /* the caller, as it was when the room was found */
	enum authz_role role; /* that is given; ROLE_NOBODY: none */
	int64_t until_ms;     /* end of a ban or a mute; 0: a ban for good, or no mute */
	bool is_kick;
	size_t reason_len;
	char reason[];
};

static struct str reason_of(const struct act *a)
{
	return (struct str){a->reason_len ? a->reason : NULL, a->reason_len};
}

static void on_member(void *arg, int err, struct str json)
{
	struct call *call = arg;

	if (err == -ERR_NOENT)
		call_json(call, 200, STR("{}"));
	else if (err)
		call_db_error(call, err);
	else
		call_json(call, 200, json);
}

/* The database has done it: everybody who must know is told, then the caller. */
static void answer_done(struct call *call)
{
	struct act a = *(struct act *)call->state;
	int r;

	free(call->state);
	call->state = NULL;
	revoke_member(call->wk, a.conv, a.target);
	if (a.is_kick)
		revoke_kick(call->wk, a.conv, a.target);
	r = members_get(dbio_writer(call->wk), a.conv, a.target, true, dbio_deadline(call->wk),
			on_member, call, NULL);
	if (r < 0)
		call_db_error(call, r);
}

static void fail(struct call *call, enum proto_error error, const char *detail)
{
	free(call->state);
	call->state = NULL;
	call_error(call, error, detail);
}

/* Allowed when it was asked for, and not any more when it was to be done. */
static void fail_denied(struct call *call)
{
	const struct act *a = call->state;

	audit_denied_call(call, a->action, a->conv, a->target);
	fail(call, E_FORBIDDEN, NULL);
}

static void on_changed(struct worker *wk, void *arg, const struct persist_result *res)
{
	struct call *call = arg;
	const struct act *a = call->state;

	/* a visitor: the log has no word of it */
	if (!res->error && a->is_kick && res->event->rev == 0)
		audit_act(wk, call->who.user, "member.kick", a->conv, a->target,
			  str_of(call->address));
	if (!res->error)
		answer_done(call);
	else if (res->error == E_NOT_FOUND)
		fail(call, E_NOT_FOUND, a->kind == KIND_MEMBER_ROLE
						? "This is no member of the conversation."
						: "There is no such user.");
	else if (res->error == E_FORBIDDEN)
		fail_denied(call);
	else if (res->error == E_CONFLICT)
		fail(call, E_CONFLICT, "A conversation keeps its last owner.");
	else
		fail(call, res->error, NULL);
}

static void on_muted(void *arg, int err)
{
	struct call *call = arg;

	if (!err)
		answer_done(call);
	else if (err == -ERR_NOENT)
		fail(call, E_NOT_FOUND, "There is no such user.");
	else if (err == -ERR_DENIED)
		fail_denied(call);
	else
		fail(call, E_UNAVAILABLE, NULL);
}

/* Giving a role above that of a member is an act of its own. */
static struct role_need need_of(const struct act *a)
{
	bool is_role = a->role != ROLE_NOBODY && a->role > ROLE_MEMBER;
	enum authz_action action = is_role ? MAY_ROLE : a->action;

	return (struct role_need){authz_least(&a->actor, action), authz_is_above(action)};
}

static int mute(struct call *call, const struct act *a)
{
	const struct mute mute = {
		.conv = a->conv,
		.actor = call->who.user,
		.user = a->target,
		.until_ms = a->until_ms,
		.reason = reason_of(a),
		.address = str_of(call->address),
		.need = need_of(a),
	};

	return member_mute(dbio_writer(call->wk), &mute, dbio_deadline(call->wk), on_muted, call,
			   NULL);
}

/* Allowed: on to the database, which asks again. */
static void carry_out(struct call *call)
{
	const struct act *a = call->state;
	struct log_change change = {
		.kind = a->kind,
		.conv = a->conv,
		.actor = call->who.user,
		.subject = a->target,
		.until_ms = a->until_ms,
		.reason = reason_of(a),
		.address = str_of(call->address),
		.may_moderate = a->action != MAY_JOIN && a->action != MAY_LEAVE,
		.need = need_of(a),
	};
	int r;

	if (a->role != ROLE_NOBODY)
		change.key = str_of(authz_role_name(a->role));
	if (a->kind == KIND_MESSAGE_NEW)
		r = mute(call, a);
	else
		r = persist_change(call->wk, &change, str_of(call->who.name), &call->who.session,
				   on_changed, call);
	if (r < 0)
		fail(call, E_UNAVAILABLE, NULL);
}

/* What the target is decides whether the actor is above it, and above what it is given. */
static void on_target(struct worker *wk, void *arg, int err, const struct rights *target)
{
	struct call *call = arg;
	struct act *a = call->state;
	const struct authz_actor actor = a->actor;

	(void)wk;
	if (!err && a->kind == KIND_MEMBER_ROLE && a->role == ROLE_MEMBER &&
	    target->actor.role != ROLE_BANNED)
		a->action = MAY_ROLE;
	if (err)
		fail(call, err == -ERR_NOENT ? E_NO_SUCH_ROOM : E_UNAVAILABLE, NULL);
	else if (!authz_allows_to(&actor, a->action, (enum authz_role)target->actor.role) ||
		 (a->role != ROLE_NOBODY && a->role > ROLE_MEMBER &&
		  (!authz_allows(&actor, MAY_ROLE) || !authz_may_grant(&actor, a->role))))
		rest_refuse(call, &actor, a->action, a->conv, a->target);
	else
		carry_out(call);
}

/* Who has gone, or is shut out of the server, is nobody that could be made a member. */
static void on_invited(void *arg, int err, struct str json)
{
	struct call *call = arg;
	struct act *a = call->state;
	struct json_doc *doc = NULL;
	bool is_disabled = false;
	struct fault fault;

	if (!err)
		err = json_parse(json, 4, &doc, &fault);
	if (!err)
		err = json_get_bool(json_root(doc), "is_disabled", true, &is_disabled, &fault);
	json_doc_free(&doc);
	if (err == -ERR_NOENT || (!err && is_disabled))
		fail(call, E_NOT_FOUND, "There is no such user.");
	else if (err)
		fail(call, E_UNAVAILABLE, NULL);
	else
		roles_get(call->wk, a->conv, a->target, false, on_target, call);
}

static void with_room(struct call *call, const struct room *room)
{
	struct act *a = call->state;
	int r;

	a->conv = room->id;
	a->actor = rest_rights(call, room->id).actor;
	if (a->action == MAY_INVITE) {
		r = account_get(dbio_reader(call->wk), a->target, NULL, false,
				dbio_deadline(call->wk), on_invited, call, NULL);
		if (r < 0)
			on_invited(call, r, STR(""));
	} else if (a->action == MAY_JOIN || a->action == MAY_LEAVE)
		carry_out(call);
	else
		roles_get(call->wk, room->id, a->target, false, on_target, call);
}

/* The right itself is asked for with the room, the rank with the target. */
static void on_named(struct call *call, int64_t user)
{
	struct act *a = call->state;

	a->target = user;
	rest_room_for(call, a->action, with_room);
}

/* Takes A over, which is done to WHO. */
static void begin(struct call *call, struct act *a, const struct rest_user *who)
{
	call->state = a;
	rest_user(call, who, on_named);
}

static struct rest_user user_of_path(const struct call *call)
{
	return (struct rest_user){call->path_id[1], call->path_uuid[1]};
}

/* ---- Bodies ---- */

static struct act *act_new(enum authz_action action, enum kind kind, struct str reason)
{
	struct act *a = xcalloc(1, sizeof(*a) + reason.len + 1);

	a->action = action;
	a->kind = kind;
	a->role = ROLE_NOBODY;
	a->reason_len = reason.len;
	if (reason.len)
		memcpy(a->reason, reason.p, reason.len);
	return a;
}

static bool is_clean(struct str s)
{
	uint32_t cp;
	size_t pos = 0;

	while (utf8_next(s, &pos, &cp))
		if (cp < 0x20 || cp == 0x7f)
			return false;
	return true;
}

/* Absent is 0 and empty. Returns 0 or -ERR_INVAL. */
static int take_reason(const struct json_value *body, struct str *ret, struct fault *fault)
{
	const struct json_str_rule rule = {0, REASON_MAX, false};
	int r = json_get_str(body, "reason", &rule, ret, fault);

	if (r == 0 && !is_clean(*ret)) {
		fault_field(fault, FAULT_VALUE, "reason", 0);
		return -ERR_INVAL;
	}
	return r == -ERR_NOENT ? 0 : r;
}

/* "for": seconds; absent: for good. *RET is 0 then. */
static int take_until(const struct json_value *body, int64_t *ret, struct fault *fault)
{
	const struct json_int_rule rule = {1, FOR_MAX_S, false, false};
	int64_t seconds = 0;
	int r = json_get_i64(body, "for", &rule, &seconds, fault);

	*ret = r == 0 ? clock_wall_ms() + seconds * 1000 : 0;
	return r == -ERR_NOENT ? 0 : r;
}

static int take_role(const struct json_value *body, enum authz_role *ret, struct fault *fault)
{
	const struct json_str_rule rule = {1, 20, false};
	struct str text;
	int r = json_get_str(body, "role", &rule, &text, fault);

	if (r == 0 && authz_role_parse(text, ret) < 0) {
		fault_field(fault, FAULT_VALUE, "role", 0);
		return -ERR_INVAL;
	}
	return r;
}

/* To make somebody a member may be to let him in again: on_target knows. */
static enum authz_action action_of_role(enum authz_role role)
{
	return role == ROLE_BANNED || role == ROLE_MEMBER ? MAY_BAN : MAY_ROLE;
}

/* {"role"} or {"muted"}, "reason", "for". NULL and *FAULT for anything else. */
static struct act *patch_of(const struct json_value *body, struct fault *fault)
{
	enum authz_role role = ROLE_NOBODY;
	struct str reason = STR("");
	bool is_muted = false;
	int64_t until_ms;
	struct act *a;
	int has_role = take_role(body, &role, fault), has_muted;

	if (has_role == -ERR_INVAL || take_reason(body, &reason, fault) < 0 ||
	    take_until(body, &until_ms, fault) < 0)
		return NULL;
	has_muted = json_get_bool(body, "muted", has_role < 0, &is_muted, fault);
	if (has_muted == -ERR_INVAL)
		return NULL;
	if (has_role == 0 && has_muted == 0) {
		fault_field(fault, FAULT_VALUE, "muted", 0);
		return NULL;
	}
	if (has_role == 0) {
		a = act_new(action_of_role(role), KIND_MEMBER_ROLE, reason);
		a->role = role;
		a->until_ms = role == ROLE_BANNED ? until_ms : 0;
		return a;
	}
	a = act_new(MAY_MUTE, KIND_MESSAGE_NEW, reason);
	if (is_muted)
		a->until_ms = until_ms ? until_ms : MEMBER_FOR_EVER;
	return a;
}

void rest_members_patch(struct call *call)
{
	struct json_doc *doc = NULL;
	const struct rest_user who = user_of_path(call); /* a refused body ends CALL */
	const struct json_value *body = credentials_body(call, &doc);
	struct fault fault;
	struct act *a;

	if (!body)
		return;
	a = patch_of(body, &fault);
	json_doc_free(&doc);
	if (a)
		begin(call, a, &who);
	else
		call_fault(call, &fault, NULL);
}

void rest_members_add(struct call *call)
{
	struct json_doc *doc = NULL;
	const struct json_value *body = credentials_body(call, &doc);
	enum authz_role role = ROLE_MEMBER;
	struct rest_user user;
	struct fault fault;
	struct act *a;
	int r;

	if (!body)
		return;
	r = rest_user_get(body, "user", &user, &fault);
	if (r == 0)
		r = take_role(body, &role, &fault);
	if (r == -ERR_NOENT)
		r = 0;
	if (r == 0 && role == ROLE_BANNED) {
		fault_field(&fault, FAULT_VALUE, "role", 0);
		r = -ERR_INVAL;
	}
	json_doc_free(&doc);
	if (r < 0) {
		call_fault(call, &fault, NULL);
		return;
	}
	a = act_new(MAY_INVITE, KIND_MEMBER_JOIN, STR(""));
	a->role = role;
	begin(call, a, &user);
}

/* ---- Out ---- */

void rest_members_remove(struct call *call)
{
	const struct rest_user who = user_of_path(call);
	bool is_same = who.id ? who.id == call->who.user
			      : memcmp(&who.uid, &call->who.uid, sizeof(who.uid)) == 0;
	bool is_own = call->who.user && is_same;
	struct act *a = act_new(is_own ? MAY_LEAVE : MAY_KICK, KIND_MEMBER_LEAVE, STR(""));

	a->is_kick = !is_own;
	begin(call, a, &who);
}

void rest_members_join(struct call *call)
{
	begin(call, act_new(MAY_JOIN, KIND_MEMBER_JOIN, STR("")),
	      &(struct rest_user){.id = call->who.user});
}

void rest_members_leave(struct call *call)
{
	begin(call, act_new(MAY_LEAVE, KIND_MEMBER_LEAVE, STR("")),
	      &(struct rest_user){.id = call->who.user});
}
