/* SPDX-License-Identifier: MIT */
/*
 * Who may do what: the one decision, from the table authz.def, for every dialect and for REST.
 * Pure: what somebody is in a conversation is found by roles.h.
 */
#ifndef WORKER_AUTHZ_H
#define WORKER_AUTHZ_H

#include "base/base.h"
#include "base/buf.h"
#include "proto/errors.h"

/* What somebody is in a conversation, rising. Not stored: the database has the names. */
enum authz_role {
	ROLE_BANNED,	/* was put out and may not come back yet */
	ROLE_NONE,	/* no member, and the conversation is its members' own */
	ROLE_READ_ONLY, /* a member without a voice */
	ROLE_VISITOR,	/* no member, in a room that is open to all */
	ROLE_MEMBER,
	ROLE_MODERATOR,
	ROLE_ADMIN,
	ROLE_OWNER,
	ROLE_NOBODY, /* above everybody: in the table only */
};

enum authz_action {
#define X(name, action, least, unowned, server, muted, outrank, what) MAY_##name,
#include "worker/authz.def"
#undef X
	AUTHZ_ACTIONS
};

/* Who acts, in one conversation. */
struct authz_actor {
	int64_t user;	 /* 0: nobody in particular (a watcher) */
	uint8_t role;	 /* enum authz_role */
	bool is_admin;	 /* of the server */
	bool is_muted;	 /* at this moment */
	bool is_unowned; /* the room has no owner, and chat.open_rooms is on */
};

bool authz_allows(const struct authz_actor *actor, enum authz_action action);

/*
 * The same for what is done to somebody with the role TARGET: some actions ask for a role above
 * theirs. Owners may do it to each other, the server's administrator to all.
 */
bool authz_allows_to(const struct authz_actor *actor, enum authz_action action,
		     enum authz_role target);

/* Whether ACTOR, who may give roles, may give ROLE: not above its own. */
bool authz_may_grant(const struct authz_actor *actor, enum authz_role role);

/*
 * What must still be so when the act is carried out, for the statement that does it
 * (sql/changes.h): the least role's name, NULL when any visitor may; and whether it must be above
 * the target's.
 */
const char *authz_least(const struct authz_actor *actor, enum authz_action action);
bool authz_is_above(enum authz_action action);

/*
 * How a refusal is told: E_NO_SUCH_ROOM to strangers of a closed conversation, who are not told
 * that there is one; E_BANNED, E_MUTED, else E_FORBIDDEN.
 */
enum proto_error authz_refusal(const struct authz_actor *actor, enum authz_action action);

/* "message.send": the action's name in the audit log and in the table. Static. */
const char *authz_action_name(enum authz_action action);

/* "read-only", "owner" …; "none" for strangers. Static. */
const char *authz_role_name(enum authz_role role);

/* The role that a member can have, by its name. Returns 0 or -ERR_INVAL. */
int authz_role_parse(struct str name, enum authz_role *ret) MUST_CHECK;

/* The table as a JSON array of objects; as rows of an mdoc table. */
void authz_describe(struct buf *ret);
void authz_describe_mdoc(struct buf *ret);

#endif
