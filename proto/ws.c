/* SPDX-License-Identifier: MIT */
/*
 * WebSocket frames of a client, incrementally: unmasking, fragments, UTF-8 and the rules of RFC
 * 6455. Leaves writing frames to ws_out.c and the closing handshake to worker.
 */
#include "proto/ws.h"

#include "proto/utf8.h"
#include "proto/ws_deflate.h"

#define FRAGMENTS_DEFAULT 65536
/* Compressors that make nothing shorter add less than this part, whatever their settings. */
#define DEFLATE_PART 16
#define FRAGMENTS_CEILING ((1u << 24) - 1) /* ws_in.fragments */

/* Step results beside 0 and negative errors: nothing to deliver yet, go on reading. */
#define GO_ON 1

void ws_in_init(struct ws_in *in)
{
	*in = (struct ws_in){0};
}

void ws_in_done(struct ws_in *in)
{
	buf_done(&in->partial);
	*in = (struct ws_in){0};
}

bool ws_in_message(const struct ws_in *in)
{
	return in->op != 0;
}

static int fail(struct ws_in *in, struct ws_msg *ret, uint16_t code, const char *fault)
{
	buf_done(&in->partial);
	in->ended = 1;
	*ret = (struct ws_msg){.close_code = code, .fault = fault};
	return -ERR_PROTO;
}

/*
 * XORs DATA with the mask and turns the mask so that it fits the next byte. Eight bytes a step: the
 * compiler makes vectors of it.
 */
static void unmask(uint8_t mask[4], uint8_t *data, size_t len)
{
	uint64_t key, word;
	uint32_t key32;
	size_t i = 0;
	uint8_t turned[4];

	memcpy(&key32, mask, sizeof(key32));
	key = (uint64_t)key32 << 32 | key32;
	for (; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, data + i, sizeof(word));
		word ^= key;
		memcpy(data + i, &word, sizeof(word));
	}
	for (; i < len; i++)
		data[i] ^= mask[i & 3];
	for (int k = 0; k < 4; k++)
		turned[k] = mask[(len + k) & 3];
	memcpy(mask, turned, sizeof(turned));
}

struct header {
	uint64_t payload;
	size_t len; /* of the header itself */
	uint8_t op;
	bool fin, is_deflated;
	uint8_t mask[4];
};

/* Section 5.2 and 5.5: what the first byte alone can be blamed for. */
static const char *first_byte_fault(const struct ws_in *in, const struct ws_limits *lim, uint8_t b)
{
	uint8_t op = b & 0x0f, rsv = b & 0x70;
	bool fin = b & 0x80;

	if (rsv && (rsv != WS_RSV1 || !lim->inflater || op == WS_OP_CONT || op >= WS_OP_CLOSE))
		return "reserved bits are set";
	if ((op > WS_OP_BINARY && op < WS_OP_CLOSE) || op > WS_OP_PONG)
		return "reserved opcode";
	if (op >= WS_OP_CLOSE)
		return fin ? NULL : "fragmented control frame";
	if (op == WS_OP_CONT && !in->op)
		return "continuation without a message";
	if (op != WS_OP_CONT && in->op)
		return "new message inside a fragmented one";
	return NULL;
}

static uint64_t read_be(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	for (size_t i = 0; i < n; i++)
		v = v << 8 | p[i];
	return v;
}

/* Reads a whole header, or blames its first bytes as early as they show a fault. */
static int header_read(struct ws_in *in, const struct ws_limits *lim, const uint8_t *p, size_t len,
		       struct header *ret, struct ws_msg *ret_msg)
{
	const char *fault = len ? first_byte_fault(in, lim, p[0]) : NULL;
	size_t ext;

