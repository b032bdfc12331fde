/* SPDX-License-Identifier: MIT */
/*
 * UTF-8 validation, lengths, trimming and the rules for names and texts.
 * Leaves normalisation and case to whoever compares names.
 */
#include "proto/utf8.h"

/*
 * States of the validator: what the next byte must be. After a lead byte that restricts its first
 * continuation (RFC 3629 section 4) the four last states apply, then TAIL1 or TAIL2.
 */
enum {
	START = UTF8_START,
	TAIL1,	/* one more 80..BF */
	TAIL2,	/* two more */
	TAIL3,	/* three more */
	AFTER_E0, /* A0..BF, then one: no overlong forms */
	AFTER_ED, /* 80..9F, then one: no surrogates */
	AFTER_F0, /* 90..BF, then two: no overlong forms */
	AFTER_F4, /* 80..8F, then two: nothing above U+10FFFF */
	BROKEN,
};

static uint8_t lead_state(uint8_t c)
{
	if (c < 0x80)
		return START;
	if (c < 0xc2)
		return BROKEN;
	if (c < 0xe0)
		return TAIL1;
	if (c < 0xf0)
		return c == 0xe0 ? AFTER_E0 : c == 0xed ? AFTER_ED : TAIL2;
	if (c < 0xf5)
		return c == 0xf0 ? AFTER_F0 : c == 0xf4 ? AFTER_F4 : TAIL3;
	return BROKEN;
}

static uint8_t next_state(uint8_t state, uint8_t c)
{
	static const struct {
		uint8_t lo, hi, next;
	} rule[] = {
		[TAIL1] = {0x80, 0xbf, START},	  [TAIL2] = {0x80, 0xbf, TAIL1},
		[TAIL3] = {0x80, 0xbf, TAIL2},	  [AFTER_E0] = {0xa0, 0xbf, TAIL1},
		[AFTER_ED] = {0x80, 0x9f, TAIL1}, [AFTER_F0] = {0x90, 0xbf, TAIL2},
		[AFTER_F4] = {0x80, 0x8f, TAIL2},
	};

	if (state == START)
		return lead_state(c);
	if (state >= BROKEN || c < rule[state].lo || c > rule[state].hi)
		return BROKEN;
	return rule[state].next;
}

/* Length of the run of ASCII at P, found eight bytes at a time. */
static size_t ascii_run(const uint8_t *p, size_t len)
{
	size_t i = 0;
	uint64_t word;

	for (; i + sizeof(word) <= len; i += sizeof(word)) {
		memcpy(&word, p + i, sizeof(word));
		if (word & UINT64_C(0x8080808080808080))
			break;
	}
	while (i < len && p[i] < 0x80)
		i++;
	return i;
}

bool utf8_feed(uint8_t *state, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	uint8_t st = *state;

	for (size_t i = 0; i < len;) {
		if (st == START) {
			i += ascii_run(p + i, len - i);
			if (i == len)
				break;
		}
		st = next_state(st, p[i++]);
		if (st == BROKEN)
			break;
	}
	*state = st;
	return st != BROKEN;
}

bool utf8_valid(const void *bytes, size_t len)
{
	uint8_t state = UTF8_START;

	return utf8_feed(&state, bytes, len) && state == UTF8_START;
}

size_t utf8_length(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.len; i++)
		n += ((uint8_t)s.p[i] & 0xc0) != 0x80;
	return n;
}

bool utf8_next(struct str s, size_t *pos, uint32_t *ret_cp)
{
	const uint8_t *p;
	size_t left, n;
	uint32_t cp;

	if (*pos >= s.len)
		return false;
	p = (const uint8_t *)s.p + *pos;
	left = s.len - *pos;
	n = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	n = MIN(n, left);
	cp = n == 1 ? p[0] : p[0] & (0x7fu >> n);
	for (size_t i = 1; i < n; i++)
		cp = cp << 6 | (p[i] & 0x3f);
	*pos += n;
	*ret_cp = cp;
	return true;
}

struct cp_range {
	uint32_t first, last;
};

static bool in_ranges(uint32_t cp, const struct cp_range *r, size_t n)
{
	for (size_t i = 0; i < n && cp >= r[i].first; i++)
		if (cp <= r[i].last)
			return true;
	return false;
}

