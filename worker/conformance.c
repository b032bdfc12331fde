/* SPDX-License-Identifier: MIT */
/*
 * Echoes over HTTP and Engine.IO. Socket.IO's is conformance_sio.c's, plain sockets are
 * conformance_ws.c's.
 */
#include "worker/conformance.h"

#include "proto/engineio.h"
#include "proto/json.h"

#define TEXT_TYPE "text/plain; charset=utf-8"

static void answer(struct call *call, struct str text)
{
	call_answer(call, 200, TEXT_TYPE, NULL, text);
}

void conformance_hello(struct call *call)
{
	answer(call, STR("hello\n"));
}

void conformance_body(struct call *call)
{
	answer(call, call->req->body);
}

static void answer_fields(struct call *call, const char *only)
{
	const struct http_request *req = call->req;
	struct buf b = BUF_INIT;

	for (size_t i = 0; i < req->nfields; i++) {
		if (only && !str_ieq(req->fields[i].name, str_of(only)))
			continue;
		if (!only) {
			buf_add_str(&b, req->fields[i].name);
			buf_add_cstr(&b, ": ");
		}
		buf_add_str(&b, req->fields[i].value);
		buf_add_char(&b, '\n');
	}
	answer(call, buf_str(&b));
	buf_done(&b);
}

void conformance_head(struct call *call)
{
	answer_fields(call, NULL);
}

void conformance_cookie(struct call *call)
{
	answer_fields(call, "Cookie");
}

void conformance_json(struct call *call)
{
	struct buf b = BUF_INIT;
	struct json_doc *doc;
	struct fault fault;

	if (json_parse(call->req->body, (uint32_t)call->wk->settings->websocket_json_depth_max,
		       &doc, &fault) < 0) {
		call_fault(call, &fault, NULL);
		return;
	}
	json_add_value(&b, json_root(doc));
	call_json(call, 200, buf_str(&b));
	buf_done(&b);
	json_doc_free(&doc);
}

/* ---- Engine.IO ---- */

static void on_message(struct conn *c, struct str data, bool is_binary)
{
	eio_add_frame(conn_reply(c), &(struct eio_packet){EIO_MESSAGE, is_binary, data});
}

void conformance_eio(struct call *call)
{
	static const struct eio_core echo = {.on_message = on_message, .is_silent = true};

	eio_serve(call, &echo);
}

void conformance_sio(struct call *call)
{
	eio_serve(call, &conformance_sio_core);
}