	if (fault)
		return fail(in, ret_msg, WS_CLOSE_PROTOCOL, fault);
	if (len < 2)
		return -ERR_AGAIN;
	if (!(p[1] & 0x80))
		return fail(in, ret_msg, WS_CLOSE_PROTOCOL, "frame is not masked");
	ret->payload = p[1] & 0x7f;
	if ((p[0] & 0x08) && ret->payload > WS_CONTROL_MAX)
		return fail(in, ret_msg, WS_CLOSE_PROTOCOL, "control frame is too long");
	ext = ret->payload == 126 ? 2 : ret->payload == 127 ? 8 : 0;
	if (len < 2 + ext)
		return -ERR_AGAIN;
	if (ext) {
		ret->payload = read_be(p + 2, ext);
		if (ret->payload < (ext == 2 ? 126 : 65536) || ret->payload >> 63)
			return fail(in, ret_msg, WS_CLOSE_PROTOCOL,
				    "length is not in its shortest form");
	}
	if (len < 2 + ext + 4)
		return -ERR_AGAIN;
	ret->len = 2 + ext + 4;
	ret->op = p[0] & 0x0f;
	ret->fin = p[0] & 0x80;
	ret->is_deflated = p[0] & WS_RSV1;
	memcpy(ret->mask, p + 2 + ext, 4);
	return 0;
}

/* Section 7.4: codes that may stand in a close frame. */
static bool close_code_allowed(uint16_t code)
{
	return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
	       (code >= 3000 && code <= 4999);
}

static int close_read(struct ws_in *in, struct ws_msg *ret)
{
	struct str p = ret->payload;
	uint16_t code;

	in->ended = 1;
	ret->close_code = WS_CLOSE_NONE;
	if (!p.len) {
		buf_done(&in->partial);
		return 0;
	}
	if (p.len == 1)
		return fail(in, ret, WS_CLOSE_PROTOCOL, "close frame with half a code");
	code = (uint16_t)read_be((const uint8_t *)p.p, 2);
	if (!close_code_allowed(code))
		return fail(in, ret, WS_CLOSE_PROTOCOL, "close code is not allowed");
	if (!utf8_valid(p.p + 2, p.len - 2))
		return fail(in, ret, WS_CLOSE_INVALID_DATA, "close reason is not UTF-8");
	buf_done(&in->partial);
	ret->close_code = code;
	ret->payload = (struct str){p.p + 2, p.len - 2};
	return 0;
}

/* A control frame is taken whole or not at all: it may stand between fragments of a message. */
static int control_read(struct ws_in *in, struct header *h, uint8_t *data, size_t len, size_t *used,
			struct ws_msg *ret)
{
	if (len < h->len + h->payload)
		return -ERR_AGAIN;
	unmask(h->mask, data + h->len, h->payload);
	*ret = (struct ws_msg){.op = h->op, .payload = {(char *)data + h->len, h->payload}};
	*used = h->len + h->payload;
	return h->op == WS_OP_CLOSE ? close_read(in, ret) : 0;
}

/* What the bytes on the wire may be where MAX bytes are allowed. */
static uint64_t wire_max(const struct ws_in *in, uint32_t max)
{
	return (uint64_t)max + (in->is_deflated ? max / DEFLATE_PART + DEFLATE_PART : 0);
}

/* Opens a data frame: limits are checked before a byte of it is kept. */
static int data_begin(struct ws_in *in, const struct ws_limits *lim, const struct header *h,
		      struct ws_msg *ret)
{
	uint32_t fragments_max = lim->fragments_max ? lim->fragments_max : FRAGMENTS_DEFAULT;

	if (h->op != WS_OP_CONT)
		in->is_deflated = h->is_deflated;
	if (h->payload > wire_max(in, lim->frame_max))
		return fail(in, ret, WS_CLOSE_TOO_BIG, "frame is too large");
	if (in->partial.len + h->payload > wire_max(in, lim->message_max))
		return fail(in, ret, WS_CLOSE_TOO_BIG, "message is too large");
	if (in->fragments >= MIN(fragments_max, FRAGMENTS_CEILING))
		return fail(in, ret, WS_CLOSE_TOO_BIG, "message has too many fragments");
	in->fragments++;
	if (h->op != WS_OP_CONT) {
		in->op = h->op;
		in->utf8 = UTF8_START;
	}
	in->fin = h->fin;
	in->left = (uint32_t)h->payload;
	memcpy(in->mask, h->mask, sizeof(in->mask));
	in->in_frame = 1;
	return GO_ON;
}

