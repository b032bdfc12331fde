/* SPDX-License-Identifier: MIT */
/*
 * What the files of sio.h share. Not for other files.
 */
#ifndef WORKER_SIO_PRIV_H
#define WORKER_SIO_PRIV_H

#include "proto/socketio.h"
#include "worker/sio.h"

/*
 * One frame for this connection alone: append the packet to the returned buffer between the two
 * calls, and nothing else anywhere.
 */
struct buf *sio_frame_begin(struct conn *c, size_t *ret_mark);
void sio_frame_end(struct buf *b, size_t mark);

/* What happens with packets: a function for each type, or NULL for those that mean nothing. */
struct sio_core {
	void (*on[SIO_TYPE_COUNT])(struct conn *c, const struct sio_packet *p);
	/* a packet that is well-formed, and nobody can act upon */
	void (*refuse)(struct conn *c, const struct sio_packet *p, const struct fault *f);
};

/* One message of a session. */
void sio_run(struct conn *c, struct str data, bool is_binary, const struct sio_core *core);

/* CONNECT and DISCONNECT: sio_connect.c. */
void sio_connect(struct conn *c, const struct sio_packet *p);
void sio_disconnect(struct conn *c, const struct sio_packet *p);

/* C will follow all conversations of its user. */
void sio_all_start(struct conn *c);

/*
 * Looks up where to begin in all of them; when that is known sio_all_known lets C in, which is
 * blocked until then. C must have been started.
 */
void sio_all_begin(struct conn *c);
void sio_all_known(struct conn *c);

/*
 * C is in: it follows what was looked up. SESSION and KNOWN: what it came back to, and what it
 * follows already or has left; NULL for a new one. Nothing happens to who was not started.
 */
void sio_all_enter(struct conn *c, const struct uuid *session, const struct resume_known *known);

/* C is in the room of its page, or was told why it is not: its requests are heard. */
void sio_entered(struct conn *c);

/* CONNECT_ERROR. CODE becomes its "data":{"code"}; NULL is left out. */
void sio_refuse_connect(struct conn *c, struct str nsp, struct str message, const char *code);

#endif
