/* SPDX-License-Identifier: MIT */
/*
 * Shared by the parts of the control socket: the listening end and the commands.
 */
#ifndef DAEMON_CTL_PRIV_H
#define DAEMON_CTL_PRIV_H

#include <sys/types.h>

#include "base/buf.h"
#include "daemon/ctl.h"
#include "worker/control.h"

/* A line becomes the worker's order "ctl LINE". */
#define CTL_LINE_MAX (CONTROL_ORDER_MAX - 4)

/* Our own listening socket; the inode tells whether the path still leads to it. */
struct ctl_socket {
	int fd; /* owned, non-blocking */
	dev_t dev;
	ino_t ino;
};

/*
 * Makes a listening socket at PATH with MODE. Returns 0, -ERR_EXISTS when another process serves
 * it, or -ERR_IO with *RET_WHY a static or errno's text.
 */
int ctl_socket_open(const char *path, mode_t mode, struct ctl_socket *ret,
		    const char **ret_why) MUST_CHECK;

/* Closes it and removes PATH, if that is still this socket. */
void ctl_socket_close(struct ctl_socket *s, const char *path);

/*
 * Carries out LINE (1 to CTL_LINE_MAX bytes, no control characters). True: *RET_ANSWER holds the
 * answer; false: a worker will answer on FD, of which the caller still closes its own copy.
 */
bool ctl_command_run(struct master *m, struct str line, int fd, struct buf *ret_answer);

/* {"error": TEXT} instead of what *RET_ANSWER holds. */
void ctl_command_fail(struct buf *ret_answer, const char *text);

#endif
