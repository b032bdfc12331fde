/* SPDX-License-Identifier: MIT */
/*
 * S0's event: texts to commands, events of the room to packets.
 * Whether the session may write is worker's to say.
 */
#include "proto/s0.h"

#include "proto/cmd_priv.h"

static int read_message(const struct json_value *v, const struct cmd_limits *lim, struct cmd *c,
			struct fault *fault)
{
	if (v && json_to_str(v, &c->content))
		return cmd_check_content(c->content, "message", lim, fault);
	if (!json_get(v, "data") && json_get(v, "message"))
		return cmd_get_content(v, "message", lim, &c->content, fault);
	return cmd_get_content(v, "data", lim, &c->content, fault);
}

int s0_cmd(const struct sio_packet *p, const struct cmd_limits *lim, struct cmd *ret,
	   struct fault *ret_fault)
{
	const struct json_value *v = sio_arg(p, 0);
	struct str name;
	int r;

	*ret = (struct cmd){.op = OP_SEND};
	sio_cmd_id(p, &ret->id);
	if (!sio_event_name(p, &name) || !str_eq(name, STR(S0_EVENT))) {
		fault_set(ret_fault, E_UNKNOWN_OP);
		return -ERR_INVAL;
	}
	r = cmd_get_key(v, "clientMsgId", ret, ret_fault);
	return r < 0 ? r : read_message(v, lim, ret, ret_fault);
}

static void add_message(struct buf *b, const struct event *e)
{
	json_add_key_str(b, "name", e->actor_name);
	cmd_add_text(b, "message", e);
	json_add_key_time(b, "timestamp", e->at_ms);
	cmd_add_msgid(b, "id", e->conv, e->rev);
	json_add_key_i64(b, "seq", e->seq);
}

static void add_system(struct buf *b, const struct event *e)
{
	json_add_key_str(b, "name", e->actor_name);
	json_add_key_cstr(b, "message", e->on ? "has entered the room" : "has left the room");
	json_add_key_bool(b, "system", true);
	json_add_key_time(b, "timestamp", e->at_ms);
}

bool s0_add_event(struct buf *b, const struct event *e, struct str offset)
{
	bool is_message = e->type == EVT_MESSAGE_NEW && !e->on;

	if (!is_message && e->type != EVT_PRESENCE)
		return false;
	sio_event_begin(b, STR(SIO_NSP_MAIN), SIO_NO_ID, 0, S0_EVENT);
	json_add_sep(b);
	buf_add_char(b, '{');
	if (is_message)
		add_message(b, e);
	else
		add_system(b, e);
	buf_add_char(b, '}');
	sio_event_end(b, offset);
	return true;
}

void s0_ack_sent(struct buf *b, const struct cmd_id *re, const struct event *e, bool duplicate)
{
	sio_ack_begin(b, STR(SIO_NSP_MAIN), re, 0);
	buf_add_char(b, '{');
	json_add_key_bool(b, "ok", true);
	cmd_add_msgid(b, "id", e->conv, e->rev);
	json_add_key_i64(b, "seq", e->seq);
	if (duplicate)
		json_add_key_bool(b, "duplicate", true);
	buf_add_char(b, '}');
	sio_ack_end(b);
}
