/* SPDX-License-Identifier: MIT */
/*
 * Percent escapes (RFC 3986 section 2.1) and application/x-www-form-urlencoded text.
 * Which fields a form has is its handler's to know.
 */
#include "proto/http_field.h"
#include "proto/utf8.h"

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
		return (c | 0x20) - 'a' + 10;
	return -1;
}

/* The byte at *POS of S, decoded, or -1 for a bad escape or NUL. */
static int next_byte(struct str s, bool plus, size_t *pos)
{
	char c = s.p[(*pos)++];
	int hi, lo;

	if (c == '+' && plus)
		return ' ';
	if (c != '%')
		return c ? (uint8_t)c : -1;
	if (s.len - *pos < 2)
		return -1;
	hi = hex_value(s.p[*pos]);
	lo = hex_value(s.p[*pos + 1]);
	*pos += 2;
	return hi < 0 || lo < 0 || !(hi | lo) ? -1 : hi << 4 | lo;
}

int http_unescape(struct str s, bool plus, struct buf *b)
{
	size_t begin = b->len;

	for (size_t i = 0; i < s.len;) {
		int c = next_byte(s, plus, &i);

		if (c < 0) {
			b->len = begin;
			return -ERR_INVAL;
		}
		buf_add_char(b, (char)c);
	}
	if (b->len > begin && !utf8_valid(b->p + begin, b->len - begin)) {
		b->len = begin;
		return -ERR_INVAL;
	}
	return 0;
}

void http_add_escaped(struct buf *b, struct str s)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = (uint8_t)s.p[i];

		if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
		    (c && strchr("-._~", c))) {
			buf_add_char(b, (char)c);
		} else {
			buf_add_char(b, '%');
			buf_add_char(b, hex[c >> 4]);
			buf_add_char(b, hex[c & 15]);
		}
	}
}

/* True when the escaped text ESCAPED decodes to NAME. */
static bool decodes_to(struct str escaped, struct str name)
{
	size_t i = 0, n = 0;

	while (i < escaped.len) {
		int c = next_byte(escaped, true, &i);

		if (c < 0 || n == name.len || (uint8_t)name.p[n++] != c)
			return false;
	}
	return n == name.len;
}

/* Splits the next pair off *FORM. A field without '=' has an empty value. False at the end. */
static bool next_pair(struct str *form, struct str *ret_key, struct str *ret_value)
{
	const char *amp = form->len ? memchr(form->p, '&', form->len) : NULL;
	size_t len = amp ? (size_t)(amp - form->p) : form->len;
	const char *eq = len ? memchr(form->p, '=', len) : NULL;

	if (!form->len)
		return false;
	*ret_key = (struct str){form->p, eq ? (size_t)(eq - form->p) : len};
	*ret_value = eq ? (struct str){eq + 1, len - ret_key->len - 1} : STR("");
	*form = (struct str){form->p + len + !!amp, form->len - len - !!amp};
	return true;
}

int http_form_get(struct str form, const char *name, struct buf *ret)
{
	struct str key, value;

	while (next_pair(&form, &key, &value))
		if (decodes_to(key, str_of(name)))
			return http_unescape(value, true, ret);
	return -ERR_NOENT;
}
