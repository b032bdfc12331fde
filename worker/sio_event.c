/* SPDX-License-Identifier: MIT */
/*
 * What clients ask for over Socket.IO: events to commands, and those that are refused here.
 * Packets and connecting are sio.c's, what commands do is on_cmd.h's.
 */
#include "worker/sio.h"

#include "proto/dialect_raw.h"
#include "proto/s0.h"
#include "proto/s4.h"
#include "worker/limits.h"
#include "worker/on_cmd.h"
#include "worker/ws_conn.h"

/* What these clients may ask for here; *RET_FAULT tells of the rest. */
static bool is_served(const struct cmd *cmd, struct fault *ret_fault)
{
	if (cmd->op != OP_SUB && cmd->op != OP_UNSUB && cmd->op != OP_SEND &&
	    cmd->op != OP_TYPING) {
		fault_set(ret_fault, E_UNKNOWN_OP);
		return false;
	}
	fault_set(ret_fault, E_INVALID);
	if (cmd->peer || cmd->has_peer_uid) {
		snprintf(ret_fault->text, sizeof(ret_fault->text),
			 "Name the conversation: people cannot be written to directly.");
		ret_fault->field = "receiverId";
		return false;
	}
	if (cmd->attachment.len) {
		snprintf(ret_fault->text, sizeof(ret_fault->text), "Attachments are not stored.");
		ret_fault->field = "attachmentUrl";
		return false;
	}
	return true;
}

void sio_event(struct conn *c, const struct sio_packet *p)
{
	struct cmd_limits limits = worker_cmd_limits(conn_worker(c));
	struct fault fault;
	struct cmd_id key = {0};
	struct cmd cmd;
	int64_t retry_ms;
	enum limit_verdict verdict = limits_frame(c, LIMIT_OPERATIONS, &retry_ms);
	int r = c->dialect == DIALECT_S0 ? s0_cmd(p, &limits, &cmd, &fault)
					 : s4_cmd(p, &limits, &cmd, &fault);

	if (cmd.has_key)
		raw_key_of(&cmd, &key);
	if (verdict == LIMIT_ABUSE)
		ws_conn_abused(c);
	else if (verdict == LIMIT_REFUSED)
		ws_conn_limited(c, retry_ms, &cmd.id, &key, cmd.conv);
	else if (r < 0)
		ws_conn_fault(c, &fault, &cmd.id, &key, cmd.conv);
	else if (!is_served(&cmd, &fault))
		ws_conn_fault(c, &fault, &cmd.id, &key, cmd.conv);
	else if (cmd.op == OP_SUB && sub_find(c, cmd.conv))
		sio_say_joined(sub_find(c, cmd.conv), &cmd.id, -1,
			       sub_position(sub_find(c, cmd.conv)));
	else
		on_cmd(c, &cmd);
}
