/* SPDX-License-Identifier: MIT */
/*
 * The growable byte buffer and the allocators that never return NULL.
 * Encodings other than plain text and JSON strings belong to proto.
 */
#include "base/buf.h"

#include <stdarg.h>
#include <unistd.h>

#define BUF_MIN_CAP 64

static void *check_memory(void *p, size_t size)
{
	static const char text[] = "roomd: out of memory\n";

	if (p || size == 0)
		return p;
	/* plain write: a log line would allocate again */
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		abort();
	abort();
}

void *xmalloc(size_t size)
{
	return check_memory(malloc(size), size);
}

void *xcalloc(size_t n, size_t size)
{
	return check_memory(calloc(n, size), n && size);
}

void *xrealloc(void *p, size_t size)
{
	return check_memory(realloc(p, MAX(size, 1)), 1);
}

char *xstrndup(const char *s, size_t len)
{
	char *copy = xmalloc(len + 1);

	if (len > 0)
		memcpy(copy, s, len);
	copy[len] = '\0';
	return copy;
}

void buf_done(struct buf *b)
{
	free(b->p);
	*b = BUF_INIT;
}

void buf_clear(struct buf *b)
{
	b->len = 0;
}

uint8_t *buf_grow(struct buf *b, size_t more)
{
	size_t need, cap = MAX(b->cap, BUF_MIN_CAP);

	if (__builtin_add_overflow(b->len, more, &need))
		check_memory(NULL, more);
	while (cap < need)
		cap = cap > SIZE_MAX / 2 ? need : cap * 2;
	b->p = xrealloc(b->p, cap);
	b->cap = cap;
	return b->p + b->len;
}

void buf_commit(struct buf *b, size_t added)
{
	assert(added <= b->cap - b->len);
	b->len += added;
}

void buf_add_i64(struct buf *b, int64_t v)
{
	char digits[20]; /* "-9223372036854775808" */
	size_t at = sizeof(digits);
	uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;

	do {
		digits[--at] = (char)('0' + u % 10);
		u /= 10;
	} while (u);
	if (v < 0)
		digits[--at] = '-';
	buf_add(b, digits + at, sizeof(digits) - at);
}

/* Length of the UTF-8 sequence at P (RFC 3629 section 4), or 0 for none within LEFT bytes. */
static size_t utf8_sequence(const uint8_t *p, size_t left)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t len;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (left < len)
		return 0;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	for (size_t i = 1; i < len; i++, low = 0x80, high = 0xbf)
		if (p[i] < low || p[i] > high)
			return 0;
	return len;
}

void buf_add_json(struct buf *b, struct str s)
{
	const uint8_t *p = (const uint8_t *)s.p;
	size_t step;

	buf_add_char(b, '"');
	for (size_t i = 0; i < s.len; i += MAX(step, 1)) {
		step = utf8_sequence(p + i, s.len - i);
		if (step == 0)
			buf_add_cstr(b, "\xef\xbf\xbd"); /* U+FFFD */
		else if (p[i] == '"' || p[i] == '\\')
			buf_printf(b, "\\%c", p[i]);
		else if (p[i] < 0x20 || p[i] == 0x7f)
			buf_printf(b, "\\u%04x", p[i]);
		else
			buf_add(b, p + i, step);
	}
	buf_add_char(b, '"');
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	char *end = (char *)buf_reserve(b, 1);
	size_t room = b->cap - b->len;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(end, room, fmt, args);
	va_end(args);
	assert(len >= 0);
	if ((size_t)len >= room) { /* once more, as there was no room for it and a zero byte */
		end = (char *)buf_reserve(b, (size_t)len + 1);
		va_start(args, fmt);
		vsnprintf(end, (size_t)len + 1, fmt, args);
		va_end(args);
	}
	b->len += (size_t)len;
}

void buf_consume(struct buf *b, size_t len)
{
	assert(len <= b->len);
	if (len == b->len) {
		buf_done(b);
		return;
	}
	memmove(b->p, b->p + len, b->len - len);
	b->len -= len;
}

struct str buf_str(const struct buf *b)
{
	return (struct str){(const char *)b->p, b->len};
}
