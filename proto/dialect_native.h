/* SPDX-License-Identifier: MIT */
/*
 * roomd.v1: the frames of /ws, the message bodies of /api/v1 and RFC 9457 problem documents.
 * Encoders append JSON text; framing it for a socket or a response is the caller's.
 */
#ifndef PROTO_DIALECT_NATIVE_H
#define PROTO_DIALECT_NATIVE_H

#include "base/base.h"
#include "base/buf.h"
#include "proto/cmd.h"
#include "proto/event.h"
#include "proto/json.h"

/* The subprotocol's name in Sec-WebSocket-Protocol. */
#define NATIVE_SUBPROTOCOL "roomd.v1"
/* The same objects as MessagePack in binary frames: see msgpack.h. */
#define NATIVE_SUBPROTOCOL_MSGPACK "roomd.v1.msgpack"

/*
 * Parses one text frame: an object, or an array of 1 to lim->batch_max objects. Returns 0, or
 * -ERR_INVAL with E_BAD_JSON or E_BAD_FRAME in *RET_FAULT. Free the document with json_doc_free
 * after its last command.
 */
int native_parse(struct str frame, const struct cmd_limits *lim, struct json_doc **ret_doc,
		 struct fault *ret_fault) MUST_CHECK;

/* The same for one binary frame of roomd.v1.msgpack; E_BAD_MSGPACK instead of E_BAD_JSON. */
int native_parse_msgpack(struct str frame, const struct cmd_limits *lim, struct json_doc **ret_doc,
			 struct fault *ret_fault) MUST_CHECK;

/* How many requests the document holds. */
size_t native_count(const struct json_doc *doc);

/*
 * Decodes request I. Returns 0, or -ERR_INVAL with *RET_FAULT (E_UNKNOWN_OP, E_INVALID,
 * E_BAD_NAME); ret->id is set in both cases, so that the error can be answered with "re". Strings
 * of *RET borrow from DOC.
 */
int native_cmd(const struct json_doc *doc, size_t i, const struct cmd_limits *lim, struct cmd *ret,
	       struct fault *ret_fault) MUST_CHECK;

/* Answers. RE may be NULL or empty: then "re" is left out. ------------------------- */

/* What a socket may send and ask for, and how soon it must say who it is. */
struct native_limits {
	struct cmd_limits cmd;
	uint32_t code_message_max; /* characters in a room with a code */
	uint32_t frame_max;   /* bytes */
	uint32_t history_max; /* messages in a page */
	int64_t hello_ms;
};

struct native_welcome {
	struct str session;
	int64_t user;
	struct str user_name;
	bool guest;
	int64_t ping_ms;
	struct native_limits limits;
	struct str cursor;  /* empty: none */
	struct str scope;   /* who sees whose presence: "all", "shared" or "off"; empty: left out */
	bool resumed;
};
void native_add_welcome(struct buf *b, const struct cmd_id *re, const struct native_welcome *w);

/* Appends a member: {"count","ms","burst"}, or null for a rate that limits nothing. */
void native_add_rate(struct buf *b, const char *key, const struct rate *rate);

/* As one object: the "limits" of the welcome. */
void native_add_limits(struct buf *b, const struct native_limits *limits);

struct native_live {
	int64_t conv, rev, seq, members;
	int64_t unread; /* negative: not known, left out */
	struct str name; /* of the conversation; empty: left out */
};
void native_add_live(struct buf *b, const struct cmd_id *re, const struct native_live *l);

/* {"op":"gap","re","c","first"}: events before rev FIRST are not replayed. */
void native_add_gap(struct buf *b, const struct cmd_id *re, int64_t conv, int64_t first);

/* {"op":"ok","re"}: done, nothing more to say (unsub, typing). */
void native_add_ok(struct buf *b, const struct cmd_id *re);

/*
 * {"op":"ok","re","message":{"id","uid","seq","rev","created_at"},"duplicate"}: the answer to send.
 */
void native_add_sent(struct buf *b, const struct cmd_id *re, const struct event *e, bool duplicate);

/*
 * {"op":"ok","re","c","rev","id"?,"at","changed","duplicate"}: the answer to edit, delete, recover
 * and react. "id" is the message, "rev" the event that was made; CHANGED false: it was so already,
 * no event was made, "rev" is how far the log had come, and "at" when it became so, null where that
 * is not kept.
 */
void native_add_changed(struct buf *b, const struct cmd_id *re, const struct event *e,
			bool changed, bool duplicate);

/* {"op":"ok","re","c","seq","unread"?}: the mark as it stands now. UNREAD below 0 is left out. */
void native_add_marked(struct buf *b, const struct cmd_id *re, int64_t conv, int64_t seq,
		       int64_t unread);

/*
 * {"op":"ok","re","events","cursor","more"}: EVENTS is a JSON array, CURSOR the position behind
 * it, MORE that asking again with it gives more.
 */
void native_add_sync(struct buf *b, const struct cmd_id *re, struct str events, struct str cursor,
		     bool more);

/*
 * {"op":"ok","re","c","messages":[…],…}: PAGE is a JSON object as the database built it, and its
 * members become the answer's, as they are the page's of GET …/messages.
 */
void native_add_history(struct buf *b, const struct cmd_id *re, int64_t conv, struct str page);

/* {"op":"pong","re"}, and with "cursor" unless CURSOR is empty. */
void native_add_pong(struct buf *b, const struct cmd_id *re);
void native_add_pong_cursor(struct buf *b, const struct cmd_id *re, struct str cursor);

/*
 * {"op":"err","re","code","message","field"?,"c"?,"retry_after"?}; CONV 0 and RETRY_MS 0 are left
 * out.
 */
void native_add_err(struct buf *b, const struct cmd_id *re, const struct fault *f, int64_t conv,
		    int64_t retry_ms);

