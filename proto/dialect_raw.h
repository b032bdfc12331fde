/* SPDX-License-Identifier: MIT */
/*
 * S1, the room socket /ws/chat/{room_id} and the bodies of /api/chat/rooms: text in, struct cmd and
 * forms out, and back. Encoders append JSON text; framing it for a socket or a response is the
 * caller's.
 */
#ifndef PROTO_DIALECT_RAW_H
#define PROTO_DIALECT_RAW_H

#include "base/base.h"
#include "base/buf.h"
#include "proto/cmd.h"
#include "proto/event.h"
#include "proto/json.h"

/*
 * Decodes one text frame. FIRST: the frame that names the user; it gives OP_HELLO with name and
 * token, and any fault in it has an error that closes the socket (E_BAD_FRAME, E_BAD_NAME). Later
 * frames are found by their "type": message gives OP_SEND (content, key), typing OP_TYPING (on),
 * resume OP_RESUME (rev), ping OP_PING; their faults are E_BAD_JSON, E_UNKNOWN_OP or E_INVALID and
 * the socket stays.
 *
 * Returns 0 and a document that owns the strings of *RET: free it with json_doc_free when the
 * command is done with. Returns -ERR_INVAL and *RET_FAULT otherwise; *RET_KEY (may be NULL) then
 * has the message's client_id if one could be read, so that the error can name it.
 */
int raw_decode(struct str frame, bool first, const struct cmd_limits *lim,
	       struct json_doc **ret_doc, struct cmd *ret, struct fault *ret_fault,
	       struct cmd_id *ret_key) MUST_CHECK;

/* {"type":"connected","room_id","username","rev"}: the confirmation of the first frame. */
void raw_add_connected(struct buf *b, int64_t room, struct str username, int64_t rev);

/* Gives the next name in *RET_NAME, false after the last. */
typedef bool (*raw_name_fn)(void *arg, struct str *ret_name);

/* {"type":"users_list","users":[…]} and {"type":"typing","users":[…]}. */
void raw_add_users_list(struct buf *b, raw_name_fn next, void *arg);
void raw_add_typing(struct buf *b, raw_name_fn next, void *arg);

/* {"type":"system","content":"Alice joined","event":"join"|"leave","username","timestamp"}. */
void raw_add_system(struct buf *b, struct str username, bool joined, int64_t at_ms);

/* {"type":"message","id","room_id","username","content","created_at","seq","rev","client_id"?}. */
void raw_add_message(struct buf *b, const struct event *e);

/* {"type":"pong"}. */
void raw_add_pong(struct buf *b);

/*
 * {"type":"error","code","message","retry_after"?,"client_id"?}. RETRY_MS 0 and an empty key leave
 * their fields out. KEY is the raw JSON text that raw_decode gave, or NULL.
 */
void raw_add_error(struct buf *b, const struct fault *f, int64_t retry_ms,
		   const struct cmd_id *key);

/* The key of CMD as raw JSON text for raw_add_error, when the message was refused later. */
void raw_key_of(const struct cmd *c, struct cmd_id *ret);

/*
 * The frame of a ring event for the members of its room: message.new, unless it is deleted by now,
 * and presence. Returns false and appends nothing when S1 shows no frame for it (typing and roster
 * carry no set: see raw_add_typing and raw_add_users_list).
 */
bool raw_add_event(struct buf *b, const struct event *e);

/* REST ------------------------------------------------------------------------ */

struct room_form {
	struct str name;	/* trimmed and checked by the name rules */
	struct str description; /* may be empty */
};

/*
 * The body of POST /api/chat/rooms. Strings borrow from *RET_DOC. Returns 0, or -ERR_INVAL with
 * E_BAD_JSON (the dialect's 422 too) or E_INVALID.
 */
int raw_decode_room(struct str body, const struct cmd_limits *lim, struct json_doc **ret_doc,
		    struct room_form *ret, struct fault *ret_fault) MUST_CHECK;

/*
 * The status that S1's REST gives to F: 422 for bad bodies, 400 for a duplicate, else the table's.
 */
int raw_http_status(const struct fault *f);

/*
 * The error body: {"detail":[{"loc":["body","name"],"msg":…,"type":…}]} for 422, else
 * {"detail":"text"}.
 */
void raw_add_detail(struct buf *b, const struct fault *f);

#endif
