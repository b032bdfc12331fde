/* SPDX-License-Identifier: MIT */
/*
 * The face of proto/: bytes to meaning and back, as pure functions.
 * No sockets, no clocks, no logging, no opinion on who is calling: that is worker's.
 *
 *	errors.h	 what clients are told: errors.def, struct fault
 *	events.h	 event types and client operations: events.def, ops.def
 *	event.h		 the canonical event, the form that travels in the ring
 *	cmd.h		 one decoded client request, the same for every dialect
 *	ws.h		 RFC 6455 frames and handshake
 *	ws_deflate.h	 permessage-deflate (RFC 7692)
 *	http.h		 HTTP/1.1 requests in, response heads out
 *	http_field.h	 header field values: ranges, entity tags, encodings, dates, escapes
 *	json.h		 reading and writing JSON
 *	msgpack.h	 the same values as MessagePack
 *	cursor.h	 a client's position in its conversations, as opaque text
 *	sse.h		 event streams: the framing of text/event-stream
 *	utf8.h		 UTF-8 checks, lengths, the rules for names and message text
 *	dialect_raw.h	 S1: /ws/chat/{room_id} and its REST bodies
 *	dialect_native.h roomd.v1: WebSocket frames, REST bodies, problem documents
 *	engineio.h	 Engine.IO 4: packets, polling payloads, handshake, refusals
 *	socketio.h	 Socket.IO 5: packets, attachments, acknowledgements
 *	s0.h		 S0's event over Socket.IO
 *	s4.h		 events of S3 and S4 over Socket.IO
 *
 * Conventions: `x_add_*` appends to a struct buf and cannot fail. `x_decode*` borrows from its
 * input and reports what is wrong through struct fault.
 */
#ifndef PROTO_PROTO_H
#define PROTO_PROTO_H

#include "base/base.h"
#include "base/buf.h"

struct cmd;
struct cmd_limits;
struct event;
struct fault;
struct http_in;
struct http_request;
struct json_doc;
struct json_value;
struct ws_in;

#endif
