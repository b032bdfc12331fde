/* SPDX-License-Identifier: MIT */
/*
 * Packets and payloads of Engine.IO 4 in both transports.
 * Handshakes and requests are engineio_request.c's.
 */
#include "proto/engineio.h"

#include "base/base64.h"
#include "proto/utf8.h"
#include "proto/ws.h"

#define BINARY_MARK 'b' /* a text that is the base64 form of a binary message */

bool eio_is_probe(const struct eio_packet *p)
{
	return p->type == EIO_PING && str_eq(p->data, STR(EIO_PROBE));
}

/* Padding fills the last group of four or is left out; nothing else is behind the characters. */
static int take_base64(struct str text, struct buf *scratch)
{
	size_t len = text.len;

	while (len && text.len - len < 2 && text.p[len - 1] == '=')
		len--;
	if (len < text.len && text.len % 4)
		return -ERR_PROTO;
	return base64_take(scratch, BASE64_STD, (struct str){text.p, len}) < 0 ? -ERR_PROTO : 0;
}

static int decode_text(struct str text, struct buf *scratch, struct eio_packet *ret)
{
	struct str data = {text.p + 1, text.len - 1};

	if (!text.len)
		return -ERR_PROTO;
	if (*text.p == BINARY_MARK) {
		if (take_base64(data, scratch) < 0)
			return -ERR_PROTO;
		*ret = (struct eio_packet){EIO_MESSAGE, true, buf_str(scratch)};
		return 0;
	}
	if (*text.p < '0' || *text.p >= '0' + EIO_TYPE_COUNT)
		return -ERR_PROTO;
	*ret = (struct eio_packet){(enum eio_type)(*text.p - '0'), false, data};
	return 0;
}

int eio_decode(struct str frame, bool is_binary, struct buf *scratch, struct eio_packet *ret)
{
	buf_clear(scratch);
	if (!is_binary)
		return decode_text(frame, scratch, ret);
	*ret = (struct eio_packet){EIO_MESSAGE, true, frame};
	return 0;
}

void eio_add(struct buf *b, const struct eio_packet *p)
{
	assert(!p->is_binary || p->type == EIO_MESSAGE);
	if (!p->is_binary)
		buf_add_char(b, (char)('0' + p->type));
	buf_add_str(b, p->data);
}

void eio_add_frame(struct buf *b, const struct eio_packet *p)
{
	size_t begin = ws_frame_begin(b);

	eio_add(b, p);
	ws_frame_end(b, begin, p->is_binary ? WS_OP_BINARY : WS_OP_TEXT);
}

/* Polling ------------------------------------------------------------------------- */

void eio_payload_init(struct eio_payload *p, struct str body)
{
	*p = (struct eio_payload){body, false};
}

int eio_payload_next(struct eio_payload *p, struct buf *scratch, struct eio_packet *ret)
{
	struct str rest = p->rest;
	const char *end = rest.len ? memchr(rest.p, EIO_SEPARATOR, rest.len) : NULL;
	struct str packet = {rest.p, end ? (size_t)(end - rest.p) : rest.len};

	if (p->is_done)
		return -ERR_NOENT;
	p->is_done = !end;
	if (end)
		p->rest = (struct str){end + 1, rest.len - packet.len - 1};
	if (!utf8_valid(packet.p, packet.len) || eio_decode(packet, false, scratch, ret) < 0) {
		p->is_done = true;
		return -ERR_PROTO;
	}
	return 0;
}

static void add_base64(struct buf *b, struct str bytes)
{
	buf_add_char(b, BINARY_MARK);
	base64_add(b, BASE64_STD, bytes.p, bytes.len);
	for (size_t n = bytes.len; n % 3; n++)
		buf_add_char(b, '=');
}

void eio_add_polled(struct buf *b, size_t begin, const struct eio_packet *p)
{
	if (b->len > begin)
		buf_add_char(b, EIO_SEPARATOR);
	if (p->is_binary)
		add_base64(b, p->data);
	else
		eio_add(b, p);
}

/* Takes the header of an unmasked frame apart. Returns its length, or 0 when it is not whole. */
static size_t read_header(struct str frames, size_t *ret_payload)
{
	const uint8_t *p = (const uint8_t *)frames.p;
	size_t ext = 0, len;

	if (frames.len < 2)
		return 0;
	len = p[1];
	if (len >= 126)
		ext = len == 126 ? 2 : 8;
	if (len > 127 || frames.len < 2 + ext)
		return 0;
	if (ext)
		len = 0;
	for (size_t i = 0; i < ext; i++)
		len = len << 8 | p[2 + i];
	*ret_payload = len;
	return 2 + ext;
}

int eio_frame_next(struct str *frames, struct eio_packet *ret)
{
	size_t header, len = 0;
	struct str payload;
	uint8_t first;

	if (!frames->len)
		return -ERR_NOENT;
	header = read_header(*frames, &len);
	if (!header || len > frames->len - header)
		return -ERR_CORRUPT;
	first = (uint8_t)frames->p[0];
	payload = (struct str){frames->p + header, len};
	if (first == (0x80 | WS_OP_BINARY))
		*ret = (struct eio_packet){EIO_MESSAGE, true, payload};
	else if (first != (0x80 | WS_OP_TEXT) || !len || *payload.p == BINARY_MARK ||
		 decode_text(payload, NULL, ret) < 0)
		return -ERR_CORRUPT;
	*frames = (struct str){payload.p + len, frames->len - header - len};
	return 0;
}

size_t eio_add_poll(struct buf *b, struct str frames, size_t bytes_max)
{
	size_t begin = b->len, before, used = 0, all = frames.len;
	struct eio_packet p;

	for (size_t n = 0; n < EIO_POLL_PACKETS_MAX && eio_frame_next(&frames, &p) == 0; n++) {
		before = b->len;
		eio_add_polled(b, begin, &p);
		if (n && b->len - begin > bytes_max) {
			b->len = before;
			break;
		}
		used = all - frames.len;
	}
	return used;
}
