/* SPDX-License-Identifier: MIT */
/*
 * JSON text to MessagePack in one pass over the text.
 * The way back, which cannot trust its input, is msgpack_in.c's.
 */
#include "proto/msgpack.h"

#include <math.h>
#include <msgpack.h>
#include <stdlib.h>

#include "proto/msgpack_priv.h"

#define NUMBER_MAX 64 /* characters of a number that is no integer */

struct source {
	const char *p, *end;
	struct buf *b;
	msgpack_packer pk;
};

/* The next character behind white space, 0 at the end. It is not taken. */
static char peek(struct source *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\r' || *s->p == '\t'))
		s->p++;
	return s->p < s->end ? *s->p : '\0';
}

/* Strings -------------------------------------------------------------------------- */

static bool take_hex4(const char **p, const char *end, uint32_t *ret)
{
	uint32_t v = 0;

	if (end - *p < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		char c = *(*p)++;

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return false;
	}
	*ret = v;
	return true;
}

/* The code point behind "\u"; two of them make one above U+FFFF. */
static bool take_escaped_cp(const char **p, const char *end, uint32_t *ret)
{
	uint32_t low;

	if (!take_hex4(p, end, ret) || (*ret >= 0xdc00 && *ret <= 0xdfff))
		return false;
	if (*ret < 0xd800 || *ret > 0xdbff)
		return true;
	if (end - *p < 2 || (*p)[0] != '\\' || (*p)[1] != 'u')
		return false;
	*p += 2;
	if (!take_hex4(p, end, &low) || low < 0xdc00 || low > 0xdfff)
		return false;
	*ret = 0x10000 + ((*ret - 0xd800) << 10) + (low - 0xdc00);
	return true;
}

/* Returns how many bytes of UTF-8 CP takes; writes them unless OUT is NULL. */
static size_t put_cp(uint32_t cp, char *out)
{
	size_t n = cp < 0x80 ? 1 : cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
	static const uint8_t lead[] = {0, 0x00, 0xc0, 0xe0, 0xf0};

	for (size_t i = n; out && i-- > 1; cp >>= 6)
		out[i] = (char)(0x80 | (cp & 0x3f));
	if (out)
		out[0] = (char)(lead[n] | cp);
	return n;
}

static bool take_escape(const char **p, const char *end, uint32_t *ret)
{
	static const char names[] = "\"\\/bfnrt", values[] = "\"\\/\b\f\n\r\t";
	const char *name;
	char c;

	if (*p == end)
		return false;
	c = *(*p)++;
	if (c == 'u')
		return take_escaped_cp(p, end, ret);
	name = c ? strchr(names, c) : NULL;
	if (!name)
		return false;
	*ret = (uint32_t)values[name - names];
	return true;
}

/*
 * Reads from behind the opening quote to behind the closing one. Returns the decoded length, or -1;
 * writes the bytes unless OUT is NULL.
 */
static int64_t unescape(const char **p, const char *end, char *out)
{
	size_t n = 0;
	uint32_t cp;

	while (*p < end && **p != '"') {
		if (**p != '\\') {
			if (out)
				out[n] = **p;
			n++;
			(*p)++;
			continue;
		}
		(*p)++;
		if (!take_escape(p, end, &cp))
			return -1;
		n += put_cp(cp, out ? out + n : NULL);
	}
	if (*p == end)
		return -1;
	(*p)++;
	return (int64_t)n;
}

static bool add_escaped_string(struct source *s)
{
	const char *again = s->p;
	int64_t len = unescape(&s->p, s->end, NULL);

	if (len < 0)
		return false;
	msgpack_pack_str(&s->pk, (size_t)len);
	unescape(&again, s->end, (char *)buf_reserve(s->b, (size_t)len));
	buf_commit(s->b, (size_t)len);
	return true;
}

static bool add_string(struct source *s)
{
	const char *quote;
	size_t len;

	s->p++;
	quote = memchr(s->p, '"', (size_t)(s->end - s->p));
	if (!quote)
		return false;
	len = (size_t)(quote - s->p);
	if (memchr(s->p, '\\', len))
		return add_escaped_string(s);
	msgpack_pack_str(&s->pk, len);
	if (len)
		msgpack_pack_str_body(&s->pk, s->p, len);
	s->p = quote + 1;
	return true;
}

/* Numbers and words ------------------------------------------------------------------ */

static size_t take_digits(struct source *s)
{
	const char *start = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return (size_t)(s->p - start);
}

static bool take_char(struct source *s, char c)
{
	if (s->p == s->end || *s->p != c)
		return false;
	s->p++;
	return true;
}

