/* SPDX-License-Identifier: MIT */
/*
 * Typing marks of a socket.
 * The set, its expiry and who sees it are typers.c's.
 */
#include "worker/on_priv.h"

#include "worker/typers.h"

void on_typing(struct conn *c, const struct cmd *cmd)
{
	struct sub *sub = cmd_sub(c, cmd);
	enum proto_error error;

	if (!sub)
		return;
	error = roles_check(c, sub->chan->conv, MAY_TYPING, NULL);
	if (error) {
		/* pages of the simple dialect show every error, and type without being asked */
		if (dialect_is_native(c->dialect))
			cmd_refuse(c, cmd, error);
		return;
	}
	if (cmd->on)
		typers_start(sub);
	else
		typers_stop(sub);
	cmd_say_ok(c, cmd);
}
