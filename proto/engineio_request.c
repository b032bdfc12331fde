/* SPDX-License-Identifier: MIT */
/*
 * What an Engine.IO request asks for, the answer that opens a session, and refusals.
 * Packets are engineio.c's.
 */
#include "proto/engineio.h"
#include "proto/http.h"
#include "proto/json.h"

#define PROTOCOL_VERSION "4"

static const char *const transports[EIO_TRANSPORT_COUNT] = {
	[EIO_POLLING] = "polling",
	[EIO_WEBSOCKET] = "websocket",
};

const char *eio_transport_name(enum eio_transport t)
{
	return transports[t];
}

void eio_add_open(struct buf *b, const struct eio_handshake *h)
{
	buf_add_char(b, '0' + EIO_OPEN);
	buf_add_char(b, '{');
	json_add_key_str(b, "sid", h->sid);
	json_add_key(b, "upgrades");
	buf_add_char(b, '[');
	if (h->can_upgrade)
		json_add_str(b, str_of(transports[EIO_WEBSOCKET]));
	buf_add_char(b, ']');
	json_add_key_i64(b, "pingInterval", h->ping_interval_ms);
	json_add_key_i64(b, "pingTimeout", h->ping_timeout_ms);
	json_add_key_i64(b, "maxPayload", h->payload_max);
	buf_add_char(b, '}');
}

static const struct {
	int code, status;
	const char *text;
} errors[] = {
#define X(name, code, http_status, text) [EIO_E_##name] = {code, http_status, text},
#include "proto/engineio_errors.def"
#undef X
};

int eio_error_status(enum eio_error e)
{
	return errors[e].status;
}

void eio_add_error(struct buf *b, enum eio_error e)
{
	buf_add_char(b, '{');
	json_add_key_i64(b, "code", errors[e].code);
	json_add_key_cstr(b, "message", errors[e].text);
	buf_add_char(b, '}');
}

/* Requests ------------------------------------------------------------------------ */

static enum eio_error read_transport(struct str name, unsigned allowed, enum eio_transport *ret)
{
	for (unsigned i = 0; i < EIO_TRANSPORT_COUNT; i++) {
		if (!str_eq(name, str_of(transports[i])))
			continue;
		*ret = (enum eio_transport)i;
		return allowed & 1u << i ? EIO_E_NONE : EIO_E_TRANSPORT;
	}
	return EIO_E_TRANSPORT;
}

/* Ids are letters, digits, '-' and '_'; anything else names no session. */
static enum eio_error read_sid(struct str text, struct eio_query *ret)
{
	if (text.len > EIO_SID_MAX)
		return EIO_E_SID;
	for (size_t i = 0; i < text.len; i++) {
		char c = text.p[i];

		if (!(c >= '0' && c <= '9') && !(c >= 'A' && c <= 'Z') && !(c >= 'a' && c <= 'z') &&
		    c != '-' && c != '_')
			return EIO_E_SID;
	}
	if (text.len)
		memcpy(ret->sid, text.p, text.len);
	ret->sid_len = (uint8_t)text.len;
	return EIO_E_NONE;
}

/* The method must fit the transport, and both what the client does on this connection. */
static enum eio_error check_method(const struct http_request *r, bool is_upgrade,
				   const struct eio_query *q)
{
	if (!q->sid_len && r->method != HTTP_GET)
		return EIO_E_METHOD;
	if (r->method != HTTP_GET && r->method != HTTP_POST)
		return EIO_E_REQUEST;
	return is_upgrade == (q->transport == EIO_WEBSOCKET) ? EIO_E_NONE : EIO_E_REQUEST;
}

/* A parameter into B, which is emptied before; an absent one is empty. False: it is broken. */
static bool get(const struct http_request *r, const char *name, struct buf *b)
{
	int err;

	buf_clear(b);
	err = http_query_get(r, name, b);
	return err == 0 || err == -ERR_NOENT;
}

static enum eio_error read_all(const struct http_request *r, unsigned allowed, bool is_upgrade,
			       struct buf *b, struct eio_query *ret)
{
	enum eio_error e;

	if (!get(r, "transport", b))
		return EIO_E_REQUEST;
	e = read_transport(buf_str(b), allowed, &ret->transport);
	if (e != EIO_E_NONE)
		return e;
	if (!get(r, "sid", b))
		return EIO_E_SID;
	e = read_sid(buf_str(b), ret);
	if (e == EIO_E_NONE)
		e = check_method(r, is_upgrade, ret);
	if (e != EIO_E_NONE)
		return e;
	if (!get(r, "EIO", b) || !str_eq(buf_str(b), STR(PROTOCOL_VERSION)))
		return EIO_E_VERSION;
	buf_clear(b);
	return http_query_get(r, "j", b) == -ERR_NOENT ? EIO_E_NONE : EIO_E_REQUEST;
}

enum eio_error eio_query_read(const struct http_request *r, unsigned allowed, bool is_upgrade,
			      struct eio_query *ret)
{
	struct eio_query q = {0};
	struct buf b = BUF_INIT;
	enum eio_error e = read_all(r, allowed, is_upgrade, &b, &q);

	buf_done(&b);
	if (e == EIO_E_NONE)
		*ret = q;
	return e;
}
