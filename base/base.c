/* SPDX-License-Identifier: MIT */
/*
 * Borrowed strings: comparison and numbers.
 * Owning and growing bytes is buf.c's and blob.c's.
 */
#include "base/base.h"

struct str str_of(const char *s)
{
	return (struct str){s, s ? strlen(s) : 0};
}

bool str_eq(struct str a, struct str b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.p, b.p, a.len) == 0);
}

struct str str_put(char **at, struct str s)
{
	char *start = *at;

	if (s.len)
		memcpy(start, s.p, s.len);
	*at += s.len;
	return (struct str){s.p ? start : NULL, s.len};
}

static char ascii_lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool str_ieq(struct str a, struct str b)
{
	if (a.len != b.len)
		return false;
	for (size_t i = 0; i < a.len; i++)
		if (ascii_lower(a.p[i]) != ascii_lower(b.p[i]))
			return false;
	return true;
}

int str_to_i64(struct str s, int64_t *ret_value)
{
	bool is_negative = s.len > 0 && s.p[0] == '-';
	int64_t v = 0;

	if (s.len == (size_t)is_negative)
		return -ERR_INVAL;
	for (size_t i = is_negative; i < s.len; i++) {
		int digit = s.p[i] - '0';

		if (digit < 0 || digit > 9)
			return -ERR_INVAL;
		/* counts downwards for negatives, so that INT64_MIN is within reach */
		if (__builtin_mul_overflow(v, 10, &v) ||
		    __builtin_add_overflow(v, is_negative ? -digit : digit, &v))
			return -ERR_INVAL;
	}
	*ret_value = v;
	return 0;
}