/* White_Space of the Unicode character database. */
static const struct cp_range blank_ranges[] = {
	{0x09, 0x0d},	  {0x20, 0x20},	    {0x85, 0x85},     {0xa0, 0xa0},	{0x1680, 0x1680},
	{0x2000, 0x200a}, {0x2028, 0x2029}, {0x202f, 0x202f}, {0x205f, 0x205f}, {0x3000, 0x3000},
};

/* Characters that show nothing by themselves: soft hyphen, joiners, fillers, selectors, tags. */
static const struct cp_range invisible_ranges[] = {
	{0xad, 0xad},	  {0x34f, 0x34f},   {0x61c, 0x61c},	{0x115f, 0x1160},
	{0x17b4, 0x17b5}, {0x180b, 0x180f}, {0x200b, 0x200f},	{0x2060, 0x206f},
	{0x2800, 0x2800}, {0x3164, 0x3164}, {0xfe00, 0xfe0f},	{0xfeff, 0xfeff},
	{0xffa0, 0xffa0}, {0xfff9, 0xfffb}, {0xe0000, 0xe0fff},
};

/* C0, DEL and C1; line and paragraph separators; bidirectional marks, embeddings and isolates. */
static const struct cp_range unnameable_ranges[] = {
	{0x00, 0x1f},	  {0x7f, 0x9f},	    {0x61c, 0x61c},   {0x200e, 0x200f},
	{0x2028, 0x202e}, {0x2066, 0x2069}, {0xfdd0, 0xfdef}, {0xfff9, 0xfffb},
};

bool utf8_is_space(uint32_t cp)
{
	return in_ranges(cp, blank_ranges, ARRAY_LEN(blank_ranges));
}

static bool is_invisible(uint32_t cp)
{
	return utf8_is_space(cp) ||
	       in_ranges(cp, invisible_ranges, ARRAY_LEN(invisible_ranges));
}

/* What trimming removes: blanks, and zero-width characters that have no partner at an end. */
static bool is_trimmed(uint32_t cp)
{
	return utf8_is_space(cp) ||
	       (cp >= 0x200b && cp <= 0x200d) || cp == 0x2060 || cp == 0xfeff;
}

static bool is_unnameable(uint32_t cp)
{
	return (cp & 0xfffe) == 0xfffe ||
	       in_ranges(cp, unnameable_ranges, ARRAY_LEN(unnameable_ranges));
}

struct str utf8_trim(struct str s)
{
	size_t pos = 0, start = s.len, end = 0, at = 0;
	uint32_t cp;

	while (utf8_next(s, &pos, &cp)) {
		if (!is_trimmed(cp)) {
			start = MIN(start, at);
			end = pos;
		}
		at = pos;
	}
	return start < end ? (struct str){s.p + start, end - start} : (struct str){s.p, 0};
}

bool utf8_is_blank(struct str s)
{
	size_t pos = 0;
	uint32_t cp;

	while (utf8_next(s, &pos, &cp))
		if (!is_invisible(cp))
			return false;
	return true;
}

int utf8_name(struct str s, size_t max_chars, struct str *ret_name)
{
	struct str name;
	size_t pos = 0;
	uint32_t cp;

	if (!utf8_valid(s.p, s.len))
		return -ERR_INVAL;
	name = utf8_trim(s);
	while (utf8_next(name, &pos, &cp))
		if (is_unnameable(cp))
			return -ERR_INVAL;
	if (utf8_is_blank(name))
		return -ERR_NOENT;
	if (utf8_length(name) > max_chars)
		return -ERR_TOOBIG;
	*ret_name = name;
	return 0;
}

int utf8_message(struct str s, size_t max_chars)
{
	size_t pos = 0;
	uint32_t cp;

	if (!utf8_valid(s.p, s.len))
		return -ERR_INVAL;
	if (utf8_length(s) > max_chars)
		return -ERR_TOOBIG;
	while (utf8_next(s, &pos, &cp))
		if ((cp < 0x20 && cp != '\t' && cp != '\n' && cp != '\r') ||
		    (cp >= 0x7f && cp <= 0x9f))
			return -ERR_INVAL;
	return utf8_is_blank(s) ? -ERR_NOENT : 0;
}
