/* SPDX-License-Identifier: MIT */
/*
 * What conn.c does with the socket and the replies of a connection that begins or ends in
 * conn_life.c. For these two files only.
 */
#ifndef WORKER_CONN_PRIV_H
#define WORKER_CONN_PRIV_H

#include "worker/conn.h"

/* Watches FD for input; below 0: a connection without a socket. */
void conn_io_init(struct conn *c, int fd);

/* Frees the replies that were not sent. */
void conn_reply_done(struct conn *c);

#endif
