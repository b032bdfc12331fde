/* SPDX-License-Identifier: MIT */
/*
 * base64 and base32: bits in groups of six or five.
 * What the bytes mean is the callers'.
 */
#include "base/base64.h"

static const char std[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char url[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
static const char base32[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

static void add_groups(struct buf *b, const char *alphabet, unsigned width, struct str bytes)
{
	uint32_t bits = 0, mask = (1u << width) - 1;
	unsigned n = 0;

	for (size_t i = 0; i < bytes.len; i++) {
		bits = bits << 8 | (uint8_t)bytes.p[i];
		for (n += 8; n >= width; n -= width)
			buf_add_char(b, alphabet[bits >> (n - width) & mask]);
	}
	if (n)
		buf_add_char(b, alphabet[bits << (width - n) & mask]);
}

/* One character after the other into B; BITS holds the N that are no whole byte yet. */
struct groups {
	struct buf *b;
	uint32_t bits;
	unsigned n, width;
};

static void take_group(struct groups *g, int v)
{
	g->bits = g->bits << g->width | (uint32_t)v;
	g->n += g->width;
	if (g->n < 8)
		return;
	g->n -= 8;
	buf_add_char(g->b, (char)(g->bits >> g->n));
}

/* No character too many, and zeros behind the last byte. */
static bool groups_end(const struct groups *g)
{
	return g->n < g->width && !(g->bits & ((1u << g->n) - 1));
}

void base64_add(struct buf *b, enum base64_alphabet alphabet, const void *p, size_t len)
{
	add_groups(b, alphabet == BASE64_URL ? url : std, 6, (struct str){p, len});
}

static int sextet(enum base64_alphabet alphabet, char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	if (alphabet == BASE64_URL)
		return c == '-' ? 62 : c == '_' ? 63 : -1;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

int base64_take(struct buf *b, enum base64_alphabet alphabet, struct str text)
{
	struct groups g = {.b = b, .width = 6};
	size_t before = b->len;
	int v = 0;

	for (size_t i = 0; i < text.len && v >= 0; i++) {
		v = sextet(alphabet, text.p[i]);
		if (v >= 0)
			take_group(&g, v);
	}
	if (v >= 0 && groups_end(&g))
		return 0;
	b->len = before;
	return -ERR_INVAL;
}

void base32_add(struct buf *b, const void *p, size_t len)
{
	add_groups(b, base32, 5, (struct str){p, len});
}

static int quintet(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a';
	return c >= '2' && c <= '7' ? c - '2' + 26 : -1;
}

int base32_take(struct buf *b, struct str text)
{
	struct groups g = {.b = b, .width = 5};
	size_t before = b->len;
	int v = 0;

	while (text.len && text.p[text.len - 1] == '=')
		text.len--;
	for (size_t i = 0; i < text.len && v >= 0; i++) {
		if (text.p[i] == ' ' || text.p[i] == '-')
			continue;
		v = quintet(text.p[i]);
		if (v >= 0)
			take_group(&g, v);
	}
	if (v >= 0 && groups_end(&g))
		return 0;
	b->len = before;
	return -ERR_INVAL;
}
