/* SPDX-License-Identifier: MIT */
/*
 * WebSocket (RFC 6455), server side: frames of a client in, frames to a client out, the handshake's
 * key. Reading, writing, time-outs and the order of the closing handshake are worker's.
 */
#ifndef PROTO_WS_H
#define PROTO_WS_H

#include "base/base.h"
#include "base/buf.h"

enum ws_opcode {
	WS_OP_CONT = 0x0,
	WS_OP_TEXT = 0x1,
	WS_OP_BINARY = 0x2,
	WS_OP_CLOSE = 0x8,
	WS_OP_PING = 0x9,
	WS_OP_PONG = 0xa,
};

/* Close codes that this side sends (section 7.4.1); the application's are in errors.def. */
enum ws_close {
	WS_CLOSE_NORMAL = 1000,
	WS_CLOSE_GOING_AWAY = 1001,
	WS_CLOSE_PROTOCOL = 1002,
	WS_CLOSE_UNSUPPORTED = 1003, /* a kind of message that is not understood */
	WS_CLOSE_NONE = 1005,	     /* never sent: the peer's close frame had no code */
	WS_CLOSE_INVALID_DATA = 1007,
	WS_CLOSE_TOO_BIG = 1009,
	WS_CLOSE_INTERNAL = 1011,
	WS_CLOSE_RESTART = 1012,
	WS_CLOSE_TRY_LATER = 1013,
};

struct ws_inflater;

struct ws_limits {
	uint32_t frame_max;	/* payload bytes of one frame */
	uint32_t message_max;	/* payload bytes of one message, all fragments together */
	uint32_t fragments_max; /* frames of one message; 0: 65536 */
	/* borrowed; messages may be compressed, as was agreed; NULL: they may not */
	struct ws_inflater *inflater;
};

/*
 * What one connection remembers between reads: nothing on the heap while no message is half-read.
 * Plain data that can be moved with the connection; zero is the initial state.
 */
struct ws_in {
	struct buf partial;	 /* owned: unmasked bytes of a message that is not complete */
	uint32_t left;		 /* payload bytes of the present frame that are still to come */
	uint32_t fragments : 24; /* frames of the present message */
	uint32_t op : 4;	 /* its opcode; 0: between messages */
	uint32_t fin : 1;	 /* the present frame is the last of its message */
	uint32_t in_frame : 1;	 /* between a data frame's header and its end */
	uint32_t ended : 1;	 /* a close frame or a fault was seen: nothing more is read */
	uint32_t delivered : 1;	 /* PARTIAL was handed out and is dropped by the next call */
	uint8_t mask[4];	 /* of the present frame, turned to its next byte */
	uint8_t utf8;		 /* utf8_feed's state of a text message */
	bool is_deflated;	 /* the present message is compressed */
};
_Static_assert(sizeof(struct ws_in) <= 40, "an idle connection must stay small");

void ws_in_init(struct ws_in *in);
void ws_in_done(struct ws_in *in);

struct ws_msg {
	enum ws_opcode op;   /* TEXT, BINARY, PING, PONG or CLOSE; never CONT */
	struct str payload;  /* unmasked; CLOSE: the reason */
	uint16_t close_code; /* CLOSE: the peer's or 1005. Fault: the one to send */
	const char *fault;   /* fault: static text for the log and the close reason */
};

/*
 * Reads from DATA, which is unmasked in place, up to the end of one message or control frame.
 *
 *	0		*RET is a message; call again with the rest of the data
 *	-ERR_AGAIN	more bytes are needed. At most 13 bytes of a header or 130 of a control
 *			frame stay unconsumed: present them again, followed by the new ones
 *	-ERR_PROTO	the client broke a rule: send a close frame with ret->close_code, then
 *			stop reading
 *	-ERR_CLOSED	a close frame or fault came before: drop the data
 *
 * *RET_USED (set in every case) is how many bytes are done with. A payload is borrowed, from DATA
 * or from IN, until the next call; calling until -ERR_AGAIN gives the memory of a large message
 * back. Bytes of an incomplete data frame are taken over into IN, so DATA can be a small shared
 * read buffer.
 *
 * A compressed message is inflated when all of it is there. The limit of a message is that of what
 * it becomes; on the wire it may have a sixteenth more, which is what compressors add at worst, and
 * so may its frames.
 *
 * Faults: section 5.1 (unmasked frame), 5.2 (reserved bits, opcodes, length forms), 5.4
 * (fragments), 5.5 (control frames), 7.4 (close codes): 1002. Section 8.1: text that cannot become
 * valid UTF-8: 1007, at the first byte that shows it. Limits: 1009, at the header. RFC 7692: what
 * cannot be inflated: 1007.
 */
int ws_next(struct ws_in *in, const struct ws_limits *lim, uint8_t *data, size_t len,
	    size_t *ret_used, struct ws_msg *ret) MUST_CHECK;

/* True between the first and the last byte of a message. */
bool ws_in_message(const struct ws_in *in);

/* Writing -------------------------------------------------------------------- */

#define WS_HEADER_MAX 10 /* servers do not mask */
#define WS_CONTROL_MAX 125
#define WS_REASON_MAX 123

/* Header of an unfragmented frame. Returns its length. */
size_t ws_header(uint8_t ret[WS_HEADER_MAX], enum ws_opcode op, size_t payload_len);

/* Appends a whole frame. Control payloads at most WS_CONTROL_MAX (asserted). */
void ws_add_frame(struct buf *b, enum ws_opcode op, struct str payload);

/*
 * Appends a close frame. CODE 0 or WS_CLOSE_NONE: empty payload. A long REASON is cut at a
 * character's end.
 */
void ws_add_close(struct buf *b, uint16_t code, struct str reason);

/*
 * A frame whose payload is appended to B directly, length unknown: begin, append, end. One at a
 * time per buffer. Payloads up to 65,535 bytes are moved by at most two bytes, longer ones by six.
 */
size_t ws_frame_begin(struct buf *b);
void ws_frame_end(struct buf *b, size_t begin, enum ws_opcode op);

/* Handshake (section 4.2.2) -------------------------------------------------- */

#define WS_ACCEPT_LEN 28

/*
 * The value of Sec-WebSocket-Accept, and a NUL. Returns 0, or -ERR_INVAL when the key is not the
 * base64 form of 16 bytes.
 */
int ws_accept_key(struct str client_key, char ret[WS_ACCEPT_LEN + 1]) MUST_CHECK;

#endif
