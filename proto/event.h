/* SPDX-License-Identifier: MIT */
/*
 * The canonical event: one form for the ring, for every dialect's encoder and for connection hand-
 * over. Which events exist is events.def's; when one happens is worker's.
 */
#ifndef PROTO_EVENT_H
#define PROTO_EVENT_H

#include "base/base.h"
#include "base/buf.h"
#include "base/ids.h"
#include "proto/events.h"

/* Why a user's presence changed. */
enum presence_reason {
	PRESENCE_JOIN,	 /* first connection of the user to the conversation */
	PRESENCE_LEAVE,	 /* closed cleanly, or asked to leave */
	PRESENCE_LOST,	 /* the link broke and nobody came back within the grace time */
	PRESENCE_REMOVED /* an operator or a manager ended it */
};

/* Limits of the strings, in bytes: generous against the settings, small against a ring record. */
#define EVENT_NAME_MAX 1024
#define EVENT_KEY_MAX 8192 /* addresses, roles, emoji and other keys */
#define EVENT_CLIENT_ID_MAX 256
#define EVENT_CONTENT_MAX (1024 * 1024)

/*
 * All strings are borrowed and UTF-8. Fields that a type does not use are zero or empty.
 *
 *	message.new		actor, seq, content, client_msg_id, client_id, reply_to_rev,
 *				subject (who gets it, in a direct conversation; 0: not known),
 *				key (the address of what is attached; may be empty);
 *				on: deleted since (no dialect shows the content)
 *	message.edit		actor, target_rev, content (the new one)
 *	message.delete		actor, target_rev
 *	message.recover		actor, target_rev, content and key (shown again)
 *	reaction.*		actor, target_rev, key (the emoji)
 *	member.join/role	actor, subject (0: the actor), key (the role)
 *	member.leave		actor, subject (0: the actor), key (why, may be empty)
 *	conversation.update	actor, key (the one field that changed), content (its new value)
 *	conversation.close	actor
 *	typing			actor, on
 *	presence		actor, on, reason
 *	roster			nothing: the members table has changed
 *	read, delivered		actor, seq (everything up to it), target_rev (of that message,
 *				0: not known)
 */
struct event {
	enum event_type type;
	int64_t conv;		   /* conversation, positive */
	int64_t rev;		   /* position in the log, positive; 0 for ephemeral events */
	int64_t seq;		   /* user messages so far, this one included; marks: see above */
	int64_t at_ms;		   /* wall clock, milliseconds since 1970 */
	int64_t actor;		   /* user who did it; 0: the system */
	struct str actor_name;
	int64_t subject;	   /* user it was done to, when not the actor; else 0 */
	struct str subject_name;
	struct uuid client_msg_id; /* idempotency key; zero: none */
	struct str client_id;	   /* the key as the client wrote it, echoed to S1; may be empty */
	struct str content;
	struct str key;
	int64_t reply_to_rev;	   /* message answered, 0: none */
	int64_t target_rev;	   /* message changed, 0: none */
	bool on;		   /* typing: started; presence: online; message.new: deleted */
	enum presence_reason reason;
};

/*
 * Appends the canonical form: a MessagePack array whose first element is the version of the form. E
 * must be one that event_decode accepts (asserted for type and ids; strings over their limits too).
 */
void event_encode(const struct event *e, struct buf *b);

/*
 * Reads one event that fills LEN bytes exactly. Trusts nothing: the bytes are another process's.
 * Strings of *RET borrow from BYTES. Returns 0; -ERR_UNSUPPORTED for a newer version of the form or
 * an unknown type; -ERR_CORRUPT for anything else that event_encode would not write, invalid UTF-8
 * included.
 */
int event_decode(const void *bytes, size_t len, struct event *ret) MUST_CHECK;

#endif
