/* SPDX-License-Identifier: MIT */
/*
 * S0 over Socket.IO: the one event "message" in both directions, in the room that the session is
 * in. Packets are socketio.h's, the pages are worker's.
 */
#ifndef PROTO_S0_H
#define PROTO_S0_H

#include "proto/cmd.h"
#include "proto/event.h"
#include "proto/socketio.h"

#define S0_EVENT "message"

/*
 * Decodes an EVENT: OP_SEND with content, for the room that the socket knows. Its text is the
 * argument itself, or that object's "data" or "message". Returns 0 or -ERR_INVAL with *RET_FAULT
 * (E_UNKNOWN_OP, E_INVALID). ret->id is set in both cases, ret->content borrows from P.
 */
int s0_cmd(const struct sio_packet *p, const struct cmd_limits *lim, struct cmd *ret,
	   struct fault *ret_fault) MUST_CHECK;

/*
 * The packet of a ring event for the sockets in its room: message.new, unless it is deleted by now,
 * as {"name","message","timestamp","id","seq"}, and presence as {"name","message":"has entered the
 * room","system":true,"timestamp"}. OFFSET as in sio_event_end. Returns false and appends nothing
 * for anything else.
 */
bool s0_add_event(struct buf *b, const struct event *e, struct str offset);

/* The answer to a message: {"ok":true,"id","seq"}, and "duplicate":true for a repetition. */
void s0_ack_sent(struct buf *b, const struct cmd_id *re, const struct event *e, bool duplicate);

#endif
