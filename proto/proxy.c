/* SPDX-License-Identifier: MIT */
/*
 * The header that a proxy writes before the client's first byte, in its text and its binary form.
 * Forwarding fields of HTTP are forwarded.c's.
 */
#include "proto/proxy.h"

#define V1_MAX 107 /* the longest line of version 1, line end included */
#define V2_HEAD 16
#define V2_LEN_AT 14

static const uint8_t v1_start[] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const uint8_t v2_start[] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
				   0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

/* ---- Version 1 ---- */

/* Cuts *LINE at its first blank; the last word ends with the line. */
static struct str next_word(struct str *line)
{
	const char *blank = line->len ? memchr(line->p, ' ', line->len) : NULL;
	struct str word = {line->p, blank ? (size_t)(blank - line->p) : line->len};
	size_t skip = word.len + (blank != NULL);

	*line = (struct str){line->p + skip, line->len - skip};
	return word;
}

static bool is_port(struct str s)
{
	int64_t port;

	if (s.len == 0 || s.len > 5 || s.p[0] == '-' || (s.p[0] == '0' && s.len > 1))
		return false;
	return str_to_i64(s, &port) == 0 && port <= UINT16_MAX;
}

static bool is_family(const struct addr *a, struct str text, bool is_v4)
{
	/* an IPv4 address in the notation of IPv6 has colons */
	return (memchr(text.p, ':', text.len) == NULL) == is_v4 && !addr_is_zero(a);
}

static int read_line(struct str line, struct proxy_header *ret)
{
	struct proxy_header h = {0};
	struct str family = next_word(&line), src, dst, src_port, dst_port;
	bool is_v4 = str_eq(family, STR("TCP4"));
	struct addr other;

	if (str_eq(family, STR("UNKNOWN"))) {
		h.is_local = true;
		*ret = h;
		return 0;
	}
	src = next_word(&line);
	dst = next_word(&line);
	src_port = next_word(&line);
	dst_port = line;
	if ((!is_v4 && !str_eq(family, STR("TCP6"))) || addr_parse(src, &h.client) < 0 ||
	    addr_parse(dst, &other) < 0 || !is_family(&h.client, src, is_v4) ||
	    !is_family(&other, dst, is_v4) || !is_port(src_port) || !is_port(dst_port))
		return -ERR_PROTO;
	*ret = h;
	return 0;
}

static int decode_v1(const uint8_t *data, size_t len, size_t *ret_used, struct proxy_header *ret)
{
	const uint8_t *end = memchr(data, '\n', MIN(len, V1_MAX));
	size_t n;
	int r;

	if (!end)
		return len >= V1_MAX ? -ERR_PROTO : -ERR_AGAIN;
	n = (size_t)(end - data);
	if (n < sizeof(v1_start) + 1 || data[n - 1] != '\r')
		return -ERR_PROTO;
	r = read_line((struct str){(const char *)data + sizeof(v1_start),
				   n - 1 - sizeof(v1_start)}, ret);
	if (r == 0)
		*ret_used = n + 1;
	return r;
}

/* ---- Version 2 ---- */

enum { CMD_LOCAL, CMD_PROXY };
enum { FAM_UNSPEC = 0x00, FAM_TCP4 = 0x11, FAM_UDP4, FAM_TCP6 = 0x21, FAM_UDP6, FAM_UNIX = 0x31,
       FAM_UNIX_DGRAM };
enum { TLV_CRC32C = 0x03, TLV_SSL = 0x20 };

#define SSL_HEAD 5 /* one byte of flags, four of the certificate's verification */
#define SSL_FLAG_TLS 0x01

static unsigned be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

/* CRC-32C (RFC 3720 appendix B.4) of DATA, with the four bytes at HOLE taken as 0. */
static uint32_t crc32c(const uint8_t *data, size_t len, size_t hole)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < len; i++) {
		crc ^= i - hole < 4 ? 0 : data[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
	}
	return ~crc;
}

static bool crc_is_right(const uint8_t *data, size_t len, size_t at)
{
	uint32_t told = (uint32_t)be16(data + at) << 16 | be16(data + at + 2);

	return crc32c(data, len, at) == told;
}

/* The additions behind the addresses: DATA from AT to LEN. */
static int read_additions(const uint8_t *data, size_t at, size_t len, struct proxy_header *h)
{
	while (at < len) {
		unsigned type = data[at], n;

		if (len - at < 3)
			return -ERR_PROTO;
		n = be16(data + at + 1);
		at += 3;
		if (n > len - at)
			return -ERR_PROTO;
		if (type == TLV_CRC32C && (n != 4 || !crc_is_right(data, len, at)))
			return -ERR_PROTO;
		if (type == TLV_SSL && n < SSL_HEAD)
			return -ERR_PROTO;
		if (type == TLV_SSL)
			h->is_tls = data[at] & SSL_FLAG_TLS;
		at += n;
	}
	return 0;
}

/* Bytes of both addresses and ports of a family; -1 for one that there is not. */
static int addresses_len(unsigned family)
{
	switch (family) {
	case FAM_UNSPEC:
		return 0;
	case FAM_TCP4:
	case FAM_UDP4:
		return 12;
	case FAM_TCP6:
	case FAM_UDP6:
		return 36;
	case FAM_UNIX:
	case FAM_UNIX_DGRAM:
		return 216;
	default:
		return -1;
	}
}

static void take_client(const uint8_t *p, unsigned family, struct proxy_header *h)
{
	static const struct addr v4 = {{[10] = 0xff, [11] = 0xff}};

	if (family == FAM_TCP4) {
		h->client = v4;
		memcpy(h->client.b + 12, p, 4);
	} else if (family == FAM_TCP6) {
		memcpy(h->client.b, p, ADDR_LEN);
	}
	/* no connection of ours is a datagram's; a path is no address */
	h->is_local = addr_is_zero(&h->client);
}

static int decode_v2(const uint8_t *data, size_t len, size_t *ret_used, struct proxy_header *ret)
{
	struct proxy_header h = {.is_local = true};
	unsigned version, cmd, family;
	int need, r = 0;
	size_t total;

	if (len < V2_HEAD)
		return -ERR_AGAIN;
	version = data[12] >> 4;
	cmd = data[12] & 15;
	family = data[13];
	total = V2_HEAD + be16(data + V2_LEN_AT);
	if (version != 2 || cmd > CMD_PROXY || total > PROXY_HEADER_MAX)
		return -ERR_PROTO;
	if (len < total)
		return -ERR_AGAIN;
	if (cmd == CMD_PROXY) {
		need = addresses_len(family);
		if (need < 0 || (size_t)need > total - V2_HEAD)
			return -ERR_PROTO;
		take_client(data + V2_HEAD, family, &h);
		r = family == FAM_UNSPEC ? 0
					 : read_additions(data, V2_HEAD + (size_t)need, total, &h);
	}
	if (r < 0)
		return r;
	*ret = h;
	*ret_used = total;
	return 0;
}

static bool starts_with(const uint8_t *data, size_t len, const uint8_t *start, size_t n)
{
	return memcmp(data, start, MIN(len, n)) == 0;
}

int proxy_decode(const uint8_t *data, size_t len, size_t *ret_used, struct proxy_header *ret)
{
	if (len == 0)
		return -ERR_AGAIN;
	if (starts_with(data, len, v1_start, sizeof(v1_start)))
		return decode_v1(data, len, ret_used, ret);
	if (starts_with(data, len, v2_start, sizeof(v2_start)))
		return decode_v2(data, len, ret_used, ret);
	return -ERR_PROTO;
}
