/* SPDX-License-Identifier: MIT */
/*
 * Client connections: the only code that touches client sockets. Reads, queues, writes, closes.
 * What the bytes mean is decided in http_conn.c and ws_conn.c.
 */
#ifndef WORKER_CONN_H
#define WORKER_CONN_H

#include <ev.h>

#include "base/addr.h"
#include "base/base.h"
#include "base/blob.h"
#include "base/buf.h"
#include "base/ids.h"
#include "base/list.h"
#include "proto/ws.h"
#include "worker/worker.h"

struct frame_rest;
struct eio;
struct http_in;
struct identity;
struct move;
struct outq;
struct resume;
struct sse;
struct sub;

enum conn_state {
	CONN_HTTP,	/* reads requests */
	CONN_WS,	/* reads frames */
	CONN_WS_CLOSING, /* our close frame is out, waits for the peer's */
	CONN_SSE,	/* an event stream: what the client sends is not looked at */
	CONN_LINGER,	/* everything said: flushes, then closes */
	CONN_DEAD,	/* on the closing list: no callbacks, freed by the sweep */
};

enum dialect {
	DIALECT_NONE,
	DIALECT_RAW,	/* S1: /ws/chat/{room} */
	DIALECT_NATIVE, /* roomd.v1 */
	DIALECT_MSGPACK, /* roomd.v1.msgpack: the same frames in another notation */
	DIALECT_SSE,	/* /api/v1/events: the same frames, one way only */
	DIALECT_S0,	/* Socket.IO: the room of a page */
	DIALECT_S4,	/* Socket.IO: the conversations of an account */
	DIALECT_COUNT,
};

/* Speaks the native frames, in whatever notation. */
static inline bool dialect_is_native(enum dialect d)
{
	return d >= DIALECT_NATIVE && d <= DIALECT_SSE;
}

/* Speaks Socket.IO: its frames are Engine.IO packets, and its requests are acknowledged. */
static inline bool dialect_is_sio(enum dialect d)
{
	return d == DIALECT_S0 || d == DIALECT_S4;
}

/* The socket is one conversation, which no request names. */
static inline bool dialect_has_room(enum dialect d)
{
	return d == DIALECT_RAW || d == DIALECT_S0;
}

/* How a client that stays is connected. */
enum conn_transport { TRANSPORT_NONE, TRANSPORT_WEBSOCKET, TRANSPORT_POLLING, TRANSPORT_SSE };

/* How a connection ended: decides the grace of its user's presence. */
enum conn_end {
	CONN_END_LOST,	/* nobody said anything */
	CONN_END_CLEAN, /* closed as it should be */
	CONN_END_BYE,	/* and does not mean to come back */
};

/* The one deadline that a connection waits for; each has its own setting, kept in order of time. */
enum conn_wait {
	WAIT_NONE,
	WAIT_HEADER,	/* http.header_timeout */
	WAIT_BODY,	/* http.body_timeout */
	WAIT_KEEPALIVE, /* http.keepalive_timeout */
	WAIT_HELLO,	/* websocket.hello_timeout */
	WAIT_PING,	/* websocket.ping_interval: silence */
	WAIT_PONG,	/* websocket.ping_timeout */
	WAIT_CLOSE,	/* websocket.close_timeout */
	WAIT_REFUSED,	/* WS_REFUSED_MS: the error is said, the close follows */
	WAIT_EIO_PING,	/* engineio.ping_interval: then the server's ping is due */
	WAIT_EIO_PONG,	/* engineio.ping_timeout: its answer */
	WAIT_EIO_UPGRADE, /* engineio.upgrade_timeout: of a socket that wants to take over */
	WAIT_EIO_RETURN, /* SIO_RETURN_MS: its session may not have been written yet */
	WAIT_COUNT,
};

/*
 * Everything known of a connection is in here or hangs from here: nothing in callbacks or
 * statics, so that it can be written out and read back elsewhere.
 */
