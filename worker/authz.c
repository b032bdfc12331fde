/* SPDX-License-Identifier: MIT */
/*
 * The table authz.def and the questions to it.
 * Nothing is known here of conversations and people but their roles.
 */
#include "worker/authz.h"

#include "proto/json.h"

enum { NO, YES };

struct rule {
	const char *action;
	uint8_t least, unowned; /* enum authz_role */
	bool server, muted, outrank;
	const char *what;
};

static const struct rule rules[AUTHZ_ACTIONS] = {
#define X(name_, action_, least_, unowned_, server_, muted_, outrank_, what_)                      \
	[MAY_##name_] = {(action_), ROLE_##least_, ROLE_##unowned_, server_, muted_, outrank_,     \
			 (what_)},
#include "worker/authz.def"
#undef X
};

static const char *const role_names[] = {
	[ROLE_BANNED] = "banned",	[ROLE_NONE] = "none",	[ROLE_READ_ONLY] = "read-only",
	[ROLE_VISITOR] = "visitor",	[ROLE_MEMBER] = "member", [ROLE_MODERATOR] = "moderator",
	[ROLE_ADMIN] = "admin",		[ROLE_OWNER] = "owner",	[ROLE_NOBODY] = "nobody",
};

static bool is_by_server(const struct authz_actor *a, const struct rule *rule)
{
	return a->is_admin && rule->server;
}

bool authz_allows(const struct authz_actor *a, enum authz_action action)
{
	const struct rule *rule = &rules[action];

	if (is_by_server(a, rule))
		return true;
	if (a->is_muted && !rule->muted)
		return false;
	return a->role >= (a->is_unowned ? rule->unowned : rule->least);
}

bool authz_allows_to(const struct authz_actor *a, enum authz_action action, enum authz_role target)
{
	const struct rule *rule = &rules[action];

	if (!authz_allows(a, action))
		return false;
	return !rule->outrank || is_by_server(a, rule) || a->role == ROLE_OWNER ||
	       a->role > target;
}

bool authz_may_grant(const struct authz_actor *a, enum authz_role role)
{
	return is_by_server(a, &rules[MAY_ROLE]) || role <= a->role;
}

const char *authz_least(const struct authz_actor *a, enum authz_action action)
{
	const struct rule *rule = &rules[action];
	enum authz_role least = a->is_unowned ? rule->unowned : rule->least;

	return least > ROLE_VISITOR ? role_names[least] : NULL;
}

bool authz_is_above(enum authz_action action)
{
	return rules[action].outrank;
}

enum proto_error authz_refusal(const struct authz_actor *a, enum authz_action action)
{
	bool is_speech = !rules[action].muted;

	if (a->role == ROLE_NONE)
		return E_NO_SUCH_ROOM;
	if (a->role == ROLE_BANNED)
		return E_BANNED;
	if (a->role == ROLE_READ_ONLY && is_speech)
		return E_READ_ONLY;
	return a->is_muted && is_speech ? E_MUTED : E_FORBIDDEN;
}

const char *authz_action_name(enum authz_action action)
{
	return rules[action].action;
}

const char *authz_role_name(enum authz_role role)
{
	return role_names[role];
}

int authz_role_parse(struct str name, enum authz_role *ret)
{
	for (enum authz_role role = ROLE_BANNED; role <= ROLE_OWNER; role++) {
		if (role == ROLE_NONE || role == ROLE_VISITOR)
			continue;
		if (!str_eq(name, str_of(role_names[role])))
			continue;
		*ret = role;
		return 0;
	}
	return -ERR_INVAL;
}

/* ---- The table for people and tests ---- */

void authz_describe(struct buf *b)
{
	buf_add_char(b, '[');
	for (int i = 0; i < AUTHZ_ACTIONS; i++) {
		const struct rule *rule = &rules[i];

		json_add_sep(b);
		buf_add_char(b, '{');
		json_add_key_cstr(b, "action", rule->action);
		json_add_key_cstr(b, "least", role_names[rule->least]);
		json_add_key_cstr(b, "unowned", role_names[rule->unowned]);
		json_add_key_bool(b, "server", rule->server);
		json_add_key_bool(b, "muted", rule->muted);
		json_add_key_bool(b, "outrank", rule->outrank);
		json_add_key_cstr(b, "what", rule->what);
		buf_add_char(b, '}');
	}
	buf_add_char(b, ']');
}

void authz_describe_mdoc(struct buf *b)
{
	buf_add_cstr(b, ".Bl -column conversation.update \"admin (visitor)\" server muted above\n"
			".It Sy action Ta Sy from Ta Sy server Ta Sy muted Ta Sy above\n");
	for (int i = 0; i < AUTHZ_ACTIONS; i++) {
		const struct rule *rule = &rules[i];

		buf_printf(b, ".It %s Ta %s", rule->action, role_names[rule->least]);
		if (rule->unowned != rule->least)
			buf_printf(b, " (%s)", role_names[rule->unowned]);
		buf_printf(b, " Ta %s Ta %s Ta %s\n", rule->server ? "yes" : "no",
			   rule->muted ? "yes" : "no", rule->outrank ? "yes" : "no");
	}
	buf_add_cstr(b, ".El\n");
}
