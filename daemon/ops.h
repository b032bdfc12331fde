/* SPDX-License-Identifier: MIT */
/*
 * The operations listener (ops.listen): one socket per address, shared by all workers, so that
 * whoever turns its loop answers for the node. What is answered there is worker/'s.
 */
#ifndef DAEMON_OPS_H
#define DAEMON_OPS_H

#include "base/buf.h"

struct master;
struct ops; /* opaque */

/*
 * Opens the sockets of m->settings and sets m->ops; nothing when the list is empty. A failure is
 * logged. Returns 0 or -ERR_IO. In the foreground the default address may be taken: then the node
 * goes on without.
 */
int ops_open(struct master *m) MUST_CHECK;

/*
 * Closes the sockets and removes those of our own in the file system; NULL allowed, clears the
 * pointer.
 */
void ops_close(struct ops **ops);

/* The sockets to accept on. Borrowed; valid until ops_close. OPS may be NULL: none. */
const int *ops_fds(const struct ops *ops, int *ret_n);

/* Appends the addresses as "127.0.0.1:9464 /run/roomd/ops.sock". OPS may be NULL. */
void ops_print(const struct ops *ops, struct buf *ret);

/* Checks that every item of LIST has a form that ops_open accepts. Returns 0 or -ERR_INVAL. */
int ops_check(const char *list, struct buf *ret_why) MUST_CHECK;

#endif
