/* SPDX-License-Identifier: MIT */
/*
 * What eio.c and eio_poll.c share. Not for other files.
 */
#ifndef WORKER_EIO_PRIV_H
#define WORKER_EIO_PRIV_H

#include "base/list.h"
#include "proto/engineio.h"
#include "proto/socketio.h"
#include "worker/call.h"
#include "worker/eio.h"

#define EIO_SID_BYTES 16 /* the slot, then random bytes */

struct eio {
	uint8_t sid[EIO_SID_BYTES];
	struct conn *conn;  /* the session itself */
	const struct eio_core *core;
	void *state;	    /* owned; the core's, NULL when it has none */
	struct list ready;  /* in worker.eios_ready, or none */
	struct call *poll;  /* a GET that waits for something to say, or NULL */
	struct call *post;  /* a POST whose packets are not all run, or NULL */
	uint64_t opened_ms; /* CLOCK_MONOTONIC */
	uint64_t probed_by; /* the connection that has said that it will take over; 0: none */
	bool is_closed;	    /* by the client's own close packet */
	bool is_entering;   /* its room is being joined: sio_connect.c's */
	struct sio_return *back; /* owned; sio_connect.c's: the session it comes back to, or NULL */
	struct sio_in *in;  /* owned; sio.c's: of packets with attachments; NULL before any */
	struct sio_all *all; /* owned; sio_all.c's: it follows all of its user's, or NULL */
};

/* One packet of the session, from either transport. */
void eio_packet(struct conn *c, const struct eio_packet *p);

/* Answers CALL as Engine.IO does; both free it. */
void eio_refuse(struct call *call, enum eio_error error);
void eio_answer(struct call *call, struct str body);

/* The two kinds of a polling session's requests. */
void eio_poll_get(struct conn *session, struct call *call);
void eio_poll_post(struct conn *session, struct call *call);

/* The poll of a session whose client has said good-bye; ends the session. */
void eio_poll_last(struct conn *session, struct call *call);

/* Ends what waits with a session that has gone, or has got a socket. */
void eio_poll_end(struct eio *e);

#endif
