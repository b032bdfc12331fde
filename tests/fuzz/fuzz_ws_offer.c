/* SPDX-License-Identifier: MIT */
/*
 * Fuzz target: Sec-WebSocket-Extensions of a client. Whatever is accepted is in range, and its
 * answer, taken for an offer, is accepted and answered alike.
 */
#include "fuzz.h"
#include "proto/ws_deflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf answer = BUF_INIT, again = BUF_INIT;
	struct ws_deflate d, e;
	int r = ws_deflate_negotiate((struct str){size ? (const char *)data : "", size}, &d);

	if (r < 0) {
		MUST(r == -ERR_NOENT || r == -ERR_INVAL);
		return 0;
	}
	MUST(d.server_bits >= WS_DEFLATE_BITS_MIN && d.server_bits <= WS_DEFLATE_BITS_MAX);
	MUST(!d.client_bits || (d.client_bits >= 8 && d.client_bits <= WS_DEFLATE_BITS_MAX));
	ws_deflate_add_answer(&answer, &d);
	MUST(ws_deflate_negotiate(buf_str(&answer), &e) == 0);
	MUST(e.server_bits == d.server_bits && e.client_bits == d.client_bits);
	ws_deflate_add_answer(&again, &e);
	MUST(str_eq(buf_str(&answer), buf_str(&again)));
	buf_done(&answer);
	buf_done(&again);
	return 0;
}
