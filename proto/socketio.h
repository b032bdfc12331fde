/* SPDX-License-Identifier: MIT */
/*
 * Socket.IO, version 5 of its protocol: packets in and out, each the text of one Engine.IO message.
 * What events mean is the dialects' (s0.h, s4.h), which namespaces there are is worker's.
 */
#ifndef PROTO_SOCKETIO_H
#define PROTO_SOCKETIO_H

#include "base/base.h"
#include "base/buf.h"
#include "proto/cmd.h"
#include "proto/json.h"

/* The namespace that everybody means who names none. */
#define SIO_NSP_MAIN "/"

enum sio_type {
#define X(name, payload, has_attachments) SIO_##name,
#include "proto/socketio.def"
#undef X
	SIO_TYPE_COUNT
};

/* Largest id of an acknowledgement: what a number holds exactly in the clients' language. */
#define SIO_ID_MAX ((INT64_C(1) << 53) - 1)

struct sio_limits {
	uint32_t depth_max;	    /* nesting of JSON */
	uint32_t attachments_max;   /* of one packet */
	uint32_t attachments_bytes; /* of one packet, all together */
};

/*
 * A packet as it came. Strings borrow from the text or from struct sio_in until its next call;
 * release with sio_packet_done.
 */
struct sio_packet {
	enum sio_type type;	       /* BINARY_EVENT and BINARY_ACK come as EVENT and ACK */
	struct str nsp;		       /* "/" when none is named */
	int64_t id;		       /* of the acknowledgement that is wanted or given */
	bool has_id;
	struct json_doc *doc;	       /* owned; NULL without payload */
	const struct json_value *data; /* the payload, or NULL. EVENT: name and arguments */
	struct str bytes;	       /* all attachments, one behind the other */
	const size_t *ends;	       /* where each of them ends in BYTES */
	uint32_t nattachments;
};
void sio_packet_done(struct sio_packet *p);

/*
 * A packet with attachments that have not all come yet: plain bytes, so that it can move with its
 * connection. Zero is the initial state.
 */
struct sio_in {
	struct buf text;  /* owned: the packet's own text; empty between packets */
	struct buf bytes; /* owned: the attachments so far */
	struct buf ends;  /* owned: size_t for each */
	uint32_t wanted;  /* how many there will be */
};
/* Also between packets, while a packet's attachments are no longer needed: gives memory back. */
void sio_in_done(struct sio_in *in);

/*
 * One Engine.IO message, text or binary.
 *
 *	0		*RET is a packet
 *	-ERR_AGAIN	taken; attachments are to come
 *	-ERR_INVAL	a packet that nobody can act upon: its JSON is well-formed and refused
 *			(doubled members, NUL, numbers out of range, depth). *RET has type, nsp and
 *			id but no payload, *RET_FAULT the reason; the connection goes on
 *	-ERR_PROTO	the connection is to be closed: no packet, a payload of another shape than
 *			its type has, an event with a reserved name, attachments that were not
 *			announced, that are none, too many or too large, or text in their place
 *
 * EVENT and ACK must have their array; ids beside other types are taken and mean nothing. *RET is
 * untouched unless the result is 0 or -ERR_INVAL.
 */
int sio_decode(struct sio_in *in, struct str message, bool is_binary,
	       const struct sio_limits *lim, struct sio_packet *ret,
	       struct fault *ret_fault) MUST_CHECK;

/* The name of an EVENT. False when it is a number, or P is no event. */
bool sio_event_name(const struct sio_packet *p, struct str *ret);

/* Argument I of an EVENT (behind its name) or ACK; NULL when there is none. null is a value. */
const struct json_value *sio_arg(const struct sio_packet *p, size_t i);
size_t sio_arg_count(const struct sio_packet *p);

/* Attachment I of P, I below p->nattachments. */
struct str sio_attachment_at(const struct sio_packet *p, size_t i);

/* The attachment that V stands for in P's payload. False when V is no placeholder. */
bool sio_attachment(const struct sio_packet *p, const struct json_value *v, struct str *ret);

/* The request's id as an answer gives it back; empty when no acknowledgement is wanted. */
void sio_cmd_id(const struct sio_packet *p, struct cmd_id *ret);

/*
 * What a CONNECT says of its client. Texts that are absent, no strings or too long are empty.
 */
struct sio_auth {
	struct str token;  /* credentials */
	struct str pid;	   /* the session to recover */
	struct str offset; /* what it received last; may be empty although PID is not */
	bool has_autojoin; /* it said whether it follows all its user's conversations */
	bool autojoin;	   /* what it said */
};
#define SIO_AUTH_MAX 16384 /* bytes of each */
void sio_auth_read(const struct sio_packet *p, struct sio_auth *ret);

/*
 * Writing. Each packet is appended as the text of an Engine.IO message, its '4' included; framing
 * it is the caller's (ws_frame_begin and ws_frame_end, or eio_add_polled). Nothing in it depends on
 * the receiver, so an event is written once for all. NSP is "/" or as it was read.
 */

/* 40{"sid"} or, unless PID is empty, 40{"sid","pid"}: the client can come back with it. */
void sio_add_connect(struct buf *b, struct str nsp, struct str sid, struct str pid);

/* 44{"message"}, and with "data" unless DATA (JSON) is empty. */
void sio_add_connect_error(struct buf *b, struct str nsp, struct str message, struct str data);
void sio_add_disconnect(struct buf *b, struct str nsp);

/* An id that is none: the event wants no acknowledgement. */
#define SIO_NO_ID (-1)

/*
 * An event up to its arguments: 42["name". Append each with json_add_sep and one value, then
 * sio_event_end. NATTACHMENTS above 0 announces so many binary messages that must follow.
 */
void sio_event_begin(struct buf *b, struct str nsp, int64_t id, uint32_t nattachments,
		     const char *name);

/*
 * Ends an event. OFFSET, unless empty, becomes its last argument: the position that a client names
 * when it comes back. Clients take any text at the end for one, so an event without an offset must
 * not end in a string.
 */
void sio_event_end(struct buf *b, struct str offset);

/*
 * The same packet for one receiver: appends EVENT, written without an offset, with one of its own.
 */
void sio_add_event_at(struct buf *b, struct str event, struct str offset);

/* The answer to an event: 43ID[. RE is the request's id, not empty. Then arguments, then end. */
void sio_ack_begin(struct buf *b, struct str nsp, const struct cmd_id *re, uint32_t nattachments);
void sio_ack_end(struct buf *b);

/* {"_placeholder":true,"num":N}, with a separator before it. */
void sio_add_placeholder(struct buf *b, uint32_t n);

/* The arguments of P from the one numbered FIRST, as they came, placeholders included. */
void sio_add_args(struct buf *b, const struct sio_packet *p, size_t first);

/*
 * {"ok":false,"error":"text","code","field"?,"retry_after"?}: what a refused request is
 * acknowledged with. RETRY_MS 0 is left out.
 */
void sio_add_refusal(struct buf *b, const struct fault *f, int64_t retry_ms);

#endif
