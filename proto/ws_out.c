/* SPDX-License-Identifier: MIT */
/*
 * WebSocket frames to a client and the handshake's accept key (RFC 6455).
 * Leaves queueing and sending to worker.
 */
#include "proto/ws.h"

#include <openssl/evp.h>
#include <openssl/sha.h>

#define KEY_LEN 24 /* base64 of 16 bytes */

/* The room that ws_frame_begin leaves: the header of payloads from 126 to 65,535 bytes. */
#define BEGIN_ROOM 4

size_t ws_header(uint8_t ret[WS_HEADER_MAX], enum ws_opcode op, size_t payload_len)
{
	size_t ext = payload_len < 126 ? 0 : payload_len <= UINT16_MAX ? 2 : 8;

	ret[0] = 0x80 | op;
	ret[1] = ext == 0 ? (uint8_t)payload_len : ext == 2 ? 126 : 127;
	for (size_t i = 0; i < ext; i++)
		ret[2 + i] = (uint8_t)((uint64_t)payload_len >> (8 * (ext - 1 - i)));
	return 2 + ext;
}

void ws_add_frame(struct buf *b, enum ws_opcode op, struct str payload)
{
	uint8_t header[WS_HEADER_MAX];

	assert(op < WS_OP_CLOSE || payload.len <= WS_CONTROL_MAX);
	buf_add(b, header, ws_header(header, op, payload.len));
	buf_add(b, payload.p, payload.len);
}

/* The longest prefix of S within MAX bytes that does not cut a character. */
static size_t cut_at_character(struct str s, size_t max)
{
	size_t n = s.len;

	if (n <= max)
		return n;
	for (n = max; n && ((uint8_t)s.p[n] & 0xc0) == 0x80;)
		n--;
	return n;
}

void ws_add_close(struct buf *b, uint16_t code, struct str reason)
{
	uint8_t payload[WS_CONTROL_MAX] = {(uint8_t)(code >> 8), (uint8_t)code};
	size_t len = cut_at_character(reason, WS_REASON_MAX);

	if (!code || code == WS_CLOSE_NONE) {
		ws_add_frame(b, WS_OP_CLOSE, (struct str){0});
		return;
	}
	if (len)
		memcpy(payload + 2, reason.p, len);
	ws_add_frame(b, WS_OP_CLOSE, (struct str){(char *)payload, len + 2});
}

size_t ws_frame_begin(struct buf *b)
{
	size_t begin = b->len;

	buf_reserve(b, BEGIN_ROOM);
	buf_commit(b, BEGIN_ROOM);
	return begin;
}

void ws_frame_end(struct buf *b, size_t begin, enum ws_opcode op)
{
	size_t payload_len = b->len - begin - BEGIN_ROOM, header_len;
	uint8_t header[WS_HEADER_MAX];

	header_len = ws_header(header, op, payload_len);
	if (header_len > BEGIN_ROOM)
		buf_reserve(b, header_len - BEGIN_ROOM);
	if (header_len != BEGIN_ROOM)
		memmove(b->p + begin + header_len, b->p + begin + BEGIN_ROOM, payload_len);
	memcpy(b->p + begin, header, header_len);
	b->len = begin + header_len + payload_len;
}

static bool is_base64(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '+' || c == '/';
}

int ws_accept_key(struct str client_key, char ret[WS_ACCEPT_LEN + 1])
{
	static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"; /* section 1.3 */
	static EVP_MD *sha1; /* looking it up takes longer than the digest; kept for ever */
	uint8_t text[KEY_LEN + sizeof(guid) - 1], digest[SHA_DIGEST_LENGTH];

	if (client_key.len != KEY_LEN || memcmp(client_key.p + KEY_LEN - 2, "==", 2))
		return -ERR_INVAL;
	for (size_t i = 0; i < KEY_LEN - 2; i++)
		if (!is_base64(client_key.p[i]))
			return -ERR_INVAL;
	memcpy(text, client_key.p, KEY_LEN);
	memcpy(text + KEY_LEN, guid, sizeof(guid) - 1);
	if (!sha1)
		sha1 = EVP_MD_fetch(NULL, "SHA1", NULL);
	if (!sha1 || EVP_Digest(text, sizeof(text), digest, NULL, sha1, NULL) != 1)
		abort();
	EVP_EncodeBlock((unsigned char *)ret, digest, sizeof(digest));
	return 0;
}