struct conn {
	ev_io io;		/* io.data is the struct worker */
	uint64_t id;		/* never reused in this process */
	struct list work;	/* in closing or conns_ready, or none */
	struct list dirty;	/* in conns_dirty, or none */
	struct list wait_node;	/* in the queue of its conn_wait */
	uint32_t wait_since;	/* milliseconds of the worker's clock, wraps */
	uint8_t state, dialect, wait, end;
	bool is_blocked; /* waits for an answer: parse nothing more */
	bool is_full;	 /* WebSocket: too much is unsent to answer more: the same */
	bool is_refused; /* WebSocket: no such room; closes at the next frame or WAIT_REFUSED */
	bool is_over;	 /* WebSocket: the peer's close frame was the last of what it sent */
	bool is_helloed; /* WebSocket: knows who it is */
	bool is_present; /* counts for its user's presence: presence.c's */
	bool is_presence_stale; /* was not told all of others' presence: presence.c's */
	bool is_ops;	 /* came in on the operations listener: other addresses, counted nowhere */
	bool is_echo;	 /* of roomd --conformance, and not the chat's: conformance.h */
	uint8_t transport; /* enum conn_transport, as it is counted */
	uint8_t deflate_bits; /* WebSocket: window that what it is sent is compressed for, or 0 */
	bool is_watched; /* blocked, but its end is to be noticed */
	struct ws_in ws;
	struct http_in *http;	/* owned; NULL outside CONN_HTTP or between requests */
	struct sse *sse;	/* owned; CONN_SSE only, else NULL */
	/* owned; eio.c's: the session that this is, with or without a socket (io.fd -1), or NULL */
	struct eio *eio;
	uint64_t eio_of; /* a socket or a request that serves the session of this id; 0: none */
	uint64_t took_over; /* the session that has this connection's socket now; 0: none */
	struct move *move; /* owned; inbox.c's: goes to another worker with this turn, or NULL */
	struct buf *in;		/* owned; bytes read and not yet understood, NULL when none */
	/* owned; frames for this connection alone, flushed at the end of the turn */
	struct buf *reply;
	struct outq *out;	/* owned; what the socket did not take, NULL when none */
	struct frame_rest *rest; /* owned; requests that wait until it is not stopped, or NULL */
	struct sub *subs;	/* owned list through sub.next_of_conn */
	uint32_t n_subs;
	uint32_t n_entering;	/* roles_conn.c's: conversations that the database is asked about */
	uint32_t n_pages;	/* of the log, under way: chan_replay.c's */
	uint32_t requests;	/* on this connection so far */
	struct resume *resume;	/* resume.c's; the session, NULL when it cannot be resumed */
	int64_t user;		/* 0 before hello */
	int64_t room;		/* DIALECT_RAW: the conversation of the path */
	char *name;		/* owned; display name, NULL before hello */
	/* owned: what the handshake's credentials said, until the first frame; or NULL */
	struct identity *who;
	struct uuid session_id; /* the login or the guest's cookie; zero: none */
	int64_t auth_expires_ms; /* wall clock, when the credentials end; 0: never */
	uint32_t auth_key;	/* keyring.h: that vouches for them; 0: none */
	bool is_account, is_admin;
	struct addr addr;	/* the client; all zero when unknown: peer.c's */
	struct addr link;	/* who is connected: the client or the nearest proxy */
	bool is_tls, is_link_tls; /* the client, the link: spoke TLS with the nearest proxy */
	bool awaits_proxy;	/* the header of the PROXY protocol has not come yet */
	uint64_t frames_tat_ns, abuse_tat_ns; /* buckets of the socket's own: limits.c */
};

static inline struct worker *conn_worker(const struct conn *c)
{
	return c->io.data;
}

/*
 * Takes over an accepted socket; starts as CONN_HTTP. Returns NULL when the limit is reached (fd
 * untouched).
 */
struct conn *conn_open(struct worker *wk, int fd);

/*
 * The same on the operations listener: at most CONN_OPS_MAX beside the clients, so that a worker
 * full of clients still tells how it is.
 */
#define CONN_OPS_MAX 32
struct conn *conn_open_ops(struct worker *wk, int fd);

/*
 * A session without a socket of its own: what is sent to it lies in its queue until conn_take_out.
 * Starts as CONN_HTTP; the same limit as conn_open.
 */
struct conn *conn_open_session(struct worker *wk);

/*
 * C is counted as a client of TRANSPORT from now on, and not as what it was counted as so far.
 * TRANSPORT_NONE: as none that stays.
 */
void conn_count_as(struct conn *c, enum conn_transport transport);

/* Bytes as if they had been read from the socket; DATA is changed. */
void conn_input(struct conn *c, uint8_t *data, size_t len);

/*
 * Moves the socket of FROM to C, a session without one: what is queued for C goes there. FROM ends,
 * its socket stays open; what it had read and not understood is C's.
 */
void conn_take_socket(struct conn *c, struct conn *from);

/*
 * Copies what is queued for a session without a socket, which stays queued, to B: all of it, or MAX
 * whole frames at least; conn_drop_out then takes LEN bytes from the front. Frames are never torn
 * by anybody else.
 */
void conn_copy_out(const struct conn *c, uint32_t max, struct buf *b);
void conn_drop_out(struct conn *c, size_t len);

/* A blocked connection whose end is noticed nevertheless (conn_kill). */
void conn_watch(struct conn *c);

