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

/* CONNECT and DISCONNECT: sio_connect.c. */
void sio_connect(struct conn *c, const struct sio_packet *p);
void sio_disconnect(struct conn *c, const struct sio_packet *p);

/* CONNECT_ERROR. CODE becomes its "data":{"code"}; NULL is left out. */
void sio_refuse_connect(struct conn *c, struct str nsp, struct str message, const char *code);

#endif
