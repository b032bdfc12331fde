/* SPDX-License-Identifier: MIT */
/*
 * Engine.IO, version 4 of its protocol: packets, polling payloads, the handshake, refusals.
 * Sessions, their time-outs and which transport is the present one are worker's.
 */
#ifndef PROTO_ENGINEIO_H
#define PROTO_ENGINEIO_H

#include "base/base.h"
#include "base/buf.h"

struct http_request;

/* Packets ------------------------------------------------------------------------ */

enum eio_type {
	EIO_OPEN,    /* from the server: the handshake */
	EIO_CLOSE,
	EIO_PING,    /* from the server; from a client only as the probe of an upgrade */
	EIO_PONG,
	EIO_MESSAGE,
	EIO_UPGRADE, /* from a client: the probed transport is the present one from now on */
	EIO_NOOP,    /* from the server: ends a poll */
	EIO_TYPE_COUNT
};

struct eio_packet {
	enum eio_type type;
	bool is_binary;	 /* EIO_MESSAGE only: bytes, not text */
	struct str data; /* borrowed; without the type's digit */
};

/* The data of the ping and the pong that try a transport. */
#define EIO_PROBE "probe"

/* True for the ping that a client sends first on the transport that it wants to move to. */
bool eio_is_probe(const struct eio_packet *p);

/*
 * One message of a WebSocket as a packet: a binary one is a message as it is, a text has its type
 * in front. A text of 'b' and base64 is binary too: clients without binary frames send it. Its
 * bytes go to SCRATCH, which is cleared first; everything else borrows from FRAME. Returns 0, or
 * -ERR_PROTO, after which the session is to be closed.
 */
int eio_decode(struct str frame, bool is_binary, struct buf *scratch,
	       struct eio_packet *ret) MUST_CHECK;

/* Appends a packet as the text or the bytes of one WebSocket message. */
void eio_add(struct buf *b, const struct eio_packet *p);

/* Appends a whole WebSocket frame with it. */
void eio_add_frame(struct buf *b, const struct eio_packet *p);

/* Polling ------------------------------------------------------------------------- */

#define EIO_SEPARATOR '\x1e'

/* More packets in one answer make clients that stop reading there drop the connection. */
#define EIO_POLL_PACKETS_MAX 16

/* The body of a POST, taken apart packet by packet. By value; SCRATCH is the caller's. */
struct eio_payload {
	struct str rest;
	bool is_done;
};

/* BODY is borrowed. Its size is the HTTP reader's to bound. */
void eio_payload_init(struct eio_payload *p, struct str body);

/*
 * The next packet, as eio_decode gives it, borrowed until the next call. Text must be UTF-8.
 * Returns 0; -ERR_NOENT after the last; -ERR_PROTO for a packet that is none, an empty one and
 * so an empty body too: the packets before it count, the session is to be closed.
 */
int eio_payload_next(struct eio_payload *p, struct buf *scratch,
		     struct eio_packet *ret) MUST_CHECK;

/* Appends a packet to the answer to a poll, with a separator unless B ends at BEGIN. */
void eio_add_polled(struct buf *b, size_t begin, const struct eio_packet *p);

/*
 * What a session has to say is kept as WebSocket frames, whatever its transport: so what is encoded
 * once for many serves all. The next packet of FRAMES, which it advances. Returns 0; -ERR_NOENT at
 * the end; -ERR_CORRUPT for what is no whole text or binary frame of a server.
 */
int eio_frame_next(struct str *frames, struct eio_packet *ret) MUST_CHECK;

/*
 * Appends such frames as the answer to a poll: at least one, then while there are at most
 * EIO_POLL_PACKETS_MAX and BYTES_MAX bytes. Returns how many bytes of FRAMES are in it; 0 when
 * there is no whole frame to begin with.
 */
size_t eio_add_poll(struct buf *b, struct str frames, size_t bytes_max) MUST_CHECK;

/* Handshake ----------------------------------------------------------------------- */

enum eio_transport {
	EIO_POLLING,
	EIO_WEBSOCKET,
	EIO_TRANSPORT_COUNT
};

/* "polling" and "websocket". Static. */
const char *eio_transport_name(enum eio_transport t);

struct eio_handshake {
	struct str sid;
	bool can_upgrade; /* to a WebSocket */
	int64_t ping_interval_ms, ping_timeout_ms;
	uint32_t payload_max; /* bytes of a POST's body and of a WebSocket message */
};

/* Appends the open packet: 0{"sid","upgrades","pingInterval","pingTimeout","maxPayload"}. */
void eio_add_open(struct buf *b, const struct eio_handshake *h);

/* Requests ------------------------------------------------------------------------ */

enum eio_error {
#define X(name, code, http_status, text) EIO_E_##name = (code),
#include "proto/engineio_errors.def"
#undef X
	EIO_E_NONE,
};

int eio_error_status(enum eio_error e); /* of the HTTP answer */

/* {"code":1,"message":"Session ID unknown"}. */
void eio_add_error(struct buf *b, enum eio_error e);

#define EIO_SID_MAX 64 /* characters: no session of ours has a longer id */

/*
 * What a request asks for. `t`, which keeps caches away, and `b64`, which this version of the
 * protocol has no use for, are ignored.
 */
struct eio_query {
	enum eio_transport transport;
	uint8_t sid_len; /* 0: a new session */
	char sid[EIO_SID_MAX];
};

/*
 * Reads and checks a request by itself: what needs no session and no right. TRANSPORTS is a set of
 * 1 << enum eio_transport. IS_UPGRADE: it is a WebSocket's opening handshake. Returns EIO_E_NONE
 * and *RET, or the refusal: TRANSPORT for one that is unknown or not in the set; SID for an id that
 * is none of ours; METHOD for a new session by anything but GET; REQUEST for a WebSocket transport
 * without an upgrade or the contrary, for JSONP, for broken parameters and for methods other than
 * GET and POST; VERSION unless EIO is 4.
 */
enum eio_error eio_query_read(const struct http_request *r, unsigned transports, bool is_upgrade,
			      struct eio_query *ret) MUST_CHECK;

#endif