/* Moves behind the number at s->p (RFC 8259 section 6). */
static bool take_number(struct source *s, bool *ret_integer)
{
	bool is_zero;

	*ret_integer = true;
	take_char(s, '-');
	is_zero = s->p < s->end && *s->p == '0';
	if (is_zero)
		s->p++;
	else if (!take_digits(s))
		return false;
	if (take_char(s, '.')) {
		*ret_integer = false;
		if (!take_digits(s))
			return false;
	}
	if (take_char(s, 'e') || take_char(s, 'E')) {
		*ret_integer = false;
		if (!take_char(s, '+'))
			take_char(s, '-');
		return take_digits(s) > 0;
	}
	return true;
}

static bool add_number(struct source *s)
{
	struct str text = {s->p, 0};
	char copy[NUMBER_MAX + 1];
	bool is_integer;
	int64_t n;
	double d;

	if (!take_number(s, &is_integer))
		return false;
	text.len = (size_t)(s->p - text.p);
	if (is_integer && str_to_i64(text, &n) == 0) {
		msgpack_pack_int64(&s->pk, n);
		return true;
	}
	if (text.len > NUMBER_MAX)
		return false;
	memcpy(copy, text.p, text.len);
	copy[text.len] = '\0';
	d = strtod(copy, NULL);
	if (!isfinite(d))
		return false;
	msgpack_pack_double(&s->pk, d);
	return true;
}

static bool add_word(struct source *s)
{
	static const struct {
		struct str word;
		char byte;
	} words[] = {
		{STR("null"), (char)0xc0}, {STR("false"), (char)0xc2}, {STR("true"), (char)0xc3}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		struct str w = words[i].word;

		if ((size_t)(s->end - s->p) < w.len || memcmp(s->p, w.p, w.len) != 0)
			continue;
		buf_add_char(s->b, words[i].byte);
		s->p += w.len;
		return true;
	}
	return false;
}

/* Containers --------------------------------------------------------------------------- */

/*
 * Writes the header of N elements where one byte was kept free for it. Only containers of 16 and
 * more need further bytes and are moved.
 */
static void set_header(struct buf *b, size_t at, size_t n, bool is_map)
{
	size_t more = n < 16 ? 0 : n <= UINT16_MAX ? 2 : 4;

	if (!more) {
		b->p[at] = (uint8_t)((is_map ? 0x80 : 0x90) | n);
		return;
	}
	buf_reserve(b, more);
	memmove(b->p + at + 1 + more, b->p + at + 1, b->len - at - 1);
	buf_commit(b, more);
	b->p[at] = (uint8_t)((is_map ? 0xde : 0xdc) + (more == 4));
	for (size_t i = more; i > 0; i--, n >>= 8)
		b->p[at + i] = (uint8_t)n;
}

static bool add_value(struct source *s, unsigned depth);

static bool add_member(struct source *s, bool is_map, unsigned depth)
{
	if (is_map) {
		if (peek(s) != '"' || !add_string(s) || peek(s) != ':')
			return false;
		s->p++;
	}
	return add_value(s, depth);
}

static bool add_container(struct source *s, unsigned depth)
{
	bool is_map = *s->p == '{';
	char close = is_map ? '}' : ']';
	size_t at = s->b->len, n = 0;

	if (depth == MSGPACK_DEPTH_MAX)
		return false;
	s->p++;
	buf_add_char(s->b, 0);
	if (peek(s) != close) {
		do {
			s->p += n > 0; /* the comma */
			if (!add_member(s, is_map, depth + 1))
				return false;
			n++;
		} while (peek(s) == ',');
	}
	if (peek(s) != close)
		return false;
	s->p++;
	set_header(s->b, at, n, is_map);
	return true;
}

/* Recursion is bounded by MSGPACK_DEPTH_MAX. */
static bool add_value(struct source *s, unsigned depth)
{
	switch (peek(s)) {
	case '{':
	case '[':
		return add_container(s, depth);
	case '"':
		return add_string(s);
	case 'n':
	case 't':
	case 'f':
		return add_word(s);
	default:
		return add_number(s);
	}
}

bool msgpack_from_json(struct buf *b, struct str json)
{
	struct source s = {.p = json.p, .end = json.p + json.len, .b = b};
	size_t start = b->len;

	msgpack_packer_init(&s.pk, b, msgpack_add_bytes);
	if (json.len && add_value(&s, 0) && peek(&s) == '\0' && s.p == s.end)
		return true;
	b->len = start;
	return false;
}
