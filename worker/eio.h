/* SPDX-License-Identifier: MIT */
/*
 * Sessions of Engine.IO: the handshake, both transports, the change from one to the other, the
 * heartbeat. What their messages mean is sio.c's; packets are proto/engineio.h's.
 *
 * A session is a struct conn, with or without a socket of its own. What it is sent lies in its
 * queue as WebSocket frames whatever its transport: a WebSocket takes them as they are, a poll in
 * another wrapping. So everything that speaks to connections speaks to sessions too.
 */
#ifndef WORKER_EIO_H
#define WORKER_EIO_H

#include "base/base.h"
#include "base/buf.h"
#include "worker/conn.h"

struct call;

/* What the messages of a session are for. */
struct eio_core {
	void (*on_message)(struct conn *c, struct str data, bool is_binary);
	void (*on_done)(void *state); /* frees what the core left in eio.state; may be NULL */
	bool is_silent; /* nobody need say who he is: there is no engineio.connect_timeout */
};

/* Serves a request of a session, whose core is CORE if this is its first. */
void eio_serve(struct call *call, const struct eio_core *core);

/* Where routes.def has it that sessions are asked for. */
#define EIO_PATH "/socket.io/"

/*
 * PATH as routes.def knows it: engineio.path is EIO_PATH there, and what is EIO_PATH to the clients
 * is nothing when the setting is another. Borrowed from PATH or static.
 */
struct str eio_route(const struct worker *wk, struct str path);

/* A message of a WebSocket that is a session's, or that wants to become one's. */
void eio_ws_message(struct conn *c, struct str payload, bool is_binary);

/*
 * Bytes of a POST that were not looked at yet, of a session without a socket. Returns how many were
 * understood; the rest is shown again when the session is not stopped any more.
 */
size_t eio_poll_input(struct conn *c, uint8_t *data, size_t len);

/* Something was queued for a session without a socket: the poll that waits is answered soon. */
void eio_has_output(struct conn *c);

/* Answers those polls. Called once a turn, after everything else was sent. */
void eio_run(struct worker *wk);

/* One of WAIT_EIO_… is over. */
void eio_timeout(struct conn *c, enum conn_wait wait);

/*
 * The worker drains: nobody can open a connection to it any more, so a session that has no request
 * open is over. What is queued for it is found again by its client's offset.
 */
void eio_drain(struct conn *c);

/* C, whatever it is, has been killed: a poll that went away ends its session, and the contrary. */
void eio_conn_ended(struct conn *c);

/* Frees what C has of Engine.IO. */
void eio_conn_done(struct conn *c);

#endif
