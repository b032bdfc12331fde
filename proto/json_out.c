/* SPDX-License-Identifier: MIT */
/*
 * Writing JSON into a struct buf: escapes, commas, members.
 * Keeps no state: the last byte written tells whether a comma is due.
 */
#include "base/clock.h"
#include "proto/json.h"

#define ONES UINT64_C(0x0101010101010101)
#define HIGHS UINT64_C(0x8080808080808080)

/* Nonzero when one of the eight bytes is zero. */
static uint64_t has_zero(uint64_t word)
{
	return (word - ONES) & ~word & HIGHS;
}

/* Nonzero when one of the eight bytes must be escaped (RFC 8259 section 7). */
static uint64_t needs_escape(uint64_t word)
{
	uint64_t control = (word - ONES * 0x20) & ~word & HIGHS;

	return control | has_zero(word ^ ONES * '"') | has_zero(word ^ ONES * '\\');
}

static bool is_plain(uint8_t c)
{
	return c >= 0x20 && c != '"' && c != '\\';
}

/* Length of the run at P that can be copied as it is. */
static size_t plain_run(const char *p, size_t len)
{
	uint64_t word;
	size_t i = 0;

	for (; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, p + i, sizeof(word));
		if (needs_escape(word))
			break;
	}
	while (i < len && is_plain((uint8_t)p[i]))
		i++;
	return i;
}

static void add_escape(struct buf *b, char c)
{
	static const char short_form[0x20] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
	char letter = c == '"' || c == '\\' ? c : short_form[(uint8_t)c];

	if (letter) {
		buf_add_char(b, '\\');
		buf_add_char(b, letter);
	} else {
		buf_printf(b, "\\u%04x", (uint8_t)c);
	}
}

void json_add_str(struct buf *b, struct str s)
{
	buf_add_char(b, '"');
	for (size_t i = 0; i < s.len;) {
		size_t n = plain_run(s.p + i, s.len - i);

		if (n)
			buf_add(b, s.p + i, n);
		i += n;
		if (i < s.len)
			add_escape(b, s.p[i++]);
	}
	buf_add_char(b, '"');
}

void json_add_sep(struct buf *b)
{
	char last = b->len ? (char)b->p[b->len - 1] : '[';

	if (last != '{' && last != '[' && last != ',' && last != ':')
		buf_add_char(b, ',');
}

void json_add_key(struct buf *b, const char *key)
{
	json_add_sep(b);
	buf_add_char(b, '"');
	buf_add_cstr(b, key);
	buf_add(b, "\":", 2);
}

void json_add_key_str(struct buf *b, const char *key, struct str s)
{
	json_add_key(b, key);
	json_add_str(b, s);
}

void json_add_key_cstr(struct buf *b, const char *key, const char *s)
{
	if (s)
		json_add_key_str(b, key, str_of(s));
	else
		json_add_key_null(b, key);
}

void json_add_key_i64(struct buf *b, const char *key, int64_t v)
{
	json_add_key(b, key);
	buf_add_i64(b, v);
}

void json_add_key_bool(struct buf *b, const char *key, bool v)
{
	json_add_key(b, key);
	buf_add_cstr(b, v ? "true" : "false");
}

void json_add_key_null(struct buf *b, const char *key)
{
	json_add_key(b, key);
	buf_add_cstr(b, "null");
}

void json_add_key_raw(struct buf *b, const char *key, struct str json)
{
	json_add_key(b, key);
	buf_add_str(b, json);
}

void json_add_key_ms(struct buf *b, const char *key, int64_t ms)
{
	int64_t rest = ms % 1000;
	int digits = 3;

	json_add_key(b, key);
	buf_add_i64(b, ms / 1000);
	if (ms < 0 || !rest)
		return;
	for (; rest % 10 == 0; rest /= 10)
		digits--;
	buf_printf(b, ".%0*d", digits, (int)rest);
}

void json_add_key_time(struct buf *b, const char *key, int64_t wall_ms)
{
	char text[CLOCK_RFC3339_LEN + 1];

	clock_format(wall_ms, text);
	json_add_key_str(b, key, (struct str){text, CLOCK_RFC3339_LEN});
}
