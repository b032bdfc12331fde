/* SPDX-License-Identifier: MIT */
/*
 * One question to the control socket.
 */
#ifndef DAEMON_ROOMCTL_CLIENT_H
#define DAEMON_ROOMCTL_CLIENT_H

#include "base/buf.h"

/*
 * Sends LINE to the socket at PATH and appends the whole answer, without its line end, to
 * *RET_ANSWER. Waits at most some seconds for each step. Returns 0, or after a line in *RET_WHY
 * -ERR_UNAVAILABLE (nobody listens), -ERR_DENIED, -ERR_CLOSED (no answer, or only a part of it),
 * -ERR_TIMEOUT or -ERR_TOOBIG.
 */
int roomctl_client_ask(const char *path, struct str line, struct buf *ret_answer,
		       struct buf *ret_why) MUST_CHECK;

#endif
