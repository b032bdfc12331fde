/* SPDX-License-Identifier: MIT */
/*
 * Durable changes other than sends: edit, delete, recover, react, join, leave, role, update, close.
 * One call is one transaction. Announcing a change, and who is a moderator, is the caller's.
 */
#ifndef SQL_CHANGES_H
#define SQL_CHANGES_H

#include "base/base.h"
#include "base/ids.h"
#include "sql/db.h"
#include "sql/events.h"

/*
 * What the actor must be in the conversation when the statement runs, whatever was known before:
 * LEAST, a role's name (NULL: nothing is asked), and of a higher one than the subject if IS_ABOVE.
 * Administrators of the server may always, owners whatever the subject is.
 */
struct role_need {
	const char *least; /* borrowed as long as the statement waits: static, say */
	bool is_above;
};

/*
 * What each kind reads; the rest is ignored. Strings are borrowed during the call.
 *
 *	message.edit		target_rev, content (the new text)
 *	message.delete		target_rev
 *	message.recover		target_rev, recover_days
 *	reaction.set/unset	target_rev, key (the emoji, 1 to 64 characters)
 *	member.join		subject, key (the role; p == NULL = "member")
 *	member.leave		subject
 *	member.role		subject, key (the role; "banned" also for people who are no
 *				members, and "member" ends a ban), until_ms and reason of a ban
 *	conversation.update	key ("name" or "description"), content (the new value)
 *	conversation.close	nothing
 */
struct log_change {
	enum kind kind;		   /* any but KIND_MESSAGE_NEW */
	int64_t conv;
	int64_t actor;		   /* user id, 0 = the system */
	struct uuid client_msg_id; /* idempotency key per actor; zero: given here */
	int64_t target_rev;	   /* rev of the message */
	int64_t subject;	   /* whose membership; 0 = the actor's */
	struct str content;
	struct str key;
	int recover_days;	   /* how old a deletion may be to be undone; 0 = any age */
	bool may_moderate;	   /* the actor may do this to what others own */
	struct role_need need;	   /* else it is as if may_moderate were not set */
	int64_t until_ms;	   /* end of a ban, since 1970; 0: for good */
	struct str reason;	   /* of a ban, up to 500 characters; p == NULL: none is given */
	struct str address;	   /* of the actor's client, for the audit; p == NULL: not known */
	struct str seen;	   /* tag of the conversation that it must have; p == NULL: any */
};

/*
 * Without may_moderate: edit and delete are the author's, recover the author's when the author
 * deleted it, join and leave are for oneself, role is refused, update and close are for who
 * made the conversation. Reactions are always one's own.
 */
enum log_change_status {
	CHANGE_STORED,	  /* to be announced */
	CHANGE_DUPLICATE, /* stored before under its key; the numbers are the first ones */
	CHANGE_UNCHANGED, /* it is so already: no row. rev and seq: newest of the conversation */
	CHANGE_NO_CONV,	  /* the conversation does not exist or is closed */
	CHANGE_NO_TARGET, /* no such message, user or member */
	CHANGE_DENIED,	  /* not the actor's, see above; or banned */
	CHANGE_GONE,	  /* deleted too long ago to be recovered */
	CHANGE_CONFLICT,  /* name taken, key stands for something else, over 32 reactions,
			   * the last owner goes */
	CHANGE_FAILED,	  /* a value that the schema refuses (length, role, encoding) */
	CHANGE_DELETED,	  /* the message was deleted: no edit, no reaction */
	CHANGE_UNSEEN,	  /* the conversation has another tag */
	CHANGE_UNKNOWN,	  /* no answer: stored or not; its key may be sent again */
	CHANGE_UNSENT,	  /* not stored: no connection in time, or a reason that passes */
};

/*
 * Strings are borrowed during the callback. All but status is 0 or empty unless STORED, DUPLICATE
 * or UNCHANGED: what was sent is for ARG to remember.
 */
struct log_change_answer {
	enum log_change_status status;
	int64_t conv, rev, seq;
	int64_t at_ms;		   /* of the row; UNCHANGED: since when it is so, 0 unknown */
	struct uuid client_msg_id; /* as sent */
	int64_t target_rev;	   /* as sent */
	int64_t target_seq;	   /* seq of the message, 0 for kinds without one */
	int64_t target_author;	   /* its author */
	struct str content;	   /* edit, update: as sent; recover: the text that is back */
	int64_t subject;	   /* member.*: whose */
	struct str subject_name;
	struct str key;		   /* as stored: a join's role is filled in */
	struct str tag;		   /* of the conversation, when one was to be seen; UNSEEN too */
};

typedef void log_change_done_fn(void *arg, const struct log_change_answer *answer);

/*
 * Applies one change under the lock of its conversation: the row of the log with the next rev and
 * the same seq, and what it changes, together or not at all. Sent again after a lost connection
 * until answered or DEADLINE_MS (as in db_query; then CHANGE_UNKNOWN): the key makes that safe.
 * DONE is called exactly once, after return, unless cancelled. Returns 0, -ERR_FULL or -ERR_INVAL
 * (kind).
 */
int log_change_submit(struct db *db, const struct log_change *change, uint64_t deadline_ms,
		      log_change_done_fn *done, void *arg, uint64_t *ret_token) MUST_CHECK;

#endif