/*
 * The connection with this id, or NULL when it has gone: how asynchronous answers find their way
 * back.
 */
struct conn *conn_find(struct worker *wk, uint64_t id);

/* Bytes to send with the next flush of this turn, after everything queued before. */
struct buf *conn_reply(struct conn *c);

/*
 * Queues what a caller's own send did not take: LEN bytes at P from OFF on. *BLOB is made from
 * them at the first need, so that all receivers share it; the caller drops it afterwards. Whether
 * there is room is the caller's to ask.
 */
void conn_queue_shared(struct conn *c, const uint8_t *p, size_t len, size_t off,
		       struct blob **blob);

/*
 * What was queued since the last flush may wait for what follows: with the next reply it goes out
 * with that. Only while an answer is certain to come.
 */
static inline void conn_hold(struct conn *c)
{
	list_remove(&c->dirty);
}

/* Bytes that the socket has not taken yet; replies of this turn are not among them. */
size_t conn_queued(const struct conn *c);

/* Writes out replies of all connections that have some. Called once a turn. */
void conn_flush_all(struct worker *wk);

/*
 * Flushes one connection's replies at once. Replies that would take a queue over
 * deliver.queue_max end the connection.
 */
void conn_flush(struct conn *c);

/* The same, with LEN bytes at P (borrowed) after the replies, in one system call. */
void conn_flush_with(struct conn *c, const uint8_t *p, size_t len);

/*
 * No more input is read; what is queued is sent, then the socket closes. END says how the link
 * ended for presence.
 */
void conn_finish(struct conn *c, enum conn_end end);

/*
 * Ends the connection at once; its memory goes with the next sweep. Safe inside its own callback.
 */
void conn_kill(struct conn *c, enum conn_end end);

/* Frees what conn_kill left. Called once a turn. */
void conn_sweep(struct worker *wk);

/* Starts or restarts (same WAIT: refreshes) the one deadline of a connection. */
void conn_wait(struct conn *c, enum conn_wait wait);

/*
 * Starts WAIT where the wait that has just passed was due, not when the timer came round to it:
 * what follows one another stays exact. Of the new wait half is left at least.
 */
void conn_wait_on(struct conn *c, enum conn_wait passed, enum conn_wait wait);

/* Does what is due for C, though the timer has not come round to it; C may be dead then. */
void conn_check_wait(struct conn *c);

/*
 * Whether a WebSocket may be shown its next request. No while it is blocked, and not before it has
 * taken enough of what it was sent: so answers wait in the client, not here. May flush, and so end
 * the connection; true then, as what it sends is thrown away.
 */
bool conn_takes_more(struct conn *c);

/* It does not, or has been blocked: nothing of what the client says is heard for now. */
bool conn_is_stopped(const struct conn *c);

/*
 * Before an answer that comes after its turn, of which there may be many at once. False: the
 * connection has ended, because it takes none of them.
 */
bool conn_make_room(struct conn *c) MUST_CHECK;

/* Stops and resumes reading from the socket: backpressure while an answer is under way. */
void conn_block(struct conn *c);
void conn_unblock(struct conn *c); /* also runs what had been read meanwhile, at the next turn */

/* Shows connections that were unblocked the bytes they had already sent. Called once a turn. */
void conn_resume_ready(struct worker *wk);

/*
 * Cuts off readers that took nothing, or were behind, for deliver.behind_timeout. Called each
 * second.
 */
void conn_check_slow(struct worker *wk);

/* Calls ON_CONN for every living connection. */
void conn_each(struct worker *wk, void (*on_conn)(struct conn *c, void *arg), void *arg);

/* Looks at the deadlines; called from the second timer and after settings changed. */
void conn_check_waits(struct worker *wk);

/*
 * The two protocols on top. Each consumes what it can from DATA and says how much in the return
 * value; the rest is kept and shown again, with more, at the next read. They may end the
 * connection.
 */
size_t http_conn_input(struct conn *c, uint8_t *data, size_t len);
size_t ws_conn_input(struct conn *c, uint8_t *data, size_t len);

/* What to do when a deadline passes: 408 and close, ping, close 4408, … */
void http_conn_timeout(struct conn *c, enum conn_wait wait);
void ws_conn_timeout(struct conn *c, enum conn_wait wait);
void sse_conn_timeout(struct conn *c, enum conn_wait wait);

/* Says good-bye in the connection's protocol (drain): 1001 or Connection: close. */
void http_conn_drain(struct conn *c);
void ws_conn_drain(struct conn *c);

/* Frees protocol state: called by the sweep. */
void http_conn_done(struct conn *c);

#endif