/* Events ------------------------------------------------------------------------ */

/*
 * The frame of a ring event: {"op":"ev","c","rev","t","d"} for durable ones, {"op":"eph","c","t",
 * "d"} without "rev" for presence and marks. Returns false and appends nothing for typing and
 * roster, which carry no set. What "d" holds (USER is {"id","name"}, times are RFC 3339):
 *
 *	message.new		see native_add_message
 *	message.edit		id, uid, target, content, by: USER, edited_at
 *	message.delete		id, uid, target, by: USER, deleted_at
 *	message.recover		id, uid, target, content, attachment_url?, by: USER, at
 *	reaction.set/unset	id, uid, target, emoji, user: USER, at
 *	member.join/role	user: USER, role, by: USER, at
 *	member.leave		user: USER, reason?, by: USER, at
 *	conversation.update	changed, and the new value as "name" or "description", or for any
 *				other field as "value"; by: USER, at
 *	conversation.close	by: USER, at
 *	presence		[{"u","name","s":"online"|"offline"}]
 *	read, delivered		user (an id), seq
 *
 * "id", "uid" and "target" (its rev) name the message that was changed. "by" is who did it, "user"
 * whom it is about.
 */
bool native_add_event(struct buf *b, const struct event *e);

/*
 * The object "d" of message.new:
 * {"id","uid","seq","rev","sender","content","attachment_url"?,"client_msg_id","reply_to",
 * "created_at"}.
 * One that is deleted by now has "content":null and "deleted":true.
 */
void native_add_message(struct buf *b, const struct event *e);

/* Gives the next user, false after the last. */
typedef bool (*native_user_fn)(void *arg, int64_t *ret_user, struct str *ret_name);

/* {"op":"eph","c","t":"typing","d":{"users":[7],"names":["Alice"]}}: the whole set. */
void native_add_typing(struct buf *b, int64_t conv, native_user_fn next, void *arg);

/* {"op":"eph","c","t":"roster","d":{"users":[{"id","name"}]}}: who is here. */
void native_add_roster(struct buf *b, int64_t conv, native_user_fn next, void *arg);

/* One person's presence. */
struct native_presence {
	int64_t user;
	struct str name;   /* empty: left out */
	const char *state; /* "online", "away", "offline": static */
	struct str status; /* text the person set; p NULL: left out */
};
typedef bool (*native_presence_fn)(void *arg, struct native_presence *ret);

/*
 * {"op":"eph","c","t":"presence","d":[{"u","name"?,"s","status"?}]}: several changes in one frame.
 * CONV 0: of the node, without "c". Returns how many NEXT gave; appends nothing when none.
 */
size_t native_add_presence_batch(struct buf *b, int64_t conv, native_presence_fn next, void *arg);

/* {"op":"ok","re","presence":[…]}: the answer to the operation, elements as above. */
void native_add_presence_list(struct buf *b, const struct cmd_id *re, native_presence_fn next,
			      void *arg);

/*
 * REST: {"presence":[…],"next"}: elements as above; MORE names the next page, 0 (null): this was
 * the last.
 */
void native_add_presence_page(struct buf *b, native_presence_fn next, void *arg, int64_t more);

/* {"op":"eph","t":"scope","d":{"scope"}}: who is told about whose presence, from now on. */
void native_add_scope(struct buf *b, const char *scope);

/* {"op":"eph","c","t":"roster","d":{"count"}}: too many to name. */
void native_add_roster_count(struct buf *b, int64_t conv, int64_t count);

/* {"op":"eph","c","t":"read"|"delivered","d":{"user","seq"}}. TYPE is EVT_READ or EVT_DELIVERED. */
void native_add_mark(struct buf *b, enum event_type type, int64_t conv, int64_t user, int64_t seq);

/* {"op":"behind","c","rev"}. */
void native_add_behind(struct buf *b, int64_t conv, int64_t rev);

/* {"op":"goaway","in","reason"}; REASON is an error code or a word such as "upgrade". */
void native_add_goaway(struct buf *b, int64_t in_ms, const char *reason);
void native_add_goaway_cursor(struct buf *b, int64_t in_ms, const char *reason, struct str cursor);

/* REST ------------------------------------------------------------------------ */

/*
 * The body of POST /api/v1/conversations/{id}/messages: {"content","attachment_url"?,
 * "client_msg_id"?,"reply_to"?} as OP_SEND for conversation CONV. IDEMPOTENCY_KEY is that header's
 * value (p NULL: none); the body's key wins. Strings borrow from *RET_DOC and from
 * IDEMPOTENCY_KEY. Returns 0 or -ERR_INVAL with *RET_FAULT.
 */
int native_decode_message(struct str body, int64_t conv, struct str idempotency_key,
			  const struct cmd_limits *lim, struct json_doc **ret_doc, struct cmd *ret,
			  struct fault *ret_fault) MUST_CHECK;

/* The body of POST /api/v1/conversations. */
struct conversation_form {
	struct str kind; /* "room" when left out */
	struct str name, description;
	int64_t peer;	      /* "members" of a direct one: the other, by number */
	struct uuid peer_uid; /* or by UUID, while PEER is 0; both zero: not given */
};
int native_decode_conversation(struct str body, const struct cmd_limits *lim,
			       struct json_doc **ret_doc, struct conversation_form *ret,
			       struct fault *ret_fault) MUST_CHECK;

/*
 * RFC 9457:
 * {"type":"about:blank","title","status","detail","code","field"?,"request_id"?,"retry_after"?}.
 * REQUEST_ID may be NULL, RETRY_MS 0.
 */
void problem_add(struct buf *b, const struct fault *f, const char *request_id, int64_t retry_ms);

#endif
