/* SPDX-License-Identifier: MIT */
/*
 * A WebSocket connection: frames in both dialects, pings, the closing handshake.
 * What commands do is in on_*.c; how bytes reach the socket is conn.c's.
 */
#ifndef WORKER_WS_CONN_H
#define WORKER_WS_CONN_H

#include "base/base.h"
#include "base/buf.h"
#include "proto/cmd.h"
#include "proto/errors.h"
#include "worker/conn.h"

/*
 * Between the error frame for an unknown room and the close: a client that writes its first frame
 * before it reads must find the socket open.
 */
#define WS_REFUSED_MS 500

/*
 * Turns a connection whose 101 answer is queued into a WebSocket of that dialect. ROOM_ID:
 * DIALECT_RAW's conversation, 0 when the path named none that exists.
 */
void ws_conn_start(struct conn *c, enum dialect dialect, int64_t room_id);

/*
 * One frame for this connection alone, in its own notation: append the payload (JSON; raw JSON
 * for DIALECT_RAW) to the returned buffer between the two calls, and nothing else anywhere.
 * *RET_MARK goes to the second call. It leaves with the connection's next flush.
 */
struct buf *ws_reply_begin(struct conn *c, size_t *ret_mark);
void ws_reply_end(struct conn *c, struct buf *b, size_t mark);

/* Appends JSON as one WebSocket frame of the dialect: text, or MessagePack in a binary frame. */
void ws_conn_frame(struct buf *b, enum dialect dialect, struct str json);

/* Starts the closing handshake with the close code of ERROR (RFC 6455 section 7.1.2). */
void ws_conn_close(struct conn *c, enum proto_error error);
void ws_conn_close_code(struct conn *c, uint16_t code, const char *reason);

/*
 * The same without a word of Socket.IO's about it. A session without a socket of its own ends with
 * what is queued for it: its poll sees the close packet.
 */
void ws_conn_shut(struct conn *c, uint16_t code, const char *reason);

/* Appends a close frame with the code and text of ERROR. */
void ws_conn_close_frame(struct buf *b, enum proto_error error);

/*
 * An error in the connection's dialect; closes when the error has a close code. RE and KEY may be
 * NULL; CONV 0 is left out.
 */
void ws_conn_fault(struct conn *c, const struct fault *f, const struct cmd_id *re,
		   const struct cmd_id *key, int64_t conv);
void ws_conn_error(struct conn *c, enum proto_error error, const struct cmd_id *re,
		   const struct cmd_id *key, int64_t conv);

/* An error that says when to come again; the socket stays. RE, KEY and CONV as above. */
void ws_conn_later(struct conn *c, const struct fault *f, int64_t retry_ms,
		   const struct cmd_id *re, const struct cmd_id *key, int64_t conv);

/* The same of one frame that was one too many (E_RATE_LIMITED). */
void ws_conn_limited(struct conn *c, int64_t retry_ms, const struct cmd_id *re,
		     const struct cmd_id *key, int64_t conv);

/* It went on for too long after refusals: says so and closes with 4429. */
void ws_conn_abused(struct conn *c);

/*
 * The database is away and without it this connection can do nothing: says so with a retry time and
 * closes with 1013. RE may be NULL.
 */
void ws_conn_try_later(struct conn *c, const struct cmd_id *re);

/* The limits that the settings in force put on commands. */
struct cmd_limits worker_cmd_limits(const struct worker *wk);

/*
 * Tells a client that its connection will end, and in how many milliseconds from now to come
 * again.
 */
void ws_conn_goaway(struct conn *c, int64_t in_ms);

/* Frees protocol state: called by the sweep. */
void ws_conn_done(struct conn *c);

#endif