/* PARTIAL and the LEN bytes at DATA become what they stand for, in PARTIAL. */
static int message_inflate(struct ws_in *in, const struct ws_limits *lim, const uint8_t *data,
			   size_t len, struct ws_msg *ret)
{
	const struct str pieces[] = {buf_str(&in->partial), {(const char *)data, len}};
	struct buf whole = BUF_INIT;
	int r = -ERR_INVAL;

	if (lim->inflater)
		r = ws_inflate(lim->inflater, pieces, ARRAY_LEN(pieces), lim->message_max, &whole);
	buf_done(&in->partial);
	in->partial = whole;
	if (r == -ERR_TOOBIG)
		return fail(in, ret, WS_CLOSE_TOO_BIG, "message is too large");
	if (r < 0)
		return fail(in, ret, WS_CLOSE_INVALID_DATA, "message cannot be inflated");
	if (in->op == WS_OP_TEXT && !utf8_valid((const char *)whole.p, whole.len))
		return fail(in, ret, WS_CLOSE_INVALID_DATA, "text is not UTF-8");
	return 0;
}

/* Hands the message out: in place when all of it came in one piece, else from PARTIAL. */
static int message_end(struct ws_in *in, const struct ws_limits *lim, uint8_t *data, size_t len,
		       struct ws_msg *ret)
{
	if (in->is_deflated) {
		int r = message_inflate(in, lim, data, len, ret);

		if (r < 0)
			return r;
		len = 0;
	}
	if (in->op == WS_OP_TEXT && in->utf8 != UTF8_START)
		return fail(in, ret, WS_CLOSE_INVALID_DATA, "text ends inside a character");
	*ret = (struct ws_msg){.op = in->op, .payload = {(char *)data, len}};
	if (in->partial.len) {
		buf_add(&in->partial, data, len);
		ret->payload = buf_str(&in->partial);
		in->delivered = 1;
	}
	in->op = 0;
	in->fragments = 0;
	return 0;
}

/* Takes as much of the present data frame as is there. */
static int data_read(struct ws_in *in, const struct ws_limits *lim, uint8_t *data, size_t len,
		     size_t *used, struct ws_msg *ret)
{
	size_t n = MIN(len, in->left);

	unmask(in->mask, data, n);
	if (in->op == WS_OP_TEXT && !in->is_deflated && !utf8_feed(&in->utf8, data, n))
		return fail(in, ret, WS_CLOSE_INVALID_DATA, "text is not UTF-8");
	*used = n;
	in->left -= (uint32_t)n;
	if (!in->left) {
		in->in_frame = 0;
		if (in->fin)
			return message_end(in, lim, data, n, ret);
	}
	if (n)
		buf_add(&in->partial, data, n);
	return in->left ? -ERR_AGAIN : GO_ON;
}

/* One step: a header with what it implies, or a piece of payload. */
static int step(struct ws_in *in, const struct ws_limits *lim, uint8_t *data, size_t len,
		size_t *used, struct ws_msg *ret)
{
	struct header h = {0};
	int r;

	*used = 0;
	if (in->in_frame)
		return data_read(in, lim, data, len, used, ret);
	r = header_read(in, lim, data, len, &h, ret);
	if (r < 0)
		return r;
	if (h.op >= WS_OP_CLOSE)
		return control_read(in, &h, data, len, used, ret);
	r = data_begin(in, lim, &h, ret);
	if (r == GO_ON)
		*used = h.len;
	return r;
}

int ws_next(struct ws_in *in, const struct ws_limits *lim, uint8_t *data, size_t len,
	    size_t *ret_used, struct ws_msg *ret)
{
	static uint8_t nothing[1];
	size_t pos = 0, used;
	int r;

	if (!data)
		data = nothing;
	if (in->delivered) {
		buf_done(&in->partial);
		in->delivered = 0;
	}
	if (in->ended) {
		*ret_used = len;
		return -ERR_CLOSED;
	}
	do {
		r = step(in, lim, data + pos, len - pos, &used, ret);
		pos += used;
	} while (r == GO_ON);
	*ret_used = r == -ERR_PROTO ? len : pos;
	return r;
}
