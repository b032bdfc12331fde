/* SPDX-License-Identifier: MIT */
/*
 * A password from the operator: from the terminal without echo, or from standard input.
 */
#ifndef DAEMON_ROOMCTL_PASSWORD_H
#define DAEMON_ROOMCTL_PASSWORD_H

#include "base/buf.h"

/*
 * Appends the password to *RET. At a terminal it is asked for twice under PROMPT and not shown;
 * else the first line of standard input is taken, without its end. Returns 0, or after a line in
 * *RET_WHY -ERR_INVAL (empty, over MAX bytes, a NUL, no UTF-8, two that differ) or -ERR_IO. What
 * was read is cleared except *RET: clear that with roomctl_password_done.
 */
int roomctl_password_read(const char *prompt, size_t max, struct buf *ret,
			  struct buf *ret_why) MUST_CHECK;

/* Overwrites and frees. */
void roomctl_password_done(struct buf *password);

#endif
