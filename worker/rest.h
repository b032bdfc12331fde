/* SPDX-License-Identifier: MIT */
/*
 * What REST handlers share: finding the room of the path, markers and limits of pages.
 * Handlers themselves are in rest_*.c, one file per resource, and named in routes.def.
 */
#ifndef WORKER_REST_H
#define WORKER_REST_H

#include "base/base.h"
#include "proto/http.h"
#include "sql/rooms.h"
#include "worker/authz.h"
#include "worker/call.h"
#include "worker/roles.h"

struct json_value;

/* ROOM is open, readable by the caller, and borrowed during the call. Answers CALL now or later. */
typedef void rest_room_fn(struct call *call, const struct room *room);

/*
 * Finds the conversation that the path's first id names and goes on with NEXT. Answers 404 or 503
 * by itself, and gives the handler's state to free() then. A call that reads may be given what was
 * known of the conversation before the database went away.
 */
void rest_room(struct call *call, rest_room_fn *next);

/*
 * The same for those who may do ACTION there, not only read: others are refused, with a row in the
 * audit log.
 */
void rest_room_for(struct call *call, enum authz_action action, rest_room_fn *next);

/* Who owns what the caller makes: the caller if it has an account, else nobody (0). */
int64_t rest_owner(const struct call *call);

/* The caller's rights in a conversation that rest_room has found. */
struct rights rest_rights(const struct call *call, int64_t conv);

/* Refuses ACTION, done to TARGET (0: nobody), with the reason that A gives; audited. */
void rest_refuse(struct call *call, const struct authz_actor *a, enum authz_action action,
		 int64_t conv, int64_t target);

/* Somebody as clients name them: a number, or a UUID while it is 0. Both 0: nobody. */
struct rest_user {
	int64_t id;
	struct uuid uid;
};

/*
 * Member KEY of a body as a user: a number, its digits or a UUID. Returns 0, or -ERR_INVAL and
 * *RET_FAULT naming it when it is none or missing.
 */
int rest_user_get(const struct json_value *body, const char *key, struct rest_user *ret,
		  struct fault *ret_fault) MUST_CHECK;

/*
 * Goes on with the number of WHO, at once or later. Answers 404 or 503 by itself, and gives the
 * handler's state to free() then.
 */
typedef void rest_user_fn(struct call *call, int64_t user);
void rest_user(struct call *call, const struct rest_user *who, rest_user_fn *next);

/* A place in a log, as clients write it: a rev, or a message id in either of its forms. */
struct rest_marker {
	int64_t conv; /* of the message id; 0: a bare rev, valid in any conversation */
	int64_t rev;
};

/*
 * Answers CALL with a conversation, JSON of sql/conversations.h, that was made or found for it and
 * has the number call->path_id[0]; or with ERR.
 */
void rest_conversation_got(struct call *call, int err, struct str json, bool is_new);

/*
 * Answers CALL, whose caller is known, with the conversation of the caller and PEER, or the one of
 * UID while that is 0: found or made.
 */
void rest_direct_open(struct call *call, int64_t peer, const struct uuid *uid);

/*
 * Query parameter NAME as a marker. Returns 0; -ERR_NOENT when absent; -ERR_INVAL and *RET_FAULT
 * naming it.
 */
int rest_query_marker(const struct http_request *req, const char *name, struct rest_marker *ret,
		      struct fault *ret_fault) MUST_CHECK;

/* Query parameter NAME as a number from MIN; more than MAX counts as MAX. Returns as above. */
int rest_query_number(const struct http_request *req, const char *name, int64_t min, int64_t max,
		      int64_t *ret, struct fault *ret_fault) MUST_CHECK;

/*
 * A page_done_fn (sql/messages.h) for a call: answers with the page and keeps it as CALL's stale
 * key says, or answers with what was kept, or with the error.
 */
void rest_page(void *call, int err, struct str json);

/* As rest_page, for JSON that a handler made. */
void rest_answer(struct call *call, struct str json);
void rest_fail(struct call *call, int err);

/* When the call's question must be answered; see stale_deadline. */
uint64_t rest_deadline(const struct call *call);

#endif
