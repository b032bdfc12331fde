/* SPDX-License-Identifier: MIT */
/*
 * Writing packets of Socket.IO as texts of Engine.IO messages.
 * Arguments of events come from the dialects.
 */
#include "proto/engineio.h"
#include "proto/socketio.h"

/* 4, the type, attachments, the namespace unless it is the main one. */
static void begin(struct buf *b, enum sio_type type, struct str nsp, uint32_t nattachments)
{
	buf_add_char(b, '0' + EIO_MESSAGE);
	buf_add_char(b, (char)('0' + type));
	if (nattachments) {
		buf_add_i64(b, nattachments);
		buf_add_char(b, '-');
	}
	if (str_eq(nsp, STR(SIO_NSP_MAIN)))
		return;
	buf_add_str(b, nsp);
	buf_add_char(b, ',');
}

void sio_add_connect(struct buf *b, struct str nsp, struct str sid, struct str pid)
{
	begin(b, SIO_CONNECT, nsp, 0);
	buf_add_char(b, '{');
	json_add_key_str(b, "sid", sid);
	if (pid.len)
		json_add_key_str(b, "pid", pid);
	buf_add_char(b, '}');
}

void sio_add_connect_error(struct buf *b, struct str nsp, struct str message, struct str data)
{
	begin(b, SIO_CONNECT_ERROR, nsp, 0);
	buf_add_char(b, '{');
	json_add_key_str(b, "message", message);
	if (data.len)
		json_add_key_raw(b, "data", data);
	buf_add_char(b, '}');
}

void sio_add_disconnect(struct buf *b, struct str nsp)
{
	begin(b, SIO_DISCONNECT, nsp, 0);
}

void sio_event_begin(struct buf *b, struct str nsp, int64_t id, uint32_t nattachments,
		     const char *name)
{
	begin(b, nattachments ? SIO_BINARY_EVENT : SIO_EVENT, nsp, nattachments);
	if (id != SIO_NO_ID)
		buf_add_i64(b, id);
	buf_add_char(b, '[');
	json_add_str(b, str_of(name));
}

void sio_event_end(struct buf *b, struct str offset)
{
	if (offset.len) {
		json_add_sep(b);
		json_add_str(b, offset);
	}
	buf_add_char(b, ']');
}

void sio_add_event_at(struct buf *b, struct str event, struct str offset)
{
	assert(event.len && event.p[event.len - 1] == ']');
	buf_add(b, event.p, event.len - 1);
	sio_event_end(b, offset);
}

void sio_ack_begin(struct buf *b, struct str nsp, const struct cmd_id *re, uint32_t nattachments)
{
	begin(b, nattachments ? SIO_BINARY_ACK : SIO_ACK, nsp, nattachments);
	buf_add(b, re->text, re->len);
	buf_add_char(b, '[');
}

void sio_ack_end(struct buf *b)
{
	buf_add_char(b, ']');
}

void sio_add_placeholder(struct buf *b, uint32_t n)
{
	json_add_sep(b);
	buf_add_char(b, '{');
	json_add_key_bool(b, "_placeholder", true);
	json_add_key_i64(b, "num", n);
	buf_add_char(b, '}');
}

void sio_add_args(struct buf *b, const struct sio_packet *p, size_t first)
{
	for (size_t i = first; i < sio_arg_count(p); i++) {
		json_add_sep(b);
		json_add_value(b, sio_arg(p, i));
	}
}

void sio_add_refusal(struct buf *b, const struct fault *f, int64_t retry_ms)
{
	buf_add_char(b, '{');
	json_add_key_bool(b, "ok", false);
	json_add_key_cstr(b, "error", f->text);
	json_add_key_cstr(b, "code", error_info(f->error)->code);
	if (f->field)
		json_add_key_cstr(b, "field", f->field);
	if (retry_ms > 0)
		json_add_key_ms(b, "retry_after", retry_ms);
	buf_add_char(b, '}');
}
