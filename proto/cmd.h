/* SPDX-License-Identifier: MIT */
/*
 * One client request, decoded: the same structure whatever dialect it came in.
 * Which operations exist is ops.def's; whether this caller may do it is worker's.
 */
#ifndef PROTO_CMD_H
#define PROTO_CMD_H

#include "base/base.h"
#include "base/ids.h"
#include "base/rate.h"
#include "proto/errors.h"
#include "proto/events.h"

struct json_value;

/*
 * The request's own id as raw JSON text (number or string with its quotes), to be echoed as "re".
 * Owned by value, so that it can outlive the frame while the database works.
 */
#define CMD_ID_MAX 64
struct cmd_id {
	uint8_t len; /* 0: the request had none and gets no "re" */
	char text[CMD_ID_MAX];
};

/* The client's key of a message, in bytes as written. */
#define CMD_KEY_MAX 128

/*
 * Strings are borrowed from the json_doc that was decoded: copy what outlives it. Numbers that the
 * request left out are 0 and empty strings have len 0, unless a has_ flag says more.
 */
struct cmd {
	enum cmd_op op;
	struct cmd_id id;
	int64_t conv;		/* conversation; 0 in S1, whose socket knows its room */
	int64_t rev;		/* sub, resume: last seen; 0: from now */
	bool has_rev;
	struct str name;	/* hello: guest name, trimmed and checked by the name rules */
	struct str token;	/* hello: credentials; empty when none */
	struct str client;	/* hello: what the client calls itself */
	struct str resume;	/* hello: cursor of an earlier session */
	struct str content;	/* send: text, checked by the message rules */
	struct str key;		/* send: client_msg_id or client_id as written */
	bool has_key;
	struct uuid key_uuid;	/* the key when it is a UUID, else its hash; zero without key */
	int64_t reply_to_rev;	/* send: message answered, 0: none; its conversation is CONV */
	int64_t reply_to_conv;	/* to be compared when CONV came as a UUID */
	bool on;		/* typing: started; react: set, not unset */
	int64_t before, after;	/* history: revs, exclusive; 0: not given */
	int64_t limit;		/* history, sync: 0: the surface's default */
	int64_t target_rev;	/* edit, delete, recover, react: the message, which lies in CONV */
	int64_t seq;		/* read, delivered: everything up to this message */
	struct str emoji;	/* react: checked by cmd_emoji_valid */
	struct str cursor;	/* sync: text of a position, not yet decoded */
	struct str status;	/* presence: the caller's new status text; may be empty */
	bool has_status;
	bool has_conv_uid;	/* the conversation came as a UUID: CONV is 0 then */
	bool has_peer_uid;	/* the same for PEER */
	struct uuid conv_uid;
	int64_t peer;		/* S4: instead of CONV, the direct conversation with this user */
	struct uuid peer_uid;
	struct str attachment;	/* send: its address, checked; may stand without CONTENT */
	size_t nseen;			/* hello: how many pairs cmd_seen_next gives */
	const struct json_value *seen;	/* hello: for cmd_seen_next; borrowed */
	size_t nusers;			/* presence: how many ids cmd_user_at gives */
	const struct json_value *users; /* presence: for cmd_user_at; borrowed */
};

/*
 * What hello's "seen" says, checked when it was decoded: the newest rev that the client knows of a
 * conversation. Start with *POS 0; false after the last pair. Order is not the client's, no
 * conversation comes twice.
 */
bool cmd_seen_next(const struct cmd *c, size_t *pos, int64_t *ret_conv, int64_t *ret_rev);

/* User I of those that a presence request asks about, I below c->nusers. */
int64_t cmd_user_at(const struct cmd *c, size_t i);

/*
 * The rule for reactions: 1 to 32 code points (so at most 128 bytes) without white space, control
 * characters and what names may not have; not only invisible ones.
 */
bool cmd_emoji_valid(struct str s);

/*
 * A message id: a number, decimal digits or UUIDv8. False for anything else, and *RET_CONV and
 * *RET_REV are left alone then.
 */
bool cmd_msgid(const struct json_value *v, int64_t *ret_conv, int64_t *ret_rev);

/* What the settings allow. By value from the caller. */
struct cmd_limits {
	uint32_t depth_max;   /* nesting of JSON, websocket.json_depth_max */
	uint32_t name_max;    /* characters, chat.name_max */
	uint32_t desc_max;    /* characters, chat.description_max */
	uint32_t message_max; /* characters, chat.message_max */
	uint32_t address_max; /* characters, chat.attachment_max; 0: nothing is attached */
	uint32_t batch_max;   /* requests in one native frame */
	uint32_t subs_max;    /* websocket.subscriptions_max: bounds seen, users, cursors; 0: 500 */
	/* how often (section limits): told to clients, kept by the worker; NULL: not told */
	const struct rate *operations, *frames, *sends, *unauthenticated;
	bool is_known;	      /* the handshake said who it is: hello needs no name */
	bool conv_uids;	      /* conversations may come as UUIDs, which the caller looks up */
};

#endif
