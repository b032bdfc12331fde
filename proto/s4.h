/* SPDX-License-Identifier: MIT */
/*
 * S3 and S4 over Socket.IO: what their clients ask for as struct cmd, what happens as their events.
 * Packets are socketio.h's; who gets what, and which conversations a socket joined, is worker's.
 */
#ifndef PROTO_S4_H
#define PROTO_S4_H

#include "proto/cmd.h"
#include "proto/event.h"
#include "proto/socketio.h"

enum s4_event {
#define X(name, event) S4_##name,
#include "proto/s4_events.def"
#undef X
	S4_EVENT_COUNT
};

/* The name on the wire. Static. */
const char *s4_event_name(enum s4_event e);

/* Reading ------------------------------------------------------------------------- */

/*
 * Rooms of Socket.IO have names: conversation_42 for what happens in a conversation, user_7 for
 * what somebody is told of.
 */
#define S4_ROOM_CONV "conversation"
#define S4_ROOM_USER "user"
void s4_add_room(struct buf *b, const char *kind, int64_t id);

/* The number in such a name, with '_' or ':', or by itself. 0 or -ERR_INVAL; *RET is positive. */
int s4_room_id(struct str name, const char *kind, int64_t *ret) MUST_CHECK;

/* Whether clients ask for something by that name. */
bool s4_knows(struct str event);

/*
 * Decodes an EVENT by its name and first argument:
 *
 *	join_conversation	OP_SUB. The id itself or an object; user_7 gives PEER alone
 *	leave_conversation	OP_UNSUB
 *	send_message		OP_SEND: content, attachment, key, reply_to; conv or peer
 *	typing, stop_typing	OP_TYPING: on
 *	mark_as_read		OP_READ: up to target_rev; 0: everything
 *	delivered		OP_DELIVERED: target_rev
 *
 * A conversation is a number, its digits, conversation:1, conversation_1 or, where LIM allows it, a
 * UUID; members may be spelled either way (conversationId, conversation_id). A message's id names
 * its conversation too. Marks carry no seq: it is the caller's to find. Returns 0 or -ERR_INVAL
 * with *RET_FAULT (E_UNKNOWN_OP, E_INVALID); ret->id is set in both cases, and the key of a message
 * if one could be read. Strings borrow from P.
 */
int s4_cmd(const struct sio_packet *p, const struct cmd_limits *lim, struct cmd *ret,
	   struct fault *ret_fault) MUST_CHECK;

/* Events. All append one packet for the main namespace. ------------------------------- */

/* What is not in the record of a message. Zero where it does not apply. */
struct s4_view {
	int64_t receiver;      /* the other user of a direct conversation */
	int64_t read_at_ms;    /* 0: not read yet */
	int64_t updated_at_ms; /* 0: as it was made */
	int64_t mark_rev;      /* EVT_READ, EVT_DELIVERED: rev of the message that the mark is at */
};

/*
 * The packet of a ring event for the sockets that joined its conversation, and OFFSET as in
 * sio_event_end:
 *
 *	message.new	new_message: see s4_add_message. None when it is deleted by now
 *	message.edit	message_edited {conversationId,conversation_id,id,uid,content,userId,
 *			username,editedAt,rev}
 *	message.recover	the same with "recovered":true and "attachment_url"
 *	message.delete	message_deleted {…,id,uid,userId,username,deletedAt,rev}
 *	read		messages_read {…,userId,lastReadMessageId,seq,readAt}
 *	delivered	message_delivered {…,userId,messageId,seq,deliveredAt}
 *
 * Ids of messages are null where VIEW does not tell. Returns false and appends nothing for anything
 * else: typing and presence have functions of their own.
 */
bool s4_add_event(struct buf *b, const struct event *e, const struct s4_view *view,
		  struct str offset);

/*
 * A message as an object: {"id","uid","conversation_id","conversationId","sender_id",
 * "receiver_id"?,"sender":{"id","username"},"content","attachment_url","is_read","read_at",
 * "createdAt","updatedAt","seq","rev","clientMsgId"?}.
 */
void s4_add_message(struct buf *b, const struct event *e, const struct s4_view *view);

/*
 * message_notification {conversationId,conversation_id,message,sender,preview,unread,joined?} for
 * the other members. UNREAD below 0 is left out; JOINED: the socket has new_message too.
 */
#define S4_PREVIEW_MAX 100 /* characters of the content */
void s4_add_notification(struct buf *b, const struct event *e, const struct s4_view *view,
			 int64_t unread, bool joined);

/* typing or stop_typing {conversationId,conversation_id,userId,username}. */
void s4_add_typing(struct buf *b, int64_t conv, int64_t user, struct str name, bool on);

/* user:online or user:offline {userId,username,at}. */
void s4_add_presence(struct buf *b, int64_t user, struct str name, bool is_online, int64_t at_ms);

/* online_users {users:[ids]}. NEXT gives the next user, false after the last. */
typedef bool (*s4_user_fn)(void *arg, int64_t *ret_user);
void s4_add_online_users(struct buf *b, s4_user_fn next, void *arg);

/*
 * message_error {clientMsgId?,code,message,retry_after?}: for who asked for no acknowledgement. KEY
 * is the message's as the client wrote it; empty and RETRY_MS 0 are left out.
 */
void s4_add_error(struct buf *b, const struct fault *f, int64_t retry_ms, struct str key);

/* Acknowledgements. RE is the request's id, not empty. --------------------------------- */

struct s4_joined {
	int64_t conv, rev;
	int64_t unread;	 /* below 0: not known, null */
	struct str name; /* of the conversation; empty: null */
};

/* {"ok":true,"conversation":{"id","conversationId","name"},"unread","rev"}. */
void s4_ack_joined(struct buf *b, const struct cmd_id *re, const struct s4_joined *j);

/* {"ok":true,"message":{…},"duplicate"?}. */
void s4_ack_sent(struct buf *b, const struct cmd_id *re, const struct event *e,
		 const struct s4_view *view, bool duplicate);

/* {"ok":true,"count","lastReadMessageId"}: COUNT messages became read; REV 0: null. */
void s4_ack_marked(struct buf *b, const struct cmd_id *re, int64_t count, int64_t conv,
		   int64_t rev);

/* {"ok":true}. */
void s4_ack_ok(struct buf *b, const struct cmd_id *re);

/* See sio_add_refusal; for S0 as well. */
void s4_ack_refused(struct buf *b, const struct cmd_id *re, const struct fault *f,
		    int64_t retry_ms);

#endif
